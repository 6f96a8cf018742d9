//! One reset of many nodes, batch after batch: "switch a rack".
//!
//! It is promised as a whole. The plan is stored before the first node is touched, how far it is before each batch, and
//! the next start goes on from there: what had not begun begins, what was under way is asked for again if that does no
//! harm. A restart that may have been made is not made twice: it is told as a failure.
//!
//! Each node's part goes through that node's lane like any other reset: holds, off-times, in-rush budget and journal
//! count as ever. Who failed stands in the task.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{
    clock, crash,
    event::What,
    inner::Inner,
    op::{Layer, OpError},
    reset::{self, Submitted},
    view::{Failure, Progress, TaskView},
};
use crate::{
    model::{Actor, NodeId, ResetType},
    store::{self, Expect, Kind, Safety, StoreError},
};

/// How often it is noted who is done while a batch is under way.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Longest pause between two batches.
pub const LONGEST_DELAY: Duration = Duration::from_hours(1);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Which nodes, in that order; each once.
    pub nodes: Vec<NodeId>,
    /// What.
    pub reset: ResetType,
    /// So many at a time; `None`: all at once, as far as the in-rush budget lets them.
    pub batch: Option<usize>,
    /// Between the end of a batch and the start of the next.
    pub delay: Duration,
}

/// What became of it while its client waited.
#[derive(Debug, Clone)]
pub enum Swept {
    /// All nodes are through; who failed stands in it.
    Ended(Progress),
    /// It goes on: the task to ask.
    Running(TaskView),
}

/// The stored plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    nodes: Vec<NodeId>,
    reset: ResetType,
    batch: usize,
    /// Milliseconds.
    delay: u64,
    principal: String,
    request: String,
}

impl Plan {
    /// After a restart its actor counts as ourselves: it was looked at when it was accepted.
    fn actor(&self) -> Actor {
        Actor {
            principal: Arc::from(self.principal.as_str()),
            request: Arc::from(self.request.as_str()),
            ..Actor::internal("recovery")
        }
    }
}

/// See [`super::Fleet::sweep`].
pub async fn run(fleet: &Arc<Inner>, who: &Actor, mut asked: Sweep) -> Result<Swept, OpError> {
    if !who.privileges.may_switch() {
        return Err(OpError::Forbidden { principal: Arc::clone(&who.principal), role: who.role.clone() });
    }
    if fleet.stopping.is_cancelled() {
        return Err(OpError::Stopping);
    }
    let mut seen = BTreeSet::new();
    asked.nodes.retain(|node| seen.insert(node.clone()));
    if let Some(missing) = asked.nodes.iter().find(|node| fleet.entry(who, node.as_str()).is_none()) {
        return Err(OpError::NotFound(format!("node {missing}")));
    }
    let plan = Plan {
        batch: asked.batch.unwrap_or(usize::MAX).clamp(1, asked.nodes.len().max(1)),
        delay: u64::try_from(asked.delay.min(LONGEST_DELAY).as_millis()).unwrap_or(0),
        nodes: asked.nodes,
        reset: asked.reset,
        principal: who.principal.to_string(),
        request: who.request.to_string(),
    };
    let id = reset::new_id(fleet);
    store::write(&*fleet.store, Kind::Sweep, &id, Expect::Absent, &plan, Safety::PowerLoss)
        .await
        .map_err(|error| OpError::Store(error.to_string()))?;
    crash::point("sweep", "planned");
    let name = format!("{} of {} nodes", plan.reset, plan.nodes.len());
    let progress = Progress { total: plan.nodes.len(), ..Progress::default() };
    let (task, kept) = fleet.tasks.begin(&id, name, None, Some(progress.clone()), who).await;
    if let Err(error) = kept {
        // The next start would not find it: what can't be promised is not begun.
        fleet.tasks.take_back(&id);
        store_gone(fleet, &id).await;
        return Err(OpError::Store(error.to_string()));
    }
    let (owner, task_id) = (task.principal.clone(), id.clone());
    fleet.emit(What::Task { task: task_id, node: None, owner, ended: None }, Some(who));
    let (tell, mut told) = watch::channel(None);
    spawn(fleet, id, plan, who.clone(), progress, tell);
    let patience = fleet.config().patience.action;
    let ended = tokio::time::timeout(patience, async {
        // An error: it was cut by a stop, and goes on after the next start.
        told.wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone())
    });
    Ok(ended.await.ok().flatten().map_or(Swept::Running(task), Swept::Ended))
}

fn spawn(
    fleet: &Arc<Inner>,
    id: String,
    plan: Plan,
    actor: Actor,
    progress: Progress,
    tell: watch::Sender<Option<Progress>>,
) {
    let work = Work { fleet: Arc::clone(fleet), id, plan, actor, progress };
    fleet.running.spawn_on(
        async move {
            if let Some(ended) = work.go().await {
                tell.send_replace(Some(ended));
            }
        },
        &fleet.runtime,
    );
}

/// Takes up what the process before this one was doing. Gives the ids of those that go on.
pub async fn resume(fleet: &Arc<Inner>) -> Result<Vec<String>, StoreError> {
    let mut going_on = Vec::new();
    for (id, _, plan) in store::read_all::<Plan>(&*fleet.store, Kind::Sweep).await? {
        let actor = plan.actor();
        let task = fleet.tasks.get(&Actor::internal("recovery"), &id);
        let Some(TaskView { ended: None, progress: Some(progress), .. }) = task else {
            // It had ended, and its plan was to be removed; or nobody was told of it yet, and nothing was touched.
            store_gone(fleet, &id).await;
            continue;
        };
        tracing::warn!(task = id, reset = %plan.reset, ended = progress.ended, total = progress.total, "taking up a reset of many nodes that was cut");
        going_on.push(id.clone());
        spawn(fleet, id, plan, actor, progress, watch::channel(None).0);
    }
    Ok(going_on)
}

async fn store_gone(fleet: &Inner, id: &str) {
    if let Err(error) = fleet.store.delete(Kind::Sweep, id, Expect::Any, Safety::Behind).await {
        tracing::error!(task = id, %error, "a plan that is done could not be removed");
    }
}

/// One sweep under way.
struct Work {
    fleet: Arc<Inner>,
    id: String,
    plan: Plan,
    actor: Actor,
    progress: Progress,
}

impl Work {
    /// `None`: rackfish stops, and the next start goes on.
    async fn go(mut self) -> Option<Progress> {
        let doubtful: Vec<_> = std::mem::take(&mut self.progress.open).into_iter().collect();
        if !doubtful.is_empty() && !self.batch(doubtful, true).await {
            return None;
        }
        loop {
            let from = self.progress.begun;
            let batch: Vec<NodeId> = self.plan.nodes.iter().skip(from).take(self.plan.batch).cloned().collect();
            if batch.is_empty() {
                break;
            }
            if from > 0 && !self.pause().await {
                return None;
            }
            self.progress.begun = from.saturating_add(batch.len());
            if !self.batch(batch, false).await {
                return None;
            }
        }
        let error = self.progress.trouble();
        tracing::info!(
            target: "audit",
            task = self.id,
            op = %self.plan.reset,
            nodes = self.progress.total,
            failed = self.progress.failed.len(),
            principal = %self.actor.principal,
            request = %self.actor.request,
            "reset of many nodes ended"
        );
        self.note_behind().await;
        self.fleet.task_ended(&self.id, error).await;
        store_gone(&self.fleet, &self.id).await;
        Some(self.progress)
    }

    /// False: rackfish stops.
    async fn pause(&self) -> bool {
        tokio::select! {
            () = self.fleet.stopping.cancelled() => false,
            () = clock::sleep_until(clock::now() + Duration::from_millis(self.plan.delay)) => true,
        }
    }

    /// One batch, all of it at once. False: rackfish stops.
    async fn batch(&mut self, nodes: Vec<NodeId>, doubtful: bool) -> bool {
        if self.fleet.stopping.is_cancelled() {
            return false;
        }
        self.progress.open = nodes.iter().cloned().collect();
        // Before any of them is touched: after a kill it is known which may have been.
        let noted = self.fleet.tasks.note(&self.id, &self.progress, Safety::PowerLoss).await;
        if let Err(error) = noted
            && !harmless(self.plan.reset)
        {
            // After a kill these would be taken for untouched, and restarted once more.
            let error = OpError::Store(error.to_string()).to_string();
            self.progress.open.clear();
            self.progress.ended = self.progress.ended.saturating_add(nodes.len());
            self.progress.failed.extend(nodes.into_iter().map(|node| Failure { node, error: error.clone() }));
            return true;
        }
        crash::point("sweep", "begun");
        let mut parts: FuturesUnordered<_> = nodes
            .into_iter()
            .map(|node| {
                let (fleet, actor, reset) = (Arc::clone(&self.fleet), self.actor.clone(), self.plan.reset);
                async move {
                    let result = if doubtful && !harmless(reset) {
                        once_more(&fleet, &node, reset).await
                    } else {
                        one(&fleet, &actor, &node, reset).await
                    };
                    (node, result)
                }
            })
            .collect();
        let (mut cut, mut noted) = (false, clock::now());
        while let Some((node, result)) = parts.next().await {
            if matches!(result, Err(OpError::Stopping)) {
                cut = true;
                continue;
            }
            self.progress.open.remove(&node);
            self.progress.ended = self.progress.ended.saturating_add(1);
            if let Err(error) = result {
                self.progress.failed.push(Failure { node, error: error.to_string() });
            }
            if clock::now() > noted + NOTE_EVERY {
                noted = clock::now();
                self.note_behind().await;
            }
        }
        self.note_behind().await;
        !cut
    }

    /// Who is done. One that could not be noted is asked for again, or told as doubtful, by the next start.
    async fn note_behind(&self) {
        self.fleet.tasks.note(&self.id, &self.progress, Safety::Behind).await.ok();
    }
}

/// Whether it may be asked for twice.
fn harmless(reset: ResetType) -> bool {
    matches!(reset, ResetType::On | ResetType::ForceOn | ResetType::ForceOff | ResetType::GracefulShutdown)
}

async fn one(fleet: &Arc<Inner>, actor: &Actor, node: &NodeId, reset: ResetType) -> Result<(), OpError> {
    let entry = fleet.nodes.get(node).map(|entry| Arc::clone(entry.value()));
    let entry = entry.ok_or_else(|| OpError::NotFound(format!("node {node}")))?;
    match reset::submit(fleet, actor, &entry, Layer::Effective, reset)? {
        Submitted::Done(result) => result,
        Submitted::Queued(op) => {
            reset::promise(fleet, &entry, &op).await?;
            reset::end_of(&op).await
        }
    }
}

/// A part that may have been made before a kill: its operation is waited for if it was taken up.
async fn once_more(fleet: &Arc<Inner>, node: &NodeId, reset: ResetType) -> Result<(), OpError> {
    let entry = fleet.nodes.get(node).map(|entry| Arc::clone(entry.value()));
    let entry = entry.ok_or_else(|| OpError::NotFound(format!("node {node}")))?;
    let running = entry.lane().current().filter(|op| op.reset == reset).cloned();
    match running {
        Some(op) => reset::end_of(&op).await,
        None => Err(OpError::Conflict {
            target: node.to_string(),
            running: format!("{reset} when rackfish ended: it may have been made, and is not made again"),
        }),
    }
}

impl Progress {
    /// In one line, for people: who failed, if anybody did.
    pub fn trouble(&self) -> Option<String> {
        const NAMED: usize = 10;
        if self.failed.is_empty() {
            return None;
        }
        let named: Vec<&str> = self.failed.iter().take(NAMED).map(|failure| failure.node.as_str()).collect();
        let more = self.failed.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!("{} of {} failed: {}{more}", self.failed.len(), self.total, named.join(", ")))
    }
}
