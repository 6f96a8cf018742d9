//! Virtual media of a node whose host has them: what its controller shows, passed through.
//!
//! A GET never waits for a device: it answers with the slots as last read, and has them read again when that is older
//! than a few seconds. An insertion or ejection is answered when the slot shows it. Nothing is kept here.
//!
//! | file | what |
//! | --- | --- |
//! | `read` | requests, judged |
//! | `show` | a slot, written |

mod read;
mod show;

use std::sync::Arc;

use super::{
    super::{
        call::{Call, names_etag},
        descriptor::{COMPONENTS, LOGIN, Method, Queries, Resource, Verb},
        error::{Asked, Error},
        messages as m,
        reply::Reply,
    },
    collection, systems,
};
use crate::{
    fleet::{Layer, NodeView, Op, Precondition, Target},
    model::{MediaInsert, MediaSlot},
};

/// The action that fills a slot.
const INSERT_ACTION: &str = "VirtualMedia.InsertMedia";
/// The action that empties one.
const EJECT_ACTION: &str = "VirtualMedia.EjectMedia";

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "VirtualMediaCollection",
    version: "",
    uris: &["/redfish/v1/Systems/{system}/VirtualMedia"],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "Slots for virtual media of a node whose host has such.",
    queries: Queries::Collection,
};

/// A slot.
pub static SLOT: Resource = Resource {
    schema: "VirtualMedia",
    version: "v1_6_5",
    uris: &["/redfish/v1/Systems/{system}/VirtualMedia/{media}"],
    verbs: &[Verb::get(LOGIN, get), Verb::of(Method::Patch, COMPONENTS, |call| Box::pin(patch(call)))],
    summary: "A slot, and the image that is in it.",
    queries: Queries::Single,
};

/// The action that fills a slot.
pub static INSERT: Resource = Resource {
    schema: INSERT_ACTION,
    version: "",
    uris: &["/redfish/v1/Systems/{system}/VirtualMedia/{media}/Actions/VirtualMedia.InsertMedia"],
    verbs: &[Verb::of(Method::Post, COMPONENTS, |call| Box::pin(insert(call)))],
    summary: "Inserts the image at a URI into an empty slot.",
    queries: Queries::None,
};

/// The action that empties a slot.
pub static EJECT: Resource = Resource {
    schema: EJECT_ACTION,
    version: "",
    uris: &["/redfish/v1/Systems/{system}/VirtualMedia/{media}/Actions/VirtualMedia.EjectMedia"],
    verbs: &[Verb::of(Method::Post, COMPONENTS, |call| Box::pin(eject(call)))],
    summary: "Empties a slot; an empty one stays as it is.",
    queries: Queries::None,
};

/// The URI of a node's slots.
pub fn collection_uri(node: &str) -> String {
    [systems::URI, "/", node, "/VirtualMedia"].concat()
}

/// The node that the path names, and its slots.
fn node(call: &Call<'_>) -> Result<(NodeView, Arc<Vec<MediaSlot>>), Error> {
    let node = call.face.fleet.node_with_media(call.actor, call.param(0)).ok_or_else(|| call.not_found())?;
    let slots = node.media.clone().ok_or_else(|| call.not_found())?;
    Ok((node, slots))
}

/// The slot that the path names.
fn slot(call: &Call<'_>) -> Result<(NodeView, MediaSlot), Error> {
    let (node, slots) = node(call)?;
    let slot = slots.iter().find(|slot| slot.id == call.param(1)).cloned().ok_or_else(|| call.not_found())?;
    Ok((node, slot))
}

fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let (node, slots) = node(call)?;
    let ids = slots.iter().map(|slot| slot.id.as_str());
    Ok(collection(call, "Virtual media", &collection_uri(node.id.as_str()), ids))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let (node, slot) = slot(call)?;
    Ok(Reply::ok(show::render(node.id.as_str(), &slot)))
}

async fn insert(call: &Call<'_>) -> Result<Reply, Error> {
    let (node, slot) = slot(call)?;
    let wanted = read::insert(call.parameters(INSERT_ACTION)?, &slot)?;
    if !slot.takes {
        return Err(unsupported(INSERT_ACTION));
    }
    let image = wanted.image.clone();
    let asked = Asked::Action { action: INSERT_ACTION, parameter: "Image", value: &image };
    fill(call, &node, wanted, None, asked).await?;
    Ok(Reply::done())
}

async fn eject(call: &Call<'_>) -> Result<Reply, Error> {
    let (node, slot) = slot(call)?;
    call.parameters(EJECT_ACTION)?.finish(None)?;
    if !slot.ejects {
        return Err(unsupported(EJECT_ACTION));
    }
    let asked = Asked::Action { action: EJECT_ACTION, parameter: "Slot", value: &slot.id };
    empty(call, &node, slot.id.clone(), None, asked).await?;
    Ok(Reply::done())
}

/// What clients do without actions: `Image` and `Inserted` say what is to be in the slot.
async fn patch(call: &Call<'_>) -> Result<Reply, Error> {
    let (node, slot) = slot(call)?;
    let current = show::render(node.id.as_str(), &slot).finish();
    let current: serde_json::Value = serde_json::from_slice(&current.bytes).unwrap_or_default();
    let wanted = read::patch(call.properties()?, &slot, &current)?;
    let condition = precondition(call.if_match, slot.id.clone());
    let asked = Asked::Property("Image");
    match wanted {
        read::Patch::Insert(_) if !slot.takes => return Err(unsupported(INSERT_ACTION)),
        read::Patch::Eject if !slot.ejects => return Err(unsupported(EJECT_ACTION)),
        read::Patch::Insert(wanted) => fill(call, &node, *wanted, condition, asked).await?,
        read::Patch::Eject => empty(call, &node, slot.id, condition, asked).await?,
        read::Patch::Nothing => {}
    }
    get(call)
}

fn unsupported(action: &str) -> Error {
    Error::new(400, m::ACTION_NOT_SUPPORTED.with([action]).detail("The node's controller does not take it here."))
}

async fn fill(
    call: &Call<'_>,
    node: &NodeView,
    wanted: MediaInsert,
    condition: Precondition,
    asked: Asked<'_>,
) -> Result<(), Error> {
    // What follows the question mark may be a signature that opens the image to anybody.
    let image = wanted.image.split(['?', '#']).next().unwrap_or_default();
    call.note(format!("Insert {image} into {} of {}", wanted.slot, node.id));
    let target = Target::Node(node.id.clone(), Layer::Host);
    call.run(target, Op::InsertMedia(Box::new(wanted), condition), asked).await.map(|_| ())
}

async fn empty(
    call: &Call<'_>,
    node: &NodeView,
    slot: String,
    condition: Precondition,
    asked: Asked<'_>,
) -> Result<(), Error> {
    call.note(format!("Eject {slot} of {}", node.id));
    let target = Target::Node(node.id.clone(), Layer::Host);
    call.run(target, Op::EjectMedia(slot, condition), asked).await.map(|_| ())
}

/// The same body, and so the same tag, that a GET would give at that moment.
fn precondition(if_match: Option<&str>, id: String) -> Precondition {
    let header = if_match?.to_owned();
    Some(Arc::new(move |node: &NodeView| {
        let slots = node.media.iter().flat_map(|slots| slots.iter());
        let body = slots.filter(|slot| slot.id == id).map(|slot| show::render(node.id.as_str(), slot).finish()).next();
        body.and_then(|body| body.etag).is_some_and(|etag| names_etag(&header, &etag))
    }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        api::redfish::resources::samples,
        model::{ConnectedVia, MediaType},
    };

    /// A slot with an image in it.
    pub fn full() -> MediaSlot {
        MediaSlot {
            id: "Cd".to_owned(),
            name: "Virtual CD".to_owned(),
            types: vec![MediaType::Cd, MediaType::Dvd],
            image: Some("http://images/a.iso".to_owned()),
            image_name: Some("a.iso".to_owned()),
            inserted: Some(true),
            write_protected: Some(true),
            connected: Some(ConnectedVia::Uri),
            takes: true,
            ejects: true,
            ..MediaSlot::default()
        }
    }

    #[test]
    fn if_match_follows_what_is_in_the_slot() {
        let mut node = samples::ipmi_node();
        node.media = Some(Arc::new(vec![full()]));
        let etag = show::render(node.id.as_str(), &full()).finish().etag;
        let condition = precondition(etag.as_deref(), "Cd".to_owned());
        let holds = |node: &NodeView| condition.as_ref().is_some_and(|holds| holds(node));
        assert!(holds(&node));
        node.media = Some(Arc::new(vec![MediaSlot { image: None, ..full() }]));
        assert!(!holds(&node));
        node.media = None;
        assert!(!holds(&node));
    }
}
