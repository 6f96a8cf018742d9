//! Reads: page by page, retried as far as that is allowed, written on the board.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Item, Observed, Worker};
use crate::{
    fleet::{
        board::{Count, Seen},
        clock,
        policy::{Class, Verdict},
        worker::read::ReadJob,
    },
    model::{Aspect, AspectKind, Caps, Fact, Fault, Origin, PowerState, Unit},
};

/// A unit that changes that long after a command for it changes by itself.
const TOLD: Duration = Duration::from_mins(2);

impl Worker {
    pub(super) async fn serve_read(&mut self, class: Class, mut job: Box<ReadJob>) {
        let began = *job.began.get_or_insert_with(clock::now);
        self.state.count(Count::Exchange);
        match self.driver.observe(&job.aspect, &job.units, job.at.take()).await {
            Ok(page) => {
                self.answered();
                for (unit, result) in page.items {
                    match result {
                        Ok(fact) => {
                            if let Some(whole) = job.keep(&unit, fact) {
                                self.learn(&unit, whole, began);
                            }
                        }
                        Err(fault) => self.unit_failed(&mut job, &unit, fault),
                    }
                }
                if page.next.is_some() {
                    job.at = page.next;
                    job.attempts = 0;
                    self.queue.push_front(class, Item::Read(job));
                    return;
                }
                for (unit, fact) in job.whole() {
                    self.learn(&unit, fact, began);
                }
                let now = clock::now();
                if job.look {
                    self.looks.looked(now);
                }
                if job.poll {
                    self.table.was_read(job.aspect.kind(), now);
                }
                if job.poll && job.aspect == Aspect::Power && job.faults.is_empty() {
                    self.all_read(began).await;
                }
                job.answer(None);
            }
            Err(fault) => self.read_failed(class, job, fault).await,
        }
    }

    /// All units that matter were read, beginning then.
    async fn all_read(&mut self, began: Instant) {
        if self.restart_suspected {
            // Nobody told it to switch: has it lost its mains between two polls? It tells when it is opened.
            self.restart_suspected = false;
            self.close().await;
            self.table.all_due(clock::now());
        } else if self.restarted_at.is_some_and(|at| began >= at)
            && let Some(before) = self.restarted.take()
        {
            self.restarted_at = None;
            self.tell(Observed::Restarted { endpoint: self.config.id.clone(), before });
            self.state.units_mut().values_mut().for_each(|u| u.before = None);
        }
    }

    pub(super) fn unit_failed(&mut self, job: &mut ReadJob, unit: &Unit, fault: Fault) {
        if job.aspect == Aspect::Power {
            self.looks.failed(Some(unit), &fault);
            // One that is changing is asked again soon: that is no trouble.
            if matches!(fault, Fault::Busy { .. }) {
                job.faults.insert(unit.clone(), fault);
                return;
            }
            let before = self.state.change(unit, |u| u.fault.replace(fault.clone()));
            if before.as_ref() != Some(&fault) {
                tracing::warn!(endpoint = %self.config.id, %unit, %fault, "unit can't be read");
            }
        }
        if matches!(fault, Fault::Unsupported(_) | Fault::NoSuchUnit(_)) && job.aspect != Aspect::Power {
            // Learnt: not worth asking again until the next login.
            let kind = job.aspect.kind();
            self.state.change(unit, |u| {
                u.caps = u.caps.take().map(|caps| {
                    let aspects = caps.aspects.without(kind);
                    Arc::new(Caps { aspects, ..(*caps).clone() })
                });
            });
        }
        job.faults.insert(unit.clone(), fault);
    }

    pub(super) async fn read_failed(&mut self, class: Class, mut job: Box<ReadJob>, fault: Fault) {
        // `open` has recorded its own failure; a read records its own here.
        if self.opened {
            self.failed(&fault);
        }
        job.attempts += 1;
        let admitted = self.refused.is_none() && matches!(self.breaker.verdict(clock::now()), Verdict::Closed);
        if fault.read_may_retry() && job.attempts <= self.config.policy.pace.retries && admitted {
            if job.attempts > 1 {
                // Once may be a lost packet; twice may be a session that the device has forgotten.
                self.close().await;
            }
            job.restart();
            self.queue.push_front(class, Item::Read(job));
            return;
        }
        if fault.blames_endpoint() {
            self.close().await;
        }
        self.read_failed_for_good(job, &fault);
    }

    pub(super) fn read_failed_for_good(&mut self, mut job: Box<ReadJob>, fault: &Fault) {
        if job.aspect == Aspect::Power {
            self.looks.failed(None, fault);
        }
        if job.look {
            self.looks.looked(clock::now());
        }
        if matches!(fault, Fault::Unsupported(_)) && job.aspect.kind() != AspectKind::Power {
            for unit in job.units.clone() {
                self.unit_failed(&mut job, &unit, fault.clone());
            }
        }
        job.answer(Some(fault));
    }

    /// Writes a fact on the board.
    pub(super) fn learn(&mut self, unit: &Unit, fact: Fact, began: Instant) {
        let state = match fact {
            Fact::Power(state) => state,
            other => {
                self.state.change(unit, |u| match other {
                    Fact::Caps(caps, name) => {
                        u.caps = Some(Arc::new(caps));
                        u.name = name.map(Arc::from).or(u.name.take());
                    }
                    Fact::Boot(boot) => u.boot = Some(Seen::read(boot)),
                    Fact::Sensors(readings) => u.sensors = Some(Seen::read(Arc::new(readings))),
                    Fact::Inventory(inventory) => u.inventory = Some(Seen::read(Arc::from(inventory))),
                    Fact::Log(entries) => u.log = Some(Seen::read(Arc::new(entries))),
                    Fact::Indicator(led) => u.indicator = Some(Seen::read(led)),
                    Fact::Media(slots) => u.media = Some(Seen::read(Arc::new(slots))),
                    Fact::Power(_) | Fact::Raw(_) => {}
                });
                return;
            }
        };
        let now = clock::now();
        let mut changed_alone = false;
        let old = self.state.change(unit, |u| {
            let old = u.power.replace(Seen::read(state));
            u.fault = None;
            // What it was at the start counts until it is seen for the first time.
            let was = old.as_ref().filter(|o| o.origin == Origin::Read).map(|o| o.value).or(u.last.take());
            let told = u.acted_at.is_some_and(|at| now < at + TOLD);
            if !told && was.is_some_and(|was| was.is_on() != state.is_on()) {
                u.before = u.before.or(was);
                changed_alone = true;
            }
            match state {
                PowerState::On | PowerState::PoweringOn if u.off_since.is_some() => u.on_since = Some(now),
                PowerState::On | PowerState::PoweringOn => {}
                PowerState::Off | PowerState::PoweringOff => u.on_since = None,
            }
            if u.unsettled.is_some_and(|(on, told)| on == state.is_on() && began >= told) {
                u.unsettled = None;
            }
            u.off_since = match state {
                PowerState::Off => u.off_since.or(Some(now)),
                // On its way off: the off-time starts when it is off.
                PowerState::PoweringOff | PowerState::On | PowerState::PoweringOn => None,
            };
            old
        });
        self.restart_suspected |= changed_alone && self.driver.up().is_some() && self.restarted.is_none();
        self.looks.saw(unit, began, state);
        let old = old.filter(|o| o.origin == Origin::Read).map(|o| o.value);
        if old != Some(state) {
            self.tell(Observed::Power { endpoint: self.config.id.clone(), unit: unit.clone(), old, new: state });
        }
    }
}
