//! Members that may be missing, null, or of another type than the schema says.

use serde_json::Value;

/// Longest text that is kept.
const LONGEST: usize = 512;
/// Most items of a list that are looked at.
const MOST: usize = 4096;

/// Makes a text presentable: trimmed, without control characters, not endless; `None` if nothing is left.
pub fn clean(text: &str) -> Option<String> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    (!text.is_empty()).then_some(text)
}

/// Text, or a number as its digits.
pub fn text(body: &Value, key: &str) -> Option<String> {
    match body.get(key)? {
        Value::String(text) => clean(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The text as it stands, for comparing with words of the standard.
pub fn word<'b>(body: &'b Value, key: &str) -> Option<&'b str> {
    body.get(key)?.as_str().map(str::trim).filter(|word| !word.is_empty())
}

/// A finite number; some services write numbers as text.
pub fn number(body: &Value, key: &str) -> Option<f64> {
    let number = match body.get(key)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// A whole number that fits.
pub fn whole(body: &Value, key: &str) -> Option<u32> {
    match body.get(key)? {
        Value::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// True or false.
pub fn flag(body: &Value, key: &str) -> Option<bool> {
    body.get(key)?.as_bool()
}

/// A list; empty if it is none.
pub fn list<'b>(body: &'b Value, key: &str) -> &'b [Value] {
    let items = body.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    items.get(..items.len().min(MOST)).unwrap_or(items)
}

/// Values that a property or parameter takes, as its service says beside it; `None`: it doesn't say.
pub fn allowed(body: &Value, key: &str) -> Option<Vec<String>> {
    let items = body.get(format!("{key}@Redfish.AllowableValues"))?.as_array()?;
    Some(items.iter().take(64).filter_map(Value::as_str).map(|word| word.trim().to_owned()).collect())
}
