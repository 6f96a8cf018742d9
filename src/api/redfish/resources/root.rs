//! `/redfish`, the service root and the OData service document: open to anyone, as clients read them before they
//! log in (DSP0266, "Service root request").

use super::{
    super::{
        call::Call,
        descriptor::{OPEN, Queries, Resource, Verb},
        doc::{Body, Doc},
        door,
        error::Error,
        reply::Reply,
    },
    managers::OURSELVES,
};

/// The version of the protocol (DSP0266).
pub const REDFISH_VERSION: &str = "1.20.0";

/// `/redfish`
pub static VERSIONS: Resource = Resource {
    schema: "versions",
    version: "",
    uris: &["/redfish"],
    verbs: &[Verb::get(OPEN, versions)],
    summary: "Which versions of the protocol there are.",
    queries: Queries::None,
};

/// `/redfish/v1/`
pub static ROOT: Resource = Resource {
    schema: "ServiceRoot",
    version: "v1_20_0",
    uris: &["/redfish/v1/"],
    verbs: &[Verb::get(OPEN, root)],
    summary: "Where everything begins.",
    queries: Queries::Single,
};

/// `/redfish/v1/odata`
pub static ODATA: Resource = Resource {
    schema: "odata-service",
    version: "",
    uris: &["/redfish/v1/odata"],
    verbs: &[Verb::get(OPEN, odata)],
    summary: "The OData service document.",
    queries: Queries::None,
};

/// The root's links: name and URI.
fn links(call: &Call<'_>) -> Vec<(&'static str, &'static str)> {
    let mut links = vec![
        ("Systems", super::systems::URI),
        ("Chassis", super::chassis::URI),
        ("Managers", super::managers::URI),
        ("AggregationService", super::aggregation::URI),
        ("Tasks", super::tasks::URI),
        ("SessionService", super::sessions::URI),
        ("AccountService", super::accounts::URI),
        ("Registries", super::registries::URI),
        ("JsonSchemas", super::json_schemas::URI),
    ];
    // About many nodes, and about the service: not at the door of one.
    if call.door.is_some() {
        links.retain(|(_, uri)| *uri != super::aggregation::URI);
    } else if call.face.certificate.is_some() {
        links.push(("CertificateService", super::certificates::URI));
    }
    if call.face.subscriptions.is_some() {
        links.push(("EventService", super::event_service::URI));
    }
    links
}

/// Of the service; clients tell services apart by it, so each door has its own.
pub fn uuid(call: &Call<'_>) -> uuid::Uuid {
    let service = call.face.fleet.uuid();
    call.door.map_or(service, |node| uuid::Uuid::new_v5(&service, format!("door/{node}").as_bytes()))
}

#[allow(clippy::unnecessary_wraps)]
fn versions(_: &Call<'_>) -> Result<Reply, Error> {
    let mut doc = Doc::plain();
    doc.set("v1", "/redfish/v1/");
    Ok(Reply::ok(doc))
}

#[allow(clippy::unnecessary_wraps)]
fn root(call: &Call<'_>) -> Result<Reply, Error> {
    let mut doc = Doc::resource(&ROOT, "/redfish/v1/");
    doc.set("Id", "RootService")
        .set("Name", "rackfish")
        .set("Description", "Machines behind IPMI BMCs and switched PDUs")
        .set("RedfishVersion", REDFISH_VERSION)
        .set("UUID", uuid(call))
        .set("Product", "rackfish")
        .obj("ProtocolFeaturesSupported", |o| {
            o.obj("ExpandQuery", |o| {
                o.set("ExpandAll", true)
                    .set("Levels", true)
                    .set("Links", true)
                    .set("NoLinks", true)
                    .set("MaxLevels", 1u32);
            });
            o.set("SelectQuery", true)
                .set("OnlyMemberQuery", true)
                .set("TopSkipQuery", true)
                .set("FilterQuery", true)
                .set("ExcerptQuery", true)
                .set("MultipleHTTPRequests", true);
            o.obj("DeepOperations", |o| {
                o.set("DeepPATCH", false).set("DeepPOST", false);
            });
        });
    for (name, uri) in links(call) {
        doc.link(name, uri);
    }
    doc.obj("Links", |o| {
        o.link("Sessions", super::sessions::SESSIONS);
        let manager = call.door.and_then(|node| door::manager(call.face, node));
        o.link("ManagerProvidingService", &super::managers::uri(manager.as_deref().unwrap_or(OURSELVES)));
    });
    Ok(Reply::ok(doc))
}

#[allow(clippy::unnecessary_wraps)]
fn odata(call: &Call<'_>) -> Result<Reply, Error> {
    let mut doc = Doc::plain();
    doc.set("@odata.context", "/redfish/v1/$metadata").arr("value", |a| {
        let root = [("Service", "/redfish/v1/")];
        for (name, url) in root.into_iter().chain(links(call)).chain([("Sessions", super::sessions::SESSIONS)]) {
            a.item_obj(|o| {
                o.set("name", name).set("kind", "Singleton").set("url", url);
            });
        }
    });
    let Body { bytes, .. } = doc.finish();
    Ok(Reply::raw("application/json", bytes))
}
