//! Boards and devices that a scan has found, and what units made of them can do.

use std::collections::BTreeMap;

use super::settings::Settings;
use crate::{
    model::{ActKind, ActSet, AspectKind, AspectSet, BootCaps, BootTarget, Caps, Proof, Unit},
    wire::device_bus::{DeviceType, MAX_BOARD, reply::Found},
};

/// A board, or one of its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub board: u32,
    pub device: Option<u16>,
}

/// Eight hexadecimal digits in small letters: one unit has one name.
pub(super) fn board_number(text: &str) -> Option<u32> {
    digits(text, 8).filter(|board| *board <= MAX_BOARD)
}

fn digits(text: &str, count: usize) -> Option<u32> {
    let sound = text.len() == count && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if sound { u32::from_str_radix(text, 16).ok() } else { None }
}

impl Place {
    /// `0000000a` or `0000000a/01ff`.
    pub(super) fn of(unit: &Unit) -> Option<Self> {
        match unit.as_str().split_once('/') {
            None => Some(Self { board: board_number(unit.as_str())?, device: None }),
            Some((board, device)) => {
                let device = u16::try_from(digits(device, 4)?).ok()?;
                Some(Self { board: board_number(board)?, device: Some(device) })
            }
        }
    }

    pub(super) fn unit(self) -> Option<Unit> {
        let text = match self.device {
            None => format!("{:08x}", self.board),
            Some(device) => format!("{:08x}/{device:04x}", self.board),
        };
        Unit::new(&text).ok()
    }
}

/// One device of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Device {
    pub at: (u32, u16),
    pub kind: DeviceType,
}

/// What scans have found.
#[derive(Debug, Default)]
pub(super) struct Boards(BTreeMap<u32, Vec<Device>>);

impl Boards {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn knows(&self, board: u32) -> bool {
        self.0.contains_key(&board)
    }

    /// Takes over what a scan has found, in place of what was known of those boards.
    pub(super) fn learn(&mut self, found: &[Found]) {
        for entry in found {
            self.0.insert(entry.board, Vec::new());
        }
        for entry in found {
            let devices = self.0.entry(entry.board).or_default();
            if !devices.iter().any(|device| device.at.1 == entry.device) {
                devices.push(Device { at: (entry.board, entry.device), kind: entry.kind });
                // Which is the first does not depend on which answered first.
                devices.sort_by_key(|device| device.at.1);
            }
        }
    }

    /// Devices of a unit: all of a board, or that one.
    pub(super) fn devices(&self, place: Place) -> impl Iterator<Item = Device> + '_ {
        let devices = self.0.get(&place.board).map(Vec::as_slice).unwrap_or_default();
        devices.iter().copied().filter(move |device| place.device.is_none_or(|only| only == device.at.1))
    }

    /// The first device of a unit that is of such a kind.
    pub(super) fn first(&self, place: Place, fits: impl Fn(DeviceType) -> bool) -> Option<Device> {
        self.devices(place).find(|device| fits(device.kind))
    }

    /// All units with what they can do.
    pub(super) fn units(&self, settings: &Settings) -> Vec<(Unit, Caps)> {
        let places = self.0.iter().flat_map(|(board, devices)| {
            let devices = devices.iter().map(|device| Some(device.at.1));
            std::iter::once(None).chain(devices).map(|device| Place { board: *board, device })
        });
        places.filter_map(|place| Some((place.unit()?, self.caps(settings, place)))).collect()
    }

    /// What a unit can do.
    pub(super) fn caps(&self, settings: &Settings, place: Place) -> Caps {
        let kinds: Vec<DeviceType> = self.devices(place).map(|device| device.kind).collect();
        caps(settings, place, &kinds)
    }
}

/// Kinds that are switched and tell whether they are on. A battery does neither.
pub(super) fn switches(kind: DeviceType) -> bool {
    matches!(kind, DeviceType::Power | DeviceType::VaporRectifier)
}

/// Kinds that measure something.
pub(super) fn measures(kind: DeviceType) -> bool {
    !matches!(kind, DeviceType::Led | DeviceType::VaporLed | DeviceType::System | DeviceType::None)
}

/// Kinds that are lights.
pub(super) fn shines(kind: DeviceType) -> bool {
    matches!(kind, DeviceType::Led | DeviceType::VaporLed)
}

/// What a unit can presumably do, before any scan: switch, tell, measure.
pub(super) fn presumed(settings: &Settings, place: Place) -> Caps {
    caps(settings, place, &[DeviceType::Power])
}

fn caps(settings: &Settings, place: Place, kinds: &[DeviceType]) -> Caps {
    let has = |fits: fn(DeviceType) -> bool| kinds.iter().any(|kind| fits(*kind));
    let mut acts = ActSet::default();
    let mut aspects = AspectSet::of(&[AspectKind::Raw]);
    let mut proof = Proof::None;
    let mut boot = BootCaps::default();
    if has(switches) {
        acts = acts.with(ActKind::On).with(ActKind::Off);
        if settings.own_cycle {
            acts = acts.with(ActKind::Cycle);
        }
        aspects = aspects.with(AspectKind::Power);
        proof = Proof::ReadBack { within: settings.confirm_within };
    }
    if has(measures) {
        aspects = aspects.with(AspectKind::Sensors);
    }
    if has(shines) {
        acts = acts.with(ActKind::Indicator);
        aspects = aspects.with(AspectKind::Indicator);
    }
    if has(|kind| matches!(kind, DeviceType::FanSpeed | DeviceType::VaporFan)) {
        acts = acts.with(ActKind::Fan);
    }
    if has(|kind| kind == DeviceType::System) {
        acts = acts.with(ActKind::Boot);
        aspects = aspects.with(AspectKind::Boot);
        let targets = vec![BootTarget::None, BootTarget::Pxe, BootTarget::Hdd];
        boot = BootCaps { targets, mode: false, persistent: true };
    }
    if place.device.is_none() || has(|kind| kind == DeviceType::System) {
        aspects = aspects.with(AspectKind::Inventory);
    }
    Caps { acts, aspects, boot, proof, batch: 1 }
}
