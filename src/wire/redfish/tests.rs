//! What answers mean, down to units and odd spellings.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{
    Path,
    boot::{self, Boot},
    log,
    message::{self, Task},
    sensors,
    system::{self, Light},
};
use crate::model::{BootMode, BootSet, BootTarget, Led, Measure, PowerAct, PowerState, ReadingState};

fn path(text: &str) -> Option<String> {
    Path::of(text).map(|path| path.to_string())
}

#[test]
fn links_stay_on_the_host() {
    for (text, wanted) in [
        ("/redfish/v1/Systems/1", Some("/redfish/v1/Systems/1")),
        ("https://10.0.0.9:8443/redfish/v1/S/1?a=b#/x", Some("/redfish/v1/S/1?a=b")),
        ("HTTP://h/x/", Some("/x/")),
        ("//elsewhere/x", Some("/elsewhere/x")),
        ("https://h", None),
        ("redfish/v1", None),
        ("/a/../b", None),
        ("/a/.%2E/b", None),
        ("/a b", None),
        ("/a\r\nX: y", None),
        ("ftp://h/x", None),
        ("", None),
    ] {
        assert_eq!(path(text).as_deref(), wanted, "{text}");
    }
    assert_eq!(path(&format!("/{}", "x".repeat(1024))), None);
    let slashed = Path::of("/redfish/v1/Systems/1/").unwrap();
    assert!(slashed.same(&Path::of("/redfish/v1/Systems/1").unwrap()) && slashed.last() == "1");
    assert_eq!(slashed.below("Actions/X").unwrap().as_str(), "/redfish/v1/Systems/1/Actions/X");
    let twice = json!({ "Members": [{ "@odata.id": "/a" }, "/b", { "@odata.id": "/a" }, 7, {}] });
    assert_eq!(Path::all_at(&twice, "Members").len(), 2);
}

#[test]
fn power_and_resets() {
    assert_eq!(system::power(&json!({ "PowerState": "Paused" })), Some(PowerState::On));
    assert_eq!(system::power(&json!({ "PowerState": "PoweringOff" })), Some(PowerState::PoweringOff));
    for odd in
        [json!({}), json!({ "PowerState": null }), json!({ "PowerState": 1 }), json!({ "PowerState": "on" }), json!([])]
    {
        assert_eq!(system::power(&odd), None, "{odd}");
    }
    let allowed: Vec<String> = ["ForceOn", "ForceOff", "PushPowerButton"].map(str::to_owned).to_vec();
    for (act, wanted) in [
        (PowerAct::On, Some("ForceOn")),
        (PowerAct::Off, Some("ForceOff")),
        (PowerAct::Soft, None),
        (PowerAct::Reset, None),
    ] {
        assert_eq!(system::reset_type(act, Some(&allowed)), wanted);
    }
    assert_eq!(system::reset_type(PowerAct::Cycle { off: None }, None), Some("PowerCycle"));
    // No target is said, but where it has to be is known.
    let bare = json!({ "@odata.id": "/redfish/v1/Systems/1/", "Actions": { "#ComputerSystem.Reset": {} } });
    let action = system::action(&bare, "#ComputerSystem.Reset", "ResetType").unwrap();
    assert_eq!(action.target.as_str(), "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset");
}

#[test]
fn lights() {
    let light = |resource: Value| Light::of(&resource).map(|light| (light, light.read(&resource)));
    assert_eq!(
        light(json!({ "IndicatorLED": "Blinking", "LocationIndicatorActive": true })),
        Some((Light::Led, Some(Led::Blinking)))
    );
    assert_eq!(
        light(json!({ "IndicatorLED": "Unknown", "LocationIndicatorActive": true })),
        Some((Light::Active, Some(Led::Lit)))
    );
    assert_eq!(light(json!({ "IndicatorLED": "Unknown" })), Some((Light::Led, None)));
    assert_eq!(light(json!({ "IndicatorLED": null })), None);
    assert_eq!(Light::Active.patch(Led::Blinking), None);
}

#[test]
fn boot_options() {
    assert_eq!(Boot::of(&json!({ "Boot": {} })), None);
    assert_eq!(Boot::of(&json!({ "Boot": null })), None);
    let old = Boot::of(&json!({ "Boot": {
        "BootSourceOverrideTarget": "None",
        "BootSourceOverrideTarget@Redfish.AllowableValues": ["Pxe", "UefiHttp"],
        "BootSourceOverrideEnabled@Redfish.AllowableValues": ["Once", "Disabled"],
    } }))
    .unwrap();
    assert_eq!(old.caps().targets, [BootTarget::None, BootTarget::Pxe]);
    assert!(!old.caps().mode && !old.caps().persistent);
    let set = |target, persistent| BootSet { target, mode: Some(BootMode::Uefi), persistent };
    let members = |set| old.members(&set).map(Value::Object);
    let once = json!({ "BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe" });
    assert_eq!(members(set(BootTarget::Pxe, true)), Some(once));
    assert_eq!(members(set(BootTarget::None, false)), Some(json!({ "BootSourceOverrideEnabled": "Disabled" })));
    assert_eq!(members(set(BootTarget::UefiHttp, false)), None);
    let force = |enabled, target| json!({ "Boot": { "BootSourceOverrideEnabled": enabled, "BootSourceOverrideTarget": target } });
    assert_eq!(boot::in_force(&force("Disabled", "Pxe")), None);
    assert_eq!(boot::in_force(&force("Once", "None")), None);
    let cd = BootSet { target: BootTarget::Cd, mode: None, persistent: true };
    assert_eq!(boot::in_force(&force("Continuous", "UsbCd")), Some(cd));
}

#[test]
fn readings_of_all_ages() {
    let sensor = |kind: &str, unit: &str, value: Value| {
        let body = json!({ "Id": "a b/c", "ReadingType": kind, "ReadingUnits": unit, "Reading": value });
        sensors::sensor(&body).map(|r| (r.measure, r.value)).unwrap()
    };
    assert_eq!(sensor("Temperature", "Cel", json!("21.5")), (Measure::Temperature, Some(21.5)));
    assert_eq!(sensor("Rotational", "RPM", json!(2100)), (Measure::FanRpm, Some(2100.0)));
    assert_eq!(sensor("Power", "kW", json!(0.25)), (Measure::Power, Some(250.0)));
    assert_eq!(sensor("EnergyWh", "W.h", json!(1000)), (Measure::Energy, Some(1.0)));
    assert_eq!(sensor("Percent", "%", json!(7)), (Measure::Other, Some(7.0)));
    assert_eq!(sensor("Voltage", "V", json!(null)), (Measure::Voltage, None));
    assert_eq!(sensors::sensor(&json!({ "Name": "no Id" })), None);
    let fan = json!({ "Id": "fan1", "ReadingType": "Percent", "Reading": 40, "Status": { "State": "Absent", "Health": "Critical" },
        "Thresholds": { "UpperCritical": { "Reading": 90 }, "LowerFatal": 3 }, "ReadingRangeMin": 0, "ReadingRangeMax": 100 });
    let fan = sensors::sensor(&fan).unwrap();
    assert_eq!((fan.measure, fan.value, fan.state), (Measure::FanPercent, None, ReadingState::Critical));
    assert_eq!(
        (fan.thresholds.upper_critical, fan.thresholds.lower_fatal, fan.range),
        (Some(90.0), None, Some((0.0, 100.0)))
    );
    let thermal = json!({
        "Temperatures": [{ "MemberId": "0", "Name": "CPU 1", "ReadingCelsius": 40, "UpperThresholdFatal": 95, "SensorNumber": "7" }, null, 3],
        "Fans": [{ "FanName": "Fan", "ReadingRPM": 900 }, { "MemberId": 4, "Reading": 30, "ReadingUnits": "Percent" }],
    });
    let seen: Vec<_> = sensors::thermal(&thermal).into_iter().map(|r| (r.id, r.measure, r.value, r.number)).collect();
    let wanted = [
        ("CPU_1", Measure::Temperature, Some(40.0), Some(7)),
        ("Fan", Measure::FanRpm, Some(900.0), None),
        ("Fan4", Measure::FanPercent, Some(30.0), None),
    ];
    assert_eq!(seen, wanted.map(|(id, measure, value, number)| (id.to_owned(), measure, value, number)));
    let power = json!({ "PowerControl": [{ "Name": "System", "PowerConsumedWatts": 344 }], "PowerSupplies": [{ "Name": "PSU", "LineInputVoltage": 230, "LastPowerOutputWatts": null }] });
    let seen: Vec<_> = sensors::power(&power).into_iter().map(|r| (r.id, r.value)).collect();
    assert_eq!(seen, [("System".to_owned(), Some(344.0)), ("PSU-line".to_owned(), Some(230.0))]);
}

#[test]
fn logs() {
    let rank =
        |kind: Value, id: &str| log::rank(&json!({ "Id": id, "LogEntryType": kind, "Entries": { "@odata.id": "/e" } }));
    assert!(
        rank(json!("SEL"), "x") > rank(json!(null), "Sel")
            && rank(json!(null), "SEL") > rank(json!("Event"), "EventLog")
    );
    assert!(rank(json!("Event"), "x") > rank(json!("Oem"), "Dump"));
    assert_eq!(log::rank(&json!({ "Id": "SEL" })), None);
    let entry = |created: &str| log::entry(&json!({ "Id": "5", "Created": created, "Message": "m" }), 1).unwrap();
    assert_eq!(entry("2026-01-02T03:04:05+01:00").at, entry("2026-01-02T02:04:05").at);
    assert!(entry("2026-01-02T03:04:05Z").at.is_some() && entry("1970-01-01T00:00:00Z").at.is_none());
    assert_eq!((entry("").id, log::entry(&json!({ "Id": "x", "MessageId": "a.b" }), 9).unwrap().id), (5, 9));
    assert_eq!(log::entry(&json!({ "Id": "1" }), 1), None);
}

#[test]
fn errors_and_tasks_in_words() {
    let error = |extended: Value| json!({ "error": { "code": "Base.1.8.GeneralError", "message": "See below.", "@Message.ExtendedInfo": extended } });
    let said = |body: &Value| message::of_error(body);
    let all = error(
        json!([{ "MessageId": "Base.1.8.ActionNotSupported", "Message": "No." }, { "Message": "No." }, { "Message": "Never." }]),
    );
    assert_eq!(said(&all).as_deref(), Some("No. Never."));
    assert_eq!(message::keys(&all), ["ActionNotSupported", "GeneralError"]);
    assert_eq!(said(&error(json!([{ "MessageId": "x" }]))).as_deref(), Some("See below."));
    assert_eq!(said(&json!("text")), None);
    assert_eq!(message::task(&json!({})), Task::Done);
    assert_eq!(message::task(&json!({ "TaskState": "Running" })), Task::Running);
    assert_eq!(message::task(&json!({ "TaskState": "Killed" })), Task::Failed("Killed".to_owned()));
    let bad = json!({ "TaskState": "Completed", "TaskStatus": "Critical", "Messages": [{ "Message": "half" }] });
    assert_eq!(message::task(&bad), Task::Failed("half".to_owned()));
}
