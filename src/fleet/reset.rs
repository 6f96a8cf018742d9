//! A Reset from its request to its end: admission, the node's lane, patience.

use std::sync::{Arc, atomic::Ordering};

use super::{
    clock,
    event::What,
    exec::{self, Run, SLOW_CONTROLLER},
    inner::Inner,
    journal,
    lane::{Admission, Ending, Operation},
    node::NodeEntry,
    op::{Layer, OpError, Outcome},
    plan::{self, Step},
};
use crate::model::{Actor, Fault, ResetType};

/// When a client may ask again after a conflict with a controller that is starting. Ironic waits 10 s by itself.
const BOOTING_RETRY: std::time::Duration = std::time::Duration::from_secs(10);

/// Takes a reset in and waits for its end as long as the configured patience allows.
pub async fn run(
    fleet: &Arc<Inner>,
    who: &Actor,
    entry: &Arc<NodeEntry>,
    layer: Layer,
    kind: ResetType,
) -> Result<Outcome, OpError> {
    match submit(fleet, who, entry, layer, kind)? {
        Submitted::Queued(op) => wait(fleet, entry, &op).await,
        Submitted::Done(result) => result.map(|()| Outcome::Done),
    }
}

/// What became of a reset in its node's lane.
pub enum Submitted {
    /// It waits or runs, perhaps since before.
    Queued(Arc<Operation>),
    /// An equal one has ended a moment ago.
    Done(Result<(), OpError>),
}

/// Takes a reset in. One that is refused is told of.
pub fn submit(
    fleet: &Arc<Inner>,
    who: &Actor,
    entry: &Arc<NodeEntry>,
    layer: Layer,
    kind: ResetType,
) -> Result<Submitted, OpError> {
    let result = take_in(fleet, who, entry, layer, kind);
    if let Err(error) = &result {
        fleet.refused(who, entry, kind.as_str(), error);
    }
    result
}

fn take_in(
    fleet: &Arc<Inner>,
    who: &Actor,
    entry: &Arc<NodeEntry>,
    layer: Layer,
    kind: ResetType,
) -> Result<Submitted, OpError> {
    let config = exec::limited(entry, &layer);
    let parts = fleet.parts(&config);
    let offered = plan::offered(parts);
    if !offered.contains(&kind) {
        return Err(OpError::NotOffered {
            target: entry.id.to_string(),
            what: kind.to_string(),
            offered: offered.iter().map(ToString::to_string).collect(),
        });
    }
    if kind.may_start() {
        Inner::admit_start(entry)?;
    }
    // Asked for early, so that nothing of an operation is done when a part of it may not be switched.
    let mains = parts.host.is_none() || kind == ResetType::FullPowerCycle;
    let feeds = config.feeds.iter().filter(|_| mains && parts.feeds).map(|feed| &feed.unit);
    for unit in config.host.iter().filter(|_| parts.host.is_some()).chain(feeds) {
        fleet.may_write(&fleet.worker(unit)?, unit, kind.as_str())?;
    }
    let op = Operation::new(new_id(fleet), kind, layer, who.clone(), clock::wall());
    let window = fleet.config().patience.repeat_window;
    let admission = entry.lane().submit(op, clock::now(), window);
    match admission {
        Admission::Queued(op, idle) => {
            if idle {
                work_off(fleet, entry);
            }
            Ok(Submitted::Queued(op))
        }
        Admission::Joined(op) => Ok(Submitted::Queued(op)),
        Admission::JustDone(result) => Ok(Submitted::Done(result)),
        Admission::Conflict(other) => Err(conflict(entry, &other)),
        Admission::Full => {
            let running = entry.lane().current().map_or_else(String::new, |op| op.reset.to_string());
            Err(OpError::Conflict { target: entry.id.to_string(), running: format!("{running} and others") })
        }
    }
}

/// A new operation's id. The time alone is not unique over restarts: two processes may live in one second.
pub fn new_id(fleet: &Inner) -> String {
    let count = fleet.operations.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{count:04}", clock::wall().unix_timestamp(), fleet.life)
}

fn conflict(entry: &NodeEntry, other: &Operation) -> OpError {
    OpError::Conflict {
        target: entry.id.to_string(),
        running: format!("{} by {} ({})", other.reset, other.actor.principal, other.step()),
    }
}

/// Its end, however long that takes.
pub async fn end_of(op: &Operation) -> Result<(), OpError> {
    match op.ending.subscribe().wait_for(Ending::is_some).await {
        Ok(ending) => ending.clone().unwrap_or(Ok(())),
        Err(_) => Err(OpError::Stopping),
    }
}

/// From now on it survives us: its client counts on us, not on itself.
pub async fn promise(fleet: &Inner, entry: &NodeEntry, op: &Operation) -> Result<(), OpError> {
    let journal = journal::Journal { store: &*fleet.store, node: &entry.id, op };
    journal.promise().await.map_err(|error| {
        OpError::Store(format!("{error}; {} of {} goes on all the same, as long as rackfish runs", op.reset, entry.id))
    })
}

async fn wait(fleet: &Arc<Inner>, entry: &Arc<NodeEntry>, op: &Arc<Operation>) -> Result<Outcome, OpError> {
    let patience = fleet.config().patience.action;
    if let Ok(result) = tokio::time::timeout(patience, end_of(op)).await {
        return result.map(|()| Outcome::Done);
    }
    // Ironic asks again after a conflict, but only when it wants the node on.
    let starts = matches!(op.reset, ResetType::On | ResetType::ForceOn);
    let slow = starts && entry.config.load().controller_ready > SLOW_CONTROLLER;
    if *op.step() == *Step::Controller.as_str() && slow {
        return Err(OpError::ControllerBooting { target: entry.id.to_string(), retry_after: BOOTING_RETRY });
    }
    promise(fleet, entry, op).await?;
    let name = format!("{} of {}", op.reset, entry.id);
    // What was promised stands in the journal.
    fleet.tasks.begin(&op.id, name, Some(entry.id.clone()), None, &op.actor).await.1.ok();
    let (task, node, owner) = (op.id.clone(), Some(entry.id.clone()), op.actor.principal.to_string());
    fleet.emit(What::Task { task, node, owner, ended: None }, Some(&op.actor));
    // It may have ended in this very moment.
    let ended = op.ending.borrow().clone();
    if let Some(ending) = ended {
        fleet.task_ended(&op.id, ending.err().map(|e| e.to_string())).await;
    }
    Ok(Outcome::Running { task: Arc::from(op.id.as_str()) })
}

/// Runs the node's lane until it is empty, in a task of its own.
pub fn work_off(fleet: &Arc<Inner>, entry: &Arc<NodeEntry>) {
    let (fleet_, entry) = (Arc::clone(fleet), Arc::clone(entry));
    fleet.running.spawn_on(
        async move {
            loop {
                let Some(op) = entry.lane().next() else { break };
                let run = Run::new(Arc::clone(&fleet_), Arc::clone(&entry), Arc::clone(&op));
                let result = run.begin().await;
                finish(&fleet_, &entry, &op, result).await;
            }
        },
        &fleet.runtime,
    );
}

/// An operation that was promised and had not begun when the process ended waits for its turn again.
pub async fn wait_again(fleet: &Arc<Inner>, entry: &Arc<NodeEntry>, op: Arc<Operation>) {
    journal::Journal { store: &*fleet.store, node: &entry.id, op: &op }.taken_up_waiting().await;
    let admission = entry.lane().submit(op, clock::now(), std::time::Duration::ZERO);
    if let Admission::Queued(_, true) = admission {
        work_off(fleet, entry);
    }
}

/// An operation that a crash has cut goes on, in the node's lane.
pub fn resume(fleet: &Arc<Inner>, entry: &Arc<NodeEntry>, op: Arc<Operation>, journal: journal::Entry) {
    let (fleet_, entry) = (Arc::clone(fleet), Arc::clone(entry));
    if !matches!(
        entry.lane().submit(Arc::clone(&op), clock::now(), std::time::Duration::ZERO),
        Admission::Queued(_, true)
    ) || entry.lane().next().is_none()
    {
        tracing::error!(node = %entry.id, "an operation that was cut could not be taken up: the lane is busy");
        return;
    }
    fleet.running.spawn_on(
        async move {
            let run = Run::new(Arc::clone(&fleet_), Arc::clone(&entry), Arc::clone(&op));
            let result = run.resume(journal).await;
            finish(&fleet_, &entry, &op, result).await;
            work_off(&fleet_, &entry);
        },
        &fleet.runtime,
    );
}

async fn finish(fleet: &Arc<Inner>, entry: &Arc<NodeEntry>, op: &Arc<Operation>, result: Result<(), OpError>) {
    let error = result.as_ref().err().map(ToString::to_string);
    tracing::info!(
        target: "audit",
        node = %entry.id,
        op = %op.reset,
        layer = op.layer.to_word(),
        principal = %op.actor.principal,
        face = ?op.actor.face,
        request = %op.actor.request,
        error = error.as_deref(),
        "operation ended"
    );
    if let Err(OpError::Uncertain { fault: Fault::Uncertain(text), .. }) = &result {
        tracing::warn!(node = %entry.id, op = %op.reset, text, "outcome unknown");
    }
    let what = What::Operation { target: entry.id.to_string(), op: op.reset.to_string(), error: error.clone() };
    fleet.emit(what, Some(&op.actor));
    entry.lane().ended(&result, clock::now());
    // One that the next start takes up has not ended for those who ask later.
    let goes_on = matches!(result, Err(OpError::Stopping));
    op.ending.send_replace(Some(result));
    if !goes_on {
        fleet.task_ended(&op.id, error).await;
    }
}
