//! The log of events: one append for each, however many subscribers there are; each subscriber has a place in it.
//!
//! An event is in the file, which a kill does not take away, before whoever caused it goes on; `sync` brings the file
//! to the disk. The newest events are in memory too. The oldest make room: a subscriber that was away for longer than
//! the log reaches back is told so ([`Batch::lost`]). When the disk refuses, events are in memory only, and that is said.
//!
//! Ids grow by one with each event, and jump after a start of the machine: what was written shortly before it may be
//! gone, and an id that somebody has seen must never stand for another event.

mod segment;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::record::Record;
use crate::model::NodeId;
use segment::Segment;

/// Events that are kept on disk: hours of a large fleet's, about 50 MB at most.
pub const KEPT: u64 = 65_536;
/// Events that are kept in memory.
pub const RECENT: usize = 2_048;
/// Events in a file.
const SEGMENT: u64 = 4_096;
/// Files kept: each start of the program begins a new one.
const FILES: usize = 512;
/// More than can have been written between two calls of [`EventLog::sync`].
const JUMP: u64 = 1_000_000;

/// Of a node's audit trail.
pub const TRAIL: usize = 256;

/// What a reader gets.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events before these may be gone for this reader.
    pub lost: bool,
    /// In order; empty: there is nothing newer.
    pub records: Vec<Arc<Record>>,
}

struct State {
    dir: Option<PathBuf>,
    boot: String,
    segments: VecDeque<Segment>,
    file: Option<File>,
    /// Full ones that have not been brought to the disk.
    full: Vec<File>,
    recent: VecDeque<Arc<Record>>,
    /// The event before the first of `recent`.
    recent_after: u64,
    /// The newest of each node's audit trail, by id. They may be gone from the log.
    trails: HashMap<NodeId, VecDeque<u64>>,
    next: u64,
    /// Written since the last sync.
    dirty: bool,
    /// The last append did not get into the file.
    failing: bool,
}

/// See the module.
pub struct EventLog {
    state: Mutex<State>,
    newest: watch::Sender<u64>,
}

/// Where the next events are.
enum Place {
    Here(Batch),
    File(bool, (PathBuf, u64, u64)),
}

impl EventLog {
    /// A log that ends with the process. `seen`: as in [`Self::open`].
    pub fn in_memory(seen: u64) -> Arc<Self> {
        let (next, recent_after) = if seen == 0 { (1, 0) } else { (seen.saturating_add(JUMP), seen.saturating_add(1)) };
        Self::with(State {
            dir: None,
            boot: String::new(),
            segments: VecDeque::new(),
            file: None,
            full: Vec::new(),
            recent: VecDeque::new(),
            recent_after,
            trails: HashMap::new(),
            next,
            dirty: false,
            failing: false,
        })
    }

    /// Opens or makes the log in the folder `dir`. `seen`: the newest event that a subscriber had, by what is known
    /// elsewhere: a log that lost its end, or is gone, goes on above it.
    pub fn open(dir: &Path, seen: u64) -> io::Result<Arc<Self>> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        Self::open_in(dir, seen, boot)
    }

    fn open_in(dir: &Path, seen: u64, boot: String) -> io::Result<Arc<Self>> {
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let (mut segments, mut recent, mut trails) = (VecDeque::new(), VecDeque::new(), HashMap::new());
        let (mut last, mut recent_after, mut jump) = (0, 0, false);
        for path in segment::files(dir)? {
            let Some(found) = segment::load(&path)? else {
                tracing::warn!(file = %path.display(), "no file of the event log, or one without a beginning; removed");
                fs::remove_file(&path)?;
                jump = true;
                continue;
            };
            if found.damaged {
                tracing::warn!(file = %path.display(), good = found.segment.len, "the end of a file of the event log is damaged");
                fs::OpenOptions::new().write(true).open(&path)?.set_len(found.segment.len)?;
            }
            jump = found.damaged || found.segment.boot != boot;
            if found.records.is_empty() {
                last = last.max(found.segment.after);
                fs::remove_file(&path)?;
                continue;
            }
            if recent.is_empty() || found.segment.after > last {
                recent.clear();
                recent_after = found.segment.after;
            }
            last = found.segment.last();
            for record in found.records {
                trail(&mut trails, &record);
                recent.push_back(Arc::new(record));
                if recent.len() > RECENT
                    && let Some(old) = recent.pop_front()
                {
                    recent_after = old.id;
                }
            }
            segments.push_back(found.segment);
        }
        let (mut next, mut end) = (last.saturating_add(1), last);
        if jump {
            next = next.saturating_add(JUMP);
        }
        if seen > last {
            // Its end is gone: whoever had something of it is told that there may be a gap.
            next = next.max(seen.saturating_add(JUMP));
            end = seen.saturating_add(1);
        }
        if recent.is_empty() || end > last {
            recent.clear();
            recent_after = end;
        }
        let log = Self::with(State {
            dir: Some(dir.to_owned()),
            boot,
            segments,
            file: None,
            full: Vec::new(),
            recent,
            recent_after,
            trails,
            next,
            dirty: false,
            failing: false,
        });
        log.newest.send_replace(last.max(seen));
        Ok(log)
    }

    fn with(state: State) -> Arc<Self> {
        let newest = state.next.saturating_sub(1);
        Arc::new(Self { state: Mutex::new(state), newest: watch::channel(newest).0 })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends the event that `make` makes of its id.
    pub fn append(&self, make: impl FnOnce(u64) -> Record) -> u64 {
        let mut state = self.state();
        let id = state.next;
        let record = Arc::new(Record { id, ..make(id) });
        state.next = id.saturating_add(1);
        state.keep(&record);
        trail(&mut state.trails, &record);
        state.recent.push_back(record);
        if state.recent.len() > RECENT
            && let Some(old) = state.recent.pop_front()
        {
            state.recent_after = old.id;
        }
        // Within the lock: readers see the ids in their order.
        self.newest.send_replace(id);
        id
    }

    /// The newest event's id; 0: there never was one.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// The newest events, oldest first: those that are in memory.
    pub fn recent(&self) -> Vec<Arc<Record>> {
        self.state().recent.iter().cloned().collect()
    }

    /// What was done to a node, or asked for, and by whom: the newest [`TRAIL`] that the log still has, oldest first. They
    /// are read from the file, which is in the system's cache if anything is.
    pub fn trail(&self, node: &NodeId) -> Vec<Arc<Record>> {
        let (mut parts, mut newest) = (Vec::new(), Vec::new());
        {
            let state = self.state();
            for id in state.trails.get(node).into_iter().flatten().copied() {
                let at = state.recent.partition_point(|record| record.id < id);
                match state.recent.get(at).filter(|record| record.id == id) {
                    Some(record) => newest.push(Arc::clone(record)),
                    None => parts.extend(state.segments.iter().find(|s| s.has(id)).map(|s| s.part(id - 1, 1))),
                }
            }
        }
        let mut all = segment::read_parts(&parts);
        all.extend(newest);
        all
    }

    /// Tells of each new event.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The events after `after`, at most about `max`.
    pub async fn read(&self, after: u64, max: usize) -> io::Result<Batch> {
        loop {
            let place = self.state().place(after, max);
            let (lost, part) = match place {
                Place::Here(batch) => return Ok(batch),
                Place::File(lost, part) => (lost, part),
            };
            let path = part.0.clone();
            let read =
                tokio::task::spawn_blocking(move || segment::read_part(&part)).await.map_err(io::Error::other)?;
            match read {
                Ok(records) if records.is_empty() => return Err(io::Error::other("the file is damaged")),
                Ok(records) => return Ok(Batch { lost, records }),
                // It has made room in this very moment: the next one is another.
                Err(_) if !self.state().segments.iter().any(|segment| segment.path == path) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Leaves out what a reader can't get: for one whose part of the file can't be read.
    pub fn beyond(&self, after: u64) -> u64 {
        let state = self.state();
        state.segments.iter().find(|s| s.last() > after).map_or(state.recent_after, Segment::last).max(after)
    }

    /// Brings what was written to the disk: what was appended before survives the loss of power afterwards.
    pub async fn sync(&self) {
        let files: Vec<File> = {
            let mut state = self.state();
            if !std::mem::take(&mut state.dirty) {
                return;
            }
            let current = state.file.as_ref().and_then(|file| file.try_clone().ok());
            state.full.drain(..).chain(current).collect()
        };
        match tokio::task::spawn_blocking(move || files.iter().try_for_each(File::sync_data)).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => tracing::error!(%error, "the event log can't be brought to the disk"),
        }
    }
}

/// Notes a record in the audit trail of its node.
fn trail(trails: &mut HashMap<NodeId, VecDeque<u64>>, record: &Record) {
    let Some(node) = record.node.as_ref().filter(|_| record.audit) else { return };
    let ids = match trails.get_mut(node) {
        Some(ids) => ids,
        None => trails.entry(node.clone()).or_default(),
    };
    ids.push_back(record.id);
    if ids.len() > TRAIL {
        ids.pop_front();
    }
}

impl State {
    /// Into the file, if the disk takes it.
    fn keep(&mut self, record: &Record) {
        let Some(dir) = self.dir.clone() else { return };
        match self.write(&dir, record) {
            Ok(()) => {
                self.dirty = true;
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the event log can be written again");
                }
            }
            Err(error) => {
                // Its ids have no gaps: the next one begins another file.
                self.file = None;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(dir = %dir.display(), %error, "the event log can't be written: events are kept in memory only");
                }
            }
        }
    }

    fn write(&mut self, dir: &Path, record: &Record) -> io::Result<()> {
        let full = self.segments.back().is_none_or(|s| s.count() >= SEGMENT || s.last().saturating_add(1) != record.id);
        if full || self.file.is_none() {
            let after = self.recent.back().map_or(self.recent_after, |last| last.id);
            let (segment, file) = Segment::create(dir, record.id, after, &self.boot)?;
            if let Some(old) = self.file.replace(file)
                && self.dirty
            {
                self.full.push(old);
            }
            self.segments.push_back(segment);
            self.trim();
        }
        let (Some(segment), Some(file)) = (self.segments.back_mut(), self.file.as_mut()) else {
            return Err(io::Error::other("no file"));
        };
        let written = segment.append(file, record);
        if written.is_err() && segment.starts.is_empty() {
            fs::remove_file(&segment.path).ok();
            self.segments.pop_back();
        }
        written
    }

    /// The oldest files make room.
    fn trim(&mut self) {
        let mut count: u64 = self.segments.iter().map(Segment::count).sum();
        while (count > KEPT || self.segments.len() > FILES)
            && let Some(old) = self.segments.pop_front()
        {
            count = count.saturating_sub(old.count());
            let oldest = old.last();
            self.trails.retain(|_, ids| {
                ids.retain(|id| *id > oldest);
                !ids.is_empty()
            });
            if let Err(error) = fs::remove_file(&old.path) {
                tracing::warn!(file = %old.path.display(), %error, "an old file of the event log can't be removed");
            }
        }
    }

    fn place(&self, after: u64, max: usize) -> Place {
        if after >= self.recent_after {
            let from = self.recent.partition_point(|r| r.id <= after);
            return Place::Here(Batch {
                lost: false,
                records: self.recent.iter().skip(from).take(max).cloned().collect(),
            });
        }
        let oldest = self.recent.front().map_or(u64::MAX, |r| r.id);
        match self.segments.iter().find(|s| !s.starts.is_empty() && s.last() > after) {
            Some(segment) if segment.first < oldest => {
                let lost = after < segment.after && after.saturating_add(1) < segment.first;
                Place::File(lost, segment.part(after, max))
            }
            _ => Place::Here(Batch { lost: true, records: self.recent.iter().take(max).cloned().collect() }),
        }
    }
}
