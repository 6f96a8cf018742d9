//! One file per resource: its descriptor, its handlers, and the pure function that writes it.

pub mod account_service;
pub mod accounts;
pub mod aggregates;
pub mod aggregation;
pub mod assembly;
pub mod audit_log;
pub mod certificates;
pub mod chassis;
pub mod client_certificates;
pub mod csr;
pub mod environment_metrics;
pub mod ethernet;
pub mod event_service;
pub mod json_schemas;
pub mod logs;
pub mod manager_log;
pub mod managers;
pub mod media;
pub mod metadata;
pub mod network_protocol;
pub mod openapi;
pub mod power;
pub mod power_subsystem;
pub mod privilege_map;
pub mod processors;
pub mod readings;
pub mod registries;
pub mod reset;
pub mod roles;
pub mod root;
pub mod sensors;
pub mod sessions;
pub mod sse;
pub mod subscriptions;
pub mod system_patch;
pub mod systems;
pub mod tasks;
pub mod thermal;
pub mod thermal_subsystem;

#[cfg(test)]
pub mod samples;

use super::{call::Call, doc::Doc, reply::Reply};

/// A collection with all its members (Ironic's client follows no next links), or the part that `$skip` and `$top`
/// leave. `names` are the last segments of the members' URIs.
pub fn collection<S: AsRef<str>>(
    call: &Call<'_>,
    name: &str,
    uri: &str,
    names: impl ExactSizeIterator<Item = S>,
) -> Reply {
    let mut doc = Doc::resource(call.resource, uri);
    let total = names.len();
    doc.set("Name", name).set("Members@odata.count", total).arr("Members", |a| {
        for name in names.skip(call.query.skip).take(call.query.top.unwrap_or(total)) {
            a.item_link_below(uri, name.as_ref());
        }
    });
    Reply::ok(doc)
}
