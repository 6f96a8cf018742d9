//! Is this password right, whose token is this, and what follows.

use std::{
    net::IpAddr,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::future::join_all;

use super::{
    AuthError, NewSession, Principal,
    accounts::{Account, Accounts, MAX_PASSWORD},
    cache::{Cache, Key},
    ldap::Directory,
    lockout::Lockouts,
    oauth::{OAuth, refusal::Refusal},
    outside::{Identity, Outside, Proven as Passed, Source},
    password::Hasher,
    policy::Stored,
    roles::Roles,
    session::{Session, SessionDoc, Sessions},
    throttle::Throttle,
};
use crate::{
    config::{AuthConfig, Lockout},
    model::NodeId,
    store::{self, Expect, Kind, Safety, Store, StoreError},
};

/// How often idle sessions are looked for.
const SWEEP: Duration = Duration::from_secs(15);
/// The last use of a session that is written behind may be that much too old.
const SAVE_AFTER: Duration = Duration::from_secs(30);
/// An account that changes under a check's hands is looked at again that often.
const ATTEMPTS: usize = 3;

/// What all clones of [`super::Auth`] share.
pub(super) struct Inner {
    pub store: Arc<dyn Store>,
    pub config: ArcSwap<AuthConfig>,
    pub accounts: Accounts,
    pub roles: Arc<Roles>,
    pub stored: ArcSwap<Stored>,
    pub lockouts: Lockouts,
    pub sessions: Sessions,
    pub hasher: Hasher,
    pub verified: Cache,
    pub oauth: OAuth,
    pub outside: Outside,
    pub proven: Passed,
    pub directory: ArcSwapOption<Directory>,
    pub throttle: Throttle,
    /// Of refused tokens, apart from wrong passwords: a client whose token has expired must not slow down others.
    refused: Throttle,
}

impl Inner {
    pub async fn open(store: Arc<dyn Store>, config: AuthConfig, hasher: Hasher) -> Result<Self, StoreError> {
        let (accounts, roles, stored, sessions, outside) = read(&*store).await?;
        hasher.decoy().await?;
        let roles = Arc::new(roles);
        let known = Arc::clone(&roles);
        let oauth = OAuth::new(&config.oauth, Box::new(move |role| known.find(role)));
        let directory = ArcSwapOption::new(directory(&config));
        Ok(Self {
            store,
            config: ArcSwap::from_pointee(config),
            accounts,
            roles,
            stored: ArcSwap::from_pointee(stored),
            lockouts: Lockouts::default(),
            sessions,
            hasher,
            verified: Cache::new(),
            oauth,
            outside,
            proven: Passed::default(),
            directory,
            throttle: Throttle::new(),
            refused: Throttle::new(),
        })
    }

    /// New settings. When the directory or the role of a group is another one, everybody is confirmed anew at next use.
    pub fn reconfigure(&self, config: AuthConfig) {
        self.oauth.reconfigure(&config.oauth);
        if self.config.load().ldap != config.ldap {
            self.directory.store(directory(&config));
            self.proven.clear();
            self.verified.forget(0);
            self.outside.doubt(Source::Ldap);
        }
        self.config.store(Arc::new(config));
    }

    pub fn session_timeout(&self) -> Duration {
        self.config.load().session_timeout
    }

    /// Who that is, if the password is right.
    pub async fn check(&self, user: &str, password: &str, peer: Option<IpAddr>) -> Result<Proven, AuthError> {
        if self.accounts.get(user).is_none()
            && let Some(directory) = self.directory.load_full()
        {
            // Apart, so that a request of a local account is not as large as one that talks to a directory.
            return Box::pin(self.check_outside(&directory, user, password, peer)).await.map(Proven::Outside);
        }
        if password.len() <= MAX_PASSWORD {
            let key = self.verified.key(user, password);
            let rules = self.policy().lockout;
            for _ in 0..ATTEMPTS {
                let account = self.accounts.get(user);
                let revision = account.as_ref().map_or(0, |account| account.revision);
                let right = if let Some(right) = self.verified.look(&key, revision) {
                    right
                } else if account.as_ref().is_some_and(|account| self.is_shut(account, peer, &key, &rules)) {
                    // It takes as long as a look would: nobody is told that there is such an account.
                    self.hasher.verify(None, password, true).await;
                    break;
                } else {
                    let guesser = self.throttle.is_throttled(peer, self.config.load().failures_per_minute);
                    let hash = account.as_ref().map(|account| Arc::clone(&account.hash));
                    let right = self.hasher.verify(hash, password, guesser).await;
                    if self.accounts.get(user).map_or(0, |account| account.revision) != revision {
                        continue;
                    }
                    // Many guesses at once: the others may have led to a lock meanwhile, and this one counts as after it.
                    if account.as_ref().is_some_and(|account| self.is_shut(account, peer, &key, &rules)) {
                        break;
                    }
                    self.verified.keep(key, revision, right);
                    if let Some(account) = account.as_ref().filter(|_| right) {
                        self.lockouts.remember(&account.name, &account.hash, key);
                    }
                    right
                };
                match account {
                    Some(account) if right && account.enabled => {
                        self.lockouts.succeeded(&account.name, peer, &rules);
                        return Ok(Proven::Account(account));
                    }
                    Some(_) if right => {}
                    Some(account) => self.lockouts.failed(&account.name, peer, &key, &rules),
                    None => {}
                }
                break;
            }
        }
        Err(self.refuse(user, peer).await)
    }

    /// Whether that password is not looked at: too many wrong ones came from there, and it is not the one that is known.
    fn is_shut(&self, account: &Account, peer: Option<IpAddr>, key: &Key, rules: &Lockout) -> bool {
        self.lockouts.is_locked(&account.name, peer, rules) && !self.lockouts.knows(&account.name, &account.hash, key)
    }

    pub async fn refuse(&self, user: &str, peer: Option<IpAddr>) -> AuthError {
        let throttled = self.throttle.failed(peer, self.config.load().failures_per_minute);
        // Names that are no account's may be passwords typed into the wrong field.
        let shown = if self.accounts.get(user).is_some() { user } else { "(unknown)" };
        match peer {
            Some(address) if throttled => {
                tracing::debug!(target: "audit", account = shown, %address, "login failed again");
                self.throttle.delay().await;
                AuthError::Throttled(address)
            }
            _ => {
                tracing::warn!(target: "audit", account = shown, address = ?peer, "login failed");
                AuthError::BadCredentials
            }
        }
    }

    pub async fn login(
        &self,
        user: &str,
        password: &str,
        peer: Option<IpAddr>,
        door: Option<NodeId>,
    ) -> Result<NewSession, AuthError> {
        let proven = self.check(user, password, peer).await?;
        let (session, token) = self.sessions.make(proven.name(), proven.source(), peer, door);
        // Written behind: when it gets lost with a crash, its client logs in again. A full disk keeps nobody out.
        let document = self.sessions.document(&session);
        let written =
            store::write(&*self.store, Kind::Session, &session.id, Expect::Absent, &document, Safety::Behind).await;
        match written {
            Ok(revision) => session.revision.store(revision, Ordering::Relaxed),
            Err(e) => tracing::warn!(error = %e, "a session will not survive a restart"),
        }
        let id = Arc::clone(&session.id);
        let evicted = self.sessions.add(Arc::new(session), self.config.load().max_sessions);
        self.forget(&evicted, Safety::Behind).await;
        // The account may have changed while the session was not in force yet, and so was not ended with the others.
        if !self.still(&proven) {
            self.logout(&id).await?;
            return Err(AuthError::BadCredentials);
        }
        Ok(NewSession { principal: proven.principal(&self.roles, Some(Arc::clone(&id))), id, token })
    }

    /// Whether it is what it was when the password was checked.
    fn still(&self, proven: &Proven) -> bool {
        let account = self.accounts.get(proven.name());
        match proven {
            Proven::Account(was) => account.is_some_and(|now| now.hash == was.hash && now.enabled),
            Proven::Outside(was) => account.is_none() && self.outside.get(&was.name, was.source).is_some(),
        }
    }

    /// Whose token it is. The account is looked up anew: its role and limits are those of now.
    pub fn token(&self, token: &str) -> Result<(Principal, Option<Arc<Identity>>), AuthError> {
        let session = self.sessions.touch(token, self.session_timeout()).ok_or(AuthError::BadToken)?;
        let id = Some(Arc::clone(&session.id));
        match (session.source, self.accounts.get(&session.user)) {
            (None, Some(account)) if account.enabled => Ok((account.principal(&self.roles, id), None)),
            // A local account that has the name now is somebody else's.
            (Some(source), None) => {
                let identity = self.outside.get(&session.user, source).filter(|i| self.believed(i));
                let identity = identity.ok_or(AuthError::BadToken)?;
                identity.touch();
                Ok((identity.principal(&self.roles, id), Some(identity)))
            }
            _ => Err(AuthError::BadToken),
        }
    }

    /// Whose token it is. Nobody is made to wait for a wrong one: there is nothing to guess.
    pub async fn bearer(&self, token: &str, peer: Option<IpAddr>) -> Result<Principal, AuthError> {
        let (principal, values) = self.oauth.bearer(token).await.map_err(|refusal| {
            if let Refusal::NoRole { name, .. } = &refusal {
                self.outside.forget(name, Source::Token);
            }
            if self.refused.failed(peer, self.config.load().failures_per_minute) {
                tracing::debug!(target: "audit", address = ?peer, "token refused again: {refusal}");
            } else {
                tracing::warn!(target: "audit", address = ?peer, "token refused: {refusal}");
            }
            AuthError::Bearer(refusal)
        })?;
        // For subscriptions and streams, which go on when the request is over.
        self.outside.remember(&principal, Source::Token, Some(&values));
        Ok(principal)
    }

    pub async fn logout(&self, id: &str) -> Result<bool, AuthError> {
        let Some(session) = self.sessions.remove(id) else { return Ok(false) };
        self.store.delete(Kind::Session, &session.id, Expect::Any, Safety::PowerLoss).await?;
        Ok(true)
    }

    /// Ends the sessions for which `which` holds, for good.
    pub async fn end_sessions(&self, which: impl Fn(&Session) -> bool) {
        let ended = self.sessions.remove_if(|session, _| which(session));
        self.forget(&ended, Safety::PowerLoss).await;
    }

    /// Removes the documents of sessions that are no longer in force; together, so that they share a commit.
    async fn forget(&self, sessions: &[Arc<Session>], safety: Safety) {
        let deletions = sessions.iter().map(|s| self.store.delete(Kind::Session, &s.id, Expect::Any, safety));
        for result in join_all(deletions).await {
            if let Err(e) = result {
                tracing::warn!(error = %e, "a session that has ended may come back with a restart");
            }
        }
    }

    /// Writes when sessions were last used, where the store's idea of it is older than `by`.
    pub async fn save_sessions(&self, by: Duration) {
        for session in self.sessions.unsaved(by) {
            let revision = session.revision.load(Ordering::Relaxed);
            if revision == 0 {
                continue;
            }
            let used = Sessions::used(&session);
            let document = self.sessions.document(&session);
            // Compare-and-set: a session that was ended meanwhile must not come back.
            let expect = Expect::Revision(revision);
            let written =
                store::write(&*self.store, Kind::Session, &session.id, expect, &document, Safety::Behind).await;
            match written {
                Ok(revision) => {
                    session.revision.store(revision, Ordering::Relaxed);
                    session.saved.store(used, Ordering::Relaxed);
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(e) => tracing::warn!(error = %e, "the last use of a session is not kept"),
            }
        }
    }
}

/// Who has proven who they are.
pub(super) enum Proven {
    /// A local account.
    Account(Arc<Account>),
    /// Somebody from outside.
    Outside(Arc<Identity>),
}

impl Proven {
    fn name(&self) -> &Arc<str> {
        match self {
            Self::Account(account) => &account.name,
            Self::Outside(identity) => &identity.name,
        }
    }

    fn source(&self) -> Option<Source> {
        match self {
            Self::Account(_) => None,
            Self::Outside(identity) => Some(identity.source),
        }
    }

    pub fn principal(&self, roles: &Roles, session: Option<Arc<str>>) -> Principal {
        match self {
            Self::Account(account) => account.principal(roles, session),
            Self::Outside(identity) => identity.principal(roles, session),
        }
    }
}

/// The directory of a configuration, if there is one.
fn directory(config: &AuthConfig) -> Option<Arc<Directory>> {
    match Directory::new(Arc::clone(config.ldap.as_ref()?)) {
        Ok(directory) => Some(Arc::new(directory)),
        Err(error) => {
            tracing::error!(%error, "no TLS for auth.ldap: only local accounts can log in");
            None
        }
    }
}

/// Accounts and sessions as the store has them.
pub(super) async fn read(store: &dyn Store) -> Result<(Accounts, Roles, Stored, Sessions, Outside), StoreError> {
    let accounts = Accounts::open(store).await?;
    let roles = Roles::open(store).await?;
    let stored = Stored::open(store).await?;
    let outside = Outside::open(store).await?;
    let sessions = Sessions::new();
    for (id, doc) in store.list(Kind::Session).await? {
        let session = serde_json::from_value::<SessionDoc>(doc.body).ok();
        let session = session.and_then(|body| sessions.restore(&id, doc.revision, &body));
        let owned = |session: &Session| match session.source {
            None => accounts.get(&session.user).is_some(),
            Some(source) => outside.get(&session.user, source).is_some(),
        };
        match session.filter(owned) {
            Some(session) => {
                sessions.add(Arc::new(session), usize::MAX);
            }
            // Its account is gone, or another version wrote it: its client logs in again.
            None => store.delete(Kind::Session, &id, Expect::Any, Safety::Behind).await?,
        }
    }
    Ok((accounts, roles, stored, sessions, outside))
}

/// Ends idle sessions and writes last uses, as long as somebody holds [`super::Auth`].
pub(super) async fn sweep(inner: Weak<Inner>) {
    loop {
        let pause = inner.upgrade().map(|inner| (inner.session_timeout() / 4).clamp(Duration::from_secs(1), SWEEP));
        let Some(pause) = pause else { return };
        tokio::time::sleep(pause).await;
        let Some(inner) = inner.upgrade() else { return };
        let timeout = inner.session_timeout();
        let expired = inner.sessions.remove_if(|_, idle| idle > timeout);
        inner.forget(&expired, Safety::Behind).await;
        inner.save_sessions(SAVE_AFTER).await;
        inner.outside.save(&*inner.store, false).await;
    }
}
