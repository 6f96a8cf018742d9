//! The embedded store: one SQLite file, `rackfish.db`, in the state folder.
//!
//! The handle only: reads come from memory, writes are sent to the one thread that owns the connection (`writer`).
//! How safely SQLite keeps them: <https://sqlite.org/wal.html>, <https://sqlite.org/pragma.html#pragma_synchronous>.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::Ordering,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
};

use async_trait::async_trait;
use tokio::sync::{Semaphore, broadcast, oneshot};

use super::{
    Change, Doc, Expect, Kind, Safety, Store, StoreError,
    lock::Lock,
    mirror::{Mirror, Wish},
    schema,
    writer::{Command, Counts, Writer},
};

/// Changes that a slow watcher may lag behind before it loses the oldest.
pub(super) const WATCH_BACKLOG: usize = 4096;
/// Writes under way at once; further callers wait for a place.
const QUEUE: usize = 1024;
/// Lists longer than this are parsed off the async threads (about 1 ms of work).
const LONG_LIST: usize = 500;

/// Documents in `state_dir/rackfish.db`. Dropping it writes what is still behind and closes the file.
#[derive(Debug)]
pub struct SqliteStore {
    mirror: Arc<RwLock<Mirror>>,
    changes: broadcast::Sender<Change>,
    places: Arc<Semaphore>,
    /// `None` only while it is being dropped.
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    counts: Arc<Counts>,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens or makes the store. Blocks for the time it takes to read the file (milliseconds a megabyte).
    ///
    /// Refused: a folder that another process uses, a file that is not SQLite, not ours, damaged, or of a newer
    /// version. An older one is migrated, after a backup copy.
    pub fn open(state_dir: &Path) -> Result<Arc<Self>, StoreError> {
        let lock = Lock::take(state_dir)?;
        let file = schema::open(state_dir)?;
        let path = file.path.clone();
        let mirror = Arc::new(RwLock::new(schema::load(&file)?));
        let changes = broadcast::channel(WATCH_BACKLOG).0;
        let (commands, inbox) = mpsc::channel();
        let writer = Writer::new(file, lock, Arc::clone(&mirror), changes.clone());
        let counts = writer.counts();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&inbox))
            .map_err(|e| StoreError::Io(format!("the writing thread can't be started: {e}")))?;
        Ok(Arc::new(Self {
            mirror,
            changes,
            places: Arc::new(Semaphore::new(QUEUE)),
            commands: Some(commands),
            thread: Some(thread),
            counts,
            path,
        }))
    }

    /// Transactions committed since it was opened.
    pub fn commits(&self) -> u64 {
        self.counts.commits.load(Ordering::Relaxed)
    }

    /// Documents written or deleted in the file since it was opened.
    pub fn rows(&self) -> u64 {
        self.counts.rows.load(Ordering::Relaxed)
    }

    fn mirror(&self) -> RwLockReadGuard<'_, Mirror> {
        self.mirror.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command and waits for its answer. A caller that stops waiting does not stop the command.
    pub(super) async fn ask<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Io("the writing thread has ended".to_owned());
        let _place = self.places.acquire().await.map_err(|_| gone())?;
        let (done, answer) = oneshot::channel();
        self.commands.as_ref().ok_or_else(gone)?.send(make(done)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writing thread of the store has died");
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, kind: Kind, key: &str) -> Result<Option<Doc>, StoreError> {
        let entry = self.mirror().get(kind, key).cloned();
        entry.map(|entry| entry.parse(kind, key)).transpose()
    }

    async fn list(&self, kind: Kind) -> Result<Vec<(String, Doc)>, StoreError> {
        let entries = self.mirror().list(kind);
        let long = entries.len() > LONG_LIST;
        let parse = move || {
            entries
                .into_iter()
                .map(|(key, entry)| entry.parse(kind, &key).map(|doc| (key.as_ref().to_owned(), doc)))
                .collect()
        };
        if !long {
            return parse();
        }
        let parsed = tokio::task::spawn_blocking(parse).await;
        parsed.unwrap_or_else(|e| Err(StoreError::Io(format!("reading was cut short: {e}"))))
    }

    async fn put(
        &self,
        kind: Kind,
        key: &str,
        expect: Expect,
        body: serde_json::Value,
        safety: Safety,
    ) -> Result<u64, StoreError> {
        let wish = Wish { kind, key: Arc::from(key), expect, body: Some(encode(kind, key, &body)?) };
        let revision = self.ask(|done| Command::Write { wish, safety, done }).await?;
        Ok(revision.unwrap_or(0))
    }

    async fn delete(&self, kind: Kind, key: &str, expect: Expect, safety: Safety) -> Result<(), StoreError> {
        let wish = Wish { kind, key: Arc::from(key), expect, body: None };
        self.ask(|done| Command::Write { wish, safety, done }).await.map(drop)
    }

    fn watch(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.ask(Command::Flush).await
    }

    async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        self.flush().await?;
        let (from, to) = (self.path.clone(), to.to_owned());
        // A reader of its own: in WAL mode it sees one moment, and the writing thread goes on.
        let copied = tokio::task::spawn_blocking(move || schema::copy(&from, &to)).await;
        copied.unwrap_or_else(|e| Err(StoreError::Io(format!("the copy was cut short: {e}"))))
    }
}

/// The text of a body as it is kept.
pub(super) fn encode(kind: Kind, key: &str, body: &serde_json::Value) -> Result<Arc<str>, StoreError> {
    match serde_json::to_string(body) {
        Ok(text) => Ok(Arc::from(text)),
        Err(e) => Err(StoreError::Malformed { kind: kind.as_str(), key: key.to_owned(), cause: e.to_string() }),
    }
}
