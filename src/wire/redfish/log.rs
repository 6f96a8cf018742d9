//! Log services and their entries.

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Path,
    value::{flag, text, whole, word},
};
use crate::model::{LogEntry, ReadingState};

/// How likely a log service is the hardware's event log: the largest wins; `None`: it is none.
pub fn rank(service: &Value) -> Option<u8> {
    Path::at(service, "Entries")?;
    if flag(service, "ServiceEnabled") == Some(false) {
        return None;
    }
    let id = word(service, "Id").unwrap_or_default().to_ascii_lowercase();
    Some(match (word(service, "LogEntryType"), id.as_str()) {
        (Some("SEL"), _) => 5,
        (_, "sel") => 4,
        (_, "iml" | "eventlog" | "event" | "events" | "log1") => 3,
        (Some("Event" | "Multiple") | None, _) => 2,
        // Debug output, crash dumps and audit trails of the BMC.
        _ => 1,
    })
}

/// What `Created` says. Some BMCs leave out the zone (UTC then), or write zeros while their clock is not set.
fn created(entry: &Value) -> Option<OffsetDateTime> {
    let said = ["Created", "EventTimestamp"].iter().find_map(|key| word(entry, key))?;
    let at = OffsetDateTime::parse(said, &Rfc3339).or_else(|_| OffsetDateTime::parse(&format!("{said}Z"), &Rfc3339));
    at.ok().filter(|at| at.year() > 1970)
}

/// One entry; `fallback` is its number if it has none of its own.
pub fn entry(entry: &Value, fallback: u32) -> Option<LogEntry> {
    let message = text(entry, "Message").or_else(|| text(entry, "MessageId")).or_else(|| text(entry, "EntryCode"))?;
    let severity = match word(entry, "MessageSeverity").or_else(|| word(entry, "Severity")) {
        Some("Critical") => ReadingState::Critical,
        Some("Warning") => ReadingState::Warning,
        _ => ReadingState::Ok,
    };
    let id = whole(entry, "Id").unwrap_or(fallback);
    Some(LogEntry { id, at: created(entry), severity, message, raw: Vec::new() })
}

/// Oldest first, whichever way round the BMC lists them, each number once.
pub fn in_order(entries: &mut Vec<LogEntry>) {
    entries.sort_by_key(|entry| (entry.at, entry.id));
    let mut seen = std::collections::HashSet::new();
    entries.retain(|entry| seen.insert(entry.id));
}
