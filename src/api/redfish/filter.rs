//! `$filter` (DSP0266 1.20, "Filter query"): which members of a collection are wanted.
//!
//! An expression is comparisons of a member's properties with literals (`Status/Health eq 'OK'`), joined by `and`, `or`,
//! `not` and parentheses. It is read once, within bounds, and then only looked at: nothing of it is ever executed.
//! A property that is absent counts as null; values of different types are unequal, and neither is less.

use std::{cmp::Ordering, iter::Peekable, vec::IntoIter};

use serde_json::{Number, Value};

/// Longest expression that is read.
const MAX_LENGTH: usize = 2048;
/// How deep `not` and parentheses may go.
const MAX_DEPTH: usize = 16;

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// A property, how it is compared, and with what.
    Compare(Vec<String>, Compare, Value),
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// One or both.
    Or(Box<Filter>, Box<Filter>),
    /// Not that.
    Not(Box<Filter>),
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the words are the standard's
pub enum Compare {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

impl Compare {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "lt" => Self::Lt,
            "le" => Self::Le,
            _ => return None,
        })
    }

    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Eq => order == Some(Ordering::Equal),
            Self::Ne => order != Some(Ordering::Equal),
            Self::Gt => order == Some(Ordering::Greater),
            Self::Ge => order.is_some_and(Ordering::is_ge),
            Self::Lt => order == Some(Ordering::Less),
            Self::Le => order.is_some_and(Ordering::is_le),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    Text(String),
}

type Tokens = Peekable<IntoIter<Token>>;

impl Filter {
    /// Reads an expression; `None`: it makes no sense.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let mut tokens = tokens(text)?.into_iter().peekable();
        let filter = either(&mut tokens, 0)?;
        tokens.next().is_none().then_some(filter)
    }

    /// Whether a resource is wanted.
    pub fn wants(&self, resource: &Value) -> bool {
        match self {
            Self::Compare(path, how, literal) => {
                let found = path.iter().try_fold(resource, |value, key| value.get(key)).unwrap_or(&Value::Null);
                how.holds(order(found, literal))
            }
            Self::And(one, other) => one.wants(resource) && other.wants(resource),
            Self::Or(one, other) => one.wants(resource) || other.wants(resource),
            Self::Not(inner) => !inner.wants(resource),
        }
    }
}

/// `None`: they can't be compared.
fn order(found: &Value, literal: &Value) -> Option<Ordering> {
    match (found, literal) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::Bool(a), Value::Bool(b)) if a == b => Some(Ordering::Equal),
        _ => None,
    }
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let token;
        (token, rest) = match first {
            '(' => (Token::Open, rest.get(1..)?),
            ')' => (Token::Close, rest.get(1..)?),
            '\'' => quoted(rest.get(1..)?)?,
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "()'".contains(c)).unwrap_or(rest.len());
                (Token::Word(rest.get(..end)?.to_owned()), rest.get(end..)?)
            }
        };
        tokens.push(token);
        rest = rest.trim_start();
    }
    Some(tokens)
}

/// A text up to its closing quote; two quotes are one of the text.
fn quoted(mut rest: &str) -> Option<(Token, &str)> {
    let mut text = String::new();
    loop {
        let (part, after) = rest.split_once('\'')?;
        text.push_str(part);
        let Some(more) = after.strip_prefix('\'') else { return Some((Token::Text(text), after)) };
        text.push('\'');
        rest = more;
    }
}

fn word(tokens: &mut Tokens, wanted: &str) -> bool {
    tokens.next_if(|token| matches!(token, Token::Word(word) if word == wanted)).is_some()
}

fn either(tokens: &mut Tokens, depth: usize) -> Option<Filter> {
    let mut filter = both(tokens, depth)?;
    while word(tokens, "or") {
        filter = Filter::Or(Box::new(filter), Box::new(both(tokens, depth)?));
    }
    Some(filter)
}

fn both(tokens: &mut Tokens, depth: usize) -> Option<Filter> {
    let mut filter = single(tokens, depth)?;
    while word(tokens, "and") {
        filter = Filter::And(Box::new(filter), Box::new(single(tokens, depth)?));
    }
    Some(filter)
}

fn single(tokens: &mut Tokens, depth: usize) -> Option<Filter> {
    if depth > MAX_DEPTH {
        return None;
    }
    match tokens.next()? {
        Token::Open => {
            let filter = either(tokens, depth + 1)?;
            (tokens.next()? == Token::Close).then_some(filter)
        }
        Token::Word(not) if not == "not" => Some(Filter::Not(Box::new(single(tokens, depth + 1)?))),
        Token::Word(path) => {
            let path: Vec<_> = path.split('/').map(str::to_owned).collect();
            if !path.iter().all(|key| is_name(key)) {
                return None;
            }
            let Token::Word(how) = tokens.next()? else { return None };
            Some(Filter::Compare(path, Compare::of(&how)?, literal(tokens.next()?)?))
        }
        Token::Text(_) | Token::Close => None,
    }
}

/// A property's name, annotations included (`Members@odata.count`).
fn is_name(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '@')
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"@._".contains(&b))
}

fn literal(token: Token) -> Option<Value> {
    match token {
        Token::Text(text) => Some(Value::String(text)),
        Token::Word(word) => match word.as_str() {
            "null" => Some(Value::Null),
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            number => number.parse::<Number>().ok().map(Value::Number),
        },
        Token::Open | Token::Close => None,
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wants(text: &str) -> bool {
        let resource = json!({
            "Id": "it's", "Count": 2, "Watts": 1.5, "On": true, "Off": null,
            "Status": {"Health": "OK", "State": "Enabled"}, "@odata.id": "/x",
        });
        Filter::parse(text).unwrap_or_else(|| panic!("{text} is not understood")).wants(&resource)
    }

    #[test]
    fn comparisons_hold_or_not() {
        for text in [
            "Id eq 'it''s'",
            "Count eq 2",
            "Count eq 2.0",
            "Watts gt 1 and Watts lt 2",
            "Count ge 2 and Count le 2",
            "On eq true",
            "On ne false",
            "Off eq null",
            "Nothing eq null",
            "Status/Health eq 'OK'",
            "Status/Health gt 'OJ'",
            "@odata.id eq '/x'",
            "Count ne '2'",
        ] {
            assert!(wants(text), "{text}");
            assert!(!wants(&format!("not ({text})")), "{text}");
        }
        for text in
            ["Count gt 'a'", "Id gt 1", "Nothing lt 1", "Status eq 'OK'", "Status/Health/More eq 'OK'", "On gt false"]
        {
            assert!(!wants(text), "{text}");
        }
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert!(wants("Count eq 2 or Count eq 3 and Count eq 4"));
        assert!(!wants("(Count eq 2 or Count eq 3) and Count eq 4"));
        assert!(wants("not Count eq 3 and Count eq 2"));
        assert!(wants("  (Count eq 2)and(On eq true)  "));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let (deep, open) = ("(".repeat(40) + "Id eq 1" + &")".repeat(40), "(".repeat(2000));
        let (nots, long) = ("not ".repeat(500) + "Id eq 1", format!("Id eq '{}'", "x".repeat(3000)));
        for text in [
            "",
            "Id",
            "Id eq",
            "eq 'a'",
            "Id eq 'a",
            "Id eq a",
            "Id is 'a'",
            "Id eq 'a' 'b'",
            "Id eq 'a' and",
            "or Id eq 1",
            "(Id eq 1",
            "Id eq 1)",
            "()",
            "'a' eq Id",
            "Id eq (1)",
            "Id/ eq 1",
            "/Id eq 1",
            "I-d eq 1",
            "Id eq NaN",
            "Id eq 1e999",
            &deep,
            &open,
            &nots,
            &long,
        ] {
            assert_eq!(Filter::parse(text), None, "{text}");
        }
    }
}
