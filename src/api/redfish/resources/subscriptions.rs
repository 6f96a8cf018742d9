//! EventService and its subscriptions, as Ironic makes them: 201 with `Location`, a member's URI is the collection's
//! and its id, an `Actions` object is always there. Delivery is not done here.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, MANAGER, Method, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        fields::Fields,
        messages as m,
        reply::Reply,
    },
    collection,
};
use crate::model::Secret;

/// The service.
pub const URI: &str = "/redfish/v1/EventService";
const SUBSCRIPTIONS: &str = "/redfish/v1/EventService/Subscriptions";

/// The service.
pub static SERVICE: Resource = Resource {
    schema: "EventService",
    version: "v1_12_0",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, service)],
    summary: "Events: what can be subscribed to.",
    queries: Queries::Single,
};

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "EventDestinationCollection",
    version: "",
    uris: &[SUBSCRIPTIONS],
    verbs: &[Verb::get(LOGIN, list), Verb::of(Method::Post, MANAGER, |call| Box::pin(create(call)))],
    summary: "Subscriptions. POST makes one.",
    queries: Queries::Collection,
};

/// A subscription.
pub static SUBSCRIPTION: Resource = Resource {
    schema: "EventDestination",
    version: "v1_16_0",
    uris: &["/redfish/v1/EventService/Subscriptions/{subscription}"],
    verbs: &[Verb::get(LOGIN, get), Verb::of(Method::Delete, MANAGER, |call| Box::pin(remove(call)))],
    summary: "A subscription. DELETE ends it.",
    queries: Queries::Single,
};

/// What a client asks to be told, and where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Where events are sent.
    pub destination: String,
    /// Opaque text that goes with each event.
    pub context: String,
    /// `Alert`, `StatusChange`, ...; empty: all.
    #[serde(default)]
    pub event_types: Vec<String>,
    /// Registries whose messages are wanted; empty: all.
    #[serde(default)]
    pub registry_prefixes: Vec<String>,
    /// Types of resources whose events are wanted; empty: all.
    #[serde(default)]
    pub resource_types: Vec<String>,
    /// Messages that are wanted (`Base.1.0.X`); empty: all.
    #[serde(default)]
    pub message_ids: Vec<String>,
    /// Resources whose events are wanted, as URIs; empty: all.
    #[serde(default)]
    pub origin_resources: Vec<String>,
    /// Headers that go with each event; may hold credentials, so they are never shown.
    #[serde(default)]
    pub http_headers: Vec<(String, String)>,
    /// Whether the destination's certificate is checked.
    pub verify_certificate: bool,
    /// `DeliveryRetryPolicy`; empty: [`RETRY`].
    #[serde(default)]
    pub retry: String,
    /// Who made it.
    pub principal: String,
}

/// A subscription as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// For the URI.
    pub id: String,
    /// What is wanted.
    pub wanted: Wanted,
    /// Why events don't get through, if they don't.
    pub trouble: Option<String>,
}

/// Why a subscription was not kept.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The destination is not one that events may be sent to.
    #[error("{0}")]
    Destination(String),
    /// There are too many.
    #[error("there are as many subscriptions as are kept")]
    Limit,
    /// The store failed.
    #[error("{0}")]
    Store(String),
}

/// Where subscriptions are kept and served from.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// All of them, by id.
    fn list(&self) -> Vec<Subscription>;
    /// One of them.
    fn get(&self, id: &str) -> Option<Subscription>;
    /// Keeps a new one.
    async fn create(&self, wanted: Wanted) -> Result<Subscription, SubscribeError>;
    /// Ends one; false: there was none.
    async fn remove(&self, id: &str) -> Result<bool, SubscribeError>;
}

/// `EventType` words of the schema.
const EVENT_TYPES: [&str; 7] =
    ["Alert", "StatusChange", "ResourceUpdated", "ResourceAdded", "ResourceRemoved", "MetricReport", "Other"];
/// What happens after the last retry, unless the client says otherwise.
pub const RETRY: &str = "RetryForever";
/// What a client may say.
const RETRIES: [&str; 3] = [RETRY, "TerminateAfterRetries", "SuspendRetries"];
/// Longest text that is kept of a subscription.
const MAX_TEXT: usize = 2048;

fn store<'c>(call: &'c Call<'_>) -> Result<&'c dyn Subscriptions, Error> {
    call.face.subscriptions.as_deref().ok_or_else(|| call.not_found())
}

fn service(call: &Call<'_>) -> Result<Reply, Error> {
    store(call)?;
    let mut doc = Doc::resource(&SERVICE, URI);
    doc.set("Id", "EventService")
        .set("Name", "Event service")
        .set("ServiceEnabled", true)
        .list("EventFormatTypes", ["Event"])
        .list("RegistryPrefixes", m::REGISTRIES.iter().filter(|r| r.prefix != "Base").map(|r| r.prefix))
        .list("ResourceTypes", ["ComputerSystem", "Manager", "Task"])
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        })
        .link("Subscriptions", SUBSCRIPTIONS)
        // Ironic's client needs the member, not anything in it.
        .obj("Actions", |_| {});
    Ok(Reply::ok(doc))
}

/// Subscriptions of others are for those who manage the service.
fn visible(call: &Call<'_>, s: &Subscription) -> bool {
    call.has("ConfigureManager") || call.is_self(&s.wanted.principal)
}

fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let ids: Vec<_> = store(call)?.list().into_iter().filter(|s| visible(call, s)).map(|s| s.id).collect();
    Ok(collection(call, "Subscriptions", SUBSCRIPTIONS, ids.iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let found = store(call)?.get(call.param(0)).filter(|s| visible(call, s)).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(render(&found)))
}

fn render(s: &Subscription) -> Doc {
    let w = &s.wanted;
    let mut doc = Doc::resource(&SUBSCRIPTION, &format!("{SUBSCRIPTIONS}/{}", s.id));
    doc.set("Id", &s.id)
        .set("Name", format!("Subscription {}", s.id))
        .set("Destination", &w.destination)
        .set("Context", &w.context)
        .set("Protocol", "Redfish")
        .set("SubscriptionType", "RedfishEvent")
        .set("EventFormatType", "Event")
        .set("VerifyCertificate", w.verify_certificate)
        .set("DeliveryRetryPolicy", if w.retry.is_empty() { RETRY } else { w.retry.as_str() });
    for (key, values) in [
        ("EventTypes", &w.event_types),
        ("RegistryPrefixes", &w.registry_prefixes),
        ("ResourceTypes", &w.resource_types),
        ("MessageIds", &w.message_ids),
    ] {
        if !values.is_empty() {
            doc.list(key, values);
        }
    }
    if !w.origin_resources.is_empty() {
        doc.links("OriginResources", &w.origin_resources);
    }
    // Written, never read back (EventDestination schema, HttpHeaders).
    doc.arr("HttpHeaders", |_| {});
    doc.obj("Status", |o| {
        o.set("State", "Enabled").set("Health", if s.trouble.is_some() { "Warning" } else { "OK" });
    });
    doc.obj("Actions", |_| {});
    doc
}

/// What a POST asks for.
fn read(mut fields: Fields, principal: &str) -> Result<Wanted, Error> {
    for key in ["Destination", "Protocol"] {
        if !fields.has(key) {
            fields.missing(key);
        }
    }
    let mut wanted = Wanted { principal: principal.to_owned(), verify_certificate: true, ..Wanted::default() };
    fields.one_of("Protocol", &["Redfish"], |w| w);
    fields.one_of("EventFormatType", &["Event"], |w| w);
    fields.one_of("SubscriptionType", &["RedfishEvent"], |w| w);
    fields.one_of("DeliveryRetryPolicy", &RETRIES, |w| w).unwrap_or(RETRY).clone_into(&mut wanted.retry);
    if let Some(destination) = fields.string("Destination") {
        if !(destination.starts_with("https://") || destination.starts_with("http://")) || destination.len() > MAX_TEXT
        {
            fields.problem(
                m::PROPERTY_FORMAT
                    .with([&destination.chars().take(80).collect::<String>(), "Destination"])
                    .detail("It has to be an http or https URL.")
                    .about("Destination"),
            );
        }
        wanted.destination = destination;
    }
    wanted.context = fields.nullable_string("Context").flatten().unwrap_or_default();
    if wanted.context.len() > MAX_TEXT {
        fields.problem(m::PROPERTY_FORMAT.with(["given", "Context"]).detail("It is too long.").about("Context"));
    }
    if let Some(verify) = fields.boolean("VerifyCertificate") {
        wanted.verify_certificate = verify;
    }
    wanted.event_types = fields.strings("EventTypes").unwrap_or_default();
    if let Some(other) = wanted.event_types.iter().find(|t| !EVENT_TYPES.contains(&t.as_str())) {
        let other = other.clone();
        fields.not_in_list("EventTypes", &other, &EVENT_TYPES);
    }
    wanted.registry_prefixes = fields.strings("RegistryPrefixes").unwrap_or_default();
    wanted.resource_types = fields.strings("ResourceTypes").unwrap_or_default();
    wanted.message_ids = fields.strings("MessageIds").unwrap_or_default();
    wanted.origin_resources = origins(&mut fields);
    wanted.http_headers = headers(&mut fields);
    // Sent by clients; they change nothing that is done here.
    for key in ["Name", "Id", "Oem", "IncludeOriginOfCondition", "SubordinateResources"] {
        fields.take(key);
    }
    fields.finish(None)?;
    Ok(wanted)
}

fn origins(fields: &mut Fields) -> Vec<String> {
    let Some(value) = fields.take("OriginResources") else { return Vec::new() };
    let uris = value.as_array().and_then(|items| {
        items.iter().map(|i| i.get("@odata.id").and_then(Value::as_str).map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    uris.unwrap_or_else(|| {
        fields.problem(m::PROPERTY_TYPE.with(["given", "OriginResources"]).about("OriginResources"));
        Vec::new()
    })
}

/// An array of objects, each a header's name and value.
fn headers(fields: &mut Fields) -> Vec<(String, String)> {
    let Some(value) = fields.take("HttpHeaders") else { return Vec::new() };
    let pairs = value.as_array().and_then(|items| {
        let mut pairs = Vec::new();
        for item in items {
            for (name, value) in item.as_object()? {
                let value = Secret::new(value.as_str()?);
                // No header smuggling.
                let clean = |t: &str| !t.is_empty() && t.len() <= MAX_TEXT && !t.contains(['\r', '\n', '\0']);
                if !clean(name) || !clean(value.expose()) {
                    return None;
                }
                pairs.push((name.clone(), value.expose().to_owned()));
            }
        }
        Some(pairs)
    });
    pairs.unwrap_or_else(|| {
        fields.problem(m::PROPERTY_TYPE.with(["given", "HttpHeaders"]).about("HttpHeaders"));
        Vec::new()
    })
}

fn failed(call: &Call<'_>, error: &SubscribeError, destination: &str) -> Error {
    match error {
        SubscribeError::Destination(reason) => Error::new(
            400,
            m::PROPERTY_INCORRECT.with(["Destination", destination]).detail(format!("{reason}.")).about("Destination"),
        ),
        SubscribeError::Limit => Error::new(400, m::TOO_MANY_SUBSCRIPTIONS.with([])),
        SubscribeError::Store(cause) => {
            tracing::warn!(%cause, request = %call.actor.request, "a subscription could not be kept");
            Error::new(503, m::NOT_KEPT.with([cause])).retry(std::time::Duration::from_secs(30))
        }
    }
}

async fn create(call: &Call<'_>) -> Result<Reply, Error> {
    let store = store(call)?;
    let wanted = read(call.properties()?, &call.actor.principal)?;
    let destination = wanted.destination.clone();
    call.note(format!("Subscribe {destination:?}"));
    let made = store.create(wanted).await.map_err(|e| failed(call, &e, &destination))?;
    Ok(Reply::created(render(&made), format!("{SUBSCRIPTIONS}/{}", made.id)))
}

async fn remove(call: &Call<'_>) -> Result<Reply, Error> {
    let store = store(call)?;
    call.note(format!("Unsubscribe {}", call.param(0)));
    match store.remove(call.param(0)).await {
        Ok(true) => Ok(Reply::done()),
        Ok(false) => Err(call.not_found()),
        Err(e) => Err(failed(call, &e, "")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(body: &Value) -> Result<Wanted, Vec<&'static str>> {
        read(Fields::properties(body.to_string().as_bytes()).unwrap(), "admin")
            .map_err(|e| e.messages.iter().map(|m| m.definition.key).collect())
    }

    #[test]
    fn what_ironic_and_the_validator_send_is_taken() {
        let w =
            ask(&json!({"Destination": "https://x/", "Protocol": "Redfish", "Context": "", "EventTypes": ["Alert"],
                            "HttpHeaders": [{"X-A": "b"}]}))
            .unwrap();
        assert_eq!((w.event_types.len(), w.http_headers.len()), (1, 1));
        assert!(ask(&json!({"Context": "c", "Protocol": "Redfish", "Destination": "https://192.168.1.50/D"})).is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(
            ask(&json!({"Destination": "https://x", "Protocol": "FTP"})).unwrap_err(),
            ["PropertyValueNotInList"]
        );
        assert_eq!(
            ask(&json!({"Destination": "ftp://x", "Protocol": "Redfish"})).unwrap_err(),
            ["PropertyValueFormatError"]
        );
        assert_eq!(ask(&json!({"Context": "x"})).unwrap_err(), ["PropertyMissing", "PropertyMissing"]);
        let headers = json!({"Destination": "https://x", "Protocol": "Redfish", "HttpHeaders": [{"A": "b\r\nC: d"}]});
        assert_eq!(ask(&headers).unwrap_err(), ["PropertyValueTypeError"]);
    }

    #[test]
    fn headers_are_never_shown() {
        let wanted = ask(
            &json!({"Destination": "https://x", "Protocol": "Redfish", "HttpHeaders": [{"Authorization": "s3cret"}]}),
        );
        let s = Subscription { id: "1".into(), wanted: wanted.unwrap(), trouble: None };
        let body = render(&s).finish();
        assert!(!String::from_utf8(body.bytes.clone()).unwrap().contains("s3cret"));
        let value: Value = serde_json::from_slice(&body.bytes).unwrap();
        assert_eq!(value["@odata.id"], "/redfish/v1/EventService/Subscriptions/1");
        assert!(value["Actions"].is_object());
    }
}
