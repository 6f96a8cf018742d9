//! The driver against the simulated PDU, and the settings' errors. Against other people's agents:
//! `conformance/snmp`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use super::{family, settings::Settings, *};
use crate::{
    drivers::Driver,
    model::{Act, Aspect, Done, Fact, Fault, PowerAct, PowerState, Proof, Reading, Unit, Why},
    sim::snmp::{Agents, Faults, PduOptions, SimFamily, SimPdu},
};

fn parse_text(text: &str) -> Result<Arc<dyn Setup>, Vec<SettingsError>> {
    (KIND.parse)(&text.parse().unwrap())
}

fn messages(text: &str) -> Vec<String> {
    parse_text(text).unwrap_err().iter().map(ToString::to_string).collect()
}

/// A simulated PDU and a driver for it; `keys` are further settings.
struct Bench {
    pdu: SimPdu,
    driver: Box<dyn Driver>,
    _agents: Agents,
}

impl Bench {
    fn new(family: SimFamily, outlets: u32, keys: &str) -> Self {
        let pdu = SimPdu::new(PduOptions { family, outlets, ..PduOptions::default() });
        let agents = Agents::single("127.0.0.1:0".parse().unwrap(), pdu.clone()).unwrap();
        let model = if keys.contains("model") { "" } else { model_of(family) };
        let text = format!("{model}\naddress = '127.0.0.1'\nport = {}\ntimeout = '200ms'\n{keys}", agents.port());
        let driver = parse_text(&text).unwrap().connect();
        Self { pdu, driver, _agents: agents }
    }

    /// Facts of all pages, and how many pages it took.
    async fn pages(&mut self, aspect: &Aspect, units: &[Unit]) -> (BTreeMap<Unit, Result<Fact, Fault>>, usize) {
        let mut facts = BTreeMap::new();
        let (mut at, mut pages) = (None, 0);
        loop {
            let page = self.driver.observe(aspect, units, at).await.unwrap();
            pages += 1;
            assert!(pages < 500, "pages without end");
            for (unit, fact) in page.items {
                match (facts.get_mut(&unit), fact) {
                    (Some(Ok(Fact::Sensors(known))), Ok(Fact::Sensors(more))) => Vec::extend(known, more),
                    (_, fact) => drop(facts.insert(unit, fact)),
                }
            }
            at = page.next;
            if at.is_none() {
                return (facts, pages);
            }
        }
    }

    async fn power(&mut self, outlet: u32) -> Result<PowerState, Fault> {
        let (mut facts, _) = self.pages(&Aspect::Power, &[Unit::outlet(outlet)]).await;
        match facts.remove(&Unit::outlet(outlet)).unwrap()? {
            Fact::Power(state) => Ok(state),
            other => panic!("{other:?}"),
        }
    }

    async fn switch(&mut self, outlet: u32, act: PowerAct) -> Result<Done, Fault> {
        self.driver.act(&[(Unit::outlet(outlet), Act::Power(act))]).await.remove(0)
    }
}

fn model_of(family: SimFamily) -> &'static str {
    match family {
        SimFamily::MasterSwitch => "model = 'apc-masterswitch'",
        SimFamily::Rpdu => "model = 'apc-rpdu'",
        SimFamily::Rpdu2 => "model = 'apc-rpdu2'",
    }
}

const FAMILIES: [SimFamily; 3] = [SimFamily::MasterSwitch, SimFamily::Rpdu, SimFamily::Rpdu2];
const VERSIONS: [&str; 2] = ["version = '1'", "version = '2c'"];

#[test]
fn every_family_file_is_sound() {
    for (name, text) in family::FILES {
        let family = family::parse_file(text).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(family.name, name, "the file's name is the family's");
        assert!(family.probe.is_some() && !family.sys_object_ids.is_empty(), "{name} can be recognised");
        assert!(family.outlets.status.is_some(), "{name} can be verified");
        assert!(family.identity.model.is_some() && family.identity.serial.is_some(), "{name} tells what it is");
    }
    let orders: std::collections::BTreeSet<i64> =
        family::FILES.iter().map(|(_, text)| family::parse_file(text).unwrap().probe_order).collect();
    assert_eq!(orders.len(), family::FILES.len(), "no two families are probed at the same place");
    assert_eq!(families().len(), family::FILES.len());
}

#[tokio::test]
async fn switches_and_tells_on_every_family_and_version() {
    for family in FAMILIES {
        for version in VERSIONS {
            let mut bench = Bench::new(family, 8, version);
            let units = bench.driver.open().await.unwrap();
            assert_eq!(units.len(), 9, "{family:?}: the device and its outlets");
            assert_eq!(bench.power(3).await, Ok(PowerState::On), "{family:?} {version}");
            assert_eq!(bench.switch(3, PowerAct::Off).await, Ok(Done::Accepted));
            assert_eq!(bench.pdu.is_on(3), Some(false), "{family:?} {version}: off means off");
            assert_eq!(bench.power(3).await, Ok(PowerState::Off));
            assert_eq!(bench.power(4).await, Ok(PowerState::On), "its neighbour");
            assert_eq!(bench.switch(3, PowerAct::On).await, Ok(Done::Accepted));
            assert_eq!(bench.power(3).await, Ok(PowerState::On));
            let moves = bench.pdu.counters().outlets[&3];
            assert_eq!((moves.sets, moves.on, moves.off), (2, 1, 1));
        }
    }
}

/// The budget: the state of 48 outlets in at most four packets each way.
#[tokio::test]
async fn the_state_of_48_outlets_takes_at_most_four_packets() {
    for family in FAMILIES {
        for version in VERSIONS {
            let mut bench = Bench::new(family, 48, version);
            bench.driver.open().await.unwrap();
            let before = bench.pdu.counters();
            let (facts, pages) = bench.pages(&Aspect::Power, &[]).await;
            let after = bench.pdu.counters();
            assert_eq!(facts.values().filter(|f| **f == Ok(Fact::Power(PowerState::On))).count(), 48);
            let (sent, received) = (after.packets_in - before.packets_in, after.packets_out - before.packets_out);
            assert!(sent <= 4 && received <= 4, "{family:?} {version}: {sent} out, {received} in");
            assert_eq!(u64::try_from(pages).unwrap(), sent, "a page is one exchange");
        }
    }
}

#[tokio::test]
async fn one_unit_costs_one_packet() {
    let mut bench = Bench::new(SimFamily::Rpdu2, 48, "");
    bench.driver.open().await.unwrap();
    let before = bench.pdu.counters().packets_in;
    let (facts, _) = bench.pages(&Aspect::Power, &[Unit::outlet(7), Unit::outlet(40)]).await;
    assert_eq!(facts.len(), 2, "facts only for the units asked for");
    assert_eq!(bench.pdu.counters().packets_in - before, 1);
}

#[tokio::test]
async fn half_of_the_outlets_missing() {
    for version in VERSIONS {
        let mut bench = Bench::new(SimFamily::Rpdu, 24, version);
        bench.pdu.command_line("fault half").unwrap();
        bench.driver.open().await.unwrap();
        let (facts, _) = bench.pages(&Aspect::Power, &[]).await;
        for outlet in 1..=24 {
            let fact = &facts[&Unit::outlet(outlet)];
            if outlet % 2 == 0 {
                assert!(matches!(fact, Err(Fault::NoSuchUnit(_))), "{version} {outlet}: {fact:?}");
            } else {
                assert_eq!(*fact, Ok(Fact::Power(PowerState::On)), "{version} {outlet}");
            }
        }
        let (_, pages) = bench.pages(&Aspect::Power, &[]).await;
        assert!(pages <= 2, "{version}: gaps are known the second time, {pages} pages");
        let fault = bench.switch(2, PowerAct::Off).await.unwrap_err();
        assert!(matches!(fault, Fault::NoSuchUnit(_) | Fault::Refused(Why::Rejected(_))), "{fault:?}");
        bench.pdu.command_line("fault clear").unwrap();
        bench.driver.open().await.unwrap();
        assert_eq!(bench.power(2).await, Ok(PowerState::On), "seen again after it was opened again");
    }
}

#[tokio::test]
async fn an_answer_too_big_makes_packets_smaller() {
    for version in VERSIONS {
        let mut bench = Bench::new(SimFamily::Rpdu2, 48, version);
        bench.pdu.fault(|f| f.too_big_above = Some(5));
        bench.driver.open().await.unwrap();
        let (facts, _) = bench.pages(&Aspect::Power, &[]).await;
        assert_eq!(facts.values().filter(|f| f.is_ok()).count(), 48, "{version}");
    }
}

#[tokio::test]
async fn no_such_instance_in_an_answer_without_error_is_a_failure() {
    let mut bench = Bench::new(SimFamily::Rpdu2, 8, "");
    bench.driver.open().await.unwrap();
    bench.pdu.fault(|f| f.set_no_such_instance = true);
    let fault = bench.switch(1, PowerAct::Off).await.unwrap_err();
    assert!(matches!(fault, Fault::NoSuchUnit(_)), "{fault:?}");
    assert_eq!(bench.pdu.is_on(1), Some(true));
}

#[tokio::test]
async fn a_lost_answer_to_a_set_is_uncertain_and_never_sent_again() {
    let mut bench = Bench::new(SimFamily::Rpdu2, 8, "");
    bench.driver.open().await.unwrap();
    bench.pdu.fault(|f| f.lose_set_answers = 1);
    let fault = bench.switch(1, PowerAct::Off).await.unwrap_err();
    assert!(matches!(fault, Fault::Uncertain(_)), "{fault:?}");
    assert_eq!(bench.pdu.counters().outlets[&1].sets, 1);
    assert_eq!(bench.power(1).await, Ok(PowerState::Off), "reading tells");
}

#[tokio::test]
async fn a_stuck_relay_is_seen_by_reading() {
    let mut bench = Bench::new(SimFamily::Rpdu, 8, "");
    bench.driver.open().await.unwrap();
    bench.pdu.command_line("outlet 5 stuck").unwrap();
    assert_eq!(bench.switch(5, PowerAct::Off).await, Ok(Done::Accepted));
    assert_eq!(bench.power(5).await, Ok(PowerState::On));
}

#[tokio::test]
async fn a_slow_relay_is_not_waited_for() {
    let mut bench = Bench::new(SimFamily::Rpdu2, 8, "");
    bench.driver.open().await.unwrap();
    bench.pdu.set_delay(2, Duration::from_millis(300));
    let begun = std::time::Instant::now();
    assert_eq!(bench.switch(2, PowerAct::Off).await, Ok(Done::Accepted));
    assert!(begun.elapsed() < Duration::from_millis(150), "accepted, not awaited");
    assert_eq!(bench.power(2).await, Ok(PowerState::On));
    bench.pdu.watch(2).unwrap().wait_for(|on| !on).await.unwrap();
    assert_eq!(bench.power(2).await, Ok(PowerState::Off));
}

#[tokio::test]
async fn a_wrong_community_is_silence_and_named() {
    for version in VERSIONS {
        let mut bench = Bench::new(SimFamily::Rpdu, 8, &format!("{version}\ncommunity = 'nobody'"));
        match bench.driver.open().await.unwrap_err() {
            Fault::Unreachable(text) => assert!(text.contains("community"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_reading_community_does_not_switch() {
    for version in VERSIONS {
        let mut bench = Bench::new(SimFamily::Rpdu, 8, &format!("{version}\ncommunity = 'public'"));
        bench.driver.open().await.unwrap();
        let fault = bench.switch(1, PowerAct::Off).await.unwrap_err();
        assert!(matches!(fault, Fault::Refused(Why::Rejected(_))), "{fault:?}");
        assert_eq!(bench.pdu.is_on(1), Some(true));
    }
}

#[tokio::test]
async fn a_value_the_device_does_not_take_is_unsupported() {
    let columns = "model = 'generic'\nwrite_community = 'private'\n[columns]\n\
        count = '1.3.6.1.4.1.318.1.1.26.9.1.0'\ncommand = '1.3.6.1.4.1.318.1.1.26.9.2.4.1.5.*'\non = 77\noff = 2";
    for version in VERSIONS {
        let mut bench = Bench::new(SimFamily::Rpdu2, 4, &format!("{version}\n{columns}"));
        let units = bench.driver.open().await.unwrap();
        assert_eq!(units.last().unwrap().1.proof, Proof::None, "no status column, no proof");
        let fault = bench.switch(1, PowerAct::On).await.unwrap_err();
        assert!(matches!(fault, Fault::Unsupported(_)), "{version} {fault:?}");
        assert_eq!(bench.switch(1, PowerAct::Off).await, Ok(Done::Accepted));
    }
}

#[tokio::test]
async fn other_peoples_answers_and_noise_are_not_ours() {
    let mut bench = Bench::new(SimFamily::Rpdu2, 8, "");
    bench.pdu.fault(|f| f.foreign_id = true);
    bench.driver.open().await.unwrap();
    assert_eq!(bench.power(1).await, Ok(PowerState::On), "the foreign answer came first");
    bench.pdu.fault(|f| f.garbage = true);
    let read = bench.driver.observe(&Aspect::Power, &[Unit::outlet(1)], None).await.unwrap_err();
    assert!(matches!(read, Fault::Garbage(_)), "{read:?}");
    let set = bench.switch(1, PowerAct::Off).await.unwrap_err();
    assert!(matches!(set, Fault::Uncertain(_)), "it was carried out, who knows: {set:?}");
}

#[tokio::test]
async fn a_late_answer_does_not_disturb_the_next_exchange() {
    let mut bench = Bench::new(SimFamily::Rpdu2, 8, "");
    bench.driver.open().await.unwrap();
    bench.pdu.fault(|f| f.delay = Duration::from_millis(250));
    let late = bench.driver.observe(&Aspect::Power, &[Unit::outlet(1)], None).await.unwrap_err();
    assert!(matches!(late, Fault::Unreachable(_)), "{late:?}");
    bench.pdu.fault(|f| *f = Faults::default());
    for _ in 0..5 {
        assert_eq!(bench.power(1).await, Ok(PowerState::On));
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn nobody_there_is_told_at_once_and_a_set_was_not_done() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!("model = 'apc-rpdu'\naddress = '127.0.0.1'\nport = {free}\ntimeout = '5s'");
    let mut driver = parse_text(&text).unwrap().connect();
    let begun = std::time::Instant::now();
    let read = driver.open().await.unwrap_err();
    let set = driver.act(&[(Unit::outlet(1), Act::Power(PowerAct::On))]).await.remove(0).unwrap_err();
    assert!(matches!((&read, &set), (Fault::Unreachable(_), Fault::Unreachable(_))), "{read:?} {set:?}");
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_device_of_another_family_is_told_apart() {
    let mut bench = Bench::new(SimFamily::Rpdu2, 8, "model = 'apc-rpdu'\nversion = '2c'");
    match bench.driver.open().await.unwrap_err() {
        Fault::Unsupported(text) => assert!(text.contains("1.3.6.1.4.1.318.1.3.4.6"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_device_that_can_not_count_is_walked() {
    let columns = "model = 'generic'\n[columns]\ncommand = '1.3.6.1.4.1.318.1.1.26.9.2.4.1.5.*'\non = 1\noff = 2\n\
        status = '1.3.6.1.4.1.318.1.1.26.9.2.3.1.5.*'\nstatus_on = 2\nstatus_off = [1]";
    for version in VERSIONS {
        let mut bench = Bench::new(SimFamily::Rpdu2, 100, &format!("{version}\n{columns}"));
        bench.pdu.fault(|f| f.missing = [1, 50].into());
        assert_eq!(bench.driver.open().await.unwrap().len(), 99, "{version}: the device and 98 outlets");
        assert_eq!(bench.power(100).await, Ok(PowerState::On));
    }
}

fn readings(fact: &Result<Fact, Fault>) -> Vec<(String, Option<f64>)> {
    match fact {
        Ok(Fact::Sensors(readings)) => readings.iter().map(|r: &Reading| (r.id.clone(), r.value)).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn meters_of_outlets_and_of_the_device() {
    for version in VERSIONS {
        let mut bench = Bench::new(SimFamily::Rpdu2, 48, version);
        bench.pdu.set_load(2, 460);
        bench.driver.open().await.unwrap();
        bench.switch(1, PowerAct::Off).await.unwrap();
        let (facts, _) = bench.pages(&Aspect::Sensors, &[]).await;
        assert_eq!(facts.len(), 49);
        let of = |n| readings(&facts[&Unit::outlet(n)]);
        assert_eq!(
            of(1),
            [("power".to_owned(), Some(0.0)), ("current".to_owned(), Some(0.0)), ("energy".to_owned(), Some(123.4))]
        );
        assert_eq!(of(2)[..2], [("power".to_owned(), Some(460.0)), ("current".to_owned(), Some(2.0))]);
        let device = readings(&facts[&Unit::new(DEVICE_UNIT).unwrap()]);
        // 46 at 115 W and one at 460 W, told in tens of watts.
        assert!(device.contains(&("power".to_owned(), Some(5750.0))), "{version}: {device:?}");
        assert!(device.contains(&("voltage-l1".to_owned(), Some(230.0))), "{device:?}");
        assert!(!device.iter().any(|(id, _)| id == "current-l2"), "what the device has not is left out");
    }
}

#[tokio::test]
async fn identity_and_names() {
    for (family, model) in
        [(SimFamily::Rpdu, "AP7930"), (SimFamily::Rpdu2, "AP8653"), (SimFamily::MasterSwitch, "AP9225")]
    {
        let mut bench = Bench::new(family, 8, "");
        bench.driver.open().await.unwrap();
        let device = Unit::new(DEVICE_UNIT).unwrap();
        let (facts, _) = bench.pages(&Aspect::Inventory, std::slice::from_ref(&device)).await;
        let Ok(Fact::Inventory(inventory)) = &facts[&device] else { panic!("{facts:?}") };
        assert_eq!(inventory.manufacturer.as_deref(), Some("APC"));
        assert_eq!(inventory.model.as_deref(), Some(model));
        assert_eq!(inventory.serial.as_deref(), Some("SIM000001"));
        let (facts, _) = bench.pages(&Aspect::Units, &[]).await;
        let Ok(Fact::Caps(_, name)) = &facts[&Unit::outlet(8)] else { panic!("{facts:?}") };
        assert_eq!(name.as_deref(), Some("Outlet 8"));
    }
}

#[tokio::test]
async fn many_devices_share_a_socket() {
    let agents = Agents::bind(0).unwrap();
    let address = |n: u8| Ipv4Addr::new(127, 77, 0, n);
    for n in 1..=20 {
        agents.add(address(n), SimPdu::new(PduOptions { outlets: u32::from(n), ..PduOptions::default() }));
    }
    for n in 1..=20 {
        let text = format!("model = 'apc-rpdu2'\naddress = '{}'\nport = {}", address(n), agents.port());
        let mut driver = parse_text(&text).unwrap().connect();
        assert_eq!(driver.open().await.unwrap().len(), usize::from(n) + 1);
        driver.act(&[(Unit::outlet(1), Act::Power(PowerAct::Off))]).await.remove(0).unwrap();
        assert_eq!(agents.get(address(n)).unwrap().is_on(1), Some(false));
    }
}

/// With a thousand PDUs an idle conversation must stay small.
#[test]
fn an_idle_conversation_is_small() {
    assert!(size_of::<driver::Conversation>() < 1024, "{}", size_of::<driver::Conversation>());
}

#[tokio::test]
async fn what_is_no_act_of_an_outlet_is_refused_unsent() {
    let mut bench = Bench::new(SimFamily::Rpdu2, 8, "");
    let before = bench.pdu.counters().packets_in;
    for act in [PowerAct::Reset, PowerAct::Soft, PowerAct::Cycle { off: None }] {
        assert!(matches!(bench.switch(1, act).await, Err(Fault::Unsupported(_))));
    }
    let device = (Unit::new(DEVICE_UNIT).unwrap(), Act::Power(PowerAct::Off));
    let odd = (Unit::new("01").unwrap(), Act::Power(PowerAct::Off));
    for result in bench.driver.act(&[device, odd]).await {
        assert!(matches!(result, Err(Fault::NoSuchUnit(_))), "{result:?}");
    }
    assert_eq!(bench.pdu.counters().packets_in, before);
}

#[test]
fn presumed_units() {
    let setup = parse_text("model = 'apc-rpdu'\naddress = 'pdu.example'\noutlets = 8").unwrap();
    let unit = |text: &str| setup.presumed(&Unit::new(text).unwrap());
    assert!(unit("1").is_some() && unit("8").is_some() && unit("pdu").is_some());
    for none in ["0", "9", "08", "host", "1.7", "-1", "99999999999"] {
        assert!(unit(none).is_none(), "{none}");
    }
    let two = "model = 'generic'\naddress = '::1'\n[columns]\ncommand = '1.3.6.1.4.1.9.*.4'\non = 1\noff = 0\nindex_parts = 2";
    let setup = parse_text(two).unwrap();
    assert!(setup.presumed(&Unit::new("1.7").unwrap()).is_some());
    assert!(setup.presumed(&Unit::new("7").unwrap()).is_none());
    assert_eq!(setup.address(), "[::1]:161");
}

#[test]
fn all_errors_are_found_at_once() {
    let found = messages(
        "model = 'apc-rdpu'\naddress = '10.0.0.05'\nport = 70000\nversion = '2'\ncomunity = 'x'\ntimeout = 'soon'\noutlets = 0",
    );
    for (key, hint) in [
        ("model", "apc-rpdu2"),
        ("address", "octal"),
        ("port", "65535"),
        ("version", "2c"),
        ("comunity", "community"),
        ("timeout", "500ms"),
        ("outlets", "1 to"),
    ] {
        assert!(found.iter().any(|m| m.contains(&format!("`{key}`")) && m.contains(hint)), "{key}: {found:#?}");
    }
    assert_eq!(found.len(), 7, "{found:#?}");
    let found = messages("port = 161");
    assert!(found.len() == 2 && found.iter().all(|m| m.contains("missing")), "{found:?}");
}

#[test]
fn columns_are_checked_too() {
    let found = messages(
        "model = 'generic'\naddress = 'a'\n[columns]\ncommand = '1.3.6.1.4'\non = 1\noff = 1\nstatus = '1.3.*.*'\n\
         status_on = 'x'\nvolts = 1\npower = { oid = '1.3.6.*', scale = 0 }\ncurrent = { scale = 2 }\nconfirm_within = '1h'\n\
         [totals]\nwhatever = '1.3.6.1'",
    );
    for (key, hint) in [
        ("columns.command", "`*`"),
        ("columns.off", "same value"),
        ("columns.status", "can be only one"),
        ("columns.status_on", "numbers"),
        ("columns.volts", "no such key"),
        ("columns.power.scale", "zero"),
        ("columns.current.oid", "missing"),
        ("columns.confirm_within", "time"),
        ("totals.whatever", "measure"),
    ] {
        assert!(found.iter().any(|m| m.contains(&format!("`{key}`")) && m.contains(hint)), "{key}: {found:#?}");
    }
    assert_eq!(found.len(), 9, "{found:#?}");
}

#[test]
fn version_3_is_checked() {
    let base = "model = 'apc-rpdu2'\naddress = '10.0.0.5'\n";
    let v3 = |more: &str| messages(&format!("{base}{more}")).join("\n");
    assert!(v3("version = '3'").contains("`user`"));
    assert!(v3("user = 'a'\nauth_key = 'short'").contains("eight"));
    assert!(v3("user = 'a'\npriv_key = 'longenough'").contains("`auth_key`"));
    assert!(v3("user = 'a'\nauth_protocol = 'sha'").contains("`auth_key`"));
    assert!(v3("user = 'a'\ncommunity = 'x'").contains("versions 1 and 2c"));
    assert!(v3("version = '1'\nuser = 'a'").contains("version 3"));
    assert!(parse_text(&format!("{base}user = 'a'\nauth_key = 'longenough'\npriv_key = 'longenough'")).is_ok());
}

#[test]
fn secrets_are_not_shown() {
    let text = "model = 'apc-rpdu2'\naddress = '10.0.0.5'\nuser = 'a'\nauth_key = 'hunter2hunter2'\npriv_key = 'hunter2hunter2'";
    assert!(!format!("{:?}", parse_text(text).unwrap()).contains("hunter2"));
    let text = "model = 'apc-rpdu2'\naddress = '10.0.0.5'\ncommunity = 'hunter2'";
    assert!(!format!("{:?}", parse_text(text).unwrap()).contains("hunter2"));
    let _: fn(&toml::Table) -> Result<Settings, Vec<SettingsError>> = settings::parse;
}

#[test]
fn a_family_file_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let text = family::FILES[0].1.replace("apc-rpdu", "mine");
    std::fs::write(&path, &text).unwrap();
    let keys = format!("model_file = '{}'\naddress = 'pdu'", path.display());
    assert!(parse_text(&keys).is_ok());
    std::fs::write(&path, text.replace("on = 1", "on = 'yes'")).unwrap();
    let found = messages(&keys);
    assert!(found.iter().any(|m| m.contains("mine.toml") && m.contains("columns.on")), "{found:?}");
    assert!(messages("model_file = '/nowhere'\naddress = 'pdu'")[0].contains("/nowhere"));
}
