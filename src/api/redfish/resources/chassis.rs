//! Chassis: each node has one of its own (named like the node; its sensors live there), within the chassis that it
//! is configured to sit in.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    assembly, collection, environment_metrics, managers, power, power_subsystem, readings, sensors, systems,
    thermal_subsystem,
};
use crate::fleet::{ChassisView, NodeView};

/// The collection.
pub const URI: &str = "/redfish/v1/Chassis";

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "ChassisCollection",
    version: "",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "Racks and enclosures, and each node's own chassis.",
    queries: Queries::Collection,
};

/// A chassis.
pub static CHASSIS: Resource = Resource {
    schema: "Chassis",
    version: "v1_28_0",
    uris: &["/redfish/v1/Chassis/{chassis}"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "A node's own chassis with its sensors, or an enclosure of nodes.",
    queries: Queries::Single,
};

/// The URI of a chassis, or of a node's own.
pub fn uri(id: &str) -> String {
    [URI, "/", id].concat()
}

/// The node whose own chassis the path names, with fresh sensors on their way.
pub fn node_of(call: &Call<'_>) -> Result<NodeView, Error> {
    call.face.fleet.node_with_sensors(call.actor, call.param(0)).ok_or_else(|| call.not_found())
}

#[allow(clippy::unnecessary_wraps)]
fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let racks = if call.door.is_some() { Vec::new() } else { call.face.fleet.chassis_list(call.actor) };
    let nodes = call.face.fleet.nodes(call.actor);
    // Nodes first: clients that take the first member find one with sensors.
    let names: Vec<&str> = nodes.iter().map(AsRef::as_ref).chain(racks.iter().map(|c| c.id.as_str())).collect();
    Ok(collection(call, "Chassis", URI, names.iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    if let Some(rack) = call.face.fleet.chassis(call.actor, call.param(0)) {
        return Ok(Reply::ok(enclosure(&rack)));
    }
    Ok(Reply::ok(own(&node_of(call)?, call.door.is_none())))
}

/// An enclosure of nodes.
fn enclosure(rack: &ChassisView) -> Doc {
    let config = &rack.config;
    let mut doc = Doc::resource(&CHASSIS, &uri(rack.id.as_str()));
    doc.set("Id", rack.id.as_str())
        .set("Name", rack.id.as_str())
        .opt("Description", config.description.as_deref())
        .set("ChassisType", config.kind.as_str())
        .set("UUID", rack.uuid)
        .opt("Manufacturer", config.manufacturer.as_deref())
        .opt("Model", config.model.as_deref())
        .opt("SerialNumber", config.serial.as_deref());
    doc.obj("Status", |o| {
        o.set("State", "Enabled").set("Health", "OK");
    });
    doc.obj("Links", |o| {
        o.links("Contains", rack.nodes.iter().map(|n| uri(n.as_str())));
        o.links("ManagedBy", [managers::uri(managers::OURSELVES)]);
    });
    doc
}

/// A node's own chassis. `racks`: enclosures of nodes are there too.
fn own(node: &NodeView, racks: bool) -> Doc {
    let id = node.id.as_str();
    let uri = uri(id);
    let facts = node.facts();
    let told = node.inventory.as_ref().map(|i| i.value.as_ref());
    let mut doc = Doc::resource(&CHASSIS, &uri);
    doc.set("Id", id)
        .set("Name", id)
        .set("ChassisType", "RackMount")
        // Ironic names a chassis' light by its UUID.
        .set("UUID", uuid::Uuid::new_v5(&node.uuid, b"chassis"))
        .opt("Manufacturer", facts.manufacturer.as_deref().or(told.and_then(|i| i.manufacturer.as_deref())))
        .opt("Model", facts.model.as_deref().or(told.and_then(|i| i.model.as_deref())))
        .opt("PartNumber", told.and_then(|i| i.chassis_part_number.as_deref()))
        .opt("SerialNumber", told.and_then(|i| i.chassis_serial.as_deref()).or(facts.serial.as_deref()))
        .set("PowerState", node.power.as_ref().map(|p| p.value.as_str()));
    doc.obj("Status", |o| {
        o.set("State", if node.power.is_some() { "Enabled" } else { "UnavailableOffline" })
            .set("Health", if node.trouble.is_some() { "Warning" } else { "OK" });
    });
    if let Some(slot) = node.config.slot {
        doc.obj("Location", |o| {
            o.obj("PartLocation", |o| {
                o.set("LocationType", "Slot").set("LocationOrdinalValue", slot);
            });
        });
    }
    if let Some(assembly) = assembly::uri(node) {
        doc.link("Assembly", &assembly);
    }
    if readings::all(node).next().is_some() {
        doc.link("Sensors", &sensors::collection_uri(id));
    }
    if readings::has_thermal(node) {
        doc.link("Thermal", &format!("{uri}/Thermal"));
        doc.link("ThermalSubsystem", &thermal_subsystem::uri(id));
    }
    if readings::has_power(node) {
        doc.link("Power", &format!("{uri}/Power"));
    }
    if !node.feeds.is_empty() {
        doc.link("PowerSubsystem", &power_subsystem::uri(id));
    }
    if power::has_meter(node) {
        doc.link("EnvironmentMetrics", &environment_metrics::uri(id));
    }
    doc.obj("Links", |o| {
        o.links("ComputerSystems", [systems::uri(id)]);
        o.links("ManagedBy", [managers::uri(managers::id_of(&node.manager))]);
        if let Some(rack) = node.config.chassis.as_ref().filter(|_| racks) {
            o.link("ContainedBy", &self::uri(rack.as_str()));
        }
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
    fn a_node_sits_in_its_rack() {
        let v: Value = serde_json::from_slice(&own(&samples::ipmi_node(), true).finish().bytes).unwrap();
        assert_eq!(v["Links"]["ContainedBy"]["@odata.id"], "/redfish/v1/Chassis/rack1");
        assert_eq!(v["Thermal"]["@odata.id"], "/redfish/v1/Chassis/node-01/Thermal");
        assert_eq!(v["ChassisType"], "RackMount");
        let v: Value = serde_json::from_slice(&own(&samples::pdu_node(), true).finish().bytes).unwrap();
        assert_eq!(v["Thermal"], Value::Null);
        assert_eq!(v["Links"]["ManagedBy"][0]["@odata.id"], "/redfish/v1/Managers/rackfish");
    }
}
