//! A token as it comes: JSON Web Signature, compact serialization (RFC 7515, sections 3.1 and 7.1).
//!
//! Takes it apart; that the signature is right is for others to say, and until then nothing in here is true.

use super::{Alg, base64url, json};

/// Longest token, in bytes: a request's head has to hold it. Tokens with a hundred groups have some 4 KiB.
pub const MAX_TOKEN: usize = 8 << 10;
/// Longest `kid`, in bytes; thumbprints have 43.
const MAX_KID: usize = 256;
/// Characters of a name from outside that an error repeats.
const SHOWN: usize = 24;

/// A token, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jws<'t> {
    /// `alg`
    pub alg: Alg,
    /// `kid`: which key it is.
    pub kid: Option<String>,
    /// `typ`: what kind of token it is.
    pub typ: Option<String>,
    /// What is signed, as text.
    pub signed: &'t str,
    /// The payload's bytes.
    pub payload: Vec<u8>,
    /// The signature's bytes.
    pub signature: Vec<u8>,
}

/// Why a text is no token. Nothing in here repeats more of it than a name or two of its header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// More than [`MAX_TOKEN`].
    #[error("it has {0} bytes, and may have {MAX_TOKEN}")]
    TooLong(usize),
    /// Not `header.payload.signature`.
    #[error("it has {0} parts, and a signed token has three")]
    Parts(usize),
    /// A part that is no base64url.
    #[error("its {0} is not base64url")]
    Base64(&'static str),
    /// The header is no object, or not one that can be trusted.
    #[error("its header is not sound JSON: {0}")]
    Json(String),
    /// A member of the header that is missing or of another type.
    #[error("the {0} of its header is missing, too long or not a text")]
    Member(&'static str),
    /// `none`, a MAC, or something unheard of.
    #[error("its algorithm is {0:?}, which nobody's key pair signs with")]
    Algorithm(String),
    /// An extension that has to be understood (RFC 7515, section 4.1.11), and is not.
    #[error("its header demands extensions (crit), and none is known here")]
    Critical,
}

impl<'t> Jws<'t> {
    /// Takes a token apart.
    pub fn parse(token: &'t str) -> Result<Self, JwsError> {
        if token.len() > MAX_TOKEN {
            return Err(JwsError::TooLong(token.len()));
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts.as_slice() else { return Err(JwsError::Parts(parts.len())) };
        let decode = |what, text| base64url::decode(text).ok_or(JwsError::Base64(what));
        let header_bytes = decode("header", header)?;
        let object = json::object(&header_bytes).map_err(JwsError::Json)?;
        // Before anything else: who does not understand an extension may not look any further.
        if object.contains_key("crit") {
            return Err(JwsError::Critical);
        }
        let text = |key: &'static str| match object.get(key) {
            None => Ok(None),
            Some(serde_json::Value::String(text)) if text.len() <= MAX_KID => Ok(Some(text.clone())),
            Some(_) => Err(JwsError::Member(key)),
        };
        let name = text("alg")?.ok_or(JwsError::Member("alg"))?;
        let alg = Alg::of(&name).ok_or_else(|| JwsError::Algorithm(name.chars().take(SHOWN).collect()))?;
        Ok(Self {
            alg,
            kid: text("kid")?,
            typ: text("typ")?,
            signed: token.get(..header.len() + 1 + payload.len()).unwrap_or_default(),
            payload: decode("payload", payload)?,
            signature: decode("signature", signature)?,
        })
    }
}
