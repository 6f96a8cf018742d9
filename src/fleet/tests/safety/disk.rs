//! A store whose disk outlives rackfish: what was acknowledged as durable is there, what was written behind may not be.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::world::{Death, Happened, Shared};
use crate::store::{Change, Doc, Expect, Kind, MemoryStore, Safety, Store, StoreError};

/// As the embedded store: what is written behind is on the disk after that long.
const BEHIND: Duration = Duration::from_millis(250);

type Late = BTreeMap<(&'static str, String), (Kind, Option<serde_json::Value>, Duration)>;

/// A key without what differs from run to run: ids of operations.
fn steady(kind: Kind, key: &str) -> String {
    if kind == Kind::Task { kind.as_str().to_owned() } else { key.split('/').next().unwrap_or_default().to_owned() }
}

pub struct Disk {
    durable: Arc<MemoryStore>,
    /// Written behind: body (or deletion) and when it reaches the disk.
    late: Mutex<Late>,
    world: Shared,
}

impl Disk {
    pub fn new(world: Shared) -> Arc<Self> {
        Arc::new(Self { durable: MemoryStore::new(), late: Mutex::default(), world })
    }

    /// The same disk, seen by the next life.
    pub fn after_death(&self) -> Arc<Self> {
        Arc::new(Self { durable: Arc::clone(&self.durable), late: Mutex::default(), world: self.world.clone() })
    }

    pub async fn settle(&self, all: bool) -> Result<(), StoreError> {
        let now = self.world.now();
        let due: Vec<_> = {
            let mut late = self.late.lock().unwrap();
            let keys: Vec<_> =
                late.iter().filter(|(_, (_, _, at))| all || *at <= now).map(|(key, _)| key.clone()).collect();
            keys.into_iter().filter_map(|key| late.remove_entry(&key)).collect()
        };
        for ((_, key), (kind, body, _)) in due {
            match body {
                Some(body) => drop(self.durable.put(kind, &key, Expect::Any, body, Safety::Behind).await?),
                None => self.durable.delete(kind, &key, Expect::Any, Safety::Behind).await?,
            }
        }
        Ok(())
    }

    fn death(&self) -> Option<bool> {
        let mut world = self.world.get();
        match world.death {
            Some(Death::Write(0, written)) => {
                world.death = None;
                Some(written)
            }
            Some(Death::Write(n, written)) => {
                world.death = Some(Death::Write(n - 1, written));
                None
            }
            _ => None,
        }
    }

    fn forget_late(&self, kind: Kind, key: &str) {
        self.late.lock().unwrap().remove(&(kind.as_str(), key.to_owned()));
    }
}

#[async_trait]
impl Store for Disk {
    async fn get(&self, kind: Kind, key: &str) -> Result<Option<Doc>, StoreError> {
        self.settle(true).await?;
        self.durable.get(kind, key).await
    }

    async fn list(&self, kind: Kind) -> Result<Vec<(String, Doc)>, StoreError> {
        self.settle(true).await?;
        self.durable.list(kind).await
    }

    async fn put(
        &self,
        kind: Kind,
        key: &str,
        expect: Expect,
        body: serde_json::Value,
        safety: Safety,
    ) -> Result<u64, StoreError> {
        self.settle(false).await?;
        if safety == Safety::Behind && expect == Expect::Any {
            let at = self.world.now() + BEHIND;
            self.late.lock().unwrap().insert((kind.as_str(), key.to_owned()), (kind, Some(body), at));
            return Ok(0);
        }
        let death = self.death();
        if death == Some(false) {
            self.world.die().await;
        }
        self.forget_late(kind, key);
        if kind == Kind::Operation {
            let (at, end) = (&body["at"], &body["ended"]["how"]);
            let step = &body["steps"][usize::try_from(at.as_u64().unwrap_or(0)).unwrap()];
            self.world.get().note(Happened::Stored(format!("{}: {} {step} {end}", steady(kind, key), body["reset"])));
        }
        let revision = self.durable.put(kind, key, expect, body, safety).await?;
        if death == Some(true) {
            self.world.die().await;
        }
        let pause = self.world.get().dice(&steady(kind, key)).between(1, 8);
        tokio::time::sleep(pause).await;
        Ok(revision)
    }

    async fn delete(&self, kind: Kind, key: &str, expect: Expect, safety: Safety) -> Result<(), StoreError> {
        self.settle(false).await?;
        if safety == Safety::Behind {
            let at = self.world.now() + BEHIND;
            self.late.lock().unwrap().insert((kind.as_str(), key.to_owned()), (kind, None, at));
            return Ok(());
        }
        let death = self.death();
        if death == Some(false) {
            self.world.die().await;
        }
        self.forget_late(kind, key);
        self.durable.delete(kind, key, expect, safety).await?;
        if death == Some(true) {
            self.world.die().await;
        }
        let pause = self.world.get().dice(&steady(kind, key)).between(1, 8);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn watch(&self) -> broadcast::Receiver<Change> {
        self.durable.watch()
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.settle(true).await
    }
}
