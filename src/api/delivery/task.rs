//! One subscriber's task: its own place in the stream, its own retries, its own end.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    mpsc,
};

use super::{Health, Inner, RetryPolicy, Subscription, SubscriptionError, Suspension};
use crate::fleet::Event;

/// How long and how often delivery is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Longest time for one attempt, from the name's resolution to the answer's head.
    pub attempt: Duration,
    /// Pauses before the retries (`DeliveryRetryAttempts` is their number). A restart of the destination fits in.
    pub pauses: [Duration; 3],
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(10),
            pauses: [Duration::from_secs(2), Duration::from_secs(15), Duration::from_mins(1)],
        }
    }
}

/// Ends when the subscription is suspended or gone.
pub(super) async fn run(
    inner: Weak<Inner>,
    id: Arc<str>,
    mut events: Receiver<Event>,
    mut tests: mpsc::Receiver<Value>,
    health: Arc<Mutex<Health>>,
) {
    loop {
        let (event, body) = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => (Some(event), None),
                Err(RecvError::Lagged(missed)) => {
                    note(&health, |health| health.lost = health.lost.saturating_add(missed));
                    tracing::warn!(subscription = %id, missed, "a subscriber is too slow and has lost events");
                    continue;
                }
                Err(RecvError::Closed) => return,
            },
            Some(body) = tests.recv() => (None, Some(body)),
        };
        let Some(inner) = inner.upgrade() else { return };
        let Some(subscription) = inner.get(&id) else { return };
        let body = body.or_else(|| event.and_then(|event| (inner.render)(&event, &subscription)));
        let Some(body) = body else { continue };
        if let Err(reason) = deliver(&inner, subscription, &body, &health).await {
            tracing::warn!(subscription = %id, reason, "events can't be delivered");
            if end(&inner, &id, reason).await {
                return;
            }
        }
    }
}

/// Delivers one body, with retries. An error: they are used up.
async fn deliver(
    inner: &Arc<Inner>,
    mut subscription: Arc<Subscription>,
    body: &Value,
    health: &Mutex<Health>,
) -> Result<(), String> {
    let mut pauses = inner.timing.pauses.iter();
    let mut pause = Duration::ZERO;
    loop {
        let Err(reason) = inner.poster.post(&subscription, body).await else {
            note(health, |health| {
                health.delivered = health.delivered.saturating_add(1);
                health.failing = None;
            });
            return Ok(());
        };
        note(health, |health| health.failing = Some(reason.clone()));
        pause = match (pauses.next(), subscription.retry) {
            (Some(next), _) => *next,
            (None, RetryPolicy::RetryForever) => pause,
            (None, _) => return Err(format!("given up after {} retries: {reason}", inner.timing.pauses.len())),
        };
        tracing::debug!(subscription = %subscription.id, reason, ?pause, "an event will be sent again");
        tokio::time::sleep(pause).await;
        // Headers or policy may have been mended meanwhile.
        subscription = inner.get(&subscription.id).ok_or("removed")?;
    }
}

/// What the subscription's policy wants after the last retry. False: that could not be kept, so it goes on.
async fn end(inner: &Arc<Inner>, id: &str, reason: String) -> bool {
    let policy = inner.get(id).map(|subscription| subscription.retry);
    let done = if policy == Some(RetryPolicy::TerminateAfterRetries) {
        // This very task is stopped by its removal from the table: not before that is done.
        let (inner, id) = (Arc::clone(inner), id.to_owned());
        tokio::spawn(async move { inner.remove(&id, None).await }).await.unwrap_or(Ok(()))
    } else {
        let suspension = Suspension { reason, since: OffsetDateTime::now_utc() };
        let (inner, id) = (Arc::clone(inner), id.to_owned());
        let suspend = async move { inner.change(&id, None, |s| s.suspended = Some(suspension)).await.map(drop) };
        tokio::spawn(suspend).await.unwrap_or(Ok(()))
    };
    match done {
        Ok(()) | Err(SubscriptionError::NotFound(_)) => true,
        Err(e) => {
            tracing::error!(subscription = id, error = %e, "a subscription can't be suspended");
            false
        }
    }
}

/// Changes what is known of a subscriber's health.
pub(super) fn note(health: &Mutex<Health>, change: impl FnOnce(&mut Health)) {
    change(&mut health.lock().unwrap_or_else(PoisonError::into_inner));
}
