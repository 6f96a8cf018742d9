//! The logs of a node: the event log of its host (an IPMI SEL), and our own audit trail beside it (`audit_log`).
//!
//! A GET never waits for a device: it answers with the log as last read, and has it read again when that is older
//! than a few seconds. The first look at a log that was never read finds it empty; `Oem.Rackfish.ReadAt` says so.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dashmap::DashMap;
use time::OffsetDateTime;

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, MANAGER, Method, Queries, Resource, Verb},
        doc::Doc,
        error::{Asked, Error},
        reply::Reply,
    },
    audit_log, collection, readings, systems,
};
use crate::{
    fleet::{Fresh, Layer, NodeView, Op, Outcome, Target},
    model::{Aspect, Fact, LogEntry, NodeId},
};

const LOG: &str = "SEL";
const CLEAR_ACTION: &str = "LogService.ClearLog";
/// A log older than this is read again when somebody looks.
const FRESH: Duration = Duration::from_secs(5);
/// Longest time that reading a log may take: some BMCs need a second for ten records.
const READ_TIME: Duration = Duration::from_mins(2);

/// The collection of log services.
pub static SERVICES: Resource = Resource {
    schema: "LogServiceCollection",
    version: "",
    uris: &["/redfish/v1/Systems/{system}/LogServices"],
    verbs: &[Verb::get(LOGIN, services)],
    summary: "Logs of a node: `SEL` where its host keeps one, and `Audit`, what was done to it and by whom.",
    queries: Queries::Collection,
};

/// The log service.
pub static SERVICE: Resource = Resource {
    schema: "LogService",
    version: "v1_9_0",
    uris: &["/redfish/v1/Systems/{system}/LogServices/{log}"],
    verbs: &[Verb::get(LOGIN, service)],
    summary: "The event log of a node's host, or the audit trail of a node.",
    queries: Queries::Single,
};

/// The entries.
pub static ENTRIES: Resource = Resource {
    schema: "LogEntryCollection",
    version: "",
    uris: &["/redfish/v1/Systems/{system}/LogServices/{log}/Entries"],
    verbs: &[Verb::get(LOGIN, entries)],
    summary: "Entries of the host's log as last read, whole; of the audit trail the newest, oldest first.",
    queries: Queries::Collection,
};

/// An entry.
pub static ENTRY: Resource = Resource {
    schema: "LogEntry",
    version: "v1_21_0",
    uris: &["/redfish/v1/Systems/{system}/LogServices/{log}/Entries/{entry}"],
    verbs: &[Verb::get(LOGIN, entry)],
    summary: "An entry of a log.",
    queries: Queries::Single,
};

/// The action that empties a log.
pub static CLEAR: Resource = Resource {
    schema: CLEAR_ACTION,
    version: "",
    uris: &["/redfish/v1/Systems/{system}/LogServices/{log}/Actions/LogService.ClearLog"],
    verbs: &[Verb::of(Method::Post, MANAGER, |call| Box::pin(clear(call)))],
    summary: "Empties the log on the device; the audit trail can't be emptied.",
    queries: Queries::None,
};

/// Logs as last read.
#[derive(Default)]
pub struct LogCache {
    logs: DashMap<NodeId, Cached>,
}

#[derive(Default, Clone)]
struct Cached {
    entries: Arc<Vec<LogEntry>>,
    read_at: Option<OffsetDateTime>,
    asked: Option<Instant>,
    reading: bool,
}

impl LogCache {
    /// The log as last read; true: it is time to read it again, and the caller does.
    fn look(&self, node: &NodeId) -> (Cached, bool) {
        let mut slot = self.logs.entry(node.clone()).or_default();
        // A reading that has not come back by then never will.
        let wait = if slot.reading { READ_TIME * 2 } else { FRESH };
        let due = slot.asked.is_none_or(|at| at.elapsed() > wait);
        if due {
            slot.reading = true;
            slot.asked = Some(Instant::now());
        }
        (slot.clone(), due)
    }

    fn put(&self, node: &NodeId, entries: Option<Vec<LogEntry>>) {
        let mut slot = self.logs.entry(node.clone()).or_default();
        slot.reading = false;
        if let Some(entries) = entries {
            slot.entries = Arc::new(entries);
            slot.read_at = Some(OffsetDateTime::now_utc());
        }
    }
}

/// The URI of a node's log services.
pub fn services_uri(node: &str) -> String {
    [systems::URI, "/", node, "/LogServices"].concat()
}

fn service_uri(node: &NodeView) -> String {
    format!("{}/{LOG}", services_uri(node.id.as_str()))
}

/// The node that the path names, if its host keeps a log and the path names that.
fn node(call: &Call<'_>) -> Result<NodeView, Error> {
    let node = systems::node(call)?;
    if !node.has_log || call.param(1) != LOG {
        return Err(call.not_found());
    }
    Ok(node)
}

/// The log as last read; starts to read it again when that was a while ago.
fn log(call: &Call<'_>, node: &NodeView) -> Cached {
    let (cached, due) = call.face.logs.look(&node.id);
    if due {
        let (fleet, who, cache, id) =
            (call.face.fleet.clone(), call.actor.clone(), Arc::clone(&call.face.logs), node.id.clone());
        call.face.runtime.spawn(async move {
            let target = Target::Node(id.clone(), Layer::Host);
            let read = fleet.run(&who, target, Op::Observe(Aspect::Log), Fresh::Within(READ_TIME)).await;
            let entries = match read {
                Ok(Outcome::Facts(facts)) => Some(
                    facts
                        .into_iter()
                        .filter_map(|f| if let Fact::Log(entries) = f.value { Some(entries) } else { None })
                        .flatten()
                        .collect(),
                ),
                Ok(_) => None,
                Err(error) => {
                    tracing::debug!(node = %id, %error, "the log could not be read");
                    None
                }
            };
            cache.put(&id, entries);
        });
    }
    cached
}

fn services(call: &Call<'_>) -> Result<Reply, Error> {
    let node = systems::node(call)?;
    let mut logs = Vec::new();
    if node.has_log {
        log(call, &node);
        logs.push(LOG);
    }
    if call.face.subscriptions.is_some() {
        logs.push(audit_log::LOG);
    }
    Ok(collection(call, "Logs", &services_uri(node.id.as_str()), logs.iter()))
}

fn service(call: &Call<'_>) -> Result<Reply, Error> {
    if call.param(1) == audit_log::LOG {
        return audit_log::service(call);
    }
    let node = node(call)?;
    let cached = log(call, &node);
    let uri = service_uri(&node);
    let mut doc = Doc::resource(&SERVICE, &uri);
    doc.set("Id", LOG)
        .set("Name", "Event log of the host")
        .set("LogEntryType", "SEL")
        .set("OverWritePolicy", "Unknown")
        .set("ServiceEnabled", true)
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        })
        .link("Entries", &format!("{uri}/Entries"))
        .obj("Actions", |o| {
            o.obj("#LogService.ClearLog", |o| {
                o.set("target", format!("{uri}/Actions/{CLEAR_ACTION}"));
            });
        })
        .obj("Oem", |o| {
            o.obj("Rackfish", |o| {
                o.set("@odata.type", "#RackfishLogService.v1_0_0.LogService").volatile(|o| {
                    o.set("ReadAt", cached.read_at);
                });
            });
        });
    Ok(Reply::ok(doc))
}

fn entries(call: &Call<'_>) -> Result<Reply, Error> {
    if call.param(1) == audit_log::LOG {
        return audit_log::entries(call);
    }
    let node = node(call)?;
    let cached = log(call, &node);
    let uri = format!("{}/Entries", service_uri(&node));
    let mut doc = Doc::resource(&ENTRIES, &uri);
    let total = cached.entries.len();
    // The schema has the entries themselves in the collection, not links to them.
    doc.set("Name", "Log entries").set("Members@odata.count", total).arr("Members", |a| {
        for entry in cached.entries.iter().skip(call.query.skip).take(call.query.top.unwrap_or(total)) {
            a.item_raw(&render(entry, &uri).finish().bytes);
        }
    });
    Ok(Reply::ok(doc))
}

fn entry(call: &Call<'_>) -> Result<Reply, Error> {
    if call.param(1) == audit_log::LOG {
        return audit_log::entry(call);
    }
    let node = node(call)?;
    let cached = log(call, &node);
    let found = cached.entries.iter().find(|e| e.id.to_string() == call.param(2)).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(render(found, &format!("{}/Entries", service_uri(&node)))))
}

fn render(entry: &LogEntry, entries: &str) -> Doc {
    let mut doc = Doc::resource(&ENTRY, &format!("{entries}/{}", entry.id));
    doc.set("Id", entry.id.to_string())
        .set("Name", format!("Entry {}", entry.id))
        .set("EntryType", "SEL")
        .opt("Created", entry.at)
        .set("Severity", readings::health(entry.severity))
        .set("Message", &entry.message)
        .opt("MessageId", event_data(&entry.raw));
    if !entry.raw.is_empty() {
        let hex = entry.raw.iter().fold(String::new(), |hex, b| format!("{hex}{b:02x}"));
        doc.obj("Oem", |o| {
            o.obj("Rackfish", |o| {
                o.set("@odata.type", "#RackfishLogEntry.v1_0_0.LogEntry").set("Raw", &hex);
            });
        });
    }
    doc
}

/// What the schema wants as the `MessageId` of a SEL entry: direction and type of the event, and its three bytes of data
/// (bytes 13 to 16 of the record, IPMI 2.0 table 32-1).
fn event_data(record: &[u8]) -> Option<String> {
    let [.., kind, one, two, three] = <&[u8; 16]>::try_from(record).ok()?;
    Some(format!("0x{kind:02x}{one:02x}{two:02x}{three:02x}"))
}

async fn clear(call: &Call<'_>) -> Result<Reply, Error> {
    let node = node(call)?;
    let mut fields = call.parameters(CLEAR_ACTION)?;
    // A client may name the ETag of the entries it has read; ours changes with every reading, so it proves nothing.
    fields.take("LogEntriesETag");
    fields.finish(None)?;
    call.note(format!("Clear the log of {}", node.id));
    let asked = Asked::Action { action: CLEAR_ACTION, parameter: "Log", value: LOG };
    let task = call.run(Target::Node(node.id.clone(), Layer::Host), Op::ClearLog, asked).await?;
    call.face.logs.logs.remove(&node.id);
    Ok(task.unwrap_or_else(Reply::done))
}

#[cfg(test)]
mod tests {
    use super::event_data;

    #[test]
    fn a_record_of_the_event_log_has_its_data_as_message_id() {
        let record = [1, 0, 2, 0, 0, 0, 0, 0x20, 0, 4, 7, 0x42, 0x6f, 0xa5, 0x0b, 0xff];
        assert_eq!(event_data(&record).as_deref(), Some("0x6fa50bff"));
        assert_eq!(event_data(&[]), None);
        assert_eq!(event_data(&[0; 17]), None);
    }
}
