//! A rack that exists only in memory, on a clock turned by tokio's pause: devices with relays, delays and faults.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{
    config::{Config, Endpoint, EndpointPolicy, Facts, Feed, Node, Restore},
    drivers::{Driver, Pace, Setup},
    fleet::{Fleet, Fresh, Layer, Op, OpError, Outcome, Target, clock},
    model::{
        Act, ActKind, ActSet, Actor, Aspect, AspectKind, AspectSet, BootCaps, BootSet, BootTarget, Caps, Cursor, Done,
        EndpointId, Fact, Fault, NodeId, Page, PowerAct, PowerState, Proof, Ref, ResetType, Unit, Why,
    },
    store::{MemoryStore, Store},
};

#[derive(Debug, Default)]
pub struct Relay {
    pub on: bool,
    pub stuck: bool,
    moves: Option<(Instant, bool)>,
    pub ons: u32,
    pub offs: u32,
}

#[derive(Debug)]
pub struct State {
    pub relays: BTreeMap<Unit, Relay>,
    pub delay: Duration,
    pub dead: bool,
    pub wrong_password: bool,
    /// Answers of acts that get lost after the act was done.
    pub lose_answers: u32,
    /// Acts that get lost before they are done.
    pub lose_acts: u32,
    pub reads: u32,
    pub acts: Vec<(Unit, Act)>,
    pub opens: u32,
    pub boot: Option<BootSet>,
    /// The unit's mains: dead without.
    pub mains: Option<(Device, Unit)>,
    pub boot_delay: Duration,
    /// When it last started, if it tells.
    pub started: Option<Instant>,
    mains_since: Option<Instant>,
    mains_offs: u32,
}

#[derive(Debug, Clone)]
pub struct Device {
    pub id: &'static str,
    bmc: bool,
    batch: u16,
    blind: bool,
    state: Arc<Mutex<State>>,
}

impl Device {
    pub fn pdu(id: &'static str, outlets: u32) -> Self {
        let relays = (1..=outlets).map(|n| (Unit::outlet(n), Relay::default())).collect();
        Self::new(id, false, relays)
    }

    pub fn bmc(id: &'static str) -> Self {
        Self::new(id, true, BTreeMap::from([(Unit::host(), Relay::default())]))
    }

    fn new(id: &'static str, bmc: bool, relays: BTreeMap<Unit, Relay>) -> Self {
        let state = State {
            relays,
            delay: Duration::ZERO,
            dead: false,
            wrong_password: false,
            lose_answers: 0,
            lose_acts: 0,
            reads: 0,
            acts: Vec::new(),
            opens: 0,
            boot: None,
            mains: None,
            boot_delay: Duration::ZERO,
            started: None,
            mains_since: None,
            mains_offs: 0,
        };
        Self { id, bmc, batch: 1, blind: false, state: Arc::new(Mutex::new(state)) }
    }

    pub fn batch(mut self, batch: u16) -> Self {
        self.batch = batch;
        self
    }

    /// Takes commands and can't tell what came of them.
    pub fn blind(mut self) -> Self {
        self.blind = true;
        self
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// (on transitions, off transitions, is on now)
    pub fn relay(&self, unit: &str) -> (u32, u32, bool) {
        let mut state = self.state();
        let relay = state.relays.get_mut(unit).unwrap();
        settle(relay);
        (relay.ons, relay.offs, relay.on)
    }

    /// Its mains are lost, and come back: all its outlets are off then.
    pub async fn lose_mains(&self, time: Duration) {
        self.state().dead = true;
        tokio::time::sleep(time).await;
        let mut state = self.state();
        state
            .relays
            .values_mut()
            .for_each(|relay| *relay = Relay { ons: relay.ons, offs: relay.offs, ..Relay::default() });
        state.started = Some(clock::now());
        state.dead = false;
    }

    pub fn set(&self, unit: &str, on: bool) {
        self.state().relays.get_mut(unit).unwrap().on = on;
    }

    fn alive(&self) -> bool {
        let mains = self.state().mains.clone();
        if let Some((pdu, outlet)) = mains {
            let (_, offs, on) = pdu.relay(outlet.as_str());
            let mut state = self.state();
            if !on || offs != state.mains_offs {
                state.mains_offs = offs;
                state.mains_since = None;
                state.relays.values_mut().for_each(|relay| relay.on = false);
            }
            if !on {
                return false;
            }
            let since = *state.mains_since.get_or_insert_with(clock::now);
            return !state.dead && clock::now() >= since + state.boot_delay;
        }
        !self.state().dead
    }

    fn caps(&self) -> Caps {
        let acts = ActSet::of(&[ActKind::On, ActKind::Off]);
        let acts = if self.bmc {
            [ActKind::Soft, ActKind::Reset, ActKind::Cycle, ActKind::Nmi, ActKind::Boot]
                .into_iter()
                .fold(acts, ActSet::with)
        } else {
            acts
        };
        let boot = if self.bmc {
            BootCaps { targets: vec![BootTarget::Pxe, BootTarget::Hdd], mode: true, persistent: true }
        } else {
            BootCaps::default()
        };
        Caps {
            acts,
            aspects: AspectSet::of(if self.blind { &[] } else { &[AspectKind::Power, AspectKind::Boot] }),
            boot,
            proof: if self.blind { Proof::None } else { Proof::ReadBack { within: Duration::from_secs(10) } },
            batch: self.batch,
        }
    }
}

fn settle(relay: &mut Relay) {
    if let Some((at, on)) = relay.moves
        && at <= clock::now()
    {
        relay.moves = None;
        if relay.on != on && !relay.stuck {
            relay.on = on;
            if on { relay.ons += 1 } else { relay.offs += 1 }
        }
    }
}

/// One packet's way.
const TRIP: Duration = Duration::from_millis(2);
const TIMEOUT: Duration = Duration::from_secs(1);

#[async_trait]
impl Driver for Device {
    async fn open(&mut self) -> Result<Vec<(Unit, Caps)>, Fault> {
        self.state().opens += 1;
        self.answer().await?;
        if self.state().wrong_password {
            return Err(Fault::Refused(Why::Credentials("wrong password".to_owned())));
        }
        let units: Vec<_> = self.state().relays.keys().cloned().collect();
        Ok(units.into_iter().map(|unit| (unit, self.caps())).collect())
    }

    async fn observe(&mut self, aspect: &Aspect, units: &[Unit], _at: Option<Cursor>) -> Result<Page, Fault> {
        self.state().reads += 1;
        self.answer().await?;
        if self.blind {
            return Err(Fault::Unsupported("it can't tell".to_owned()));
        }
        let mut state = self.state();
        let boot = state.boot;
        let items = units
            .iter()
            .map(|unit| {
                let fact = match (aspect, state.relays.get_mut(unit)) {
                    (_, None) => Err(Fault::NoSuchUnit(unit.to_string())),
                    (Aspect::Power, Some(relay)) => {
                        settle(relay);
                        Ok(Fact::Power(if relay.on { PowerState::On } else { PowerState::Off }))
                    }
                    (Aspect::Boot, Some(_)) => Ok(Fact::Boot(boot)),
                    _ => Err(Fault::Unsupported("not in this rig".to_owned())),
                };
                (unit.clone(), fact)
            })
            .collect();
        Ok(Page { items, next: None })
    }

    async fn act(&mut self, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
        let lost = {
            let alive = self.alive();
            let mut state = self.state();
            let lose = state.lose_acts > 0;
            state.lose_acts = state.lose_acts.saturating_sub(1);
            !alive || lose
        };
        if lost {
            tokio::time::sleep(TIMEOUT).await;
            return vec![Err(Fault::Uncertain("no answer".to_owned())); acts.len()];
        }
        tokio::time::sleep(TRIP).await;
        let lost = {
            let mut state = self.state();
            for (unit, act) in acts {
                state.acts.push((unit.clone(), act.clone()));
                state.perform(unit, act);
            }
            let lost = state.lose_answers > 0;
            state.lose_answers = state.lose_answers.saturating_sub(1);
            lost
        };
        if lost {
            tokio::time::sleep(TIMEOUT).await;
            return vec![Err(Fault::Uncertain("no answer".to_owned())); acts.len()];
        }
        vec![Ok(Done::Accepted); acts.len()]
    }

    async fn close(&mut self) {}

    fn up(&self) -> Option<Duration> {
        self.state().started.map(|at| clock::now() - at)
    }
}

impl State {
    fn perform(&mut self, unit: &Unit, act: &Act) {
        let at = clock::now() + self.delay;
        let Some(relay) = self.relays.get_mut(unit) else { return };
        settle(relay);
        match act {
            Act::Power(PowerAct::On) => relay.moves = Some((at, true)),
            Act::Power(PowerAct::Off | PowerAct::Soft) => relay.moves = Some((at, false)),
            Act::Boot(set) => self.boot = (set.target != BootTarget::None).then_some(*set),
            Act::Power(PowerAct::Cycle { .. } | PowerAct::Reset) if relay.on => {
                relay.ons += 1;
                relay.offs += 1;
            }
            _ => {}
        }
    }
}

impl Device {
    async fn answer(&self) -> Result<(), Fault> {
        if self.alive() {
            tokio::time::sleep(TRIP).await;
            return Ok(());
        }
        tokio::time::sleep(TIMEOUT).await;
        Err(Fault::Unreachable("no answer".to_owned()))
    }
}

impl Setup for Device {
    fn driver(&self) -> &'static str {
        "rig"
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

pub fn reference(text: &str) -> Ref {
    text.parse().unwrap()
}

pub fn node(id: &str, host: Option<&str>, feeds: &[&str]) -> Node {
    Node {
        id: NodeId::new(id).unwrap(),
        chassis: None,
        slot: None,
        host: host.map(reference),
        feeds: feeds
            .iter()
            .map(|unit| Feed {
                unit: reference(unit),
                shared: false,
                gap: Duration::from_secs(1),
                off_time: Duration::from_secs(5),
            })
            .collect(),
        console: None,
        sensors: Vec::new(),
        indicator: None,
        boot: crate::config::BootPolicy::Store,
        shutdown: None,
        restore: Restore::Device,
        door: None,
        controller_ready: Duration::from_mins(2),
        groups: Vec::new(),
        facts: Facts { macs: vec!["52:54:00:00:01:01".to_owned()], ..Facts::default() },
    }
}

pub fn config(devices: &[&Device], nodes: Vec<Node>) -> Config {
    let mut config = Config::default();
    for device in devices {
        let id = EndpointId::new(device.id).unwrap();
        let endpoint = Endpoint {
            id: id.clone(),
            setup: Arc::new((*device).clone()),
            policy: EndpointPolicy::new(Pace::default()),
            fingerprint: device.id.to_owned(),
        };
        config.endpoints.insert(id, Arc::new(endpoint));
    }
    for node in nodes {
        config.nodes.insert(node.id.clone(), Arc::new(node));
    }
    config
}

pub struct Rig {
    pub fleet: Fleet,
    pub store: Arc<MemoryStore>,
    pub who: Actor,
}

impl Rig {
    pub async fn new(config: Config) -> Self {
        Self::on(config, MemoryStore::new()).await
    }

    pub async fn on(config: Config, store: Arc<MemoryStore>) -> Self {
        let fleet = Fleet::open(Arc::new(config), Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
        Self { fleet, store, who: Actor::internal("test") }
    }

    pub async fn reset(&self, node: &str, kind: ResetType) -> Result<Outcome, OpError> {
        self.op(node, Op::Reset(kind)).await
    }

    pub async fn op(&self, node: &str, op: Op) -> Result<Outcome, OpError> {
        let target = Target::Node(NodeId::new(node).unwrap(), Layer::Effective);
        self.fleet.run(&self.who, target, op, Fresh::Cached).await
    }

    pub fn power(&self, node: &str) -> Option<PowerState> {
        self.fleet.node(&self.who, node).unwrap().power.map(|p| p.value)
    }

    /// Waits until nothing runs on the node.
    pub async fn idle(&self, node: &str) {
        for _ in 0..10_000 {
            if self.fleet.node(&self.who, node).unwrap().operation.is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{node} is never idle");
    }
}

pub async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}
