//! Passwords of people from outside that were right a moment ago, so that HTTP Basic does not ask the directory with
//! every request. Keyed as the cache of local passwords is: by a MAC, never by the password.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::Identity;

/// Entries: more than there are people who poll at the same time.
const ROOM: usize = 4_096;

/// A MAC over user and password.
type Key = [u8; 32];

/// See the module's documentation.
#[derive(Debug, Default)]
pub(in crate::auth) struct Proven(Mutex<HashMap<Key, (Arc<Identity>, Instant)>>);

impl Proven {
    /// Who that was, not longer ago than `life`.
    pub fn look(&self, key: &Key, life: Duration) -> Option<Arc<Identity>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(key).filter(|(_, at)| at.elapsed() < life).map(|(identity, _)| Arc::clone(identity))
    }

    /// Keeps it.
    pub fn keep(&self, key: Key, identity: Arc<Identity>, life: Duration) {
        if life.is_zero() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ROOM && !all.contains_key(&key) {
            all.retain(|_, (_, at)| at.elapsed() < life);
            if all.len() >= ROOM {
                all.clear();
            }
        }
        all.insert(key, (identity, Instant::now()));
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
