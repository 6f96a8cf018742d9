//! The arrows of the house, held against the source: who may name whom.

use std::{collections::BTreeMap, fs, path::Path};

/// Room, and the rooms it may use. `api` is used by `cli` alone; drivers know nothing of nodes or faces.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &["model"]),
    ("process", &["model"]),
    ("drivers", &["wire", "process", "model"]),
    ("config", &["drivers", "wire", "model"]),
    ("store", &["model"]),
    ("auth", &["store", "config", "wire", "model"]),
    ("fleet", &["drivers", "config", "process", "store", "model"]),
    ("sim", &["wire", "model"]),
    ("api", &["fleet", "auth", "store", "config", "model"]),
    ("cli", &["api", "auth", "config", "drivers", "fleet", "model", "sim", "store", "wire"]),
];

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The rooms that a source names: `crate::room`, and `room::` inside a `use crate::{...}` group.
fn names(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' | ' ' | '\n' if depth == 0 => word.clear(),
                    ':' if depth == 0 && !word.is_empty() => rooms.push(std::mem::take(&mut word)),
                    c if depth == 0 && (c.is_alphanumeric() || c == '_') => word.push(c),
                    _ => {}
                }
            }
        } else {
            rooms.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    rooms
}

#[test]
fn nobody_uses_a_room_above() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (room, may) in MAY_USE {
        let mut files = Vec::new();
        sources(&root.join(room), &mut files);
        assert!(!files.is_empty(), "the room {room} is empty");
        for file in files {
            // What a test uses is not what the room uses.
            if file.file_name().is_some_and(|name| name == "tests.rs") {
                continue;
            }
            for name in names(&fs::read_to_string(&file).unwrap()) {
                seen += 1;
                if allowed.contains_key(name.as_str()) && name != *room && !may.contains(&name.as_str()) {
                    wrong.push(format!("{} names {name}", file.strip_prefix(&root).unwrap().display()));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} uses were found: the test does not see the source");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_small() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        if folder.exists() {
            sources(&folder, &mut files);
        }
    }
    let mut lines: Vec<(usize, String)> = files
        .iter()
        .map(|file| (fs::read_to_string(file).unwrap().lines().count(), file.display().to_string()))
        .collect();
    lines.sort_unstable();
    let (longest, name) = lines.last().unwrap();
    assert!(*longest <= 800, "{name} has {longest} lines; the most is 800: which two rooms is it?");
    let median = lines[lines.len() / 2].0;
    assert!(median <= 220, "the median file has {median} lines; the aim is 200");
}
