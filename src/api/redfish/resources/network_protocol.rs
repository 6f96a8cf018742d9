//! ManagerNetworkProtocol of rackfish's own manager: where this service listens, and what else it does not speak.
//!
//! Only for that manager: what a BMC serves beside IPMI is not known here. The listeners are the configuration's; what
//! can be written is whether searches (SSDP) are answered, until the service is started again.

use serde_json::Value;

use super::{
    super::{
        call::{Call, names_etag},
        descriptor::{LOGIN, MANAGER, Method, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        messages as m,
        reply::Reply,
    },
    certificates, managers,
};
use crate::api::redfish::{Served, fields::Fields};

/// The resource.
pub static NETWORK_PROTOCOL: Resource = Resource {
    schema: "ManagerNetworkProtocol",
    version: "v1_12_0",
    uris: &["/redfish/v1/Managers/{manager}/NetworkProtocol"],
    verbs: &[Verb::get(LOGIN, get), Verb::of(Method::Patch, MANAGER, |call| Box::pin(patch(call)))],
    summary: "Host name, port and protocol of this service; of the manager `rackfish` alone. PATCH sets SSDP on and off.",
    queries: Queries::Single,
};

/// Protocols of the schema that other managers speak and this service does not.
const NOT_SPOKEN: [&str; 3] = ["IPMI", "SNMP", "SSH"];

/// Where clients search.
const SSDP_PORT: u32 = 1900;
const SSDP_ENABLED: &str = "SSDP/ProtocolEnabled";

/// The URI.
pub fn uri() -> String {
    format!("{}/NetworkProtocol", managers::uri(managers::OURSELVES))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    if call.param(0) != managers::OURSELVES || call.face.fleet.manager(call.actor, call.param(0)).is_none() {
        return Err(call.not_found());
    }
    Ok(Reply::ok(now(call)))
}

fn now(call: &Call<'_>) -> Doc {
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    // At a node's door the port is the door's.
    let door = call.door.and_then(|door| call.face.fleet.config().nodes.get(door)?.door);
    let served = Served { port: door.map(|door| door.port()).or(call.face.served.port), ..call.face.served };
    render(
        served,
        call.face.ssdp.as_ref().is_some_and(|ssdp| ssdp.enabled()),
        call.face.certificate.is_some(),
        host.as_deref(),
    )
}

async fn patch(call: &Call<'_>) -> Result<Reply, Error> {
    // Two at once: the second sees what the first has done.
    static ONE_BY_ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _alone = ONE_BY_ONE.lock().await;
    get(call)?;
    // Searches find the service, not a node.
    if call.door.is_some() {
        return Err(Error::new(403, m::INSUFFICIENT_PRIVILEGE.with([]).way_out("Use the service's own address.")));
    }
    let current = now(call).finish();
    if call.if_match.is_some_and(|header| !current.etag.as_deref().is_some_and(|etag| names_etag(header, etag))) {
        return Err(Error::precondition());
    }
    let value = serde_json::from_slice(&current.bytes).unwrap_or_default();
    let wanted = read(call.properties()?, &value)?;
    let word = if wanted { "on" } else { "off" };
    call.note(format!("Set answers to searches (SSDP) {word}"));
    let set = call.face.ssdp.as_ref().map_or(Ok(()), |ssdp| ssdp.set(wanted));
    if let Err(cause) = set {
        let message =
            m::PROPERTY_INCORRECT.with([SSDP_ENABLED, "true"]).detail(format!("{cause}.")).about(SSDP_ENABLED);
        return Err(Error::new(
            503,
            message.way_out("See what else uses UDP port 1900 here, and whether there is a route."),
        ));
    }
    Ok(Reply::ok(now(call)))
}

fn read(mut fields: Fields, current: &Value) -> Result<bool, Error> {
    let mut wanted = None;
    if let Some(mut inner) = fields.object("SSDP") {
        wanted = inner.boolean("ProtocolEnabled");
        fields.absorb(inner, current.get("SSDP"));
    }
    fields.finish(Some(current))?;
    wanted.ok_or_else(|| Error::new(400, m::NO_OPERATION.with([])))
}

/// `host`: this machine's name, with its domain if the machine knows it.
fn render(served: Served, ssdp: bool, certified: bool, host: Option<&str>) -> Doc {
    let host = host.filter(|host| !host.is_empty());
    let mut doc = Doc::resource(&NETWORK_PROTOCOL, &uri());
    doc.set("Id", "NetworkProtocol")
        .set("Name", "Network protocols of rackfish")
        .set("HostName", host.and_then(|host| host.split('.').next()))
        .opt("FQDN", host.filter(|host| host.trim_end_matches('.').contains('.')));
    for (name, spoken) in [("HTTPS", served.tls), ("HTTP", !served.tls)] {
        doc.obj(name, |o| {
            o.set("ProtocolEnabled", spoken).opt("Port", served.port.filter(|_| spoken));
            if name == "HTTPS" && certified {
                o.link("Certificates", &certificates::collection_uri());
            }
        });
    }
    doc.obj("SSDP", |o| {
        o.set("ProtocolEnabled", ssdp);
        if ssdp {
            o.set("Port", SSDP_PORT);
        }
    });
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
    use serde_json::json;

    use super::*;

    fn body(served: Served, host: Option<&str>) -> Value {
        serde_json::from_slice(&render(served, false, false, host).finish().bytes).unwrap()
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

    #[test]
    fn whether_searches_are_answered_is_all_that_can_be_written() {
        let current = body(Served { port: Some(8443), tls: true }, None);
        let ask = |body: Value| {
            let fields = Fields::properties(body.to_string().as_bytes()).unwrap();
            read(fields, &current).map_err(|e| e.messages[0].definition.key)
        };
        assert_eq!(ask(json!({"SSDP": {"ProtocolEnabled": true}})), Ok(true));
        assert_eq!(ask(json!({"SSDP": {"ProtocolEnabled": 1}})), Err("PropertyValueTypeError"));
        assert_eq!(ask(json!({"SSDP": {}})), Err("NoOperation"));
        assert_eq!(ask(json!({"HTTPS": {"ProtocolEnabled": false}})), Err("PropertyNotWritable"));
        assert_eq!(ask(json!({"NTP": {"ProtocolEnabled": false}})), Err("PropertyUnknown"));
        let on: Value =
            serde_json::from_slice(&render(Served { port: None, tls: true }, true, true, None).finish().bytes).unwrap();
        let certificates = "/redfish/v1/Managers/rackfish/NetworkProtocol/HTTPS/Certificates";
        assert_eq!(on["HTTPS"]["Certificates"]["@odata.id"], certificates);
        assert_eq!(on["SSDP"], json!({"ProtocolEnabled": true, "Port": 1900}));
    }
}
