//! What failures of an exchange mean to the waist.

use std::time::Duration;

use serde_json::Value;

use crate::{
    model::{Fault, Why},
    wire::redfish::message,
};

/// How long a BMC that says "busy" without a time is left alone.
const BUSY: Duration = Duration::from_secs(2);
/// Longest time that a BMC may ask for.
const PATIENCE: Duration = Duration::from_mins(5);

/// How an exchange failed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Failure {
    /// There is no connection: nothing left this machine.
    NotSent(String),
    /// There is a connection, but not to whom we trust.
    Untrusted(String),
    /// It left, and no answer came.
    Silence(String),
    /// The answer makes no sense.
    Garbage(String),
    /// What has to come first failed (a login, reading an ETag): the request itself was not sent, or was turned away at
    /// the door.
    Before(Box<Failure>),
    /// User and password are wrong.
    Credentials(String),
    /// The BMC answered with an error.
    Status { code: u16, text: String, retry_after: Option<Duration>, keys: Vec<String> },
}

/// Result of an exchange.
pub(super) type Tried<T> = Result<T, Failure>;

impl Failure {
    /// Of an answer with a status that is no success.
    pub(super) fn status(code: u16, body: &Value, retry_after: Option<Duration>) -> Self {
        let said = message::of_error(body).unwrap_or_default();
        let keys = message::keys(body).into_iter().map(str::to_owned).collect();
        let text = if said.is_empty() { format!("HTTP {code}") } else { format!("HTTP {code}: {said}") };
        Self::Status { code, text, retry_after, keys }
    }

    /// Its status, if it is one.
    pub(super) fn code(&self) -> Option<u16> {
        if let Self::Status { code, .. } = self { Some(*code) } else { None }
    }

    /// It came before anything that counts was sent.
    pub(super) fn before(self) -> Self {
        Self::Before(Box::new(self))
    }

    /// Whether the BMC surely has not what was asked for. Asking again is of no use.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self.code(), Some(404 | 405 | 410 | 501))
    }

    /// Whether the BMC says that the value, not the moment, is wrong.
    pub(super) fn is_refused_value(&self) -> bool {
        let not_there = ["ActionNotSupported", "ActionParameterNotSupported", "ActionParameterValueNotInList"];
        match self {
            Self::Status { code: 405 | 501, .. } => true,
            Self::Status { code: 400, keys, .. } => keys.iter().any(|key| not_there.contains(&key.as_str())),
            _ => false,
        }
    }

    /// For a read, or a write that may be repeated.
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::NotSent(why) | Self::Silence(why) => Fault::Unreachable(why),
            Self::Untrusted(why) => Fault::Refused(Why::Protocol(why)),
            Self::Garbage(why) => Fault::Garbage(why),
            Self::Before(inner) => inner.into_fault(),
            Self::Credentials(why) => Fault::Refused(Why::Credentials(why)),
            Self::Status { code, text, retry_after, .. } => match code {
                401 => Fault::Refused(Why::Credentials(text)),
                403 => Fault::Refused(Why::Privilege(text)),
                404 | 405 | 410 | 501 => Fault::Unsupported(text),
                429 | 503 => busy(text, retry_after),
                // A gateway's word for a BMC that is not there.
                502 | 504 => Fault::Unreachable(text),
                _ => Fault::Refused(Why::Rejected(text)),
            },
        }
    }

    /// For a command that must not be repeated unless it surely was not carried out.
    pub(super) fn into_act_fault(self) -> Fault {
        match self {
            Self::NotSent(why) => Fault::NotSent(why),
            Self::Silence(why) | Self::Garbage(why) => Fault::Uncertain(why),
            Self::Before(inner) => match inner.into_fault() {
                Fault::Unreachable(why) | Fault::Garbage(why) => Fault::NotSent(why),
                other => other,
            },
            // The BMC broke down over it, or somebody between us and it answers.
            Self::Status { code: 500 | 502 | 504, text, .. } => Fault::Uncertain(text),
            other => other.into_fault(),
        }
    }
}

fn busy(reason: String, retry_after: Option<Duration>) -> Fault {
    Fault::Busy { reason, retry_after: Some(retry_after.unwrap_or(BUSY).min(PATIENCE)) }
}
