//! One subscriber's task: its own place in the log, its own retries, its own end.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::time::Instant;

use super::{Health, Inner, RetryPolicy, Subscription, SubscriptionError, Suspension, places::Place, record::Record};

/// Events that are looked at in one go.
const LOOK: usize = 512;
/// Events in one POST: more than one only for a subscriber that is behind.
const TOGETHER: usize = 32;
/// Between two looks at the log: a thousand events a second are not a thousand rounds of a thousand tasks.
const REST: Duration = Duration::from_millis(20);

/// How long and how often delivery is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Longest time for one attempt, from the name's resolution to the answer's head.
    pub attempt: Duration,
    /// Retries before a subscription is suspended or removed (`DeliveryRetryAttempts`).
    pub attempts: u32,
    /// Pause before each retry (`DeliveryRetryIntervalSeconds`).
    pub interval: Duration,
    /// First and longest pause of `RetryForeverWithBackoff`.
    pub backoff: (Duration, Duration),
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(10),
            attempts: 5,
            interval: Duration::from_secs(15),
            backoff: (Duration::from_secs(1), Duration::from_mins(5)),
        }
    }
}

impl Timing {
    /// The pause before retry `number` (from 0). A little of it is left to chance: a thousand subscribers at one
    /// destination don't come back at one moment.
    pub(super) fn pause(&self, policy: RetryPolicy, number: u32) -> Option<Duration> {
        let pause = match policy {
            RetryPolicy::SuspendRetries | RetryPolicy::TerminateAfterRetries if number >= self.attempts => return None,
            RetryPolicy::RetryForeverWithBackoff => {
                let (first, longest) = self.backoff;
                first.saturating_mul(1_u32.checked_shl(number.min(31)).unwrap_or(u32::MAX)).min(longest)
            }
            _ => self.interval,
        };
        Some(pause.mul_f64(1.0 + 0.1 * rand::random::<f64>()))
    }
}

/// Ends when the subscription is suspended or gone.
pub(super) async fn run(inner: Weak<Inner>, id: Arc<str>, place: Arc<Place>, health: Arc<Mutex<Health>>) {
    let Some(mut newest) = inner.upgrade().map(|inner| inner.log.watch()) else { return };
    loop {
        let upto = *newest.borrow_and_update();
        if upto <= place.at() {
            if newest.changed().await.is_err() {
                return;
            }
            continue;
        }
        let started = Instant::now();
        let Some(inner) = inner.upgrade() else { return };
        if inner.get(&id).is_none() {
            return;
        }
        if let Err(reason) = round(&inner, &id, &place, upto, &health).await {
            tracing::warn!(subscription = %id, reason, "events can't be delivered");
            if end(&inner, &id, reason).await {
                return;
            }
        }
        drop(inner);
        tokio::time::sleep_until(started + REST).await;
    }
}

/// Looks at the next events and delivers those that are wanted. An error: retries are used up.
async fn round(
    inner: &Arc<Inner>,
    id: &Arc<str>,
    place: &Place,
    upto: u64,
    health: &Mutex<Health>,
) -> Result<(), String> {
    let at = place.at();
    let batch = match inner.log.read(at, LOOK).await {
        Ok(batch) => batch,
        Err(error) => {
            // What can't be read is lost for this one, and it goes on behind it.
            tracing::error!(subscription = %id, %error, "a part of the event log can't be read");
            let beyond = inner.log.beyond(at);
            lose(id, health);
            deliver(inner, id, beyond, &[], true, health).await?;
            place.reach(beyond);
            return Ok(());
        }
    };
    let Some(newest) = batch.records.last().map(|record| record.id) else {
        place.reach(upto);
        return Ok(());
    };
    let Some(subscription) = inner.get(id) else { return Ok(()) };
    let wanted = |event: &Arc<Record>| {
        place.takes(event.at)
            && subscription.asked.filters.want(event)
            && inner.sees(&subscription.asked.owner, subscription.asked.door.as_ref(), event)
    };
    let wanted: Vec<Arc<Record>> = batch.records.into_iter().filter(wanted).collect();
    let mut lost = batch.lost;
    if lost {
        lose(id, health);
    }
    for events in wanted.chunks(TOGETHER) {
        let upto = events.last().map_or(newest, |event| event.id);
        deliver(inner, id, upto, events, std::mem::take(&mut lost), health).await?;
        place.reach(upto);
    }
    if lost {
        deliver(inner, id, newest, &[], true, health).await?;
    }
    place.reach(newest);
    Ok(())
}

fn lose(id: &str, health: &Mutex<Health>) {
    note(health, |health| health.lost = health.lost.saturating_add(1));
    tracing::warn!(
        subscription = id,
        "a subscriber was away for too long: the oldest events are gone, and it is told so"
    );
}

/// Delivers one body, with retries. An error: they are used up.
async fn deliver(
    inner: &Arc<Inner>,
    id: &Arc<str>,
    upto: u64,
    events: &[Arc<Record>],
    lost: bool,
    health: &Mutex<Health>,
) -> Result<(), String> {
    let mut number = 0;
    loop {
        // Headers, context or policy may have been mended meanwhile.
        let Some(subscription) = inner.get(id) else { return Ok(()) };
        let Err(reason) = attempt(inner, &subscription, upto, events, lost).await else {
            note(health, |health| {
                health.delivered = health.delivered.saturating_add(u64::try_from(events.len()).unwrap_or(0));
                health.failing = None;
            });
            return Ok(());
        };
        note(health, |health| health.failing = Some(reason.clone()));
        let Some(pause) = inner.timing.load().pause(subscription.asked.retry, number) else {
            return Err(format!("given up after {number} retries: {reason}"));
        };
        if number == 0 {
            tracing::info!(subscription = %subscription.id, reason, "events do not get through; they are sent again");
        }
        number = number.saturating_add(1);
        tracing::debug!(subscription = %subscription.id, reason, ?pause, "an event will be sent again");
        tokio::time::sleep(pause).await;
    }
}

async fn attempt(
    inner: &Inner,
    to: &Subscription,
    upto: u64,
    events: &[Arc<Record>],
    lost: bool,
) -> Result<(), String> {
    let Some(poster) = inner.poster.load_full() else { return Ok(()) };
    poster.post(to, inner.look.payload(upto, events, lost, to.asked.context.as_deref())).await
}

/// What the subscription's policy wants after the last retry. False: that could not be kept, so it goes on.
async fn end(inner: &Arc<Inner>, id: &str, reason: String) -> bool {
    let policy = inner.get(id).map(|subscription| subscription.asked.retry);
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
