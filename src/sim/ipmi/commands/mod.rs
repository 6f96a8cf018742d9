//! What a simulated BMC answers to every command: completion code, then data.

mod app;
mod chassis;
mod sensor;
mod storage;

use std::time::Instant;

use super::bmc::State;

/// Completion codes (IPMI 2.0, table 5-2).
pub(super) mod code {
    pub const OK: u8 = 0x00;
    pub const BUSY: u8 = 0xc0;
    pub const INVALID_COMMAND: u8 = 0xc1;
    pub const BAD_LENGTH: u8 = 0xc7;
    pub const TOO_MUCH: u8 = 0xca;
    pub const NOT_PRESENT: u8 = 0xcb;
    pub const BAD_FIELD: u8 = 0xcc;
    pub const RESERVATION: u8 = 0xc5;
    pub const PRIVILEGE: u8 = 0xd4;
}

/// An answer: data, or a completion code that says why not.
pub(super) type Answer = Result<Vec<u8>, u8>;

/// Who asks.
pub(super) struct Asker {
    /// The session's id; `None` outside a session.
    pub(super) session: Option<u32>,
    /// The privilege level in force; 0 outside a session.
    pub(super) level: u8,
}

/// A request.
#[derive(Clone, Copy)]
pub(super) struct Request<'r> {
    pub(super) netfn: u8,
    pub(super) command: u8,
    pub(super) data: &'r [u8],
}

impl Request<'_> {
    /// The byte at `index` of the data; too short is the code for that.
    pub(super) fn byte(&self, index: usize) -> Result<u8, u8> {
        self.data.get(index).copied().ok_or(code::BAD_LENGTH)
    }

    /// Two bytes from `index` on.
    pub(super) fn word(&self, index: usize) -> Result<u16, u8> {
        Ok(u16::from_le_bytes([self.byte(index)?, self.byte(index + 1)?]))
    }
}

/// Privilege level that a command needs: 3 (operator) for what changes something, 2 (user) otherwise; 0 for what
/// is answered outside a session (IPMI 2.0, appendix G).
fn needed(request: &Request<'_>) -> u8 {
    match (request.netfn, request.command) {
        (0x06, 0x38 | 0x54 | 0x37) => 0,
        (0x00, 0x02 | 0x04 | 0x06 | 0x08) | (0x0a, 0x47 | 0x49) | (0x04, 0x26) => 3,
        (0x06, 0x02 | 0x03) => 4,
        _ => 2,
    }
}

/// Answers a request: completion code and data.
pub(super) fn answer(state: &mut State, asker: &Asker, request: Request<'_>, now: Instant) -> Vec<u8> {
    let result = if asker.level < needed(&request) {
        Err(code::PRIVILEGE)
    } else {
        match request.netfn {
            0x00 => chassis::answer(state, request, now),
            0x04 => sensor::answer(state, request),
            0x06 => app::answer(state, asker, request, now),
            0x0a => storage::answer(state, request),
            0x2c => dcmi(state, request),
            _ => Err(code::INVALID_COMMAND),
        }
    };
    match result {
        Ok(data) => [&[code::OK], data.as_slice()].concat(),
        Err(code) => vec![code],
    }
}

/// DCMI 1.5, 6.6.1: power reading. Other groups (PICMG, VITA) are not there.
fn dcmi(state: &State, request: Request<'_>) -> Answer {
    const GROUP: u8 = 0xdc;
    if request.data.first() != Some(&GROUP) || request.command != 0x02 {
        return Err(code::INVALID_COMMAND);
    }
    if request.byte(1)? != 1 {
        return Err(code::BAD_FIELD);
    }
    let (on, off) = state.config.watts;
    let watts = if state.machine.is_on() { on } else { off };
    let mut out = vec![GROUP];
    for value in [watts, off, on, watts] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&super::bmc::unix_seconds().to_le_bytes());
    out.extend_from_slice(&1000u32.to_le_bytes());
    out.push(0x40); // measuring
    Ok(out)
}
