//! The audit trail of a node: who did what to it, through which interface, and what came of it; what was refused too.
//!
//! It is read from the durable log of events, so it survives restarts, its ids stay, and the oldest make room. Nobody can
//! empty it. Reads, and requests that made no sense, are not in it: those stand in the service's own log.

use std::sync::Arc;

use super::{
    super::{call::Call, doc::Doc, error::Error, reply::Reply},
    event_service::delivery,
    logs, manager_log, systems,
};
use crate::{
    api::delivery::{log::TRAIL, record::Record},
    fleet::NodeView,
};

/// Its id.
pub const LOG: &str = "Audit";

fn service_uri(node: &NodeView) -> String {
    format!("{}/{LOG}", logs::services_uri(node.id.as_str()))
}

fn trail(call: &Call<'_>) -> Result<(String, Vec<Arc<Record>>), Error> {
    let node = systems::node(call)?;
    Ok((format!("{}/Entries", service_uri(&node)), delivery(call)?.log().trail(&node.id)))
}

/// The log service.
pub fn service(call: &Call<'_>) -> Result<Reply, Error> {
    delivery(call)?;
    let uri = service_uri(&systems::node(call)?);
    let mut doc = Doc::resource(&logs::SERVICE, &uri);
    doc.set("Id", LOG)
        .set("Name", "Who did what")
        .set("LogEntryType", "Event")
        .set("OverWritePolicy", "WrapsWhenFull")
        .set("MaxNumberOfRecords", TRAIL)
        .set("ServiceEnabled", true)
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        })
        .link("Entries", &format!("{uri}/Entries"));
    Ok(Reply::ok(doc))
}

/// The entries.
pub fn entries(call: &Call<'_>) -> Result<Reply, Error> {
    let (uri, all) = trail(call)?;
    let mut doc = Doc::resource(&logs::ENTRIES, &uri);
    doc.set("Name", "Who did what").set("Members@odata.count", all.len()).arr("Members", |a| {
        for record in all.iter().skip(call.query.skip).take(call.query.top.unwrap_or(all.len())) {
            a.item_raw(&manager_log::render(record, &uri, &logs::ENTRY).finish().bytes);
        }
    });
    Ok(Reply::ok(doc))
}

/// An entry.
pub fn entry(call: &Call<'_>) -> Result<Reply, Error> {
    let (uri, all) = trail(call)?;
    let found = all.iter().find(|record| record.id.to_string() == call.param(2)).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(manager_log::render(found, &uri, &logs::ENTRY)))
}
