//! Reads under way: what was asked, by whom, and the pages that have come so far.

use std::{collections::HashMap, time::Instant};

use tokio::sync::oneshot;

use crate::model::{Aspect, Cursor, Fact, Fault, LogEntry, Reading, Unit};

/// Somebody waits for one unit of a read.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) unit: Unit,
    pub(super) reply: oneshot::Sender<Result<(), Fault>>,
}

/// One read of one aspect of some units, page by page.
#[derive(Debug)]
pub(super) struct ReadJob {
    pub(super) aspect: Aspect,
    pub(super) units: Vec<Unit>,
    pub(super) waiters: Vec<Waiter>,
    /// A look for expectations is part of it.
    pub(super) look: bool,
    /// It is all that is polled of that aspect.
    pub(super) poll: bool,
    pub(super) attempts: u32,
    pub(super) began: Option<Instant>,
    pub(super) at: Option<Cursor>,
    sensors: HashMap<Unit, Vec<Reading>>,
    logs: HashMap<Unit, Vec<LogEntry>>,
    pub(super) faults: HashMap<Unit, Fault>,
}

/// Log entries and readings of one unit that are kept: a device that never stops paging must not fill our memory.
const MOST_ITEMS: usize = 20_000;

impl ReadJob {
    pub(super) fn new(aspect: Aspect, units: Vec<Unit>) -> Self {
        Self {
            aspect,
            units,
            waiters: Vec::new(),
            look: false,
            poll: false,
            attempts: 0,
            began: None,
            at: None,
            sensors: HashMap::new(),
            logs: HashMap::new(),
            faults: HashMap::new(),
        }
    }

    /// Whether a request that comes now may still join: nothing of it has been sent.
    pub(super) fn joinable(&self, aspect: &Aspect) -> bool {
        self.began.is_none() && self.aspect == *aspect
    }

    /// Adds a unit, once.
    pub(super) fn add(&mut self, unit: &Unit) {
        if !self.units.contains(unit) {
            self.units.push(unit.clone());
        }
    }

    /// Keeps what comes in parts until it is whole; gives back what is whole already.
    pub(super) fn keep(&mut self, unit: &Unit, fact: Fact) -> Option<Fact> {
        match fact {
            Fact::Sensors(part) => {
                let all = self.sensors.entry(unit.clone()).or_default();
                all.extend(part.into_iter().take(MOST_ITEMS.saturating_sub(all.len())));
                None
            }
            Fact::Log(part) => {
                let all = self.logs.entry(unit.clone()).or_default();
                all.extend(part.into_iter().take(MOST_ITEMS.saturating_sub(all.len())));
                None
            }
            whole => Some(whole),
        }
    }

    /// What came in parts, whole now.
    pub(super) fn whole(&mut self) -> Vec<(Unit, Fact)> {
        let sensors = self.sensors.drain().map(|(unit, readings)| (unit, Fact::Sensors(readings)));
        let logs = self.logs.drain().map(|(unit, entries)| (unit, Fact::Log(entries)));
        sensors.chain(logs).collect()
    }

    /// Starts over: after a failure in the middle, pages must not be mixed.
    pub(super) fn restart(&mut self) {
        self.at = None;
        self.began = None;
        self.sensors.clear();
        self.logs.clear();
        self.faults.clear();
    }

    /// Tells all who wait.
    pub(super) fn answer(&mut self, fault: Option<&Fault>) {
        for waiter in self.waiters.drain(..) {
            let result = match fault.or_else(|| self.faults.get(&waiter.unit)) {
                Some(fault) => Err(fault.clone()),
                None => Ok(()),
            };
            // Whoever waited may have left.
            waiter.reply.send(result).ok();
        }
    }
}
