//! What a simulated Redfish BMC answers: DSP8010's shapes, as much of them as a node needs.

use std::time::Instant;

use serde_json::{Value, json};

use super::machine::{Image, Machine, Slot};

/// What a Reset may be.
pub const RESETS: [&str; 7] = ["On", "ForceOn", "ForceOff", "GracefulShutdown", "ForceRestart", "PowerCycle", "Nmi"];
const TARGETS: [&str; 6] = ["None", "Pxe", "Hdd", "Cd", "Usb", "BiosSetup"];
const ENABLED: [&str; 3] = ["Disabled", "Once", "Continuous"];
const MODES: [&str; 2] = ["Legacy", "UEFI"];
const LEDS: [&str; 3] = ["Lit", "Blinking", "Off"];
const SYSTEM: &str = "/redfish/v1/Systems/1";
const MEDIA: &str = "/redfish/v1/Systems/1/VirtualMedia";
/// Longest URI of an image that it takes.
const MAX_IMAGE: usize = 2048;

/// A status and a body; `Null`: none.
pub type Answer = (u16, Value);

fn link(to: &str) -> Value {
    json!({ "@odata.id": to })
}

fn error(status: u16, key: &str, message: &str) -> Answer {
    let id = format!("Base.1.19.{key}");
    let said = json!([{ "MessageId": id, "Message": message, "Severity": "Warning" }]);
    (status, json!({ "error": { "code": id, "message": message, "@Message.ExtendedInfo": said } }))
}

fn collection(uri: &str, kind: &str, members: &[String]) -> Value {
    json!({
        "@odata.id": uri, "@odata.type": format!("#{kind}.{kind}"), "Name": kind,
        "Members@odata.count": members.len(), "Members": members.iter().map(|to| link(to)).collect::<Vec<_>>(),
    })
}

/// Answers a request. `path` has no slash at its end.
pub fn answer(machine: &mut Machine, method: &str, path: &str, body: &Value, now: Instant) -> Answer {
    machine.pass(now);
    machine.stats.requests += 1;
    let parts: Vec<&str> = path.trim_start_matches("/redfish/v1").trim_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", [""]) => (200, root(machine)),
        ("GET", ["Systems"]) => {
            (200, collection("/redfish/v1/Systems", "ComputerSystemCollection", &[SYSTEM.to_owned()]))
        }
        ("GET", ["Systems", "1"]) => (200, system(machine)),
        ("PATCH", ["Systems", "1"]) => change(machine, body),
        ("POST", ["Systems", "1", "Actions", "ComputerSystem.Reset"]) => {
            match body.get("ResetType").and_then(Value::as_str) {
                Some(kind) if machine.reset(kind, now) => (204, Value::Null),
                Some(_) => error(400, "ActionParameterValueNotInList", "There is no such ResetType."),
                None => error(400, "ActionParameterMissing", "ResetType is missing."),
            }
        }
        ("GET", ["Systems", "1", "VirtualMedia"]) => {
            let members: Vec<_> = machine.slots.iter().map(|slot| format!("{MEDIA}/{}", slot.id)).collect();
            (200, collection(MEDIA, "VirtualMediaCollection", &members))
        }
        (_, ["Systems", "1", "VirtualMedia", id, rest @ ..]) => {
            let Some(at) = machine.slots.iter().position(|slot| slot.id == *id) else { return missing(path) };
            media(machine, at, method, rest, body, now)
        }
        ("GET", ["Chassis", "1"]) => (200, chassis(machine)),
        ("GET", ["Chassis", "1", "Thermal"]) => (200, thermal(machine)),
        ("GET", ["Chassis", "1", "Power"]) => (200, power(machine)),
        ("GET", ["Managers", "1"]) => (200, manager(machine)),
        _ => missing(path),
    }
}

fn missing(path: &str) -> Answer {
    error(404, "ResourceMissingAtURI", &format!("There is nothing at {path}."))
}

fn root(machine: &Machine) -> Value {
    json!({
        "@odata.id": "/redfish/v1/", "@odata.type": "#ServiceRoot.v1_16_0.ServiceRoot", "Id": "RootService",
        "Name": "Simulated BMC", "RedfishVersion": "1.19.0", "UUID": uuid(machine, 2),
        "Systems": link("/redfish/v1/Systems"),
    })
}

fn uuid(machine: &Machine, kind: u32) -> String {
    format!("5eed0000-0000-4000-8{kind:03}-{:012}", machine.config.number)
}

fn system(machine: &Machine) -> Value {
    let boot = &machine.boot;
    json!({
        "@odata.id": SYSTEM, "@odata.type": "#ComputerSystem.v1_22_0.ComputerSystem", "Id": "1", "Name": "Host",
        "SystemType": "Physical", "Manufacturer": "rackfish", "Model": "Simulated host with a Redfish BMC",
        "SerialNumber": format!("SIMRF{:05}", machine.config.number), "UUID": uuid(machine, 1),
        "PowerState": if machine.stats.on { "On" } else { "Off" }, "IndicatorLED": machine.led,
        "Boot": {
            "BootSourceOverrideEnabled": boot.enabled, "BootSourceOverrideEnabled@Redfish.AllowableValues": ENABLED,
            "BootSourceOverrideTarget": boot.target, "BootSourceOverrideTarget@Redfish.AllowableValues": TARGETS,
            "BootSourceOverrideMode": boot.mode, "BootSourceOverrideMode@Redfish.AllowableValues": MODES,
        },
        "VirtualMedia": link(MEDIA),
        "Links": { "Chassis": [link("/redfish/v1/Chassis/1")], "ManagedBy": [link("/redfish/v1/Managers/1")] },
        "Actions": { "#ComputerSystem.Reset": {
            "target": format!("{SYSTEM}/Actions/ComputerSystem.Reset"), "ResetType@Redfish.AllowableValues": RESETS,
        } },
    })
}

/// Takes all members or none.
fn change(machine: &mut Machine, body: &Value) -> Answer {
    let (mut boot, mut led) = (machine.boot.clone(), machine.led.clone());
    let empty = serde_json::Map::new();
    for (key, value) in body.as_object().unwrap_or(&empty) {
        let taken = match (key.as_str(), value) {
            ("IndicatorLED", value) => put(&mut led, value, &LEDS),
            ("Boot", Value::Object(members)) => members.iter().all(|(key, value)| match key.as_str() {
                "BootSourceOverrideEnabled" => put(&mut boot.enabled, value, &ENABLED),
                "BootSourceOverrideTarget" => put(&mut boot.target, value, &TARGETS),
                "BootSourceOverrideMode" => put(&mut boot.mode, value, &MODES),
                _ => false,
            }),
            _ => false,
        };
        if !taken {
            return error(400, "PropertyValueNotInList", &format!("{key} can't be set to that."));
        }
    }
    machine.stats.controls += 1;
    if !machine.faults.stuck {
        (machine.boot, machine.led) = (boot, led);
    }
    (204, Value::Null)
}

fn put(place: &mut String, value: &Value, allowed: &[&str]) -> bool {
    match value.as_str().filter(|word| allowed.contains(word)) {
        Some(word) => {
            word.clone_into(place);
            true
        }
        None => false,
    }
}

fn media(machine: &mut Machine, at: usize, method: &str, rest: &[&str], body: &Value, now: Instant) -> Answer {
    let Some(slot) = machine.slots.get(at) else { return missing(MEDIA) };
    match (method, rest) {
        ("GET", []) => (200, shown(slot)),
        ("POST", ["Actions", "VirtualMedia.InsertMedia"]) => {
            let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let uri = text("Image");
            if uri.is_empty() || uri.len() > MAX_IMAGE {
                return error(400, "ActionParameterMissing", "Image is missing or too long.");
            }
            if slot.image.is_some() || slot.coming.as_ref().is_some_and(|(_, image)| image.is_some()) {
                return error(409, "ResourceInUse", "There is an image in this slot.");
            }
            let write_protected = body.get("WriteProtected").and_then(Value::as_bool).unwrap_or(true);
            machine.load(at, Some(Image { uri, write_protected, user: text("UserName") }), now);
            (204, Value::Null)
        }
        ("POST", ["Actions", "VirtualMedia.EjectMedia"]) => {
            if slot.image.is_none() && slot.coming.is_none() {
                return error(400, "ActionNotSupported", "This slot is empty.");
            }
            machine.load(at, None, now);
            (204, Value::Null)
        }
        _ => missing(MEDIA),
    }
}

fn shown(slot: &Slot) -> Value {
    let uri = format!("{MEDIA}/{}", slot.id);
    let image = slot.image.as_ref();
    let name = image.and_then(|image| image.uri.split(['?', '#']).next()?.rsplit('/').next());
    json!({
        "@odata.id": uri, "@odata.type": "#VirtualMedia.v1_6_3.VirtualMedia", "Id": slot.id, "Name": slot.name,
        "MediaTypes": slot.types, "Image": image.map(|image| image.uri.as_str()), "ImageName": name,
        "Inserted": image.is_some(), "WriteProtected": image.is_none_or(|image| image.write_protected),
        "ConnectedVia": if image.is_some() { "URI" } else { "NotConnected" },
        "UserName": image.map_or("", |image| image.user.as_str()), "Password": null, "TransferMethod": "Stream",
        "Actions": {
            "#VirtualMedia.InsertMedia": { "target": format!("{uri}/Actions/VirtualMedia.InsertMedia") },
            "#VirtualMedia.EjectMedia": { "target": format!("{uri}/Actions/VirtualMedia.EjectMedia") },
        },
    })
}

fn chassis(machine: &Machine) -> Value {
    json!({
        "@odata.id": "/redfish/v1/Chassis/1", "@odata.type": "#Chassis.v1_25_0.Chassis", "Id": "1", "Name": "Chassis",
        "ChassisType": "RackMount", "SerialNumber": format!("SIMCH{:05}", machine.config.number),
        "Thermal": link("/redfish/v1/Chassis/1/Thermal"), "Power": link("/redfish/v1/Chassis/1/Power"),
    })
}

fn thermal(machine: &Machine) -> Value {
    let (warm, fast) = if machine.stats.on { (47, 5400) } else { (22, 0) };
    let temperature = |id: &str, name: &str, reading: i32, context: &str| {
        json!({
            "MemberId": id, "Name": name, "ReadingCelsius": reading, "UpperThresholdCritical": 90,
            "PhysicalContext": context, "Status": { "State": "Enabled", "Health": "OK" },
        })
    };
    json!({
        "@odata.id": "/redfish/v1/Chassis/1/Thermal", "@odata.type": "#Thermal.v1_7_1.Thermal", "Id": "Thermal",
        "Name": "Thermal",
        "Temperatures": [temperature("0", "CPU Temp", warm, "CPU"), temperature("1", "Inlet Temp", 21, "Intake")],
        "Fans": [{
            "MemberId": "0", "Name": "Fan 1", "Reading": fast, "ReadingUnits": "RPM",
            "Status": { "State": "Enabled", "Health": "OK" },
        }],
    })
}

fn power(machine: &Machine) -> Value {
    json!({
        "@odata.id": "/redfish/v1/Chassis/1/Power", "@odata.type": "#Power.v1_7_1.Power", "Id": "Power", "Name": "Power",
        "PowerControl": [{
            "MemberId": "0", "Name": "System power", "PowerConsumedWatts": if machine.stats.on { 212 } else { 9 },
        }],
    })
}

fn manager(machine: &Machine) -> Value {
    json!({
        "@odata.id": "/redfish/v1/Managers/1", "@odata.type": "#Manager.v1_19_0.Manager", "Id": "1", "Name": "BMC",
        "ManagerType": "BMC", "Manufacturer": "rackfish", "FirmwareVersion": env!("CARGO_PKG_VERSION"),
        "UUID": uuid(machine, 3),
    })
}
