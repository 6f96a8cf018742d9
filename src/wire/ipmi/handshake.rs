//! The login: Open Session and RAKP 1 to 4 (IPMI 2.0, 13.17 to 13.24).
//!
//! Codec and arithmetic only; who sends what when is the driver's and the simulator's.

use zeroize::Zeroizing;

use super::{Auth, Bytes, Keys, Malformed, Suite, UserKey, crypto::same};

/// Status codes of Open Session Response, RAKP 2, 3 and 4 (table 13-15).
pub mod status {
    #![allow(missing_docs)] // the specification's words
    pub const OK: u8 = 0x00;
    pub const NO_RESOURCES: u8 = 0x01;
    pub const BAD_SESSION_ID: u8 = 0x02;
    pub const BAD_AUTH_ALGORITHM: u8 = 0x04;
    pub const BAD_INTEGRITY_ALGORITHM: u8 = 0x05;
    pub const INACTIVE_SESSION_ID: u8 = 0x08;
    pub const BAD_ROLE: u8 = 0x09;
    pub const UNAUTHORIZED_ROLE: u8 = 0x0a;
    pub const NO_RESOURCES_AT_ROLE: u8 = 0x0b;
    pub const BAD_NAME_LENGTH: u8 = 0x0c;
    pub const UNAUTHORIZED_NAME: u8 = 0x0d;
    pub const BAD_CHECK_VALUE: u8 = 0x0f;
    pub const BAD_CONFIDENTIALITY_ALGORITHM: u8 = 0x10;
    pub const NO_CIPHER_SUITE: u8 = 0x11;
    pub const ILLEGAL_PARAMETER: u8 = 0x12;
}

/// A status code in words.
pub fn status_text(code: u8) -> &'static str {
    match code {
        0x00 => "no errors",
        0x01 => "insufficient resources to create a session",
        0x02 => "invalid session id",
        0x03 => "invalid payload type",
        0x04 => "invalid authentication algorithm",
        0x05 => "invalid integrity algorithm",
        0x06 => "no matching authentication payload",
        0x07 => "no matching integrity payload",
        0x08 => "inactive session id",
        0x09 => "invalid role",
        0x0a => "unauthorized role or privilege level",
        0x0b => "insufficient resources to create a session at that role",
        0x0c => "invalid name length",
        0x0d => "unauthorized name",
        0x0e => "unauthorized GUID",
        0x0f => "invalid integrity check value",
        0x10 => "invalid confidentiality algorithm",
        0x11 => "no cipher suite matches the proposed algorithms",
        0x12 => "illegal or unrecognised parameter",
        _ => "unknown status",
    }
}

/// RAKP 1's role byte: look the user up by name alone (13.20, byte 25 bit 4), with that highest level.
pub fn role_byte(level: u8) -> u8 {
    0x10 | level & 0x0f
}

/// Open Session Request (13.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRequest {
    /// Message tag.
    pub tag: u8,
    /// Highest privilege level asked for; 0: the highest that the suite allows.
    pub level: u8,
    /// The console's session id.
    pub console: u32,
    /// Algorithm numbers proposed: authentication, integrity, confidentiality.
    pub algorithms: [u8; 3],
}

impl OpenRequest {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, self.level & 0x0f, 0, 0];
        out.extend_from_slice(&self.console.to_le_bytes());
        push_algorithms(&mut out, self.algorithms);
        out
    }

    /// From bytes.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("Open Session Request", data);
        let [tag, level, _, _] = bytes.array()?;
        let console = bytes.u32()?;
        Ok(Self { tag, level: level & 0x0f, console, algorithms: take_algorithms(&mut bytes)? })
    }
}

fn push_algorithms(out: &mut Vec<u8>, algorithms: [u8; 3]) {
    for (kind, algorithm) in (0u8..).zip(algorithms) {
        out.extend_from_slice(&[kind, 0, 0, 8, algorithm, 0, 0, 0]);
    }
}

fn take_algorithms(bytes: &mut Bytes<'_>) -> Result<[u8; 3], Malformed> {
    let mut algorithms = [0; 3];
    for (expected, algorithm) in (0u8..).zip(&mut algorithms) {
        let [kind, _, _, _, value, _, _, _] = bytes.array()?;
        if kind != expected {
            return Err(Malformed::Value { what: "algorithm payload", value: kind.into() });
        }
        *algorithm = value & 0x3f;
    }
    Ok(algorithms)
}

/// Open Session Response (13.18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenResponse {
    /// A session was opened.
    Opened {
        /// Tag of the request.
        tag: u8,
        /// Highest privilege level.
        level: u8,
        /// The console's session id.
        console: u32,
        /// The BMC's session id.
        bmc: u32,
        /// Algorithm numbers chosen.
        algorithms: [u8; 3],
    },
    /// It was not. May have come as two bytes only.
    Refused {
        /// Tag of the request.
        tag: u8,
        /// Why: a code of [`status`].
        status: u8,
        /// The console's session id, as far as it was told.
        console: u32,
    },
}

impl OpenResponse {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Opened { tag, level, console, bmc, algorithms } => {
                let mut out = vec![tag, status::OK, level & 0x0f, 0];
                out.extend_from_slice(&console.to_le_bytes());
                out.extend_from_slice(&bmc.to_le_bytes());
                push_algorithms(&mut out, algorithms);
                out
            }
            Self::Refused { tag, status, console } => {
                let mut out = vec![tag, status, 0, 0];
                out.extend_from_slice(&console.to_le_bytes());
                out
            }
        }
    }

    /// From bytes.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("Open Session Response", data);
        let [tag, status] = bytes.array()?;
        if status != status::OK {
            let console = bytes.skip(2).and_then(|()| bytes.u32()).unwrap_or(0);
            return Ok(Self::Refused { tag, status, console });
        }
        let [level, _] = bytes.array()?;
        let console = bytes.u32()?;
        let bmc = bytes.u32()?;
        Ok(Self::Opened { tag, level: level & 0x0f, console, bmc, algorithms: take_algorithms(&mut bytes)? })
    }
}

/// RAKP message 1 (13.20).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp1 {
    /// Message tag.
    pub tag: u8,
    /// The BMC's session id.
    pub bmc: u32,
    /// The console's random number.
    pub random: [u8; 16],
    /// Role byte, see [`role_byte`].
    pub role: u8,
    /// User name, at most 16 bytes; empty: the null user.
    pub user: Vec<u8>,
}

impl Rakp1 {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, 0, 0, 0];
        out.extend_from_slice(&self.bmc.to_le_bytes());
        out.extend_from_slice(&self.random);
        out.extend_from_slice(&[self.role, 0, 0, user_len(&self.user)]);
        out.extend_from_slice(&self.user);
        out
    }

    /// From bytes.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("RAKP 1", data);
        let [tag, _, _, _] = bytes.array()?;
        let bmc = bytes.u32()?;
        let random = bytes.array()?;
        let [role, _, _, length] = bytes.array()?;
        if length > 16 {
            return Err(Malformed::Value { what: "RAKP 1 user name length", value: length.into() });
        }
        Ok(Self { tag, bmc, random, role, user: bytes.take(length.into())?.to_vec() })
    }
}

fn user_len(user: &[u8]) -> u8 {
    u8::try_from(user.len()).unwrap_or(u8::MAX)
}

/// RAKP message 2 (13.21).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp2 {
    /// Tag of RAKP 1.
    pub tag: u8,
    /// A code of [`status`]; what follows is only meaningful with `OK`.
    pub status: u8,
    /// The console's session id.
    pub console: u32,
    /// The BMC's random number.
    pub random: [u8; 16],
    /// The BMC's GUID.
    pub guid: [u8; 16],
    /// Key exchange authentication code.
    pub code: Vec<u8>,
}

impl Rakp2 {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, self.status, 0, 0];
        out.extend_from_slice(&self.console.to_le_bytes());
        if self.status == status::OK {
            out.extend_from_slice(&self.random);
            out.extend_from_slice(&self.guid);
            out.extend_from_slice(&self.code);
        }
        out
    }

    /// From bytes.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("RAKP 2", data);
        let [tag, status] = bytes.array()?;
        if status != status::OK {
            let console = bytes.skip(2).and_then(|()| bytes.u32()).unwrap_or(0);
            return Ok(Self { tag, status, console, random: [0; 16], guid: [0; 16], code: Vec::new() });
        }
        bytes.skip(2)?;
        let console = bytes.u32()?;
        Ok(Self {
            tag,
            status,
            console,
            random: bytes.array()?,
            guid: bytes.array()?,
            code: bytes.take_rest().to_vec(),
        })
    }
}

/// RAKP message 3 (13.22) and 4 (13.23): they have the same form. `session` is the receiver's id, `code` the key
/// exchange code (3) or the integrity check value (4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp34 {
    /// Message tag.
    pub tag: u8,
    /// A code of [`status`].
    pub status: u8,
    /// The receiver's session id.
    pub session: u32,
    /// Key exchange code or integrity check value.
    pub code: Vec<u8>,
}

impl Rakp34 {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, self.status, 0, 0];
        out.extend_from_slice(&self.session.to_le_bytes());
        out.extend_from_slice(&self.code);
        out
    }

    /// From bytes; a refusal may be cut short.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new("RAKP 3 or 4", data);
        let [tag, status] = bytes.array()?;
        if status != status::OK {
            let session = bytes.skip(2).and_then(|()| bytes.u32()).unwrap_or(0);
            return Ok(Self { tag, status, session, code: Vec::new() });
        }
        bytes.skip(2)?;
        Ok(Self { tag, status, session: bytes.u32()?, code: bytes.take_rest().to_vec() })
    }
}

/// Everything that both sides know after RAKP 2, from which all codes and keys follow.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Algorithms agreed on.
    pub suite: Suite,
    /// The console's session id.
    pub console: u32,
    /// The BMC's session id.
    pub bmc: u32,
    /// The console's random number.
    pub console_random: [u8; 16],
    /// The BMC's random number.
    pub bmc_random: [u8; 16],
    /// The BMC's GUID.
    pub guid: [u8; 16],
    /// RAKP 1's role byte.
    pub role: u8,
    /// User name.
    pub user: Vec<u8>,
}

impl Exchange {
    fn auth(&self) -> Auth {
        self.suite.auth
    }

    /// RAKP 2's key exchange code.
    pub fn rakp2_code(&self, password: &UserKey) -> Zeroizing<Vec<u8>> {
        self.auth().hmac(
            password.as_bytes(),
            &[
                &self.console.to_le_bytes(),
                &self.bmc.to_le_bytes(),
                &self.console_random,
                &self.bmc_random,
                &self.guid,
                &[self.role, user_len(&self.user)],
                &self.user,
            ],
        )
    }

    /// RAKP 3's key exchange code.
    pub fn rakp3_code(&self, password: &UserKey) -> Zeroizing<Vec<u8>> {
        self.auth().hmac(
            password.as_bytes(),
            &[&self.bmc_random, &self.console.to_le_bytes(), &[self.role, user_len(&self.user)], &self.user],
        )
    }

    /// The session integrity key; `key` is K_g, or the password where there is none.
    pub fn sik(&self, key: &UserKey) -> Zeroizing<Vec<u8>> {
        self.auth().hmac(
            key.as_bytes(),
            &[&self.console_random, &self.bmc_random, &[self.role, user_len(&self.user)], &self.user],
        )
    }

    /// RAKP 4's integrity check value.
    pub fn rakp4_check(&self, sik: &[u8]) -> Vec<u8> {
        let mut check = self.auth().hmac(sik, &[&self.console_random, &self.bmc.to_le_bytes(), &self.guid]).to_vec();
        check.truncate(self.auth().check_len());
        check
    }

    /// The keys of the session.
    pub fn keys(&self, sik: &[u8]) -> Keys {
        Keys::derive(self.suite, sik)
    }
}

/// Whether a received code is the expected one, in constant time.
pub fn code_matches(expected: &[u8], received: &[u8]) -> bool {
    same(expected, received)
}
