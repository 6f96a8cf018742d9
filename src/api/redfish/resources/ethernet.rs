//! Network interfaces of a node, from configured MAC addresses. Without one there are none, and Ironic can't inspect
//! the node.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    collection, systems,
};

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "EthernetInterfaceCollection",
    version: "",
    uris: &["/redfish/v1/Systems/{system}/EthernetInterfaces"],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "Network interfaces whose MAC addresses are configured.",
    queries: Queries::Collection,
};

/// An interface.
pub static INTERFACE: Resource = Resource {
    schema: "EthernetInterface",
    version: "v1_12_4",
    uris: &["/redfish/v1/Systems/{system}/EthernetInterfaces/{interface}"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "A network interface: its MAC address.",
    queries: Queries::Single,
};

/// The URI of a node's collection.
pub fn collection_uri(node: &str) -> String {
    [systems::URI, "/", node, "/EthernetInterfaces"].concat()
}

fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let node = systems::node(call)?;
    let macs = &node.facts().macs;
    if macs.is_empty() {
        return Err(call.not_found());
    }
    let names: Vec<_> = (1..=macs.len()).map(|n| format!("nic{n}")).collect();
    Ok(collection(call, "Network interfaces", &collection_uri(node.id.as_str()), names.iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let node = systems::node(call)?;
    let named = |(index, _): &(usize, &String)| call.param(1) == format!("nic{}", index + 1);
    let (index, mac) = node.facts().macs.iter().enumerate().find(named).ok_or_else(|| call.not_found())?;
    let id = format!("nic{}", index + 1);
    let mut doc = Doc::resource(&INTERFACE, &format!("{}/{id}", collection_uri(node.id.as_str())));
    doc.set("Id", &id)
        .set("Name", format!("Network interface {}", index + 1))
        .set("MACAddress", mac)
        .set("PermanentMACAddress", mac)
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        });
    Ok(Reply::ok(doc))
}
