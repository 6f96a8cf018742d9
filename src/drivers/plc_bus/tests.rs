//! Settings and their errors; simulated boards behind a real pseudo-terminal.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{fs, time::Instant};

use tokio::{net::TcpListener, task::JoinHandle, time};

use super::*;
use crate::{
    model::{
        Act, ActKind, Aspect, AspectKind, BootSet, BootTarget, Done, Fact, Fault, Led, Measure, PowerAct, PowerState,
        Proof, Why,
    },
    sim::plc_bus::{Pty, SimBus, file, serve_pty, serve_tcp},
};

fn parse_text(text: &str) -> Result<Arc<dyn Setup>, Vec<SettingsError>> {
    (KIND.parse)(&text.parse().unwrap())
}

fn messages(text: &str) -> Vec<String> {
    parse_text(text).unwrap_err().iter().map(ToString::to_string).collect()
}

fn unit(text: &str) -> Unit {
    Unit::new(text).unwrap()
}

#[test]
fn all_errors_are_found_at_once() {
    let found = messages(
        "device = 'ttyUSB0'\nbps = 1\ntimeout = 1\nretry_limit = 0\nscan = 'maybe'\ntime_slice = 256\n\
         boards = ['A', '0000000a', '0000000a']\ncycle = 'never'\nlockfile = 'x.lock'\nlock = 'both'\nlock_wait = '1h'\n\
         rack = 'a,b'\nquirks = ['Q-06', 'Q-99']\nbaud = 9600",
    );
    for (key, hint) in [
        ("device", "whole path"),
        ("bps", "300"),
        ("timeout", "20ms"),
        ("retry_limit", "1 to 10"),
        ("scan", "broadcast"),
        ("time_slice", "255"),
        ("boards", "eight hexadecimal digits"),
        ("boards", "named twice"),
        ("cycle", "off-on"),
        ("lockfile", "whole path"),
        ("lock_wait", "time"),
        ("rack", "comma"),
        ("quirks", "Q-99"),
        ("baud", "known ones"),
    ] {
        assert!(found.iter().any(|m| m.contains(&format!("`{key}`")) && m.contains(hint)), "{key}: {found:#?}");
    }
    assert_eq!(found.len(), 14, "{found:#?}");
    assert!(messages("bps = 9600")[0].contains("missing"));
    for (text, hint) in [
        ("device = 'rfc2217://h:1'", "rfc2217 is not spoken"),
        ("device = 'socket://h'", "socket://HOST:PORT"),
        ("device = 'socket://h:1'\nbps = 9600", "serial server sets the speed"),
        ("device = '/dev/x'\nlock = 'link'", "no `lockfile`"),
        ("device = '/dev/x'\nquirks = 1", "a list of tags"),
    ] {
        let found = messages(text);
        assert!(found.len() == 1 && found[0].contains(hint), "{text}: {found:?}");
    }
}

#[test]
fn units_are_boards_and_their_devices() {
    let setup = parse_text("device = '/dev/ttyUSB0'").unwrap();
    for (name, known) in [
        ("0000000a", true),
        ("00ffffff/01ff", true),
        ("0000000A", false),
        ("a", false),
        ("01000000", false),
        ("0000000a/1ff", false),
        ("0000000a/01ff/2", false),
        ("host", false),
        ("1", false),
    ] {
        assert_eq!(setup.presumed(&unit(name)).is_some(), known, "{name}");
    }
    let caps = setup.presumed(&unit("0000000a")).unwrap();
    assert!(caps.acts.has(ActKind::On) && !caps.acts.has(ActKind::Soft) && !caps.acts.has(ActKind::Cycle));
    assert!(matches!(caps.proof, Proof::ReadBack { .. }));
    let setup = parse_text("device = '/dev/ttyUSB0'\nboards = ['0000000a']\ncycle = 'board'").unwrap();
    assert!(setup.presumed(&unit("0000000b")).is_none());
    assert!(setup.presumed(&unit("0000000a")).unwrap().acts.has(ActKind::Cycle));
    assert_eq!(setup.address(), "/dev/ttyUSB0");
}

/// A driver, its bus, and the cable between them.
struct Bench {
    bus: SimBus,
    driver: Box<dyn Driver>,
    folder: tempfile::TempDir,
    cable: JoinHandle<std::io::Result<()>>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.cable.abort();
    }
}

impl Bench {
    fn new(more: &str) -> Self {
        Self::with(file::usual(3), more)
    }

    fn with(loaded: file::Loaded, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bus = SimBus::new(loaded);
        let pty = Pty::open(Some(&folder.path().join("tty"))).unwrap();
        let settings = format!("device = '{}'\ntimeout = '400ms'\n{more}", pty.path().display());
        let settings = settings.replace("FOLDER", folder.path().to_str().unwrap());
        let serving = bus.clone();
        let cable = tokio::spawn(async move { serve_pty(pty, &serving).await });
        Self { bus, driver: parse_text(&settings).unwrap().connect(), folder, cable }
    }

    async fn act(&mut self, name: &str, act: Act) -> Result<Done, Fault> {
        self.driver.act(&[(unit(name), act)]).await.remove(0)
    }

    async fn power(&mut self, name: &str, act: PowerAct) -> Result<Done, Fault> {
        self.act(name, Act::Power(act)).await
    }

    /// All pages.
    async fn all(&mut self, aspect: Aspect, names: &[&str]) -> Result<Vec<(Unit, Result<Fact, Fault>)>, Fault> {
        let units: Vec<Unit> = names.iter().map(|name| unit(name)).collect();
        let (mut items, mut at) = (Vec::new(), None);
        for _ in 0..200 {
            let page = self.driver.observe(&aspect, &units, at.take()).await?;
            items.extend(page.items.into_iter().filter(|(_, fact)| !matches!(fact, Ok(Fact::Caps(..)))));
            match page.next {
                Some(next) => at = Some(next),
                None => return Ok(items),
            }
        }
        panic!("pages without end");
    }

    async fn state(&mut self, name: &str) -> Result<PowerState, Fault> {
        match self.all(Aspect::Power, &[name]).await?.remove(0).1? {
            Fact::Power(state) => Ok(state),
            other => panic!("{other:?}"),
        }
    }

    fn sent(&self, letter: &str) -> u64 {
        self.bus.counters().requests.get(letter).copied().unwrap_or(0)
    }

    fn tell(&self, line: &str) {
        self.bus.command_line(line).unwrap();
    }
}

const ONE: &str = "00000001";

#[tokio::test]
async fn boards_are_found_and_switched() {
    let mut bench = Bench::new("");
    let units = bench.driver.open().await.unwrap();
    assert_eq!(units.len(), 3 * 7);
    let caps = |name: &str| units.iter().find(|(u, _)| *u == unit(name)).map(|(_, caps)| caps.clone()).unwrap();
    let board = caps(ONE);
    for kind in [ActKind::On, ActKind::Off, ActKind::Boot, ActKind::Indicator, ActKind::Fan] {
        assert!(board.acts.has(kind), "{kind:?}");
    }
    for kind in [AspectKind::Power, AspectKind::Sensors, AspectKind::Inventory, AspectKind::Boot] {
        assert!(board.aspects.has(kind), "{kind:?}");
    }
    assert!(!caps("00000001/01ff").acts.has(ActKind::On) && caps("00000001/0100").acts.has(ActKind::On));
    assert_eq!(bench.state(ONE).await, Ok(PowerState::Off));
    assert_eq!(bench.power(ONE, PowerAct::On).await, Ok(Done::Accepted));
    assert_eq!(bench.state("00000001/0100").await, Ok(PowerState::On));
    assert_eq!(bench.power("00000002/0100", PowerAct::On).await, Ok(Done::Accepted));
    assert_eq!(bench.power(ONE, PowerAct::Off).await, Ok(Done::Accepted));
    assert_eq!((bench.bus.is_on(1), bench.bus.is_on(2), bench.bus.is_on(3)), (Some(false), Some(true), Some(false)));
    bench.power("00000002", PowerAct::Cycle { off: None }).await.unwrap();
    // Opened anew soon after: what was found is kept.
    bench.driver.close().await;
    assert_eq!((bench.driver.open().await.unwrap().len(), bench.sent("D")), (21, 2));
    for act in [PowerAct::Soft, PowerAct::Reset, PowerAct::Nmi] {
        assert!(matches!(bench.power(ONE, act).await, Err(Fault::Unsupported(_))));
    }
    assert!(matches!(bench.power("1", PowerAct::On).await, Err(Fault::NoSuchUnit(_))));
    assert!(matches!(bench.power("00000001/01ff", PowerAct::On).await, Err(Fault::Unsupported(_))));
    assert!(matches!(bench.state("00000001/7777").await, Err(Fault::NoSuchUnit(_))));
}

/// Counted at the boards: one command, whatever becomes of its answer.
#[tokio::test]
async fn a_command_goes_out_once() {
    let mut bench = Bench::new("");
    bench.driver.open().await.unwrap();
    for (fault, act, word) in [
        ("lose-power-answers 1", PowerAct::On, "P1"),
        ("spoil 1", PowerAct::Off, "P0"),
        ("cut 1", PowerAct::Cycle { off: None }, "PC"),
        ("lose-requests 1", PowerAct::On, "P1"),
    ] {
        bench.tell(&format!("fault {fault}"));
        let before = bench.bus.counters();
        let done = bench.power(ONE, act).await;
        assert!(matches!(&done, Err(Fault::Uncertain(why)) if why.contains(ONE)), "{fault}: {done:?}");
        let after = bench.bus.counters();
        let name = format!("00000001/0100 {word}");
        let count = |counters: &crate::sim::plc_bus::Counters| counters.switched.get(&name).copied().unwrap_or(0);
        assert_eq!(count(&after) - count(&before), u64::from(fault != "lose-requests 1"), "{fault}");
        assert!(!after.requests.contains_key("?"), "{fault}: nothing is asked to answer again");
    }
    // A read is sent again, and is never asked for with `?`: to the board that may mean the command before it.
    let before = bench.sent("P");
    bench.tell("fault spoil 2");
    assert!(bench.state(ONE).await.is_ok());
    assert_eq!((bench.sent("P") - before, bench.sent("?")), (3, 0));
    bench.tell("fault stale 1");
    bench.tell("fault noise on");
    assert!(bench.state(ONE).await.is_ok());
}

#[tokio::test]
async fn readings_identity_boot_and_light() {
    let mut bench = Bench::new("");
    bench.driver.open().await.unwrap();
    bench.power(ONE, PowerAct::On).await.unwrap();
    let items = bench.all(Aspect::Sensors, &[ONE]).await.unwrap();
    let readings: Vec<_> = items
        .into_iter()
        .flat_map(|(_, fact)| match fact {
            Ok(Fact::Sensors(readings)) => readings,
            other => panic!("{other:?}"),
        })
        .map(|reading| (reading.id, reading.measure, reading.value))
        .collect();
    for (id, measure, value) in [
        ("thermistor-01ff", Measure::Temperature, 28.78),
        ("humidity-0cff", Measure::Humidity, 38.43),
        ("humidity-0cff-temperature", Measure::Temperature, 16.24),
        ("fan_speed-0400", Measure::FanRpm, 4100.0),
        ("power-0100-input-power", Measure::Power, 120.0),
        ("power-0100-input-voltage", Measure::Voltage, 12.0),
        ("power-0100-output-current", Measure::Current, 10.0),
    ] {
        let found = readings.iter().find(|(found, ..)| found == id).unwrap_or_else(|| panic!("{id}: {readings:?}"));
        assert!(found.1 == measure && (found.2.unwrap() - value).abs() < 0.1, "{found:?}");
    }
    match bench.all(Aspect::Inventory, &[ONE, "00000002"]).await.unwrap().as_slice() {
        [(_, Ok(Fact::Inventory(one))), (_, Ok(Fact::Inventory(two)))] => {
            assert_eq!((one.serial.as_deref(), two.serial.as_deref()), (Some("P000001"), Some("P000002")));
            assert_eq!((one.firmware.as_deref(), one.model.as_deref()), (Some("rackfish sim 1"), Some("Sim node")));
        }
        other => panic!("{other:?}"),
    }
    bench.act(ONE, Act::Indicator(Led::Lit)).await.unwrap();
    let light = bench.all(Aspect::Indicator, &[ONE]).await.unwrap().remove(0).1;
    assert_eq!(light, Ok(Fact::Indicator(Led::Lit)));
    assert!(matches!(bench.act(ONE, Act::Indicator(Led::Blinking)).await, Err(Fault::Unsupported(_))));
    assert_eq!(bench.act(ONE, Act::Fan(1200)).await, Ok(Done::Completed));
    let raw = bench.all(Aspect::Raw("host_info".into()), &[ONE]).await.unwrap().remove(0).1;
    assert_eq!(raw, Ok(Fact::Raw(b"hsim-1,i127.0.0.1".to_vec())));
}

#[tokio::test]
async fn a_boot_target_for_one_start_is_taken_back() {
    let mut bench = Bench::new("");
    bench.driver.open().await.unwrap();
    let pxe = |persistent| Act::Boot(BootSet { target: BootTarget::Pxe, mode: None, persistent });
    for (persistent, second) in [(false, None), (true, Some(BootTarget::Pxe))] {
        bench.act(ONE, pxe(persistent)).await.unwrap();
        for expected in [Some(BootTarget::Pxe), second] {
            bench.power(ONE, PowerAct::On).await.unwrap();
            let held = bench.all(Aspect::Boot, &[ONE]).await.unwrap().remove(0).1;
            match held {
                Ok(Fact::Boot(set)) => assert_eq!(set.map(|set| set.target), expected),
                other => panic!("{other:?}"),
            }
            bench.power(ONE, PowerAct::Off).await.unwrap();
        }
    }
    // A start that the board has perhaps not heard does not use it up.
    bench.act(ONE, pxe(false)).await.unwrap();
    bench.tell("fault lose-requests 1");
    assert!(matches!(bench.power(ONE, PowerAct::On).await, Err(Fault::Uncertain(_))));
    for (state, expected) in [(PowerState::Off, Some(BootTarget::Pxe)), (PowerState::Off, None)] {
        assert_eq!(bench.state(ONE).await, Ok(state));
        bench.power(ONE, PowerAct::On).await.unwrap();
        assert_eq!(bench.state(ONE).await, Ok(PowerState::On));
        let held = bench.all(Aspect::Boot, &[ONE]).await.unwrap().remove(0).1;
        assert!(matches!(&held, Ok(Fact::Boot(set)) if set.map(|set| set.target) == expected), "{held:?}");
        bench.power(ONE, PowerAct::Off).await.unwrap();
    }
    let usb = Act::Boot(BootSet { target: BootTarget::Usb, mode: None, persistent: false });
    assert!(matches!(bench.act(ONE, usb).await, Err(Fault::Unsupported(_))));
}

#[tokio::test]
async fn a_dead_board_is_not_the_bus() {
    let mut bench = Bench::new("");
    bench.driver.open().await.unwrap();
    bench.tell("board 1 gone");
    let items = bench.all(Aspect::Power, &[ONE, "00000002"]).await.unwrap();
    assert!(matches!(&items[0].1, Err(Fault::Unreachable(why)) if why.contains(ONE)), "{items:?}");
    assert_eq!(items[1].1, Ok(Fact::Power(PowerState::Off)));
    let begun = Instant::now();
    let items = bench.all(Aspect::Sensors, &[ONE, "00000002"]).await.unwrap();
    assert!(matches!(&items[0].1, Err(Fault::Unreachable(_))), "{items:?}");
    assert!(items.len() == 5 && begun.elapsed() < Duration::from_secs(3), "{:?}: {items:?}", begun.elapsed());
    assert!(matches!(bench.power(ONE, PowerAct::On).await, Err(Fault::Uncertain(_))));
    // It comes back; one lost answer is no outage.
    bench.tell("board 1 back");
    bench.tell("fault lose-answers 1");
    assert_eq!(bench.state(ONE).await, Ok(PowerState::Off));
}

#[tokio::test]
async fn boards_that_no_scan_has_found_are_met_when_they_are_needed() {
    let mut bench = Bench::new("scan = 'boards'");
    assert_eq!(bench.driver.open().await.unwrap(), []);
    assert_eq!(bench.power("00000002/0100", PowerAct::On).await, Ok(Done::Accepted), "needs no scan");
    assert_eq!(bench.sent("D"), 0);
    assert_eq!(bench.state("00000002").await, Ok(PowerState::On));
    assert_eq!(bench.sent("D"), 1);
    assert!(matches!(bench.power("00000009", PowerAct::On).await, Err(Fault::NotSent(_))));
    match bench.driver.observe(&Aspect::Units, &[], None).await {
        Ok(page) => assert_eq!(page.items.len(), 21, "asked for: all are scanned"),
        other => panic!("{other:?}"),
    }
}

/// A scan entry without a type, with a sound checksum: nothing is learnt, and nobody asks for ever.
#[tokio::test]
async fn a_scan_that_tells_nothing_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("emulator.json");
    let board =
        r#"{"boards": [{"board_id": "00000005", "raw_data": [[[1, 9, 999, 255, 0, 0, 0, 5, 255, 255, 1002, 4]]]}]}"#;
    std::fs::write(&path, board).unwrap();
    let mut bench = Bench::with(file::load(&path, false).unwrap(), "scan = 'boards'");
    bench.driver.open().await.unwrap();
    match bench.all(Aspect::Power, &["00000005"]).await.unwrap().as_slice() {
        [(_, Err(Fault::Garbage(why)))] => assert!(why.contains("00000005"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(bench.power("00000005", PowerAct::On).await, Err(Fault::NotSent(_))));
}

#[tokio::test]
async fn a_bus_without_boards_is_down_and_one_that_babbles_too() {
    let mut bench = Bench::new("");
    for board in 1..=3 {
        bench.tell(&format!("board {board} gone"));
    }
    assert!(matches!(bench.driver.open().await, Err(Fault::Unreachable(why)) if why.contains("no board answers")));
    bench.tell("board 1 back");
    bench.driver.open().await.unwrap();
    bench.tell("fault babble on");
    let begun = Instant::now();
    assert!(bench.state(ONE).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    bench.tell("fault clear");
    time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.state(ONE).await, Ok(PowerState::Off));
}

#[tokio::test]
async fn an_adapter_that_is_pulled_and_put_back() {
    let mut bench = Bench::new("");
    bench.driver.open().await.unwrap();
    bench.tell("pull");
    time::sleep(Duration::from_millis(200)).await;
    let done = bench.power(ONE, PowerAct::On).await;
    assert!(matches!(done, Err(Fault::NotSent(_))), "{done:?}");
    assert!(matches!(bench.state(ONE).await, Err(Fault::Unreachable(_))));
    bench.tell("plug");
    time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bench.power(ONE, PowerAct::On).await, Ok(Done::Accepted));
    // Pulled while a command is on its way: nobody knows.
    bench.tell("fault delay 300ms");
    let (bus, puller) = (bench.bus.clone(), time::sleep(Duration::from_millis(100)));
    let pull = tokio::spawn(async move {
        puller.await;
        bus.pull(true);
    });
    let done = bench.power(ONE, PowerAct::Off).await;
    pull.await.unwrap();
    assert!(matches!(done, Err(Fault::Uncertain(_))), "{done:?}");
}

#[tokio::test]
async fn a_serial_server() {
    let bus = SimBus::new(file::usual(2));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = bus.clone();
    let cable = tokio::spawn(async move { serve_tcp(listener, &serving).await });
    let mut driver = parse_text(&format!("device = 'socket://{address}'")).unwrap().connect();
    assert_eq!(driver.open().await.unwrap().len(), 14);
    assert_eq!(driver.act(&[(unit(ONE), Act::Power(PowerAct::On))]).await, [Ok(Done::Accepted)]);
    assert_eq!(bus.is_on(1), Some(true));
    cable.abort();
}

#[tokio::test]
async fn a_line_that_is_shared() {
    let mut bench = Bench::new("lockfile = 'FOLDER/OpenDCRE.lock'\nlock_wait = '200ms'");
    bench.driver.open().await.unwrap();
    // Not ours between two exchanges: another may open it.
    let path = bench.folder.path().join("tty");
    drop(fs::OpenOptions::new().read(true).write(true).open(&path).unwrap());
    let lock = bench.folder.path().join("OpenDCRE.lock.lock");
    assert!(!lock.exists());
    fs::write(&lock, "").unwrap();
    let done = bench.power(ONE, PowerAct::On).await;
    assert!(matches!(&done, Err(Fault::Busy { reason, .. }) if reason.contains("OpenDCRE.lock.lock")), "{done:?}");
    assert!(matches!(bench.state(ONE).await, Err(Fault::Busy { .. })));
    fs::remove_file(&lock).unwrap();
    assert_eq!(bench.power(ONE, PowerAct::On).await, Ok(Done::Accepted));
    assert_eq!(bench.bus.is_on(1), Some(true));
}

#[tokio::test]
async fn what_a_device_does_not_take() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plc-bus/f-bus.json");
    let mut bench = Bench::with(file::load(&path, false).unwrap(), "scan = 'boards'");
    bench.driver.open().await.unwrap();
    let fan = bench.act("00000028/0002", Act::Fan(1000)).await;
    assert!(matches!(&fan, Err(Fault::Refused(Why::Rejected(why))) if why.contains("W0")), "{fan:?}");
    let boot = Act::Boot(BootSet { target: BootTarget::Pxe, mode: None, persistent: false });
    let boot = bench.act("00000040/0002", boot).await;
    assert!(matches!(&boot, Err(Fault::Refused(Why::Rejected(why))) if why.contains("Hdd")), "{boot:?}");
    assert_eq!(bench.state("00000060/0001").await, Ok(PowerState::On));
    let junk = bench.state("00000060/0003").await;
    assert!(matches!(&junk, Err(Fault::Garbage(why)) if why.contains("junk")), "{junk:?}");
    let battery = bench.all(Aspect::Sensors, &["00000061/0001"]).await.unwrap().remove(0).1;
    assert!(matches!(&battery, Ok(Fact::Sensors(r)) if r[0].value == Some(100.0)), "{battery:?}");
    let odd = bench.all(Aspect::Sensors, &["00000014"]).await.unwrap();
    assert!(odd.iter().all(|(_, fact)| fact.is_ok()), "a sensor that does not tell is no dead board: {odd:?}");
}
