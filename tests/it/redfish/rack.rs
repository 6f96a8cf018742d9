//! A rack that exists in memory only: a BMC with everything, a metered PDU, and three kinds of node.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rackfish::{
    config::{Chassis, Config, Endpoint, EndpointPolicy, Facts, Feed, Node, Restore},
    drivers::{Driver, Pace, Setup},
    model::{
        Act, ActKind, ActSet, Aspect, AspectKind, AspectSet, BootCaps, BootSet, BootTarget, Caps, ChassisId, Cursor,
        Done, EndpointId, Fact, Fault, Inventory, Led, LogEntry, Measure, MediaInsert, MediaSlot, MediaType, NodeId,
        Page, PowerAct, PowerState, Proof, Reading, ReadingState, Ref, Thresholds, Unit,
    },
};

/// What a device holds.
#[derive(Debug, Default)]
pub struct State {
    pub relays: BTreeMap<Unit, bool>,
    /// Time between an accepted command and the relay.
    pub delay: Duration,
    moves: BTreeMap<Unit, (Instant, bool)>,
    pub dead: bool,
    pub stuck: bool,
    pub boot: Option<BootSet>,
    pub light: bool,
    pub log: Vec<LogEntry>,
    pub slots: Vec<MediaSlot>,
    /// What was inserted, with its secrets.
    pub inserted: Vec<MediaInsert>,
    /// Commands are carried out and their answers lost.
    pub deaf: bool,
    pub acts: u32,
}

/// A device in memory.
#[derive(Debug, Clone)]
pub struct Device {
    bmc: bool,
    state: Arc<Mutex<State>>,
}

impl Device {
    fn new(bmc: bool, units: &[Unit]) -> Self {
        let relays = units.iter().map(|u| (u.clone(), false)).collect();
        let log = vec![LogEntry {
            id: 1,
            at: Some(time::macros::datetime!(2026-01-01 00:00 UTC)),
            severity: ReadingState::Warning,
            message: "Fan 1 was slow".to_owned(),
            raw: vec![1, 2, 0xff],
        }];
        let slot = MediaSlot {
            id: "Cd".to_owned(),
            name: "Virtual CD".to_owned(),
            types: vec![MediaType::Cd],
            inserted: Some(false),
            takes: true,
            ejects: true,
            ..MediaSlot::default()
        };
        let slots = vec![slot];
        Self { bmc, state: Arc::new(Mutex::new(State { relays, log, slots, ..State::default() })) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn alive(&self) -> Result<(), Fault> {
        if self.state().dead { Err(Fault::Unreachable("no answer within 1 s".to_owned())) } else { Ok(()) }
    }

    fn caps(&self) -> Caps {
        let pdu = [ActKind::On, ActKind::Off];
        let bmc = [
            ActKind::On,
            ActKind::Off,
            ActKind::Soft,
            ActKind::Reset,
            ActKind::Cycle,
            ActKind::Nmi,
            ActKind::Boot,
            ActKind::Indicator,
            ActKind::ClearLog,
            ActKind::InsertMedia,
            ActKind::EjectMedia,
        ];
        let all = [
            AspectKind::Power,
            AspectKind::Boot,
            AspectKind::Sensors,
            AspectKind::Inventory,
            AspectKind::Log,
            AspectKind::Indicator,
            AspectKind::Media,
        ];
        Caps {
            acts: if self.bmc { ActSet::of(&bmc) } else { ActSet::of(&pdu) },
            aspects: if self.bmc {
                AspectSet::of(&all)
            } else {
                AspectSet::of(&[AspectKind::Power, AspectKind::Sensors])
            },
            boot: if self.bmc {
                BootCaps {
                    targets: vec![
                        BootTarget::None,
                        BootTarget::Pxe,
                        BootTarget::Hdd,
                        BootTarget::Cd,
                        BootTarget::BiosSetup,
                    ],
                    mode: true,
                    persistent: true,
                }
            } else {
                BootCaps::default()
            },
            proof: Proof::ReadBack { within: Duration::from_secs(5) },
            batch: 1,
        }
    }

    fn fact(&self, aspect: &Aspect, unit: &Unit) -> Result<Fact, Fault> {
        let mut state = self.state();
        if let Some((_, on)) = state.moves.get(unit).filter(|(at, _)| *at <= Instant::now()).copied() {
            state.moves.remove(unit);
            state.relays.insert(unit.clone(), on);
        }
        let on = *state.relays.get(unit).ok_or_else(|| Fault::NoSuchUnit(unit.to_string()))?;
        match aspect {
            Aspect::Power => Ok(Fact::Power(if on { PowerState::On } else { PowerState::Off })),
            Aspect::Boot => Ok(Fact::Boot(state.boot)),
            Aspect::Sensors if self.bmc => Ok(Fact::Sensors(vec![
                reading("cpu_temp", "CPU Temp", Measure::Temperature, 41.5),
                reading("fan1", "Fan 1", Measure::FanRpm, 5400.0),
                reading("p12v", "12 V", Measure::Voltage, 12.1),
                reading("power", "Power", Measure::Power, 210.0),
            ])),
            Aspect::Sensors => Ok(Fact::Sensors(vec![
                reading("power", "Outlet power", Measure::Power, if on { 80.0 } else { 0.0 }),
                reading("voltage", "Outlet voltage", Measure::Voltage, 231.0),
                reading("energy", "Outlet energy", Measure::Energy, 12.25),
            ])),
            Aspect::Inventory => Ok(Fact::Inventory(Box::new(Inventory {
                manufacturer: Some("Contoso".to_owned()),
                model: Some("C1".to_owned()),
                serial: Some("S1".to_owned()),
                firmware: Some("1.02".to_owned()),
                ..Inventory::default()
            }))),
            Aspect::Log => Ok(Fact::Log(state.log.clone())),
            Aspect::Indicator => Ok(Fact::Indicator(if state.light { Led::Blinking } else { Led::Off })),
            Aspect::Media if self.bmc => Ok(Fact::Media(state.slots.clone())),
            Aspect::Units | Aspect::Media | Aspect::Raw(_) => Err(Fault::Unsupported("that".to_owned())),
        }
    }

    fn carry_out(&self, unit: &Unit, act: &Act) -> Result<Done, Fault> {
        let mut state = self.state();
        state.acts += 1;
        let (stuck, delay) = (state.stuck, state.delay);
        if let (Act::Power(power @ (PowerAct::On | PowerAct::Off)), false, true) = (act, stuck, delay > Duration::ZERO)
        {
            state.moves.insert(unit.clone(), (Instant::now() + delay, *power == PowerAct::On));
            return Ok(Done::Accepted);
        }
        let relay = state.relays.get_mut(unit).ok_or_else(|| Fault::NoSuchUnit(unit.to_string()))?;
        match act {
            Act::Power(_) | Act::InsertMedia(_) | Act::EjectMedia(_) if stuck => {}
            Act::Power(PowerAct::On | PowerAct::Cycle { .. }) => *relay = true,
            Act::Power(PowerAct::Off | PowerAct::Soft) => *relay = false,
            Act::Power(PowerAct::Reset | PowerAct::Nmi) => {}
            Act::Boot(set) => state.boot = Some(*set),
            Act::Indicator(led) => state.light = *led != Led::Off,
            Act::ClearLog => state.log.clear(),
            Act::InsertMedia(wanted) => {
                let image = Some(wanted.image.clone());
                state.slots[0] = MediaSlot { image, inserted: Some(true), ..state.slots[0].clone() };
                state.inserted.push((**wanted).clone());
            }
            Act::EjectMedia(_) => {
                state.slots[0] = MediaSlot { image: None, inserted: Some(false), ..state.slots[0].clone() };
            }
            Act::Limit(_) | Act::Fan(_) | Act::Raw(_) => return Err(Fault::Unsupported("that".to_owned())),
        }
        if state.deaf { Err(Fault::Uncertain("no answer in time".to_owned())) } else { Ok(Done::Accepted) }
    }
}

fn reading(id: &str, name: &str, measure: Measure, value: f64) -> Reading {
    Reading {
        id: id.to_owned(),
        name: name.to_owned(),
        measure,
        value: Some(value),
        state: ReadingState::Ok,
        thresholds: Thresholds { upper_critical: Some(value * 2.0), ..Thresholds::default() },
        range: Some((0.0, value * 4.0)),
        number: Some(3),
        context: None,
    }
}

#[async_trait]
impl Driver for Device {
    async fn open(&mut self) -> Result<Vec<(Unit, Caps)>, Fault> {
        self.alive()?;
        let units: Vec<_> = self.state().relays.keys().cloned().collect();
        Ok(units.into_iter().map(|u| (u, self.caps())).collect())
    }

    async fn observe(&mut self, aspect: &Aspect, units: &[Unit], _: Option<Cursor>) -> Result<Page, Fault> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.alive()?;
        Ok(Page { items: units.iter().map(|u| (u.clone(), self.fact(aspect, u))).collect(), next: None })
    }

    async fn act(&mut self, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        acts.iter()
            .map(|(unit, act)| {
                self.alive()?;
                self.carry_out(unit, act)
            })
            .collect()
    }

    async fn close(&mut self) {}
}

impl Setup for Device {
    fn driver(&self) -> &'static str {
        if self.bmc { "bmc in memory" } else { "PDU in memory" }
    }
    fn address(&self) -> String {
        "memory".to_owned()
    }
    fn connect(&self) -> Box<dyn Driver> {
        Box::new(self.clone())
    }
    fn presumed(&self, unit: &Unit) -> Option<Caps> {
        self.state().relays.contains_key(unit).then(|| self.caps())
    }
    fn pace(&self) -> Pace {
        Pace {
            poll: Duration::from_secs(2),
            poll_sensors: Duration::from_secs(2),
            verify_every: Duration::from_millis(20),
            off_time: Duration::from_millis(100),
            ..Pace::default()
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Devices and the configuration that names them.
pub struct Rack {
    pub pdu: Device,
    pub bmcs: Vec<Device>,
    pub config: Config,
}

fn unit(text: &str) -> Ref {
    text.parse().unwrap()
}

fn feed(text: &str) -> Feed {
    Feed { unit: unit(text), shared: false, gap: Duration::ZERO, off_time: Duration::from_millis(100) }
}

fn node(name: &str, slot: u32, host: Option<&str>, feeds: &[String], group: &str) -> Node {
    Node {
        id: NodeId::new(name).unwrap(),
        chassis: Some(ChassisId::new("rack1").unwrap()),
        slot: Some(slot),
        host: host.map(unit),
        feeds: feeds.iter().map(|f| feed(f)).collect(),
        console: None,
        sensors: Vec::new(),
        indicator: None,
        boot: rackfish::config::BootPolicy::Store,
        shutdown: None,
        restore: Restore::Device,
        door: None,
        controller_ready: Duration::ZERO,
        groups: vec![group.to_owned()],
        facts: Facts {
            macs: vec![format!("52:54:00:00:01:{slot:02x}")],
            cpus: Some(16),
            sockets: Some(2),
            cpu_arch: Some("x86_64".to_owned()),
            cpu_model: Some("Xeon".to_owned()),
            memory_gib: Some(64.0),
            ..Facts::default()
        },
    }
}

impl Rack {
    /// `each` nodes of every kind: `ipmi-N` (a BMC), `pdu-N` (an outlet), `mixed-N` (a BMC and an outlet).
    pub fn new(each: u32) -> Self {
        let outlets: Vec<_> = (1..=each * 2).map(Unit::outlet).collect();
        let pdu = Device::new(false, &outlets);
        let mut config = Config::default();
        let mut bmcs = Vec::new();
        let endpoint = |config: &mut Config, name: &str, device: &Device| {
            let id = EndpointId::new(name).unwrap();
            let endpoint = Endpoint {
                id: id.clone(),
                setup: Arc::new(device.clone()),
                policy: EndpointPolicy::new(device.pace()),
                fingerprint: name.to_owned(),
            };
            config.endpoints.insert(id, Arc::new(endpoint));
        };
        endpoint(&mut config, "pdu01", &pdu);
        let mut slot = 0;
        for n in 1..=each {
            for kind in ["ipmi", "pdu", "mixed"] {
                slot += 1;
                let bmc = format!("bmc-{kind}-{n}");
                let host = (kind != "pdu").then_some(bmc.as_str());
                if host.is_some() {
                    let device = Device::new(true, &[Unit::host()]);
                    endpoint(&mut config, &bmc, &device);
                    bmcs.push(device);
                }
                let feeds = match kind {
                    "pdu" => vec![format!("pdu01/{n}")],
                    "mixed" => vec![format!("pdu01/{}", each + n)],
                    _ => Vec::new(),
                };
                let node = node(&format!("{kind}-{n}"), slot, host, &feeds, kind);
                config.nodes.insert(node.id.clone(), Arc::new(node));
            }
        }
        let rack = Chassis {
            id: ChassisId::new("rack1").unwrap(),
            kind: "Rack".to_owned(),
            slots: Some(slot),
            description: None,
            manufacturer: None,
            model: None,
            serial: None,
        };
        config.chassis.insert(rack.id.clone(), Arc::new(rack));
        config.server.listen = vec!["127.0.0.1:0".parse().unwrap()];
        Self { pdu, bmcs, config }
    }
}
