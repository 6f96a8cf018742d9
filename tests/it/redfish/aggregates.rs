//! Sets of nodes and resets of many over HTTP.

use super::*;

const SETS: &str = "/redfish/v1/AggregationService/Aggregates";

fn links(nodes: &[&str]) -> Value {
    nodes.iter().map(|node| json!({"@odata.id": format!("{SYSTEMS}/{node}")})).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_made_switched_changed_and_removed() {
    let rig = Rig::new(2).await;
    let made = rig.post(SETS, json!({"Elements": links(&["pdu-1", "ipmi-1"])})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let uri = made.header("location").to_owned();
    let set = rig.get(&uri).await.body;
    assert_eq!((&set["ElementsCount"], &set["Elements"]), (&json!(2), &links(&["ipmi-1", "pdu-1"])));
    let action = |name: &str| set["Actions"][format!("#Aggregate.{name}")]["target"].as_str().unwrap().to_owned();
    let done = rig.post(&action("Reset"), json!({"ResetType": "On", "BatchSize": 1})).await;
    assert_eq!(done.status, 204, "{}", done.body);
    assert_eq!((rig.power("pdu-1").await, rig.power("ipmi-1").await), (json!("On"), json!("On")));
    assert_eq!(rig.power("pdu-2").await, "Off");
    assert_eq!(rig.post(&action("AddElements"), json!({"Elements": links(&["pdu-2"])})).await.status, 204);
    assert_eq!(rig.post(&action("RemoveElements"), json!({"Elements": links(&["ipmi-1"])})).await.status, 204);
    assert_eq!(rig.get(&uri).await.body["Elements"], links(&["pdu-1", "pdu-2"]));
    // One that fails is named; the other is done.
    rig.rack.pdu.state().stuck = true;
    let partly = rig.post(&action("Reset"), json!({"ResetType": "ForceOff"})).await;
    assert_eq!((partly.status.as_u16(), partly.key()), (503, "ResetFailedFor"), "{}", partly.body);
    rig.rack.pdu.state().stuck = false;
    let late = rig.request(Method::DELETE, &uri).basic_auth("admin", Some(PASSWORD)).header("If-Match", "\"x\"");
    assert_eq!(Rig::send(late).await.key(), "PreconditionFailed");
    assert_eq!(rig.as_user("reader", Method::DELETE, &uri, None).await.status, 403);
    assert_eq!(rig.as_user("admin", Method::DELETE, &uri, None).await.status, 204);
    assert_eq!(rig.get(&uri).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_sets_and_what_is_wrong_is_named() {
    let rig = Rig::new(1).await;
    let group = format!("{SETS}/group-pdu");
    let sets = rig.get(SETS).await.body;
    assert!(sets["Members"].as_array().unwrap().contains(&json!({"@odata.id": group})), "{sets}");
    assert_eq!(rig.get(&group).await.body["Elements"], links(&["pdu-1"]));
    assert_eq!(rig.as_user("admin", Method::DELETE, &group, None).await.key(), "MadeByConfiguration");
    let service = "/redfish/v1/AggregationService/Actions/AggregationService.Reset";
    let all = json!({"TargetURIs": links(&["pdu-1", "ipmi-1"]), "ResetType": "On"});
    assert_eq!(rig.post(service, all.clone()).await.status, 204);
    assert_eq!(rig.power("pdu-1").await, "On");
    // An account that may see one of the two gets neither.
    let tenant = rig.as_user("tenant", Method::POST, service, Some(all)).await;
    assert_eq!((tenant.status.as_u16(), tenant.key()), (400, "ActionParameterValueFormatError"));
    for (body, key) in [
        (json!({"ResetType": "On"}), "ActionParameterMissing"),
        (json!({"TargetURIs": [], "ResetType": "On"}), "ActionParameterValueFormatError"),
        (json!({"TargetURIs": links(&["pdu-1"])}), "ActionParameterMissing"),
        (json!({"TargetURIs": links(&["none"]), "ResetType": "On"}), "ActionParameterValueFormatError"),
        (json!({"TargetURIs": "x", "ResetType": "On"}), "ActionParameterValueTypeError"),
        (json!({"TargetURIs": links(&["pdu-1"]), "ResetType": "Explode"}), "ActionParameterValueNotInList"),
        (json!({"TargetURIs": links(&["pdu-1"]), "ResetType": "On", "BatchSize": 0}), "ActionParameterValueNotInList"),
        (
            json!({"TargetURIs": links(&["pdu-1"]), "ResetType": "On", "BatchSize": "2"}),
            "ActionParameterValueTypeError",
        ),
        (
            json!({"TargetURIs": links(&["pdu-1"]), "ResetType": "On", "DelayBetweenBatchesInSeconds": 4000}),
            "ActionParameterValueNotInList",
        ),
        (json!({"TargetURIs": links(&["pdu-1"]), "ResetType": "On", "Foo": 1}), "ActionParameterUnknown"),
    ] {
        let answer = rig.post(service, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.key()), (400, key), "{body}");
    }
    assert_eq!(rig.post(SETS, json!({"Name": "x"})).await.key(), "PropertyMissing");
    assert_eq!(rig.post(SETS, json!({"Elements": [{"@odata.id": "/redfish/v1/Chassis/x"}]})).await.status, 400);
}
