//! Request bodies: strict JSON objects whose members are taken out one by one, with everything wrong collected.
//!
//! A request with one wrong value changes nothing, and is told all that is wrong. Members of a PATCH that can never be
//! written (read-only, unknown) only hold up a request that has nothing else: else they are told of beside what was done
//! (DSP0266, "PATCH (update)"), because clients write back what they have read.

use std::{cell::RefCell, rc::Rc};

use serde_json::{Map, Value};

use super::{
    error::Error,
    messages::{self as m, Message},
};
use crate::model::StrictJson;

/// Levels of objects and lists in a body: no resource has a tenth.
const DEPTH: usize = 64;

/// Longest piece of a client's value that is repeated to it.
const SHOWN: usize = 80;

/// The members of an object that have not been taken yet, and what was wrong with those that were.
pub struct Fields {
    map: Map<String, Value>,
    /// `Boot/` within `Boot`.
    prefix: String,
    /// Of an action: its name.
    action: Option<&'static str>,
    problems: Vec<Message>,
    /// Whether anything was taken.
    taken: bool,
    /// Where to tell what was left alone.
    left: Option<LeftAlone>,
}

/// What a request has asked for in vain, beside what it got.
pub type LeftAlone = Rc<RefCell<Vec<Message>>>;

impl Fields {
    /// A body of properties: needs at least one. `@odata` annotations are left aside, as DSP0266 wants.
    pub fn properties(body: &[u8]) -> Result<Self, Error> {
        if body.is_empty() {
            return Err(Error::new(400, m::EMPTY_JSON.with([])));
        }
        let map = parse(body)?;
        if map.is_empty() {
            return Err(Error::new(400, m::EMPTY_JSON.with([])));
        }
        let mut fields =
            Self { map, prefix: String::new(), action: None, problems: Vec::new(), taken: false, left: None };
        fields.map.retain(|key, _| !key.starts_with("@odata."));
        if fields.map.is_empty() {
            return Err(Error::new(400, m::NO_OPERATION.with([])));
        }
        Ok(fields)
    }

    /// A body of an action's parameters.
    pub fn parameters(body: &[u8], action: &'static str) -> Result<Self, Error> {
        let map = if body.is_empty() { Map::new() } else { parse(body)? };
        Ok(Self { map, prefix: String::new(), action: Some(action), problems: Vec::new(), taken: false, left: None })
    }

    /// Members that can never be written are told there, if others can.
    #[must_use]
    pub fn leaving(mut self, left: &LeftAlone) -> Self {
        self.left = Some(Rc::clone(left));
        self
    }

    /// Whether the member is there.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Takes a member as it is.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        let found = self.map.remove(key);
        self.taken |= found.is_some();
        found
    }

    /// Takes a text.
    pub fn string(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            other => self.wrong_type(key, &other),
        }
    }

    /// Takes a text or null.
    pub fn nullable_string(&mut self, key: &str) -> Option<Option<String>> {
        match self.take(key)? {
            Value::String(text) => Some(Some(text)),
            Value::Null => Some(None),
            other => self.wrong_type(key, &other),
        }
    }

    /// Takes a boolean.
    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        match self.take(key)? {
            Value::Bool(value) => Some(value),
            other => self.wrong_type(key, &other),
        }
    }

    /// Takes an array of texts.
    pub fn strings(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let texts = value
            .as_array()
            .and_then(|items| items.iter().map(|i| i.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
        if texts.is_none() {
            return self.wrong_type(key, &value);
        }
        texts
    }

    /// Takes an array of links: their URIs.
    pub fn links(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let uris = value.as_array().and_then(|items| {
            let uri = |item: &Value| item.get("@odata.id").and_then(Value::as_str).map(str::to_owned);
            items.iter().map(uri).collect::<Option<Vec<_>>>()
        });
        if uris.is_none() {
            return self.wrong_type(key, &value);
        }
        uris
    }

    /// Takes a whole number within `range`.
    pub fn number(&mut self, key: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.take(key)?;
        let Some(number) = value.as_u64() else {
            return self.wrong_type(key, &value);
        };
        if !range.contains(&number) {
            let allowed = match *range.end() {
                u64::MAX => format!("{} or more", range.start()),
                most => format!("{} to {most}", range.start()),
            };
            self.not_in_list(key, &number.to_string(), &[&allowed]);
            return None;
        }
        Some(number)
    }

    /// Notes a value of the right type that will not do.
    pub fn incorrect(&mut self, key: &str, value: &str, why: &str) {
        let value = shorten(value);
        let message = match self.action {
            Some(action) => m::ACTION_PARAMETER_FORMAT.with([&value, key, action]),
            None => m::PROPERTY_INCORRECT.with([key, &value]),
        };
        self.problems.push(message.detail(format!("{why}.")).about(&format!("{}{key}", self.prefix)));
    }

    /// Takes one of `allowed`, by its word.
    pub fn one_of<T: Copy>(&mut self, key: &str, allowed: &[T], word: impl Fn(T) -> &'static str) -> Option<T> {
        let text = self.string(key)?;
        let found = allowed.iter().copied().find(|a| word(*a) == text);
        if found.is_none() {
            let words: Vec<_> = allowed.iter().map(|a| word(*a)).collect();
            self.not_in_list(key, &text, &words);
        }
        found
    }

    /// Takes an embedded object.
    pub fn object(&mut self, key: &str) -> Option<Self> {
        let before = self.taken;
        match self.take(key)? {
            Value::Object(map) => {
                // What counts is whether anything within it can be written.
                self.taken = before;
                let prefix = format!("{}{key}/", self.prefix);
                let left = self.left.as_ref().map(|_| LeftAlone::default());
                Some(Self { map, prefix, action: self.action, problems: Vec::new(), taken: false, left })
            }
            other => self.wrong_type(key, &other),
        }
    }

    /// Takes over what was wrong within an embedded object.
    pub fn absorb(&mut self, inner: Self, current: Option<&Value>) {
        self.taken |= inner.taken;
        let (problems, never) = inner.complaints(current);
        self.problems.extend(problems);
        match &self.left {
            Some(left) => left.borrow_mut().extend(never),
            None => self.problems.extend(never),
        }
    }

    /// Something is wrong that only the caller can know.
    pub fn problem(&mut self, message: Message) {
        self.problems.push(message);
    }

    /// Notes that `key` is missing.
    pub fn missing(&mut self, key: &str) {
        let message = match self.action {
            Some(action) => m::ACTION_PARAMETER_MISSING.with([action, key]),
            None => m::PROPERTY_MISSING.with([key]),
        };
        self.problems.push(message.about(&format!("{}{key}", self.prefix)));
    }

    /// Whether anything was wrong so far.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// Notes a value that is none of `allowed`.
    pub fn not_in_list(&mut self, key: &str, value: &str, allowed: &[&str]) {
        let value = shorten(value);
        let message = match self.action {
            Some(action) => m::ACTION_PARAMETER_NOT_IN_LIST.with([&value, key, action]),
            None => m::PROPERTY_NOT_IN_LIST.with([&value, key]),
        };
        let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
        self.problems.push(message.detail(format!("Allowed: {allowed}.")).about(&format!("{}{key}", self.prefix)));
    }

    /// Notes a value that is not formed as it has to be; `why`: a sentence.
    pub fn ill_formed(&mut self, key: &str, value: &str, why: &str) {
        let value = shorten(value);
        let message = match self.action {
            Some(action) => m::ACTION_PARAMETER_FORMAT.with([&value, key, action]),
            None => m::PROPERTY_FORMAT.with([&value, key]),
        };
        self.problems.push(message.detail(why).about(&format!("{}{key}", self.prefix)));
    }

    fn wrong_type<T>(&mut self, key: &str, value: &Value) -> Option<T> {
        let value =
            if key.contains("Password") || key == "CertificateString" { "given".to_owned() } else { show(value) };
        let message = match self.action {
            Some(action) => m::ACTION_PARAMETER_TYPE.with([&value, key, action]),
            None => m::PROPERTY_TYPE.with([&value, key]),
        };
        self.problems.push(message.about(&format!("{}{key}", self.prefix)));
        None
    }

    /// What was wrong, and what can never be written.
    fn complaints(self, current: Option<&Value>) -> (Vec<Message>, Vec<Message>) {
        let mut never: Vec<Message> = self.left.iter().flat_map(|left| left.take()).collect();
        for key in self.map.keys() {
            // What is said about a property is no property.
            if self.left.is_some() && key.contains('@') {
                continue;
            }
            let known = current.and_then(|c| c.get(key)).is_some();
            let message = match self.action {
                Some(action) => m::ACTION_PARAMETER_UNKNOWN.with([action, key]),
                None if known => m::PROPERTY_NOT_WRITABLE.with([key]),
                None => m::PROPERTY_UNKNOWN.with([key]),
            };
            never.push(message.about(&format!("{}{key}", self.prefix)));
        }
        (self.problems, never)
    }

    /// Everything must have been taken by now. `current` is the resource as it is: a member that it has can't be
    /// written, any other is unknown. Without a place for those ([`Self::leaving`]), or with nothing else, they are an
    /// error.
    pub fn finish(self, current: Option<&Value>) -> Result<(), Error> {
        let (taken, left) = (self.taken, self.left.clone());
        let (mut problems, never) = self.complaints(current);
        match left {
            Some(left) if problems.is_empty() && taken && current.is_some() => left.borrow_mut().extend(never),
            _ => problems.extend(never),
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::bad(problems)) }
    }
}

/// A value for an error message.
fn show(value: &Value) -> String {
    shorten(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// An object without duplicate keys.
fn parse(body: &[u8]) -> Result<Map<String, Value>, Error> {
    match (StrictJson { depth: DEPTH, names: true }).read(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::new(400, m::UNRECOGNIZED_BODY.with([]).detail("It has to be a JSON object."))),
        Err(cause) => {
            Err(Error::new(400, m::MALFORMED_JSON.with([]).detail(format!("{}.", capital(&cause.to_string())))))
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(error: &Error) -> Vec<&'static str> {
        error.messages.iter().map(|m| m.definition.key).collect()
    }

    #[test]
    fn malformed_bodies_name_line_and_column() {
        for bad in ["{\n\"a\": 1,}", "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"b\":1}}", "{\"a\":", "nul", "\u{1}"] {
            let error = Fields::properties(bad.as_bytes()).err().unwrap();
            assert_eq!((error.status, keys(&error)), (400, vec!["MalformedJSON"]), "{bad}");
            assert!(error.text().contains("line") && error.text().contains("column"), "{}", error.text());
        }
        let deep = "[".repeat(100_000);
        assert_eq!(keys(&Fields::properties(deep.as_bytes()).err().unwrap()), ["MalformedJSON"]);
        assert_eq!(keys(&Fields::properties(b"[1]").err().unwrap()), ["UnrecognizedRequestBody"]);
        assert_eq!(keys(&Fields::properties(b"{}").err().unwrap()), ["EmptyJSON"]);
        assert_eq!(keys(&Fields::properties(b"{\"@odata.id\":\"/x\"}").err().unwrap()), ["NoOperation"]);
    }

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let body = json!({"A": 1, "B": "x", "C": null, "D": 2, "Boot": {"E": 1}});
        let mut fields = Fields::properties(body.to_string().as_bytes()).unwrap();
        assert_eq!(fields.string("A"), None);
        assert_eq!(fields.one_of("B", &["y", "z"], |w| w), None);
        let inner = fields.object("Boot").unwrap();
        fields.absorb(inner, None);
        let error = fields.finish(Some(&json!({"C": 3}))).err().unwrap();
        assert_eq!(
            keys(&error),
            [
                "PropertyValueTypeError",
                "PropertyValueNotInList",
                "PropertyUnknown",
                "PropertyNotWritable",
                "PropertyUnknown"
            ]
        );
        assert!(error.messages[1].text().contains("y, z"));
        assert_eq!(error.messages[2].property.as_deref(), Some("#/Boot/E"));
    }

    #[test]
    fn what_can_never_be_written_does_not_hold_up_the_rest() {
        let read = |body: Value| {
            let left = LeftAlone::default();
            let mut fields = Fields::properties(body.to_string().as_bytes()).unwrap().leaving(&left);
            fields.string("A");
            if let Some(mut inner) = fields.object("Boot") {
                inner.string("B");
                fields.absorb(inner, Some(&json!({"C": 1})));
            }
            let done = fields.finish(Some(&json!({"Id": "x"})));
            let told =
                left.borrow().iter().map(|m| (m.definition.key, m.property.clone().unwrap())).collect::<Vec<_>>();
            (done.map_err(|e| keys(&e)), told)
        };
        let not_writable = |path: &str| ("PropertyNotWritable", path.to_owned());
        let unknown = |path: &str| ("PropertyUnknown", path.to_owned());
        assert_eq!(read(json!({"A": "x", "Id": "x"})), (Ok(()), vec![not_writable("#/Id")]));
        let (done, told) = read(json!({"Boot": {"B": "x", "C": 1, "D": 2}, "E": 1}));
        assert_eq!(done, Ok(()));
        assert_eq!(told, [not_writable("#/Boot/C"), unknown("#/Boot/D"), unknown("#/E")]);
        // Nothing that could be written, or a wrong value: nothing is done.
        assert_eq!(
            read(json!({"Id": "x", "Boot": {"C": 1}})).0,
            Err(vec!["PropertyNotWritable", "PropertyNotWritable"])
        );
        assert_eq!(read(json!({"A": 1, "Id": "x"})).0, Err(vec!["PropertyValueTypeError", "PropertyNotWritable"]));
    }

    #[test]
    fn actions_speak_of_parameters() {
        let mut fields = Fields::parameters(b"{\"X\":1}", "A.B").unwrap();
        fields.missing("Y");
        assert_eq!(keys(&fields.finish(None).err().unwrap()), ["ActionParameterMissing", "ActionParameterUnknown"]);
        assert!(Fields::parameters(b"", "A.B").unwrap().finish(None).is_ok());
    }

    #[test]
    fn long_values_are_shortened_and_passwords_not_repeated() {
        let body = json!({"A": vec!["ä"; 500], "Password": {"secret": 1}});
        let mut fields = Fields::properties(body.to_string().as_bytes()).unwrap();
        fields.string("A");
        fields.string("Password");
        let error = fields.finish(None).err().unwrap();
        assert!(error.messages[0].text().len() < 400);
        assert!(!error.messages[1].text().contains("secret"));
    }
}
