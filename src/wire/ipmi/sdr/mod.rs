//! Sensor data records: which sensors a BMC has and what their bytes mean (IPMI 2.0, chapter 43).
//!
//! Read here: full (0x01), compact (0x02), FRU locator (0x11) and controller locator (0x12) records. All others
//! are skipped. `ipmi-rs-core`'s parsers are not used: see the parent module.

mod convert;
mod health;
mod record;
mod unit;

pub use convert::{Factors, Format, Linear};
pub use health::judge_states;
pub use record::{Analog, FULL_FIXED, FullSensor, HEADER, Locator, Record, RecordHeader, Sensor, Which};
pub use unit::{Converted, Unit};

#[cfg(test)]
mod tests;
