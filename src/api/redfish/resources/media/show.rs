//! A slot as Redfish writes it.

use super::{EJECT_ACTION, INSERT_ACTION, SLOT, collection_uri};
use crate::{
    api::redfish::doc::Doc,
    model::{ConnectedVia, MediaSlot, TransferMethod, TransferProtocol},
};

/// Writes a slot of a node.
pub fn render(node: &str, slot: &MediaSlot) -> Doc {
    let uri = format!("{}/{}", collection_uri(node), slot.id);
    let mut doc = Doc::resource(&SLOT, &uri);
    doc.set("Id", &slot.id)
        .set("Name", &slot.name)
        .list("MediaTypes", slot.types.iter().map(|kind| kind.as_str()))
        .set("Image", slot.image.as_deref())
        .set("ImageName", slot.image_name.as_deref())
        // Ironic ejects what says that it is inserted, and nothing else.
        .set("Inserted", slot.is_full())
        .opt("WriteProtected", slot.write_protected)
        .opt("ConnectedVia", slot.connected.map(ConnectedVia::as_str))
        .opt("TransferMethod", slot.method.map(TransferMethod::as_str))
        .opt("TransferProtocolType", slot.protocol.map(TransferProtocol::as_str))
        .opt("UserName", slot.user.as_deref());
    if slot.takes || slot.ejects {
        doc.obj("Actions", |o| {
            if slot.takes {
                o.obj("#VirtualMedia.InsertMedia", |o| {
                    o.set("target", format!("{uri}/Actions/{INSERT_ACTION}"));
                    if !slot.protocols.is_empty() {
                        let words = slot.protocols.iter().map(|protocol: &TransferProtocol| protocol.as_str());
                        o.list("TransferProtocolType@Redfish.AllowableValues", words);
                    }
                });
            }
            if slot.ejects {
                o.obj("#VirtualMedia.EjectMedia", |o| {
                    o.set("target", format!("{uri}/Actions/{EJECT_ACTION}"));
                });
            }
        });
    }
    doc
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::tests::full, *};

    fn shown(slot: &MediaSlot) -> Value {
        serde_json::from_slice(&render("n1", slot).finish().bytes).unwrap()
    }

    #[test]
    fn a_slot_says_what_ironic_asks_for() {
        let body = shown(&full());
        for key in ["Id", "Name", "MediaTypes", "Image", "Inserted", "WriteProtected", "ConnectedVia", "Actions"] {
            assert!(!body[key].is_null(), "{key} is missing");
        }
        let at = "/redfish/v1/Systems/n1/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia";
        assert_eq!(body["Actions"]["#VirtualMedia.InsertMedia"], json!({ "target": at }));
        let bare = shown(&MediaSlot { id: "x".to_owned(), ..MediaSlot::default() });
        assert_eq!((&bare["Image"], &bare["Inserted"], bare.get("Actions")), (&Value::Null, &json!(false), None));
    }

    #[test]
    fn protocols_are_listed_where_the_controller_tells() {
        let body = shown(&MediaSlot { protocols: vec![TransferProtocol::Nfs], ..full() });
        let action = &body["Actions"]["#VirtualMedia.InsertMedia"];
        assert_eq!(action["TransferProtocolType@Redfish.AllowableValues"], json!(["NFS"]));
    }
}
