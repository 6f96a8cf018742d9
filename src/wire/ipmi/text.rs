//! Texts with a type/length byte: of SDRs (IPMI 2.0, 43.15) and FRU areas (FRU storage definition, 13).

/// How FRU texts of type 3 are coded; SDRs know 8-bit ASCII + Latin 1 only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// English (codes 0 and 25), and every SDR: ASCII + Latin 1.
    Latin1,
    /// Any other: UTF-16, least significant byte first.
    Utf16,
}

impl Language {
    /// From a FRU area's language code.
    pub(super) fn of(code: u8) -> Self {
        if matches!(code, 0 | 25) { Self::Latin1 } else { Self::Utf16 }
    }
}

/// Digits of "BCD plus".
const BCD_PLUS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ' ', '-', '.', ':', ',', '_'];

/// A text by its type (two bits: binary or Unicode, BCD plus, packed 6-bit ASCII, 8-bit) and bytes.
pub(super) fn decode(kind: u8, bytes: &[u8], language: Language, binary: Binary) -> String {
    let text: String = match kind & 3 {
        0 => match binary {
            Binary::Hex => hex(bytes),
            Binary::Unicode => utf16(bytes),
        },
        1 => bytes.iter().flat_map(|byte| [bcd(byte >> 4), bcd(*byte)]).collect(),
        2 => six_bit(bytes),
        _ if language == Language::Utf16 => utf16(bytes),
        _ => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    clean(&text)
}

/// What type 0 means: the one difference between SDR and FRU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    /// Bytes without a meaning (FRU).
    Hex,
    /// Unicode (SDR).
    Unicode,
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        out.extend([byte >> 4, byte & 0x0f].map(|nibble| char::from_digit(nibble.into(), 16).unwrap_or('?')));
        out
    })
}

fn bcd(nibble: u8) -> char {
    BCD_PLUS.get(usize::from(nibble & 0x0f)).copied().unwrap_or(' ')
}

fn six_bit(bytes: &[u8]) -> String {
    let mut out = String::new();
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in bytes {
        bits |= u32::from(*byte) << held;
        held += 8;
        while held >= 6 {
            out.push(char::from(u8::try_from(bits & 0x3f).unwrap_or(0) + b' '));
            bits >>= 6;
            held -= 6;
        }
    }
    out
}

fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Without control characters (a NUL ends the text) and blanks around it.
fn clean(text: &str) -> String {
    let end = text.find('\0').unwrap_or(text.len());
    text.get(..end).unwrap_or_default().chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// An SDR's id string: type/length byte and text. Cut short where the record is.
pub fn decode_type_length(bytes: &[u8]) -> String {
    let Some((head, rest)) = bytes.split_first() else { return String::new() };
    let length = usize::from(head & 0x1f).min(rest.len());
    decode(head >> 6, rest.get(..length).unwrap_or_default(), Language::Latin1, Binary::Unicode)
}
