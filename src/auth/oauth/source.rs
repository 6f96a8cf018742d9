//! An issuer and its keys: read once from a file, or fetched by a task of its own.
//!
//! One fetch at a time, however many tokens ask for it, and not sooner than [`GAP`] after the last: a stranger who makes
//! up key names can't have rackfish flood its issuer. The last good set stays in force while the address does not
//! answer. A set that is empty is one too: an issuer can take all its keys back.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::Instant,
};

use super::{fetch, keys::KeySet};
use crate::config::{OAuthIssuer, OAuthKeys};

/// Least time between two fetches.
const GAP: Duration = Duration::from_secs(10);
/// A set that could not be had is asked for again after that long.
const RETRY: Duration = Duration::from_secs(30);
/// A request with a new key waits that long for it.
const PATIENCE: Duration = Duration::from_secs(6);
/// Requests that wait at a time; further ones are answered at once.
const WAITING: usize = 64;

/// An issuer with its keys. Its task ends when nobody holds it any more.
pub(super) struct Issuer {
    pub settings: Arc<OAuthIssuer>,
    keys: ArcSwap<KeySet>,
    /// When the last attempt to fetch ended; `None` before the first has.
    tried: watch::Sender<Option<Instant>>,
    wanted: Arc<Notify>,
    waiting: Semaphore,
    state: Mutex<State>,
    failures: AtomicU64,
}

/// For people.
#[derive(Default, Clone)]
struct State {
    /// When the set in force was got.
    good: Option<Instant>,
    /// Why the last attempt failed.
    fault: Option<String>,
}

/// An issuer as metrics and people see it.
#[derive(Debug, Clone)]
pub struct IssuerInfo {
    /// What the configuration says.
    pub settings: Arc<OAuthIssuer>,
    /// Keys in force.
    pub keys: usize,
    /// How long ago they were read or fetched; `None`: never.
    pub age: Option<Duration>,
    /// Attempts to fetch them that failed.
    pub failures: u64,
    /// Why the last attempt failed; `None`: it did not.
    pub fault: Option<String>,
    /// The keys in force, as a set (JSON), with their public members alone.
    pub set: serde_json::Value,
}

impl Issuer {
    /// Has to be called on a runtime when its keys are fetched. `before`: its keys are those of that issuer, until they
    /// have been fetched.
    pub fn start(settings: &Arc<OAuthIssuer>, before: Option<&Self>) -> Arc<Self> {
        let (keys, state) = match (&settings.keys, before) {
            (OAuthKeys::File { set, .. }, _) => {
                (Arc::new(KeySet::new(Arc::clone(set))), State { good: Some(Instant::now()), fault: None })
            }
            (OAuthKeys::Url { .. }, Some(before)) => (before.keys.load_full(), before.state()),
            (OAuthKeys::Url { .. }, None) => (Arc::default(), State::default()),
        };
        for why in &keys.left_out {
            tracing::warn!(issuer = settings.name, "a signing key is not used: {why}");
        }
        let issuer = Arc::new(Self {
            settings: Arc::clone(settings),
            keys: ArcSwap::new(keys),
            tried: watch::Sender::new(None),
            wanted: Arc::default(),
            waiting: Semaphore::new(WAITING),
            state: Mutex::new(state),
            failures: AtomicU64::new(0),
        });
        if let OAuthKeys::Url { refresh, .. } = settings.keys {
            tokio::spawn(keep_fresh(Arc::downgrade(&issuer), refresh));
        }
        issuer
    }

    /// The keys in force.
    pub fn keys(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.keys.load()
    }

    /// Whether there ever were keys; else why not.
    pub fn ready(&self) -> Result<(), String> {
        let state = self.state();
        match (state.good, state.fault) {
            (Some(_), _) => Ok(()),
            (None, Some(fault)) => Err(fault),
            (None, None) => Err("they are being fetched".to_owned()),
        }
    }

    pub fn info(&self) -> IssuerInfo {
        let (state, keys) = (self.state(), self.keys());
        IssuerInfo {
            settings: Arc::clone(&self.settings),
            keys: keys.len(),
            age: state.good.map(|at| at.elapsed()),
            failures: self.failures.load(Ordering::Relaxed),
            fault: state.fault,
            set: keys.set.to_json(),
        }
    }

    /// A key is missing: has the set fetched again, if that is possible and was not done a moment ago. True: it is
    /// worth looking again.
    pub async fn again(&self) -> bool {
        let OAuthKeys::Url { refresh, .. } = &self.settings.keys else { return false };
        let mut tried = self.tried.subscribe();
        let last = *tried.borrow_and_update();
        // Even if it is too early now: the task takes it up as soon as it may.
        self.wanted.notify_one();
        if last.is_some_and(|at| at.elapsed() < gap(*refresh)) {
            return false;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return false };
        tokio::time::timeout(PATIENCE, tried.changed()).await.is_ok_and(|changed| changed.is_ok())
    }

    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what a fetch has brought; how long it may be believed.
    fn take(&self, fetched: Result<fetch::Fetched, String>, refresh: Duration) -> Duration {
        let name = self.settings.name.as_str();
        let before = self.state();
        match fetched {
            Ok(fetched) => {
                let keys = KeySet::new(Arc::new(fetched.set));
                let old = self.keys();
                if before.good.is_none() || !old.same(&keys) {
                    tracing::info!(issuer = name, keys = keys.names().join(", "), "signing keys fetched");
                    for why in &keys.left_out {
                        tracing::warn!(issuer = name, "a signing key is not used: {why}");
                    }
                } else if before.fault.is_some() {
                    tracing::info!(issuer = name, "signing keys can be fetched again");
                }
                self.keys.store(Arc::new(keys));
                self.now(State { good: Some(Instant::now()), fault: None });
                fetched.max_age.unwrap_or(refresh).min(refresh)
            }
            Err(why) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                let kept = self.keys().len();
                if before.fault.as_deref() == Some(why.as_str()) {
                    tracing::debug!(issuer = name, kept, "signing keys still can't be fetched: {why}");
                } else {
                    tracing::warn!(
                        issuer = name,
                        kept,
                        "signing keys can't be fetched: {why}; those from before count"
                    );
                }
                self.now(State { good: before.good, fault: Some(why) });
                RETRY.min(refresh)
            }
        }
    }

    fn now(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// Who wants fresh keys more often than every [`GAP`] has said so.
fn gap(refresh: Duration) -> Duration {
    GAP.min(refresh)
}

/// Fetches again and again, as long as somebody holds the issuer.
async fn keep_fresh(issuer: Weak<Issuer>, refresh: Duration) {
    let mut known = None;
    loop {
        let Some(held) = issuer.upgrade() else { return };
        let fetched = match &mut known {
            Some(fetcher) => fetch::Fetcher::fetch(fetcher).await,
            none => match fetch::Fetcher::new(&held.settings) {
                Ok(made) => none.insert(made).fetch().await,
                Err(why) => Err(why),
            },
        };
        let pause = held.take(fetched, refresh);
        let wanted = Arc::clone(&held.wanted);
        held.tried.send_replace(Some(Instant::now()));
        drop(held);
        let gap = gap(refresh);
        tokio::time::sleep(gap).await;
        tokio::select! {
            () = tokio::time::sleep(pause.saturating_sub(gap)) => {}
            () = wanted.notified() => {}
        }
    }
}
