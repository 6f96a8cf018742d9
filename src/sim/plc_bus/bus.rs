//! The wire: bytes in, bytes out, and what goes wrong between.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    file::{Boards, Loaded},
    rack::Change,
};
use crate::wire::device_bus::{Frame, Heard, Quirks, Receiver};

/// What is wrong with a bus. The numbers count down: so many more times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// Requests are not seen.
    pub lose_requests: u32,
    /// Requests are carried out and not answered.
    pub lose_answers: u32,
    /// The same, of commands that switch.
    pub lose_power_answers: u32,
    /// Answers have a wrong checksum.
    pub spoil: u32,
    /// Answers end in the middle.
    pub cut: u32,
    /// An answer to another request comes first.
    pub stale: u32,
    /// Bytes that mean nothing come before each answer.
    pub noise: bool,
    /// Any request starts a stream of bytes that does not end.
    pub babble: bool,
    /// Answers come that late.
    pub delay: Duration,
}

/// What a bus has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Requests, by the letter of their command.
    pub requests: BTreeMap<String, u64>,
    /// Bytes that were none.
    pub bad: u64,
    /// Commands that switched, carried out, by board and device: `0000000a/01ff P1`.
    pub switched: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct State {
    boards: Boards,
    receiver: Receiver,
    faults: Faults,
    counters: Counters,
    pulled: bool,
}

/// What goes out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub after: Duration,
    pub bytes: Vec<u8>,
    /// And nonsense after it, for as long as the fault lasts.
    pub babble: bool,
}

/// A simulated bus. Clones are the same bus.
#[derive(Debug, Clone)]
pub struct SimBus(Arc<Mutex<State>>);

impl SimBus {
    /// With the boards of a file.
    pub fn new(loaded: Loaded) -> Self {
        Self(Arc::new(Mutex::new(State {
            boards: loaded.boards,
            receiver: Receiver::new(Quirks::STRICT, None),
            faults: Faults::default(),
            counters: Counters::default(),
            pulled: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is wrong.
    pub fn fault(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state().faults);
    }

    /// What it has seen.
    pub fn counters(&self) -> Counters {
        self.state().counters.clone()
    }

    pub(super) fn babbles(&self) -> bool {
        self.state().faults.babble
    }

    /// The adapter is pulled, or put back.
    pub fn pull(&self, pulled: bool) {
        self.state().pulled = pulled;
    }

    pub(super) fn is_pulled(&self) -> bool {
        self.state().pulled
    }

    /// The master discarded, or a new one has the line.
    pub(super) fn fresh(&self) {
        self.state().receiver.restart(None);
    }

    /// Somebody at the rack presses a button; `false`: there is no such board, or it is not of a rack.
    pub fn press(&self, board: u32, on: bool) -> bool {
        self.change(board, Change::Press(on))
    }

    pub(super) fn change(&self, board: u32, change: Change) -> bool {
        match &mut self.state().boards {
            Boards::Rack(rack) => rack.change(board, change),
            Boards::Emulated(_) => false,
        }
    }

    /// Whether a board of a rack has power.
    pub fn is_on(&self, board: u32) -> Option<bool> {
        match &mut self.state().boards {
            Boards::Rack(rack) => rack.is_on(board, Instant::now()),
            Boards::Emulated(_) => None,
        }
    }

    /// Bytes come from the master.
    pub(super) fn hear(&self, bytes: &[u8]) -> Vec<Said> {
        let mut state = self.state();
        let mut said = Vec::new();
        for byte in bytes {
            match state.receiver.push(*byte) {
                Some(Heard::Frame(frame)) => said.extend(state.request(&frame)),
                Some(Heard::Bad(_)) => {
                    state.counters.bad += 1;
                    if let Boards::Emulated(emulator) = &mut state.boards {
                        emulator.spoilt();
                    }
                }
                None => {}
            }
        }
        said
    }
}

/// One time less; whether there was one.
fn used(count: &mut u32) -> bool {
    let is = *count > 0;
    *count = count.saturating_sub(1);
    is
}

impl State {
    fn request(&mut self, request: &Frame) -> Option<Said> {
        if used(&mut self.faults.lose_requests) {
            return None;
        }
        let letter = request.data.first().map(|byte| char::from(*byte).to_string()).unwrap_or_default();
        *self.counters.requests.entry(letter).or_default() += 1;
        let switches = matches!(request.data.as_slice(), b"P0" | b"P1" | b"PC");
        if switches {
            let word = String::from_utf8_lossy(&request.data).into_owned();
            let name = format!("{:08x}/{:04x} {word}", request.board, request.device);
            *self.counters.switched.entry(name).or_default() += 1;
        }
        let frames = match &mut self.boards {
            Boards::Emulated(emulator) => emulator.request(request),
            Boards::Rack(rack) => rack.request(request, Instant::now()),
        };
        if self.faults.babble {
            return Some(Said { babble: true, ..Said::default() });
        }
        if frames.is_empty()
            || (switches && used(&mut self.faults.lose_power_answers))
            || used(&mut self.faults.lose_answers)
        {
            return None;
        }
        let mut bytes = Vec::new();
        if self.faults.noise {
            bytes.extend([0x00, 0xff, 0x01, 0x0b, 0x33]);
        }
        if used(&mut self.faults.stale) {
            // Of a number that is not due before long, and saying the opposite of everything.
            bytes.extend(
                Frame::answer(request.sequence.wrapping_add(100), b"64,0,0,0".to_vec()).encode().unwrap_or_default(),
            );
        }
        let whole: Vec<u8> = frames.concat();
        if used(&mut self.faults.cut) {
            bytes.extend(whole.get(..whole.len() / 2).unwrap_or_default());
        } else if used(&mut self.faults.spoil) {
            let sum = whole.len().saturating_sub(2);
            bytes.extend(whole.iter().enumerate().map(|(at, byte)| if at == sum { byte ^ 0xff } else { *byte }));
        } else {
            bytes.extend(whole);
        }
        Some(Said { after: self.faults.delay, bytes, babble: false })
    }
}
