//! Virtual media over HTTP: inserted, seen, ejected, and all that stands against it.

use rackfish::{
    fleet::{Fresh, Layer, Op, Target},
    model::{Actor, NodeId, Secret},
};

use super::*;

const SLOTS: &str = "/redfish/v1/Systems/ipmi-1/VirtualMedia";
const CD: &str = "/redfish/v1/Systems/ipmi-1/VirtualMedia/Cd";
const IMAGE: &str = "http://images/a.iso";

/// A rack whose slots have been read.
async fn rig() -> Rig {
    let rig = Rig::new(1).await;
    for _ in 0..100 {
        if rig.get(CD).await.status == 200 {
            return rig;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the slots were never read");
}

async fn act(rig: &Rig, action: &str, body: Value) -> Answer {
    rig.as_user("operator", Method::POST, &format!("{CD}/Actions/VirtualMedia.{action}"), Some(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_inserted_shown_and_ejected() {
    let rig = rig().await;
    assert_eq!(rig.get("/redfish/v1/Systems/ipmi-1").await.body["VirtualMedia"], json!({ "@odata.id": SLOTS }));
    assert_eq!(rig.get(SLOTS).await.body["Members"], json!([{ "@odata.id": CD }]));
    let body = json!({"Image": IMAGE, "UserName": "u", "Password": "geheim"});
    assert_eq!(act(&rig, "InsertMedia", body).await.status, 204);
    let shown = rig.get(CD).await;
    assert_eq!((&shown.body["Inserted"], &shown.body["Image"]), (&json!(true), &json!(IMAGE)));
    assert!(!shown.body.to_string().contains("geheim"));
    let told = rig.rack.bmcs[0].state().inserted[0].clone();
    assert_eq!(
        (told.user.as_deref(), told.password, told.write_protected),
        (Some("u"), Some(Secret::new("geheim")), true)
    );
    // The same again is done already; another has to wait.
    let acts = rig.rack.bmcs[0].state().acts;
    assert_eq!(act(&rig, "InsertMedia", json!({ "Image": IMAGE })).await.status, 204);
    let other = act(&rig, "InsertMedia", json!({"Image": "http://images/b.iso"})).await;
    assert_eq!((other.status.as_u16(), other.key()), (409, "ResourceInUse"));
    assert_eq!(rig.rack.bmcs[0].state().acts, acts, "nothing was sent");
    // Twice, as some clients do; sushy sends no body.
    for _ in 0..2 {
        let eject = rig.as_user("operator", Method::POST, &format!("{CD}/Actions/VirtualMedia.EjectMedia"), None).await;
        assert_eq!(eject.status, 204);
    }
    assert_eq!(rig.rack.bmcs[0].state().acts, acts + 1);
    assert_eq!(rig.get(CD).await.body["Inserted"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_actions_a_patch_does_it_if_nothing_has_changed() {
    let rig = rig().await;
    let tag = rig.get(CD).await.header("etag").to_owned();
    let patch = async |tag: &str, body: Value| {
        let request = rig.request(Method::PATCH, CD).basic_auth("operator", Some(PASSWORD)).header("If-Match", tag);
        Rig::send(request.json(&body)).await
    };
    let filled = patch(&tag, json!({"Image": IMAGE, "Inserted": true, "WriteProtected": false})).await;
    assert_eq!((filled.status.as_u16(), &filled.body["Image"]), (200, &json!(IMAGE)));
    assert!(!rig.rack.bmcs[0].state().inserted[0].write_protected);
    assert_eq!(patch(&tag, json!({"Image": null})).await.status, 412, "the tag is the empty slot's");
    assert_eq!(patch(filled.header("etag"), json!({"Image": null, "Inserted": false})).await.body["Inserted"], false);
    assert_eq!(patch("*", json!({"MediaTypes": []})).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_and_what_is_not_there() {
    let rig = rig().await;
    let insert = format!("{CD}/Actions/VirtualMedia.InsertMedia");
    let body = Some(json!({ "Image": IMAGE }));
    assert_eq!(rig.as_user("reader", Method::POST, &insert, body.clone()).await.status, 403);
    assert_eq!(rig.as_user("reader", Method::PATCH, CD, body.clone()).await.status, 403);
    assert_eq!(rig.as_user("reader", Method::GET, CD, None).await.status, 200);
    assert_eq!(rig.as_user("tenant", Method::POST, &insert, body.clone()).await.status, 404, "not the tenant's node");
    for path in ["/redfish/v1/Systems/pdu-1/VirtualMedia", "/redfish/v1/Systems/ipmi-1/VirtualMedia/Tape"] {
        assert_eq!(rig.get(path).await.status, 404, "{path}");
    }
    assert!(rig.get("/redfish/v1/Systems/pdu-1").await.body["VirtualMedia"].is_null());
    let bad = act(&rig, "InsertMedia", json!({"Image": "http://u:geheim@images/a.iso"})).await;
    assert_eq!((bad.status.as_u16(), bad.key()), (400, "ActionParameterValueFormatError"));
    assert!(!bad.body.to_string().contains("geheim"));
    assert_eq!(act(&rig, "EjectMedia", json!({"Slot": 1})).await.key(), "ActionParameterUnknown");
    let state = rig.rack.bmcs[0].state();
    assert_eq!((state.acts, state.inserted.len()), (0, 0), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_node_keeps_what_is_in_it() {
    let rig = rig().await;
    let on = Target::Node(NodeId::new("ipmi-1").unwrap(), Layer::Effective);
    let hold = Op::Hold { reason: "disk".to_owned(), until: None };
    rig.fleet.run(&Actor::internal("test"), on.clone(), hold, Fresh::Cached).await.unwrap();
    let refused = act(&rig, "InsertMedia", json!({ "Image": IMAGE })).await;
    assert_eq!((refused.status.as_u16(), refused.key()), (409, "Held"));
    rig.fleet.run(&Actor::internal("test"), on, Op::Release, Fresh::Cached).await.unwrap();
    assert_eq!(act(&rig, "InsertMedia", json!({ "Image": IMAGE })).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_made_good_by_looking() {
    let rig = rig().await;
    rig.rack.bmcs[0].state().deaf = true;
    assert_eq!(act(&rig, "InsertMedia", json!({ "Image": IMAGE })).await.status, 204);
    assert_eq!(rig.rack.bmcs[0].state().inserted.len(), 1, "sent once");
    assert_eq!(act(&rig, "EjectMedia", json!({})).await.status, 204);
    rig.rack.bmcs[0].state().dead = true;
    let dead = act(&rig, "InsertMedia", json!({ "Image": IMAGE })).await;
    assert_eq!((dead.status.as_u16(), dead.key()), (503, "EndpointUnavailable"));
    assert_eq!(rig.get(CD).await.status, 200, "a GET does not wait for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_only_says_so_is_not_believed() {
    let rig = rig().await;
    rig.rack.bmcs[0].state().stuck = true;
    let (said, unknown) = tokio::join!(act(&rig, "InsertMedia", json!({ "Image": IMAGE })), async {
        // Meanwhile everything else goes on.
        rig.reset("mixed-1", "On").await.status
    });
    assert_eq!((said.status.as_u16(), said.key()), (503, "ActionNotConfirmed"));
    assert_eq!(unknown, 204);
    assert_eq!(rig.get(CD).await.body["Inserted"], false);
}
