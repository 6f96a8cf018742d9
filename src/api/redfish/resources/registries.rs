//! Registries: the messages that this service sends, each under a `Uri` of its own (a client that finds only a
//! `PublicationUri` would go and fetch it from the internet).

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::{Body, Doc},
        error::Error,
        messages::{self as m, Registry},
        reply::Reply,
    },
    collection,
};

/// The collection.
pub const URI: &str = "/redfish/v1/Registries";

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "MessageRegistryFileCollection",
    version: "",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "Message registries.",
    queries: Queries::Collection,
};

/// Where a registry is.
pub static FILE: Resource = Resource {
    schema: "MessageRegistryFile",
    version: "v1_1_5",
    uris: &["/redfish/v1/Registries/{registry}"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "Where a message registry is.",
    queries: Queries::Single,
};

/// A registry.
pub static REGISTRY: Resource = Resource {
    schema: "MessageRegistry",
    version: "v1_7_0",
    uris: &["/redfish/v1/Registries/{registry}/{file}"],
    verbs: &[Verb::get(LOGIN, file)],
    summary: "The messages of a registry that this service sends.",
    queries: Queries::None,
};

fn id(registry: &Registry) -> String {
    format!("{}.{}", registry.prefix, registry.version)
}

fn file_uri(registry: &Registry) -> String {
    format!("{URI}/{id}/{id}.json", id = id(registry))
}

fn registry(call: &Call<'_>) -> Result<&'static Registry, Error> {
    m::REGISTRIES.iter().copied().find(|r| id(r) == call.param(0)).ok_or_else(|| call.not_found())
}

#[allow(clippy::unnecessary_wraps)]
fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let ids: Vec<_> = m::REGISTRIES.iter().map(|r| id(r)).collect();
    Ok(collection(call, "Message registries", URI, ids.iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let registry = registry(call)?;
    let id = id(registry);
    let minor = id.rsplit_once('.').map_or(id.as_str(), |(minor, _)| minor);
    let mut doc = Doc::resource(&FILE, &format!("{URI}/{id}"));
    doc.set("Id", &id)
        .set("Name", format!("Registry {}", registry.prefix))
        .set("Description", registry.description)
        .set("Registry", minor)
        .list("Languages", ["en"])
        .arr("Location", |a| {
            a.item_obj(|o| {
                o.set("Language", "en").set("Uri", file_uri(registry)).opt("PublicationUri", registry.published);
            });
        });
    Ok(Reply::ok(doc))
}

fn file(call: &Call<'_>) -> Result<Reply, Error> {
    let registry = registry(call)?;
    if call.param(1) != format!("{}.json", id(registry)) {
        return Err(call.not_found());
    }
    let Body { bytes, .. } = render(registry).finish();
    Ok(Reply::raw("application/json", bytes))
}

/// Writes a registry.
pub fn render(registry: &Registry) -> Doc {
    let mut doc = Doc::plain();
    doc.set("@odata.type", "#MessageRegistry.v1_7_0.MessageRegistry")
        .set("Id", id(registry))
        .set("Name", format!("Registry {}", registry.prefix))
        .set("Description", registry.description)
        .set("Language", "en")
        .set("RegistryPrefix", registry.prefix)
        .set("RegistryVersion", registry.version)
        .set("OwningEntity", registry.owner)
        .obj("Messages", |o| {
            for d in m::ALL.iter().filter(|d| d.registry == registry) {
                o.obj(d.key, |o| {
                    o.set("Description", d.text)
                        .set("Message", d.text)
                        .set("MessageSeverity", d.severity)
                        .set("NumberOfArgs", d.args)
                        .list("ParamTypes", (0..d.args).map(|_| "string"))
                        .set("Resolution", d.resolution);
                });
            }
        });
    doc
}
