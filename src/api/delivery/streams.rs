//! Server-sent events (HTML Living Standard, "Server-sent events"; DSP0266, "Event message SSE stream").
//!
//! A stream has a place in the log as a subscriber has, but nobody keeps it: a client that comes back says itself how
//! far it was (`Last-Event-ID`). What a client does not take is not made: the stream waits, and others don't.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::{Stream, stream};
use time::OffsetDateTime;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Delivery, Inner, filter::Query, record::Record};
use crate::model::NodeId;

/// Streams open at once.
pub const MAX_STREAMS: usize = 256;
/// Of these, streams of one account.
pub const MAX_OWN: usize = 64;
/// Something is sent at least that often: proxies and clients end connections that are silent.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often it is looked whether the client may still listen.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Events that are taken from the log in one go.
const LOOK: usize = 256;
/// As with subscribers: a burst is sent in a few pieces.
const REST: Duration = Duration::from_millis(20);

/// Why no stream was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// There are too many.
    #[error("there are already {MAX_STREAMS} event streams, or {MAX_OWN} of that account")]
    Full,
    /// The service ends.
    #[error("the service is stopping")]
    Stopping,
}

/// What a client asks for.
pub struct NewStream {
    /// Account: it gets what that may see.
    pub owner: Arc<str>,
    /// The client's address and port.
    pub peer: String,
    /// The node whose door it is opened at: it gets the events of that node alone.
    pub door: Option<NodeId>,
    /// `$filter`
    pub filter: Option<Query>,
    /// `Last-Event-ID`, as sent.
    pub last: Option<String>,
    /// Whether the client may still listen.
    pub rights: Box<dyn Fn() -> bool + Send>,
}

/// A stream that is open.
#[derive(Debug)]
pub struct OpenStream {
    /// For URIs.
    pub id: Arc<str>,
    /// Account.
    pub owner: Arc<str>,
    /// The client's address and port.
    pub peer: String,
    /// The node whose door it was opened at.
    pub door: Option<NodeId>,
    /// Since when.
    pub created: OffsetDateTime,
    end: CancellationToken,
}

/// Those that are open.
#[derive(Default)]
pub(super) struct Streams(Mutex<BTreeMap<Arc<str>, Arc<OpenStream>>>);

impl Streams {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<OpenStream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's side of things; gone with the connection.
struct Listener {
    inner: Weak<Inner>,
    own: Arc<OpenStream>,
    newest: watch::Receiver<u64>,
    closing: CancellationToken,
    filter: Option<Query>,
    rights: Box<dyn Fn() -> bool + Send>,
    at: u64,
    /// It is to be told that events are gone.
    lost: bool,
    greeted: bool,
    sent: Instant,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.streams.all().remove(&self.own.id);
        }
    }
}

impl Delivery {
    /// Opens a stream: pieces of text, until the client's rights, the service or the stream's resource end.
    pub fn stream(&self, new: NewStream) -> Result<impl Stream<Item = String> + Send + use<>, StreamError> {
        let inner = &self.inner;
        if inner.closing.is_cancelled() {
            return Err(StreamError::Stopping);
        }
        let own = Arc::new(OpenStream {
            id: Arc::from(format!("sse-{:016x}", rand::random::<u64>())),
            owner: new.owner,
            peer: new.peer,
            door: new.door,
            created: OffsetDateTime::now_utc(),
            end: CancellationToken::new(),
        });
        {
            let mut all = inner.streams.all();
            if all.len() >= MAX_STREAMS || all.values().filter(|s| s.owner == own.owner).count() >= MAX_OWN {
                return Err(StreamError::Full);
            }
            all.insert(Arc::clone(&own.id), Arc::clone(&own));
        }
        let newest = inner.log.newest();
        let (at, lost) = match new.last.as_deref().map(|last| last.trim().parse::<u64>()) {
            None => (newest, false),
            Some(Ok(last)) if last <= newest => (last, false),
            // Not one of ours, or of a log that is gone.
            Some(_) => (newest, true),
        };
        let listener = Listener {
            inner: Arc::downgrade(inner),
            own,
            newest: inner.log.watch(),
            closing: inner.closing.clone(),
            filter: new.filter,
            rights: new.rights,
            at,
            lost,
            greeted: false,
            sent: Instant::now(),
        };
        Ok(stream::unfold(listener, |mut listener| async move { listener.next().await.map(|text| (text, listener)) }))
    }

    /// Open streams, by id.
    pub fn streams(&self) -> Vec<Arc<OpenStream>> {
        self.inner.streams.all().values().map(Arc::clone).collect()
    }

    /// Ends a stream; false: there is none of that id.
    pub fn end_stream(&self, id: &str) -> bool {
        self.inner.streams.all().remove(id).inspect(|own| own.end.cancel()).is_some()
    }
}

impl Listener {
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.greeted, true) {
            // No empty line after comments: some clients take that for an event without data.
            return Some(": rackfish\n".to_owned());
        }
        loop {
            if self.own.end.is_cancelled() || self.closing.is_cancelled() || !(self.rights)() {
                return None;
            }
            let upto = *self.newest.borrow_and_update();
            if upto > self.at || self.lost {
                tokio::time::sleep_until(self.sent + REST).await;
                if let Some(text) = self.events(upto).await? {
                    self.sent = Instant::now();
                    return Some(text);
                }
                continue;
            }
            tokio::select! {
                () = self.own.end.cancelled() => return None,
                () = self.closing.cancelled() => return None,
                changed = self.newest.changed() => changed.ok()?,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if self.sent.elapsed() >= HEARTBEAT && (self.rights)() {
                        self.sent = Instant::now();
                        return Some(": still here\n".to_owned());
                    }
                }
            }
        }
    }

    /// The next events that are wanted, as text. `None`: the service is gone.
    #[allow(clippy::option_option)]
    async fn events(&mut self, upto: u64) -> Option<Option<String>> {
        let inner = self.inner.upgrade()?;
        let batch = match inner.log.read(self.at, LOOK).await {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(stream = %self.own.id, %error, "a part of the event log can't be read");
                self.at = inner.log.beyond(self.at);
                self.lost = true;
                return Some(None);
            }
        };
        let reached = batch.records.last().map_or(upto, |last| last.id).max(self.at);
        let mut lost = std::mem::take(&mut self.lost) || batch.lost;
        if lost {
            tracing::warn!(stream = %self.own.id, "a listener was away for too long: the oldest events are gone, and it is told so");
        }
        let wanted = |event: &Arc<Record>| {
            self.filter.as_ref().is_none_or(|filter| filter.wants(event))
                && inner.sees(&self.own.owner, self.own.door.as_ref(), event)
        };
        let mut text = String::new();
        let mut say = |id: u64, events: &[Arc<Record>], lost: bool| {
            let payload = inner.look.payload(id, events, lost, Some(&self.own.id));
            // Writing into a String can't fail.
            write!(text, "id: {id}\ndata: {payload}\n\n").unwrap_or_default();
        };
        for event in batch.records.iter().filter(|event| wanted(event)) {
            say(event.id, std::slice::from_ref(event), std::mem::take(&mut lost));
        }
        if lost {
            say(reached, &[], true);
        }
        self.at = reached;
        Some((!text.is_empty()).then_some(text))
    }
}
