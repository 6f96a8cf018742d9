//! A resource's place on its BMC.

use std::fmt;

use serde_json::Value;

/// Longest link that is followed.
const MAX: usize = 1024;
/// Most links of one list that are followed.
const MOST: usize = 2048;

/// Path and query of a resource, without scheme and host: a link can't lead to another host, whatever it says. BMCs
/// behind address translation write links with an address that nobody else can reach; the path is what counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(String);

impl Path {
    /// A link as a service writes it: relative to the host, or a whole URI. The fragment is cut off.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") => {
                rest.find('/').and_then(|at| rest.get(at..))?
            }
            _ => text,
        };
        let text = text.split('#').next().unwrap_or_default();
        let sound = text.len() <= MAX && text.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b));
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        let up =
            path.split('/').any(|part| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."));
        if !sound || up || !path.starts_with('/') {
            return None;
        }
        // Two slashes at the front would name a host.
        let path = format!("/{}", path.trim_start_matches('/'));
        Some(Self(query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"))))
    }

    /// A place that the standard fixes (`/redfish/v1/`).
    pub fn fixed(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// The link in an object `{"@odata.id": ...}`; some services write the bare text.
    pub fn in_link(value: &Value) -> Option<Self> {
        value.get("@odata.id").unwrap_or(value).as_str().and_then(Self::of)
    }

    /// The link in the member `key`.
    pub fn at(body: &Value, key: &str) -> Option<Self> {
        Self::in_link(body.get(key)?)
    }

    /// The links in the list `key`, each once, in order.
    pub fn all_at(body: &Value, key: &str) -> Vec<Self> {
        let mut links = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for link in super::value::list(body, key).iter().take(MOST).filter_map(Self::in_link) {
            if seen.insert(link.clone()) {
                links.push(link);
            }
        }
        links
    }

    /// Text of the path and query.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Path alone, and query alone.
    pub fn parts(&self) -> (&str, Option<&str>) {
        self.0.split_once('?').map_or((self.0.as_str(), None), |(path, query)| (path, Some(query)))
    }

    /// Last segment of the path: by custom the resource's `Id`.
    pub fn last(&self) -> &str {
        self.parts().0.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// A resource below. `rest` is made of characters that need no escaping, else `None`.
    pub fn below(&self, rest: &str) -> Option<Self> {
        Self::of(&format!("{}/{rest}", self.parts().0.trim_end_matches('/')))
    }

    /// The same with a query of ours.
    #[must_use]
    pub fn with_query(&self, query: &str) -> Self {
        Self(format!("{}?{query}", self.parts().0))
    }

    /// Whether both name one resource: a slash at the end makes no difference.
    pub fn same(&self, other: &Self) -> bool {
        self.0.trim_end_matches('/') == other.0.trim_end_matches('/')
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
