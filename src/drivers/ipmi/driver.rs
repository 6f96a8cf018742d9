//! The [`Driver`] contract for a BMC: dispatch, and when a new login is due.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    faults::Failure, inventory::InventoryWalk, login::login, repository::Repository, session::Session,
    settings::IpmiSetup,
};
use crate::{
    drivers::{
        Driver,
        bmc::{self, Bmc, Part},
    },
    model::{
        Act, ActKind, ActSet, Aspect, AspectKind, AspectSet, BootCaps, Caps, Cursor, Done, Fact, Fault, Page, Proof,
        Unit,
    },
    wire::ipmi::command::{BootFlags, DeviceId, GetDeviceId},
};

/// A BMC shows the new power state within this time after it took the command. Generous: large machines need
/// seconds from the command to the first sign of power.
const READ_BACK: Duration = Duration::from_secs(10);

/// A conversation with one BMC.
pub(super) struct IpmiDriver {
    pub(super) setup: Arc<IpmiSetup>,
    session: Option<Session>,
    /// Learnt at the first login; does not change while the BMC runs.
    pub(super) device: Option<DeviceId>,
    /// Acts and aspects that the BMC turned out not to have.
    missing_acts: Vec<ActKind>,
    missing_aspects: Vec<AspectKind>,
    pub(super) sensors: Repository,
    pub(super) inventory: InventoryWalk,
    /// There is no DCMI power reading.
    pub(super) no_dcmi: bool,
}

/// What a BMC can presumably do, before it was asked.
pub(super) fn presumed_caps() -> Caps {
    Caps {
        acts: ActSet::of(&[
            ActKind::On,
            ActKind::Off,
            ActKind::Soft,
            ActKind::Reset,
            ActKind::Cycle,
            ActKind::Nmi,
            ActKind::Boot,
            ActKind::Indicator,
            ActKind::ClearLog,
        ]),
        aspects: AspectSet::of(&[
            AspectKind::Units,
            AspectKind::Power,
            AspectKind::Boot,
            AspectKind::Sensors,
            AspectKind::Inventory,
            AspectKind::Log,
            AspectKind::Indicator,
        ]),
        boot: BootCaps { targets: BootFlags::targets(), mode: true, persistent: true },
        proof: Proof::ReadBack { within: READ_BACK },
        batch: 1,
    }
}

impl IpmiDriver {
    pub(super) fn new(setup: Arc<IpmiSetup>) -> Self {
        Self {
            setup,
            session: None,
            device: None,
            missing_acts: Vec::new(),
            missing_aspects: Vec::new(),
            sensors: Repository::default(),
            inventory: InventoryWalk::default(),
            no_dcmi: false,
        }
    }

    /// The open session; logs in if there is none that can be relied on.
    pub(super) async fn session(&mut self) -> Result<&mut Session, Fault> {
        self.session.take_if(|session| session.is_stale());
        self.log_in_if_needed().await
    }

    /// The same for a command that must not be lost: a session in doubt will not do.
    pub(super) async fn sure_session(&mut self) -> Result<&mut Session, Fault> {
        self.session.take_if(|session| session.is_stale() || session.is_doubtful());
        self.log_in_if_needed().await
    }

    /// The repository and the session, side by side.
    pub(super) async fn with_session(&mut self) -> Result<(&mut Repository, &mut Session), Fault> {
        self.session().await?;
        match &mut self.session {
            Some(session) => Ok((&mut self.sensors, session)),
            None => Err(Fault::NotSent("no session".to_owned())),
        }
    }

    async fn log_in_if_needed(&mut self) -> Result<&mut Session, Fault> {
        let session = match self.session.take() {
            Some(session) => session,
            None => login(&self.setup).await?,
        };
        Ok(self.session.insert(session))
    }

    /// How long ago the BMC last answered; `None` without a session.
    pub(super) fn quiet_for(&self) -> Option<Duration> {
        self.session.as_ref().map(|session| Instant::now().duration_since(session.last_answer))
    }

    /// Forgets the session: the BMC seems not to know it any more.
    pub(super) fn drop_session(&mut self) {
        self.session = None;
    }

    /// Remembers that the BMC does not have a command.
    pub(super) fn lacks_act(&mut self, kind: ActKind, failure: &Failure) {
        if matches!(failure, Failure::Code(0xc1)) && !self.missing_acts.contains(&kind) {
            self.missing_acts.push(kind);
        }
    }

    /// The same for something to read.
    pub(super) fn lacks_aspect(&mut self, kind: AspectKind, failure: &Failure) {
        if matches!(failure, Failure::Code(0xc1)) && !self.missing_aspects.contains(&kind) {
            self.missing_aspects.push(kind);
        }
    }

    /// What the BMC can do, as far as it is known.
    pub(super) fn caps(&self) -> Caps {
        let mut caps = presumed_caps();
        for kind in &self.missing_acts {
            caps.acts = caps.acts.without(*kind);
        }
        for kind in &self.missing_aspects {
            caps.aspects = caps.aspects.without(*kind);
        }
        if self.device.is_some_and(|device| !device.has_sel()) {
            caps.aspects = caps.aspects.without(AspectKind::Log);
            caps.acts = caps.acts.without(ActKind::ClearLog);
        }
        if !caps.acts.has(ActKind::Boot) {
            caps.boot = BootCaps::default();
        }
        // Operators may not clear the log nor set boot options on every BMC, but most let them: the BMC decides.
        // A login at level user may change nothing.
        if self.setup.level < 3 {
            caps.acts = ActSet::default();
            caps.boot = BootCaps::default();
        }
        caps
    }

    async fn device(&mut self) -> Result<DeviceId, Fault> {
        if let Some(device) = self.device {
            return Ok(device);
        }
        let device = self.session().await?.run_at(0, GetDeviceId {}, 2).await.map_err(Failure::into_fault)?;
        self.device = Some(device);
        Ok(device)
    }
}

impl Bmc for IpmiDriver {
    async fn read(&mut self, aspect: &Aspect, at: Option<Cursor>) -> Result<Part, Fault> {
        let one = |fact| (Some(fact), None);
        match aspect {
            Aspect::Units => Ok(one(Fact::Caps(self.caps(), None))),
            Aspect::Power => self.read_power().await.map(|state| one(Fact::Power(state))),
            Aspect::Indicator => self.read_indicator().await.map(|led| one(Fact::Indicator(led))),
            Aspect::Boot => self.read_boot().await.map(|boot| one(Fact::Boot(boot))),
            Aspect::Sensors => self.read_sensors(at).await,
            Aspect::Inventory => self.read_inventory(at).await,
            Aspect::Log => self.read_log(at).await,
            Aspect::Media => Err(bmc::not_read("virtual media")),
            Aspect::Raw(name) => Err(bmc::not_read(name)),
        }
    }

    async fn carry_out(&mut self, act: &Act) -> Result<Done, Fault> {
        match act {
            Act::Power(power) => self.switch(*power).await,
            Act::Boot(set) => self.set_boot(set).await,
            Act::Indicator(led) => self.identify(*led).await,
            Act::ClearLog => self.clear_log().await,
            Act::Limit(_) | Act::Fan(_) | Act::InsertMedia(_) | Act::EjectMedia(_) | Act::Raw(_) => {
                Err(bmc::not_done(act))
            }
        }
    }

    /// A busy BMC is asked again at once: it is busy with the command before.
    fn ends_the_read(fault: &Fault) -> bool {
        fault.blames_endpoint() || matches!(fault, Fault::Busy { .. })
    }
}

#[async_trait]
impl Driver for IpmiDriver {
    async fn open(&mut self) -> Result<Vec<(Unit, Caps)>, Fault> {
        self.session = None;
        self.session().await?;
        self.device().await?;
        Ok(vec![(Unit::host(), self.caps())])
    }

    async fn observe(&mut self, aspect: &Aspect, units: &[Unit], at: Option<Cursor>) -> Result<Page, Fault> {
        bmc::observe(self, aspect, units, at).await
    }

    async fn act(&mut self, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
        bmc::act(self, acts).await
    }

    async fn close(&mut self) {
        // A BMC that does not answer is told without waiting: dropping the session does that.
        if let Some(session) = self.session.take_if(|session| !session.is_doubtful() && !session.is_stale()) {
            session.close().await;
        }
        self.session = None;
    }
}
