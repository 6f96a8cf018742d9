//! Network function App.

use std::time::Instant;

use super::{Answer, Asker, Request, State, code};
use crate::wire::ipmi::Suite;

/// Channel number of the LAN.
const CHANNEL: u8 = 1;
/// "Maker" of simulated BMCs: the enterprise number that IANA keeps for examples (RFC 5612).
const MAKER: u32 = 32473;
/// Device support: FRU, SEL, SDR repository, sensors, chassis.
const SUPPORT: u8 = 0x8f;

pub(super) fn answer(state: &mut State, asker: &Asker, request: Request<'_>, now: Instant) -> Answer {
    match request.command {
        // Get Device ID: device 1, revision 1, firmware 1.05, IPMI 2.0.
        0x01 => {
            let [a, b, c, _] = MAKER.to_le_bytes();
            Ok(vec![0x01, 0x01, 0x01, 0x05, 0x02, SUPPORT, a, b, c, 0x01, 0x00, 0, 0, 0, 0])
        }
        // Get Self Test Results: passed.
        0x04 => Ok(vec![0x55, 0x00]),
        // Get System GUID.
        0x37 => Ok(state.config.guid.to_vec()),
        // Get Channel Authentication Capabilities: nothing but RMCP+, users with names.
        0x38 => {
            let kg = if state.config.kg.is_some() { 0x20 } else { 0 };
            Ok(vec![CHANNEL, 0x80, 0x04 | kg, 0x02, 0, 0, 0, 0])
        }
        0x3b => privilege(state, asker, request, now),
        0x3c => {
            let low = u32::from(request.word(0)?);
            let high = u32::from(request.word(2)?);
            if state.sessions.close(high << 16 | low) { Ok(Vec::new()) } else { Err(0x87) }
        }
        // Get Channel Info: LAN, multi-session.
        0x42 => Ok(vec![CHANNEL, 0x04, 0x01, 0x80, 0xf2, 0x1b, 0, 0, 0]),
        0x54 => suites(state, request),
        _ => Err(code::INVALID_COMMAND),
    }
}

/// Set Session Privilege Level; 0 asks for the present one.
fn privilege(state: &mut State, asker: &Asker, request: Request<'_>, now: Instant) -> Answer {
    let level = request.byte(0)? & 0x0f;
    let session = asker.session.and_then(|id| state.sessions.active(id, now)).ok_or(code::PRIVILEGE)?;
    if level > session.highest {
        return Err(0x81);
    }
    if level > 0 {
        session.level = level;
    }
    Ok(vec![session.level])
}

/// Get Channel Cipher Suites: records of suite number and tagged algorithms, 16 bytes at a time (22.15).
fn suites(state: &State, request: Request<'_>) -> Answer {
    let index = usize::from(request.byte(2)? & 0x3f);
    let mut records = Vec::new();
    for id in &state.config.suites {
        let Some(suite) = Suite::from_id(*id) else { continue };
        let [auth, integrity, confidentiality] = suite.algorithms();
        records.extend_from_slice(&[0xc0, *id, auth, 0x40 | integrity, 0x80 | confidentiality]);
    }
    let mut out = vec![CHANNEL];
    out.extend(records.iter().skip(index * 16).take(16));
    Ok(out)
}
