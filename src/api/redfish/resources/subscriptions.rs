//! Subscriptions, as Ironic makes them: 201 with `Location`, a member's URI is the collection's and its id, an `Actions`
//! object is always there. Delivery is not done here.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    super::{
        call::{Call, names_etag},
        descriptor::{LOGIN, MANAGER, Method, Queries, Resource, Verb},
        doc::{Body, Doc},
        error::Error,
        fields::Fields,
        messages as m,
        reply::Reply,
        table,
    },
    collection,
    event_service::{EVENT_TYPES, SEVERITIES, delivery},
};
use crate::{
    api::delivery::{
        NewSubscription, OpenStream, RetryPolicy, Subscription, SubscriptionError, SubscriptionPatch, filter::Filters,
    },
    model::Secret,
};

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

/// What happens unless the client says otherwise.
const RETRY: RetryPolicy = RetryPolicy::RetryForever;
/// Entries of a list.
const MAX_ENTRIES: usize = 1_000;
/// Longest text in a list.
const MAX_TEXT: usize = 512;

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
            Self::Posted(s) => &s.owner,
            Self::Streamed(s) => &s.owner,
        }
    }

    /// Subscriptions of others are for those who manage the service.
    fn visible(&self, call: &Call<'_>) -> bool {
        call.has("ConfigureManager") || call.is_self(self.owner())
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
        Member::Streamed(found) => render_stream(&found),
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

fn render(s: &Subscription, trouble: Option<&str>) -> Doc {
    let (uri, f) = (uri(&s.id), &s.filters);
    let mut doc = Doc::resource(&SUBSCRIPTION, &uri);
    doc.set("Id", &*s.id)
        .set("Name", format!("Subscription {}", s.id))
        .set("Destination", &s.destination)
        .set("Context", s.context.as_deref().unwrap_or_default())
        .set("Protocol", "Redfish")
        .set("SubscriptionType", "RedfishEvent")
        .set("EventFormatType", "Event")
        .set("VerifyCertificate", s.verify_certificate)
        .set("DeliveryRetryPolicy", s.retry.as_str());
    for (key, values) in [
        ("EventTypes", &f.event_types),
        ("RegistryPrefixes", &f.registry_prefixes),
        ("ExcludeRegistryPrefixes", &f.exclude_registry_prefixes),
        ("ResourceTypes", &f.resource_types),
        ("MessageIds", &f.message_ids),
        ("ExcludeMessageIds", &f.exclude_message_ids),
        ("Severities", &f.severities),
    ] {
        if !values.is_empty() {
            doc.list(key, values);
        }
    }
    if !f.origin_resources.is_empty() {
        doc.links("OriginResources", &f.origin_resources).set("SubordinateResources", f.subordinate_resources);
    }
    // Written, never read back (EventDestination schema, HttpHeaders).
    doc.arr("HttpHeaders", |_| {});
    // An attempt that fails is no change of the subscription; its suspension is one.
    let suspended = s.suspended.is_some();
    let status = |o: &mut Doc| {
        o.obj("Status", |o| {
            o.set("State", if suspended { "Disabled" } else { "Enabled" })
                .set("Health", if trouble.is_some() { "Warning" } else { "OK" });
            if let Some(trouble) = trouble {
                let what = if suspended { &m::DELIVERY_SUSPENDED } else { &m::DELIVERY_FAILING };
                let message = what.with([&s.destination, trouble]);
                o.arr("Conditions", |a| {
                    a.item_obj(|o| {
                        o.set("MessageId", message.definition.id())
                            .set("Message", message.text())
                            .list("MessageArgs", &message.args)
                            .set("Severity", message.definition.severity)
                            .opt("Timestamp", s.suspended.as_ref().map(|suspended| suspended.since));
                    });
                });
            }
        });
    };
    if suspended {
        status(&mut doc);
    } else {
        doc.volatile(status);
    }
    doc.obj("Actions", |o| {
        for name in [RESUME, SUSPEND] {
            o.obj(&format!("#{name}"), |o| {
                o.set("target", format!("{uri}/Actions/{name}"));
            });
        }
    });
    doc
}

fn render_stream(s: &OpenStream) -> Doc {
    let mut doc = Doc::resource(&SUBSCRIPTION, &uri(&s.id));
    doc.set("Id", &*s.id)
        .set("Name", format!("Event stream {}", s.id))
        .set("Destination", format!("redfish-sse://{}", s.peer))
        .set("Context", &*s.id)
        .set("Protocol", "Redfish")
        .set("SubscriptionType", "SSE")
        .set("EventFormatType", "Event")
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        })
        .obj("Actions", |_| {});
    doc
}

/// What a POST asks for.
fn read(mut fields: Fields, owner: &Arc<str>) -> Result<NewSubscription, Error> {
    for key in ["Destination", "Protocol"] {
        if !fields.has(key) {
            fields.missing(key);
        }
    }
    fields.one_of("Protocol", &["Redfish"], |w| w);
    fields.one_of("EventFormatType", &["Event"], |w| w);
    fields.one_of("SubscriptionType", &["RedfishEvent"], |w| w);
    let new = NewSubscription {
        owner: Arc::clone(owner),
        retry: fields.one_of("DeliveryRetryPolicy", &RetryPolicy::ALL, RetryPolicy::as_str).unwrap_or(RETRY),
        destination: fields.string("Destination").unwrap_or_default(),
        context: fields.nullable_string("Context").flatten(),
        verify_certificate: fields.boolean("VerifyCertificate").unwrap_or(true),
        headers: headers(&mut fields).unwrap_or_default(),
        filters: filters(&mut fields),
    };
    if fields.boolean("IncludeOriginOfCondition") == Some(true) {
        fields.problem(
            m::PROPERTY_INCORRECT
                .with(["IncludeOriginOfCondition", "true"])
                .detail("Events hold a link only.")
                .about("IncludeOriginOfCondition"),
        );
    }
    // Sent by clients; they change nothing that is done here.
    for key in ["Name", "Id", "Oem"] {
        fields.take(key);
    }
    fields.finish(None)?;
    Ok(new)
}

fn filters(fields: &mut Fields) -> Filters {
    let event_types = texts(fields, "EventTypes");
    among(fields, "EventTypes", &event_types, &EVENT_TYPES);
    let severities = texts(fields, "Severities");
    among(fields, "Severities", &severities, &SEVERITIES);
    let registries: Vec<_> = m::REGISTRIES.iter().map(|r| r.prefix).collect();
    let [registry_prefixes, exclude_registry_prefixes] = ["RegistryPrefixes", "ExcludeRegistryPrefixes"].map(|key| {
        let prefixes = texts(fields, key);
        among(fields, key, &prefixes, &registries);
        prefixes
    });
    let resource_types = texts(fields, "ResourceTypes");
    let types: Vec<_> = table::ALL.iter().filter(|r| r.has_schema()).map(|r| r.schema).collect();
    among(fields, "ResourceTypes", &resource_types, &types);
    let [message_ids, exclude_message_ids] = ["MessageIds", "ExcludeMessageIds"].map(|key| {
        let ids = texts(fields, key);
        if let Some(wrong) = ids.iter().find(|id| !is_message_id(id)) {
            let message = m::PROPERTY_FORMAT.with([wrong, key]);
            fields.problem(message.detail("It has to be a registry's prefix, a dot, and a key.").about(key));
        }
        ids
    });
    Filters {
        event_types,
        registry_prefixes,
        exclude_registry_prefixes,
        message_ids,
        exclude_message_ids,
        severities,
        resource_types,
        origin_resources: origins(fields),
        subordinate_resources: fields.boolean("SubordinateResources").unwrap_or(false),
    }
}

/// A list of texts, none too long.
fn texts(fields: &mut Fields, key: &'static str) -> Vec<String> {
    let texts = fields.strings(key).unwrap_or_default();
    bounded(fields, key, &texts);
    texts
}

fn bounded(fields: &mut Fields, key: &str, texts: &[String]) {
    if texts.len() > MAX_ENTRIES || texts.iter().any(|text| text.len() > MAX_TEXT) {
        let limits = format!("It may have {MAX_ENTRIES} entries of {MAX_TEXT} characters at most.");
        fields.problem(m::PROPERTY_FORMAT.with(["given", key]).detail(limits).about(key));
    }
}

fn among(fields: &mut Fields, key: &str, values: &[String], allowed: &[&str]) {
    if let Some(other) = values.iter().find(|value| !allowed.contains(&value.as_str())) {
        fields.not_in_list(key, other, allowed);
    }
}

/// `Registry.Key`, with or without a version between.
fn is_message_id(id: &str) -> bool {
    let mut parts = id.split('.');
    let word = |part: Option<&str>| part.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric()));
    word(parts.next())
        && word(parts.next_back())
        && parts.all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

fn origins(fields: &mut Fields) -> Vec<String> {
    let Some(value) = fields.take("OriginResources") else { return Vec::new() };
    let uris = value.as_array().and_then(|items| {
        items.iter().map(|i| i.get("@odata.id").and_then(Value::as_str).map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    let Some(uris) = uris else {
        fields.problem(m::PROPERTY_TYPE.with(["given", "OriginResources"]).about("OriginResources"));
        return Vec::new();
    };
    bounded(fields, "OriginResources", &uris);
    if let Some(wrong) = uris.iter().find(|uri| !uri.starts_with("/redfish/v1/")) {
        let shown: String = wrong.chars().take(80).collect();
        let message = m::PROPERTY_INCORRECT.with(["OriginResources", &shown]);
        fields.problem(message.detail("It has to be a URI of this service.").about("OriginResources"));
    }
    uris
}

/// An array of objects, each with names and values of headers. What makes a good header is checked where it is kept.
fn headers(fields: &mut Fields) -> Option<Vec<(String, Secret)>> {
    let value = fields.take("HttpHeaders")?;
    let pairs = value.as_array().and_then(|items| {
        let mut pairs = Vec::new();
        for item in items {
            for (name, value) in item.as_object()? {
                pairs.push((name.clone(), Secret::new(value.as_str()?)));
            }
        }
        Some(pairs)
    });
    if pairs.is_none() {
        fields.problem(m::PROPERTY_TYPE.with(["given", "HttpHeaders"]).about("HttpHeaders"));
    }
    pairs
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
            Error::new(503, m::NOT_KEPT.with([&cause])).retry(Duration::from_secs(30))
        }
    }
}

async fn create(call: &Call<'_>) -> Result<Reply, Error> {
    let delivery = delivery(call)?;
    let new = read(call.properties()?, &call.actor.principal)?;
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
    let patch = read_patch(call.properties()?, &value)?;
    call.note(format!("Change subscription {}", found.id));
    let changed = delivery.change(&found.id, patch, expect).await.map_err(|e| failed(call, e, ""))?;
    Ok(Reply::ok(render(&changed, trouble(call, &changed)?.as_deref())))
}

fn read_patch(mut fields: Fields, current: &Value) -> Result<SubscriptionPatch, Error> {
    let patch = SubscriptionPatch {
        context: fields.nullable_string("Context"),
        headers: headers(&mut fields),
        retry: fields.one_of("DeliveryRetryPolicy", &RetryPolicy::ALL, RetryPolicy::as_str),
        verify_certificate: fields.boolean("VerifyCertificate"),
    };
    fields.finish(Some(current))?;
    Ok(patch)
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
        let read = duration(&text);
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

/// `P1DT2H3M4.5S` (DSP0266, "Duration values").
fn duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('P')?;
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| (days, Some(time)));
    let mut seconds = 0.0;
    let mut read = |mut text: &str, units: &[(char, f64)]| -> Option<()> {
        for (unit, worth) in units {
            if let Some((number, rest)) = text.split_once(*unit) {
                let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
                seconds += plain.then(|| number.parse::<f64>().ok()).flatten()? * worth;
                text = rest;
            }
        }
        text.is_empty().then_some(())
    };
    read(days, &[('D', 86_400.0)])?;
    if let Some(time) = time {
        read(time, &[('H', 3_600.0), ('M', 60.0), ('S', 1.0)])?;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|d| d.as_secs() < 100 * 365 * 86_400)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;
    use crate::api::delivery::Suspension;

    fn keys(e: &Error) -> Vec<&'static str> {
        e.messages.iter().map(|m| m.definition.key).collect()
    }

    fn ask(body: &Value) -> Result<NewSubscription, Vec<&'static str>> {
        read(Fields::properties(body.to_string().as_bytes()).unwrap(), &Arc::from("admin")).map_err(|e| keys(&e))
    }

    fn kept(new: NewSubscription) -> Subscription {
        Subscription {
            id: Arc::from("1"),
            revision: 1,
            owner: new.owner,
            created: OffsetDateTime::UNIX_EPOCH,
            since: Some(0),
            destination: new.destination,
            context: new.context,
            filters: new.filters,
            headers: new.headers,
            retry: new.retry,
            verify_certificate: new.verify_certificate,
            suspended: None,
        }
    }

    #[test]
    fn what_ironic_and_the_validator_send_is_taken() {
        let new =
            ask(&json!({"Destination": "https://x/", "Protocol": "Redfish", "Context": "", "EventTypes": ["Alert"],
                            "HttpHeaders": [{"X-A": "b"}]}))
            .unwrap();
        assert_eq!((new.filters.event_types.len(), new.headers.len()), (1, 1));
        assert!(ask(&json!({"Context": "c", "Protocol": "Redfish", "Destination": "https://192.168.1.50/D"})).is_ok());
    }

    #[test]
    fn each_thing_that_is_wrong_is_named() {
        assert_eq!(
            ask(&json!({"Destination": "https://x", "Protocol": "FTP"})).unwrap_err(),
            ["PropertyValueNotInList"]
        );
        assert_eq!(ask(&json!({"Context": "x"})).unwrap_err(), ["PropertyMissing", "PropertyMissing"]);
        let headers = json!({"Destination": "https://x", "Protocol": "Redfish", "HttpHeaders": [{"A": 1}]});
        assert_eq!(ask(&headers).unwrap_err(), ["PropertyValueTypeError"]);
        let wrong = json!({"Destination": "https://x", "Protocol": "Redfish", "EventTypes": ["X"], "Severities": ["Bad"],
            "RegistryPrefixes": ["X"], "ExcludeRegistryPrefixes": ["X"], "ResourceTypes": ["Toaster"],
            "MessageIds": ["X"], "ExcludeMessageIds": ["a.b c"], "OriginResources": [{"@odata.id": "http://x/"}],
            "SubordinateResources": "yes", "DeliveryRetryPolicy": "Never", "IncludeOriginOfCondition": true, "Foo": 1});
        assert_eq!(ask(&wrong).unwrap_err().len(), 12);
        let many = json!({"Destination": "https://x", "Protocol": "Redfish", "MessageIds": vec!["Base.X"; 1_001]});
        assert_eq!(ask(&many).unwrap_err(), ["PropertyValueFormatError"]);
    }

    #[test]
    fn a_subscription_reads_back_what_was_asked_but_its_headers() {
        let body = json!({"Destination": "https://x/", "Protocol": "Redfish", "RegistryPrefixes": ["ResourceEvent"],
            "ExcludeMessageIds": ["Base.1.0.X"], "OriginResources": [{"@odata.id": "/redfish/v1/Systems/n1"}],
            "SubordinateResources": true, "Severities": ["Critical"], "HttpHeaders": [{"Authorization": "s3cret"}],
            "DeliveryRetryPolicy": "RetryForeverWithBackoff"});
        let mut s = kept(ask(&body).unwrap());
        let shown = render(&s, None).finish();
        let value: Value = serde_json::from_slice(&shown.bytes).unwrap();
        for (key, asked) in body.as_object().unwrap().iter().filter(|(key, _)| *key != "HttpHeaders") {
            assert_eq!(&value[key], asked, "{key}");
        }
        assert!(!String::from_utf8(shown.bytes).unwrap().contains("s3cret"));
        assert_eq!(value["HttpHeaders"], json!([]));
        assert_eq!(value["Status"], json!({"State": "Enabled", "Health": "OK"}));
        // Trouble is told without a new ETag; a suspension changes it.
        let failing = render(&s, Some("timed out")).finish();
        assert_eq!(failing.etag, shown.etag);
        let value: Value = serde_json::from_slice(&failing.bytes).unwrap();
        assert_eq!(value["Status"]["Health"], "Warning");
        assert!(value["Status"]["Conditions"][0]["Message"].as_str().unwrap().contains("timed out"));
        s.suspended = Some(Suspension { reason: "given up".to_owned(), since: OffsetDateTime::UNIX_EPOCH });
        let suspended = render(&s, Some("given up")).finish();
        assert_ne!(suspended.etag, shown.etag);
        let value: Value = serde_json::from_slice(&suspended.bytes).unwrap();
        assert_eq!((&value["Status"]["State"], &value["Status"]["Health"]), (&json!("Disabled"), &json!("Warning")));
    }

    #[test]
    fn what_can_be_changed_is_changed_and_nothing_else() {
        let current = json!({"Context": "c", "Destination": "https://x/"});
        let ask = |body: Value| read_patch(Fields::properties(body.to_string().as_bytes()).unwrap(), &current);
        let patch = ask(json!({"Context": null, "VerifyCertificate": false, "DeliveryRetryPolicy": "SuspendRetries"}));
        let patch = patch.unwrap();
        assert_eq!((patch.context, patch.verify_certificate), (Some(None), Some(false)));
        assert_eq!(keys(&ask(json!({"Destination": "https://y/"})).unwrap_err()), ["PropertyNotWritable"]);
        assert_eq!(keys(&ask(json!({"Foo": 1})).unwrap_err()), ["PropertyUnknown"]);
    }

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [("PT0S", 0), ("P1DT2H3M4S", 93_784), ("PT1.5S", 1), ("P2D", 172_800), ("PT5M", 300)] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for text in ["", "5", "PT", "PTS", "P1H", "PT1D", "PT-1S", "P1Y", "PT1e9S", "P99999999999999D", "PT1S2"] {
            assert!(duration(text).is_none() || text == "PT", "{text}");
        }
    }
}
