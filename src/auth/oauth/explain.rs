//! A token in words: what it says, who it would be here, or why it is refused. Never the token itself.

use serde_json::{Value, json};

use super::{Checked, OAuth, check, now};
use crate::{
    auth::roles,
    config::AuthConfig,
    model::{NodeId, Scope},
    wire::jose::{Jws, json},
};

/// Claims that are repeated: what is judged by, and nothing else that may be in there about a person.
const SHOWN: [&str; 7] = ["iss", "aud", "sub", "preferred_username", "iat", "nbf", "exp"];
/// Longest claim that is repeated, in characters.
const LONGEST: usize = 400;

/// What there is to say.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// It is accepted.
    pub accepted: bool,
    /// Everything, by name: `refused` or `name`, `role`, `nodes`; `header`, `claims`; `issuers`.
    pub facts: Value,
}

/// Explains a token with these settings. Keys are fetched now, if they are to be fetched.
pub async fn token(settings: &AuthConfig, token: &str) -> Explanation {
    let oauth = OAuth::new(&settings.oauth, Box::new(roles::believing));
    let issuers = oauth.issuers.load_full();
    let verdict =
        if issuers.is_empty() { Err(super::Refusal::Off) } else { check(&issuers, token, now(), &oauth.known).await };
    let accepted = verdict.is_ok();
    let mut facts = match verdict {
        Ok(Checked { grant, issuer, .. }) => {
            let (nodes, groups) = match &grant.scope {
                Scope::All => (Value::from("all"), Value::Null),
                Scope::Some { nodes, groups } => (nodes.iter().map(NodeId::as_str).collect(), json!(groups)),
            };
            json!({
                "accepted": true, "issuer": issuer.settings.name, "name": grant.name, "role": grant.role.as_str(),
                "nodes": nodes, "groups": groups, "seconds_left": grant.until.saturating_sub(now()),
            })
        }
        Err(refusal) => json!({ "accepted": false, "refused": refusal.to_string(), "told": refusal.told() }),
    };
    if let Some(facts) = facts.as_object_mut() {
        if let Ok(jws) = Jws::parse(token) {
            let header = json!({ "alg": jws.alg.as_str(), "kid": jws.kid, "typ": jws.typ });
            facts.insert("header".to_owned(), header);
            if let Ok(claims) = json::object(&jws.payload) {
                let roles =
                    settings.oauth.iter().map(|issuer| issuer.roles_claim.split('.').next().unwrap_or_default());
                let shown: Vec<&str> = SHOWN.into_iter().chain(roles).collect();
                let short = |value: &Value| match value.to_string() {
                    long if long.chars().count() > LONGEST => Value::from("(too long to show)"),
                    _ => value.clone(),
                };
                let kept = claims.iter().filter(|(name, _)| shown.contains(&name.as_str()));
                let kept: json::Object = kept.map(|(name, value)| (name.clone(), short(value))).collect();
                facts.insert("claims".to_owned(), Value::Object(kept));
            }
        }
        let about = oauth.list().into_iter().map(|info| {
            let keys = info.set.pointer("/keys").and_then(Value::as_array).cloned().unwrap_or_default();
            let kids: Vec<Value> = keys.iter().map(|key| key.get("kid").cloned().unwrap_or_default()).collect();
            json!({ "issuer": info.settings.name, "iss": info.settings.issuer, "keys": kids, "fault": info.fault })
        });
        facts.insert("issuers".to_owned(), about.collect());
    }
    Explanation { accepted, facts }
}
