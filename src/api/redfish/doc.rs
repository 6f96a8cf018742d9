//! Writes one JSON object straight into bytes, and hashes it for the ETag on the way out.
//!
//! Not a general serialiser: keys are names of the standard (no escapes needed), the output is compact, and a link is
//! always written `{"@odata.id":"..."}`, which is what [`super::expand`] looks for. Parts written within
//! [`Doc::volatile`] (readings, times, ages) do not count for the ETag: a client that reads, waits and then writes
//! with `If-Match` must not fail because a fan turned (DSP0266, "ETags").

use std::{
    hash::{BuildHasher, Hasher},
    io::Write,
};

use foldhash::quality::FixedState;
use time::{OffsetDateTime, UtcOffset};

use super::descriptor::Resource;

/// A finished body.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// JSON (or XML, for `$metadata`).
    pub bytes: Vec<u8>,
    /// As in the `ETag` header, with its quotes.
    pub etag: Option<String>,
}

/// A value that can be written.
pub trait Json {
    /// Appends the value as JSON.
    fn write(&self, out: &mut Vec<u8>);
}

/// Room for the tag: 16 hexadecimal digits within escaped quotes.
const TAG: &str = "\"@odata.etag\":\"\\\"0000000000000000\\\"\"";
const TAG_DIGITS: usize = 17;
/// Of all tags.
const SEED: u64 = 0x7261_636b_6669_7368;

/// An object being written.
#[derive(Debug)]
pub struct Doc {
    out: Vec<u8>,
    comma: bool,
    skips: Vec<(usize, usize)>,
    tag_at: Option<usize>,
    salt: u64,
}

// Values are numbers and borrowed text: taking them by reference would only add ampersands.
#[allow(clippy::needless_pass_by_value)]
impl Doc {
    /// An object without identity: errors, `odata`, action bodies.
    pub fn plain() -> Self {
        Self { out: vec![b'{'], comma: false, skips: Vec::new(), tag_at: None, salt: 0 }
    }

    /// A resource: `@odata.id`, `@odata.type`, `@odata.etag`.
    pub fn resource(kind: &Resource, uri: &str) -> Self {
        let mut doc = Self { out: Vec::with_capacity(2048), comma: false, skips: Vec::new(), tag_at: None, salt: 0 };
        doc.out.push(b'{');
        doc.set("@odata.id", uri);
        doc.key("@odata.type");
        doc.out.extend_from_slice(b"\"#");
        doc.out.extend_from_slice(kind.schema.as_bytes());
        if !kind.version.is_empty() {
            doc.out.push(b'.');
            doc.out.extend_from_slice(kind.version.as_bytes());
        }
        doc.out.push(b'.');
        doc.out.extend_from_slice(kind.schema.as_bytes());
        doc.out.extend_from_slice(b"\",");
        doc.tag_at = Some(doc.out.len() + TAG.len() - 3 - (TAG_DIGITS - 1));
        doc.out.extend_from_slice(TAG.as_bytes());
        doc
    }

    /// Something outside the body that the ETag has to follow: a document's revision.
    pub fn salt(&mut self, salt: u64) -> &mut Self {
        self.salt = salt;
        self
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }

    fn key(&mut self, key: &str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A property. `None` is written as null.
    pub fn set(&mut self, key: &str, value: impl Json) -> &mut Self {
        self.key(key);
        value.write(&mut self.out);
        self
    }

    /// A property that is left out when there is nothing to say.
    pub fn opt(&mut self, key: &str, value: Option<impl Json>) -> &mut Self {
        if let Some(value) = value {
            self.set(key, value);
        }
        self
    }

    /// An embedded object.
    pub fn obj(&mut self, key: &str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.key(key);
        self.enclosed(b'{', b'}', fill)
    }

    /// An embedded array; `fill` uses the `item` methods.
    pub fn arr(&mut self, key: &str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.key(key);
        self.enclosed(b'[', b']', fill)
    }

    /// An array of plain values.
    pub fn list<T: Json>(&mut self, key: &str, values: impl IntoIterator<Item = T>) -> &mut Self {
        self.arr(key, |a| {
            for value in values {
                a.item(value);
            }
        })
    }

    /// A link to another resource.
    pub fn link(&mut self, key: &str, uri: &str) -> &mut Self {
        self.obj(key, |o| {
            o.set("@odata.id", uri);
        })
    }

    /// An array of links.
    pub fn links<S: AsRef<str>>(&mut self, key: &str, uris: impl IntoIterator<Item = S>) -> &mut Self {
        self.arr(key, |a| {
            for uri in uris {
                a.item_link(uri.as_ref());
            }
        })
    }

    /// A value of an array.
    pub fn item(&mut self, value: impl Json) -> &mut Self {
        self.separate();
        value.write(&mut self.out);
        self
    }

    /// An object of an array.
    pub fn item_obj(&mut self, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.separate();
        self.enclosed(b'{', b'}', fill)
    }

    /// A link of an array.
    pub fn item_link(&mut self, uri: &str) -> &mut Self {
        self.item_obj(|o| {
            o.set("@odata.id", uri);
        })
    }

    /// A link of an array, to what is called `name` below `uri`.
    pub fn item_link_below(&mut self, uri: &str, name: &str) -> &mut Self {
        self.item_obj(|o| {
            o.key("@odata.id");
            o.out.push(b'"');
            text(uri, &mut o.out);
            o.out.push(b'/');
            text(name, &mut o.out);
            o.out.push(b'"');
        })
    }

    /// Bytes that are JSON already.
    pub fn item_raw(&mut self, json: &[u8]) -> &mut Self {
        self.separate();
        self.out.extend_from_slice(json);
        self
    }

    /// Whatever `fill` writes does not count for the ETag.
    pub fn volatile(&mut self, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let from = self.out.len();
        fill(self);
        self.skips.push((from, self.out.len()));
        self
    }

    fn enclosed(&mut self, open: u8, close: u8, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.out.push(open);
        self.comma = false;
        fill(self);
        self.out.push(close);
        self.comma = true;
        self
    }

    /// Ends the object and puts its tag in.
    pub fn finish(mut self) -> Body {
        self.out.push(b'}');
        let Some(tag_at) = self.tag_at else { return Body { bytes: self.out, etag: None } };
        let hash = self.hash();
        let mut etag = String::with_capacity(TAG_DIGITS + 1);
        etag.push('"');
        let digit =
            |at: u32| u32::try_from((hash >> (4 * at)) & 0xF).ok().and_then(|digit| char::from_digit(digit, 16));
        etag.extend((0..16).rev().filter_map(digit));
        if let Some(room) = self.out.get_mut(tag_at..tag_at + TAG_DIGITS - 1) {
            room.copy_from_slice(etag.get(1..).unwrap_or_default().as_bytes());
        }
        etag.push('"');
        Body { bytes: self.out, etag: Some(etag) }
    }

    fn hash(&self) -> u64 {
        // A fixed seed: the same body has the same tag in every process. Skips never overlap: `volatile` isn't nested.
        let mut hasher = FixedState::with_seed(SEED).build_hasher();
        let mut from = 0;
        for &(start, end) in &self.skips {
            hasher.write(self.out.get(from..start).unwrap_or_default());
            from = end;
        }
        hasher.write(self.out.get(from..).unwrap_or_default());
        hasher.write_u64(self.salt);
        hasher.finish()
    }
}

/// Whether JSON takes the text as it is: no quote, no backslash, no control character. Eight bytes at a time, because
/// nearly all that is written here is such text.
fn plain(text: &str) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is zero, of each that is below 0x20; "Bit Twiddling Hacks", S. E. Anderson. A
    // byte above one that is found may be found wrongly, never the other way round: then the slow way decides.
    let zero = |v: u64| v.wrapping_sub(ONES) & !v & HIGH;
    let special = |v: u64| {
        zero(v ^ (ONES * u64::from(b'"')))
            | zero(v ^ (ONES * u64::from(b'\\')))
            | (v.wrapping_sub(ONES * 0x20) & !v & HIGH)
    };
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    words.iter().all(|word| special(u64::from_ne_bytes(*word)) == 0)
        && rest.iter().all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
}

/// Appends the text as it stands within quotes.
fn text(text: &str, out: &mut Vec<u8>) {
    if plain(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        let from = out.len();
        // Writing a string into memory can't fail.
        serde_json::to_writer(&mut *out, text).unwrap_or_default();
        out.pop();
        out.remove(from);
    }
}

impl Json for &str {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        text(self, out);
        out.push(b'"');
    }
}

impl Json for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().write(out);
    }
}

impl Json for &String {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().write(out);
    }
}

impl Json for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

macro_rules! integers {
    ($($type:ty),*) => { $(impl Json for $type {
        fn write(&self, out: &mut Vec<u8>) {
            write!(out, "{self}").unwrap_or_default();
        }
    })* };
}
integers!(u16, u32, u64, i64, usize);

impl Json for f64 {
    /// At most four decimals: conversions of raw sensor values leave noise behind them.
    fn write(&self, out: &mut Vec<u8>) {
        if self.is_finite() && self.abs() < 1e15 {
            write!(out, "{}", (self * 1e4).round() / 1e4 + 0.0).unwrap_or_default();
        } else {
            out.extend_from_slice(b"null");
        }
    }
}

impl Json for uuid::Uuid {
    fn write(&self, out: &mut Vec<u8>) {
        write!(out, "\"{self}\"").unwrap_or_default();
    }
}

impl Json for OffsetDateTime {
    fn write(&self, out: &mut Vec<u8>) {
        write!(out, "\"{}\"", date_time(*self)).unwrap_or_default();
    }
}

impl Json for &serde_json::Value {
    fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).unwrap_or_default();
    }
}

impl<T: Json> Json for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

/// `2026-01-31T12:00:00Z` (DSP0266, "Date-Time values").
pub fn date_time(at: OffsetDateTime) -> String {
    let t = at.to_offset(UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;
    use crate::api::redfish::descriptor::Resource;

    const THING: Resource = Resource {
        schema: "Thing",
        version: "v1_2_3",
        uris: &[],
        verbs: &[],
        summary: "",
        queries: crate::api::redfish::descriptor::Queries::None,
    };

    fn doc(name: &str, reading: f64) -> Body {
        let mut doc = Doc::resource(&THING, "/x");
        doc.set("Name", name).volatile(|d| {
            d.set("Reading", reading);
        });
        doc.arr("List", |a| {
            a.item(1u32).item_obj(|o| {
                o.set("A", true).opt("B", None::<bool>).set("C", None::<bool>);
            });
        });
        doc.finish()
    }

    #[test]
    fn writes_json_with_its_tag_inside() {
        let body = doc("quote \" and \n", 21.300_000_000_000_004);
        let value: Value = serde_json::from_slice(&body.bytes).unwrap();
        assert_eq!(value["@odata.type"], "#Thing.v1_2_3.Thing");
        assert_eq!(value["@odata.etag"].as_str(), body.etag.as_deref());
        assert_eq!(value["Name"], "quote \" and \n");
        assert_eq!(value["Reading"], json!(21.3));
        assert_eq!(value["List"], json!([1, {"A": true, "C": null}]));
    }

    #[test]
    fn text_is_written_as_any_serialiser_writes_it() {
        let all: String = (0..=0x2FF).filter_map(char::from_u32).collect();
        let mut texts = vec![String::new(), all.clone(), "/redfish/v1/Systems/node-01".to_owned()];
        for at in 0..24 {
            for odd in all.chars() {
                texts.push(format!("{}{odd}{}", "a".repeat(at), "~".repeat(9)));
            }
        }
        for text in texts {
            let mut out = Vec::new();
            text.as_str().write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }

    #[test]
    fn the_tag_follows_the_body_but_not_its_volatile_parts() {
        assert_eq!(doc("a", 1.0).etag, doc("a", 2.0).etag);
        assert_ne!(doc("a", 1.0).etag, doc("b", 1.0).etag);
        assert_eq!(doc("a", 1.0).etag.unwrap().len(), 18);
    }

    #[test]
    fn numbers_and_times_are_what_the_schemas_take() {
        let mut doc = Doc::plain();
        doc.set("whole", 20.0)
            .set("nan", f64::NAN)
            .set("neg", -0.000_01)
            .set("at", datetime!(2026-01-31 23:59:59.9 +2));
        assert_eq!(
            String::from_utf8(doc.finish().bytes).unwrap(),
            r#"{"whole":20,"nan":null,"neg":0,"at":"2026-01-31T21:59:59Z"}"#
        );
    }
}
