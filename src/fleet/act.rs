//! Operations: who may, on what, and which room carries it out.

use std::{sync::Arc, time::Duration};

use super::{
    clock,
    event::What,
    inner::Inner,
    journal, media,
    node::NodeEntry,
    op::{Fresh, Layer, Op, OpError, Outcome, Precondition, Target},
    reset,
    view::Hold,
};
use crate::{
    model::{Act, Actor, Aspect, Fact, Fault, NodeId, PowerAct, Ref, ResetType, Stated},
    store::{Expect, Kind, Safety},
};

/// A command on a bare unit, or for a light, waits at most that long for its turn.
const COMMAND_PATIENCE: Duration = Duration::from_secs(20);

/// Without a deadline of its own a read is given up after that long.
const READ_PATIENCE: Duration = Duration::from_secs(10);

/// See [`super::Fleet::run`].
pub async fn run(fleet: &Arc<Inner>, who: &Actor, on: Target, op: Op, fresh: Fresh) -> Result<Outcome, OpError> {
    let looks_only = matches!(op, Op::Observe(_));
    if !looks_only && !who.privileges.may_switch() {
        return Err(OpError::Forbidden { principal: Arc::clone(&who.principal), role: who.role.clone() });
    }
    if fleet.stopping.is_cancelled() {
        return Err(OpError::Stopping);
    }
    match on {
        Target::Node(id, layer) => {
            let entry = fleet.entry(who, id.as_str()).ok_or_else(|| OpError::NotFound(format!("node {id}")))?;
            on_node(fleet, who, &entry, layer, op, fresh).await
        }
        Target::Unit(unit) => on_unit(fleet, who, &unit, op, fresh).await,
        Target::Chassis(id) => on_chassis(fleet, who, id.as_str(), op).await,
        Target::Endpoint(id) => on_endpoint(fleet, who, id.as_str(), op).await,
    }
}

async fn on_node(
    fleet: &Arc<Inner>,
    who: &Actor,
    entry: &Arc<NodeEntry>,
    layer: Layer,
    op: Op,
    fresh: Fresh,
) -> Result<Outcome, OpError> {
    let (word, telling) = telling(&op);
    let result = carry_out(fleet, who, entry, layer, op, fresh).await;
    match (&result, telling) {
        (_, Telling::Nothing) | (Ok(_), Telling::Refusals | Telling::Failures) => {}
        (Err(error), _) if error.is_refusal() => fleet.refused(who, entry, word, error),
        (Err(error), _) if error.is_of_the_request() => {}
        (_, Telling::Refusals) => {}
        (result, Telling::Failures | Telling::Everything) => {
            let error = result.as_ref().err().map(ToString::to_string);
            let what = What::Operation { target: entry.id.to_string(), op: word.to_owned(), error };
            fleet.emit(what, Some(who));
        }
    }
    result
}

/// What of an operation has to be told here: the rest tells itself.
enum Telling {
    Nothing,
    Refusals,
    Failures,
    Everything,
}

fn telling(op: &Op) -> (&'static str, Telling) {
    match op {
        Op::Reset(_) => ("Reset", Telling::Nothing),
        Op::Observe(_) | Op::Retry => ("", Telling::Nothing),
        Op::Boot(..) => ("BootOverride", Telling::Failures),
        Op::Hold { .. } => ("Hold", Telling::Failures),
        Op::Release => ("Release", Telling::Failures),
        Op::InsertMedia(..) => ("InsertMedia", Telling::Refusals),
        Op::EjectMedia(..) => ("EjectMedia", Telling::Refusals),
        Op::Indicator(..) => ("Indicator", Telling::Everything),
        Op::AssetTag(..) => ("AssetTag", Telling::Everything),
        Op::ClearLog => ("ClearLog", Telling::Everything),
        Op::Act(_) => ("Act", Telling::Everything),
    }
}

async fn carry_out(
    fleet: &Arc<Inner>,
    who: &Actor,
    entry: &Arc<NodeEntry>,
    layer: Layer,
    op: Op,
    fresh: Fresh,
) -> Result<Outcome, OpError> {
    let config = entry.config.load_full();
    match op {
        Op::Reset(kind) => reset::run(fleet, who, entry, layer, kind).await,
        Op::Boot(patch, condition) => {
            let _writing = entry.writing.lock().await;
            holds(fleet, entry, &condition)?;
            let (mut offered, kept, modes) = fleet.boot_offers(&config);
            offered.extend(kept);
            if offered.is_empty() {
                return Err(OpError::NotOffered {
                    target: entry.id.to_string(),
                    what: "a boot override".to_owned(),
                    offered: Vec::new(),
                });
            }
            let mut boot = (*entry.boot()).clone();
            boot.patch(&patch, &offered, &modes).map_err(|n| OpError::BadValue {
                property: n.property,
                value: n.value,
                reason: n.reason,
            })?;
            if boot == *entry.boot() {
                return Ok(Outcome::Done);
            }
            let text = format!("override {} {}", boot.enabled().as_str(), boot.target());
            fleet.store_boot(entry, boot).await?;
            // A restart that comes now is to use it, however soon it comes after another.
            let outdated = entry.lane().outdate(&who.principal);
            if let Some(op) = outdated {
                let journal = journal::Journal { store: &*fleet.store, node: &entry.id, op: &op };
                journal.outdated().await.map_err(|e| OpError::Store(e.to_string()))?;
            }
            super::crash::point("override", "armed");
            fleet.boot_event(entry, who, &text);
            Ok(Outcome::Done)
        }
        Op::Indicator(led, condition) => {
            holds(fleet, entry, &condition)?;
            let unit = fleet.indicator_unit(&config).cloned().ok_or_else(|| not_offered(entry, "an indicator"))?;
            bare(fleet, &unit, Act::Indicator(led)).await
        }
        Op::AssetTag(tag, condition) => {
            let _writing = entry.writing.lock().await;
            holds(fleet, entry, &condition)?;
            let mut setting = entry.setting();
            setting.asset_tag = Some(Arc::from(tag));
            store_setting(fleet, entry, setting).await
        }
        Op::Observe(aspect) => {
            let unit = config.host.clone().or_else(|| config.feeds.first().map(|f| f.unit.clone()));
            observe(fleet, &unit.ok_or_else(|| not_offered(entry, "a reading"))?, aspect, fresh).await
        }
        Op::ClearLog => {
            let host = config.host.clone().ok_or_else(|| not_offered(entry, "an event log"))?;
            bare(fleet, &host, Act::ClearLog).await
        }
        Op::InsertMedia(insert, condition) => {
            let holds = || holds(fleet, entry, &condition);
            media::run(fleet, who, entry, media::Wanted::Image(insert), holds).await
        }
        Op::EjectMedia(slot, condition) => {
            let holds = || holds(fleet, entry, &condition);
            media::run(fleet, who, entry, media::Wanted::Empty(slot), holds).await
        }
        Op::Act(act) => {
            let host = config.host.clone().ok_or_else(|| not_offered(entry, "a host"))?;
            bare(fleet, &host, act).await
        }
        Op::Hold { reason, until } => {
            let _writing = entry.writing.lock().await;
            let hold = Hold { owner: who.principal.to_string(), reason, since: clock::wall(), until };
            store_hold(fleet, &format!("node/{}", entry.id), Some(&hold)).await?;
            fleet.emit(What::Hold { target: entry.id.to_string(), text: held(&hold) }, Some(who));
            entry.set_hold(Some(hold));
            Ok(Outcome::Done)
        }
        Op::Release => {
            let _writing = entry.writing.lock().await;
            store_hold(fleet, &format!("node/{}", entry.id), None).await?;
            entry.set_hold(None);
            fleet.emit(What::Hold { target: entry.id.to_string(), text: "released".to_owned() }, Some(who));
            Ok(Outcome::Done)
        }
        Op::Retry => {
            let feeds = config.feeds.iter().map(|feed| &feed.unit);
            for unit in config.host.iter().chain(feeds) {
                fleet.worker(unit)?.retry().await.map_err(|fault| Inner::endpoint_error(unit, fault))?;
            }
            Ok(Outcome::Done)
        }
    }
}

/// Whether an `If-Match` still does.
fn holds(fleet: &Inner, entry: &NodeEntry, condition: &Precondition) -> Result<(), OpError> {
    match condition {
        Some(condition) if !condition(&fleet.node_view(entry)) => Err(OpError::PreconditionFailed),
        _ => Ok(()),
    }
}

fn not_offered(entry: &NodeEntry, what: &str) -> OpError {
    OpError::NotOffered { target: entry.id.to_string(), what: what.to_owned(), offered: Vec::new() }
}

fn held(hold: &Hold) -> String {
    format!("held by {}: {}", hold.owner, hold.reason)
}

async fn store_hold(fleet: &Inner, key: &str, hold: Option<&Hold>) -> Result<(), OpError> {
    match hold {
        Some(hold) => {
            crate::store::write(&*fleet.store, Kind::Hold, key, Expect::Any, hold, Safety::PowerLoss).await.map(|_| ())
        }
        None => fleet.store.delete(Kind::Hold, key, Expect::Any, Safety::PowerLoss).await,
    }
    .map_err(|e| OpError::Store(e.to_string()))
}

async fn store_setting(fleet: &Inner, entry: &NodeEntry, setting: super::node::Setting) -> Result<Outcome, OpError> {
    let key = entry.id.as_str();
    crate::store::write(&*fleet.store, Kind::Setting, key, Expect::Any, &setting, Safety::PowerLoss)
        .await
        .map_err(|e| OpError::Store(e.to_string()))?;
    entry.set_setting(setting);
    Ok(Outcome::Done)
}

async fn on_unit(fleet: &Arc<Inner>, who: &Actor, unit: &Ref, op: Op, fresh: Fresh) -> Result<Outcome, OpError> {
    // An account that is limited to nodes may touch their units, no others.
    let owners = fleet.index.load().by_unit.get(unit).cloned().unwrap_or_default();
    let limited = !matches!(&*who.scope, crate::model::Scope::All);
    if limited && (owners.is_empty() || owners.iter().any(|node| !fleet.sees(who, node))) {
        return Err(OpError::NotFound(format!("unit {unit}")));
    }
    fleet.worker(unit)?;
    match op {
        Op::Observe(aspect) => observe(fleet, unit, aspect, fresh).await,
        Op::Act(Act::Power(act)) => power_of_unit(fleet, who, unit, act, &owners).await,
        Op::Act(act) => bare(fleet, unit, act).await,
        _ => Err(OpError::NotOffered {
            target: unit.to_string(),
            what: "that".to_owned(),
            offered: vec!["an act on the unit".to_owned(), "a reading".to_owned()],
        }),
    }
}

/// Power of one unit, from a face that switches outlets. What belongs to one node is an operation of that node, in its
/// lane: off-times, holds, order and repeats hold there.
async fn power_of_unit(
    fleet: &Arc<Inner>,
    who: &Actor,
    unit: &Ref,
    act: PowerAct,
    owners: &[NodeId],
) -> Result<Outcome, OpError> {
    let entries: Vec<_> =
        owners.iter().filter_map(|owner| fleet.nodes.get(owner).map(|n| Arc::clone(n.value()))).collect();
    if let [entry] = entries.as_slice() {
        let kind = match act {
            PowerAct::On => ResetType::On,
            PowerAct::Off => ResetType::ForceOff,
            PowerAct::Soft => ResetType::GracefulShutdown,
            PowerAct::Reset => ResetType::ForceRestart,
            PowerAct::Cycle { .. } => ResetType::PowerCycle,
            PowerAct::Nmi => ResetType::Nmi,
        };
        // Its only supply is the node itself: the same request through another face is the same operation.
        let config = entry.config.load_full();
        let alone = config.host.is_none() && config.feeds.len() == 1;
        let layer = if alone { Layer::Effective } else { Layer::Unit(unit.clone()) };
        return reset::run(fleet, who, entry, layer, kind).await;
    }
    let result = power_of_shared(fleet, unit, act, &entries).await;
    // It happened to each node that hangs on it.
    for entry in &entries {
        let op = format!("{} of {unit}", if act == PowerAct::Off { "Off" } else { "On" });
        match &result {
            Err(error) if error.is_refusal() => fleet.refused(who, entry, &op, error),
            Err(error) if error.is_of_the_request() => {}
            result => {
                let error = result.as_ref().err().map(ToString::to_string);
                fleet.emit(What::Operation { target: entry.id.to_string(), op, error }, Some(who));
            }
        }
    }
    result
}

async fn power_of_shared(
    fleet: &Arc<Inner>,
    unit: &Ref,
    act: PowerAct,
    entries: &[Arc<NodeEntry>],
) -> Result<Outcome, OpError> {
    for entry in entries {
        if act == PowerAct::Off {
            entry.lane().cut();
        } else {
            Inner::admit_start(entry)?;
        }
    }
    bare(fleet, unit, Act::Power(act)).await
}

/// One act on one unit, proven as far as it can be.
async fn bare(fleet: &Arc<Inner>, unit: &Ref, act: Act) -> Result<Outcome, OpError> {
    let worker = fleet.worker(unit)?;
    fleet.may_write(&worker, unit, "act")?;
    let caps = fleet.caps(unit);
    if !caps.as_ref().is_some_and(|caps| caps.acts.has(act.kind())) {
        return Err(OpError::NotOffered {
            target: unit.to_string(),
            what: format!("{:?}", act.kind()),
            offered: Vec::new(),
        });
    }
    let target = match &act {
        Act::Power(PowerAct::On) => Some(true),
        Act::Power(PowerAct::Off) => Some(false),
        _ => None,
    };
    let deadline = || clock::now() + COMMAND_PATIENCE;
    let submitted = match target {
        Some(true) => {
            let place = fleet.place(fleet.start_scopes(None, Some(unit)), fleet.config().patience.action)?;
            // The off-time belongs to the unit, whoever switches it.
            let off = worker.state.unit(&unit.unit, |u| u.off_since);
            let ready = off.map_or(place.at, |off| place.at.max(off + worker.config.policy.pace.off_time));
            let cuts = worker.state.unit(&unit.unit, |u| Some(u.cuts));
            if ready > clock::now() {
                clock::sleep_until(ready).await;
            }
            place.used();
            worker.state.change(&unit.unit, |u| {
                if Some(u.cuts) == cuts.or(Some(0)) {
                    return Ok(worker.submit(&unit.unit, act, deadline()));
                }
                Err(OpError::Cancelled { by: "a later off".to_owned() })
            })?
        }
        Some(false) => worker.state.change(&unit.unit, |u| {
            u.cuts += 1;
            worker.submit(&unit.unit, act, deadline())
        }),
        None => worker.submit(&unit.unit, act, deadline()),
    };
    let accepted = match submitted {
        Ok(submitted) => submitted.accepted().await,
        Err(fault) => Err(fault),
    };
    accepted.map_err(|fault| Inner::endpoint_error(unit, fault))?;
    if let (Some(on), Some(crate::model::Proof::ReadBack { within })) = (target, caps.map(|caps| caps.proof))
        && worker.config.policy.verify
    {
        worker.expect(&unit.unit, on, within).await.map_err(|unmet| OpError::NotConfirmed {
            endpoint: unit.endpoint.clone(),
            unit: unit.unit.to_string(),
            shows: unmet.shows.map_or_else(|| "nothing".to_owned(), |s| s.to_string()),
            waited: within,
        })?;
    }
    Ok(Outcome::Done)
}

/// A reading of one unit: from the board, or live.
async fn observe(fleet: &Arc<Inner>, unit: &Ref, aspect: Aspect, fresh: Fresh) -> Result<Outcome, OpError> {
    let worker = fleet.worker(unit)?;
    let known = |worker: &super::worker::WorkerHandle| {
        worker.state.unit(&unit.unit, |u| match &aspect {
            Aspect::Power => u.power.as_ref().map(|s| fact(s, |v| Fact::Power(*v))),
            Aspect::Boot => u.boot.as_ref().map(|s| fact(s, |v| Fact::Boot(*v))),
            Aspect::Sensors => u.sensors.as_ref().map(|s| fact(s, |v| Fact::Sensors(v.as_ref().clone()))),
            Aspect::Inventory => u.inventory.as_ref().map(|s| fact(s, |v| Fact::Inventory(Box::new((**v).clone())))),
            Aspect::Log => u.log.as_ref().map(|s| fact(s, |v| Fact::Log(v.as_ref().clone()))),
            Aspect::Indicator => u.indicator.as_ref().map(|s| fact(s, |v| Fact::Indicator(*v))),
            Aspect::Media => u.media.as_ref().map(|s| fact(s, |v| Fact::Media(v.as_ref().clone()))),
            Aspect::Units | Aspect::Raw(_) => None,
        })
    };
    let within = match fresh {
        Fresh::Cached => match known(&worker) {
            Some(fact) => return Ok(Outcome::Facts(vec![fact])),
            None => READ_PATIENCE,
        },
        Fresh::Within(within) => within,
    };
    worker.read(aspect.clone(), &unit.unit, within).await.map_err(|fault| Inner::endpoint_error(unit, fault))?;
    match known(&worker) {
        Some(fact) => Ok(Outcome::Facts(vec![fact])),
        None => Err(Inner::endpoint_error(unit, Fault::Garbage("the answer did not hold what was asked".to_owned()))),
    }
}

fn fact<T>(seen: &super::board::Seen<T>, make: impl Fn(&T) -> Fact) -> Stated<Fact> {
    Stated { value: make(&seen.value), origin: seen.origin, at: seen.wall }
}

/// A reset of an enclosure: of all nodes in it that the actor may see, in slot order; all are tried.
async fn on_chassis(fleet: &Arc<Inner>, who: &Actor, id: &str, op: Op) -> Result<Outcome, OpError> {
    let config = fleet.config();
    let chassis = config.chassis.get(id).ok_or_else(|| OpError::NotFound(format!("chassis {id}")))?;
    let Op::Reset(kind) = op else {
        return Err(OpError::NotOffered {
            target: id.to_owned(),
            what: "that".to_owned(),
            offered: vec!["a reset of all its nodes".to_owned()],
        });
    };
    let nodes = fleet.chassis_view(who, chassis).nodes;
    let entries: Vec<_> = nodes.iter().filter_map(|node| fleet.entry(who, node.as_str())).collect();
    let jobs = entries.iter().map(|entry| reset::run(fleet, who, entry, Layer::Effective, kind));
    let results = futures_util::future::join_all(jobs).await;
    let running = results.iter().find_map(|r| match r {
        Ok(outcome @ Outcome::Running { .. }) => Some(outcome.clone()),
        _ => None,
    });
    if let Some(error) = results.into_iter().find_map(Result::err) {
        return Err(error);
    }
    Ok(running.unwrap_or(Outcome::Done))
}

async fn on_endpoint(fleet: &Arc<Inner>, who: &Actor, id: &str, op: Op) -> Result<Outcome, OpError> {
    let worker =
        fleet.workers.get(id).map(|w| w.value().clone()).ok_or_else(|| OpError::NotFound(format!("endpoint {id}")))?;
    let key = format!("endpoint/{id}");
    match op {
        Op::Retry => {
            worker.retry().await.map_err(|fault| OpError::Endpoint {
                endpoint: worker.config.id.clone(),
                unit: String::new(),
                fault,
            })?;
        }
        Op::Hold { reason, until } => {
            let hold = Hold { owner: who.principal.to_string(), reason, since: clock::wall(), until };
            store_hold(fleet, &key, Some(&hold)).await?;
            fleet.emit(What::Hold { target: key, text: held(&hold) }, Some(who));
            worker.state.set_hold(Some(hold));
        }
        Op::Release => {
            store_hold(fleet, &key, None).await?;
            worker.state.set_hold(None);
            fleet.emit(What::Hold { target: key, text: "released".to_owned() }, Some(who));
        }
        _ => {
            return Err(OpError::NotOffered {
                target: id.to_owned(),
                what: "that".to_owned(),
                offered: vec!["retry".to_owned(), "hold".to_owned(), "release".to_owned()],
            });
        }
    }
    Ok(Outcome::Done)
}
