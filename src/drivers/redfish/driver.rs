//! The [`Driver`] contract for a Redfish BMC: dispatch, what it can do, and when its links are looked up again.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

use super::{
    faults::Failure,
    log::LogWalk,
    media::MediaWalk,
    sensors::Walk,
    session::Session,
    settings::Settings,
    site::{self, Site, optional},
};
use crate::{
    drivers::{
        Driver,
        bmc::{self, Bmc, Part},
    },
    model::{
        Act, ActKind, ActSet, Aspect, AspectKind, AspectSet, BootCaps, BootTarget, Caps, Cursor, Done, Fact, Fault,
        Page, PowerAct, Proof, Unit, Why,
    },
    wire::redfish::{boot::Boot, system},
};

/// A BMC shows the new power state within this time after it took the command: emulators take up to 11 s on purpose,
/// large machines need seconds from the command to the first sign of power.
const READ_BACK: Duration = Duration::from_secs(20);
/// Steps of a cursor of the inventory.
const MANAGER: u64 = 1;
const CHASSIS: u64 = 2;

/// Power acts, each with what it is called in capabilities.
const POWER: [PowerAct; 6] =
    [PowerAct::On, PowerAct::Off, PowerAct::Soft, PowerAct::Reset, PowerAct::Cycle { off: None }, PowerAct::Nmi];

/// What a BMC can presumably do, before it was asked.
pub(super) fn presumed_caps() -> Caps {
    use BootTarget::{BiosSetup, Cd, Hdd, None, Pxe};
    Caps {
        acts: ActSet::of(&[
            ActKind::On,
            ActKind::Off,
            ActKind::Soft,
            ActKind::Reset,
            ActKind::Boot,
            ActKind::Indicator,
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
        boot: BootCaps { targets: vec![None, Pxe, Hdd, Cd, BiosSetup], mode: true, persistent: true },
        proof: Proof::ReadBack { within: READ_BACK },
        batch: 1,
    }
}

/// A conversation with one BMC.
pub(super) struct RedfishDriver {
    settings: Arc<Settings>,
    pub(super) session: Session,
    /// What was found the last time.
    pub(super) known: Option<Site>,
    /// Its links are as they were; false before the first look, and after one has led nowhere.
    sure: bool,
    /// Acts that the BMC turned out not to have.
    missing: Vec<ActKind>,
    pub(super) walk: Walk,
    pub(super) log: LogWalk,
    pub(super) media: MediaWalk,
    /// Identity as far as it is read.
    system: Value,
    manager: Value,
}

impl RedfishDriver {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self {
            session: Session::new(&settings),
            settings,
            known: None,
            sure: false,
            missing: Vec::new(),
            walk: Walk::default(),
            log: LogWalk::default(),
            media: MediaWalk::default(),
            system: Value::Null,
            manager: Value::Null,
        }
    }

    /// Where things are; looked up if that is not known.
    pub(super) async fn site(&mut self) -> Result<&Site, Fault> {
        let site = match self.known.take() {
            Some(site) if self.sure => site,
            known => {
                let found = site::find(&mut self.session, self.settings.system.as_deref(), known.as_ref()).await;
                self.known = known;
                let found = found.map_err(unusable)?;
                self.sure = true;
                self.walk.forget();
                found
            }
        };
        Ok(self.known.insert(site))
    }

    /// The System is not where it was: links are looked up again, once they are needed.
    pub(super) fn gone(&mut self, failure: Failure) -> Fault {
        if !failure.is_absence() {
            return failure.into_fault();
        }
        self.known = None;
        self.sure = false;
        match failure.into_fault() {
            // Not the unit's fault for good: it may have another path now.
            Fault::Unsupported(why) => Fault::NoSuchUnit(format!("the System is gone: {why}")),
            other => other,
        }
    }

    /// A link has led nowhere: they are looked up again.
    pub(super) fn look_again(&mut self) {
        self.sure = false;
    }

    /// Remembers that the BMC does not have an act, whatever it has said.
    pub(super) fn lacks_act(&mut self, kind: ActKind) {
        if !self.missing.contains(&kind) {
            self.missing.push(kind);
        }
    }

    fn caps(&self, site: &Site) -> Caps {
        let mut acts = ActSet::default();
        let mut aspects = AspectSet::of(&[AspectKind::Units, AspectKind::Inventory]);
        if let Some(reset) = &site.reset {
            for act in POWER {
                if system::reset_type(act, reset.allowed.as_deref()).is_some() {
                    acts = acts.with(Act::Power(act).kind());
                }
            }
        }
        let mut there = |is: bool, aspect: AspectKind, act: Option<ActKind>| {
            if is {
                aspects = aspects.with(aspect);
                acts = act.map_or(acts, |act| acts.with(act));
            }
        };
        there(site.power, AspectKind::Power, None);
        there(site.boot.is_some(), AspectKind::Boot, Some(ActKind::Boot));
        there(site.light.is_some(), AspectKind::Indicator, Some(ActKind::Indicator));
        there(!site.chassis.is_empty(), AspectKind::Sensors, None);
        let clear = site.log.as_ref().and_then(|log| log.clear.as_ref()).map(|_| ActKind::ClearLog);
        there(site.log.is_some(), AspectKind::Log, clear);
        there(site.media.is_some(), AspectKind::Media, Some(ActKind::InsertMedia));
        there(site.media.is_some(), AspectKind::Media, Some(ActKind::EjectMedia));
        for kind in &self.missing {
            acts = acts.without(*kind);
        }
        let boot = site.boot.as_ref().filter(|_| acts.has(ActKind::Boot)).map_or_else(BootCaps::default, Boot::caps);
        let proof = if site.power { Proof::ReadBack { within: READ_BACK } } else { Proof::None };
        Caps { acts, aspects, boot, proof, batch: 1 }
    }

    /// System, Manager, Chassis: one exchange each.
    async fn read_inventory(&mut self, at: Option<Cursor>) -> Result<Part, Fault> {
        let (path, manager, chassis) = {
            let site = self.site().await?;
            (site.system.clone(), site.manager.clone(), site.chassis.first().cloned())
        };
        let step = at.and_then(|cursor| cursor.0.first().copied()).unwrap_or_default();
        let mut enclosure = Value::Null;
        let rest = match step {
            MANAGER => {
                if let Some(manager) = manager {
                    let body = optional(&mut self.session, &manager).await.map_err(Failure::into_fault)?;
                    self.manager = body.unwrap_or_default();
                }
                chassis.map(|_| CHASSIS)
            }
            CHASSIS => {
                if let Some(chassis) = chassis {
                    let body = optional(&mut self.session, &chassis).await.map_err(Failure::into_fault)?;
                    enclosure = body.unwrap_or_default();
                }
                None
            }
            _ => {
                self.system = self.session.get(&path).await.map_err(|failure| self.gone(failure))?;
                self.manager = Value::Null;
                manager.map(|_| MANAGER).or(chassis.map(|_| CHASSIS))
            }
        };
        if let Some(rest) = rest {
            return Ok((None, Some(Cursor(vec![rest]))));
        }
        let found = system::inventory(&self.system, &self.manager, &enclosure);
        Ok((Some(Fact::Inventory(Box::new(found))), None))
    }
}

/// A BMC that can't be used as it is configured is as good as out of reach: that is what people have to see.
fn unusable(fault: Fault) -> Fault {
    match fault {
        fault @ Fault::Busy { .. } => fault,
        fault if fault.blames_endpoint() => fault,
        Fault::Refused(Why::Rejected(why) | Why::Protocol(why)) | Fault::NoSuchUnit(why) | Fault::Unsupported(why) => {
            Fault::Unreachable(why)
        }
        other => Fault::Unreachable(other.to_string()),
    }
}

impl Bmc for RedfishDriver {
    async fn read(&mut self, aspect: &Aspect, at: Option<Cursor>) -> Result<Part, Fault> {
        let one = |fact| (Some(fact), None);
        match aspect {
            Aspect::Units => {
                self.site().await?;
                let caps = self.known.as_ref().map_or_else(presumed_caps, |site| self.caps(site));
                Ok(one(Fact::Caps(caps, None)))
            }
            Aspect::Power => self.read_power().await.map(|state| one(Fact::Power(state))),
            Aspect::Indicator => self.read_indicator().await.map(|led| one(Fact::Indicator(led))),
            Aspect::Boot => self.read_boot().await.map(|boot| one(Fact::Boot(boot))),
            Aspect::Sensors => self.read_sensors(at).await,
            Aspect::Inventory => self.read_inventory(at).await,
            Aspect::Log => self.read_log(at).await,
            Aspect::Media => self.read_media(at).await,
            Aspect::Raw(name) => Err(bmc::not_read(name)),
        }
    }

    async fn carry_out(&mut self, act: &Act) -> Result<Done, Fault> {
        match act {
            Act::Power(power) => self.switch(*power).await,
            Act::Boot(set) => self.set_boot(set).await,
            Act::Indicator(led) => self.identify(*led).await,
            Act::ClearLog => self.clear_log().await,
            Act::InsertMedia(wanted) => self.insert_media(wanted).await,
            Act::EjectMedia(slot) => self.eject_media(slot).await,
            Act::Limit(_) | Act::Fan(_) | Act::Raw(_) => Err(bmc::not_done(act)),
        }
    }
}

#[async_trait]
impl Driver for RedfishDriver {
    async fn open(&mut self) -> Result<Vec<(Unit, Caps)>, Fault> {
        self.sure = false;
        self.site().await?;
        let caps = self.known.as_ref().map_or_else(presumed_caps, |site| self.caps(site));
        Ok(vec![(Unit::host(), caps)])
    }

    async fn observe(&mut self, aspect: &Aspect, units: &[Unit], at: Option<Cursor>) -> Result<Page, Fault> {
        bmc::observe(self, aspect, units, at).await
    }

    async fn act(&mut self, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
        bmc::act(self, acts).await
    }

    async fn close(&mut self) {
        self.session.close().await;
        self.sure = false;
    }
}
