//! Power and the identification light.

use std::time::Duration;

use super::{driver::IpmiDriver, faults::Failure};
use crate::{
    model::{ActKind, AspectKind, Done, Fault, Led, PowerAct, PowerState},
    wire::ipmi::command::{ChassisControl, ChassisIdentify, ChassisStatus, Control, GetChassisStatus, Identify},
};

/// A session that was quiet for longer is tried with a harmless command before one that must not be lost: a BMC
/// that was without mains has forgotten it.
const TRY_AFTER: Duration = Duration::from_secs(5);
/// Longest time that Chassis Identify takes without the "force" byte (IPMI 2.0, 28.5).
const LONGEST_IDENTIFY: u8 = 255;

/// Before the act itself nothing has been sent that could count.
fn not_sent(fault: Fault) -> Fault {
    match fault {
        Fault::Unreachable(reason) | Fault::Uncertain(reason) | Fault::Garbage(reason) => Fault::NotSent(reason),
        other => other,
    }
}

impl IpmiDriver {
    async fn status(&mut self) -> Result<ChassisStatus, Fault> {
        self.session().await?.run(GetChassisStatus {}).await.map_err(Failure::into_fault)
    }

    pub(super) async fn read_power(&mut self) -> Result<PowerState, Fault> {
        let status = self.status().await?;
        Ok(if status.on { PowerState::On } else { PowerState::Off })
    }

    pub(super) async fn read_indicator(&mut self) -> Result<Led, Fault> {
        match self.status().await?.identify() {
            Some(Identify::Off) => Ok(Led::Off),
            Some(Identify::Timed | Identify::On) => Ok(Led::Lit),
            None => {
                self.lacks_aspect(AspectKind::Indicator, &Failure::Code(0xc1));
                Err(Fault::Unsupported("the BMC does not tell the state of its identification light".to_owned()))
            }
        }
    }

    /// A session that the BMC surely knows, for what is sent once only.
    pub(super) async fn prepare_act(&mut self) -> Result<(), Fault> {
        self.sure_session().await.map_err(not_sent)?;
        if self.quiet_for().is_some_and(|quiet| quiet > TRY_AFTER) && self.status().await.is_err() {
            self.drop_session();
            self.sure_session().await.map_err(not_sent)?;
        }
        Ok(())
    }

    pub(super) async fn switch(&mut self, act: PowerAct) -> Result<Done, Fault> {
        let (control, kind) = match act {
            PowerAct::On => (Control::PowerUp, ActKind::On),
            PowerAct::Off => (Control::PowerDown, ActKind::Off),
            PowerAct::Soft => (Control::SoftShutdown, ActKind::Soft),
            PowerAct::Reset => (Control::HardReset, ActKind::Reset),
            // How long the host stays off is the BMC's own setting (Set Power Cycle Interval), not the command's.
            PowerAct::Cycle { .. } => (Control::PowerCycle, ActKind::Cycle),
            PowerAct::Nmi => (Control::DiagnosticInterrupt, ActKind::Nmi),
        };
        self.prepare_act().await?;
        match self.sure_session().await.map_err(not_sent)?.run(ChassisControl { control }).await {
            Ok(()) => Ok(Done::Accepted),
            Err(failure) => {
                self.lacks_act(kind, &failure);
                Err(failure.into_act_fault())
            }
        }
    }

    pub(super) async fn identify(&mut self, led: Led) -> Result<Done, Fault> {
        let command = match led {
            Led::Lit => ChassisIdentify { seconds: 0, force: true },
            Led::Off => ChassisIdentify { seconds: 0, force: false },
            Led::Blinking => {
                return Err(Fault::Unsupported("IPMI lights an identification light, it does not blink".to_owned()));
            }
        };
        let session = self.session().await.map_err(not_sent)?;
        let mut result = session.run(command).await;
        // "Force" is optional: without it, the longest time there is.
        if led == Led::Lit && matches!(result, Err(Failure::Code(0xc7 | 0xc8 | 0xcc | 0xc9))) {
            result = session.run(ChassisIdentify { seconds: LONGEST_IDENTIFY, force: false }).await;
        }
        match result {
            Ok(()) => Ok(Done::Accepted),
            Err(failure) => {
                self.lacks_act(ActKind::Indicator, &failure);
                Err(failure.into_act_fault())
            }
        }
    }
}
