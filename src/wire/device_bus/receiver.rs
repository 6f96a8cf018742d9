//! Frames out of a stream of bytes: noise before and between them, answers to earlier requests, frames cut short.

use super::{
    Quirk, Quirks,
    frame::{Frame, FrameError, HEADER, LEAST_LENGTH},
};

/// What the stream brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A frame with the expected number.
    Frame(Frame),
    /// Bytes that had the look of a frame and are none.
    Bad(FrameError),
}

/// Bounded: it holds at most one frame, whatever comes.
#[derive(Debug, Clone, Default)]
pub struct Receiver {
    quirks: Quirks,
    /// Number that a frame must have; `None`: any.
    expected: Option<u8>,
    bytes: Vec<u8>,
    /// Something was rejected, and what follows it may still be a frame.
    rejected: Option<FrameError>,
    /// Bytes that can begin no frame were dropped: noise, or a frame whose first two bytes were changed.
    dropped: Option<FrameError>,
    /// What was rejected or dropped before the last frame.
    skipped: Option<FrameError>,
    /// a stale frame was read, and the next one is appended to it.
    poisoned: bool,
}

impl Receiver {
    /// For any number, or that one.
    pub fn new(quirks: Quirks, expected: Option<u8>) -> Self {
        Self { quirks, expected, ..Self::default() }
    }

    /// Forgets what it holds; from now on that number is expected.
    pub fn restart(&mut self, expected: Option<u8>) {
        *self = Self::new(self.quirks, expected);
    }

    /// Takes one byte.
    pub fn push(&mut self, byte: u8) -> Option<Heard> {
        self.bytes.push(byte);
        self.parse()
    }

    /// What was rejected or dropped right before the frame that was told last: noise, or another frame that was spoilt.
    pub fn skipped(&self) -> Option<FrameError> {
        self.skipped
    }

    /// What was dropped since the last frame, noise included.
    pub fn dropped(&self) -> Option<FrameError> {
        self.dropped
    }

    /// Nothing more came for as long as one may wait. What is left is no frame, but one may be hidden in it: noise that
    /// looks like a header claims what follows it.
    pub fn silence(&mut self) -> Option<Heard> {
        let cut = !self.bytes.is_empty() && !self.quirks.has(Quirk::Q16);
        let cut = cut.then_some(FrameError::Short);
        let rejected = self.rejected.or(cut).or(self.dropped.filter(|error| *error == FrameError::Length));
        // A byte less each time, and at most a frame is held.
        while !self.bytes.is_empty() && !self.quirks.has(Quirk::Q23) {
            self.bytes.remove(0);
            self.rejected = self.rejected.or(Some(FrameError::Short));
            if let Some(Heard::Frame(frame)) = self.parse() {
                return Some(Heard::Frame(frame));
            }
        }
        self.bytes.clear();
        self.poisoned = false;
        self.rejected = None;
        rejected.map(Heard::Bad)
    }

    fn parse(&mut self) -> Option<Heard> {
        loop {
            let start = self.bytes.iter().position(|byte| *byte == HEADER).unwrap_or(self.bytes.len());
            self.bytes.drain(..start);
            if start > 0 && !self.quirks.has(Quirk::Q23) {
                self.dropped = self.dropped.or(Some(FrameError::Header));
            }
            let [_, rest @ ..] = self.bytes.as_slice() else {
                // Noise alone, or nothing that could still be a frame after what was rejected.
                return self.rejected.take().map(Heard::Bad);
            };
            let length = *rest.first()?;
            if length < LEAST_LENGTH && !self.quirks.has(Quirk::Q23) {
                // Not told at once: what follows may be the answer.
                self.dropped = Some(FrameError::Length);
                self.bytes.remove(0);
                continue;
            }
            // After a rejection most bytes that look like a header are none: the number tells.
            let foreign = match (rest.get(1), self.expected) {
                (Some(number), Some(expected)) => *number != expected,
                _ => false,
            };
            if self.rejected.is_some() && foreign {
                self.bytes.remove(0);
                continue;
            }
            let size = usize::from(length) + 3;
            let whole = self.bytes.get(..size)?;
            match Frame::decode(whole) {
                Ok(_) if self.poisoned => {
                    self.poisoned = false;
                    self.bytes.drain(..size);
                    return Some(Heard::Bad(FrameError::Length));
                }
                Ok(frame) if foreign => {
                    // An answer to an earlier request.
                    drop(frame);
                    self.poisoned = self.quirks.has(Quirk::Q14);
                    self.bytes.drain(..size);
                }
                Ok(frame) => {
                    let dropped = self.dropped.take();
                    self.skipped = self.rejected.take().or(dropped);
                    self.bytes.drain(..size);
                    return Some(Heard::Frame(frame));
                }
                Err(error) if self.quirks.has(Quirk::Q23) => {
                    self.poisoned = false;
                    self.bytes.drain(..size);
                    return Some(Heard::Bad(error));
                }
                Err(error) => {
                    self.rejected = self.rejected.or(Some(error));
                    self.bytes.remove(0);
                }
            }
        }
    }
}
