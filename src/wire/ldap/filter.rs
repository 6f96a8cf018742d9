//! Search filters: from text (RFC 4515) to a tree, and from there to bytes (RFC 4511, 4.5.1).
//!
//! A filter of the configuration holds `{user}` in its values. It is read first and filled afterwards, value by value, so
//! that a user name can't become a part of the filter whatever it is made of.

use std::fmt::{self, Write as _};

use super::ber::{self, put};

/// Longest filter, in bytes.
const MAX_LENGTH: usize = 4_096;
/// Deepest filter.
const MAX_DEPTH: usize = 16;

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Longer than anybody needs.
    #[error("it is longer than {MAX_LENGTH} bytes")]
    Long,
    /// Nested too deep.
    #[error("it is nested deeper than {MAX_DEPTH}")]
    Deep,
    /// What is wrong, and the byte where.
    #[error("at byte {at} {what}")]
    At {
        /// Offset in bytes.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
}

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of them.
    And(Vec<Filter>),
    /// One of them.
    Or(Vec<Filter>),
    /// None of it.
    Not(Box<Filter>),
    /// The attribute has that value.
    Equal(String, Vec<u8>),
    /// A value with these pieces: first, in between, last.
    Substrings(String, Option<Vec<u8>>, Vec<Vec<u8>>, Option<Vec<u8>>),
    /// As large or larger.
    AtLeast(String, Vec<u8>),
    /// As small or smaller.
    AtMost(String, Vec<u8>),
    /// Has the attribute at all.
    Present(String),
    /// About that value.
    Approx(String, Vec<u8>),
    /// A matching rule of its own: attribute, rule, value, whether names count too.
    Rule(Option<String>, Option<String>, Vec<u8>, bool),
}

impl Filter {
    /// Reads a filter. Text without parentheses around it is taken as if it had them.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > MAX_LENGTH {
            return Err(FilterError::Long);
        }
        let text = text.trim();
        let mut parser = Parser { text: text.as_bytes(), at: 0 };
        let filter = if text.starts_with('(') { parser.filter(0)? } else { parser.item()? };
        if parser.at == text.len() { Ok(filter) } else { parser.fail("the filter is already over") }
    }

    /// The same filter with `with` in place of every `what` in its values.
    #[must_use]
    pub fn fill(&self, what: &str, with: &[u8]) -> Self {
        let all = |list: &[Self]| list.iter().map(|f| f.fill(what, with)).collect();
        let put = |value: &Vec<u8>| replaced(value, what.as_bytes(), with);
        match self {
            Self::And(list) => Self::And(all(list)),
            Self::Or(list) => Self::Or(all(list)),
            Self::Not(inner) => Self::Not(Box::new(inner.fill(what, with))),
            Self::Equal(name, value) => Self::Equal(name.clone(), put(value)),
            Self::Substrings(name, first, any, last) => Self::Substrings(
                name.clone(),
                first.as_ref().map(put),
                any.iter().map(put).collect(),
                last.as_ref().map(put),
            ),
            Self::AtLeast(name, value) => Self::AtLeast(name.clone(), put(value)),
            Self::AtMost(name, value) => Self::AtMost(name.clone(), put(value)),
            Self::Present(name) => Self::Present(name.clone()),
            Self::Approx(name, value) => Self::Approx(name.clone(), put(value)),
            Self::Rule(name, rule, value, names) => Self::Rule(name.clone(), rule.clone(), put(value), *names),
        }
    }

    /// Whether `what` is in one of its values.
    pub fn holds(&self, what: &str) -> bool {
        // A byte that is in no UTF-8 text: if it shows up, it was put there.
        self.fill(what, &[0xff]) != *self
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let pair = |out: &mut Vec<u8>, tag: u8, name: &str, value: &[u8]| {
            let mut body = Vec::new();
            put(&mut body, ber::OCTETS, name.as_bytes());
            put(&mut body, ber::OCTETS, value);
            put(out, tag, &body);
        };
        match self {
            Self::And(list) | Self::Or(list) => {
                let mut body = Vec::new();
                for filter in list {
                    filter.encode(&mut body);
                }
                put(out, if matches!(self, Self::And(_)) { 0xa0 } else { 0xa1 }, &body);
            }
            Self::Not(inner) => {
                let mut body = Vec::new();
                inner.encode(&mut body);
                put(out, 0xa2, &body);
            }
            Self::Equal(name, value) => pair(out, 0xa3, name, value),
            Self::Substrings(name, first, any, last) => {
                let (mut body, mut pieces) = (Vec::new(), Vec::new());
                put(&mut body, ber::OCTETS, name.as_bytes());
                for (tag, piece) in first
                    .iter()
                    .map(|piece| (0x80, piece))
                    .chain(any.iter().map(|piece| (0x81, piece)))
                    .chain(last.iter().map(|piece| (0x82, piece)))
                {
                    put(&mut pieces, tag, piece);
                }
                put(&mut body, ber::SEQUENCE, &pieces);
                put(out, 0xa4, &body);
            }
            Self::AtLeast(name, value) => pair(out, 0xa5, name, value),
            Self::AtMost(name, value) => pair(out, 0xa6, name, value),
            Self::Present(name) => put(out, 0x87, name.as_bytes()),
            Self::Approx(name, value) => pair(out, 0xa8, name, value),
            Self::Rule(name, rule, value, names) => {
                let mut body = Vec::new();
                if let Some(rule) = rule {
                    put(&mut body, 0x81, rule.as_bytes());
                }
                if let Some(name) = name {
                    put(&mut body, 0x82, name.as_bytes());
                }
                put(&mut body, 0x83, value);
                if *names {
                    put(&mut body, 0x84, &[0xff]);
                }
                put(out, 0xa9, &body);
            }
        }
    }
}

/// `{user}` is not searched for again in what was put in.
fn replaced(value: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(what).filter(|_| !what.is_empty()) {
            out.extend_from_slice(with);
            rest = after;
        } else if let Some((first, after)) = rest.split_first() {
            out.push(*first);
            rest = after;
        }
    }
    out
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn fail<T>(&self, what: &'static str) -> Result<T, FilterError> {
        Err(FilterError::At { at: self.at, what })
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn filter(&mut self, depth: usize) -> Result<Filter, FilterError> {
        if depth >= MAX_DEPTH {
            return Err(FilterError::Deep);
        }
        if !self.eat(b'(') {
            return self.fail("a filter begins with (");
        }
        let filter = match self.peek() {
            Some(b'&') => Filter::And(self.list(depth)?),
            Some(b'|') => Filter::Or(self.list(depth)?),
            Some(b'!') => {
                self.at += 1;
                Filter::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => self.item()?,
        };
        if self.eat(b')') { Ok(filter) } else { self.fail("a ) is missing") }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Filter>, FilterError> {
        self.at += 1;
        let mut list = Vec::new();
        while self.peek() == Some(b'(') {
            list.push(self.filter(depth + 1)?);
        }
        if list.is_empty() { self.fail("there is no filter in it") } else { Ok(list) }
    }

    fn word(&mut self, more: &[u8]) -> String {
        let begin = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || more.contains(&b)) {
            self.at += 1;
        }
        self.text.get(begin..self.at).unwrap_or_default().iter().map(|b| char::from(*b)).collect()
    }

    fn item(&mut self) -> Result<Filter, FilterError> {
        let name = self.word(b"-;.");
        if self.peek() == Some(b':') {
            return self.rule(name);
        }
        if name.is_empty() {
            return self.fail("the name of an attribute is missing");
        }
        match self.peek() {
            Some(b'=') => {
                self.at += 1;
                self.equality(name)
            }
            Some(sign @ (b'>' | b'<' | b'~')) => {
                self.at += 1;
                if !self.eat(b'=') {
                    return self.fail("a = is missing");
                }
                let value = self.value()?;
                Ok(match sign {
                    b'>' => Filter::AtLeast(name, value),
                    b'<' => Filter::AtMost(name, value),
                    _ => Filter::Approx(name, value),
                })
            }
            _ => self.fail("a = is missing"),
        }
    }

    fn rule(&mut self, name: String) -> Result<Filter, FilterError> {
        let mut names = false;
        let mut rule = None;
        while self.eat(b':') {
            if self.eat(b'=') {
                if name.is_empty() && rule.is_none() {
                    return self.fail("neither an attribute nor a rule is named");
                }
                let value = self.value()?;
                return Ok(Filter::Rule((!name.is_empty()).then_some(name), rule, value, names));
            }
            match self.word(b"-.") {
                word if word.eq_ignore_ascii_case("dn") && !names && rule.is_none() => names = true,
                word if !word.is_empty() && rule.is_none() => rule = Some(word),
                _ => return self.fail("this is no matching rule"),
            }
        }
        self.fail("a := is missing")
    }

    fn equality(&mut self, name: String) -> Result<Filter, FilterError> {
        let mut pieces = vec![self.value()?];
        while self.eat(b'*') {
            pieces.push(self.value()?);
        }
        let last = pieces.pop().unwrap_or_default();
        if pieces.is_empty() {
            return Ok(Filter::Equal(name, last));
        }
        let some = |piece: Vec<u8>| (!piece.is_empty()).then_some(piece);
        let first = some(pieces.remove(0));
        let any: Vec<_> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        Ok(match (first, some(last)) {
            (None, None) if any.is_empty() => Filter::Present(name),
            (first, last) => Filter::Substrings(name, first, any, last),
        })
    }

    fn value(&mut self) -> Result<Vec<u8>, FilterError> {
        let mut value = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b')' | b'*' => break,
                b'(' | 0 => return self.fail("this character has to be written as \\ and two hexadecimal digits"),
                b'\\' => {
                    let digit = |at| char::from(self.text.get(at).copied().unwrap_or_default()).to_digit(16);
                    let (Some(high), Some(low)) = (digit(self.at + 1), digit(self.at + 2)) else {
                        return self.fail("two hexadecimal digits have to follow");
                    };
                    value.push(u8::try_from(high << 4 | low).unwrap_or_default());
                    self.at += 3;
                }
                other => {
                    value.push(other);
                    self.at += 1;
                }
            }
        }
        Ok(value)
    }
}

/// As RFC 4515 writes it.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('(')?;
        match self {
            Self::And(list) | Self::Or(list) => {
                f.write_char(if matches!(self, Self::And(_)) { '&' } else { '|' })?;
                list.iter().try_for_each(|filter| write!(f, "{filter}"))?;
            }
            Self::Not(inner) => write!(f, "!{inner}")?,
            Self::Equal(name, value) => write!(f, "{name}={}", escaped(value))?,
            Self::Substrings(name, first, any, last) => {
                write!(f, "{name}={}*", escaped(first.as_deref().unwrap_or_default()))?;
                any.iter().try_for_each(|piece| write!(f, "{}*", escaped(piece)))?;
                f.write_str(&escaped(last.as_deref().unwrap_or_default()))?;
            }
            Self::AtLeast(name, value) => write!(f, "{name}>={}", escaped(value))?,
            Self::AtMost(name, value) => write!(f, "{name}<={}", escaped(value))?,
            Self::Present(name) => write!(f, "{name}=*")?,
            Self::Approx(name, value) => write!(f, "{name}~={}", escaped(value))?,
            Self::Rule(name, rule, value, names) => {
                f.write_str(name.as_deref().unwrap_or_default())?;
                if *names {
                    f.write_str(":dn")?;
                }
                if let Some(rule) = rule {
                    write!(f, ":{rule}")?;
                }
                write!(f, ":={}", escaped(value))?;
            }
        }
        f.write_char(')')
    }
}

fn escaped(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    let hex = |out: &mut String, byte: u8| {
        out.push('\\');
        out.extend([byte >> 4, byte & 15].into_iter().filter_map(|n| char::from_digit(u32::from(n), 16)));
    };
    let Ok(text) = std::str::from_utf8(value) else {
        for byte in value {
            hex(&mut out, *byte);
        }
        return out;
    };
    for c in text.chars() {
        if c.is_control() || matches!(c, '(' | ')' | '*' | '\\') {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                hex(&mut out, byte);
            }
        } else {
            out.push(c);
        }
    }
    out
}
