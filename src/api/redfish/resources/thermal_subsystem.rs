//! Temperatures and fans as newer clients read them: ThermalSubsystem, ThermalMetrics and Fans. The numbers are those of
//! the Sensors, which each excerpt names.

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
use crate::{fleet::NodeView, model::Measure};

/// The subsystem.
pub static SUBSYSTEM: Resource = Resource {
    schema: "ThermalSubsystem",
    version: "v1_5_0",
    uris: &["/redfish/v1/Chassis/{chassis}/ThermalSubsystem"],
    verbs: &[Verb::get(LOGIN, subsystem)],
    summary: "What of a node's cooling is measured.",
    queries: Queries::Single,
};

/// Temperatures.
pub static METRICS: Resource = Resource {
    schema: "ThermalMetrics",
    version: "v1_3_2",
    uris: &["/redfish/v1/Chassis/{chassis}/ThermalSubsystem/ThermalMetrics"],
    verbs: &[Verb::get(LOGIN, metrics)],
    summary: "Temperatures of a node, each with its sensor.",
    queries: Queries::Single,
};

/// Fans.
pub static FANS: Resource = Resource {
    schema: "FanCollection",
    version: "",
    uris: &["/redfish/v1/Chassis/{chassis}/ThermalSubsystem/Fans"],
    verbs: &[Verb::get(LOGIN, fans)],
    summary: "Fans of a node.",
    queries: Queries::Collection,
};

/// A fan.
pub static FAN: Resource = Resource {
    schema: "Fan",
    version: "v1_6_0",
    uris: &["/redfish/v1/Chassis/{chassis}/ThermalSubsystem/Fans/{fan}"],
    verbs: &[Verb::get(LOGIN, fan)],
    summary: "A fan: its speed.",
    queries: Queries::Single,
};

/// The URI of a node's subsystem.
pub fn uri(node: &str) -> String {
    format!("{}/ThermalSubsystem", chassis::uri(node))
}

fn temperatures(node: &NodeView) -> impl Iterator<Item = Named<'_>> {
    readings::all(node).filter(|named| named.reading.measure == Measure::Temperature)
}

fn turning(node: &NodeView) -> impl Iterator<Item = Named<'_>> {
    readings::all(node).filter(|named| matches!(named.reading.measure, Measure::FanRpm | Measure::FanPercent))
}

fn node_of(call: &Call<'_>) -> Result<NodeView, Error> {
    let node = chassis::node_of(call)?;
    if readings::has_thermal(&node) { Ok(node) } else { Err(call.not_found()) }
}

fn subsystem(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::ok(render(&node_of(call)?)))
}

fn render(node: &NodeView) -> Doc {
    let uri = uri(node.id.as_str());
    let mut doc = Doc::resource(&SUBSYSTEM, &uri);
    doc.set("Id", "ThermalSubsystem").set("Name", "Cooling").obj("Status", |o| {
        o.set("State", "Enabled")
            .set("Health", readings::worst(readings::all(node).filter(|n| readings::is_thermal(n.reading.measure))));
    });
    if temperatures(node).next().is_some() {
        doc.link("ThermalMetrics", &format!("{uri}/ThermalMetrics"));
    }
    if turning(node).next().is_some() {
        doc.link("Fans", &format!("{uri}/Fans"));
    }
    doc
}

fn metrics(call: &Call<'_>) -> Result<Reply, Error> {
    let node = node_of(call)?;
    if temperatures(&node).next().is_none() {
        return Err(call.not_found());
    }
    Ok(Reply::ok(render_metrics(&node)))
}

fn render_metrics(node: &NodeView) -> Doc {
    let id = node.id.as_str();
    let mut doc = Doc::resource(&METRICS, &format!("{}/ThermalMetrics", uri(id)));
    doc.set("Id", "ThermalMetrics")
        .set("Name", "Temperatures")
        .set("TemperatureReadingsCelsius@odata.count", temperatures(node).count())
        .arr("TemperatureReadingsCelsius", |a| {
            for named in temperatures(node) {
                a.item_obj(|o| {
                    o.set("DeviceName", &named.reading.name);
                    readings::excerpt(o, id, &named);
                });
            }
        });
    doc
}

fn fans(call: &Call<'_>) -> Result<Reply, Error> {
    let node = node_of(call)?;
    let ids: Vec<_> = turning(&node).map(|named| named.id).collect();
    if ids.is_empty() {
        return Err(call.not_found());
    }
    Ok(collection(call, "Fans", &format!("{}/Fans", uri(node.id.as_str())), ids.iter()))
}

fn fan(call: &Call<'_>) -> Result<Reply, Error> {
    let node = node_of(call)?;
    let named = turning(&node).find(|named| named.id == call.param(1)).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(render_fan(node.id.as_str(), &named)))
}

fn render_fan(node: &str, named: &Named<'_>) -> Doc {
    let mut doc = Doc::resource(&FAN, &format!("{}/Fans/{}", uri(node), named.id));
    doc.set("Id", named.id.as_ref())
        .set("Name", &named.reading.name)
        .opt("PhysicalContext", readings::context(named.reading));
    readings::status(&mut doc, named.reading);
    doc.obj("SpeedPercent", |o| {
        o.set("DataSourceUri", readings::sensor_uri(node, named));
        o.volatile(|o| {
            // A speed in turns alone says nothing of percents.
            let key = if named.reading.measure == Measure::FanRpm { "SpeedRPM" } else { "Reading" };
            o.set(key, named.reading.value);
        });
    });
    doc
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::redfish::resources::samples;

    fn value(doc: Doc) -> Value {
        serde_json::from_slice(&doc.finish().bytes).unwrap()
    }

    #[test]
    fn the_numbers_are_those_of_the_sensors() {
        let node = samples::ipmi_node();
        let metrics = value(render_metrics(&node));
        let first = &metrics["TemperatureReadingsCelsius"][0];
        assert_eq!(first["Reading"], 41.5);
        let sensor = temperatures(&node).next().unwrap();
        assert_eq!(first["DataSourceUri"], format!("/redfish/v1/Chassis/node-01/Sensors/{}", sensor.id));
        let named = turning(&node).next().unwrap();
        let fan = value(render_fan("node-01", &named));
        assert_eq!(fan["SpeedPercent"]["SpeedRPM"].as_f64(), named.reading.value);
        assert_eq!(fan["SpeedPercent"]["Reading"], Value::Null);
        assert_eq!(value(render(&node))["Fans"]["@odata.id"], "/redfish/v1/Chassis/node-01/ThermalSubsystem/Fans");
    }
}
