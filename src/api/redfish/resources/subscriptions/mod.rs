//! Subscriptions, as Ironic makes them: 201 with `Location`, a member's URI is the collection's and its id, an `Actions`
//! object is always there. `read` is what clients send, `show` what they get; delivery is `api::delivery`.

mod read;
mod show;

use std::sync::Arc;

use serde_json::Value;

use super::{
    super::{
        call::{Call, names_etag},
        descriptor::{LOGIN, MANAGER, Method, Queries, Resource, Verb},
        doc::Body,
        error::Error,
        messages as m,
        reply::Reply,
    },
    collection,
    event_service::delivery,
};
use crate::{
    api::delivery::{OpenStream, Subscription, SubscriptionError},
    model::NodeId,
};
use show::render;

/// The collection.
pub const URI: &str = "/redfish/v1/EventService/Subscriptions";
const RESUME: &str = "EventDestination.ResumeSubscription";
const SUSPEND: &str = "EventDestination.SuspendSubscription";

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "EventDestinationCollection",
    version: "",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, list), Verb::of(Method::Post, MANAGER, |call| Box::pin(create(call)))],
    summary: "Subscriptions. POST makes one.",
    queries: Queries::Collection,
};

/// A subscription.
pub static SUBSCRIPTION: Resource = Resource {
    schema: "EventDestination",
    version: "v1_16_0",
    uris: &["/redfish/v1/EventService/Subscriptions/{subscription}"],
    verbs: &[
        Verb::get(LOGIN, get),
        Verb::of(Method::Patch, MANAGER, |call| Box::pin(patch(call))),
        Verb::of(Method::Delete, MANAGER, |call| Box::pin(remove(call))),
    ],
    summary: "A subscription. DELETE ends it; an event stream that is open is one too.",
    queries: Queries::Single,
};

/// Events again.
pub static RESUME_SUBSCRIPTION: Resource = Resource {
    schema: RESUME,
    version: "",
    uris: &["/redfish/v1/EventService/Subscriptions/{subscription}/Actions/EventDestination.ResumeSubscription"],
    verbs: &[Verb::of(Method::Post, MANAGER, |call| Box::pin(resume(call)))],
    summary: "Lets a suspended subscription have events again, those that it missed first.",
    queries: Queries::None,
};

/// No events for now.
pub static SUSPEND_SUBSCRIPTION: Resource = Resource {
    schema: SUSPEND,
    version: "",
    uris: &["/redfish/v1/EventService/Subscriptions/{subscription}/Actions/EventDestination.SuspendSubscription"],
    verbs: &[Verb::of(Method::Post, MANAGER, |call| Box::pin(suspend(call)))],
    summary: "Sends a subscription nothing until it is resumed; events are kept for it.",
    queries: Queries::None,
};

/// A member of the collection.
enum Member {
    Posted(Arc<Subscription>),
    Streamed(Arc<OpenStream>),
}

impl Member {
    fn id(&self) -> &str {
        match self {
            Self::Posted(s) => &s.id,
            Self::Streamed(s) => &s.id,
        }
    }

    fn owner(&self) -> &str {
        match self {
            Self::Posted(s) => &s.asked.owner,
            Self::Streamed(s) => &s.owner,
        }
    }

    /// The node whose door it was made at.
    fn door(&self) -> Option<&NodeId> {
        match self {
            Self::Posted(s) => s.asked.door.as_ref(),
            Self::Streamed(s) => s.door.as_ref(),
        }
    }

    /// Subscriptions of others are for those who manage the service.
    fn visible(&self, call: &Call<'_>) -> bool {
        (call.has("ConfigureManager") || call.is_self(self.owner())) && call.shows(self.door())
    }
}

fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let delivery = delivery(call)?;
    let posted = delivery.list().into_iter().map(Member::Posted);
    let all = posted.chain(delivery.streams().into_iter().map(Member::Streamed));
    let ids: Vec<_> = all.filter(|s| s.visible(call)).map(|s| s.id().to_owned()).collect();
    Ok(collection(call, "Subscriptions", URI, ids.iter()))
}

fn find(call: &Call<'_>) -> Result<Member, Error> {
    let (delivery, id) = (delivery(call)?, call.param(0));
    let streamed = || delivery.streams().into_iter().find(|s| *s.id == *id).map(Member::Streamed);
    let found = delivery.get(id).map(Member::Posted).or_else(streamed);
    found.filter(|s| s.visible(call)).ok_or_else(|| call.not_found())
}

fn posted(call: &Call<'_>) -> Result<Arc<Subscription>, Error> {
    match find(call)? {
        Member::Posted(found) => Ok(found),
        Member::Streamed(_) => Err(call.not_found()),
    }
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::ok(match find(call)? {
        Member::Posted(found) => render(&found, trouble(call, &found)?.as_deref()),
        Member::Streamed(found) => show::render_stream(&found),
    }))
}

/// Why events don't get through, if they don't.
fn trouble(call: &Call<'_>, s: &Subscription) -> Result<Option<String>, Error> {
    Ok(match &s.suspended {
        Some(suspended) => Some(suspended.reason.clone()),
        None => delivery(call)?.health(&s.id).and_then(|health| health.failing),
    })
}

fn uri(id: &str) -> String {
    format!("{URI}/{id}")
}

/// `shown`: the value that a complaint about a property may repeat.
fn failed(call: &Call<'_>, error: SubscriptionError, shown: &str) -> Error {
    match error {
        SubscriptionError::Unacceptable { property, reason } => {
            let value = if property == "Destination" { shown } else { "the given value" };
            let value: String = value.chars().take(80).collect();
            let message = m::PROPERTY_INCORRECT.with([property, &value]);
            Error::new(400, message.detail(format!("It {reason}.")).about(property))
        }
        SubscriptionError::NotFound(_) => call.not_found(),
        SubscriptionError::Changed => Error::precondition(),
        SubscriptionError::Full => Error::new(400, m::TOO_MANY_SUBSCRIPTIONS.with([])),
        SubscriptionError::Store(cause) => {
            let cause = cause.to_string();
            tracing::warn!(%cause, request = %call.actor.request, "a subscription could not be kept");
            Error::not_kept(&cause)
        }
    }
}

async fn create(call: &Call<'_>) -> Result<Reply, Error> {
    let delivery = delivery(call)?;
    let mut new = read::new(call.properties()?, &call.actor.principal)?;
    new.door = call.door.cloned();
    let destination = new.destination.clone();
    call.note(format!("Subscribe {destination:?}"));
    let made = delivery.create(new).await.map_err(|e| failed(call, e, &destination))?;
    Ok(Reply::created(render(&made, None), uri(&made.id)))
}

/// The revision that a write has to find: the one whose ETag the client names.
fn expected(call: &Call<'_>, found: &Subscription, body: &Body) -> Result<Option<u64>, Error> {
    match (call.if_match, &body.etag) {
        (None, _) => Ok(None),
        (Some(header), Some(etag)) if names_etag(header, etag) => Ok(Some(found.revision)),
        (Some(_), _) => Err(Error::precondition()),
    }
}

async fn patch(call: &Call<'_>) -> Result<Reply, Error> {
    let delivery = delivery(call)?;
    let found = posted(call)?;
    let current = render(&found, trouble(call, &found)?.as_deref()).finish();
    let expect = expected(call, &found, &current)?;
    let value: Value = serde_json::from_slice(&current.bytes).unwrap_or_default();
    let patch = read::patch(call.properties()?, &value)?;
    call.note(format!("Change subscription {}", found.id));
    let changed = delivery.change(&found.id, patch, expect).await.map_err(|e| failed(call, e, ""))?;
    Ok(Reply::ok(render(&changed, trouble(call, &changed)?.as_deref())))
}

async fn remove(call: &Call<'_>) -> Result<Reply, Error> {
    let delivery = delivery(call)?;
    call.note(format!("Unsubscribe {}", call.param(0)));
    match find(call)? {
        Member::Posted(found) => {
            let current = render(&found, trouble(call, &found)?.as_deref()).finish();
            let expect = expected(call, &found, &current)?;
            delivery.remove(&found.id, expect).await.map_err(|e| failed(call, e, ""))?;
        }
        Member::Streamed(found) => {
            delivery.end_stream(&found.id);
        }
    }
    Ok(Reply::done())
}

async fn resume(call: &Call<'_>) -> Result<Reply, Error> {
    const BUFFERED: &str = "DeliverBufferedEventDuration";
    let found = posted(call)?;
    let mut fields = call.parameters(RESUME)?;
    let buffered = fields.string(BUFFERED).map(|text| {
        let read = read::duration(&text);
        if read.is_none() {
            fields.not_in_list(BUFFERED, &text, &["a duration such as PT0S, PT10M or P1D"]);
        }
        read
    });
    fields.finish(None)?;
    call.note(format!("Resume subscription {}", found.id));
    delivery(call)?.resume(&found.id, buffered.flatten()).await.map_err(|e| failed(call, e, ""))?;
    Ok(Reply::done())
}

async fn suspend(call: &Call<'_>) -> Result<Reply, Error> {
    let found = posted(call)?;
    call.parameters(SUSPEND)?.finish(None)?;
    call.note(format!("Suspend subscription {}", found.id));
    let reason = format!("suspended by {}", call.actor.principal);
    delivery(call)?.suspend(&found.id, &reason).await.map_err(|e| failed(call, e, ""))?;
    Ok(Reply::done())
}
