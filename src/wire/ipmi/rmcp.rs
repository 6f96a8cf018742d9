//! The RMCP header and what follows it: ASF messages, IPMI 1.5 packets outside a session, RMCP+ packets.
//!
//! IPMI 2.0, 13.1 to 13.7. IPMI 1.5 packets are only read and written without authentication: the one thing sent
//! in them is Get Channel Authentication Capabilities, which goes before any session.

use super::{Bytes, Malformed};

/// UDP port of BMCs (RMCP's primary port).
pub const PORT: u16 = 623;

/// RMCP version, reserved, sequence 0xFF (no acknowledgement), class IPMI (13.1.3).
const HEADER: [u8; 4] = [0x06, 0x00, 0xff, 0x07];
/// The same for class ASF.
const HEADER_ASF: [u8; 4] = [0x06, 0x00, 0xff, 0x06];
/// Class of message byte: IPMI.
const CLASS_IPMI: u8 = 0x07;
/// Class of message byte: ASF.
const CLASS_ASF: u8 = 0x06;
/// ASF's enterprise number (13.2.3).
const ASF_IANA: [u8; 4] = [0x00, 0x00, 0x11, 0xbe];
/// ASF presence ping and pong.
const ASF_PING: u8 = 0x80;
const ASF_PONG: u8 = 0x40;
/// "Authentication type" of a packet in RMCP+ format (13.6).
pub(super) const FORMAT_RMCP_PLUS: u8 = 0x06;

/// What came in a UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// ASF presence ping with its message tag.
    Ping(u8),
    /// ASF presence pong with the tag of its ping.
    Pong(u8),
    /// An IPMI 1.5 packet without authentication: a LAN message.
    Plain(&'a [u8]),
    /// An RMCP+ packet.
    Plus(Plus<'a>),
}

/// Payload types of RMCP+ (13.27.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Payload {
    Ipmi,
    OpenRequest,
    OpenResponse,
    Rakp1,
    Rakp2,
    Rakp3,
    Rakp4,
    /// SOL, OEM and reserved ones.
    Other(u8),
}

impl Payload {
    /// From the low six bits of the payload type byte.
    pub fn from_bits(bits: u8) -> Self {
        match bits & 0x3f {
            0x00 => Self::Ipmi,
            0x10 => Self::OpenRequest,
            0x11 => Self::OpenResponse,
            0x12 => Self::Rakp1,
            0x13 => Self::Rakp2,
            0x14 => Self::Rakp3,
            0x15 => Self::Rakp4,
            other => Self::Other(other),
        }
    }

    /// As six bits.
    pub fn bits(self) -> u8 {
        match self {
            Self::Ipmi => 0x00,
            Self::OpenRequest => 0x10,
            Self::OpenResponse => 0x11,
            Self::Rakp1 => 0x12,
            Self::Rakp2 => 0x13,
            Self::Rakp3 => 0x14,
            Self::Rakp4 => 0x15,
            Self::Other(bits) => bits & 0x3f,
        }
    }
}

/// An RMCP+ packet as received: not yet checked, not yet decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plus<'a> {
    /// What it carries.
    pub payload_type: Payload,
    /// Whether the payload says that it is encrypted.
    pub encrypted: bool,
    /// Whether it says that an integrity code follows.
    pub authenticated: bool,
    /// The receiver's session id; 0 outside a session.
    pub session: u32,
    /// Session sequence number; 0 outside a session.
    pub sequence: u32,
    /// The payload, possibly encrypted.
    pub payload: &'a [u8],
    /// Authentication type to next header: what the integrity code covers.
    pub(super) covered: &'a [u8],
    /// The integrity code itself; empty without one.
    pub(super) trailer: &'a [u8],
}

/// Takes a UDP datagram apart.
pub fn decode(datagram: &[u8]) -> Result<Datagram<'_>, Malformed> {
    let mut bytes = Bytes::new("RMCP packet", datagram);
    let [version, _, _, class] = bytes.array()?;
    if version != HEADER[0] {
        return Err(Malformed::Value { what: "RMCP version", value: version.into() });
    }
    match class & 0x1f {
        CLASS_ASF => asf(bytes),
        CLASS_IPMI => {
            let body = bytes.rest();
            match bytes.u8()? {
                FORMAT_RMCP_PLUS => plus(body, bytes).map(Datagram::Plus),
                0x00 => {
                    bytes.skip(8)?; // sequence and session id, both 0 here
                    let length = bytes.u8()?;
                    Ok(Datagram::Plain(bytes.take(length.into())?))
                }
                other => Err(Malformed::Value { what: "IPMI authentication type", value: other.into() }),
            }
        }
        other => Err(Malformed::Value { what: "RMCP class", value: other.into() }),
    }
}

fn asf(mut bytes: Bytes<'_>) -> Result<Datagram<'_>, Malformed> {
    let iana: [u8; 4] = bytes.array()?;
    let [kind, tag, _, length] = bytes.array()?;
    bytes.skip(length.into())?;
    match (iana, kind) {
        (ASF_IANA, ASF_PING) => Ok(Datagram::Ping(tag)),
        (ASF_IANA, ASF_PONG) => Ok(Datagram::Pong(tag)),
        _ => Err(Malformed::Value { what: "ASF message", value: kind.into() }),
    }
}

/// `body` starts with the authentication type; `bytes` stands behind it.
fn plus<'a>(body: &'a [u8], mut bytes: Bytes<'a>) -> Result<Plus<'a>, Malformed> {
    let kind = bytes.u8()?;
    let payload_type = Payload::from_bits(kind);
    if payload_type == Payload::Other(0x02) {
        bytes.skip(6)?; // OEM IANA and OEM payload id (13.6)
    }
    let session = bytes.u32()?;
    let sequence = bytes.u32()?;
    let length = bytes.u16()?;
    let payload = bytes.take(length.into())?;
    let authenticated = kind & 0x40 != 0;
    let (mut covered, mut trailer): (&[u8], &[u8]) = (&[], &[]);
    if authenticated && session != 0 {
        // Integrity pad: 0xFF bytes, then their count, then the next header byte (13.28.4).
        let pads = bytes.rest().iter().take_while(|byte| **byte == 0xff).take(3).count();
        bytes.skip(pads)?;
        let count = bytes.u8()?;
        if usize::from(count) != pads {
            return Err(Malformed::Value { what: "integrity pad length", value: count.into() });
        }
        bytes.skip(1)?;
        trailer = bytes.take_rest();
        covered = body.get(..body.len().saturating_sub(trailer.len())).unwrap_or_default();
    }
    Ok(Plus { payload_type, encrypted: kind & 0x80 != 0, authenticated, session, sequence, payload, covered, trailer })
}

/// An RMCP+ packet outside a session: neither encrypted nor authenticated.
pub fn encode_plus(payload_type: Payload, payload: &[u8]) -> Vec<u8> {
    let mut out = start_plus(payload_type.bits(), 0, 0, payload.len());
    out.extend_from_slice(payload);
    out
}

/// RMCP header to payload length.
pub(super) fn start_plus(kind: u8, session: u32, sequence: u32, length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + length + 24);
    out.extend_from_slice(&HEADER);
    out.extend_from_slice(&[FORMAT_RMCP_PLUS, kind]);
    out.extend_from_slice(&session.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    out
}

/// An IPMI 1.5 packet outside a session. LAN messages longer than 255 bytes don't exist there and are cut.
pub fn encode_plain(message: &[u8]) -> Vec<u8> {
    let message = message.get(..255).unwrap_or(message);
    let mut out = Vec::with_capacity(14 + message.len());
    out.extend_from_slice(&HEADER);
    out.extend_from_slice(&[0; 9]);
    out.push(u8::try_from(message.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(message);
    out
}

/// An ASF presence ping.
pub fn encode_ping(tag: u8) -> Vec<u8> {
    [HEADER_ASF.as_slice(), &ASF_IANA, &[ASF_PING, tag, 0, 0]].concat()
}

/// The pong of a BMC: IPMI supported, ASF 1.0 (13.2.4).
pub fn encode_pong(tag: u8) -> Vec<u8> {
    let mut out = [HEADER_ASF.as_slice(), &ASF_IANA, &[ASF_PONG, tag, 0, 16]].concat();
    out.extend_from_slice(&ASF_IANA);
    out.extend_from_slice(&[0, 0, 0, 0, 0x81, 0x00, 0, 0, 0, 0, 0, 0]);
    out
}
