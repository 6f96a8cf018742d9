//! What a PDU, or anybody who can send from its address, may answer.

use super::made;
use crate::wire::snmp::{Message, Oid, peek_v3};

/// Our own codec: what is decoded is encoded and decoded to the same.
pub fn message(data: &[u8]) {
    if let Ok(message) = Message::decode(data) {
        let again = message.encode();
        assert_eq!(Message::decode(&again).as_ref(), Ok(&message), "a message changes on its way through");
    }
}

/// The outside of version 3.
pub fn v3(data: &[u8]) {
    if let Ok(peek) = peek_v3(data) {
        // RFC 3414, 2.2.2: code that computes with them relies on it.
        assert!(peek.engine_boots <= i32::MAX.unsigned_abs() && peek.engine_time <= i32::MAX.unsigned_abs());
    }
}

/// Object identifiers as text, and as the binary form within a message.
pub fn oid(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(oid) = text.parse::<Oid>() {
        assert_eq!(oid.to_string().parse().as_ref(), Ok(&oid), "an object identifier changes on its way through");
        made(&oid.join(&[1, 2, 3]));
        made(&oid.starts_with(&oid));
    }
}

/// The driver's side: an answer to a request of each version, through the parsers of the `snmp2` crate as well.
#[cfg(feature = "runtime")]
pub fn answer(data: &[u8]) {
    crate::drivers::snmp_pdu::fuzz::answer(data);
}
