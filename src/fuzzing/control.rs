//! Lines that come over the control socket.

use serde_json::Value;

use crate::cli::control::server;

/// What the corpus has where a password belongs.
const PASSWORD: &str = "hunter2-secret";

/// A request, or words about why it is none.
pub fn line(data: &[u8]) {
    match server::parse(data) {
        Ok(request) => {
            // A password is taken and not told again, except to the service itself. A name that is the same word is
            // shown as any name is.
            let value = data.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok());
            if !value.is_some_and(|value: Value| elsewhere(&value)) {
                assert!(!format!("{request:?}").contains(PASSWORD), "a password is shown");
            }
        }
        Err(failure) => assert!(!failure.message.is_empty(), "refused without a word"),
    }
}

/// Whether the word stands where no password belongs.
fn elsewhere(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(PASSWORD),
        Value::Array(values) => values.iter().any(elsewhere),
        Value::Object(fields) => fields.iter().any(|(key, value)| {
            key.contains(PASSWORD) || ((key != "password" || !value.is_string()) && elsewhere(value))
        }),
        _ => false,
    }
}
