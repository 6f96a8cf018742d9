//! One lane a node: its operations run one after the other, in the order of arrival.
//!
//! * `ForceOff` of a node from anyone ends whatever else waits or runs (a start, a shutdown that a machine ignores), and goes
//!   first.
//! * An equal reset (same principal, node and type) joins the one that waits or runs, and is answered from memory for
//!   a while after it ended well. Any different command in between clears that memory.
//! * A second restart by somebody else is a conflict, not a second restart.
//!
//! No I/O and no clock of its own: the fleet runs what [`Lane::next`] gives it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    journal,
    op::{Layer, OpError},
};
use crate::model::{Actor, ResetType};

/// How an operation ended; `None` while it has not.
pub type Ending = Option<Result<(), OpError>>;

/// One operation on one node.
#[derive(Debug)]
pub struct Operation {
    /// Unique.
    pub id: String,
    /// What.
    pub reset: ResetType,
    /// Of which layer.
    pub layer: Layer,
    /// By whom.
    pub actor: Actor,
    /// Since when.
    pub since: OffsetDateTime,
    /// Set by a ForceOff that makes an end of it.
    pub cancel: CancellationToken,
    /// Its end, for all who wait.
    pub ending: watch::Sender<Ending>,
    /// What it starts from was changed since it began: an equal one is a new one.
    outdated: AtomicBool,
    /// What is stored of it.
    pub journal: tokio::sync::Mutex<journal::Page>,
    step: Mutex<Arc<str>>,
}

impl Operation {
    /// A new one.
    pub fn new(id: String, reset: ResetType, layer: Layer, actor: Actor, since: OffsetDateTime) -> Arc<Self> {
        let (ending, _) = watch::channel(None);
        let step = Mutex::new(Arc::from("waiting"));
        let journal = tokio::sync::Mutex::default();
        let (cancel, outdated) = (CancellationToken::new(), AtomicBool::new(false));
        Arc::new(Self { id, reset, layer, actor, since, cancel, ending, outdated, journal, step })
    }

    /// Where it is, for people.
    pub fn step(&self) -> Arc<str> {
        Arc::clone(&self.step.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says where it is.
    pub fn at(&self, step: &str) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = Arc::from(step);
    }

    fn equals(&self, other: &Self) -> bool {
        self.reset == other.reset && self.layer == other.layer && self.actor.principal == other.actor.principal
    }

    /// Of one of the node's supplies, beside which there are others.
    fn is_partial(&self) -> bool {
        matches!(self.layer, Layer::Unit(_))
    }

    /// Whether a ForceOff makes an end of another operation. That of one supply leaves what is done to the whole node
    /// alone, and comes after it.
    fn ends(&self, other: &Self) -> bool {
        !self.is_partial() || self.layer == other.layer
    }

    /// Whether what it starts from was changed since it began.
    pub fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Relaxed)
    }

    /// So it was in the process before this one.
    pub fn set_outdated(&self) {
        self.outdated.store(true, Ordering::Relaxed);
    }

    /// The same again, because what it starts from was changed meanwhile.
    fn renewed_by(&self, new: &Self) -> bool {
        self.is_outdated() && self.equals(new)
    }

    fn restarts(&self) -> bool {
        self.reset.may_start() && !matches!(self.reset, ResetType::On | ResetType::ForceOn)
    }
}

/// What became of a submission.
#[derive(Debug)]
pub enum Admission {
    /// It is in the lane; `true`: the lane was idle and has to be run.
    Queued(Arc<Operation>, bool),
    /// An equal one is there already: wait for that.
    Joined(Arc<Operation>),
    /// An equal one ended a moment ago, like this.
    JustDone(Result<(), OpError>),
    /// Somebody else's restart is there.
    Conflict(Arc<Operation>),
    /// Too many wait.
    Full,
}

/// Operations that may wait on one node: a client that sends more is broken.
const LONGEST: usize = 16;

/// The last operation, if whoever sends it again is to be told its end instead.
#[derive(Debug)]
struct Last {
    op: Arc<Operation>,
    at: Instant,
    result: Result<(), OpError>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Lane {
    running: Option<Arc<Operation>>,
    waiting: VecDeque<Arc<Operation>>,
    last: Option<Last>,
}

impl Lane {
    /// Takes an operation in.
    pub fn submit(&mut self, new: Arc<Operation>, now: Instant, repeat_window: Duration) -> Admission {
        if let Some(last) = &self.last {
            let idle = self.running.is_none() && self.waiting.is_empty();
            if idle && last.op.equals(&new) && now.saturating_duration_since(last.at) < repeat_window {
                return Admission::JustDone(last.result.clone());
            }
        }
        let there = || self.running.iter().chain(&self.waiting);
        // The last equal one with nothing different behind it: joining an older one would let "on" be forgotten
        // between two "off".
        if let Some(last) = there().last()
            && last.equals(&new)
            && !last.cancel.is_cancelled()
            && !last.is_outdated()
        {
            return Admission::Joined(Arc::clone(last));
        }
        if new.reset == ResetType::ForceOff {
            for other in there().filter(|op| op.reset != ResetType::ForceOff && new.ends(op)) {
                other.cancel.cancel();
            }
        } else if let Some(other) =
            there().find(|op| op.restarts() && new.restarts() && !op.cancel.is_cancelled() && !op.renewed_by(&new))
        {
            return Admission::Conflict(Arc::clone(other));
        } else if self.waiting.len() >= LONGEST {
            return Admission::Full;
        }
        self.last = None;
        if new.reset == ResetType::ForceOff && !new.is_partial() {
            self.waiting.push_front(Arc::clone(&new));
        } else {
            self.waiting.push_back(Arc::clone(&new));
        }
        let idle = self.running.is_none();
        Admission::Queued(new, idle)
    }

    /// The next to run, which then counts as running; `None`: the lane is idle. Call it again only after
    /// [`Self::ended`].
    pub fn next(&mut self) -> Option<Arc<Operation>> {
        if self.running.is_some() {
            return None;
        }
        self.running = self.waiting.pop_front();
        self.running.clone()
    }

    /// The running one has ended. Good ends are remembered, and those that nobody knows: whoever asks again after a
    /// plain failure means it.
    pub fn ended(&mut self, result: &Result<(), OpError>, now: Instant) {
        if let Some(op) = self.running.take()
            && self.waiting.is_empty()
            && !op.is_outdated()
        {
            self.remember(op, journal::How::of(result), now);
        }
    }

    /// Whether an operation that starts the node ended well less than `within` ago: what is seen to start then was
    /// started by it, however late the sight of it comes.
    pub fn has_just_started(&self, now: Instant, within: Duration) -> bool {
        let near = |last: &Last| now.saturating_duration_since(last.at) < within;
        self.last.as_ref().is_some_and(|last| last.op.reset.may_start() && last.result.is_ok() && near(last))
    }

    /// The operation that ended well less than `within` ago and leads to on, or to off: it did what is seen only now.
    pub fn just_done(&self, on: bool, now: Instant, within: Duration) -> Option<&Arc<Operation>> {
        let did = |last: &&Last| {
            last.result.is_ok() && last.op.reset.may_start() == on && now.saturating_duration_since(last.at) < within
        };
        self.last.as_ref().filter(did).map(|last| &last.op)
    }

    /// An operation ended then, here or in the process before this one.
    pub fn remember(&mut self, op: Arc<Operation>, how: journal::How, at: Instant) {
        self.last = how.remembered().map(|result| Last { op, at, result });
    }

    /// Somebody cuts the power beside the lane: no start that was asked for before may come after it.
    pub fn cut(&mut self) {
        for op in self.running.iter().chain(&self.waiting).filter(|op| op.reset != ResetType::ForceOff) {
            op.cancel.cancel();
        }
        self.last = None;
    }

    /// What a reset starts from was changed by `who`: an equal one of theirs from now on is a new one. The operation
    /// whose stored page has to say so, if there is one.
    pub fn outdate(&mut self, who: &str) -> Option<Arc<Operation>> {
        for op in self.running.iter().chain(&self.waiting).filter(|op| *op.actor.principal == *who) {
            op.outdated.store(true, Ordering::Relaxed);
        }
        let running = self.running.as_ref().filter(|op| op.is_outdated());
        let last = self.last.take_if(|last| *last.op.actor.principal == *who);
        running.cloned().or(last.map(|last| last.op))
    }

    /// What runs, else what comes next.
    pub fn current(&self) -> Option<&Arc<Operation>> {
        self.running.as_ref().or(self.waiting.front())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn op(reset: ResetType, who: &str) -> Arc<Operation> {
        let actor = Actor { principal: Arc::from(who), ..Actor::internal("test") };
        Operation::new(format!("{reset}-{who}"), reset, Layer::Effective, actor, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn equal_ones_join_and_are_remembered() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        let first = op(ResetType::ForceRestart, "ironic");
        assert!(matches!(lane.submit(first, now, WINDOW), Admission::Queued(_, true)));
        lane.next().unwrap();
        for _ in 0..10 {
            assert!(matches!(lane.submit(op(ResetType::ForceRestart, "ironic"), now, WINDOW), Admission::Joined(_)));
        }
        lane.ended(&Ok(()), now);
        let again = op(ResetType::ForceRestart, "ironic");
        assert!(matches!(lane.submit(Arc::clone(&again), now + WINDOW / 2, WINDOW), Admission::JustDone(Ok(()))));
        assert!(matches!(lane.submit(again, now + WINDOW, WINDOW), Admission::Queued(_, true)));
    }

    #[test]
    fn a_start_is_known_for_a_while() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        for (reset, well, known) in
            [(ResetType::On, true, true), (ResetType::ForceOff, true, false), (ResetType::On, false, false)]
        {
            lane.submit(op(reset, "a"), now, Duration::ZERO);
            lane.next().unwrap();
            assert!(!lane.has_just_started(now, WINDOW), "not before it has ended");
            let end = if well { Ok(()) } else { Err(OpError::Stopping) };
            lane.ended(&end, now);
            assert_eq!(lane.has_just_started(now, WINDOW), known, "{reset} {well}");
            assert!(!lane.has_just_started(now + WINDOW, WINDOW));
        }
    }

    #[test]
    fn what_is_seen_late_was_done_by_who_asked_for_it() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        for (reset, on) in [(ResetType::On, true), (ResetType::ForceRestart, true), (ResetType::ForceOff, false)] {
            lane.submit(op(reset, "ann"), now, Duration::ZERO);
            lane.next().unwrap();
            assert!(lane.just_done(on, now, WINDOW).is_none_or(|op| op.reset != reset), "not before it has ended");
            lane.ended(&Ok(()), now);
            assert_eq!(*lane.just_done(on, now, WINDOW).unwrap().actor.principal, *"ann");
            assert!(lane.just_done(!on, now, WINDOW).is_none() && lane.just_done(on, now + WINDOW, WINDOW).is_none());
        }
    }

    #[test]
    fn a_different_command_clears_the_memory() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        for reset in [ResetType::ForceRestart, ResetType::ForceOff] {
            lane.submit(op(reset, "a"), now, WINDOW);
            lane.next().unwrap();
            lane.ended(&Ok(()), now);
        }
        assert!(matches!(lane.submit(op(ResetType::ForceRestart, "a"), now, WINDOW), Admission::Queued(..)));
    }

    #[test]
    fn failures_are_not_remembered() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        lane.submit(op(ResetType::On, "a"), now, WINDOW);
        lane.next().unwrap();
        lane.ended(&Err(OpError::Stopping), now);
        assert!(matches!(lane.submit(op(ResetType::On, "a"), now, WINDOW), Admission::Queued(..)));
    }

    #[test]
    fn a_restart_after_a_new_boot_override_is_a_new_one() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        lane.submit(op(ResetType::ForceRestart, "a"), now, WINDOW);
        lane.next().unwrap();
        assert!(lane.outdate("b").is_none());
        assert!(lane.outdate("a").is_some());
        let again = lane.submit(op(ResetType::ForceRestart, "a"), now, WINDOW);
        assert!(matches!(again, Admission::Queued(_, false)), "the one that runs was told its options before");
        assert!(matches!(lane.submit(op(ResetType::ForceRestart, "a"), now, WINDOW), Admission::Joined(_)));
        lane.ended(&Ok(()), now);
        lane.next().unwrap();
        lane.ended(&Ok(()), now);
        assert!(lane.outdate("a").is_some());
        assert!(matches!(lane.submit(op(ResetType::ForceRestart, "a"), now, WINDOW), Admission::Queued(_, true)));
    }

    #[test]
    fn an_unknown_outcome_is_told_again_and_not_sent_again() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        lane.submit(op(ResetType::ForceRestart, "a"), now, WINDOW);
        lane.next().unwrap();
        let endpoint = crate::model::EndpointId::new("bmc").unwrap();
        let fault = crate::model::Fault::Uncertain("no answer".to_owned());
        lane.ended(&Err(OpError::Uncertain { endpoint, fault }), now);
        let again = lane.submit(op(ResetType::ForceRestart, "a"), now, WINDOW);
        assert!(matches!(again, Admission::JustDone(Err(OpError::Uncertain { .. }))));
        assert!(matches!(lane.submit(op(ResetType::ForceRestart, "b"), now, WINDOW), Admission::Queued(..)));
    }

    #[test]
    fn off_then_on_ends_on_and_off_after_on_cancels_it() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        let (off, on) = (op(ResetType::ForceOff, "maas"), op(ResetType::On, "maas"));
        lane.submit(Arc::clone(&off), now, WINDOW);
        lane.next().unwrap();
        assert!(matches!(lane.submit(Arc::clone(&on), now, WINDOW), Admission::Queued(_, false)));
        // A resent ForceOff is behind the On: it is a new one, and ends the On.
        assert!(matches!(lane.submit(op(ResetType::ForceOff, "maas"), now, WINDOW), Admission::Queued(..)));
        assert!(on.cancel.is_cancelled() && !off.cancel.is_cancelled());
        lane.ended(&Ok(()), now);
        assert_eq!(lane.next().unwrap().reset, ResetType::ForceOff, "ForceOff goes first");
    }

    #[test]
    fn off_of_one_supply_does_not_cut_a_restart_of_the_node_in_half() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        let one_feed = |reset| {
            let actor = Actor { principal: Arc::from("lab"), ..Actor::internal("test") };
            let layer = Layer::Unit("pdu/1".parse().unwrap());
            Operation::new(format!("{reset}"), reset, layer, actor, OffsetDateTime::UNIX_EPOCH)
        };
        let restart = op(ResetType::ForceRestart, "ironic");
        lane.submit(Arc::clone(&restart), now, WINDOW);
        lane.next().unwrap();
        let on = one_feed(ResetType::On);
        lane.submit(Arc::clone(&on), now, WINDOW);
        lane.submit(one_feed(ResetType::ForceOff), now, WINDOW);
        assert!(!restart.cancel.is_cancelled() && on.cancel.is_cancelled());
        lane.submit(op(ResetType::ForceOff, "ironic"), now, WINDOW);
        assert!(restart.cancel.is_cancelled());
        lane.ended(&Ok(()), now);
        assert_eq!(lane.next().unwrap().layer, Layer::Effective, "that of the whole node goes first");
    }

    #[test]
    fn off_ends_a_shutdown_that_the_machine_ignores() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        let soft = op(ResetType::GracefulShutdown, "ironic");
        lane.submit(Arc::clone(&soft), now, WINDOW);
        lane.next().unwrap();
        assert!(matches!(lane.submit(op(ResetType::ForceOff, "ironic"), now, WINDOW), Admission::Queued(_, false)));
        assert!(soft.cancel.is_cancelled());
    }

    #[test]
    fn a_second_restart_by_somebody_else_is_a_conflict() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        lane.submit(op(ResetType::ForceRestart, "a"), now, WINDOW);
        lane.next().unwrap();
        assert!(matches!(lane.submit(op(ResetType::PowerCycle, "b"), now, WINDOW), Admission::Conflict(_)));
        assert!(matches!(lane.submit(op(ResetType::On, "b"), now, WINDOW), Admission::Queued(_, false)));
    }

    #[test]
    fn the_lane_is_bounded() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        for i in 0..LONGEST {
            assert!(matches!(lane.submit(op(ResetType::On, &i.to_string()), now, WINDOW), Admission::Queued(..)));
        }
        assert!(matches!(lane.submit(op(ResetType::On, "x"), now, WINDOW), Admission::Full));
        assert!(matches!(lane.submit(op(ResetType::ForceOff, "x"), now, WINDOW), Admission::Queued(..)));
    }
}
