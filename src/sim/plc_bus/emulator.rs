//! Boards that answer from lists, as OpenDCRE's emulator does: counters, stand-ins, lists for retries, planned scans,
//! devices that keep a state.
//!
//! `compat` has the original's quirks: wrong numbers in raw answers to a retry, and restarts, after which
//! `?` has nothing to repeat. Without it they are mended; what files rely on stays.

use std::collections::BTreeMap;

use serde_json::Value;

use super::value::{Action, Element, bytes, kind, text};
use crate::wire::device_bus::{DeviceType, Frame, SAVE, SCAN_ALL, SHUFFLE};

/// The original would have begun anew here.
#[derive(Debug)]
pub(super) struct Restart;

/// A version's answer.
#[derive(Debug, Clone)]
pub(super) enum Firmware {
    Text(String),
    Raw(Vec<i64>),
}

/// A key of a device.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Action(Action),
    Value(Value),
}

#[derive(Debug, Clone)]
pub(super) struct Device {
    pub number: u16,
    pub kind: String,
    pub has_state: bool,
    pub keys: BTreeMap<String, Entry>,
    /// Of a device that keeps one: its answers.
    power: Vec<String>,
    turn: usize,
    boot: String,
    value: String,
    /// Lights of chambers, by rack.
    chambers: BTreeMap<String, (String, String, String)>,
}

impl Device {
    pub(super) fn new(number: u16, kind: String, has_state: bool) -> Self {
        Self {
            number,
            kind,
            has_state,
            keys: BTreeMap::new(),
            power: Vec::new(),
            turn: 0,
            boot: String::new(),
            value: String::new(),
            chambers: BTreeMap::new(),
        }
    }

    /// The states that the file names for the start.
    pub(super) fn begin(&mut self) {
        self.power = self.texts("power");
        self.boot = self.texts("boot_target").into_iter().next().unwrap_or_default();
        self.value = self.texts("read").into_iter().next().unwrap_or_default();
    }

    /// A state's value as texts: one, or a list.
    fn texts(&self, key: &str) -> Vec<String> {
        match self.keys.get(key) {
            Some(Entry::Value(Value::Array(items))) => items.iter().map(text).collect(),
            Some(Entry::Value(value)) => vec![text(value)],
            _ => Vec::new(),
        }
    }

    fn keeps_number(&self, key: &str) -> bool {
        matches!(self.keys.get(key), Some(Entry::Value(Value::Number(_))))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Board {
    /// As the file writes it.
    pub name: String,
    pub number: u32,
    pub firmware: Option<Firmware>,
    pub retry_firmware: Option<Vec<Element>>,
    pub raw_data: Option<Vec<Option<Vec<Vec<i64>>>>>,
    pub retry_raw: Option<Vec<Element>>,
    pub devices: Option<Vec<Device>>,
    /// Turns of `raw_data`, `retry_firmware`, `retry_raw`.
    pub turns: [usize; 3],
}

/// A scan of all, planned: `None` is well, else the board whose answers are spoilt.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub initial: Option<String>,
    pub retry: Vec<Option<String>>,
    pub next: usize,
}

#[derive(Debug)]
pub(super) struct Emulator {
    boards: Vec<Board>,
    plan: Vec<Planned>,
    scan: usize,
    compat: bool,
    /// What `?` repeats.
    last: Option<Frame>,
    /// Number of the last `P` or `B`: what raw answers to `W` carry.
    last_set: Option<u8>,
}

/// What an answer is made with.
#[derive(Clone, Copy)]
struct Asked {
    sequence: u8,
    retry: bool,
}

fn answer(asked: Asked, data: Vec<u8>) -> Option<Vec<u8>> {
    Frame::answer(asked.sequence, data).encode().ok()
}

impl Emulator {
    pub(super) fn new(boards: Vec<Board>, plan: Vec<Planned>, compat: bool) -> Self {
        Self { boards, plan, scan: 0, compat, last: None, last_set: None }
    }

    /// Frames that answer a request.
    pub(super) fn request(&mut self, request: &Frame) -> Vec<Vec<u8>> {
        let retry = request.data == b"?";
        let asked = Asked { sequence: request.sequence, retry };
        let command = if retry {
            match self.last.clone() {
                Some(last) => last,
                None => return Vec::new(),
            }
        } else {
            self.last = Some(request.clone());
            request.clone()
        };
        let frames = self.run(&command, asked);
        if frames.is_err() && self.compat {
            self.last = None;
        }
        frames.unwrap_or_default()
    }

    /// What could not be read as a request.
    pub(super) fn spoilt(&mut self) {
        if self.compat {
            self.last = None;
        }
    }

    fn run(&mut self, command: &Frame, asked: Asked) -> Result<Vec<Vec<u8>>, Restart> {
        let Some((letter, argument)) = command.data.split_first() else { return Ok(Vec::new()) };
        if matches!(letter, b'P' | b'B') {
            self.last_set = Some(command.sequence);
        }
        match letter {
            b'V' => self.version(command, asked),
            b'D' if command.board & SAVE != 0 => Ok(Vec::new()),
            b'D' if command.board & SCAN_ALL != 0 => self.scan_all(command, asked),
            b'D' => self.scan_board(command, asked),
            _ => self.devices(command, *letter, argument, asked),
        }
    }

    /// One element of a board's list, round and round.
    fn turn(list: Option<&Vec<Element>>, turn: &mut usize, asked: Asked) -> Result<Option<Vec<u8>>, Restart> {
        let Some(list) = list else { return Ok(None) };
        let Some(element) = list.get(*turn) else { return Ok(None) };
        *turn = (*turn + 1) % list.len();
        match element {
            Element::Raw(raw) => bytes(raw, asked.sequence).map(Some).ok_or(Restart),
            _ => Ok(None),
        }
    }

    fn version(&mut self, command: &Frame, asked: Asked) -> Result<Vec<Vec<u8>>, Restart> {
        let mut frames = Vec::new();
        for board in self.boards.iter_mut().filter(|board| board.number == command.board) {
            if asked.retry {
                frames.extend(Self::turn(board.retry_firmware.as_ref(), &mut board.turns[1], asked)?);
                continue;
            }
            frames.extend(match &board.firmware {
                Some(Firmware::Text(text)) => answer(asked, text.clone().into_bytes()),
                Some(Firmware::Raw(raw)) => Some(bytes(raw, asked.sequence).ok_or(Restart)?),
                None => None,
            });
        }
        Ok(frames)
    }

    fn scan_board(&mut self, command: &Frame, asked: Asked) -> Result<Vec<Vec<u8>>, Restart> {
        let mut frames = Vec::new();
        for board in self.boards.iter_mut().filter(|board| board.number == command.board) {
            if asked.retry {
                if board.raw_data.is_some() && self.compat {
                    return Err(Restart);
                }
                frames.extend(Self::turn(board.retry_raw.as_ref(), &mut board.turns[2], asked)?);
            } else {
                frames.extend(Self::found(board, asked)?);
            }
        }
        Ok(frames)
    }

    /// A board's answer to a scan.
    fn found(board: &mut Board, asked: Asked) -> Result<Vec<Vec<u8>>, Restart> {
        if let Some(raw) = &board.raw_data {
            let Some(element) = raw.get(board.turns[0]) else { return Ok(Vec::new()) };
            board.turns[0] = (board.turns[0] + 1) % raw.len();
            let frames = element.iter().flatten();
            return frames.map(|frame| bytes(frame, asked.sequence).ok_or(Restart)).collect();
        }
        let devices = board.devices.iter().flatten();
        let entry = |device: &Device| {
            let code = kind(&device.kind).code();
            let (sequence, board, device) = (asked.sequence, board.number, device.number);
            Frame { sequence, kind: code, board, device, data: vec![code] }.encode().ok()
        };
        Ok(devices.filter_map(entry).collect())
    }

    fn scan_all(&mut self, command: &Frame, asked: Asked) -> Result<Vec<Vec<u8>>, Restart> {
        let spoilt = self.planned(command.board & SHUFFLE != 0)?;
        let mut frames = Vec::new();
        for board in &mut self.boards {
            let is_spoilt = spoilt.as_ref().is_some_and(|name| {
                // the original compares texts.
                if self.compat { *name == board.name } else { u32::from_str_radix(name, 16) == Ok(board.number) }
            });
            let found = Self::found(board, asked)?.into_iter();
            frames.extend(found.map(|frame| if is_spoilt { spoil(&frame) } else { frame }));
        }
        Ok(frames)
    }

    /// Which board's answers the plan spoils.
    fn planned(&mut self, shuffled: bool) -> Result<Option<String>, Restart> {
        let count = self.plan.len();
        let Some(planned) = self.plan.get_mut(self.scan) else { return Ok(None) };
        let outcome = if shuffled {
            let outcome = planned.retry.get(planned.next).cloned().ok_or(Restart)?;
            planned.next += 1;
            if planned.next >= planned.retry.len() {
                self.scan = (self.scan + 1) % count;
            }
            return Ok(outcome);
        } else {
            planned.initial.clone()
        };
        if outcome.is_none() {
            self.scan = (self.scan + 1) % count;
        }
        Ok(outcome)
    }

    fn devices(&mut self, command: &Frame, letter: u8, argument: &[u8], asked: Asked) -> Result<Vec<Vec<u8>>, Restart> {
        let key = match letter {
            b'R' if argument.is_empty() => "read",
            b'W' | b'L' => "write",
            b'P' => "power",
            b'A' => "asset_info",
            b'B' => "boot_target",
            b'H' => "host_info",
            _ => return Ok(Vec::new()),
        };
        let (compat, last_set) = (self.compat, self.last_set);
        let mut frames = Vec::new();
        for board in self.boards.iter_mut().filter(|board| board.number == command.board) {
            let Some(devices) = &mut board.devices else {
                if compat {
                    return Err(Restart);
                }
                continue;
            };
            let chosen = devices.iter_mut().filter(|d| d.number == command.device && fits(d, letter, command.kind));
            for device in chosen {
                if device.has_state && !matches!(device.keys.get(key), Some(Entry::Action(_))) {
                    if compat && asked.retry && matches!(letter, b'R' | b'W' | b'P') && device.keeps_number(key) {
                        return Err(Restart);
                    }
                    let said = if letter == b'L' {
                        device.chamber(argument)
                    } else {
                        device.state(letter, argument, compat)?
                    };
                    frames.extend(said.and_then(|said| answer(asked, said.into_bytes())));
                    continue;
                }
                let Some(Entry::Action(action)) = device.keys.get_mut(key) else { continue };
                let from_retry = asked.retry && action.retry.is_some();
                let element = if from_retry { action.take_retry() } else { action.take() };
                frames.extend(match element {
                    Some(Element::Raw(raw)) => {
                        // what the original numbers raw answers with.
                        let number = match letter {
                            b'W' if compat && !from_retry => last_set.ok_or(Restart)?,
                            b'P' | b'A' | b'B' | b'L' | b'H' if compat && !from_retry => command.sequence,
                            _ => asked.sequence,
                        };
                        Some(bytes(&raw, number).ok_or(Restart)?)
                    }
                    Some(Element::Text(data)) if !from_retry => answer(asked, data),
                    _ => None,
                });
            }
        }
        Ok(frames)
    }
}

/// Whether a device is meant: its type has to be the request's, but for power.
fn fits(device: &Device, letter: u8, code: u8) -> bool {
    let is = kind(&device.kind);
    match letter {
        b'P' => is.is_power(),
        b'R' | b'W' if DeviceType::of_code(code) == DeviceType::FanSpeed => {
            matches!(is, DeviceType::FanSpeed | DeviceType::VaporFan)
        }
        _ => is == DeviceType::of_code(code),
    }
}

impl Device {
    /// A device that keeps a state: changes it, and tells it.
    fn state(&mut self, letter: u8, argument: &[u8], compat: bool) -> Result<Option<String>, Restart> {
        match (letter, argument) {
            (b'P', argument) => {
                match argument {
                    b"0" => self.power = self.texts("off"),
                    b"1" => self.power = self.texts("on"),
                    _ => {} // a cycle changes nothing
                }
                if compat && self.turn >= self.power.len() {
                    return Err(Restart);
                }
                let count = self.power.len().max(1);
                let said = self.power.get(self.turn % count).cloned();
                self.turn = (self.turn + 1) % count;
                Ok(said)
            }
            (b'B', argument) => {
                let key = match argument {
                    b"0" => Some("hdd"),
                    b"1" => Some("pxe"),
                    b"2" => Some("no_override"),
                    _ => None,
                };
                if let Some(state) = key.and_then(|key| self.texts(key).into_iter().next()) {
                    self.boot = state;
                }
                Ok(Some(self.boot.clone()))
            }
            (b'R', _) => Ok(Some(self.value.clone())),
            (b'W', argument) => {
                let is_fan = matches!(kind(&self.kind), DeviceType::FanSpeed | DeviceType::VaporFan);
                let value = argument.get(usize::from(is_fan)..).unwrap_or_default();
                self.value = String::from_utf8_lossy(value).into_owned();
                Ok(Some("W1".to_owned()))
            }
            _ => Ok(None),
        }
    }

    /// A chamber's light, one of each rack.
    fn chamber(&mut self, argument: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(argument).into_owned();
        let [state, rack, color, blink] = text.split(',').collect::<Vec<_>>().try_into().ok()?;
        let begin = self.texts("write").into_iter().next().unwrap_or_default();
        let light = self.chambers.entry(rack.to_owned()).or_insert_with(|| {
            let mut fields = begin.split(',').map(str::to_owned);
            let mut next = || fields.next().unwrap_or_default();
            (next(), next(), next())
        });
        if blink != "-1" {
            *light = (state.to_owned(), color.to_owned(), blink.to_owned());
        }
        Some(format!("{},{},{}", light.0, light.1, light.2))
    }
}

/// Every byte but 01 and 04 is one more, modulo 255: the length is wrong then, too.
fn spoil(frame: &[u8]) -> Vec<u8> {
    let more = |byte: &u8| match byte {
        1 | 4 => *byte,
        255 => 1,
        254 => 0,
        other => other + 1,
    };
    frame.iter().map(more).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn spoilt_as_the_original_does() {
        assert_eq!(
            super::spoil(&[1, 0x0a, 3, 0x9c, 0, 0, 0, 0x0a, 1, 0xff, 0x9c, 0xbb, 4]),
            [1, 0x0b, 4, 0x9d, 1, 1, 1, 0x0b, 1, 1, 0x9d, 0xbc, 4]
        );
    }
}
