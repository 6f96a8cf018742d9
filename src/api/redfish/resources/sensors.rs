//! Sensors of a node's chassis: every reading, whatever it measures.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    chassis, collection,
    readings::{self, Named},
};
use crate::model::{Measure, Thresholds};

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "SensorCollection",
    version: "",
    uris: &["/redfish/v1/Chassis/{chassis}/Sensors"],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "Readings of a node: of its BMC, of its sensor units, of its metered feeds.",
    queries: Queries::Collection,
};

/// A sensor.
pub static SENSOR: Resource = Resource {
    schema: "Sensor",
    version: "v1_12_0",
    uris: &["/redfish/v1/Chassis/{chassis}/Sensors/{sensor}"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "A reading with its limits.",
    queries: Queries::Single,
};

/// The URI of a node's collection.
pub fn collection_uri(node: &str) -> String {
    format!("{}/Sensors", chassis::uri(node))
}

fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let node = chassis::node_of(call)?;
    let ids: Vec<_> = readings::all(&node).map(|n| n.id).collect();
    if ids.is_empty() {
        return Err(call.not_found());
    }
    Ok(collection(call, "Sensors", &collection_uri(node.id.as_str()), ids.iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let node = chassis::node_of(call)?;
    let named = readings::all(&node).find(|n| n.id == call.param(1)).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(render(node.id.as_str(), &named)))
}

/// `ReadingType` (Sensor schema); nothing for what it has no word for.
fn kind(measure: Measure) -> Option<&'static str> {
    Some(match measure {
        Measure::Temperature => "Temperature",
        Measure::FanRpm => "Rotational",
        Measure::FanPercent => "Percent",
        Measure::Voltage => "Voltage",
        Measure::Current => "Current",
        Measure::Power => "Power",
        Measure::Energy => "EnergykWh",
        Measure::Frequency => "Frequency",
        Measure::Humidity => "Humidity",
        Measure::ApparentPower | Measure::PowerFactor | Measure::Other => return None,
    })
}

fn thresholds(o: &mut Doc, t: &Thresholds) {
    for (key, value) in [
        ("LowerCaution", t.lower_non_critical),
        ("LowerCritical", t.lower_critical),
        ("LowerFatal", t.lower_fatal),
        ("UpperCaution", t.upper_non_critical),
        ("UpperCritical", t.upper_critical),
        ("UpperFatal", t.upper_fatal),
    ] {
        if let Some(value) = value {
            o.obj(key, |o| {
                o.set("Reading", value);
            });
        }
    }
}

fn render(node: &str, named: &Named<'_>) -> Doc {
    let reading = named.reading;
    let mut doc = Doc::resource(&SENSOR, &readings::sensor_uri(node, named));
    doc.set("Id", named.id.as_ref())
        .set("Name", &reading.name)
        .opt("ReadingType", kind(reading.measure))
        .set("ReadingUnits", reading.measure.ucum())
        .opt("PhysicalContext", readings::context(reading))
        .opt("ReadingRangeMin", reading.range.map(|r| r.0))
        .opt("ReadingRangeMax", reading.range.map(|r| r.1))
        .set("Implementation", "PhysicalSensor");
    if reading.thresholds != Thresholds::default() {
        doc.obj("Thresholds", |o| thresholds(o, &reading.thresholds));
    }
    readings::status(&mut doc, reading);
    doc.volatile(|o| {
        o.set("Reading", reading.value).set("ReadingTime", named.at);
    });
    doc
}
