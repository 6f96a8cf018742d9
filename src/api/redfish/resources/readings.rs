//! Readings of a node under the ids that all its resources share: Sensors, Thermal and Power show the same numbers.

use std::borrow::Cow;

use super::super::doc::Doc;
use crate::{
    fleet::NodeView,
    model::{Measure, Reading, ReadingState, Ref, Stated, Thresholds},
};

/// A reading with its id within the node.
pub struct Named<'n> {
    /// Usable in a URI, unique within the node.
    pub id: Cow<'n, str>,
    /// Where it comes from.
    pub unit: &'n Ref,
    /// The value.
    pub reading: &'n Reading,
    /// When it was read.
    pub at: time::OffsetDateTime,
}

/// All readings of a node. The host's keep their ids; others carry their unit in front (`pdu01:7:power`).
pub fn all(node: &NodeView) -> impl Iterator<Item = Named<'_>> {
    let host = node.config.host.as_ref();
    node.readings.iter().flat_map(move |(unit, Stated { value, at, .. })| {
        value.iter().map(move |reading| Named {
            id: if Some(unit) == host {
                Cow::Borrowed(reading.id.as_str())
            } else {
                Cow::Owned(format!("{}:{}:{}", unit.endpoint, unit.unit.as_str().replace('/', ":"), reading.id))
            },
            unit,
            reading,
            at: *at,
        })
    })
}

/// Whether there are readings for the legacy Thermal resource.
pub fn has_thermal(node: &NodeView) -> bool {
    all(node).any(|n| is_thermal(n.reading.measure))
}

/// Temperatures and fans.
pub fn is_thermal(measure: Measure) -> bool {
    matches!(measure, Measure::Temperature | Measure::FanRpm | Measure::FanPercent)
}

/// Whether there is anything for the legacy Power resource.
pub fn has_power(node: &NodeView) -> bool {
    !node.feeds.is_empty() || all(node).any(|n| matches!(n.reading.measure, Measure::Power | Measure::Voltage))
}

/// `Status` of a reading.
pub fn status(o: &mut Doc, reading: &Reading) {
    o.volatile(|o| {
        o.obj("Status", |o| {
            if reading.value.is_none() {
                o.set("State", "UnavailableOffline");
            } else {
                o.set("State", "Enabled").set("Health", health(reading.state));
            }
        });
    });
}

/// An excerpt of a sensor, as resources embed it.
pub fn excerpt(o: &mut Doc, node: &str, named: &Named<'_>) {
    o.set("DataSourceUri", sensor_uri(node, named));
    o.volatile(|o| {
        o.set("Reading", named.reading.value);
    });
}

/// The URI of a reading's sensor.
pub fn sensor_uri(node: &str, named: &Named<'_>) -> String {
    format!("{}/{}", super::sensors::collection_uri(node), named.id)
}

/// The worst judgement of some readings.
pub fn worst<'n>(all: impl Iterator<Item = Named<'n>>) -> &'static str {
    let rank = |state: ReadingState| match state {
        ReadingState::Ok => 0,
        ReadingState::Warning => 1,
        ReadingState::Critical => 2,
    };
    health(all.map(|named| named.reading.state).max_by_key(|state| rank(*state)).unwrap_or(ReadingState::Ok))
}

/// The word for a device's judgement.
pub fn health(state: ReadingState) -> &'static str {
    match state {
        ReadingState::Ok => "OK",
        ReadingState::Warning => "Warning",
        ReadingState::Critical => "Critical",
    }
}

/// Limits as the legacy resources name them; `round`: as whole numbers, which fans need.
pub fn legacy_thresholds(o: &mut Doc, t: &Thresholds, round: bool) {
    for (key, value) in [
        ("LowerThresholdNonCritical", t.lower_non_critical),
        ("LowerThresholdCritical", t.lower_critical),
        ("LowerThresholdFatal", t.lower_fatal),
        ("UpperThresholdNonCritical", t.upper_non_critical),
        ("UpperThresholdCritical", t.upper_critical),
        ("UpperThresholdFatal", t.upper_fatal),
    ] {
        o.opt(key, value.map(|v| if round { v.round() } else { v }));
    }
}

/// `PhysicalContext` words of the schema; anything else that a driver says is left out.
pub fn context(reading: &Reading) -> Option<&str> {
    const WORDS: &[&str] = &[
        "Room",
        "Intake",
        "Exhaust",
        "Front",
        "Back",
        "Upper",
        "Lower",
        "CPU",
        "CPUSubsystem",
        "GPU",
        "GPUSubsystem",
        "Backplane",
        "SystemBoard",
        "PowerSupply",
        "PowerSubsystem",
        "VoltageRegulator",
        "StorageDevice",
        "StorageSubsystem",
        "NetworkingDevice",
        "ComputeBay",
        "StorageBay",
        "NetworkBay",
        "ExpansionBay",
        "PowerSupplyBay",
        "Memory",
        "MemorySubsystem",
        "Chassis",
        "Fan",
        "CoolingSubsystem",
        "Board",
        "ACInput",
        "PowerOutlet",
        "Battery",
        "Manager",
    ];
    reading.context.as_deref().filter(|c| WORDS.contains(c))
}
