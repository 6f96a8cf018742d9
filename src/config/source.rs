//! Texts that a configuration is made of: files with their lines, and environment variables.
//!
//! Also the tree they are parsed into: TOML values, each with its place. Only this file knows the `toml` crate's
//! spanned tree.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::de::{DeTable, DeValue};

use super::problem::{At, Problems};

/// Everything that was read, by number.
#[derive(Default)]
pub(super) struct Sources {
    list: Vec<Source>,
}

struct Source {
    name: Arc<str>,
    /// The folder that relative paths start from.
    folder: PathBuf,
    /// Offsets at which lines begin; empty for an environment variable.
    lines: Vec<usize>,
}

impl Sources {
    /// A file with its text.
    pub fn add_file(&mut self, path: &Path, text: &str) -> usize {
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1));
        self.list.push(Source {
            name: Arc::from(path.to_string_lossy()),
            folder: path.parent().map(Path::to_path_buf).unwrap_or_default(),
            lines,
        });
        self.list.len() - 1
    }

    /// An environment variable.
    pub fn add_variable(&mut self, name: &str) -> usize {
        self.list.push(Source {
            name: Arc::from(format!("environment variable {name}")),
            folder: PathBuf::new(),
            lines: Vec::new(),
        });
        self.list.len() - 1
    }

    /// File and line of a place.
    pub fn locate(&self, at: At) -> (Arc<str>, Option<usize>) {
        match self.list.get(at.source) {
            None => (Arc::from("configuration"), None),
            Some(source) if source.lines.is_empty() || at.offset == usize::MAX => (source.name.clone(), None),
            Some(source) => (source.name.clone(), Some(source.lines.partition_point(|start| *start <= at.offset))),
        }
    }

    /// `file:line`, for messages that name a second place.
    pub fn place(&self, at: At) -> String {
        match self.locate(at) {
            (file, Some(line)) => format!("{file}:{line}"),
            (file, None) => file.as_ref().to_owned(),
        }
    }

    /// Whether a place is an environment variable: values there are always texts.
    pub fn is_variable(&self, at: At) -> bool {
        self.list.get(at.source).is_some_and(|source| source.lines.is_empty())
    }

    /// `path` as seen from the file that names it.
    pub fn resolve(&self, at: At, path: &str) -> PathBuf {
        self.list.get(at.source).map_or_else(|| PathBuf::from(path), |source| source.folder.join(path))
    }

    /// A file as a whole.
    pub fn whole(source: usize) -> At {
        At { source, offset: usize::MAX }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// Start of the value.
    pub at: At,
    /// The value.
    pub val: Val,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(super) enum Val {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// Date or time, as written. No key takes one.
    Date(toml::value::Datetime),
    List(Vec<Spot>),
    Table(Map),
}

impl Val {
    /// With article, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// A table's entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Map(pub BTreeMap<String, Entry>);

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Where the key stands.
    pub at: At,
    /// Its value.
    pub spot: Spot,
}

impl Map {
    /// The entry of that key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.0.get(key)
    }
}

/// Parses a file's text. Syntax errors are put into `problems`; `None` when what is left can't be trusted.
pub(super) fn parse(text: &str, source: usize, problems: &mut Problems) -> Option<Map> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut usable = true;
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        // A repeated key leaves a sound rest; anything else may have swallowed half a table.
        usable &= error.message().contains("duplicate key");
        problems.add(
            At { source, offset },
            "",
            error.message().replace('\n', ", "),
            "see https://toml.io for the format",
        );
    }
    let map = convert_table(table.get_ref(), source, problems);
    usable.then_some(map)
}

fn convert_table(table: &DeTable<'_>, source: usize, problems: &mut Problems) -> Map {
    let mut entries = BTreeMap::new();
    for (key, value) in table {
        let at = At { source, offset: key.span().start };
        let spot = Spot {
            at: At { source, offset: value.span().start },
            val: convert(value.get_ref(), key.get_ref(), at, source, problems),
        };
        entries.insert(key.get_ref().clone().into_owned(), Entry { at, spot });
    }
    Map(entries)
}

/// Depth is bounded by the parser (80).
fn convert(value: &DeValue<'_>, key: &str, at: At, source: usize, problems: &mut Problems) -> Val {
    match value {
        DeValue::String(text) => Val::Text(Cow::clone(text).into_owned()),
        DeValue::Integer(number) => {
            let value = i64::from_str_radix(number.as_str(), number.radix());
            if value.is_err() {
                problems.add(at, key, format!("{number} is too large"), "numbers have at most 63 bits");
            }
            Val::Int(value.unwrap_or_default())
        }
        DeValue::Float(number) => {
            let value = number.as_str().parse();
            if value.is_err() {
                problems.add(at, key, format!("{number} is not a number"), "");
            }
            Val::Float(value.unwrap_or_default())
        }
        DeValue::Boolean(flag) => Val::Bool(*flag),
        DeValue::Datetime(date) => Val::Date(*date),
        DeValue::Array(list) => Val::List(
            list.iter()
                .map(|item| {
                    let at = At { source, offset: item.span().start };
                    Spot { at, val: convert(item.get_ref(), key, at, source, problems) }
                })
                .collect(),
        ),
        DeValue::Table(table) => Val::Table(convert_table(table, source, problems)),
    }
}
