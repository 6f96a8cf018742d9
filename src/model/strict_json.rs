//! JSON from outside in which no object has a member twice, and nothing is nested deeper than anybody needs.
//!
//! Of two members with one name each reader takes another (RFC 8259, section 4; RFC 7515, section 4): a request would be
//! checked as one thing and carried out as another.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How strict.
#[derive(Debug, Clone, Copy)]
pub struct StrictJson {
    /// Levels of objects and lists.
    pub depth: usize,
    /// Whether an error may repeat the name of a member that occurs twice; else it holds nothing of the input but a
    /// position.
    pub names: bool,
}

impl StrictJson {
    /// Reads one value, and nothing behind it.
    pub fn read(self, bytes: &[u8]) -> Result<Value, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let value = self.deserialize(&mut reader)?;
        reader.end().map(|()| value)
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("it is nested too deeply"))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for StrictJson {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictJson {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.contains_key(&key) {
                return Err(if self.names {
                    A::Error::custom(format_args!("the member {key:?} occurs twice"))
                } else {
                    A::Error::custom("a member occurs twice")
                });
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_and_what_is_not() {
        let strict = StrictJson { depth: 3, names: true };
        let text = r#"{"a":[1,-2,2.5,"x",null,true],"b":{"c":{}}}"#;
        assert_eq!(strict.read(text.as_bytes()).unwrap().to_string(), text);
        let wrong = |strict: StrictJson, text: &str| strict.read(text.as_bytes()).unwrap_err().to_string();
        assert!(wrong(strict, r#"{"a":{"b":1,"b":1}}"#).starts_with(r#"the member "b" occurs twice"#));
        let silent = StrictJson { names: false, ..strict };
        assert!(wrong(silent, r#"{"secret":1,"secret":1}"#).starts_with("a member occurs twice at line 1"));
        assert!(wrong(strict, "[[[[]]]]").starts_with("it is nested too deeply"));
        for bad in ["", "{} x", "[1,]", "nul", "\u{1}"] {
            assert!(strict.read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
