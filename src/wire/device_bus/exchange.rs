//! Which frame follows which: a request, its answer, and what is done about a bad one.
//!
//! A driver carries out the [`Step`]s and tells what it hears:
//!
//! * After a bad answer the request itself is sent again, with a new number each time, at most `retry_limit` times; silence
//!   ends the exchange. What changes something is never sent again.
//! * `?`, by which the original asks for an answer again, is never sent. To a board it means the last command that it has
//!   heard, which some carry out once more: after a read that it has not heard, that may be a power command.
//! * A scan ends with silence. When any of its frames is bad, all is thrown away, and the same frame is sent again after a
//!   pause, with the same number; a broadcast one with SHUFFLE. Noise is bad, too: it may have been a device. After a broadcast scan that went well, SAVE is sent.

use std::time::Duration;

use super::{
    MAX_BOARD, Quirk, Quirks, Request, SCAN_ALL, SHUFFLE, Sequence,
    frame::{Frame, FrameError},
    receiver::{Heard, Receiver},
};

/// Before a scan is repeated.
const SCAN_PAUSE: Duration = Duration::from_millis(150);
/// Most frames of a scan: more than any rack has devices.
const MAX_SCAN: usize = 4096;
/// Most bytes that are looked at in an exchange of one answer: a line that babbles is given up.
const MAX_BYTES: usize = 8 * super::MAX_FRAME;
/// The same for a scan.
const MAX_SCAN_BYTES: usize = MAX_SCAN * 32;
/// How often a request is sent again after a bad answer, or a scan is sent in all.
pub const RETRY_LIMIT: u8 = 3;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write this, all of it to the wire.
    Send {
        /// A frame.
        bytes: Vec<u8>,
        /// Throw away first what has come in.
        discard: bool,
    },
    /// Wait for bytes, at most the time-out; tell [`Exchange::heard`] or [`Exchange::silence`].
    Listen,
    /// Do nothing for that long.
    Pause(Duration),
    /// See [`Exchange::finish`].
    Done,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// Nothing came.
    #[error("no answer")]
    Silent,
    /// What came was bad, and the request must not be sent again.
    #[error("the answer is bad: {0}")]
    Bad(FrameError),
    /// What came was bad, and so was what came when it was asked for again.
    #[error("the answer is bad, and so it was when asked for again {times} times: {error}")]
    BadAgain {
        /// How often it was asked for again.
        times: u8,
        /// The last one.
        error: FrameError,
    },
    /// What came was bad, and nothing came when it was asked for again.
    #[error("the answer is bad, and no answer to the retry")]
    RetrySilent,
    /// A board scan brought devices of other boards alone.
    #[error("another board answers: {0:08x}")]
    Foreign(u32),
    /// A device of a scan has no type.
    #[error("the scan has an entry without a type: board {board:08x}, device {device:04x}")]
    NoType {
        /// Its board.
        board: u32,
        /// Its number.
        device: u16,
    },
    /// Bytes come and come.
    #[error("the line does not fall silent")]
    Babble,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    Listening,
    /// A scan's pause is over next.
    Repeat,
    /// SAVE is to be sent.
    Save,
    End,
}

/// One exchange, from request to outcome.
#[derive(Debug)]
pub struct Exchange {
    request: Request,
    quirks: Quirks,
    retry_limit: u8,
    stage: Stage,
    frame: Frame,
    receiver: Receiver,
    /// Requests and repeats that were sent.
    sent: u8,
    bytes: usize,
    frames: Vec<Frame>,
    foreign: Option<u32>,
    /// Why the request is to be sent again.
    bad: Option<FrameError>,
    outcome: Option<BusError>,
}

impl Exchange {
    /// `retry_limit`: how often a request is sent again after a bad answer, and how often a scan is sent in all.
    pub fn new(request: Request, quirks: Quirks, retry_limit: u8) -> Self {
        let frame = request.frame(0);
        let receiver = Receiver::new(quirks, None);
        Self {
            request,
            quirks,
            retry_limit,
            stage: Stage::Begin,
            frame,
            receiver,
            sent: 0,
            bytes: 0,
            frames: Vec::new(),
            foreign: None,
            bad: None,
            outcome: None,
        }
    }

    /// What is to be done next.
    pub fn next(&mut self, numbers: &mut Sequence) -> Step {
        match self.stage {
            Stage::Begin => {
                self.frame = self.request.frame(numbers.take());
                self.sent = 1;
                self.send(true)
            }
            Stage::Listening => match self.bad.take() {
                None => Step::Listen,
                Some(_) if self.request.is_scan() => {
                    self.stage = Stage::Repeat;
                    Step::Pause(SCAN_PAUSE)
                }
                Some(_) => {
                    self.frame.sequence = numbers.take();
                    self.sent = self.sent.saturating_add(1);
                    self.send(!self.quirks.has(Quirk::Q17))
                }
            },
            Stage::Repeat => {
                // The original pauses before it gives up, too.
                if self.sent >= self.retry_limit {
                    self.stage = Stage::End;
                    return Step::Done;
                }
                self.outcome = None;
                self.frames.clear();
                self.foreign = None;
                if matches!(self.request, Request::ScanAll { .. }) {
                    self.frame.board |= SCAN_ALL | SHUFFLE;
                }
                self.sent = self.sent.saturating_add(1);
                self.send(true)
            }
            Stage::Save => {
                self.stage = Stage::End;
                match Request::Save.frame(numbers.take()).encode() {
                    Ok(bytes) => Step::Send { bytes, discard: false },
                    Err(_) => Step::Done,
                }
            }
            Stage::End => Step::Done,
        }
    }

    fn send(&mut self, discard: bool) -> Step {
        let Ok(bytes) = self.frame.encode() else {
            // Callers keep texts short; what does not fit is not sent.
            self.end(Some(BusError::Bad(FrameError::Length)));
            return Step::Done;
        };
        self.stage = Stage::Listening;
        self.receiver.restart(Some(self.frame.sequence));
        self.bytes = 0;
        Step::Send { bytes, discard }
    }

    /// Bytes came.
    pub fn heard(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.stage != Stage::Listening || self.bad.is_some() {
                return; // what follows a bad answer is thrown away with it
            }
            self.bytes += 1;
            if self.bytes > if self.request.is_scan() { MAX_SCAN_BYTES } else { MAX_BYTES } {
                self.end(Some(BusError::Babble));
                return;
            }
            match self.receiver.push(*byte) {
                Some(Heard::Frame(frame)) => self.answered(frame),
                Some(Heard::Bad(error)) => self.spoilt(error),
                None => {}
            }
        }
    }

    /// Nothing came for the time-out.
    pub fn silence(&mut self) {
        if self.stage != Stage::Listening || self.bad.is_some() {
            return;
        }
        match self.receiver.silence() {
            Some(Heard::Bad(error)) => return self.spoilt(error),
            Some(Heard::Frame(frame)) => return self.answered(frame),
            None => {}
        }
        if let Some(error) = self.receiver.dropped().filter(|_| self.request.is_scan()) {
            return self.spoilt(error);
        }
        if self.request.is_scan() && !self.frames.is_empty() {
            self.end(None);
            if matches!(self.request, Request::ScanAll { .. }) {
                self.stage = Stage::Save;
            }
            return;
        }
        self.end(Some(match self.foreign {
            Some(board) => BusError::Foreign(board),
            None if self.sent > 1 => BusError::RetrySilent,
            None => BusError::Silent,
        }));
    }

    fn answered(&mut self, frame: Frame) {
        if !self.request.is_scan() {
            self.frames.push(frame);
            return self.end(None);
        }
        // It may have been a device: the list would lack it.
        if let Some(error) = self.receiver.skipped() {
            return self.spoilt(error);
        }
        let expected = match self.request {
            Request::Scan { board } => frame.board == board,
            _ => frame.board <= MAX_BOARD,
        };
        if !expected && !self.quirks.has(Quirk::Q18) {
            self.foreign = Some(frame.board);
            return;
        }
        if frame.data.is_empty() {
            return self.end(Some(BusError::NoType { board: frame.board, device: frame.device }));
        }
        if self.frames.len() >= MAX_SCAN {
            return self.end(Some(BusError::Babble));
        }
        self.frames.push(frame);
    }

    /// A bad answer.
    fn spoilt(&mut self, error: FrameError) {
        if self.request.is_scan() {
            let times = self.sent.saturating_sub(1);
            self.outcome = Some(BusError::BadAgain { times, error });
            self.bad = Some(error);
        } else if self.request.changes_something() {
            self.end(Some(BusError::Bad(error)));
        } else if self.sent > self.retry_limit {
            self.end(Some(BusError::BadAgain { times: self.sent.saturating_sub(1), error }));
        } else {
            self.bad = Some(error);
        }
    }

    fn end(&mut self, outcome: Option<BusError>) {
        self.outcome = outcome;
        self.stage = Stage::End;
    }

    /// Why there will be no answer, if that is decided while it still listens: none before [`Step::Done`].
    pub fn finish(self) -> Result<Vec<Frame>, BusError> {
        match self.outcome {
            Some(error) => Err(error),
            None => Ok(self.frames),
        }
    }

    /// The answer of an exchange that is no scan.
    pub fn answer(self) -> Result<Frame, BusError> {
        self.finish()?.into_iter().next().ok_or(BusError::Silent)
    }
}
