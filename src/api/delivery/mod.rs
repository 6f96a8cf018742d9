//! Event subscriptions and their delivery by HTTP POST.
//!
//! What an event looks like is the face's matter: it hands over a `render` function. Here: subscriptions as documents,
//! one task per subscriber with its own place in the stream of events (a slow one loses the oldest and never slows
//! another), bounded retries, and a suspension that says why. Follows the Redfish Specification (DSP0266), "Eventing".

mod check;
mod post;
mod task;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio::sync::{broadcast, mpsc};

use crate::{
    fleet::Event,
    model::Secret,
    store::{self, Expect, Kind, Safety, Store, StoreError},
};
use post::Poster;
pub use task::Timing;

/// Subscriptions kept at once.
pub const MAX_SUBSCRIPTIONS: usize = 1_000;
/// Test events that wait for one subscriber, beside the stream of real ones.
const TESTS: usize = 16;

/// What happens when an event could not be delivered after all retries (`DeliveryRetryPolicy` of EventDestination).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetryPolicy {
    /// No more events until somebody resumes it.
    #[default]
    SuspendRetries,
    /// The subscription is removed.
    TerminateAfterRetries,
    /// The same event again, until it gets through.
    RetryForever,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// For URIs.
    pub id: Arc<str>,
    /// Revision of the document, for ETags.
    pub revision: u64,
    /// Account that made it: its events are those that this account may see.
    pub owner: Arc<str>,
    /// When it was made.
    pub created: OffsetDateTime,
    /// Where events are posted.
    pub destination: String,
    /// Sent back with each event.
    pub context: Option<String>,
    /// Redfish `EventTypes`; empty: all.
    pub event_types: Vec<String>,
    /// `EventFormatType`.
    pub format: String,
    /// `HttpHeaders`: sent with each event, never shown.
    pub headers: Vec<(String, Secret)>,
    /// What happens after the last retry.
    pub retry: RetryPolicy,
    /// Whether the destination's certificate is checked.
    pub verify_certificate: bool,
    /// What else the face wants to keep (further filters).
    pub extra: Map<String, Value>,
    /// Why it gets no more events.
    pub suspended: Option<Suspension>,
}

/// Why and since when a subscription gets no events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Readable.
    pub reason: String,
    /// Since when.
    #[serde(with = "time::serde::timestamp")]
    pub since: OffsetDateTime,
}

/// What a client asks for.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)] // as in `Subscription`
pub struct NewSubscription {
    pub owner: Arc<str>,
    pub destination: String,
    pub context: Option<String>,
    pub event_types: Vec<String>,
    pub format: String,
    pub headers: Vec<(String, Secret)>,
    pub retry: RetryPolicy,
    pub verify_certificate: bool,
    pub extra: Map<String, Value>,
}

/// What may be changed; absent members stay.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)] // as in `Subscription`
pub struct SubscriptionPatch {
    /// `Some(None)` removes it.
    pub context: Option<Option<String>>,
    pub headers: Option<Vec<(String, Secret)>>,
    pub retry: Option<RetryPolicy>,
    pub verify_certificate: Option<bool>,
}

/// How delivery has gone since the start of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Events that the destination has taken.
    pub delivered: u64,
    /// Events that were dropped because the subscriber was too slow.
    pub lost: u64,
    /// What went wrong with the last attempt; `None`: nothing.
    pub failing: Option<String>,
}

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

/// The document of a subscription. Headers lie in it as they are sent: the state file is readable for its owner only.
#[derive(Serialize, Deserialize)]
struct Document {
    owner: Arc<str>,
    created: i64,
    destination: String,
    context: Option<String>,
    event_types: Vec<String>,
    format: String,
    headers: Vec<(String, String)>,
    retry: RetryPolicy,
    verify_certificate: bool,
    #[serde(default)]
    extra: Map<String, Value>,
    #[serde(default)]
    suspended: Option<Suspension>,
}

impl Subscription {
    fn document(&self) -> Document {
        Document {
            owner: Arc::clone(&self.owner),
            created: self.created.unix_timestamp(),
            destination: self.destination.clone(),
            context: self.context.clone(),
            event_types: self.event_types.clone(),
            format: self.format.clone(),
            headers: self.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
            retry: self.retry,
            verify_certificate: self.verify_certificate,
            extra: self.extra.clone(),
            suspended: self.suspended.clone(),
        }
    }

    fn from_document(id: &str, revision: u64, doc: Document) -> Self {
        Self {
            id: Arc::from(id),
            revision,
            owner: doc.owner,
            created: OffsetDateTime::from_unix_timestamp(doc.created).unwrap_or(OffsetDateTime::UNIX_EPOCH),
            destination: doc.destination,
            context: doc.context,
            event_types: doc.event_types,
            format: doc.format,
            headers: doc.headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
            retry: doc.retry,
            verify_certificate: doc.verify_certificate,
            extra: doc.extra,
            suspended: doc.suspended,
        }
    }
}

/// The subscriptions that the store has.
pub(crate) async fn read_documents(store: &dyn Store) -> Result<Vec<Subscription>, StoreError> {
    let all = store::read_all::<Document>(store, Kind::Subscription).await?;
    Ok(all.into_iter().map(|(id, revision, doc)| Subscription::from_document(&id, revision, doc)).collect())
}

type Render = Box<dyn Fn(&Event, &Subscription) -> Option<Value> + Send + Sync>;

/// A subscription, its task and how it goes.
struct Subscriber {
    subscription: Arc<Subscription>,
    health: Arc<Mutex<Health>>,
    tests: mpsc::Sender<Value>,
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
    /// Never read: new subscribers start where it stands now.
    events: broadcast::Receiver<Event>,
    render: Render,
    poster: Poster,
    timing: Timing,
    local: Arc<AtomicBool>,
    subscribers: Mutex<BTreeMap<Arc<str>, Subscriber>>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

/// All subscriptions. Cheap to clone; delivery ends with the last clone.
#[derive(Clone)]
pub struct Delivery {
    inner: Arc<Inner>,
}

impl Delivery {
    /// Reads subscriptions from the store and starts to deliver. `render` makes the body of a POST, or decides that the
    /// event is none of the subscriber's business. `local`: `server.insecure_local_event_destinations`.
    pub async fn start(
        store: Arc<dyn Store>,
        events: broadcast::Receiver<Event>,
        local: bool,
        render: impl Fn(&Event, &Subscription) -> Option<Value> + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        Self::start_with(store, events, local, Box::new(render), Timing::default()).await
    }

    async fn start_with(
        store: Arc<dyn Store>,
        events: broadcast::Receiver<Event>,
        local: bool,
        render: Render,
        timing: Timing,
    ) -> Result<Self, StoreError> {
        let local = Arc::new(AtomicBool::new(local));
        let poster = Poster::new(&local, timing.attempt).map_err(|e| StoreError::Io(format!("no HTTP client: {e}")))?;
        let inner = Arc::new(Inner {
            store,
            events,
            render,
            poster,
            timing,
            local,
            subscribers: Mutex::default(),
            changing: tokio::sync::Mutex::new(()),
        });
        for subscription in read_documents(&*inner.store).await? {
            inner.keep(subscription);
        }
        Ok(Self { inner })
    }

    /// A new value of `server.insecure_local_event_destinations`; counts for deliveries too.
    pub fn reconfigure(&self, local: bool) {
        self.inner.local.store(local, Ordering::Relaxed);
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
        let mut subscription = Subscription {
            id: Arc::from(format!("{:016x}", rand::random::<u64>())),
            revision: 0,
            owner: new.owner,
            created: OffsetDateTime::now_utc(),
            destination: new.destination,
            context: new.context,
            event_types: new.event_types,
            format: new.format,
            headers: new.headers,
            retry: new.retry,
            verify_certificate: new.verify_certificate,
            extra: new.extra,
            suspended: None,
        };
        subscription.revision = self.inner.write(&subscription, Expect::Absent).await?;
        Ok(self.inner.keep(subscription))
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
                subscription.context = patch.context.unwrap_or_else(|| subscription.context.take());
                subscription.retry = patch.retry.unwrap_or(subscription.retry);
                subscription.verify_certificate = patch.verify_certificate.unwrap_or(subscription.verify_certificate);
                if let Some(headers) = patch.headers {
                    subscription.headers = headers;
                }
            })
            .await
    }

    /// Lets a suspended subscription have events again, from the next one on.
    pub async fn resume(&self, id: &str) -> Result<Arc<Subscription>, SubscriptionError> {
        self.inner.change(id, None, |subscription| subscription.suspended = None).await
    }

    /// Removes a subscription; nothing is sent afterwards.
    pub async fn remove(&self, id: &str, expect: Option<u64>) -> Result<(), SubscriptionError> {
        self.inner.remove(id, expect).await
    }

    /// Sends `body` to all that are not suspended and for which it makes one; how many.
    pub fn submit(&self, body: impl Fn(&Subscription) -> Option<Value>) -> usize {
        let subscribers = self.inner.subscribers();
        let active = subscribers.values().filter(|s| s.task.is_some());
        let active: Vec<_> = active.map(|s| (Arc::clone(&s.subscription), s.tests.clone())).collect();
        drop(subscribers);
        active.iter().filter(|(to, inbox)| body(to).is_some_and(|body| inbox.try_send(body).is_ok())).count()
    }
}

impl Inner {
    fn subscribers(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Subscriber>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: &str) -> Option<Arc<Subscription>> {
        self.subscribers().get(id).map(|s| Arc::clone(&s.subscription))
    }

    /// Puts a subscription in force: one that is suspended has no task, any other has one.
    fn keep(self: &Arc<Self>, subscription: Subscription) -> Arc<Subscription> {
        let subscription = Arc::new(subscription);
        let mut subscribers = self.subscribers();
        let id = Arc::clone(&subscription.id);
        let active = subscription.suspended.is_none();
        match subscribers.get_mut(&id) {
            // Its task looks the subscription up with each event.
            Some(subscriber) if subscriber.task.is_some() == active => {
                subscriber.subscription = Arc::clone(&subscription);
            }
            _ => {
                let (tests, inbox) = mpsc::channel(TESTS);
                let health = subscribers.get(&id).map_or_else(Arc::default, |old| Arc::clone(&old.health));
                let task = active.then(|| {
                    let stream = self.events.resubscribe();
                    let run = task::run(Arc::downgrade(self), Arc::clone(&id), stream, inbox, Arc::clone(&health));
                    tokio::spawn(run).abort_handle()
                });
                task::note(&health, |health| {
                    health.failing = subscription.suspended.as_ref().map(|suspension| suspension.reason.clone());
                });
                let subscriber = Subscriber { subscription: Arc::clone(&subscription), health, tests, task };
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
        Ok(self.keep(subscription))
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
