//! The part of LDAP (RFC 4511) that a login needs, client side: simple bind, search, StartTLS.
//!
//! `ber` takes bytes apart, `message` knows the operations, `filter` reads search filters (RFC 4515) and `dn` compares
//! distinguished names (RFC 4514). Filters are read before anybody's name is put into them: a name is a value in a tree,
//! never text that could be read as a filter.

mod ber;
mod dn;
mod filter;
mod message;
#[cfg(test)]
mod tests;

pub use ber::BerError;
pub use dn::Dn;
pub use filter::{Filter, FilterError};
pub use message::{Answer, Entry, MAX_MESSAGE, Outcome, Request, Response, SearchScope, code, frame};
