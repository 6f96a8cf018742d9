//! The legacy Thermal resource: what Ironic reads. Deprecated by DMTF in favour of ThermalSubsystem and Sensors; the
//! numbers are the same. Every member has a `MemberId`: one fan without it loses Ironic all fans and temperatures.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    chassis,
    readings::{self, Named},
};
use crate::{fleet::NodeView, model::Measure};

/// The resource.
pub static THERMAL: Resource = Resource {
    schema: "Thermal",
    version: "v1_7_3",
    uris: &["/redfish/v1/Chassis/{chassis}/Thermal"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "Temperatures and fans of a node, as Ironic reads them.",
    queries: Queries::Single,
};

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let node = chassis::node_of(call)?;
    if !readings::has_thermal(&node) {
        return Err(call.not_found());
    }
    Ok(Reply::ok(render(&node)))
}

fn render(node: &NodeView) -> Doc {
    let uri = format!("{}/Thermal", chassis::uri(node.id.as_str()));
    let mut doc = Doc::resource(&THERMAL, &uri);
    doc.set("Id", "Thermal").set("Name", "Temperatures and fans");
    doc.arr("Temperatures", |a| {
        for (index, named) in readings::all(node).filter(|n| n.reading.measure == Measure::Temperature).enumerate() {
            a.item_obj(|o| temperature(o, &uri, index, &named));
        }
    });
    doc.arr("Fans", |a| {
        let fans = |n: &Named<'_>| matches!(n.reading.measure, Measure::FanRpm | Measure::FanPercent);
        for (index, named) in readings::all(node).filter(fans).enumerate() {
            a.item_obj(|o| fan(o, &uri, index, &named));
        }
    });
    doc
}

fn identity(o: &mut Doc, uri: &str, array: &str, index: usize, named: &Named<'_>) {
    // The array index: what the schema's validator wants of embedded members.
    o.set("@odata.id", format!("{uri}#/{array}/{index}"))
        .set("MemberId", index.to_string())
        .set("Name", &named.reading.name)
        .opt("SensorNumber", named.reading.number)
        .opt("PhysicalContext", readings::context(named.reading));
}

fn temperature(o: &mut Doc, uri: &str, index: usize, named: &Named<'_>) {
    let r = named.reading;
    identity(o, uri, "Temperatures", index, named);
    readings::legacy_thresholds(o, &r.thresholds, false);
    o.opt("MinReadingRangeTemp", r.range.map(|x| x.0)).opt("MaxReadingRangeTemp", r.range.map(|x| x.1));
    readings::status(o, r);
    o.volatile(|o| {
        o.set("ReadingCelsius", r.value);
    });
}

fn fan(o: &mut Doc, uri: &str, index: usize, named: &Named<'_>) {
    let r = named.reading;
    identity(o, uri, "Fans", index, named);
    // Whole numbers: Ironic's client reads them with int().
    o.set("ReadingUnits", if r.measure == Measure::FanRpm { "RPM" } else { "Percent" });
    readings::legacy_thresholds(o, &r.thresholds, true);
    o.opt("MinReadingRange", r.range.map(|x| x.0.round())).opt("MaxReadingRange", r.range.map(|x| x.1.round()));
    readings::status(o, r);
    o.volatile(|o| {
        o.set("Reading", r.value.map(f64::round));
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::redfish::resources::samples;

    #[test]
    fn every_member_has_a_member_id_and_whole_fan_speeds() {
        let body = render(&samples::ipmi_node()).finish();
        let value: Value = serde_json::from_slice(&body.bytes).unwrap();
        for array in ["Temperatures", "Fans"] {
            for (index, member) in value[array].as_array().unwrap().iter().enumerate() {
                assert_eq!(member["MemberId"], index.to_string());
                assert_eq!(member["@odata.id"], format!("/redfish/v1/Chassis/node-01/Thermal#/{array}/{index}"));
            }
        }
        assert_eq!(value["Temperatures"][0]["ReadingCelsius"], 41.5);
        assert_eq!(value["Fans"][0]["Reading"], 5401);
        assert_eq!(value["Fans"][0]["LowerThresholdCritical"], 601);
    }

    #[test]
    fn a_node_behind_a_pdu_has_none() {
        assert!(!readings::has_thermal(&samples::pdu_node()));
    }
}
