//! Raw readings in physical units.

use super::{Quirk, Quirks};

/// A thermistor's raw number from here on is no reading.
const THERMISTOR_END: i64 = 65_535;
/// Pieces of the thermistor's line: up to that raw number, slope and offset. Not continuous where they meet.
const THERMISTOR: [(i64, f64, f64); 5] = [
    (218, -0.235, 131.294),
    (354, -0.147, 112.046),
    (542, -0.106, 97.66),
    (745, -0.0985, 93.399),
    (THERMISTOR_END - 1, -0.131, 118.638),
];
/// Steps of the humidity sensor: 2^14 - 2.
const HUMIDITY_STEPS: f64 = 16_382.0;

/// A raw number that no sensor can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is out of range")]
pub struct OutOfRange(pub i64);

/// Degrees Celsius, to two places.
pub fn thermistor(raw: i64) -> Result<f64, OutOfRange> {
    let piece = THERMISTOR.iter().find(|(last, _, _)| raw <= *last).ok_or(OutOfRange(raw))?;
    #[allow(clippy::cast_precision_loss)] // far below 2^52, or nonsense anyway
    Ok(two_places(piece.1 * raw as f64 + piece.2))
}

/// Percent and degrees Celsius, to two places, out of one 32-bit number; negative ones are its two's complement.
pub fn humidity(raw: i64) -> Result<(f64, f64), OutOfRange> {
    if raw > i64::from(u32::MAX) {
        return Err(OutOfRange(raw));
    }
    let humidity = u16::try_from(raw >> 16 & 0x3fff).map_err(|_| OutOfRange(raw))?;
    let temperature = u16::try_from((raw & 0xffff) >> 2).map_err(|_| OutOfRange(raw))?;
    let percent = f64::from(humidity) / HUMIDITY_STEPS * 100.0;
    let celsius = f64::from(temperature) / HUMIDITY_STEPS * 165.0 - 40.0;
    Ok((two_places(percent), two_places(celsius)))
}

/// Watts of a PMBus direct reading (ADM1275: m 6043, b 0, R -2).
pub fn watts(raw: i64) -> f64 {
    direct(raw, 6043.0, 0.0, 100.0)
}

/// Volts (m 19199, b 0, R -2).
pub fn volts(raw: i64) -> f64 {
    direct(raw, 19_199.0, 0.0, 100.0)
}

/// Amperes (m 807, b 20475, R -1). The original has 20745, by a slip of two digits: Q-06.
pub fn amperes(raw: i64, quirks: Quirks) -> f64 {
    direct(raw, 807.0, if quirks.has(Quirk::Q06) { 20_745.0 } else { 20_475.0 }, 10.0)
}

/// PMBus, "direct" format: (1/m) (raw 10^-R - b); in the order in which the original computes it.
#[allow(clippy::cast_precision_loss)] // 16-bit numbers, or nonsense anyway
fn direct(raw: i64, m: f64, b: f64, scale: f64) -> f64 {
    (1.0 / m) * (raw as f64 * scale - b)
}

/// Halves away from zero.
fn two_places(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
