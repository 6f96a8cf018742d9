//! What strangers send as tokens, and what issuers publish as keys.

use super::made;
use crate::wire::jose::{Alg, Jwks, Jws, base64url, json, jws::MAX_TOKEN, metadata};

/// A token: what is taken apart is what was sent, to the letter.
pub fn token(data: &[u8]) {
    made(&json::object(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(bytes) = base64url::decode(text) {
        assert_eq!(base64url::encode(&bytes), text, "two texts for the same bytes");
    }
    if let Ok(jws) = Jws::parse(text) {
        assert!(text.len() <= MAX_TOKEN, "longer than allowed");
        let parts = [base64url::encode(&jws.payload), base64url::encode(&jws.signature)];
        let (header, _) = jws.signed.split_once('.').unwrap_or_default();
        assert_eq!(format!("{header}.{}", parts.join(".")), text, "not what was sent");
        made(&json::object(&jws.payload));
    }
}

/// A key set: what is used of it can be written down and read again.
pub fn key_set(data: &[u8]) {
    made(&metadata::jwks_uri(data, "https://sso.example"));
    let Ok(set) = Jwks::parse(data) else { return };
    for key in &set.keys {
        assert!(Alg::ALL.into_iter().any(|alg| key.suits(alg)), "a key for nothing");
    }
    let again = Jwks::parse(set.to_json().to_string().as_bytes());
    assert!(again.is_ok_and(|again| again.keys == set.keys), "not the same keys");
}
