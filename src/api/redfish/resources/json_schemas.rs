//! JsonSchemas: which schema version each resource follows, and where DMTF publishes it; our own are served here. What
//! `Link` headers with `rel=describedby` lead to.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
        table,
    },
    collection,
    metadata::{OEM, OEM_VERSION, oem_json_uri},
};

/// The collection.
pub const URI: &str = "/redfish/v1/JsonSchemas";

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "JsonSchemaFileCollection",
    version: "",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "Schemas in use.",
    queries: Queries::Collection,
};

/// A schema in use.
pub static FILE: Resource = Resource {
    schema: "JsonSchemaFile",
    version: "v1_1_5",
    uris: &["/redfish/v1/JsonSchemas/{schema}"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "Where a schema is published.",
    queries: Queries::Single,
};

fn ids() -> Vec<String> {
    let mut ids: Vec<_> = table::ALL.iter().filter(|r| r.has_schema()).map(|r| r.schema_id()).collect();
    ids.extend(OEM.iter().map(|oem| format!("{}.{OEM_VERSION}", oem.name)));
    ids.sort();
    ids
}

#[allow(clippy::unnecessary_wraps)]
fn list(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(collection(call, "Schemas in use", URI, ids().into_iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let id = ids().into_iter().find(|id| id == call.param(0)).ok_or_else(|| call.not_found())?;
    let name = id.split('.').next().unwrap_or_default();
    let ours = OEM.iter().any(|oem| oem.name == name);
    let mut doc = Doc::resource(&FILE, &format!("{URI}/{id}"));
    doc.set("Id", &id)
        .set("Name", format!("Schema {id}"))
        .set("Schema", format!("#{id}.{}", if ours { name.trim_start_matches("Rackfish") } else { name }))
        .list("Languages", ["en"])
        .arr("Location", |a| {
            a.item_obj(|o| {
                o.set("Language", "en");
                if ours {
                    o.set("Uri", oem_json_uri(name));
                } else {
                    o.set("PublicationUri", format!("https://redfish.dmtf.org/schemas/v1/{id}.json"));
                }
            });
        });
    Ok(Reply::ok(doc))
}
