//! The legacy Power resource: what Ironic reads. Deprecated by DMTF in favour of PowerSubsystem and Sensors; the
//! numbers are the same.
//!
//! A node's feeds are its power supplies' inputs: each feed is a PowerSupply whose input is what its outlet measures.

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
use crate::{
    fleet::{FeedView, NodeView},
    model::Measure,
};

/// The resource.
pub static POWER: Resource = Resource {
    schema: "Power",
    version: "v1_7_3",
    uris: &["/redfish/v1/Chassis/{chassis}/Power"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "Consumption, voltages and feeds of a node, as Ironic reads them.",
    queries: Queries::Single,
};

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let node = chassis::node_of(call)?;
    if !readings::has_power(&node) {
        return Err(call.not_found());
    }
    Ok(Reply::ok(render(&node)))
}

/// What the node consumes: what its host measures, else the sum of its metered feeds (all of them have to be).
pub fn consumption(node: &NodeView) -> Option<f64> {
    match meter(node) {
        Some(meter) => meter.reading.value,
        None => node.feeds.iter().map(|f| measured(node, f, Measure::Power)).sum(),
    }
}

/// The one reading that is a node's consumption; `None`: that of its feeds is summed.
pub fn meter(node: &NodeView) -> Option<Named<'_>> {
    let watts = |n: &Named<'_>| n.reading.measure == Measure::Power;
    let host = node.config.host.as_ref();
    let own = readings::all(node).find(|n| watts(n) && Some(n.unit) == host);
    own.or_else(|| readings::all(node).find(watts).filter(|_| node.feeds.is_empty()))
}

fn measured(node: &NodeView, feed: &FeedView, measure: Measure) -> Option<f64> {
    readings::all(node).find(|n| *n.unit == feed.unit && n.reading.measure == measure)?.reading.value
}

/// Whether anything of its consumption is measured.
pub fn has_meter(node: &NodeView) -> bool {
    readings::all(node).any(|n| n.reading.measure == Measure::Power)
}

fn render(node: &NodeView) -> Doc {
    let uri = format!("{}/Power", chassis::uri(node.id.as_str()));
    let mut doc = Doc::resource(&POWER, &uri);
    doc.set("Id", "Power").set("Name", "Power");
    if has_meter(node) {
        doc.arr("PowerControl", |a| {
            a.item_obj(|o| {
                o.set("@odata.id", format!("{uri}#/PowerControl/0"))
                    .set("MemberId", "0")
                    .set("Name", "Consumption")
                    .set("PhysicalContext", "Chassis");
                o.volatile(|o| {
                    let watts = consumption(node);
                    o.set("PowerConsumedWatts", watts).obj("Status", |o| {
                        o.set("State", if watts.is_some() { "Enabled" } else { "UnavailableOffline" });
                    });
                });
            });
        });
    }
    doc.arr("Voltages", |a| {
        let own =
            |n: &Named<'_>| n.reading.measure == Measure::Voltage && !node.feeds.iter().any(|f| f.unit == *n.unit);
        for (index, named) in readings::all(node).filter(own).enumerate() {
            a.item_obj(|o| voltage(o, &uri, index, &named));
        }
    });
    doc.arr("PowerSupplies", |a| {
        for (index, feed) in node.feeds.iter().enumerate() {
            a.item_obj(|o| supply(o, &uri, index, node, feed));
        }
    });
    doc
}

fn voltage(o: &mut Doc, uri: &str, index: usize, named: &Named<'_>) {
    let r = named.reading;
    o.set("@odata.id", format!("{uri}#/Voltages/{index}"))
        .set("MemberId", index.to_string())
        .set("Name", &r.name)
        .opt("SensorNumber", r.number)
        .opt("PhysicalContext", readings::context(r));
    readings::legacy_thresholds(o, &r.thresholds, false);
    o.opt("MinReadingRange", r.range.map(|x| x.0)).opt("MaxReadingRange", r.range.map(|x| x.1));
    readings::status(o, r);
    o.volatile(|o| {
        o.set("ReadingVolts", r.value);
    });
}

fn supply(o: &mut Doc, uri: &str, index: usize, node: &NodeView, feed: &FeedView) {
    o.set("@odata.id", format!("{uri}#/PowerSupplies/{index}"))
        .set("MemberId", index.to_string())
        .set("Name", feed_name(feed));
    feed_status(o, feed);
    o.volatile(|o| {
        o.opt("LineInputVoltage", measured(node, feed, Measure::Voltage))
            .opt("PowerInputWatts", measured(node, feed, Measure::Power));
    });
}

/// What people call a feed.
pub fn feed_name(feed: &FeedView) -> String {
    feed.name.as_deref().map_or_else(|| format!("Feed {}", feed.unit), |n| format!("Feed {} ({n})", feed.unit))
}

/// `Status` of a feed: what its outlet does.
pub fn feed_status(o: &mut Doc, feed: &FeedView) {
    let state = match &feed.power {
        _ if !feed.reachable => "UnavailableOffline",
        None => "UnavailableOffline",
        Some(power) if power.value.is_on() => "Enabled",
        Some(_) => "Disabled",
    };
    o.volatile(|o| {
        o.obj("Status", |o| {
            o.set("State", state).set("Health", if feed.reachable { "OK" } else { "Warning" });
        });
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::redfish::resources::samples;

    fn value(node: &NodeView) -> Value {
        serde_json::from_slice(&render(node).finish().bytes).unwrap()
    }

    #[test]
    fn feeds_are_supplies_and_their_watts_add_up() {
        let v = value(&samples::pdu_node());
        assert_eq!(v["PowerSupplies"].as_array().unwrap().len(), 2);
        assert_eq!(v["PowerSupplies"][0]["PowerInputWatts"], 80.0);
        assert_eq!(v["PowerSupplies"][0]["LineInputVoltage"], 231.0);
        assert_eq!(v["PowerSupplies"][1]["Status"]["State"], "Disabled");
        assert_eq!(v["PowerControl"][0]["PowerConsumedWatts"], 120.5);
    }

    #[test]
    fn a_host_that_measures_wins_over_its_feeds() {
        assert_eq!(value(&samples::ipmi_node())["PowerControl"][0]["PowerConsumedWatts"], 210.0);
    }

    #[test]
    fn an_unmetered_feed_leaves_the_sum_unknown() {
        let mut node = samples::pdu_node();
        node.readings.truncate(1);
        assert_eq!(value(&node)["PowerControl"][0]["PowerConsumedWatts"], Value::Null);
        node.readings.clear();
        assert_eq!(value(&node)["PowerControl"], Value::Null);
    }
}
