//! What is wrong with a configuration: found all at once, each with place, key, message and way out.
//!
//! A place is kept as file number and byte offset ([`At`]) and becomes a line only when it is reported.

use std::{collections::HashMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::source::Sources;

/// Problems at one place that are reported in full; a range of 10,000 names repeats itself otherwise.
const FULL_PER_PLACE: usize = 3;
/// Problems reported in all.
const MAX: usize = 1_000;
/// Look-ups of a similar name in all: each costs a pass over the known names.
const SUGGESTIONS: usize = 64;

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct At {
    /// Index into [`Sources`].
    pub source: usize,
    /// Byte offset.
    pub offset: usize,
}

/// One thing that is wrong (or, as a warning, doubtful).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file, or `environment variable RACKFISH_...`.
    pub file: Arc<str>,
    /// Line in the file, from 1; `None` for a file as a whole and for the environment.
    pub line: Option<usize>,
    /// Path of the key, as `nodes.node-07.host`; empty for a file as a whole.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty when the message says it all.
    pub way_out: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if !self.way_out.is_empty() {
            write!(f, "; {}", self.way_out)?;
        }
        Ok(())
    }
}

struct Raw {
    at: At,
    key: String,
    message: String,
    way_out: String,
    more: usize,
}

/// Collects problems and warnings while files are read.
#[derive(Default)]
pub(super) struct Problems {
    errors: Vec<Raw>,
    warnings: Vec<Raw>,
    seen: HashMap<(bool, At), (usize, usize)>,
    dropped: usize,
    suggestions: usize,
}

impl Problems {
    /// Something is wrong at `at`.
    pub fn add(&mut self, at: At, key: impl Into<String>, message: impl Into<String>, way_out: impl Into<String>) {
        self.push(false, Raw { at, key: key.into(), message: message.into(), way_out: way_out.into(), more: 0 });
    }

    /// Something works but is doubtful.
    pub fn warn(&mut self, at: At, key: impl Into<String>, message: impl Into<String>, way_out: impl Into<String>) {
        self.push(true, Raw { at, key: key.into(), message: message.into(), way_out: way_out.into(), more: 0 });
    }

    fn push(&mut self, warning: bool, raw: Raw) {
        let list = if warning { &mut self.warnings } else { &mut self.errors };
        let (times, place) = self.seen.entry((warning, raw.at)).or_insert((0, 0));
        *times += 1;
        if *times > FULL_PER_PLACE {
            if let Some(last) = list.get_mut(*place) {
                last.more += 1;
            }
        } else if list.len() >= MAX {
            self.dropped += 1;
        } else {
            *place = list.len();
            list.push(raw);
        }
    }

    /// Whether anything but warnings was found.
    pub fn is_bad(&self) -> bool {
        !self.errors.is_empty()
    }

    /// `did you mean 'x'?`, or `otherwise`. Gives up looking after some dozens of problems.
    pub fn did_you_mean<'n>(
        &mut self,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
        otherwise: impl Into<String>,
    ) -> String {
        if self.suggestions < SUGGESTIONS {
            self.suggestions += 1;
            if let Some(best) = nearest(name, known) {
                return format!("did you mean '{best}'?");
            }
        }
        otherwise.into()
    }

    /// Problems and warnings, by file and line.
    pub fn finish(self, sources: &Sources) -> (Vec<Problem>, Vec<Problem>) {
        let dropped = self.dropped;
        let render = |mut list: Vec<Raw>| -> Vec<Problem> {
            list.sort_by_key(|raw| raw.at); // stable: problems of one place stay in the order they were found
            list.into_iter()
                .map(|raw| {
                    let (file, line) = sources.locate(raw.at);
                    let message = match raw.more {
                        0 => raw.message,
                        n => format!("{} (and {n} more from the same line)", raw.message),
                    };
                    Problem { file, line, key: raw.key, message, way_out: raw.way_out }
                })
                .collect()
        };
        let (mut problems, warnings) = (render(self.errors), render(self.warnings));
        if dropped > 0
            && let Some(last) = problems.last_mut()
        {
            last.message = format!("{} (and {dropped} more problems elsewhere)", last.message);
        }
        (problems, warnings)
    }
}

/// The known name that `name` is most likely meant to be, if one is near enough.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let wanted = fold(name);
    if wanted.len() > 64 {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let folded = fold(candidate);
        // One mistake in three characters, and at least one: `adress` is near `address`, `gap` is not near `tls`.
        let limit = (wanted.len().max(folded.len()) / 3).max(1);
        if folded.len().abs_diff(wanted.len()) > limit || other_number(name, candidate) {
            continue;
        }
        let distance = distance(&wanted, &folded);
        if distance <= limit && distance < wanted.len().max(1) && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, name)| name)
}

/// `node-25` is not a slip of `node-24`: it is another node. `pdu1` for `pdu01` is one.
fn other_number(a: &str, b: &str) -> bool {
    let words = |text: &str| text.split(|c: char| c.is_ascii_digit()).collect::<String>();
    let numbers = |text: &str| -> Vec<String> {
        let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
        runs.map(|run| run.trim_start_matches('0').to_owned()).collect()
    };
    words(a) == words(b) && numbers(a) != numbers(b)
}

fn fold(text: &str) -> Vec<u8> {
    text.bytes().filter(|b| !matches!(b, b'-' | b'_' | b' ')).map(|b| b.to_ascii_lowercase()).collect()
}

/// Levenshtein distance with swapped neighbours as one mistake.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last_a = None;
    for (i, &ca) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        let mut last_b = None;
        for (j, &cb) in b.iter().enumerate() {
            let left = row.last().copied().unwrap_or(i + 1) + 1;
            let up = above.get(j + 1).copied().unwrap_or(usize::MAX - 1) + 1;
            let diagonal = above.get(j).copied().unwrap_or(usize::MAX - 1) + usize::from(ca != cb);
            let mut best = left.min(up).min(diagonal);
            if last_a == Some(cb) && last_b == Some(ca) {
                best = best.min(j.checked_sub(1).and_then(|k| before.get(k)).copied().unwrap_or(usize::MAX - 1) + 1);
            }
            row.push(best);
            last_b = Some(cb);
        }
        last_a = Some(ca);
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let known = ["address", "driver", "always-on", "poll", "poll_sensors"];
        assert_eq!(nearest("adress", known), Some("address"));
        assert_eq!(nearest("drievr", known), Some("driver"));
        assert_eq!(nearest("AlwaysOn", known), Some("always-on"));
        assert_eq!(nearest("pol", known), Some("poll"));
        assert_eq!(nearest("community", known), None);
        assert_eq!(nearest("", known), None);
        let nodes = ["node-024", "node-023"];
        assert_eq!(nearest("node-24", nodes), Some("node-024"));
        assert_eq!(nearest("node-025", nodes), None);
        assert_eq!(nearest("nod-023", nodes), Some("node-023"));
    }

    #[test]
    fn distance_counts_swaps_once() {
        assert_eq!(distance(b"ab", b"ba"), 1);
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(distance(b"", b"abc"), 3);
    }
}
