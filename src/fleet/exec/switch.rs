//! Switching one unit on or off, proven as far as its device can prove it.

use std::time::Duration;

use super::Run;
use crate::{
    fleet::{
        clock, crash,
        inner::Inner,
        op::OpError,
        worker::{Submitted, Unmet, WorkerHandle},
    },
    model::{Act, Fault, PowerAct, Proof, Ref},
};

/// How often a command is given again after its answer was lost AND a read has shown that nothing happened.
const UNCERTAIN_RETRIES: u32 = 2;

/// A unit that can't be proven otherwise gets this long to show what an uncertain command did.
const DEFAULT_WINDOW: Duration = Duration::from_secs(10);

/// After a crash a relay that may be moving gets this long before the command is given again: on and off can be said
/// twice, they only cost time.
const RECOVERY_WINDOW: Duration = Duration::from_secs(15);

/// No relay takes longer to follow a command.
const SLOWEST_RELAY: Duration = Duration::from_mins(1);

/// A command waits at most that long in its endpoint's queue.
const QUEUE_PATIENCE: Duration = Duration::from_mins(2);

impl Run {
    /// Switches `unit` and returns when the device shows it, or when nothing can show it.
    pub(super) async fn switch(&mut self, unit: &Ref, on: bool, step: &'static str) -> Result<(), OpError> {
        let worker = self.fleet.worker(unit)?;
        self.fleet.may_write(&worker, unit, if on { "power on" } else { "power off" })?;
        let proof = worker.state.unit(&unit.unit, |u| u.caps.as_ref().map(|c| c.proof)).unwrap_or(Proof::None);
        let window = match proof {
            Proof::ReadBack { within } => within,
            _ => DEFAULT_WINDOW,
        };
        let tells = self.tells(unit);
        if self.recovering && tells {
            // The crash may have cut us after the command: a slow relay gets its time before it is asked again.
            if worker.expect(&unit.unit, on, window.min(RECOVERY_WINDOW)).await.is_ok() {
                return Ok(());
            }
        }
        let act = Act::Power(if on { PowerAct::On } else { PowerAct::Off });
        // While it may still be moving the other way, what it shows proves nothing about a command that may be lost.
        let contested = tells && !self.settled(unit)?;
        for attempt in 0.. {
            let sent = match self.submit(&worker, unit, act.clone(), QUEUE_PATIENCE)? {
                Ok(submitted) => {
                    self.start_sent |= on;
                    submitted.accepted().await
                }
                Err(fault) => Err(fault),
            };
            crash::point(step, "sent");
            match sent {
                Ok(_) => return self.prove(&worker, unit, on, proof).await,
                Err(fault @ Fault::Uncertain(_)) if contested && attempt < UNCERTAIN_RETRIES => {
                    tracing::warn!(%unit, on, %fault, "the command may be lost; saying it once more does no harm");
                }
                Err(fault @ Fault::Uncertain(_)) if contested => {
                    worker.state.change(&unit.unit, |u| u.unsettled = Some((!on, clock::now())));
                    return Err(OpError::Uncertain { endpoint: unit.endpoint.clone(), fault });
                }
                // Nothing can show what came of it.
                Err(fault @ Fault::Uncertain(_)) if !tells => {
                    return Err(OpError::Uncertain { endpoint: unit.endpoint.clone(), fault });
                }
                Err(fault @ Fault::Uncertain(_)) => {
                    let looked = self.wait_for(&worker, unit, on, window).await?;
                    match looked {
                        Ok(()) => return Ok(()),
                        // The state was read: it was not done. Now, and only now, it may be asked for again.
                        Err(Unmet { shows: Some(_), .. }) if attempt < UNCERTAIN_RETRIES => {
                            tracing::warn!(%unit, on, %fault, "the command had no effect; sending it again");
                        }
                        Err(_) => return Err(OpError::Uncertain { endpoint: unit.endpoint.clone(), fault }),
                    }
                }
                Err(fault) => {
                    if on && !matches!(fault, Fault::Garbage(_)) {
                        self.start_sent = false;
                    }
                    return Err(Inner::endpoint_error(unit, fault));
                }
            }
        }
        Ok(())
    }

    /// Whether what a unit shows is what it was last told: a slow relay may still be on its way, also from a command
    /// of the process before this one.
    pub(super) fn settled(&self, unit: &Ref) -> Result<bool, OpError> {
        let worker = self.fleet.worker(unit)?;
        let told = worker.state.unit(&unit.unit, |u| u.unsettled).map_or(self.fleet.since, |(_, at)| at);
        Ok(clock::now() >= told + SLOWEST_RELAY)
    }

    /// Queues an act, unless a later ForceOff has made an end of this operation. Whoever cancels holds the same lock:
    /// what is queued here comes before what it queues, and nothing comes after.
    pub(super) fn submit(
        &self,
        worker: &WorkerHandle,
        unit: &Ref,
        act: Act,
        patience: Duration,
    ) -> Result<Result<Submitted, Fault>, OpError> {
        let _lane = self.node.lane();
        if self.op.cancel.is_cancelled() {
            return Err(Self::cancelled());
        }
        Ok(worker.submit(&unit.unit, act, clock::now() + patience))
    }

    async fn prove(&self, worker: &WorkerHandle, unit: &Ref, on: bool, proof: Proof) -> Result<(), OpError> {
        let Proof::ReadBack { within } = proof else { return Ok(()) };
        if !worker.config.policy.verify {
            return Ok(());
        }
        match self.wait_for(worker, unit, on, within).await? {
            Ok(()) => Ok(()),
            Err(Unmet { shows: Some(shows), .. }) => Err(OpError::NotConfirmed {
                endpoint: unit.endpoint.clone(),
                unit: unit.unit.to_string(),
                shows: shows.to_string(),
                waited: within,
            }),
            Err(Unmet { fault, shows: None }) => Err(OpError::Uncertain {
                endpoint: unit.endpoint.clone(),
                fault: fault
                    .unwrap_or_else(|| Fault::Unreachable(format!("its state could not be read for {within:?}"))),
            }),
        }
    }

    /// Waits for a state, or for a cancellation.
    pub(super) async fn wait_for(
        &self,
        worker: &WorkerHandle,
        unit: &Ref,
        on: bool,
        within: Duration,
    ) -> Result<Result<(), Unmet>, OpError> {
        tokio::select! {
            biased;
            () = self.op.cancel.cancelled() => Err(Self::cancelled()),
            result = worker.expect(&unit.unit, on, within) => Ok(result),
        }
    }
}
