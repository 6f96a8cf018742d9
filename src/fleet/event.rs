//! What happened: for subscriptions, logs and the audit trail.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::model::{EndpointId, Face, NodeId, Origin, PowerState};

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// Grows by one with each.
    pub id: u64,
    /// When.
    pub at: OffsetDateTime,
    /// What.
    pub what: What,
    /// Who caused it, if somebody did.
    pub who: Option<Cause>,
}

/// Who caused an event.
#[derive(Debug, Clone)]
pub struct Cause {
    /// Account.
    pub principal: Arc<str>,
    /// Interface.
    pub face: Face,
    /// Request id.
    pub request: Arc<str>,
}

/// Kinds of events.
#[derive(Debug, Clone)]
pub enum What {
    /// A node's power state changed.
    Power {
        /// Node.
        node: NodeId,
        /// Before.
        old: Option<PowerState>,
        /// Now.
        new: Option<PowerState>,
        /// How we know.
        origin: Origin,
    },
    /// An operation ended.
    Operation {
        /// Node or unit.
        target: String,
        /// As asked.
        op: String,
        /// `None`: well.
        error: Option<String>,
    },
    /// An endpoint went away or came back.
    Endpoint {
        /// Which.
        endpoint: EndpointId,
        /// `None`: it answers.
        fault: Option<String>,
    },
    /// A boot override was set, used or cleared.
    Boot {
        /// Node.
        node: NodeId,
        /// Readable.
        text: String,
    },
    /// A hold was set or ended.
    Hold {
        /// Node or endpoint.
        target: String,
        /// Readable.
        text: String,
    },
    /// The configuration was reloaded, or a reload refused.
    Config {
        /// Readable.
        text: String,
    },
}
