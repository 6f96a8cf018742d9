//! Signed tokens and the keys that they are checked with, as they travel: JOSE (RFC 7515, 7517, 7518, 8037), of which
//! only what a bearer token needs.
//!
//! | file | what |
//! | --- | --- |
//! | `base64url` | the one alphabet of all of it, strictly |
//! | `json` | objects without duplicate members, bounded in depth |
//! | [`alg`] | algorithms by name: key pairs only, so neither `none` nor a MAC has one |
//! | [`jws`] | the compact serialization: header, payload, signature |
//! | [`metadata`] | where an issuer says that its keys are |
//! | [`jwk`] | a set of public keys, and which of them are fit to check a signature |
//!
//! Not here: whether a signature is right (`auth::oauth`, by OpenSSL), and what a token's claims are good for. What
//! names keys by address (`jku`, `x5u`) or brings them along (`jwk`, `x5c`) is never looked at.

pub mod alg;
pub mod base64url;
pub mod json;
pub mod jwk;
pub mod jws;
pub mod metadata;

#[cfg(test)]
mod tests;

pub use alg::Alg;
pub use jwk::{Curve, Jwk, Jwks, JwksError, Material};
pub use jws::{Jws, JwsError};
