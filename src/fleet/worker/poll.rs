//! When an endpoint is read without anybody asking.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use crate::{
    config::EndpointPolicy,
    model::{Aspect, AspectKind, EndpointId, Unit},
};

/// Identity hardly ever changes.
const INVENTORY_EVERY: Duration = Duration::from_hours(1);

/// The first polls of a fleet are spread over that long, so that 10,000 logins don't come at once; a small fleet
/// feels none of it, because the spread grows with the number of endpoints.
const START_SPREAD_PER_ENDPOINT: Duration = Duration::from_millis(2);

/// One aspect's timetable.
#[derive(Debug)]
struct Line {
    aspect: Aspect,
    every: Duration,
    next: Instant,
}

/// The timetable of one endpoint.
#[derive(Debug)]
pub(super) struct Timetable {
    lines: Vec<Line>,
}

impl Timetable {
    /// `fleet`: how many endpoints there are in all.
    pub(super) fn new(id: &EndpointId, policy: &EndpointPolicy, fleet: usize, now: Instant) -> Self {
        let mut lines = Vec::new();
        let mut add = |aspect: Aspect, every: Duration, start: Duration| {
            if !every.is_zero() {
                lines.push(Line { aspect, every, next: now + start });
            }
        };
        let poll = policy.pace.poll;
        let spread = START_SPREAD_PER_ENDPOINT.saturating_mul(u32::try_from(fleet).unwrap_or(u32::MAX)).min(poll);
        let start = if policy.probe_at_start { share(id, spread) } else { poll };
        add(Aspect::Power, poll, start);
        add(Aspect::Inventory, if poll.is_zero() { Duration::ZERO } else { INVENTORY_EVERY }, start);
        add(Aspect::Sensors, policy.pace.poll_sensors, start + share(id, policy.pace.poll_sensors.min(spread * 2)));
        add(Aspect::Indicator, policy.pace.poll_sensors, start + share(id, policy.pace.poll_sensors.min(spread * 2)));
        let media = share(id, policy.pace.poll_sensors.min(spread * 2));
        add(Aspect::Media, policy.pace.poll_sensors, start + media);
        Self { lines }
    }

    /// Aspects that are due; each is put off by its interval.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Aspect> {
        let mut due = Vec::new();
        for line in self.lines.iter_mut().filter(|line| line.next <= now) {
            due.push(line.aspect.clone());
            // Time that was lost (a dead endpoint, a stopped process) is not made up for.
            line.next = now + line.every;
        }
        due
    }

    /// The next time that something is due.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.lines.iter().map(|line| line.next).min()
    }

    /// Everything is due now: somebody asked, or the endpoint has come back.
    pub(super) fn all_due(&mut self, now: Instant) {
        for line in &mut self.lines {
            line.next = now;
        }
    }

    /// An aspect was just read for all units on another occasion.
    pub(super) fn was_read(&mut self, kind: AspectKind, now: Instant) {
        for line in self.lines.iter_mut().filter(|line| line.aspect.kind() == kind) {
            line.next = now + line.every;
        }
    }
}

/// The part of `spread` that is this endpoint's, the same at every start.
fn share(id: &EndpointId, spread: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let nanos = u64::try_from(spread.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(hasher.finish().checked_rem(nanos).unwrap_or(0))
}

/// Whether a unit is worth asking for an aspect. Unknown caps: ask, and learn.
pub(super) fn worth_asking(state: &crate::fleet::board::EndpointState, unit: &Unit, aspect: &Aspect) -> bool {
    state.unit(unit, |u| u.caps.as_ref().map(|c| c.aspects.has(aspect.kind()))).unwrap_or(true)
}
