//! Feeds as newer clients read them: PowerSubsystem, and a PowerSupply with its metrics for each feed. The numbers are
//! those of the Sensors and of the legacy Power resource.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    chassis, collection, power, readings,
};
use crate::{
    fleet::{FeedView, NodeView},
    model::Measure,
};

/// The subsystem.
pub static SUBSYSTEM: Resource = Resource {
    schema: "PowerSubsystem",
    version: "v1_1_3",
    uris: &["/redfish/v1/Chassis/{chassis}/PowerSubsystem"],
    verbs: &[Verb::get(LOGIN, subsystem)],
    summary: "What feeds a node.",
    queries: Queries::Single,
};

/// The supplies.
pub static SUPPLIES: Resource = Resource {
    schema: "PowerSupplyCollection",
    version: "",
    uris: &["/redfish/v1/Chassis/{chassis}/PowerSubsystem/PowerSupplies"],
    verbs: &[Verb::get(LOGIN, supplies)],
    summary: "Feeds of a node, each as a supply.",
    queries: Queries::Collection,
};

/// A supply.
pub static SUPPLY: Resource = Resource {
    schema: "PowerSupply",
    version: "v1_6_0",
    uris: &["/redfish/v1/Chassis/{chassis}/PowerSubsystem/PowerSupplies/{supply}"],
    verbs: &[Verb::get(LOGIN, supply)],
    summary: "A feed: whether its outlet is on.",
    queries: Queries::Single,
};

/// What a supply takes.
pub static METRICS: Resource = Resource {
    schema: "PowerSupplyMetrics",
    version: "v1_2_0",
    uris: &["/redfish/v1/Chassis/{chassis}/PowerSubsystem/PowerSupplies/{supply}/Metrics"],
    verbs: &[Verb::get(LOGIN, metrics)],
    summary: "What the outlet of a feed measures.",
    queries: Queries::Single,
};

/// Properties of the metrics, and what they measure.
const MEASURED: [(&str, Measure); 4] = [
    ("InputVoltage", Measure::Voltage),
    ("InputCurrentAmps", Measure::Current),
    ("InputPowerWatts", Measure::Power),
    ("EnergykWh", Measure::Energy),
];

/// The URI of a node's subsystem.
pub fn uri(node: &str) -> String {
    format!("{}/PowerSubsystem", chassis::uri(node))
}

fn node_of(call: &Call<'_>) -> Result<NodeView, Error> {
    let node = chassis::node_of(call)?;
    if node.feeds.is_empty() { Err(call.not_found()) } else { Ok(node) }
}

fn find(call: &Call<'_>) -> Result<(NodeView, usize), Error> {
    let node = node_of(call)?;
    let index = call.param(1).parse::<usize>().ok().filter(|index| *index < node.feeds.len());
    index.map(|index| (node, index)).ok_or_else(|| call.not_found())
}

fn subsystem(call: &Call<'_>) -> Result<Reply, Error> {
    let node = node_of(call)?;
    let uri = uri(node.id.as_str());
    let mut doc = Doc::resource(&SUBSYSTEM, &uri);
    doc.set("Id", "PowerSubsystem").set("Name", "Feeds").obj("Status", |o| {
        o.set("State", "Enabled");
    });
    doc.link("PowerSupplies", &format!("{uri}/PowerSupplies"));
    Ok(Reply::ok(doc))
}

fn supplies(call: &Call<'_>) -> Result<Reply, Error> {
    let node = node_of(call)?;
    let ids: Vec<_> = (0..node.feeds.len()).map(|index| index.to_string()).collect();
    Ok(collection(call, "Feeds", &format!("{}/PowerSupplies", uri(node.id.as_str())), ids.iter()))
}

fn supply(call: &Call<'_>) -> Result<Reply, Error> {
    let (node, index) = find(call)?;
    let feed = node.feeds.get(index).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(render(&node, index, feed)))
}

fn supply_uri(node: &NodeView, index: usize) -> String {
    format!("{}/PowerSupplies/{index}", uri(node.id.as_str()))
}

fn is_metered(node: &NodeView, feed: &FeedView) -> bool {
    readings::all(node)
        .any(|named| *named.unit == feed.unit && MEASURED.iter().any(|(_, m)| *m == named.reading.measure))
}

fn render(node: &NodeView, index: usize, feed: &FeedView) -> Doc {
    let uri = supply_uri(node, index);
    let mut doc = Doc::resource(&SUPPLY, &uri);
    doc.set("Id", index.to_string()).set("Name", power::feed_name(feed));
    power::feed_status(&mut doc, feed);
    if is_metered(node, feed) {
        doc.link("Metrics", &format!("{uri}/Metrics"));
    }
    doc
}

fn metrics(call: &Call<'_>) -> Result<Reply, Error> {
    let (node, index) = find(call)?;
    let feed = node.feeds.get(index).filter(|feed| is_metered(&node, feed)).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(render_metrics(&node, index, feed)))
}

fn render_metrics(node: &NodeView, index: usize, feed: &FeedView) -> Doc {
    let mut doc = Doc::resource(&METRICS, &format!("{}/Metrics", supply_uri(node, index)));
    doc.set("Id", "Metrics").set("Name", format!("What {} measures", power::feed_name(feed)));
    for (key, measure) in MEASURED {
        let of_feed = |named: &readings::Named<'_>| *named.unit == feed.unit && named.reading.measure == measure;
        if let Some(named) = readings::all(node).find(of_feed) {
            doc.obj(key, |o| readings::excerpt(o, node.id.as_str(), &named));
        }
    }
    doc
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::redfish::resources::samples;

    #[test]
    fn a_feed_shows_what_its_outlet_does() {
        let node = samples::pdu_node();
        let value = |doc: Doc| serde_json::from_slice::<Value>(&doc.finish().bytes).unwrap();
        let first = value(render(&node, 0, &node.feeds[0]));
        assert_eq!(first["Status"]["State"], "Enabled");
        assert_eq!(value(render(&node, 1, &node.feeds[1]))["Status"]["State"], "Disabled");
        let metrics = value(render_metrics(&node, 0, &node.feeds[0]));
        assert_eq!(first["Metrics"]["@odata.id"], metrics["@odata.id"]);
        assert_eq!(metrics["InputPowerWatts"]["Reading"], 80.0);
        assert_eq!(metrics["InputVoltage"]["Reading"], 231.0);
    }
}
