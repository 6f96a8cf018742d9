//! rackfish's own log: what happened in the fleet, as the events that subscribers get, and who did it. An account finds
//! what it may see. The newest are kept; across restarts, if there is a state folder.

use std::sync::Arc;

use serde_json::Value;

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    collection,
    event_service::delivery,
    managers,
};
use crate::api::delivery::{log::RECENT, record::Record};

const LOG: &str = "Events";

/// The collection.
pub static SERVICES: Resource = Resource {
    schema: "LogServiceCollection",
    version: "",
    uris: &["/redfish/v1/Managers/{manager}/LogServices"],
    verbs: &[Verb::get(LOGIN, services)],
    summary: "The log of rackfish itself.",
    queries: Queries::Collection,
};

/// The log service.
pub static SERVICE: Resource = Resource {
    schema: "LogService",
    version: "v1_9_0",
    uris: &["/redfish/v1/Managers/{manager}/LogServices/{log}"],
    verbs: &[Verb::get(LOGIN, service)],
    summary: "What happened in the fleet, and who did it.",
    queries: Queries::Single,
};

/// The entries.
pub static ENTRIES: Resource = Resource {
    schema: "LogEntryCollection",
    version: "",
    uris: &["/redfish/v1/Managers/{manager}/LogServices/{log}/Entries"],
    verbs: &[Verb::get(LOGIN, entries)],
    summary: "The newest events that the account may see, oldest first.",
    queries: Queries::Collection,
};

/// An entry.
pub static ENTRY: Resource = Resource {
    schema: "LogEntry",
    version: "v1_21_0",
    uris: &["/redfish/v1/Managers/{manager}/LogServices/{log}/Entries/{entry}"],
    verbs: &[Verb::get(LOGIN, entry)],
    summary: "An event.",
    queries: Queries::Single,
};

/// The URI of the collection of rackfish's own logs.
pub fn services_uri() -> String {
    format!("{}/LogServices", managers::uri(managers::OURSELVES))
}

fn service_uri() -> String {
    format!("{}/{LOG}", services_uri())
}

fn entries_uri() -> String {
    format!("{}/Entries", service_uri())
}

/// What the caller may see of the log that the path names.
fn visible(call: &Call<'_>) -> Result<Vec<Arc<Record>>, Error> {
    if call.param(0) != managers::OURSELVES || call.param(1) != LOG {
        return Err(call.not_found());
    }
    Ok(delivery(call)?.recent(&call.actor.principal, call.door))
}

fn services(call: &Call<'_>) -> Result<Reply, Error> {
    delivery(call)?;
    if call.param(0) != managers::OURSELVES {
        return Err(call.not_found());
    }
    Ok(collection(call, "Logs", &services_uri(), [LOG].iter()))
}

fn service(call: &Call<'_>) -> Result<Reply, Error> {
    visible(call)?;
    let mut doc = Doc::resource(&SERVICE, &service_uri());
    doc.set("Id", LOG)
        .set("Name", "What happened in the fleet")
        .set("LogEntryType", "Event")
        .set("OverWritePolicy", "WrapsWhenFull")
        .set("MaxNumberOfRecords", RECENT)
        .set("ServiceEnabled", true)
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        })
        .link("Entries", &entries_uri());
    Ok(Reply::ok(doc))
}

fn entries(call: &Call<'_>) -> Result<Reply, Error> {
    let all = visible(call)?;
    let mut doc = Doc::resource(&ENTRIES, &entries_uri());
    // The schema has the entries themselves in the collection, not links to them.
    doc.set("Name", "Events").set("Members@odata.count", all.len()).arr("Members", |a| {
        for record in all.iter().skip(call.query.skip).take(call.query.top.unwrap_or(all.len())) {
            a.item_raw(&render(record, &entries_uri(), &ENTRY).finish().bytes);
        }
    });
    Ok(Reply::ok(doc))
}

fn entry(call: &Call<'_>) -> Result<Reply, Error> {
    let all = visible(call)?;
    let found = all.iter().find(|record| record.id.to_string() == call.param(2)).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(render(found, &entries_uri(), &ENTRY)))
}

/// An event as an entry of the log whose entries are at `entries`.
pub fn render(record: &Record, entries: &str, entry: &'static Resource) -> Doc {
    let id = record.id.to_string();
    let told: Value = serde_json::from_str(&record.body).unwrap_or_default();
    let text = |key: &str| told.get(key).and_then(Value::as_str);
    let mut doc = Doc::resource(entry, &format!("{entries}/{id}"));
    doc.set("Id", &id)
        .set("Name", format!("Event {id}"))
        .set("EntryType", "Event")
        .set("EventId", &id)
        .set("EventTimestamp", record.at)
        .set("Created", record.at)
        .set("Severity", &*record.severity)
        .set("MessageId", &*record.message)
        .opt("Message", text("Message"))
        .opt("Resolution", text("Resolution"))
        .opt("Username", text("Username"));
    let args = told.get("MessageArgs").and_then(Value::as_array);
    if let Some(args) = args {
        doc.list("MessageArgs", args.iter().filter_map(Value::as_str));
    }
    doc.obj("Links", |o| {
        o.link("OriginOfCondition", &record.origin);
    });
    let ours = told.pointer("/Oem/Rackfish");
    let told = |key: &str| ours.and_then(|ours| ours.get(key)).and_then(Value::as_str);
    if let Some(face) = told("Face") {
        doc.obj("Oem", |o| {
            o.obj("Rackfish", |o| {
                o.set("@odata.type", "#RackfishLogEntry.v1_0_0.LogEntry")
                    .set("Face", face)
                    .opt("RequestId", told("RequestId"));
            });
        });
    }
    doc
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn an_entry_says_what_happened_and_who_did_it() {
        let record = Record {
            id: 7,
            at: OffsetDateTime::UNIX_EPOCH,
            node: None,
            private: None,
            audit: false,
            kind: "StatusChange".into(),
            resource: "ComputerSystem".into(),
            message: "ResourceEvent.1.4.ResourcePoweredOn".into(),
            severity: "OK".into(),
            origin: "/redfish/v1/Systems/n1".into(),
            body: r#"{"Message":"It is on.","MessageArgs":["n1"],"Username":"ann","Oem":{"Rackfish":{"Face":"Cli","RequestId":"r"}}}"#.into(),
        };
        let value: Value = serde_json::from_slice(&render(&record, &entries_uri(), &ENTRY).finish().bytes).unwrap();
        assert_eq!(
            (&value["EventId"], &value["Username"], &value["MessageArgs"][0]),
            (&"7".into(), &"ann".into(), &"n1".into())
        );
        assert_eq!(value["Links"]["OriginOfCondition"]["@odata.id"], "/redfish/v1/Systems/n1");
        let ours = &value["Oem"]["Rackfish"];
        assert_eq!((&ours["Face"], &ours["RequestId"]), (&"Cli".into(), &"r".into()));
        assert_eq!(value["Created"], "1970-01-01T00:00:00Z");
    }
}
