//! EventService: what can be subscribed to, and the actions that send a test.

use std::future::ready;

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, MANAGER, Method, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        events::{self, Said, TestEvent},
        fields::Fields,
        messages as m,
        reply::Reply,
    },
    sse, subscriptions,
};
use crate::{
    api::delivery::Delivery,
    fleet::event::Cause,
    model::{NodeId, Scope},
};

/// The service.
pub const URI: &str = "/redfish/v1/EventService";
const SUBMIT: &str = "EventService.SubmitTestEvent";
const TEST: &str = "EventService.TestEventSubscription";
/// Longest text of a test.
const MAX_TEXT: usize = 1_024;
/// Most arguments of a test's message.
const MAX_ARGS: usize = 16;

/// The service.
pub static SERVICE: Resource = Resource {
    schema: "EventService",
    version: "v1_12_0",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, service)],
    summary: "Events: what can be subscribed to.",
    queries: Queries::Single,
};

/// The action with a message of the client's.
pub static SUBMIT_TEST: Resource = Resource {
    schema: SUBMIT,
    version: "",
    uris: &["/redfish/v1/EventService/Actions/EventService.SubmitTestEvent"],
    verbs: &[Verb::of(Method::Post, MANAGER, |call| Box::pin(ready(submit(call))))],
    summary: "Sends an event of the client's making to all whose filters let it pass.",
    queries: Queries::None,
};

/// The action with a message of its own.
pub static TEST_SUBSCRIPTION: Resource = Resource {
    schema: TEST,
    version: "",
    uris: &["/redfish/v1/EventService/Actions/EventService.TestEventSubscription"],
    verbs: &[Verb::of(Method::Post, MANAGER, |call| Box::pin(ready(test(call))))],
    summary: "Sends the message `TestMessage` to all whose filters let it pass.",
    queries: Queries::None,
};

/// `EventType` words of the schema.
pub const EVENT_TYPES: [&str; 7] =
    ["Alert", "StatusChange", "ResourceUpdated", "ResourceAdded", "ResourceRemoved", "MetricReport", "Other"];
/// `MessageSeverity` words of the schema.
pub const SEVERITIES: [&str; 3] = ["OK", "Warning", "Critical"];

/// The delivery; without one there is no EventService.
pub fn delivery<'c>(call: &'c Call<'_>) -> Result<&'c Delivery, Error> {
    call.face.subscriptions.as_ref().ok_or_else(|| call.not_found())
}

fn service(call: &Call<'_>) -> Result<Reply, Error> {
    let timing = delivery(call)?.timing();
    let mut doc = Doc::resource(&SERVICE, URI);
    doc.set("Id", "EventService")
        .set("Name", "Event service")
        .set("ServiceEnabled", true)
        .set("DeliveryRetryAttempts", timing.attempts)
        .set("DeliveryRetryIntervalSeconds", timing.interval.as_secs())
        .list("EventFormatTypes", ["Event"])
        .list("RegistryPrefixes", m::REGISTRIES.iter().map(|r| r.prefix))
        .list("ResourceTypes", ["ComputerSystem", "Manager", "Task"])
        .list("Severities", SEVERITIES)
        .set("OriginResourcesSupported", true)
        .set("SubordinateResourcesSupported", true)
        .set("IncludeOriginOfConditionSupported", false)
        .set("ExcludeMessageId", true)
        .set("ExcludeRegistryPrefix", true)
        .set("ServerSentEventUri", sse::URI)
        .obj("SSEFilterPropertiesSupported", |o| {
            for (name, known) in [
                ("EventFormatType", true),
                ("MessageId", true),
                ("MetricReportDefinition", false),
                ("OriginResource", true),
                ("RegistryPrefix", true),
                ("ResourceType", true),
                ("SubordinateResources", true),
            ] {
                o.set(name, known);
            }
        })
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        })
        .link("Subscriptions", subscriptions::URI)
        .obj("Actions", |o| {
            o.obj("#EventService.SubmitTestEvent", |o| {
                o.set("target", format!("{URI}/Actions/{SUBMIT}"))
                    .list("EventType@Redfish.AllowableValues", EVENT_TYPES);
            });
            o.obj("#EventService.TestEventSubscription", |o| {
                o.set("target", format!("{URI}/Actions/{TEST}"));
            });
        });
    Ok(Reply::ok(doc))
}

fn cause(call: &Call<'_>) -> Cause {
    let actor = call.actor;
    Cause { principal: actor.principal.clone(), face: actor.face, request: actor.request.clone() }
}

fn send(call: &Call<'_>, event: TestEvent) -> Result<Reply, Error> {
    let record = events::test(event);
    delivery(call)?.log().append(|_| record);
    Ok(Reply::done())
}

fn test(call: &Call<'_>) -> Result<Reply, Error> {
    call.parameters(TEST)?.finish(None)?;
    call.note("Send a test event");
    let event = TestEvent {
        said: m::TEST_MESSAGE.with([]).into(),
        kind: "Other",
        resource: "EventService",
        origin: URI.to_owned(),
        node: call.door.cloned(),
        at: OffsetDateTime::now_utc(),
        who: cause(call),
    };
    send(call, event)
}

fn submit(call: &Call<'_>) -> Result<Reply, Error> {
    let event = read(call.parameters(SUBMIT)?, cause(call))?;
    // Others' nodes, and what is about none, are not for those who may see some.
    let own = |node: &NodeId| call.face.fleet.nodes(call.actor).contains(node);
    if !matches!(*call.actor.scope, Scope::All) && !event.node.as_ref().is_some_and(own) {
        return Err(Error::forbidden());
    }
    call.note(format!("Send a test event {}", event.said.id));
    send(call, event)
}

/// What the client wants the event to look like. Its id is ours.
fn read(mut fields: Fields, who: Cause) -> Result<TestEvent, Error> {
    if !fields.has("MessageId") {
        fields.missing("MessageId");
    }
    let known = |fields: &mut Fields, key: &'static str, words: &[&'static str]| fields.one_of(key, words, |w| w);
    let kind = known(&mut fields, "EventType", &EVENT_TYPES).unwrap_or("Other");
    let older = known(&mut fields, "Severity", &SEVERITIES);
    let severity = known(&mut fields, "MessageSeverity", &SEVERITIES).or(older).unwrap_or("OK");
    let id = text(&mut fields, "MessageId").unwrap_or_default();
    let text_ = text(&mut fields, "Message");
    let args = fields.strings("MessageArgs").unwrap_or_default();
    if args.len() > MAX_ARGS || args.iter().any(|arg| arg.len() > MAX_TEXT) {
        fields.not_in_list("MessageArgs", "given", &["at most 16 short texts"]);
    }
    let at = fields.string("EventTimestamp").and_then(|at| {
        let read = OffsetDateTime::parse(&at, &Rfc3339).ok();
        if read.is_none() {
            fields.not_in_list("EventTimestamp", &at, &["a date and time such as 2026-01-31T12:00:00Z"]);
        }
        read
    });
    let origin = match fields.take("OriginOfCondition") {
        None => None,
        Some(Value::String(uri)) if uri.starts_with("/redfish/") && uri.len() <= MAX_TEXT => Some(uri),
        Some(other) => {
            fields.not_in_list("OriginOfCondition", &other.to_string(), &["a URI of this service"]);
            None
        }
    };
    for key in ["EventId", "EventGroupId"] {
        fields.take(key);
    }
    fields.finish(None)?;
    let node = origin.as_deref().and_then(|uri| uri.strip_prefix("/redfish/v1/Systems/"));
    let node = node.and_then(|rest| NodeId::new(rest.split(['/', '#']).next()?).ok());
    let resource = if node.is_some() { "ComputerSystem" } else { "EventService" };
    let said = Said {
        text: text_.unwrap_or_else(|| m::TEST_MESSAGE.text.to_owned()),
        id,
        args,
        severity,
        resolution: "None.".to_owned(),
    };
    let (origin, at) = (origin.unwrap_or_else(|| URI.to_owned()), at.unwrap_or_else(OffsetDateTime::now_utc));
    Ok(TestEvent { said, kind, resource, origin, node, at, who })
}

fn text(fields: &mut Fields, key: &'static str) -> Option<String> {
    let text = fields.string(key)?;
    if text.is_empty() || text.len() > MAX_TEXT {
        fields.not_in_list(key, &text, &["a text of 1 to 1024 characters"]);
        return None;
    }
    Some(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Face;

    fn ask(body: &Value) -> Result<TestEvent, Vec<&'static str>> {
        let who = Cause { principal: "admin".into(), face: Face::Redfish, request: "r".into() };
        read(Fields::parameters(body.to_string().as_bytes(), SUBMIT).unwrap(), who)
            .map_err(|e| e.messages.iter().map(|m| m.definition.key).collect())
    }

    #[test]
    fn a_test_is_what_the_client_wants() {
        let body = json!({"MessageId": "Rackfish.1.0.X", "Message": "hello", "MessageArgs": ["a"], "EventType": "Alert",
                          "Severity": "Critical", "EventId": "1", "EventTimestamp": "2026-01-31T12:00:00Z",
                          "OriginOfCondition": "/redfish/v1/Systems/n1/Processors"});
        let test = ask(&body).unwrap();
        assert_eq!((test.said.id.as_str(), test.said.severity, test.kind), ("Rackfish.1.0.X", "Critical", "Alert"));
        assert_eq!((test.node.unwrap().as_str(), test.resource), ("n1", "ComputerSystem"));
        assert_eq!(test.at.unix_timestamp(), 1_769_860_800);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(ask(&json!({})).err().unwrap(), ["ActionParameterMissing"]);
        let wrong = json!({"MessageId": 1, "EventType": "X", "EventTimestamp": "now", "OriginOfCondition": "http://x/",
                           "Foo": 1});
        assert_eq!(ask(&wrong).err().unwrap().len(), 5);
    }
}
