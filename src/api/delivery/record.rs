//! An event as it is kept: what filters and scopes look at, and the members that every subscriber gets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::model::NodeId;

/// One event. What it says was written once, when it happened; who gets it is decided at each delivery.
///
/// Older logs are read: a new member needs a default, and none changes its meaning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Grows with each, across restarts; it may jump.
    #[serde(rename = "i")]
    pub id: u64,
    /// When.
    #[serde(rename = "t", with = "time::serde::timestamp::milliseconds")]
    pub at: OffsetDateTime,
    /// The node it is about; `None`: it is for those who may see all.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Of somebody's task: whose. Others don't see it.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub private: Option<Arc<str>>,
    /// `StatusChange`
    #[serde(rename = "k")]
    pub kind: Box<str>,
    /// `ComputerSystem`
    #[serde(rename = "r")]
    pub resource: Box<str>,
    /// `ResourceEvent.1.4.ResourcePoweredOn`
    #[serde(rename = "m")]
    pub message: Box<str>,
    /// `OK`
    #[serde(rename = "s")]
    pub severity: Box<str>,
    /// URI of what it is about.
    #[serde(rename = "o")]
    pub origin: Box<str>,
    /// Somebody did this to the node, or wanted to: it is in the node's audit trail.
    #[serde(rename = "a", default, skip_serializing_if = "std::ops::Not::not")]
    pub audit: bool,
    /// A JSON object: the members of an `EventRecord`, without those that depend on the subscriber.
    #[serde(rename = "b")]
    pub body: Box<str>,
}

/// `ResourceEvent.1.4.ResourcePoweredOn`: registry and key, without the version.
pub(super) fn registry_and_key(id: &str) -> (&str, &str) {
    let registry = id.split('.').next().unwrap_or_default();
    (registry, id.rsplit('.').next().unwrap_or_default())
}
