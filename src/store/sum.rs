//! Checksums of rows: what tells a flipped bit in a text, a name or a number from what was written.
//!
//! Eight bytes of SHA-256: against decay, not against an attacker, who could write the checksum too.

use sha2::{Digest as _, Sha256};

/// Of a row of `doc`.
pub(super) fn doc(kind: &str, key: &str, revision: i64, body: &str) -> i64 {
    of([kind, key, body], revision)
}

/// Of a row of `floor`.
pub(super) fn floor(kind: &str, revision: i64) -> i64 {
    of([kind], revision)
}

/// Each text with its length before it, so that nothing can wander from one to the next.
fn of<const N: usize>(texts: [&str; N], number: i64) -> i64 {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    hash.update(number.to_be_bytes());
    let digest = hash.finalize();
    i64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_counts() {
        let sum = doc("account", "bob", 1, "{}");
        assert_eq!(sum, doc("account", "bob", 1, "{}"));
        for other in [
            doc("accounu", "bob", 1, "{}"),
            doc("account", "bo", 1, "b{}"),
            doc("account", "bob", 2, "{}"),
            doc("account", "bob", 1, "{} "),
        ] {
            assert_ne!(sum, other);
        }
        assert_ne!(floor("account", 1), floor("account", 2));
    }
}
