//! Query parameters (DSP0266, "Query parameters"): as far as `ProtocolFeaturesSupported` of the root announces them.

use super::{descriptor::Queries, error::Error, filter::Filter, messages as m};

/// Which links `$expand` follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expand {
    /// `*`: all.
    All,
    /// `.`: those not below `Links`.
    NoLinks,
    /// `~`: those below `Links`.
    Links,
}

/// What a GET asks for beyond the resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// `$expand`
    pub expand: Option<Expand>,
    /// `$select`: paths of properties.
    pub select: Option<Vec<String>>,
    /// `only`
    pub only: bool,
    /// `excerpt`
    pub excerpt: bool,
    /// `$filter`
    pub filter: Option<Filter>,
    /// `$top`
    pub top: Option<usize>,
    /// `$skip`
    pub skip: usize,
    /// The text itself, for a resource that reads it on its own.
    pub own: Option<String>,
}

impl Query {
    /// Whether it changes anything about the answer.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Reads `text` (what follows the `?`) for a resource that knows `queries`.
    pub fn parse(text: &str, queries: Queries) -> Result<Self, Error> {
        if queries == Queries::Own {
            return Ok(Self { own: Some(text.to_owned()), ..Self::default() });
        }
        let mut query = Self::default();
        for pair in text.split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decode(key), decode(value));
            let needs = match key.as_str() {
                "$expand" | "$select" | "excerpt" => Queries::Single,
                "only" | "$top" | "$skip" | "$filter" => Queries::Collection,
                other if other.starts_with('$') => {
                    return Err(Error::new(501, m::QUERY_UNSUPPORTED.with([other])));
                }
                _ => continue,
            };
            let known = match needs {
                Queries::Single => queries != Queries::None,
                _ => queries == Queries::Collection,
            };
            if !known {
                return Err(Error::new(400, m::QUERY_NOT_ON_RESOURCE.with([]).detail(format!("It is {key}."))));
            }
            query.set(&key, &value).ok_or_else(|| Error::new(400, m::QUERY_FORMAT.with([&value, &key])))?;
        }
        // Some of the members, and those whole: that has one clear meaning. Anything else stands alone.
        let some = query.top.is_some() || query.skip > 0 || query.filter.is_some();
        let kinds = [query.select.is_some(), query.only, query.expand.is_some() || some];
        // An excerpt is made of whatever else is asked for, but of a member that stands for its collection.
        if kinds.iter().filter(|k| **k).count() > 1 || (query.only && query.excerpt) {
            return Err(Error::new(400, m::QUERY_COMBINATION.with([])));
        }
        Ok(query)
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "$expand" => self.expand = Some(expand(value)?),
            "$select" => {
                let paths: Vec<_> = value.split(',').map(|p| p.trim().to_owned()).collect();
                if paths.iter().any(String::is_empty) {
                    return None;
                }
                self.select = Some(paths);
            }
            "only" if value.is_empty() => self.only = true,
            "excerpt" if value.is_empty() => self.excerpt = true,
            "$filter" => self.filter = Some(Filter::parse(value)?),
            "$top" => self.top = Some(value.parse().ok()?),
            "$skip" => self.skip = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }
}

/// `.`, `*` or `~`, with or without `($levels=1)`: one level is what there is.
fn expand(value: &str) -> Option<Expand> {
    let (which, levels) = match value.split_once('(') {
        Some((which, levels)) => (which, Some(levels.strip_suffix(')')?)),
        None => (value, None),
    };
    if levels.is_some_and(|l| l != "$levels=1") {
        return None;
    }
    match which {
        "*" => Some(Expand::All),
        "." => Some(Expand::NoLinks),
        "~" => Some(Expand::Links),
        _ => None,
    }
}

/// Undoes percent-encoding.
pub(super) fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        match (*first, digit(tail.first()), digit(tail.get(1))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', ..) => out.push(b' '),
            (other, ..) => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn status(text: &str, queries: Queries) -> u16 {
        Query::parse(text, queries).err().map_or(200, |e| e.status)
    }

    #[test]
    fn what_is_known_is_read() {
        let q = Query::parse("%24expand=.%28%24levels%3D1%29&x=y", Queries::Single).unwrap();
        assert_eq!(q.expand, Some(Expand::NoLinks));
        assert_eq!(Query::parse("$expand=*", Queries::Single).unwrap().expand, Some(Expand::All));
        let q = Query::parse("$top=2&$skip=3&$expand=.", Queries::Collection).unwrap();
        assert_eq!((q.top, q.skip), (Some(2), 3));
        let q = Query::parse("$filter=Id+eq+%27a%27&$top=2&$expand=.", Queries::Collection).unwrap();
        assert!(q.filter.is_some() && q.top == Some(2) && q.expand.is_some());
        assert!(Query::parse("only", Queries::Collection).unwrap().only);
        let q = Query::parse("excerpt&$expand=.", Queries::Collection).unwrap();
        assert!(q.excerpt && q.expand.is_some());
        assert!(Query::parse("excerpt", Queries::Single).unwrap().excerpt);
        assert!(Query::parse("&&rpvunknown", Queries::None).unwrap().is_plain());
    }

    #[test]
    fn what_is_not_is_refused() {
        assert_eq!(status("$filter=a", Queries::Collection), 400);
        assert_eq!(status("$filter=Id%20eq%20'a'", Queries::Single), 400);
        assert_eq!(status("$filter=Id%20eq%20'a'&only", Queries::Collection), 400);
        assert_eq!(status("$filter=Id%20eq%20'a'&$select=Name", Queries::Collection), 400);
        assert_eq!(status("$rpvunknown", Queries::Single), 501);
        assert_eq!(status("only", Queries::Single), 400);
        assert_eq!(status("only=foo", Queries::Collection), 400);
        assert_eq!(status("excerpt=foo", Queries::Single), 400);
        assert_eq!(status("excerpt", Queries::None), 400);
        assert_eq!(status("only&excerpt", Queries::Collection), 400);
        assert_eq!(status("$expand=.($levels=2)", Queries::Single), 400);
        assert_eq!(status("$expand=.($levels=1", Queries::Single), 400);
        assert_eq!(status("$expand=x", Queries::Single), 400);
        assert_eq!(status("$top=-1", Queries::Collection), 400);
        assert_eq!(status("$select=Name&$expand=.", Queries::Single), 400);
        assert_eq!(status("$select=", Queries::Single), 400);
    }
}
