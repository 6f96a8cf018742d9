//! Packets within a session: sealing and opening (IPMI 2.0, 13.6, 13.28.4, 13.29).

use super::{
    Bytes, Confidentiality, Integrity, Keys, Malformed,
    crypto::same,
    rmcp::{Payload, Plus, start_plus},
};

/// Next header byte behind the integrity pad: reserved, always this (13.6).
const NEXT_HEADER: u8 = 0x07;

/// A packet of a session, encrypted and authenticated as its suite says. `session` is the receiver's id; `iv` has
/// to be random.
pub fn seal(keys: &Keys, session: u32, sequence: u32, payload_type: Payload, payload: &[u8], iv: [u8; 16]) -> Vec<u8> {
    let mut kind = payload_type.bits();
    let encrypted;
    let body = match keys.suite.confidentiality {
        Confidentiality::None => payload,
        Confidentiality::AesCbc128 => {
            kind |= 0x80;
            encrypted = keys.encrypt(payload, iv);
            &encrypted
        }
    };
    if keys.suite.integrity != Integrity::None {
        kind |= 0x40;
    }
    let mut out = start_plus(kind, session, sequence, body.len());
    out.extend_from_slice(body);
    if keys.suite.integrity != Integrity::None {
        // The covered part, from authentication type to next header, is a multiple of 4 long.
        let covered = out.len() - RMCP_HEADER + 2;
        let pads = (4 - covered % 4) % 4;
        out.extend(std::iter::repeat_n(0xff, pads));
        out.push(u8::try_from(pads).unwrap_or(0));
        out.push(NEXT_HEADER);
        let code = keys.integrity(out.get(RMCP_HEADER..).unwrap_or_default());
        out.extend_from_slice(&code);
    }
    out
}

/// Length of the RMCP header, which the integrity code does not cover.
const RMCP_HEADER: usize = 4;

/// Checks and decrypts a packet of a session. A packet that is less protected than the suite asks is refused.
pub fn open(keys: &Keys, packet: &Plus<'_>) -> Result<Vec<u8>, Malformed> {
    let checked = keys.suite.integrity == Integrity::None
        || packet.authenticated && same(&keys.integrity(packet.covered), packet.trailer);
    if !checked {
        return Err(Malformed::Integrity("RMCP+ packet"));
    }
    match keys.suite.confidentiality {
        Confidentiality::None => Ok(packet.payload.to_vec()),
        Confidentiality::AesCbc128 if packet.encrypted => keys.decrypt(packet.payload),
        Confidentiality::AesCbc128 => Err(Malformed::Integrity("RMCP+ packet that should be encrypted")),
    }
}

/// Data of Set Session Privilege Level's answer: the level now in force.
pub fn granted_level(data: &[u8]) -> Result<u8, Malformed> {
    Bytes::new("Set Session Privilege Level", data).u8().map(|level| level & 0x0f)
}
