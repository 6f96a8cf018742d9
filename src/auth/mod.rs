//! Accounts, sessions and roles for all faces.
//!
//! The public face of this room; the bodies live below: `accounts` (what there is, and changes with compare-and-set),
//! `policy` (rules that may change while it runs), `weak` (passwords that everybody tries first), `login` (is this
//! password right?), `password` (argon2id off the async threads), `cache` (passwords that were checked
//! a moment ago), `throttle` (guessers are slowed down, never those who know), `lockout` (guessers are
//! shut out, if that is wanted), `session` (tokens), `first` (the first
//! account), `roles` (which privileges a role assigns), `outside` (what is known of people whose account lies elsewhere), `elsewhere` (their logins and sessions),
//! `ldap` (the directory), [`oauth`] (tokens that others have signed).
//!
//! An account may log in any number of times and is never locked as a whole: a client that polls with a session cache of its own
//! must not be shut out by others, nor by its own forgotten sessions.

mod accounts;
mod cache;
mod elsewhere;
mod first;
mod ldap;
mod lockout;
mod login;
pub mod oauth;
mod outside;
mod password;
mod policy;
mod roles;
mod session;
#[cfg(test)]
mod tests;
mod throttle;
mod weak;

use std::{net::IpAddr, path::Path, path::PathBuf, sync::Arc, time::Duration};

use time::OffsetDateTime;

use crate::{
    config::AuthConfig,
    model::{NodeId, Privileges, Role, Scope, Secret},
    store::Store,
};
use login::Inner;
pub use outside::Source;
pub use policy::{Policy, PolicyError, PolicyPatch};

/// Somebody who has proven who they are.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Account name.
    pub name: Arc<str>,
    /// Its role.
    pub role: Role,
    /// What the role is good for at this moment.
    pub privileges: Privileges,
    /// The nodes it may see and touch.
    pub scope: Arc<Scope>,
    /// The account has to change its password before it may do anything else.
    pub must_change_password: bool,
    /// Session id, when it came with a token.
    pub session: Option<Arc<str>>,
}

/// Why a login or a request was refused. All but `Store` and `Throttled` look the same to the client: 401.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Wrong name or password, or a disabled account: never said which.
    #[error("wrong user name or password")]
    BadCredentials,
    /// No such session, or it has expired.
    #[error("the session does not exist or has expired")]
    BadToken,
    /// A token that is not accepted, or that gives no role here.
    #[error("{0}")]
    Bearer(#[from] oauth::refusal::Refusal),
    /// Too many wrong passwords from that address lately; right ones still get through.
    #[error("too many failed logins from {0}; wait a moment")]
    Throttled(IpAddr),
    /// No local account has the name, and the directory that might know it does not answer; when to try again.
    #[error("only local accounts can log in at the moment: the directory can't be asked")]
    DirectoryDown(Duration),
    /// The store failed.
    #[error("accounts can't be read")]
    Store(#[from] crate::store::StoreError),
}

/// A fresh session: the token is only ever known here and at the client.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// For `Location` and `Id`.
    pub id: Arc<str>,
    /// For `X-Auth-Token`: 64 hexadecimal characters.
    pub token: Secret,
    /// Whose it is.
    pub principal: Principal,
}

/// A session as listed.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// For the URI.
    pub id: Arc<str>,
    /// Account name.
    pub user: Arc<str>,
    /// When it was made.
    pub created: OffsetDateTime,
    /// From where.
    pub peer: Option<IpAddr>,
    /// The node whose door it was made at.
    pub door: Option<NodeId>,
}

/// An account as listed.
#[derive(Debug, Clone)]
pub struct AccountInfo {
    /// Its name, also its id in URIs.
    pub name: Arc<str>,
    /// Its role.
    pub role: Role,
    /// What the role is good for at this moment.
    pub privileges: Privileges,
    /// Its nodes.
    pub scope: Arc<Scope>,
    /// Whether it may log in.
    pub enabled: bool,
    /// Whether it has to change its password first.
    pub must_change_password: bool,
    /// When its password has to be changed.
    pub password_expires: Option<OffsetDateTime>,
    /// Passwords for it are not looked at from some address: too many wrong ones came from there.
    pub locked: bool,
    /// Revision of the document: for ETags and compare-and-set.
    pub revision: u64,
}

/// What a client wants changed of an account; absent members stay.
#[derive(Debug, Clone, Default)]
pub struct AccountPatch {
    /// New password (hashed before it is kept; clears `must_change_password` when the account itself sets it).
    pub password: Option<Secret>,
    /// New role.
    pub role: Option<Role>,
    /// New scope.
    pub scope: Option<Scope>,
    /// Enable or disable.
    pub enabled: Option<bool>,
    /// Demand a new password.
    pub must_change_password: Option<bool>,
    /// When its password ends; the inner `None`: never. Absent: by the policy with a new password, else as it is.
    pub password_expires: Option<Option<OffsetDateTime>>,
    /// Let passwords in again from everywhere.
    pub unlock: bool,
    /// A new password ends the account's sessions, but not this one (the session that asked for it).
    pub keep_session: Option<Arc<str>>,
}

/// Why an account could not be made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name is taken.
    #[error("there is already an account {0}")]
    Exists(String),
    /// No such account.
    #[error("there is no account {0}")]
    NotFound(String),
    /// Name or password that is not acceptable, with the reason.
    #[error("{property}: {reason}")]
    Unacceptable {
        /// `UserName` or `Password`.
        property: &'static str,
        /// What would be.
        reason: String,
    },
    /// Somebody else changed it in between (`If-Match`).
    #[error("the account has changed since it was read")]
    Changed,
    /// The last enabled account without limits that may make accounts can't be removed, disabled, limited or demoted.
    #[error("{0} is the last administrator")]
    LastAdministrator(String),
    /// There is no role of that name.
    #[error("there is no role {0}")]
    NoSuchRole(String),
    /// The store failed.
    #[error("accounts can't be written")]
    Store(#[from] crate::store::StoreError),
}

/// A role as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleInfo {
    /// Its name.
    pub role: Role,
    /// What it is good for.
    pub privileges: Privileges,
    /// Revision of its document, for ETags and compare-and-set; 0: it is predefined.
    pub revision: u64,
}

/// Why a role could not be made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// The name is taken, perhaps in another case.
    #[error("there is already a role {0}")]
    Exists(String),
    /// No such role.
    #[error("there is no role {0}")]
    NotFound(String),
    /// It is one that everybody has.
    #[error("the role {0} is predefined: it stays as it is")]
    Predefined(String),
    /// A name or a set of privileges that won't do, with the reason.
    #[error("{property}: {reason}")]
    Unacceptable {
        /// `RoleId` or `AssignedPrivileges`.
        property: &'static str,
        /// What would do.
        reason: String,
    },
    /// As many as are kept.
    #[error("there are {0} roles already, and no more are kept")]
    TooMany(usize),
    /// Accounts have it.
    #[error("accounts have the role {role}: {}", .accounts.join(", "))]
    InUse {
        /// The role.
        role: String,
        /// Who has it: some names, and then how many more.
        accounts: Vec<String>,
    },
    /// Somebody else changed it in between (`If-Match`).
    #[error("the role has changed since it was read")]
    Changed,
    /// That account could not make accounts any more, and nobody else can.
    #[error("{0} is the last administrator, by this role")]
    LastAdministrator(String),
    /// The store failed.
    #[error("roles can't be written")]
    Store(#[from] crate::store::StoreError),
}

/// What the directory of a configuration says of a user, for `rackfish account test`.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The server that answered.
    pub server: String,
    /// What it says; or why the user is refused.
    pub found: Result<Found, String>,
}

/// A user in the directory.
#[derive(Debug, Clone)]
pub struct Found {
    /// Their entry.
    pub dn: String,
    /// What they are called here.
    pub name: String,
    /// Their groups, groups in groups included.
    pub groups: Vec<String>,
    /// What they would get; or why nothing.
    pub rights: Result<(Role, Scope), String>,
}

/// Asks the directory as a login does; without a password whether there is such a user is all that is known. `Err`: it
/// can't be asked, with the reason.
pub async fn try_directory(
    config: &Arc<crate::config::Ldap>,
    user: &str,
    password: Option<&Secret>,
) -> Result<Trial, String> {
    let directory = ldap::Directory::new(Arc::clone(config)).map_err(|error| error.to_string())?;
    let answer = match password {
        Some(password) => directory.prove(user, password.expose(), false).await,
        None => directory.look(user).await,
    };
    let found = answer.map_err(|down| down.why)?.map_err(|refusal| refusal.to_string());
    let found = found.map(|person| Found {
        rights: match (person.disabled, ldap::rights(&person.groups, &config.roles, &roles::believing)) {
            (Some(reason), _) => Err(reason.to_owned()),
            (None, Some(_)) if accounts::acceptable_name(&person.name).is_err() => {
                Err("the name can't be an account's".to_owned())
            }
            (None, Some(rights)) => Ok(rights),
            (None, None) => Err(elsewhere::NO_ROLE.to_owned()),
        },
        groups: person.groups.iter().map(ToString::to_string).collect(),
        dn: person.dn,
        name: person.name,
    });
    Ok(Trial { server: directory.server().to_owned(), found })
}

/// What [`Auth::open`] reads, without the time that it takes to hash: for `crate::fuzzing`.
pub(crate) async fn read_documents(store: &Arc<dyn Store>) -> Result<(), crate::store::StoreError> {
    login::read(&**store).await.map(drop)
}

/// Accounts and sessions. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    inner: Arc<Inner>,
}

impl Auth {
    /// Reads accounts and sessions from the store. Starts the task that ends idle sessions; it lives as long as the
    /// last clone.
    pub async fn open(store: Arc<dyn Store>, config: AuthConfig) -> Result<Self, AuthError> {
        Self::open_with(store, config, password::Hasher::new()).await
    }

    async fn open_with(store: Arc<dyn Store>, config: AuthConfig, hasher: password::Hasher) -> Result<Self, AuthError> {
        let inner = Arc::new(Inner::open(store, config, hasher).await?);
        tokio::spawn(login::sweep(Arc::downgrade(&inner)));
        tokio::spawn(elsewhere::confirm_all(Arc::downgrade(&inner)));
        Ok(Self { inner })
    }

    /// New settings, without dropping sessions.
    #[allow(clippy::needless_pass_by_value)] // part of the room's contract
    pub fn reconfigure(&self, config: AuthConfig) {
        self.inner.reconfigure(config);
    }

    /// HTTP Basic: verified against the cache of verified credentials first, argon2 off the async threads second.
    pub async fn basic(&self, user: &str, password: &str, peer: Option<IpAddr>) -> Result<Principal, AuthError> {
        self.inner.check(user, password, peer).await.map(|proven| proven.principal(&self.inner.roles, None))
    }

    /// Makes a session.
    pub async fn login(&self, user: &str, password: &str, peer: Option<IpAddr>) -> Result<NewSession, AuthError> {
        self.inner.login(user, password, peer, None).await
    }

    /// As [`Self::login`], at the door of a node: the session is good for that node alone ([`Self::door_of`]).
    pub async fn login_at(
        &self,
        door: NodeId,
        user: &str,
        password: &str,
        peer: Option<IpAddr>,
    ) -> Result<NewSession, AuthError> {
        self.inner.login(user, password, peer, Some(door)).await
    }

    /// The node whose door a session was made at. Whoever serves a request has to hold it to that node.
    pub fn door_of(&self, session: &str) -> Option<NodeId> {
        self.inner.sessions.door(session)
    }

    /// Whose token it is; touches the session. Asks nobody: somebody from outside has the rights last confirmed.
    pub fn token(&self, token: &str) -> Result<Principal, AuthError> {
        self.inner.token(token).map(|(principal, _)| principal)
    }

    /// As [`Self::token`], for a request: the rights of somebody from outside are confirmed first if it is time to.
    pub async fn token_now(&self, token: &str) -> Result<Principal, AuthError> {
        let (principal, identity) = self.inner.token(token)?;
        let Some(identity) = identity else { return Ok(principal) };
        if self.inner.is_due(&identity) {
            Box::pin(self.inner.confirm(&identity)).await;
        }
        self.token(token)
    }

    /// Whose token it is that somebody else has signed (`Authorization: Bearer`). May wait some seconds for keys that are
    /// fetched.
    pub async fn bearer(&self, token: &str, peer: Option<IpAddr>) -> Result<Principal, AuthError> {
        self.inner.bearer(token, peer).await
    }

    /// Whether a token that was accepted would be accepted now: for what goes on for longer than a request. Fetches
    /// nothing, and does not wait.
    pub fn bears(&self, token: &str) -> bool {
        self.inner.oauth.bears(token)
    }

    /// Whether such tokens are accepted at all.
    pub fn takes_bearers(&self) -> bool {
        self.inner.oauth.is_on()
    }

    /// Those whose tokens are accepted, and their keys.
    pub fn issuers(&self) -> Vec<oauth::IssuerInfo> {
        self.inner.oauth.list()
    }

    /// The account of a verified client certificate's common name.
    pub fn certificate(&self, common_name: &str) -> Result<Principal, AuthError> {
        match self.inner.accounts.get(common_name) {
            Some(account) if account.enabled => Ok(account.principal(&self.inner.roles, None)),
            _ => Err(AuthError::BadCredentials),
        }
    }

    /// Ends a session; false: there was none of that id.
    pub async fn logout(&self, session: &str) -> Result<bool, AuthError> {
        self.inner.logout(session).await
    }

    /// The sessions that live, oldest first.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.inner.sessions.list(self.inner.session_timeout())
    }

    /// A session that lives.
    pub fn session(&self, id: &str) -> Option<SessionInfo> {
        self.inner.sessions.info(id, self.inner.session_timeout())
    }

    /// All accounts by name.
    pub fn accounts(&self) -> Vec<AccountInfo> {
        self.inner.describe_all()
    }

    /// One account.
    pub fn account(&self, name: &str) -> Option<AccountInfo> {
        self.inner.accounts.get(name).map(|account| self.inner.describe(&account))
    }

    /// What is known of that name: its account, or what was last confirmed of somebody from outside, whose rights may
    /// be void by now (`enabled`). For who acts while its owner is not there to prove anything: subscriptions, streams.
    pub fn known(&self, name: &str) -> Option<AccountInfo> {
        let believed = |identity: &_| self.inner.believed(identity);
        self.account(name).or_else(|| self.inner.outside.known(name, &self.inner.roles, believed))
    }

    /// Somebody from outside has just proven who they are: [`Self::known`] knows them from now on. Costs a look into a
    /// table; it may be called with every request. Nothing is kept of a name that a local account has.
    pub fn remember(&self, who: &Principal, source: Source) {
        if self.inner.accounts.get(&who.name).is_none() {
            self.inner.outside.remember(who, source, None);
        }
    }

    /// Makes an account.
    pub async fn create(
        &self,
        name: &str,
        password: &Secret,
        role: Role,
        scope: Scope,
        must_change_password: bool,
    ) -> Result<AccountInfo, AccountError> {
        let more = AccountPatch { must_change_password: Some(must_change_password), ..AccountPatch::default() };
        self.create_with(name, password, role, scope, &more).await
    }

    /// As [`Self::create`], with what else is known: `enabled`, `must_change_password` and `password_expires` of `more`.
    pub async fn create_with(
        &self,
        name: &str,
        password: &Secret,
        role: Role,
        scope: Scope,
        more: &AccountPatch,
    ) -> Result<AccountInfo, AccountError> {
        self.inner.create(name, password, role, scope, more, false).await
    }

    /// `expect`: the revision that `If-Match` named. `by_self`: the account changes its own.
    pub async fn change(
        &self,
        name: &str,
        patch: AccountPatch,
        expect: Option<u64>,
        by_self: bool,
    ) -> Result<AccountInfo, AccountError> {
        self.inner.change(name, patch, expect, by_self).await
    }

    /// Removes an account and ends its sessions.
    pub async fn remove(&self, name: &str, expect: Option<u64>) -> Result<(), AccountError> {
        self.inner.remove(name, expect).await
    }

    /// The rules of the AccountService that are in force.
    pub fn policy(&self) -> Policy {
        self.inner.policy()
    }

    /// Other rules, as far as the configuration does not say them. `expect`: the revision that `If-Match` named.
    pub async fn change_policy(&self, patch: PolicyPatch, expect: Option<u64>) -> Result<Policy, PolicyError> {
        self.inner.change_policy(patch, expect).await
    }

    /// Has `told` called with account and address when somebody is locked out.
    pub fn on_lockout(&self, told: impl Fn(&str, IpAddr) + Send + Sync + 'static) {
        self.inner.lockouts.tell(Box::new(told));
    }

    /// All roles, the predefined ones first.
    pub fn roles(&self) -> Vec<RoleInfo> {
        self.inner.roles.list()
    }

    /// One role.
    pub fn role(&self, name: &str) -> Option<RoleInfo> {
        self.roles().into_iter().find(|info| info.role.as_str() == name)
    }

    /// Makes a role.
    pub async fn create_role(&self, name: &str, privileges: Privileges) -> Result<RoleInfo, RoleError> {
        self.inner.create_role(name, privileges).await
    }

    /// Gives a role other privileges; they hold at once for everybody who has it. `expect`: the revision that `If-Match`
    /// named.
    pub async fn change_role(
        &self,
        name: &str,
        privileges: Privileges,
        expect: Option<u64>,
    ) -> Result<RoleInfo, RoleError> {
        self.inner.change_role(name, privileges, expect).await
    }

    /// Removes a role that no account has.
    pub async fn remove_role(&self, name: &str, expect: Option<u64>) -> Result<(), RoleError> {
        self.inner.remove_role(name, expect).await
    }

    /// Whether nobody could log in: there is no account at all.
    pub fn must_make_first_account(&self) -> bool {
        self.inner.accounts.is_empty()
    }

    /// Makes the administrator `admin` with a password of its own making, written to `state_dir/first-password` (0600).
    /// The account works as it is; [`Self::first_password_in_use`] tells how long to ask for a change.
    pub async fn first_account(&self, state_dir: &Path) -> Result<PathBuf, AccountError> {
        first::make(&self.inner, state_dir).await
    }

    /// The account that still has the password which [`Self::first_account`] made.
    pub fn first_password_in_use(&self) -> Option<Arc<str>> {
        self.inner.accounts.generated()
    }

    /// Removes `state_dir/first-password` when it holds no valid password any more; true if it did.
    pub fn tidy_first_password(&self, state_dir: &Path) -> bool {
        first::tidy(&self.inner, state_dir)
    }

    /// Writes when sessions were last used; for an orderly end.
    pub async fn save(&self) {
        self.inner.save_sessions(std::time::Duration::ZERO).await;
        self.inner.outside.save(&*self.inner.store, true).await;
    }
}
