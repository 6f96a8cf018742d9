//! What a node's chassis is put together of, as its controller's FRU data tell it: board and enclosure. Only what was
//! read: nothing where nothing was. The machine as a product is the System itself.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    chassis,
};
use crate::{fleet::NodeView, model::Inventory};

/// The assembly.
pub static ASSEMBLY: Resource = Resource {
    schema: "Assembly",
    version: "v1_6_1",
    uris: &["/redfish/v1/Chassis/{chassis}/Assembly"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "Board and enclosure of a node, as its controller tells (FRU).",
    queries: Queries::Single,
};

/// A part: its name, what it is in the schema's words, and its properties.
struct Part<'i> {
    name: &'static str,
    context: &'static str,
    properties: [(&'static str, Option<&'i str>); 4],
}

fn part<'i>(name: &'static str, context: &'static str, told: [&'i Option<String>; 4]) -> Part<'i> {
    let [producer, model, number, serial] = told.map(Option::as_deref);
    let properties = [("Producer", producer), ("Model", model), ("PartNumber", number), ("SerialNumber", serial)];
    Part { name, context, properties }
}

/// The parts of which anything is known.
fn parts(read: &Inventory) -> Vec<Part<'_>> {
    let board = [&read.board_manufacturer, &read.board_product, &None, &read.board_serial];
    let chassis = [&None, &None, &read.chassis_part_number, &read.chassis_serial];
    let all = [part("Board", "SystemBoard", board), part("Enclosure", "Chassis", chassis)];
    all.into_iter().filter(|part| part.properties.iter().any(|(_, value)| value.is_some())).collect()
}

fn read(node: &NodeView) -> Vec<Part<'_>> {
    node.inventory.as_ref().map(|inventory| parts(&inventory.value)).unwrap_or_default()
}

/// The URI of a node's, if there is anything in it.
pub fn uri(node: &NodeView) -> Option<String> {
    (!read(node).is_empty()).then(|| format!("{}/Assembly", chassis::uri(node.id.as_str())))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let node = chassis::node_of(call)?;
    let uri = uri(&node).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(render(&uri, &read(&node))))
}

fn render(uri: &str, parts: &[Part<'_>]) -> Doc {
    let mut doc = Doc::resource(&ASSEMBLY, uri);
    doc.set("Id", "Assembly").set("Name", "Parts of the chassis").arr("Assemblies", |a| {
        for (index, part) in parts.iter().enumerate() {
            a.item_obj(|o| {
                o.set("@odata.id", format!("{uri}#/Assemblies/{index}"))
                    .set("MemberId", index.to_string())
                    .set("Name", part.name)
                    .set("PhysicalContext", part.context);
                for (key, value) in part.properties {
                    o.opt(key, value);
                }
            });
        }
    });
    doc
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_was_read_is_told_and_nothing_else() {
        let some = |text: &str| Some(text.to_owned());
        let inventory = Inventory { board_product: some("X11"), board_serial: some("B1"), ..Inventory::default() };
        let v: Value = serde_json::from_slice(&render("/a", &parts(&inventory)).finish().bytes).unwrap();
        let board = json!({"@odata.id": "/a#/Assemblies/0", "MemberId": "0", "Name": "Board",
                           "PhysicalContext": "SystemBoard", "Model": "X11", "SerialNumber": "B1"});
        assert_eq!(v["Assemblies"], json!([board]));
        let both = Inventory { chassis_serial: some("C1"), ..inventory };
        assert_eq!(parts(&both).len(), 2);
        assert!(parts(&Inventory { model: some("a product is no part"), ..Inventory::default() }).is_empty());
    }
}
