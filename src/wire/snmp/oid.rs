//! Object identifiers: text, order and BER content octets (X.690, 8.19).

use std::{fmt, str::FromStr};

use super::WireError;

/// Most sub-identifiers of an object identifier (RFC 2578, 3.5).
const MAX_PARTS: usize = 128;

/// Why a text is not an object identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidError {
    /// A part that is not a number below 2^32.
    #[error("{0:?} is not a number below 4294967296 (an OID looks like 1.3.6.1.4.1.318)")]
    Part(String),
    /// Too few or too many parts, or a beginning that BER cannot carry.
    #[error("an OID has 2 to 128 parts and begins with 0, 1 or 2; write it in numbers, from the root")]
    Shape,
}

/// An object identifier. Ordered as SNMP walks: part by part, a prefix before what it is a prefix of.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid(Box<[u32]>);

impl Oid {
    /// Checks and wraps `parts`.
    pub fn new(parts: &[u32]) -> Result<Self, OidError> {
        let begins_well = matches!(parts, [0 | 1, 0..=39, ..] | [2, 0..=175, ..]);
        if begins_well && parts.len() <= MAX_PARTS { Ok(Self(parts.into())) } else { Err(OidError::Shape) }
    }

    /// Its parts.
    pub fn parts(&self) -> &[u32] {
        &self.0
    }

    /// Whether it lies in the subtree of `prefix` (or is its root).
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// It with `tail` appended; `None` when that becomes too long.
    #[must_use]
    pub fn join(&self, tail: &[u32]) -> Option<Self> {
        Self::new(&[&self.0, tail].concat()).ok()
    }

    /// The parts after `prefix`, if it lies in that subtree.
    pub fn after(&self, prefix: &Self) -> Option<&[u32]> {
        self.0.strip_prefix(&*prefix.0)
    }

    /// Content octets.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut parts = self.0.iter().copied();
        let first = parts.next().unwrap_or(0);
        let second = parts.next().unwrap_or(0);
        for part in std::iter::once(first * 40 + second).chain(parts) {
            for shift in (1..5).rev().map(|n| n * 7).filter(|shift| part >> shift != 0) {
                out.push(0x80 | low_seven(part >> shift));
            }
            out.push(low_seven(part));
        }
    }

    /// From content octets.
    pub(super) fn decode(octets: &[u8]) -> Result<Self, WireError> {
        let mut parts: Vec<u32> = Vec::with_capacity(octets.len() + 1);
        let mut part: u32 = 0;
        let mut open = true;
        for &octet in octets {
            part = part.checked_mul(128).and_then(|p| p.checked_add(u32::from(octet & 0x7f))).ok_or(WireError::Oid)?;
            open = octet & 0x80 != 0;
            if !open {
                if parts.is_empty() {
                    let first = (part / 40).min(2);
                    parts.extend([first, part - first * 40]);
                } else {
                    parts.push(part);
                }
                part = 0;
            }
            if parts.len() > MAX_PARTS {
                return Err(WireError::Oid);
            }
        }
        if open { Err(WireError::Oid) } else { Ok(Self(parts.into())) }
    }
}

fn low_seven(n: u32) -> u8 {
    n.to_le_bytes()[0] & 0x7f
}

impl FromStr for Oid {
    type Err = OidError;
    fn from_str(text: &str) -> Result<Self, OidError> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let parts = text.strip_prefix('.').unwrap_or(text).split('.').take(MAX_PARTS + 1);
        let parts: Result<Vec<u32>, _> = parts
            .map(|part| {
                let number = if digits(part) { part.parse().ok() } else { None };
                number.ok_or_else(|| OidError::Part(part.to_owned()))
            })
            .collect();
        Self::new(&parts?)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.0.iter();
        if let Some(first) = parts.next() {
            write!(f, "{first}")?;
        }
        parts.try_for_each(|part| write!(f, ".{part}"))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn text_and_octets_round_trip() {
        for text in ["1.3.6.1.4.1.318.1.1.26.9.2.4.1.5.24", "0.0", "2.175.4294967295.128.127", "1.39"] {
            let oid: Oid = text.parse().unwrap();
            assert_eq!(oid.to_string(), text);
            let mut octets = Vec::new();
            oid.encode(&mut octets);
            assert_eq!(Oid::decode(&octets).unwrap(), oid);
        }
        // The octets net-snmp sends for 1.3.6.1.4.1.318: 318 is 0x82 0x3e.
        let mut octets = Vec::new();
        "1.3.6.1.4.1.318".parse::<Oid>().unwrap().encode(&mut octets);
        assert_eq!(octets, [0x2b, 6, 1, 4, 1, 0x82, 0x3e]);
    }

    #[test]
    fn what_is_no_oid_is_refused() {
        for bad in ["", "1", "1..3", "1.3.x", "1.40", "3.1", "1.3.4294967296", "1.+3", "sysDescr.0"] {
            assert!(bad.parse::<Oid>().is_err(), "{bad:?}");
        }
        assert!("1.3.6.".repeat(200).parse::<Oid>().is_err());
        assert_eq!(Oid::decode(&[0x2b, 0x82]), Err(WireError::Oid));
        assert_eq!(Oid::decode(&[]), Err(WireError::Oid));
        assert_eq!(Oid::decode(&[0x2b, 0x9f, 0xff, 0xff, 0xff, 0x7f]), Err(WireError::Oid));
    }
}
