//! Subscriptions and event streams over HTTP: made, served, told, and ended.

use actix_web::{App, HttpResponse, HttpServer, web};
use tokio::sync::mpsc;

use super::*;

const SUBSCRIPTIONS: &str = "/redfish/v1/EventService/Subscriptions";
const SOON: Duration = Duration::from_secs(20);

/// Takes what is posted to it.
pub fn receiver() -> (String, mpsc::UnboundedReceiver<Value>) {
    let (tell, told) = mpsc::unbounded_channel();
    let app = move || {
        let tell = tell.clone();
        let take = move |body: web::Json<Value>| {
            tell.send(body.into_inner()).ok();
            std::future::ready(HttpResponse::NoContent())
        };
        App::new().route("/events", web::post().to(take))
    };
    let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/events", server.addrs()[0]);
    tokio::spawn(server.run());
    (url, told)
}

pub async fn next(told: &mut mpsc::UnboundedReceiver<Value>) -> Value {
    tokio::time::timeout(SOON, told.recv()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_change_is_told_with_who_did_it() {
    let rig = Rig::new(1).await;
    let (url, mut told) = receiver();
    let wanted = json!({"Destination": url, "Protocol": "Redfish", "Context": "mine", "Severities": ["OK"],
        "RegistryPrefixes": ["ResourceEvent"], "OriginResources": [{"@odata.id": format!("{SYSTEMS}/pdu-1")}]});
    let made = rig.post(SUBSCRIPTIONS, wanted.clone()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let uri = made.header("location").to_owned();
    assert_eq!(rig.get(&uri).await.body["RegistryPrefixes"], wanted["RegistryPrefixes"]);
    let on = Some(json!({"ResetType": "On"}));
    let reset = |node: &str| format!("{SYSTEMS}/{node}/Actions/ComputerSystem.Reset");
    assert_eq!(rig.reset("ipmi-1", "On").await.status, 204);
    assert_eq!(rig.as_user("tenant", Method::POST, &reset("pdu-1"), on).await.status, 204);
    let body = next(&mut told).await;
    let (event, first) = (&body["Events"][0], body["Events"][0]["EventId"].clone());
    assert_eq!((&body["Context"], &event["Username"]), (&json!("mine"), &json!("tenant")), "{body}");
    assert_eq!(event["MessageId"], "ResourceEvent.1.4.ResourcePoweredOn");
    assert_eq!(event["Oem"]["Rackfish"]["PreviousPowerState"], "Off");
    // Suspended: its state says so, and what it missed comes afterwards.
    let action = |name: &str| format!("{uri}/Actions/EventDestination.{name}");
    assert_eq!(rig.post(&action("SuspendSubscription"), json!({})).await.status, 204);
    assert_eq!(rig.get(&uri).await.body["Status"]["State"], "Disabled");
    assert_eq!(rig.reset("pdu-1", "ForceOff").await.status, 204);
    assert_eq!(rig.post(&action("ResumeSubscription"), json!({"Foo": 1})).await.key(), "ActionParameterUnknown");
    assert_eq!(rig.post(&action("ResumeSubscription"), json!({})).await.status, 204);
    let mut event = next(&mut told).await["Events"][0].clone();
    // Suspended before its answer was counted, it is told once more, under its id: at least once is what is promised.
    if event["EventId"] == first {
        event = next(&mut told).await["Events"][0].clone();
    }
    assert_eq!(
        (&event["Username"], &event["Message"]),
        (&json!("admin"), &json!("The resource pdu-1 is powered off."))
    );
    // It stands in the log too, for those who may see it.
    let entries = "/redfish/v1/Managers/rackfish/LogServices/Events/Entries";
    let log = rig.get(entries).await.body;
    let told = log["Members"].as_array().unwrap().iter().find(|entry| entry["EventId"] == first).unwrap();
    assert_eq!(
        (&told["Username"], &told["MessageId"]),
        (&json!("tenant"), &json!("ResourceEvent.1.4.ResourcePoweredOn"))
    );
    let log = rig.as_user("tenant", Method::GET, entries, None).await.body;
    assert!(!log.to_string().contains("Systems/ipmi-1") && log.to_string().contains("Systems/pdu-1"), "{log}");
    // Changed and removed under its tag; nobody else's business.
    let tag = rig.get(&uri).await.header("etag").to_owned();
    assert_eq!(rig.patch(&uri, json!({"Context": "new", "DeliveryRetryPolicy": "SuspendRetries"})).await.status, 200);
    let late = rig.request(Method::DELETE, &uri).basic_auth("admin", Some(PASSWORD)).header("If-Match", tag);
    assert_eq!(Rig::send(late).await.key(), "PreconditionFailed");
    assert_eq!(rig.as_user("tenant", Method::GET, &uri, None).await.status, 404);
    assert_eq!(rig.as_user("operator", Method::DELETE, &uri, None).await.status, 403);
    assert_eq!(rig.patch(&uri, json!({"Destination": "https://192.0.2.1/"})).await.key(), "PropertyNotWritable");
    assert_eq!(rig.as_user("admin", Method::DELETE, &uri, None).await.status, 204);
    assert_eq!(rig.get(&uri).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_an_account_what_it_may_see_for_as_long_as_it_may() {
    let rig = Rig::new(1).await;
    let stream = "/redfish/v1/EventService/SSE";
    let listen = || rig.request(Method::GET, stream).basic_auth("tenant", Some(PASSWORD)).send();
    let mut heard = listen().await.unwrap();
    assert_eq!(
        (heard.status().as_u16(), &heard.headers()["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    assert_eq!(rig.get(SUBSCRIPTIONS).await.body["Members@odata.count"], 1);
    assert_eq!(rig.reset("ipmi-1", "On").await.status, 204);
    assert_eq!(rig.reset("pdu-1", "On").await.status, 204);
    let mut text = String::new();
    while !text.contains("ResourcePoweredOn") {
        let chunk = tokio::time::timeout(SOON, heard.chunk()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.starts_with(": rackfish\n") && text.contains("Systems/pdu-1") && !text.contains("ipmi-1"), "{text}");
    // The account changes: what it may see has to be asked for anew.
    let uri = "/redfish/v1/AccountService/Accounts/tenant";
    assert_eq!(rig.patch(uri, json!({"Enabled": false})).await.status, 200);
    let end = async { while heard.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(SOON, end).await.unwrap();
    assert_eq!(rig.get(SUBSCRIPTIONS).await.body["Members@odata.count"], 0);
    for (header, value, status) in [("accept", "application/json", 406), ("odata-version", "3.0", 412)] {
        let refused = rig.request(Method::GET, stream).basic_auth("admin", Some(PASSWORD)).header(header, value);
        assert_eq!(Rig::send(refused).await.status, status);
    }
    assert_eq!(rig.get(&format!("{stream}?$filter=Foo")).await.key(), "QueryParameterValueFormatError");
    assert_eq!(rig.request(Method::GET, stream).send().await.unwrap().status(), 401);
    let probe = rig.request(Method::HEAD, stream).basic_auth("admin", Some(PASSWORD)).send().await.unwrap();
    assert_eq!(probe.status(), 200);
    assert_eq!(rig.get(SUBSCRIPTIONS).await.body["Members@odata.count"], 0, "HEAD opens nothing");
}
