//! Nodes' own doors: what is shown there, what isn't, and doors that come and go.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use rackfish::{
    api::{server::Acceptor, tls::ReloadableAcceptor},
    config::Tls,
    model::NodeId,
};
use tempfile::TempDir;

use super::*;

/// Addresses that were free a moment ago.
fn free<const N: usize>() -> [SocketAddr; N] {
    let probes = [(); N].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    probes.map(|probe| probe.local_addr().unwrap())
}

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

/// A rack whose nodes `pdu-1` and `mixed-1` have doors.
async fn rig() -> (Rig, [SocketAddr; 2]) {
    let doors = free::<2>();
    let rig = Rig::with(1, |config| {
        for (name, door) in ["pdu-1", "mixed-1"].into_iter().zip(doors) {
            let node = config.nodes.get_mut(&node(name)).unwrap();
            Arc::make_mut(node).door = Some(door);
        }
    });
    (rig.await, doors)
}

impl Rig {
    async fn at(&self, door: SocketAddr, user: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let scheme = self.url.split(':').next().unwrap();
        let request = self.http.request(method, format!("{scheme}://{door}{path}")).basic_auth(user, Some(PASSWORD));
        Self::send(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    async fn see(&self, door: SocketAddr, path: &str) -> Answer {
        self.at(door, "admin", Method::GET, path, None).await
    }

    async fn with_token(&self, at: &str, token: &str, path: &str) -> Answer {
        Self::send(self.http.get(format!("{at}{path}")).header("X-Auth-Token", token)).await
    }
}

fn members(answer: &Answer) -> Vec<&str> {
    answer.body["Members"].as_array().unwrap().iter().filter_map(|m| m["@odata.id"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_shows_one_node_and_all_its_links_lead_somewhere() {
    let (rig, doors) = rig().await;
    for (door, name, manager) in [(doors[0], "pdu-1", "rackfish"), (doors[1], "mixed-1", "bmc-mixed-1")] {
        for (collection, only) in [("Systems", name), ("Chassis", name), ("Managers", manager)] {
            let uri = format!("/redfish/v1/{collection}");
            assert_eq!(members(&rig.see(door, &uri).await), [format!("{uri}/{only}")]);
        }
        let mut queue = VecDeque::from(["/redfish/v1/".to_owned()]);
        let mut seen = BTreeSet::new();
        while let Some(uri) = queue.pop_front() {
            if uri.contains('#') || !seen.insert(uri.clone()) {
                continue;
            }
            let answer = rig.see(door, &uri).await;
            assert_eq!(answer.status, 200, "{uri} at the door of {name}");
            if uri.rsplit_once('.').is_none_or(|(_, ending)| ending != "json") {
                links(&answer.body, &mut queue);
            }
        }
        assert!(seen.len() > 30);
        for other in ["ipmi-1", "rack1", "bmc-ipmi-1", "Aggregates", "CertificateService"] {
            assert!(!seen.iter().any(|uri| uri.split('/').any(|part| part == other)), "{other} at the door of {name}");
        }
        for hidden in [
            "Systems/ipmi-1",
            "Systems/ipmi-1/Processors",
            "Chassis/ipmi-1",
            "Chassis/rack1",
            "Managers/bmc-ipmi-1",
            "AggregationService",
            "AggregationService/Aggregates/group-pdu",
            "CertificateService",
        ] {
            assert_eq!(
                rig.get(&format!("/redfish/v1/{hidden}")).await.status,
                if hidden == "CertificateService" { 404 } else { 200 }
            );
            assert_eq!(rig.see(door, &format!("/redfish/v1/{hidden}")).await.status, 404, "{hidden}");
        }
        let answer = rig.see(door, "/redfish/v1/Systems?$expand=*($levels=1)").await;
        assert_eq!(answer.body["Members"][0]["Id"], name);
        for path in ["/metrics", "/boot/52:54:00:00:01:01"] {
            let answer = rig.http.get(format!("http://{door}{path}")).basic_auth("admin", Some(PASSWORD)).send().await;
            assert_eq!(answer.unwrap().status(), 404, "{path}");
        }
    }
    // Services are told apart by their UUIDs.
    let uuid = async |at: Option<SocketAddr>| match at {
        Some(door) => rig.see(door, "/redfish/v1/").await.body["UUID"].clone(),
        None => rig.get("/redfish/v1/").await.body["UUID"].clone(),
    };
    let all = BTreeSet::from(
        [uuid(None).await, uuid(Some(doors[0])).await, uuid(Some(doors[1])).await].map(|u| u.to_string()),
    );
    assert_eq!(all.len(), 3);
    assert_eq!(rig.see(doors[1], "/redfish/v1/Managers/rackfish").await.status, 404, "the BMC is its manager");
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_the_node_of_the_door_and_no_other() {
    let (rig, [pdu, mixed]) = rig().await;
    let reset = |name: &str| format!("{SYSTEMS}/{name}/Actions/ComputerSystem.Reset");
    let on = Some(json!({"ResetType": "On"}));
    assert_eq!(rig.at(pdu, "admin", Method::POST, &reset("ipmi-1"), on.clone()).await.status, 404);
    assert_eq!(rig.at(pdu, "reader", Method::POST, &reset("pdu-1"), on.clone()).await.status, 403);
    assert_eq!(rig.at(pdu, "admin", Method::POST, &reset("pdu-1"), on.clone()).await.status, 204);
    assert_eq!((rig.power("pdu-1").await, rig.power("ipmi-1").await), (json!("On"), json!("Off")));
    // An account that is limited to other nodes sees nothing, whatever the door shows.
    assert_eq!(members(&rig.at(mixed, "tenant", Method::GET, SYSTEMS, None).await), [""; 0]);
    assert_eq!(rig.at(mixed, "tenant", Method::POST, &reset("mixed-1"), on.clone()).await.status, 404);
    assert_eq!(rig.at(pdu, "tenant", Method::POST, &reset("pdu-1"), on).await.status, 204);
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn network_protocol_shows_the_port_of_the_door_and_is_not_written_there() {
    let (rig, [pdu, _]) = rig().await;
    let uri = "/redfish/v1/Managers/rackfish/NetworkProtocol";
    let port = async |at: SocketAddr| rig.see(at, uri).await.body["HTTP"]["Port"].clone();
    let main = rig.server.addresses[0];
    assert_eq!((port(pdu).await, port(main).await), (json!(pdu.port()), json!(main.port())));
    let off = Some(json!({"SSDP": {"ProtocolEnabled": false}}));
    assert_eq!(rig.at(pdu, "admin", Method::PATCH, uri, off.clone()).await.status, 403);
    assert_eq!(rig.at(main, "admin", Method::PATCH, uri, off).await.status, 200);
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_a_door_is_held_to_it_everywhere() {
    let (rig, [pdu, mixed]) = rig().await;
    let sessions = "/redfish/v1/SessionService/Sessions";
    let login = async |at: &str| {
        let body = json!({"UserName": "admin", "Password": PASSWORD});
        let made = Rig::send(rig.http.post(format!("{at}{sessions}")).json(&body)).await;
        assert_eq!(made.status, 201, "{}", made.body);
        (made.header("x-auth-token").to_owned(), made.header("location").to_owned())
    };
    let (here, there) = (format!("http://{pdu}"), format!("http://{mixed}"));
    let (token, location) = login(&here).await;
    let only = [format!("{SYSTEMS}/pdu-1")];
    assert_eq!(members(&rig.with_token(&here, &token, SYSTEMS).await), only);
    assert_eq!(members(&rig.with_token(&rig.url, &token, SYSTEMS).await), only, "at the main port too");
    assert_eq!(rig.with_token(&rig.url, &token, &format!("{SYSTEMS}/ipmi-1")).await.status, 404);
    assert!(rig.with_token(&rig.url, &token, "/redfish/v1/").await.body["AggregationService"].is_null());
    assert_eq!(rig.with_token(&there, &token, SYSTEMS).await.status, 401, "another door");
    for open in ["/redfish/v1/", "/redfish/v1/?$expand=*($levels=1)"] {
        assert_eq!(rig.with_token(&there, &token, open).await.status, 200, "{open} is open");
    }
    let whole = rig.with_token(&there, &token, "/redfish/v1/?$expand=.").await.body;
    assert!(whole["Systems"]["Members"].is_null(), "and no more than that");
    let metrics = rig.http.get(format!("{}/metrics", rig.url)).header("X-Auth-Token", &token).send().await.unwrap();
    assert_eq!(metrics.status(), 403, "they are about all nodes");
    // Another node's boot hint is not for it, its own is.
    for (mac, status) in [("52:54:00:00:01:01", 404), ("52:54:00:00:01:02", 200)] {
        let hint = rig.http.get(format!("{}/boot/{mac}", rig.url)).header("X-Auth-Token", &token).send().await.unwrap();
        assert_eq!(hint.status(), status, "{mac}");
    }
    // One of the main port is held to the door that it is used at.
    let (free, main) = login(&rig.url).await;
    assert_eq!(members(&rig.with_token(&rig.url, &free, SYSTEMS).await).len(), 3);
    assert_eq!(members(&rig.with_token(&here, &free, SYSTEMS).await), only);
    // A door lists its own sessions, the main port all.
    assert_eq!(members(&rig.see(pdu, sessions).await), [location.as_str()]);
    assert_eq!(rig.see(pdu, &main).await.status, 404);
    assert_eq!(members(&rig.get(sessions).await).len(), 2);
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_of_a_door_has_that_nodes_events() {
    let (rig, [pdu, mixed]) = rig().await;
    let subscriptions = "/redfish/v1/EventService/Subscriptions";
    let (url, mut told) = super::events::receiver();
    let body = json!({"Destination": url, "Protocol": "Redfish", "RegistryPrefixes": ["ResourceEvent"]});
    let made = rig.at(pdu, "admin", Method::POST, subscriptions, Some(body)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let uri = made.header("location").to_owned();
    for (door, status) in [(pdu, 200), (mixed, 404)] {
        assert_eq!(rig.see(door, &uri).await.status, status);
    }
    assert!(rig.get(&uri).await.body["Description"].as_str().unwrap().contains("pdu-1"));
    for name in ["ipmi-1", "pdu-1"] {
        assert_eq!(rig.reset(name, "On").await.status, 204);
    }
    let first = super::events::next(&mut told).await;
    assert_eq!(first["Events"][0]["OriginOfCondition"]["@odata.id"], format!("{SYSTEMS}/pdu-1"), "{first}");
    // Its manager is rackfish, whose log has what is about the node.
    let log = rig.see(pdu, "/redfish/v1/Managers/rackfish/LogServices/Events/Entries").await;
    let origins =
        log.body["Members"].as_array().unwrap().iter().map(|e| e["Links"]["OriginOfCondition"]["@odata.id"].clone());
    let origins: Vec<_> = origins.collect();
    assert!(!origins.is_empty() && origins.iter().all(|uri| uri.as_str().unwrap().contains("pdu-1")), "{origins:?}");
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doors_come_and_go_and_leave_others_alone() {
    let (rig, [pdu, mixed]) = rig().await;
    let [new] = free::<1>();
    let wanted =
        |all: &[(SocketAddr, &str)]| all.iter().map(|(at, name)| (*at, node(name))).collect::<BTreeMap<_, _>>();
    let doors = &rig.server.doors;
    assert_eq!(doors.count(), 2);
    // A connection that stays open from here to the end.
    let mut kept = std::net::TcpStream::connect(mixed).unwrap();
    kept.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let ask = |link: &mut std::net::TcpStream| {
        link.write_all(b"GET /redfish HTTP/1.1\r\nHost: x\r\n\r\n").ok();
        let mut answer = [0; 512];
        let read = link.read(&mut answer).unwrap_or(0);
        String::from_utf8_lossy(&answer[..read]).into_owned()
    };
    assert!(ask(&mut kept).starts_with("HTTP/1.1 200 "));
    // One that can't be had changes nothing.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let refused = doors.prepare(wanted(&[(new, "ipmi-1"), (at, "pdu-1")]), &rig.server.addresses);
    let said = refused.err().unwrap().to_string();
    assert!(said.contains("door of pdu-1") && said.contains(&at.to_string()), "{said}");
    assert!(std::net::TcpStream::connect(new).is_err());
    assert_eq!(rig.see(pdu, SYSTEMS).await.status, 200);
    let stream = rig.http.get(format!("http://{pdu}/redfish/v1/EventService/SSE")).basic_auth("admin", Some(PASSWORD));
    let mut stream = stream.send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    // `pdu-1` loses its door, `ipmi-1` gets one; `mixed-1` does not notice.
    let prepared = doors.prepare(wanted(&[(new, "ipmi-1"), (mixed, "mixed-1")]), &rig.server.addresses).unwrap();
    doors.apply(prepared).unwrap();
    assert_eq!(members(&rig.see(new, SYSTEMS).await), [format!("{SYSTEMS}/ipmi-1")]);
    assert!(ask(&mut kept).starts_with("HTTP/1.1 200 "), "a connection of another door lives on");
    for _ in 0..100 {
        if std::net::TcpStream::connect(pdu).is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(std::net::TcpStream::connect(pdu).is_err());
    let rest = tokio::time::timeout(Duration::from_secs(20), async { while let Ok(Some(_)) = stream.chunk().await {} });
    rest.await.expect("an event stream of a closed door has to end");
    // Another node at the same address: old connections end, new ones see it.
    let prepared = doors.prepare(wanted(&[(mixed, "pdu-1")]), &rig.server.addresses).unwrap();
    doors.apply(prepared).unwrap();
    assert_eq!(ask(&mut kept), "", "it was promised another node");
    assert_eq!(members(&rig.see(mixed, SYSTEMS).await), [format!("{SYSTEMS}/pdu-1")]);
    assert_eq!(doors.count(), 1);
    rig.server.stop().await;
    assert!(std::net::TcpStream::connect(mixed).is_err(), "they end with the service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_speaks_tls_and_sends_plain_clients_there() {
    let (dir, [door]) = (TempDir::new().unwrap(), free::<1>());
    let tls = Arc::new(ReloadableAcceptor::new(&Tls::default(), dir.path(), &[door]).unwrap());
    let pem = std::fs::read(tls.info().trust.unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
        .redirect(reqwest::redirect::Policy::none());
    let acceptor: Acceptor = Arc::new(move || tls.builder().map_err(|e| e.to_string()));
    let with_door = |config: &mut rackfish::config::Config| {
        Arc::make_mut(config.nodes.get_mut(&node("ipmi-1")).unwrap()).door = Some(door);
    };
    let rig = Rig::behind(1, with_door, Some(acceptor), client).await;
    assert_eq!(members(&rig.see(door, SYSTEMS).await), [format!("{SYSTEMS}/ipmi-1")]);
    let plain = rig.http.get(format!("http://{door}{SYSTEMS}")).send().await.unwrap();
    assert_eq!(plain.status(), 308);
    assert_eq!(plain.headers()["location"], format!("https://{door}{SYSTEMS}"));
    rig.server.stop().await;
}
