//! What all rooms of the fleet share: the nodes, the workers, the store, and small questions about them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::sync::broadcast;

use super::{
    clock,
    event::{Cause, Ending, Event, Recorder, What},
    inrush::{self, Inrush, Place, TooLate},
    node::NodeEntry,
    op::OpError,
    overrides::Override,
    plan::Parts,
    tasks::Tasks,
    worker::{Seats, WorkerHandle},
};
use crate::{
    config::{self, Config},
    model::{ActSet, Actor, Caps, ChassisId, EndpointId, Fault, NodeId, Ref, Unit},
    store::{Expect, Kind, Safety, Store},
};

/// Events that a slow receiver may be behind before it loses the oldest.
pub const EVENTS_KEPT: usize = 4096;

/// Name of the manager that is this service.
pub const OURSELVES: &str = "rackfish";

/// Look-ups that follow from the configuration.
#[derive(Debug, Default)]
pub struct Index {
    /// Which nodes a unit belongs to (host or feed).
    pub by_unit: HashMap<Ref, Vec<NodeId>>,
    /// Lower case, colons.
    pub by_mac: HashMap<String, NodeId>,
    /// Units that matter to nodes, by endpoint.
    pub units: BTreeMap<EndpointId, Vec<Unit>>,
    /// Nodes whose host is on an endpoint.
    pub hosts: BTreeMap<EndpointId, Vec<NodeId>>,
    /// Nodes in an enclosure, by slot and name.
    pub in_chassis: HashMap<ChassisId, Vec<NodeId>>,
}

impl Index {
    /// From a configuration.
    pub fn of(config: &Config) -> Self {
        let mut index = Self::default();
        let mut slots: HashMap<&ChassisId, Vec<(Option<u32>, &NodeId)>> = HashMap::new();
        for node in config.nodes.values() {
            let feeds = node.feeds.iter().map(|feed| &feed.unit);
            for unit in node.host.iter().chain(feeds) {
                index.by_unit.entry(unit.clone()).or_default().push(node.id.clone());
            }
            let feeds = node.feeds.iter().map(|feed| &feed.unit);
            for unit in node.host.iter().chain(feeds).chain(&node.sensors).chain(&node.indicator) {
                index.units.entry(unit.endpoint.clone()).or_default().push(unit.unit.clone());
            }
            if let Some(host) = &node.host {
                index.hosts.entry(host.endpoint.clone()).or_default().push(node.id.clone());
            }
            if let Some(chassis) = &node.chassis {
                slots.entry(chassis).or_default().push((node.slot, &node.id));
            }
            for mac in &node.facts.macs {
                index.by_mac.insert(mac.to_ascii_lowercase(), node.id.clone());
            }
        }
        for units in index.units.values_mut() {
            units.sort_unstable();
            units.dedup();
        }
        for (chassis, mut nodes) in slots {
            nodes.sort_unstable();
            index.in_chassis.insert(chassis.clone(), nodes.into_iter().map(|(_, id)| id.clone()).collect());
        }
        index
    }
}

/// See the module.
pub struct Inner {
    pub(super) config: ArcSwap<Config>,
    pub(super) index: ArcSwap<Index>,
    pub(super) nodes: DashMap<NodeId, Arc<NodeEntry>>,
    pub(super) workers: DashMap<EndpointId, WorkerHandle>,
    /// Nodes and endpoints whose `Caps` are stored as they are.
    pub(super) store: Arc<dyn Store>,
    pub(super) uuid: uuid::Uuid,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) event_ids: AtomicU64,
    pub(super) recorder: Recorder,
    pub(super) refusals: super::refusals::Refusals,
    pub(super) tasks: Tasks,
    pub(super) aggregates: super::aggregates::Aggregates,
    pub(super) observer: tokio::sync::mpsc::UnboundedSender<super::worker::Observed>,
    pub(super) seats: Seats,
    pub(super) inrush: Inrush,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) running: tokio_util::task::TaskTracker,
    pub(super) stopping: tokio_util::sync::CancellationToken,
    /// The workers are gone: nothing is seen any more.
    pub(super) closed: tokio_util::sync::CancellationToken,
    /// Operations of this life of the process are counted here.
    pub(super) operations: AtomicU64,
    /// When this life of the process began.
    pub(super) since: std::time::Instant,
    /// Tells this life of the process from others.
    pub(super) life: String,
}

impl Inner {
    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The worker that owns a unit's endpoint.
    pub fn worker(&self, unit: &Ref) -> Result<WorkerHandle, OpError> {
        self.workers
            .get(&unit.endpoint)
            .map(|w| w.value().clone())
            .ok_or_else(|| OpError::NotFound(format!("endpoint {}", unit.endpoint)))
    }

    /// What a unit can do: read, stored, or presumed from its endpoint's settings.
    pub fn caps(&self, unit: &Ref) -> Option<Arc<Caps>> {
        let worker = self.workers.get(&unit.endpoint)?;
        worker
            .state
            .unit(&unit.unit, |u| u.caps.clone())
            .or_else(|| worker.config.setup.presumed(&unit.unit).map(Arc::new))
    }

    /// A node as far as planning is concerned.
    pub fn parts(&self, node: &config::Node) -> Parts {
        Parts {
            host: node.host.as_ref().map(|host| self.caps(host).map_or(ActSet::default(), |caps| caps.acts)),
            feeds: !node.feeds.is_empty(),
            shared: node.feeds.iter().any(|feed| feed.shared),
            shutdown: node.shutdown.is_some(),
        }
    }

    /// An error that names the endpoint.
    pub fn endpoint_error(unit: &Ref, fault: Fault) -> OpError {
        OpError::Endpoint { endpoint: unit.endpoint.clone(), unit: unit.unit.to_string(), fault }
    }

    /// Refuses writes to what is only observed or held.
    pub fn may_write(&self, worker: &WorkerHandle, unit: &Ref, what: &str) -> Result<(), OpError> {
        if self.config.load().server.observe_only || worker.config.policy.observe_only {
            tracing::warn!(target: "audit", endpoint = %unit.endpoint, unit = %unit.unit, what, "observe only: not done");
            return Err(OpError::ObserveOnly { endpoint: unit.endpoint.to_string() });
        }
        match worker.state.hold() {
            Some(hold) => Err(OpError::Held {
                target: format!("endpoint {}", unit.endpoint),
                owner: Arc::from(hold.owner),
                reason: hold.reason,
            }),
            None => Ok(()),
        }
    }

    /// The one gate that every start passes, from any face, when it is asked for and again right before it is made.
    pub fn admit_start(node: &NodeEntry) -> Result<(), OpError> {
        match node.hold() {
            Some(hold) => {
                Err(OpError::Held { target: node.id.to_string(), owner: Arc::from(hold.owner), reason: hold.reason })
            }
            None => Ok(()),
        }
    }

    /// What counts a start of a node, or of a bare outlet.
    pub fn start_scopes(&self, node: Option<&config::Node>, unit: Option<&Ref>) -> inrush::Scopes {
        let feeds = node.into_iter().flat_map(|node| node.feeds.iter().map(|feed| &feed.unit));
        let units = feeds.chain(unit);
        inrush::scopes(&self.config.load(), units.map(|unit| &unit.endpoint), node)
    }

    /// A place in the in-rush budget, not more than `most` away.
    pub fn place(&self, scopes: inrush::Scopes, most: std::time::Duration) -> Result<Place, OpError> {
        let patience = self.config.load().patience.action;
        self.inrush.take(scopes, clock::now(), most).map_err(|TooLate(wait)| OpError::TooLate {
            // By then the wait is short enough.
            retry_after: wait.saturating_sub(patience).max(std::time::Duration::from_secs(1)),
        })
    }

    /// Stores and shows an override. Call it with `node.writing` held.
    pub async fn store_boot(&self, node: &NodeEntry, boot: Override) -> Result<(), OpError> {
        crate::store::write(&*self.store, Kind::Override, node.id.as_str(), Expect::Any, &boot, Safety::PowerLoss)
            .await
            .map_err(|e| OpError::Store(e.to_string()))?;
        node.set_boot(boot);
        Ok(())
    }

    /// The same for what has happened already: a disk that does not take it now gets it as soon as it does.
    pub async fn note_boot(&self, node: &NodeEntry, boot: Override) -> Result<(), OpError> {
        let Err(error) = self.store_boot(node, boot.clone()).await else { return Ok(()) };
        tracing::error!(node = %node.id, %error, "what became of the boot override is kept in memory");
        crate::store::write(&*self.store, Kind::Override, node.id.as_str(), Expect::Any, &boot, Safety::Behind)
            .await
            .map_err(|e| OpError::Store(e.to_string()))?;
        node.set_boot(boot);
        Ok(())
    }

    /// Tells everybody who listens; nobody listening is fine.
    pub fn emit(&self, what: What, who: Option<&Actor>) {
        let id = self.event_ids.fetch_add(1, Ordering::Relaxed) + 1;
        let who = who.map(|actor| Cause {
            principal: Arc::clone(&actor.principal),
            face: actor.face,
            request: Arc::clone(&actor.request),
        });
        let event = Event { id, at: clock::wall(), what, who };
        self.recorder.tell(&event);
        self.events.send(event).ok();
    }

    /// Closes a task, if there is one of that id that has not ended, and tells of it.
    pub async fn task_ended(&self, id: &str, error: Option<String>) {
        if let Some(task) = self.tasks.ended(id, error.clone()).await {
            let ended = Some(Ending { error });
            self.emit(What::Task { task: task.id, node: task.node, owner: task.principal, ended }, None);
        }
    }

    /// An event about a boot override.
    pub fn boot_event(&self, node: &NodeEntry, actor: &Actor, text: &str) {
        self.emit(What::Boot { node: node.id.clone(), text: text.to_owned() }, Some(actor));
    }

    /// An event about an operation that was refused, unless the request made no sense; one a minute of equal ones.
    pub fn refused(&self, who: &Actor, node: &NodeEntry, op: &str, error: &OpError) {
        if error.is_refusal() && self.refusals.is_news(&node.id, &who.principal, op, error, clock::now()) {
            let (node, op) = (node.id.clone(), op.to_owned());
            self.emit(What::Refused { node, op, error: error.to_string() }, Some(who));
        }
    }

    /// Whether the actor may see a node.
    pub fn sees(&self, who: &Actor, node: &NodeId) -> bool {
        match &*who.scope {
            crate::model::Scope::All => true,
            scope @ crate::model::Scope::Some { .. } => {
                self.nodes.get(node).is_some_and(|entry| scope.covers(node, entry.config.load().groups.iter()))
            }
        }
    }

    /// A node that the actor may see.
    pub fn entry(&self, who: &Actor, id: &str) -> Option<Arc<NodeEntry>> {
        let entry = self.nodes.get(id).map(|entry| Arc::clone(entry.value()))?;
        who.scope.covers(&entry.id, entry.config.load().groups.iter()).then_some(entry)
    }

    /// A UUID that stays the same for a thing of this installation.
    pub fn derived(&self, kind: &str, name: &str) -> uuid::Uuid {
        uuid::Uuid::new_v5(&self.uuid, format!("{kind}/{name}").as_bytes())
    }
}
