//! A store that forgets: for tests and for anything that must not leave a trace. Same contract, no file.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::{
    Change, Doc, Expect, Kind, Safety, Store, StoreError,
    mirror::{Mirror, Plan, Wish},
    sqlite::{WATCH_BACKLOG, encode},
};

/// Documents that live as long as the value.
#[derive(Debug)]
pub struct MemoryStore {
    mirror: Mutex<Mirror>,
    changes: broadcast::Sender<Change>,
    full: AtomicBool,
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            mirror: Mutex::new(Mirror::default()),
            changes: broadcast::channel(WATCH_BACKLOG).0,
            full: AtomicBool::new(false),
        })
    }

    /// From now on it refuses safe writes, as a full disk makes the file do.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    fn room(&self, safety: Safety) -> Result<(), StoreError> {
        if safety == Safety::PowerLoss && self.full.load(Ordering::Relaxed) {
            return Err(StoreError::Io("no space left".to_owned()));
        }
        Ok(())
    }

    fn mirror(&self) -> MutexGuard<'_, Mirror> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, wish: &Wish) -> Result<Option<u64>, StoreError> {
        let mut mirror = self.mirror();
        let mut plan = Plan::default();
        let revision = plan.add(&mirror, wish)?;
        if !plan.is_empty() {
            mirror.merge(plan);
            // Nobody may be watching: fine.
            drop(self.changes.send(Change { kind: wish.kind, key: wish.key.as_ref().to_owned(), revision }));
        }
        Ok(revision)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, kind: Kind, key: &str) -> Result<Option<Doc>, StoreError> {
        let entry = self.mirror().get(kind, key).cloned();
        entry.map(|entry| entry.parse(kind, key)).transpose()
    }

    async fn list(&self, kind: Kind) -> Result<Vec<(String, Doc)>, StoreError> {
        let entries = self.mirror().list(kind);
        entries
            .into_iter()
            .map(|(key, entry)| entry.parse(kind, &key).map(|doc| (key.as_ref().to_owned(), doc)))
            .collect()
    }

    async fn put(
        &self,
        kind: Kind,
        key: &str,
        expect: Expect,
        body: serde_json::Value,
        safety: Safety,
    ) -> Result<u64, StoreError> {
        self.room(safety)?;
        let wish = Wish { kind, key: Arc::from(key), expect, body: Some(encode(kind, key, &body)?) };
        Ok(self.apply(&wish)?.unwrap_or(0))
    }

    async fn delete(&self, kind: Kind, key: &str, expect: Expect, safety: Safety) -> Result<(), StoreError> {
        self.room(safety)?;
        self.apply(&Wish { kind, key: Arc::from(key), expect, body: None }).map(drop)
    }

    fn watch(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
