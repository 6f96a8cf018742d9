//! Sensors and log of a simulated BMC.

use super::config::Shared;
use crate::wire::ipmi::{
    command::{RawReading, RawThresholds},
    sdr::{Analog, Factors, Format, FullSensor, Linear, Sensor, Unit, Which},
    sel::{Body, Entry, Event},
};

/// A simulated sensor: its record, and its raw value with the host on and off.
#[derive(Debug, Clone)]
pub(super) struct SimSensor {
    pub(super) record: Vec<u8>,
    pub(super) number: u8,
    pub(super) limits: RawThresholds,
    format: Format,
    discrete: bool,
    on: u16,
    /// `None`: no reading while the host is off.
    off: Option<u16>,
}

impl SimSensor {
    /// What the sensor answers; `forced` is a raw value set from outside.
    pub(super) fn reading(&self, host_on: bool, forced: Option<u8>) -> RawReading {
        let raw = forced.map(u16::from).or(if host_on { Some(self.on) } else { self.off });
        let unavailable = raw.is_none();
        let raw = raw.unwrap_or(0);
        if self.discrete {
            return RawReading { value: 0, scanning: true, unavailable, states: raw };
        }
        let value = u8::try_from(raw & 0xff).unwrap_or(0);
        RawReading { value, scanning: true, unavailable, states: self.compare(value, unavailable) }
    }

    /// Which limits `value` is beyond: bits as in [`RawThresholds`].
    fn compare(&self, value: u8, unavailable: bool) -> u16 {
        let number = |raw| self.format.number(raw).unwrap_or(0);
        let beyond = |bit: usize, limit: u8| {
            if bit < 3 { number(value) <= number(limit) } else { number(value) >= number(limit) }
        };
        if unavailable {
            return 0;
        }
        self.limits
            .values
            .iter()
            .enumerate()
            .filter(|(bit, limit)| self.limits.readable >> bit & 1 == 1 && beyond(*bit, **limit))
            .fold(0, |states, (bit, _)| states | 1 << bit)
    }
}

/// What a sensor is made of.
struct Plan {
    name: &'static str,
    sensor_type: u8,
    unit: u8,
    entity: u8,
    format: Format,
    factors: Factors,
    /// Raw: lower non-critical, critical, fatal, then upper.
    limits: Option<[u8; 6]>,
    on: u16,
    off: Option<u16>,
}

fn factors(m: i16, b: i16, exponent: i8) -> Factors {
    Factors { m, b, b_exponent: 0, exponent, tolerance: 0, accuracy: 0, accuracy_exponent: 0 }
}

/// The sensors of every simulated machine. The numbers are those of a small server: 46 °C, 23 °C, 12 V, 5400 rpm,
/// 180 W, and a distance to the CPU's limit that falls as the raw value rises (M = -1).
pub(super) fn sensors() -> Shared<SimSensor> {
    let plans = [
        Plan {
            name: "CPU Temp",
            sensor_type: 1,
            unit: 1,
            entity: 3,
            format: Format::Unsigned,
            factors: factors(1, 0, 0),
            limits: Some([5, 2, 0, 85, 95, 100]),
            on: 46,
            off: None,
        },
        Plan {
            name: "Inlet Temp",
            sensor_type: 1,
            unit: 1,
            entity: 0x37,
            format: Format::TwosComplement,
            factors: factors(1, 0, 0),
            limits: Some([3, 0xfb, 0xf6, 38, 42, 46]),
            on: 23,
            off: Some(21),
        },
        Plan {
            name: "12V",
            sensor_type: 2,
            unit: 4,
            entity: 7,
            format: Format::Unsigned,
            factors: factors(6, 0, -2),
            limits: Some([180, 175, 170, 215, 220, 230]),
            on: 201,
            off: None,
        },
        Plan {
            name: "Fan 1",
            sensor_type: 4,
            unit: 18,
            entity: 0x1d,
            format: Format::Unsigned,
            factors: factors(60, 0, 0),
            limits: Some([15, 10, 5, 0xff, 0xff, 0xff]),
            on: 90,
            off: None,
        },
        Plan {
            name: "PSU Power",
            sensor_type: 8,
            unit: 6,
            entity: 0x0a,
            format: Format::Unsigned,
            factors: factors(4, 0, 0),
            limits: None,
            on: 45,
            off: Some(2),
        },
        Plan {
            name: "CPU Margin",
            sensor_type: 1,
            unit: 1,
            entity: 3,
            format: Format::Unsigned,
            factors: factors(-1, 100, 0),
            limits: None,
            on: 46,
            off: None,
        },
    ];
    let mut sensors: Vec<SimSensor> = (1u8..).zip(plans).map(|(number, plan)| analog(number, &plan)).collect();
    sensors.push(psu_status(u8::try_from(sensors.len() + 1).unwrap_or(u8::MAX)));
    sensors.into()
}

fn analog(number: u8, plan: &Plan) -> SimSensor {
    let limits = RawThresholds {
        readable: if plan.limits.is_some() { 0x3f } else { 0 },
        values: plan.limits.unwrap_or_default(),
    };
    let unit = Unit { flags: 0, base: plan.unit, modifier: 0 };
    let range = if plan.format == Format::Unsigned { (0, 0xff) } else { (0x80, 0x7f) };
    let part = Analog {
        unit,
        format: plan.format,
        linear: Linear::Linear,
        factors: plan.factors,
        range,
        limits,
        converted: unit.converted(plan.sensor_type, plan.name),
    };
    let sensor = Sensor {
        which: Which { owner: 0x20, channel_lun: 0, number },
        entity: (plan.entity, 1),
        sensor_type: plan.sensor_type,
        reading_type: 1,
        name: plan.name.to_owned(),
        analog: Some(part),
    };
    let record = FullSensor { id: number.into(), sensor, analog: part }.encode();
    SimSensor { record, number, limits, format: plan.format, discrete: false, on: plan.on, off: plan.off }
}

/// A compact record (table 43-2): state of the power supply; presence is state 0.
fn psu_status(number: u8) -> SimSensor {
    const NAME: &[u8] = b"PSU Status";
    let mut record = vec![number, 0x00, 0x51, 0x02, 0x00, 0x20, 0x00, number, 0x0a, 0x01, 0x7f, 0x40, 0x08, 0x6f];
    record.extend_from_slice(&[0; 6]);
    record.extend_from_slice(&[0xc0, 0x00, 0x00, 0x01, 0x01, 0, 0, 0, 0, 0, 0]);
    record.push(0xc0 | u8::try_from(NAME.len()).unwrap_or(0));
    record.extend_from_slice(NAME);
    let length = u8::try_from(record.len() - 5).unwrap_or(0);
    if let Some(byte) = record.get_mut(4) {
        *byte = length;
    }
    let limits = RawThresholds { readable: 0, values: [0; 6] };
    SimSensor { record, number, limits, format: Format::None, discrete: true, on: 1, off: Some(1) }
}

/// What the log holds at the start.
pub(super) fn log() -> Vec<[u8; 16]> {
    let event = |sensor_type, sensor, reading_type, data| {
        Body::Event(Event { generator: [0x20, 0], sensor_type, sensor, deasserted: false, reading_type, data })
    };
    let gone = |body| match body {
        Body::Event(event) => Body::Event(Event { deasserted: true, ..event }),
        maker @ Body::Maker { .. } => maker,
    };
    let lost = event(0x08, 7, 0x6f, [0x03, 0xff, 0xff]);
    let hot = event(0x01, 1, 0x01, [0x57, 86, 85]);
    let entries =
        [(1_700_000_000, hot), (1_700_000_300, gone(hot)), (1_700_100_000, lost), (1_700_100_060, gone(lost))];
    (1u16..)
        .zip(entries)
        .map(|(id, (seconds, body))| Entry { id, kind: 0x02, seconds: Some(seconds), body }.encode())
        .collect()
}
