//! A subscription, and its document in the store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::filter::Filters;
use crate::{
    model::{NodeId, Secret},
    store::{self, Kind, Store, StoreError},
};

/// What happens when an event could not be delivered (`DeliveryRetryPolicy` of EventDestination).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetryPolicy {
    /// After the last retry nothing more is sent until somebody resumes it.
    #[default]
    SuspendRetries,
    /// After the last retry the subscription is removed.
    TerminateAfterRetries,
    /// The same event again at equal intervals, until it gets through.
    RetryForever,
    /// The same event again at growing intervals, until it gets through.
    RetryForeverWithBackoff,
}

impl RetryPolicy {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::TerminateAfterRetries, Self::SuspendRetries, Self::RetryForever, Self::RetryForeverWithBackoff];

    /// The word of the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SuspendRetries => "SuspendRetries",
            Self::TerminateAfterRetries => "TerminateAfterRetries",
            Self::RetryForever => "RetryForever",
            Self::RetryForeverWithBackoff => "RetryForeverWithBackoff",
        }
    }
}

/// A subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// For URIs.
    pub id: Arc<str>,
    /// Revision of the document, for ETags.
    pub revision: u64,
    /// When it was made.
    pub created: OffsetDateTime,
    /// The newest event when it was made: it gets those after it. `None`: made by a version that kept no events.
    pub since: Option<u64>,
    /// What was asked for, with the changes since.
    pub asked: NewSubscription,
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
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewSubscription {
    /// Account that makes it: its events are those that this account may see.
    pub owner: Arc<str>,
    /// Where events are posted.
    pub destination: String,
    /// Sent back with each event.
    pub context: Option<String>,
    /// Which events it gets.
    pub filters: Filters,
    /// `HttpHeaders`: sent with each event, never shown.
    pub headers: Vec<(String, Secret)>,
    /// What happens when events can't be delivered.
    pub retry: RetryPolicy,
    /// Whether the destination's certificate is checked.
    pub verify_certificate: bool,
    /// The node whose door it was made at: it gets the events of that node alone.
    pub door: Option<NodeId>,
}

/// What may be changed; absent members stay.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)] // as in `NewSubscription`
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
    /// How often events were gone before they could be delivered.
    pub lost: u64,
    /// What went wrong with the last attempt; `None`: nothing.
    pub failing: Option<String>,
}

/// The document of a subscription. Headers lie in it as they are sent: the state file is readable for its owner only.
#[derive(Serialize, Deserialize)]
pub(super) struct Document {
    owner: Arc<str>,
    created: i64,
    #[serde(default)]
    since: Option<u64>,
    destination: String,
    context: Option<String>,
    #[serde(default)]
    filters: Option<Filters>,
    headers: Vec<(String, String)>,
    retry: RetryPolicy,
    verify_certificate: bool,
    /// Where filters were, before 0.2.
    #[serde(default, skip_serializing)]
    extra: Map<String, Value>,
    #[serde(default)]
    suspended: Option<Suspension>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    door: Option<NodeId>,
}

impl Subscription {
    /// One that is to be stored: it gets the events after `since`.
    pub fn new(asked: NewSubscription, since: u64) -> Self {
        let id = Arc::from(format!("{:016x}", rand::random::<u64>()));
        Self { id, revision: 0, created: OffsetDateTime::now_utc(), since: Some(since), asked, suspended: None }
    }

    pub(super) fn document(&self) -> Document {
        let asked = self.asked.clone();
        Document {
            owner: asked.owner,
            created: self.created.unix_timestamp(),
            since: self.since,
            destination: asked.destination,
            context: asked.context,
            filters: Some(asked.filters),
            headers: asked.headers.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect(),
            retry: asked.retry,
            verify_certificate: asked.verify_certificate,
            extra: Map::new(),
            suspended: self.suspended.clone(),
            door: asked.door,
        }
    }

    fn from_document(id: &str, revision: u64, mut doc: Document) -> Self {
        let older = doc.extra.remove("filters");
        let filters = doc.filters.or_else(|| older.and_then(|value| serde_json::from_value(value).ok()));
        let asked = NewSubscription {
            owner: doc.owner,
            destination: doc.destination,
            context: doc.context,
            filters: filters.unwrap_or_default(),
            headers: doc.headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
            retry: doc.retry,
            verify_certificate: doc.verify_certificate,
            door: doc.door,
        };
        let created = OffsetDateTime::from_unix_timestamp(doc.created).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self { id: Arc::from(id), revision, created, since: doc.since, asked, suspended: doc.suspended }
    }
}

/// The subscriptions that the store has.
pub(crate) async fn read_documents(store: &dyn Store) -> Result<Vec<Subscription>, StoreError> {
    let all = store::read_all::<Document>(store, Kind::Subscription).await?;
    Ok(all.into_iter().map(|(id, revision, doc)| Subscription::from_document(&id, revision, doc)).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_of_the_first_version_keep_their_filters() {
        let old = json!({
            "owner": "admin", "created": 1, "destination": "https://h/", "context": "c", "event_types": ["Alert"],
            "format": "Event", "headers": [["X-A", "b"]], "retry": "RetryForever", "verify_certificate": true,
            "extra": {"filters": {"destination": "https://h/", "context": "c", "event_types": ["Alert"],
                                  "origin_resources": ["/redfish/v1/Systems/n1"], "principal": "admin"}}
        });
        let read = Subscription::from_document("1", 2, serde_json::from_value(old).unwrap());
        assert_eq!(
            (read.asked.filters.event_types.len(), read.asked.filters.origin_resources.len(), read.since),
            (1, 1, None)
        );
        let text = serde_json::to_value(read.document()).unwrap();
        assert_eq!(Subscription::from_document("1", 2, serde_json::from_value(text).unwrap()), read);
    }
}
