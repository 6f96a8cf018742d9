//! SNMP messages as bytes: version 1 (RFC 1157), 2c (RFC 1901, 3416), and the outside of version 3 (RFC 3412, 3414).
//!
//! Not here: authentication and privacy of version 3 (the driver leaves those to the `snmp2` crate), MIBs, sockets.
//! The simulator speaks through this codec; the driver builds its requests with it.

mod ber;
mod message;
mod oid;
mod v3;

pub use message::{Message, Pdu, PduKind, Value, Version, status};
pub use oid::{Oid, OidError};
pub use v3::{Peek, peek_v3, plain_v3};

/// Why bytes are not an SNMP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end within an element.
    #[error("the message ends too early")]
    Short,
    /// Another type was expected at this place.
    #[error("type 0x{found:02x} where 0x{expected:02x} belongs")]
    Tag {
        /// What belongs there.
        expected: u8,
        /// What is there.
        found: u8,
    },
    /// A type that SNMP has not.
    #[error("unknown type 0x{0:02x}")]
    UnknownTag(u8),
    /// A length of more than four octets, or the indefinite form.
    #[error("a length that makes no sense")]
    Length,
    /// An integer that is empty or too long for its type.
    #[error("a number out of range")]
    Number,
    /// An object identifier that is empty, cut off or has more than 128 parts (RFC 2578, 3.5).
    #[error("a malformed object identifier")]
    Oid,
    /// A version other than 1, 2c and 3.
    #[error("SNMP version field {0}")]
    Version(i64),
    /// More variable bindings than any device sends.
    #[error("too many variable bindings")]
    TooMany,
}
