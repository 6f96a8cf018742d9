//! The conversation with the boards of one bus.

use std::{
    collections::HashMap,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{
    boards::{self, Boards, Device, Place},
    bus::{Bus, Failure},
    settings::{Scan, Settings},
};
use crate::{
    drivers::Driver,
    model::{
        Act, Aspect, BootSet, BootTarget, Caps, Cursor, Done, Fact, Fault, Inventory, Led, Page, PowerAct, Unit, Why,
    },
    wire::device_bus::{BootWord, DeviceType, Frame, PowerWord, Request, master_id, reply},
};

/// A bus that is opened anew after that long is scanned anew: a board may have been added.
const SCAN_AGAIN: Duration = Duration::from_mins(10);

/// A conversation with the boards of a bus.
pub(super) struct Conversation {
    pub(super) settings: Arc<Settings>,
    pub(super) bus: Bus,
    pub(super) boards: Boards,
    scanned: Option<Instant>,
    /// Systems that were told a boot target for one start, and what became of that start: a board keeps what it was
    /// told, so before the start after it, it is told again that there is none.
    once: HashMap<(u32, u16), Told>,
    /// Identity of the unit whose pages are being read.
    pub(super) identity: Option<(Unit, Inventory)>,
}

/// What became of the one start that a boot target is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It is still to come.
    Waiting,
    /// The board was told to start; whether it heard is not known. It becomes `Made` when it is seen on.
    Perhaps,
    /// It was made: the target is used up.
    Made,
}

/// A unit's name for people.
pub(super) fn whose(place: Place) -> String {
    match place.device {
        None => format!("board {:08x}", place.board),
        Some(device) => format!("device {:08x}/{device:04x}", place.board),
    }
}

impl Conversation {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self {
            bus: Bus::new(Arc::clone(&settings)),
            settings,
            boards: Boards::default(),
            scanned: None,
            once: HashMap::new(),
            identity: None,
        }
    }

    pub(super) fn place(unit: &Unit) -> Result<Place, Fault> {
        Place::of(unit).ok_or_else(|| {
            Fault::NoSuchUnit(format!(
                "{unit}: a board is written as in 0000000a, a device of it as in 0000000a/01ff (small letters)"
            ))
        })
    }

    /// Scans all boards at once.
    async fn scan_all(&mut self) -> Result<(), Failure> {
        let request = Request::ScanAll { master: master_id(mac()), time_slice: self.settings.time_slice };
        let frames = self.bus.exchange(request).await?;
        self.scanned = Some(Instant::now());
        self.learn(&frames);
        Ok(())
    }

    fn learn(&mut self, frames: &[Frame]) {
        let found: Vec<_> = frames.iter().filter_map(|frame| reply::scanned(frame).ok()).collect();
        self.boards.learn(&found);
    }

    /// Scans a board that no scan has found yet. Answers whether it did.
    pub(super) async fn meet(&mut self, place: Place) -> Result<bool, Failure> {
        if self.boards.knows(place.board) {
            return Ok(false);
        }
        let frames = self.bus.exchange(Request::Scan { board: place.board }).await?;
        self.learn(&frames);
        // Whoever asks again because something was learnt must not ask for ever.
        if self.boards.knows(place.board) { Ok(true) } else { Err(Failure::Unmet) }
    }

    /// A device of a unit, by what it is.
    pub(super) fn device(&self, place: Place, fits: fn(DeviceType) -> bool, what: &str) -> Result<Device, Fault> {
        self.boards.first(place, fits).ok_or_else(|| match place.device {
            Some(_) if self.boards.devices(place).next().is_none() => {
                Fault::NoSuchUnit(format!("board {:08x} has no such device: {}", place.board, whose(place)))
            }
            _ => Fault::Unsupported(format!("{} has no {what}", whose(place))),
        })
    }

    /// The boards of a power unit need no scan to be switched: the device says it all.
    fn power_device(&self, place: Place) -> Result<Device, Fault> {
        if let (Some(device), false) = (place.device, self.boards.knows(place.board)) {
            return Ok(Device { at: (place.board, device), kind: DeviceType::Power });
        }
        self.device(place, boards::switches, "power device")
    }

    /// The state of a power device, by one frame.
    pub(super) async fn status(&mut self, place: Place) -> Result<reply::Power, Missed> {
        let device = self.power_device(place).map_err(Missed::Fault)?;
        let request = Request::Power { at: device.at, word: PowerWord::Status };
        let frame = self.bus.ask(request).await.map_err(Missed::Failure)?;
        let power = reply::power(&frame, self.settings.quirks)
            .map_err(|error| Missed::Fault(Fault::Garbage(format!("{}: {error}", whose(place)))))?;
        if let reply::Power::Supply(reply::Supply { on: true, .. }) = power
            && let Some(told) = self.system(place).and_then(|at| self.once.get_mut(&at))
            && *told == Told::Perhaps
        {
            *told = Told::Made;
        }
        Ok(power)
    }

    /// The device that keeps the boot target of a unit.
    fn system(&self, place: Place) -> Option<(u32, u16)> {
        self.boards.first(place, |kind| kind == DeviceType::System).map(|device| device.at)
    }

    async fn carry_out(&mut self, unit: &Unit, act: &Act) -> Result<Done, Fault> {
        let place = Self::place(unit)?;
        let name = whose(place);
        if place.device.is_none() || !matches!(act, Act::Power(_)) {
            // Which of its devices is meant. Nothing was commanded so far.
            self.meet(place).await.map_err(|failure| match failure {
                Failure::Locked(_) => failure.of_a_command(&name),
                failure => Fault::NotSent(format!("{name}: {failure}")),
            })?;
        }
        match act {
            Act::Power(PowerAct::Off) => self.switch(place, PowerWord::Off).await,
            Act::Power(PowerAct::On) => self.start(place, PowerWord::On).await,
            // How long it stays off is the board's own business.
            Act::Power(PowerAct::Cycle { .. }) => self.start(place, PowerWord::Cycle).await,
            Act::Boot(set) => self.boot(place, *set).await,
            Act::Indicator(led) => self.light(place, *led).await,
            Act::Fan(rpm) => {
                let is_fan = |kind| matches!(kind, DeviceType::FanSpeed | DeviceType::VaporFan);
                let device = self.device(place, is_fan, "fan")?;
                self.write(place, Request::Fan { at: device.at, rpm: *rpm }).await
            }
            other => Err(Fault::Unsupported(format!("{name}: a board can't do {:?}", other.kind()))),
        }
    }

    /// Once, and never again by itself: what an answer that is lost or bad leaves open, a status tells.
    async fn switch(&mut self, place: Place, word: PowerWord) -> Result<Done, Fault> {
        let name = whose(place);
        let device = self.power_device(place)?;
        let request = Request::Power { at: device.at, word };
        let frame = self.bus.ask(request).await.map_err(|failure| failure.of_a_command(&name))?;
        match reply::power(&frame, self.settings.quirks) {
            Ok(_) => Ok(Done::Accepted),
            Err(error) => Err(Fault::Uncertain(format!("{name}: {error}"))),
        }
    }

    /// The same for what starts a machine.
    async fn start(&mut self, place: Place, word: PowerWord) -> Result<Done, Fault> {
        let system = self.system(place);
        if let Some(at) = system.filter(|at| self.once.get(at) == Some(&Told::Made)) {
            let request = Request::Boot { at, word: Some(BootWord::NoOverride) };
            let not_sent = |why: String| Fault::NotSent(format!("{}: {why}", whose(place)));
            let frame = self.bus.ask(request).await.map_err(|failure| not_sent(failure.to_string()))?;
            match reply::boot(&frame) {
                Ok(BootWord::NoOverride) => drop(self.once.remove(&at)),
                Ok(other) => return Err(not_sent(format!("its boot target of one start stays ({other:?})"))),
                Err(error) => return Err(not_sent(error.to_string())),
            }
        }
        let done = self.switch(place, word).await;
        if let Some(told) = system.and_then(|at| self.once.get_mut(&at)) {
            match done {
                Ok(_) => *told = Told::Made,
                Err(Fault::Uncertain(_)) => *told = Told::Perhaps,
                Err(_) => {}
            }
        }
        done
    }

    async fn boot(&mut self, place: Place, set: BootSet) -> Result<Done, Fault> {
        let name = whose(place);
        let device = self.device(place, |kind| kind == DeviceType::System, "system")?;
        let word = match set.target {
            BootTarget::None => BootWord::NoOverride,
            BootTarget::Hdd => BootWord::Hdd,
            BootTarget::Pxe => BootWord::Pxe,
            other => return Err(Fault::Unsupported(format!("{name}: boards boot from disk or by PXE, not {other}"))),
        };
        let request = Request::Boot { at: device.at, word: Some(word) };
        let frame = self.bus.ask(request).await.map_err(|failure| failure.of_a_command(&name))?;
        let holds = reply::boot(&frame).map_err(|error| Fault::Uncertain(format!("{name}: {error}")))?;
        if holds != word {
            let why = format!("{name} holds another boot target than it was told ({holds:?}, not {word:?})");
            return Err(Fault::Refused(Why::Rejected(why)));
        }
        if set.persistent || set.target == BootTarget::None {
            self.once.remove(&device.at);
        } else {
            self.once.insert(device.at, Told::Waiting);
        }
        Ok(Done::Completed)
    }

    async fn light(&mut self, place: Place, led: Led) -> Result<Done, Fault> {
        let name = whose(place);
        let device = self.device(place, boards::shines, "light")?;
        if device.kind == DeviceType::Led {
            let lit = match led {
                Led::Lit => true,
                Led::Off => false,
                Led::Blinking => return Err(Fault::Unsupported(format!("{name}: its light does not blink"))),
            };
            return self.write(place, Request::Light { at: device.at, lit }).await;
        }
        // A blink of -1 changes nothing at all (OpenDCRE's emulator), so it is always said.
        let (lit, blink) = match led {
            Led::Lit => (true, false),
            Led::Blinking => (true, true),
            Led::Off => (false, false),
        };
        let text = format!("{},{},-1,{}", u8::from(lit), self.settings.rack, u8::from(blink));
        let frame = self.bus.ask(Request::ChamberLight { at: device.at, text }).await;
        let frame = frame.map_err(|failure| failure.of_a_command(&name))?;
        let shows = reply::chamber_light(&frame).map_err(|error| Fault::Uncertain(format!("{name}: {error}")))?;
        if (shows.lit, shows.blinking) != (lit, blink) {
            let why = format!("{name} does not take it: lit is {}, blinking {}", shows.lit, shows.blinking);
            return Err(Fault::Refused(Why::Rejected(why)));
        }
        Ok(Done::Completed)
    }

    async fn write(&mut self, place: Place, request: Request) -> Result<Done, Fault> {
        let name = whose(place);
        let frame = self.bus.ask(request).await.map_err(|failure| failure.of_a_command(&name))?;
        if reply::written(&frame) {
            return Ok(Done::Completed);
        }
        let said: String = String::from_utf8_lossy(&frame.data).chars().take(32).collect();
        Err(Fault::Refused(Why::Rejected(format!("{name} does not take it: it answers {said:?}, not \"W1\""))))
    }
}

/// Why something was not read: the line or a board, or what was asked.
pub(super) enum Missed {
    Failure(Failure),
    Fault(Fault),
}

/// The lowest hardware address of this machine's interfaces, loopback aside; 0: there is none.
fn mac() -> u64 {
    let Ok(interfaces) = fs::read_dir("/sys/class/net") else { return 0 };
    let addresses = interfaces.flatten().filter_map(|interface| {
        let text = fs::read_to_string(interface.path().join("address")).ok()?;
        u64::from_str_radix(&text.trim().replace(':', ""), 16).ok().filter(|mac| *mac != 0)
    });
    addresses.min().unwrap_or(0)
}

#[async_trait]
impl Driver for Conversation {
    /// Opens the line, and scans once. A bus on which a scan goes wrong has boards that answer all the same: they are
    /// met one by one, when they are needed. One that is silent has none.
    async fn open(&mut self) -> Result<Vec<(Unit, Caps)>, Fault> {
        let of_the_line = |failure: Failure| failure.of_a_read("bus");
        self.bus.open().await.map_err(of_the_line)?;
        let known = !self.boards.is_empty() && self.scanned.is_some_and(|at| at.elapsed() < SCAN_AGAIN);
        if self.settings.scan == Scan::Broadcast && !known {
            match self.scan_all().await {
                Ok(()) => {}
                Err(failure) if failure.is_silence() => {
                    let why =
                        format!("{}: no board answers a scan (cable, power of the boards, or `bps`?)", self.settings);
                    return Err(Fault::Unreachable(why));
                }
                Err(failure) if failure.of_the_line().is_some() => return Err(of_the_line(failure)),
                Err(failure) => {
                    tracing::warn!(line = %self.settings, %failure, "scan failed; boards are scanned one by one");
                }
            }
        }
        Ok(self.boards.units(&self.settings))
    }

    async fn observe(&mut self, aspect: &Aspect, units: &[Unit], at: Option<Cursor>) -> Result<Page, Fault> {
        match aspect {
            Aspect::Units => {
                self.scan_all().await.map_err(|failure| failure.of_a_read("bus"))?;
                let units = self.boards.units(&self.settings).into_iter();
                Ok(Page { items: units.map(|(unit, caps)| (unit, Ok(Fact::Caps(caps, None)))).collect(), next: None })
            }
            Aspect::Log | Aspect::Media => Err(Fault::Unsupported(format!("boards tell no {:?}", aspect.kind()))),
            _ => self.read(aspect, units, at).await,
        }
    }

    async fn act(&mut self, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
        let mut results = Vec::with_capacity(acts.len());
        for (unit, act) in acts {
            results.push(self.carry_out(unit, act).await);
        }
        results
    }

    async fn close(&mut self) {
        self.bus.close();
    }
}
