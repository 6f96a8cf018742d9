//! Credentials that were checked a moment ago, so that HTTP Basic costs a MAC and not an argon2 with every request.
//!
//! An entry is keyed by a MAC of user and password under a key that this process made up: it tells nothing to who reads
//! the memory without the key, and its lookup leaks nothing. It names the revision of the account it was checked
//! against, and revisions never come back: any change of the account makes its entries worthless at once.
//! Wrong credentials are kept too, in a room of their own: a client that keeps sending one wrong password costs no argon2.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hmac::{Hmac, Mac as _, digest::KeyInit};
use rand::RngCore as _;
use sha2::Sha256;
use tokio::time::Instant;

/// A right password is checked again after that long.
const RIGHT: Duration = Duration::from_mins(10);
/// A wrong one; short, for its only use is with clients that repeat themselves.
const WRONG: Duration = Duration::from_mins(1);
/// Entries of each room: more than there are accounts that log in at the same time.
const ROOM: usize = 4_096;

/// A MAC over user and password.
pub(super) type Key = [u8; 32];

#[derive(Debug, Clone, Copy)]
struct Checked {
    revision: u64,
    at: Instant,
}

#[derive(Debug, Default)]
struct Rooms {
    right: HashMap<Key, Checked>,
    wrong: HashMap<Key, Checked>,
}

/// See the module's documentation.
pub(super) struct Cache {
    mac: Hmac<Sha256>,
    rooms: Mutex<Rooms>,
}

impl Cache {
    pub fn new() -> Self {
        // As long as SHA-256's block, so that no key can be too short or too long (RFC 2104, 3).
        let mut key = [0; 64];
        rand::rng().fill_bytes(&mut key);
        let mac = <Hmac<Sha256> as KeyInit>::new(&key.into());
        Self { mac, rooms: Mutex::new(Rooms::default()) }
    }

    /// The key of a pair. The name's length keeps `a` + `bc` apart from `ab` + `c`.
    pub fn key(&self, user: &str, password: &str) -> Key {
        let mut mac = self.mac.clone();
        mac.update(&(user.len() as u64).to_be_bytes());
        mac.update(user.as_bytes());
        mac.update(password.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whether the pair is right, if that is known for this revision of the account (0: there is no such account).
    pub fn look(&self, key: &Key, revision: u64) -> Option<bool> {
        let rooms = self.rooms();
        let fresh = |entry: Option<&Checked>, life| {
            entry.is_some_and(|entry| entry.revision == revision && entry.at.elapsed() < life)
        };
        if fresh(rooms.right.get(key), RIGHT) {
            return Some(true);
        }
        fresh(rooms.wrong.get(key), WRONG).then_some(false)
    }

    /// Keeps the outcome of a check.
    pub fn keep(&self, key: Key, revision: u64, right: bool) {
        let checked = Checked { revision, at: Instant::now() };
        let mut rooms = self.rooms();
        let (room, life) = if right { (&mut rooms.right, RIGHT) } else { (&mut rooms.wrong, WRONG) };
        if room.len() >= ROOM && !room.contains_key(&key) {
            room.retain(|_, entry| entry.at.elapsed() < life);
            // Full of fresh ones: start anew rather than look for the oldest with every guess.
            if room.len() >= ROOM {
                room.clear();
            }
        }
        room.insert(key, checked);
    }

    /// Forgets what was checked against that revision.
    pub fn forget(&self, revision: u64) {
        let mut rooms = self.rooms();
        rooms.right.retain(|_, entry| entry.revision != revision);
        rooms.wrong.retain(|_, entry| entry.revision != revision);
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
