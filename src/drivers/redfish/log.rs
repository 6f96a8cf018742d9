//! The event log: read page by page, told when it is whole, because BMCs list it either way round.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};

use super::{driver::RedfishDriver, faults::Failure, http::Request, power::not_sent, site::optional, write::follow};
use crate::{
    drivers::bmc::Part,
    model::{ActKind, Cursor, Done, Fact, Fault, LogEntry},
    wire::redfish::{Path, log, value::list},
};

/// Most entries that are kept.
const MOST_ENTRIES: usize = 4000;
/// Most exchanges of one reading.
const MOST_STEPS: usize = 300;
/// How long the task of an erasure is watched.
const TASK: Duration = Duration::from_secs(10);

/// A reading under way.
#[derive(Debug, Default)]
pub(super) struct LogWalk {
    generation: u64,
    steps: Vec<Path>,
    known: HashSet<Path>,
    entries: Vec<LogEntry>,
}

impl LogWalk {
    fn add(&mut self, path: Path) {
        if self.steps.len() < MOST_STEPS && self.known.insert(path.clone()) {
            self.steps.push(path);
        }
    }

    fn keep(&mut self, entry: &Value) -> bool {
        let fallback = u32::try_from(self.entries.len()).unwrap_or(u32::MAX).saturating_add(1);
        let Some(entry) = log::entry(entry, fallback) else { return false };
        if self.entries.len() < MOST_ENTRIES {
            self.entries.push(entry);
        }
        true
    }
}

impl RedfishDriver {
    /// One exchange: a page of the log, or an entry that its page only links.
    pub(super) async fn read_log(&mut self, at: Option<Cursor>) -> Result<Part, Fault> {
        let at = at.map(|cursor| cursor.0).unwrap_or_default();
        let index = match at.as_slice() {
            [generation, index] if *generation == self.log.generation => usize::try_from(*index).unwrap_or(0),
            _ => {
                let none = || Fault::Unsupported("this BMC has no log".to_owned());
                let entries = self.site().await?.log.as_ref().ok_or_else(none)?.entries.clone();
                self.log = LogWalk { generation: self.log.generation + 1, ..LogWalk::default() };
                self.log.add(entries);
                0
            }
        };
        if let Some(path) = self.log.steps.get(index).cloned() {
            let body = if index == 0 {
                self.session.get(&path).await.map_err(Failure::into_fault)?
            } else {
                // Erased or rotated in the meantime.
                optional(&mut self.session, &path).await.map_err(Failure::into_fault)?.unwrap_or_default()
            };
            self.take_page(&body);
        }
        let next = index + 1;
        if next < self.log.steps.len() {
            let next = u64::try_from(next).unwrap_or(u64::MAX);
            return Ok((None, Some(Cursor(vec![self.log.generation, next]))));
        }
        let mut entries = std::mem::take(&mut self.log.entries);
        log::in_order(&mut entries);
        Ok((Some(Fact::Log(entries)), None))
    }

    fn take_page(&mut self, body: &Value) {
        let walk = &mut self.log;
        if body.get("Members").is_none() {
            walk.keep(body);
            return;
        }
        for member in list(body, "Members") {
            if !walk.keep(member)
                && let Some(path) = Path::in_link(member)
            {
                walk.add(path);
            }
        }
        if let Some(next) = Path::at(body, "Members@odata.nextLink") {
            walk.add(next);
        }
    }

    pub(super) async fn clear_log(&mut self) -> Result<Done, Fault> {
        let none = || Fault::Unsupported("this BMC's log can't be cleared".to_owned());
        let log = self.site().await.map_err(not_sent)?.log.clone();
        let target = log.and_then(|log| log.clear).ok_or_else(none)?;
        match self.session.send(&Request::post(&target, &json!({}))).await {
            Ok(answer) => follow(&mut self.session, answer, TASK).await,
            Err(failure) => {
                if failure.is_absence() {
                    self.lacks_act(ActKind::ClearLog);
                }
                Err(failure.into_act_fault())
            }
        }
    }
}
