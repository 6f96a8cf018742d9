//! Measured values, and how we know what we know.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How a state is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The device said so.
    Read,
    /// The device accepted a command to that effect, and has not been seen since.
    Commanded,
    /// Nothing said so: the device can't tell, and this is what was last asked of it.
    Assumed,
}

impl Origin {
    /// The word used on the wire and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Commanded => "commanded",
            Self::Assumed => "assumed",
        }
    }
}

/// A value with its origin and the wall-clock time at which it was obtained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stated<T> {
    /// The value.
    pub value: T,
    /// How we know.
    pub origin: Origin,
    /// When we learnt it.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// What a reading measures; decides the Redfish resource and unit it is served as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Measure {
    /// Degrees Celsius.
    Temperature,
    /// Revolutions per minute.
    FanRpm,
    /// Percent of full speed.
    FanPercent,
    /// Volts.
    Voltage,
    /// Amperes.
    Current,
    /// Watts.
    Power,
    /// Volt-amperes.
    ApparentPower,
    /// Kilowatt hours since the meter was reset.
    Energy,
    /// 0 to 1.
    PowerFactor,
    /// Hertz.
    Frequency,
    /// Percent.
    Humidity,
    /// Anything else, in the device's own unit.
    Other,
}

impl Measure {
    /// The UCUM unit that Redfish `Sensor.ReadingUnits` wants.
    pub fn ucum(self) -> &'static str {
        match self {
            Self::Temperature => "Cel",
            Self::FanRpm => "{rev}/min",
            Self::FanPercent | Self::Humidity => "%",
            Self::Voltage => "V",
            Self::Current => "A",
            Self::Power => "W",
            Self::ApparentPower => "V.A",
            Self::Energy => "kW.h",
            Self::Frequency => "Hz",
            Self::PowerFactor | Self::Other => "1",
        }
    }
}

/// How the device itself judges a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReadingState {
    /// Within its limits, or without limits.
    Ok,
    /// Beyond a non-critical limit.
    Warning,
    /// Beyond a critical or non-recoverable limit.
    Critical,
}

/// Limits of a reading, in its unit. Names as in IPMI; Redfish has the same six.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Thresholds {
    pub lower_non_critical: Option<f64>,
    pub lower_critical: Option<f64>,
    pub lower_fatal: Option<f64>,
    pub upper_non_critical: Option<f64>,
    pub upper_critical: Option<f64>,
    pub upper_fatal: Option<f64>,
}

/// One sensor, read once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Stable within its unit, made of name characters: usable in a URI (`cpu_temp`, `sensor-17`, `power`).
    pub id: String,
    /// As the device names it.
    pub name: String,
    /// What it measures.
    pub measure: Measure,
    /// The value in the unit of `measure`; `None` while the device has none (absent part, scanning disabled).
    pub value: Option<f64>,
    /// The device's judgement.
    pub state: ReadingState,
    /// Its limits.
    pub thresholds: Thresholds,
    /// Smallest and largest value the sensor can give.
    pub range: Option<(f64, f64)>,
    /// The device's number for the sensor, where it has numbers (IPMI).
    pub number: Option<u32>,
    /// Where it measures, in Redfish's `PhysicalContext` words, when the device tells.
    pub context: Option<String>,
}

/// An identification light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Led {
    /// Lit steadily.
    Lit,
    /// Blinking.
    Blinking,
    /// Dark.
    Off,
}

impl Led {
    /// Redfish `IndicatorLED`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lit => "Lit",
            Self::Blinking => "Blinking",
            Self::Off => "Off",
        }
    }
}
