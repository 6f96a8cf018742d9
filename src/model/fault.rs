//! What can go wrong with a device, sorted by what may be done about it.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Why a device refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// User, password, community or key. Not tried again by itself: polling must not lock an account.
    Credentials(String),
    /// The login is good but may not do this.
    Privilege(String),
    /// The device understood and said no.
    Rejected(String),
    /// No agreement on protocol version, cipher suite or the like.
    Protocol(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials(s) => write!(f, "credentials refused: {s}"),
            Self::Privilege(s) => write!(f, "not permitted: {s}"),
            Self::Rejected(s) => write!(f, "rejected: {s}"),
            Self::Protocol(s) => write!(f, "no common protocol: {s}"),
        }
    }
}

/// What went wrong with an exchange. Decides in one place whether a retry is allowed and what the breaker opens for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Fault {
    /// Nothing left this machine: may be repeated freely.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It was sent and no answer came: it may or may not have been done. Repeated only after the state was read.
    #[error("outcome unknown: {0}")]
    Uncertain(String),
    /// The endpoint does not answer.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The device asks for patience (node busy, no session free).
    #[error("busy: {reason}")]
    Busy {
        /// In the device's words.
        reason: String,
        /// When it is worth asking again.
        retry_after: Option<Duration>,
    },
    /// The device said no.
    #[error("{0}")]
    Refused(Why),
    /// The endpoint has no such unit.
    #[error("no such unit: {0}")]
    NoSuchUnit(String),
    /// The device can't do that.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// It answered something that makes no sense.
    #[error("unintelligible answer: {0}")]
    Garbage(String),
}

impl Fault {
    /// Whether the whole endpoint is to blame (its breaker counts it), not just one unit or one request.
    pub fn blames_endpoint(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Uncertain(_) | Self::Garbage(_) | Self::NotSent(_))
            || self.is_credentials()
    }

    /// Whether the credentials were refused.
    pub fn is_credentials(&self) -> bool {
        matches!(self, Self::Refused(Why::Credentials(_)))
    }

    /// Whether a read that ended like this may simply be tried again.
    pub fn read_may_retry(&self) -> bool {
        matches!(
            self,
            Self::NotSent(_) | Self::Uncertain(_) | Self::Unreachable(_) | Self::Busy { .. } | Self::Garbage(_)
        )
    }

    /// Whether an act that ended like this may be tried again without looking at the state first.
    pub fn act_may_retry(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::Busy { .. })
    }
}

/// An accepted act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The device took the command; `Caps::proof` says how to know that it was carried out.
    Accepted,
    /// The device said that it has been carried out.
    Completed,
}
