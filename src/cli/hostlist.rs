//! Host lists: `node[1-8],rack2-*,@gpu,-node3`.
//!
//! Items are separated by commas outside brackets: a name, a range, a pattern with `*` or `?`, a group after `@`. An
//! item after `-` is taken out. Every item has to match something: a slip must not silently switch less than meant.

use std::collections::BTreeSet;

use crate::config::{glob, nearest, range};

/// Why a host list does not name nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostListError {
    /// Nothing in it.
    #[error("the host list is empty; name nodes, as in node[1-8], or all of them as '*'")]
    Empty,
    /// A range that is none.
    #[error("{0}")]
    Range(#[from] range::RangeError),
    /// No such name.
    #[error("there is no {kind} {name}{}", .near.as_ref().map(|n| format!("; did you mean '{n}'?")).unwrap_or_default())]
    Unknown {
        /// `node` or `endpoint`.
        kind: &'static str,
        /// As written.
        name: String,
        /// What may be meant.
        near: Option<String>,
    },
    /// A pattern or group that matches nothing.
    #[error("{0} matches nothing")]
    Nothing(String),
}

/// Something that can be listed: a name and its groups.
pub struct Host<'h> {
    /// Its name.
    pub name: &'h str,
    /// Groups it is in.
    pub groups: &'h [String],
}

/// The names that `list` means, sorted as the hosts are. `kind`: what they are called in messages.
pub fn select(list: &str, kind: &'static str, hosts: &[Host<'_>]) -> Result<Vec<String>, HostListError> {
    let known: BTreeSet<&str> = hosts.iter().map(|host| host.name).collect();
    let mut chosen: BTreeSet<String> = BTreeSet::new();
    let mut any = false;
    for item in items(list) {
        any = true;
        let (out, item) = match item.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, item),
        };
        for name in matching(item, kind, hosts, &known)? {
            if out {
                chosen.remove(&name);
            } else {
                chosen.insert(name);
            }
        }
    }
    if any { Ok(chosen.into_iter().collect()) } else { Err(HostListError::Empty) }
}

fn matching(
    item: &str,
    kind: &'static str,
    hosts: &[Host<'_>],
    known: &BTreeSet<&str>,
) -> Result<Vec<String>, HostListError> {
    let nothing = || HostListError::Nothing(format!("'{item}'"));
    if let Some(group) = item.strip_prefix('@') {
        let names: Vec<String> =
            hosts.iter().filter(|h| h.groups.iter().any(|g| g == group)).map(|h| h.name.to_owned()).collect();
        return if names.is_empty() { Err(nothing()) } else { Ok(names) };
    }
    let patterns = range::expand(item, range::MAX_NAMES)?;
    let mut names = Vec::new();
    for (pattern, _) in patterns {
        if pattern.contains(['*', '?']) {
            let before = names.len();
            names.extend(hosts.iter().filter(|h| glob::matches(&pattern, h.name)).map(|h| h.name.to_owned()));
            if names.len() == before {
                return Err(HostListError::Nothing(format!("'{pattern}'")));
            }
        } else if known.contains(pattern.as_str()) {
            names.push(pattern);
        } else {
            let near = nearest(&pattern, known.iter().copied()).map(str::to_owned);
            return Err(HostListError::Unknown { kind, name: pattern, near });
        }
    }
    Ok(names)
}

/// Splits at commas and spaces that are not within brackets.
fn items(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    list.split(move |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        depth <= 0 && (c == ',' || c.is_whitespace())
    })
    .filter(|item| !item.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn choose(list: &str) -> Result<Vec<String>, HostListError> {
        let gpu = ["gpu".to_owned()];
        let hosts: Vec<Host<'_>> = [("n1", 0), ("n2", 0), ("n3", 1), ("r2-a", 0), ("r2-b", 1)]
            .into_iter()
            .map(|(name, groups)| Host { name, groups: gpu.get(..groups).unwrap() })
            .collect();
        select(list, "node", &hosts)
    }

    #[test]
    fn names_ranges_patterns_groups_and_exceptions() {
        assert_eq!(choose("n[1-3],r2-a").unwrap(), ["n1", "n2", "n3", "r2-a"]);
        assert_eq!(choose("r2-*").unwrap(), ["r2-a", "r2-b"]);
        assert_eq!(choose("@gpu n1").unwrap(), ["n1", "n3", "r2-b"]);
        assert_eq!(choose("*,-n[1,3]").unwrap(), ["n2", "r2-a", "r2-b"]);
        assert_eq!(choose("n2,n2").unwrap(), ["n2"]);
    }

    #[test]
    fn what_matches_nothing_is_an_error() {
        assert_eq!(choose(" ,"), Err(HostListError::Empty));
        assert_eq!(choose("n4").unwrap_err().to_string(), "there is no node n4");
        assert_eq!(choose("r2a").unwrap_err().to_string(), "there is no node r2a; did you mean 'r2-a'?");
        assert!(matches!(choose("n[1-4]"), Err(HostListError::Unknown { .. })));
        assert!(matches!(choose("x*"), Err(HostListError::Nothing(_))));
        assert!(matches!(choose("@cpu"), Err(HostListError::Nothing(_))));
        assert!(matches!(choose("n[1"), Err(HostListError::Range(_))));
        assert!(matches!(choose("]"), Err(HostListError::Range(_))));
    }
}
