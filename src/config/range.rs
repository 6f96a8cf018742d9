//! Ranges in names: `node-[01-24]`, `r[1-4,7]-n[01-48]`, and the numbers they put into values.
//!
//! `{n}` is the number, `{0n}` the number as written in the name; with several brackets `{n1}`, `{0n2}`. Both take
//! an offset: `{n+100}`, `{0n-24}`. Used by the configuration and by host lists on the command line.

use std::{borrow::Cow, fmt::Write};

/// Names that one configuration (or one host list) may expand to.
pub const MAX_NAMES: usize = 100_000;

/// Brackets in one name.
const MAX_BRACKETS: usize = 4;

/// Why a name is not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// `[` and `]` don't pair up, or are nested.
    #[error("the brackets of '{0}' don't pair up")]
    Brackets(String),
    /// Neither a number nor `a-b`.
    #[error("'{0}' is neither a number nor a range like 01-24")]
    Item(String),
    /// The end comes before the start.
    #[error("the range {0} runs backwards")]
    Backwards(String),
    /// More names than are allowed.
    #[error("'{0}' expands to more than {MAX_NAMES} names")]
    TooMany(String),
    /// More brackets than are allowed.
    #[error("'{0}' has more than {MAX_BRACKETS} brackets")]
    TooManyBrackets(String),
}

/// A number of a name, as written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// The number.
    pub value: u64,
    /// Digits in the name; shorter numbers have zeros in front.
    pub width: usize,
}

/// The numbers that a name was made with, one for each bracket.
pub type Numbers = Vec<Number>;

struct Span {
    from: u64,
    to: u64,
    width: usize,
}

/// Whether a name is a pattern at all.
pub fn is_range(name: &str) -> bool {
    name.contains(['[', ']'])
}

/// All names of a pattern, in order, with their numbers; at most `budget` of them.
pub fn expand(pattern: &str, budget: usize) -> Result<Vec<(String, Numbers)>, RangeError> {
    let (literals, brackets) = parse(pattern)?;
    let mut total: u64 = 1;
    for spans in &brackets {
        let each = spans.iter().fold(0_u64, |sum, s| sum.saturating_add((s.to - s.from).saturating_add(1)));
        total = total.saturating_mul(each);
    }
    if total > u64::try_from(budget.min(MAX_NAMES)).unwrap_or(u64::MAX) {
        return Err(RangeError::TooMany(pattern.to_owned()));
    }
    let mut names = vec![(String::new(), Numbers::new())];
    let mut literals = literals.into_iter();
    if let Some(first) = literals.next() {
        for (name, _) in &mut names {
            name.push_str(first);
        }
    }
    for (spans, literal) in brackets.iter().zip(literals) {
        let mut next = Vec::new();
        for (name, numbers) in &names {
            for span in spans {
                for value in span.from..=span.to {
                    let number = Number { value, width: span.width };
                    let mut numbers = numbers.clone();
                    numbers.push(number);
                    next.push((format!("{name}{value:0width$}{literal}", width = span.width), numbers));
                }
            }
        }
        names = next;
    }
    Ok(names)
}

/// The text around the brackets, and what is in them.
fn parse(pattern: &str) -> Result<(Vec<&str>, Vec<Vec<Span>>), RangeError> {
    let unpaired = || RangeError::Brackets(pattern.to_owned());
    let (mut literals, mut brackets) = (Vec::new(), Vec::new());
    let mut rest = pattern;
    while let Some((literal, tail)) = rest.split_once('[') {
        let (inside, tail) = tail.split_once(']').ok_or_else(unpaired)?;
        if literal.contains(']') || inside.contains('[') {
            return Err(unpaired());
        }
        if brackets.len() == MAX_BRACKETS {
            return Err(RangeError::TooManyBrackets(pattern.to_owned()));
        }
        literals.push(literal);
        brackets.push(inside.split(',').map(item).collect::<Result<Vec<_>, _>>()?);
        rest = tail;
    }
    if rest.contains(']') {
        return Err(unpaired());
    }
    literals.push(rest);
    Ok((literals, brackets))
}

fn item(text: &str) -> Result<Span, RangeError> {
    let number = |digits: &str| -> Result<u64, RangeError> {
        let digits = digits.trim();
        if digits.is_empty() || digits.len() > 18 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RangeError::Item(text.to_owned()));
        }
        digits.parse().map_err(|_| RangeError::Item(text.to_owned()))
    };
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    // `01-24` is padded to the width of its start; `1-24` is not padded.
    let width = if from.trim().starts_with('0') { from.trim().len() } else { 1 };
    let (from, to) = (number(from)?, number(to)?);
    if from > to {
        return Err(RangeError::Backwards(text.to_owned()));
    }
    Ok(Span { from, to, width })
}

/// Why a placeholder can't be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// `{n}` where the name has several brackets.
    #[error("{0} is ambiguous: the name has several brackets; write {{n1}}, {{n2}}, ...")]
    Ambiguous(String),
    /// `{n3}` where the name has two brackets.
    #[error("{0} asks for a bracket that the name does not have")]
    NoSuchBracket(String),
    /// `{n-24}` below zero, or too large.
    #[error("{0} gives a number below zero or too large for {1}")]
    OutOfRange(String, u64),
}

/// `text` with the placeholders of `numbers` filled in. Other braces stay as they are: hooks have their own.
pub fn fill<'t>(text: &'t str, numbers: &[Number]) -> Result<Cow<'t, str>, FillError> {
    if !text.contains('{') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once('{') {
        out.push_str(before);
        match tail.split_once('}').and_then(|(inside, after)| Some((placeholder(inside)?, inside, after))) {
            None => {
                out.push('{');
                rest = tail;
            }
            Some((wanted, inside, after)) => {
                let shown = || format!("{{{inside}}}");
                let number = match (wanted.index, numbers) {
                    (None, [one]) => *one,
                    (None, _) => return Err(FillError::Ambiguous(shown())),
                    (Some(index), _) => index
                        .checked_sub(1)
                        .and_then(|i| numbers.get(i))
                        .copied()
                        .ok_or_else(|| FillError::NoSuchBracket(shown()))?,
                };
                let value = number
                    .value
                    .checked_add_signed(wanted.offset)
                    .ok_or_else(|| FillError::OutOfRange(shown(), number.value))?;
                let width = if wanted.padded { number.width } else { 1 };
                write!(out, "{value:0width$}").unwrap_or_default(); // into a String: can't fail
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// Whether the whole text is one unpadded placeholder: such a value is a number.
pub fn is_number_placeholder(text: &str) -> bool {
    text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).and_then(placeholder).is_some_and(|wanted| !wanted.padded)
}

/// Whether the text has any placeholder.
pub fn has_placeholder(text: &str) -> bool {
    text.split('{').skip(1).any(|tail| tail.split_once('}').is_some_and(|(inside, _)| placeholder(inside).is_some()))
}

struct Wanted {
    padded: bool,
    index: Option<usize>,
    offset: i64,
}

/// `n`, `0n`, `n2`, `n+100`, `0n2-1`.
fn placeholder(inside: &str) -> Option<Wanted> {
    let (padded, rest) = match inside.strip_prefix('0') {
        Some(rest) => (true, rest),
        None => (false, inside),
    };
    let rest = rest.strip_prefix('n')?;
    let (index, offset) = match rest.find(['+', '-']) {
        Some(i) => (rest.get(..i)?, rest.get(i..)?),
        None => (rest, ""),
    };
    let digits = |t: &str| t.len() <= 12 && t.bytes().all(|b| b.is_ascii_digit());
    let index = match index {
        "" => None,
        one if digits(one) => Some(one.parse().ok()?),
        _ => return None,
    };
    let offset = match offset {
        "" => 0,
        signed if signed.len() > 1 && digits(signed.get(1..)?) => signed.parse().ok()?,
        _ => return None,
    };
    Some(Wanted { padded, index, offset })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn names(pattern: &str) -> Vec<String> {
        expand(pattern, MAX_NAMES).unwrap().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn ranges_expand_in_order_and_keep_their_width() {
        assert_eq!(names("n[08-11]"), ["n08", "n09", "n10", "n11"]);
        assert_eq!(names("n[1-3,7]x"), ["n1x", "n2x", "n3x", "n7x"]);
        assert_eq!(names("r[1-2]-n[01,10]"), ["r1-n01", "r1-n10", "r2-n01", "r2-n10"]);
        assert_eq!(names("plain"), ["plain"]);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in ["n[", "n]", "n[1", "n[[1]]", "n[a-b]", "n[]", "n[1-]", "n[2-1]", "n[1-2-3]", "[1][1][1][1][1]"] {
            assert!(expand(bad, MAX_NAMES).is_err(), "{bad}");
        }
        assert!(matches!(expand("n[0-999999999999999999]", MAX_NAMES), Err(RangeError::TooMany(_))));
        assert!(matches!(expand("[1-400][1-400]", MAX_NAMES), Err(RangeError::TooMany(_))));
        assert_eq!(expand("[1-400][1-250]", MAX_NAMES).unwrap().len(), 100_000);
    }

    #[test]
    fn placeholders_are_filled() {
        let one = [Number { value: 7, width: 3 }];
        assert_eq!(fill("10.0.0.{n}", &one).unwrap(), "10.0.0.7");
        assert_eq!(fill("bmc-{0n}/{n+100}", &one).unwrap(), "bmc-007/107");
        assert_eq!(fill("{node} {n} {mac", &one).unwrap(), "{node} 7 {mac");
        assert_eq!(fill("{0n-5}", &one).unwrap(), "002");
        assert!(matches!(fill("{n-8}", &one), Err(FillError::OutOfRange(..))));
        let two = [Number { value: 1, width: 1 }, Number { value: 2, width: 2 }];
        assert_eq!(fill("{n1}.{0n2}", &two).unwrap(), "1.02");
        assert!(matches!(fill("{n}", &two), Err(FillError::Ambiguous(_))));
        assert!(matches!(fill("{n3}", &two), Err(FillError::NoSuchBracket(_))));
        assert!(matches!(fill("{n0}", &two), Err(FillError::NoSuchBracket(_))));
        assert!(is_number_placeholder("{n+1}") && !is_number_placeholder("{0n}") && !is_number_placeholder("a{n}"));
    }
}
