//! Tables of names (`[endpoints]`, `[chassis]`, `[nodes]`) with their ranges written out.

use std::collections::HashMap;

use super::{
    problem::{At, Problems},
    range::{self, Numbers},
    section::{Section, quoted},
    source::{Map, Sources, Val},
};

/// One name and the table that defines it.
pub(super) struct Named<'d> {
    pub name: String,
    /// Numbers of the range; empty for a plain name.
    pub numbers: Numbers,
    /// Where the name stands.
    pub at: At,
    /// Its table.
    pub map: &'d Map,
}

impl<'d> Named<'d> {
    /// The table as this name sees it.
    pub fn section<'n>(&'n self, table: &str) -> Section<'n>
    where
        'd: 'n,
    {
        let mut section = Section::new(format!("{table}.{}", quoted(&self.name)), self.at, self.map);
        section.numbers = &self.numbers;
        section
    }
}

/// All names of `[table]` in all files. `once` is called for each table as written, before its names.
pub(super) fn all<'d>(
    docs: &'d [Map],
    table: &str,
    budget: &mut usize,
    sources: &Sources,
    p: &mut Problems,
    mut once: impl FnMut(&Section<'d>, &mut Problems),
) -> Vec<Named<'d>> {
    let mut found: Vec<Named<'d>> = Vec::new();
    let mut places: HashMap<String, At> = HashMap::new();
    for doc in docs {
        let Some(Val::Table(tables)) = doc.get(table).map(|entry| &entry.spot.val) else { continue };
        for (pattern, entry) in &tables.0 {
            let path = format!("{table}.{}", quoted(pattern));
            let Val::Table(map) = &entry.spot.val else {
                p.add(
                    entry.spot.at,
                    path,
                    format!("must be a table, not {}", entry.spot.val.kind()),
                    format!("write [{table}.NAME]"),
                );
                continue;
            };
            once(&Section::new(path.clone(), entry.at, map), p);
            let names = if range::is_range(pattern) {
                range::expand(pattern, *budget)
            } else {
                Ok(vec![(pattern.clone(), Numbers::new())])
            };
            let names = match names {
                Ok(names) => names,
                Err(error) => {
                    p.add(entry.at, path, error.to_string(), "write for example \"node-[01-24]\" or \"node-[1-4,7]\"");
                    continue;
                }
            };
            *budget = budget.saturating_sub(names.len());
            for (name, numbers) in names {
                if let Some(first) = places.get(&name) {
                    p.add(
                        entry.at,
                        format!("{table}.{}", quoted(&name)),
                        format!("is defined twice: also at {}", sources.place(*first)),
                        "take one of them out",
                    );
                    continue;
                }
                places.insert(name.clone(), entry.at);
                found.push(Named { name, numbers, at: entry.at, map });
            }
        }
    }
    found
}
