//! The records themselves (IPMI 2.0, tables 43-1, 43-2, 43-7, 43-8).

use ipmi_rs_core::storage::sdr::SensorType;

use super::{Converted, Factors, Format, Linear, Unit};
use crate::{
    model::{ReadingState, Thresholds},
    wire::ipmi::{
        Bytes, Malformed,
        command::{RawReading, RawThresholds},
        lan::BMC,
        text::decode_type_length,
    },
};

/// Length of a record's header.
pub const HEADER: usize = 5;

/// The header: which record, of what kind, how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// Record id.
    pub id: u16,
    /// Record type.
    pub kind: u8,
    /// Bytes that follow the header.
    pub length: u8,
}

impl RecordHeader {
    /// From the first five bytes of a record.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("SDR header", data);
        let id = bytes.u16()?;
        let _version = bytes.u8()?;
        Ok(Self { id, kind: bytes.u8()?, length: bytes.u8()? })
    }

    /// Whether records of this type are of use here; if not, the rest need not be fetched.
    pub fn wanted(&self) -> bool {
        matches!(self.kind, 0x01 | 0x02 | 0x11 | 0x12)
    }
}

/// A record.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Sensors: one of a full record, one to sixteen of a compact one.
    Sensors(Vec<Sensor>),
    /// A FRU device or a management controller.
    Locator(Locator),
    /// Something else.
    Other(u8),
}

/// Which sensor: who owns it and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Which {
    /// Owner's address (bit 0: a software id).
    pub owner: u8,
    /// Owner's channel and LUN byte.
    pub channel_lun: u8,
    /// Sensor number.
    pub number: u8,
}

impl Which {
    /// Whether the BMC itself answers for it. Others would have to be bridged to.
    pub fn is_bmc(&self) -> bool {
        self.owner == BMC && self.channel_lun & 0xf0 == 0
    }

    /// The owner's LUN.
    pub fn lun(&self) -> u8 {
        self.channel_lun & 3
    }
}

/// A sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    /// Which.
    pub which: Which,
    /// Where it sits: entity id (table 43-13) and instance.
    pub entity: (u8, u8),
    /// Sensor type (table 42-3).
    pub sensor_type: u8,
    /// Event/reading type (table 42-1): 1 is a threshold sensor, everything else discrete.
    pub reading_type: u8,
    /// Its name.
    pub name: String,
    /// What an analog sensor has besides; `None`: discrete, or a reading without conversion.
    pub analog: Option<Analog>,
}

/// The analog part of a sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Analog {
    /// Unit.
    pub unit: Unit,
    /// How the raw byte is a number.
    pub format: Format,
    /// Linearisation.
    pub linear: Linear,
    /// Factors.
    pub factors: Factors,
    /// Raw smallest and largest reading.
    pub range: (u8, u8),
    /// Initial raw limits of the record, and which are readable.
    pub limits: RawThresholds,
    /// Our unit.
    pub converted: Converted,
}

impl Analog {
    /// The value of `raw` in the unit of `converted`.
    pub fn value(&self, raw: u8) -> Option<f64> {
        self.value_by(&self.factors, raw)
    }

    /// The same with factors that were asked for.
    pub fn value_by(&self, factors: &Factors, raw: u8) -> Option<f64> {
        factors.convert(self.format, self.linear, raw).map(|value| self.converted.value(value))
    }

    /// Limits in our unit.
    pub fn thresholds(&self, raw: &RawThresholds) -> Thresholds {
        let mut values = raw
            .values
            .iter()
            .enumerate()
            .map(|(bit, value)| if raw.readable >> bit & 1 == 0 { None } else { self.value(*value) });
        let mut next = || values.next().flatten();
        Thresholds {
            lower_non_critical: next(),
            lower_critical: next(),
            lower_fatal: next(),
            upper_non_critical: next(),
            upper_critical: next(),
            upper_fatal: next(),
        }
    }

    /// Smallest and largest value, in order.
    pub fn range(&self) -> Option<(f64, f64)> {
        let (a, b) = (self.value(self.range.0)?, self.value(self.range.1)?);
        Some((a.min(b), a.max(b)))
    }

    /// Whether the factors depend on the reading.
    pub fn asks_for_factors(&self) -> bool {
        self.linear == Linear::Asked
    }
}

impl Sensor {
    /// Whether it compares a number with limits.
    pub fn is_threshold(&self) -> bool {
        self.reading_type == 0x01
    }

    /// The sensor type in words.
    pub fn type_text(&self) -> String {
        SensorType::from(self.sensor_type).to_string()
    }

    /// The device's judgement of a reading.
    pub fn judge(&self, reading: &RawReading) -> ReadingState {
        if reading.available().is_none() {
            return ReadingState::Ok;
        }
        if !self.is_threshold() {
            return super::judge_states(self.sensor_type, self.reading_type, reading.states);
        }
        // Bits 1, 2, 4, 5: beyond critical and non-recoverable; 0 and 3: beyond non-critical.
        match reading.states & 0x3f {
            0 => ReadingState::Ok,
            bits if bits & 0x36 != 0 => ReadingState::Critical,
            _ => ReadingState::Warning,
        }
    }

    /// Where it measures, in Redfish's `PhysicalContext` words (entity ids: table 43-13).
    pub fn context(&self) -> Option<&'static str> {
        Some(match self.entity.0 {
            0x03 | 0x41 => "CPU",
            0x04 | 0x0b | 0x1a => "StorageDevice",
            0x07 | 0x42 => "SystemBoard",
            0x08 | 0x20 => "Memory",
            0x0a => "PowerSupply",
            0x0f => "Backplane",
            0x13 => "PowerSubsystem",
            0x17 => "Chassis",
            0x1d | 0x1e => "Fan",
            0x37 | 0x40 => "Intake",
            _ => return None,
        })
    }
}

/// A FRU device (0x11) or a management controller (0x12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator {
    /// Whether it is a controller.
    pub controller: bool,
    /// Its address on the bus.
    pub address: u8,
    /// FRU device id of a logical FRU; of a controller: 0.
    pub device: u8,
    /// Whether the FRU is reached by FRU commands to the controller.
    pub logical: bool,
    /// Entity id and instance.
    pub entity: (u8, u8),
    /// Its name.
    pub name: String,
}

impl Record {
    /// Reads a whole record, header included. What the record's length does not cover is ignored.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let header = RecordHeader::decode(data)?;
        let mut bytes = Bytes::new("SDR", data);
        bytes.skip(HEADER)?;
        let body = bytes.take(header.length.into())?;
        match header.kind {
            0x01 => full(body).map(|sensor| Self::Sensors(vec![sensor])),
            0x02 => compact(body).map(Self::Sensors),
            0x11 => fru_locator(body).map(Self::Locator),
            0x12 => controller_locator(body).map(Self::Locator),
            other => Ok(Self::Other(other)),
        }
    }
}

/// What full and compact records have in common: their first 18 bytes behind the header.
struct Common {
    which: Which,
    entity: (u8, u8),
    capabilities: u8,
    sensor_type: u8,
    reading_type: u8,
    readable: u8,
    unit: Unit,
    units1: u8,
}

fn common(bytes: &mut Bytes<'_>) -> Result<Common, Malformed> {
    let [owner, channel_lun, number] = bytes.array()?;
    let [entity, instance, _init, capabilities, sensor_type, reading_type] = bytes.array()?;
    let [_, _, _, _, readable, _settable] = bytes.array()?;
    let [units1, base, modifier] = bytes.array()?;
    Ok(Common {
        which: Which { owner, channel_lun, number },
        entity: (entity, instance),
        capabilities,
        sensor_type,
        reading_type,
        readable,
        unit: Unit { flags: units1 & 0x3f, base, modifier },
        units1,
    })
}

fn full(body: &[u8]) -> Result<Sensor, Malformed> {
    let mut bytes = Bytes::new("full sensor record", body);
    let common = common(&mut bytes)?;
    let linear = Linear::from_byte(bytes.u8()?);
    let factors = Factors::unpack(bytes.array()?);
    let [_flags, _nominal, _normal_max, _normal_min, max, min] = bytes.array()?;
    // Upper non-recoverable, critical, non-critical, then lower; hysteresis, reserved, OEM.
    let [u_fatal, u_critical, u_warn, l_fatal, l_critical, l_warn] = bytes.array()?;
    bytes.skip(5)?;
    let name = decode_type_length(bytes.rest());
    let format = Format::from_bits(common.units1 >> 6);
    // Threshold access (capabilities bits 3:2): 0 none, 1 readable, 2 readable and settable, 3 fixed, unreadable.
    let readable = if matches!(common.capabilities >> 2 & 3, 1 | 2) { common.readable & 0x3f } else { 0 };
    let analog = (format != Format::None).then(|| Analog {
        unit: common.unit,
        format,
        linear,
        factors,
        range: (min, max),
        limits: RawThresholds { readable, values: [l_warn, l_critical, l_fatal, u_warn, u_critical, u_fatal] },
        converted: common.unit.converted(common.sensor_type, &name),
    });
    Ok(Sensor {
        which: common.which,
        entity: common.entity,
        sensor_type: common.sensor_type,
        reading_type: common.reading_type,
        name,
        analog,
    })
}

fn compact(body: &[u8]) -> Result<Vec<Sensor>, Malformed> {
    let mut bytes = Bytes::new("compact sensor record", body);
    let common = common(&mut bytes)?;
    let [share, instance] = bytes.array()?;
    bytes.skip(6)?; // hysteresis, reserved, OEM
    let name = decode_type_length(bytes.rest());
    let count = (share & 0x0f).max(1);
    let letters = share >> 4 & 3 == 1;
    let first = instance & 0x7f;
    Ok((0..count)
        .map(|step| Sensor {
            which: Which { number: common.which.number.wrapping_add(step), ..common.which },
            entity: (
                common.entity.0,
                if instance & 0x80 != 0 { common.entity.1.wrapping_add(step) } else { common.entity.1 },
            ),
            sensor_type: common.sensor_type,
            reading_type: common.reading_type,
            name: shared_name(&name, share, letters, first.wrapping_add(step)),
            analog: None,
        })
        .collect())
}

/// Name of one of the sensors that share a record: the text and a number or a letter.
fn shared_name(name: &str, share: u8, letters: bool, index: u8) -> String {
    if share & 0x0f <= 1 {
        name.to_owned()
    } else if letters {
        format!("{name}{}", char::from(b'A' + index % 26))
    } else {
        format!("{name}{index}")
    }
}

fn fru_locator(body: &[u8]) -> Result<Locator, Malformed> {
    let mut bytes = Bytes::new("FRU locator record", body);
    let [address, device, access, _channel, _, _type, _modifier, entity, instance, _oem] = bytes.array()?;
    let name = decode_type_length(bytes.rest());
    Ok(Locator { controller: false, address, device, logical: access & 0x80 != 0, entity: (entity, instance), name })
}

fn controller_locator(body: &[u8]) -> Result<Locator, Malformed> {
    let mut bytes = Bytes::new("controller locator record", body);
    let [address, _channel, _power, _capabilities, _, _, _] = bytes.array()?;
    let [entity, instance, _oem] = bytes.array()?;
    let name = decode_type_length(bytes.rest());
    Ok(Locator { controller: true, address, device: 0, logical: true, entity: (entity, instance), name })
}

/// Length of a full record's body up to its name.
pub const FULL_FIXED: usize = 42;

/// A full record to be written: what the simulator serves.
#[derive(Debug, Clone, PartialEq)]
pub struct FullSensor {
    /// Record id.
    pub id: u16,
    /// Sensor, with its analog part.
    pub sensor: Sensor,
    /// Analog part.
    pub analog: Analog,
}

impl FullSensor {
    /// The whole record, header included. Names are cut to 16 characters.
    pub fn encode(&self) -> Vec<u8> {
        let (sensor, analog) = (&self.sensor, &self.analog);
        let name: Vec<u8> = sensor.name.bytes().take(16).collect();
        let threshold_access = if analog.limits.readable == 0 { 0x00 } else { 0x08 };
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&[0x51, 0x01, u8::try_from(FULL_FIXED + 1 + name.len()).unwrap_or(u8::MAX)]);
        out.extend_from_slice(&[sensor.which.owner, sensor.which.channel_lun, sensor.which.number]);
        // Initialisation 0x7F: all enabled; capabilities: auto re-arm, thresholds, events per sensor.
        out.extend_from_slice(&[sensor.entity.0, sensor.entity.1, 0x7f, 0x60 | threshold_access]);
        out.extend_from_slice(&[sensor.sensor_type, sensor.reading_type]);
        out.extend_from_slice(&[0x00, 0x00, 0x00, 0x00, analog.limits.readable, analog.limits.readable]);
        out.extend_from_slice(&[analog.format.bits() << 6 | analog.unit.flags, analog.unit.base, analog.unit.modifier]);
        out.push(analog.linear.byte());
        out.extend_from_slice(&analog.factors.pack());
        out.extend_from_slice(&[0x00, 0x00, 0x00, 0x00, analog.range.1, analog.range.0]);
        let [l_warn, l_critical, l_fatal, u_warn, u_critical, u_fatal] = analog.limits.values;
        out.extend_from_slice(&[u_fatal, u_critical, u_warn, l_fatal, l_critical, l_warn]);
        out.extend_from_slice(&[0, 0, 0, 0, 0]);
        out.push(0xc0 | u8::try_from(name.len()).unwrap_or(0));
        out.extend_from_slice(&name);
        out
    }
}
