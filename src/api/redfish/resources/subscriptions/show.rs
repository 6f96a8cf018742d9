//! How a subscription, or an event stream that is open, is shown.

use super::{RESUME, SUBSCRIPTION, SUSPEND, uri};
use crate::api::{
    delivery::{OpenStream, Subscription},
    redfish::{doc::Doc, messages as m},
};

/// `trouble`: why events don't get through.
pub fn render(s: &Subscription, trouble: Option<&str>) -> Doc {
    let (uri, asked) = (uri(&s.id), &s.asked);
    let f = &asked.filters;
    let mut doc = Doc::resource(&SUBSCRIPTION, &uri);
    doc.set("Id", &*s.id)
        .set("Name", format!("Subscription {}", s.id))
        .opt(
            "Description",
            asked.door.as_ref().map(|node| format!("Made at the door of {node}: events of that node alone")),
        )
        .set("Destination", &asked.destination)
        .set("Context", asked.context.as_deref().unwrap_or_default())
        .set("Protocol", "Redfish")
        .set("SubscriptionType", "RedfishEvent")
        .set("EventFormatType", "Event")
        .set("VerifyCertificate", asked.verify_certificate)
        .set("DeliveryRetryPolicy", asked.retry.as_str());
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
                let message = what.with([&asked.destination, trouble]);
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

pub fn render_stream(s: &OpenStream) -> Doc {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};
    use time::OffsetDateTime;

    use super::{super::read::tests::ask, *};
    use crate::api::delivery::Suspension;

    #[test]
    fn a_subscription_reads_back_what_was_asked_but_its_headers() {
        let body = json!({"Destination": "https://x/", "Protocol": "Redfish", "RegistryPrefixes": ["ResourceEvent"],
            "ExcludeMessageIds": ["Base.1.0.X"], "OriginResources": [{"@odata.id": "/redfish/v1/Systems/n1"}],
            "SubordinateResources": true, "Severities": ["Critical"], "HttpHeaders": [{"Authorization": "s3cret"}],
            "DeliveryRetryPolicy": "RetryForeverWithBackoff"});
        let mut s = Subscription::new(ask(&body).unwrap(), 0);
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
}
