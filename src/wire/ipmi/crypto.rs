//! Cipher suites, the keys of a session and what is done with them (IPMI 2.0, 13.28 to 13.33, 22.15.2).

use aes::Aes128;
use cbc::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit, block_padding::NoPadding};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::Malformed;

/// Authentication algorithms (13.28).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Auth {
    None,
    HmacSha1,
    HmacSha256,
}

/// Integrity algorithms (13.28.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Integrity {
    None,
    HmacSha1_96,
    HmacSha256_128,
}

/// Confidentiality algorithms (13.28.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Confidentiality {
    None,
    AesCbc128,
}

/// A cipher suite: the three algorithms together (22.15.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    /// Of the login, and of the keys.
    pub auth: Auth,
    /// Of every packet.
    pub integrity: Integrity,
    /// Of every payload.
    pub confidentiality: Confidentiality,
}

impl Suite {
    /// Suite 3: SHA-1 and AES. Mandatory in IPMI 2.0.
    pub const SHA1: Self =
        Self { auth: Auth::HmacSha1, integrity: Integrity::HmacSha1_96, confidentiality: Confidentiality::AesCbc128 };
    /// Suite 17: SHA-256 and AES.
    pub const SHA256: Self = Self {
        auth: Auth::HmacSha256,
        integrity: Integrity::HmacSha256_128,
        confidentiality: Confidentiality::AesCbc128,
    };

    /// The suite of that number, if it is known here.
    pub fn from_id(id: u8) -> Option<Self> {
        let none = Confidentiality::None;
        Some(match id {
            0 => Self { auth: Auth::None, integrity: Integrity::None, confidentiality: none },
            1 => Self { auth: Auth::HmacSha1, integrity: Integrity::None, confidentiality: none },
            2 => Self { auth: Auth::HmacSha1, integrity: Integrity::HmacSha1_96, confidentiality: none },
            3 => Self::SHA1,
            15 => Self { auth: Auth::HmacSha256, integrity: Integrity::None, confidentiality: none },
            16 => Self { auth: Auth::HmacSha256, integrity: Integrity::HmacSha256_128, confidentiality: none },
            17 => Self::SHA256,
            _ => return None,
        })
    }

    /// Its number; `None` for a mixture that has none.
    pub fn id(self) -> Option<u8> {
        [0, 1, 2, 3, 15, 16, 17].into_iter().find(|id| Self::from_id(*id) == Some(self))
    }

    /// The algorithm numbers as on the wire: authentication, integrity, confidentiality.
    pub fn algorithms(self) -> [u8; 3] {
        let auth = match self.auth {
            Auth::None => 0,
            Auth::HmacSha1 => 1,
            Auth::HmacSha256 => 3,
        };
        let integrity = match self.integrity {
            Integrity::None => 0,
            Integrity::HmacSha1_96 => 1,
            Integrity::HmacSha256_128 => 4,
        };
        [auth, integrity, u8::from(self.confidentiality == Confidentiality::AesCbc128)]
    }

    /// From algorithm numbers; the error names the first one that is not known here.
    pub fn from_algorithms([auth, integrity, confidentiality]: [u8; 3]) -> Result<Self, Malformed> {
        let unknown = |what, value: u8| Malformed::Value { what, value: value.into() };
        Ok(Self {
            auth: match auth & 0x3f {
                0 => Auth::None,
                1 => Auth::HmacSha1,
                3 => Auth::HmacSha256,
                other => return Err(unknown("authentication algorithm", other)),
            },
            integrity: match integrity & 0x3f {
                0 => Integrity::None,
                1 => Integrity::HmacSha1_96,
                4 => Integrity::HmacSha256_128,
                other => return Err(unknown("integrity algorithm", other)),
            },
            confidentiality: match confidentiality & 0x3f {
                0 => Confidentiality::None,
                1 => Confidentiality::AesCbc128,
                other => return Err(unknown("confidentiality algorithm", other)),
            },
        })
    }
}

impl Auth {
    /// Length of the key exchange codes of RAKP 2 and 3.
    pub fn code_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
        }
    }

    /// Length of the integrity check value of RAKP 4.
    pub fn check_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::HmacSha1 => 12,
            Self::HmacSha256 => 16,
        }
    }

    /// HMAC over the concatenation of `parts`; empty for [`Auth::None`].
    pub fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::None => Vec::new(),
            Self::HmacSha1 => mac::<Hmac<Sha1>>(key, parts),
            Self::HmacSha256 => mac::<Hmac<Sha256>>(key, parts),
        })
    }
}

fn mac<M: Mac + hmac::digest::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of any length; the error is of the trait, not of this type.
    let Ok(mut mac) = <M as Mac>::new_from_slice(key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// Equal, in constant time.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A password or K_g as the 20 bytes that the login works with: padded with zeros (13.31), cut beyond.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserKey([u8; 20]);

impl UserKey {
    /// Longest password and K_g in bytes.
    pub const MAX: usize = 20;

    /// From the bytes of a password or of K_g.
    pub fn new(secret: &[u8]) -> Self {
        let mut key = [0; Self::MAX];
        for (to, from) in key.iter_mut().zip(secret) {
            *to = *from;
        }
        Self(key)
    }

    /// The padded key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for UserKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for UserKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Additional keying material (13.32): 20 bytes of 1 and of 2, for SHA-256 too.
const CONST_1: [u8; 20] = [1; 20];
const CONST_2: [u8; 20] = [2; 20];

/// The keys of a session.
pub struct Keys {
    /// What they are for.
    pub suite: Suite,
    k1: Zeroizing<Vec<u8>>,
    k2: Zeroizing<[u8; 16]>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl Keys {
    /// From the session integrity key.
    pub fn derive(suite: Suite, sik: &[u8]) -> Self {
        let k1 = suite.auth.hmac(sik, &[&CONST_1]);
        let long = suite.auth.hmac(sik, &[&CONST_2]);
        let k2 = Zeroizing::new(long.first_chunk::<16>().copied().unwrap_or_default());
        Self { suite, k1, k2 }
    }

    /// Integrity code of `covered`; empty without integrity.
    pub(super) fn integrity(&self, covered: &[u8]) -> Vec<u8> {
        let (auth, len) = match self.suite.integrity {
            Integrity::None => return Vec::new(),
            Integrity::HmacSha1_96 => (Auth::HmacSha1, 12),
            Integrity::HmacSha256_128 => (Auth::HmacSha256, 16),
        };
        let mut code = auth.hmac(&self.k1, &[covered]).to_vec();
        code.truncate(len);
        code
    }

    /// Initialisation vector and cipher text of `plain` (13.29): padded with 1, 2, 3, ... and the pad's length.
    pub(super) fn encrypt(&self, plain: &[u8], iv: [u8; 16]) -> Vec<u8> {
        let mut padded = plain.to_vec();
        let pads = (16 - (plain.len() + 1) % 16) % 16;
        padded.extend((1..=16u8).take(pads));
        padded.push(u8::try_from(pads).unwrap_or(0));
        let cipher = cbc::Encryptor::<Aes128>::new((&*self.k2).into(), (&iv).into());
        let length = padded.len();
        let mut out = iv.to_vec();
        // In place; the only error is a length that is no multiple of 16, which it is.
        if let Ok(text) = cipher.encrypt_padded_mut::<NoPadding>(&mut padded, length) {
            out.extend_from_slice(text);
        }
        out
    }

    /// The inverse of [`Self::encrypt`].
    pub(super) fn decrypt(&self, payload: &[u8]) -> Result<Vec<u8>, Malformed> {
        const BAD: Malformed = Malformed::Integrity("encrypted payload");
        let (iv, text) = payload.split_first_chunk::<16>().ok_or(BAD)?;
        let cipher = cbc::Decryptor::<Aes128>::new((&*self.k2).into(), iv.into());
        let mut plain = text.to_vec();
        cipher.decrypt_padded_mut::<NoPadding>(&mut plain).map_err(|_| BAD)?;
        let pads = plain.pop().ok_or(BAD)?;
        let keep = plain.len().checked_sub(usize::from(pads)).ok_or(BAD)?;
        // Implementations differ in how they fill the pad, so only its length is looked at; the integrity code
        // has already vouched for it.
        if pads > 15 {
            return Err(BAD);
        }
        plain.truncate(keep);
        Ok(plain)
    }
}
