//! Carries out operations: plan, journal, steps.
//!
//! An operation runs in a task of its own; the request that asked for it may go away. Before each step the journal
//! says which; after a crash the rest is made up for (`fleet::recover`).

mod boot;
mod host;
mod supply;
mod switch;

pub use host::SLOW_CONTROLLER;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    clock, crash,
    inner::Inner,
    journal,
    lane::Operation,
    node::NodeEntry,
    op::{Layer, OpError},
    plan::{self, Parts, Step},
};
use crate::{
    config,
    model::{AspectKind, Ref, ResetType},
};

/// Longest a live read may take that an operation begins with: a few time-outs of a lossy network.
const FIRST_LOOK: Duration = Duration::from_secs(8);

/// Time an operation has on top of what its steps are known to need.
const SLACK: Duration = Duration::from_mins(2);

/// One operation being carried out.
pub struct Run {
    pub(super) fleet: Arc<Inner>,
    pub(super) node: Arc<NodeEntry>,
    /// As it was when the operation began: a reload in the middle doesn't change what is being done.
    pub(super) config: Arc<config::Node>,
    pub(super) op: Arc<Operation>,
    pub(super) parts: Parts,
    /// This operation has switched the mains on: the controller needs its time.
    pub(super) supplied_now: bool,
    /// A start was sent to a device.
    pub(super) start_sent: bool,
    /// The first step may have been made before a crash.
    pub(super) recovering: bool,
}

impl Run {
    /// An operation on a node, limited to a layer.
    pub fn new(fleet: Arc<Inner>, node: Arc<NodeEntry>, op: Arc<Operation>) -> Self {
        let mut config = node.config.load_full();
        match op.layer {
            Layer::Effective => {}
            Layer::Host => Arc::make_mut(&mut config).feeds.clear(),
            Layer::Mains => Arc::make_mut(&mut config).host = None,
        }
        let parts = fleet.parts(&config);
        Self { fleet, node, config, op, parts, supplied_now: false, start_sent: false, recovering: false }
    }

    /// From the beginning.
    pub async fn begin(mut self) -> Result<(), OpError> {
        let steps = match self.decide().await {
            Ok(steps) => steps,
            Err(error) => return Err(error),
        };
        let deadline = clock::wall() + self.budget(&steps);
        let entry = journal::Entry {
            id: self.op.id.clone(),
            reset: self.op.reset,
            layer: self.op.layer.as_str().to_owned(),
            principal: self.op.actor.principal.to_string(),
            request: self.op.actor.request.to_string(),
            started: self.op.since,
            deadline,
            steps,
            at: 0,
        };
        self.go(entry).await
    }

    /// From the step at which a crash has cut it.
    pub async fn resume(mut self, entry: journal::Entry) -> Result<(), OpError> {
        self.recovering = true;
        self.supplied_now = entry.steps.get(..=entry.at).is_some_and(|s| s.contains(&Step::SupplyOn));
        self.go(entry).await
    }

    /// Whether the node is on, from a live look at its parts; and what that means for the plan.
    async fn decide(&mut self) -> Result<Vec<Step>, OpError> {
        let reset = self.op.reset;
        self.op.at("looking");
        let supplied = self.supplied().await;
        let on = match (&self.config.host, &supplied) {
            // Without mains there is nothing to ask.
            (Some(_), Ok(false)) => false,
            (Some(host), _) => match self.look(host).await {
                Ok(on) => on,
                // Nobody needs to know the state for these: the command itself tells.
                Err(_) if matches!(reset, ResetType::ForceOff | ResetType::FullPowerCycle) => true,
                // It seems that it has no mains, and those can't tell.
                Err(_) if self.mains_unknown() => false,
                Err(error) => return Err(error),
            },
            (None, Ok(on)) => *on,
            (None, Err(_)) if reset == ResetType::ForceOff => true,
            (None, Err(error)) => return Err(error.clone()),
        };
        if reset == ResetType::Nmi && !on {
            return Err(OpError::Conflict {
                target: self.node.id.to_string(),
                running: "no operating system (the node is off)".to_owned(),
            });
        }
        Ok(plan::plan(self.parts, reset, on, supplied.unwrap_or(true)))
    }

    /// Whether the unit's device can tell its state. One that can't is never taken to be there already: it is switched
    /// whatever is assumed of it, because somebody else may have switched it too.
    pub(super) fn tells(&self, unit: &Ref) -> bool {
        self.fleet.caps(unit).is_none_or(|caps| caps.aspects.has(AspectKind::Power))
    }

    /// What was last seen of a unit, or is assumed since its last command.
    fn assumed(&self, unit: &Ref) -> Option<bool> {
        self.fleet.worker(unit).ok()?.state.unit(&unit.unit, |u| u.power.as_ref().map(|p| p.value.is_on()))
    }

    /// One unit, read now. Of one that can't tell its state, what is assumed: off, if there is nothing to go by, so that
    /// a start is made and what was asked for is true afterwards.
    pub(super) async fn look(&self, unit: &Ref) -> Result<bool, OpError> {
        if !self.tells(unit) {
            return Ok(self.assumed(unit).unwrap_or(false));
        }
        let worker = self.fleet.worker(unit)?;
        worker
            .read(crate::model::Aspect::Power, &unit.unit, FIRST_LOOK)
            .await
            .map_err(|fault| Inner::endpoint_error(unit, fault))?;
        worker.state.unit(&unit.unit, |u| u.power.as_ref().map(|p| p.value.is_on())).ok_or_else(|| {
            Inner::endpoint_error(unit, crate::model::Fault::Garbage("it told no power state".to_owned()))
        })
    }

    /// Whether any feed is on; true for a node without feeds, and where only the host can tell.
    async fn supplied(&self) -> Result<bool, OpError> {
        let mut trouble = None;
        for result in futures_util::future::join_all(self.config.feeds.iter().map(|f| self.look(&f.unit))).await {
            match result {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => trouble = Some(error),
            }
        }
        match trouble {
            Some(error) => Err(error),
            None => Ok(self.config.feeds.is_empty() || (self.config.host.is_some() && self.mains_unknown())),
        }
    }

    /// Whether no feed is known to be on, and one can't tell and was told nothing yet.
    fn mains_unknown(&self) -> bool {
        let mut feeds = self.config.feeds.iter().map(|feed| &feed.unit);
        feeds.clone().all(|unit| self.assumed(unit) != Some(true))
            && feeds.any(|unit| !self.tells(unit) && self.assumed(unit).is_none())
    }

    fn budget(&self, steps: &[Step]) -> Duration {
        let mut budget = SLACK;
        for step in steps {
            budget += match step {
                Step::SoftOff => self.fleet.config().patience.soft_off,
                Step::Controller => self.config.controller_ready,
                Step::ShutdownHook => self.config.shutdown.as_ref().map_or(Duration::ZERO, |hook| hook.timeout),
                Step::SupplyOn => self.config.feeds.iter().map(|feed| feed.off_time + feed.gap).sum(),
                _ => Duration::from_secs(30),
            };
        }
        budget
    }

    async fn go(&mut self, mut entry: journal::Entry) -> Result<(), OpError> {
        // A single step is whole or not at all: its client asks again when it gets no answer.
        let journalled = self.recovering || entry.steps.len() > 1;
        let steps = entry.steps.clone();
        let mut result = Ok(());
        for (at, step) in steps.into_iter().enumerate().skip(entry.at) {
            if self.op.cancel.is_cancelled() {
                result = Err(Self::cancelled());
                break;
            }
            entry.at = at;
            if journalled
                && !self.recovering
                && let Err(error) = journal::intend(&*self.fleet.store, &self.node.id, &entry).await
            {
                result = Err(OpError::Store(error.to_string()));
                break;
            }
            self.op.at(step.as_str());
            crash::point(step.as_str(), "intent");
            result = self.step(step).await;
            self.recovering = false;
            crash::point(step.as_str(), "done");
            if result.is_err() {
                break;
            }
        }
        self.settle_override(result.is_ok()).await;
        if journalled && let Err(error) = journal::ended(&*self.fleet.store, &self.node.id).await {
            // The operation is over all the same; the next start will find it and see that nothing is left to do.
            tracing::error!(node = %self.node.id, %error, "the end of an operation could not be stored");
        }
        result
    }

    async fn step(&mut self, step: Step) -> Result<(), OpError> {
        match step {
            Step::ShutdownHook => self.shutdown_hook().await,
            Step::SoftOff => self.soft_off().await,
            Step::HostOff => self.host_off().await,
            Step::SupplyOff => self.supply_off().await,
            Step::SupplyOn => self.supply_on().await,
            Step::Controller => self.controller().await,
            Step::Boot => self.arm_boot().await,
            Step::HostOn => self.host_on().await,
            Step::HostReset => self.host_reset().await,
            Step::HostCycle => self.host_cycle().await,
            Step::Nmi => self.nmi().await,
            Step::Started => self.started().await,
        }
    }

    pub(super) fn cancelled() -> OpError {
        OpError::Cancelled { by: "a later ForceOff".to_owned() }
    }

    /// Sleeps, but not longer than nobody cancels.
    pub(super) async fn pause_until(&self, until: Instant) -> Result<(), OpError> {
        tokio::select! {
            () = clock::sleep_until(until) => Ok(()),
            () = self.op.cancel.cancelled() => Err(Self::cancelled()),
        }
    }
}
