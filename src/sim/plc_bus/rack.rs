//! Boards that switch: relays that take their time, or are stuck; lights, fans and boot targets that are kept; meters
//! that follow the load.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Deserialize;

use crate::wire::device_bus::{DeviceType, Frame, SAVE, SCAN_ALL};

/// One board, as a file describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RackBoard {
    /// Eight hexadecimal digits.
    board_id: Hex,
    /// Firmware.
    version: String,
    /// On at the start.
    on: bool,
    /// Between a command and the relay.
    delay_ms: u64,
    /// How long its own cycle stays off.
    cycle_ms: u64,
    /// What the machine draws.
    watts: f64,
    /// Boots from: `B0`, `B1`, `B2`.
    boot: String,
    /// Its machine's name and address.
    host_info: String,
    /// Thirteen fields.
    asset: String,
    /// `?` carries out the last command again, in place of repeating the answer.
    retry_executes: bool,
    /// Empty: the usual ones.
    devices: Vec<RackDevice>,
}

/// One device.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RackDevice {
    device_id: Hex,
    device_type: String,
    /// What it reads.
    #[serde(default)]
    value: String,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(try_from = "String")]
struct Hex(u32);

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        u32::from_str_radix(&text, 16).map(Self).map_err(|_| format!("{text:?} is no hexadecimal number"))
    }
}

impl Default for RackBoard {
    fn default() -> Self {
        Self {
            board_id: Hex(1),
            version: "rackfish sim 1".to_owned(),
            on: false,
            delay_ms: 0,
            cycle_ms: 200,
            watts: 120.0,
            boot: "B0".to_owned(),
            host_info: "hsim,i127.0.0.1".to_owned(),
            asset: String::new(),
            retry_executes: false,
            devices: Vec::new(),
        }
    }
}

impl RackBoard {
    /// One like those of the documentation: thermistor, humidity, power, light, system, fan.
    pub(super) fn usual(number: u32) -> Self {
        Self { board_id: Hex(number), host_info: format!("hsim-{number},i127.0.0.{number}"), ..Self::default() }
    }
}

/// What the usual boards have.
const USUAL: [(u16, DeviceType, &str); 6] = [
    (0x0100, DeviceType::Power, ""),
    (0x01ff, DeviceType::Thermistor, "656"),
    (0x0200, DeviceType::System, ""),
    (0x0300, DeviceType::Led, "0"),
    (0x0400, DeviceType::FanSpeed, "4100"),
    (0x0cff, DeviceType::Humidity, "1486313281"),
];

#[derive(Debug)]
struct Relay {
    on: bool,
    /// What it is on its way to, one after the other.
    moves: Vec<(Instant, bool)>,
    delay: Duration,
    stuck: bool,
}

impl Relay {
    fn settle(&mut self, now: Instant) -> bool {
        while let Some((at, on)) = self.moves.first().copied().filter(|(at, _)| *at <= now) {
            if !self.stuck {
                self.on = on;
            }
            self.moves.retain(|step| step.0 != at);
        }
        self.on
    }
}

#[derive(Debug)]
struct Device {
    kind: DeviceType,
    value: Vec<u8>,
}

#[derive(Debug)]
struct Board {
    spec: RackBoard,
    devices: BTreeMap<u16, Device>,
    relays: BTreeMap<u16, Relay>,
    boot: Vec<u8>,
    last: Option<(Frame, Vec<u8>)>,
    gone: bool,
}

/// All boards of a bus, by number.
#[derive(Debug)]
pub(super) struct Rack(BTreeMap<u32, Board>);

impl Rack {
    pub(super) fn new(boards: Vec<RackBoard>) -> Self {
        Self(boards.into_iter().map(|spec| (spec.board_id.0, Board::new(spec))).collect())
    }

    /// Frames that answer a request.
    pub(super) fn request(&mut self, request: &Frame, now: Instant) -> Vec<Vec<u8>> {
        if request.board & SCAN_ALL != 0 {
            if request.data != b"D" || request.board & SAVE != 0 {
                return Vec::new();
            }
            return self.0.iter_mut().filter(|(_, b)| !b.gone).flat_map(|(n, b)| b.found(*n, request)).collect();
        }
        match self.0.get_mut(&request.board) {
            Some(board) if !board.gone => board.request(request, now),
            _ => Vec::new(),
        }
    }

    /// Somebody does something to a board. `false`: there is none of that number.
    pub(super) fn change(&mut self, board: u32, what: Change) -> bool {
        let Some(board) = self.0.get_mut(&board) else { return false };
        match what {
            Change::Gone(gone) => board.gone = gone,
            other => board.relays.values_mut().for_each(|relay| match other {
                Change::Press(on) => (relay.on, relay.moves) = (on, Vec::new()),
                Change::Stuck(stuck) => relay.stuck = stuck,
                Change::Delay(delay) => relay.delay = delay,
                Change::Gone(_) => {}
            }),
        }
        true
    }

    /// Whether the power devices of a board are on.
    pub(super) fn is_on(&mut self, board: u32, now: Instant) -> Option<bool> {
        Some(self.0.get_mut(&board)?.relays.values_mut().next()?.settle(now))
    }
}

/// What somebody at the rack does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Press(bool),
    Stuck(bool),
    Delay(Duration),
    Gone(bool),
}

impl Board {
    fn new(mut spec: RackBoard) -> Self {
        let named: Vec<(u16, DeviceType, String)> = if spec.devices.is_empty() {
            USUAL.iter().map(|(number, kind, value)| (*number, *kind, (*value).to_owned())).collect()
        } else {
            let devices = spec.devices.iter();
            devices
                .map(|device| {
                    let number = u16::try_from(device.device_id.0).unwrap_or(u16::MAX);
                    (number, super::value::kind(&device.device_type), device.value.clone())
                })
                .collect()
        };
        if spec.asset.is_empty() {
            let number = spec.board_id.0;
            spec.asset = format!(
                "Rackfish,BP-1,Sim board,B{number:06},rack mount,CP-1,C{number:06},asset-{number},Rackfish,PP-1,Sim node,\
                 P{number:06},1.0"
            );
        }
        let relay =
            || Relay { on: spec.on, moves: Vec::new(), delay: Duration::from_millis(spec.delay_ms), stuck: false };
        let relays =
            named.iter().filter(|(_, kind, _)| kind.is_power()).map(|(number, _, _)| (*number, relay())).collect();
        let devices = named
            .into_iter()
            .map(|(number, kind, value)| (number, Device { kind, value: value.into_bytes() }))
            .collect();
        let boot = spec.boot.clone().into_bytes();
        Self { spec, devices, relays, boot, last: None, gone: false }
    }

    fn found(&mut self, number: u32, request: &Frame) -> Vec<Vec<u8>> {
        let entry = |(device, of): (&u16, &Device)| {
            let code = of.kind.code();
            let (sequence, board, device) = (request.sequence, number, *device);
            Frame { sequence, kind: code, board, device, data: vec![code] }.encode().ok()
        };
        self.devices.iter().filter_map(entry).collect()
    }

    fn request(&mut self, request: &Frame, now: Instant) -> Vec<Vec<u8>> {
        let command = match (&self.last, request.data.as_slice()) {
            (Some((_, said)), b"?") if !self.spec.retry_executes => {
                return Frame::answer(request.sequence, said.clone()).encode().into_iter().collect();
            }
            (Some((last, _)), b"?") => Frame { sequence: request.sequence, ..last.clone() },
            _ => request.clone(),
        };
        if command.data == b"D" {
            return self.found(command.board, &command);
        }
        let Some(said) = self.carry_out(&command, now) else { return Vec::new() };
        self.last = Some((command, said.clone()));
        Frame::answer(request.sequence, said).encode().into_iter().collect()
    }

    /// `None`: it is not for any of the board's devices.
    fn carry_out(&mut self, command: &Frame, now: Instant) -> Option<Vec<u8>> {
        let (letter, argument) = command.data.split_first()?;
        if *letter == b'V' {
            return Some(self.spec.version.clone().into_bytes());
        }
        let on = self.relays.values_mut().next().is_some_and(|relay| relay.settle(now));
        let device = self.devices.get_mut(&command.device)?;
        let asked = DeviceType::of_code(command.kind);
        let fits = match (letter, asked) {
            (b'P', _) => device.kind.is_power(),
            (_, DeviceType::FanSpeed) => matches!(device.kind, DeviceType::FanSpeed | DeviceType::VaporFan),
            _ => device.kind == asked,
        };
        if !fits {
            return None;
        }
        match (letter, argument) {
            (b'R', []) if device.kind == DeviceType::FanSpeed && !on => Some(b"0".to_vec()),
            (b'R', []) => Some(device.value.clone()),
            (b'W', [0xff, rest @ ..]) if asked == DeviceType::FanSpeed => {
                device.value = rest.to_vec();
                Some(b"W1".to_vec())
            }
            (b'W', [state @ (b'0' | b'1')]) => {
                device.value = vec![*state];
                Some(b"W1".to_vec())
            }
            (b'W', _) => Some(b"W0".to_vec()),
            (b'P', argument) => self.power(command.device, argument, now),
            (b'A', _) => Some(self.spec.asset.clone().into_bytes()),
            (b'H', _) => Some(self.spec.host_info.clone().into_bytes()),
            (b'B', [word @ (b'0'..=b'2')]) => {
                self.boot = vec![b'B', *word];
                Some(self.boot.clone())
            }
            (b'B', _) => Some(self.boot.clone()),
            (b'L', text) => {
                let text = String::from_utf8_lossy(text).into_owned();
                let [state, _, color, blink] = text.split(',').collect::<Vec<_>>().try_into().ok()?;
                let held = String::from_utf8_lossy(&device.value).into_owned();
                let mut held = held.split(',').map(str::to_owned);
                let mut keep = |told: &str, or: &str| {
                    let before = held.next().filter(|text| !text.is_empty()).unwrap_or_else(|| or.to_owned());
                    if told == "-1" { before } else { told.to_owned() }
                };
                let light = [keep(state, "0"), keep(color, "ffffff"), keep(blink, "0")];
                device.value = light.join(",").into_bytes();
                Some(device.value.clone())
            }
            _ => None,
        }
    }

    fn power(&mut self, device: u16, argument: &[u8], now: Instant) -> Option<Vec<u8>> {
        let relay = self.relays.get_mut(&device)?;
        relay.settle(now);
        let at = now + relay.delay;
        match argument {
            b"1" => relay.moves = vec![(at, true)],
            b"0" => relay.moves = vec![(at, false)],
            b"C" => relay.moves = vec![(at, false), (at + Duration::from_millis(self.spec.cycle_ms.max(1)), true)],
            _ => {}
        }
        if relay.settle(now) {
            let (power, volts) = (self.spec.watts, 12.0);
            // Backwards through the conversions of the bus: ADM1275.
            let raw = |value: f64| format!("{value:.0}");
            let current = (power / volts * 807.0 + 20_475.0) / 10.0;
            let fields = ["0".to_owned(), raw(power * 60.43), raw(volts * 191.99), raw(current)];
            return Some(fields.join(",").into_bytes());
        }
        Some(b"64,0,0,0".to_vec())
    }
}
