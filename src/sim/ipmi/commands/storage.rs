//! Network function Storage: FRU, SDR repository, log.

use super::{Answer, Request, State, code};

/// SDR pieces are at most this long: enough to show that clients read in pieces.
const LONGEST_PIECE: usize = 32;
/// Entries that the log has room for.
const LOG_ROOM: usize = 512;
/// When the records were last changed: a date that does not change.
const STAMP: u32 = 1_700_000_000;

pub(super) fn answer(state: &mut State, request: Request<'_>) -> Answer {
    match request.command {
        0x10 if request.byte(0)? == 0 => {
            let [low, high] = u16::try_from(state.fru.len()).unwrap_or(u16::MAX).to_le_bytes();
            Ok(vec![low, high, 0])
        }
        0x11 if request.byte(0)? == 0 => {
            let from = usize::from(request.word(1)?);
            let count = usize::from(request.byte(3)?);
            let data = state.fru.get(from..).ok_or(0xc9)?;
            let data = data.get(..count).unwrap_or(data);
            Ok([&[u8::try_from(data.len()).unwrap_or(u8::MAX)], data].concat())
        }
        0x10 | 0x11 => Err(code::NOT_PRESENT),
        0x20 => {
            let mut out = vec![0x51];
            out.extend_from_slice(&count(state.sensors.len()));
            out.extend_from_slice(&[0x00, 0x10]);
            out.extend_from_slice(&STAMP.to_le_bytes());
            out.extend_from_slice(&STAMP.to_le_bytes());
            out.push(0x02); // reservations
            Ok(out)
        }
        0x22 => {
            state.reservation = state.reservation.wrapping_add(1).max(1);
            Ok(state.reservation.to_le_bytes().to_vec())
        }
        0x23 => sdr(state, request),
        0x40 => {
            let free = (LOG_ROOM - state.log.len().min(LOG_ROOM)) * 16;
            let mut out = vec![0x51];
            out.extend_from_slice(&count(state.log.len()));
            out.extend_from_slice(&count(free));
            out.extend_from_slice(&STAMP.to_le_bytes());
            out.extend_from_slice(&STAMP.to_le_bytes());
            out.push(0x02);
            Ok(out)
        }
        0x42 => {
            state.log_reservation = state.log_reservation.wrapping_add(1).max(1);
            Ok(state.log_reservation.to_le_bytes().to_vec())
        }
        0x43 => entry(state, request),
        0x47 => {
            if request.word(0)? != state.log_reservation {
                return Err(code::RESERVATION);
            }
            if request.data.get(2..5) != Some(b"CLR") {
                return Err(code::BAD_FIELD);
            }
            if request.byte(5)? == 0xaa {
                state.log.clear();
            }
            Ok(vec![0x01])
        }
        // SEL time: now. Setting it is accepted, and the clock is right anyway.
        0x48 => Ok(crate::sim::ipmi::bmc::unix_seconds().to_le_bytes().to_vec()),
        0x49 => Ok(Vec::new()),
        _ => Err(code::INVALID_COMMAND),
    }
}

fn count(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes()
}

/// Get SDR. Pieces need a reservation.
fn sdr(state: &State, request: Request<'_>) -> Answer {
    let (reservation, id) = (request.word(0)?, request.word(2)?);
    let (offset, length) = (usize::from(request.byte(4)?), usize::from(request.byte(5)?));
    if offset > 0 && reservation != state.reservation {
        return Err(code::RESERVATION);
    }
    let index = match id {
        0 => 0,
        0xffff => state.sensors.len().saturating_sub(1),
        _ => usize::from(id) - 1,
    };
    let record = &state.sensors.get(index).ok_or(code::NOT_PRESENT)?.record;
    let rest = record.get(offset..).ok_or(0xc9)?;
    let length = if length == 0xff { rest.len() } else { length.min(rest.len()) };
    if length > LONGEST_PIECE {
        return Err(code::TOO_MUCH);
    }
    let next = if index + 1 < state.sensors.len() { count(index + 2) } else { [0xff, 0xff] };
    Ok([&next, rest.get(..length).unwrap_or_default()].concat())
}

/// Get SEL Entry.
fn entry(state: &State, request: Request<'_>) -> Answer {
    let id = request.word(2)?;
    let at = |entry: &[u8; 16]| u16::from_le_bytes([entry[0], entry[1]]);
    let index = match id {
        0 => 0,
        0xffff => state.log.len().saturating_sub(1),
        _ => state.log.iter().position(|entry| at(entry) == id).ok_or(code::NOT_PRESENT)?,
    };
    let found = state.log.get(index).ok_or(code::NOT_PRESENT)?;
    let next = state.log.get(index + 1).map_or([0xff, 0xff], |entry| at(entry).to_le_bytes());
    let from = usize::from(request.byte(4)?);
    let length = usize::from(request.byte(5)?);
    let rest = found.get(from..).ok_or(0xc9)?;
    let rest = rest.get(..length).unwrap_or(rest);
    Ok([&next, rest].concat())
}
