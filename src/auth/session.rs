//! Sessions: a random token at the client, its SHA-256 here and in the store.
//!
//! Sessions survive restarts. When they were last used is kept in memory and written behind now and then; a restart
//! costs a session at most that much of its idle time. Idle time is measured by the monotonic clock: a machine that
//! starts without the right time must not end everybody's session once it learns it.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::RngCore as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{SessionInfo, outside::Source};
use crate::model::{NodeId, Secret};

/// The document of a session. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SessionDoc {
    pub user: Arc<str>,
    /// Where the user comes from; absent: it is an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// SHA-256 of the token, hexadecimal.
    pub token: String,
    pub created: i64,
    pub used: i64,
    #[serde(default)]
    pub peer: Option<IpAddr>,
    /// The node whose door it was made at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<NodeId>,
}

/// A session in memory.
#[derive(Debug)]
pub(super) struct Session {
    pub id: Arc<str>,
    pub user: Arc<str>,
    /// Where the user comes from; `None`: it is an account.
    pub source: Option<Source>,
    pub created: OffsetDateTime,
    pub peer: Option<IpAddr>,
    /// The node whose door it was made at: it is good for that node alone.
    pub door: Option<NodeId>,
    token: [u8; 32],
    /// Last use, in milliseconds of [`Sessions::now`].
    used: AtomicU64,
    /// The last use that is in the store.
    pub saved: AtomicU64,
    /// Revision of its document; 0: it has none.
    pub revision: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    by_token: HashMap<[u8; 32], Arc<Session>>,
    by_id: HashMap<Arc<str>, Arc<Session>>,
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    /// The clock's zero: far enough back that loaded sessions have been idle since after it.
    zero: Instant,
    table: RwLock<Table>,
}

/// Milliseconds that the clock shows at the start, so that times before it can be told.
const EPOCH: u64 = 1 << 48;

impl Sessions {
    pub fn new() -> Self {
        Self { zero: Instant::now(), table: RwLock::default() }
    }

    fn now(&self) -> u64 {
        EPOCH.saturating_add(millis(self.zero.elapsed()))
    }

    /// A session and its token. It is not in force before [`Self::add`].
    pub fn make(
        &self,
        user: &Arc<str>,
        source: Option<Source>,
        peer: Option<IpAddr>,
        door: Option<NodeId>,
    ) -> (Session, Secret) {
        let (mut id, mut token) = ([0; 8], Zeroizing::new([0; 32]));
        rand::rng().fill_bytes(&mut id);
        rand::rng().fill_bytes(&mut *token);
        let token = Secret::new(hex(&*token));
        let now = self.now();
        let session = Session {
            id: Arc::from(hex(&id)),
            user: Arc::clone(user),
            source,
            created: OffsetDateTime::now_utc(),
            peer,
            door,
            token: Sha256::digest(token.expose().as_bytes()).into(),
            used: AtomicU64::new(now),
            saved: AtomicU64::new(now),
            revision: AtomicU64::new(0),
        };
        (session, token)
    }

    /// A session from the store. `None`: the document makes no sense.
    pub fn restore(&self, id: &str, revision: u64, doc: &SessionDoc) -> Option<Session> {
        let idle = OffsetDateTime::now_utc().unix_timestamp().saturating_sub(doc.used);
        let idle = u64::try_from(idle).unwrap_or(0).saturating_mul(1_000);
        let used = self.now().saturating_sub(idle);
        Some(Session {
            id: Arc::from(id),
            user: Arc::clone(&doc.user),
            source: doc.source,
            created: OffsetDateTime::from_unix_timestamp(doc.created).ok()?,
            peer: doc.peer,
            door: doc.door.clone(),
            token: unhex(&doc.token)?,
            used: AtomicU64::new(used),
            saved: AtomicU64::new(used),
            revision: AtomicU64::new(revision),
        })
    }

    /// The document of a session as it is now.
    pub fn document(&self, session: &Session) -> SessionDoc {
        let idle = self.idle(session).as_secs();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        SessionDoc {
            user: Arc::clone(&session.user),
            source: session.source,
            token: hex(&session.token),
            created: session.created.unix_timestamp(),
            used: now.saturating_sub(i64::try_from(idle).unwrap_or(i64::MAX)),
            peer: session.peer,
            door: session.door.clone(),
        }
    }

    /// Puts a session in force; returns those that have to make room for it, idle for longest first.
    pub fn add(&self, session: Arc<Session>, max: usize) -> Vec<Arc<Session>> {
        let mut table = self.write();
        let mut out = Vec::new();
        while table.by_id.len() >= max.max(1) {
            let idlest = table.by_id.values().min_by_key(|s| s.used.load(Ordering::Relaxed)).cloned();
            let Some(idlest) = idlest else { break };
            table.remove(&idlest);
            out.push(idlest);
        }
        table.by_token.insert(session.token, Arc::clone(&session));
        table.by_id.insert(Arc::clone(&session.id), session);
        out
    }

    /// The session of a token, if it has not been idle for too long; touches it.
    pub fn touch(&self, token: &str, timeout: Duration) -> Option<Arc<Session>> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let session = self.read().by_token.get(&hash).cloned()?;
        // The map compares hashes, which tells nothing about tokens; this costs nothing either.
        if !bool::from(session.token.ct_eq(&hash)) || self.idle(&session) > timeout {
            return None;
        }
        session.used.store(self.now(), Ordering::Relaxed);
        Some(session)
    }

    /// The node whose door a session was made at.
    pub fn door(&self, id: &str) -> Option<NodeId> {
        self.read().by_id.get(id)?.door.clone()
    }

    /// Takes a session out.
    pub fn remove(&self, id: &str) -> Option<Arc<Session>> {
        let mut table = self.write();
        let session = table.by_id.get(id).cloned()?;
        table.remove(&session);
        Some(session)
    }

    /// Takes out those for which `out` holds; `out` gets the session and its idle time.
    pub fn remove_if(&self, out: impl Fn(&Session, Duration) -> bool) -> Vec<Arc<Session>> {
        let chosen: Vec<_> = self.read().by_id.values().filter(|s| out(s, self.idle(s))).cloned().collect();
        if !chosen.is_empty() {
            let mut table = self.write();
            for session in &chosen {
                table.remove(session);
            }
        }
        chosen
    }

    /// Sessions whose last use in the store is older than the real one by more than `by`.
    pub fn unsaved(&self, by: Duration) -> Vec<Arc<Session>> {
        let late = |s: &Session| s.used.load(Ordering::Relaxed).saturating_sub(s.saved.load(Ordering::Relaxed));
        self.read().by_id.values().filter(|s| late(s) > millis(by)).cloned().collect()
    }

    /// Who of that source has a session.
    pub fn users(&self, source: Source) -> HashSet<Arc<str>> {
        self.read().by_id.values().filter(|s| s.source == Some(source)).map(|s| Arc::clone(&s.user)).collect()
    }

    /// When it was last used, for [`Session::saved`].
    pub fn used(session: &Session) -> u64 {
        session.used.load(Ordering::Relaxed)
    }

    pub fn info(&self, id: &str, timeout: Duration) -> Option<SessionInfo> {
        let session = self.read().by_id.get(id).cloned()?;
        (self.idle(&session) <= timeout).then(|| session.info())
    }

    pub fn list(&self, timeout: Duration) -> Vec<SessionInfo> {
        let mut all: Vec<_> =
            self.read().by_id.values().filter(|s| self.idle(s) <= timeout).map(|s| s.info()).collect();
        all.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        all
    }

    fn idle(&self, session: &Session) -> Duration {
        Duration::from_millis(self.now().saturating_sub(session.used.load(Ordering::Relaxed)))
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn remove(&mut self, session: &Session) {
        self.by_token.remove(&session.token);
        self.by_id.remove(&session.id);
    }
}

impl Session {
    fn info(&self) -> SessionInfo {
        SessionInfo {
            id: Arc::clone(&self.id),
            user: Arc::clone(&self.user),
            created: self.created,
            peer: self.peer,
            door: self.door.clone(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|n| char::from_digit(u32::from(n), 16)).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|n| u8::try_from(n).ok())).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    if rest.is_empty() { bytes.try_into().ok() } else { None }
}
