//! base64url without padding (RFC 4648, section 5; RFC 7515, section 2).
//!
//! Strict: no padding, no white space, no bits left over. One sequence of bytes has one text, so that what was signed
//! and what is looked up can't be two things.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// The bytes of a text; `None` when it is not exactly what [`encode`] writes.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0;
        for byte in group {
            bits = bits << 6 | sextet(*byte)?;
        }
        // A last group of two or three characters has 4 or 2 bits too many, which have to be zero.
        let (bytes, spare) = match group.len() {
            4 => (3, 0),
            3 => (2, 2),
            2 => (1, 4),
            _ => return None,
        };
        if bits & ((1 << spare) - 1) != 0 {
            return None;
        }
        let [_, whole @ ..] = (bits >> spare).to_be_bytes();
        out.extend(whole.get(3 - bytes..)?);
    }
    Some(out)
}

/// The text of bytes.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut bits: u32 = 0;
        for n in 0..3 {
            bits = bits << 8 | group.get(n).map_or(0, |byte| u32::from(*byte));
        }
        for n in 0..=group.len() {
            let at = bits >> (18 - 6 * n) & 63;
            out.extend(usize::try_from(at).ok().and_then(|at| ALPHABET.get(at)).map(|byte| char::from(*byte)));
        }
    }
    out
}
