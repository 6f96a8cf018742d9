//! The simulated BMC alone, and as driver `redfish` sees it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{BmcConfig, Rack, answer::answer, machine::Machine};
use crate::{
    drivers::{Driver, find},
    model::{Act, ActKind, Aspect, AspectKind, Fact, MediaInsert, MediaSlot, MediaType, PowerAct, Secret, Unit},
};

const CD: &str = "/redfish/v1/Systems/1/VirtualMedia/Cd";

fn config() -> BmcConfig {
    BmcConfig { media_delay: Duration::from_millis(20), ..BmcConfig::new("op", Secret::new("geheim")) }
}

#[test]
fn an_image_is_there_after_a_moment_and_booted_from_if_told_to() {
    let (mut it, now) = (Machine::new(config()), Instant::now());
    let later = now + Duration::from_secs(1);
    let insert = format!("{CD}/Actions/VirtualMedia.InsertMedia");
    let image = json!({"Image": "http://h/a.iso"});
    assert_eq!(answer(&mut it, "POST", &insert, &image, now).0, 204);
    assert_eq!(answer(&mut it, "GET", CD, &Value::Null, now).1["Inserted"], false);
    assert_eq!(answer(&mut it, "POST", &insert, &image, later).0, 409, "the slot is full");
    assert_eq!(answer(&mut it, "GET", CD, &Value::Null, later).1["Image"], "http://h/a.iso");
    let boot = json!({"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Cd"}});
    assert_eq!(answer(&mut it, "PATCH", "/redfish/v1/Systems/1", &boot, later).0, 204);
    assert!(it.reset("On", later));
    assert_eq!(it.stats.booted_from.as_deref(), Some("Cd http://h/a.iso"));
    assert!(it.reset("ForceRestart", later));
    assert_eq!(it.stats.booted_from.as_deref(), Some("None"), "once is once");
    let eject = format!("{CD}/Actions/VirtualMedia.EjectMedia");
    assert_eq!(answer(&mut it, "POST", &eject, &Value::Null, later).0, 204);
    let end = later + Duration::from_secs(1);
    assert_eq!(answer(&mut it, "GET", CD, &Value::Null, end).1["Inserted"], false);
    assert_eq!(answer(&mut it, "POST", &eject, &Value::Null, end).0, 400, "the slot is empty");
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let (mut it, now) = (Machine::new(config()), Instant::now());
    for (method, path, body) in [
        ("POST", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", json!({"ResetType": "Explode"})),
        ("POST", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", Value::Null),
        (
            "PATCH",
            "/redfish/v1/Systems/1",
            json!({"IndicatorLED": "Lit", "Boot": {"BootSourceOverrideTarget": "Tape"}}),
        ),
        ("POST", "/redfish/v1/Systems/1/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia", json!({"Image": 5})),
        ("GET", "/redfish/v1/Systems/1/VirtualMedia/Tape", Value::Null),
        ("DELETE", "/redfish/v1/Systems/1", Value::Null),
    ] {
        let (status, said) = answer(&mut it, method, path, &body, now);
        assert!((400..500).contains(&status) && said["error"]["message"].is_string(), "{method} {path}: {status}");
    }
    assert_eq!((it.led.as_str(), it.stats.controls, it.stats.inserts), ("Off", 0, 0));
}

async fn slots(driver: &mut Box<dyn Driver>) -> Vec<MediaSlot> {
    let mut at = None;
    for _ in 0..10 {
        let mut page = driver.observe(&Aspect::Media, &[Unit::host()], at).await.unwrap();
        if let Some((_, Ok(Fact::Media(slots)))) = page.items.pop() {
            return slots;
        }
        at = page.next;
    }
    panic!("it never ends");
}

async fn cd(driver: &mut Box<dyn Driver>, full: bool) -> MediaSlot {
    for _ in 0..100 {
        let slot = slots(driver).await.into_iter().find(|slot| slot.id == "Cd").unwrap();
        if slot.is_full() == full {
            return slot;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the slot does not become full = {full}");
}

#[tokio::test]
async fn the_driver_finds_all_that_it_has() {
    let rack = Rack::start(vec![("127.0.0.1:0".parse().unwrap(), config())]).unwrap();
    let (address, bmc) = &rack.bmcs[0];
    let text = format!(
        "address = \"{address}\"\nusername = \"op\"\npassword = \"geheim\"\nfingerprint = \"{}\"",
        rack.fingerprint
    );
    let mut driver = (find("redfish").unwrap().parse)(&toml::from_str(&text).unwrap()).unwrap().connect();
    let caps = driver.open().await.unwrap().pop().unwrap().1;
    for kind in
        [ActKind::On, ActKind::Nmi, ActKind::Boot, ActKind::Indicator, ActKind::InsertMedia, ActKind::EjectMedia]
    {
        assert!(caps.acts.has(kind), "{kind:?}");
    }
    assert!(caps.aspects.has(AspectKind::Media) && caps.aspects.has(AspectKind::Sensors));
    let found = slots(&mut driver).await;
    assert_eq!(found.iter().map(|slot| slot.id.as_str()).collect::<Vec<_>>(), ["Cd", "Usb"]);
    assert_eq!(found[0].types, [MediaType::Cd, MediaType::Dvd]);
    let insert = Act::InsertMedia(Box::new(MediaInsert {
        slot: "Cd".to_owned(),
        image: "nfs://h/share/a.iso".to_owned(),
        write_protected: true,
        user: Some("u".to_owned()),
        password: Some(Secret::new("p")),
        method: None,
        protocol: None,
    }));
    let act = async |driver: &mut Box<dyn Driver>, act: Act| driver.act(&[(Unit::host(), act)]).await.pop().unwrap();
    act(&mut driver, insert).await.unwrap();
    let slot = cd(&mut driver, true).await;
    assert!(slot.holds("nfs://h/share/a.iso") && slot.user.as_deref() == Some("u"));
    act(&mut driver, Act::Power(PowerAct::On)).await.unwrap();
    assert!(bmc.stats().on);
    act(&mut driver, Act::EjectMedia("Cd".to_owned())).await.unwrap();
    cd(&mut driver, false).await;
    act(&mut driver, Act::EjectMedia("Cd".to_owned())).await.unwrap();
    assert_eq!((bmc.stats().inserts, bmc.stats().ejects), (1, 1), "an empty slot is left alone");
    assert!(act(&mut driver, Act::EjectMedia("Tape".to_owned())).await.is_err());
}

#[tokio::test]
async fn a_wrong_password_is_told_and_other_addresses_are_refused() {
    let rack = Rack::start(vec![("127.0.0.1:0".parse().unwrap(), config())]).unwrap();
    let text = format!(
        "address = \"{}\"\nusername = \"op\"\npassword = \"wrong\"\nfingerprint = \"{}\"",
        rack.bmcs[0].0, rack.fingerprint
    );
    let mut driver = (find("redfish").unwrap().parse)(&toml::from_str(&text).unwrap()).unwrap().connect();
    assert!(driver.open().await.unwrap_err().is_credentials());
    assert!(Rack::start(vec![("10.0.0.1:0".parse().unwrap(), config())]).is_err());
}

#[tokio::test]
async fn a_rack_without_any_serves_nothing() {
    let rack = Rack::start(Vec::new()).unwrap();
    assert!(rack.bmcs.is_empty());
}
