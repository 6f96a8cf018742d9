//! The boot override around a start: firing, host options or hook, used.

use std::time::Duration;

use super::Run;
use crate::{
    config::BootPolicy,
    fleet::{clock, crash, hook, inner::Inner, op::OpError, overrides::Override},
    model::{Act, ActKind, BootSet, BootTarget, Fault},
};

impl Run {
    /// Changes and stores the override.
    async fn change_boot(&self, change: impl FnOnce(&mut Override)) -> Result<(), OpError> {
        let _writing = self.node.writing.lock().await;
        let mut boot = (*self.node.boot()).clone();
        change(&mut boot);
        self.fleet.store_boot(&self.node, boot).await
    }

    /// The same for what has happened already.
    async fn note_boot(&self, change: impl FnOnce(&mut Override)) -> Result<(), OpError> {
        let _writing = self.node.writing.lock().await;
        let mut boot = (*self.node.boot()).clone();
        change(&mut boot);
        self.fleet.note_boot(&self.node, boot).await
    }

    /// Right before a start: the override is marked as firing, then told to whoever makes it come true.
    pub(super) async fn arm_boot(&mut self) -> Result<(), OpError> {
        let operation = self.op.id.clone();
        if self.node.boot().once.is_some() {
            self.change_boot(|boot| boot.fire(&operation)).await?;
            crash::point("override", "firing");
        }
        let boot = self.node.boot();
        let Some(set) = boot.boot_set() else {
            return if matches!(self.config.boot, BootPolicy::Hook(_)) { self.boot_hook(&boot).await } else { Ok(()) };
        };
        if self.takes(set) {
            self.tell_host(set).await?;
            if set.persistent != boot.held_by_host {
                self.change_boot(|boot| boot.held_by_host = set.persistent).await?;
            }
        } else {
            self.boot_hook(&boot).await?;
        }
        Ok(())
    }

    /// Whether the host itself takes that option.
    fn takes(&self, set: BootSet) -> bool {
        let Some(host) = &self.config.host else { return false };
        self.fleet.caps(host).is_some_and(|caps| {
            caps.acts.has(ActKind::Boot) && (set.target == BootTarget::None || caps.boot.targets.contains(&set.target))
        })
    }

    async fn tell_host(&mut self, set: BootSet) -> Result<(), OpError> {
        let Some(host) = self.config.host.clone() else { return Ok(()) };
        let worker = self.fleet.worker(&host)?;
        self.fleet.may_write(&worker, &host, "boot options")?;
        let deadline = clock::now() + Duration::from_secs(30);
        let mut result = worker.act(&host.unit, Act::Boot(set), deadline).await;
        // Setting the same options twice does no harm: a lost answer may be asked for again.
        if matches!(result, Err(Fault::Uncertain(_))) {
            result = worker.act(&host.unit, Act::Boot(set), deadline).await;
        }
        result.map(|_| ()).map_err(|fault| Inner::endpoint_error(&host, fault))
    }

    async fn boot_hook(&self, boot: &Override) -> Result<(), OpError> {
        let BootPolicy::Hook(hook) = &self.config.boot else { return Ok(()) };
        let occasion = hook::Occasion { target: boot.target(), mode: boot.mode(), enabled: boot.enabled() };
        hook::run(hook, &self.config, occasion)
            .await
            .map_err(|cause| OpError::Hook { target: self.node.id.to_string(), cause })
    }

    /// The start was made.
    pub(super) async fn started(&mut self) -> Result<(), OpError> {
        let operation = self.op.id.clone();
        let used = self.node.boot().once.is_some();
        self.note_boot(|boot| boot.started(Some(&operation), clock::wall())).await?;
        if used {
            crash::point("override", "used");
            self.fleet.boot_event(&self.node, &self.op.actor, "one-time boot override used");
        }
        self.start_sent = false;
        Ok(())
    }

    /// After the last step: an override whose start was never sent waits for the next one; one whose start may have
    /// been made is used up.
    pub(super) async fn settle_override(&mut self, well: bool) {
        let operation = self.op.id.clone();
        let firing =
            self.node.boot().once.as_ref().is_some_and(
                |once| matches!(&once.stage, crate::fleet::overrides::Stage::Firing(by) if *by == operation),
            );
        if !firing {
            return;
        }
        let sent = self.start_sent || well;
        let result = self
            .note_boot(|boot| if sent { boot.started(Some(&operation), clock::wall()) } else { boot.rearm(&operation) })
            .await;
        if let Err(error) = result {
            tracing::error!(node = %self.node.id, %error, "the boot override could not be stored");
        }
    }
}
