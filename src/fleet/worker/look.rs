//! Expectations: "unit 7 will be off before then", met by reads that all expectations of the endpoint share.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::handle::Unmet;
use crate::model::{Fault, PowerState, Unit};

/// Somebody waits for a unit to show a state.
#[derive(Debug)]
pub(super) struct Expectation {
    unit: Unit,
    on: bool,
    /// Only reads begun then or later count.
    after: Instant,
    deadline: Instant,
    shows: Option<PowerState>,
    fault: Option<Fault>,
    reply: Option<oneshot::Sender<Result<(), Unmet>>>,
}

impl Expectation {
    pub(super) fn new(
        unit: Unit,
        on: bool,
        after: Instant,
        deadline: Instant,
        reply: oneshot::Sender<Result<(), Unmet>>,
    ) -> Self {
        Self { unit, on, after, deadline, shows: None, fault: None, reply: Some(reply) }
    }

    fn answer(&mut self, result: Result<(), Unmet>) {
        if let Some(reply) = self.reply.take() {
            // Whoever waited may have left: nothing to do then.
            reply.send(result).ok();
        }
    }
}

/// The first looks come quickly (a fast relay is seen within milliseconds), then at the endpoint's own pace.
const FIRST_LOOKS: [Duration; 4] =
    [Duration::from_millis(10), Duration::from_millis(40), Duration::from_millis(100), Duration::from_millis(200)];

/// All expectations of one endpoint.
#[derive(Debug)]
pub(super) struct Looks {
    open: Vec<Expectation>,
    every: Duration,
    next: Option<Instant>,
    looked: usize,
}

impl Looks {
    pub(super) fn new(every: Duration) -> Self {
        Self { open: Vec::new(), every, next: None, looked: 0 }
    }

    /// A new expectation is looked after at once.
    pub(super) fn add(&mut self, expectation: Expectation, now: Instant) {
        self.open.push(expectation);
        self.next = Some(now);
        self.looked = 0;
    }

    /// Units to read if a look is due.
    pub(super) fn due(&self, now: Instant) -> Option<Vec<Unit>> {
        (self.next? <= now && !self.open.is_empty()).then(|| {
            let mut units: Vec<Unit> = self.open.iter().map(|e| e.unit.clone()).collect();
            units.sort_unstable();
            units.dedup();
            units
        })
    }

    /// A look is under way: the next is not due before [`Self::looked`].
    pub(super) fn began(&mut self) {
        self.next = None;
    }

    /// A look has ended, well or not.
    pub(super) fn looked(&mut self, now: Instant) {
        let pause = FIRST_LOOKS.get(self.looked).copied().unwrap_or(self.every).min(self.every);
        self.looked += 1;
        self.next = Some(now + pause);
    }

    /// A read begun at `began` shows `state`.
    pub(super) fn saw(&mut self, unit: &Unit, began: Instant, state: PowerState) {
        for expectation in self.open.iter_mut().filter(|e| e.unit == *unit && began >= e.after) {
            expectation.shows = Some(state);
            expectation.fault = None;
            let settled = matches!(state, PowerState::On | PowerState::Off);
            if settled && state.is_on() == expectation.on {
                expectation.answer(Ok(()));
            }
        }
        self.open.retain(|e| e.reply.is_some());
    }

    /// The unit (or, without one, any of them) could not be read.
    pub(super) fn failed(&mut self, unit: Option<&Unit>, fault: &Fault) {
        for expectation in self.open.iter_mut().filter(|e| unit.is_none_or(|u| e.unit == *u)) {
            expectation.fault = Some(fault.clone());
        }
    }

    /// Answers those whose time is over, drops those nobody waits for.
    pub(super) fn expire(&mut self, now: Instant) {
        for expectation in &mut self.open {
            if expectation.reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
                expectation.reply = None;
            } else if expectation.deadline <= now {
                let unmet = Unmet { shows: expectation.shows, fault: expectation.fault.clone() };
                expectation.answer(Err(unmet));
            }
        }
        self.open.retain(|e| e.reply.is_some());
    }

    /// When something has to be done next.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let deadline = self.open.iter().map(|e| e.deadline).min()?;
        Some(self.next.map_or(deadline, |next| next.min(deadline)))
    }
}
