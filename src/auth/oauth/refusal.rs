//! Why a token is refused: for the log, and in other words for whoever has sent it.

use crate::wire::jose::{Alg, JwsError};

/// Why a token is not accepted. The text is for the log: it may name claims of the token, and holds no part of it from
/// which it could be put together again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No issuer is configured.
    #[error("tokens are not accepted: there is no [auth.oauth.NAME] in the configuration")]
    Off,
    /// No token at all.
    #[error("it is no signed token: {0}")]
    Malformed(#[from] JwsError),
    /// The payload is no sound object.
    #[error("its payload is not sound JSON: {0}")]
    Payload(String),
    /// `typ` says that it is for something else.
    #[error("it is a {0:?}, and not a token for access")]
    Type(String),
    /// A claim that is missing, or of another type than it has to be.
    #[error("its claim `{0}` is missing or not what it has to be")]
    Claim(String),
    /// `iss` of nobody.
    #[error("its issuer (iss) {0:?} is none of those that are configured")]
    Issuer(String),
    /// An algorithm that is not accepted from this issuer.
    #[error("it is signed with {0}, and [auth.oauth.{1}] accepts {2}")]
    Algorithm(Alg, String, String),
    /// There never was a set of keys.
    #[error("the keys of {0} could not be had yet: {1}")]
    NoKeys(String, String),
    /// No key of that name.
    #[error("{issuer} has no key {kid:?} for {alg}; it has {has}")]
    UnknownKey {
        /// Its name in the configuration.
        issuer: String,
        /// As the token has it, shortened.
        kid: String,
        /// As the token has it.
        alg: Alg,
        /// Keys that there are.
        has: String,
    },
    /// No `kid`, and nothing to go by.
    #[error("it does not name its key (kid), and {1} keys of {0} can sign with its algorithm")]
    WhichKey(String, usize),
    /// The signature is not of that key.
    #[error("its signature is wrong")]
    Signature,
    /// Past `exp`.
    #[error("it expired {0} s ago")]
    Expired(i64),
    /// Before `nbf`, or from the future.
    #[error("it is not valid before {0} s from now ({1})")]
    NotYet(i64, &'static str),
    /// Longer than the configuration allows.
    #[error("it is valid for {0} s in all, longer than max_lifetime of [auth.oauth.{1}]")]
    TooLong(i64, String),
    /// For somebody else.
    #[error("it is meant for {0}, and not for this service")]
    Audience(String),
    /// Bound to a key that its sender has to prove (RFC 7800), which nobody asks for here.
    #[error("it is bound to a key of its sender (cnf), which can't be proven here")]
    Bound,
    /// A name that can't be one.
    #[error("the name in its claim `{0}` is empty, too long, or has characters that no name has")]
    Name(String),
    /// None of its values is worth anything here.
    #[error("{name} has no role here: none of the values in `{claim}` is in `roles` of [auth.oauth.{issuer}]")]
    NoRole {
        /// The principal that it would be.
        name: String,
        /// The claim that was looked at.
        claim: String,
        /// Its issuer's name in the configuration.
        issuer: String,
    },
}

impl Refusal {
    /// For the client: says what to do, and nothing of the configuration. Characters as RFC 6750 (section 3) has them.
    pub fn told(&self) -> &'static str {
        match self {
            Self::Off => "tokens are not accepted here",
            Self::Malformed(JwsError::Algorithm(_)) | Self::Algorithm(..) => {
                "the algorithm of the signature is not accepted"
            }
            Self::Malformed(_) | Self::Payload(_) | Self::Claim(_) | Self::Type(_) => {
                "it is not a sound token for access"
            }
            Self::Issuer(_) => "the issuer is not known here",
            Self::NoKeys(..) => "the keys of the issuer can't be had at the moment",
            Self::UnknownKey { .. } | Self::WhichKey(..) => "the issuer has no such key",
            Self::Signature => "the signature is wrong",
            Self::Expired(_) => "the token has expired",
            Self::NotYet(..) => "the token is not valid yet",
            Self::TooLong(..) => "the token is valid for longer than is accepted here",
            Self::Audience(_) => "the token is meant for somebody else",
            Self::Bound => "the token is bound to a key of its sender",
            Self::Name(_) => "the token does not name its user",
            Self::NoRole { .. } => "the token gives no role here",
        }
    }
}
