//! AggregationService: sets of nodes, and resets of many at once. Nodes come from the configuration, so there are no
//! AggregationSources.

use std::{collections::BTreeSet, time::Duration};

use super::{
    super::{
        call::Call,
        descriptor::{COMPONENTS, LOGIN, Method, Queries, Resource, Verb},
        doc::Doc,
        error::{Asked, Error},
        fields::Fields,
        messages as m,
        reply::Reply,
    },
    aggregates, systems, tasks,
};
use crate::{
    fleet::{OpError, Progress, Sweep, Swept, sweep::LONGEST_DELAY},
    model::{NodeId, ResetType},
};

/// The service.
pub const URI: &str = "/redfish/v1/AggregationService";
const RESET: &str = "AggregationService.Reset";
/// Failures that one answer names; the task names all.
const MOST_NAMED: usize = 100;

/// The service.
pub static SERVICE: Resource = Resource {
    schema: "AggregationService",
    version: "v1_0_3",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "Sets of nodes, and resets of many nodes at once.",
    queries: Queries::Single,
};

/// Resets nodes that the request names.
pub static RESET_ACTION: Resource = Resource {
    schema: RESET,
    version: "",
    uris: &["/redfish/v1/AggregationService/Actions/AggregationService.Reset"],
    verbs: &[Verb::of(Method::Post, COMPONENTS, |call| Box::pin(post(call)))],
    summary: "Resets the systems in `TargetURIs`, `BatchSize` at a time, with `DelayBetweenBatchesInSeconds`.",
    queries: Queries::None,
};

#[allow(clippy::unnecessary_wraps)]
fn get(_: &Call<'_>) -> Result<Reply, Error> {
    let mut doc = Doc::resource(&SERVICE, URI);
    doc.set("Id", "AggregationService")
        .set("Name", "Aggregation service")
        .set("ServiceEnabled", true)
        .link("Aggregates", aggregates::URI)
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        })
        .obj("Actions", |o| offer(o, URI, RESET));
    Ok(Reply::ok(doc))
}

/// An action that resets, as a resource offers it.
pub fn offer(actions: &mut Doc, uri: &str, name: &str) {
    actions.obj(&format!("#{name}"), |o| {
        o.set("target", format!("{uri}/Actions/{name}"))
            .list("ResetType@Redfish.AllowableValues", ResetType::ALL.map(ResetType::as_str));
    });
}

async fn post(call: &Call<'_>) -> Result<Reply, Error> {
    const TARGETS: &str = "TargetURIs";
    let mut fields = call.parameters(RESET)?;
    let nodes = nodes(call, &mut fields, TARGETS);
    if nodes.as_ref().is_some_and(BTreeSet::is_empty) {
        fields.incorrect(TARGETS, "[]", "It names no system");
    }
    if nodes.is_none() && fields.is_good() {
        fields.missing(TARGETS);
    }
    reset(call, RESET, fields, nodes.unwrap_or_default().into_iter().collect(), "systems").await
}

/// Takes a list of links to systems that the caller may see; one that leads nowhere is a problem.
pub fn nodes(call: &Call<'_>, fields: &mut Fields, key: &'static str) -> Option<BTreeSet<NodeId>> {
    let links = fields.links(key)?;
    let mut nodes = BTreeSet::new();
    for link in links {
        let id = link.trim_end_matches('/').strip_prefix(systems::URI).and_then(|rest| rest.strip_prefix('/'));
        let Some(node) = id.and_then(|id| call.face.fleet.node_as_known(call.actor, id)) else {
            fields.incorrect(key, &link, "It has to be the URI of a system of this service");
            break;
        };
        nodes.insert(node.id);
    }
    Some(nodes)
}

/// Reads the rest of a reset's parameters and carries it out. `of`: what is reset, for the audit log.
pub async fn reset(
    call: &Call<'_>,
    action: &'static str,
    mut fields: Fields,
    nodes: Vec<NodeId>,
    of: &str,
) -> Result<Reply, Error> {
    let kind = fields.one_of("ResetType", &ResetType::ALL, ResetType::as_str);
    if kind.is_none() && fields.is_good() {
        fields.missing("ResetType");
    }
    let batch = fields.number("BatchSize", 1..=u64::MAX);
    let delay = fields.number("DelayBetweenBatchesInSeconds", 0..=LONGEST_DELAY.as_secs());
    fields.finish(None)?;
    let Some(reset) = kind else { return Err(call.not_found()) };
    call.note(format!("Reset {reset} of {} ({} nodes)", of, nodes.len()));
    let total = nodes.len();
    let asked = Sweep {
        nodes,
        reset,
        batch: batch.map(|batch| usize::try_from(batch).unwrap_or(usize::MAX)),
        delay: Duration::from_secs(delay.unwrap_or(0)),
    };
    if total == 0 {
        return Ok(Reply::done());
    }
    let asked_as = Asked::Action { action, parameter: "ResetType", value: reset.as_str() };
    match sweep(call, asked).await? {
        Ok(Swept::Running(task)) => Ok(tasks::accepted(call, &task.id)),
        Ok(Swept::Ended(progress)) if progress.failed.is_empty() => Ok(Reply::done()),
        Ok(Swept::Ended(progress)) => Err(partly(&progress)),
        Err(error) => Err(Error::of_operation(&error, asked_as, call.uri)),
    }
}

/// On the runtime that the fleet lives on: it neither ends with this request nor with this listener.
async fn sweep(call: &Call<'_>, asked: Sweep) -> Result<Result<Swept, OpError>, Error> {
    let (fleet, who) = (call.face.fleet.clone(), call.actor.clone());
    call.face.runtime.spawn(async move { fleet.sweep(&who, asked).await }).await.map_err(|cause| {
        tracing::error!(%cause, request = %call.actor.request, "a reset of many nodes ended unexpectedly");
        Error::new(500, m::INTERNAL_ERROR.with([]))
    })
}

/// Some nodes failed: one message for each.
fn partly(progress: &Progress) -> Error {
    let told = |failure: &crate::fleet::view::Failure| m::RESET_FAILED.with([failure.node.as_str(), &failure.error]);
    let mut messages = progress.failed.iter().take(MOST_NAMED).map(told);
    let first = messages.next().unwrap_or_else(|| m::INTERNAL_ERROR.with([]));
    let mut error = Error::new(503, first);
    error.messages.extend(messages);
    error
}
