//! Distinguished names as text (RFC 4514), to tell whether two are the same.
//!
//! Names of attributes and values are compared without case and with spaces squeezed, as nearly all attributes that name
//! entries are (`caseIgnoreMatch`). Attributes given as numbers are not the same as those given by name.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// Longest name, in bytes.
const MAX_LENGTH: usize = 4_096;

/// A distinguished name: equal to others that mean the same entry.
#[derive(Debug, Clone)]
pub struct Dn {
    text: String,
    /// What is compared.
    key: String,
}

impl Dn {
    /// Reads a name. `None`: it is none, or the empty one.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let mut steps = Vec::new();
        for step in split(text, ',') {
            let mut parts = Vec::new();
            for part in split(step, '+') {
                let (name, value) = part.split_once('=')?;
                let name = name.trim();
                let sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
                if name.is_empty() || !name.chars().all(sound) {
                    return None;
                }
                // A separator that no value can hold after this.
                parts.push(format!("{}={}", name.to_ascii_lowercase(), folded(&unescaped(value.trim_start())?)));
            }
            parts.sort();
            steps.push(parts.join("\u{1}"));
        }
        Some(Self { text: text.to_owned(), key: steps.join("\u{0}") })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Dn {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Dn {}

impl Hash for Dn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Splits at a separator that is not escaped.
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut begin, mut escaped) = (Vec::new(), 0, false);
    for (offset, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == at {
            parts.push(text.get(begin..offset).unwrap_or_default());
            begin = offset + c.len_utf8();
        }
    }
    parts.push(text.get(begin..).unwrap_or_default());
    parts
}

/// The value behind `\,` and `\2c`. A value in the `#` form is left as it is.
fn unescaped(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    // Spaces at the end mean nothing, unless the last one is escaped.
    while let Some(shorter) = rest.strip_suffix(b" ") {
        if shorter.ends_with(b"\\") {
            break;
        }
        rest = shorter;
    }
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let hex = |byte: u8| char::from(byte).to_digit(16);
        let (next, after) = rest.split_first()?;
        rest = after;
        match (hex(*next), rest.split_first().and_then(|(low, after)| Some((hex(*low)?, after)))) {
            (Some(high), Some((low, after))) => {
                bytes.push(u8::try_from(high << 4 | low).ok()?);
                rest = after;
            }
            _ => bytes.push(*next),
        }
    }
    String::from_utf8(bytes).ok()
}

fn folded(value: &str) -> String {
    let lower = value.to_lowercase();
    let words: Vec<&str> = lower.split(' ').filter(|word| !word.is_empty()).collect();
    // Control characters would be taken for our separators.
    words.join(" ").chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
