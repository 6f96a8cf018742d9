//! Which events a subscriber wants: the filters of a subscription (EventDestination schema), and `$filter` of an event
//! stream (DSP0266, "Event message SSE stream").

use serde::{Deserialize, Serialize};

use super::record::{Record, registry_and_key};

/// The filters of a subscription; an empty one lets everything pass.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// `EventTypes`
    pub event_types: Vec<String>,
    /// `RegistryPrefixes`: what is in one of these or in `message_ids`.
    pub registry_prefixes: Vec<String>,
    /// `ExcludeRegistryPrefixes`
    pub exclude_registry_prefixes: Vec<String>,
    /// `MessageIds`; versions in them don't count.
    pub message_ids: Vec<String>,
    /// `ExcludeMessageIds`
    pub exclude_message_ids: Vec<String>,
    /// `Severities`
    pub severities: Vec<String>,
    /// `ResourceTypes`
    pub resource_types: Vec<String>,
    /// `OriginResources`, as URIs.
    pub origin_resources: Vec<String>,
    /// `SubordinateResources`
    pub subordinate_resources: bool,
}

impl Filters {
    /// Whether the event passes.
    pub fn want(&self, event: &Record) -> bool {
        let one_of = |list: &[String], value: &str| list.is_empty() || list.iter().any(|item| item == value);
        let (registry, _) = registry_and_key(&event.message);
        let message = |list: &[String]| list.iter().any(|id| same_message(id, &event.message));
        let included = (self.registry_prefixes.is_empty() && self.message_ids.is_empty())
            || self.registry_prefixes.iter().any(|prefix| prefix == registry)
            || message(&self.message_ids);
        included
            && one_of(&self.event_types, &event.kind)
            && one_of(&self.severities, &event.severity)
            && one_of(&self.resource_types, &event.resource)
            && !self.exclude_registry_prefixes.iter().any(|prefix| prefix == registry)
            && !message(&self.exclude_message_ids)
            && (self.origin_resources.is_empty()
                || self.origin_resources.iter().any(|uri| from(uri, &event.origin, self.subordinate_resources)))
    }
}

/// Whether two message ids mean the same message, whatever versions they name.
fn same_message(one: &str, other: &str) -> bool {
    registry_and_key(one) == registry_and_key(other)
}

/// Whether an event comes from `wanted`, or from below it.
fn from(wanted: &str, origin: &str, below: bool) -> bool {
    let wanted = wanted.trim_end_matches('/');
    match origin.trim_end_matches('/').strip_prefix(wanted) {
        Some("") => true,
        Some(rest) => below && rest.starts_with(['/', '#']),
        None => false,
    }
}

/// Deepest nesting of parentheses.
const MAX_DEPTH: u32 = 16;
/// Longest `$filter`.
const MAX_LENGTH: usize = 2_048;

/// A `$filter`: comparisons (`eq`, `ne`) joined by `and`, `or`, `not` and parentheses.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    term: Term,
    below: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    And(Box<Term>, Box<Term>),
    Or(Box<Term>, Box<Term>),
    Not(Box<Term>),
    Is(Property, String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Property {
    EventFormatType,
    EventType,
    MessageId,
    OriginResource,
    RegistryPrefix,
    ResourceType,
    SubordinateResources,
}

impl Query {
    /// Reads the text of a `$filter`; an error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("it may have {MAX_LENGTH} characters at most"));
        }
        let mut parser = Parser { rest: text, below: false };
        let term = parser.or(0)?;
        if !parser.rest.trim().is_empty() {
            return Err(format!("{:?} is left over", parser.rest.trim()));
        }
        Ok(Self { term, below: parser.below })
    }

    /// Whether the event passes.
    pub fn wants(&self, event: &Record) -> bool {
        self.holds(&self.term, event)
    }

    fn holds(&self, term: &Term, event: &Record) -> bool {
        match term {
            Term::And(a, b) => self.holds(a, event) && self.holds(b, event),
            Term::Or(a, b) => self.holds(a, event) || self.holds(b, event),
            Term::Not(inner) => !self.holds(inner, event),
            Term::Is(property, value) => match property {
                Property::EventFormatType => value == "Event",
                Property::EventType => **value == *event.kind,
                Property::MessageId => same_message(value, &event.message),
                Property::OriginResource => from(value, &event.origin, self.below),
                Property::RegistryPrefix => *value == registry_and_key(&event.message).0,
                Property::ResourceType => **value == *event.resource,
                // It says how `OriginResource` is meant.
                Property::SubordinateResources => true,
            },
        }
    }
}

struct Parser<'t> {
    rest: &'t str,
    below: bool,
}

impl Parser<'_> {
    fn or(&mut self, depth: u32) -> Result<Term, String> {
        let mut term = self.and(depth)?;
        while self.word("or") {
            term = Term::Or(Box::new(term), Box::new(self.and(depth)?));
        }
        Ok(term)
    }

    fn and(&mut self, depth: u32) -> Result<Term, String> {
        let mut term = self.one(depth)?;
        while self.word("and") {
            term = Term::And(Box::new(term), Box::new(self.one(depth)?));
        }
        Ok(term)
    }

    fn one(&mut self, depth: u32) -> Result<Term, String> {
        if depth > MAX_DEPTH {
            return Err("its parentheses are nested too deeply".to_owned());
        }
        if self.word("not") {
            return Ok(Term::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.mark('(') {
            let term = self.or(depth + 1)?;
            return if self.mark(')') { Ok(term) } else { Err("a parenthesis is not closed".to_owned()) };
        }
        let name = self.name();
        let property = match name.as_str() {
            "EventFormatType" => Property::EventFormatType,
            "EventType" => Property::EventType,
            "MessageId" => Property::MessageId,
            "OriginResource" => Property::OriginResource,
            "RegistryPrefix" => Property::RegistryPrefix,
            "ResourceType" => Property::ResourceType,
            "SubordinateResources" => Property::SubordinateResources,
            other => return Err(format!("{other:?} is no property that can be filtered by")),
        };
        let not = self.word("ne");
        if !not && !self.word("eq") {
            return Err(format!("{name} has to be followed by eq or ne"));
        }
        let value = if property == Property::SubordinateResources { self.flag()? } else { self.text()? };
        if property == Property::SubordinateResources {
            self.below |= (value == "true") != not;
        }
        let term = Term::Is(property, value);
        Ok(if not && property != Property::SubordinateResources { Term::Not(Box::new(term)) } else { term })
    }

    fn mark(&mut self, mark: char) -> bool {
        match self.rest.trim_start().strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let Some(rest) = self.rest.trim_start().strip_prefix(word) else { return false };
        let ends = rest.starts_with(|c: char| !c.is_ascii_alphanumeric());
        if ends {
            self.rest = rest;
        }
        ends
    }

    fn name(&mut self) -> String {
        let text = self.rest.trim_start();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        self.rest = rest;
        name.to_owned()
    }

    fn flag(&mut self) -> Result<String, String> {
        match self.name() {
            word if word == "true" || word == "false" => Ok(word),
            other => Err(format!("{other:?} is neither true nor false")),
        }
    }

    /// A text in single quotes; a doubled one stands for itself.
    fn text(&mut self) -> Result<String, String> {
        if !self.mark('\'') {
            return Err("a value has to stand in single quotes".to_owned());
        }
        let mut out = String::new();
        loop {
            let Some((part, rest)) = self.rest.split_once('\'') else {
                return Err("a quote is not closed".to_owned());
            };
            out.push_str(part);
            self.rest = rest;
            match rest.strip_prefix('\'') {
                Some(after) => {
                    out.push('\'');
                    self.rest = after;
                }
                None => return Ok(out),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn event() -> Record {
        Record {
            id: 1,
            at: OffsetDateTime::UNIX_EPOCH,
            node: None,
            private: None,
            audit: false,
            kind: "StatusChange".into(),
            resource: "ComputerSystem".into(),
            message: "ResourceEvent.1.4.ResourcePoweredOn".into(),
            severity: "OK".into(),
            origin: "/redfish/v1/Systems/n1".into(),
            body: "{}".into(),
        }
    }

    fn filters(change: impl FnOnce(&mut Filters)) -> bool {
        let mut filters = Filters::default();
        change(&mut filters);
        filters.want(&event())
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|t| (*t).to_owned()).collect()
    }

    #[test]
    fn each_filter_lets_what_it_names_pass() {
        assert!(filters(|_| {}));
        for (good, bad, set) in [
            ("StatusChange", "Alert", (|f, v| f.event_types = v) as fn(&mut Filters, Vec<String>)),
            ("ResourceEvent", "TaskEvent", |f, v| f.registry_prefixes = v),
            ("ResourceEvent.ResourcePoweredOn", "ResourceEvent.ResourcePoweredOff", |f, v| f.message_ids = v),
            ("ResourceEvent.1.0.3.ResourcePoweredOn", "TaskEvent.1.0.ResourcePoweredOn", |f, v| f.message_ids = v),
            ("OK", "Critical", |f, v| f.severities = v),
            ("ComputerSystem", "Manager", |f, v| f.resource_types = v),
            ("/redfish/v1/Systems/n1", "/redfish/v1/Systems/n", |f, v| f.origin_resources = v),
            ("Rackfish", "ResourceEvent", |f, v| f.exclude_registry_prefixes = v),
            ("ResourceEvent.X", "ResourceEvent.1.4.ResourcePoweredOn", |f, v| f.exclude_message_ids = v),
        ] {
            assert!(filters(|f| set(f, texts(&[good]))), "{good}");
            assert!(!filters(|f| set(f, texts(&[bad]))), "{bad}");
        }
        // Registries and messages add up; subordinates only when asked for.
        assert!(filters(|f| {
            f.registry_prefixes = texts(&["TaskEvent"]);
            f.message_ids = texts(&["ResourceEvent.ResourcePoweredOn"]);
        }));
        assert!(!filters(|f| f.origin_resources = texts(&["/redfish/v1/Systems"])));
        assert!(filters(|f| {
            f.origin_resources = texts(&["/redfish/v1/Systems/"]);
            f.subordinate_resources = true;
        }));
    }

    #[test]
    fn a_stream_filter_is_read_and_applied() {
        for (text, wanted) in [
            ("EventType eq 'StatusChange'", true),
            ("(EventType eq 'Alert')", false),
            ("EventType ne 'Alert' and RegistryPrefix eq 'ResourceEvent'", true),
            ("EventType eq 'Alert' or MessageId eq 'ResourceEvent.1.0.ResourcePoweredOn'", true),
            ("not (ResourceType eq 'ComputerSystem')", false),
            ("OriginResource eq '/redfish/v1/Systems'", false),
            ("(OriginResource eq '/redfish/v1/Systems') and (SubordinateResources eq true)", true),
            ("EventFormatType eq 'Event'", true),
            ("EventFormatType eq 'MetricReport'", false),
            // `and` binds closer than `or`.
            ("EventType eq 'StatusChange' or EventType eq 'Alert' and EventType eq 'Alert'", true),
        ] {
            assert_eq!(Query::parse(text).unwrap().wants(&event()), wanted, "{text}");
        }
        let deep = "(".repeat(100);
        let long = "x".repeat(MAX_LENGTH + 1);
        for text in [
            "",
            "EventType",
            "EventType eq",
            "EventType eq Alert",
            "EventType eq 'Alert",
            "Foo eq 'x'",
            "EventType lt 'x'",
            "EventType eq 'a' x",
            "(EventType eq 'a'",
            "SubordinateResources eq 'x'",
            &deep,
            &long,
            "eventtype eq 'a'",
        ] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Query::parse("EventType eq 'it''s'").unwrap().term,
            Term::Is(Property::EventType, "it's".to_owned())
        );
    }
}
