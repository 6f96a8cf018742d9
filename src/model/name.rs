//! Names of nodes, endpoints, chassis and units.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty text.
    #[error("a name must not be empty")]
    Empty,
    /// Longer than 128 bytes.
    #[error("a name has at most 128 characters, this one has {0}")]
    TooLong(usize),
    /// A character that would have to be escaped in a URI, a file name or a log line.
    #[error("{0:?} is not allowed in a name (letters, digits, '.', '_', '-' and ':' are)")]
    BadCharacter(char),
}

const MAX: usize = 128;

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX {
        return Err(NameError::TooLong(text.len()));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':'))) {
        Some(c) => Err(NameError::BadCharacter(c)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks and wraps `text`; see [`NameError`] for what is refused.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(Arc::from(text)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A managed server: Redfish ComputerSystem, OCS blade, HIL node.
    NodeId
}
name! {
    /// A configured device we talk to: a BMC, a PDU, a bus.
    EndpointId
}
name! {
    /// An enclosure.
    ChassisId
}

/// What an endpoint switches or measures, as text: outlet `7` or `1.7`, board `0000000a`, device `0000000a/01ff`,
/// or a BMC's `host`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Unit(Arc<str>);

impl Unit {
    /// The unit of a BMC that is the machine itself.
    pub const HOST: &'static str = "host";

    /// Checks and wraps `text`: the characters of a name, and `/` between parts.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX {
            return Err(NameError::TooLong(text.len()));
        }
        text.split('/').try_for_each(check)?;
        Ok(Self(Arc::from(text)))
    }

    /// The unit [`Self::HOST`].
    pub fn host() -> Self {
        Self(Arc::from(Self::HOST))
    }

    /// The outlet of that number, as most PDUs count: from 1.
    pub fn outlet(number: u32) -> Self {
        Self(Arc::from(number.to_string()))
    }

    /// The unit as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Unit {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> Self {
        unit.0.as_ref().to_owned()
    }
}

impl Borrow<str> for Unit {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One unit of one endpoint, written `pdu01/7`; `bmc-01` alone means its unit `host`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ref {
    /// The device.
    pub endpoint: EndpointId,
    /// The part of it.
    pub unit: Unit,
}

impl TryFrom<String> for Ref {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl std::str::FromStr for Ref {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Ok(match text.split_once('/') {
            Some((endpoint, unit)) => Self { endpoint: EndpointId::new(endpoint)?, unit: Unit::new(unit)? },
            None => Self { endpoint: EndpointId::new(text)?, unit: Unit::host() },
        })
    }
}

impl From<Ref> for String {
    fn from(r: Ref) -> Self {
        r.to_string()
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.endpoint, self.unit)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_splits_at_the_first_slash() {
        let r: Ref = "bus0/0000000a/01ff".parse().unwrap();
        assert_eq!((r.endpoint.as_str(), r.unit.as_str()), ("bus0", "0000000a/01ff"));
        let r: Ref = "bmc-01".parse().unwrap();
        assert_eq!(r.unit, Unit::host());
        assert_eq!(r.to_string(), "bmc-01/host");
    }

    #[test]
    fn names_that_need_escaping_are_refused() {
        for bad in ["", "a b", "a/b", "ä", "a\n", &"x".repeat(129)] {
            assert!(NodeId::new(bad).is_err(), "{bad:?}");
        }
        assert!(Ref::try_from("pdu/".to_owned()).is_err());
        assert!(Unit::new("a//b").is_err());
    }
}
