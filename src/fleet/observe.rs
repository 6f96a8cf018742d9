//! What follows from what workers see: events, the use of overrides by starts that we did not make, last states.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::{
    clock,
    event::What,
    inner::Inner,
    node::NodeEntry,
    worker::{Observed, WorkerHandle},
};
use crate::{
    model::{Caps, EndpointId, Origin, PowerState, Ref, Unit},
    store::{Expect, Kind, Safety},
};

/// The last known state of a unit, as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastState {
    /// Power.
    pub power: PowerState,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// When it was last known to be so.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
}

/// The end of an operation may overtake the sight of what it did, by a few writes to the store.
const SIGHT: std::time::Duration = std::time::Duration::from_secs(2);

/// Runs until the workers are gone, and lets go of the fleet then.
pub async fn run(fleet: Arc<Inner>, mut observed: mpsc::UnboundedReceiver<Observed>) {
    loop {
        // What was seen before that is told.
        let seen = tokio::select! {
            biased;
            seen = observed.recv() => seen,
            () = fleet.closed.cancelled() => None,
        };
        let Some(what) = seen else { break };
        match what {
            Observed::Power { endpoint, unit, old, new } => power(&fleet, &endpoint, unit, old, new).await,
            Observed::Link { endpoint, fault } => {
                let fault = fault.map(|fault| fault.to_string());
                fleet.emit(What::Endpoint { endpoint, fault }, None);
            }
            Observed::Opened { endpoint } => keep_caps(&fleet, &endpoint).await,
            Observed::Restarted { endpoint, before } => super::restore::run(&fleet, &endpoint, &before),
        }
    }
}

async fn power(fleet: &Arc<Inner>, endpoint: &EndpointId, unit: Unit, old: Option<PowerState>, new: PowerState) {
    if let Some(worker) = fleet.workers.get(endpoint).map(|w| w.value().clone()) {
        keep_states(fleet, &worker).await;
    }
    let unit = Ref { endpoint: endpoint.clone(), unit };
    let owners = fleet.index.load().by_unit.get(&unit).cloned().unwrap_or_default();
    for owner in owners {
        let Some(entry) = fleet.nodes.get(&owner).map(|entry| Arc::clone(entry.value())) else { continue };
        node_changed(fleet, &entry, old.is_some(), new).await;
    }
}

async fn node_changed(fleet: &Arc<Inner>, entry: &Arc<NodeEntry>, known: bool, _new: PowerState) {
    let now = fleet.effective(&entry.config.load());
    let state = now.as_ref().map(|p| p.value);
    let Some(before) = entry.tell(state) else { return };
    let origin = now.as_ref().map_or(Origin::Read, |p| p.origin);
    let (ours, who) = {
        let lane = entry.lane();
        let op = lane.current();
        let on = state.is_some_and(PowerState::is_on);
        let by = op.or_else(|| lane.just_done(on, clock::now(), SIGHT).filter(|_| state.is_some()));
        (op.is_some() || lane.has_just_started(clock::now(), SIGHT), by.map(|op| op.actor.clone()))
    };
    let what = What::Power { node: entry.id.clone(), old: before, new: state, origin };
    fleet.emit(what, who.as_ref());
    // A start that nobody asked us for: somebody pressed a button. It uses up what was armed.
    let started = known && before == Some(PowerState::Off) && state.is_some_and(PowerState::is_on);
    if started && !ours {
        let _writing = entry.writing.lock().await;
        let mut boot = (*entry.boot()).clone();
        let armed = boot.once.is_some();
        boot.started(None, clock::wall());
        if let Err(error) = fleet.note_boot(entry, boot).await {
            tracing::error!(node = %entry.id, %error, "the boot override could not be stored");
        } else if armed {
            let what = What::Boot { node: entry.id.clone(), text: "used by a start from outside".to_owned() };
            fleet.emit(what, None);
        }
    }
}

/// Written behind: follows from the devices anyway, but tells after a restart what was off for how long.
async fn keep_states(fleet: &Arc<Inner>, worker: &WorkerHandle) {
    let states: BTreeMap<String, LastState> = worker
        .state
        .units()
        .iter()
        .filter_map(|(unit, u)| {
            let power = u.power.as_ref()?;
            let off = u.off_since.map(|off| clock::wall() - clock::now().saturating_duration_since(off));
            Some((
                unit.to_string(),
                LastState { power: power.value, since: off.unwrap_or(power.wall), at: Some(power.wall) },
            ))
        })
        .collect();
    let key = worker.config.id.as_str();
    let written = crate::store::write(&*fleet.store, Kind::LastState, key, Expect::Any, &states, Safety::Behind).await;
    if let Err(error) = written {
        tracing::error!(endpoint = key, %error, "last states could not be stored");
    }
}

async fn keep_caps(fleet: &Arc<Inner>, endpoint: &EndpointId) {
    let Some(worker) = fleet.workers.get(endpoint).map(|w| w.value().clone()) else { return };
    let caps: BTreeMap<String, Caps> = worker
        .state
        .units()
        .iter()
        .filter_map(|(unit, u)| u.caps.as_ref().map(|caps| (unit.to_string(), (**caps).clone())))
        .collect();
    let key = endpoint.as_str();
    let written = crate::store::write(&*fleet.store, Kind::Caps, key, Expect::Any, &caps, Safety::Behind).await;
    if let Err(error) = written {
        tracing::error!(endpoint = key, %error, "capabilities could not be stored");
    }
}
