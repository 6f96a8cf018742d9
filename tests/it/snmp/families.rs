//! Families that nobody simulates, against tables with the values that their MIBs give: one unit to switch, one to
//! stay as it is, readings, names, identity. What a new family file needs of tests is one function here.

use rackfish::{
    drivers,
    model::{Act, Aspect, Fact, Fault, PowerAct, PowerState, Unit},
    wire::snmp::Oid,
};

use super::{
    canned::Agent,
    check::{Pdu, text},
};

const VERSIONS: [&str; 2] = ["version = '1'", "version = '2c'"];

/// A PDU of the family `model` behind a canned table.
async fn open(agent: &Agent, model: &str, version: &str) -> (Pdu, Vec<Unit>) {
    let settings = format!("model = '{model}'\n{version}\ntimeout = '2s'");
    let mut pdu = Pdu::closed(agent.address, &settings);
    let units = pdu.0.open().await.unwrap().into_iter().map(|(unit, _)| unit).collect();
    (pdu, units)
}

fn unit(text: &str) -> Unit {
    Unit::new(text).unwrap()
}

async fn power(pdu: &mut Pdu, outlet: &str) -> Result<PowerState, Fault> {
    let (_, fact) = pdu.all(Aspect::Power, &[unit(outlet)]).await.unwrap().remove(0);
    match fact? {
        Fact::Power(state) => Ok(state),
        other => panic!("{other:?}"),
    }
}

async fn switch(pdu: &mut Pdu, outlet: &str, act: PowerAct) {
    pdu.0.act(&[(unit(outlet), Act::Power(act))]).await.remove(0).map_err(text).unwrap();
}

async fn readings(pdu: &mut Pdu, of: &str) -> Vec<(String, Option<f64>)> {
    pdu.readings(of).await.unwrap().into_iter().map(|r| (r.id, r.value)).collect()
}

async fn name(pdu: &mut Pdu, of: &str) -> Option<String> {
    match pdu.all(Aspect::Units, &[unit(of)]).await.unwrap().remove(0) {
        (_, Ok(Fact::Caps(_, name))) => name,
        other => panic!("{other:?}"),
    }
}

fn below(root: &str, tail: &str) -> Oid {
    format!("{root}.{tail}").parse().unwrap()
}

/// Off and on of `outlet`, read back each time, with a neighbour that stays on.
async fn off_and_on(pdu: &mut Pdu, outlet: &str, neighbour: &str) {
    assert_eq!(power(pdu, outlet).await, Ok(PowerState::On));
    switch(pdu, outlet, PowerAct::Off).await;
    assert_eq!(power(pdu, outlet).await, Ok(PowerState::Off));
    assert_eq!(power(pdu, neighbour).await, Ok(PowerState::On), "its neighbour");
    switch(pdu, outlet, PowerAct::On).await;
    assert_eq!(power(pdu, outlet).await, Ok(PowerState::On));
}

/// Two outlets of the unit 0 and one of the unit 1 of a chain. Milliamperes, millivolts; commands are delays.
#[tokio::test]
async fn eaton_g3() {
    let root = "1.3.6.1.4.1.534.6.6.7";
    let rows = r#"
        1.2.1.2.0 = "EPDU MA 0U"
        1.2.1.4.0 = "G3SERIAL01"
        1.2.1.5.0 = "04.04.0002"
        1.2.1.6.0 = "rack 1 left"
        3.1.1.3.0.1 = 500
        3.5.1.3.0.1 = 1010
        3.5.1.4.0.1 = 998
        3.5.1.5.0.1 = 123456
        6.1.1.3.0.1 = "web"
        6.1.1.3.0.2 = "db"
        6.1.1.3.1.1 = "far"
        6.3.1.2.0.1 = 230100
        6.4.1.3.0.1 = 1234
        6.5.1.2.0.1 = 284
        6.5.1.3.0.1 = 280
        6.5.1.4.0.1 = 4500
        6.5.1.6.0.1 = 986
        6.6.1.2.0.1 = 1
        6.6.1.2.0.2 = 3
        6.6.1.2.1.1 = 1
        6.6.1.3.0.1 = -1 < 0 -> 6.6.1.2.0.1 = 0, 1 -> 6.6.1.2.0.1 = 2
        6.6.1.3.0.2 = -1 < 0 -> 6.6.1.2.0.2 = 0
        6.6.1.3.1.1 = -1 < 0 -> 6.6.1.2.1.1 = 0
        6.6.1.4.0.1 = -1 < 0 -> 6.6.1.2.0.1 = 1, 1 -> 6.6.1.2.0.1 = 3
        6.6.1.4.0.2 = -1 < 0 -> 6.6.1.2.0.2 = 1
        6.6.1.4.1.1 = -1 < 0 -> 6.6.1.2.1.1 = 1
    "#;
    for version in VERSIONS {
        let agent = Agent::new(root, rows);
        let (mut pdu, units) = open(&agent, "eaton-g3", version).await;
        assert_eq!(units, ["pdu", "0.1", "0.2", "1.1"].map(unit), "{version}");
        off_and_on(&mut pdu, "0.1", "1.1").await;
        // Off and on went to columns of their own, each as "now".
        let written = agent.written.lock().unwrap().clone();
        assert_eq!(written, [(below(root, "6.6.1.3.0.1"), 0), (below(root, "6.6.1.4.0.1"), 0)]);
        let pending = power(&mut pdu, "0.2").await;
        assert!(matches!(pending, Err(Fault::Busy { .. })), "pendingOn is neither on nor off: {pending:?}");
        let of = |id: &str, value: f64| (id.to_owned(), Some(value));
        assert_eq!(
            readings(&mut pdu, "0.1").await,
            [
                of("power", 280.0),
                of("current", 1.234),
                of("voltage", 230.1),
                of("energy", 4.5),
                of("apparent_power", 284.0),
                of("power_factor", 0.986)
            ]
        );
        let device = readings(&mut pdu, "pdu").await;
        for wanted in [of("power", 998.0), of("energy", 123.456), of("frequency", 50.0), of("apparent_power", 1010.0)] {
            assert!(device.contains(&wanted), "{wanted:?} in {device:?}");
        }
        assert_eq!(name(&mut pdu, "1.1").await.as_deref(), Some("far"));
        assert_eq!(name(&mut pdu, "pdu").await.as_deref(), Some("rack 1 left"));
        let is = pdu.inventory().await.unwrap();
        assert_eq!((is.manufacturer.as_deref(), is.model.as_deref()), (Some("Eaton"), Some("EPDU MA 0U")));
        assert_eq!((is.serial.as_deref(), is.firmware.as_deref()), (Some("G3SERIAL01"), Some("04.04.0002")));
    }
}

/// Unit, cord and outlet: two cords with one outlet each. The action reads as "none" whatever was written.
#[tokio::test]
async fn servertech_sentry4() {
    let root = "1.3.6.1.4.1.1718.4.1";
    let rows = r#"
        1.1.3.0 = "Sentry Switched PDU Version 8.0v"
        2.2.1.3.1 = "Master"
        2.2.1.4.1 = "ST4SERIAL1"
        2.2.1.5.1 = "C2S36CE-2CFA1CB1"
        3.3.1.3.1.1 = 1200
        3.3.1.3.1.2 = 800
        3.3.1.5.1.1 = 1250
        3.3.1.8.1.1 = 96
        3.3.1.10.1.1 = 20015
        3.3.1.10.1.2 = 10007
        3.3.1.11.1.1 = 500
        4.3.1.3.1.1.1 = 521
        5.3.1.3.1.1.1 = 2301
        8.2.1.3.1.1.1 = "Master_Outlet_1"
        8.2.1.3.1.2.1 = "Master_Outlet_25"
        8.3.1.1.1.1.1 = 1
        8.3.1.1.1.2.1 = 1
        8.3.1.3.1.1.1 = 52
        8.3.1.3.1.2.1 = -1
        8.3.1.6.1.1.1 = 2301
        8.3.1.7.1.1.1 = 118
        8.3.1.9.1.1.1 = 120
        8.3.1.10.1.1.1 = 98
        8.3.1.14.1.1.1 = 98765
        8.5.1.1.1.1.1 = 11
        8.5.1.1.1.2.1 = 11
        8.5.1.2.1.1.1 = 0 < 1 -> 8.3.1.1.1.1.1 = 1, 2 -> 8.3.1.1.1.1.1 = 2, 3 -> 8.3.1.1.1.1.1 = 2
        8.5.1.2.1.2.1 = 0 < 1 -> 8.3.1.1.1.2.1 = 1, 2 -> 8.3.1.1.1.2.1 = 0
    "#;
    for version in VERSIONS {
        let agent = Agent::new(root, rows);
        let (mut pdu, units) = open(&agent, "servertech-sentry4", version).await;
        assert_eq!(units, ["pdu", "1.1.1", "1.2.1"].map(unit), "{version}");
        off_and_on(&mut pdu, "1.1.1", "1.2.1").await;
        let written = agent.written.lock().unwrap().clone();
        assert_eq!(written, [(below(root, "8.5.1.2.1.1.1"), 2), (below(root, "8.5.1.2.1.1.1"), 1)]);
        switch(&mut pdu, "1.2.1", PowerAct::Off).await;
        let unknown = power(&mut pdu, "1.2.1").await;
        assert!(matches!(unknown, Err(Fault::Unsupported(_))), "0 is unknown, not off: {unknown:?}");
        let of = |id: &str, value: f64| (id.to_owned(), Some(value));
        assert_eq!(
            readings(&mut pdu, "1.1.1").await,
            [
                of("power", 118.0),
                of("current", 0.52),
                of("voltage", 230.1),
                of("energy", 98.765),
                of("apparent_power", 120.0),
                of("power_factor", 0.98)
            ]
        );
        assert_eq!(readings(&mut pdu, "1.2.1").await, [("current".to_owned(), None)], "-1 is not measured");
        let device = readings(&mut pdu, "pdu").await;
        for wanted in [
            of("power", 1200.0),
            of("power-cord-2", 800.0),
            of("energy", 2001.5),
            of("energy-cord-2", 1000.7),
            of("power_factor", 0.96),
            of("frequency", 50.0),
            of("current-l1", 5.21),
            of("voltage-l1", 230.1),
        ] {
            assert!(device.contains(&wanted), "{wanted:?} in {device:?}");
        }
        assert!(!device.iter().any(|(id, _)| id == "current-l2"), "what a single-phase cord has not is left out");
        assert_eq!(name(&mut pdu, "1.2.1").await.as_deref(), Some("Master_Outlet_25"));
        let is = pdu.inventory().await.unwrap();
        assert_eq!((is.model.as_deref(), is.serial.as_deref()), (Some("C2S36CE-2CFA1CB1"), Some("ST4SERIAL1")));
    }
}

/// Each family that comes with the program is named where its users look for it, and has a test or a simulator.
#[test]
fn families_are_documented_and_tested() {
    let read = |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let example = read("docs/rackfish.example.toml");
    let readme = read("README.md");
    let (tests, simulated) = (read("tests/it/snmp/families.rs"), read("src/sim/snmp/table.rs"));
    for (name, _) in drivers::snmp_pdu::families() {
        assert!(example.contains(&name), "{name} is not in docs/rackfish.example.toml");
        assert!(readme.contains(&name), "{name} is not in the README's table of back ends");
        let tested = tests.contains(&format!("\"{name}\", version")) || simulated.contains(&format!("\"{name}\""));
        assert!(tested, "{name} has neither a test in tests/it/snmp/families.rs nor a simulator");
    }
}
