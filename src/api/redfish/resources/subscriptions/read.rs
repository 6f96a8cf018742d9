//! What clients send for a subscription, checked. What makes a good destination is checked where it is kept.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::super::event_service::{EVENT_TYPES, SEVERITIES};
use crate::{
    api::{
        delivery::{NewSubscription, RetryPolicy, SubscriptionPatch, filter::Filters},
        redfish::{error::Error, fields::Fields, messages as m, table},
    },
    model::Secret,
};

/// What happens unless the client says otherwise.
const RETRY: RetryPolicy = RetryPolicy::RetryForever;
/// Entries of a list.
const MAX_ENTRIES: usize = 1_000;
/// Longest text in a list.
const MAX_TEXT: usize = 512;

/// What a POST asks for.
pub fn new(mut fields: Fields, owner: &Arc<str>) -> Result<NewSubscription, Error> {
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
        door: None,
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
    let Some(uris) = fields.links("OriginResources") else { return Vec::new() };
    bounded(fields, "OriginResources", &uris);
    if let Some(wrong) = uris.iter().find(|uri| !uri.starts_with("/redfish/v1/")) {
        fields.incorrect("OriginResources", wrong, "It has to be a URI of this service");
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

/// What a PATCH asks for; `current`: the resource as it is shown.
pub fn patch(mut fields: Fields, current: &Value) -> Result<SubscriptionPatch, Error> {
    let patch = SubscriptionPatch {
        context: fields.nullable_string("Context"),
        headers: headers(&mut fields),
        retry: fields.one_of("DeliveryRetryPolicy", &RetryPolicy::ALL, RetryPolicy::as_str),
        verify_certificate: fields.boolean("VerifyCertificate"),
    };
    fields.finish(Some(current))?;
    Ok(patch)
}

/// `P1DT2H3M4.5S` (DSP0266, "Duration values").
pub fn duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('P')?;
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| (days, Some(time)));
    let mut seconds = 0.0;
    // How many parts it has: `None` if it is something else.
    let mut read = |mut text: &str, units: &[(char, f64)]| -> Option<usize> {
        let mut parts = 0;
        for (unit, worth) in units {
            if let Some((number, rest)) = text.split_once(*unit) {
                let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
                seconds += plain.then(|| number.parse::<f64>().ok()).flatten()? * worth;
                (text, parts) = (rest, parts + 1);
            }
        }
        text.is_empty().then_some(parts)
    };
    let of_days = read(days, &[('D', 86_400.0)])?;
    match time.map(|time| read(time, &[('H', 3_600.0), ('M', 60.0), ('S', 1.0)])) {
        None if of_days == 0 => return None,
        Some(None | Some(0)) => return None,
        None | Some(Some(_)) => {}
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|d| d.as_secs() < 100 * 365 * 86_400)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod tests {
    use serde_json::json;

    use super::*;

    fn keys(e: &Error) -> Vec<&'static str> {
        e.messages.iter().map(|m| m.definition.key).collect()
    }

    pub fn ask(body: &Value) -> Result<NewSubscription, Vec<&'static str>> {
        new(Fields::properties(body.to_string().as_bytes()).unwrap(), &Arc::from("admin")).map_err(|e| keys(&e))
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
    fn what_can_be_changed_is_changed_and_nothing_else() {
        let current = json!({"Context": "c", "Destination": "https://x/"});
        let ask = |body: Value| patch(Fields::properties(body.to_string().as_bytes()).unwrap(), &current);
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
        for text in
            ["", "5", "P", "PT", "P1DT", "PTS", "P1H", "PT1D", "PT-1S", "P1Y", "PT1e9S", "P99999999999999D", "PT1S2"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
