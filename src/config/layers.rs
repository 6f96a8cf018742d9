//! Which files there are and how they lie on each other: the main file, what it includes, its drop-in folder, and
//! the environment on top.
//!
//! Tables with fixed keys (`[server]`, `[auth]`, `[patience]`, `[defaults]`) are merged key by key with the `config`
//! crate; each value carries its place as the crate's "origin", so that a later complaint still has file and line.
//! Tables of names (`[endpoints]`, `[chassis]`, `[nodes]`) are not merged: a name belongs to one place.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    io::Read,
    path::{Component, Path, PathBuf},
};

use config::{Value, ValueKind};

use super::{
    keys,
    problem::{At, Problems},
    source::{Entry, Map, Sources, Spot, Val, parse},
};

/// Environment variables, as the process has them or as a test makes them.
pub type Env = HashMap<String, String>;

/// Files of one configuration.
const MAX_FILES: usize = 10_000;
/// Bytes of one file: 10,000 nodes of their own fit many times.
const MAX_BYTES: u64 = 64 << 20;
/// What variables that override keys begin with.
const PREFIX: &str = "RACKFISH_";
/// The `config` crate's name for values that came from the environment.
const FROM_ENVIRONMENT: &str = "the environment";

/// All that was read.
pub(super) struct Layers {
    /// One tree a file.
    pub docs: Vec<Map>,
    /// The merged fixed tables, by name.
    pub fixed: Map,
}

/// What was looked at: for the watcher.
#[derive(Default)]
pub(super) struct Seen {
    /// Files that make up the configuration.
    pub files: Vec<PathBuf>,
    /// Folders in which a new file would become part of it.
    pub folders: Vec<PathBuf>,
}

/// Reads everything. `None`: so broken that looking further would only confuse.
pub(super) fn read(path: &Path, env: &Env, sources: &mut Sources, seen: &mut Seen, p: &mut Problems) -> Option<Layers> {
    let (main_source, main) = file(path, sources, seen, p);
    let mut paths = Vec::new();
    if let Some(main) = &main {
        for (at, pattern) in includes(main, p) {
            let key = "server.include";
            match glob(&sources.resolve(at, &pattern), seen) {
                Ok(found) => paths.extend(found),
                Err(message) => p.add(at, key, message, "correct the pattern or make the file"),
            }
        }
    }
    let drop_ins = drop_in_folder(path);
    if let Ok(found) = glob(&drop_ins.join("*.toml"), seen) {
        paths.extend(found);
    }
    paths.retain({
        let mut known = std::collections::HashSet::from([path.to_path_buf()]);
        move |path| known.insert(path.clone())
    });
    if paths.len() > MAX_FILES {
        p.add(
            Sources::whole(main_source),
            "server.include",
            format!("matches {} files", paths.len()),
            format!("at most {MAX_FILES} are read"),
        );
        paths.truncate(MAX_FILES);
    }
    let mut usable = main.is_some();
    let mut docs: Vec<Map> = main.into_iter().collect();
    for path in paths {
        let (source, doc) = file(&path, sources, seen, p);
        usable &= doc.is_some();
        if let Some(doc) = doc {
            if let Some(entry) = doc.get("server").and_then(|e| table(&e.spot)).and_then(|server| server.get("include"))
            {
                p.add(
                    At { source, ..entry.at },
                    "server.include",
                    "only the main file can include others",
                    "move the pattern there",
                );
            }
            docs.push(doc);
        }
    }
    if !usable {
        return None;
    }
    top_level(&docs, p);
    let fixed = merge(&docs, env, sources, p);
    Some(Layers { docs, fixed })
}

/// `/etc/rackfish/rackfish.toml` -> `/etc/rackfish/rackfish.toml.d`
fn drop_in_folder(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or(OsStr::new("rackfish.toml")).to_os_string();
    name.push(".d");
    path.with_file_name(name)
}

fn file(path: &Path, sources: &mut Sources, seen: &mut Seen, p: &mut Problems) -> (usize, Option<Map>) {
    seen.files.push(path.to_path_buf());
    let text = read_text(path, MAX_BYTES);
    let source = sources.add_file(path, text.as_deref().unwrap_or_default());
    match text {
        Ok(text) => (source, parse(&text, source, p)),
        Err(message) => {
            let way_out = if path.exists() {
                "make it readable for the user that rackfish runs as"
            } else {
                "write it (`rackfish init` writes a first one) or name another with --config"
            };
            p.add(Sources::whole(source), "", message, way_out);
            (source, None)
        }
    }
}

/// A file as UTF-8, bounded.
pub(super) fn read_text(path: &Path, max: u64) -> Result<String, String> {
    let say = |error: std::io::Error| format!("can't be read: {error}");
    let file = std::fs::File::open(path).map_err(say)?;
    if file.metadata().map_err(say)?.is_dir() {
        return Err("is a folder, not a file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(say)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        return Err(format!("has more than {max} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| format!("is not UTF-8 (at byte {})", error.utf8_error().valid_up_to()))
}

fn table(spot: &Spot) -> Option<&Map> {
    match &spot.val {
        Val::Table(map) => Some(map),
        _ => None,
    }
}

fn includes(main: &Map, p: &mut Problems) -> Vec<(At, String)> {
    let Some(entry) = main.get("server").and_then(|e| table(&e.spot)).and_then(|server| server.get("include")) else {
        return Vec::new();
    };
    let spots = match &entry.spot.val {
        Val::List(list) => list.iter().collect(),
        _ => vec![&entry.spot],
    };
    let mut found = Vec::new();
    for spot in spots {
        match &spot.val {
            Val::Text(text) if !text.is_empty() => found.push((spot.at, text.clone())),
            _ => p.add(
                spot.at,
                "server.include",
                "must be a list of file patterns",
                "for example include = [\"nodes.d/*.toml\"]",
            ),
        }
    }
    found
}

/// Files that match, sorted. `*` and `?` stand for characters within one part of the path.
fn glob(pattern: &Path, seen: &mut Seen) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !matches!(part, Component::Normal(_)) || !text.contains(['*', '?']) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            seen.folders.push(folder.clone());
            let Ok(entries) = std::fs::read_dir(folder) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // As shells do: a leading dot (editors' files, saved copies) has to be asked for.
                if !name.starts_with('.') && super::glob::matches(&text, &name) {
                    next.push(folder.join(name.as_ref()));
                }
                if next.len() > MAX_FILES {
                    return Err(format!("matches more than {MAX_FILES} files"));
                }
            }
        }
        next.sort();
        found = next;
    }
    let literal = !pattern.to_string_lossy().contains(['*', '?']);
    if !literal {
        found.retain(|path| path.is_file());
    }
    Ok(found)
}

fn top_level(docs: &[Map], p: &mut Problems) {
    for doc in docs {
        for (key, entry) in &doc.0 {
            let shown = super::section::quoted(key);
            if !keys::ROOT.contains(&key.as_str()) {
                let way_out =
                    p.did_you_mean(key, keys::ROOT.iter().copied(), format!("known are {}", keys::ROOT.join(", ")));
                p.add(entry.at, shown, "unknown key", way_out);
            } else if table(&entry.spot).is_none() {
                p.add(
                    entry.spot.at,
                    shown,
                    format!("must be a table, not {}", entry.spot.val.kind()),
                    format!("write [{key}]"),
                );
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Layer(config::Map<String, Value>);

impl config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

fn merge(docs: &[Map], env: &Env, sources: &mut Sources, p: &mut Problems) -> Map {
    let mut builder = config::Config::builder();
    for doc in docs {
        let mut layer = config::Map::new();
        for key in keys::FIXED {
            if let Some(map) = doc.get(key).and_then(|entry| table(&entry.spot)) {
                layer.insert((*key).to_owned(), to_value(None, &Val::Table(map.clone())));
            }
        }
        builder = builder.add_source(Layer(layer));
    }
    let overrides: config::Map<String, String> =
        env.iter().filter(|(name, _)| overrides(name, sources, p)).map(|(k, v)| (k.clone(), v.clone())).collect();
    builder = builder.add_source(
        config::Environment::with_prefix("RACKFISH").prefix_separator("_").separator("__").source(Some(overrides)),
    );
    let merged = match builder.build() {
        Ok(merged) => merged.cache,
        Err(error) => {
            p.add(Sources::whole(0), "", format!("the layers can't be merged: {error}"), "");
            return Map::default();
        }
    };
    match from_value(&merged, "", sources).val {
        Val::Table(map) => map,
        _ => Map::default(),
    }
}

/// Whether a variable overrides a key; the attempt to reach a named table is answered with a warning.
fn overrides(name: &str, sources: &mut Sources, p: &mut Problems) -> bool {
    let Some((table, rest)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once("__")) else {
        return false;
    };
    let table = table.to_ascii_lowercase();
    if ["endpoints", "nodes", "chassis"].contains(&table.as_str()) {
        let at = Sources::whole(sources.add_variable(name));
        p.warn(
            at,
            "",
            format!("[{table}] can't be reached from the environment: names are case sensitive there"),
            "write it into a file",
        );
        return false;
    }
    keys::FIXED.contains(&table.as_str())
        && rest.split("__").all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

fn to_value(at: Option<At>, val: &Val) -> Value {
    let origin = at.map(|at| format!("{}:{}", at.source, at.offset));
    let kind = match val {
        Val::Text(text) => ValueKind::String(text.clone()),
        Val::Int(number) => ValueKind::I64(*number),
        Val::Float(number) => ValueKind::Float(*number),
        Val::Bool(flag) => ValueKind::Boolean(*flag),
        Val::Date(date) => ValueKind::String(date.to_string()),
        Val::List(list) => ValueKind::Array(list.iter().map(|spot| to_value(Some(spot.at), &spot.val)).collect()),
        Val::Table(map) => ValueKind::Table(
            map.0.iter().map(|(key, entry)| (key.clone(), to_value(Some(entry.spot.at), &entry.spot.val))).collect(),
        ),
    };
    Value::new(origin.as_ref(), kind)
}

fn from_value(value: &Value, path: &str, sources: &mut Sources) -> Spot {
    let at = match value.origin() {
        Some(FROM_ENVIRONMENT) => {
            let name = format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "__"));
            Some(Sources::whole(sources.add_variable(&name)))
        }
        Some(origin) => origin
            .split_once(':')
            .and_then(|(source, offset)| Some(At { source: source.parse().ok()?, offset: offset.parse().ok()? })),
        None => None,
    };
    let val = match &value.kind {
        ValueKind::Nil => Val::Text(String::new()),
        ValueKind::Boolean(flag) => Val::Bool(*flag),
        ValueKind::I64(number) => Val::Int(*number),
        ValueKind::I128(number) => i64::try_from(*number).map_or(Val::Int(i64::MAX), Val::Int),
        ValueKind::U64(number) => i64::try_from(*number).map_or(Val::Int(i64::MAX), Val::Int),
        ValueKind::U128(number) => i64::try_from(*number).map_or(Val::Int(i64::MAX), Val::Int),
        ValueKind::Float(number) => Val::Float(*number),
        ValueKind::String(text) => Val::Text(text.clone()),
        ValueKind::Array(list) => Val::List(list.iter().map(|item| from_value(item, path, sources)).collect()),
        ValueKind::Table(map) => {
            let mut entries = BTreeMap::new();
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let spot = from_value(value, &path, sources);
                entries.insert(key.clone(), Entry { at: spot.at, spot });
            }
            Val::Table(Map(entries))
        }
    };
    // A merged table has no place of its own: its first entry's will do.
    let at = at.or_else(|| match &val {
        Val::Table(map) => map.0.values().map(|entry| entry.at).min(),
        _ => None,
    });
    Spot { at: at.unwrap_or(Sources::whole(0)), val }
}
