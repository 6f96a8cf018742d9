//! A restart of rackfish itself: who may ask for it, and what it would come to.

use std::{net::SocketAddr, sync::Arc};

use rackfish::{config::Config, model::NodeId};

use super::*;

const MANAGER: &str = "/redfish/v1/Managers/rackfish";

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn door(config: &mut Config, node: &str, door: SocketAddr) {
    let node = config.nodes.get_mut(&NodeId::new(node).unwrap()).unwrap();
    Arc::make_mut(node).door = Some(door);
}

/// There are machines without IPv6.
fn ipv6() -> bool {
    std::net::TcpListener::bind("[::1]:0").is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_limited_to_no_nodes_restarts_the_service() {
    let mut rig = Rig::new(1).await;
    let accounts = "/redfish/v1/AccountService/Accounts";
    let bob = json!({"UserName": "bob", "Password": PASSWORD, "RoleId": "Administrator",
                     "Oem": {"Rackfish": {"Groups": ["pdu"]}}});
    assert_eq!(rig.post(accounts, bob).await.status, 201);
    let action = format!("{MANAGER}/Actions/Manager.Reset");
    assert!(rig.get(MANAGER).await.body["Actions"]["#Manager.Reset"].is_object());
    assert!(rig.as_user("bob", Method::GET, MANAGER, None).await.body["Actions"].is_null());
    assert_eq!(rig.as_user("bob", Method::POST, &action, Some(json!({}))).await.status, 404);
    assert_eq!(rig.as_user("operator", Method::POST, &action, Some(json!({}))).await.status, 403);
    let mut restarts = rig.restarts.take().unwrap();
    assert!(restarts.try_recv().is_err(), "nobody was asked");
    let asked = tokio::spawn(async move { restarts.recv().await.unwrap().send(Err("no such place".to_owned())) });
    let refused = rig.post(&action, json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.key()), (409, "RestartRefused"));
    asked.await.unwrap().unwrap();
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_new_configuration_listens_is_tried_beforehand() {
    let port = free_port();
    let rig = Rig::with(1, |config| door(config, "pdu-1", at("127.0.0.1", port))).await;
    let said = |change: &dyn Fn(&mut Config)| {
        let mut config = rig.rack.config.clone();
        change(&mut config);
        rig.server.could_serve(&config).map_err(|error| error.to_string())
    };
    assert_eq!(said(&|_| {}), Ok(()));
    // 192.0.2.0/24 is for documents (RFC 5737): no machine has it.
    let strange = said(&|config| door(config, "ipmi-1", at("192.0.2.1", 443))).unwrap_err();
    assert!(strange.contains("door of ipmi-1") && strange.contains("192.0.2.1:443"), "{strange}");
    let strange = said(&|config| config.server.listen.push(at("192.0.2.1", 443))).unwrap_err();
    assert!(strange.contains("192.0.2.1:443") && strange.contains("server.listen"), "{strange}");
    assert!(said(&|config| config.server.operations_listen = Some(at("192.0.2.1", 443))).is_err());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(said(&|config| config.server.listen = vec![taken.local_addr().unwrap()]).is_err(), "somebody has it");
    // What we hold ourselves is free by then: the door's address for all, and the door elsewhere.
    let wide = |config: &mut Config| {
        config.server.listen = vec![at("0.0.0.0", port)];
        door(config, "pdu-1", at("127.0.0.1", 0));
    };
    assert_eq!(said(&wide), Ok(()));
    assert_eq!(rig.see_root().await, 200);
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv4_doors_stand_beside_a_listener_for_all_of_ipv6() {
    if !ipv6() {
        return;
    }
    let (port, own) = (free_port(), free_port());
    let mut rig = Rig::with(1, |config| {
        config.server.listen = vec![at("::", port)];
        config.server.operations_listen = Some(at("::", own));
        door(config, "pdu-1", at("127.0.0.2", port));
        door(config, "mixed-1", at("127.0.0.3", own));
    })
    .await;
    rig.url = format!("http://127.0.0.2:{port}");
    assert_eq!(rig.get(SYSTEMS).await.body["Members@odata.count"], 1);
    rig.url = format!("http://127.0.0.3:{own}");
    assert_eq!(rig.get(SYSTEMS).await.body["Members@odata.count"], 1);
    assert!(std::net::TcpStream::connect(("::1", own)).is_ok(), "metrics");
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_open_is_not_narrowed_by_a_reload() {
    if !ipv6() {
        return;
    }
    let port = free_port();
    let rig = Rig::with(1, |config| config.server.listen = vec![at("::", port)]).await;
    let mut config = rig.rack.config.clone();
    door(&mut config, "pdu-1", at("127.0.0.2", port));
    let refused = rig.server.doors.prepare(config.doors(), &rig.server.beside_doors()).err().unwrap().to_string();
    assert!(refused.contains("door of pdu-1") && refused.contains("starts anew"), "{refused}");
    assert!(rig.server.could_serve(&config).is_ok(), "a restart can do it");
    assert_eq!(rig.see_root().await, 200);
    rig.server.stop().await;
}

impl Rig {
    async fn see_root(&self) -> u16 {
        self.get("/redfish/v1/").await.status.as_u16()
    }
}
