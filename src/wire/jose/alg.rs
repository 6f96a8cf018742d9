//! Signature algorithms by their names (RFC 7518, section 3.1; RFC 8037, section 3.1).
//!
//! There is no name here for `none`, nor for a MAC (`HS256`): whoever knows a public key could make either.

use std::fmt;

use super::jwk::{Curve, Material};

/// An algorithm for which only the issuer has the key to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // named as RFC 7518 names them
pub enum Alg {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

impl Alg {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// As a header writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name. Names are case sensitive (RFC 7515, section 4.1.1).
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.as_str() == name)
    }

    /// Whether a key of that kind can have made the signature: an elliptic curve goes with one algorithm alone.
    pub fn suits(self, material: &Material) -> bool {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                matches!(material, Material::Rsa { .. })
            }
            Self::Es256 => matches!(material, Material::Ec { curve: Curve::P256, .. }),
            Self::Es384 => matches!(material, Material::Ec { curve: Curve::P384, .. }),
            Self::Es512 => matches!(material, Material::Ec { curve: Curve::P521, .. }),
            Self::EdDsa => matches!(material, Material::Ed25519 { .. }),
        }
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
