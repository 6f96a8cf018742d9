//! A set of public keys (RFC 7517, RFC 7518 section 6, RFC 8037 section 2), and which of them can check a signature.
//!
//! A key that can't is left out with the reason, as RFC 7517 (section 5) wants it: one odd key of an issuer must not
//! shut everybody out. Certificates (`x5c`, `x5u`) are not looked at: who is trusted is said by where the set is from.

use serde_json::Value;

use super::{
    Alg, base64url,
    json::{self, Object},
};

/// Bytes of a set; the longest of large issuers have some 20 KiB.
pub const MAX_SET: usize = 256 << 10;
/// Keys of a set.
const MAX_KEYS: usize = 100;
/// Bits of an RSA modulus: fewer are no longer safe (RFC 7518, section 3.3), more take long to check.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
/// Bytes of an RSA exponent; nearly all are 65537, and a long one would make each check slow.
const MAX_EXPONENT: usize = 8;
/// Longest `kid`, as in a token's header.
const MAX_KID: usize = 256;

/// A NIST curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// Its name in a key.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Bytes of a coordinate, and of each half of a signature.
    pub fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// What a key is made of; all numbers big-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Material {
    /// Modulus and exponent, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// A point, which may or may not lie on its curve: OpenSSL knows.
    Ec { curve: Curve, x: Vec<u8>, y: Vec<u8> },
    /// 32 bytes.
    Ed25519 { x: Vec<u8> },
}

/// A key that can check signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    /// `kid`
    pub kid: Option<String>,
    /// The one algorithm that it is for, if it says so.
    pub alg: Option<Alg>,
    /// The key itself.
    pub material: Material,
}

impl Jwk {
    /// Whether a signature of that algorithm can be this key's.
    pub fn suits(&self, alg: Alg) -> bool {
        alg.suits(&self.material) && self.alg.is_none_or(|own| own == alg)
    }

    /// As a set has it, with the public members alone.
    fn to_json(&self) -> Value {
        let text = |bytes: &[u8]| Value::from(base64url::encode(bytes));
        let mut object = Object::new();
        let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
        match &self.material {
            Material::Rsa { n, e } => {
                put("kty", "RSA".into());
                put("n", text(n));
                put("e", text(e));
            }
            Material::Ec { curve, x, y } => {
                put("kty", "EC".into());
                put("crv", curve.as_str().into());
                put("x", text(x));
                put("y", text(y));
            }
            Material::Ed25519 { x } => {
                put("kty", "OKP".into());
                put("crv", "Ed25519".into());
                put("x", text(x));
            }
        }
        put("use", "sig".into());
        if let Some(kid) = &self.kid {
            put("kid", kid.as_str().into());
        }
        if let Some(alg) = self.alg {
            put("alg", alg.as_str().into());
        }
        Value::Object(object)
    }
}

/// A set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jwks {
    /// Keys that can check signatures.
    pub keys: Vec<Jwk>,
    /// What else there is, each with the reason why it is not used: `key "1": ...`.
    pub left_out: Vec<String>,
}

/// Why something is no set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// More than [`MAX_SET`].
    #[error("it has more than {MAX_SET} bytes")]
    TooLong,
    /// No object, or not a sound one.
    #[error("it is not sound JSON: {0}")]
    Json(String),
    /// No list `keys`.
    #[error("it is no JSON Web Key Set: it has no list `keys`")]
    NoKeys,
    /// More keys than any issuer has.
    #[error("it has {0} keys, and may have {MAX_KEYS}")]
    TooMany(usize),
}

impl Jwks {
    /// Reads a set.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        if bytes.len() > MAX_SET {
            return Err(JwksError::TooLong);
        }
        let set = json::object(bytes).map_err(JwksError::Json)?;
        let Some(Value::Array(list)) = set.get("keys") else { return Err(JwksError::NoKeys) };
        if list.len() > MAX_KEYS {
            return Err(JwksError::TooMany(list.len()));
        }
        let mut read = Self::default();
        for (number, value) in list.iter().enumerate() {
            let shown = value.get("kid").and_then(Value::as_str).map_or_else(
                || format!("number {}", number + 1),
                |kid| format!("{:?}", kid.chars().take(64).collect::<String>()),
            );
            match value.as_object().ok_or("is no object").and_then(key) {
                Ok(key) => read.keys.push(key),
                Err(why) => read.left_out.push(format!("key {shown} {why}")),
            }
        }
        Ok(read)
    }

    /// The keys that are used, as a set.
    pub fn to_json(&self) -> Value {
        serde_json::json!({ "keys": self.keys.iter().map(Jwk::to_json).collect::<Vec<_>>() })
    }
}

fn key(object: &Object) -> Result<Jwk, &'static str> {
    let text = |key: &str| match object.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err("has a member that should be a text and is none"),
    };
    let kty = text("kty")?.ok_or("has no `kty`")?;
    if kty == "oct" {
        return Err("is a shared secret (oct): whoever checks with it could sign with it");
    }
    if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|private| object.contains_key(*private)) {
        return Err("is published with its private part: anybody can sign with it");
    }
    if text("use")?.is_some_and(|purpose| purpose != "sig") {
        return Err("is not for signatures (`use`)");
    }
    if let Some(ops) = object.get("key_ops") {
        let verifies = ops.as_array().is_some_and(|ops| ops.iter().any(|op| op.as_str() == Some("verify")));
        if !verifies {
            return Err("is not for checking signatures (`key_ops`)");
        }
    }
    let kid = text("kid")?;
    if kid.is_some_and(|kid| kid.len() > MAX_KID) {
        return Err("has a `kid` that is too long");
    }
    let bytes =
        |key: &str| text(key)?.and_then(base64url::decode).ok_or("lacks a number, or has one that is no base64url");
    let material = match kty {
        "RSA" => rsa(bytes("n")?, bytes("e")?)?,
        "EC" => {
            let curve = match text("crv")? {
                Some("P-256") => Curve::P256,
                Some("P-384") => Curve::P384,
                Some("P-521") => Curve::P521,
                _ => return Err("is on a curve that is not known here"),
            };
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != curve.bytes() || y.len() != curve.bytes() {
                return Err("has coordinates of a wrong length");
            }
            Material::Ec { curve, x, y }
        }
        "OKP" if text("crv")? == Some("Ed25519") => match bytes("x")? {
            x if x.len() == 32 => Material::Ed25519 { x },
            _ => return Err("has a point of a wrong length"),
        },
        _ => return Err("is of a kind that is not known here"),
    };
    let alg = match text("alg")? {
        None => None,
        Some(name) => {
            let alg = Alg::of(name).filter(|alg| alg.suits(&material));
            Some(alg.ok_or("is for an algorithm that is not known here, or not for its kind")?)
        }
    };
    Ok(Jwk { kid: kid.map(str::to_owned), alg, material })
}

fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Material, &'static str> {
    let trimmed = |number: Vec<u8>| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        number.get(zeros..).unwrap_or_default().to_vec()
    };
    let (n, e) = (trimmed(n), trimmed(e));
    let unused = n.first().map_or(0, |first| first.leading_zeros());
    let bits = (n.len() * 8).saturating_sub(usize::try_from(unused).unwrap_or(0));
    if bits < *RSA_BITS.start() {
        return Err("is an RSA key of fewer than 2048 bits");
    }
    if bits > *RSA_BITS.end() {
        return Err("is an RSA key of more than 8192 bits");
    }
    let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    if !odd(&n) || !odd(&e) || e.len() > MAX_EXPONENT || e == [1] {
        return Err("is no sound RSA key (modulus or exponent)");
    }
    Ok(Material::Rsa { n, e })
}
