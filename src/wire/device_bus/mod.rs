//! The device bus of power-line boards, as OpenDCRE 1.x speaks it on its serial line: one master, many boards that
//! answer when they are asked.
//!
//! * [`Frame`]: the bytes of a frame. [`Receiver`]: frames out of a stream, noise and all.
//! * [`Sequence`]: the numbers that tie an answer to its request.
//! * [`Request`]: what can be asked. [`reply`]: what the answers say.
//! * [`Exchange`]: which frame follows which, until there is an answer or a reason why there is none. No clock: it says
//!   how long to listen, and is told what was heard.
//! * [`convert`]: raw readings in physical units.
//!
//! No firmware of boards or modem was ever published: this follows the master's side of OpenDCRE 1.3. Where its
//! behaviour is a quirk, [`Quirks`] names it by tag; strict is the default.
//!
//! Not here: the serial line and its lock (`drivers::plc_bus`), boards (`sim::plc_bus`).

mod command;
pub mod convert;
mod exchange;
mod frame;
mod quirks;
mod receiver;
pub mod reply;

#[cfg(test)]
mod tests;

pub use command::{BootWord, DeviceType, PowerWord, Request};
pub use exchange::{BusError, Exchange, RETRY_LIMIT, Step};
pub use frame::{Frame, FrameError, MAX_DATA, MAX_FRAME, MIN_FRAME};
pub use quirks::{Quirk, Quirks};
pub use receiver::{Heard, Receiver};

/// Bit of a board id: all boards answer a scan.
pub const SCAN_ALL: u32 = 0x8000_0000;
/// Bit of a board id: boards choose new reply slots (the repeat of a broadcast scan).
pub const SHUFFLE: u32 = 0x2000_0000;
/// Bit of a board id: boards keep the slots that worked. Nobody answers.
pub const SAVE: u32 = 0x1000_0000;
/// The largest number of a board: what is above are flags.
pub const MAX_BOARD: u32 = 0x00ff_ffff;
/// Device id of a frame that is about no device.
pub const NO_DEVICE: u16 = 0xffff;

/// Sequence numbers: 1, 2, ... 254, 0, 1, ...; 255 never occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence(u8);

impl Default for Sequence {
    fn default() -> Self {
        Self(1)
    }
}

impl Sequence {
    /// The next number.
    pub fn take(&mut self) -> u8 {
        let number = self.0;
        self.0 = if number >= 254 { 0 } else { number + 1 };
        number
    }
}

/// The two bytes by which a master calls itself in broadcast scans: the last four decimal digits of its MAC address,
/// read as hexadecimal. Boards are not known to look at them.
pub fn master_id(mac: u64) -> u16 {
    let digits = (mac & 0xffff_ffff_ffff) % 10_000;
    let nibble = |power: u64| u16::try_from(digits / power % 10).unwrap_or(0);
    nibble(1000) << 12 | nibble(100) << 8 | nibble(10) << 4 | nibble(1)
}
