//! What a token says (RFC 7519, section 4.1), and what that is worth here. Pure: its signature was checked before.

use std::collections::BTreeSet;

use serde_json::Value;

use super::refusal::Refusal;
use crate::{
    auth::roles::{Known, highest},
    config::{OAuthIssuer, OAuthRole},
    model::{Role, Scope},
    wire::jose::json::Object,
};

/// Seconds since 1970 beyond which no time is meant: the year 9999.
const END_OF_TIME: i64 = 253_402_300_799;
/// Values of the claim of roles that are looked at: a token has no room for many more.
const MAX_VALUES: usize = 2_048;
/// Audiences that are looked at.
const MAX_AUDIENCES: usize = 256;
/// Longest name of a user, in characters.
const MAX_NAME: usize = 128;
/// Characters of a claim that the log repeats.
const SHOWN: usize = 80;

/// What a token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// `issuer:user`: no local account has a colon in its name.
    pub name: String,
    pub role: Role,
    pub scope: Scope,
    /// The values that have given it the role, one a line.
    pub values: String,
    /// Seconds since 1970: nothing after that, whatever the clocks say.
    pub until: i64,
}

/// `typ` of tokens for access: plain JWTs of most issuers, and RFC 9068. Anything else (`logout+jwt`, `dpop+jwt`) is
/// signed by the same key for another purpose (RFC 8725, section 3.11).
pub(super) fn of_access(typ: Option<&str>) -> bool {
    let kinds = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];
    typ.is_none_or(|typ| kinds.iter().any(|kind| typ.eq_ignore_ascii_case(kind)))
}

/// `iss`, before anything is known to be true: only to find whose keys to ask.
pub(super) fn issuer(claims: &Object) -> Result<&str, Refusal> {
    text(claims, "iss")
}

/// Judges claims at a time (seconds since 1970).
pub(super) fn judge(claims: &Object, by: &OAuthIssuer, now: i64, known: Known<'_>) -> Result<Grant, Refusal> {
    let leeway = i64::try_from(by.leeway.as_secs()).unwrap_or(0);
    let expires = time(claims, "exp")?.ok_or_else(|| Refusal::Claim("exp".to_owned()))?;
    let until = expires.saturating_add(leeway);
    if now >= until {
        return Err(Refusal::Expired(now.saturating_sub(expires)));
    }
    let issued = time(claims, "iat")?;
    for (claim, at) in [("nbf", time(claims, "nbf")?), ("iat", issued)] {
        if let Some(at) = at.filter(|at| at.saturating_sub(leeway) > now) {
            return Err(Refusal::NotYet(at.saturating_sub(now), claim));
        }
    }
    if let Some(most) = by.max_lifetime {
        let issued = issued.ok_or_else(|| Refusal::Claim("iat".to_owned()))?;
        let whole = expires.saturating_sub(issued);
        if u64::try_from(whole).is_ok_and(|whole| whole > most.as_secs()) {
            return Err(Refusal::TooLong(whole, by.name.clone()));
        }
    }
    audience(claims, by)?;
    if claims.contains_key("cnf") {
        return Err(Refusal::Bound);
    }
    let name = format!("{}:{}", by.name, name(claims, by)?);
    let values = values(claims, &by.roles_claim)?;
    match role(&by.roles, &values, known) {
        Some((role, scope)) => {
            let ours: BTreeSet<&str> = by.roles.iter().map(|rule| rule.value.as_str()).collect();
            let values: Vec<&str> = ours.into_iter().filter(|value| values.contains(value)).collect();
            Ok(Grant { name, role, scope, values: values.join("\n"), until })
        }
        None => Err(Refusal::NoRole { name, claim: by.roles_claim.clone(), issuer: by.name.clone() }),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

fn text<'c>(claims: &'c Object, claim: &str) -> Result<&'c str, Refusal> {
    claims.get(claim).and_then(Value::as_str).ok_or_else(|| Refusal::Claim(claim.to_owned()))
}

/// A NumericDate: seconds, perhaps with a fraction.
fn time(claims: &Object, claim: &str) -> Result<Option<i64>, Refusal> {
    let wrong = || Refusal::Claim(claim.to_owned());
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let seconds = if let Some(seconds) = value.as_i64() {
        seconds
    } else {
        let seconds = value.as_f64().filter(|s| (0.0..1e12).contains(s)).ok_or_else(wrong)?;
        // A fraction is cut off; what is in the range above has whole seconds that fit.
        format!("{:.0}", seconds.floor()).parse().map_err(|_| wrong())?
    };
    if (0..=END_OF_TIME).contains(&seconds) { Ok(Some(seconds)) } else { Err(wrong()) }
}

fn audience(claims: &Object, by: &OAuthIssuer) -> Result<(), Refusal> {
    let wrong = || Refusal::Claim("aud".to_owned());
    let named: Vec<&str> = match claims.get("aud").ok_or_else(wrong)? {
        Value::String(one) => vec![one],
        Value::Array(several) if several.len() <= MAX_AUDIENCES => {
            several.iter().map(|one| one.as_str().ok_or_else(wrong)).collect::<Result<_, _>>()?
        }
        _ => return Err(wrong()),
    };
    if named.iter().any(|one| by.audience.iter().any(|ours| ours == one)) {
        return Ok(());
    }
    Err(Refusal::Audience(shown(&format!("{named:?}"))))
}

fn name<'c>(claims: &'c Object, by: &OAuthIssuer) -> Result<&'c str, Refusal> {
    let (claim, value) = match &by.name_claim {
        Some(claim) => (claim.as_str(), at(claims, claim)),
        None if claims.contains_key("preferred_username") => ("preferred_username", claims.get("preferred_username")),
        None => ("sub", claims.get("sub")),
    };
    let name = value.and_then(Value::as_str).ok_or_else(|| Refusal::Claim(claim.to_owned()))?;
    // It goes into log lines, tasks and events. Whoever chose it may have had other things in mind.
    let plain = |c: char| c.is_alphanumeric() || c.is_ascii_graphic() && !matches!(c, '"' | '\\') || c == ' ';
    let sound = !name.is_empty() && name.trim() == name && name.chars().count() <= MAX_NAME && name.chars().all(plain);
    if sound { Ok(name) } else { Err(Refusal::Name(claim.to_owned())) }
}

/// A claim by its name, or by a path of names with dots (`realm_access.roles`). Names may have dots of their own
/// (`https://sso.example/roles`): the whole name is looked for first.
fn at<'c>(claims: &'c Object, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut parts = path.split('.');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_object()?.get(part))
}

/// The values of the claim of roles: words of a text, or a list of texts. None at all is no mistake.
fn values<'c>(claims: &'c Object, claim: &str) -> Result<Vec<&'c str>, Refusal> {
    let wrong = || Refusal::Claim(claim.to_owned());
    match at(claims, claim) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(words)) => Ok(words.split(' ').filter(|word| !word.is_empty()).take(MAX_VALUES).collect()),
        Some(Value::Array(list)) if list.len() <= MAX_VALUES => {
            list.iter().map(|value| value.as_str().ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// The highest role that the values are worth, and its nodes; see [`highest`].
pub(super) fn role(rules: &[OAuthRole], values: &[&str], known: Known<'_>) -> Option<(Role, Scope)> {
    let matched = rules.iter().filter(|rule| values.contains(&rule.value.as_str()));
    highest(matched.map(|rule| (&rule.role, &rule.scope)), known)
}
