//! Identities that come from elsewhere: people and programs whose account lies in a directory or with an issuer of
//! tokens.
//!
//! Kept of them is what the rest of the house needs when they are not there to prove themselves: name, role, scope,
//! where they come from, when that was last confirmed, when they were last seen. Event subscriptions and streams ask for
//! it ([`super::Auth::known`]). Never a credential. They are no accounts: nobody lists, changes or removes them, and a
//! local account of the same name always wins.
//!
//! Remembering is cheap (it may happen with every request); what is new is written behind now and then.

mod doc;
mod proven;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{AccountInfo, Principal, roles::Roles};
use crate::{
    model::{Role, Scope},
    store::{Expect, Kind, Safety, Store, StoreError},
};
use doc::OutsideDoc;
pub(super) use proven::Proven;

/// Identities remembered at once; who was not seen for longest makes room.
const MAX: usize = 10_000;
/// Who was not seen for that long is forgotten.
const FORGET: Duration = Duration::from_hours(24 * 90);
/// What is only a little older than the store's idea of it is not written again.
const SAVE_AFTER: i64 = 60;
/// Longest name: it goes into log lines and, as part of a key, into the store.
const MAX_NAME: usize = 256;
/// Generations begin here, so that none is ever the revision of an account.
const FIRST: u64 = 1 << 63;

/// Where an identity comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A directory that is asked with LDAP: it can be asked again.
    Ldap,
    /// A bearer token: proven with every request, and nobody to ask in between.
    Token,
}

impl Source {
    /// The word in logs and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ldap => "ldap",
            Self::Token => "token",
        }
    }
}

/// Somebody from elsewhere, with the rights that were last confirmed.
#[derive(Debug)]
pub(super) struct Identity {
    pub name: Arc<str>,
    pub source: Source,
    pub role: Role,
    pub scope: Arc<Scope>,
    /// What its source is asked for, to confirm it again.
    handle: Mutex<Option<Arc<str>>>,
    /// What its rights follow from is another thing now.
    doubted: AtomicBool,
    /// Somebody asks its source right now.
    checking: AtomicBool,
    /// Another one whenever name, role or scope are others; above [`FIRST`].
    pub generation: u64,
    /// Seconds since 1970.
    checked: AtomicU64,
    seen: AtomicU64,
    /// What the store has of `checked` and `seen`, whichever is newer; 0: nothing.
    saved: AtomicU64,
}

impl Identity {
    pub fn principal(&self, roles: &Roles, session: Option<Arc<str>>) -> Principal {
        Principal {
            name: Arc::clone(&self.name),
            role: self.role.clone(),
            privileges: roles.privileges(&self.role),
            scope: Arc::clone(&self.scope),
            must_change_password: false,
            session,
        }
    }

    fn info(&self, roles: &Roles, enabled: bool) -> AccountInfo {
        AccountInfo {
            name: Arc::clone(&self.name),
            role: self.role.clone(),
            privileges: roles.privileges(&self.role),
            scope: Arc::clone(&self.scope),
            enabled,
            must_change_password: false,
            password_expires: None,
            locked: false,
            revision: self.generation,
        }
    }

    /// How long ago its source confirmed it. A clock that was set back makes it fresh, never stale for ever.
    pub fn checked(&self) -> Duration {
        Duration::from_secs(now().saturating_sub(self.checked.load(Ordering::Relaxed)))
    }

    /// Whether it has to be confirmed whatever its age.
    pub fn doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed)
    }

    /// How long ago it was used.
    pub fn seen(&self) -> Duration {
        Duration::from_secs(now().saturating_sub(self.seen.load(Ordering::Relaxed)))
    }

    /// It was used.
    pub fn touch(&self) {
        self.seen.fetch_max(now(), Ordering::Relaxed);
    }

    /// What its source is asked for.
    pub fn handle(&self) -> Option<Arc<str>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `None`: somebody asks its source already.
    pub fn checking(&self) -> Option<Checking<'_>> {
        (!self.checking.swap(true, Ordering::AcqRel)).then_some(Checking(self))
    }

    fn key(&self) -> String {
        key(self.source, &self.name)
    }
}

/// Nobody else asks while it lives.
pub(super) struct Checking<'a>(&'a Identity);

impl Drop for Checking<'_> {
    fn drop(&mut self) {
        self.0.checking.store(false, Ordering::Release);
    }
}

fn key(source: Source, name: &str) -> String {
    format!("{}:{name}", source.as_str())
}

fn now() -> u64 {
    u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(0)
}

#[derive(Debug, Default)]
struct Table {
    by_name: HashMap<Arc<str>, Vec<Arc<Identity>>>,
    count: usize,
    generation: u64,
    /// Keys of documents that have to go.
    gone: Vec<String>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Outside {
    table: Mutex<Table>,
}

impl Outside {
    /// Reads them from the store. What makes no sense is dropped: its owner logs in again.
    pub async fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let outside = Self::default();
        for (id, doc) in store.list(Kind::Outside).await? {
            let doc = serde_json::from_value::<OutsideDoc>(doc.body).ok();
            match doc.filter(|doc| key(doc.source, &doc.name) == id && acceptable(&doc.name)) {
                Some(doc) => outside.restore(doc),
                None => store.delete(Kind::Outside, &id, Expect::Any, Safety::Behind).await?,
            }
        }
        Ok(outside)
    }

    fn restore(&self, doc: OutsideDoc) {
        let mut table = self.table();
        let generation = table.next();
        table.insert(Arc::new(Identity {
            name: doc.name,
            source: doc.source,
            role: doc.role,
            scope: Arc::new(doc.scope),
            handle: Mutex::new(doc.handle),
            doubted: AtomicBool::new(false),
            checking: AtomicBool::new(false),
            generation,
            saved: AtomicU64::new(doc.checked.max(doc.seen)),
            checked: AtomicU64::new(doc.checked),
            seen: AtomicU64::new(doc.seen),
        }));
    }

    /// Somebody has just proven who they are. `None`: a name that can't be kept.
    pub fn remember(&self, who: &Principal, source: Source, handle: Option<&str>) -> Option<Arc<Identity>> {
        let identity = self.confirm(who, source)?;
        if handle.is_some() {
            *identity.handle.lock().unwrap_or_else(PoisonError::into_inner) = handle.map(Arc::from);
        }
        identity.touch();
        Some(identity)
    }

    /// Its source has just confirmed what somebody is; they need not be there.
    pub fn confirm(&self, who: &Principal, source: Source) -> Option<Arc<Identity>> {
        if !acceptable(&who.name) {
            return None;
        }
        let now = now();
        let mut table = self.table();
        let known = table.get(&who.name, source).cloned();
        if let Some(known) = &known {
            if known.role == who.role && known.scope == who.scope {
                known.checked.store(now, Ordering::Relaxed);
                known.doubted.store(false, Ordering::Relaxed);
                return Some(Arc::clone(known));
            }
            table.take(&who.name, source);
        }
        let generation = table.next();
        let identity = Arc::new(Identity {
            name: Arc::clone(&who.name),
            source,
            role: who.role.clone(),
            scope: Arc::clone(&who.scope),
            handle: Mutex::new(known.as_ref().and_then(|known| known.handle())),
            doubted: AtomicBool::new(false),
            checking: AtomicBool::new(false),
            generation,
            checked: AtomicU64::new(now),
            seen: AtomicU64::new(known.map_or(now, |known| known.seen.load(Ordering::Relaxed))),
            saved: AtomicU64::new(0),
        });
        table.insert(Arc::clone(&identity));
        Some(identity)
    }

    /// The identity of that name from that source.
    pub fn get(&self, name: &str, source: Source) -> Option<Arc<Identity>> {
        self.table().get(name, source).cloned()
    }

    /// What is known of that name; of several sources the one seen last. `believed`: its rights still hold.
    pub fn known(&self, name: &str, roles: &Roles, believed: impl Fn(&Identity) -> bool) -> Option<AccountInfo> {
        let table = self.table();
        let all = table.by_name.get(name)?;
        let newest = all.iter().max_by_key(|i| (believed(i), i.seen.load(Ordering::Relaxed)))?;
        Some(newest.info(roles, believed(newest)))
    }

    /// Its source knows it no more.
    pub fn forget(&self, name: &str, source: Source) {
        let mut table = self.table();
        if let Some(identity) = table.take(name, source) {
            table.gone.push(identity.key());
        }
    }

    /// All of a source have to be confirmed anew before long; until then they are believed.
    pub fn doubt(&self, source: Source) {
        for identity in self.of(source) {
            identity.doubted.store(true, Ordering::Relaxed);
        }
    }

    /// All of a source.
    pub fn of(&self, source: Source) -> Vec<Arc<Identity>> {
        self.table().by_name.values().flatten().filter(|i| i.source == source).cloned().collect()
    }

    /// Writes behind what has changed, and forgets who was not seen for very long. `all`: for an orderly end.
    pub async fn save(&self, store: &dyn Store, all: bool) {
        let (changed, gone) = self.unsaved(if all { 1 } else { SAVE_AFTER });
        for key in gone {
            if let Err(error) = store.delete(Kind::Outside, &key, Expect::Any, Safety::Behind).await {
                tracing::warn!(%error, "an identity from outside that is gone may come back with a restart");
            }
        }
        for identity in changed {
            let doc = OutsideDoc::of(&identity);
            let body = match serde_json::to_value(&doc) {
                Ok(body) => body,
                Err(error) => {
                    tracing::warn!(%error, "an identity from outside can't be kept");
                    continue;
                }
            };
            match store.put(Kind::Outside, &identity.key(), Expect::Any, body, Safety::Behind).await {
                Ok(_) => identity.saved.store(doc.checked.max(doc.seen), Ordering::Relaxed),
                Err(error) => tracing::warn!(%error, "an identity from outside is not kept"),
            }
        }
    }

    /// What has to be written and what has to go.
    fn unsaved(&self, after: i64) -> (Vec<Arc<Identity>>, Vec<String>) {
        let mut table = self.table();
        let old: Vec<_> = table.by_name.values().flatten().filter(|i| i.seen() > FORGET).cloned().collect();
        for identity in old {
            table.take(&identity.name, identity.source);
            table.gone.push(identity.key());
        }
        let late = |i: &Identity| {
            let saved = i.saved.load(Ordering::Relaxed);
            let newest = i.checked.load(Ordering::Relaxed).max(i.seen.load(Ordering::Relaxed));
            saved == 0 || newest.saturating_sub(saved) >= after.unsigned_abs()
        };
        let changed: Vec<_> = table.by_name.values().flatten().filter(|i| late(i)).cloned().collect();
        // One that was forgotten and came back meanwhile is written, not deleted.
        let gone = std::mem::take(&mut table.gone);
        let gone = gone.into_iter().filter(|key| !table.has(key)).collect();
        (changed, gone)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn next(&mut self) -> u64 {
        self.generation += 1;
        FIRST | self.generation
    }

    fn get(&self, name: &str, source: Source) -> Option<&Arc<Identity>> {
        self.by_name.get(name)?.iter().find(|i| i.source == source)
    }

    fn has(&self, key: &str) -> bool {
        let name = key.split_once(':').map_or(key, |(_, name)| name);
        self.by_name.get(name).is_some_and(|all| all.iter().any(|i| i.key() == key))
    }

    fn insert(&mut self, identity: Arc<Identity>) {
        if self.count >= MAX {
            let oldest = self.by_name.values().flatten().min_by_key(|i| i.seen.load(Ordering::Relaxed)).cloned();
            if let Some(oldest) = oldest {
                self.take(&oldest.name, oldest.source);
                self.gone.push(oldest.key());
            }
        }
        self.count += 1;
        self.by_name.entry(Arc::clone(&identity.name)).or_default().push(identity);
    }

    fn take(&mut self, name: &str, source: Source) -> Option<Arc<Identity>> {
        let all = self.by_name.get_mut(name)?;
        let at = all.iter().position(|i| i.source == source)?;
        let taken = all.swap_remove(at);
        if all.is_empty() {
            self.by_name.remove(name);
        }
        self.count -= 1;
        Some(taken)
    }
}

/// A name that can go into keys, headers of answers and log lines.
fn acceptable(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}
