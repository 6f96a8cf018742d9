//! Reading: power, boot target, light, sensors, identity. One frame a page, so that a command waits for one frame at
//! most. A board that does not answer is asked once more; then it is its unit's fault, never the whole bus's.

use super::{
    boards::{self, Device, Place},
    bus::Failure,
    driver::{Conversation, Missed, whose},
};
use crate::{
    model::{
        Aspect, BootSet, BootTarget, Cursor, Fact, Fault, Inventory, Led, Measure, Page, PowerState, Reading,
        ReadingState, Thresholds, Unit,
    },
    wire::device_bus::{BootWord, DeviceType, Request, reply},
};

/// Where a read stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct At {
    /// Which of the units.
    unit: usize,
    /// Which of its devices, or which part of its identity.
    part: usize,
    /// It was asked before, and did not answer.
    asked: bool,
    /// Something of this unit has answered.
    alive: bool,
}

impl At {
    fn of(cursor: Option<&Cursor>) -> Self {
        let number = |place: usize| cursor.and_then(|c| c.0.get(place)).copied().unwrap_or(0);
        let size = |place: usize| usize::try_from(number(place)).unwrap_or(usize::MAX);
        Self { unit: size(0), part: size(1), asked: number(2) != 0, alive: number(3) != 0 }
    }

    fn cursor(self) -> Cursor {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Cursor(vec![number(self.unit), number(self.part), u64::from(self.asked), u64::from(self.alive)])
    }

    fn next_unit(self) -> Self {
        Self { unit: self.unit + 1, ..Self::default() }
    }

    fn next_part(self) -> Self {
        Self { part: self.part + 1, asked: false, alive: true, ..self }
    }

    fn again(self) -> Self {
        Self { asked: true, ..self }
    }
}

/// What one frame brought: a fact and the way on, or neither, and the same again.
type Step = (Vec<(Unit, Result<Fact, Fault>)>, Option<At>);

/// A board is asked once more, then left. What is the line's fault ends the read.
fn no_answer(unit: &Unit, place: Place, at: At, missed: Missed) -> Result<Step, Fault> {
    let fault = match missed {
        Missed::Fault(fault) => fault,
        Missed::Failure(failure) => match failure.of_the_line() {
            Some(fault) => return Err(fault),
            None if !at.asked => return Ok((Vec::new(), Some(at.again()))),
            None => failure.of_a_read(&whose(place)),
        },
    };
    Ok((vec![(unit.clone(), Err(fault))], Some(at.next_unit())))
}

impl Conversation {
    pub(super) async fn read(&mut self, aspect: &Aspect, units: &[Unit], at: Option<Cursor>) -> Result<Page, Fault> {
        let at = At::of(at.as_ref());
        let all: Vec<Unit>;
        let units = if units.is_empty() {
            let known = self.boards.units(&self.settings).into_iter();
            all = known.filter(|(_, caps)| caps.aspects.has(aspect.kind())).map(|(unit, _)| unit).collect();
            &all
        } else {
            units
        };
        let Some(unit) = units.get(at.unit) else { return Ok(Page { items: Vec::new(), next: None }) };
        let (items, next) = self.one(aspect, unit, at).await?;
        let next = next.filter(|next| next.unit < units.len()).map(At::cursor);
        Ok(Page { items, next })
    }

    /// One frame for one unit.
    async fn one(&mut self, aspect: &Aspect, unit: &Unit, at: At) -> Result<Step, Fault> {
        let place = match Self::place(unit) {
            Ok(place) => place,
            Err(fault) => return Ok((vec![(unit.clone(), Err(fault))], Some(at.next_unit()))),
        };
        // Which devices it has, and what it can do, before anything else of it.
        match self.meet(place).await {
            Ok(false) => {}
            Ok(true) => {
                let caps = self.boards.caps(&self.settings, place);
                return Ok((vec![(unit.clone(), Ok(Fact::Caps(caps, None)))], Some(at)));
            }
            Err(failure) => return no_answer(unit, place, at, Missed::Failure(failure)),
        }
        match aspect {
            Aspect::Sensors => self.sensor(unit, place, at).await,
            Aspect::Inventory => self.identity(unit, place, at).await,
            _ => match self.single(aspect, place).await {
                Ok(fact) => Ok((vec![(unit.clone(), Ok(fact))], Some(at.next_unit()))),
                Err(missed) => no_answer(unit, place, at, missed),
            },
        }
    }

    /// What one frame tells whole.
    async fn single(&mut self, aspect: &Aspect, place: Place) -> Result<Fact, Missed> {
        let garbage = |error: reply::ReplyError| Missed::Fault(Fault::Garbage(format!("{}: {error}", whose(place))));
        match aspect {
            Aspect::Power => match self.status(place).await? {
                reply::Power::Supply(supply) => {
                    Ok(Fact::Power(if supply.on { PowerState::On } else { PowerState::Off }))
                }
                reply::Power::Battery { .. } => Err(Missed::Fault(Fault::Unsupported(format!(
                    "{} tells a battery's charge, not whether it is on",
                    whose(place)
                )))),
            },
            Aspect::Boot => {
                let device = self.device(place, |kind| kind == DeviceType::System, "system").map_err(Missed::Fault)?;
                let request = Request::Boot { at: device.at, word: None };
                let frame = self.bus.ask(request).await.map_err(Missed::Failure)?;
                let target = match reply::boot(&frame).map_err(garbage)? {
                    BootWord::NoOverride => None,
                    BootWord::Hdd => Some(BootTarget::Hdd),
                    BootWord::Pxe => Some(BootTarget::Pxe),
                };
                Ok(Fact::Boot(target.map(|target| BootSet { target, mode: None, persistent: true })))
            }
            Aspect::Indicator => {
                let device = self.device(place, boards::shines, "light").map_err(Missed::Fault)?;
                let led = if device.kind == DeviceType::Led {
                    let request = Request::Read { at: device.at, kind: device.kind };
                    let frame = self.bus.ask(request).await.map_err(Missed::Failure)?;
                    let lit = reply::reading(&frame, device.kind).map_err(garbage)? == reply::Reading::Lit(true);
                    if lit { Led::Lit } else { Led::Off }
                } else {
                    // Changes nothing: everything as it is.
                    let text = format!("-1,{},-1,-1", self.settings.rack);
                    let request = Request::ChamberLight { at: device.at, text };
                    let frame = self.bus.ask(request).await.map_err(Missed::Failure)?;
                    let light = reply::chamber_light(&frame).map_err(garbage)?;
                    match (light.lit, light.blinking) {
                        (false, _) => Led::Off,
                        (true, false) => Led::Lit,
                        (true, true) => Led::Blinking,
                    }
                };
                Ok(Fact::Indicator(led))
            }
            Aspect::Raw(what) => self.raw(what, place).await,
            other => Err(Missed::Fault(Fault::Unsupported(format!("boards tell no {:?}", other.kind())))),
        }
    }

    /// Answers as the board gives them: `version`, `read`, `power`, `asset`, `boot_target`, `host_info`.
    async fn raw(&mut self, what: &str, place: Place) -> Result<Fact, Missed> {
        let system = |of: &Self| of.device(place, |kind| kind == DeviceType::System, "system").map_err(Missed::Fault);
        let request = match what {
            "version" => Request::Version { board: place.board },
            "read" => {
                let device = self.device(place, |_| true, "device").map_err(Missed::Fault)?;
                Request::Read { at: device.at, kind: device.kind }
            }
            "power" => {
                let device = self.device(place, DeviceType::is_power, "power device").map_err(Missed::Fault)?;
                Request::Power { at: device.at, word: crate::wire::device_bus::PowerWord::Status }
            }
            "asset" => Request::Asset { at: system(self)?.at },
            "boot_target" => Request::Boot { at: system(self)?.at, word: None },
            "host_info" => Request::HostInfo { at: system(self)?.at },
            other => return Err(Missed::Fault(Fault::Unsupported(format!("raw read {other:?} of a board")))),
        };
        Ok(Fact::Raw(self.bus.ask(request).await.map_err(Missed::Failure)?.data))
    }

    /// One device's readings.
    async fn sensor(&mut self, unit: &Unit, place: Place, at: At) -> Result<Step, Fault> {
        let sensors: Vec<Device> = self.boards.devices(place).filter(|d| boards::measures(d.kind)).collect();
        let Some(device) = sensors.get(at.part).copied() else {
            let none = (at.part == 0).then(|| (unit.clone(), Ok(Fact::Sensors(Vec::new()))));
            return Ok((none.into_iter().collect(), Some(at.next_unit())));
        };
        let last = sensors.len() <= at.part + 1;
        let onward = if last { at.next_unit() } else { at.next_part() };
        let readings = match self.measured(device).await {
            Ok(readings) => readings,
            Err(failure) => {
                if let Some(fault) = failure.of_the_line() {
                    return Err(fault);
                }
                if !at.asked {
                    return Ok((Vec::new(), Some(at.again())));
                }
                if failure.is_silence() && !at.alive {
                    // The first that is asked, twice: the board is dead, and its other sensors are not worth the wait.
                    let fault = failure.of_a_read(&whose(place));
                    return Ok((vec![(unit.clone(), Err(fault))], Some(at.next_unit())));
                }
                vec![unread(device)]
            }
        };
        Ok((vec![(unit.clone(), Ok(Fact::Sensors(readings)))], Some(onward)))
    }

    async fn measured(&mut self, device: Device) -> Result<Vec<Reading>, Failure> {
        if device.kind.is_power() {
            let request = Request::Power { at: device.at, word: crate::wire::device_bus::PowerWord::Status };
            let frame = self.bus.ask(request).await?;
            return Ok(match reply::power(&frame, self.settings.quirks) {
                Ok(power) => power_readings(device, &power),
                Err(_) => vec![unread(device)],
            });
        }
        let frame = self.bus.ask(Request::Read { at: device.at, kind: device.kind }).await?;
        Ok(reply::reading(&frame, device.kind).map_or_else(|_| vec![unread(device)], |value| readings(device, value)))
    }

    /// Part 0: the board's version. Part 1: what its system tells.
    async fn identity(&mut self, unit: &Unit, place: Place, at: At) -> Result<Step, Fault> {
        let system = self.boards.first(place, |kind| kind == DeviceType::System);
        let mut inventory = match self.identity.take() {
            Some((whose, inventory)) if whose == *unit && at.part > 0 => inventory,
            _ => Inventory::default(),
        };
        if at.part == 0 {
            match self.bus.ask(Request::Version { board: place.board }).await {
                Ok(frame) => inventory.firmware = reply::version(&frame).ok().filter(|version| !version.is_empty()),
                Err(failure) if failure.of_the_line().is_some() || !at.asked || failure.is_silence() => {
                    return no_answer(unit, place, at, Missed::Failure(failure));
                }
                Err(_) => {}
            }
            if system.is_some() {
                self.identity = Some((unit.clone(), inventory));
                return Ok((Vec::new(), Some(at.next_part())));
            }
        } else if let Some(device) = system {
            match self.bus.ask(Request::Asset { at: device.at }).await {
                Ok(frame) => {
                    if let Ok(asset) = reply::asset(&frame) {
                        fill(&mut inventory, asset);
                    }
                }
                Err(failure) if failure.of_the_line().is_some() => {
                    return no_answer(unit, place, at, Missed::Failure(failure));
                }
                Err(_) if !at.asked => {
                    self.identity = Some((unit.clone(), inventory));
                    return Ok((Vec::new(), Some(at.again())));
                }
                // It has a version and no identity: that is what there is.
                Err(_) => {}
            }
        }
        Ok((vec![(unit.clone(), Ok(Fact::Inventory(Box::new(inventory))))], Some(at.next_unit())))
    }
}

fn fill(inventory: &mut Inventory, asset: reply::Asset) {
    let some = |text: String| Some(text).filter(|text| !text.trim().is_empty());
    inventory.manufacturer = some(asset.product_manufacturer);
    inventory.model = some(asset.product_name);
    inventory.part_number = some(asset.product_part_number);
    inventory.serial = some(asset.product_serial_number);
    inventory.asset_tag = some(asset.product_asset_tag);
    inventory.chassis_part_number = some(asset.chassis_part_number);
    inventory.chassis_serial = some(asset.chassis_serial_number);
    inventory.board_manufacturer = some(asset.board_manufacturer);
    inventory.board_product = some(asset.board_product_name);
    inventory.board_serial = some(asset.board_serial_number);
}

fn reading(device: Device, suffix: &str, measure: Measure, value: Option<f64>) -> Reading {
    let kind = device.kind.as_str();
    let (dash, words) =
        if suffix.is_empty() { ("", String::new()) } else { ("-", format!(" {}", suffix.replace('-', " "))) };
    Reading {
        id: format!("{kind}-{:04x}{dash}{suffix}", device.at.1),
        name: format!("{}{words} {:04x}", kind.replace('_', " "), device.at.1),
        measure,
        value,
        state: ReadingState::Ok,
        thresholds: Thresholds::default(),
        range: None,
        number: Some(u32::from(device.at.1)),
        context: None,
    }
}

/// A sensor that does not tell, of a board that lives.
fn unread(device: Device) -> Reading {
    let (suffix, measure) = match device.kind {
        DeviceType::Temperature | DeviceType::Thermistor => ("", Measure::Temperature),
        DeviceType::Humidity => ("", Measure::Humidity),
        DeviceType::FanSpeed | DeviceType::VaporFan => ("", Measure::FanRpm),
        DeviceType::Power | DeviceType::VaporRectifier => ("input-power", Measure::Power),
        _ => ("", Measure::Other),
    };
    reading(device, suffix, measure, None)
}

#[allow(clippy::cast_precision_loss)] // what is beyond 2^52 is no speed
fn readings(device: Device, value: reply::Reading) -> Vec<Reading> {
    match value {
        reply::Reading::Celsius(celsius) => vec![reading(device, "", Measure::Temperature, Some(celsius))],
        reply::Reading::Humidity(percent, celsius) => vec![
            reading(device, "", Measure::Humidity, Some(percent)),
            reading(device, "temperature", Measure::Temperature, Some(celsius)),
        ],
        reply::Reading::Kilopascal(pressure) => vec![reading(device, "kpa", Measure::Other, Some(pressure))],
        reply::Reading::Rpm(rpm) => vec![reading(device, "", Measure::FanRpm, Some(rpm as f64))],
        reply::Reading::Lit(_) => Vec::new(),
        reply::Reading::Raw(raw) => vec![reading(device, "raw", Measure::Other, Some(raw as f64))],
    }
}

#[allow(clippy::cast_precision_loss)] // percent
fn power_readings(device: Device, power: &reply::Power) -> Vec<Reading> {
    match power {
        reply::Power::Supply(supply) => {
            let judged = |bad: bool| if bad { ReadingState::Critical } else { ReadingState::Ok };
            let of = |suffix, measure, value: f64, bad| Reading {
                state: judged(bad),
                // The conversion has an offset: a board that is off tells 0, which would be less than nothing.
                ..reading(device, suffix, measure, Some(value).filter(|value| *value >= 0.0))
            };
            vec![
                of("input-power", Measure::Power, supply.watts, supply.on && !supply.good),
                of("input-voltage", Measure::Voltage, supply.volts, supply.under_voltage),
                of("output-current", Measure::Current, supply.amperes, supply.over_current),
            ]
        }
        reply::Power::Battery { percent, .. } => {
            vec![reading(device, "charge", Measure::Other, Some(*percent as f64))]
        }
    }
}
