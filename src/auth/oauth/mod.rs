//! Tokens that somebody else has signed, in place of a password: OAuth 2.0 bearer tokens (RFC 6750) that are JSON Web
//! Tokens (RFC 7519, RFC 9068), checked with the keys of issuers that the configuration names.
//!
//! | file | what |
//! | --- | --- |
//! | `source`, `fetch` | an issuer's keys: a file, or an address that is asked again and again |
//! | `keys` | keys as OpenSSL has them, and the check of a signature |
//! | `claims` | what a token says, and which role and nodes that is worth |
//! | `seen` | tokens that were checked a moment ago |
//! | [`refusal`] | why not |
//! | [`explain`] | all of it, in words, for whoever configures it |
//!
//! The bearer of a token is nobody's account: its name begins with the issuer's and a colon, which no account's name
//! has. Kept of it is what `outside` keeps of everybody; nothing of a token is ever written anywhere.

mod claims;
pub mod explain;
mod fetch;
mod keys;
pub mod refusal;
mod seen;
mod source;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};

use self::{
    claims::Grant,
    keys::{Found, Mark},
    refusal::Refusal,
    seen::{Accepted, Seen},
    source::Issuer,
};
use super::Principal;
use crate::{
    config::OAuthIssuer,
    model::{Privileges, Role, Scope},
    wire::jose::{Jws, JwsError, json, jws::MAX_TOKEN},
};

pub use source::IssuerInfo;

/// Characters of a key's name that an error repeats.
const SHOWN: usize = 64;

/// The issuers, and what is remembered of their tokens.
pub(super) struct OAuth {
    issuers: ArcSwap<Vec<Arc<Issuer>>>,
    seen: Seen,
    known: Knows,
}

/// What a role is good for; `None`: there is no such role.
pub(super) type Knows = Box<dyn Fn(&Role) -> Option<Privileges> + Send + Sync>;

/// A token whose signature is right, and what it is worth.
struct Checked {
    grant: Grant,
    issuer: Arc<Issuer>,
    key: Mark,
}

impl OAuth {
    /// Has to be called on a runtime when keys are fetched.
    pub fn new(settings: &[Arc<OAuthIssuer>], known: Knows) -> Self {
        Self {
            issuers: ArcSwap::from_pointee(settings.iter().map(|one| Issuer::start(one, None)).collect()),
            seen: Seen::default(),
            known,
        }
    }

    /// Other settings. An issuer that is configured as before keeps its keys; tokens of all others are judged anew.
    pub fn reconfigure(&self, settings: &[Arc<OAuthIssuer>]) {
        let old = self.issuers.load_full();
        let find = |which: &dyn Fn(&OAuthIssuer) -> bool| old.iter().find(|issuer| which(&issuer.settings)).cloned();
        let start = |new: &Arc<OAuthIssuer>| {
            find(&|one| *one == **new).unwrap_or_else(|| {
                // Other roles, the same keys: nobody is shut out while their address does not answer.
                let before = find(&|one| one.issuer == new.issuer && one.keys == new.keys);
                Issuer::start(new, before.as_deref())
            })
        };
        let new: Vec<_> = settings.iter().map(start).collect();
        self.seen.only(&new);
        self.issuers.store(Arc::new(new));
    }

    /// Roles are others now: which one a token is worth may be another.
    pub fn judge_anew(&self) {
        self.seen.clear();
    }

    /// Whether there is an issuer at all.
    pub fn is_on(&self) -> bool {
        !self.issuers.load().is_empty()
    }

    pub fn list(&self) -> Vec<IssuerInfo> {
        self.issuers.load().iter().map(|issuer| issuer.info()).collect()
    }

    /// Whose token it is, and its values that have given the role (one a line).
    pub async fn bearer(&self, token: &str) -> Result<(Principal, Arc<str>), Refusal> {
        let issuers = self.issuers.load_full();
        if issuers.is_empty() {
            return Err(Refusal::Off);
        }
        if token.len() > MAX_TOKEN {
            return Err(JwsError::TooLong(token.len()).into());
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let now = now();
        if let Some(accepted) = self.seen.look(&hash, now, &issuers) {
            // What the role is good for may be another thing since.
            let privileges = (self.known)(&accepted.principal.role).unwrap_or_default();
            return Ok((Principal { privileges, ..accepted.principal }, accepted.values));
        }
        let Checked { grant, issuer, key } = check(&issuers, token, now, &self.known).await?;
        let principal = Principal {
            name: Arc::from(grant.name),
            privileges: (self.known)(&grant.role).unwrap_or_default(),
            role: grant.role,
            scope: Arc::new(grant.scope),
            must_change_password: false,
            session: None,
        };
        tracing::debug!(target: "audit", principal = &*principal.name, role = %principal.role, "token accepted");
        let accepted = Accepted { principal, values: grant.values.into(), issuer, key, until: grant.until };
        let told = (accepted.principal.clone(), Arc::clone(&accepted.values));
        self.seen.keep(hash, accepted, now);
        Ok(told)
    }

    /// Whether a token would be accepted, as far as that is known without asking for keys.
    pub fn bears(&self, token: &str) -> bool {
        let (issuers, now) = (self.issuers.load_full(), now());
        let hash: [u8; 32] = Sha256::digest(token).into();
        if self.seen.look(&hash, now, &issuers).is_some() {
            return true;
        }
        read(&issuers, token)
            .and_then(|read| {
                signed(&read.issuer, &read.jws)?;
                claims::judge(&read.claims, &read.issuer.settings, now, &self.known)
            })
            .is_ok()
    }

    /// What the values of a token that was accepted once (one a line) are worth to its bearer by the rules of now.
    pub fn worth(&self, name: &str, values: &str) -> Option<(Role, Scope)> {
        let (issuer, _) = name.split_once(':')?;
        let issuers = self.issuers.load();
        let issuer = issuers.iter().find(|one| one.settings.name == issuer)?;
        let values: Vec<&str> = values.lines().collect();
        claims::role(&issuer.settings.roles, &values, &self.known)
    }
}

/// A token that was taken apart, and whose it says it is.
struct Read<'t> {
    jws: Jws<'t>,
    claims: json::Object,
    issuer: Arc<Issuer>,
}

/// Everything that can be known before the signature is looked at.
fn read<'t>(issuers: &[Arc<Issuer>], token: &'t str) -> Result<Read<'t>, Refusal> {
    let jws = Jws::parse(token)?;
    if !claims::of_access(jws.typ.as_deref()) {
        return Err(Refusal::Type(jws.typ.unwrap_or_default().chars().take(SHOWN).collect()));
    }
    let claims = json::object(&jws.payload).map_err(Refusal::Payload)?;
    let iss = claims::issuer(&claims)?;
    let issuer = issuers.iter().find(|issuer| issuer.settings.issuer == iss).cloned();
    let issuer = issuer.ok_or_else(|| Refusal::Issuer(iss.chars().take(SHOWN * 2).collect()))?;
    let settings = &issuer.settings;
    if !settings.algorithms.contains(&jws.alg) {
        let accepted: Vec<&str> = settings.algorithms.iter().map(|alg| alg.as_str()).collect();
        return Err(Refusal::Algorithm(jws.alg, settings.name.clone(), accepted.join(", ")));
    }
    Ok(Read { jws, claims, issuer })
}

/// Checks a token from its first byte to its last claim. May wait for keys.
async fn check(issuers: &[Arc<Issuer>], token: &str, now: i64, known: &Knows) -> Result<Checked, Refusal> {
    let Read { jws, claims, issuer } = read(issuers, token)?;
    let key = match signed(&issuer, &jws) {
        Err(Refusal::UnknownKey { .. } | Refusal::WhichKey(..) | Refusal::NoKeys(..)) if issuer.again().await => {
            signed(&issuer, &jws)?
        }
        other => other?,
    };
    let grant = claims::judge(&claims, &issuer.settings, now, known)?;
    Ok(Checked { grant, issuer, key })
}

/// The key that has signed it.
fn signed(issuer: &Issuer, jws: &Jws<'_>) -> Result<Mark, Refusal> {
    let name = || issuer.settings.name.clone();
    issuer.ready().map_err(|why| Refusal::NoKeys(name(), why))?;
    let keys = issuer.keys();
    match keys.find(jws.kid.as_deref(), jws.alg) {
        Found::These(some) => {
            let signer = some.into_iter().find(|key| key.signed(jws.alg, jws.signed, &jws.signature));
            signer.map(|key| key.mark).ok_or(Refusal::Signature)
        }
        Found::NoSuchKid => Err(Refusal::UnknownKey {
            issuer: name(),
            kid: jws.kid.iter().flat_map(|kid| kid.chars()).take(SHOWN).collect(),
            alg: jws.alg,
            has: if keys.len() == 0 { "none".to_owned() } else { keys.names().join(", ") },
        }),
        Found::Ambiguous(fit) => Err(Refusal::WhichKey(name(), fit)),
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
