//! Managers: rackfish itself, and each BMC that is the host of a node.

use time::OffsetDateTime;

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, MANAGER as MANAGER_PRIVILEGE, Method, Queries, Resource, Verb},
        doc::Doc,
        door,
        error::Error,
        messages as m,
        reply::Reply,
    },
    chassis, collection, manager_log, network_protocol, root, systems,
};
use crate::{
    api::restart::Restart,
    fleet::{ManagerView, view::ManagerRef},
    model::Scope,
};

/// The collection.
pub const URI: &str = "/redfish/v1/Managers";
/// Id of the manager that is this service.
pub const OURSELVES: &str = "rackfish";

const ACTION: &str = "Manager.Reset";
/// The one `ResetType` that there is: nothing here is forced.
const RESETS: [&str; 1] = ["GracefulRestart"];

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "ManagerCollection",
    version: "",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "This service, and the BMCs behind it.",
    queries: Queries::Collection,
};

/// A manager.
pub static MANAGER: Resource = Resource {
    schema: "Manager",
    version: "v1_24_0",
    uris: &["/redfish/v1/Managers/{manager}"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "This service, or a BMC behind it.",
    queries: Queries::Single,
};

/// The action.
pub static RESET: Resource = Resource {
    schema: ACTION,
    version: "",
    uris: &["/redfish/v1/Managers/{manager}/Actions/Manager.Reset"],
    verbs: &[Verb::of(Method::Post, MANAGER_PRIVILEGE, |call| Box::pin(reset(call)))],
    summary: "Stops rackfish as SIGTERM does and starts it anew, with the configuration as it is then. Not for BMCs.",
    queries: Queries::None,
};

/// The URI of a manager.
pub fn uri(id: &str) -> String {
    [URI, "/", id].concat()
}

/// The id of a node's manager.
pub fn id_of(manager: &ManagerRef) -> &str {
    match manager {
        ManagerRef::Bmc(endpoint) => endpoint.as_str(),
        ManagerRef::Rackfish => OURSELVES,
    }
}

#[allow(clippy::unnecessary_wraps)]
fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let mut all = call.face.fleet.managers(call.actor);
    if let Some(node) = call.door {
        let manager = door::manager(call.face, node);
        all.retain(|id| Some(&**id) == manager.as_deref());
    }
    Ok(collection(call, "Managers", URI, all.iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let manager = call.face.fleet.manager(call.actor, call.param(0)).ok_or_else(|| call.not_found())?;
    let mut doc = render(&manager, root::uuid(call), OffsetDateTime::now_utc());
    if manager.endpoint.is_none() && call.face.subscriptions.is_some() {
        doc.link("LogServices", &manager_log::services_uri());
    }
    if restarter(call, &manager).is_some() {
        doc.obj("Actions", |o| {
            o.obj(&format!("#{ACTION}"), |o| {
                o.set("target", format!("{}/Actions/{ACTION}", uri(&manager.id)))
                    .list("ResetType@Redfish.AllowableValues", RESETS);
            });
        });
    }
    Ok(Reply::ok(doc))
}

/// Whoever can start that manager anew. Not from a node's door, and not for an account that is limited to some nodes:
/// it would end the service of all others.
fn restarter<'c>(call: &'c Call<'_>, manager: &ManagerView) -> Option<&'c Restart> {
    let whole = call.door.is_none() && matches!(*call.actor.scope, Scope::All);
    call.face.restart.as_ref().filter(|_| manager.endpoint.is_none() && whole)
}

async fn reset(call: &Call<'_>) -> Result<Reply, Error> {
    let manager = call.face.fleet.manager(call.actor, call.param(0)).ok_or_else(|| call.not_found())?;
    let restart = restarter(call, &manager).ok_or_else(|| call.not_found())?;
    let mut fields = call.parameters(ACTION)?;
    fields.one_of("ResetType", &RESETS, |word| word);
    fields.finish(None)?;
    call.note("Restart rackfish");
    restart.ask().await.map_err(|why| Error::new(409, m::RESTART_REFUSED.with([why.trim_end_matches('.')])))?;
    Ok(Reply::done())
}

fn render(manager: &ManagerView, service: uuid::Uuid, now: OffsetDateTime) -> Doc {
    let mut doc = Doc::resource(&MANAGER, &uri(&manager.id));
    doc.set("Id", manager.id.as_ref()).set("Name", manager.id.as_ref()).set("UUID", manager.uuid);
    match &manager.endpoint {
        None => {
            doc.set("Description", "The service itself")
                .set("ManagerType", "Service")
                .set("Manufacturer", "rackfish")
                .set("Model", manager.model.as_deref().unwrap_or("rackfish"))
                .set("FirmwareVersion", manager.firmware.as_deref().unwrap_or(env!("CARGO_PKG_VERSION")))
                .set("ServiceEntryPointUUID", service)
                .set("DateTimeLocalOffset", "+00:00");
            doc.volatile(|o| {
                o.set("DateTime", now);
            });
            doc.link("NetworkProtocol", &network_protocol::uri());
            doc.obj("Status", |o| {
                o.set("State", "Enabled").set("Health", "OK");
            });
        }
        Some(endpoint) => {
            doc.set("Description", format!("{} at {}", endpoint.driver, endpoint.address))
                .set("ManagerType", "BMC")
                .opt("Model", manager.model.as_deref())
                .set("FirmwareVersion", manager.firmware.as_deref());
            doc.obj("Status", |o| {
                let fault = endpoint.fault.as_deref();
                o.set("State", if fault.is_none() { "Enabled" } else { "UnavailableOffline" })
                    .set("Health", if fault.is_none() { "OK" } else { "Critical" });
                if let Some(fault) = fault {
                    let message = m::ENDPOINT_LOST.with([endpoint.id.as_str(), fault.trim_end_matches('.')]);
                    o.volatile(|o| {
                        o.arr("Conditions", |a| {
                            a.item_obj(|o| {
                                o.set("MessageId", message.definition.id())
                                    .set("Message", message.text())
                                    .list("MessageArgs", &message.args)
                                    .set("Severity", message.definition.severity)
                                    .opt("Timestamp", endpoint.since);
                            });
                        });
                    });
                }
            });
        }
    }
    doc.obj("Links", |o| {
        o.links("ManagerForServers", manager.nodes.iter().map(|n| systems::uri(n.as_str())));
        o.links("ManagerForChassis", manager.nodes.iter().map(|n| chassis::uri(n.as_str())));
    });
    doc
}
