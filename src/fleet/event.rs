//! What happened: for subscriptions, logs and the audit trail.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

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
    /// An operation on a node was refused, and nothing was done.
    Refused {
        /// Node.
        node: NodeId,
        /// As asked.
        op: String,
        /// Why.
        error: String,
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
    /// An operation went on as a task, or such a task ended.
    Task {
        /// Its id.
        task: String,
        /// Node; `None`: many.
        node: Option<NodeId>,
        /// Account that asked for it.
        owner: String,
        /// `None`: it has begun.
        ended: Option<Ending>,
    },
    /// The configuration was reloaded, or a reload refused.
    Config {
        /// Readable.
        text: String,
    },
}

/// How a task ended.
#[derive(Debug, Clone)]
pub struct Ending {
    /// `None`: well.
    pub error: Option<String>,
}

/// Events that wait for the recorder, before there is one.
const WAITING: usize = 4096;

/// Who is told of each event before the one who caused it goes on: whatever is told must survive a kill after that.
#[derive(Default)]
pub(super) struct Recorder(Mutex<Told>);

enum Told {
    Nobody(VecDeque<Event>),
    Somebody(Box<dyn Fn(&Event) + Send>),
}

impl Default for Told {
    fn default() -> Self {
        Self::Nobody(VecDeque::new())
    }
}

impl Recorder {
    /// Tells, in the order of the calls.
    pub fn tell(&self, event: &Event) {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Told::Somebody(record) => record(event),
            Told::Nobody(waiting) => {
                if waiting.len() >= WAITING {
                    waiting.pop_front();
                }
                waiting.push_back(event.clone());
            }
        }
    }

    /// From now on `record` is told, of what it has missed first.
    pub fn set(&self, record: Box<dyn Fn(&Event) + Send>) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Told::Nobody(waiting) = &*told {
            waiting.iter().for_each(&record);
        }
        *told = Told::Somebody(record);
    }
}
