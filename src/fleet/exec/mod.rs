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
    inrush::Place,
    journal,
    lane::Operation,
    node::NodeEntry,
    op::{Layer, OpError},
    plan::{self, Parts, Step},
};
use crate::{
    config,
    model::{AspectKind, Fault, Ref, ResetType},
};

/// Longest a live read may take that an operation begins with: a few time-outs of a lossy network.
const FIRST_LOOK: Duration = Duration::from_secs(8);

/// Between two tries of a start that is owed.
const INSIST_EVERY: Duration = Duration::from_secs(2);

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
    /// The place of its start in the in-rush budget, until the start is made.
    pub(super) place: Option<Place>,
    /// Until then it does not give up a start that it owes.
    pub(super) until: Instant,
    /// The first step may have been made before a crash.
    pub(super) recovering: bool,
}

/// A node as far as a layer goes.
pub fn limited(node: &NodeEntry, layer: &Layer) -> Arc<config::Node> {
    let mut config = node.config.load_full();
    match layer {
        Layer::Effective => {}
        Layer::Host => Arc::make_mut(&mut config).feeds.clear(),
        Layer::Mains => Arc::make_mut(&mut config).host = None,
        Layer::Unit(unit) => {
            let config = Arc::make_mut(&mut config);
            config.host = config.host.take().filter(|host| host == unit);
            config.feeds.retain(|feed| feed.unit == *unit);
        }
    }
    config
}

impl Run {
    /// An operation on a node, limited to a layer.
    pub fn new(fleet: Arc<Inner>, node: Arc<NodeEntry>, op: Arc<Operation>) -> Self {
        let config = limited(&node, &op.layer);
        let parts = fleet.parts(&config);
        Self {
            fleet,
            node,
            config,
            op,
            parts,
            supplied_now: false,
            start_sent: false,
            place: None,
            until: clock::now(),
            recovering: false,
        }
    }

    /// From the beginning.
    pub async fn begin(mut self) -> Result<(), OpError> {
        let result = match self.decide().await {
            Ok(steps) => {
                let budget = self.budget(&steps);
                self.until = clock::now() + budget;
                // Before anything is done: what can't be started in time is not switched off either.
                match self.take_place(&steps, self.fleet.config().patience.action) {
                    Ok(()) => self.go(journal::Entry::of(&self.op, steps, budget)).await,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        self.conclude(result).await
    }

    /// From the step at which a crash has cut it.
    pub async fn resume(mut self, entry: journal::Entry) -> Result<(), OpError> {
        self.journal().taken_up(&entry).await;
        // Long after its time a machine that still runs was not touched, and is left alone.
        if entry.at == 0 && clock::wall() > entry.deadline {
            let runs = self.runs().await;
            if !matches!(runs, Ok(false)) {
                let by = "its deadline, which passed while rackfish was not running".to_owned();
                return self.conclude(runs.and(Err(OpError::Cancelled { by }))).await;
            }
        }
        self.recovering = true;
        let done = entry.steps.get(..=entry.at).unwrap_or_default();
        self.supplied_now = done.contains(&Step::SupplyOn);
        self.until = clock::now() + self.budget(&entry.steps);
        // Its start counts as well, and is not given up because many others were cut with it.
        let result = match self.take_place(entry.steps.get(entry.at..).unwrap_or_default(), Duration::MAX) {
            Ok(()) => self.go(entry).await,
            Err(error) => Err(error),
        };
        self.conclude(result).await
    }

    /// A start has its place in the in-rush budget, or is refused.
    fn take_place(&mut self, steps: &[Step], most: Duration) -> Result<(), OpError> {
        let starts = [Step::SupplyOn, Step::HostOn, Step::HostReset, Step::HostCycle];
        let steps = if steps == [Step::SupplyOn] { &[] } else { steps }; // on already: a second feed
        if steps.iter().any(|step| starts.contains(step)) {
            let scopes = self.fleet.start_scopes(Some(&*self.config), None);
            self.place = Some(self.fleet.place(scopes, most)?);
        }
        Ok(())
    }

    /// Right before a start is made: holds, and its moment in the in-rush budget.
    pub(super) async fn admit_start(&mut self) -> Result<(), OpError> {
        if let Some(place) = self.place.take() {
            if place.at > clock::now() {
                self.op.at("in-rush");
                self.pause_until(place.at).await?;
            }
            Inner::admit_start(&self.node)?;
            place.used();
            return Ok(());
        }
        Inner::admit_start(&self.node)
    }

    fn journal(&self) -> journal::Journal<'_> {
        journal::Journal { store: &*self.fleet.store, node: &self.node.id, op: &self.op }
    }

    /// The end is stored before it is told.
    async fn conclude(&self, result: Result<(), OpError>) -> Result<(), OpError> {
        if matches!(result, Err(OpError::Stopping)) {
            return result; // the next start ends it
        }
        if let Err(error) = self.journal().ended(&result).await {
            // The operation is over all the same; the next start will find it and see that nothing is left to do.
            tracing::error!(node = %self.node.id, %error, "the end of an operation could not be stored");
        }
        result
    }

    /// Whether the node is on, from a live look at its parts; and what that means for the plan.
    async fn decide(&mut self) -> Result<Vec<Step>, OpError> {
        let reset = self.op.reset;
        if self.op.cancel.is_cancelled() {
            return Err(Self::cancelled());
        }
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
        worker
            .state
            .unit(&unit.unit, |u| u.power.as_ref().map(|p| p.value.is_on()))
            .ok_or_else(|| Inner::endpoint_error(unit, Fault::Garbage("it told no power state".to_owned())))
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

    /// Whether the node has mains and runs, from a live look.
    async fn runs(&self) -> Result<bool, OpError> {
        match &self.config.host {
            _ if !self.supplied().await? => Ok(false),
            Some(host) => self.look(host).await,
            None => Ok(true),
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
        // A single step is whole or not at all: its client asks again when it gets no answer. But an interrupt must not
        // come twice.
        let durable = entry.steps.len() > 1 || entry.steps.contains(&Step::Nmi);
        let steps = entry.steps.clone();
        let mut result = Ok(());
        for (at, step) in steps.into_iter().enumerate().skip(entry.at) {
            if self.op.cancel.is_cancelled() {
                result = Err(Self::cancelled());
                break;
            }
            entry.at = at;
            if !self.recovering
                && let Err(error) = self.journal().step(&entry, durable).await
            {
                // What has not begun does not begin. But a node that is off because of this operation is not left so:
                // the journal still holds an earlier step, which would cost one more cycle if we died now as well.
                if !(self.op.reset.may_start() && Self::cut_before(&entry)) {
                    result = Err(OpError::Store(error.to_string()));
                    break;
                }
                tracing::error!(node = %self.node.id, op = %entry.reset, %error, "going on without the journal");
            }
            self.op.at(step.as_str());
            crash::point(step.as_str(), "intent");
            result = self.step(step, self.op.reset.may_start() && Self::cut_before(&entry)).await;
            self.recovering = false;
            crash::point(step.as_str(), "done");
            if let Err(error) = &mut result {
                if let OpError::Store(cause) = error
                    && Self::cut_before(&entry)
                {
                    cause.push_str("; the node had been switched off before and was not started");
                }
                break;
            }
        }
        // The endpoints were taken away from under it: what is left to do is the next start's, and the journal says what.
        if let Err(OpError::Endpoint { fault, .. } | OpError::Uncertain { fault, .. }) = &result
            && matches!(fault, Fault::NotSent(_))
            && self.fleet.stopping.is_cancelled()
        {
            return Err(OpError::Stopping);
        }
        self.settle_override(result.is_ok()).await;
        result
    }

    /// Whether a start that is owed is tried again: an endpoint that is away for a moment must not leave a machine off
    /// that was running.
    fn insists(&self, step: Step, error: &OpError) -> bool {
        let starts = matches!(step, Step::SupplyOn | Step::Controller | Step::Boot | Step::HostOn);
        let passing = match error {
            OpError::Uncertain { .. } => true,
            OpError::Endpoint { fault, .. } => fault.read_may_retry(),
            _ => false,
        };
        let here = !self.fleet.stopping.is_cancelled() && clock::now() < self.until;
        starts && passing && here
    }

    /// Whether a step before the present one has taken the node's power.
    fn cut_before(entry: &journal::Entry) -> bool {
        let cuts = |step: &Step| matches!(step, Step::SoftOff | Step::HostOff | Step::SupplyOff);
        entry.steps.iter().take(entry.at).any(cuts)
    }

    /// `owed`: the node is off because of this operation, and has to be on at its end.
    async fn step(&mut self, step: Step, owed: bool) -> Result<(), OpError> {
        loop {
            match self.try_step(step).await {
                Err(error) if owed && self.insists(step, &error) => {
                    tracing::warn!(node = %self.node.id, step = step.as_str(), %error, "the node is off: trying again");
                    self.pause_until(clock::now() + INSIST_EVERY).await?;
                }
                result => return result,
            }
        }
    }

    async fn try_step(&mut self, step: Step) -> Result<(), OpError> {
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
            biased;
            () = self.op.cancel.cancelled() => Err(Self::cancelled()),
            () = clock::sleep_until(until) => Ok(()),
        }
    }
}
