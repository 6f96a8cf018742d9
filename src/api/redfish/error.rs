//! Errors as Redfish writes them, and the one place that gives them their status.
//!
//! A GET never ends in a 5xx because of a device (each costs Ironic 30 s); 503 with `Retry-After` is for actions.

use std::time::Duration;

use super::{
    doc::Doc,
    messages::{self as m, Message},
    reply::Reply,
};
use crate::{
    auth::{AccountError, AuthError, PolicyError, RoleError, oauth::refusal::Refusal},
    fleet::OpError,
    model::Fault,
};

/// Why a request was refused or failed.
#[derive(Debug)]
pub struct Error {
    /// HTTP status.
    pub status: u16,
    /// What is wrong: never empty.
    pub messages: Vec<Message>,
    /// When it is worth asking again, in seconds.
    pub retry_after: Option<u64>,
    /// What to send along as `WWW-Authenticate`.
    pub challenge: Challenge,
}

/// How a client may say who it is (RFC 9110, section 11.6.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// With a name and a password.
    pub basic: bool,
    /// With a token (RFC 6750, section 3): the header's value.
    pub bearer: Option<String>,
}

impl Challenge {
    /// `Bearer`, with why a token was refused. `basic`: a password may do.
    fn bearer(basic: bool, error: &str, told: &str) -> Self {
        let bearer = format!("Bearer realm=\"rackfish\", error=\"{error}\", error_description=\"{told}\"");
        Self { basic, bearer: Some(bearer) }
    }
}

/// Which part of a request an operation came from: what a refusal names.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// A parameter of an action, and its value.
    Action {
        /// `ComputerSystem.Reset`
        action: &'static str,
        /// `ResetType`
        parameter: &'static str,
        /// As sent.
        value: &'a str,
    },
    /// A property, as path.
    Property(&'static str),
}

impl Error {
    /// One message.
    pub fn new(status: u16, message: Message) -> Self {
        Self { status, messages: vec![message], retry_after: None, challenge: Challenge::default() }
    }

    /// Several things wrong with a request: 400.
    pub fn bad(messages: Vec<Message>) -> Self {
        Self { status: 400, messages, retry_after: None, challenge: Challenge::default() }
    }

    /// 404 for a URI.
    pub fn not_found(uri: &str) -> Self {
        Self::new(404, m::NOT_FOUND.with([uri]))
    }

    /// 401
    pub fn unauthorized(message: Message) -> Self {
        Self { challenge: Challenge { basic: true, bearer: None }, ..Self::new(401, message) }
    }

    /// 403
    pub fn forbidden() -> Self {
        Self::new(403, m::INSUFFICIENT_PRIVILEGE.with([]))
    }

    /// 412
    pub fn precondition() -> Self {
        Self::new(412, m::PRECONDITION_FAILED.with([]))
    }

    /// Says when it is worth asking again.
    #[must_use]
    pub fn retry(mut self, after: Duration) -> Self {
        self.retry_after = Some(whole_seconds(after));
        self
    }

    /// For logs: the first message's text.
    pub fn text(&self) -> String {
        self.messages.first().map(Message::text).unwrap_or_default()
    }

    /// The answer.
    pub fn into_reply(self) -> Reply {
        let mut doc = Doc::plain();
        doc.obj("error", |o| {
            match self.messages.as_slice() {
                [only] => o.set("code", only.definition.id()).set("message", only.text()),
                _ => o.set("code", m::GENERAL_ERROR.id()).set("message", m::GENERAL_ERROR.text),
            };
            Message::extended_info(o, &self.messages);
        });
        Reply { status: self.status, body: doc.finish(), retry_after: self.retry_after, ..Reply::default() }
    }

    /// What the fleet refused or failed to do.
    pub fn of_operation(error: &OpError, asked: Asked<'_>, uri: &str) -> Self {
        match error {
            OpError::NotFound(_) => Self::not_found(uri),
            OpError::Forbidden { .. } => Self::forbidden(),
            OpError::NotOffered { offered, target, .. } => Self::new(400, not_offered(asked, target, offered)),
            OpError::BadValue { property, value, reason } => Self::new(
                400,
                match asked {
                    Asked::Action { action, parameter, .. } => {
                        m::ACTION_PARAMETER_NOT_IN_LIST.with([value, parameter, action]).detail(capital(reason))
                    }
                    Asked::Property(path) => {
                        m::PROPERTY_INCORRECT.with([property, value]).detail(capital(reason)).about(path)
                    }
                },
            ),
            OpError::Held { target, owner, reason } => Self::new(409, m::HELD.with([target, owner, reason])),
            OpError::ObserveOnly { endpoint } => Self::new(409, m::OBSERVE_ONLY.with([endpoint])),
            OpError::InUse { .. } => {
                let way_out = "Eject what is in it first.";
                Self::new(409, m::IN_USE.with([]).detail(sentence(error)).way_out(way_out))
            }
            OpError::Conflict { target, running } => {
                Self::new(409, m::OPERATION_IN_PROGRESS.with([target, running])).retry(Duration::from_secs(5))
            }
            OpError::ControllerBooting { retry_after, .. } => {
                let (parameter, value) = match asked {
                    Asked::Action { parameter, value, .. } => (parameter, value),
                    Asked::Property(path) => (path, "changed"),
                };
                // Ironic looks for this message on 409 and asks again for a minute.
                Self::new(409, m::ACTION_PARAMETER_CONFLICT.with([parameter, value]).detail(sentence(error)))
                    .retry(*retry_after)
            }
            OpError::Cancelled { by } => Self::new(409, m::OPERATION_CANCELLED.with([by])),
            OpError::Endpoint { endpoint, unit, fault } => of_fault(endpoint.as_str(), unit, fault, asked),
            OpError::NotConfirmed { endpoint, unit, shows, waited } => Self::new(
                503,
                m::ACTION_NOT_CONFIRMED.with([endpoint.as_str(), unit, shows, &whole_seconds(*waited).to_string()]),
            ),
            OpError::Uncertain { endpoint, fault } => {
                Self::new(503, m::OUTCOME_UNKNOWN.with([endpoint.as_str(), &fault.to_string()]))
            }
            OpError::TooLate { retry_after } => {
                let seconds = whole_seconds(*retry_after).to_string();
                Self::new(503, m::START_DEFERRED.with([&seconds])).retry(*retry_after)
            }
            OpError::Hook { target, cause } => Self::new(503, m::HOOK_FAILED.with([target, cause])),
            OpError::PreconditionFailed => Self::precondition(),
            OpError::Store(cause) => Self::not_kept(cause),
            OpError::Stopping => Self::new(503, m::SHUTTING_DOWN.with([])).retry(Duration::from_secs(10)),
        }
    }

    /// The store failed.
    pub fn not_kept(cause: &str) -> Self {
        Self::new(503, m::NOT_KEPT.with([cause])).retry(Duration::from_secs(30))
    }

    /// What `auth` refused.
    pub fn of_login(error: &AuthError) -> Self {
        match error {
            AuthError::BadCredentials => Self::unauthorized(m::ACCESS_UNAUTHORIZED.with([])),
            AuthError::BadToken => Self::unauthorized(m::NO_VALID_SESSION.with([])),
            AuthError::Bearer(refusal) => Self::of_bearer(refusal),
            AuthError::Throttled(_) => Self::new(429, m::TEMPORARILY_UNAVAILABLE.with(["10"]).detail(sentence(error)))
                .retry(Duration::from_secs(10)),
            AuthError::DirectoryDown(again) => {
                let seconds = whole_seconds(*again).max(1).to_string();
                Self::new(503, m::TEMPORARILY_UNAVAILABLE.with([&seconds]).detail(sentence(error))).retry(*again)
            }
            AuthError::Store(cause) => {
                Self::new(503, m::NOT_KEPT.with([&cause.to_string()])).retry(Duration::from_secs(10))
            }
        }
    }

    /// A token that is not accepted: 401; one that gives no role: 403 (RFC 6750, section 3.1).
    fn of_bearer(refusal: &Refusal) -> Self {
        let detail = sentence(&refusal.told());
        match refusal {
            Refusal::NoRole { .. } => {
                let challenge = Challenge::bearer(false, "insufficient_scope", refusal.told());
                Self { challenge, ..Self::new(403, m::INSUFFICIENT_PRIVILEGE.with([]).detail(detail)) }
            }
            // It may be a good one: its client should not throw it away.
            Refusal::NoKeys(..) => {
                Self::new(503, m::TEMPORARILY_UNAVAILABLE.with(["10"]).detail(detail)).retry(Duration::from_secs(10))
            }
            Refusal::Off => Self::unauthorized(m::ACCESS_UNAUTHORIZED.with([]).detail(detail)),
            _ => {
                let challenge = Challenge::bearer(true, "invalid_token", refusal.told());
                Self { challenge, ..Self::new(401, m::ACCESS_UNAUTHORIZED.with([]).detail(detail)) }
            }
        }
    }

    /// What became of an account.
    pub fn of_account(error: &AccountError, uri: &str) -> Self {
        match error {
            AccountError::Exists(name) => Self::new(409, m::ALREADY_EXISTS.with(["ManagerAccount", "UserName", name])),
            AccountError::NotFound(_) => Self::not_found(uri),
            AccountError::Unacceptable { property, reason } => Self::new(
                400,
                // Never the value: it may be a password.
                m::PROPERTY_INCORRECT.with([property, "the given value"]).detail(sentence(reason)).about(property),
            ),
            AccountError::Changed => Self::precondition(),
            AccountError::LastAdministrator(name) => Self::new(409, m::LAST_ADMINISTRATOR.with([name])),
            AccountError::NoSuchRole(name) => {
                let message = m::PROPERTY_NOT_IN_LIST.with([name, "RoleId"]).detail(sentence(error));
                Self::new(400, message.about("RoleId"))
            }
            AccountError::Store(cause) => {
                Self::new(503, m::NOT_KEPT.with([&cause.to_string()])).retry(Duration::from_secs(30))
            }
        }
    }
}

impl Error {
    /// What became of the rules for accounts.
    pub fn of_policy(error: &PolicyError) -> Self {
        match error {
            PolicyError::Configured { property, .. } => {
                Self::new(400, m::PROPERTY_NOT_WRITABLE.with([property]).detail(sentence(error)).about(property))
            }
            PolicyError::Unacceptable { property, reason } => Self::new(
                400,
                m::PROPERTY_INCORRECT.with([property, "the given value"]).detail(sentence(reason)).about(property),
            ),
            PolicyError::Changed => Self::precondition(),
            PolicyError::Store(cause) => {
                Self::new(503, m::NOT_KEPT.with([&cause.to_string()])).retry(Duration::from_secs(30))
            }
        }
    }

    /// What became of a role.
    pub fn of_role(error: &RoleError, uri: &str) -> Self {
        match error {
            RoleError::Exists(name) => Self::new(409, m::ALREADY_EXISTS.with(["Role", "RoleId", name])),
            RoleError::NotFound(_) => Self::not_found(uri),
            RoleError::Predefined(name) => Self::new(403, m::RESTRICTED_ROLE.with([name]).detail(sentence(error))),
            RoleError::Unacceptable { property, reason } => Self::new(
                400,
                m::PROPERTY_INCORRECT.with([property, "the given value"]).detail(sentence(reason)).about(property),
            ),
            RoleError::TooMany(_) => Self::new(400, m::CREATE_LIMIT_REACHED.with([]).detail(sentence(error))),
            RoleError::InUse { .. } => {
                let message = m::CANNOT_BE_DELETED.with([]).detail(sentence(error));
                Self::new(409, message.way_out("Give these accounts another role first."))
            }
            RoleError::Changed => Self::precondition(),
            RoleError::LastAdministrator(name) => Self::new(409, m::LAST_ADMINISTRATOR.with([name])),
            RoleError::Store(cause) => {
                Self::new(503, m::NOT_KEPT.with([&cause.to_string()])).retry(Duration::from_secs(30))
            }
        }
    }
}

fn not_offered(asked: Asked<'_>, target: &str, offered: &[String]) -> Message {
    let way_out = if offered.is_empty() {
        format!("{target} offers nothing here.")
    } else {
        format!("{target} offers {}.", offered.join(", "))
    };
    match asked {
        Asked::Action { action, parameter, value } => {
            m::ACTION_PARAMETER_NOT_IN_LIST.with([value, parameter, action]).detail(way_out)
        }
        Asked::Property(path) => {
            let name = path.rsplit('/').next().unwrap_or(path);
            m::PROPERTY_NOT_IN_LIST.with(["given", name]).detail(way_out).about(path)
        }
    }
}

fn of_fault(endpoint: &str, unit: &str, fault: &Fault, asked: Asked<'_>) -> Error {
    let error = Error::new(503, m::ENDPOINT_UNAVAILABLE.with([endpoint, unit, &fault.to_string()]));
    match fault {
        Fault::Busy { retry_after, .. } => error.retry(retry_after.unwrap_or(Duration::from_secs(5))),
        Fault::NotSent(_) | Fault::Unreachable(_) | Fault::Uncertain(_) => error.retry(Duration::from_secs(15)),
        // Asking again would bring the same answer.
        Fault::Refused(_) | Fault::NoSuchUnit(_) | Fault::Garbage(_) => error,
        Fault::Unsupported(what) => {
            let name = match asked {
                Asked::Action { action, .. } => action,
                Asked::Property(path) => path,
            };
            Error::new(400, m::ACTION_NOT_SUPPORTED.with([name]).detail(format!("{endpoint} says: {what}.")))
        }
    }
}

/// Rounded up, at least one.
fn whole_seconds(d: Duration) -> u64 {
    d.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    out.push_str(chars.as_str());
    if !out.ends_with('.') {
        out.push('.');
    }
    out
}

fn sentence(what: &impl ToString) -> String {
    capital(&what.to_string())
}
