//! What accounts there are, and the rules that changing them has to keep.
//!
//! All accounts are in memory, swapped as a whole by a change: a request reads them without a lock. Documents hold
//! argon2 PHC strings only, never a password.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{AccountError, AccountInfo, AccountPatch, Inner, Principal, roles::Roles, weak};
use crate::{
    model::{Privileges, Role, Scope, Secret},
    store::{self, Expect, Kind, Safety, StoreError},
};

/// Longest account name, in characters.
const MAX_NAME: usize = 64;
/// Longest password, in bytes: it travels in a header with every request.
pub(super) const MAX_PASSWORD: usize = 1_024;

/// The document of an account.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AccountDoc {
    pub role: Role,
    #[serde(default)]
    pub scope: Scope,
    pub enabled: bool,
    #[serde(default)]
    pub must_change_password: bool,
    /// The password was made up by us and lies in a file.
    #[serde(default)]
    pub generated: bool,
    /// PHC string.
    pub hash: Arc<str>,
    /// Those before it, newest first, as far as they may not come back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Arc<str>>,
    /// Seconds since 1970 after which the password has to be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_expires: Option<i64>,
}

/// An account in memory.
pub(super) struct Account {
    pub name: Arc<str>,
    pub role: Role,
    pub scope: Arc<Scope>,
    pub enabled: bool,
    pub must_change_password: bool,
    pub generated: bool,
    pub hash: Arc<str>,
    pub history: Vec<Arc<str>>,
    pub password_expires: Option<i64>,
    pub revision: u64,
}

impl Account {
    fn new(name: Arc<str>, revision: u64, doc: AccountDoc) -> Self {
        Self {
            name,
            role: doc.role,
            scope: Arc::new(doc.scope),
            enabled: doc.enabled,
            must_change_password: doc.must_change_password,
            generated: doc.generated,
            hash: doc.hash,
            history: doc.history,
            password_expires: doc.password_expires,
            revision,
        }
    }

    pub fn principal(&self, roles: &Roles, session: Option<Arc<str>>) -> Principal {
        Principal {
            name: Arc::clone(&self.name),
            role: self.role.clone(),
            privileges: roles.privileges(&self.role),
            scope: Arc::clone(&self.scope),
            must_change_password: self.has_to_change(),
            session,
        }
    }

    pub fn info(&self, roles: &Roles) -> AccountInfo {
        AccountInfo {
            name: Arc::clone(&self.name),
            role: self.role.clone(),
            privileges: roles.privileges(&self.role),
            scope: Arc::clone(&self.scope),
            enabled: self.enabled,
            must_change_password: self.has_to_change(),
            password_expires: self.password_expires.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok()),
            locked: false,
            revision: self.revision,
        }
    }

    /// Whether its password has to be changed before anything else: somebody says so, or its time is over.
    fn has_to_change(&self) -> bool {
        self.must_change_password || self.password_expires.is_some_and(|at| at <= now())
    }

    /// Whether it could repair all others, if its role were good for that.
    pub fn way_in(&self, privileges: Privileges) -> bool {
        rules_all(self.enabled, privileges, &self.scope)
    }

    fn document(&self) -> AccountDoc {
        AccountDoc {
            role: self.role.clone(),
            scope: Scope::clone(&self.scope),
            enabled: self.enabled,
            must_change_password: self.must_change_password,
            generated: self.generated,
            hash: Arc::clone(&self.hash),
            history: self.history.clone(),
            password_expires: self.password_expires,
        }
    }
}

type Map = BTreeMap<Arc<str>, Arc<Account>>;

/// All accounts.
pub(super) struct Accounts {
    map: ArcSwap<Map>,
    /// One change at a time, of roles too: the rule about the last administrator looks at all of them.
    pub changing: tokio::sync::Mutex<()>,
}

impl Accounts {
    /// Reads them from the store.
    pub async fn open(store: &dyn store::Store) -> Result<Self, StoreError> {
        let all = store::read_all::<AccountDoc>(store, Kind::Account).await?;
        let map = all.into_iter().map(|(name, revision, doc)| {
            let name: Arc<str> = Arc::from(name);
            (Arc::clone(&name), Arc::new(Account::new(name, revision, doc)))
        });
        Ok(Self { map: ArcSwap::from_pointee(map.collect()), changing: tokio::sync::Mutex::new(()) })
    }

    pub fn get(&self, name: &str) -> Option<Arc<Account>> {
        self.map.load().get(name).cloned()
    }

    /// Whether there is one that differs in case at most.
    pub fn has_ignoring_case(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.map.load().keys().any(|known| known.to_lowercase() == name)
    }

    pub fn list(&self) -> Vec<Arc<Account>> {
        self.map.load().values().cloned().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.map.load().is_empty()
    }

    /// The account whose password we made.
    pub fn generated(&self) -> Option<Arc<str>> {
        self.map.load().values().find(|account| account.generated).map(|account| Arc::clone(&account.name))
    }

    fn update(&self, change: impl Fn(&mut Map)) {
        self.map.rcu(|map| {
            let mut map = Map::clone(map);
            change(&mut map);
            map
        });
    }

    fn keep(&self, account: &Arc<Account>) {
        self.update(|map| {
            map.insert(Arc::clone(&account.name), Arc::clone(account));
        });
    }

    /// Who has that role.
    pub fn having(&self, role: &Role) -> Vec<String> {
        self.map
            .load()
            .values()
            .filter(|account| account.role == *role)
            .map(|account| account.name.to_string())
            .collect()
    }

    /// An error, with the name of an account, if `after` leaves no way in where `before` had one.
    pub fn keep_a_way_in(
        &self,
        before: impl Fn(&Account) -> bool,
        after: impl Fn(&Account) -> bool,
    ) -> Result<(), String> {
        let map = self.map.load();
        match map.values().find(|account| before(account)) {
            Some(one) if !map.values().any(|account| after(account)) => Err(one.name.to_string()),
            _ => Ok(()),
        }
    }
}

/// Whether an account with these rights could repair all others: it may make accounts, and is limited to no nodes.
fn rules_all(enabled: bool, privileges: Privileges, scope: &Scope) -> bool {
    enabled && privileges.may_make_users() && *scope == Scope::All
}

impl Inner {
    pub(super) async fn create(
        &self,
        name: &str,
        password: &Secret,
        role: Role,
        scope: Scope,
        more: &AccountPatch,
        generated: bool,
    ) -> Result<AccountInfo, AccountError> {
        acceptable_name(name)?;
        self.acceptable_password(name, password)?;
        if self.accounts.get(name).is_some() {
            return Err(AccountError::Exists(name.to_owned()));
        }
        let hash = self.hasher.hash(password).await?;
        let _one = self.accounts.changing.lock().await;
        let role = self.existing(role)?;
        let doc = AccountDoc {
            role,
            scope,
            enabled: more.enabled.unwrap_or(true),
            must_change_password: more.must_change_password.unwrap_or(false),
            generated,
            hash,
            history: Vec::new(),
            password_expires: more
                .password_expires
                .map_or_else(|| self.expiry(), |at| at.map(OffsetDateTime::unix_timestamp)),
        };
        let written = store::write(&*self.store, Kind::Account, name, Expect::Absent, &doc, Safety::PowerLoss).await;
        let revision = match written {
            Err(StoreError::Conflict { .. }) => return Err(AccountError::Exists(name.to_owned())),
            other => other?,
        };
        let account = Arc::new(Account::new(Arc::from(name), revision, doc));
        self.accounts.keep(&account);
        self.lockouts.remember(&account.name, &account.hash, self.verified.key(name, password.expose()));
        tracing::info!(target: "audit", account = name, role = %account.role, "account made");
        Ok(self.describe(&account))
    }

    pub(super) async fn change(
        &self,
        name: &str,
        patch: AccountPatch,
        expect: Option<u64>,
        by_self: bool,
    ) -> Result<AccountInfo, AccountError> {
        let missing = || AccountError::NotFound(name.to_owned());
        let before = self.accounts.get(name).ok_or_else(missing)?;
        let hash = match &patch.password {
            None => None,
            Some(password) => {
                self.acceptable_password(name, password)?;
                self.is_new(&before, password, by_self).await?;
                Some(self.hasher.hash(password).await?)
            }
        };
        let _one = self.accounts.changing.lock().await;
        // Hashing took a while: look again.
        let before = self.accounts.get(name).ok_or_else(missing)?;
        if expect.is_some_and(|revision| revision != before.revision) {
            return Err(AccountError::Changed);
        }
        let mut doc = before.document();
        doc.role = patch.role.map_or(Ok(doc.role), |role| self.existing(role))?;
        doc.scope = patch.scope.unwrap_or(doc.scope);
        doc.enabled = patch.enabled.unwrap_or(doc.enabled);
        let new_password = hash.is_some();
        if let Some(hash) = hash {
            let kept = usize::try_from(self.policy().password_history).unwrap_or(0);
            doc.history.insert(0, std::mem::replace(&mut doc.hash, hash));
            doc.history.truncate(kept.saturating_sub(1));
            doc.generated = false;
            doc.must_change_password &= !by_self;
            doc.password_expires = self.expiry();
        }
        doc.must_change_password = patch.must_change_password.unwrap_or(doc.must_change_password);
        doc.password_expires =
            patch.password_expires.map_or(doc.password_expires, |at| at.map(OffsetDateTime::unix_timestamp));
        let still = rules_all(doc.enabled, self.roles.privileges(&doc.role), &doc.scope);
        self.leave_a_way_in(name, still)?;
        let expected = Expect::Revision(before.revision);
        let written = store::write(&*self.store, Kind::Account, name, expected, &doc, Safety::PowerLoss).await;
        let revision = changed(written)?;
        let account = Arc::new(Account::new(Arc::clone(&before.name), revision, doc));
        self.accounts.keep(&account);
        self.verified.forget(before.revision);
        if let Some(password) = &patch.password {
            self.lockouts.remember(&account.name, &account.hash, self.verified.key(name, password.expose()));
        }
        if patch.unlock && self.lockouts.unlock(name) {
            tracing::info!(target: "audit", account = name, "unlocked");
        }
        tracing::info!(target: "audit", account = name, role = %account.role, new_password, "account changed");
        if new_password || !account.enabled {
            let keep = patch.keep_session.filter(|_| account.enabled);
            self.end_sessions(|s| s.user == account.name && keep.as_ref().is_none_or(|kept| *kept != s.id)).await;
        }
        Ok(self.describe(&account))
    }

    /// What there is to say of an account.
    pub(super) fn describe(&self, account: &Account) -> AccountInfo {
        let locked = self.lockouts.locked(&self.policy().lockout).contains(&account.name);
        AccountInfo { locked, ..account.info(&self.roles) }
    }

    /// All of them.
    pub(super) fn describe_all(&self) -> Vec<AccountInfo> {
        let locked = self.lockouts.locked(&self.policy().lockout);
        let all = self.accounts.list();
        all.iter().map(|a| AccountInfo { locked: locked.contains(&a.name), ..a.info(&self.roles) }).collect()
    }

    /// When a password that is set now ends, seconds since 1970.
    fn expiry(&self) -> Option<i64> {
        let days = self.policy().password_days?;
        Some(now().saturating_add(i64::from(days).saturating_mul(86_400)))
    }

    /// An error if the password is one that the account has or had, as far as that matters.
    async fn is_new(&self, account: &Account, password: &Secret, by_self: bool) -> Result<(), AccountError> {
        let kept = usize::try_from(self.policy().password_history).unwrap_or(0);
        let has_to = by_self && account.has_to_change();
        if (has_to || kept > 0) && self.hasher.verify(Some(Arc::clone(&account.hash)), password.expose(), false).await {
            let reason = if has_to { "is the one that has to be changed" } else { "is the one that the account has" };
            return Err(unacceptable("Password", reason));
        }
        for old in account.history.iter().take(kept.saturating_sub(1)) {
            if self.hasher.verify(Some(Arc::clone(old)), password.expose(), false).await {
                let reason = format!("is one of the last {kept} of the account");
                return Err(unacceptable("Password", &reason));
            }
        }
        Ok(())
    }

    /// A role that there is.
    fn existing(&self, role: Role) -> Result<Role, AccountError> {
        if self.roles.find(&role).is_some() { Ok(role) } else { Err(AccountError::NoSuchRole(role.to_string())) }
    }

    /// An error if nobody could repair accounts any more once `name` can't. `still`: it can.
    fn leave_a_way_in(&self, name: &str, still: bool) -> Result<(), AccountError> {
        let rules = |account: &Account| account.way_in(self.roles.privileges(&account.role));
        let after = |account: &Account| if *account.name == *name { still } else { rules(account) };
        // Whoever did not rule before may change as they like.
        let before = |account: &Account| *account.name == *name && rules(account);
        self.accounts.keep_a_way_in(before, after).map_err(AccountError::LastAdministrator)
    }

    pub(super) async fn remove(&self, name: &str, expect: Option<u64>) -> Result<(), AccountError> {
        let _one = self.accounts.changing.lock().await;
        let account = self.accounts.get(name).ok_or_else(|| AccountError::NotFound(name.to_owned()))?;
        if expect.is_some_and(|revision| revision != account.revision) {
            return Err(AccountError::Changed);
        }
        self.leave_a_way_in(name, false)?;
        let expected = Expect::Revision(account.revision);
        changed(self.store.delete(Kind::Account, name, expected, Safety::PowerLoss).await)?;
        self.accounts.update(|map| {
            map.remove(name);
        });
        self.verified.forget(account.revision);
        self.lockouts.forget(name);
        tracing::info!(target: "audit", account = name, "account removed");
        self.end_sessions(|session| session.user == account.name).await;
        Ok(())
    }

    fn acceptable_password(&self, name: &str, password: &Secret) -> Result<(), AccountError> {
        let text = password.expose();
        let least = self.config.load().min_password;
        if text.chars().count() < least.max(1) {
            return Err(unacceptable("Password", &format!("has to have {least} characters or more")));
        }
        if text.len() > MAX_PASSWORD {
            return Err(unacceptable("Password", &format!("may have {MAX_PASSWORD} bytes at most")));
        }
        if text.chars().any(char::is_control) {
            return Err(unacceptable("Password", "may not contain control characters"));
        }
        // A name within a long password is no harm: it has to be long enough without.
        let (low, user) = (text.to_lowercase(), name.to_lowercase());
        if low.contains(&user) && low.replace(&user, "").chars().count() < least.max(1) {
            return Err(unacceptable("Password", "may not be made of the user name"));
        }
        if weak::is_common(text) {
            return Err(unacceptable("Password", "is one of those that everybody tries first"));
        }
        Ok(())
    }
}

/// A name goes into a Basic header (no colon, RFC 7617), into URIs and into log lines.
pub(super) fn acceptable_name(name: &str) -> Result<(), AccountError> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME {
        return Err(unacceptable("UserName", &format!("has to have 1 to {MAX_NAME} characters")));
    }
    let plain = |c: char| c.is_alphanumeric() || "._-@+".contains(c);
    if !name.chars().all(plain) || !name.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Err(unacceptable(
            "UserName",
            "may contain letters, digits and . _ - @ +, and begins with a letter or digit",
        ));
    }
    Ok(())
}

/// Seconds since 1970.
fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

fn unacceptable(property: &'static str, reason: &str) -> AccountError {
    AccountError::Unacceptable { property, reason: reason.to_owned() }
}

fn changed<T>(written: Result<T, StoreError>) -> Result<T, AccountError> {
    match written {
        Err(StoreError::Conflict { .. }) => Err(AccountError::Changed),
        other => Ok(other?),
    }
}
