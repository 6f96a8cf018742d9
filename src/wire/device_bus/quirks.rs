//! Where the original's behaviour and the sensible one differ, by tag.

use std::str::FromStr;

/// A difference that can be chosen. The tags are those of `docs/power-line.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// Output current is converted with the original's offset (20745) in place of the data sheet's (20475).
    Q06,
    /// After a stale answer the next frame counts as bad, in place of the stale one being dropped.
    Q14,
    /// A frame cut short counts as silence, in place of being asked for once more.
    Q16,
    /// What has come in is not thrown away before a request is sent again.
    Q17,
    /// What a board scan brings is taken from any board, and any board id is taken.
    Q18,
    /// A length byte that no frame can have is believed, in place of looking for the next header.
    Q23,
}

impl Quirk {
    const ALL: [(&'static str, Self); 6] = [
        ("Q-06", Self::Q06),
        ("Q-14", Self::Q14),
        ("Q-16", Self::Q16),
        ("Q-17", Self::Q17),
        ("Q-18", Self::Q18),
        ("Q-23", Self::Q23),
    ];

    /// Their tags.
    pub fn tags() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|(tag, _)| *tag)
    }
}

impl FromStr for Quirk {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(text)).map(|(_, quirk)| *quirk).ok_or(())
    }
}

/// The quirks that are kept as the original has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks(u8);

impl Quirks {
    /// None.
    pub const STRICT: Self = Self(0);
    /// All.
    pub const COMPAT: Self = Self(u8::MAX);

    /// Whether that one is kept.
    pub fn has(self, quirk: Quirk) -> bool {
        self.0 & 1 << (quirk as u8) != 0
    }

    /// The set with that one.
    #[must_use]
    pub fn with(self, quirk: Quirk) -> Self {
        Self(self.0 | 1 << (quirk as u8))
    }
}
