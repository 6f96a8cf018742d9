//! What a node takes in all: EnvironmentMetrics of its chassis. The number is that of the legacy Power resource.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    chassis, power, readings,
};
use crate::fleet::NodeView;

/// The resource.
pub static METRICS: Resource = Resource {
    schema: "EnvironmentMetrics",
    version: "v1_5_0",
    uris: &["/redfish/v1/Chassis/{chassis}/EnvironmentMetrics"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "What a node consumes in all.",
    queries: Queries::Single,
};

/// The URI of a node's metrics.
pub fn uri(node: &str) -> String {
    format!("{}/EnvironmentMetrics", chassis::uri(node))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let node = chassis::node_of(call)?;
    if !power::has_meter(&node) {
        return Err(call.not_found());
    }
    Ok(Reply::ok(render(&node)))
}

fn render(node: &NodeView) -> Doc {
    let id = node.id.as_str();
    let mut doc = Doc::resource(&METRICS, &uri(id));
    doc.set("Id", "EnvironmentMetrics").set("Name", "Consumption").obj("PowerWatts", |o| {
        // A sum of several feeds has no sensor of its own.
        if let Some(named) = power::meter(node) {
            o.set("DataSourceUri", readings::sensor_uri(id, &named));
        }
        o.volatile(|o| {
            o.set("Reading", power::consumption(node));
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

    #[test]
    fn the_host_s_meter_wins_and_feeds_are_summed() {
        let value = |node: &NodeView| serde_json::from_slice::<Value>(&render(node).finish().bytes).unwrap();
        let one = value(&samples::ipmi_node());
        assert_eq!(one["PowerWatts"]["Reading"], 210.0);
        assert!(
            one["PowerWatts"]["DataSourceUri"].as_str().unwrap().starts_with("/redfish/v1/Chassis/node-01/Sensors/")
        );
        let summed = value(&samples::pdu_node());
        assert_eq!(summed["PowerWatts"]["Reading"], 120.5);
        assert_eq!(summed["PowerWatts"]["DataSourceUri"], Value::Null);
    }
}
