//! Keys that OpenSSL has accepted, and the check of a signature with one of them.

use std::{collections::HashSet, sync::Arc};

use openssl::{
    bn::BigNum,
    ec::{EcGroup, EcKey},
    ecdsa::EcdsaSig,
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Public},
    rsa::{Padding, Rsa},
    sign::{RsaPssSaltlen, Verifier},
};
use sha2::{Digest as _, Sha256};

use crate::wire::jose::{Alg, Curve, Jwk, Jwks, Material};

/// What tells a key from all others, over a reload too: the hash of what it is and what it is for.
pub(super) type Mark = [u8; 32];

/// A key.
pub(super) struct Key {
    pub jwk: Jwk,
    pub mark: Mark,
    public: PKey<Public>,
}

/// The keys of an issuer.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    marks: HashSet<Mark>,
    /// What is in the set and can't be used, with reasons.
    pub left_out: Vec<String>,
    /// As it was read.
    pub set: Arc<Jwks>,
}

/// Which key a signature may be of.
pub(super) enum Found<'s> {
    These(Vec<&'s Key>),
    /// None of that `kid`: it may be new.
    NoSuchKid,
    /// No `kid`, and not exactly one key fits.
    Ambiguous(usize),
}

impl KeySet {
    pub fn new(set: Arc<Jwks>) -> Self {
        let mut left_out = set.left_out.clone();
        let mut keys = Vec::new();
        for jwk in &set.keys {
            match public(&jwk.material) {
                Ok(public) => keys.push(Key { mark: mark(jwk), jwk: jwk.clone(), public }),
                Err(_) => left_out.push(format!("key {} is no point of its curve", shown(jwk))),
            }
        }
        let marks = keys.iter().map(|key| key.mark).collect();
        Self { keys, marks, left_out, set }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Names of the keys, for people.
    pub fn names(&self) -> Vec<String> {
        self.keys.iter().map(|key| shown(&key.jwk)).collect()
    }

    /// Whether that key is (still) one of them.
    pub fn has(&self, mark: &Mark) -> bool {
        self.marks.contains(mark)
    }

    pub fn same(&self, other: &Self) -> bool {
        self.marks == other.marks && self.left_out == other.left_out
    }

    /// The keys that may have signed with that algorithm.
    pub fn find(&self, kid: Option<&str>, alg: Alg) -> Found<'_> {
        let fits: Vec<&Key> = self.keys.iter().filter(|key| key.jwk.suits(alg)).collect();
        match kid {
            Some(kid) => {
                let named: Vec<&Key> = fits.into_iter().filter(|key| key.jwk.kid.as_deref() == Some(kid)).collect();
                if named.is_empty() { Found::NoSuchKid } else { Found::These(named) }
            }
            None if fits.len() == 1 => Found::These(fits),
            None => Found::Ambiguous(fits.len()),
        }
    }
}

impl Key {
    /// Whether it has made that signature. What OpenSSL can't make sense of it has not made.
    pub fn signed(&self, alg: Alg, text: &str, signature: &[u8]) -> bool {
        self.jwk.suits(alg) && self.checked(alg, text.as_bytes(), signature).unwrap_or(false)
    }

    fn checked(&self, alg: Alg, text: &[u8], signature: &[u8]) -> Result<bool, ErrorStack> {
        let digest = match alg {
            Alg::Rs256 | Alg::Ps256 | Alg::Es256 => MessageDigest::sha256(),
            Alg::Rs384 | Alg::Ps384 | Alg::Es384 => MessageDigest::sha384(),
            Alg::Rs512 | Alg::Ps512 | Alg::Es512 => MessageDigest::sha512(),
            Alg::EdDsa => return Verifier::new_without_digest(&self.public)?.verify_oneshot(signature, text),
        };
        let mut verifier = Verifier::new(digest, &self.public)?;
        match (alg, &self.jwk.material) {
            (Alg::Ps256 | Alg::Ps384 | Alg::Ps512, Material::Rsa { .. }) => {
                // RFC 7518, section 3.5: salt as long as the digest, and the same digest in MGF1.
                verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
                verifier.set_rsa_mgf1_md(digest)?;
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                verifier.verify_oneshot(signature, text)
            }
            (_, Material::Rsa { .. }) => {
                verifier.set_rsa_padding(Padding::PKCS1)?;
                verifier.verify_oneshot(signature, text)
            }
            (_, Material::Ec { curve, .. }) => {
                // RFC 7518, section 3.4: both numbers one after the other, each as long as a coordinate.
                let Some((r, s)) = signature.split_at_checked(curve.bytes()).filter(|(r, s)| r.len() == s.len()) else {
                    return Ok(false);
                };
                let pair = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
                verifier.verify_oneshot(&pair.to_der()?, text)
            }
            (_, Material::Ed25519 { .. }) => Ok(false),
        }
    }
}

fn public(material: &Material) -> Result<PKey<Public>, ErrorStack> {
    match material {
        Material::Rsa { n, e } => {
            PKey::from_rsa(Rsa::from_public_components(BigNum::from_slice(n)?, BigNum::from_slice(e)?)?)
        }
        Material::Ec { curve, x, y } => {
            let group = EcGroup::from_curve_name(match curve {
                Curve::P256 => Nid::X9_62_PRIME256V1,
                Curve::P384 => Nid::SECP384R1,
                Curve::P521 => Nid::SECP521R1,
            })?;
            let (x, y) = (BigNum::from_slice(x)?, BigNum::from_slice(y)?);
            let key = EcKey::from_public_key_affine_coordinates(&group, &x, &y)?;
            key.check_key()?;
            PKey::from_ec_key(key)
        }
        Material::Ed25519 { x } => PKey::public_key_from_raw_bytes(x, Id::ED25519),
    }
}

fn mark(jwk: &Jwk) -> Mark {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    add(jwk.kid.as_deref().unwrap_or_default().as_bytes());
    add(jwk.alg.map_or("", Alg::as_str).as_bytes());
    match &jwk.material {
        Material::Rsa { n, e } => [b"RSA".as_slice(), n, e].into_iter().for_each(&mut add),
        Material::Ec { curve, x, y } => [curve.as_str().as_bytes(), x, y].into_iter().for_each(&mut add),
        Material::Ed25519 { x } => [b"Ed25519".as_slice(), x].into_iter().for_each(&mut add),
    }
    hash.finalize().into()
}

fn shown(jwk: &Jwk) -> String {
    let what = match &jwk.material {
        Material::Rsa { n, .. } => format!("RSA {}", n.len() * 8),
        Material::Ec { curve, .. } => curve.as_str().to_owned(),
        Material::Ed25519 { .. } => "Ed25519".to_owned(),
    };
    match &jwk.kid {
        Some(kid) => format!("{kid:?} ({what})"),
        None => format!("without a name ({what})"),
    }
}
