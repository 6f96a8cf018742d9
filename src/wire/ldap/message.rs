//! LDAP messages: requests that we send, answers that we read (RFC 4511, 4.1 to 4.14).

use super::{
    Filter,
    ber::{self, BerError, Reader, put, put_number},
};

/// Longest message that is taken: a user in thousands of groups fits many times.
pub const MAX_MESSAGE: usize = 4 << 20;
/// StartTLS (RFC 4511, 4.14.1).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

const BIND: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH: u8 = 0x63;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const SEARCH_REFERENCE: u8 = 0x73;
const EXTENDED: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;

/// Result codes that matter here (RFC 4511, appendix A).
pub mod code {
    /// Done.
    pub const SUCCESS: u32 = 0;
    /// There are more entries than were asked for.
    pub const SIZE_LIMIT: u32 = 4;
    /// Ask another server: never followed.
    pub const REFERRAL: u32 = 10;
    /// Too many tries, with some servers.
    pub const CONSTRAINT: u32 = 19;
    /// The base of a search, or who wants to bind, does not exist.
    pub const NO_SUCH_OBJECT: u32 = 32;
    /// No password that could be checked.
    pub const INAPPROPRIATE_AUTH: u32 = 48;
    /// Wrong name or password.
    pub const INVALID_CREDENTIALS: u32 = 49;
    /// Refused on purpose: a locked account, with some servers.
    pub const UNWILLING: u32 = 53;
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchScope {
    /// The base alone.
    Base,
    /// The base and everything below it.
    Subtree,
}

/// What we ask.
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    /// A simple bind.
    Bind {
        /// Who.
        name: &'a str,
        /// Their password.
        password: &'a str,
    },
    /// A search. Aliases are not followed.
    Search {
        /// Where it begins.
        base: &'a str,
        /// How far it goes.
        scope: SearchScope,
        /// Entries that are wanted at most; 0: all.
        limit: u32,
        /// Seconds that the server may take; 0: as it likes.
        seconds: u32,
        /// Which entries.
        filter: &'a Filter,
        /// Which attributes; `1.1` alone means none.
        attributes: &'a [&'a str],
    },
    /// Go on encrypted.
    StartTls,
}

impl Request<'_> {
    /// The message with that id.
    pub fn encode(&self, id: u32) -> Vec<u8> {
        let mut op = Vec::new();
        match self {
            Self::Bind { name, password } => {
                let mut body = Vec::new();
                put_number(&mut body, ber::INTEGER, 3);
                put(&mut body, ber::OCTETS, name.as_bytes());
                put(&mut body, 0x80, password.as_bytes());
                put(&mut op, BIND, &body);
            }
            Self::Search { base, scope, limit, seconds, filter, attributes } => {
                let mut body = Vec::new();
                put(&mut body, ber::OCTETS, base.as_bytes());
                put_number(
                    &mut body,
                    ber::ENUMERATED,
                    match scope {
                        SearchScope::Base => 0,
                        SearchScope::Subtree => 2,
                    },
                );
                put_number(&mut body, ber::ENUMERATED, 0);
                put_number(&mut body, ber::INTEGER, *limit);
                put_number(&mut body, ber::INTEGER, *seconds);
                put(&mut body, ber::BOOLEAN, &[0]);
                filter.encode(&mut body);
                let mut list = Vec::new();
                for attribute in *attributes {
                    put(&mut list, ber::OCTETS, attribute.as_bytes());
                }
                put(&mut body, ber::SEQUENCE, &list);
                put(&mut op, SEARCH, &body);
            }
            Self::StartTls => {
                let mut body = Vec::new();
                put(&mut body, 0x80, START_TLS);
                put(&mut op, EXTENDED, &body);
            }
        }
        let mut body = Vec::new();
        put_number(&mut body, ber::INTEGER, id);
        body.extend_from_slice(&op);
        let mut message = Vec::new();
        put(&mut message, ber::SEQUENCE, &body);
        message
    }
}

/// Bytes of the message that begins here, once its header is there. Longer than [`MAX_MESSAGE`]: an error.
pub fn frame(bytes: &[u8]) -> Result<Option<usize>, BerError> {
    match ber::header(bytes)? {
        None => Ok(None),
        Some((ber::SEQUENCE, length, start)) => match start.checked_add(length) {
            Some(whole) if whole <= MAX_MESSAGE => Ok(Some(whole)),
            _ => Err(BerError::Length),
        },
        Some((found, ..)) => Err(BerError::Tag { found }),
    }
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// See [`code`].
    pub code: u32,
    /// What the server says to it.
    pub text: String,
}

/// An entry that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub dn: String,
    /// Attributes with their values.
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// The first value of an attribute. Names of attributes know no case.
    pub fn bytes(&self, attribute: &str) -> Option<&[u8]> {
        let (_, values) = self.attributes.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute))?;
        values.first().map(Vec::as_slice)
    }

    /// The first value of an attribute, if it is text.
    pub fn text(&self, attribute: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(attribute)?).ok()
    }
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To a bind.
    Bound(Outcome),
    /// One that was found.
    Entry(Entry),
    /// There is more elsewhere: not followed.
    Reference,
    /// The end of a search.
    Done(Outcome),
    /// To StartTLS; with id 0 the server hangs up.
    Extended(Outcome),
    /// Something that nobody asked for: to be passed over.
    Other,
}

/// A message from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Which request it answers; 0: none.
    pub id: u32,
    /// The answer.
    pub answer: Answer,
}

impl Response {
    /// Reads one whole message.
    pub fn decode(bytes: &[u8]) -> Result<Self, BerError> {
        let mut outer = Reader(bytes);
        let mut body = Reader(outer.take(ber::SEQUENCE)?);
        if !outer.is_empty() {
            return Err(BerError::Length);
        }
        let id = body.number(ber::INTEGER)?;
        // Controls may follow: none was asked for.
        let (tag, content) = body.any()?;
        let mut op = Reader(content);
        let answer = match tag {
            BIND_RESPONSE => Answer::Bound(outcome(&mut op)?),
            SEARCH_DONE => Answer::Done(outcome(&mut op)?),
            EXTENDED_RESPONSE => Answer::Extended(outcome(&mut op)?),
            SEARCH_REFERENCE => Answer::Reference,
            SEARCH_ENTRY => Answer::Entry(entry(&mut op)?),
            _ => Answer::Other,
        };
        Ok(Self { id, answer })
    }
}

fn outcome(op: &mut Reader<'_>) -> Result<Outcome, BerError> {
    let code = op.number(ber::ENUMERATED)?;
    op.take(ber::OCTETS)?;
    let text = String::from_utf8_lossy(op.take(ber::OCTETS)?);
    // For logs: one line of a bearable length.
    let text = text.chars().filter(|c| !c.is_control()).take(300).collect();
    Ok(Outcome { code, text })
}

fn entry(op: &mut Reader<'_>) -> Result<Entry, BerError> {
    let dn = text(op.take(ber::OCTETS)?)?;
    let mut list = Reader(op.take(ber::SEQUENCE)?);
    let mut attributes = Vec::new();
    while !list.is_empty() {
        let mut one = Reader(list.take(ber::SEQUENCE)?);
        let name = text(one.take(ber::OCTETS)?)?;
        let mut set = Reader(one.take(ber::SET)?);
        let mut values = Vec::new();
        while !set.is_empty() {
            values.push(set.take(ber::OCTETS)?.to_vec());
        }
        attributes.push((name, values));
    }
    Ok(Entry { dn, attributes })
}

fn text(bytes: &[u8]) -> Result<String, BerError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| BerError::Value)
}
