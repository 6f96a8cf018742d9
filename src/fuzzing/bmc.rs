//! What a Redfish BMC may answer: any JSON, read as every resource that the driver knows.

use std::collections::HashSet;

use serde_json::Value;

use super::made;
use crate::{
    model::{BootMode, BootSet, BootTarget, Led, PowerAct},
    wire::redfish::{
        Path,
        boot::{self, Boot},
        log, media, message, sensors, system,
    },
};

/// A body.
pub fn answer(data: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(data) else { return };
    links(&body, 0);
    made(&(system::power(&body), message::of_error(&body), message::keys(&body), message::task(&body)));
    for (name, parameter) in [
        ("#ComputerSystem.Reset", "ResetType"),
        ("#LogService.ClearLog", "LogEntriesETag"),
        ("#VirtualMedia.InsertMedia", "Image"),
    ] {
        if let Some(action) = system::action(&body, name, parameter) {
            sound(&action.target);
            for act in [PowerAct::On, PowerAct::Off, PowerAct::Soft, PowerAct::Reset, PowerAct::Nmi] {
                let word = system::reset_type(act, action.allowed.as_deref());
                let listed = |word| action.allowed.as_ref().is_none_or(|all| all.iter().any(|a| a == word));
                assert!(word.is_none_or(listed), "{word:?} is not allowed");
            }
        }
    }
    made(&system::allowed_by_info(&body, "ResetType"));
    if let Some(light) = system::Light::of(&body) {
        made(&(light.read(&body), light.patch(Led::Lit), light.patch(Led::Blinking)));
    }
    made(&system::inventory(&body, &body, &body));
    options(&body);
    readings(&body);
    entries(&body);
    slot(&body);
}

fn sound(path: &Path) {
    assert!(path.as_str().starts_with('/') && !path.as_str().starts_with("//"), "{path} leads to another host");
    assert_eq!(Path::of(path.as_str()).as_ref(), Some(path), "a link changes on its way through");
}

/// All texts of the body as links.
fn links(value: &Value, depth: u8) {
    match value {
        Value::String(text) => {
            if let Some(path) = Path::of(text) {
                sound(&path);
                made(&(path.last(), path.below("Actions/X"), path.with_query("a=b")));
            }
        }
        Value::Array(items) if depth < 8 => items.iter().for_each(|item| links(item, depth + 1)),
        Value::Object(members) if depth < 8 => members.values().for_each(|member| links(member, depth + 1)),
        _ => {}
    }
}

/// What is offered can be sent.
fn options(body: &Value) {
    made(&(boot::in_force(body), boot::settings(body)));
    let Some(known) = Boot::of(body) else { return };
    let caps = known.caps();
    for target in BootTarget::ALL {
        let set = BootSet { target, mode: Some(BootMode::Uefi), persistent: true };
        let members = known.members(&set);
        assert_eq!(members.is_some(), caps.targets.contains(&target), "{target}");
        if let Some(members) = members {
            let count = members.len();
            let (there, here) = boot::part(members, body);
            assert_eq!(there.len() + here.len(), count);
        }
    }
}

fn readings(body: &Value) {
    let all = sensors::sensor(body).into_iter().chain(sensors::thermal(body)).chain(sensors::power(body));
    for reading in all {
        assert!(!reading.id.is_empty() && reading.id.len() <= 128, "{:?}", reading.id);
        assert!(reading.id.chars().all(|c| c.is_ascii_alphanumeric() || "._-:".contains(c)), "{:?}", reading.id);
        assert!(!reading.name.chars().any(char::is_control), "{:?}", reading.name);
    }
}

/// A slot shows no credentials, and can be named in a URI.
fn slot(body: &Value) {
    let Some(path) = Path::at(body, "@odata.id").or_else(|| Path::of("/redfish/v1/Managers/1/VirtualMedia/Cd")) else {
        return;
    };
    for allow in [None, body.get("Allow").and_then(Value::as_str), Some("GET, PATCH")] {
        let slot = media::slot(&path, body, allow);
        assert!(slot.id.chars().all(|c| c.is_ascii_alphanumeric() || "._-:".contains(c)), "{:?}", slot.id);
        assert!(!slot.name.chars().any(char::is_control), "{:?}", slot.name);
        for shown in [&slot.image, &slot.image_name].into_iter().flatten() {
            assert!(shown.len() <= 2048 && !shown.chars().any(char::is_control), "{shown:?}");
            let authority = shown.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?', '#']).next();
            assert!(!authority.unwrap_or_default().contains('@'), "{shown:?} shows who may fetch it");
        }
        let (insert, _) = media::ways(body, allow);
        assert_eq!(slot.takes, insert != media::Way::None);
        if let media::Way::Action(target) = insert {
            sound(&target);
        }
        made(&(slot.is_full(), slot.holds("http://a/b.iso")));
    }
}

fn entries(body: &Value) {
    made(&log::rank(body));
    let members = body.get("Members").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut all: Vec<_> = members.iter().chain([body]).take(64).filter_map(|entry| log::entry(entry, 7)).collect();
    log::in_order(&mut all);
    let numbers: HashSet<u32> = all.iter().map(|entry| entry.id).collect();
    assert_eq!(numbers.len(), all.len(), "a number twice");
    assert!(all.is_sorted_by_key(|entry| entry.at), "out of order");
}
