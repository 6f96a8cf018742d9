//! Exit codes, and the one place where errors become text and code.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::{
    auth::{AccountError, AuthError, RoleError},
    fleet::OpError,
    model::causes,
};

/// Exit codes of every subcommand. They are part of the interface: scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// Done.
    Ok,
    /// It was tried and failed, or it does not exist.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The configuration has problems.
    Config,
    /// No service answers.
    Unreachable,
    /// Refused on purpose: held, observed only, forbidden.
    Refused,
    /// Nobody knows whether it was done: look before repeating it.
    Uncertain,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Unreachable => 4,
            Self::Refused => 5,
            Self::Uncertain => 6,
        }
    }

    /// For several results: what a script has to know most urgently.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Ok => 0,
            Self::Refused => 1,
            Self::Failed => 2,
            Self::Config => 3,
            Self::Usage => 4,
            Self::Unreachable => 5,
            Self::Uncertain => 6,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

/// For `--help` and the man page.
pub const EXIT_CODES: &str = "Exit codes:
  0  done
  1  the operation failed
  2  the command line makes no sense
  3  the configuration has problems
  4  no service answers
  5  refused: held, observed only, or forbidden
  6  outcome unknown: look at the state before repeating it";

/// What went wrong, as it goes over the control socket and into `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A word for programs: `held`, `not-found`, ...
    pub code: String,
    /// How the command ends.
    pub exit: Exit,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A failure of some kind.
    pub fn new(code: &str, exit: Exit, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), exit, message: message.into() }
    }

    /// The command line or the request makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", Exit::Usage, message)
    }

    /// No such node, endpoint or account.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new("not-found", Exit::Failed, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<&OpError> for Failure {
    fn from(error: &OpError) -> Self {
        let (code, exit) = match error {
            OpError::NotFound(_) => ("not-found", Exit::Failed),
            OpError::Forbidden { .. } => ("forbidden", Exit::Refused),
            OpError::NotOffered { .. } => ("not-offered", Exit::Failed),
            OpError::BadValue { .. } => ("bad-value", Exit::Usage),
            OpError::Held { .. } => ("held", Exit::Refused),
            OpError::ObserveOnly { .. } => ("observe-only", Exit::Refused),
            OpError::Conflict { .. } => ("conflict", Exit::Failed),
            OpError::InUse { .. } => ("in-use", Exit::Refused),
            OpError::ControllerBooting { .. } => ("controller-booting", Exit::Failed),
            OpError::Cancelled { .. } => ("cancelled", Exit::Failed),
            OpError::Endpoint { .. } => ("endpoint", Exit::Failed),
            OpError::NotConfirmed { .. } => ("not-confirmed", Exit::Failed),
            OpError::Uncertain { .. } => ("uncertain", Exit::Uncertain),
            OpError::TooLate { .. } => ("too-late", Exit::Failed),
            OpError::Hook { .. } => ("hook", Exit::Failed),
            OpError::PreconditionFailed => ("changed", Exit::Failed),
            OpError::Store(_) => ("store", Exit::Failed),
            OpError::Stopping => ("stopping", Exit::Unreachable),
        };
        let way_out = match error {
            OpError::Held { target, .. } => match target.strip_prefix("endpoint ") {
                Some(endpoint) => format!("; `rackfish endpoint release {endpoint}` ends it"),
                None => format!("; `rackfish node release {target}` ends it"),
            },
            OpError::ControllerBooting { retry_after, .. } | OpError::TooLate { retry_after } => {
                format!("; try again in {} s", retry_after.as_secs().max(1))
            }
            OpError::Uncertain { .. } => "; look at the state before repeating it".to_owned(),
            _ => String::new(),
        };
        let message = match error {
            OpError::NotOffered { target, what, offered } if offered.is_empty() => {
                format!("{what} is not offered by {target}")
            }
            _ => format!("{error}{way_out}"),
        };
        Self::new(code, exit, message)
    }
}

impl From<&RoleError> for Failure {
    fn from(error: &RoleError) -> Self {
        let (code, exit) = match error {
            RoleError::Exists(_) => ("exists", Exit::Failed),
            RoleError::NotFound(_) => ("not-found", Exit::Failed),
            RoleError::Predefined(_) => ("predefined", Exit::Refused),
            RoleError::Unacceptable { .. } => ("bad-value", Exit::Usage),
            RoleError::TooMany(_) => ("too-many", Exit::Refused),
            RoleError::InUse { .. } => ("in-use", Exit::Refused),
            RoleError::Changed => ("changed", Exit::Failed),
            RoleError::LastAdministrator(_) => ("last-administrator", Exit::Refused),
            RoleError::Store(_) => ("store", Exit::Failed),
        };
        Self::new(code, exit, causes(error))
    }
}

impl From<&AccountError> for Failure {
    fn from(error: &AccountError) -> Self {
        let (code, exit) = match error {
            AccountError::Exists(_) => ("exists", Exit::Failed),
            AccountError::NotFound(_) => ("not-found", Exit::Failed),
            AccountError::Unacceptable { .. } => ("bad-value", Exit::Usage),
            AccountError::Changed => ("changed", Exit::Failed),
            AccountError::LastAdministrator(_) => ("last-administrator", Exit::Refused),
            AccountError::NoSuchRole(_) => ("no-role", Exit::Usage),
            AccountError::Store(_) => ("store", Exit::Failed),
        };
        Self::new(code, exit, causes(error))
    }
}

impl From<&AuthError> for Failure {
    fn from(error: &AuthError) -> Self {
        Self::new("accounts", Exit::Failed, causes(error))
    }
}

/// Why a subcommand did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// To be printed.
    #[error("{0}")]
    Failed(Failure),
    /// Everything has been printed already.
    #[error("failed")]
    Printed(Exit),
    /// Standard output can't be written.
    #[error("can't write the output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// A failure with text.
    pub fn new(code: &str, exit: Exit, message: impl Into<String>) -> Self {
        Self::Failed(Failure::new(code, exit, message))
    }

    /// How the program ends. A reader that went away (`| head`) is no failure.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Failed(failure) => failure.exit,
            Self::Printed(exit) => *exit,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) => Exit::Failed,
        }
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pipe_is_success_and_the_worst_result_counts() {
        let pipe = CliError::Output(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(pipe.exit().code(), 0);
        assert_eq!(CliError::Output(io::Error::other("full")).exit().code(), 1);
        assert_eq!(Exit::Refused.worst(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Uncertain.worst(Exit::Failed), Exit::Uncertain);
    }

    #[test]
    fn operation_errors_have_codes_and_ways_out() {
        let held = OpError::Held { target: "n1".to_owned(), owner: "ann".into(), reason: "disk".to_owned() };
        let failure = Failure::from(&held);
        assert_eq!((failure.code.as_str(), failure.exit.code()), ("held", 5));
        assert_eq!(failure.message, "n1 is held by ann: disk; `rackfish node release n1` ends it");
        let held = OpError::Held { target: "endpoint p".to_owned(), owner: "ann".into(), reason: "disk".to_owned() };
        assert!(Failure::from(&held).message.contains("`rackfish endpoint release p`"));
        assert_eq!(Failure::from(&OpError::Stopping).exit, Exit::Unreachable);
    }
}
