//! Acts: sent once, batched where the device takes several, and what an accepted one does to the board.

use super::{ACT_RETRY_PAUSE, Item, Worker};
use crate::{
    fleet::{
        board::{Count, Seen},
        clock,
        policy::Class,
        worker::ActJob,
    },
    model::{Act, Done, Fault, Origin, PowerAct, PowerState, Proof, Unit},
};

impl Worker {
    /// The login failed, so nothing of the acts was sent: a lost packet is worth another try.
    pub(super) async fn not_sent(&mut self, mut jobs: Vec<ActJob>, fault: &Fault) {
        let again = fault.read_may_retry()
            && self.refused.is_none()
            && jobs.iter().all(|job| job.attempts < self.config.policy.pace.retries);
        if !again {
            return answer_all(jobs, fault);
        }
        for job in &mut jobs {
            job.attempts += 1;
        }
        if matches!(fault, Fault::Busy { .. } | Fault::NotSent(_)) {
            tokio::time::sleep(ACT_RETRY_PAUSE).await;
        }
        // The breaker has not the last word over a command that was admitted.
        match self.open().await {
            Ok(()) => self.queue.push_front(Class::Command, Item::Acts(jobs)),
            Err(fault) => Box::pin(self.not_sent(jobs, &fault)).await,
        }
    }

    pub(super) async fn serve_acts(&mut self, mut jobs: Vec<ActJob>) {
        let now = clock::now();
        let batch = jobs
            .first()
            .and_then(|job| self.state.unit(&job.unit, |u| u.caps.as_ref().map(|c| c.batch)))
            .map_or(1, usize::from);
        if batch > 1 && jobs.len() < batch {
            let is_power = |job: &ActJob| matches!(job.act, Act::Power(PowerAct::On | PowerAct::Off));
            if jobs.iter().all(is_power) {
                // Of one unit the first alone, and nothing overtakes: on and off in one packet have no order.
                let mut units: Vec<Unit> = jobs.iter().map(|job| job.unit.clone()).collect();
                let more = self.queue.take_if(Class::Command, batch - jobs.len(), |item| match item {
                    Item::Acts(more) => match more.as_slice() {
                        [job] if is_power(job) && !units.contains(&job.unit) => {
                            units.push(job.unit.clone());
                            true
                        }
                        _ => false,
                    },
                    Item::Read(_) => false,
                });
                jobs.extend(more.into_iter().flat_map(|item| match item {
                    Item::Acts(jobs) => jobs,
                    Item::Read(_) => Vec::new(),
                }));
            }
        }
        let (jobs, late): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.deadline > now);
        answer_all(late, &Fault::NotSent("its deadline passed while it waited".to_owned()));
        // Whoever asked has left before anything was sent: an operation that was cancelled.
        let jobs: Vec<_> = jobs.into_iter().filter(|job| !job.reply.is_closed()).collect();
        if jobs.is_empty() {
            return;
        }
        let acts: Vec<(Unit, Act)> = jobs.iter().map(|job| (job.unit.clone(), job.act.clone())).collect();
        self.state.count(Count::Exchange);
        for _ in &acts {
            self.state.count(Count::Act);
        }
        for (unit, act) in &acts {
            if let Some(on) = told(act) {
                self.state.change(unit, |u| u.unsettled = Some((on, now)));
            }
        }
        let mut results = self.driver.act(&acts).await.into_iter();
        let mut again = Vec::new();
        for mut job in jobs {
            let result = results
                .next()
                .unwrap_or_else(|| Err(Fault::Garbage("the driver gave no result for this act".to_owned())));
            match &result {
                Ok(done) => {
                    self.answered();
                    self.accepted(&job.unit, &job.act, *done);
                }
                Err(fault) => {
                    self.failed(fault);
                    // Even a refused or uncertain act may have changed something: what was read is no longer certain.
                    if matches!(fault, Fault::Uncertain(_)) {
                        self.state.change(&job.unit, |u| u.acted_at = Some(clock::now()));
                    }
                    if fault.act_may_retry() && job.attempts < self.config.policy.pace.retries {
                        job.attempts += 1;
                        again.push(job);
                        continue;
                    }
                }
            }
            job.reply.send(result).ok(); // an operation that was cancelled
        }
        if !again.is_empty() {
            tokio::time::sleep(ACT_RETRY_PAUSE).await;
            for job in again.into_iter().rev() {
                self.queue.push_front(Class::Command, Item::Acts(vec![job]));
            }
        }
    }

    /// An accepted command ends the life of what was read before it.
    pub(super) fn accepted(&self, unit: &Unit, act: &Act, done: Done) {
        let now = clock::now();
        let Act::Power(power) = act else {
            self.state.change(unit, |u| match act {
                Act::Boot(set) => u.boot = Some(Seen { origin: Origin::Commanded, ..Seen::read(Some(*set)) }),
                Act::Indicator(led) => u.indicator = Some(Seen { origin: Origin::Commanded, ..Seen::read(*led) }),
                Act::ClearLog => u.log = None,
                _ => {}
            });
            return;
        };
        let verify = self.config.policy.verify;
        self.state.change(unit, |u| {
            u.acted_at = Some(now);
            u.before = None;
            let proof = u.caps.as_ref().map_or(Proof::None, |c| c.proof);
            let target = match power {
                PowerAct::On | PowerAct::Cycle { .. } => Some(PowerState::On),
                PowerAct::Off => Some(PowerState::Off),
                PowerAct::Soft | PowerAct::Reset | PowerAct::Nmi => None,
            };
            let Some(target) = target else { return };
            let unverifiable = matches!(proof, Proof::None | Proof::CompletionOnly) || !verify;
            if unverifiable || matches!(proof, Proof::Reply) || done == Done::Completed {
                let origin =
                    if proof == Proof::None && done == Done::Accepted { Origin::Assumed } else { Origin::Commanded };
                u.power = Some(Seen { origin, ..Seen::read(target) });
                u.off_since = (target == PowerState::Off).then(|| u.off_since.unwrap_or(now));
            } else if target == PowerState::On {
                // It may be running already: an old "off" must not be shown a moment longer.
                u.power = None;
            }
        });
    }
}

/// Where an act leads a relay.
fn told(act: &Act) -> Option<bool> {
    match act {
        Act::Power(PowerAct::On | PowerAct::Cycle { .. }) => Some(true),
        Act::Power(PowerAct::Off | PowerAct::Soft) => Some(false),
        _ => None,
    }
}

pub(super) fn answer_all(jobs: Vec<ActJob>, fault: &Fault) {
    for job in jobs {
        job.reply.send(Err(fault.clone())).ok(); // an operation that was cancelled
    }
}
