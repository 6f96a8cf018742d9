//! Readings: `Sensor`, and the older `Thermal` and `Power` that many BMCs have instead.

use serde_json::Value;

use super::value::{clean, list, number, text, whole, word};
use crate::model::{Measure, Reading, ReadingState, Thresholds};

/// Longest identifier of a reading.
const LONGEST: usize = 96;

/// Made of name characters: usable in a URI.
pub fn identifier(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':') { c } else { '_' })
        .take(LONGEST)
        .collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// `Status.State` says that there is something to read.
fn present(item: &Value) -> bool {
    let state = item.get("Status").and_then(|status| word(status, "State"));
    !matches!(state, Some("Absent" | "Disabled" | "UnavailableOffline" | "Deferring"))
}

fn health(item: &Value) -> ReadingState {
    match item.get("Status").and_then(|status| word(status, "Health")) {
        Some("Critical") => ReadingState::Critical,
        Some("Warning") => ReadingState::Warning,
        _ => ReadingState::Ok,
    }
}

fn range(item: &Value, low: &str, high: &str) -> Option<(f64, f64)> {
    Some((number(item, low)?, number(item, high)?)).filter(|(low, high)| low < high)
}

/// What `ReadingType` and `ReadingUnits` mean, and the factor to the unit of the house. Units win over types that leave
/// several open.
fn measure(kind: Option<&str>, unit: Option<&str>) -> (Measure, f64) {
    match (kind, unit) {
        (_, Some("Cel")) | (Some("Temperature"), _) => (Measure::Temperature, 1.0),
        (_, Some("RPM" | "{rev}/min")) | (Some("Rotational"), _) => (Measure::FanRpm, 1.0),
        (Some("Humidity"), _) => (Measure::Humidity, 1.0),
        (Some("ApparentPower"), _) | (_, Some("V.A" | "VA")) => (Measure::ApparentPower, 1.0),
        (_, Some("kW")) => (Measure::Power, 1000.0),
        (Some("Power"), _) | (_, Some("W")) => (Measure::Power, 1.0),
        (Some("EnergykWh"), _) | (_, Some("kW.h")) => (Measure::Energy, 1.0),
        (Some("EnergyWh"), _) | (_, Some("W.h")) => (Measure::Energy, 0.001),
        (Some("EnergyJoules"), _) | (_, Some("J")) => (Measure::Energy, 1.0 / 3_600_000.0),
        (_, Some("mV")) => (Measure::Voltage, 0.001),
        (Some("Voltage"), _) | (_, Some("V")) => (Measure::Voltage, 1.0),
        (_, Some("mA")) => (Measure::Current, 0.001),
        (Some("Current"), _) | (_, Some("A")) => (Measure::Current, 1.0),
        (Some("Frequency"), Some("Hz") | None) | (None, Some("Hz")) => (Measure::Frequency, 1.0),
        (Some("PowerFactor"), _) => (Measure::PowerFactor, 1.0),
        _ => (Measure::Other, 1.0),
    }
}

/// A `Sensor`.
pub fn sensor(item: &Value) -> Option<Reading> {
    let id = text(item, "Id")?;
    let name = text(item, "Name").unwrap_or_else(|| id.clone());
    let (kind, unit) = (word(item, "ReadingType"), word(item, "ReadingUnits"));
    let (mut measure, factor) = measure(kind, unit);
    let context = word(item, "PhysicalContext").and_then(clean);
    // A percentage is a fan's only where it says so: utilisation is one too.
    let fan = |text: &str| text.to_ascii_lowercase().contains("fan");
    if measure == Measure::Other && (kind == Some("Percent") || unit == Some("%")) && (fan(&id) || fan(&name)) {
        measure = Measure::FanPercent;
    }
    let scaled = |n: f64| n * factor;
    let limits = item.get("Thresholds").unwrap_or(&Value::Null);
    let limit = |key: &str| limits.get(key).and_then(|limit| number(limit, "Reading")).map(scaled);
    let (low, high) = range(item, "ReadingRangeMin", "ReadingRangeMax").unzip();
    Some(Reading {
        id: identifier(&id),
        name,
        measure,
        value: number(item, "Reading").filter(|_| present(item)).map(scaled),
        state: health(item),
        thresholds: Thresholds {
            lower_non_critical: limit("LowerCaution"),
            lower_critical: limit("LowerCritical"),
            lower_fatal: limit("LowerFatal"),
            upper_non_critical: limit("UpperCaution"),
            upper_critical: limit("UpperCritical"),
            upper_fatal: limit("UpperFatal"),
        },
        range: low.map(scaled).zip(high.map(scaled)),
        number: whole(item, "SensorNumber"),
        context,
    })
}

/// What an item of a legacy list is called: by its name, which stays when parts are added; else by its place.
fn legacy(item: &Value, kind: &str, place: usize) -> (String, String) {
    let member = text(item, "MemberId").unwrap_or_else(|| place.to_string());
    // `FriendlyName` and `FanName` are older still.
    let name = ["Name", "FanName", "FriendlyName"].iter().find_map(|key| text(item, key));
    let id = name.as_deref().map_or_else(|| format!("{kind}{member}"), str::to_owned);
    (identifier(&id), name.unwrap_or_else(|| format!("{kind} {member}")))
}

fn read(item: &Value, named: (String, String), measure: Measure, key: &str) -> Reading {
    let limit = |key: &str| number(item, key);
    Reading {
        id: named.0,
        name: named.1,
        measure,
        value: number(item, key).filter(|_| present(item)),
        state: health(item),
        thresholds: Thresholds {
            lower_non_critical: limit("LowerThresholdNonCritical"),
            lower_critical: limit("LowerThresholdCritical"),
            lower_fatal: limit("LowerThresholdFatal"),
            upper_non_critical: limit("UpperThresholdNonCritical"),
            upper_critical: limit("UpperThresholdCritical"),
            upper_fatal: limit("UpperThresholdFatal"),
        },
        range: range(item, "MinReadingRangeTemp", "MaxReadingRangeTemp")
            .or_else(|| range(item, "MinReadingRange", "MaxReadingRange")),
        number: whole(item, "SensorNumber"),
        context: word(item, "PhysicalContext").and_then(clean),
    }
}

/// `Thermal`: temperatures and fans.
pub fn thermal(body: &Value) -> Vec<Reading> {
    let mut readings = Vec::new();
    for (place, item) in list(body, "Temperatures").iter().enumerate().filter(|(_, item)| item.is_object()) {
        readings.push(read(item, legacy(item, "Temperature", place), Measure::Temperature, "ReadingCelsius"));
    }
    for (place, item) in list(body, "Fans").iter().enumerate().filter(|(_, item)| item.is_object()) {
        let percent = word(item, "ReadingUnits").is_some_and(|unit| unit.eq_ignore_ascii_case("Percent"));
        // The first version of the schema had `ReadingRPM`.
        let key = if item.get("Reading").is_some() { "Reading" } else { "ReadingRPM" };
        let measure = if percent { Measure::FanPercent } else { Measure::FanRpm };
        readings.push(read(item, legacy(item, "Fan", place), measure, key));
    }
    readings
}

/// `Power`: what is consumed, voltages, and supplies.
pub fn power(body: &Value) -> Vec<Reading> {
    let mut readings = Vec::new();
    let items = |key: &str| list(body, key).iter().enumerate().filter(|(_, item)| item.is_object());
    for (place, item) in items("PowerControl") {
        if item.get("PowerConsumedWatts").is_some() {
            readings.push(read(item, legacy(item, "PowerControl", place), Measure::Power, "PowerConsumedWatts"));
        }
    }
    for (place, item) in items("Voltages") {
        readings.push(read(item, legacy(item, "Voltage", place), Measure::Voltage, "ReadingVolts"));
    }
    for (place, item) in items("PowerSupplies") {
        let (id, name) = legacy(item, "PowerSupply", place);
        for (key, measure, what) in [
            ("LastPowerOutputWatts", Measure::Power, "output"),
            ("PowerInputWatts", Measure::Power, "input"),
            ("LineInputVoltage", Measure::Voltage, "line"),
        ] {
            if item.get(key).is_some_and(|value| !value.is_null()) {
                let named = (format!("{id}-{what}"), format!("{name} {what}"));
                readings.push(Reading { range: None, ..read(item, named, measure, key) });
            }
        }
    }
    readings
}
