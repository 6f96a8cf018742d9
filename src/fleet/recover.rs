//! After a crash: operations that were under way are finished, or failed with an event.

use std::sync::Arc;

use super::{
    clock,
    event::What,
    inner::Inner,
    journal::{self, Entry},
    lane::Operation,
    node::NodeEntry,
    op::Layer,
    overrides::Stage,
    plan::Step,
    reset,
};
use crate::{model::Actor, store::StoreError};

/// Takes up what the journal holds; closes tasks whose operation is gone.
pub async fn run(fleet: &Arc<Inner>) -> Result<(), StoreError> {
    let left = journal::left(&*fleet.store).await?;
    let mut going_on = Vec::new();
    for (node, entry) in left {
        let Some(found) = fleet.nodes.get(&node).map(|n| Arc::clone(n.value())) else {
            tracing::warn!(%node, op = %entry.reset, "an operation was cut on a node that is no longer configured");
            journal::ended(&*fleet.store, &node).await?;
            continue;
        };
        match finishable(&entry) {
            Ok(()) => {
                tracing::warn!(%node, op = %entry.reset, step = step_of(&entry), "taking up an operation that was cut");
                going_on.push(entry.id.clone());
                let actor = Actor {
                    principal: Arc::from(entry.principal.as_str()),
                    request: Arc::from(entry.request.as_str()),
                    ..Actor::internal("recovery")
                };
                let layer = Layer::from_word(&entry.layer);
                let op = Operation::new(entry.id.clone(), entry.reset, layer, actor, entry.started);
                reset::resume(fleet, &found, op, entry);
            }
            Err(why) => {
                tracing::warn!(%node, op = %entry.reset, why, "an operation that was cut is not taken up");
                let error = Some(format!("cut by a restart of rackfish; {why}"));
                fleet.emit(
                    What::Operation { target: node.to_string(), op: entry.reset.to_string(), error: error.clone() },
                    None,
                );
                fleet.tasks.ended(&entry.id, error).await;
                journal::ended(&*fleet.store, &node).await?;
            }
        }
    }
    for task in fleet.tasks.open_ids() {
        if !going_on.contains(&task) {
            fleet.tasks.ended(&task, Some("cut by a restart of rackfish".to_owned())).await;
        }
    }
    let nodes: Vec<Arc<NodeEntry>> = fleet.nodes.iter().map(|n| Arc::clone(n.value())).collect();
    for node in nodes {
        rearm_orphan(fleet, &node, &going_on).await;
    }
    Ok(())
}

fn step_of(entry: &Entry) -> &'static str {
    entry.steps.get(entry.at).map_or("end", |step| step.as_str())
}

/// Whether the rest of an operation is still what its client wants. After its deadline a machine that runs is left
/// alone (`exec::Run::resume` looks); one that we may have left off is started all the same.
fn finishable(entry: &Entry) -> Result<(), &'static str> {
    if clock::wall() <= entry.deadline {
        return Ok(());
    }
    // The first step may have been made, too.
    let switches = |step: &Step| !matches!(step, Step::Boot | Step::Controller);
    let begun = entry.at > 0 || entry.steps.first().is_some_and(switches);
    let ends_on = entry.reset.may_start();
    if ends_on && begun { Ok(()) } else { Err("its deadline has passed and it had not begun to switch") }
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
