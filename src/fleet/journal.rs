//! The journal of operations: intent, step and deadline are stored before each step.
//!
//! One document a node, for as long as its operation runs. What is found at start is finished or failed
//! (`fleet::recover`).

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{op::Layer, plan::Step};
use crate::{
    model::{NodeId, ResetType},
    store::{Expect, Kind, Safety, Store, StoreError},
};

/// An operation under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Operation id.
    pub id: String,
    /// What was asked.
    pub reset: ResetType,
    /// Of which layer: `effective`, `host`, `mains`.
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
    /// All steps.
    pub steps: Vec<Step>,
    /// The step that was about to be made: it may or may not have been.
    pub at: usize,
}

impl Layer {
    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Effective => "effective",
            Self::Host => "host",
            Self::Mains => "mains",
        }
    }

    /// From the word in the journal.
    pub fn from_word(word: &str) -> Self {
        match word {
            "host" => Self::Host,
            "mains" => Self::Mains,
            _ => Self::Effective,
        }
    }
}

/// Stores the step that comes next.
pub async fn intend(store: &dyn Store, node: &NodeId, entry: &Entry) -> Result<(), StoreError> {
    crate::store::write(store, Kind::Operation, node.as_str(), Expect::Any, entry, Safety::PowerLoss).await.map(|_| ())
}

/// The operation has ended. A disk that does not take that now gets it as soon as it does: an entry that stayed would
/// have the next start do everything once more.
pub async fn ended(store: &dyn Store, node: &NodeId) -> Result<(), StoreError> {
    let key = node.as_str();
    let Err(error) = store.delete(Kind::Operation, key, Expect::Any, Safety::PowerLoss).await else { return Ok(()) };
    tracing::error!(%node, %error, "the end of an operation is kept in memory until it can be stored");
    store.delete(Kind::Operation, key, Expect::Any, Safety::Behind).await
}

/// What was under way when the process ended.
pub async fn left(store: &dyn Store) -> Result<Vec<(NodeId, Entry)>, StoreError> {
    let all = crate::store::read_all::<Entry>(store, Kind::Operation).await?;
    Ok(all.into_iter().filter_map(|(key, _, entry)| NodeId::new(&key).ok().map(|node| (node, entry))).collect())
}
