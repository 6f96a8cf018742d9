//! Accounts, sessions and roles for all faces.
//!
//! The public face of this room (bodies live in the files below):
//! [`Auth::open`], [`Auth::basic`], [`Auth::login`], [`Auth::token`], [`Auth::certificate`], [`Auth::logout`],
//! sessions and accounts as lists, and account changes with compare-and-set.

use std::{net::IpAddr, sync::Arc};

use time::OffsetDateTime;

use crate::model::{Role, Scope};

/// Somebody who has proven who they are.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Account name.
    pub name: Arc<str>,
    /// Its role.
    pub role: Role,
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
    /// Too many wrong passwords from that address lately; right ones still get through.
    #[error("too many failed logins from {0}; wait a moment")]
    Throttled(IpAddr),
    /// The store failed.
    #[error("accounts can't be read")]
    Store(#[from] crate::store::StoreError),
}

/// A fresh session: the token is only ever known here and at the client.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// For `Location` and `Id`.
    pub id: Arc<str>,
    /// For `X-Auth-Token`: 32 hexadecimal characters or more.
    pub token: String,
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
}

/// An account as listed.
#[derive(Debug, Clone)]
pub struct AccountInfo {
    /// Its name, also its id in URIs.
    pub name: Arc<str>,
    /// Its role.
    pub role: Role,
    /// Its nodes.
    pub scope: Arc<Scope>,
    /// Whether it may log in.
    pub enabled: bool,
    /// Whether it has to change its password first.
    pub must_change_password: bool,
    /// Revision of the document: for ETags and compare-and-set.
    pub revision: u64,
}

/// What a client wants changed of an account; absent members stay.
#[derive(Debug, Clone, Default)]
pub struct AccountPatch {
    /// New password (hashed before it is kept; clears `must_change_password` when the account itself sets it).
    pub password: Option<crate::model::Secret>,
    /// New role.
    pub role: Option<Role>,
    /// New scope.
    pub scope: Option<Scope>,
    /// Enable or disable.
    pub enabled: Option<bool>,
    /// Demand a new password.
    pub must_change_password: Option<bool>,
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
    /// The last enabled administrator without limits can't be removed, disabled, limited or demoted.
    #[error("{0} is the last administrator")]
    LastAdministrator(String),
    /// The store failed.
    #[error("accounts can't be written")]
    Store(#[from] crate::store::StoreError),
}

/// Accounts and sessions. Cheap to clone.
#[derive(Clone)]
pub struct Auth {}

#[allow(missing_docs, unused_variables, clippy::todo, clippy::unused_async)]
impl Auth {
    /// Reads accounts and sessions from the store.
    pub async fn open(
        store: Arc<dyn crate::store::Store>,
        config: crate::config::AuthConfig,
    ) -> Result<Self, AuthError> {
        todo!()
    }
    /// New settings, without dropping sessions.
    pub fn reconfigure(&self, config: crate::config::AuthConfig) {
        todo!()
    }
    /// HTTP Basic: verified against the cache of verified credentials first, argon2 off the async threads second.
    pub async fn basic(&self, user: &str, password: &str, peer: Option<IpAddr>) -> Result<Principal, AuthError> {
        todo!()
    }
    /// Makes a session.
    pub async fn login(&self, user: &str, password: &str, peer: Option<IpAddr>) -> Result<NewSession, AuthError> {
        todo!()
    }
    /// Whose token it is; touches the session.
    pub fn token(&self, token: &str) -> Result<Principal, AuthError> {
        todo!()
    }
    /// The account of a verified client certificate's common name.
    pub fn certificate(&self, common_name: &str) -> Result<Principal, AuthError> {
        todo!()
    }
    /// Ends a session; false: there was none of that id.
    pub async fn logout(&self, session: &str) -> Result<bool, AuthError> {
        todo!()
    }
    pub fn sessions(&self) -> Vec<SessionInfo> {
        todo!()
    }
    pub fn session(&self, id: &str) -> Option<SessionInfo> {
        todo!()
    }
    pub fn accounts(&self) -> Vec<AccountInfo> {
        todo!()
    }
    pub fn account(&self, name: &str) -> Option<AccountInfo> {
        todo!()
    }
    pub async fn create(
        &self,
        name: &str,
        password: &crate::model::Secret,
        role: Role,
        scope: Scope,
        must_change_password: bool,
    ) -> Result<AccountInfo, AccountError> {
        todo!()
    }
    /// `expect`: the revision that `If-Match` named. `by_self`: the account changes its own.
    pub async fn change(
        &self,
        name: &str,
        patch: AccountPatch,
        expect: Option<u64>,
        by_self: bool,
    ) -> Result<AccountInfo, AccountError> {
        todo!()
    }
    pub async fn remove(&self, name: &str, expect: Option<u64>) -> Result<(), AccountError> {
        todo!()
    }
}
