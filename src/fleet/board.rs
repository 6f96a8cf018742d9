//! What is known about every unit of one endpoint: written by its worker, read by everyone, never waited for.
//!
//! A lock is held for a look-up or an insertion, never over I/O or an `await`.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use time::OffsetDateTime;

use super::{
    clock,
    view::{Counts, Hold},
};
use crate::model::{
    BootSet, Caps, Fault, Inventory, Led, LogEntry, MediaSlot, Origin, PowerState, Reading, Stated, Unit,
};

/// A value, how and when it was learnt.
#[derive(Debug, Clone)]
pub struct Seen<T> {
    /// The value.
    pub value: T,
    /// How.
    pub origin: Origin,
    /// When, for ages.
    pub at: Instant,
    /// When, for people.
    pub wall: OffsetDateTime,
}

impl<T> Seen<T> {
    /// Read right now.
    pub fn read(value: T) -> Self {
        Self { value, origin: Origin::Read, at: clock::now(), wall: clock::wall() }
    }

    /// For a face.
    pub fn stated(&self) -> Stated<T>
    where
        T: Clone,
    {
        Stated { value: self.value.clone(), origin: self.origin, at: self.wall }
    }
}

/// All that is known of one unit.
#[derive(Debug, Clone, Default)]
pub struct UnitState {
    /// What it can do: read, stored, or presumed.
    pub caps: Option<Arc<Caps>>,
    /// What its endpoint calls it.
    pub name: Option<Arc<str>>,
    /// Power.
    pub power: Option<Seen<PowerState>>,
    /// Since when it has been off, as far as we know: starts wait for `off_time` after it.
    pub off_since: Option<Instant>,
    /// When it was seen to come on, if it was off before: what hung on it has started anew since.
    pub on_since: Option<Instant>,
    /// How often it was told to go off beside any node: a start that was asked for before is not made after.
    pub cuts: u64,
    /// What it was when this process began, as stored.
    pub last: Option<PowerState>,
    /// What it was before it changed without a command of ours.
    pub before: Option<PowerState>,
    /// When the last act on it was accepted: what was read before is no longer true.
    pub acted_at: Option<Instant>,
    /// It was told to go on (or off) then, and has not been seen to follow: a slow relay still may.
    pub unsettled: Option<(bool, Instant)>,
    /// Why it could not be read last time, while others of its endpoint could.
    pub fault: Option<Fault>,
    /// Readings.
    pub sensors: Option<Seen<Arc<Vec<Reading>>>>,
    /// Identity.
    pub inventory: Option<Seen<Arc<Inventory>>>,
    /// Boot options it holds.
    pub boot: Option<Seen<Option<BootSet>>>,
    /// Log.
    pub log: Option<Seen<Arc<Vec<LogEntry>>>>,
    /// Light.
    pub indicator: Option<Seen<Led>>,
    /// Slots for virtual media.
    pub media: Option<Seen<Arc<Vec<MediaSlot>>>>,
    /// A refresh of the power state has been asked for at that time.
    pub refresh_asked: Option<Instant>,
    /// The same for sensors.
    pub sensors_asked: Option<Instant>,
    /// The same for virtual media.
    pub media_asked: Option<Instant>,
}

/// Whether the endpoint answers.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// Why it does not.
    pub fault: Option<Arc<Fault>>,
    /// Since when.
    pub since: Option<OffsetDateTime>,
    /// Last exchange that worked.
    pub last_answer: Option<OffsetDateTime>,
    /// When it is tried again.
    pub retry_at: Option<Instant>,
}

/// One endpoint's page of the board.
#[derive(Debug, Default)]
pub struct EndpointState {
    units: RwLock<HashMap<Unit, UnitState>>,
    link: RwLock<Link>,
    hold: RwLock<Option<Hold>>,
    exchanges: AtomicU64,
    failures: AtomicU64,
    acts: AtomicU64,
    opens: AtomicU64,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub enum Count {
    /// An exchange was begun.
    Exchange,
    /// It failed.
    Failure,
    /// An act was sent.
    Act,
    /// A login was tried.
    Open,
}

impl EndpointState {
    /// All units, to read. A poisoned lock is used on: every write leaves whole values.
    pub fn units(&self) -> RwLockReadGuard<'_, HashMap<Unit, UnitState>> {
        self.units.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All units, to write.
    pub fn units_mut(&self) -> RwLockWriteGuard<'_, HashMap<Unit, UnitState>> {
        self.units.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something of one unit.
    pub fn unit<T>(&self, unit: &Unit, get: impl FnOnce(&UnitState) -> Option<T>) -> Option<T> {
        self.units().get(unit).and_then(get)
    }

    /// Changes one unit.
    pub fn change<T>(&self, unit: &Unit, change: impl FnOnce(&mut UnitState) -> T) -> T {
        change(self.units_mut().entry(unit.clone()).or_default())
    }

    /// Whether it answers.
    pub fn link(&self) -> Link {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes that.
    pub fn change_link<T>(&self, change: impl FnOnce(&mut Link) -> T) -> T {
        change(&mut self.link.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The fault of the endpoint as a whole, if it has one.
    pub fn fault(&self) -> Option<Arc<Fault>> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).fault.clone()
    }

    /// The hold in force, if any; one that has ended by itself counts as none.
    pub fn hold(&self) -> Option<Hold> {
        let hold = self.hold.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        hold.until.is_none_or(|until| until > clock::wall()).then_some(hold)
    }

    /// Sets or ends the hold.
    pub fn set_hold(&self, hold: Option<Hold>) {
        *self.hold.write().unwrap_or_else(PoisonError::into_inner) = hold;
    }

    /// One more.
    pub fn count(&self, what: Count) {
        match what {
            Count::Exchange => &self.exchanges,
            Count::Failure => &self.failures,
            Count::Act => &self.acts,
            Count::Open => &self.opens,
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    /// All counters.
    pub fn counts(&self) -> Counts {
        Counts {
            exchanges: self.exchanges.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            acts: self.acts.load(Ordering::Relaxed),
            opens: self.opens.load(Ordering::Relaxed),
        }
    }
}
