//! The journal of operations: intent, step and deadline are stored before each step, the end before it is told.
//!
//! One document a node: its operation under way, or the last one with its end. What is found under way at start is
//! finished or failed (`fleet::recover`); an end that is a moment old answers a client that sends its request again
//! because the answer was lost with the process. An operation that was promised with a task while it still waited for
//! its turn has a document of its own until it begins.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    clock,
    lane::Operation,
    op::{Layer, OpError},
    plan::Step,
};
use crate::{
    model::{EndpointId, Fault, NodeId, ResetType},
    store::{Expect, Kind, Safety, Store, StoreError},
};

/// An operation that waits for its turn is still wanted that long after its client was promised it.
const PROMISE: std::time::Duration = std::time::Duration::from_mins(10);

/// An operation, under way or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Operation id.
    pub id: String,
    /// What was asked.
    pub reset: ResetType,
    /// Of which layer: `effective`, `host`, `mains`, `unit:ENDPOINT/UNIT`.
    pub layer: String,
    /// By whom.
    pub principal: String,
    /// With which request.
    pub request: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// When it is too late to do anything but make sure that nothing is left half done.
    #[serde(with = "time::serde::rfc3339")]
    pub deadline: OffsetDateTime,
    /// All steps; none: it was not begun.
    pub steps: Vec<Step>,
    /// The step that was about to be made: it may or may not have been.
    pub at: usize,
    /// What it started from was changed since: an equal request is a new one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
    /// Its end, if it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<End>,
}

/// How and when an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// How.
    pub how: How,
}

/// The ends that make a difference to whoever asks again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// As asked.
    Well,
    /// It was sent, and nothing can tell what it did: not to be sent again by whoever sends a lost request again.
    Unknown {
        /// Which device.
        endpoint: EndpointId,
        /// Why.
        text: String,
    },
    /// Not done; asking again is a new operation.
    Failed,
}

impl How {
    /// From a result.
    pub fn of(result: &Result<(), OpError>) -> Self {
        match result {
            Ok(()) => Self::Well,
            Err(OpError::Uncertain { endpoint, fault }) => {
                let text = if let Fault::Uncertain(text) = fault { text.clone() } else { fault.to_string() };
                Self::Unknown { endpoint: endpoint.clone(), text }
            }
            Err(_) => Self::Failed,
        }
    }

    /// What its task says, when the process that did it ended before it could.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Well => None,
            Self::Unknown { endpoint, text } => Some(format!("outcome unknown at {endpoint}: {text}")),
            Self::Failed => Some("it failed right before a restart of rackfish; its log says why".to_owned()),
        }
    }

    /// What an equal request is told that comes a moment later; `None`: it is a new one.
    pub fn remembered(self) -> Option<Result<(), OpError>> {
        match self {
            Self::Well => Some(Ok(())),
            Self::Unknown { endpoint, text } => {
                Some(Err(OpError::Uncertain { endpoint, fault: Fault::Uncertain(text) }))
            }
            Self::Failed => None,
        }
    }
}

impl Entry {
    /// Of an operation that begins now, or (without steps) waits.
    pub fn of(op: &Operation, steps: Vec<Step>, budget: std::time::Duration) -> Self {
        Self {
            id: op.id.clone(),
            reset: op.reset,
            layer: op.layer.to_word(),
            principal: op.actor.principal.to_string(),
            request: op.actor.request.to_string(),
            started: op.since,
            deadline: clock::wall() + budget,
            steps,
            at: 0,
            outdated: false,
            ended: None,
        }
    }
}

/// What the journal holds of one operation, kept with the operation.
#[derive(Debug, Default)]
pub struct Page {
    /// As it would be stored now; `None` before it begins.
    entry: Option<Entry>,
    /// Every step is stored.
    stored: bool,
    /// It is stored as one that waits.
    waits: bool,
    over: bool,
}

/// Where one operation's page is kept.
pub struct Journal<'a> {
    /// Durable documents.
    pub store: &'a dyn Store,
    /// Whose operation.
    pub node: &'a NodeId,
    /// Which.
    pub op: &'a Operation,
}

impl Journal<'_> {
    /// A step is about to be made. `durable`: it may not be made before this is stored. What has been promised is
    /// stored in any case.
    pub async fn step(&self, entry: &Entry, durable: bool) -> Result<(), StoreError> {
        let mut page = self.op.journal.lock().await;
        page.stored |= durable || page.waits;
        if page.stored {
            self.write(entry).await?;
        }
        page.entry = Some(entry.clone());
        if std::mem::take(&mut page.waits) {
            self.remove_waiting(&entry.id).await?;
        }
        Ok(())
    }

    /// It was taken up after a crash: it is stored already.
    pub async fn taken_up(&self, entry: &Entry) {
        let mut page = self.op.journal.lock().await;
        page.entry = Some(entry.clone());
        page.stored = true;
    }

    /// It was taken up while it waited.
    pub async fn taken_up_waiting(&self) {
        self.op.journal.lock().await.waits = true;
    }

    /// Its client is about to be told that it goes on by itself: from now on it survives us.
    pub async fn promise(&self) -> Result<(), StoreError> {
        let mut page = self.op.journal.lock().await;
        if page.over || page.stored || page.waits {
            return Ok(());
        }
        if let Some(entry) = &page.entry {
            self.write(entry).await?;
            page.stored = true;
        } else {
            let entry = Entry::of(self.op, Vec::new(), PROMISE);
            let key = waiting_key(self.node, &entry.id);
            crate::store::write(self.store, Kind::Operation, &key, Expect::Any, &entry, Safety::PowerLoss).await?;
            page.waits = true;
        }
        Ok(())
    }

    /// An equal request is a new one from now on, for the next process too.
    pub async fn outdated(&self) -> Result<(), StoreError> {
        let page = self.op.journal.lock().await;
        match &page.entry {
            Some(entry) if page.stored => self.write(entry).await,
            Some(_) => Ok(()),
            // It has ended, and is remembered; or it has not begun, and there is nothing of it to delete.
            None => self.store.delete(Kind::Operation, self.node.as_str(), Expect::Any, Safety::PowerLoss).await,
        }
    }

    /// It has ended. Stored before anybody is told, so that a request that is sent again to the next process is known
    /// there.
    pub async fn ended(&self, result: &Result<(), OpError>) -> Result<(), StoreError> {
        let mut page = self.op.journal.lock().await;
        page.over = true;
        if let Some(mut entry) = page.entry.take() {
            entry.ended = Some(End { at: clock::wall(), how: How::of(result) });
            // A disk that does not take it now gets it as soon as it does: an entry that stayed as it was would have the
            // next start do everything once more.
            if let Err(error) = self.write(&entry).await {
                let node = self.node;
                tracing::error!(%node, %error, "the end of an operation is kept in memory until it can be stored");
                let kind = Kind::Operation;
                crate::store::write(self.store, kind, node.as_str(), Expect::Any, &entry, Safety::Behind).await?;
            }
        }
        if std::mem::take(&mut page.waits) {
            self.remove_waiting(&self.op.id).await?;
        }
        Ok(())
    }

    async fn write(&self, entry: &Entry) -> Result<(), StoreError> {
        let entry = &Entry { outdated: self.op.is_outdated(), ..entry.clone() };
        let (kind, safety) = (Kind::Operation, Safety::PowerLoss);
        crate::store::write(self.store, kind, self.node.as_str(), Expect::Any, entry, safety).await.map(|_| ())
    }

    /// Not behind: one that was quick would be found waiting by the next process, and done again.
    async fn remove_waiting(&self, id: &str) -> Result<(), StoreError> {
        self.store.delete(Kind::Operation, &waiting_key(self.node, id), Expect::Any, Safety::PowerLoss).await
    }
}

/// No node's name has a slash in it.
fn waiting_key(node: &NodeId, id: &str) -> String {
    format!("{node}/{id}")
}

/// What the journal held when the process ended.
#[derive(Debug, Default)]
pub struct Left {
    /// A node's operation under way, or its last one.
    pub begun: Vec<(NodeId, Entry)>,
    /// Those that were promised and had not begun, in the order of their arrival.
    pub waiting: Vec<(NodeId, Entry)>,
}

impl Left {
    /// Reads it.
    pub async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let mut left = Self::default();
        for (key, _, entry) in crate::store::read_all::<Entry>(store, Kind::Operation).await? {
            match key.split_once('/') {
                None => left.begun.extend(NodeId::new(&key).ok().map(|node| (node, entry))),
                Some((node, _)) => left.waiting.extend(NodeId::new(node).ok().map(|node| (node, entry))),
            }
        }
        left.waiting.sort_by(|(_, a), (_, b)| (a.started, &a.id).cmp(&(b.started, &b.id)));
        Ok(left)
    }
}

/// A node's operation is no longer of interest. Losing this costs a look after the next start, nothing else.
pub async fn forget(store: &dyn Store, node: &NodeId, waiting: Option<&str>) -> Result<(), StoreError> {
    let key = waiting.map_or_else(|| node.to_string(), |id| waiting_key(node, id));
    store.delete(Kind::Operation, &key, Expect::Any, Safety::Behind).await
}

impl Layer {
    /// The word in journal and audit trail.
    pub fn to_word(&self) -> String {
        match self {
            Self::Effective => "effective".to_owned(),
            Self::Host => "host".to_owned(),
            Self::Mains => "mains".to_owned(),
            Self::Unit(unit) => format!("unit:{unit}"),
        }
    }

    /// From the word in the journal; `None`: not one of ours.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "effective" => Some(Self::Effective),
            "host" => Some(Self::Host),
            "mains" => Some(Self::Mains),
            other => other.strip_prefix("unit:")?.parse().ok().map(Self::Unit),
        }
    }
}
