//! Restore policy: what happens to machines whose PDU lost its mains, where no BMC keeps a policy for them.
//!
//! A PDU has lost its mains when it says itself that it started anew since we last knew it, and at least one outlet is
//! not as it was. A PDU that was merely out of reach proves nothing: whoever switched an outlet by hand meanwhile
//! wins. Starts go a few at a time, as the in-rush budget has room for them beside those that clients ask for.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::StreamExt as _;

use super::{
    clock,
    inner::Inner,
    node::NodeEntry,
    op::{Layer, OpError},
    reset,
};
use crate::{
    config::{self, Restore},
    model::{Actor, EndpointId, PowerState, Ref, ResetType, Unit},
};

/// A budget that is crowded, or a node that is busy, is asked again after at least that long.
const AGAIN: Duration = Duration::from_secs(1);

/// Nodes of one endpoint that are being started at once: its relays are slow, and others want to use it as well.
const AT_A_TIME: usize = 8;

/// So often; then the node is left as it is, with an event. At ten seconds each that is hours.
const TRIES: u32 = 1_000;

/// One supply of a node, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    was_on: bool,
    is_on: bool,
}

/// What a node's policy asks for. `host`: `None` without one, else whether it was on when it was last read.
fn decide(policy: Restore, host: Option<bool>, change: Change) -> Option<(Layer, ResetType)> {
    let start = match host {
        // Its controller needs its mains in any case.
        Some(false) => (Layer::Mains, ResetType::On),
        _ => (Layer::Effective, ResetType::On),
    };
    match (policy, change.was_on, change.is_on) {
        (Restore::AlwaysOn, _, false) => Some((Layer::Effective, ResetType::On)),
        (Restore::LastState, true, false) => Some(start),
        (Restore::AlwaysOff, true, false) if host.is_some() => Some((Layer::Mains, ResetType::On)),
        (Restore::LastState, false, true) | (Restore::AlwaysOff, _, true) if host.is_none() => {
            Some((Layer::Effective, ResetType::ForceOff))
        }
        _ => None,
    }
}

/// An endpoint has started anew; `before` is how its units were.
pub fn run(fleet: &Arc<Inner>, endpoint: &EndpointId, before: &HashMap<Unit, PowerState>) {
    let Some(worker) = fleet.workers.get(endpoint).map(|w| w.value().clone()) else { return };
    let now: HashMap<Unit, bool> = {
        let units = worker.state.units();
        before.keys().filter_map(|unit| Some((unit.clone(), units.get(unit)?.power.as_ref()?.value.is_on()))).collect()
    };
    let changes: HashMap<Unit, Change> = before
        .iter()
        .filter_map(|(unit, was)| Some((unit.clone(), Change { was_on: was.is_on(), is_on: now.get(unit).copied()? })))
        .collect();
    if !changes.values().any(|change| change.was_on != change.is_on) {
        return; // its management card alone, or it keeps its outlets' states itself
    }
    tracing::warn!(%endpoint, "it has lost its mains: restoring what hangs on it");
    let index = fleet.index.load_full();
    let (mut offs, mut ons) = (Vec::new(), Vec::new());
    let mut units: Vec<_> = changes.into_iter().collect();
    units.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    for (unit, change) in units {
        let unit = Ref { endpoint: endpoint.clone(), unit };
        for owner in index.by_unit.get(&unit).into_iter().flatten() {
            let Some(entry) = fleet.nodes.get(owner).map(|n| Arc::clone(n.value())) else { continue };
            let config = entry.config.load_full();
            if config.host.as_ref() == Some(&unit) {
                continue;
            }
            match decide(config.restore, host_was_on(fleet, &config), change) {
                Some((layer, ResetType::ForceOff)) => offs.push((entry, layer)),
                Some((layer, _)) => ons.push((entry, layer)),
                None => {}
            }
        }
    }
    for (entry, layer) in offs {
        let fleet_ = Arc::clone(fleet);
        fleet.running.spawn_on(async move { one(&fleet_, &entry, layer, ResetType::ForceOff).await }, &fleet.runtime);
    }
    let fleet_ = Arc::clone(fleet);
    fleet.running.spawn_on(async move { start_all(&fleet_, ons).await }, &fleet.runtime);
}

fn host_was_on(fleet: &Inner, config: &config::Node) -> Option<bool> {
    let host = config.host.as_ref()?;
    let worker = fleet.workers.get(&host.endpoint)?;
    let known = worker.state.unit(&host.unit, |u| u.before.or(u.power.as_ref().map(|p| p.value)).or(u.last));
    Some(known.is_some_and(PowerState::is_on))
}

/// Starts the nodes of one endpoint, a few at a time.
async fn start_all(fleet: &Arc<Inner>, nodes: Vec<(Arc<NodeEntry>, Layer)>) {
    let job = |(entry, layer)| async move { one(fleet, &entry, layer, ResetType::On).await };
    futures_util::stream::iter(nodes).for_each_concurrent(AT_A_TIME, job).await;
}

async fn one(fleet: &Arc<Inner>, entry: &Arc<NodeEntry>, layer: Layer, kind: ResetType) {
    let who = Actor::internal("restore");
    for _ in 0..TRIES {
        let pause = match reset::run(fleet, &who, entry, layer.clone(), kind).await {
            Err(OpError::TooLate { retry_after } | OpError::ControllerBooting { retry_after, .. }) => {
                retry_after.max(AGAIN)
            }
            // Somebody's operation is under way: what they want is newer than what was.
            Err(OpError::Conflict { .. } | OpError::Cancelled { .. }) | Ok(_) => return,
            Err(error) => {
                tracing::error!(node = %entry.id, %kind, %error, "could not be restored after its mains were lost");
                return;
            }
        };
        tokio::select! {
            biased;
            () = fleet.stopping.cancelled() => return,
            () = clock::sleep_until(clock::now() + pause) => {}
        }
    }
    tracing::error!(node = %entry.id, %kind, "could not be restored after its mains were lost: no place for its start");
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: Change = Change { was_on: true, is_on: false };
    const GAINED: Change = Change { was_on: false, is_on: true };
    const OFF: Change = Change { was_on: false, is_on: false };

    #[test]
    fn outlets_alone() {
        let on = Some((Layer::Effective, ResetType::On));
        let off = Some((Layer::Effective, ResetType::ForceOff));
        for (policy, lost, gained, stayed_off) in [
            (Restore::Device, &None, &None, &None),
            (Restore::AlwaysOn, &on, &None, &on),
            (Restore::AlwaysOff, &None, &off, &None),
            (Restore::LastState, &on, &off, &None),
        ] {
            assert_eq!(&decide(policy, None, LOST), lost, "{policy:?}");
            assert_eq!(&decide(policy, None, GAINED), gained, "{policy:?}");
            assert_eq!(&decide(policy, None, OFF), stayed_off, "{policy:?}");
        }
    }

    #[test]
    fn a_controller_gets_its_mains_back_whatever_its_host_does() {
        let mains = Some((Layer::Mains, ResetType::On));
        assert_eq!(decide(Restore::LastState, Some(false), LOST), mains);
        assert_eq!(decide(Restore::AlwaysOff, Some(true), LOST), mains);
        assert_eq!(decide(Restore::LastState, Some(true), LOST), Some((Layer::Effective, ResetType::On)));
        assert_eq!(decide(Restore::LastState, Some(true), GAINED), None, "the controller has its own policy");
    }
}
