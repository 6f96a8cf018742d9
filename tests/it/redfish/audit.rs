//! A node's audit trail: who did what, what came of it, and what was refused.

use rackfish::{
    fleet::{Fresh, Layer, Op, Target},
    model::{Actor, Face, NodeId},
};

use super::*;

fn log(node: &str) -> String {
    format!("{SYSTEMS}/{node}/LogServices/Audit")
}

fn entries(answer: &Answer) -> Vec<(&str, &str, &str)> {
    let all = answer.body["Members"].as_array().unwrap().iter();
    all.map(|entry| {
        let key = entry["MessageId"].as_str().unwrap().rsplit('.').next().unwrap();
        (key, entry["Username"].as_str().unwrap(), entry["Oem"]["Rackfish"]["Face"].as_str().unwrap())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_what_to_a_node_is_in_its_audit_trail() {
    let rig = Rig::new(1).await;
    let uri = format!("{}/Entries", log("ipmi-1"));
    assert_eq!(rig.get(&uri).await.body["Members@odata.count"], 0);
    assert_eq!(
        rig.as_user(
            "operator",
            Method::POST,
            &format!("{SYSTEMS}/ipmi-1/Actions/ComputerSystem.Reset"),
            Some(json!({"ResetType": "On"}))
        )
        .await
        .status,
        204
    );
    assert_eq!(rig.patch(&format!("{SYSTEMS}/ipmi-1"), json!({"IndicatorLED": "Blinking"})).await.status, 200);
    let boot = json!({"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}});
    assert_eq!(rig.patch(&format!("{SYSTEMS}/ipmi-1"), boot).await.status, 200);
    // Somebody in the rack holds it, on the command line.
    let ann = Actor { principal: "local:0".into(), face: Face::Cli, request: "r-7".into(), ..Actor::internal("test") };
    let target = Target::Node(NodeId::new("ipmi-1").unwrap(), Layer::Effective);
    let hold = Op::Hold { reason: "a disk is out".to_owned(), until: None };
    rig.fleet.run(&ann, target, hold, Fresh::Cached).await.unwrap();
    let refused = rig.reset("ipmi-1", "On").await;
    assert!(refused.status.is_client_error() || refused.status.is_server_error(), "{}", refused.status);
    // Not told of: the same again at once, a request that makes no sense, and reads.
    for _ in 0..3 {
        assert_eq!(rig.reset("ipmi-1", "On").await.status, refused.status);
    }
    assert_eq!(rig.reset("ipmi-1", "Sideways").await.status, 400);
    let answer = rig.get(&uri).await;
    let wanted = [
        ("OperationDone", "operator", "Redfish"),
        ("OperationDone", "admin", "Redfish"),
        ("BootOverrideChanged", "admin", "Redfish"),
        ("HoldChanged", "local:0", "Cli"),
        ("OperationRefused", "admin", "Redfish"),
    ];
    assert_eq!(entries(&answer), wanted);
    let all = answer.body["Members"].as_array().unwrap().clone();
    let last = &all[4];
    assert!(last["Message"].as_str().unwrap().contains("On of ipmi-1 was refused"), "{last}");
    assert!(last["Message"].as_str().unwrap().contains("a disk is out"), "{last}");
    assert_eq!((&last["Severity"], &last["EntryType"]), (&json!("Warning"), &json!("Event")));
    assert_eq!(all[3]["Oem"]["Rackfish"]["RequestId"], "r-7");
    assert!(all.iter().all(|entry| entry["Created"].is_string()));
    // Pages; single ones; ids that stay.
    let page = rig.get(&format!("{uri}?$skip=1&$top=2")).await.body;
    assert_eq!((&page["Members@odata.count"], &page["Members"]), (&json!(5), &json!(all[1..3])));
    assert_eq!(rig.get(last["@odata.id"].as_str().unwrap()).await.body["Message"], last["Message"]);
    assert_eq!(rig.get(&format!("{uri}/0")).await.status, 404);
    // Another node's is another; who may not see the node does not see its trail; nobody empties it.
    assert_eq!(rig.get(&format!("{}/Entries", log("pdu-1"))).await.body["Members@odata.count"], 0);
    assert_eq!(rig.as_user("tenant", Method::GET, &uri, None).await.status, 404);
    assert_eq!(rig.post(&format!("{}/Actions/LogService.ClearLog", log("ipmi-1")), json!({})).await.status, 404);
    assert!(rig.get(&log("ipmi-1")).await.body["Actions"].is_null());
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_in_it_too() {
    let rig = Rig::new(1).await;
    rig.rack.pdu.state().stuck = true;
    assert!(!rig.reset("pdu-1", "On").await.status.is_success());
    let answer = rig.get(&format!("{}/Entries", log("pdu-1"))).await;
    assert_eq!(entries(&answer), [("OperationFailed", "admin", "Redfish")]);
    assert_eq!(
        rig.get(&format!("{SYSTEMS}/pdu-1/LogServices")).await.body["Members"],
        json!([{"@odata.id": log("pdu-1")}])
    );
    rig.server.stop().await;
}
