//! `ComputerSystem.Reset`: answered when the hardware has really done it, with the real error, or with a task.

use super::{
    super::{
        call::Call,
        descriptor::{COMPONENTS, Method, Queries, Resource, Verb},
        error::{Asked, Error},
        reply::Reply,
    },
    systems,
};
use crate::{
    fleet::{Layer, Op, Target},
    model::ResetType,
};

const ACTION: &str = "ComputerSystem.Reset";

/// The action.
pub static RESET: Resource = Resource {
    schema: ACTION,
    version: "",
    uris: &["/redfish/v1/Systems/{system}/Actions/ComputerSystem.Reset"],
    verbs: &[Verb::of(Method::Post, COMPONENTS, |call| Box::pin(post(call)))],
    summary: "Switches a node: `ResetType` is one of the values that the system lists beside the action.",
    queries: Queries::None,
};

/// The URI of a node's action.
pub fn uri(id: &str) -> String {
    [systems::URI, "/", id, "/Actions/", ACTION].concat()
}

async fn post(call: &Call<'_>) -> Result<Reply, Error> {
    let node = call.face.fleet.node_as_known(call.actor, call.param(0)).ok_or_else(|| call.not_found())?;
    let mut fields = call.parameters(ACTION)?;
    let offered: Vec<_> = node.resets.iter().map(|r| r.as_str()).collect();
    if !fields.has("ResetType") {
        fields.missing("ResetType");
    }
    let word = fields.string("ResetType").unwrap_or_default();
    let kind = word.parse::<ResetType>();
    if kind.is_err() && fields.is_good() {
        fields.not_in_list("ResetType", &word, &offered);
    }
    fields.finish(None)?;
    let Ok(kind) = kind else { return Err(call.not_found()) };
    call.note(format!("Reset {kind} of {}", node.id));
    let asked = Asked::Action { action: ACTION, parameter: "ResetType", value: kind.as_str() };
    let target = Target::Node(node.id, Layer::Effective);
    Ok(call.run(target, Op::Reset(kind), asked).await?.unwrap_or_else(Reply::done))
}
