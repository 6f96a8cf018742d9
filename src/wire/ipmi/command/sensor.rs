//! Commands of the network function Sensor/Event (IPMI 2.0, chapter 35).

use ipmi_rs_core::connection::NetFn;

use super::command;
use crate::wire::ipmi::sdr::Factors;

command! {
    /// Get Sensor Reading (35.14).
    GetSensorReading {
        /// Sensor number.
        number: u8,
    }
    send |this| NetFn::SensorEvent, 0x2d, vec![this.number];
    read |bytes| -> RawReading {
        let [value, flags] = bytes.array()?;
        let low = bytes.u8().unwrap_or(0);
        let high = bytes.u8().unwrap_or(0) & 0x7f;
        Ok(RawReading { value, scanning: flags & 0x40 != 0, unavailable: flags & 0x20 != 0,
            states: u16::from_le_bytes([low, high]) })
    }
}

/// An answer to Get Sensor Reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawReading {
    /// Raw value.
    pub value: u8,
    /// Whether the sensor is being scanned.
    pub scanning: bool,
    /// Whether the value means nothing (initial update, part not there).
    pub unavailable: bool,
    /// Threshold comparison in bits 5:0 (upper non-recoverable to lower non-critical), or asserted states.
    pub states: u16,
}

impl RawReading {
    /// The raw value, if there is one.
    pub fn available(&self) -> Option<u8> {
        (self.scanning && !self.unavailable).then_some(self.value)
    }
}

command! {
    /// Get Sensor Thresholds (35.9).
    GetSensorThresholds {
        /// Sensor number.
        number: u8,
    }
    send |this| NetFn::SensorEvent, 0x27, vec![this.number];
    read |bytes| -> RawThresholds {
        let readable = bytes.u8()?;
        Ok(RawThresholds { readable, values: bytes.array()? })
    }
}

/// Raw limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawThresholds {
    /// Which of them mean something: bit 0 lower non-critical, 1 lower critical, 2 lower non-recoverable, 3 to 5
    /// the upper ones.
    pub readable: u8,
    /// In the order of those bits.
    pub values: [u8; 6],
}

command! {
    /// Get Sensor Reading Factors (35.5): for sensors whose factors depend on the reading.
    GetSensorReadingFactors {
        /// Sensor number.
        number: u8,
        /// Raw reading they are asked for.
        reading: u8,
    }
    send |this| NetFn::SensorEvent, 0x23, vec![this.number, this.reading];
    read |bytes| -> Factors {
        let _next = bytes.u8()?;
        let packed: [u8; 6] = bytes.array()?;
        Ok(Factors::unpack(packed))
    }
}
