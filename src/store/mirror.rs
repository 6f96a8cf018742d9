//! All documents in memory, as compact JSON text, and the one place that decides a compare-and-set.
//!
//! Reads are answered from here: a list of 10,000 documents touches no file. A change is planned first ([`Plan`]) and
//! merged once it is as safe as it has to be, so nobody reads what a full disk may still refuse.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{Doc, Expect, Kind, StoreError};

/// A document as kept: the body is parsed by whoever reads it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub revision: u64,
    pub body: Arc<str>,
}

impl Entry {
    /// The document with its body parsed.
    pub fn parse(&self, kind: Kind, key: &str) -> Result<Doc, StoreError> {
        match serde_json::from_str(&self.body) {
            Ok(body) => Ok(Doc { revision: self.revision, body }),
            Err(e) => Err(StoreError::Malformed { kind: kind.as_str(), key: key.to_owned(), cause: e.to_string() }),
        }
    }
}

/// What a caller wants done to one document.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub kind: Kind,
    pub key: Arc<str>,
    pub expect: Expect,
    /// `None` deletes.
    pub body: Option<Arc<str>>,
}

/// The documents, by kind and key.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    docs: HashMap<Kind, BTreeMap<Arc<str>, Entry>>,
    /// The highest revision that a deleted document of the kind ever had.
    floors: HashMap<Kind, u64>,
}

impl Mirror {
    pub fn get(&self, kind: Kind, key: &str) -> Option<&Entry> {
        self.docs.get(&kind)?.get(key)
    }

    pub fn list(&self, kind: Kind) -> Vec<(Arc<str>, Entry)> {
        self.docs.get(&kind).into_iter().flatten().map(|(key, entry)| (Arc::clone(key), entry.clone())).collect()
    }

    pub fn floor(&self, kind: Kind) -> u64 {
        self.floors.get(&kind).copied().unwrap_or(0)
    }

    /// Takes a document or a floor over from disk.
    pub fn load(&mut self, kind: Kind, key: Arc<str>, entry: Entry) {
        self.docs.entry(kind).or_default().insert(key, entry);
    }

    /// As [`Self::load`].
    pub fn load_floor(&mut self, kind: Kind, floor: u64) {
        let kept = self.floors.entry(kind).or_default();
        *kept = floor.max(*kept);
    }

    /// Puts a plan in force.
    pub fn merge(&mut self, plan: Plan) {
        for ((kind, key), entry) in plan.docs {
            let docs = self.docs.entry(kind).or_default();
            match entry {
                Some(entry) => {
                    docs.insert(key, entry);
                }
                None => {
                    docs.remove(&key);
                }
            }
        }
        for (kind, floor) in plan.floors {
            self.load_floor(kind, floor);
        }
    }
}

/// Changes that have been decided but are not in force yet. Later wishes see earlier ones.
#[derive(Debug, Default)]
pub(super) struct Plan {
    docs: HashMap<(Kind, Arc<str>), Option<Entry>>,
    floors: HashMap<Kind, u64>,
}

impl Plan {
    /// Decides one wish against `mirror` and what is already planned. The new revision; `None` when the document is
    /// not there afterwards.
    pub fn add(&mut self, mirror: &Mirror, wish: &Wish) -> Result<Option<u64>, StoreError> {
        let id = (wish.kind, Arc::clone(&wish.key));
        let found = match self.docs.get(&id) {
            Some(planned) => planned.as_ref().map(|entry| entry.revision),
            None => mirror.get(wish.kind, &wish.key).map(|entry| entry.revision),
        };
        let holds = match wish.expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Revision(revision) => found == Some(revision),
        };
        if !holds {
            return Err(StoreError::Conflict {
                kind: wish.kind.as_str(),
                key: wish.key.as_ref().to_owned(),
                found: found.unwrap_or(0),
            });
        }
        let floor = self.floors.get(&wish.kind).copied().unwrap_or(0).max(mirror.floor(wish.kind));
        if let Some(body) = &wish.body {
            let revision = found.unwrap_or(floor).saturating_add(1);
            self.docs.insert(id, Some(Entry { revision, body: Arc::clone(body) }));
            return Ok(Some(revision));
        }
        if let Some(revision) = found {
            self.floors.insert(wish.kind, floor.max(revision));
            self.docs.insert(id, None);
        }
        Ok(None)
    }

    pub fn holds(&self, kind: Kind, key: &Arc<str>) -> bool {
        self.docs.contains_key(&(kind, Arc::clone(key)))
    }

    pub fn is_empty(&self) -> bool {
        self.docs.is_empty()
    }

    pub fn docs(&self) -> impl Iterator<Item = (Kind, &Arc<str>, Option<&Entry>)> {
        self.docs.iter().map(|((kind, key), entry)| (*kind, key, entry.as_ref()))
    }

    pub fn floors(&self) -> impl Iterator<Item = (Kind, u64)> {
        self.floors.iter().map(|(kind, floor)| (*kind, *floor))
    }
}
