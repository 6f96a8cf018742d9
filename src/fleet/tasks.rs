//! Operations that outlasted their caller's patience: what a client may ask for later.

use std::sync::Arc;

use dashmap::DashMap;

use super::{
    clock,
    view::{Progress, TaskView},
};
use crate::{
    model::{Actor, NodeId},
    store::{Expect, Kind, Safety, Store, StoreError},
};

/// Ended tasks are kept for a day, and at most that many in all.
const MOST: usize = 10_000;
const KEPT: time::Duration = time::Duration::hours(24);

/// See the module.
pub struct Tasks {
    store: Arc<dyn Store>,
    all: DashMap<String, TaskView>,
}

impl Tasks {
    /// With what was stored. A task that had not ended when the process did is closed by `fleet::recover`, unless its
    /// operation goes on.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let all = DashMap::new();
        for (key, _, task) in crate::store::read_all::<TaskView>(&*store, Kind::Task).await? {
            all.insert(key, task);
        }
        Ok(Self { store, all })
    }

    /// A new one. It can be asked for even if it could not be stored, as long as this process lives.
    pub async fn begin(
        &self,
        id: &str,
        name: String,
        node: Option<NodeId>,
        progress: Option<Progress>,
        who: &Actor,
    ) -> (TaskView, Result<(), StoreError>) {
        self.prune().await;
        let task = TaskView {
            id: id.to_owned(),
            name,
            principal: who.principal.to_string(),
            node,
            started: clock::wall(),
            ended: None,
            error: None,
            progress,
        };
        let kept = self.keep(task.clone(), Safety::PowerLoss).await;
        (task, kept)
    }

    /// Takes back one that nobody was told of.
    pub fn take_back(&self, id: &str) {
        self.all.remove(id);
    }

    /// How far one for many nodes is.
    pub async fn note(&self, id: &str, progress: &Progress, safety: Safety) -> Result<(), StoreError> {
        match self.all.get(id).map(|task| task.clone()) {
            Some(task) => self.keep(TaskView { progress: Some(progress.clone()), ..task }, safety).await,
            None => Ok(()),
        }
    }

    /// Its operation has ended. The task, if it had not ended before.
    pub async fn ended(&self, id: &str, error: Option<String>) -> Option<TaskView> {
        let task = self.all.get(id).map(|task| task.clone())?;
        let news = task.ended.is_none();
        // By a clock that was set back it would have ended before it began.
        let task = TaskView { ended: Some(clock::wall().max(task.started)), error, ..task };
        // It has ended either way; what could not be stored is in the log.
        self.keep(task.clone(), Safety::PowerLoss).await.ok();
        news.then_some(task)
    }

    /// Its client was told where to ask: that has to hold after a kill too.
    async fn keep(&self, task: TaskView, safety: Safety) -> Result<(), StoreError> {
        self.all.insert(task.id.clone(), task.clone());
        let written = crate::store::write(&*self.store, Kind::Task, &task.id, Expect::Any, &task, safety).await;
        written.map(drop).inspect_err(|error| tracing::error!(task = task.id, %error, "a task could not be stored"))
    }

    async fn prune(&self) {
        let too_old = clock::wall() - KEPT;
        let mut old: Vec<(time::OffsetDateTime, String)> = self
            .all
            .iter()
            .filter_map(|task| task.ended.map(|ended| (ended, task.id.clone())))
            .filter(|(ended, _)| *ended < too_old || self.all.len() >= MOST)
            .collect();
        old.sort();
        // Of those that are only too many, the oldest tenth.
        let many =
            old.iter().filter(|(ended, _)| *ended < too_old).count().max(self.all.len().saturating_sub(MOST * 9 / 10));
        for (_, id) in old.into_iter().take(many) {
            self.all.remove(&id);
            if let Err(error) = self.store.delete(Kind::Task, &id, Expect::Any, Safety::Behind).await {
                tracing::error!(task = id, %error, "an old task could not be removed");
            }
        }
    }

    /// Those that have not ended.
    pub fn open_ids(&self) -> Vec<String> {
        self.all.iter().filter(|task| task.ended.is_none()).map(|task| task.id.clone()).collect()
    }

    /// Those the actor may see: their own, and all for who looks after the service without limits.
    pub fn visible(&self, who: &Actor) -> Vec<TaskView> {
        let mut all: Vec<_> = self.all.iter().filter(|task| sees(who, task)).map(|task| task.clone()).collect();
        all.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        all
    }

    /// One, if the actor may see it.
    pub fn get(&self, who: &Actor, id: &str) -> Option<TaskView> {
        self.all.get(id).filter(|task| sees(who, task)).map(|task| task.clone())
    }
}

fn sees(who: &Actor, task: &TaskView) -> bool {
    *who.principal == *task.principal || (who.privileges.may_manage() && matches!(*who.scope, crate::model::Scope::All))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;

    #[tokio::test]
    async fn nothing_ends_before_it_has_begun() {
        let tasks = Tasks::open(crate::store::MemoryStore::new()).await.unwrap();
        let who = Actor::internal("test");
        tasks.begin("t", "On of n1".to_owned(), NodeId::new("n1").ok(), None, &who).await.1.unwrap();
        let begun = clock::wall() + time::Duration::hours(1);
        tasks.all.get_mut("t").unwrap().started = begun;
        tasks.ended("t", None).await;
        assert_eq!(tasks.get(&who, "t").unwrap().ended, Some(begun));
    }

    /// The files of a store that is open, as a kill would leave them, opened.
    async fn after_a_kill(dir: &std::path::Path) -> Tasks {
        let copy = tempfile::tempdir().unwrap();
        for name in ["rackfish.db", "rackfish.db-wal"] {
            std::fs::copy(dir.join(name), copy.path().join(name)).unwrap();
        }
        Tasks::open(SqliteStore::open(copy.path()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn what_a_client_was_told_of_a_task_survives_a_kill() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path()).unwrap();
        let who = Actor::internal("test");
        let tasks = Tasks::open(store).await.unwrap();
        tasks.begin("t", "On of n1".to_owned(), NodeId::new("n1").ok(), None, &who).await.1.unwrap();
        assert_eq!(after_a_kill(dir.path()).await.open_ids(), ["t"]);
        tasks.ended("t", None).await;
        assert!(after_a_kill(dir.path()).await.get(&who, "t").unwrap().ended.is_some());
    }
}
