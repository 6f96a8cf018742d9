//! Events for subscribers: what happened in the fleet as Redfish event records, who may see them, and the bodies in
//! which they travel (Event schema; DSP0266, "Event messages").

use std::{path::Path, sync::Arc};

use time::OffsetDateTime;

use super::{
    doc::Doc,
    messages::{self as m, Definition, Message},
};
use crate::{
    api::delivery::{self, Delivery, Look, Settings, log::EventLog, record::Record},
    auth::Auth,
    fleet::{Event, Fleet, What, event::Cause},
    model::{NodeId, PowerState, Scope},
    store::{Store, StoreError},
};

/// `@odata.type` of a delivered body.
const EVENT_TYPE: &str = "#Event.v1_13_0.Event";
/// The manager that is this service.
const OURSELVES: &str = "/redfish/v1/Managers/rackfish";
/// Longest argument of a message: what a device said may be of any length.
const MAX_ARGUMENT: usize = 512;
/// The folder of the event log, within the state folder.
const FOLDER: &str = "events";

/// Starts to keep the fleet's events, in `state_dir` if there is one, and to deliver them to subscribers.
pub async fn start(
    store: Arc<dyn Store>,
    fleet: &Fleet,
    auth: &Auth,
    state_dir: Option<&Path>,
    settings: Settings,
) -> Result<Delivery, StoreError> {
    let seen = delivery::newest_seen(&*store).await?;
    let log = match state_dir.map(|dir| dir.join(FOLDER)) {
        None => EventLog::in_memory(seen),
        Some(folder) => {
            let dir = folder.clone();
            let opened = tokio::task::spawn_blocking(move || EventLog::open(&dir, seen)).await;
            match opened.map_err(std::io::Error::other).and_then(|opened| opened) {
                Ok(log) => log,
                // Switching machines matters more than telling of it.
                Err(error) => {
                    let folder = folder.display();
                    tracing::error!(%folder, %error, "the event log can't be opened: events are kept in memory until the next start");
                    EventLog::in_memory(seen)
                }
            }
        }
    };
    let look = Eyes { fleet: fleet.clone(), auth: auth.clone() };
    let delivery = Delivery::start(store, Arc::clone(&log), settings, look).await?;
    let kept = Arc::clone(&log);
    auth.on_lockout(move |account, address| {
        kept.append(|_| locked_out(account, &address.to_string()));
    });
    fleet.record_events(move |event| {
        log.append(|_| record(event));
    });
    Ok(delivery)
}

/// What an account may see, and what it gets to see.
pub struct Eyes {
    /// For the groups of nodes.
    pub fleet: Fleet,
    /// For the scopes of accounts.
    pub auth: Auth,
}

impl Look for Eyes {
    /// An account that is gone or disabled sees nothing, nor does somebody from outside whose rights are void.
    fn sees(&self, owner: &str, event: &Record) -> bool {
        let Some(account) = self.auth.known(owner).filter(|account| account.enabled) else { return false };
        let unlimited = matches!(&*account.scope, Scope::All);
        if let Some(private) = &event.private {
            return **private == *owner || (unlimited && account.privileges.may_manage());
        }
        match &event.node {
            // What is not about a node is for those who may see all of them.
            None => unlimited,
            Some(_) if unlimited => true,
            Some(node) => {
                let config = self.fleet.config();
                account.scope.covers(node, config.nodes.get(node).into_iter().flat_map(|node| &node.groups))
            }
        }
    }

    fn payload(&self, upto: u64, events: &[Arc<Record>], lost: bool, context: Option<&str>) -> String {
        payload(upto, events, lost, context)
    }
}

/// The body of an event message.
fn payload(upto: u64, events: &[Arc<Record>], lost: bool, context: Option<&str>) -> String {
    let mut doc = Doc::plain();
    doc.set("@odata.type", EVENT_TYPE)
        .set("Id", upto.to_string())
        .set("Name", "rackfish event")
        .set("Context", context.unwrap_or_default())
        .arr("Events", |a| {
            let before = events.first().map_or(upto, |first| first.id);
            let gap = lost.then(|| (format!("{before}-lost"), members(&gap())));
            let events = events.iter().map(|event| (event.id.to_string(), event.body.to_string()));
            for (number, (id, body)) in gap.into_iter().chain(events).enumerate() {
                // The record is an object that is never empty.
                let members = body.strip_prefix('{').unwrap_or("}");
                a.item_raw(format!("{{\"MemberId\":\"{number}\",\"EventId\":\"{id}\",{members}").as_bytes());
            }
        });
    String::from_utf8(doc.finish().bytes).unwrap_or_default()
}

/// What an event says.
pub struct Said {
    /// `ResourceEvent.1.4.TestMessage`
    pub id: String,
    /// Readable.
    pub text: String,
    /// What the text was made of.
    pub args: Vec<String>,
    /// `OK`
    pub severity: &'static str,
    /// The way out.
    pub resolution: String,
}

impl From<Message> for Said {
    fn from(message: Message) -> Self {
        Self {
            id: message.definition.id(),
            text: message.text(),
            severity: message.definition.severity.as_str(),
            resolution: message.resolution.unwrap_or_else(|| message.definition.resolution.to_owned()),
            args: message.args,
        }
    }
}

/// An event before it becomes a record.
struct About {
    said: Said,
    kind: &'static str,
    resource: &'static str,
    origin: String,
    node: Option<NodeId>,
    private: Option<String>,
    audit: bool,
    at: OffsetDateTime,
    who: Option<Cause>,
    power: Option<(Option<PowerState>, Option<PowerState>, &'static str)>,
}

impl About {
    fn new(said: impl Into<Said>, kind: &'static str, resource: &'static str, origin: String) -> Self {
        let (said, at) = (said.into(), OffsetDateTime::now_utc());
        Self { said, kind, resource, origin, node: None, private: None, audit: false, at, who: None, power: None }
    }

    /// About this service.
    fn ours(message: Message) -> Self {
        Self::new(message, "Alert", "Manager", OURSELVES.to_owned())
    }

    /// About a node.
    fn system(message: Message, kind: &'static str, node: &str) -> Self {
        let about = Self::new(message, kind, "ComputerSystem", format!("/redfish/v1/Systems/{node}"));
        Self { node: NodeId::new(node).ok(), ..about }
    }

    fn record(self) -> Record {
        Record {
            id: 0,
            at: self.at,
            kind: self.kind.into(),
            resource: self.resource.into(),
            severity: self.said.severity.into(),
            body: members(&self).into(),
            message: self.said.id.into(),
            origin: self.origin.into(),
            private: self.private.map(Arc::from),
            audit: self.audit && self.node.is_some(),
            node: self.node,
        }
    }
}

/// The record of something that happened in the fleet.
fn record(event: &Event) -> Record {
    let about = match &event.what {
        What::Power { node, old, new, origin } => {
            let power = (*old, *new, origin.as_str());
            About { power: Some(power), ..About::system(switched(node, *old, *new), "StatusChange", node.as_str()) }
        }
        What::Operation { target, op, error } => {
            let message = match error {
                None => message(&m::OPERATION_DONE, [target, op]),
                Some(error) => message(&m::OPERATION_FAILED, [target, op, error]),
            };
            About::system(message, "Alert", target)
        }
        What::Refused { node, op, error } => {
            About::system(message(&m::OPERATION_REFUSED, [node.as_str(), op, error]), "Alert", node.as_str())
        }
        What::Endpoint { endpoint, fault: Some(fault) } => {
            About::ours(message(&m::ENDPOINT_LOST, [endpoint.as_str(), fault]))
        }
        What::Endpoint { endpoint, fault: None } => About::ours(message(&m::ENDPOINT_RESTORED, [endpoint.as_str()])),
        What::Boot { node, text } => {
            About::system(message(&m::BOOT_CHANGED, [node.as_str(), text]), "ResourceUpdated", node.as_str())
        }
        What::Hold { target, text } => {
            let message = message(&m::HOLD_CHANGED, [target, text]);
            match NodeId::new(target) {
                Ok(node) => About::system(message, "Alert", node.as_str()),
                Err(_) => About::ours(message),
            }
        }
        What::Config { text } => About::ours(message(&m::CONFIGURATION_CHANGED, [text])),
        What::Task { task, node, owner, ended } => {
            let message = match ended {
                None => message(&m::TASK_STARTED, [task]),
                Some(ending) => match &ending.error {
                    None => message(&m::TASK_DONE, [task]),
                    Some(error) => message(&m::TASK_ABORTED, [task]).detail(format!("{}.", short(error))),
                },
            };
            let about = About::new(message, "StatusChange", "Task", super::resources::tasks::uri(task));
            About { node: node.clone(), private: Some(owner.clone()), ..about }
        }
    };
    let audit =
        matches!(&event.what, What::Operation { .. } | What::Refused { .. } | What::Boot { .. } | What::Hold { .. });
    About { at: event.at, who: event.who.clone(), audit, ..about }.record()
}

/// The record of a lock: for the account and for those who look after the service; which accounts there are is not for
/// everybody to know.
fn locked_out(account: &str, address: &str) -> Record {
    let about = About::ours(message(&m::LOCKED_OUT, [address, account]));
    About { private: Some(account.to_owned()), ..about }.record()
}

fn switched(node: &NodeId, old: Option<PowerState>, new: Option<PowerState>) -> Message {
    let definition = match new {
        Some(PowerState::On) => &m::POWERED_ON,
        Some(PowerState::Off) => &m::POWERED_OFF,
        Some(PowerState::PoweringOn) => &m::POWERING_ON,
        Some(PowerState::PoweringOff) => &m::POWERING_OFF,
        None => {
            let old = old.map_or("unknown", PowerState::as_str);
            return message(&m::POWER_CHANGED, [node.as_str(), old, "unknown"]);
        }
    };
    message(definition, [node.as_str()])
}

/// The record of a test that somebody asked for.
pub fn test(asked: TestEvent) -> Record {
    let (node, at, who) = (asked.node, asked.at, Some(asked.who));
    About { node, at, who, ..About::new(asked.said, asked.kind, asked.resource, asked.origin) }.record()
}

/// What a test is to look like.
pub struct TestEvent {
    /// What it says.
    pub said: Said,
    /// `EventType`
    pub kind: &'static str,
    /// Type of `origin`.
    pub resource: &'static str,
    /// `OriginOfCondition`
    pub origin: String,
    /// The node that `origin` is of.
    pub node: Option<NodeId>,
    /// `EventTimestamp`
    pub at: OffsetDateTime,
    /// Who asked for it.
    pub who: Cause,
}

fn gap() -> About {
    About::ours(message(&m::EVENT_BUFFER_EXCEEDED, []))
}

fn message<const N: usize>(definition: &'static Definition, args: [&str; N]) -> Message {
    let args: [String; N] = args.map(short);
    let texts: [&str; N] = args.each_ref().map(String::as_str);
    definition.with(texts)
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_ARGUMENT) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The members of the record that are the same for everybody.
fn members(about: &About) -> String {
    let said = &about.said;
    let mut o = Doc::plain();
    o.set("EventType", about.kind)
        .set("EventTimestamp", about.at)
        .set("Severity", said.severity)
        .set("MessageSeverity", said.severity)
        .set("Message", &said.text)
        .set("MessageId", &said.id)
        .list("MessageArgs", &said.args)
        .set("Resolution", &said.resolution)
        .link("OriginOfCondition", &about.origin)
        .opt("Username", about.who.as_ref().map(|who| &*who.principal));
    if about.power.is_some() || about.who.is_some() {
        o.obj("Oem", |o| {
            o.obj("Rackfish", |o| {
                o.set("@odata.type", "#RackfishEvent.v1_0_0.EventRecord");
                if let Some((old, new, origin)) = about.power {
                    o.set("PreviousPowerState", old.map(PowerState::as_str))
                        .set("PowerState", new.map(PowerState::as_str))
                        .set("StateOrigin", origin);
                }
                if let Some(who) = &about.who {
                    o.set("Face", format!("{:?}", who.face)).set("RequestId", &*who.request);
                }
            });
        });
    }
    String::from_utf8(o.finish().bytes).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        fleet::event::Ending,
        model::{EndpointId, Face, Origin},
    };

    fn event(what: What, who: Option<&str>) -> Event {
        let who = who.map(|name| Cause { principal: name.into(), face: Face::Redfish, request: "r-1".into() });
        Event { id: 7, at: OffsetDateTime::UNIX_EPOCH, what, who }
    }

    fn body(events: &[Record], lost: bool) -> Value {
        let events: Vec<_> = events.iter().cloned().map(Arc::new).collect();
        serde_json::from_str(&payload(9, &events, lost, Some("c"))).unwrap()
    }

    #[test]
    fn a_power_change_says_what_was_what_is_and_who_did_it() {
        let node: NodeId = "n1".parse().unwrap();
        let what = What::Power { node, old: Some(PowerState::Off), new: Some(PowerState::On), origin: Origin::Read };
        let record = record(&event(what, Some("alice")));
        assert_eq!((&*record.kind, &*record.severity, &*record.resource), ("StatusChange", "OK", "ComputerSystem"));
        let body = body(&[Record { id: 9, ..record }], false);
        assert_eq!((&body["Context"], &body["Id"]), (&Value::from("c"), &Value::from("9")));
        let told = &body["Events"][0];
        assert_eq!(told["EventId"], "9");
        assert_eq!(told["MemberId"], "0");
        assert_eq!(told["MessageId"], "ResourceEvent.1.4.ResourcePoweredOn");
        assert_eq!(told["MessageArgs"][0], "n1");
        assert_eq!(told["EventTimestamp"], "1970-01-01T00:00:00Z");
        assert_eq!(told["OriginOfCondition"]["@odata.id"], "/redfish/v1/Systems/n1");
        assert_eq!(told["Username"], "alice");
        let ours = &told["Oem"]["Rackfish"];
        assert_eq!((&ours["PreviousPowerState"], &ours["PowerState"]), (&Value::from("Off"), &Value::from("On")));
        assert_eq!((&ours["RequestId"], &ours["StateOrigin"]), (&Value::from("r-1"), &Value::from("read")));
    }

    #[test]
    fn every_kind_of_event_is_a_message_of_a_registry() {
        let node: NodeId = "n1".parse().unwrap();
        let endpoint: EndpointId = "pdu".parse().unwrap();
        let power = |new| What::Power { node: node.clone(), old: None, new, origin: Origin::Assumed };
        let task = |ended| What::Task { task: "t1".into(), node: Some(node.clone()), owner: "bob".into(), ended };
        let all = [
            (power(Some(PowerState::Off)), "ResourceEvent.1.4.ResourcePoweredOff"),
            (power(Some(PowerState::PoweringOn)), "ResourceEvent.1.4.ResourcePoweringOn"),
            (power(Some(PowerState::PoweringOff)), "ResourceEvent.1.4.ResourcePoweringOff"),
            (power(None), "Rackfish.1.0.PowerStateChanged"),
            (What::Operation { target: "n1".into(), op: "On".into(), error: None }, "Rackfish.1.0.OperationDone"),
            (
                What::Operation { target: "n1".into(), op: "On".into(), error: Some("ä".repeat(9_000)) },
                "Rackfish.1.0.OperationFailed",
            ),
            (
                What::Refused { node: node.clone(), op: "On".into(), error: "held".into() },
                "Rackfish.1.0.OperationRefused",
            ),
            (What::Endpoint { endpoint: endpoint.clone(), fault: Some("x".into()) }, "Rackfish.1.0.EndpointLost"),
            (What::Endpoint { endpoint, fault: None }, "Rackfish.1.0.EndpointRestored"),
            (What::Boot { node: node.clone(), text: "x".into() }, "Rackfish.1.0.BootOverrideChanged"),
            (What::Hold { target: "n1".into(), text: "x".into() }, "Rackfish.1.0.HoldChanged"),
            (What::Config { text: "x".into() }, "Rackfish.1.0.ConfigurationChanged"),
            (task(None), "TaskEvent.1.0.TaskStarted"),
            (task(Some(Ending { error: None })), "TaskEvent.1.0.TaskCompletedOK"),
            (task(Some(Ending { error: Some("x".into()) })), "TaskEvent.1.0.TaskAborted"),
        ];
        for (what, id) in all {
            let record = record(&event(what, None));
            assert_eq!(&*record.message, id);
            assert!(record.body.len() < 4_096, "{id}");
            let body = body(&[record], false);
            for member in ["EventType", "Message", "MessageSeverity", "Resolution"] {
                assert!(!body["Events"][0][member].as_str().unwrap().is_empty(), "{member} of {id}");
            }
            assert!(body["Events"][0].get("Username").is_none());
        }
    }

    #[test]
    fn a_loss_is_told_before_what_follows() {
        let what = What::Config { text: "reloaded".to_owned() };
        let body = body(&[Record { id: 9, ..record(&event(what, None)) }], true);
        let ids: Vec<_> = body["Events"].as_array().unwrap().iter().map(|e| e["EventId"].clone()).collect();
        assert_eq!(ids, ["9-lost", "9"]);
        assert_eq!(body["Events"][0]["MessageId"], "Base.1.22.EventBufferExceeded");
        let alone: Value = serde_json::from_str(&payload(9, &[], true, None)).unwrap();
        assert_eq!(alone["Events"].as_array().unwrap().len(), 1);
    }
}
