//! The driver against a BMC that misbehaves, and its settings.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod media;

use std::time::Duration;

use serde_json::json;

use super::fake::{Fake, Odd, RESET, SESSIONS, SYSTEM};
use crate::{
    drivers::{Driver, SettingsError, Setup, find},
    model::{
        Act, ActKind, Aspect, AspectKind, BootMode, BootSet, BootTarget, Caps, Done, Fact, Fault, Led, PowerAct,
        PowerState, Unit, Why,
    },
};

fn say(status: u16, body: &str) -> Odd {
    Odd::Say(status, Vec::new(), body.to_owned())
}

async fn act(driver: &mut Box<dyn Driver>, act: Act) -> Result<Done, Fault> {
    driver.act(&[(Unit::host(), act)]).await.pop().unwrap()
}

async fn reset(driver: &mut Box<dyn Driver>, kind: PowerAct) -> Result<Done, Fault> {
    act(driver, Act::Power(kind)).await
}

/// All pages of one aspect; the fault of a page is the result.
async fn read(driver: &mut Box<dyn Driver>, aspect: Aspect) -> Result<Vec<Fact>, Fault> {
    let (mut facts, mut at) = (Vec::new(), None);
    for _ in 0..2000 {
        let page = driver.observe(&aspect, &[Unit::host()], at).await?;
        for (_, item) in page.items {
            facts.push(item?);
        }
        at = page.next;
        if at.is_none() {
            return Ok(facts);
        }
    }
    panic!("{aspect:?} never ends");
}

async fn power(driver: &mut Box<dyn Driver>) -> Result<PowerState, Fault> {
    match read(driver, Aspect::Power).await?.pop() {
        Some(Fact::Power(state)) => Ok(state),
        other => panic!("{other:?}"),
    }
}

async fn caps(driver: &mut Box<dyn Driver>) -> Caps {
    driver.open().await.unwrap().pop().unwrap().1
}

#[tokio::test]
async fn one_session_serves_everything_and_is_given_back() {
    let fake = Fake::start().await;
    let mut driver = fake.driver("");
    let caps = caps(&mut driver).await;
    assert!(caps.acts.has(ActKind::On) && caps.acts.has(ActKind::Reset) && !caps.acts.has(ActKind::Cycle));
    assert!(!caps.acts.has(ActKind::Nmi) && !caps.acts.has(ActKind::ClearLog));
    assert!(!caps.aspects.has(AspectKind::Log) && caps.aspects.has(AspectKind::Sensors));
    // Cd is on a USB stick here; UefiHttp would need a URI.
    assert_eq!(caps.boot.targets, [BootTarget::None, BootTarget::Pxe, BootTarget::Hdd, BootTarget::Cd]);
    assert_eq!(power(&mut driver).await, Ok(PowerState::Off));
    assert_eq!(reset(&mut driver, PowerAct::On).await, Ok(Done::Accepted));
    assert_eq!(power(&mut driver).await, Ok(PowerState::On));
    driver.open().await.unwrap();
    let facts = read(&mut driver, Aspect::Sensors).await.unwrap();
    let readings: Vec<_> =
        facts.into_iter().filter_map(|f| if let Fact::Sensors(r) = f { Some(r) } else { None }).flatten().collect();
    assert_eq!(readings.iter().map(|r| (r.id.as_str(), r.value)).collect::<Vec<_>>(), [("CPU_Temp", Some(41.0))]);
    let Some(Fact::Inventory(inventory)) = read(&mut driver, Aspect::Inventory).await.unwrap().pop() else { panic!() };
    assert_eq!((inventory.serial.as_deref(), inventory.firmware.as_deref()), (Some("4711"), Some("1.2")));
    driver.close().await;
    let bmc = fake.bmc();
    assert_eq!((bmc.logins, bmc.tokens.len()), (1, 0));
    // The address in `Location` is one that nobody can reach: the path counts.
    assert_eq!(bmc.count(&format!("DELETE {SESSIONS}/1")), 1);
}

#[tokio::test]
async fn a_forgotten_session_is_opened_again_once() {
    let fake = Fake::start().await;
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    fake.bmc().tokens.clear();
    assert_eq!(reset(&mut driver, PowerAct::On).await, Ok(Done::Accepted));
    assert_eq!(fake.bmc().logins, 2);
    // Turned away at the door once, carried out once.
    assert_eq!(fake.bmc().count(&format!("POST {RESET}")), 2);
    fake.odd(&format!("GET {SYSTEM}"), 0, say(401, ""));
    assert!(power(&mut driver).await.unwrap_err().is_credentials());
    assert_eq!(fake.bmc().logins, 3);
}

#[tokio::test]
async fn without_sessions_it_is_basic() {
    let fake = Fake::start().await;
    let bare = json!({ "Systems": { "@odata.id": "/redfish/v1/Systems/" } });
    fake.bmc().resources.insert("/redfish/v1".to_owned(), bare);
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    assert_eq!(power(&mut driver).await, Ok(PowerState::Off));
    assert_eq!(fake.bmc().count("POST"), 0);
    // A service that advertises sessions and has none.
    let fake = Fake::start().await;
    fake.odd(&format!("POST {SESSIONS}"), 0, say(405, ""));
    fake.driver("").open().await.unwrap();
    assert_eq!(fake.bmc().count("POST"), 1);
}

#[tokio::test]
async fn wrong_passwords_are_told_as_such() {
    for more in ["auth = \"session\"", "auth = \"basic\"", ""] {
        let fake = Fake::start().await;
        let right = fake.driver(more);
        drop(right);
        let text = format!(
            "address = \"{}\"\nusername = \"root\"\npassword = \"wrong\"\ninsecure_no_verify = true\n{more}",
            fake.address
        );
        let setup = (find("redfish").unwrap().parse)(&toml::from_str(&text).unwrap()).unwrap();
        let fault = setup.connect().open().await.unwrap_err();
        assert!(fault.is_credentials(), "{fault:?}");
        assert!(fake.bmc().asked.len() <= 3, "too many tries ({more})");
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_reset_is_uncertain_and_not_sent_again() {
    for odd in [Odd::Late(Duration::from_millis(600)), Odd::HangUp] {
        let fake = Fake::start().await;
        let mut driver = fake.driver("");
        driver.open().await.unwrap();
        fake.odd(&format!("POST {RESET}"), 1, odd);
        let fault = reset(&mut driver, PowerAct::Reset).await.unwrap_err();
        assert!(matches!(fault, Fault::Uncertain(_)), "{fault:?}");
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(fake.bmc().count(&format!("POST {RESET}")), 1);
    }
}

#[tokio::test]
async fn faults_by_status() {
    let fake = Fake::start().await;
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    let after = Odd::Say(503, vec![("Retry-After", "7".to_owned())], String::new());
    fake.odd(&format!("POST {RESET}"), 1, after.clone());
    let fault = reset(&mut driver, PowerAct::On).await.unwrap_err();
    assert!(matches!(fault, Fault::Busy { retry_after: Some(t), .. } if t == Duration::from_secs(7)), "{fault:?}");
    fake.odd(&format!("GET {SYSTEM}"), 1, after);
    assert!(matches!(power(&mut driver).await, Err(Fault::Busy { .. })));
    for (status, body) in [(200, "{\"PowerState\": "), (200, "<html>"), (302, "")] {
        fake.odd(&format!("GET {SYSTEM}"), 1, say(status, body));
        assert!(matches!(power(&mut driver).await, Err(Fault::Garbage(_))), "{status} {body}");
    }
    let error = r#"{"error": {"code": "Base.1.0.GeneralError", "@Message.ExtendedInfo": [{"Message": "Not while it updates."}]}}"#;
    fake.odd(&format!("POST {RESET}"), 1, say(409, error));
    let fault = reset(&mut driver, PowerAct::On).await.unwrap_err();
    assert!(matches!(&fault, Fault::Refused(Why::Rejected(why)) if why.contains("Not while")), "{fault:?}");
    fake.odd(&format!("POST {RESET}"), 1, say(500, ""));
    assert!(matches!(reset(&mut driver, PowerAct::On).await, Err(Fault::Uncertain(_))));
    // What is refused because it is so already is done.
    fake.odd(&format!("POST {RESET}"), 1, say(409, error));
    assert_eq!(reset(&mut driver, PowerAct::Off).await, Ok(Done::Completed));
    fake.bmc().resources.get_mut(SYSTEM).unwrap()["PowerState"] = json!(null);
    assert!(matches!(power(&mut driver).await, Err(Fault::Refused(Why::Rejected(_)))));
    // Advertised, and not there: not offered any more.
    fake.odd(&format!("POST {RESET}"), 1, say(501, ""));
    assert!(matches!(reset(&mut driver, PowerAct::Soft).await, Err(Fault::Unsupported(_))));
    assert!(!caps(&mut driver).await.acts.has(ActKind::Soft));
}

#[tokio::test]
async fn redirects_stay_on_the_host() {
    let (fake, elsewhere) = (Fake::start().await, Fake::start().await);
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    let to = |to: String| Odd::Say(308, vec![("Location", to)], String::new());
    fake.odd(&format!("GET {SYSTEM}"), 1, to(format!("{SYSTEM}/")));
    assert_eq!(power(&mut driver).await, Ok(PowerState::Off));
    fake.odd(&format!("GET {SYSTEM}"), 1, to(format!("{}{SYSTEM}", elsewhere.address)));
    let fault = power(&mut driver).await.unwrap_err();
    assert!(matches!(&fault, Fault::Garbage(why) if why.contains("redirects to")), "{fault:?}");
    fake.odd(&format!("POST {RESET}"), 1, to(format!("{RESET}/")));
    assert!(reset(&mut driver, PowerAct::On).await.is_err());
    fake.odd(&format!("GET {SYSTEM}"), 0, to(SYSTEM.to_owned()));
    assert!(power(&mut driver).await.is_err());
    assert_eq!(elsewhere.bmc().asked.len(), 0);
}

#[tokio::test]
async fn patches_carry_the_tag_of_what_they_change() {
    let fake = Fake::start().await;
    fake.bmc().tagged = true;
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    let set = BootSet { target: BootTarget::Cd, mode: Some(BootMode::Legacy), persistent: true };
    assert_eq!(act(&mut driver, Act::Boot(set)).await, Ok(Done::Completed));
    assert_eq!(fake.bmc().count("PATCH"), 1);
    let boot = fake.bmc().resources[SYSTEM]["Boot"].clone();
    assert_eq!(
        (&boot["BootSourceOverrideTarget"], &boot["BootSourceOverrideEnabled"]),
        (&json!("UsbCd"), &json!("Continuous"))
    );
    assert_eq!(read(&mut driver, Aspect::Boot).await, Ok(vec![Fact::Boot(Some(set))]));
    // Somebody else was faster: once more, with the tag as it is now.
    fake.bmc().slips = 1;
    let clear = BootSet { target: BootTarget::None, mode: None, persistent: false };
    assert_eq!(act(&mut driver, Act::Boot(clear)).await, Ok(Done::Completed));
    assert_eq!(fake.bmc().count("PATCH"), 3);
    assert_eq!(read(&mut driver, Aspect::Boot).await, Ok(vec![Fact::Boot(None)]));
    fake.bmc().strong = true;
    assert_eq!(act(&mut driver, Act::Indicator(Led::Lit)).await, Ok(Done::Accepted));
    assert_eq!(fake.bmc().count("PATCH"), 5);
    fake.odd(&format!("PATCH {SYSTEM}"), 0, say(412, ""));
    assert!(matches!(act(&mut driver, Act::Indicator(Led::Off)).await, Err(Fault::Refused(Why::Rejected(_)))));
    assert_eq!(fake.bmc().count("PATCH"), 7);
}

#[tokio::test]
async fn boot_options_that_are_refused_together_are_sent_apart() {
    let fake = Fake::start().await;
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    fake.odd(&format!("PATCH {SYSTEM}"), 1, say(400, ""));
    let set = BootSet { target: BootTarget::Pxe, mode: Some(BootMode::Legacy), persistent: false };
    assert_eq!(act(&mut driver, Act::Boot(set)).await, Ok(Done::Completed));
    assert_eq!(read(&mut driver, Aspect::Boot).await, Ok(vec![Fact::Boot(Some(set))]));
    let bmc = fake.bmc();
    let patches: Vec<_> = bmc.asked.iter().filter(|asked| asked.starts_with("PATCH")).collect();
    assert!(patches.len() == 3 && !patches[1].contains("Target") && !patches[2].contains("Mode"), "{patches:?}");
}

#[tokio::test]
async fn boot_options_go_to_the_settings_object_as_far_as_it_has_them() {
    let fake = Fake::start().await;
    {
        let mut bmc = fake.bmc();
        let pending = format!("{SYSTEM}/Pending");
        bmc.resources.get_mut(SYSTEM).unwrap()["@Redfish.Settings"] =
            json!({ "SettingsObject": { "@odata.id": pending } });
        bmc.resources.insert(pending, json!({ "Boot": { "BootSourceOverrideMode": "UEFI" } }));
    }
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    let set = BootSet { target: BootTarget::Hdd, mode: Some(BootMode::Legacy), persistent: false };
    assert_eq!(act(&mut driver, Act::Boot(set)).await, Ok(Done::Completed));
    let bmc = fake.bmc();
    assert_eq!(bmc.resources[&format!("{SYSTEM}/Pending")]["Boot"], json!({ "BootSourceOverrideMode": "Legacy" }));
    assert_eq!(bmc.resources[SYSTEM]["Boot"]["BootSourceOverrideTarget"], "Hdd");
    assert_eq!(bmc.resources[SYSTEM]["Boot"]["BootSourceOverrideMode"], "UEFI");
}

#[tokio::test]
async fn what_an_action_takes_may_be_told_elsewhere() {
    let fake = Fake::start().await;
    {
        let mut bmc = fake.bmc();
        bmc.resources.get_mut(SYSTEM).unwrap()["Actions"] = json!({ "#ComputerSystem.Reset": { "Target": RESET, "@Redfish.ActionInfo": format!("{SYSTEM}/ResetActionInfo") } });
        let info = json!({ "Parameters": [{ "Name": "ResetType", "AllowableValues": ["ForceOn", "PowerCycle", 3] }] });
        bmc.resources.insert(format!("{SYSTEM}/ResetActionInfo"), info);
    }
    let mut driver = fake.driver("");
    let caps = caps(&mut driver).await;
    assert!(caps.acts.has(ActKind::On) && caps.acts.has(ActKind::Cycle) && !caps.acts.has(ActKind::Off));
    assert_eq!(reset(&mut driver, PowerAct::On).await, Ok(Done::Accepted));
    assert_eq!(fake.bmc().count(&format!("POST {RESET} {{\"ResetType\":\"ForceOn\"}}")), 1);
}

#[tokio::test]
async fn a_task_that_fails_is_no_success() {
    let fake = Fake::start().await;
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    let monitor = "/redfish/v1/TaskService/TaskMonitors/1";
    fake.bmc()
        .resources
        .insert(monitor.to_owned(), json!({ "TaskState": "Exception", "Messages": [{ "Message": "no fuse" }] }));
    fake.odd(&format!("POST {RESET}"), 1, Odd::Say(202, vec![("Location", monitor.to_owned())], String::new()));
    let fault = reset(&mut driver, PowerAct::On).await.unwrap_err();
    assert!(matches!(&fault, Fault::Refused(Why::Rejected(why)) if why.contains("no fuse")), "{fault:?}");
}

#[tokio::test]
async fn collections_without_an_end_end() {
    let fake = Fake::start().await;
    let link = |to: &str| json!({ "@odata.id": to });
    {
        let mut bmc = fake.bmc();
        let root = bmc.resources.get_mut("/redfish/v1").unwrap();
        root["ProtocolFeaturesSupported"] = json!({ "ExpandQuery": { "NoLinks": true, "Levels": true } });
        bmc.resources
            .insert("/redfish/v1/Chassis/1".to_owned(), json!({ "Sensors": link("/redfish/v1/Chassis/1/Sensors") }));
        let members: Vec<_> = (0..3)
            .map(|n| json!({ "Id": "same", "Name": format!("n{n}"), "ReadingType": "Voltage", "Reading": n }))
            .collect();
        bmc.resources.insert(
            "/redfish/v1/Chassis/1/Sensors".to_owned(),
            json!({ "Members": members, "Members@odata.nextLink": "/redfish/v1/Chassis/1/Sensors?$skip=1" }),
        );
        bmc.resources.get_mut(SYSTEM).unwrap()["LogServices"] = link("/redfish/v1/Systems/1/LogServices");
        bmc.resources.insert(
            "/redfish/v1/Systems/1/LogServices".to_owned(),
            json!({ "Members": [link("/redfish/v1/L/Debug"), link("/redfish/v1/L/SEL")] }),
        );
        bmc.resources.insert(
            "/redfish/v1/L/Debug".to_owned(),
            json!({ "Id": "Debug", "LogEntryType": "Oem", "Entries": link("/redfish/v1/L/D") }),
        );
        bmc.resources.insert(
            "/redfish/v1/L/SEL".to_owned(),
            json!({ "Id": "SEL", "Entries": link("/redfish/v1/L/E"), "Actions": { "#LogService.ClearLog": { "target": "/redfish/v1/L/C" } } }),
        );
        bmc.resources.insert(
            "/redfish/v1/L/E".to_owned(),
            json!({ "Members": [
                { "Id": "2", "Created": "2026-01-02T00:00:00Z", "Message": "later", "Severity": "Critical" },
                { "Id": "1", "Created": "2026-01-01T00:00:00", "Message": "earlier" },
                link("/redfish/v1/L/E/3"), link("/redfish/v1/L/E/gone"), 17,
            ], "Members@odata.nextLink": "/redfish/v1/L/E" }),
        );
        bmc.resources.insert(
            "/redfish/v1/L/E/3".to_owned(),
            json!({ "Id": "3", "Created": "2026-01-03T00:00:00Z", "Message": "last" }),
        );
    }
    let mut driver = fake.driver("");
    assert!(caps(&mut driver).await.acts.has(ActKind::ClearLog));
    let before = fake.bmc().asked.len();
    let facts = read(&mut driver, Aspect::Sensors).await.unwrap();
    assert!(fake.bmc().asked.len() - before < 5, "too many exchanges");
    let Some(Fact::Sensors(first)) = facts.get(1) else { panic!("{facts:?}") };
    assert_eq!(first.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["same", "same-2", "same-3"]);
    let Some(Fact::Log(entries)) = read(&mut driver, Aspect::Log).await.unwrap().pop() else { panic!() };
    assert_eq!(entries.iter().map(|e| e.message.as_str()).collect::<Vec<_>>(), ["earlier", "later", "last"]);
}

#[tokio::test]
async fn sensors_that_take_too_long_together_are_read_as_they_always_were() {
    let fake = Fake::start().await;
    let link = |to: &str| json!({ "@odata.id": to });
    {
        let mut bmc = fake.bmc();
        let root = bmc.resources.get_mut("/redfish/v1").unwrap();
        root["ProtocolFeaturesSupported"] = json!({ "ExpandQuery": { "NoLinks": true, "Levels": true } });
        bmc.resources.get_mut("/redfish/v1/Chassis/1").unwrap()["Sensors"] = link("/redfish/v1/Chassis/1/Sensors");
        bmc.resources.insert("/redfish/v1/Chassis/1/Sensors".to_owned(), json!({ "Members": [] }));
    }
    fake.odd("GET /redfish/v1/Chassis/1/Sensors", 0, Odd::Late(Duration::from_secs(1)));
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    for _ in 0..3 {
        let facts = read(&mut driver, Aspect::Sensors).await.unwrap();
        let readings: usize = facts.iter().map(|f| if let Fact::Sensors(r) = f { r.len() } else { 0 }).sum();
        assert_eq!(readings, 1, "{facts:?}");
    }
    let bmc = fake.bmc();
    assert_eq!(bmc.count("GET /redfish/v1/Chassis/1/Sensors"), 1);
    assert_eq!((bmc.count("GET /redfish/v1/Chassis/1/Thermal"), bmc.logins), (3, 1));
}

#[tokio::test]
async fn sessions_that_are_all_taken_are_no_wrong_password() {
    let fake = Fake::start().await;
    let error =
        r#"{"error": {"@Message.ExtendedInfo": [{"MessageId": "Base.1.8.SessionLimitExceeded", "Message": "full"}]}}"#;
    fake.odd(&format!("POST {SESSIONS}"), 1, say(403, error));
    let mut driver = fake.driver("");
    assert!(matches!(driver.open().await, Err(Fault::Busy { .. })));
    driver.open().await.unwrap();
    assert_eq!(fake.bmc().logins, 1);
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off() {
    let fake = Fake::start().await;
    let mut driver = fake.driver("");
    driver.open().await.unwrap();
    fake.odd(&format!("GET {SYSTEM}"), 1, say(200, &" ".repeat((8 << 20) + 1)));
    let fault = power(&mut driver).await.unwrap_err();
    assert!(matches!(fault, Fault::Garbage(_) | Fault::Unreachable(_)), "{fault:?}");
}

#[tokio::test]
async fn several_systems_have_to_be_told_apart() {
    let fake = Fake::start().await;
    let members = json!({ "Members": [{ "@odata.id": SYSTEM }, { "@odata.id": "/redfish/v1/Systems/2" }] });
    fake.bmc().resources.insert("/redfish/v1/Systems".to_owned(), members);
    let fault = fake.driver("").open().await.unwrap_err();
    assert!(fault.blames_endpoint() && fault.to_string().contains("it has 1, 2"), "{fault}");
    let fault = fake.driver("system = \"3\"").open().await.unwrap_err();
    assert!(fault.blames_endpoint() && fault.to_string().contains("no System 3"), "{fault}");
    fake.driver("system = \"1\"").open().await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_acts_are_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut fake = Fake::start().await;
    fake.address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut driver = fake.driver("");
    assert!(matches!(driver.open().await, Err(Fault::Unreachable(_))));
    assert!(matches!(reset(&mut driver, PowerAct::On).await, Err(Fault::NotSent(_))));
    driver.close().await;
}

fn errors(text: &str) -> Vec<SettingsError> {
    match (find("redfish").unwrap().parse)(&toml::from_str(text).unwrap()) {
        Ok(setup) => panic!("{setup:?}"),
        Err(errors) => errors,
    }
}

fn setup(text: &str) -> std::sync::Arc<dyn Setup> {
    (find("redfish").unwrap().parse)(&toml::from_str(text).unwrap()).unwrap()
}

#[test]
fn all_mistakes_at_once() {
    let found = errors(
        "address = \"ftp://x\"\nusername = \"a:b\"\nfingerprint = \"12\"\nauth = \"digest\"\ntimout = 1\nsystem = \"a/b\"",
    );
    let keys: Vec<_> = found.iter().filter_map(|e| e.key.as_deref()).collect();
    for key in ["address", "username", "password", "fingerprint", "auth", "timout", "system"] {
        assert!(keys.contains(&key), "{key} is not in {keys:?}");
    }
    let rest = "username = \"a\"\npassword = \"b\"";
    for (line, hint) in [
        ("address = \"010.0.0.1\"", "leading zeros"),
        ("address = \"10.1\"", "no IPv4"),
        ("address = \"http://10.0.0.1\"", "shows the password"),
        ("address = \"https://u:p@10.0.0.1\"", "username"),
        ("address = \"https://10.0.0.1/redfish/v1/Systems\"", "ends at the port"),
        ("address = \"a b\"", "no address"),
        ("address = \"x\"\ninsecure_no_verify = true\nca_file = \"none.pem\"", "keep one"),
        ("address = \"x\"\nca_file = \"/nowhere/at/all.pem\"", "No such file"),
        ("address = \"x\"\nca_file = \"Cargo.toml\"", "holds no certificate"),
    ] {
        let found = errors(&format!("{line}\n{rest}"));
        assert!(found.iter().any(|e| e.message.contains(hint)), "{hint:?} is not in {found:?}");
    }
}

#[test]
fn addresses_and_secrets() {
    let rest = "username = \"root\"\npassword = \"calvin\"";
    for (given, shown) in [
        ("10.0.0.5", "https://10.0.0.5"),
        ("10.0.0.5:8443", "https://10.0.0.5:8443"),
        ("fe80::1", "https://[fe80::1]"),
        ("bmc.example", "https://bmc.example"),
        ("https://bmc.example/redfish/v1/", "https://bmc.example"),
    ] {
        let setup = setup(&format!("address = \"{given}\"\n{rest}"));
        assert_eq!(setup.address(), shown);
        assert!(!format!("{setup:?}").contains("calvin"));
        assert!(setup.presumed(&Unit::host()).is_some() && setup.presumed(&Unit::outlet(1)).is_none());
    }
    let long = format!("sha256:{}", ["AB"; 32].join(":"));
    setup(&format!("address = \"x\"\nfingerprint = \"{long}\"\n{rest}"));
}
