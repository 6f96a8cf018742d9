//! Boot overrides: `ComputerSystem.Boot`, on the System or on its settings object.

use std::time::Duration;

use super::{
    driver::RedfishDriver,
    power::not_sent,
    site::optional,
    write::{follow, patch_boot},
};
use crate::{
    model::{ActKind, BootSet, Done, Fault},
    wire::redfish::boot,
};

/// How long a task that it has become is watched: the start that follows is to find it done.
const TASK: Duration = Duration::from_secs(10);

impl RedfishDriver {
    pub(super) async fn read_boot(&mut self) -> Result<Option<BootSet>, Fault> {
        let site = self.site().await?;
        if site.boot.is_none() {
            return Err(Fault::Unsupported("this BMC takes no boot options".to_owned()));
        }
        let path = site.system.clone();
        self.session.get(&path).await.map(|body| boot::in_force(&body)).map_err(|failure| self.gone(failure))
    }

    pub(super) async fn set_boot(&mut self, set: &BootSet) -> Result<Done, Fault> {
        let site = self.site().await.map_err(not_sent)?;
        let (system, pending) = (site.system.clone(), site.settings.clone());
        let none = || Fault::Unsupported(format!("this BMC can't boot from {}", set.target));
        let members = site.boot.as_ref().and_then(|boot| boot.members(set)).ok_or_else(none)?;
        let (mut there, mut here) = (serde_json::Map::new(), members);
        if let Some(pending) = &pending {
            let shown = optional(&mut self.session, pending).await.map_err(|f| f.before().into_act_fault())?;
            (there, here) = boot::part(here, &shown.unwrap_or_default());
        }
        let mut done = Done::Completed;
        for (path, members) in [(pending.as_ref(), there), (Some(&system), here)] {
            let Some(path) = path else { continue };
            match patch_boot(&mut self.session, path, members).await {
                Ok(Some(answer)) if answer.code == 202 => done = follow(&mut self.session, answer, TASK).await?,
                Ok(_) => {}
                Err(failure) => {
                    if failure.is_absence() {
                        self.lacks_act(ActKind::Boot);
                    }
                    return Err(failure.into_act_fault());
                }
            }
        }
        Ok(done)
    }
}
