//! The host layer: the unit that manages the node itself.

use std::time::Duration;

use super::Run;
use crate::{
    fleet::{
        clock, crash, hook,
        inner::Inner,
        op::OpError,
        plan::Step,
        worker::{Unmet, WorkerHandle},
    },
    model::{Act, BootEnabled, Fault, PowerAct, Ref},
};

/// Between two looks at a controller that starts after mains came on.
const CONTROLLER_EVERY: Duration = Duration::from_secs(1);

/// Ironic's last look after a power command is after 49 s: a controller that needs longer than this gets a conflict
/// that Ironic retries, instead of a task that it never reads.
pub const SLOW_CONTROLLER: Duration = Duration::from_secs(45);

/// What is sent once waits at most that long for its turn.
const ONCE_PATIENCE: Duration = Duration::from_secs(30);

/// A host may need that long from a cycle command until it is on again.
const CYCLE_WINDOW: Duration = Duration::from_secs(15);

/// A cycle that a device makes itself shows "on" before it begins: the first look waits.
const CYCLE_SETTLE: Duration = Duration::from_millis(1500);

impl Run {
    fn host(&self) -> Result<(Ref, WorkerHandle), OpError> {
        let host = self.config.host.clone().ok_or_else(|| OpError::NotFound(format!("a host of {}", self.node.id)))?;
        let worker = self.fleet.worker(&host)?;
        Ok((host, worker))
    }

    pub(super) async fn host_off(&mut self) -> Result<(), OpError> {
        let (host, _) = self.host()?;
        let may_be_off = self.op.reset != crate::model::ResetType::ForceOff && self.tells(&host);
        if may_be_off && matches!(self.look(&host).await, Ok(false)) {
            return Ok(());
        }
        self.switch(&host, false, Step::HostOff.as_str()).await
    }

    pub(super) async fn host_on(&mut self) -> Result<(), OpError> {
        let (host, _) = self.host()?;
        // A BMC may start its host by itself when mains come back.
        if self.supplied_now && self.tells(&host) && matches!(self.look(&host).await, Ok(true)) {
            self.start_sent = true;
            return Ok(());
        }
        self.admit_start().await?;
        self.switch(&host, true, Step::HostOn.as_str()).await
    }

    /// Waits for the controller after mains came on. If they have been on all along it has to answer now.
    pub(super) async fn controller(&mut self) -> Result<(), OpError> {
        let (host, worker) = self.host()?;
        let deadline = clock::now() + self.config.controller_ready;
        loop {
            match self.look(&host).await {
                Ok(_) => return Ok(()),
                Err(error) if !self.supplied_now || clock::now() >= deadline => return Err(error),
                Err(_) => {}
            }
            self.pause_until(clock::now() + CONTROLLER_EVERY).await?;
            // Its breaker has opened while it had no mains: that says nothing about now.
            if let Err(fault) = worker.retry().await
                && fault.is_credentials()
            {
                return Err(Inner::endpoint_error(&host, fault));
            }
        }
    }

    pub(super) async fn soft_off(&mut self) -> Result<(), OpError> {
        let (host, worker) = self.host()?;
        let patience = self.fleet.config().patience.soft_off;
        // Asking an operating system twice does no harm: after a crash, or when the answer was lost, it is asked again.
        if self.recovering && matches!(self.look(&host).await, Ok(false)) {
            return Ok(());
        }
        match self.once(&host, &worker, PowerAct::Soft, Step::SoftOff).await {
            Err(OpError::Uncertain { .. }) => self.once(&host, &worker, PowerAct::Soft, Step::SoftOff).await?,
            result => result?,
        }
        match self.wait_for(&worker, &host, false, patience).await? {
            Ok(()) => Ok(()),
            Err(Unmet { fault: Some(fault), shows: None }) => Err(Inner::endpoint_error(&host, fault)),
            Err(_) => Err(OpError::NotConfirmed {
                endpoint: host.endpoint.clone(),
                unit: host.unit.to_string(),
                shows: "On: its operating system did not shut down".to_owned(),
                waited: patience,
            }),
        }
    }

    pub(super) async fn host_reset(&mut self) -> Result<(), OpError> {
        let (host, worker) = self.host()?;
        if self.recovering {
            return self.was_it_reset(&host, &worker).await;
        }
        self.once(&host, &worker, PowerAct::Reset, Step::HostReset).await
    }

    pub(super) async fn host_cycle(&mut self) -> Result<(), OpError> {
        let (host, worker) = self.host()?;
        if !self.recovering {
            match self.once(&host, &worker, PowerAct::Cycle { off: None }, Step::HostCycle).await {
                // It said that it can't (some do, only when asked): off and on have the same effect.
                Err(OpError::Endpoint { fault: Fault::Unsupported(_), .. }) => {
                    self.switch(&host, false, Step::HostCycle.as_str()).await?;
                    self.start_sent = false;
                }
                Err(error) => return Err(error),
                Ok(()) if !self.tells(&host) => return Ok(()),
                Ok(()) => {
                    self.pause_until(clock::now() + CYCLE_SETTLE).await?;
                    if let Ok(()) = self.wait_for(&worker, &host, true, CYCLE_WINDOW).await? {
                        return Ok(());
                    }
                }
            }
        }
        // All restarts end in on.
        if self.look(&host).await? { Ok(()) } else { self.switch(&host, true, Step::HostCycle.as_str()).await }
    }

    pub(super) async fn nmi(&mut self) -> Result<(), OpError> {
        let (host, worker) = self.host()?;
        if self.recovering {
            return Err(OpError::Uncertain {
                endpoint: host.endpoint,
                fault: Fault::Uncertain("rackfish ended while the interrupt was being sent".to_owned()),
            });
        }
        self.once(&host, &worker, PowerAct::Nmi, Step::Nmi).await
    }

    /// Sends what must never be sent twice and can't be verified.
    async fn once(&mut self, host: &Ref, worker: &WorkerHandle, act: PowerAct, step: Step) -> Result<(), OpError> {
        self.fleet.may_write(worker, host, step.as_str())?;
        let starts = matches!(act, PowerAct::Reset | PowerAct::Cycle { .. });
        if starts {
            self.admit_start().await?;
        }
        let sent = match self.submit(worker, host, Act::Power(act), ONCE_PATIENCE)? {
            Ok(submitted) => submitted.accepted().await,
            Err(fault) => Err(fault),
        };
        crash::point(step.as_str(), "sent");
        match sent {
            Ok(_) => {
                self.start_sent |= starts;
                Ok(())
            }
            Err(fault @ (Fault::Uncertain(_) | Fault::Garbage(_))) => {
                self.start_sent |= starts;
                Err(OpError::Uncertain { endpoint: host.endpoint.clone(), fault })
            }
            Err(fault) => Err(Inner::endpoint_error(host, fault)),
        }
    }

    /// We ended while a reset was being sent. It is not sent again; boot options that the host still holds say that
    /// it did not start since.
    async fn was_it_reset(&mut self, host: &Ref, worker: &WorkerHandle) -> Result<(), OpError> {
        let unknown = |why: &str| OpError::Uncertain {
            endpoint: host.endpoint.clone(),
            fault: Fault::Uncertain(format!("rackfish ended while the reset was being sent; {why}")),
        };
        if self.node.boot().boot_set().is_none() {
            return Err(unknown("nothing on the host tells whether it was made"));
        }
        worker
            .read(crate::model::Aspect::Boot, &host.unit, super::FIRST_LOOK)
            .await
            .map_err(|fault| Inner::endpoint_error(host, fault))?;
        let held = worker.state.unit(&host.unit, |u| u.boot.as_ref().map(|b| b.value.is_some())).unwrap_or(false);
        self.start_sent = !held;
        if held { Err(unknown("the host still holds its boot option, so it was not")) } else { Ok(()) }
    }

    pub(super) async fn shutdown_hook(&mut self) -> Result<(), OpError> {
        let Some(shutdown) = self.config.shutdown.clone() else { return Ok(()) };
        let boot = self.node.boot();
        let occasion = hook::Occasion { target: boot.target(), mode: boot.mode(), enabled: BootEnabled::Disabled };
        hook::run(&shutdown, &self.config, occasion)
            .await
            .map_err(|cause| OpError::Hook { target: self.node.id.to_string(), cause })
    }
}
