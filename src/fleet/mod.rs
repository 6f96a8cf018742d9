//! The waist: nodes, endpoint workers and their policies, operations, overrides, events.
//!
//! Faces ask a [`Fleet`] for [`view`]s (never wait, never fail for a dead device) and [`Fleet::run`] operations on
//! it (answer when the device has really done it, or with the real error). It knows neither HTTP nor SNMP.

pub mod event;
pub mod op;
pub mod view;

pub use event::Event;
pub use op::{Fresh, Layer, Op, OpError, Outcome, Precondition, Target};
pub use view::{BootView, ChassisView, EndpointView, FeedView, Hold, ManagerView, NodeView, OperationView, TaskView};

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::{
    config::Config,
    model::{Actor, NodeId},
};

/// All nodes and endpoints. Cheap to clone; every method but `run` answers from memory.
#[derive(Clone)]
pub struct Fleet {}

#[allow(missing_docs, unused_variables, clippy::todo, clippy::unused_async)]
impl Fleet {
    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        todo!()
    }
    /// Of this installation; the service root's UUID. Node, chassis and manager UUIDs are derived from it.
    pub fn uuid(&self) -> uuid::Uuid {
        todo!()
    }
    /// Names of the nodes that `who` may see, sorted; shared, so that a list of 10,000 costs no copies of names.
    pub fn nodes(&self, who: &Actor) -> Vec<NodeId> {
        todo!()
    }
    /// A node, if `who` may see it. Starts a coalesced refresh of its power when that is older than
    /// `patience.refresh_after`; never waits for it.
    pub fn node(&self, who: &Actor, id: &str) -> Option<NodeView> {
        todo!()
    }
    /// As [`Self::node`], and refreshes the sensors too when they are old.
    pub fn node_with_sensors(&self, who: &Actor, id: &str) -> Option<NodeView> {
        todo!()
    }
    /// The node that has this MAC (any case, colons or dashes).
    pub fn node_by_mac(&self, who: &Actor, mac: &str) -> Option<NodeView> {
        todo!()
    }
    pub fn chassis_list(&self, who: &Actor) -> Vec<ChassisView> {
        todo!()
    }
    pub fn chassis(&self, who: &Actor, id: &str) -> Option<ChassisView> {
        todo!()
    }
    /// rackfish first, then each endpoint that is the host of a node that `who` may see.
    pub fn managers(&self, who: &Actor) -> Vec<ManagerView> {
        todo!()
    }
    pub fn manager(&self, who: &Actor, id: &str) -> Option<ManagerView> {
        todo!()
    }
    pub fn endpoints(&self) -> Vec<EndpointView> {
        todo!()
    }
    pub fn endpoint(&self, id: &str) -> Option<EndpointView> {
        todo!()
    }
    pub fn tasks(&self, who: &Actor) -> Vec<TaskView> {
        todo!()
    }
    pub fn task(&self, who: &Actor, id: &str) -> Option<TaskView> {
        todo!()
    }
    /// The one way to have something done. Answers when the device has really done it, with the real error, or
    /// with [`Outcome::Running`] when `patience.action` has passed. Dropping the future does not stop the operation.
    pub async fn run(&self, who: &Actor, on: Target, op: Op, fresh: Fresh) -> Result<Outcome, OpError> {
        todo!()
    }
    /// What happens from now on. A slow receiver loses the oldest, never slows the fleet.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        todo!()
    }
    /// Puts a new configuration in force: endpoints whose `fingerprint` is unchanged keep their worker, session
    /// and queue.
    pub async fn reconfigure(&self, config: Arc<Config>) {
        todo!()
    }
    /// Lets operations under way end (bounded), closes sessions on devices, flushes the store.
    pub async fn stop(&self) {
        todo!()
    }
}
