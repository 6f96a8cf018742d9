//! Units of sensors (IPMI 2.0, table 43-15), and what they are called here.

use crate::model::Measure;

/// Unit of a sensor: the three bytes of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Rate, modifier and percent bits (byte 21 without the data format).
    pub flags: u8,
    /// Base unit.
    pub base: u8,
    /// Modifier unit.
    pub modifier: u8,
}

/// A unit in our words, and how values get there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Converted {
    /// What is measured.
    pub measure: Measure,
    scale: f64,
    offset: f64,
}

impl Converted {
    /// `value` in the unit of `measure`.
    pub fn value(&self, value: f64) -> f64 {
        value * self.scale + self.offset
    }
}

/// Sensor type "fan" (table 42-3).
const FAN: u8 = 0x04;

impl Unit {
    /// In our words. `sensor_type` and `name` decide what a percentage is of.
    pub fn converted(&self, sensor_type: u8, name: &str) -> Converted {
        let plain = |measure| Converted { measure, scale: 1.0, offset: 0.0 };
        // Rates (per second, ...) and products or quotients of units have no word here.
        if self.flags & 0x38 != 0 || self.flags & 0x06 != 0 {
            return plain(Measure::Other);
        }
        if self.flags & 1 != 0 {
            return plain(match sensor_type {
                FAN => Measure::FanPercent,
                _ if name.to_ascii_lowercase().contains("humid") => Measure::Humidity,
                _ => Measure::Other,
            });
        }
        match self.base {
            1 => plain(Measure::Temperature),
            // Fahrenheit and kelvin.
            2 => Converted { measure: Measure::Temperature, scale: 5.0 / 9.0, offset: -160.0 / 9.0 },
            3 => Converted { measure: Measure::Temperature, scale: 1.0, offset: -273.15 },
            4 => plain(Measure::Voltage),
            5 => plain(Measure::Current),
            6 => plain(Measure::Power),
            // Joules to kilowatt hours.
            7 => Converted { measure: Measure::Energy, scale: 1.0 / 3_600_000.0, offset: 0.0 },
            9 => plain(Measure::ApparentPower),
            18 => plain(Measure::FanRpm),
            19 => plain(Measure::Frequency),
            _ => plain(Measure::Other),
        }
    }
}
