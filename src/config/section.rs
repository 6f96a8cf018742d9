//! Reading one table: typed values with bounds, each mistake noted with its place.
//!
//! A [`Section`] is a table as seen by one name of a range: texts come with `{n}` filled in. Below it may lie another
//! table (`[defaults.node]`) that is asked for what the first lacks.

use std::{borrow::Cow, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};

use super::{
    duration,
    problem::{At, Problems, nearest},
    range::{self, Number},
    source::{Entry, Map, Sources, Spot, Val},
};
use crate::model::Role;

/// A table, under a path, for one name.
#[derive(Clone)]
pub(super) struct Section<'d> {
    /// `nodes.node-07`
    pub path: Cow<'d, str>,
    /// Where the table begins.
    pub at: At,
    /// Its entries.
    pub map: &'d Map,
    /// What is asked next.
    pub under: Option<&'d Map>,
    /// Numbers of the name; empty for a plain name.
    pub numbers: &'d [Number],
}

impl<'d> Section<'d> {
    /// A table of a plain name.
    pub fn new(path: impl Into<Cow<'d, str>>, at: At, map: &'d Map) -> Self {
        Self { path: path.into(), at, map, under: None, numbers: &[] }
    }

    /// A table below this one.
    pub fn below(&self, key: &str, at: At, map: &'d Map) -> Self {
        Self { path: Cow::Owned(self.key(key)), at, map, under: None, numbers: self.numbers }
    }

    /// Path of a key in here.
    pub fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// The entry, from this table or the one below.
    pub fn entry(&self, key: &str) -> Option<&'d Entry> {
        self.map.get(key).or_else(|| self.under.and_then(|under| under.get(key)))
    }

    /// Where a key stands, or the table if it is absent.
    pub fn at(&self, key: &str) -> At {
        self.entry(key).map_or(self.at, |entry| entry.spot.at)
    }

    /// Notes a problem of a key.
    pub fn wrong(&self, p: &mut Problems, key: &str, message: impl Into<String>, way_out: impl Into<String>) {
        p.add(self.at(key), self.key(key), message, way_out);
    }

    /// Notes keys that nobody knows. Called once a table, not once a name.
    pub fn only(&self, p: &mut Problems, known: &[&str]) {
        for (key, entry) in &self.map.0 {
            if !known.contains(&key.as_str()) {
                let way_out = p.did_you_mean(key, known.iter().copied(), format!("known are {}", known.join(", ")));
                p.add(entry.at, self.key(&quoted(key)), "unknown key", way_out);
            }
        }
    }

    fn mismatch(&self, p: &mut Problems, key: &str, spot: &Spot, wanted: &str, example: &str) {
        p.add(
            spot.at,
            self.key(key),
            format!("must be {wanted}, not {}", spot.val.kind()),
            format!("for example {example}"),
        );
    }

    /// `text` with this name's numbers.
    pub fn fill<'t>(&self, p: &mut Problems, key: &str, at: At, text: &'t str) -> Option<Cow<'t, str>> {
        if self.numbers.is_empty() {
            return Some(Cow::Borrowed(text));
        }
        match range::fill(text, self.numbers) {
            Ok(text) => Some(text),
            Err(error) => {
                p.add(at, self.key(key), error.to_string(), "");
                None
            }
        }
    }

    fn text_of(&self, p: &mut Problems, key: &str, spot: &'d Spot) -> Option<Cow<'d, str>> {
        let Val::Text(text) = &spot.val else {
            self.mismatch(p, key, spot, "a text", &format!("{key} = \"...\""));
            return None;
        };
        let text = self.fill(p, key, spot.at, text)?;
        if let Some(c) = text.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t') {
            p.add(spot.at, self.key(key), format!("holds the control character {c:?}"), "take it out");
            return None;
        }
        Some(text)
    }

    /// A text.
    pub fn text(&self, p: &mut Problems, key: &str) -> Option<Cow<'d, str>> {
        let entry = self.entry(key)?;
        self.text_of(p, key, &entry.spot)
    }

    /// A text of at most 1,024 bytes that is not empty: what is served as it is.
    pub fn label(&self, p: &mut Problems, key: &str) -> Option<String> {
        let text = self.text(p, key)?;
        if text.is_empty() || text.len() > 1_024 {
            self.wrong(
                p,
                key,
                format!("has {} characters", text.len()),
                "1 to 1024 are allowed; leave the key out for none",
            );
            return None;
        }
        Some(text.into_owned())
    }

    /// A path, taken from the folder of the file that names it.
    pub fn path(&self, p: &mut Problems, sources: &Sources, key: &str) -> Option<PathBuf> {
        let text = self.text(p, key)?;
        if text.is_empty() {
            self.wrong(p, key, "is empty", "name a file or leave the key out");
            return None;
        }
        Some(sources.resolve(self.at(key), &text))
    }

    /// Texts, each with its place. A single text is a list of one; from the environment, commas separate.
    pub fn texts(&self, p: &mut Problems, sources: &Sources, key: &str) -> Option<Vec<(At, Cow<'d, str>)>> {
        let entry = self.entry(key)?;
        match &entry.spot.val {
            Val::Text(text) if sources.is_variable(entry.spot.at) => Some(
                text.split(',')
                    .map(str::trim)
                    .filter(|t| !t.is_empty())
                    .map(|t| (entry.spot.at, Cow::Borrowed(t)))
                    .collect(),
            ),
            Val::Text(_) => Some(vec![(entry.spot.at, self.text_of(p, key, &entry.spot)?)]),
            Val::List(list) => {
                Some(list.iter().filter_map(|spot| Some((spot.at, self.text_of(p, key, spot)?))).collect())
            }
            _ => {
                self.mismatch(p, key, &entry.spot, "a list of texts", &format!("{key} = [\"...\"]"));
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn flag(&self, p: &mut Problems, sources: &Sources, key: &str) -> Option<bool> {
        let spot = &self.entry(key)?.spot;
        match &spot.val {
            Val::Bool(flag) => return Some(*flag),
            Val::Text(text) if sources.is_variable(spot.at) => {
                if let Ok(flag) = text.parse() {
                    return Some(flag);
                }
                p.add(spot.at, self.key(key), format!("must be true or false, not {text:?}"), "");
            }
            _ => self.mismatch(p, key, spot, "true or false", &format!("{key} = true")),
        }
        None
    }

    /// A number from its spot: texts count when a placeholder or the environment made them.
    fn numeric<T: FromStr>(&self, p: &mut Problems, sources: &Sources, key: &str, spot: &'d Spot) -> Result<T, bool> {
        match &spot.val {
            Val::Text(text) if sources.is_variable(spot.at) => text.trim().parse().map_err(|_| false),
            Val::Text(text) if !self.numbers.is_empty() && range::has_placeholder(text) => {
                match range::fill(text, self.numbers) {
                    Ok(filled) => filled.parse().map_err(|_| false),
                    Err(error) => {
                        p.add(spot.at, self.key(key), error.to_string(), "");
                        Err(true)
                    }
                }
            }
            _ => Err(false),
        }
    }

    /// A whole number within bounds.
    pub fn int<T: TryFrom<i64>>(
        &self,
        p: &mut Problems,
        sources: &Sources,
        key: &str,
        bounds: RangeInclusive<i64>,
    ) -> Option<T> {
        let spot = &self.entry(key)?.spot;
        let number = match &spot.val {
            Val::Int(number) => Ok(*number),
            _ => self.numeric::<i64>(p, sources, key, spot),
        };
        match number {
            Ok(number) if bounds.contains(&number) => T::try_from(number).ok(),
            Ok(number) => {
                p.add(
                    spot.at,
                    self.key(key),
                    format!("{number} is out of range"),
                    format!("{} to {} are allowed", bounds.start(), bounds.end()),
                );
                None
            }
            Err(said) => {
                if !said {
                    self.mismatch(p, key, spot, "a whole number", &format!("{key} = {}", bounds.start()));
                }
                None
            }
        }
    }

    /// A number above zero, at most `max`.
    pub fn float(&self, p: &mut Problems, sources: &Sources, key: &str, max: f64) -> Option<f64> {
        let spot = &self.entry(key)?.spot;
        let number = match &spot.val {
            Val::Float(number) => Ok(*number),
            // Exact: numbers beyond 32 bits are out of range anyway.
            Val::Int(number) => {
                Ok(i32::try_from(*number).map_or(f64::MAX.copysign(if *number < 0 { -1.0 } else { 1.0 }), f64::from))
            }
            _ => self.numeric::<f64>(p, sources, key, spot),
        };
        match number {
            Ok(number) if number > 0.0 && number <= max => Some(number),
            Ok(number) => {
                p.add(
                    spot.at,
                    self.key(key),
                    format!("{number} is out of range"),
                    format!("above 0 and up to {max} are allowed"),
                );
                None
            }
            Err(said) => {
                if !said {
                    self.mismatch(p, key, spot, "a number", &format!("{key} = 1.5"));
                }
                None
            }
        }
    }

    /// A duration within bounds.
    pub fn duration(&self, p: &mut Problems, key: &str, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        let spot = &self.entry(key)?.spot;
        let text = match &spot.val {
            Val::Text(text) => self.fill(p, key, spot.at, text)?,
            Val::Int(number) => {
                p.add(
                    spot.at,
                    self.key(key),
                    "a duration needs a unit",
                    format!("write \"{number}s\", \"{number}ms\" or \"{number}m\""),
                );
                return None;
            }
            _ => {
                self.mismatch(p, key, spot, "a duration", &format!("{key} = \"5s\""));
                return None;
            }
        };
        match duration::parse(&text) {
            Ok(duration) if bounds.contains(&duration) => Some(duration),
            Ok(_) => {
                p.add(
                    spot.at,
                    self.key(key),
                    format!("{text} is out of range"),
                    format!("{} to {} are allowed", duration::show(*bounds.start()), duration::show(*bounds.end())),
                );
                None
            }
            Err(way_out) => {
                p.add(spot.at, self.key(key), format!("{text:?} is not a duration"), way_out);
                None
            }
        }
    }

    /// One of some words.
    pub fn word<T: Copy>(&self, p: &mut Problems, key: &str, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(p, key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let way_out = p.did_you_mean(&text, known.iter().copied(), format!("it is one of {}", known.join(", ")));
        self.wrong(p, key, format!("{text:?} is not a value of this key"), way_out);
        None
    }

    /// The role of that name. One that is not predefined may be made at any time, or never: that is for who logs in.
    pub fn role(&self, p: &mut Problems, key: &str) -> Option<Role> {
        let text = self.text(p, key)?;
        let names = Role::PREDEFINED.map(|role| role.as_str().to_owned());
        let known = || names.iter().map(String::as_str);
        match Role::new(&text) {
            Ok(role) => {
                if role.predefined().is_none()
                    && let Some(near) = nearest(&text, known())
                {
                    let message = format!("{text:?} is not predefined: it counts once a role of that name was made");
                    p.warn(self.at(key), self.key(key), message, format!("did you mean {near:?}?"));
                }
                Some(role)
            }
            Err(reason) => {
                let way_out = format!("it is one of {}, or a role that you make", names.join(", "));
                let way_out = p.did_you_mean(&text, known(), way_out);
                self.wrong(p, key, format!("{text:?} can't be a role: it {reason}"), way_out);
                None
            }
        }
    }

    /// A table below.
    pub fn table(&self, p: &mut Problems, key: &str) -> Option<Section<'d>> {
        let entry = self.entry(key)?;
        if let Val::Table(map) = &entry.spot.val {
            return Some(self.below(key, entry.at, map));
        }
        self.mismatch(p, key, &entry.spot, "a table", &format!("{key} = {{ ... }}"));
        None
    }
}

/// A name as it has to be written in a key path.
pub(super) fn quoted(name: &str) -> Cow<'_, str> {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { Cow::Borrowed(name) } else { Cow::Owned(format!("{name:?}")) }
}
