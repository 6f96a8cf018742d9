//! Tokens that were checked a moment ago, so that a client which polls costs a hash and not a signature each time.
//!
//! Found by their SHA-256. An entry counts while its token is valid, its issuer is configured as it was, and its key is
//! still published: all three are looked at with every request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{keys::Mark, source::Issuer};
use crate::auth::Principal;

/// Tokens that are remembered: more than there are clients at a time.
const ROOM: usize = 4_096;

/// A token that was accepted.
#[derive(Clone)]
pub(super) struct Accepted {
    pub principal: Principal,
    /// Its values that a rule knows, one a line.
    pub values: Arc<str>,
    /// Whose it is; compared by address.
    pub issuer: Arc<Issuer>,
    pub key: Mark,
    /// Seconds since 1970.
    pub until: i64,
}

impl Accepted {
    fn counts(&self, now: i64) -> bool {
        now < self.until && self.issuer.keys().has(&self.key)
    }
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Seen {
    room: Mutex<HashMap<[u8; 32], Accepted>>,
}

impl Seen {
    pub fn look(&self, token: &[u8; 32], now: i64, current: &[Arc<Issuer>]) -> Option<Accepted> {
        let mut room = self.room();
        let entry = room.get(token)?;
        if entry.counts(now) && current.iter().any(|issuer| Arc::ptr_eq(issuer, &entry.issuer)) {
            return Some(entry.clone());
        }
        room.remove(token);
        None
    }

    pub fn keep(&self, token: [u8; 32], accepted: Accepted, now: i64) {
        let mut room = self.room();
        if room.len() >= ROOM {
            room.retain(|_, entry| entry.counts(now));
            // Full of good ones: start anew rather than look for the oldest each time.
            if room.len() >= ROOM {
                room.clear();
            }
        }
        room.insert(token, accepted);
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.room().clear();
    }

    /// Forgets what does not belong to these issuers, so that the others' tasks end.
    pub fn only(&self, current: &[Arc<Issuer>]) {
        self.room().retain(|_, entry| current.iter().any(|issuer| Arc::ptr_eq(issuer, &entry.issuer)));
    }

    fn room(&self) -> MutexGuard<'_, HashMap<[u8; 32], Accepted>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.room().len()
    }
}
