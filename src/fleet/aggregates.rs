//! Sets of nodes that people have made, and those that the configuration makes: its groups.

use std::{collections::BTreeSet, sync::Arc};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};

use super::inner::Inner;
use crate::{
    model::{Actor, NodeId, Scope},
    store::{self, Expect, Kind, Safety, Store, StoreError},
};

/// Sets kept at once.
pub const MOST: usize = 1_000;
/// What the id of a group's set begins with; ids of other sets have no dash.
const GROUP: &str = "group-";

/// A set as one account sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateView {
    /// For the URI.
    pub id: String,
    /// Readable.
    pub name: String,
    /// Its nodes, by name; those that are no longer configured are left out.
    pub nodes: Vec<NodeId>,
    /// `None`: made by the configuration, which alone changes it.
    pub revision: Option<u64>,
}

/// Why a set could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AggregateError {
    /// None of that id, or none that the account may see.
    #[error("there is no such set of nodes")]
    NotFound,
    /// Some of its nodes are not the account's.
    #[error("the set has nodes that are not yours")]
    Forbidden,
    /// It is a group of the configuration.
    #[error("the set is a group of the configuration: change `groups` of its nodes there")]
    Configured,
    /// There are too many.
    #[error("there are already {MOST} sets of nodes; remove some")]
    Full,
    /// Somebody else changed it in between (`If-Match`).
    #[error("the set has changed since it was read")]
    Changed,
    /// The store failed.
    #[error("sets of nodes can't be written")]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Document {
    nodes: BTreeSet<NodeId>,
}

/// What is kept of sets.
pub struct Aggregates {
    all: DashMap<String, (u64, Arc<BTreeSet<NodeId>>)>,
    /// One change at a time: check, write, show.
    changing: tokio::sync::Mutex<()>,
}

impl Aggregates {
    /// With what was stored.
    pub async fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let all = DashMap::new();
        for (id, revision, Document { nodes }) in store::read_all(store, Kind::Aggregate).await? {
            all.insert(id, (revision, Arc::new(nodes)));
        }
        Ok(Self { all, changing: tokio::sync::Mutex::default() })
    }
}

impl Inner {
    fn aggregate_view(&self, who: &Actor, id: &str, nodes: &BTreeSet<NodeId>, revision: u64) -> Option<AggregateView> {
        let nodes: Vec<_> =
            nodes.iter().filter(|node| self.nodes.contains_key(*node) && self.sees(who, node)).cloned().collect();
        // One that holds none of the nodes an account is limited to does not exist for it.
        (matches!(&*who.scope, Scope::All) || !nodes.is_empty()).then(|| AggregateView {
            id: id.to_owned(),
            name: format!("Aggregate {id}"),
            nodes,
            revision: Some(revision),
        })
    }

    fn group_view(&self, who: &Actor, group: &str) -> Option<AggregateView> {
        let config = self.config();
        let within = config.nodes.values().filter(|node| node.groups.iter().any(|g| g == group));
        let nodes: Vec<_> = within.map(|node| node.id.clone()).filter(|node| self.sees(who, node)).collect();
        (!nodes.is_empty()).then(|| AggregateView {
            id: format!("{GROUP}{group}"),
            name: format!("Group {group}"),
            nodes,
            revision: None,
        })
    }

    /// All sets that the account may see: those of the configuration, then the others.
    pub fn aggregates(&self, who: &Actor) -> Vec<AggregateView> {
        let config = self.config();
        let groups: BTreeSet<&String> = config.nodes.values().flat_map(|node| &node.groups).collect();
        let mut made: Vec<_> = self
            .aggregates
            .all
            .iter()
            .filter_map(|set| self.aggregate_view(who, set.key(), &set.value().1, set.value().0))
            .collect();
        made.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        groups.into_iter().filter_map(|group| self.group_view(who, group)).chain(made).collect()
    }

    /// One.
    pub fn aggregate(&self, who: &Actor, id: &str) -> Option<AggregateView> {
        if let Some(group) = id.strip_prefix(GROUP) {
            return self.group_view(who, group);
        }
        let (revision, nodes) = self.aggregates.all.get(id).map(|set| set.value().clone())?;
        self.aggregate_view(who, id, &nodes, revision)
    }

    /// Makes a set.
    pub async fn make_aggregate(&self, who: &Actor, nodes: BTreeSet<NodeId>) -> Result<AggregateView, AggregateError> {
        let _one = self.aggregates.changing.lock().await;
        if self.aggregates.all.len() >= MOST {
            return Err(AggregateError::Full);
        }
        let id = format!("{:016x}", rand::random::<u64>());
        self.keep_aggregate(&id, nodes, Expect::Absent).await?;
        self.aggregate(who, &id).ok_or(AggregateError::NotFound)
    }

    /// Changes what a set holds; `expect`: the revision that `If-Match` named.
    pub async fn change_aggregate(
        &self,
        who: &Actor,
        id: &str,
        expect: Option<u64>,
        change: impl FnOnce(&mut BTreeSet<NodeId>),
    ) -> Result<AggregateView, AggregateError> {
        let _one = self.aggregates.changing.lock().await;
        let (revision, before) = self.own_aggregate(who, id, expect)?;
        let mut nodes = (*before).clone();
        change(&mut nodes);
        if nodes != *before {
            self.keep_aggregate(id, nodes, Expect::Revision(revision)).await?;
        }
        // Without a node of theirs it is gone for an account that is limited.
        Ok(self.aggregate(who, id).unwrap_or_else(|| AggregateView {
            id: id.to_owned(),
            name: format!("Aggregate {id}"),
            nodes: Vec::new(),
            revision: Some(revision),
        }))
    }

    /// Removes a set; its nodes stay as they are.
    pub async fn remove_aggregate(&self, who: &Actor, id: &str, expect: Option<u64>) -> Result<(), AggregateError> {
        let _one = self.aggregates.changing.lock().await;
        self.own_aggregate(who, id, expect)?;
        self.store.delete(Kind::Aggregate, id, Expect::Any, Safety::PowerLoss).await?;
        self.aggregates.all.remove(id);
        Ok(())
    }

    /// A set that the account may change: all its nodes are its own.
    fn own_aggregate(
        &self,
        who: &Actor,
        id: &str,
        expect: Option<u64>,
    ) -> Result<(u64, Arc<BTreeSet<NodeId>>), AggregateError> {
        let seen = self.aggregate(who, id).ok_or(AggregateError::NotFound)?;
        if seen.revision.is_none() {
            return Err(AggregateError::Configured);
        }
        let (revision, nodes) =
            self.aggregates.all.get(id).map(|set| set.value().clone()).ok_or(AggregateError::NotFound)?;
        if expect.is_some_and(|expected| expected != revision) {
            return Err(AggregateError::Changed);
        }
        if nodes.iter().any(|node| self.nodes.contains_key(node) && !self.sees(who, node)) {
            return Err(AggregateError::Forbidden);
        }
        Ok((revision, nodes))
    }

    async fn keep_aggregate(&self, id: &str, nodes: BTreeSet<NodeId>, expect: Expect) -> Result<(), AggregateError> {
        let document = Document { nodes };
        let written = store::write(&*self.store, Kind::Aggregate, id, expect, &document, Safety::PowerLoss).await;
        let revision = match written {
            Err(StoreError::Conflict { .. }) => return Err(AggregateError::Changed),
            other => other?,
        };
        self.aggregates.all.insert(id.to_owned(), (revision, Arc::new(document.nodes)));
        Ok(())
    }
}
