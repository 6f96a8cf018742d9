//! The Redfish face over HTTP, with the real fleet and accounts, on devices that exist in memory only.

#[path = "redfish/aggregates.rs"]
mod aggregates;
#[path = "redfish/audit.rs"]
mod audit;
#[path = "redfish/certificates.rs"]
mod certificates;
#[path = "redfish/doors.rs"]
mod doors;
#[path = "redfish/events.rs"]
mod events;
#[path = "redfish/limits.rs"]
mod limits;
#[path = "redfish/media.rs"]
mod media;
#[path = "redfish/rack.rs"]
mod rack;
#[path = "redfish/redirect.rs"]
mod redirect;
#[path = "redfish/replace.rs"]
mod replace;
#[path = "redfish/restart.rs"]
mod restart;
#[path = "redfish/rig.rs"]
mod rig;
#[path = "redfish/roles.rs"]
mod roles;
#[path = "redfish/tasks.rs"]
mod tasks;

use std::{
    collections::{BTreeSet, VecDeque},
    io::{Read as _, Write as _},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};

use rig::{Answer, PASSWORD, Rig, SYSTEMS};

#[tokio::test(flavor = "multi_thread")]
async fn every_link_leads_somewhere_and_every_resource_knows_where_it_is() {
    let rig = Rig::new(1).await;
    let mut queue = VecDeque::from(["/redfish/v1/".to_owned()]);
    let mut seen = BTreeSet::new();
    while let Some(uri) = queue.pop_front() {
        if uri.contains('#') || !seen.insert(uri.clone()) {
            continue;
        }
        let answer = rig.get(&uri).await;
        assert_eq!(answer.status, 200, "{uri}");
        if uri.rsplit_once('.').is_some_and(|(_, ending)| ending == "json") {
            continue;
        }
        assert_eq!(answer.body["@odata.id"], uri.as_str());
        assert_eq!(answer.body["@odata.etag"], answer.header("etag"), "{uri}");
        assert!(answer.header("link").contains("rel=describedby"), "{uri}");
        assert!(answer.header("allow").starts_with("GET, HEAD"), "{uri}");
        assert_eq!(answer.header("odata-version"), "4.0");
        assert_eq!(answer.header("cache-control"), "no-store");
        links(&answer.body, &mut queue);
    }
    for wanted in ["Systems/pdu-1", "Chassis/ipmi-1/Thermal", "Chassis/pdu-1/Power", "Managers/bmc-mixed-1"] {
        assert!(seen.contains(&format!("/redfish/v1/{wanted}")), "{wanted} is not linked to");
    }
    assert!(seen.len() > 60);
}

fn links(value: &Value, into: &mut VecDeque<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(uri) if key == "@odata.id" || key == "Uri" => into.push_back(uri.clone()),
                    other => links(other, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|i| links(i, into)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_of_node_are_switched() {
    let rig = Rig::new(1).await;
    for node in ["ipmi-1", "pdu-1", "mixed-1"] {
        assert_eq!(rig.power(node).await, "Off");
        let answer = rig.reset(node, "On").await;
        assert_eq!(answer.status, 204, "{}", answer.body);
        assert_eq!(rig.power(node).await, "On", "{node}");
        assert_eq!(rig.reset(node, "ForceRestart").await.status, 204);
        assert_eq!(rig.power(node).await, "On", "{node}");
        assert_eq!(rig.reset(node, "ForceOff").await.status, 204);
        assert_eq!(rig.power(node).await, "Off", "{node}");
    }
    let offered = rig.get(&format!("{SYSTEMS}/pdu-1")).await.body["Actions"]["#ComputerSystem.Reset"]
        ["ResetType@Redfish.AllowableValues"]
        .clone();
    assert!(!offered.as_array().unwrap().contains(&json!("Nmi")));
    for kind in ["Nmi", "Explode"] {
        let answer = rig.reset("pdu-1", kind).await;
        assert_eq!((answer.status.as_u16(), answer.key()), (400, "ActionParameterValueNotInList"));
        assert!(answer.body["error"]["message"].as_str().unwrap().contains("ForceRestart"), "names what is offered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_fails_is_named_and_reads_go_on() {
    let rig = Rig::new(1).await;
    rig.rack.pdu.state().stuck = true;
    let answer = rig.reset("pdu-1", "On").await;
    assert_eq!((answer.status.as_u16(), answer.key()), (503, "ActionNotConfirmed"));
    assert!(answer.body["error"]["message"].as_str().unwrap().contains("pdu01"));
    rig.rack.pdu.state().dead = true;
    let answer = rig.reset("pdu-1", "On").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body["error"]["message"].as_str().unwrap().contains("pdu01"));
    let started = std::time::Instant::now();
    let system = rig.get(&format!("{SYSTEMS}/pdu-1")).await;
    assert_eq!(system.status, 200);
    assert!(started.elapsed() < Duration::from_secs(1), "a GET waited for a device");
    for path in ["/redfish/v1/Chassis/pdu-1/Power", "/redfish/v1/Chassis/pdu-1/Sensors", "/redfish/v1/Managers"] {
        assert!(!rig.get(path).await.status.is_server_error());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_is_set_and_used_up() {
    let rig = Rig::new(1).await;
    let system = format!("{SYSTEMS}/mixed-1");
    let tag = rig.get(&system).await.header("etag").to_owned();
    let once = json!({"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}});
    let stale = rig.request(Method::PATCH, &system).basic_auth("admin", Some(PASSWORD)).json(&once);
    let stale = Rig::send(stale.header("If-Match", format!("{tag}x"))).await;
    assert_eq!((stale.status.as_u16(), stale.key()), (412, "PreconditionFailed"));
    let good = rig.request(Method::PATCH, &system).basic_auth("admin", Some(PASSWORD)).json(&once);
    let good = Rig::send(good.header("If-Match", &tag)).await;
    assert_eq!(good.status, 200, "{}", good.body);
    assert_eq!(good.body["Boot"]["BootSourceOverrideEnabled"], "Once");
    assert_ne!(good.header("etag"), tag);
    assert_eq!(rig.reset("mixed-1", "On").await.status, 204);
    assert_eq!(rig.get(&system).await.body["Boot"]["BootSourceOverrideEnabled"], "Disabled");
    // What the start was told, for whatever steers the node's PXE.
    let hint = rig.get("/boot/52-54-00-00-01-03").await;
    assert_eq!((hint.status.as_u16(), &hint.body["node"]), (200, &json!("mixed-1")));
    assert_eq!(rig.get("/boot/52-54-00-00-01-99").await.status, 404);
    let bad = json!({"Boot": {"BootSourceOverrideTarget": "SDCard", "BootNext": "x"}, "AssetTag": 1});
    let answer = rig.patch(&system, bad).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["error"]["@Message.ExtendedInfo"].as_array().unwrap().len(), 3);
    let answer = rig.patch(&system, json!({"AssetTag": "rack 1, left", "IndicatorLED": "Blinking"})).await;
    assert_eq!((answer.status.as_u16(), &answer.body["AssetTag"]), (200, &json!("rack 1, left")));
    let answer = rig.patch(&system, json!({"PowerState": "On"})).await;
    assert_eq!(answer.key(), "PropertyNotWritable");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_spoken_as_clients_expect() {
    let rig = Rig::new(1).await;
    let admin = |method: Method, path: &str| rig.request(method, path).basic_auth("admin", Some(PASSWORD));
    // Open resources, and everything else.
    for path in ["/redfish", "/redfish/v1", "/redfish/v1/", "/redfish/v1/odata", "/redfish/v1/$metadata"] {
        assert_eq!(Rig::send(rig.request(Method::GET, path)).await.status, 200, "{path}");
    }
    for path in [SYSTEMS, "/redfish/v1/Systems/pdu-1", "/redfish/v1/nothing", "/else", "/metrics", "/boot/x"] {
        let answer = Rig::send(rig.request(Method::GET, path)).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.header("www-authenticate").starts_with("Basic realm="), "{path}");
    }
    let wrong = Rig::send(rig.request(Method::GET, SYSTEMS).header("X-Auth-Token", "5ecret5ecret")).await;
    assert_eq!((wrong.status.as_u16(), wrong.key()), (401, "NoValidSession"));
    assert!(!wrong.body.to_string().contains("5ecret"));
    // Methods.
    for (method, path) in [
        (Method::DELETE, "/redfish/v1/"),
        (Method::PUT, SYSTEMS),
        (Method::from_bytes(b"FAKE").unwrap(), "/redfish/v1/"),
        (Method::GET, "/redfish/v1/Systems/pdu-1/Actions/ComputerSystem.Reset"),
    ] {
        let answer = Rig::send(admin(method, path)).await;
        assert_eq!((answer.status.as_u16(), answer.key()), (405, "OperationNotAllowed"), "{path}");
        assert!(!answer.header("allow").is_empty());
    }
    let head = Rig::send(admin(Method::HEAD, SYSTEMS)).await;
    assert_eq!((head.status.as_u16(), &head.body), (200, &json!("")));
    let options = Rig::send(admin(Method::OPTIONS, "/redfish/v1/Systems/pdu-1")).await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (204, "GET, HEAD, PATCH"));
    // Paths.
    assert_eq!(rig.get("/redfish/v1/Systems/").await.body["@odata.id"], SYSTEMS);
    assert_eq!(rig.get("/redfish/v1/Systems/pdu%2D1").await.status, 200);
    for path in
        ["/redfish/v1/systems", "/redfish/v1/Systems/none", "//redfish/v1/", "/redfish/v1/Systems/none/Processors"]
    {
        assert_eq!(rig.get(path).await.status, 404, "{path}");
    }
    // Headers.
    let answer = Rig::send(admin(Method::GET, SYSTEMS).header("OData-Version", "4.1")).await;
    assert_eq!(answer.status, 412);
    assert_eq!(Rig::send(admin(Method::GET, SYSTEMS).header("Accept", "text/html")).await.status, 406);
    let answer = Rig::send(admin(Method::GET, SYSTEMS).header("X-Request-Id", "abc-1")).await;
    assert_eq!(answer.header("x-request-id"), "abc-1");
    let known = Rig::send(admin(Method::GET, SYSTEMS).header("If-None-Match", answer.header("etag"))).await;
    assert_eq!((known.status.as_u16(), known.body), (304, json!("")));
    assert_eq!(Rig::send(admin(Method::GET, SYSTEMS).body("{}")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_make_no_sense_are_refused_with_a_reason() {
    let rig = Rig::new(1).await;
    let reset = "/redfish/v1/Systems/pdu-1/Actions/ComputerSystem.Reset";
    let post = |kind: &'static str, body: String| {
        let request = rig.request(Method::POST, reset).basic_auth("admin", Some(PASSWORD));
        Rig::send(request.header("Content-Type", kind).body(body))
    };
    for (kind, body, status, key) in [
        ("application/json", "{\"ResetType\":".to_owned(), 400, "MalformedJSON"),
        ("application/json", "{\"ResetType\":\"On\",\"ResetType\":\"ForceOff\"}".to_owned(), 400, "MalformedJSON"),
        ("application/json", "[".repeat(200_000), 400, "MalformedJSON"),
        ("application/json", "[]".to_owned(), 400, "UnrecognizedRequestBody"),
        ("application/json", "{}".to_owned(), 400, "ActionParameterMissing"),
        ("application/json;charset=utf-8", "{\"ResetType\":1}".to_owned(), 400, "ActionParameterValueTypeError"),
        ("application/json", "{\"ResetType\":\"On\",\"X\":1}".to_owned(), 400, "ActionParameterUnknown"),
        ("text/plain", "{\"ResetType\":\"On\"}".to_owned(), 415, "HeaderInvalid"),
        ("application/json", " ".repeat(1024 * 1024 + 1), 413, "PayloadTooLarge"),
    ] {
        let answer = post(kind, body).await;
        assert_eq!((answer.status.as_u16(), answer.key()), (status, key));
    }
    // Without body and type, as sushy sends some actions.
    let bare = Rig::send(rig.request(Method::POST, reset).basic_auth("admin", Some(PASSWORD))).await;
    assert_eq!((bare.status.as_u16(), bare.key()), (400, "ActionParameterMissing"));
    let answer = rig.patch("/redfish/v1/Systems/pdu-1", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.key()), (400, "EmptyJSON"));
    let answer = rig.patch("/redfish/v1/Systems/pdu-1", json!({"Boot": {}})).await;
    assert_eq!((answer.status.as_u16(), answer.key()), (400, "NoOperation"));
    assert_eq!(rig.rack.pdu.state().acts, 0, "something was switched");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_see_and_touch_what_is_theirs() {
    let rig = Rig::new(2).await;
    let members = |answer: &Answer| answer.body["Members"].as_array().unwrap().len();
    assert_eq!(members(&rig.as_user("tenant", Method::GET, SYSTEMS, None).await), 2);
    assert_eq!(members(&rig.as_user("admin", Method::GET, SYSTEMS, None).await), 6);
    let reset = |node: &str| format!("{SYSTEMS}/{node}/Actions/ComputerSystem.Reset");
    let on = || Some(json!({"ResetType": "On"}));
    assert_eq!(rig.as_user("tenant", Method::POST, &reset("pdu-1"), on()).await.status, 204);
    for path in
        [format!("{SYSTEMS}/ipmi-1"), "/redfish/v1/Chassis/ipmi-1".into(), "/redfish/v1/Managers/bmc-ipmi-1".into()]
    {
        assert_eq!(rig.as_user("tenant", Method::GET, &path, None).await.status, 404, "{path}");
    }
    assert_eq!(rig.as_user("tenant", Method::POST, &reset("ipmi-1"), on()).await.status, 404);
    let refused = rig.as_user("reader", Method::POST, &reset("pdu-1"), on()).await;
    assert_eq!((refused.status.as_u16(), refused.key()), (403, "InsufficientPrivilege"));
    let contained = rig.as_user("tenant", Method::GET, "/redfish/v1/Chassis/rack1", None).await;
    assert_eq!(contained.body["Links"]["Contains"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_come_and_go() {
    let rig = Rig::new(1).await;
    let sessions = "/redfish/v1/SessionService/Sessions";
    let login = |user: &str, password: &str| {
        Rig::send(rig.request(Method::POST, sessions).json(&json!({"UserName": user, "Password": password})))
    };
    let wrong = login("admin", "not-the-one").await;
    assert_eq!(wrong.status, 401);
    assert!(!wrong.body.to_string().contains("not-the-one"));
    let made = login("reader", PASSWORD).await;
    assert_eq!(made.status, 201);
    let (token, uri) = (made.header("x-auth-token").to_owned(), made.header("location").to_owned());
    assert!(token.len() >= 32 && token.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(made.body["@odata.id"], uri.as_str());
    assert_eq!(made.body["UserName"], "reader");
    let with = |method: Method, path: &str| Rig::send(rig.request(method, path).header("X-Auth-Token", &token));
    assert_eq!(with(Method::GET, SYSTEMS).await.status, 200);
    let other = login("admin", PASSWORD).await.header("location").to_owned();
    assert_eq!(with(Method::GET, sessions).await.body["Members@odata.count"], 1, "sees its own only");
    assert_eq!(with(Method::DELETE, &other).await.status, 404);
    assert_eq!(with(Method::DELETE, &uri).await.status, 204);
    assert_eq!(with(Method::GET, SYSTEMS).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_made_changed_and_removed() {
    let rig = Rig::new(1).await;
    let accounts = "/redfish/v1/AccountService/Accounts";
    let bob = json!({"UserName": "bob", "Password": PASSWORD, "RoleId": "ReadOnly",
                     "Oem": {"Rackfish": {"Groups": ["pdu"]}}});
    let made = rig.post(accounts, bob.clone()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let uri = made.header("location").to_owned();
    assert_eq!(made.body["Password"], Value::Null);
    assert_eq!(rig.as_user("bob", Method::GET, SYSTEMS, None).await.body["Members@odata.count"], 1);
    assert_eq!(rig.post(accounts, bob).await.key(), "ResourceAlreadyExists");
    assert_eq!(rig.post(accounts, json!({"UserName": "x"})).await.key(), "PropertyMissing");
    // Of several writes that name one ETag, one gets through.
    let tag = rig.get(&uri).await.header("etag").to_owned();
    let write = || {
        let request = rig.request(Method::PATCH, &uri).basic_auth("admin", Some(PASSWORD)).header("If-Match", &tag);
        Rig::send(request.json(&json!({"RoleId": "Operator"})))
    };
    let (a, b, c, d) = tokio::join!(write(), write(), write(), write());
    let mut all = [a, b, c, d].map(|x| x.status.as_u16());
    all.sort_unstable();
    assert_eq!(all, [200, 412, 412, 412]);
    // A reader may change their own password, and nothing else of anybody.
    let own = json!({"Password": "Another-Horse-8"});
    let path = |name: &str| format!("{accounts}/{name}");
    assert_eq!(rig.as_user("reader", Method::PATCH, &path("admin"), Some(own.clone())).await.status, 403);
    assert_eq!(
        rig.as_user("reader", Method::PATCH, &path("reader"), Some(json!({"RoleId": "Administrator"}))).await.status,
        403
    );
    assert_eq!(rig.as_user("reader", Method::PATCH, &path("reader"), Some(own)).await.status, 200);
    assert_eq!(rig.as_user("reader", Method::GET, SYSTEMS, None).await.status, 401);
    let short = rig.patch(&uri, json!({"Password": "x"})).await;
    assert_eq!(short.status, 400);
    assert_eq!(rig.as_user("admin", Method::DELETE, &uri, None).await.status, 204);
    assert_eq!(rig.get(&uri).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_to_be_changed_opens_one_door() {
    let rig = Rig::new(1).await;
    let own = "/redfish/v1/AccountService/Accounts/fresh";
    let refused = rig.as_user("fresh", Method::GET, SYSTEMS, None).await;
    assert_eq!((refused.status.as_u16(), refused.key()), (403, "PasswordChangeRequired"));
    assert!(refused.body.to_string().contains(own));
    assert_eq!(rig.as_user("fresh", Method::DELETE, own, None).await.status, 403);
    assert_eq!(rig.as_user("fresh", Method::GET, own, None).await.status, 200);
    let sessions = "/redfish/v1/SessionService/Sessions";
    let session =
        Rig::send(rig.request(Method::POST, sessions).json(&json!({"UserName": "fresh", "Password": PASSWORD}))).await;
    assert_eq!(session.status, 201);
    assert!(
        session.body["@Message.ExtendedInfo"][0]["MessageId"].as_str().unwrap().ends_with("PasswordChangeRequired")
    );
    let sly = json!({"PasswordChangeRequired": false});
    assert_eq!(rig.as_user("fresh", Method::PATCH, own, Some(sly)).await.status, 403);
    let changed = rig.as_user("fresh", Method::PATCH, own, Some(json!({"Password": "Another-Horse-8"}))).await;
    assert_eq!((changed.status.as_u16(), &changed.body["PasswordChangeRequired"]), (200, &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_do_what_the_root_announces() {
    let rig = Rig::new(2).await;
    let all = rig.get(&format!("{SYSTEMS}?$expand=.($levels=1)")).await.body;
    let members = all["Members"].as_array().unwrap();
    assert_eq!((members.len(), &members[0]["Id"]), (6, &json!("ipmi-1")));
    assert!(members[0]["Processors"]["Id"].is_null(), "one level");
    let part = rig.get(&format!("{SYSTEMS}?$top=2&$skip=1")).await.body;
    assert_eq!((part["Members"].as_array().unwrap().len(), &part["Members@odata.count"]), (2, &json!(6)));
    let filtered = async |filter: &str| {
        let answer = rig.get(&format!("{SYSTEMS}?$filter={filter}")).await;
        assert_eq!(answer.status, 200, "{filter}");
        let members = answer.body["Members"].as_array().unwrap().clone();
        (
            members
                .iter()
                .map(|m| m["@odata.id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
                .collect::<Vec<_>>(),
            answer.body["Members@odata.count"].as_u64().unwrap(),
        )
    };
    assert_eq!(filtered("Id eq 'pdu-2'").await, (vec!["pdu-2".to_owned()], 1));
    assert_eq!(filtered("Id eq 'pdu-2' or Id eq 'ipmi-1'&$skip=1&$expand=.").await, (vec!["pdu-2".to_owned()], 2));
    assert_eq!(filtered("not (PowerState eq 'On') and PowerState eq 'On'").await, (vec![], 0));
    assert_eq!(rig.get(&format!("{SYSTEMS}?$filter=Id is 'x'")).await.key(), "QueryParameterValueFormatError");
    assert_eq!(rig.get(&format!("{SYSTEMS}/pdu-1?$filter=Id eq 'x'")).await.key(), "QueryNotSupportedOnResource");
    // Nobody finds by a filter what they may not see.
    let unseen = rig.as_user("tenant", Method::GET, &format!("{SYSTEMS}?$filter=Id ne 'x'"), None).await.body;
    assert_eq!(unseen["Members@odata.count"], 2);
    let picked = rig.get(&format!("{SYSTEMS}/pdu-1?$select=Name,Status/State")).await.body;
    let keys: Vec<_> = picked.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["@odata.etag", "@odata.id", "@odata.type", "Name", "Status"]);
    let links = rig.get(&format!("{SYSTEMS}/pdu-1?$expand=~")).await.body;
    assert_eq!(links["Links"]["Chassis"][0]["ChassisType"], "RackMount");
    assert!(links["Processors"]["Members"].is_null());
    let sensors = "/redfish/v1/Chassis/ipmi-1/Sensors";
    let one = rig.get(&format!("{sensors}/cpu_temp?excerpt")).await.body;
    let keys: Vec<_> = one.as_object().unwrap().keys().filter(|key| !key.starts_with('@')).cloned().collect();
    assert_eq!((keys, &one["Reading"]), (vec!["Reading".to_owned()], &json!(41.5)));
    let all = rig.get(&format!("{sensors}?$expand=.&excerpt")).await.body;
    let members = all["Members"].as_array().unwrap();
    assert!(members.len() > 3 && members.iter().all(|m| m["Reading"].is_number() && m["Name"].is_null()), "{all}");
    let whole = rig.get(&format!("{SYSTEMS}/pdu-1?excerpt")).await.body;
    assert_eq!(whole["Id"], "pdu-1", "its schema marks nothing");
    assert_eq!(rig.get("/redfish/v1/?excerpt=foo").await.status, 400);
    let only = rig.get("/redfish/v1/Systems/pdu-1/LogServices?only").await.body;
    assert_eq!(only["Id"], "Audit");
    assert_eq!(rig.get(&format!("{SYSTEMS}?only")).await.body["Members@odata.count"], 6);
    assert_eq!(rig.get(&format!("{SYSTEMS}?$apply=x")).await.status, 501);
    assert_eq!(rig.get(&format!("{SYSTEMS}/pdu-1?only")).await.status, 400);
    assert_eq!(rig.get("/redfish/v1/?rpvunknown").await.status, 200);
    // What is closed to somebody stays a link.
    let root = Rig::send(rig.request(Method::GET, "/redfish/v1/?$expand=*")).await.body;
    assert_eq!(root["Systems"], json!({"@odata.id": SYSTEMS}));
    assert!(rig.get("/redfish/v1/?$expand=.").await.body["Systems"]["Members"].is_array());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_behind_the_request_and_cleared() {
    let rig = Rig::new(1).await;
    let log = "/redfish/v1/Systems/ipmi-1/LogServices/SEL";
    let mut entries = Value::Null;
    for _ in 0..100 {
        entries = rig.get(&format!("{log}/Entries")).await.body;
        if entries["Members@odata.count"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(entries["Members"][0]["Message"], "Fan 1 was slow");
    assert_eq!(rig.get(&format!("{log}/Entries/1")).await.body["Severity"], "Warning");
    let clear = format!("{log}/Actions/LogService.ClearLog");
    assert_eq!(rig.as_user("operator", Method::POST, &clear, None).await.status, 403);
    assert_eq!(rig.as_user("admin", Method::POST, &clear, None).await.status, 204);
    assert!(rig.rack.bmcs[0].state().log.is_empty());
    assert_eq!(rig.get("/redfish/v1/Systems/pdu-1/LogServices/SEL").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manager_tells_how_it_is_reached() {
    let rig = Rig::new(1).await;
    let manager = rig.get("/redfish/v1/Managers/rackfish").await.body;
    let uri = manager["NetworkProtocol"]["@odata.id"].as_str().unwrap().to_owned();
    let protocols = rig.get(&uri).await.body;
    let port = rig.server.addresses[0].port();
    assert_eq!(protocols["HTTP"], json!({"ProtocolEnabled": true, "Port": port}), "this rig is plain HTTP");
    assert_eq!(protocols["HTTPS"], json!({"ProtocolEnabled": false}));
    assert_eq!(rig.get("/redfish/v1/Managers/bmc-ipmi-1/NetworkProtocol").await.status, 404, "a BMC's is not known");
    assert!(rig.get("/redfish/v1/Managers/bmc-ipmi-1").await.body["NetworkProtocol"].is_null());
    let answer = rig.patch(&uri, json!({"HTTP": {"ProtocolEnabled": false}})).await;
    assert_eq!((answer.status.as_u16(), answer.key()), (400, "PropertyNotWritable"));
    let off = json!({"SSDP": {"ProtocolEnabled": false}});
    assert_eq!(rig.patch(&uri, off.clone()).await.body["SSDP"], json!({"ProtocolEnabled": false}));
    assert_eq!(rig.as_user("operator", Method::PATCH, &uri, Some(off.clone())).await.status, 403);
    let stale = rig.request(Method::PATCH, &uri).basic_auth("admin", Some(PASSWORD)).header("If-Match", "\"old\"");
    assert_eq!(Rig::send(stale.json(&off)).await.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_close_is_echoed() {
    let rig = Rig::new(1).await;
    let address = rig.server.addresses[0];
    let raw = tokio::task::spawn_blocking(move || {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        socket.write_all(b"GET /redfish/v1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        text.to_lowercase()
    });
    assert!(raw.await.unwrap().contains("\r\nconnection: close\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operations_listener_is_open_and_the_server_stops() {
    let rig = Rig::with(1, |c| c.server.operations_listen = Some("127.0.0.1:0".parse().unwrap())).await;
    let at = rig.server.operations.unwrap();
    let get = async |path: &str| reqwest::get(format!("http://{at}{path}")).await.unwrap().text().await.unwrap();
    assert_eq!(get("/healthz").await, "ok\n");
    assert_eq!(get("/readyz").await, "ready\n");
    rig.reset("pdu-1", "On").await;
    let mut metrics = String::new();
    for _ in 0..50 {
        metrics = get("/metrics").await;
        if metrics.contains("rackfish_operations_total{kind=\"On\",result=\"ok\"} 1") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for line in
        ["rackfish_operations_total{kind=\"On\",result=\"ok\"} 1", "rackfish_endpoints{state=\"up\"} 3", "# EOF"]
    {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let address = rig.server.addresses[0];
    tokio::time::timeout(Duration::from_secs(10), rig.server.stop()).await.unwrap();
    assert!(std::net::TcpStream::connect(address).is_err());
}
