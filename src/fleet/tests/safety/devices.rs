//! The driver of the world's devices: loses, delays and refuses as the schedule's odds say, and dies where it is told.

use std::{any::Any, time::Duration};

use async_trait::async_trait;

use super::world::{Death, Shared};
use crate::{
    drivers::{Driver, Pace, Setup},
    model::{
        Act, ActKind, ActSet, Aspect, AspectKind, AspectSet, BootCaps, BootTarget, Caps, Cursor, Done, EndpointId,
        Fact, Fault, Page, PowerState, Proof, Ref, Unit,
    },
};

const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct Device {
    pub id: &'static str,
    pub bmc: bool,
    pub batch: u16,
    pub world: Shared,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// What becomes of one exchange.
enum Fate {
    Answered,
    /// The device never sees it.
    RequestLost,
    /// The device does it, and nobody hears.
    AnswerLost,
    Busy,
}

impl Device {
    fn unit(&self, unit: &Unit) -> Ref {
        Ref { endpoint: EndpointId::new(self.id).unwrap(), unit: unit.clone() }
    }

    fn units(&self) -> Vec<Unit> {
        let world = self.world.get();
        world.relays.keys().filter(|r| r.endpoint.as_str() == self.id).map(|r| r.unit.clone()).collect()
    }

    /// One packet's way, and what became of it.
    async fn travel(&self) -> Fate {
        let (trip, fate) = {
            let units = self.units();
            let first = self.unit(&units[0]);
            let mut world = self.world.get();
            let (odds, answers) = (world.odds, world.answers(&first));
            let dice = world.dice(self.id);
            let trip = if dice.chance(odds.slow) { dice.between(50, 900) } else { Duration::from_millis(2) };
            let fate = if !answers || dice.chance(odds.lose_request) {
                Fate::RequestLost
            } else if dice.chance(odds.busy) {
                Fate::Busy
            } else if dice.chance(odds.lose_answer) {
                Fate::AnswerLost
            } else {
                Fate::Answered
            };
            (trip, fate)
        };
        tokio::time::sleep(trip).await;
        if matches!(fate, Fate::RequestLost) {
            tokio::time::sleep(TIMEOUT).await;
        }
        fate
    }

    async fn ask(&self) -> Result<(), Fault> {
        match self.travel().await {
            Fate::Answered => Ok(()),
            Fate::Busy => Err(Fault::Busy { reason: "node busy".to_owned(), retry_after: None }),
            Fate::RequestLost => Err(Fault::Unreachable("no answer".to_owned())),
            Fate::AnswerLost => {
                tokio::time::sleep(TIMEOUT).await;
                Err(Fault::Unreachable("no answer".to_owned()))
            }
        }
    }

    /// Whether rackfish dies at this act, and whether the device has it by then.
    fn death(&self) -> Option<bool> {
        let mut world = self.world.get();
        match world.death {
            Some(Death::Act(0, performed)) => {
                world.death = None;
                Some(performed)
            }
            Some(Death::Act(n, performed)) => {
                world.death = Some(Death::Act(n - 1, performed));
                None
            }
            _ => None,
        }
    }

    fn caps(&self) -> Caps {
        let acts = ActSet::of(&[ActKind::On, ActKind::Off]);
        let bmc = [ActKind::Soft, ActKind::Reset, ActKind::Cycle, ActKind::Boot];
        let targets = if self.bmc { vec![BootTarget::Pxe, BootTarget::Hdd] } else { Vec::new() };
        Caps {
            acts: if self.bmc { bmc.into_iter().fold(acts, ActSet::with) } else { acts },
            aspects: AspectSet::of(&[AspectKind::Power, AspectKind::Boot]),
            boot: BootCaps { targets, mode: self.bmc, persistent: self.bmc },
            proof: Proof::ReadBack { within: Duration::from_secs(10) },
            batch: self.batch,
        }
    }
}

#[async_trait]
impl Driver for Device {
    async fn open(&mut self) -> Result<Vec<(Unit, Caps)>, Fault> {
        self.ask().await?;
        Ok(self.units().into_iter().map(|unit| (unit, self.caps())).collect())
    }

    async fn observe(&mut self, aspect: &Aspect, units: &[Unit], _at: Option<Cursor>) -> Result<Page, Fault> {
        // What it shows is what was so when the packet came, not when it was sent.
        self.ask().await?;
        let mut world = self.world.get();
        let items = units
            .iter()
            .map(|unit| {
                let unit_ref = self.unit(unit);
                let fact = match aspect {
                    Aspect::Power => {
                        Ok(Fact::Power(if world.is_on(&unit_ref) { PowerState::On } else { PowerState::Off }))
                    }
                    Aspect::Boot => Ok(Fact::Boot(world.relays.get(&unit_ref).and_then(|r| r.boot))),
                    _ => Err(Fault::Unsupported("not in this world".to_owned())),
                };
                (unit.clone(), fact)
            })
            .collect();
        Ok(Page { items, next: None })
    }

    async fn act(&mut self, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
        let death = self.death();
        if death == Some(false) {
            self.world.die().await;
        }
        let fate = self.travel().await;
        if matches!(fate, Fate::Answered | Fate::AnswerLost) || death == Some(true) {
            let mut world = self.world.get();
            for (unit, act) in acts {
                world.perform(&self.unit(unit), act);
            }
        }
        if death == Some(true) {
            self.world.die().await;
        }
        let fault = match fate {
            Fate::Answered => return vec![Ok(Done::Accepted); acts.len()],
            Fate::Busy => Fault::Busy { reason: "node busy".to_owned(), retry_after: None },
            Fate::RequestLost => Fault::Uncertain("no answer".to_owned()),
            Fate::AnswerLost => {
                tokio::time::sleep(TIMEOUT).await;
                Fault::Uncertain("no answer".to_owned())
            }
        };
        vec![Err(fault); acts.len()]
    }

    async fn close(&mut self) {}
}

impl Setup for Device {
    fn driver(&self) -> &'static str {
        "world"
    }
    fn address(&self) -> String {
        "memory".to_owned()
    }
    fn connect(&self) -> Box<dyn Driver> {
        Box::new(self.clone())
    }
    fn presumed(&self, _unit: &Unit) -> Option<Caps> {
        Some(self.caps())
    }
    fn pace(&self) -> Pace {
        Pace::default()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
