//! `$expand`, `$filter`, `excerpt`, `$select` and `only`, worked out on bodies that are already written.
//!
//! [`expand`] makes one pass over the bytes: a link is an object that holds `@odata.id` and nothing else, and
//! [`super::doc`] writes it in exactly one way. Nothing is parsed, so a collection of 1,000 members costs what its
//! members cost.

use serde_json::{Map, Value};

use super::query::Expand;

const OPEN: &[u8] = b"{\"@odata.id\":\"";

/// Replaces links in `body` by what `fetch` gives for them; a link it has nothing for stays. One level.
pub fn expand(body: &[u8], which: Expand, mut fetch: impl FnMut(&str) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() * 8);
    let mut scan = Scan::default();
    let mut at = 0;
    while let Some(rest) = body.get(at..).filter(|r| !r.is_empty()) {
        let wanted = match which {
            Expand::All => true,
            Expand::NoLinks => scan.links_depth.is_none(),
            Expand::Links => scan.links_depth.is_some(),
        };
        if wanted
            && !scan.in_string
            && at > 0
            && let Some((uri, length)) = bare_link(rest)
            && let Some(resource) = fetch(uri)
        {
            out.extend_from_slice(&resource);
            at += length;
            continue;
        }
        scan.step(rest);
        out.extend(rest.first());
        at += 1;
    }
    out
}

/// Where in a JSON text we are: within a string, and within a member `Links`.
#[derive(Default)]
struct Scan {
    in_string: bool,
    escaped: bool,
    depth: usize,
    links_depth: Option<usize>,
}

impl Scan {
    fn step(&mut self, rest: &[u8]) {
        let Some(byte) = rest.first() else { return };
        if self.in_string {
            if self.escaped {
                self.escaped = false;
            } else if *byte == b'\\' {
                self.escaped = true;
            } else if *byte == b'"' {
                self.in_string = false;
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                if self.links_depth.is_none() && rest.starts_with(b"\"Links\":{") {
                    self.links_depth = Some(self.depth);
                }
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.links_depth == Some(self.depth) {
                    self.links_depth = None;
                }
            }
            _ => {}
        }
    }
}

/// The URI and length of the link that `text` begins with.
fn bare_link(text: &[u8]) -> Option<(&str, usize)> {
    let uri = text.strip_prefix(OPEN)?;
    let end = uri.iter().position(|b| *b == b'"')?;
    if uri.get(end + 1) != Some(&b'}') {
        return None;
    }
    let uri = std::str::from_utf8(uri.get(..end)?).ok()?;
    (!uri.contains(['#', '\\'])).then_some((uri, OPEN.len() + end + 2))
}

/// The URI of a collection's only member, if it has exactly one.
pub fn only_member(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    match value.get("Members")?.as_array()?.as_slice() {
        [member] => member.get("@odata.id")?.as_str().map(str::to_owned),
        _ => None,
    }
}

/// `body`, a collection, with those members that `wants` has a yes for, of which the first `skip` are left out and `top`
/// are kept. The count is that of all that are wanted. `fetch` gives what a link leads to.
pub fn filter(
    body: &[u8],
    wants: impl Fn(&Value) -> bool,
    (skip, top): (usize, Option<usize>),
    mut fetch: impl FnMut(&str) -> Option<Vec<u8>>,
) -> Vec<u8> {
    let Ok(Value::Object(mut all)) = serde_json::from_slice(body) else { return body.to_vec() };
    let Some(Value::Array(members)) = all.remove("Members") else { return body.to_vec() };
    let mut meets = |member: &Value| match member.as_object() {
        Some(link) if link.len() == 1 => {
            let resource = link.get("@odata.id").and_then(Value::as_str).and_then(&mut fetch);
            resource.and_then(|bytes| serde_json::from_slice(&bytes).ok()).is_some_and(|resource| wants(&resource))
        }
        // Collections of log entries hold their members themselves.
        _ => wants(member),
    };
    let members: Vec<_> = members.into_iter().filter(|member| meets(member)).collect();
    all.insert("Members@odata.count".to_owned(), members.len().into());
    let members: Vec<_> = members.into_iter().skip(skip).take(top.unwrap_or(usize::MAX)).collect();
    all.insert("Members".to_owned(), members.into());
    Value::Object(all).to_string().into_bytes()
}

/// `body` with the identity and the properties at `paths` (`Status/State`) alone.
pub fn select(body: &[u8], paths: &[String]) -> Vec<u8> {
    let Ok(Value::Object(all)) = serde_json::from_slice(body) else { return body.to_vec() };
    let mut kept = Map::new();
    for key in ["@odata.context", "@odata.etag", "@odata.id", "@odata.type"] {
        if let Some(value) = all.get(key) {
            kept.insert(key.to_owned(), value.clone());
        }
    }
    for path in paths {
        keep(&all, path, &mut kept);
    }
    Value::Object(kept).to_string().into_bytes()
}

/// `body` with every resource in it, itself too, cut down to its identity and the properties that `marked` names for its
/// `@odata.type`; one without marks stays as it is.
pub fn excerpt(body: &[u8], marked: impl Fn(&str) -> Option<&'static [&'static str]> + Copy) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice(body) else { return body.to_vec() };
    cut(&mut value, marked);
    value.to_string().into_bytes()
}

fn cut(value: &mut Value, marked: impl Fn(&str) -> Option<&'static [&'static str]> + Copy) {
    match value {
        Value::Object(map) => {
            if let Some(kept) = map.get("@odata.type").and_then(Value::as_str).and_then(marked) {
                map.retain(|key, _| key.starts_with("@odata.") || kept.contains(&key.as_str()));
            }
            map.values_mut().for_each(|inner| cut(inner, marked));
        }
        Value::Array(all) => all.iter_mut().for_each(|inner| cut(inner, marked)),
        _ => {}
    }
}

fn keep(from: &Map<String, Value>, path: &str, into: &mut Map<String, Value>) {
    let (key, rest) = path.split_once('/').map_or((path, None), |(k, r)| (k, Some(r)));
    let Some(value) = from.get(key) else { return };
    match (rest, value) {
        (Some(rest), Value::Object(inner)) => {
            if let Some(slot) = into.entry(key).or_insert_with(|| Value::Object(Map::new())).as_object_mut() {
                keep(inner, rest, slot);
            }
        }
        (None, _) => {
            into.insert(key.to_owned(), value.clone());
        }
        _ => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    const BODY: &str = r#"{"@odata.id":"/c","Name":"\"Links\":{","A":{"@odata.id":"/a"},"Links":{"B":[{"@odata.id":"/b"}],"N":{"C":{"@odata.id":"/c2"}}},"D":{"@odata.id":"/gone"},"E":{"@odata.id":"/e#/x"},"M":[{"@odata.id":"/a"}]}"#;

    fn expanded(which: Expand) -> Value {
        let out = expand(BODY.as_bytes(), which, |uri| {
            (uri != "/gone").then(|| format!("{{\"at\":\"{uri}\"}}").into_bytes())
        });
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn links_are_replaced_where_asked() {
        let whole: Value = serde_json::from_str(BODY).unwrap();
        let mut want = whole.clone();
        want["A"] = json!({"at": "/a"});
        want["M"] = json!([{"at": "/a"}]);
        assert_eq!(expanded(Expand::NoLinks), want);
        want["Links"] = json!({"B": [{"at": "/b"}], "N": {"C": {"at": "/c2"}}});
        assert_eq!(expanded(Expand::All), want);
        let mut want = whole;
        want["Links"] = json!({"B": [{"at": "/b"}], "N": {"C": {"at": "/c2"}}});
        assert_eq!(expanded(Expand::Links), want);
    }

    #[test]
    fn select_keeps_identity_and_paths() {
        let body = json!({"@odata.id": "/x", "Id": "x", "Status": {"State": "a", "Health": "b"}, "Name": "n"});
        let out: Value = serde_json::from_slice(&select(
            body.to_string().as_bytes(),
            &["Name".into(), "Status/State".into(), "Nothing".into(), "Name/X".into()],
        ))
        .unwrap();
        assert_eq!(out, json!({"@odata.id": "/x", "Name": "n", "Status": {"State": "a"}}));
    }

    #[test]
    fn an_excerpt_is_what_the_schema_marks() {
        let sensor = json!({"@odata.id": "/s", "@odata.type": "#Sensor.v1_12_0.Sensor", "Id": "s", "Reading": 1.5,
                            "PhysicalContext": "CPU", "Thresholds": {"UpperCritical": {"Reading": 9}}});
        let cut = json!({"@odata.id": "/s", "@odata.type": "#Sensor.v1_12_0.Sensor", "Reading": 1.5,
                         "PhysicalContext": "CPU"});
        let of = |body: &Value| -> Value {
            serde_json::from_slice(&excerpt(body.to_string().as_bytes(), super::super::excerpts::of)).unwrap()
        };
        assert_eq!(of(&sensor), cut);
        let other =
            json!({"@odata.type": "#Chassis.v1_28_0.Chassis", "Reading": 1, "Members": [sensor, {"@odata.id": "/t"}]});
        let mut wanted = other.clone();
        wanted["Members"][0] = cut;
        assert_eq!(of(&other), wanted, "what has no marks stays, what is expanded in it does not");
        assert_eq!(excerpt(b"x", super::super::excerpts::of), b"x");
    }

    #[test]
    fn members_are_filtered_before_they_are_counted_and_cut() {
        let body = json!({"Members": [{"@odata.id": "/1"}, {"@odata.id": "/2"}, {"@odata.id": "/gone"},
                          {"@odata.id": "/3"}, {"Id": "/4", "Name": "whole"}], "Members@odata.count": 5});
        let fetch = |uri: &str| (uri != "/gone").then(|| json!({ "Id": uri }).to_string().into_bytes());
        let wants = |resource: &Value| resource["Id"] != "/2";
        let out = filter(body.to_string().as_bytes(), wants, (1, Some(1)), fetch);
        let out: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(out, json!({"Members": [{"@odata.id": "/3"}], "Members@odata.count": 3}));
        assert_eq!(filter(b"{}", wants, (0, None), fetch), b"{}");
    }

    #[test]
    fn only_needs_exactly_one() {
        assert_eq!(only_member(br#"{"Members":[{"@odata.id":"/a"}]}"#).as_deref(), Some("/a"));
        assert_eq!(only_member(br#"{"Members":[]}"#), None);
        assert_eq!(only_member(b"{}"), None);
    }
}
