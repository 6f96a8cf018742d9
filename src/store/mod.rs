//! Durable documents with revisions.
//!
//! Everything that rackfish keeps is a document: a kind, a key, a JSON body and a revision that grows by one with
//! each write. Writers say which revision they replace (compare-and-set). The embedded store is one SQLite file; a
//! cluster store could take its place behind [`Store`].
//!
//! Rooms: [`SqliteStore`] is the embedded file (`sqlite` the handle, `writer` the one thread that writes, `schema` what
//! is checked before the file is trusted, with `sum` for its rows and `log` for its log, `lock` who may open it);
//! [`MemoryStore`] keeps nothing and is for tests;
//! `mirror` is what both read from, and the one place that decides a compare-and-set.

mod lock;
mod log;
mod memory;
mod mirror;
mod schema;
mod sqlite;
mod sum;
#[cfg(test)]
mod tests;
mod writer;

pub use memory::MemoryStore;
pub use sqlite::SqliteStore;

use std::path::Path;

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::broadcast;

/// What kinds of documents there are. The name is the table's key prefix: never rename one without a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `auth`: accounts.
    Account,
    /// `auth`: roles that administrators have made.
    Role,
    /// `auth`: rules for accounts that somebody has set.
    Policy,
    /// `auth`: hashed session tokens.
    Session,
    /// `auth`: what is known of people whose account lies elsewhere. Written behind.
    Outside,
    /// `fleet`: boot overrides.
    Override,
    /// `fleet`: operations under way, their steps and deadlines.
    Operation,
    /// `fleet`: holds on nodes and endpoints.
    Hold,
    /// `fleet`: tasks that clients may ask for.
    Task,
    /// `fleet`: resets of many nodes that are under way.
    Sweep,
    /// `fleet`: sets of nodes that people have made.
    Aggregate,
    /// `api`: event subscriptions.
    Subscription,
    /// `fleet`: asset tags, indicator intents and other small things people set.
    Setting,
    /// `fleet`: last known states. Written behind.
    LastState,
    /// `fleet`: what units can do, known while they are dead. Written behind.
    Caps,
    /// The installation itself: its UUID, the schema's version.
    Service,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Account,
        Self::Role,
        Self::Policy,
        Self::Session,
        Self::Outside,
        Self::Override,
        Self::Operation,
        Self::Hold,
        Self::Task,
        Self::Sweep,
        Self::Aggregate,
        Self::Subscription,
        Self::Setting,
        Self::LastState,
        Self::Caps,
        Self::Service,
    ];

    /// The kind with that name on disk; `None` for those of other versions.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The name on disk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Role => "role",
            Self::Policy => "policy",
            Self::Session => "session",
            Self::Outside => "outside",
            Self::Override => "override",
            Self::Operation => "operation",
            Self::Hold => "hold",
            Self::Task => "task",
            Self::Sweep => "sweep",
            Self::Aggregate => "aggregate",
            Self::Subscription => "subscription",
            Self::Setting => "setting",
            Self::LastState => "last-state",
            Self::Caps => "caps",
            Self::Service => "service",
        }
    }
}

/// A document as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Doc {
    /// 1 for a new document, one more with every write. A document that was deleted and made again starts above
    /// what it had, so that an old revision (or ETag) never matches again.
    pub revision: u64,
    /// JSON.
    pub body: serde_json::Value,
}

/// What a writer believes to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there.
    Any,
    /// Nothing.
    Absent,
    /// That revision.
    Revision(u64),
}

/// How safe a write has to be before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// Survives a power loss (`synchronous = FULL`).
    PowerLoss,
    /// Survives the end of the process soon: written behind, in batches. What follows from devices anyway.
    Behind,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote in between.
    #[error("{kind} {key} is at revision {found}, not at the one expected")]
    Conflict {
        /// Kind of the document.
        kind: &'static str,
        /// Its key.
        key: String,
        /// Its revision; 0: it does not exist.
        found: u64,
    },
    /// Disk full, read-only, gone: nothing was written.
    #[error("the state file can't be written: {0}")]
    Io(String),
    /// The file is not ours, damaged, or newer than this program.
    #[error("{0}")]
    Unusable(String),
    /// The document is not what this program writes.
    #[error("{kind} {key} can't be read: {cause}")]
    Malformed {
        /// Kind of the document.
        kind: &'static str,
        /// Its key.
        key: String,
        /// What serde said.
        cause: String,
    },
}

/// A document was written (`Some(revision)`) or deleted (`None`).
#[derive(Debug, Clone)]
pub struct Change {
    /// Kind of the document.
    pub kind: Kind,
    /// Its key.
    pub key: String,
    /// The new revision.
    pub revision: Option<u64>,
}

/// Where documents are kept.
#[async_trait]
pub trait Store: Send + Sync {
    /// The document, if there is one.
    async fn get(&self, kind: Kind, key: &str) -> Result<Option<Doc>, StoreError>;
    /// All documents of a kind, by key.
    async fn list(&self, kind: Kind) -> Result<Vec<(String, Doc)>, StoreError>;
    /// Writes, if `expect` holds; returns the new revision. Acknowledged means kept, as `safety` says.
    async fn put(
        &self,
        kind: Kind,
        key: &str,
        expect: Expect,
        body: serde_json::Value,
        safety: Safety,
    ) -> Result<u64, StoreError>;
    /// Deletes, if `expect` holds; deleting what isn't there is fine with [`Expect::Any`].
    async fn delete(&self, kind: Kind, key: &str, expect: Expect, safety: Safety) -> Result<(), StoreError>;
    /// Everything that is written from now on, through whichever handle.
    fn watch(&self) -> broadcast::Receiver<Change>;
    /// Brings everything written behind to disk.
    async fn flush(&self) -> Result<(), StoreError>;
    /// Writes a consistent copy, everything written so far included, to the file `to` (0600; one of that name is
    /// replaced). Readers and writers go on meanwhile.
    async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        Err(StoreError::Io(format!("this store keeps no file of which {} could be a copy", to.display())))
    }
}

/// Reads a document as `T`.
pub async fn read<T: DeserializeOwned>(
    store: &dyn Store,
    kind: Kind,
    key: &str,
) -> Result<Option<(u64, T)>, StoreError> {
    match store.get(kind, key).await? {
        None => Ok(None),
        Some(doc) => decode(kind, key, doc).map(Some),
    }
}

/// Reads all documents of a kind as `T`.
pub async fn read_all<T: DeserializeOwned>(store: &dyn Store, kind: Kind) -> Result<Vec<(String, u64, T)>, StoreError> {
    store.list(kind).await?.into_iter().map(|(key, doc)| decode(kind, &key, doc).map(|(r, t)| (key, r, t))).collect()
}

/// Writes a `T` as a document.
pub async fn write<T: Serialize + Sync>(
    store: &dyn Store,
    kind: Kind,
    key: &str,
    expect: Expect,
    value: &T,
    safety: Safety,
) -> Result<u64, StoreError> {
    let body = serde_json::to_value(value).map_err(|e| StoreError::Malformed {
        kind: kind.as_str(),
        key: key.to_owned(),
        cause: e.to_string(),
    })?;
    store.put(kind, key, expect, body, safety).await
}

fn decode<T: DeserializeOwned>(kind: Kind, key: &str, doc: Doc) -> Result<(u64, T), StoreError> {
    serde_json::from_value(doc.body).map(|value| (doc.revision, value)).map_err(|e| StoreError::Malformed {
        kind: kind.as_str(),
        key: key.to_owned(),
        cause: e.to_string(),
    })
}
