//! How far each subscriber has come in the log of events, and keeping that.
//!
//! Places are one document, written behind once a second while they move: after a kill a subscriber may get the events
//! of the last second again, with the ids that it knows, and misses none.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use time::OffsetDateTime;

use super::Inner;
use crate::store::{self, Expect, Kind, Safety, Store, StoreError};

const EVERY: Duration = Duration::from_secs(1);
const KEY: &str = "event-places";

/// A subscriber's place.
#[derive(Debug)]
pub(super) struct Place {
    /// The last event that it has, or does not want.
    at: AtomicU64,
    /// Older events are left out (seconds since 1970).
    newer_than: AtomicI64,
}

impl Place {
    pub fn new(at: u64) -> Arc<Self> {
        Arc::new(Self { at: AtomicU64::new(at), newer_than: AtomicI64::new(i64::MIN) })
    }

    pub fn at(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }

    /// Only forward.
    pub fn reach(&self, id: u64) {
        self.at.fetch_max(id, Ordering::Relaxed);
    }

    /// Whether an event of that time is still wanted.
    pub fn takes(&self, at: OffsetDateTime) -> bool {
        at.unix_timestamp() >= self.newer_than.load(Ordering::Relaxed)
    }

    pub fn leave_out_before(&self, at: OffsetDateTime) {
        self.newer_than.store(at.unix_timestamp(), Ordering::Relaxed);
    }
}

/// The places as they were kept.
pub(super) async fn read(store: &dyn Store) -> Result<BTreeMap<Arc<str>, u64>, StoreError> {
    match store::read(store, Kind::Service, KEY).await {
        Ok(places) => Ok(places.map(|(_, places)| places).unwrap_or_default()),
        // Without it everybody begins where their subscription was made: too much rather than too little.
        Err(error @ StoreError::Malformed { .. }) => {
            tracing::warn!(%error, "how far subscribers have come is not known; they may get events again");
            Ok(BTreeMap::new())
        }
        Err(error) => Err(error),
    }
}

/// Keeps places and the log for as long as there are any.
pub(super) async fn keep(inner: Weak<Inner>) {
    let mut kept = BTreeMap::new();
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(inner) = inner.upgrade() else { return };
        inner.log.sync().await;
        save(&inner, &mut kept).await;
    }
}

/// Writes the places unless they are `kept` already.
pub(super) async fn save(inner: &Inner, kept: &mut BTreeMap<Arc<str>, u64>) {
    let now: BTreeMap<Arc<str>, u64> =
        inner.subscribers().iter().map(|(id, s)| (Arc::clone(id), s.place.at())).collect();
    if now == *kept {
        return;
    }
    match store::write(&*inner.store, Kind::Service, KEY, Expect::Any, &now, Safety::Behind).await {
        Ok(_) => *kept = now,
        Err(error) => {
            tracing::warn!(%error, "how far subscribers have come can't be written; they may get events again");
        }
    }
}
