//! Messages of version 1 and 2c, and the PDU that all versions share (RFC 3416, section 3).

use super::{
    Oid, WireError,
    ber::{self, Reader, put, put_signed, put_unsigned},
};

/// Most variable bindings taken from one message: a 64 KiB datagram of the shortest ones has a few thousand, no
/// device sends more than a few hundred.
const MAX_VARBINDS: usize = 2048;

/// Tags (RFC 3416, section 3; RFC 2578, section 7.1).
pub(super) mod tag {
    pub const INTEGER: u8 = 0x02;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OBJECT_ID: u8 = 0x06;
    pub const SEQUENCE: u8 = 0x30;
    pub const IP_ADDRESS: u8 = 0x40;
    pub const COUNTER32: u8 = 0x41;
    pub const GAUGE32: u8 = 0x42;
    pub const TIME_TICKS: u8 = 0x43;
    pub const OPAQUE: u8 = 0x44;
    pub const COUNTER64: u8 = 0x46;
    pub const NO_SUCH_OBJECT: u8 = 0x80;
    pub const NO_SUCH_INSTANCE: u8 = 0x81;
    pub const END_OF_MIB_VIEW: u8 = 0x82;
}

/// Values of `error-status` (RFC 3416, section 3).
#[allow(missing_docs)]
pub mod status {
    pub const NO_ERROR: u32 = 0;
    pub const TOO_BIG: u32 = 1;
    pub const NO_SUCH_NAME: u32 = 2;
    pub const BAD_VALUE: u32 = 3;
    pub const READ_ONLY: u32 = 4;
    pub const GEN_ERR: u32 = 5;
    pub const NO_ACCESS: u32 = 6;
    pub const WRONG_TYPE: u32 = 7;
    pub const WRONG_LENGTH: u32 = 8;
    pub const WRONG_ENCODING: u32 = 9;
    pub const WRONG_VALUE: u32 = 10;
    pub const NO_CREATION: u32 = 11;
    pub const INCONSISTENT_VALUE: u32 = 12;
    pub const RESOURCE_UNAVAILABLE: u32 = 13;
    pub const COMMIT_FAILED: u32 = 14;
    pub const UNDO_FAILED: u32 = 15;
    pub const AUTHORIZATION_ERROR: u32 = 16;
    pub const NOT_WRITABLE: u32 = 17;
    pub const INCONSISTENT_NAME: u32 = 18;

    /// The name the standard gives `status`.
    pub fn name(status: u32) -> &'static str {
        const NAMES: [&str; 19] = [
            "noError",
            "tooBig",
            "noSuchName",
            "badValue",
            "readOnly",
            "genErr",
            "noAccess",
            "wrongType",
            "wrongLength",
            "wrongEncoding",
            "wrongValue",
            "noCreation",
            "inconsistentValue",
            "resourceUnavailable",
            "commitFailed",
            "undoFailed",
            "authorizationError",
            "notWritable",
            "inconsistentName",
        ];
        usize::try_from(status).ok().and_then(|i| NAMES.get(i)).copied().unwrap_or("an unknown error")
    }
}

/// SNMP versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 1157
    V1,
    /// RFC 1901
    V2c,
    /// RFC 3412
    V3,
}

impl Version {
    /// Its number in the message.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::V1 => 0,
            Self::V2c => 1,
            Self::V3 => 3,
        }
    }

    pub(super) fn from_number(n: i64) -> Result<Self, WireError> {
        match n {
            0 => Ok(Self::V1),
            1 => Ok(Self::V2c),
            3 => Ok(Self::V3),
            other => Err(WireError::Version(other)),
        }
    }

    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2c => "2c",
            Self::V3 => "3",
        }
    }
}

/// What a variable holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the standard's
pub enum Value {
    Null,
    Integer(i64),
    OctetString(Vec<u8>),
    ObjectId(Oid),
    IpAddress([u8; 4]),
    Counter32(u32),
    Gauge32(u32),
    TimeTicks(u32),
    Opaque(Vec<u8>),
    Counter64(u64),
    NoSuchObject,
    NoSuchInstance,
    EndOfMibView,
}

impl Value {
    /// Whether it says that there is no value (RFC 3416, 4.2.1).
    pub fn is_exception(&self) -> bool {
        matches!(self, Self::NoSuchObject | Self::NoSuchInstance | Self::EndOfMibView)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => put(out, tag::NULL, |_| ()),
            Self::Integer(n) => put_signed(out, tag::INTEGER, *n),
            Self::OctetString(octets) => put(out, tag::OCTET_STRING, |o| o.extend_from_slice(octets)),
            Self::ObjectId(oid) => put(out, tag::OBJECT_ID, |o| oid.encode(o)),
            Self::IpAddress(octets) => put(out, tag::IP_ADDRESS, |o| o.extend_from_slice(octets)),
            Self::Counter32(n) => put_unsigned(out, tag::COUNTER32, u64::from(*n)),
            Self::Gauge32(n) => put_unsigned(out, tag::GAUGE32, u64::from(*n)),
            Self::TimeTicks(n) => put_unsigned(out, tag::TIME_TICKS, u64::from(*n)),
            Self::Opaque(octets) => put(out, tag::OPAQUE, |o| o.extend_from_slice(octets)),
            Self::Counter64(n) => put_unsigned(out, tag::COUNTER64, *n),
            Self::NoSuchObject => put(out, tag::NO_SUCH_OBJECT, |_| ()),
            Self::NoSuchInstance => put(out, tag::NO_SUCH_INSTANCE, |_| ()),
            Self::EndOfMibView => put(out, tag::END_OF_MIB_VIEW, |_| ()),
        }
    }

    fn decode(tag: u8, content: &[u8]) -> Result<Self, WireError> {
        let word = || u32::try_from(ber::unsigned(content)?).map_err(|_| WireError::Number);
        Ok(match tag {
            tag::NULL => Self::Null,
            tag::INTEGER => Self::Integer(ber::signed(content)?),
            tag::OCTET_STRING => Self::OctetString(content.to_vec()),
            tag::OBJECT_ID => Self::ObjectId(Oid::decode(content)?),
            tag::IP_ADDRESS => Self::IpAddress(content.try_into().map_err(|_| WireError::Length)?),
            tag::COUNTER32 => Self::Counter32(word()?),
            tag::GAUGE32 => Self::Gauge32(word()?),
            tag::TIME_TICKS => Self::TimeTicks(word()?),
            tag::OPAQUE => Self::Opaque(content.to_vec()),
            tag::COUNTER64 => Self::Counter64(ber::unsigned(content)?),
            tag::NO_SUCH_OBJECT => Self::NoSuchObject,
            tag::NO_SUCH_INSTANCE => Self::NoSuchInstance,
            tag::END_OF_MIB_VIEW => Self::EndOfMibView,
            other => return Err(WireError::UnknownTag(other)),
        })
    }
}

/// Kinds of PDU that a manager and an agent exchange. Traps are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum PduKind {
    Get,
    GetNext,
    Response,
    Set,
    GetBulk,
    Report,
}

impl PduKind {
    fn tag(self) -> u8 {
        match self {
            Self::Get => 0xa0,
            Self::GetNext => 0xa1,
            Self::Response => 0xa2,
            Self::Set => 0xa3,
            Self::GetBulk => 0xa5,
            Self::Report => 0xa8,
        }
    }

    fn from_tag(tag: u8) -> Result<Self, WireError> {
        [Self::Get, Self::GetNext, Self::Response, Self::Set, Self::GetBulk, Self::Report]
            .into_iter()
            .find(|k| k.tag() == tag)
            .ok_or(WireError::UnknownTag(tag))
    }
}

/// A protocol data unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// What it is.
    pub kind: PduKind,
    /// Ties an answer to its request.
    pub request_id: i32,
    /// `error-status`; in a GETBULK, `non-repeaters`.
    pub error_status: u32,
    /// `error-index`, from 1; in a GETBULK, `max-repetitions`.
    pub error_index: u32,
    /// Variables.
    pub varbinds: Vec<(Oid, Value)>,
}

impl Pdu {
    /// A request for or about `varbinds`.
    pub fn request(kind: PduKind, request_id: i32, varbinds: Vec<(Oid, Value)>) -> Self {
        Self { kind, request_id, error_status: 0, error_index: 0, varbinds }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.kind.tag(), |o| {
            put_signed(o, tag::INTEGER, i64::from(self.request_id));
            put_signed(o, tag::INTEGER, i64::from(self.error_status));
            put_signed(o, tag::INTEGER, i64::from(self.error_index));
            put(o, tag::SEQUENCE, |list| {
                for (oid, value) in &self.varbinds {
                    put(list, tag::SEQUENCE, |pair| {
                        put(pair, tag::OBJECT_ID, |o| oid.encode(o));
                        value.encode(pair);
                    });
                }
            });
        });
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let (tag, content) = reader.element()?;
        let kind = PduKind::from_tag(tag)?;
        let mut reader = Reader(content);
        let request_id = i32::try_from(reader.integer()?).map_err(|_| WireError::Number)?;
        let error_status = reader.small()?;
        let error_index = reader.small()?;
        let mut list = Reader(reader.read_as(tag::SEQUENCE)?);
        let mut varbinds = Vec::new();
        while !list.is_empty() {
            if varbinds.len() == MAX_VARBINDS {
                return Err(WireError::TooMany);
            }
            let mut pair = Reader(list.read_as(tag::SEQUENCE)?);
            let oid = Oid::decode(pair.read_as(tag::OBJECT_ID)?)?;
            let (tag, content) = pair.element()?;
            varbinds.push((oid, Value::decode(tag, content)?));
        }
        Ok(Self { kind, request_id, error_status, error_index, varbinds })
    }
}

/// A message of version 1 or 2c.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// 1 or 2c.
    pub version: Version,
    /// Community.
    pub community: Vec<u8>,
    /// Content.
    pub pdu: Pdu,
}

impl Message {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        Self::encode_parts(self.version, &self.community, &self.pdu)
    }

    /// The bytes of a message made of these.
    pub fn encode_parts(version: Version, community: &[u8], pdu: &Pdu) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + pdu.varbinds.len() * 32);
        put(&mut out, tag::SEQUENCE, |o| {
            put_signed(o, tag::INTEGER, version.number());
            put(o, tag::OCTET_STRING, |c| c.extend_from_slice(community));
            pdu.encode(o);
        });
        out
    }

    /// From bytes; octets after the message are ignored.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader(Reader(bytes).read_as(tag::SEQUENCE)?);
        let version = Version::from_number(reader.integer()?)?;
        if version == Version::V3 {
            return Err(WireError::Version(3));
        }
        let community = reader.read_as(tag::OCTET_STRING)?.to_vec();
        let pdu = Pdu::decode(&mut reader)?;
        Ok(Self { version, community, pdu })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Message {
        let oid = |text: &str| text.parse::<Oid>().unwrap();
        Message {
            version: Version::V2c,
            community: b"private".to_vec(),
            pdu: Pdu {
                kind: PduKind::Response,
                request_id: -5,
                error_status: 0,
                error_index: 0,
                varbinds: vec![
                    (oid("1.3.6.1.2.1.1.2.0"), Value::ObjectId(oid("1.3.6.1.4.1.318.1.3.4.5"))),
                    (oid("1.3.6.1.4.1.318.1"), Value::Integer(-1)),
                    (oid("1.3.6.1.4.1.318.2"), Value::Gauge32(u32::MAX)),
                    (oid("1.3.6.1.4.1.318.3"), Value::Counter64(u64::MAX)),
                    (oid("1.3.6.1.4.1.318.4"), Value::OctetString(vec![b'x'; 300])),
                    (oid("1.3.6.1.4.1.318.5"), Value::NoSuchInstance),
                    (oid("1.3.6.1.4.1.318.6"), Value::Integer(i64::from(i32::MIN))),
                    (oid("1.3.6.1.4.1.318.7"), Value::IpAddress([127, 0, 0, 1])),
                    (oid("1.3.6.1.4.1.318.8"), Value::Integer(128)),
                ],
            },
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        assert_eq!(Message::decode(&sample().encode()).unwrap(), sample());
    }

    #[cfg(feature = "runtime")]
    #[test]
    fn snmp2_reads_the_same() {
        let bytes = sample().encode();
        let theirs = snmp2::Pdu::from_bytes(&bytes).unwrap();
        assert_eq!((theirs.community, theirs.req_id), (&b"private"[..], -5));
        assert_eq!(theirs.varbinds.clone().count(), 9);
        let values: Vec<String> = theirs.varbinds.map(|(oid, value)| format!("{oid} {value:?}")).collect();
        assert_eq!(values[2], "1.3.6.1.4.1.318.2 UNSIGNED32: 4294967295");
        assert_eq!(values[3], "1.3.6.1.4.1.318.3 COUNTER64: 18446744073709551615");
        assert_eq!(values[6], "1.3.6.1.4.1.318.6 INTEGER: -2147483648");
    }

    #[test]
    fn a_get_as_net_snmp_sends_it() {
        // snmpget -v1 -c public ... 1.3.6.1.2.1.1.2.0, request id 0x2a0b1c2d.
        let bytes = [
            0x30, 0x29, 0x02, 0x01, 0x00, 0x04, 0x06, b'p', b'u', b'b', b'l', b'i', b'c', 0xa0, 0x1c, 0x02, 0x04, 0x2a,
            0x0b, 0x1c, 0x2d, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00, 0x30, 0x0e, 0x30, 0x0c, 0x06, 0x08, 0x2b, 0x06, 0x01,
            0x02, 0x01, 0x01, 0x02, 0x00, 0x05, 0x00,
        ];
        let message = Message::decode(&bytes).unwrap();
        assert_eq!(message.version, Version::V1);
        assert_eq!(message.pdu.varbinds, [("1.3.6.1.2.1.1.2.0".parse().unwrap(), Value::Null)]);
        assert_eq!(message.encode(), bytes);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(Message::decode(&bytes));
        }

        #[test]
        fn no_damage_makes_it_panic(at in 0usize..500, with in any::<u8>(), cut in 0usize..500) {
            let mut bytes = sample().encode();
            if let Some(octet) = bytes.get_mut(at) { *octet = with; }
            drop(Message::decode(&bytes));
            bytes.truncate(cut);
            drop(Message::decode(&bytes));
        }

        #[test]
        fn every_integer_survives(n in any::<i64>(), u in any::<u64>()) {
            let oid: Oid = "1.3.6".parse().unwrap();
            let varbinds = vec![(oid.clone(), Value::Integer(n)), (oid, Value::Counter64(u))];
            let pdu = Pdu::request(PduKind::Set, 1, varbinds);
            let message = Message { version: Version::V1, community: vec![], pdu };
            prop_assert_eq!(Message::decode(&message.encode()).unwrap(), message);
        }
    }
}
