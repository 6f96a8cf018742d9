//! The outside of a version 3 message: header, USM parameters (RFC 3412, section 6; RFC 3414, section 2.4) and
//! what of its content is readable without keys.

use super::{
    Oid, Pdu, PduKind, WireError,
    ber::{Reader, put, put_signed},
    message::tag,
};

/// Largest message we take: what fits in a UDP datagram over IPv4.
const MAX_SIZE: i64 = 65_507;
/// `msgFlags`: an answer may be a Report.
const REPORTABLE: u8 = 0x04;
/// `msgFlags`: the content is encrypted.
const PRIVACY: u8 = 0x02;
/// `msgSecurityModel`: USM.
const USM: i64 = 3;

/// What can be read of a version 3 message without keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    /// Ties an answer to its request, also when the content can't be read.
    pub message_id: i32,
    /// Whether the sender asks for (or applied) authentication.
    pub authenticated: bool,
    /// The engine that the parameters are about.
    pub engine_id: Vec<u8>,
    /// How often that engine has started.
    pub engine_boots: u32,
    /// Seconds since.
    pub engine_time: u32,
    /// If the content is a Report: the counter that it reports (`usmStats...`).
    pub report: Option<Oid>,
}

/// A version 3 message without authentication and privacy, and without a user: what engine discovery sends
/// (RFC 3414, section 4), and what carries `pdu` to the crate that secures it.
pub fn plain_v3(engine_id: &[u8], context: &[u8], pdu: &Pdu) -> Vec<u8> {
    let mut security = Vec::new();
    put(&mut security, tag::SEQUENCE, |o| {
        put(o, tag::OCTET_STRING, |id| id.extend_from_slice(engine_id));
        put_signed(o, tag::INTEGER, 0);
        put_signed(o, tag::INTEGER, 0);
        put(o, tag::OCTET_STRING, |_| ());
        put(o, tag::OCTET_STRING, |_| ());
        put(o, tag::OCTET_STRING, |_| ());
    });
    let mut out = Vec::new();
    put(&mut out, tag::SEQUENCE, |o| {
        put_signed(o, tag::INTEGER, 3);
        put(o, tag::SEQUENCE, |header| {
            put_signed(header, tag::INTEGER, i64::from(pdu.request_id));
            put_signed(header, tag::INTEGER, MAX_SIZE);
            put(header, tag::OCTET_STRING, |flags| flags.push(REPORTABLE));
            put_signed(header, tag::INTEGER, USM);
        });
        put(o, tag::OCTET_STRING, |s| s.extend_from_slice(&security));
        put(o, tag::SEQUENCE, |scoped| {
            put(scoped, tag::OCTET_STRING, |id| id.extend_from_slice(engine_id));
            put(scoped, tag::OCTET_STRING, |name| name.extend_from_slice(context));
            pdu.encode(scoped);
        });
    });
    out
}

/// Reads what needs no keys. Also the check that numbers are in the range that RFC 3414 gives them, before the bytes
/// go to code that computes with them.
pub fn peek_v3(bytes: &[u8]) -> Result<Peek, WireError> {
    let mut reader = Reader(Reader(bytes).read_as(tag::SEQUENCE)?);
    match reader.integer()? {
        3 => {}
        other => return Err(WireError::Version(other)),
    }
    let mut header = Reader(reader.read_as(tag::SEQUENCE)?);
    let message_id = i32::try_from(header.integer()?).map_err(|_| WireError::Number)?;
    header.small()?;
    let flags = header.read_as(tag::OCTET_STRING)?.first().copied().unwrap_or_default();
    let mut security = Reader(Reader(reader.read_as(tag::OCTET_STRING)?).read_as(tag::SEQUENCE)?);
    let engine_id = security.read_as(tag::OCTET_STRING)?.to_vec();
    let engine_boots = security.small()?;
    let engine_time = security.small()?;
    let report = if flags & PRIVACY == 0 {
        let mut scoped = Reader(reader.read_as(tag::SEQUENCE)?);
        scoped.read_as(tag::OCTET_STRING)?;
        scoped.read_as(tag::OCTET_STRING)?;
        let pdu = Pdu::decode(&mut scoped)?;
        (pdu.kind == PduKind::Report).then(|| pdu.varbinds.into_iter().next().map(|(oid, _)| oid)).flatten()
    } else {
        None
    };
    Ok(Peek { message_id, authenticated: flags & 1 != 0, engine_id, engine_boots, engine_time, report })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::{super::Value, *};

    #[test]
    fn a_report_is_recognised() {
        let oid: Oid = "1.3.6.1.6.3.15.1.1.5.0".parse().unwrap();
        let mut pdu = Pdu::request(PduKind::Report, 77, vec![(oid.clone(), Value::Counter32(3))]);
        let peek = peek_v3(&plain_v3(b"engine", b"", &pdu)).unwrap();
        assert_eq!((peek.message_id, peek.engine_id.as_slice(), peek.report), (77, &b"engine"[..], Some(oid)));
        pdu.kind = PduKind::Response;
        assert_eq!(peek_v3(&plain_v3(b"engine", b"", &pdu)).unwrap().report, None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(peek_v3(&bytes));
        }
    }
}
