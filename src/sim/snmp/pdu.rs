//! One simulated PDU: relays that take their time, counters, faults.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Serialize;
use tokio::sync::watch;

use super::{
    Faults, SimFamily,
    table::{Command, Holds, Row, gauge},
};
use crate::wire::snmp::Value;

/// Time without power in a reboot by the device (rPDUOutletControlRebootDuration has 5 s as its least).
const REBOOT: Duration = Duration::from_secs(5);
/// What a load draws, in watts, unless told.
const WATTS: u32 = 115;
/// Mains, in volts.
const VOLTS: u32 = 230;

/// What a simulated PDU is.
#[derive(Debug, Clone)]
pub struct PduOptions {
    /// Whose tables it has.
    pub family: SimFamily,
    /// Number of outlets, from 1.
    pub outlets: u32,
    /// Time between an accepted command and the relay.
    pub relay_delay: Duration,
    /// Community for reading.
    pub community: String,
    /// Community for reading and writing.
    pub write_community: String,
    /// Whether outlets are on when it starts.
    pub on: bool,
    /// Makes losses and garbage the same in every run.
    pub seed: u64,
    /// Serial number that it tells.
    pub serial: String,
}

impl Default for PduOptions {
    fn default() -> Self {
        Self {
            family: SimFamily::Rpdu2,
            outlets: 24,
            relay_delay: Duration::ZERO,
            community: "public".to_owned(),
            write_community: "private".to_owned(),
            on: true,
            seed: 1,
            serial: "SIM000001".to_owned(),
        }
    }
}

/// What happened at one outlet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OutletCounters {
    /// SETs that were accepted.
    pub sets: u64,
    /// Times the relay closed.
    pub on: u64,
    /// Times it opened.
    pub off: u64,
}

/// What happened at a PDU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Datagrams that arrived.
    pub packets_in: u64,
    /// Datagrams that were sent.
    pub packets_out: u64,
    /// By outlet.
    pub outlets: BTreeMap<u32, OutletCounters>,
}

/// Called when the power of an outlet (first argument) has come (`true`) or gone.
pub type Hook = Arc<dyn Fn(u32, bool) + Send + Sync>;

struct Outlet {
    on: bool,
    /// Counts commands, so that a later one overrules what an earlier one still has to do.
    generation: u64,
    pending: bool,
    delay: Option<Duration>,
    watts: u32,
    counters: OutletCounters,
    watch: Option<watch::Sender<bool>>,
}

pub(super) struct State {
    pub(super) faults: Faults,
    pub(super) packets_in: u64,
    pub(super) packets_out: u64,
    pub(super) random: StdRng,
    outlets: BTreeMap<u32, Outlet>,
    hook: Option<Hook>,
}

struct Inner {
    options: PduOptions,
    started: Instant,
    state: Mutex<State>,
}

/// A simulated PDU. Cheap to clone: clones are the same PDU.
#[derive(Clone)]
pub struct SimPdu(Arc<Inner>);

impl fmt::Debug for SimPdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimPdu({:?}, {} outlets)", self.0.options.family, self.0.options.outlets)
    }
}

impl SimPdu {
    /// A PDU with its outlets at rest.
    pub fn new(options: PduOptions) -> Self {
        let outlet = |n| {
            let rest = Outlet {
                on: options.on,
                generation: 0,
                pending: false,
                delay: None,
                watts: WATTS,
                counters: OutletCounters::default(),
                watch: None,
            };
            (n, rest)
        };
        let state = State {
            faults: Faults::default(),
            packets_in: 0,
            packets_out: 0,
            random: StdRng::seed_from_u64(options.seed),
            outlets: (1..=options.outlets).map(outlet).collect(),
            hook: None,
        };
        Self(Arc::new(Inner { options, started: Instant::now(), state: Mutex::new(state) }))
    }

    /// What it was made as.
    pub fn options(&self) -> &PduOptions {
        &self.0.options
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes faults.
    pub fn fault(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state().faults);
    }

    /// Whether the outlet has power; `None`: there is no such outlet.
    pub fn is_on(&self, outlet: u32) -> Option<bool> {
        self.state().outlets.get(&outlet).map(|o| o.on)
    }

    /// Follows the outlet's power.
    pub fn watch(&self, outlet: u32) -> Option<watch::Receiver<bool>> {
        let mut state = self.state();
        let outlet = state.outlets.get_mut(&outlet)?;
        Some(outlet.watch.get_or_insert_with(|| watch::channel(outlet.on).0).subscribe())
    }

    /// Has `hook` called at every change of power. It runs while the PDU is locked: it must not call back.
    pub fn on_change(&self, hook: Hook) {
        self.state().hook = Some(hook);
    }

    /// Gives one outlet a relay delay of its own.
    pub fn set_delay(&self, outlet: u32, delay: Duration) -> bool {
        self.state().outlets.get_mut(&outlet).map(|o| o.delay = Some(delay)).is_some()
    }

    /// What the load at the outlet draws while it has power, in watts.
    pub fn set_load(&self, outlet: u32, watts: u32) -> bool {
        self.state().outlets.get_mut(&outlet).map(|o| o.watts = watts).is_some()
    }

    /// Somebody at the rack presses the button: at once, whatever is stuck or pending.
    pub fn press(&self, outlet: u32, on: bool) -> bool {
        let mut state = self.state();
        let Some(found) = state.outlets.get_mut(&outlet) else { return false };
        found.generation += 1;
        found.pending = false;
        state.turn(outlet, on);
        true
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        let state = self.state();
        Counters {
            packets_in: state.packets_in,
            packets_out: state.packets_out,
            outlets: state.outlets.iter().map(|(n, o)| (*n, o.counters)).collect(),
        }
    }

    /// Carries out an accepted command. Needs a tokio runtime for delays.
    pub(super) fn command(&self, outlet: u32, command: Command) {
        let mut state = self.state();
        let stuck = state.faults.stuck.contains(&outlet);
        let Some(found) = state.outlets.get_mut(&outlet) else { return };
        found.counters.sets += 1;
        found.generation += 1;
        found.pending = false;
        if stuck {
            return;
        }
        let delay = found.delay.unwrap_or(self.0.options.relay_delay);
        let steps: Vec<(Duration, bool)> = match command {
            Command::Cancel => return,
            Command::On => vec![(delay, true)],
            Command::Off => vec![(delay, false)],
            Command::Reboot if !found.on => return,
            Command::Reboot => vec![(delay, false), (REBOOT, true)],
        };
        if let [(Duration::ZERO, on)] = steps.as_slice() {
            state.turn(outlet, *on);
            return;
        }
        found.pending = true;
        let (generation, pdu) = (found.generation, self.clone());
        tokio::spawn(async move {
            let last = steps.len().saturating_sub(1);
            for (number, (wait, on)) in steps.into_iter().enumerate() {
                tokio::time::sleep(wait).await;
                let mut state = pdu.state();
                let Some(found) = state.outlets.get_mut(&outlet) else { return };
                if found.generation != generation {
                    return;
                }
                found.pending = number < last;
                state.turn(outlet, on);
            }
        });
    }

    pub(super) fn value(&self, state: &State, row: &Row, outlet: Option<u32>) -> Option<Value> {
        let options = &self.0.options;
        let outlet = match outlet {
            Some(n) => Some((n, state.outlets.get(&n).filter(|_| !state.faults.missing.contains(&n))?)),
            None => None,
        };
        let drawn = |o: &Outlet| if o.on { u64::from(o.watts) } else { 0 };
        let total = || state.outlets.values().map(drawn).sum::<u64>();
        let tenths = |watts: u64| watts * 10 / u64::from(VOLTS);
        Some(match (&row.holds, outlet) {
            (Holds::Text(text), _) => Value::OctetString(text.as_bytes().to_vec()),
            (Holds::Id(id), _) => Value::ObjectId(id.clone()),
            (Holds::Uptime, _) => {
                let hundredths = self.0.started.elapsed().as_millis() / 10;
                Value::TimeTicks(u32::try_from(hundredths).unwrap_or(u32::MAX))
            }
            (Holds::Serial, _) => Value::OctetString(options.serial.clone().into_bytes()),
            (Holds::Count, _) => Value::Integer(i64::from(options.outlets)),
            (Holds::Volts, _) => Value::Integer(i64::from(VOLTS)),
            (Holds::TotalWatts, _) => Value::Integer(i64::try_from(total()).unwrap_or(i64::MAX)),
            (Holds::TotalTensOfWatts, _) => Value::Integer(i64::try_from(total() / 10).unwrap_or(i64::MAX)),
            (Holds::TotalCurrent, _) => gauge(tenths(total())),
            (Holds::TotalEnergy, _) => gauge(u64::from(options.outlets) * 1234),
            (Holds::Name, Some((n, _))) => Value::OctetString(format!("Outlet {n}").into_bytes()),
            (Holds::Command, Some((_, o))) => Value::Integer(if o.on { 1 } else { 2 }),
            (Holds::State, Some((_, o))) => Value::Integer(options.family.state(o.on)),
            (Holds::Pending, Some((_, o))) => Value::Integer(if o.pending { 1 } else { 2 }),
            (Holds::Current, Some((_, o))) => gauge(tenths(drawn(o))),
            (Holds::Watts, Some((_, o))) => gauge(drawn(o)),
            (Holds::Energy, Some(_)) => gauge(1234),
            (_, None) => return None,
        })
    }
}

impl State {
    /// The relay moves, if it is not there already.
    fn turn(&mut self, outlet: u32, on: bool) {
        let Some(found) = self.outlets.get_mut(&outlet).filter(|o| o.on != on) else { return };
        found.on = on;
        if on {
            found.counters.on += 1;
        } else {
            found.counters.off += 1;
        }
        if let Some(watch) = &found.watch {
            watch.send_replace(on);
        }
        if let Some(hook) = &self.hook {
            hook(outlet, on);
        }
    }

    /// The first outlet in the tables that is not below `from`.
    pub(super) fn outlet_from(&self, from: u32) -> Option<u32> {
        self.outlets.range(from..).map(|(n, _)| *n).find(|n| !self.faults.missing.contains(n))
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.random.random::<f64>() < share
    }
}
