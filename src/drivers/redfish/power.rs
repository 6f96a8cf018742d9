//! Power and the identification light.

use std::time::Duration;

use serde_json::json;

use super::{
    driver::RedfishDriver,
    faults::Failure,
    http::Request,
    write::{follow, patch},
};
use crate::{
    model::{ActKind, Done, Fault, Led, PowerAct, PowerState, Why},
    wire::redfish::system,
};

/// How long a task that a reset has become is watched: looks at the state follow anyway.
const TASK: Duration = Duration::from_secs(3);

impl RedfishDriver {
    pub(super) async fn read_power(&mut self) -> Result<PowerState, Fault> {
        let path = self.site().await?.system.clone();
        let body = self.session.get(&path).await.map_err(|failure| self.gone(failure))?;
        system::power(&body).ok_or_else(|| {
            let said = body.get("PowerState").map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let said: String = said.chars().take(40).collect();
            Fault::Refused(Why::Rejected(format!("the BMC does not know: PowerState is {said}")))
        })
    }

    /// One POST. It is sent once, whatever becomes of the answer.
    pub(super) async fn switch(&mut self, act: PowerAct) -> Result<Done, Fault> {
        let kind = crate::model::Act::Power(act).kind();
        let site = self.site().await.map_err(not_sent)?;
        let none = || Fault::Unsupported(format!("this BMC has no {kind:?}"));
        let action = site.reset.clone().ok_or_else(none)?;
        let word = system::reset_type(act, action.allowed.as_deref()).ok_or_else(none)?;
        let body = json!({"ResetType": word});
        match self.session.send(&Request::post(&action.target, &body)).await {
            Ok(answer) => follow(&mut self.session, answer, TASK).await,
            Err(failure) => {
                let wanted = match act {
                    PowerAct::On => Some(true),
                    PowerAct::Off => Some(false),
                    _ => None,
                };
                // Many refuse to switch on what is on: that is no failure, if it is so.
                if matches!(failure.code(), Some(400 | 409))
                    && let Some(wanted) = wanted
                    && let Ok(state) = self.read_power().await
                    && state == if wanted { PowerState::On } else { PowerState::Off }
                {
                    return Ok(Done::Completed);
                }
                if failure.is_refused_value() {
                    self.lacks_act(kind);
                    return Err(none());
                }
                if failure.is_absence() {
                    self.look_again();
                }
                Err(failure.into_act_fault())
            }
        }
    }

    pub(super) async fn read_indicator(&mut self) -> Result<Led, Fault> {
        let none = || Fault::Unsupported("this BMC does not tell the state of an identification light".to_owned());
        let (path, light) = self.site().await?.light.clone().ok_or_else(none)?;
        let body = self.session.get(&path).await.map_err(Failure::into_fault)?;
        light.read(&body).ok_or_else(|| Fault::Refused(Why::Rejected("the BMC does not know its light".to_owned())))
    }

    pub(super) async fn identify(&mut self, led: Led) -> Result<Done, Fault> {
        let none = || Fault::Unsupported("this BMC has no identification light".to_owned());
        let (path, light) = self.site().await.map_err(not_sent)?.light.clone().ok_or_else(none)?;
        let Some(body) = light.patch(led) else {
            return Err(Fault::Unsupported("this BMC lights its identification light, it does not blink".to_owned()));
        };
        match patch(&mut self.session, &path, &body).await {
            Ok(answer) => follow(&mut self.session, answer, TASK).await,
            Err(failure) => {
                if failure.is_absence() {
                    self.lacks_act(ActKind::Indicator);
                }
                Err(failure.into_act_fault())
            }
        }
    }
}

/// Before the act itself nothing has been sent that could count.
pub(super) fn not_sent(fault: Fault) -> Fault {
    match fault {
        Fault::Unreachable(why) | Fault::Uncertain(why) | Fault::Garbage(why) => Fault::NotSent(why),
        other => other,
    }
}
