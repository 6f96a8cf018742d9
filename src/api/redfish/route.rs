//! From a path to a resource: a tree of path segments built from the descriptors.

use std::{borrow::Cow, collections::HashMap};

use actix_web::http::header::HeaderValue;

use super::descriptor::Resource;

/// Names taken from a path, in order: at most three.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Params<'p>(Vec<Cow<'p, str>>);

impl Params<'_> {
    /// The name at `index`; empty if the path has fewer, which names nothing.
    pub fn get(&self, index: usize) -> &str {
        self.0.get(index).map_or("", |s| s)
    }
}

/// What a path leads to.
pub struct Entry {
    /// The resource.
    pub resource: &'static Resource,
    /// Its `Allow` header.
    pub allow: HeaderValue,
    /// Its `Link` header.
    pub described_by: Option<HeaderValue>,
}

#[derive(Default)]
struct Node {
    named: HashMap<&'static str, Node>,
    any: Option<Box<Node>>,
    entry: Option<usize>,
}

/// All routes.
pub struct Router {
    root: Node,
    entries: Vec<Entry>,
}

impl Router {
    /// Routes to `resources`.
    pub fn new(resources: &[&'static Resource]) -> Self {
        let mut router = Self { root: Node::default(), entries: Vec::new() };
        for resource in resources {
            let index = router.entries.len();
            router.entries.push(Entry {
                resource,
                allow: HeaderValue::from_str(&resource.allow()).unwrap_or(HeaderValue::from_static("GET")),
                described_by: resource.has_schema().then(|| describing(resource)).flatten(),
            });
            for uri in resource.uris {
                let mut node = &mut router.root;
                for segment in segments(uri) {
                    node = if segment.starts_with('{') {
                        node.any.get_or_insert_default()
                    } else {
                        node.named.entry(segment).or_default()
                    };
                }
                node.entry = Some(index);
            }
        }
        router
    }

    /// The resource at `path`. A trailing slash makes no difference, case does, `%xx` are decoded within a segment.
    pub fn find<'p>(&self, path: &'p str) -> Option<(&Entry, Params<'p>)> {
        let mut node = &self.root;
        let mut params = Params::default();
        for segment in segments(path) {
            if segment.is_empty() {
                return None;
            }
            let segment = decode(segment)?;
            node = if let Some(next) = node.named.get(segment.as_ref()) {
                next
            } else {
                params.0.push(segment);
                node.any.as_deref()?
            };
        }
        Some((self.entries.get(node.entry?)?, params))
    }
}

fn describing(resource: &Resource) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("</redfish/v1/JsonSchemas/{}>; rel=describedby", resource.schema_id())).ok()
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/')
}

fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let [high, low, after @ ..] = tail else { return None };
            let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
            bytes.push(digit(high)? << 4 | digit(low)?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::api::redfish::table::ALL;

    fn found(path: &str) -> Option<(&'static str, Vec<String>)> {
        let router = Router::new(ALL);
        let (entry, params) = router.find(path)?;
        Some((entry.resource.schema, params.0.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn paths_lead_to_resources() {
        assert_eq!(found("/redfish"), Some(("versions", vec![])));
        assert_eq!(found("/redfish/v1"), found("/redfish/v1/"));
        assert_eq!(found("/redfish/v1/").unwrap().0, "ServiceRoot");
        assert_eq!(found("/redfish/v1/Systems/a:b"), Some(("ComputerSystem", vec!["a:b".into()])));
        assert_eq!(found("/redfish/v1/Systems/a%3Ab/"), found("/redfish/v1/Systems/a:b"));
        assert_eq!(found("/redfish/v1/Systems/a/Actions/ComputerSystem.Reset").unwrap().0, "ComputerSystem.Reset");
    }

    #[test]
    fn anything_else_leads_nowhere() {
        for path in [
            "",
            "/",
            "//redfish/v1/",
            "/redfish/v1//Systems",
            "/redfish/v1/systems",
            "/redfish/v2",
            "/redfish/v1/Systems/a%2",
            "/redfish/v1/Systems/%ff",
            "/redfish/v1/Systems/a/b",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn no_two_resources_share_a_path() {
        let mut seen = std::collections::HashSet::new();
        for uri in ALL.iter().flat_map(|r| r.uris) {
            let shape: Vec<_> = segments(uri).map(|s| if s.starts_with('{') { "{}" } else { s }).collect();
            assert!(seen.insert(shape.join("/")), "{uri} is taken twice");
        }
    }
}
