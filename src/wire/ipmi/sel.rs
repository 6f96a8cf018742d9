//! Entries of the system event log as readable text (IPMI 2.0, chapter 32 and tables 42-1 to 42-3).

use std::fmt;

use ipmi_rs_core::storage::sdr::{SensorType, decode_event};

use super::{Bytes, Malformed, sdr::judge_states, text::hex};
use crate::model::ReadingState;

/// Length of an entry.
pub const LENGTH: usize = 16;

/// Times below this are seconds since the BMC started, not a date (31.10 and 37).
const FIRST_DATE: u32 = 0x2000_0000;

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Record id.
    pub id: u16,
    /// Record type.
    pub kind: u8,
    /// Seconds since 1970, if the entry has a time and the BMC's clock was set.
    pub seconds: Option<u32>,
    /// What it says.
    pub body: Body,
}

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// An event of a sensor.
    Event(Event),
    /// An entry of the maker's own, with its IANA number if it has one.
    Maker {
        /// IANA enterprise number.
        iana: Option<u32>,
        /// Its data: the first `length` bytes count.
        data: [u8; 13],
        /// How many bytes count.
        length: u8,
    },
}

/// An event of a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Who generated it: address or software id, channel and LUN.
    pub generator: [u8; 2],
    /// Sensor type.
    pub sensor_type: u8,
    /// Sensor number.
    pub sensor: u8,
    /// Whether the state went away.
    pub deasserted: bool,
    /// Event/reading type.
    pub reading_type: u8,
    /// Event data.
    pub data: [u8; 3],
}

impl Entry {
    /// From the 16 bytes of an entry.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("SEL entry", data);
        let id = bytes.u16()?;
        let kind = bytes.u8()?;
        if kind >= 0xe0 {
            let body = Body::Maker { iana: None, data: bytes.array()?, length: 13 };
            return Ok(Self { id, kind, seconds: None, body });
        }
        let time = bytes.u32()?;
        let seconds = (time >= FIRST_DATE && time != u32::MAX).then_some(time);
        let body = if kind >= 0xc0 {
            let iana = bytes.u24()?;
            let six: [u8; 6] = bytes.array()?;
            let mut data = [0; 13];
            for (to, from) in data.iter_mut().zip(six) {
                *to = from;
            }
            Body::Maker { iana: Some(iana), data, length: 6 }
        } else {
            let generator = bytes.array()?;
            let [_revision, sensor_type, sensor, direction] = bytes.array()?;
            Body::Event(Event {
                generator,
                sensor_type,
                sensor,
                deasserted: direction & 0x80 != 0,
                reading_type: direction & 0x7f,
                data: bytes.array()?,
            })
        };
        Ok(Self { id, kind, seconds, body })
    }

    /// As 16 bytes: what the simulator serves.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut out = Vec::with_capacity(LENGTH);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.push(self.kind);
        match self.body {
            Body::Maker { iana: None, data, .. } => out.extend_from_slice(&data),
            Body::Maker { iana: Some(iana), data, .. } => {
                out.extend_from_slice(&self.seconds.unwrap_or(u32::MAX).to_le_bytes());
                out.extend(iana.to_le_bytes().iter().take(3));
                out.extend(data.iter().take(6));
            }
            Body::Event(event) => {
                out.extend_from_slice(&self.seconds.unwrap_or(u32::MAX).to_le_bytes());
                out.extend_from_slice(&event.generator);
                let direction = u8::from(event.deasserted) << 7 | event.reading_type & 0x7f;
                out.extend_from_slice(&[0x04, event.sensor_type, event.sensor, direction]);
                out.extend_from_slice(&event.data);
            }
        }
        out.first_chunk().copied().unwrap_or([0xff; LENGTH])
    }

    /// One line for people; `name` is the sensor's, if it is known.
    pub fn text(&self, name: Option<&str>) -> String {
        match &self.body {
            Body::Event(event) => event.text(name),
            Body::Maker { iana, data, length } => {
                let hex = hex(data.get(..usize::from(*length)).unwrap_or(data));
                match iana {
                    Some(iana) => format!("Entry of maker {iana}, type 0x{:02x}: {hex}", self.kind),
                    None => format!("Maker's own entry, type 0x{:02x}: {hex}", self.kind),
                }
            }
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> ReadingState {
        match self.body {
            Body::Event(event) => event.severity(),
            Body::Maker { .. } => ReadingState::Ok,
        }
    }
}

/// `decode_event` writes to a formatter.
struct Described(Event);

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decode_event(f, self.0.reading_type, SensorType::from(self.0.sensor_type), self.0.offset())
    }
}

impl Event {
    /// Which state of the sensor.
    pub fn offset(&self) -> u8 {
        let [first, _, _] = self.data;
        first & 0x0f
    }

    fn text(&self, name: Option<&str>) -> String {
        let kind = SensorType::from(self.sensor_type);
        let what = Described(*self).to_string();
        let what = if what.is_empty() { format!("state {}", self.offset()) } else { what };
        let direction = if self.deasserted { "deasserted" } else { "asserted" };
        match name {
            Some(name) => format!("{kind} {name}: {what} {direction}"),
            None => format!("{kind} sensor {}: {what} {direction}", self.sensor),
        }
    }

    fn severity(&self) -> ReadingState {
        if self.deasserted {
            return ReadingState::Ok;
        }
        if self.reading_type != 0x01 {
            return judge_states(self.sensor_type, self.reading_type, 1 << self.offset());
        }
        // Threshold events come in pairs (going low, going high) per limit: non-critical, critical, fatal.
        match self.offset() {
            0 | 1 | 6 | 7 => ReadingState::Warning,
            2..=5 | 8..=11 => ReadingState::Critical,
            _ => ReadingState::Ok,
        }
    }
}
