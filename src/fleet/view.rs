//! What faces see: snapshots of what is known, made without asking any device.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    config::{self, Facts},
    model::{
        BootEnabled, BootMode, BootTarget, ChassisId, EndpointId, Inventory, Led, MediaSlot, NodeId, PowerState,
        Reading, Ref, ResetType, Stated, Unit,
    },
};

/// A node as it is known now.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// Its name.
    pub id: NodeId,
    /// Stable: configured, else derived from the installation's UUID and the name.
    pub uuid: uuid::Uuid,
    /// As configured.
    pub config: Arc<config::Node>,
    /// Effective power; `None`: unknown (never read, or too long ago).
    pub power: Option<Stated<PowerState>>,
    /// Why power is unknown or old, naming the endpoint; for `Status.Conditions` and logs.
    pub trouble: Option<Arc<str>>,
    /// The endpoints of host and feeds all answer.
    pub reachable: bool,
    /// The host unit's own power, if there is a host.
    pub host_power: Option<Stated<PowerState>>,
    /// Its supplies.
    pub feeds: Vec<FeedView>,
    /// What a Reset may be now: exactly these.
    pub resets: Vec<ResetType>,
    /// Boot override.
    pub boot: BootView,
    /// Identification light; `None`: there is none that could be set.
    pub indicator: Option<Led>,
    /// Readings of host, sensor units and metered feeds, with the unit they come from.
    pub readings: Vec<(Ref, Stated<Arc<Vec<Reading>>>)>,
    /// What the host told about itself; configured facts win where both exist.
    pub inventory: Option<Stated<Arc<Inventory>>>,
    /// Asset tag: set by a client, else configured, else read.
    pub asset_tag: Option<Arc<str>>,
    /// Starts are refused.
    pub hold: Option<Hold>,
    /// What runs on it now.
    pub operation: Option<OperationView>,
    /// Its manager: the BMC's, or rackfish's own.
    pub manager: ManagerRef,
    /// The host has an event log that can be read.
    pub has_log: bool,
    /// The host's slots for virtual media, as last read (none before that); `None`: it has no such thing.
    pub media: Option<Arc<Vec<MediaSlot>>>,
}

impl NodeView {
    /// The configured facts.
    pub fn facts(&self) -> &Facts {
        &self.config.facts
    }
}

/// Who manages a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManagerRef {
    /// A BMC.
    Bmc(EndpointId),
    /// rackfish itself.
    Rackfish,
}

/// One supply of a node.
#[derive(Debug, Clone)]
pub struct FeedView {
    /// Outlet.
    pub unit: Ref,
    /// Other nodes hang on it too.
    pub shared: bool,
    /// Its state.
    pub power: Option<Stated<PowerState>>,
    /// Its endpoint answers.
    pub reachable: bool,
    /// What its endpoint calls it.
    pub name: Option<Arc<str>>,
}

/// A node's boot override, in Redfish's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootView {
    /// `BootSourceOverrideEnabled`
    pub enabled: BootEnabled,
    /// `BootSourceOverrideTarget`
    pub target: BootTarget,
    /// `BootSourceOverrideMode`
    pub mode: BootMode,
    /// `HttpBootUri`
    pub http_boot_uri: Option<String>,
    /// Targets that the host takes itself.
    pub native: Vec<BootTarget>,
    /// Targets that are kept for whatever steers the node's boot (policies `store` and `hook`).
    pub kept: Vec<BootTarget>,
    /// Modes that can be set; empty: the mode can't be chosen.
    pub modes: Vec<BootMode>,
    /// Nothing can be overridden (policy `refuse` on a host without boot options).
    pub refused: bool,
    /// What the last start was told: served at `/boot/<mac>` while that boot is under way.
    pub last_start: Option<LastStart>,
}

/// The override that a start consumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastStart {
    /// Where it was told to boot from.
    pub target: BootTarget,
    /// In which mode.
    pub mode: BootMode,
    /// `HttpBootUri` that went with it.
    pub http_boot_uri: Option<String>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// A hold: people in the rack win.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who set it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// Until when, if it ends by itself.
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
}

/// An operation that runs.
#[derive(Debug, Clone)]
pub struct OperationView {
    /// `ForceRestart`
    pub what: Arc<str>,
    /// By whom.
    pub principal: Arc<str>,
    /// The step it is at, readable.
    pub step: Arc<str>,
    /// Since when.
    pub since: OffsetDateTime,
}

/// A configured device as it is known now.
#[derive(Debug, Clone)]
pub struct EndpointView {
    /// Its name.
    pub id: EndpointId,
    /// Driver.
    pub driver: &'static str,
    /// Address, without secrets.
    pub address: String,
    /// `None`: it answers, or was never asked.
    pub fault: Option<Arc<str>>,
    /// Since when it has been like this.
    pub since: Option<OffsetDateTime>,
    /// Last exchange that worked.
    pub last_answer: Option<OffsetDateTime>,
    /// Its breaker is open: tried again in that time.
    pub retry_in: Option<Duration>,
    /// All traffic is stopped.
    pub hold: Option<Hold>,
    /// Only reads.
    pub observe_only: bool,
    /// Its units and their power.
    pub units: Vec<(Unit, Option<Stated<PowerState>>)>,
    /// Exchanges, failures, and commands since the start.
    pub counts: Counts,
}

/// Counters of one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Exchanges in all.
    pub exchanges: u64,
    /// Those that failed.
    pub failures: u64,
    /// Acts sent.
    pub acts: u64,
    /// Logins.
    pub opens: u64,
}

/// An enclosure as it is known now.
#[derive(Debug, Clone)]
pub struct ChassisView {
    /// Its name.
    pub id: ChassisId,
    /// As configured.
    pub config: Arc<config::Chassis>,
    /// Stable, derived like a node's.
    pub uuid: uuid::Uuid,
    /// Nodes in it that the caller may see, by slot and name.
    pub nodes: Vec<NodeId>,
}

/// A manager: rackfish itself or a BMC.
#[derive(Debug, Clone)]
pub struct ManagerView {
    /// `rackfish` or the endpoint's name.
    pub id: Arc<str>,
    /// Stable, derived like a node's.
    pub uuid: uuid::Uuid,
    /// `None` for rackfish itself.
    pub endpoint: Option<EndpointView>,
    /// Firmware version; for rackfish its own.
    pub firmware: Option<Arc<str>>,
    /// Model of the controller, if known.
    pub model: Option<Arc<str>>,
    /// Nodes it manages that the caller may see.
    pub nodes: Vec<NodeId>,
}

/// How far a task for many nodes is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Nodes in all.
    pub total: usize,
    /// Of these, those that have begun, in their order.
    pub begun: usize,
    /// Those that have ended, well or not.
    pub ended: usize,
    /// Those under way.
    pub open: BTreeSet<NodeId>,
    /// Those that failed.
    pub failed: Vec<Failure>,
}

/// A node on which a task failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which.
    pub node: NodeId,
    /// Why, for people.
    pub error: String,
}

/// An operation that outlasted its caller's patience.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskView {
    /// For the URI.
    pub id: String,
    /// Readable: `ForceRestart of node-01`.
    pub name: String,
    /// Who may see it besides administrators.
    pub principal: String,
    /// The node, for scopes.
    pub node: Option<NodeId>,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended: Option<OffsetDateTime>,
    /// `None` while it runs or when it went well.
    pub error: Option<String>,
    /// Of a task for many nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}
