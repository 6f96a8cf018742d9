//! Opening, reloading and stopping the fleet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::sync::{broadcast, mpsc};

use super::{
    Fleet,
    board::EndpointState,
    clock,
    event::What,
    inner::{EVENTS_KEPT, Index, Inner},
    node::{NodeEntry, Setting},
    observe::{self, LastState},
    overrides::Override,
    recover,
    tasks::Tasks,
    view::Hold,
    views::combine,
    worker,
};
use crate::{
    config::{self, Config},
    model::{Caps, EndpointId, NodeId, Origin, PowerState, Ref, Stated},
    store::{self, Expect, Kind, Safety, Store, StoreError},
};

/// Operations under way get that long at a stop; the journal has the rest.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Sessions are closed on that many devices at a time.
const CLOSING: usize = 256;

/// What the store holds about nodes and endpoints.
#[derive(Default)]
struct Stored {
    boots: HashMap<String, Override>,
    settings: HashMap<String, Setting>,
    holds: HashMap<String, Hold>,
    caps: HashMap<String, BTreeMap<String, Caps>>,
    states: HashMap<String, BTreeMap<String, LastState>>,
}

async fn all<T: serde::de::DeserializeOwned>(store: &dyn Store, kind: Kind) -> Result<HashMap<String, T>, StoreError> {
    Ok(store::read_all(store, kind).await?.into_iter().map(|(key, _, value)| (key, value)).collect())
}

impl Stored {
    async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        Ok(Self {
            boots: all(store, Kind::Override).await?,
            settings: all(store, Kind::Setting).await?,
            holds: all(store, Kind::Hold).await?,
            caps: all(store, Kind::Caps).await?,
            states: all(store, Kind::LastState).await?,
        })
    }

    /// The power of a node when its parts were last looked at.
    fn power(&self, node: &config::Node) -> Option<PowerState> {
        let of = |unit: &Ref| {
            let last = self.states.get(unit.endpoint.as_str())?.get(unit.unit.as_str())?;
            Some(Stated { value: last.power, origin: Origin::Read, at: last.since })
        };
        let feeds: Vec<_> = node.feeds.iter().map(|feed| of(&feed.unit)).collect();
        combine(node.host.as_ref().map(of), &feeds).map(|power| power.value)
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Identity {
    uuid: uuid::Uuid,
}

async fn identity(store: &dyn Store) -> Result<uuid::Uuid, StoreError> {
    if let Some((_, identity)) = store::read::<Identity>(store, Kind::Service, "identity").await? {
        return Ok(identity.uuid);
    }
    let identity = Identity { uuid: uuid::Uuid::new_v4() };
    store::write(store, Kind::Service, "identity", Expect::Absent, &identity, Safety::PowerLoss).await?;
    Ok(identity.uuid)
}

impl Fleet {
    /// Reads what was stored, starts the workers, takes up operations that a crash has cut. Call it on the runtime
    /// that is to carry the fleet.
    pub async fn open(config: Arc<Config>, store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let stored = Stored::read(&*store).await?;
        let (observer, seen) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let inner = Arc::new(Inner {
            index: ArcSwap::from_pointee(Index::of(&config)),
            config: ArcSwap::new(Arc::clone(&config)),
            nodes: DashMap::new(),
            workers: DashMap::new(),
            uuid: identity(&*store).await?,
            tasks: Tasks::open(Arc::clone(&store)).await?,
            aggregates: super::aggregates::Aggregates::open(&*store).await?,
            store,
            events,
            event_ids: AtomicU64::new(0),
            recorder: super::event::Recorder::default(),
            refusals: super::refusals::Refusals::default(),
            observer,
            seats: worker::Seats::default(),
            inrush: super::inrush::Inrush::default(),
            runtime: tokio::runtime::Handle::current(),
            running: tokio_util::task::TaskTracker::new(),
            stopping: tokio_util::sync::CancellationToken::new(),
            closed: tokio_util::sync::CancellationToken::new(),
            operations: AtomicU64::new(0),
            since: clock::now(),
            life: uuid::Uuid::new_v4().simple().to_string().chars().take(6).collect(),
        });
        for node in config.nodes.values() {
            inner.add_node(node, &stored);
        }
        let index = inner.index.load_full();
        for endpoint in config.endpoints.values() {
            inner.add_endpoint(endpoint, &index, &stored, config.endpoints.len());
        }
        tokio::spawn(observe::run(Arc::clone(&inner), seen));
        recover::run(&inner).await?;
        Ok(Self { inner })
    }

    /// Puts a new configuration in force: endpoints whose `fingerprint` is unchanged keep their worker, session
    /// and queue.
    pub async fn reconfigure(&self, config: Arc<Config>) -> Result<(), StoreError> {
        let inner = &self.inner;
        let stored = Stored::read(&*inner.store).await?;
        let index = Arc::new(Index::of(&config));
        let (old, mut gone) = (inner.config.load_full(), Vec::new());
        for id in old.nodes.keys().filter(|id| !config.nodes.contains_key(*id)) {
            inner.nodes.remove(id);
        }
        for id in old.endpoints.keys() {
            let same = config.endpoints.get(id).is_some_and(|new| {
                inner.workers.get(id).is_some_and(|worker| worker.config.fingerprint == new.fingerprint)
            });
            if !same && let Some((_, worker)) = inner.workers.remove(id) {
                gone.push(worker);
            }
        }
        // The device may take one session only: the old worker has closed its own before the new one logs in.
        stop_all(gone).await;
        inner.index.store(Arc::clone(&index));
        for endpoint in config.endpoints.values() {
            match inner.workers.get(&endpoint.id).map(|w| w.value().clone()) {
                Some(worker) => {
                    let units = index.units.get(&endpoint.id).cloned().unwrap_or_default();
                    if let Err(fault) = worker.watch(units) {
                        tracing::warn!(endpoint = %endpoint.id, %fault, "its list of units is not up to date");
                    }
                }
                None => inner.add_endpoint(endpoint, &index, &stored, config.endpoints.len()),
            }
        }
        for node in config.nodes.values() {
            match inner.nodes.get(&node.id) {
                Some(entry) => entry.config.store(Arc::clone(node)),
                None => inner.add_node(node, &stored),
            }
        }
        inner.config.store(config);
        inner.emit(What::Config { text: "configuration reloaded".to_owned() }, None);
        Ok(())
    }

    /// Says that a reload was refused.
    pub fn reload_refused(&self, text: String) {
        self.inner.emit(What::Config { text }, None);
    }

    /// Lets operations under way end (bounded), closes sessions on devices, flushes the store.
    pub async fn stop(&self) {
        self.inner.stopping.cancel();
        self.inner.running.close();
        if tokio::time::timeout(STOP_PATIENCE, self.inner.running.wait()).await.is_err() {
            let left = self.inner.running.len();
            tracing::warn!(left, "operations are still under way; the journal has them, the next start takes them up");
        }
        let workers: Vec<_> = self.inner.workers.iter().map(|w| w.value().clone()).collect();
        stop_all(workers).await;
        self.inner.closed.cancel();
        if let Err(error) = self.inner.store.flush().await {
            tracing::error!(%error, "the store could not be flushed");
        }
    }
}

async fn stop_all(workers: Vec<worker::WorkerHandle>) {
    use futures_util::StreamExt;
    futures_util::stream::iter(workers).for_each_concurrent(CLOSING, |worker| async move { worker.stop().await }).await;
}

impl Inner {
    fn add_node(&self, node: &Arc<config::Node>, stored: &Stored) {
        let key = node.id.as_str();
        let entry = NodeEntry::new(
            Arc::clone(node),
            node.facts.uuid.unwrap_or_else(|| self.derived("node", key)),
            stored.boots.get(key).cloned().unwrap_or_default(),
            stored.settings.get(key).cloned().unwrap_or_default(),
            stored.holds.get(&format!("node/{key}")).cloned(),
            stored.power(node),
        );
        self.nodes.insert(NodeId::clone(&node.id), Arc::new(entry));
    }

    fn add_endpoint(&self, endpoint: &Arc<config::Endpoint>, index: &Index, stored: &Stored, fleet: usize) {
        let key = endpoint.id.as_str();
        let state = Arc::new(EndpointState::default());
        let units = index.units.get(&endpoint.id).cloned().unwrap_or_default();
        let caps = stored.caps.get(key);
        let states = stored.states.get(key);
        for unit in &units {
            let known = caps.and_then(|caps| caps.get(unit.as_str())).cloned();
            let caps = known.or_else(|| endpoint.setup.presumed(unit)).map(Arc::new);
            let last = states.and_then(|states| states.get(unit.as_str()));
            state.change(unit, |u| {
                u.caps = caps;
                u.off_since = last.and_then(off_since);
                u.last = last.map(|last| last.power);
            });
        }
        let known = states.into_iter().flat_map(|states| states.values()).filter_map(|last| last.at).max();
        let known = known.and_then(|at| clock::now().checked_sub(Duration::try_from(clock::wall() - at).ok()?));
        state.set_hold(stored.holds.get(&format!("endpoint/{key}")).cloned());
        let handle = worker::spawn(endpoint, state, units, fleet, known, self.seats.clone(), self.observer.clone());
        self.workers.insert(EndpointId::clone(&endpoint.id), handle);
    }
}

/// When a unit went off, on this process's clock.
fn off_since(last: &LastState) -> Option<std::time::Instant> {
    if last.power != PowerState::Off {
        return None;
    }
    let ago = Duration::try_from(clock::wall() - last.since).ok()?;
    clock::now().checked_sub(ago)
}
