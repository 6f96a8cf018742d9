//! Who asks: travels with every operation into events and the audit log.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{NodeId, Privileges, Role};

/// Which nodes an account may see and touch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// All of them.
    #[default]
    All,
    /// Those named, and those in one of the named groups. Everything else does not exist for the account.
    Some {
        /// Node names.
        #[serde(default)]
        nodes: BTreeSet<NodeId>,
        /// Group names (`groups` of a node).
        #[serde(default)]
        groups: BTreeSet<String>,
    },
}

impl Scope {
    /// Whether a node with these groups is within the scope.
    pub fn covers<'g>(&self, node: &NodeId, groups: impl IntoIterator<Item = &'g String>) -> bool {
        match self {
            Self::All => true,
            Self::Some { nodes, groups: mine } => nodes.contains(node) || groups.into_iter().any(|g| mine.contains(g)),
        }
    }
}

/// The interface that a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Face {
    /// Redfish.
    Redfish,
    /// The control socket: subcommands of the program itself.
    Cli,
    /// rackfish itself: recovery after a crash, restore policy.
    Internal,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Account name, or `local:<uid>` on the control socket.
    pub principal: Arc<str>,
    /// Its role, for people to read.
    pub role: Role,
    /// What it may do.
    pub privileges: Privileges,
    /// To which nodes.
    pub scope: Arc<Scope>,
    /// Through which interface.
    pub face: Face,
    /// Ties log lines, events and audit entries together.
    pub request: Arc<str>,
}

impl Actor {
    /// rackfish itself, with all rights.
    pub fn internal(reason: &str) -> Self {
        Self {
            principal: Arc::from("rackfish"),
            role: Role::Administrator,
            privileges: Privileges::ALL,
            scope: Arc::new(Scope::All),
            face: Face::Internal,
            request: Arc::from(reason),
        }
    }
}
