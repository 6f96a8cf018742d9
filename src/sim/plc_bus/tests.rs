//! Emulator files and racks, asked by the frames of the bus.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{path::Path, time::Duration};

use super::{SimBus, file};
use crate::wire::device_bus::{
    BootWord, BusError, DeviceType, Exchange, Frame, PowerWord, Quirks, Request, Sequence, Step, reply,
};

/// A master without a clock: what a bus does not say at once is silence.
struct Master {
    bus: SimBus,
    numbers: Sequence,
    quirks: Quirks,
    sent: u32,
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plc-bus").join(name)
}

impl Master {
    fn of(name: &str, quirks: Quirks) -> Self {
        let bus = SimBus::new(file::load(&fixture(name), quirks == Quirks::COMPAT).unwrap());
        Self { bus, numbers: Sequence::default(), quirks, sent: 0 }
    }

    fn run(&mut self, request: Request) -> Result<Vec<Frame>, BusError> {
        // The original's master asks for an answer again with `?`, as its emulator's files expect; ours never does.
        let asks = self.quirks == Quirks::COMPAT && !request.is_scan();
        let mut exchange = Exchange::new(request, self.quirks, 3);
        let (mut coming, mut again) = (Vec::new(), false);
        loop {
            match exchange.next(&mut self.numbers) {
                Step::Send { mut bytes, discard } => {
                    if std::mem::replace(&mut again, asks) {
                        let frame = Frame::decode(&bytes).unwrap();
                        bytes = Frame { data: b"?".to_vec(), ..frame }.encode().unwrap();
                    }
                    self.sent += 1;
                    if discard {
                        coming.clear();
                    }
                    coming.extend(self.bus.hear(&bytes).into_iter().flat_map(|said| said.bytes));
                }
                Step::Listen if coming.is_empty() => exchange.silence(),
                Step::Listen => exchange.heard(&std::mem::take(&mut coming)),
                Step::Pause(_) => {}
                Step::Done => return exchange.finish(),
            }
        }
    }

    /// The answer's text.
    fn ask(&mut self, request: Request) -> Option<String> {
        let frames = self.run(request).ok()?;
        Some(String::from_utf8_lossy(&frames[0].data).into_owned())
    }

    fn read(&mut self, board: u32, device: u16, kind: DeviceType) -> Option<String> {
        self.ask(Request::Read { at: (board, device), kind })
    }

    fn power(&mut self, board: u32, device: u16, word: PowerWord) -> Option<String> {
        self.ask(Request::Power { at: (board, device), word })
    }

    fn version(&mut self, board: u32) -> Option<String> {
        self.ask(Request::Version { board })
    }

    fn scan(&mut self, board: u32) -> Option<usize> {
        self.run(Request::Scan { board }).ok().map(|frames| frames.len())
    }

    fn scan_all(&mut self) -> Option<usize> {
        let frames = self.run(Request::ScanAll { master: 0x4145, time_slice: 75 }).ok()?;
        let mut boards: Vec<u32> = frames.iter().map(|frame| frame.board).collect();
        boards.dedup();
        Some(boards.len())
    }
}

#[test]
fn answers_good_and_bad() {
    for quirks in [Quirks::COMPAT, Quirks::STRICT] {
        let mut bus = Master::of("f-bus.json", quirks);
        for _ in 0..5 {
            assert_eq!(bus.scan(0), Some(6));
        }
        for silent in [1, 2, 0xd2, 0xff, 0xc800] {
            assert_eq!(bus.run(Request::Scan { board: silent }), Err(BusError::Silent), "{silent:x}");
        }
        assert_eq!((bus.scan(3), bus.scan(0xb4), bus.scan(0xbe)), (Some(1), None, None));
        assert_eq!(bus.scan_all(), None, "it has boards that answer no frames");
        // Another board answers: the original takes it.
        let foreign = (quirks == Quirks::COMPAT).then_some(1);
        assert_eq!((bus.scan(0xc8), bus.scan(0xcc)), (foreign, foreign));
        for spoilt in [0xca, 0xce, 0xd0] {
            assert_eq!(bus.scan(spoilt), None, "{spoilt:x}");
        }
        assert_eq!(bus.version(0x0a).as_deref(), Some("Version Response 1"));
        assert_eq!((bus.version(0x0b), bus.version(0x0c).as_deref()), (None, Some("")));
        assert_eq!(
            (bus.version(0x11).as_deref(), bus.version(0x12).map(|v| v.len())),
            (Some("Version 0x05"), Some(100))
        );
        assert_eq!((bus.version(0xc9).as_deref(), bus.version(0xcd).as_deref()), (Some("12345"), Some("12345")));
        for board in [0xb5, 0xbf, 0xcb, 0xcf, 0xd1, 0xc800] {
            assert_eq!(bus.version(board), None, "{board:x}");
        }
        let thermistor = |bus: &mut Master, board, device| bus.read(board, device, DeviceType::Thermistor);
        assert_eq!(thermistor(&mut bus, 0x14, 0x04ff).as_deref(), Some("32768"));
        for (board, answer) in [(0xc9, true), (0xcd, true), (0xcb, false), (0xcf, false), (0xd1, false)] {
            assert_eq!(thermistor(&mut bus, board, 0x01ff).is_some(), answer, "{board:x}");
        }
        for device in [0x0bff, 0x0dff, 0x0eff, 0x0fff, 0x02ff] {
            assert_eq!(thermistor(&mut bus, 0x14, device), None, "{device:x}");
        }
        assert_eq!(bus.read(0x15, 1, DeviceType::Temperature).as_deref(), Some("30.03"));
        assert_eq!(bus.read(0x16, 1, DeviceType::Pressure).as_deref(), Some("0.0"));
        assert_eq!(bus.read(0x80, 1, DeviceType::FanSpeed).as_deref(), Some("4100"), "a chamber's fan is a fan");
        assert_eq!(bus.read(0x28, 4, DeviceType::FanSpeed).as_deref(), Some("12345678901234567890"));
        assert_eq!(bus.ask(Request::Fan { at: (0x28, 1), rpm: 4100 }).as_deref(), Some("W1"));
        let words: Vec<_> = (0..7).map(|_| bus.power(0x1e, 0x01ff, PowerWord::Status).unwrap()).collect();
        assert_eq!((words[1].as_str(), words[5].as_str(), &words[6]), ("64,0,0,0", "2072,0,0,0", &words[0]));
        for device in [0x02ff, 0x03ff] {
            assert_eq!(bus.power(0x1e, device, PowerWord::Status), None);
        }
        assert_eq!(bus.power(0x1e, 0x06ff, PowerWord::Status).as_deref(), Some("0"));
        assert_eq!(bus.power(0x1e, 0x06ff, PowerWord::Status), None, "once");
        assert_eq!(bus.power(0x60, 1, PowerWord::Status).as_deref(), Some("0,0,0,0"));
        let boot = |word| Request::Boot { at: (0x40, 2), word };
        assert_eq!(bus.ask(boot(Some(BootWord::Pxe))).as_deref(), Some("B1"), "the device decides");
        let asset = bus.run(Request::Asset { at: (0x50, 1) }).unwrap();
        let asset = reply::asset(&asset[0]).unwrap();
        assert_eq!((asset.board_manufacturer.as_str(), asset.product_version.as_str()), ("Vapor IO", "v1.2.0"));
        assert!(bus.ask(Request::Asset { at: (0x50, 2) }).is_none());
        let light = |text: &str| Request::ChamberLight { at: (0x70, 1), text: text.to_owned() };
        assert_eq!(bus.ask(light("1,r,-1,-1")).as_deref(), Some("1,ffffff,0"));
        assert_eq!(bus.ask(Request::HostInfo { at: (0x90, 4) }).as_deref(), Some("bad-string"));
    }
}

/// Numbers are fixed: every exchange takes as many as the original's.
#[test]
fn an_order_that_numbers_force() {
    let mut bus = Master::of("f-emu.json", Quirks::COMPAT);
    for board in 0x10..=0x14 {
        let well = board <= 0x12;
        let read = bus.read(board, 0x01ff, DeviceType::Thermistor);
        assert_eq!(read.as_deref(), well.then_some("656"), "{board:x}");
        let power = bus.power(board, 0x02ff, PowerWord::Status);
        assert_eq!(power.as_deref(), well.then_some("0,0,0,0"), "{board:x}");
        assert_eq!(bus.version(board).as_deref(), well.then_some("12345"), "{board:x}");
    }
    let asked = std::cell::Cell::new(0);
    let temperature = |bus: &mut Master, board, device: u16, expected: u32| {
        asked.set(asked.get() + 1);
        let read = bus.read(board, device, DeviceType::Temperature);
        assert_eq!(read, Some(expected.to_string()), "{board:x}/{device:x}");
    };
    let status = |bus: &mut Master, device: u16| {
        asked.set(asked.get() + 1);
        bus.power(1, device, PowerWord::Status).map(|said| said.split(',').next().unwrap_or_default().to_owned())
    };
    for n in 100..103 {
        temperature(&mut bus, 1, 0x01ff, n);
    }
    for (n, other) in [(103, 200), (104, 201)] {
        temperature(&mut bus, 1, 0x01ff, n);
        temperature(&mut bus, 1, 0x03ff, other);
    }
    for (n, other) in [(202, 800), (203, 801)] {
        temperature(&mut bus, 1, 0x03ff, n);
        temperature(&mut bus, 3, 0x02ff, other);
    }
    for (round, n) in [600, 601, 602, 603, 600, 601].into_iter().enumerate() {
        temperature(&mut bus, 1, 0x0cff, n);
        temperature(&mut bus, 1, 0x0aff, 500 + u32::try_from(round).unwrap());
    }
    for (first, second) in [("0", Some("0")), ("64", Some("64")), ("2048", Some("2048")), ("0", None)] {
        assert_eq!(status(&mut bus, 0x06ff).as_deref(), Some(first));
        assert_eq!(status(&mut bus, 0x07ff).as_deref(), second);
    }
    for n in 300..303 {
        temperature(&mut bus, 1, 0x08ff, n);
    }
    for (n, word) in [(303, "0"), (304, "64"), (305, "2048"), (306, "2056")] {
        temperature(&mut bus, 1, 0x08ff, n);
        assert_eq!(status(&mut bus, 0x05ff).as_deref(), Some(word));
    }
    assert_eq!(asked.get(), 42);
    assert_eq!(bus.scan_all(), Some(8), "the scan is number 88");
    assert_eq!((bus.scan(1), bus.scan(3), bus.scan(0x10), bus.scan(0x0a)), (Some(9), Some(2), Some(2), None));
}

#[test]
fn planned_scans() {
    for quirks in [Quirks::COMPAT, Quirks::STRICT] {
        let mut bus = Master::of("f-all.json", quirks);
        assert_eq!((bus.scan_all(), bus.sent), (Some(10), 2), "and SAVE");
        bus.sent = 0;
        assert_eq!((bus.scan_all(), bus.sent), (None, 3));
        bus.sent = 0;
        assert_eq!((bus.scan_all(), bus.sent), (Some(10), 4));
        bus.sent = 0;
        assert_eq!((bus.scan_all(), bus.sent), (Some(10), 3));
        assert_eq!(bus.scan_all(), None);
        assert_eq!(bus.read(2, 0x2000, DeviceType::Temperature).as_deref(), Some("28.78"));
        assert_eq!((bus.scan_all(), bus.scan(1)), (None, Some(2)));
    }
}

#[test]
fn devices_that_keep_a_state() {
    let mut bus = Master::of("f-state.json", Quirks::STRICT);
    let words = [PowerWord::Off, PowerWord::Status, PowerWord::Cycle, PowerWord::On];
    let told: Vec<_> = words.into_iter().map(|word| bus.power(1, 1, word).unwrap()).collect();
    assert_eq!(told, ["64,0,0,0", "64,0,0,0", "64,0,0,0", "0,0,0,0"], "a cycle changes nothing");
    assert_eq!(bus.ask(Request::Fan { at: (1, 2), rpm: 1200 }).as_deref(), Some("W1"));
    assert_eq!(bus.read(1, 2, DeviceType::FanSpeed).as_deref(), Some("1200"));
    for (lit, told) in [(true, "1"), (false, "0")] {
        assert_eq!(bus.ask(Request::Light { at: (1, 3), lit }).as_deref(), Some("W1"));
        assert_eq!(bus.read(1, 3, DeviceType::Led).as_deref(), Some(told));
    }
    for word in [BootWord::Hdd, BootWord::Pxe, BootWord::NoOverride] {
        for word in [Some(word), None] {
            let frames = bus.run(Request::Boot { at: (1, 4), word }).unwrap();
            assert!(word.is_none_or(|word| reply::boot(&frames[0]) == Ok(word)));
        }
    }
    let mut light = |text: &str| bus.ask(Request::ChamberLight { at: (1, 5), text: text.to_owned() }).unwrap();
    assert_eq!(light("1,3,ffffff,0"), "1,ffffff,0");
    assert_eq!(light("0,4,00ff00,1"), "0,00ff00,1");
    assert_eq!(light("-1,3,-1,-1"), "1,ffffff,0", "one light a rack");
}

#[test]
fn a_rack_switches() {
    let mut bus = Master::of("rack.json", Quirks::STRICT);
    assert_eq!(bus.scan_all(), Some(3));
    let board = bus.bus.clone();
    assert_eq!((board.is_on(0x0a), board.is_on(0x0b), board.is_on(0x77)), (Some(true), Some(false), None));
    let status = bus.run(Request::Power { at: (0x0a, 0x0100), word: PowerWord::Status }).unwrap();
    match reply::power(&status[0], Quirks::STRICT).unwrap() {
        reply::Power::Supply(s) => {
            assert!(s.on && (s.watts - 180.0).abs() < 0.1 && (s.volts - 12.0).abs() < 0.1, "{s:?}");
            assert!((s.amperes - 15.0).abs() < 0.1, "{s:?}");
        }
        other @ reply::Power::Battery { .. } => panic!("{other:?}"),
    }
    assert_eq!(bus.power(0x0a, 0x0100, PowerWord::Off).as_deref(), Some("64,0,0,0"));
    // A relay that takes its time, and one that does not move.
    assert_eq!(bus.power(0x0b, 0x0100, PowerWord::On).as_deref(), Some("64,0,0,0"));
    std::thread::sleep(Duration::from_millis(350));
    assert_eq!(board.is_on(0x0b), Some(true));
    assert_eq!(board.command_line("board 0b stuck").unwrap(), "ok");
    bus.power(0x0b, 0x0100, PowerWord::Off).unwrap();
    std::thread::sleep(Duration::from_millis(350));
    assert_eq!(board.is_on(0x0b), Some(true));
    assert_eq!(bus.read(0x0c, 0x02ff, DeviceType::Temperature).as_deref(), Some("21.5"));
    board.command_line("board c gone").unwrap();
    assert_eq!((bus.scan(0x0c), bus.scan_all()), (None, Some(2)));
    assert_eq!(board.counters().switched["0000000b/0100 P0"], 1);
    for wrong in ["board 99 on", "board zz on", "board a jump", "fault x", "fault spoil many", "outlet 1", ""] {
        assert!(board.command_line(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_retry_repeats_the_answer_or_the_command() {
    let mut bus = Master::of("rack.json", Quirks::STRICT);
    let ask = |bus: &Master, board, device, data: &[u8], sequence| {
        let frame = Frame { sequence, kind: 0x40, board, device, data: data.to_vec() };
        let said = bus.bus.hear(&frame.encode().unwrap());
        Frame::decode(&said[0].bytes).unwrap()
    };
    for (board, device, executes) in [(0x0a, 0x0100, false), (0x0c, 0x01ff, true)] {
        ask(&bus, board, device, b"P1", 1);
        bus.bus.press(board, false);
        assert_eq!(ask(&bus, board, device, b"?", 2).sequence, 2);
        assert_eq!(bus.bus.is_on(board), Some(executes));
    }
    bus.bus.fault(|faults| faults.spoil = 1);
    assert_eq!(bus.version(0x0a).as_deref(), Some("rackfish sim 1"), "by a retry");
    bus.bus.fault(|faults| faults.noise = true);
    assert!(bus.version(0x0a).is_some());
    bus.bus.fault(|faults| (faults.noise, faults.stale) = (false, 1));
    assert!(bus.version(0x0a).is_some());
}

#[test]
fn a_wrapper_leads_to_its_data() {
    let loaded = file::load(&fixture("wrapper.json"), false).unwrap();
    assert_eq!(loaded.serial_device.as_deref(), Some(Path::new("/nonexistent/ttyVapor001")));
    let mut bus = Master { bus: SimBus::new(loaded), numbers: Sequence::default(), quirks: Quirks::STRICT, sent: 0 };
    assert_eq!(bus.scan_all(), Some(2));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    for (text, hint) in [
        ("{", "EOF"),
        ("{}", "neither a list `boards` nor a list `rack`"),
        (r#"{"boards": [{"devices": []}]}"#, "board 1: it has no text `board_id`"),
        (r#"{"boards": [{"board_id": "zz", "devices": []}]}"#, "no hexadecimal number"),
        (r#"{"boards": [{"board_id": "0A"}]}"#, "board 0A: it has neither `devices`"),
        (
            r#"{"boards": [{"board_id": "0A", "devices": [{"device_id": "1", "device_type": "led", "read": {"responses": [1]}}]}]}"#,
            "board 0A: device 1: read: `repeatable`",
        ),
        (
            r#"{"boards": [{"board_id": "0A", "devices": [{"device_id": "1", "device_type": "led", "read": 5}]}]}"#,
            "device 1: read: it has no `responses`",
        ),
        (r#"{"boards": [], "scanall": [{"initial": {"result": "error"}}]}"#, "`failed_board`"),
        (r#"{"rack": [{"board_id": "a", "colour": 1}]}"#, "colour"),
        (r#"{"emulator_data": "nowhere.json"}"#, "nowhere.json"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = file::load(&path, false).unwrap_err().to_string();
        assert!(error.contains(hint) && error.contains(".json"), "{text}: {error}");
    }
}
