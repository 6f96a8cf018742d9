//! What failures of an exchange mean to the waist.

use std::time::Duration;

use crate::{
    model::{Fault, Why},
    wire::ipmi::{Malformed, completion_text},
};

/// How an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The request did not leave this machine.
    NotSent(String),
    /// It left, and no answer came in time.
    Silence(Duration),
    /// It left, and the network said that nobody is there.
    Gone(String),
    /// The BMC answered with this completion code.
    Code(u8),
    /// The BMC's answer makes no sense.
    Malformed(Malformed),
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

/// How long a BMC that says "busy" is left alone. Most are busy for less than that.
const BUSY: Duration = Duration::from_millis(500);
/// The same while it starts or updates its firmware.
const STARTING: Duration = Duration::from_secs(5);

impl Failure {
    /// For a read, or a write that may be repeated.
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::NotSent(reason) => Fault::NotSent(reason),
            Self::Silence(timeout) => Fault::Unreachable(format!("no answer within {timeout:?}")),
            Self::Gone(reason) => Fault::Unreachable(reason),
            Self::Code(code) => code_fault(code),
            Self::Malformed(error) => Fault::Garbage(error.to_string()),
        }
    }

    /// For a command that must not be repeated unless it surely was not carried out.
    pub(super) fn into_act_fault(self) -> Fault {
        match self {
            Self::Silence(timeout) => Fault::Uncertain(format!("no answer within {timeout:?}")),
            // The message may be about an earlier packet: it proves nothing about this one.
            Self::Gone(reason) => Fault::Uncertain(reason),
            // "Could not give a response in time" says nothing about what was done.
            Self::Code(code @ (0xc3 | 0xce)) => Fault::Uncertain(completion_text(code)),
            other => other.into_fault(),
        }
    }

    /// Whether the BMC answered: it is alive, the request was just not to its taste.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Code(_) | Self::Malformed(_))
    }

    /// Whether the BMC does not have the command, sensor or record at all. Asking again is of no use.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Code(0xc1 | 0xc2 | 0xc9 | 0xcb | 0xcc | 0xcd | 0xd4 | 0xd5 | 0xd6))
    }
}

fn code_fault(code: u8) -> Fault {
    let text = completion_text(code);
    match code {
        0xc0 | 0xc3 | 0xc4 | 0xc5 | 0xce => Fault::Busy { reason: text, retry_after: Some(BUSY) },
        0xd0..=0xd2 => Fault::Busy { reason: text, retry_after: Some(STARTING) },
        0xc1 | 0xc2 | 0xd6 => Fault::Unsupported(text),
        0xd4 => Fault::Refused(Why::Privilege(text)),
        _ => Fault::Refused(Why::Rejected(text)),
    }
}
