//! The waist: nodes, endpoint workers and their policies, operations, overrides, events.
//!
//! Faces ask a [`Fleet`] for [`view`]s (never wait, never fail for a dead device) and [`Fleet::run`] operations on
//! it (answer when the device has really done it, or with the real error). It knows neither HTTP nor SNMP.

mod act;
pub mod aggregates;
mod board;
mod clock;
mod crash;
pub mod event;
mod exec;
mod hook;
mod inner;
mod inrush;
mod journal;
mod lane;
mod lifecycle;
mod media;
mod node;
mod observe;
pub mod op;
mod overrides;
mod plan;
mod policy;
mod recover;
mod refusals;
mod reset;
mod restore;
pub mod sweep;
mod tasks;
pub mod view;
mod views;
mod worker;

#[cfg(test)]
pub(crate) mod tests;

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::broadcast;

pub use aggregates::{AggregateError, AggregateView};
pub use event::{Event, What};
pub use inner::EVENTS_KEPT;
pub use op::{Fresh, Layer, Op, OpError, Outcome, Precondition, Target};
pub use sweep::{Sweep, Swept};
pub use view::{
    BootView, ChassisView, Counts, EndpointView, FeedView, Hold, LastStart, ManagerRef, ManagerView, NodeView,
    OperationView, Progress, TaskView,
};

use crate::{
    config::Config,
    model::{Actor, NodeId, Scope},
};

/// All nodes and endpoints. Cheap to clone; every method but `run` answers from memory.
#[derive(Clone)]
pub struct Fleet {
    inner: Arc<inner::Inner>,
}

impl Fleet {
    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.inner.config()
    }

    /// Of this installation; the service root's UUID. Node, chassis and manager UUIDs are derived from it.
    pub fn uuid(&self) -> uuid::Uuid {
        self.inner.uuid
    }

    /// Names of the nodes that `who` may see, sorted.
    pub fn nodes(&self, who: &Actor) -> Vec<NodeId> {
        let config = self.inner.config.load();
        match &*who.scope {
            Scope::All => config.nodes.keys().cloned().collect(),
            scope @ Scope::Some { .. } => config
                .nodes
                .values()
                .filter(|node| scope.covers(&node.id, node.groups.iter()))
                .map(|node| node.id.clone())
                .collect(),
        }
    }

    /// A node, if `who` may see it. Starts a coalesced refresh of its power when that is older than
    /// `patience.refresh_after`; never waits for it.
    pub fn node(&self, who: &Actor, id: &str) -> Option<NodeView> {
        let entry = self.inner.entry(who, id)?;
        self.inner.refresh(&entry.config.load(), false);
        Some(self.inner.node_view(&entry))
    }

    /// As [`Self::node`], and asks no device: for a command, which looks for itself.
    pub fn node_as_known(&self, who: &Actor, id: &str) -> Option<NodeView> {
        let entry = self.inner.entry(who, id)?;
        Some(self.inner.node_view(&entry))
    }

    /// As [`Self::node`], and refreshes the sensors too when they are old.
    pub fn node_with_sensors(&self, who: &Actor, id: &str) -> Option<NodeView> {
        let entry = self.inner.entry(who, id)?;
        self.inner.refresh(&entry.config.load(), true);
        Some(self.inner.node_view(&entry))
    }

    /// As [`Self::node`], and refreshes the slots for virtual media when they are old.
    pub fn node_with_media(&self, who: &Actor, id: &str) -> Option<NodeView> {
        let entry = self.inner.entry(who, id)?;
        self.inner.refresh_media(&entry.config.load());
        Some(self.inner.node_view(&entry))
    }

    /// The node that has this MAC (any case, colons or dashes).
    pub fn node_by_mac(&self, who: &Actor, mac: &str) -> Option<NodeView> {
        let mac = mac.to_ascii_lowercase().replace('-', ":");
        let id = self.inner.index.load().by_mac.get(&mac).cloned()?;
        self.node(who, id.as_str())
    }

    /// All enclosures. One that holds none of the nodes an account is limited to does not exist for it.
    pub fn chassis_list(&self, who: &Actor) -> Vec<ChassisView> {
        let config = self.inner.config.load();
        config.chassis.keys().filter_map(|id| self.chassis(who, id.as_str())).collect()
    }

    /// One enclosure.
    pub fn chassis(&self, who: &Actor, id: &str) -> Option<ChassisView> {
        let config = self.inner.config.load();
        let view = self.inner.chassis_view(who, config.chassis.get(id)?);
        (matches!(&*who.scope, Scope::All) || !view.nodes.is_empty()).then_some(view)
    }

    /// Names of the managers: rackfish first, then each endpoint that is the host of a node that `who` may see.
    pub fn managers(&self, who: &Actor) -> Vec<Arc<str>> {
        let index = self.inner.index.load();
        let seen = index.hosts.iter().filter(|(_, nodes)| nodes.iter().any(|node| self.inner.sees(who, node)));
        std::iter::once(Arc::from(inner::OURSELVES)).chain(seen.map(|(id, _)| Arc::from(id.as_str()))).collect()
    }

    /// One manager.
    pub fn manager(&self, who: &Actor, id: &str) -> Option<ManagerView> {
        if id == inner::OURSELVES { Some(self.inner.own_manager(who)) } else { self.inner.bmc_manager(who, id) }
    }

    /// All configured devices.
    pub fn endpoints(&self) -> Vec<EndpointView> {
        let config = self.inner.config.load();
        config.endpoints.keys().filter_map(|id| self.inner.endpoint_view(id.as_str())).collect()
    }

    /// One device.
    pub fn endpoint(&self, id: &str) -> Option<EndpointView> {
        self.inner.endpoint_view(id)
    }

    /// Tasks that `who` may see, oldest first.
    pub fn tasks(&self, who: &Actor) -> Vec<TaskView> {
        self.inner.tasks.visible(who)
    }

    /// One task.
    pub fn task(&self, who: &Actor, id: &str) -> Option<TaskView> {
        self.inner.tasks.get(who, id)
    }

    /// The one way to have something done. Answers when the device has really done it, with the real error, or
    /// with [`Outcome::Running`] when `patience.action` has passed. Dropping the future does not stop the operation.
    pub async fn run(&self, who: &Actor, on: Target, op: Op, fresh: Fresh) -> Result<Outcome, OpError> {
        act::run(&self.inner, who, on, op, fresh).await
    }

    /// One reset of many nodes, batch after batch. Answers when all are through, or with a task when
    /// `patience.action` has passed. It goes on after a kill. Dropping the future does not stop it.
    pub async fn sweep(&self, who: &Actor, asked: Sweep) -> Result<Swept, OpError> {
        sweep::run(&self.inner, who, asked).await
    }

    /// All sets of nodes that `who` may see.
    pub fn aggregates(&self, who: &Actor) -> Vec<AggregateView> {
        self.inner.aggregates(who)
    }

    /// One set of nodes.
    pub fn aggregate(&self, who: &Actor, id: &str) -> Option<AggregateView> {
        self.inner.aggregate(who, id)
    }

    /// Makes a set of nodes that `who` may see.
    pub async fn make_aggregate(&self, who: &Actor, nodes: BTreeSet<NodeId>) -> Result<AggregateView, AggregateError> {
        self.inner.make_aggregate(who, nodes).await
    }

    /// Adds nodes to a set and removes some. `expect`: the revision that `If-Match` named.
    pub async fn change_aggregate(
        &self,
        who: &Actor,
        id: &str,
        add: BTreeSet<NodeId>,
        remove: &BTreeSet<NodeId>,
        expect: Option<u64>,
    ) -> Result<AggregateView, AggregateError> {
        let change = move |nodes: &mut BTreeSet<NodeId>| {
            nodes.extend(add);
            nodes.retain(|node| !remove.contains(node));
        };
        self.inner.change_aggregate(who, id, expect, change).await
    }

    /// Removes a set of nodes; the nodes stay as they are.
    pub async fn remove_aggregate(&self, who: &Actor, id: &str, expect: Option<u64>) -> Result<(), AggregateError> {
        self.inner.remove_aggregate(who, id, expect).await
    }

    /// What happens from now on. A slow receiver loses the oldest, never slows the fleet.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    /// Has `record` told of each event, those since the start of the fleet first, before the one who caused it goes on.
    /// It must not wait: the fleet waits for it.
    pub fn record_events(&self, record: impl Fn(&Event) + Send + 'static) {
        self.inner.recorder.set(Box::new(record));
    }
}
