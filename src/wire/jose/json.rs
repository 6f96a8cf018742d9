//! JSON objects from outside that decide who somebody is: no member twice (RFC 7515, section 4: else two readers could
//! see two tokens in one), and not nested deeper than anything that is asked for.

use serde_json::{Map, Value};

use crate::model::StrictJson;

/// An object.
pub type Object = Map<String, Value>;

/// Levels of objects and lists: claims of roles have three or four (`resource_access.rackfish.roles`).
const DEPTH: usize = 10;

/// Reads an object; the error says what is wrong, in words that hold nothing of the input but a position.
pub fn object(bytes: &[u8]) -> Result<Object, String> {
    match (StrictJson { depth: DEPTH, names: false }).read(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("it is no JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
