//! Which frame follows which.

use std::time::Duration;

use super::*;

/// A line on which a script answers: a text of bytes for each frame sent, empty for silence.
struct Line {
    numbers: Sequence,
    answers: Vec<Vec<u8>>,
    sent: Vec<(Vec<u8>, bool)>,
    paused: Duration,
}

impl Line {
    fn new(answers: Vec<Vec<u8>>) -> Self {
        Self { numbers: Sequence::default(), answers, sent: Vec::new(), paused: Duration::ZERO }
    }

    fn run(&mut self, mut exchange: Exchange) -> Result<Vec<Frame>, BusError> {
        let mut coming = Vec::new();
        for _ in 0..10_000 {
            match exchange.next(&mut self.numbers) {
                Step::Send { bytes, discard } => {
                    self.sent.push((bytes, discard));
                    coming = if self.answers.is_empty() { Vec::new() } else { self.answers.remove(0) };
                }
                Step::Listen if coming.is_empty() => exchange.silence(),
                Step::Listen => exchange.heard(&std::mem::take(&mut coming)),
                Step::Pause(time) => self.paused += time,
                Step::Done => return exchange.finish(),
            }
        }
        panic!("it does not end");
    }

    /// Data bytes of what was sent.
    fn said(&self) -> Vec<(u8, u32, String)> {
        let frames = self.sent.iter().map(|(bytes, _)| Frame::decode(bytes).unwrap());
        frames.map(|f| (f.sequence, f.board, String::from_utf8_lossy(&f.data).into_owned())).collect()
    }
}

fn good(sequence: u8, text: &str) -> Vec<u8> {
    Frame::answer(sequence, text.as_bytes().to_vec()).encode().unwrap()
}

fn bad(sequence: u8, text: &str) -> Vec<u8> {
    let mut bytes = good(sequence, text);
    let sum = bytes.len() - 2;
    bytes[sum] ^= 0xff;
    bytes
}

fn found(sequence: u8, board: u32, device: u16) -> Vec<u8> {
    Frame { sequence, kind: 0x9c, board, device, data: vec![0x9c] }.encode().unwrap()
}

fn read() -> Request {
    Request::Read { at: (1, 1), kind: DeviceType::Thermistor }
}

fn exchange(request: Request, quirks: Quirks) -> Exchange {
    Exchange::new(request, quirks, 3)
}

#[test]
fn after_a_bad_answer_a_read_is_sent_again() {
    for quirks in [Quirks::STRICT, Quirks::COMPAT] {
        let mut line = Line::new(vec![bad(1, "656"), good(2, "656")]);
        let answer = line.run(exchange(read(), quirks)).unwrap();
        assert_eq!(answer[0].data, b"656");
        assert_eq!(line.sent[1].0, read().frame(2).encode().unwrap(), "never `?`");
        assert_eq!(line.sent[1].1, quirks == Quirks::STRICT, "strict throws away what came in");
        // Three retries at most.
        let mut line = Line::new(vec![bad(1, "656"), bad(2, "656"), bad(3, "656"), bad(4, "656"), good(5, "656")]);
        let failed = line.run(exchange(read(), quirks)).unwrap_err();
        assert_eq!((failed, line.sent.len()), (BusError::BadAgain { times: 3, error: FrameError::Checksum }, 4));
        let mut line = Line::new(vec![bad(1, "656"), Vec::new()]);
        assert_eq!(line.run(exchange(read(), quirks)), Err(BusError::RetrySilent));
        let mut line = Line::new(vec![]);
        assert_eq!((line.run(exchange(read(), quirks)), line.sent.len()), (Err(BusError::Silent), 1));
    }
}

#[test]
fn a_command_is_never_repeated() {
    for request in [
        Request::Power { at: (1, 1), word: PowerWord::Cycle },
        Request::Power { at: (1, 1), word: PowerWord::On },
        Request::Light { at: (1, 1), lit: true },
        Request::Fan { at: (1, 1), rpm: 1 },
        Request::Boot { at: (1, 1), word: Some(BootWord::Pxe) },
    ] {
        let mut line = Line::new(vec![bad(1, "0,0,0,0"), good(2, "0,0,0,0")]);
        let outcome = line.run(exchange(request, Quirks::COMPAT));
        assert_eq!((outcome, line.sent.len()), (Err(BusError::Bad(FrameError::Checksum)), 1));
    }
    let status = Request::Power { at: (1, 1), word: PowerWord::Status };
    let mut line = Line::new(vec![bad(1, "0,0,0,0"), good(2, "0,0,0,0")]);
    assert!(line.run(exchange(status, Quirks::STRICT)).is_ok());
}

#[test]
fn a_stale_answer() {
    let both = [good(200, "1"), good(1, "656")].concat();
    let mut line = Line::new(vec![both.clone()]);
    assert_eq!(line.run(exchange(read(), Quirks::STRICT)).unwrap()[0].data, b"656");
    assert_eq!(line.sent.len(), 1, "it is dropped");
    let mut line = Line::new(vec![both, good(2, "656")]);
    assert!(line.run(exchange(read(), Quirks::COMPAT)).is_ok());
    assert_eq!(line.sent.len(), 2, "Q-14: it spoils the one after it");
    let mut line = Line::new(vec![good(200, "1")]);
    assert_eq!(line.run(exchange(read(), Quirks::COMPAT)), Err(BusError::Silent));
}

#[test]
fn noise() {
    let after = |noise: &[u8]| [noise, &good(1, "656"), &[0x0b, 0x0c, 0x0d]].concat();
    for noise in [[0_u8, 2, 3].as_slice(), &[], &[0xff; 40]] {
        for quirks in [Quirks::STRICT, Quirks::COMPAT] {
            let mut line = Line::new(vec![after(noise)]);
            assert_eq!(line.run(exchange(read(), quirks)).unwrap()[0].data, b"656", "{noise:?}");
        }
    }
    // What looks like a header costs the original a retry; we look behind it.
    for noise in [[1_u8].as_slice(), &[1, 1], &[1, 0x0b], &[1, 0x0e, 1]] {
        let mut line = Line::new(vec![after(noise)]);
        assert_eq!(line.run(exchange(read(), Quirks::STRICT)).unwrap()[0].data, b"656", "{noise:?}");
        assert_eq!(line.sent.len(), 1);
    }
    let mut line = Line::new(vec![after(&[1]), good(2, "656")]);
    assert!(line.run(exchange(read(), Quirks::COMPAT)).is_ok());
    assert_eq!(line.sent.len(), 2);
}

#[test]
fn a_frame_cut_short() {
    let cut = good(1, "656")[..10].to_vec();
    let mut line = Line::new(vec![cut.clone(), good(2, "656")]);
    assert!(line.run(exchange(read(), Quirks::STRICT)).is_ok());
    let mut line = Line::new(vec![cut, good(2, "656")]);
    assert_eq!(line.run(exchange(read(), Quirks::COMPAT)), Err(BusError::Silent), "Q-16");
}

#[test]
fn a_line_that_babbles_is_given_up() {
    let endless = std::iter::repeat_n([0xff, 1, 9], 30_000).flatten().collect::<Vec<u8>>();
    let mut line = Line::new(vec![endless.clone(), endless.clone(), endless.clone(), endless.clone()]);
    assert!(line.run(exchange(read(), Quirks::STRICT)).is_err());
    let frames = std::iter::repeat_n(found(1, 1, 1), 5000).flatten().collect::<Vec<u8>>();
    let mut line = Line::new(vec![frames]);
    assert_eq!(line.run(exchange(Request::Scan { board: 1 }, Quirks::STRICT)), Err(BusError::Babble));
}

#[test]
fn a_board_scan() {
    let scan = || exchange(Request::Scan { board: 1 }, Quirks::STRICT);
    let mut line = Line::new(vec![[found(1, 1, 1), found(1, 1, 2)].concat()]);
    assert_eq!(line.run(scan()).unwrap().len(), 2);
    // Bad: everything is thrown away and asked for once more, with the same number.
    let mut line = Line::new(vec![[found(1, 1, 1), bad(1, "x")].concat(), found(1, 1, 2)]);
    assert_eq!(line.run(scan()).unwrap().len(), 1);
    assert_eq!(line.sent[0].0, line.sent[1].0);
    assert_eq!(line.paused, Duration::from_millis(150));
    let mut line = Line::new(vec![bad(1, "x"), bad(1, "x"), bad(1, "x"), found(1, 1, 1)]);
    assert_eq!(line.run(scan()), Err(BusError::BadAgain { times: 2, error: FrameError::Checksum }));
    assert_eq!((line.sent.len(), line.paused), (3, Duration::from_millis(450)));
    // A device that is spoilt between two good ones is missed, too.
    let mut line = Line::new(vec![
        [found(1, 1, 1), bad(1, "x"), found(1, 1, 3)].concat(),
        [found(1, 1, 1), found(1, 1, 2), found(1, 1, 3)].concat(),
    ]);
    assert_eq!(line.run(scan()).unwrap().len(), 3);
    // Another board answers: Q-18.
    let mut line = Line::new(vec![found(1, 2, 1)]);
    assert_eq!(line.run(scan()), Err(BusError::Foreign(2)));
    let mut line = Line::new(vec![found(1, 2, 1)]);
    assert!(line.run(exchange(Request::Scan { board: 1 }, Quirks::COMPAT)).is_ok());
}

#[test]
fn a_scan_whose_entry_is_spoilt_is_sent_again() {
    let scan = || exchange(Request::Scan { board: 1 }, Quirks::STRICT);
    let all = || [found(1, 1, 1), found(1, 1, 2), found(1, 1, 3)].concat();
    // Whichever byte of whichever entry is changed: none is missed.
    for entry in 0..3 {
        let size = found(1, 1, 1).len();
        for at in 0..size {
            for value in [0_u8, 3, 8] {
                let mut bytes = all();
                if bytes[entry * size + at] == value {
                    continue;
                }
                bytes[entry * size + at] = value;
                let mut line = Line::new(vec![bytes, all()]);
                let frames = line.run(scan()).map(|frames| frames.len());
                assert_eq!((frames, line.sent.len()), (Ok(3), 2), "entry {entry}, byte {at}: {value}");
            }
        }
    }
    // The line was not dead a moment ago.
    let mut line = Line::new(vec![bad(1, "x"), Vec::new()]);
    assert_eq!(line.run(scan()), Err(BusError::RetrySilent));
    // A device of no type is no device.
    let none = Frame { sequence: 1, kind: 0x9c, board: 1, device: 2, data: Vec::new() }.encode().unwrap();
    let mut line = Line::new(vec![[found(1, 1, 1), none].concat()]);
    assert_eq!(line.run(scan()), Err(BusError::NoType { board: 1, device: 2 }));
}

#[test]
fn an_answer_that_noise_has_claimed() {
    for noise in [[1_u8, 0xff].as_slice(), &[1, 0x20], &[1, 0xff, 1, 0x40], &[1, 2, 3], &[1, 1, 0xff, 7]] {
        for request in [read(), Request::Power { at: (1, 1), word: PowerWord::On }] {
            let mut line = Line::new(vec![[noise, &good(1, "656")].concat()]);
            let answer = line.run(exchange(request, Quirks::STRICT)).unwrap();
            assert_eq!((answer[0].data.as_slice(), line.sent.len()), (b"656".as_slice(), 1), "{noise:?}");
        }
    }
    let mut short = good(1, "656");
    short[1] = 3;
    let mut line = Line::new(vec![short, good(2, "656")]);
    assert!(line.run(exchange(read(), Quirks::STRICT)).is_ok(), "a length that none can have is no silence");
}

#[test]
fn a_scan_of_all() {
    let scan = || exchange(Request::ScanAll { master: 0x4145, time_slice: 75 }, Quirks::STRICT);
    let mut line = Line::new(vec![bad(1, "x"), [found(1, 1, 1), found(1, 2, 1), found(1, 0x1234_5678, 1)].concat()]);
    assert_eq!(line.run(scan()).unwrap().len(), 2, "an id with flags is none");
    let d = |number, board| (number, board, "D".to_owned());
    assert_eq!(line.said(), [d(1, 0x8041_454b), d(1, 0xa041_454b), d(2, 0x9000_0000)]);
    let mut line = Line::new(vec![]);
    assert_eq!((line.run(scan()), line.sent.len()), (Err(BusError::Silent), 1), "nothing to save");
}
