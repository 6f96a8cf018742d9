//! The driver against the simulated PDU: what it reads, switches, refuses, and what that costs.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use rackfish::{
    drivers::{self, Driver, SettingsError, Setup, snmp_pdu::DEVICE_UNIT},
    model::{Act, Aspect, Done, Fact, Fault, PowerAct, PowerState, Proof, Reading, Unit, Why},
    sim::snmp::{Agents, Faults, PduOptions, SimFamily, SimPdu},
};

fn parse_text(text: &str) -> Result<Arc<dyn Setup>, Vec<SettingsError>> {
    (drivers::find("snmp-pdu").unwrap().parse)(&text.parse().unwrap())
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
        Fault::Unsupported(text) => assert!(text.contains("1.3.6.1.4.1.318.1.3.4.6 says apc-rpdu2"), "{text}"),
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
