//! Events for subscribers: kept in a log, posted to destinations, streamed to clients that listen.
//!
//! | file | what |
//! | --- | --- |
//! | [`log`] | the durable log: one append an event, whatever the number of subscribers |
//! | [`record`] | an event as it is kept |
//! | [`filter`] | which events a subscriber wants |
//! | `subscription`, `places` | what is kept of subscriptions: what they want, how far they have come |
//! | `task`, `post`, `check` | one task a subscriber: POSTs in order, retries, suspension; where it may post to |
//! | `streams` | server-sent events |
//!
//! What an event looks like and who may see it is the face's matter ([`Look`]). Follows the Redfish Specification
//! (DSP0266), "Eventing". A slow subscriber slows nobody: it has its own task and its own place in the log.

mod check;
pub mod filter;
pub mod log;
mod places;
mod post;
pub mod record;
mod streams;
mod subscription;
mod task;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::{
    model::NodeId,
    store::{self, Expect, Kind, Safety, Store, StoreError},
};
use log::EventLog;
use places::Place;
use post::Poster;
use record::Record;
pub use streams::{NewStream, OpenStream, StreamError};
pub(crate) use subscription::read_documents;
pub use subscription::{Health, NewSubscription, RetryPolicy, Subscription, SubscriptionPatch, Suspension};
pub use task::Timing;

/// Subscriptions kept at once.
pub const MAX_SUBSCRIPTIONS: usize = 1_000;

/// Why a subscription could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// A property that is not acceptable.
    #[error("{property}: {reason}")]
    Unacceptable {
        /// Redfish name of the property.
        property: &'static str,
        /// What would be.
        reason: String,
    },
    /// No such subscription.
    #[error("there is no subscription {0}")]
    NotFound(String),
    /// Somebody else changed it in between (`If-Match`).
    #[error("the subscription has changed since it was read")]
    Changed,
    /// There are too many.
    #[error("there are already {MAX_SUBSCRIPTIONS} subscriptions; remove some")]
    Full,
    /// The store failed.
    #[error("subscriptions can't be written")]
    Store(#[from] StoreError),
}

/// What the face knows of events.
pub trait Look: Send + Sync {
    /// Whether the account `owner` may see the event.
    fn sees(&self, owner: &str, event: &Record) -> bool;
    /// The body with these events for one subscriber. `lost`: events before them are gone. `upto`: its id.
    fn payload(&self, upto: u64, events: &[Arc<Record>], lost: bool, context: Option<&str>) -> String;
}

/// What the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// `server.insecure_local_event_destinations`
    pub local: bool,
    /// `server.event_retry_attempts`
    pub attempts: u32,
    /// `server.event_retry_interval`
    pub interval: Duration,
}

/// A subscription, its task and how it goes.
struct Subscriber {
    subscription: Arc<Subscription>,
    health: Arc<Mutex<Health>>,
    place: Arc<Place>,
    task: Option<tokio::task::AbortHandle>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct Inner {
    store: Arc<dyn Store>,
    log: Arc<EventLog>,
    look: Box<dyn Look>,
    /// `None`: nothing is ever sent.
    poster: ArcSwapOption<Poster>,
    timing: ArcSwap<Timing>,
    local: Arc<AtomicBool>,
    subscribers: Mutex<BTreeMap<Arc<str>, Subscriber>>,
    streams: streams::Streams,
    /// The service ends.
    closing: CancellationToken,
    /// Where tasks live: not with the listener whose request made a subscription.
    runtime: tokio::runtime::Handle,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

/// All subscriptions. Cheap to clone; delivery ends with the last clone.
#[derive(Clone)]
pub struct Delivery {
    inner: Arc<Inner>,
}

/// The newest event that any subscriber had, by what the store knows: what [`EventLog::open`] has to know.
pub async fn newest_seen(store: &dyn Store) -> Result<u64, StoreError> {
    let places = places::read(store).await?;
    let made = read_documents(store).await?.into_iter().filter_map(|s| s.since);
    Ok(places.into_values().chain(made).max().unwrap_or(0))
}

impl Delivery {
    /// Reads subscriptions from the store and starts to deliver what is in the log, and what comes.
    pub async fn start(
        store: Arc<dyn Store>,
        log: Arc<EventLog>,
        settings: Settings,
        look: impl Look + 'static,
    ) -> Result<Self, StoreError> {
        let timing = Timing { attempts: settings.attempts, interval: settings.interval, ..Timing::default() };
        Self::start_with(store, log, settings.local, Box::new(look), timing, true).await
    }

    /// One that keeps subscriptions and sends nothing anywhere.
    pub async fn nowhere(store: Arc<dyn Store>, look: impl Look + 'static) -> Result<Self, StoreError> {
        let made =
            Self::start_with(store, EventLog::in_memory(0), true, Box::new(look), Timing::default(), false).await?;
        made.inner.closing.cancel();
        Ok(made)
    }

    async fn start_with(
        store: Arc<dyn Store>,
        log: Arc<EventLog>,
        local: bool,
        look: Box<dyn Look>,
        timing: Timing,
        posts: bool,
    ) -> Result<Self, StoreError> {
        let local = Arc::new(AtomicBool::new(local));
        let poster = posts.then(|| Poster::new(&local, timing.attempt)).transpose();
        let poster = ArcSwapOption::from_pointee(poster.map_err(|e| StoreError::Io(format!("no HTTP client: {e}")))?);
        let inner = Arc::new(Inner {
            store,
            log,
            look,
            poster,
            timing: ArcSwap::from_pointee(timing),
            local,
            subscribers: Mutex::default(),
            streams: streams::Streams::default(),
            closing: CancellationToken::new(),
            runtime: tokio::runtime::Handle::current(),
            changing: tokio::sync::Mutex::new(()),
        });
        let places = places::read(&*inner.store).await?;
        for subscription in read_documents(&*inner.store).await? {
            let at = places.get(&subscription.id).copied().or(subscription.since);
            inner.keep(subscription, at);
        }
        tokio::spawn(places::keep(Arc::downgrade(&inner)));
        Ok(Self { inner })
    }

    /// The log that is delivered from.
    pub fn log(&self) -> &Arc<EventLog> {
        &self.inner.log
    }

    /// The newest events that the account `owner` may see, at the door of a node those of that node; oldest first.
    pub fn recent(&self, owner: &str, door: Option<&NodeId>) -> Vec<Arc<Record>> {
        let mut all = self.inner.log.recent();
        all.retain(|event| self.inner.sees(owner, door, event));
        all
    }

    /// New settings; they count for what is being delivered too.
    pub fn reconfigure(&self, settings: Settings) {
        if self.inner.local.swap(settings.local, Ordering::Relaxed) != settings.local
            && self.inner.poster.load().is_some()
        {
            // Connections that are kept may lead where nobody may go any more.
            match Poster::new(&self.inner.local, self.timing().attempt) {
                Ok(poster) => self.inner.poster.store(Some(Arc::new(poster))),
                Err(error) => tracing::error!(%error, "no new HTTP client: connections that are kept go on"),
            }
        }
        let timing = Timing { attempts: settings.attempts, interval: settings.interval, ..**self.inner.timing.load() };
        self.inner.timing.store(Arc::new(timing));
    }

    /// How often and how long delivery is tried.
    pub fn timing(&self) -> Timing {
        **self.inner.timing.load()
    }

    /// Ends all streams, and opens no more.
    pub fn end_streams(&self) {
        self.inner.closing.cancel();
    }

    /// Ends streams and tasks, and keeps how far each subscriber has come.
    pub async fn stop(&self) {
        self.inner.closing.cancel();
        for subscriber in self.inner.subscribers().values_mut() {
            if let Some(task) = subscriber.task.take() {
                task.abort();
            }
        }
        places::save(&self.inner, &mut BTreeMap::new()).await;
        self.inner.log.sync().await;
    }

    /// All, by id.
    pub fn list(&self) -> Vec<Arc<Subscription>> {
        self.inner.subscribers().values().map(|s| Arc::clone(&s.subscription)).collect()
    }

    /// One.
    pub fn get(&self, id: &str) -> Option<Arc<Subscription>> {
        self.inner.get(id)
    }

    /// How it goes.
    pub fn health(&self, id: &str) -> Option<Health> {
        let health = self.inner.subscribers().get(id).map(|s| Arc::clone(&s.health))?;
        let health = health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(health)
    }

    /// Makes a subscription; its first event is the next one.
    pub async fn create(&self, new: NewSubscription) -> Result<Arc<Subscription>, SubscriptionError> {
        check::destination(&new.destination, self.inner.local.load(Ordering::Relaxed))?;
        check::context(new.context.as_deref())?;
        check::headers(&new.headers)?;
        let _one = self.inner.changing.lock().await;
        if self.inner.subscribers().len() >= MAX_SUBSCRIPTIONS {
            return Err(SubscriptionError::Full);
        }
        let since = self.inner.log.newest();
        let mut subscription = Subscription::new(new, since);
        subscription.revision = self.inner.write(&subscription, Expect::Absent).await?;
        Ok(self.inner.keep(subscription, Some(since)))
    }

    /// Changes a subscription; `expect`: the revision that `If-Match` named.
    pub async fn change(
        &self,
        id: &str,
        patch: SubscriptionPatch,
        expect: Option<u64>,
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        if let Some(context) = &patch.context {
            check::context(context.as_deref())?;
        }
        if let Some(headers) = &patch.headers {
            check::headers(headers)?;
        }
        self.inner
            .change(id, expect, |subscription| {
                let asked = &mut subscription.asked;
                asked.context = patch.context.unwrap_or_else(|| asked.context.take());
                asked.retry = patch.retry.unwrap_or(asked.retry);
                asked.verify_certificate = patch.verify_certificate.unwrap_or(asked.verify_certificate);
                if let Some(headers) = patch.headers {
                    asked.headers = headers;
                }
            })
            .await
    }

    /// Sends a subscriber nothing until somebody resumes it.
    pub async fn suspend(&self, id: &str, reason: &str) -> Result<Arc<Subscription>, SubscriptionError> {
        let suspension = Suspension { reason: reason.to_owned(), since: OffsetDateTime::now_utc() };
        self.inner.change(id, None, |s| s.suspended = Some(s.suspended.take().unwrap_or(suspension))).await
    }

    /// Lets a suspended subscription have events again: those that it has missed and the log still has, or of them only
    /// those that are not older than `buffered`.
    pub async fn resume(&self, id: &str, buffered: Option<Duration>) -> Result<Arc<Subscription>, SubscriptionError> {
        let leave_out = |place: &Place| match buffered {
            None => {}
            Some(Duration::ZERO) => place.reach(self.inner.log.newest()),
            Some(age) => place.leave_out_before(OffsetDateTime::now_utc() - age),
        };
        self.inner.change_and(id, None, |subscription| subscription.suspended = None, leave_out).await
    }

    /// Removes a subscription; nothing is sent afterwards.
    pub async fn remove(&self, id: &str, expect: Option<u64>) -> Result<(), SubscriptionError> {
        self.inner.remove(id, expect).await
    }
}

impl Inner {
    /// Whether the account may see the event, through the door of a node if it is `door`.
    fn sees(&self, owner: &str, door: Option<&NodeId>, event: &Record) -> bool {
        door.is_none_or(|node| event.node.as_ref() == Some(node)) && self.look.sees(owner, event)
    }

    fn subscribers(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Subscriber>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: &str) -> Option<Arc<Subscription>> {
        self.subscribers().get(id).map(|s| Arc::clone(&s.subscription))
    }

    /// Puts a subscription in force: one that is suspended has no task, any other has one. `at`: the place of one that
    /// is not known yet; `None`: the end of the log.
    fn keep(self: &Arc<Self>, subscription: Subscription, at: Option<u64>) -> Arc<Subscription> {
        let subscription = Arc::new(subscription);
        let mut subscribers = self.subscribers();
        let id = Arc::clone(&subscription.id);
        let active = subscription.suspended.is_none() && self.poster.load().is_some() && !self.closing.is_cancelled();
        match subscribers.get_mut(&id) {
            // Its task looks the subscription up with each event.
            Some(subscriber) if subscriber.task.is_some() == active => {
                subscriber.subscription = Arc::clone(&subscription);
            }
            known => {
                let (health, place) = match known {
                    Some(old) => (Arc::clone(&old.health), Arc::clone(&old.place)),
                    None => (Arc::default(), Place::new(at.unwrap_or_else(|| self.log.newest()))),
                };
                let task = active.then(|| {
                    let run = task::run(Arc::downgrade(self), Arc::clone(&id), Arc::clone(&place), Arc::clone(&health));
                    self.runtime.spawn(run).abort_handle()
                });
                task::note(&health, |health| {
                    health.failing = subscription.suspended.as_ref().map(|suspension| suspension.reason.clone());
                });
                let subscriber = Subscriber { subscription: Arc::clone(&subscription), health, place, task };
                subscribers.insert(id, subscriber);
            }
        }
        subscription
    }

    async fn change(
        self: &Arc<Self>,
        id: &str,
        expect: Option<u64>,
        change: impl FnOnce(&mut Subscription),
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        self.change_and(id, expect, change, |_| {}).await
    }

    /// Changes a subscription, and its place once the change is stored and before it counts.
    async fn change_and(
        self: &Arc<Self>,
        id: &str,
        expect: Option<u64>,
        change: impl FnOnce(&mut Subscription),
        then: impl FnOnce(&Place),
    ) -> Result<Arc<Subscription>, SubscriptionError> {
        let _one = self.changing.lock().await;
        let before = self.get(id).ok_or_else(|| SubscriptionError::NotFound(id.to_owned()))?;
        if expect.is_some_and(|revision| revision != before.revision) {
            return Err(SubscriptionError::Changed);
        }
        let mut subscription = Subscription::clone(&before);
        change(&mut subscription);
        if subscription == *before {
            return Ok(before);
        }
        subscription.revision = self.write(&subscription, Expect::Revision(before.revision)).await?;
        let place = self.subscribers().get(id).map(|s| Arc::clone(&s.place));
        if let Some(place) = place {
            then(&place);
        }
        Ok(self.keep(subscription, None))
    }

    async fn remove(&self, id: &str, expect: Option<u64>) -> Result<(), SubscriptionError> {
        let _one = self.changing.lock().await;
        let before = self.get(id).ok_or_else(|| SubscriptionError::NotFound(id.to_owned()))?;
        if expect.is_some_and(|revision| revision != before.revision) {
            return Err(SubscriptionError::Changed);
        }
        self.store.delete(Kind::Subscription, id, Expect::Any, Safety::PowerLoss).await?;
        self.subscribers().remove(id);
        Ok(())
    }

    async fn write(&self, subscription: &Subscription, expect: Expect) -> Result<u64, SubscriptionError> {
        let document = subscription.document();
        let id = &subscription.id;
        match store::write(&*self.store, Kind::Subscription, id, expect, &document, Safety::PowerLoss).await {
            Err(StoreError::Conflict { .. }) => Err(SubscriptionError::Changed),
            other => Ok(other?),
        }
    }
}
