//! After a crash: operations that were under way are finished, or failed with an event.

use std::{sync::Arc, time::Duration};

use super::{
    clock,
    event::What,
    inner::Inner,
    journal::{self, Entry, Left},
    lane::Operation,
    node::NodeEntry,
    op::Layer,
    overrides::Stage,
    plan::Step,
    reset, sweep,
};
use crate::{
    model::{Actor, NodeId},
    store::StoreError,
};

/// Takes up what the journal holds; closes tasks whose operation is gone.
pub async fn run(fleet: &Arc<Inner>) -> Result<(), StoreError> {
    let left = Left::read(&*fleet.store).await?;
    let mut going_on = Vec::new();
    let open = fleet.tasks.open_ids();
    for (node, entry) in left.begun {
        let Some(found) = known(fleet, &node, &entry, None).await? else { continue };
        if let Some(end) = entry.ended.clone() {
            // Its client may send it again, because the answer was lost with the process that did it.
            if open.contains(&entry.id) {
                fleet.task_ended(&entry.id, end.how.trouble()).await;
            }
            let ago = Duration::try_from(clock::wall() - end.at).unwrap_or_default();
            if let (Some(op), Some(at), false) = (operation(&entry), clock::now().checked_sub(ago), entry.outdated) {
                found.lane().remember(op, end.how, at);
            }
            continue;
        }
        match finishable(&entry) {
            Ok(op) => {
                tracing::warn!(%node, op = %entry.reset, step = step_of(&entry), "taking up an operation that was cut");
                going_on.push(entry.id.clone());
                reset::resume(fleet, &found, op, entry);
            }
            Err(why) => give_up(fleet, &node, &entry, why, None).await?,
        }
    }
    for (node, entry) in left.waiting {
        let Some(found) = known(fleet, &node, &entry, Some(&entry.id)).await? else { continue };
        if going_on.contains(&entry.id) {
            // It had just begun.
            journal::forget(&*fleet.store, &node, Some(&entry.id)).await?;
            continue;
        }
        match operation(&entry).filter(|_| clock::wall() <= entry.deadline) {
            Some(op) => {
                tracing::warn!(%node, op = %entry.reset, "taking up an operation that waited");
                going_on.push(entry.id.clone());
                reset::wait_again(fleet, &found, op).await;
            }
            None => give_up(fleet, &node, &entry, "it had waited for too long", Some(&entry.id)).await?,
        }
    }
    going_on.extend(sweep::resume(fleet).await?);
    for task in fleet.tasks.open_ids() {
        if !going_on.contains(&task) {
            fleet.task_ended(&task, Some("cut by a restart of rackfish".to_owned())).await;
        }
    }
    let mut nodes: Vec<Arc<NodeEntry>> = fleet.nodes.iter().map(|n| Arc::clone(n.value())).collect();
    nodes.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    for node in nodes {
        rearm_orphan(fleet, &node, &going_on).await;
    }
    Ok(())
}

/// The node, if it is still configured; else the entry is forgotten.
async fn known(
    fleet: &Inner,
    node: &NodeId,
    entry: &Entry,
    waiting: Option<&str>,
) -> Result<Option<Arc<NodeEntry>>, StoreError> {
    let found = fleet.nodes.get(node).map(|n| Arc::clone(n.value()));
    if found.is_none() {
        if entry.ended.is_none() {
            tracing::warn!(%node, op = %entry.reset, "an operation was cut on a node that is no longer configured");
        }
        journal::forget(&*fleet.store, node, waiting).await?;
    }
    Ok(found)
}

fn operation(entry: &Entry) -> Option<Arc<Operation>> {
    let actor = Actor {
        principal: Arc::from(entry.principal.as_str()),
        request: Arc::from(entry.request.as_str()),
        ..Actor::internal("recovery")
    };
    let layer = Layer::from_word(&entry.layer)?;
    let op = Operation::new(entry.id.clone(), entry.reset, layer, actor, entry.started);
    if entry.outdated {
        op.set_outdated();
    }
    Some(op)
}

async fn give_up(
    fleet: &Inner,
    node: &NodeId,
    entry: &Entry,
    why: &str,
    waiting: Option<&str>,
) -> Result<(), StoreError> {
    tracing::warn!(%node, op = %entry.reset, why, "an operation that was cut is not taken up");
    let error = Some(format!("cut by a restart of rackfish; {why}"));
    let what = What::Operation { target: node.to_string(), op: entry.reset.to_string(), error: error.clone() };
    fleet.emit(what, None);
    fleet.task_ended(&entry.id, error).await;
    journal::forget(&*fleet.store, node, waiting).await
}

fn step_of(entry: &Entry) -> &'static str {
    entry.steps.get(entry.at).map_or("end", |step| step.as_str())
}

/// Whether the rest of an operation is still what its client wants. After its deadline a machine that runs is left
/// alone (`exec::Run::resume` looks); one that we may have left off is started all the same.
fn finishable(entry: &Entry) -> Result<Arc<Operation>, &'static str> {
    let op = operation(entry).ok_or("its layer is none that this version knows")?;
    if clock::wall() <= entry.deadline {
        return Ok(op);
    }
    // The first step may have been made, too.
    let switches = |step: &Step| !matches!(step, Step::Boot | Step::Controller);
    let begun = entry.at > 0 || entry.steps.first().is_some_and(switches);
    let ends_on = entry.reset.may_start();
    if ends_on && begun { Ok(op) } else { Err("its deadline has passed and it had not begun to switch") }
}

/// An override that fires for an operation that is gone waits for the next start.
async fn rearm_orphan(fleet: &Arc<Inner>, node: &Arc<NodeEntry>, going_on: &[String]) {
    let boot = node.boot();
    let Some(Stage::Firing(by)) = boot.once.as_ref().map(|once| &once.stage) else { return };
    if going_on.contains(by) {
        return;
    }
    let _writing = node.writing.lock().await;
    let mut changed = (*boot).clone();
    changed.rearm(by);
    if let Err(error) = fleet.store_boot(node, changed).await {
        tracing::error!(node = %node.id, %error, "the boot override could not be stored");
    }
}
