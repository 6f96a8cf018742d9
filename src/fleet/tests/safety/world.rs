//! What outlives rackfish: time, devices with relays and controllers, and all that happened to them.
//!
//! Times are durations since the schedule's beginning; each life of rackfish has a runtime, and so a clock, of its
//! own. What is decided by chance comes from the schedule's seed; each device, each client and the disk throws dice of
//! its own, so that the order of what happens at one moment, which is not ours, changes nothing.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    fleet::clock,
    model::{Act, BootSet, BootTarget, PowerAct, Ref},
};

/// Chances of one exchange, in percent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Odds {
    pub lose_request: u32,
    pub lose_answer: u32,
    pub slow: u32,
    pub busy: u32,
}

/// What somebody decides by.
#[derive(Debug)]
pub struct Dice(StdRng);

impl Dice {
    pub fn chance(&mut self, percent: u32) -> bool {
        percent > 0 && self.0.random_range(0..100) < percent
    }

    /// Milliseconds.
    pub fn between(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.0.random_range(from..=to))
    }

    /// The same dice, elsewhere.
    pub fn taken(&self) -> Self {
        Self(self.0.clone())
    }

    /// One of `n`, from 0.
    pub fn pick(&mut self, n: usize) -> usize {
        self.0.random_range(0..n)
    }
}

/// When rackfish dies next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    At(Duration),
    /// At the n-th durable write from now, which is or is not on the disk.
    Write(u32, bool),
    /// At the n-th act from now, which the device has or has not received.
    Act(u32, bool),
}

#[derive(Debug)]
pub struct Relay {
    pub on: bool,
    pub delay: Duration,
    moves: Option<(Duration, bool)>,
    /// A BMC's: its outlet, and how long its controller boots.
    pub mains: Option<(Ref, Duration)>,
    mains_since: Option<Duration>,
    pub boot: Option<BootSet>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// A relay or a machine went on or off.
    Switched(Ref, bool),
    /// A machine was reset while it ran.
    Reset(Ref),
    /// A machine started with that option in its firmware.
    Booted(Ref, Option<BootTarget>),
    Died,
    Born,
    /// A page of the journal, for the trace.
    Stored(String),
    /// Requests and their ends, for the trace.
    Client(String),
}

pub struct World {
    seed: u64,
    dice: BTreeMap<String, Dice>,
    pub odds: Odds,
    /// Nothing answers between these times.
    pub dark: Vec<(String, Duration, Duration)>,
    pub relays: BTreeMap<Ref, Relay>,
    pub log: Vec<(Duration, Happened)>,
    pub death: Option<Death>,
    pub dead: Arc<tokio::sync::Notify>,
    base: Duration,
    life: Option<Instant>,
}

/// The world, shared by everything in a schedule.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            seed,
            dice: BTreeMap::new(),
            odds: Odds::default(),
            dark: Vec::new(),
            relays: BTreeMap::new(),
            log: Vec::new(),
            death: None,
            dead: Arc::default(),
            base: Duration::ZERO,
            life: None,
        })))
    }

    pub fn get(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub fn now(&self) -> Duration {
        self.get().now()
    }

    /// For ever, once rackfish is dead: whoever awaits it is dropped with it.
    pub async fn die(&self) {
        let dead = Arc::clone(&self.get().dead);
        dead.notify_one();
        std::future::pending::<()>().await;
    }
}

impl World {
    pub fn now(&self) -> Duration {
        self.base + self.life.map_or(Duration::ZERO, |life| clock::now() - life)
    }

    /// A life begins, on the clock of the runtime that it has now.
    pub fn begin(&mut self) {
        self.life = Some(clock::now());
        self.note(Happened::Born);
    }

    /// A life has ended; the world goes on for a while without.
    pub fn end(&mut self, pause: Duration) {
        self.base = self.now() + pause;
        self.life = None;
    }

    /// The dice of somebody.
    pub fn dice(&mut self, whose: &str) -> &mut Dice {
        let mut hasher = DefaultHasher::new();
        (self.seed, whose).hash(&mut hasher);
        let seed = hasher.finish();
        self.dice.entry(whose.to_owned()).or_insert_with(|| Dice(StdRng::seed_from_u64(seed)))
    }

    pub fn note(&mut self, what: Happened) {
        let now = self.now();
        self.log.push((now, what));
    }

    pub fn add(&mut self, unit: Ref, on: bool, delay: Duration, mains: Option<(Ref, Duration)>) {
        let mains_since = mains.as_ref().map(|_| Duration::ZERO).filter(|_| true);
        self.relays.insert(unit, Relay { on, delay, moves: None, mains, mains_since, boot: None });
    }

    pub fn is_dark(&self, endpoint: &str) -> bool {
        let now = self.now();
        self.dark.iter().any(|(id, from, to)| id == endpoint && (*from..*to).contains(&now))
    }

    /// Carries out what was due up to now, in the order of time.
    pub fn settle(&mut self) {
        let now = self.now();
        let mut due: Vec<(Duration, Ref, bool)> = self
            .relays
            .iter()
            .filter_map(|(unit, relay)| relay.moves.filter(|(at, _)| *at <= now).map(|(at, on)| (at, unit.clone(), on)))
            .collect();
        due.sort();
        for (at, unit, on) in due {
            if let Some(relay) = self.relays.get_mut(&unit) {
                relay.moves = None;
            }
            self.switch(at, &unit, on);
        }
    }

    fn switch(&mut self, at: Duration, unit: &Ref, on: bool) {
        let fed = self.mains_of(unit);
        let Some(relay) = self.relays.get_mut(unit) else { return };
        if relay.on == on || (on && !fed) {
            return;
        }
        relay.on = on;
        self.log.push((at, Happened::Switched(unit.clone(), on)));
        if on {
            self.booted(at, unit);
        }
        let hanging: Vec<Ref> = self
            .relays
            .iter()
            .filter(|(_, r)| r.mains.as_ref().is_some_and(|(outlet, _)| outlet == unit))
            .map(|(unit, _)| unit.clone())
            .collect();
        for host in hanging {
            if let Some(relay) = self.relays.get_mut(&host) {
                relay.mains_since = on.then_some(at);
                relay.moves = None;
                if !on && relay.on {
                    relay.on = false;
                    self.log.push((at, Happened::Switched(host, false)));
                }
            }
        }
    }

    fn booted(&mut self, at: Duration, unit: &Ref) {
        let Some(relay) = self.relays.get_mut(unit) else { return };
        let option = relay.boot.filter(|set| !set.persistent);
        let shown = relay.boot.map(|set| set.target);
        if option.is_some() {
            relay.boot = None;
        }
        self.log.push((at, Happened::Booted(unit.clone(), shown)));
    }

    fn mains_of(&self, unit: &Ref) -> bool {
        self.relays
            .get(unit)
            .and_then(|r| r.mains.as_ref())
            .is_none_or(|_| self.relays.get(unit).is_some_and(|r| r.mains_since.is_some()))
    }

    /// Whether a unit's device answers: it has mains, and its controller has booted.
    pub fn answers(&mut self, unit: &Ref) -> bool {
        self.settle();
        if self.is_dark(unit.endpoint.as_str()) {
            return false;
        }
        let now = self.now();
        match self.relays.get(unit) {
            Some(Relay { mains: Some((_, boots)), mains_since, .. }) => {
                mains_since.is_some_and(|since| now >= since + *boots)
            }
            _ => true,
        }
    }

    pub fn perform(&mut self, unit: &Ref, act: &Act) {
        self.settle();
        let now = self.now();
        let Some(relay) = self.relays.get_mut(unit) else { return };
        match act {
            Act::Power(PowerAct::On) => relay.moves = Some((now + relay.delay, true)),
            Act::Power(PowerAct::Off | PowerAct::Soft) => relay.moves = Some((now + relay.delay, false)),
            Act::Power(PowerAct::Reset | PowerAct::Cycle { .. }) if relay.on => {
                self.log.push((now, Happened::Reset(unit.clone())));
                self.booted(now, unit);
            }
            Act::Boot(set) => relay.boot = (set.target != BootTarget::None).then_some(*set),
            _ => {}
        }
        self.settle();
    }

    pub fn is_on(&mut self, unit: &Ref) -> bool {
        self.settle();
        self.relays.get(unit).is_some_and(|r| r.on)
    }
}
