//! Argument lists with their placeholders, and what a status command has said.

use crate::model::{PowerState, Unit};

/// What an argument list may hold in braces.
pub(super) const PLACEHOLDERS: [&str; 2] = ["unit", "address"];

/// `argv` for one unit. Each placeholder is replaced within its argument: whatever stands in its place, it stays one
/// argument, and no shell ever reads it.
pub(super) fn filled(argv: &[String], unit: &Unit, address: Option<&str>) -> Vec<String> {
    // A unit's name has no braces, and an address comes last: nothing is replaced twice.
    argv.iter()
        .map(|word| word.replace("{unit}", unit.as_str()).replace("{address}", address.unwrap_or_default()))
        .collect()
}

/// Words in braces that nothing replaces.
pub(super) fn unknown_placeholders(word: &str) -> impl Iterator<Item = &str> {
    word.split('{').skip(1).filter_map(|tail| tail.split_once('}')).map(|(inside, _)| inside).filter(|inside| {
        let a_word = !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_lowercase());
        a_word && !PLACEHOLDERS.contains(inside)
    })
}

/// How a status command tells a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// By its exit code.
    Codes { on: Vec<i32>, off: Vec<i32> },
    /// By a line of its standard output; its exit code has to be 0.
    Lines { on: Vec<String>, off: Vec<String> },
}

impl Told {
    /// The state that an exit code means; `None`: neither.
    pub(super) fn by_code(&self, code: i32) -> Option<PowerState> {
        let Self::Codes { on, off } = self else { return None };
        state(on.contains(&code), off.contains(&code))
    }

    /// The state that an output means; `None`: neither, or both.
    pub(super) fn by_output(&self, out: &[u8]) -> Option<PowerState> {
        let Self::Lines { on, off } = self else { return None };
        let text = String::from_utf8_lossy(out);
        let any = |patterns: &[String]| text.lines().any(|line| patterns.iter().any(|p| fits(p, line.trim())));
        state(any(on), any(off))
    }
}

fn state(on: bool, off: bool) -> Option<PowerState> {
    match (on, off) {
        (true, false) => Some(PowerState::On),
        (false, true) => Some(PowerState::Off),
        _ => None,
    }
}

/// Whether the whole of `line` is `pattern`, in which `*` stands for any characters, or none.
pub(super) fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}
