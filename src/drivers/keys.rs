//! Takes typed values out of a TOML table and collects everything that is wrong with it, unknown keys included: what
//! a driver's `parse` is written with. Endpoint settings and PDU family files are read with the same words, so that
//! their errors read the same.
//!
//! Each getter takes its key once, notes what is wrong with the value and answers `None` then; `finish` notes the keys
//! that nobody took. `None` without a note: the key is not there.

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use toml::{Table, Value};

use super::SettingsError;

/// Reads a whole table: what `read` makes of it, or ALL that is wrong with it.
pub(super) fn checked<T>(
    table: &Table,
    read: impl FnOnce(&Table, &RefCell<Vec<SettingsError>>) -> Option<T>,
) -> Result<T, Vec<SettingsError>> {
    let errors = RefCell::new(Vec::new());
    let settings = read(table, &errors);
    let errors = errors.into_inner();
    match settings {
        Some(settings) if errors.is_empty() => Ok(settings),
        _ => Err(errors),
    }
}

/// A table under inspection.
pub(super) struct Keys<'t> {
    table: &'t Table,
    path: String,
    seen: BTreeSet<String>,
    errors: &'t RefCell<Vec<SettingsError>>,
}

impl<'t> Keys<'t> {
    pub(super) fn new(table: &'t Table, path: &str, errors: &'t RefCell<Vec<SettingsError>>) -> Self {
        Self { table, path: path.to_owned(), seen: BTreeSet::new(), errors }
    }

    /// Path of `key` from the endpoint.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes that `key` is wrong.
    pub(super) fn wrong(&self, key: &str, message: impl Into<String>) {
        let path = self.path(key);
        let message = format!("`{path}`: {}", message.into());
        self.errors.borrow_mut().push(SettingsError::of(&path, message));
    }

    /// The raw value.
    pub(super) fn raw(&mut self, key: &str) -> Option<&'t Value> {
        self.seen.insert(key.to_owned());
        self.table.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Text that is not empty.
    pub(super) fn text(&mut self, key: &str) -> Option<&'t str> {
        match self.raw(key)? {
            Value::String(text) if !text.is_empty() => return Some(text),
            Value::String(_) => self.wrong(key, "must not be empty"),
            other => self.wrong(key, format!("expected text in quotes, found {}", kind(other))),
        }
        None
    }

    /// One of `words`.
    pub(super) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(key, format!("{text:?} is not one of {}", all.join(", ")));
        }
        found
    }

    /// A whole number within `range`.
    pub(super) fn number(&mut self, key: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        match self.raw(key)? {
            Value::Integer(n) if range.contains(n) => return Some(*n),
            Value::Integer(n) => {
                self.wrong(key, format!("{n} is not within {} to {}", range.start(), range.end()));
            }
            other => self.wrong(key, format!("expected a whole number, found {}", kind(other))),
        }
        None
    }

    /// A 32-bit number, or a list of them.
    pub(super) fn numbers(&mut self, key: &str) -> Option<Vec<i64>> {
        let values = match self.raw(key)? {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let numbers: Option<Vec<i64>> =
            values.iter().map(|v| v.as_integer().filter(|n| i32::try_from(*n).is_ok())).collect();
        match numbers {
            Some(numbers) if !numbers.is_empty() => return Some(numbers),
            _ => self.wrong(key, "expected a number or a list of numbers, as the device sends them"),
        }
        None
    }

    /// A factor.
    pub(super) fn factor(&mut self, key: &str) -> Option<f64> {
        let value = match self.raw(key)? {
            Value::Float(f) => Some(*f),
            #[allow(clippy::cast_precision_loss)] // a factor beyond 2^52 means nothing
            Value::Integer(n) => Some(*n as f64),
            _ => None,
        };
        let value = value.filter(|f| f.is_finite() && *f != 0.0);
        if value.is_none() {
            self.wrong(key, "expected a number other than zero, such as 0.1");
        }
        value
    }

    /// A time span: `"1500ms"`, `"1s"`, `"2m"`, or a number of milliseconds.
    pub(super) fn duration(&mut self, key: &str, range: std::ops::RangeInclusive<Duration>) -> Option<Duration> {
        let value = match self.raw(key)? {
            Value::Integer(ms) => u64::try_from(*ms).ok().map(Duration::from_millis),
            Value::String(text) => parse_duration(text),
            _ => None,
        };
        match value {
            Some(span) if range.contains(&span) => return Some(span),
            Some(span) => {
                self.wrong(key, format!("{span:?} is not within {:?} to {:?}", range.start(), range.end()));
            }
            None => self.wrong(key, "expected a time such as \"1s\" or \"500ms\", or a number of milliseconds"),
        }
        None
    }

    /// A list of texts, none of them empty. Whole numbers count as their digits.
    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let Value::Array(items) = self.raw(key)? else {
            self.wrong(key, "expected a list of texts, as in [\"a\", \"b\"]");
            return None;
        };
        let text = |item: &Value| match item {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            _ => None,
        };
        let texts: Option<Vec<String>> = items.iter().map(text).collect();
        if texts.as_ref().is_none_or(Vec::is_empty) {
            self.wrong(key, "expected a list of texts, at least one, none of them empty");
            return None;
        }
        texts
    }

    /// A table below.
    pub(super) fn table(&mut self, key: &str) -> Option<&'t Table> {
        match self.raw(key)? {
            Value::Table(table) => Some(table),
            other => {
                self.wrong(key, format!("expected a table, found {}", kind(other)));
                None
            }
        }
    }

    /// The same for a table below.
    pub(super) fn below(&self, key: &str, table: &'t Table) -> Self {
        Self { table, path: self.path(key), seen: BTreeSet::new(), errors: self.errors }
    }

    /// Keys that nobody asked for are errors.
    pub(super) fn finish(self) {
        for key in self.table.keys().filter(|key| !self.seen.contains(*key)) {
            let known: Vec<_> = self.seen.iter().map(String::as_str).collect();
            self.wrong(key, format!("no such key; known ones: {}", known.join(", ")));
        }
    }
}

/// The type of a value, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(split)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}
