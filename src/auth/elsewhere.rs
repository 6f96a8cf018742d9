//! Logins of people whose account lies in a directory, and what becomes of their sessions.
//!
//! The directory is asked for names only that no local account has. A password that was right stays right for a moment
//! (`cache`), so that a client which polls does not bind with every request. Sessions hold no password: every `recheck`
//! the directory is asked again, as the service's own account, and a session ends when its user is gone, disabled or
//! without a role. While nobody answers sessions go on, for `grace`.

use std::{
    net::IpAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    AuthError, Inner, Principal,
    accounts::{MAX_PASSWORD, acceptable_name},
    ldap::{self, Directory, Person},
    outside::{Identity, Source},
};

/// What belongs to the bearer of a token (subscriptions) goes on for that long after the last good one: nobody can be
/// asked whether they still have a role there.
const BEARER_FOR: Duration = Duration::from_hours(24 * 7);
/// Why somebody without a role is refused.
pub(super) const NO_ROLE: &str = "none of the user's groups is in auth.ldap.roles with a role that there is";
/// How often it is looked whom to confirm again.
const ROUND: Duration = Duration::from_secs(5);
/// People confirmed again in one round, at most.
const MAX_ROUND: usize = 200;
/// Who was seen that lately is confirmed as often as somebody with a session.
const LATELY: Duration = Duration::from_mins(15);

impl Inner {
    /// Whether what its source said of somebody still holds.
    pub fn believed(&self, identity: &Identity) -> bool {
        match identity.source {
            Source::Token => {
                let worth = self.oauth.worth(&identity.name, identity.handle().as_deref().unwrap_or_default());
                let same = |(role, scope)| role == identity.role && scope == *identity.scope;
                identity.checked() < BEARER_FOR && worth.is_some_and(same)
            }
            Source::Ldap => {
                let config = self.config.load();
                config.ldap.as_ref().is_some_and(|ldap| identity.checked() <= ldap.grace)
            }
        }
    }

    /// The identity, if the password is right, the directory knows the name, and its groups are given a role.
    pub async fn check_outside(
        &self,
        directory: &Directory,
        user: &str,
        password: &str,
        peer: Option<IpAddr>,
    ) -> Result<Arc<Identity>, AuthError> {
        if password.is_empty() || password.len() > MAX_PASSWORD {
            return Err(self.refuse(user, peer).await);
        }
        let key = self.verified.key(user, password);
        if let Some(identity) = self.proven.look(&key, directory.config.cache) {
            let now = self.outside.get(&identity.name, identity.source);
            let same = now.is_some_and(|now| now.generation == identity.generation);
            if same
                && !identity.doubted()
                && identity.checked() <= directory.config.recheck
                && !self.is_local(&identity.name)
            {
                identity.touch();
                return Ok(identity);
            }
        } else if self.verified.look(&key, 0) == Some(false) {
            return Err(self.refuse(user, peer).await);
        }
        let guesser = self.throttle.is_throttled(peer, self.config.load().failures_per_minute);
        let answer = directory.prove(user, password, guesser).await;
        let answer = answer.map_err(|down| AuthError::DirectoryDown(down.again))?;
        let person = match answer {
            Ok(person) => person,
            Err(refusal) => {
                // Not the name: it may be a password typed into the wrong field.
                tracing::debug!(target: "audit", source = "ldap", reason = %refusal, "login refused");
                self.verified.keep(key, 0, false);
                return Err(self.refuse(user, peer).await);
            }
        };
        match self.admit(&person) {
            Ok(principal) => {
                let Some(identity) = self.outside.remember(&principal, Source::Ldap, Some(user)) else {
                    return Err(self.refuse(user, peer).await);
                };
                self.proven.keep(key, Arc::clone(&identity), directory.config.cache);
                Ok(identity)
            }
            Err(reason) => {
                tracing::warn!(target: "audit", source = "ldap", user = person.name, reason, "login refused");
                self.verified.keep(key, 0, false);
                Err(self.refuse(user, peer).await)
            }
        }
    }

    /// What somebody in the directory is here; or why nothing.
    fn admit(&self, person: &Person) -> Result<Principal, &'static str> {
        if let Some(reason) = person.disabled {
            return Err(reason);
        }
        if acceptable_name(&person.name).is_err() {
            return Err("the name can't be an account's (letters, digits and . _ - @ +, up to 64)");
        }
        if self.is_local(&person.name) {
            return Err("a local account has that name");
        }
        let config = self.config.load();
        let rules = config.ldap.as_ref().map_or(&[][..], |ldap| &ldap.roles);
        let (role, scope) = ldap::rights(&person.groups, rules, &|role| self.roles.find(role)).ok_or(NO_ROLE)?;
        Ok(Principal {
            name: Arc::from(person.name.as_str()),
            privileges: self.roles.privileges(&role),
            role,
            scope: Arc::new(scope),
            must_change_password: false,
            session: None,
        })
    }

    /// Whether a local account has that name, in whatever case: directories know none.
    pub fn is_local(&self, name: &str) -> bool {
        self.accounts.get(name).is_some() || self.accounts.has_ignoring_case(name)
    }

    /// Whether it is time to ask the directory again.
    pub fn is_due(&self, identity: &Identity) -> bool {
        match (identity.source, &self.config.load().ldap) {
            (Source::Ldap, Some(ldap)) => identity.doubted() || identity.checked() > ldap.recheck,
            _ => false,
        }
    }

    /// Asks the directory again; false: nobody answered.
    pub async fn confirm(&self, identity: &Identity) -> bool {
        let Some(directory) = self.directory.load_full() else { return true };
        // Others go on with what is known, and do not ask the same.
        let Some(_one) = identity.checking() else { return true };
        let handle = identity.handle();
        let login = handle.as_deref().unwrap_or(&identity.name);
        let Ok(answer) = directory.look(login).await else { return false };
        let reason = match answer {
            Ok(person) if *person.name == *identity.name => match self.admit(&person) {
                Ok(principal) => {
                    self.outside.confirm(&principal, Source::Ldap);
                    return true;
                }
                Err(reason) => reason.to_owned(),
            },
            Ok(_) => "the entry has another name now".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        tracing::warn!(target: "audit", source = "ldap", user = &*identity.name, reason, "rights have ended");
        self.outside.forget(&identity.name, Source::Ldap);
        self.end_sessions(|s| s.source == Some(Source::Ldap) && s.user == identity.name).await;
        true
    }

    /// Confirms who is due: those with a session or seen lately every `recheck`, others before `grace` is over, for they
    /// may have subscriptions. Ends sessions that nobody could confirm for too long.
    async fn confirm_round(&self) {
        let Some(ldap) = self.config.load().ldap.clone() else { return };
        let users = self.sessions.users(Source::Ldap);
        let mut due: Vec<Arc<Identity>> = self.outside.of(Source::Ldap);
        due.retain(|identity| {
            let busy = users.contains(&identity.name) || identity.seen() < LATELY;
            identity.doubted()
                || identity.checked() > if busy { ldap.recheck } else { (ldap.grace / 2).max(ldap.recheck) }
        });
        due.sort_by_key(|identity| std::cmp::Reverse(identity.checked()));
        for identity in due.iter().take(MAX_ROUND) {
            if !self.confirm(identity).await {
                break;
            }
        }
        let void = |identity: &Arc<Identity>| identity.checked() > ldap.grace && users.contains(&identity.name);
        for identity in self.outside.of(Source::Ldap).iter().filter(|identity| void(identity)) {
            tracing::warn!(target: "audit", source = "ldap", user = &*identity.name, "sessions end: the directory can't be asked");
            self.end_sessions(|s| s.source == Some(Source::Ldap) && s.user == identity.name).await;
        }
    }
}

/// Confirms identities again, as long as somebody holds [`super::Auth`].
pub(super) async fn confirm_all(inner: Weak<Inner>) {
    loop {
        // At once, for who was not confirmed while nothing ran.
        match inner.upgrade() {
            Some(inner) => inner.confirm_round().await,
            None => return,
        }
        tokio::time::sleep(ROUND).await;
    }
}
