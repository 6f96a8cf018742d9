//! Aggregates: sets of nodes. Each group of the configuration is one that can't be changed here; others are made by
//! POST, and hold what AddElements and RemoveElements leave in them.

use std::collections::BTreeSet;

use super::{
    super::{
        call::{Call, names_etag},
        descriptor::{COMPONENTS, LOGIN, Method, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        messages as m,
        reply::Reply,
    },
    aggregation, collection, systems,
};
use crate::{
    fleet::{AggregateError, AggregateView},
    model::NodeId,
};

/// The collection.
pub const URI: &str = "/redfish/v1/AggregationService/Aggregates";
const RESET: &str = "Aggregate.Reset";
const ADD: &str = "Aggregate.AddElements";
const REMOVE: &str = "Aggregate.RemoveElements";

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "AggregateCollection",
    version: "",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, list), Verb::of(Method::Post, COMPONENTS, |call| Box::pin(create(call)))],
    summary: "Sets of nodes. POST with `Elements` makes one.",
    queries: Queries::Collection,
};

/// A set.
pub static AGGREGATE: Resource = Resource {
    schema: "Aggregate",
    version: "v1_0_3",
    uris: &["/redfish/v1/AggregationService/Aggregates/{aggregate}"],
    verbs: &[Verb::get(LOGIN, get), Verb::of(Method::Delete, COMPONENTS, |call| Box::pin(remove(call)))],
    summary: "A set of nodes; those called `group-...` are the groups of the configuration.",
    queries: Queries::Single,
};

/// Resets all nodes of a set.
pub static RESET_ACTION: Resource = Resource {
    schema: RESET,
    version: "",
    uris: &["/redfish/v1/AggregationService/Aggregates/{aggregate}/Actions/Aggregate.Reset"],
    verbs: &[Verb::of(Method::Post, COMPONENTS, |call| Box::pin(reset(call)))],
    summary: "Resets the nodes of a set, `BatchSize` at a time, with `DelayBetweenBatchesInSeconds`.",
    queries: Queries::None,
};

/// Takes nodes in.
pub static ADD_ACTION: Resource = Resource {
    schema: ADD,
    version: "",
    uris: &["/redfish/v1/AggregationService/Aggregates/{aggregate}/Actions/Aggregate.AddElements"],
    verbs: &[Verb::of(Method::Post, COMPONENTS, |call| Box::pin(add_elements(call)))],
    summary: "Takes nodes into a set.",
    queries: Queries::None,
};

/// Lets nodes go.
pub static REMOVE_ACTION: Resource = Resource {
    schema: REMOVE,
    version: "",
    uris: &["/redfish/v1/AggregationService/Aggregates/{aggregate}/Actions/Aggregate.RemoveElements"],
    verbs: &[Verb::of(Method::Post, COMPONENTS, |call| Box::pin(remove_elements(call)))],
    summary: "Lets nodes go from a set.",
    queries: Queries::None,
};

#[allow(clippy::unnecessary_wraps)]
fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let ids: Vec<_> = call.face.fleet.aggregates(call.actor).into_iter().map(|set| set.id).collect();
    Ok(collection(call, "Aggregates", URI, ids.iter()))
}

fn find(call: &Call<'_>) -> Result<AggregateView, Error> {
    call.face.fleet.aggregate(call.actor, call.param(0)).ok_or_else(|| call.not_found())
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::ok(render(&find(call)?)))
}

fn uri(id: &str) -> String {
    format!("{URI}/{id}")
}

fn render(set: &AggregateView) -> Doc {
    let uri = uri(&set.id);
    let mut doc = Doc::resource(&AGGREGATE, &uri);
    doc.set("Id", &set.id)
        .set("Name", &set.name)
        .set("ElementsCount", set.nodes.len())
        .set("Elements@odata.count", set.nodes.len())
        .links("Elements", set.nodes.iter().map(|node| systems::uri(node.as_str())))
        .obj("Actions", |o| {
            aggregation::offer(o, &uri, RESET);
            if set.revision.is_some() {
                for name in [ADD, REMOVE] {
                    o.obj(&format!("#{name}"), |o| {
                        o.set("target", format!("{uri}/Actions/{name}"));
                    });
                }
            }
        });
    doc
}

async fn create(call: &Call<'_>) -> Result<Reply, Error> {
    let mut fields = call.properties()?;
    let nodes = aggregation::nodes(call, &mut fields, "Elements");
    if nodes.is_none() && fields.is_good() {
        fields.missing("Elements");
    }
    // Sent by clients; both are given by the service.
    for key in ["Name", "Id", "Description"] {
        fields.take(key);
    }
    fields.finish(None)?;
    call.note("Make a set of nodes");
    let made = call.face.fleet.make_aggregate(call.actor, nodes.unwrap_or_default()).await;
    let made = made.map_err(|e| failed(call, &e))?;
    Ok(Reply::created(render(&made), uri(&made.id)))
}

async fn remove(call: &Call<'_>) -> Result<Reply, Error> {
    let found = find(call)?;
    let expect = match (call.if_match, render(&found).finish().etag) {
        (None, _) => None,
        (Some(header), Some(etag)) if names_etag(header, &etag) => found.revision,
        (Some(_), _) => return Err(Error::precondition()),
    };
    call.note(format!("Remove the set of nodes {}", found.id));
    call.face.fleet.remove_aggregate(call.actor, &found.id, expect).await.map_err(|e| failed(call, &e))?;
    Ok(Reply::done())
}

async fn add_elements(call: &Call<'_>) -> Result<Reply, Error> {
    let (id, nodes) = elements(call, ADD)?;
    change(call, &id, nodes, BTreeSet::new()).await
}

async fn remove_elements(call: &Call<'_>) -> Result<Reply, Error> {
    let (id, nodes) = elements(call, REMOVE)?;
    change(call, &id, BTreeSet::new(), nodes).await
}

fn elements(call: &Call<'_>, action: &'static str) -> Result<(String, BTreeSet<NodeId>), Error> {
    let found = find(call)?;
    let mut fields = call.parameters(action)?;
    let nodes = aggregation::nodes(call, &mut fields, "Elements");
    if nodes.is_none() && fields.is_good() {
        fields.missing("Elements");
    }
    fields.finish(None)?;
    Ok((found.id, nodes.unwrap_or_default()))
}

async fn change(call: &Call<'_>, id: &str, add: BTreeSet<NodeId>, gone: BTreeSet<NodeId>) -> Result<Reply, Error> {
    call.note(format!("Change the set of nodes {id}: {} more, {} less", add.len(), gone.len()));
    call.face.fleet.change_aggregate(call.actor, id, add, &gone, None).await.map_err(|e| failed(call, &e))?;
    Ok(Reply::done())
}

async fn reset(call: &Call<'_>) -> Result<Reply, Error> {
    let found = find(call)?;
    let fields = call.parameters(RESET)?;
    aggregation::reset(call, RESET, fields, found.nodes, &found.id).await
}

fn failed(call: &Call<'_>, error: &AggregateError) -> Error {
    match error {
        AggregateError::NotFound => call.not_found(),
        AggregateError::Forbidden => Error::forbidden(),
        AggregateError::Configured => Error::new(409, m::MADE_BY_CONFIGURATION.with([call.param(0)])),
        AggregateError::Full => Error::new(400, m::CREATE_LIMIT_REACHED.with([]).detail(format!("{error}."))),
        AggregateError::Changed => Error::precondition(),
        AggregateError::Store(cause) => Error::not_kept(&cause.to_string()),
    }
}
