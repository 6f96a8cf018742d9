//! ManagerNetworkProtocol of rackfish's own manager: where this service listens, and what else it does not speak.
//!
//! Only for that manager: what a BMC serves beside IPMI is not known here. Nothing of it is written: the listeners are
//! the configuration's.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    managers,
};
use crate::api::redfish::Served;

/// The resource.
pub static NETWORK_PROTOCOL: Resource = Resource {
    schema: "ManagerNetworkProtocol",
    version: "v1_12_0",
    uris: &["/redfish/v1/Managers/{manager}/NetworkProtocol"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "Host name, port and protocol of this service; of the manager `rackfish` alone.",
    queries: Queries::Single,
};

/// Protocols of the schema that other managers speak and this service does not.
const NOT_SPOKEN: [&str; 4] = ["IPMI", "SNMP", "SSDP", "SSH"];

/// The URI.
pub fn uri() -> String {
    format!("{}/NetworkProtocol", managers::uri(managers::OURSELVES))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    if call.param(0) != managers::OURSELVES || call.face.fleet.manager(call.actor, call.param(0)).is_none() {
        return Err(call.not_found());
    }
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    Ok(Reply::ok(render(call.face.served, host.as_deref())))
}

/// `host`: this machine's name, with its domain if the machine knows it.
fn render(served: Served, host: Option<&str>) -> Doc {
    let host = host.filter(|host| !host.is_empty());
    let mut doc = Doc::resource(&NETWORK_PROTOCOL, &uri());
    doc.set("Id", "NetworkProtocol")
        .set("Name", "Network protocols of rackfish")
        .set("HostName", host.and_then(|host| host.split('.').next()))
        .opt("FQDN", host.filter(|host| host.trim_end_matches('.').contains('.')));
    for (name, spoken) in [("HTTPS", served.tls), ("HTTP", !served.tls)] {
        doc.obj(name, |o| {
            o.set("ProtocolEnabled", spoken).opt("Port", served.port.filter(|_| spoken));
        });
    }
    for name in NOT_SPOKEN {
        doc.obj(name, |o| {
            o.set("ProtocolEnabled", false);
        });
    }
    doc.obj("Status", |o| {
        o.set("State", "Enabled").set("Health", "OK");
    });
    doc
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(served: Served, host: Option<&str>) -> Value {
        serde_json::from_slice(&render(served, host).finish().bytes).unwrap()
    }

    #[test]
    fn what_is_served_is_told_and_nothing_else() {
        let secure = body(Served { port: Some(8443), tls: true }, Some("rack.example.org"));
        assert_eq!(secure["@odata.type"], "#ManagerNetworkProtocol.v1_12_0.ManagerNetworkProtocol");
        assert_eq!((&secure["HostName"], &secure["FQDN"]), (&json!("rack"), &json!("rack.example.org")));
        assert_eq!(secure["HTTPS"], json!({"ProtocolEnabled": true, "Port": 8443}));
        assert_eq!(secure["HTTP"], json!({"ProtocolEnabled": false}));
        assert_eq!(secure["SSH"], json!({"ProtocolEnabled": false}));
        let plain = body(Served { port: Some(80), tls: false }, Some("rack"));
        assert_eq!(plain["HTTP"], json!({"ProtocolEnabled": true, "Port": 80}));
        assert_eq!(plain["HTTPS"], json!({"ProtocolEnabled": false}));
        assert_eq!((&plain["HostName"], plain.get("FQDN")), (&json!("rack"), None));
        assert_eq!(body(Served { port: None, tls: true }, None)["HostName"], Value::Null);
    }
}
