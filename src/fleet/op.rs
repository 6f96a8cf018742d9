//! Operations: what a face can ask of the fleet, and what comes back.

use std::{sync::Arc, time::Duration};

use crate::model::{
    Act, Aspect, BootPatch, ChassisId, EndpointId, Fact, Fault, Led, MediaInsert, NodeId, Ref, ResetType, Role, Stated,
};

use super::view::NodeView;

/// What an operation is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A node, or one layer of it.
    Node(NodeId, Layer),
    /// A bare unit: an outlet that feeds no node, or a face that switches outlets.
    Unit(Ref),
    /// An enclosure: all its nodes and its own units.
    Chassis(ChassisId),
    /// A configured device.
    Endpoint(EndpointId),
}

/// Which of a node's power layers is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Layer {
    /// What makes the node run or not: the host if there is one, else the feeds.
    Effective,
    /// The host unit alone.
    Host,
    /// The feeds alone.
    Mains,
    /// One of its units alone: what a face that switches outlets asks for.
    Unit(Ref),
}

/// A condition checked under the node's lock, right before a write: how `If-Match` becomes part of it.
pub type Precondition = Option<Arc<dyn Fn(&NodeView) -> bool + Send + Sync>>;

/// What to do.
#[derive(Clone)]
pub enum Op {
    /// Power, on a node (all layers as the table in `docs/ARCHITECTURE.md` says).
    Reset(ResetType),
    /// Change the boot override of a node.
    Boot(BootPatch, Precondition),
    /// Set the identification light of a node.
    Indicator(Led, Precondition),
    /// Set the asset tag that rackfish keeps for a node.
    AssetTag(String, Precondition),
    /// Read something from a node's host (or a unit) now: joins a read under way.
    Observe(Aspect),
    /// Empty the host's event log.
    ClearLog,
    /// Insert an image into a slot for virtual media of a node's host, and see it there.
    InsertMedia(Box<MediaInsert>, Precondition),
    /// Empty a slot for virtual media; an empty one stays as it is.
    EjectMedia(String, Precondition),
    /// One act on a bare unit, verified as its caps allow.
    Act(Act),
    /// Refuse starts of a node, or stop all traffic to an endpoint. Durable.
    Hold {
        /// For people.
        reason: String,
        /// Ends by itself.
        until: Option<time::OffsetDateTime>,
    },
    /// End a hold.
    Release,
    /// Try an endpoint again now, whatever its breaker or its refused credentials say.
    Retry,
}

/// How fresh an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// Whatever is known.
    Cached,
    /// Read after the call, within that time: joins a read under way.
    Within(Duration),
}

/// What an operation brought.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Done, and seen to be done as far as the hardware can show it.
    Done,
    /// Still running when the caller's patience ended: the task to ask.
    Running {
        /// Task id.
        task: Arc<str>,
    },
    /// What was read.
    Facts(Vec<Stated<Fact>>),
}

impl OpError {
    /// Whether the operation was refused for what the node is, or for what somebody or something else has decided: it
    /// was never begun, and the request was sound.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotOffered { .. }
                | Self::Held { .. }
                | Self::ObserveOnly { .. }
                | Self::InUse { .. }
                | Self::Conflict { .. }
                | Self::TooLate { .. }
        )
    }

    /// Whether the request itself was wrong, or outdated: nothing that happened to a node.
    pub fn is_of_the_request(&self) -> bool {
        matches!(
            self,
            Self::NotFound(_)
                | Self::Forbidden { .. }
                | Self::BadValue { .. }
                | Self::PreconditionFailed
                | Self::Stopping
        )
    }
}

/// Why an operation was refused or failed. The one place that faces map to their status codes from.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpError {
    /// No such node, unit or endpoint, or not one that the account may see.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The account may look, not touch.
    #[error("{principal} may not do that (role {role})")]
    Forbidden {
        /// Account.
        principal: Arc<str>,
        /// Its role.
        role: Role,
    },
    /// The target can't do that; `offered` is what it can.
    #[error("{what} is not offered by {target}; it offers {}", .offered.join(", "))]
    NotOffered {
        /// The target's name.
        target: String,
        /// What was asked.
        what: String,
        /// What could be asked instead.
        offered: Vec<String>,
    },
    /// A value that makes no sense for the property.
    #[error("{value:?} is not a value of {property}: {reason}")]
    BadValue {
        /// Property or parameter.
        property: &'static str,
        /// As sent.
        value: String,
        /// Why not.
        reason: String,
    },
    /// Somebody holds it: starts are refused until it is released.
    #[error("{target} is held by {owner}: {reason}")]
    Held {
        /// Node or endpoint.
        target: String,
        /// Who.
        owner: Arc<str>,
        /// Why.
        reason: String,
    },
    /// The endpoint, or all of rackfish, is only to observe.
    #[error("{endpoint} is observed only: nothing was switched")]
    ObserveOnly {
        /// Endpoint.
        endpoint: String,
    },
    /// Something else is in it.
    #[error("{what} is taken by {by}")]
    InUse {
        /// Slot.
        what: String,
        /// What is in it.
        by: String,
    },
    /// Something else runs on the target.
    #[error("{running} is under way on {target}")]
    Conflict {
        /// Node.
        target: String,
        /// What runs.
        running: String,
    },
    /// The node's controller boots after mains came on: ask again. Ironic does, for 60 s.
    #[error("the controller of {target} is still starting after mains came on")]
    ControllerBooting {
        /// Node.
        target: String,
        /// When it is worth asking again.
        retry_after: Duration,
    },
    /// A later ForceOff made an end of it.
    #[error("cancelled by {by}")]
    Cancelled {
        /// The operation that did.
        by: String,
    },
    /// The endpoint can't be used now: dead, breaker open, credentials refused, busy.
    #[error("{endpoint}: {fault}")]
    Endpoint {
        /// Which.
        endpoint: EndpointId,
        /// Which unit of it.
        unit: String,
        /// Why.
        fault: Fault,
    },
    /// The device took the command but does not show its effect.
    #[error("{unit} of {endpoint} took the command but still shows {shows} after {waited:?}")]
    NotConfirmed {
        /// Which.
        endpoint: EndpointId,
        /// Which unit of it.
        unit: String,
        /// What it shows.
        shows: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The answer was lost and reading could not tell what happened. Never repeated by itself.
    #[error("outcome unknown at {endpoint}: {fault}")]
    Uncertain {
        /// Which.
        endpoint: EndpointId,
        /// Why.
        fault: Fault,
    },
    /// A start that would come too late for its client.
    #[error("the start would have to wait {retry_after:?}")]
    TooLate {
        /// When to ask again.
        retry_after: Duration,
    },
    /// A hook failed or took too long.
    #[error("hook of {target}: {cause}")]
    Hook {
        /// Node.
        target: String,
        /// What it said.
        cause: String,
    },
    /// `If-Match` did not.
    #[error("the resource has changed since it was read")]
    PreconditionFailed,
    /// What had to be kept could not be; nothing was switched.
    #[error("the intent could not be stored: {0}")]
    Store(String),
    /// rackfish is stopping.
    #[error("rackfish is stopping")]
    Stopping,
}
