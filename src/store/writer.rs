//! The one thread that writes the state file.
//!
//! What has to survive a power loss is committed with `synchronous = FULL` before it is acknowledged; writers that wait
//! at the same moment share one transaction, so a hundred of them cost one `fsync`. What may be lost is acknowledged at
//! once, coalesced per document, and committed in batches with `synchronous = NORMAL`, which in WAL mode waits for no
//! `fsync`. A transaction that fails changes nothing, in the file or in memory.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use tokio::sync::{broadcast, oneshot};

use super::{
    Change, Kind, Safety, StoreError,
    lock::Lock,
    mirror::{Entry, Mirror, Plan, Wish},
    schema::File,
    sum,
};

/// How long a write behind may wait for company.
const BEHIND: Duration = Duration::from_millis(250);
/// Documents waiting that start a batch before [`BEHIND`] is over.
const BATCH: usize = 1_000;
/// Longest pause between attempts while the disk refuses batches.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Commands taken into one transaction.
const GROUP: usize = 512;

/// What callers ask for.
#[derive(Debug)]
pub(super) enum Command {
    /// A write or delete.
    Write { wish: Wish, safety: Safety, done: oneshot::Sender<Result<Option<u64>, StoreError>> },
    /// Everything behind to disk.
    Flush(oneshot::Sender<Result<(), StoreError>>),
    /// For tests that make the file fail.
    #[cfg(test)]
    Execute(&'static str, oneshot::Sender<Result<(), StoreError>>),
}

/// What writing has cost so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub commits: AtomicU64,
    pub rows: AtomicU64,
}

type Waiting = (Wish, Option<u64>, oneshot::Sender<Result<Option<u64>, StoreError>>);

/// State of the thread.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
    mirror: Arc<RwLock<Mirror>>,
    changes: broadcast::Sender<Change>,
    /// Documents whose state in memory is newer than on disk.
    dirty: HashSet<(Kind, Arc<str>)>,
    /// When the next batch is due; `None`: nothing is dirty.
    due: Option<Instant>,
    /// Pause after the last batch that failed; zero when batches get through.
    pause: Duration,
    /// What the connection's `synchronous` is set to.
    full: Option<bool>,
    /// The log was emptied into the file since the start.
    emptied: bool,
    /// Transactions and rows written: the cost laws are tests.
    counts: Arc<Counts>,
    /// Released after the connection is closed: fields are dropped in this order.
    _lock: Lock,
}

impl Writer {
    pub fn new(file: File, lock: Lock, mirror: Arc<RwLock<Mirror>>, changes: broadcast::Sender<Change>) -> Self {
        Self {
            connection: file.connection,
            path: file.path,
            mirror,
            changes,
            dirty: HashSet::new(),
            due: None,
            pause: Duration::ZERO,
            full: None,
            emptied: false,
            counts: Arc::default(),
            _lock: lock,
        }
    }

    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Serves until the last handle is gone, then writes what is left.
    pub fn run(mut self, inbox: &Receiver<Command>) {
        loop {
            let first = match self.due {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match first {
                Ok(first) => {
                    let group: Vec<Command> = std::iter::once(first).chain(inbox.try_iter().take(GROUP - 1)).collect();
                    self.serve(group);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let full = self.dirty.len() >= BATCH && self.pause.is_zero();
            if full || self.due.is_some_and(|due| Instant::now() >= due) {
                // Reported inside; whoever asked for safety asked otherwise.
                drop(self.write_behind());
            }
        }
        drop(self.write_behind());
    }

    fn serve(&mut self, group: Vec<Command>) {
        let mut plan = Plan::default();
        let mut waiting = Vec::new();
        let mut flushes = Vec::new();
        for command in group {
            match command {
                // A write behind on a document that is part of the transaction has to share its fate.
                Command::Write { wish, safety: Safety::Behind, done } if !plan.holds(wish.kind, &wish.key) => {
                    answer(done, self.accept(&wish));
                }
                Command::Write { wish, done, .. } => {
                    let decided = plan.add(&self.mirror.read().unwrap_or_else(PoisonError::into_inner), &wish);
                    match decided {
                        Ok(revision) => waiting.push((wish, revision, done)),
                        Err(e) => answer(done, Err(e)),
                    }
                }
                Command::Flush(done) => flushes.push(done),
                #[cfg(test)]
                Command::Execute(sql, done) => {
                    let result = self.connection.execute_batch(sql).map_err(|e| self.io(&e));
                    answer(done, result);
                }
            }
        }
        self.commit(plan, waiting);
        if !flushes.is_empty() {
            let result = self.write_behind();
            for done in flushes {
                answer(done, result.clone().map_err(StoreError::Io));
            }
        }
    }

    /// Takes a write behind into memory.
    fn accept(&mut self, wish: &Wish) -> Result<Option<u64>, StoreError> {
        let mut mirror = self.mirror.write().unwrap_or_else(PoisonError::into_inner);
        let mut plan = Plan::default();
        let revision = plan.add(&mirror, wish)?;
        if plan.is_empty() {
            return Ok(revision);
        }
        mirror.merge(plan);
        drop(mirror);
        self.dirty.insert((wish.kind, Arc::clone(&wish.key)));
        self.due.get_or_insert_with(|| Instant::now() + BEHIND);
        self.announce(wish, revision);
        Ok(revision)
    }

    /// Commits a plan, then puts it in force and answers.
    fn commit(&mut self, plan: Plan, waiting: Vec<Waiting>) {
        if !plan.is_empty() {
            let docs =
                plan.docs().map(|(kind, key, entry)| (kind, Arc::clone(key), entry.cloned())).collect::<Vec<_>>();
            let written = self.write(true, &docs, &plan.floors().collect::<Vec<_>>());
            if let Err(e) = written {
                for (_, _, done) in waiting {
                    answer(done, Err(StoreError::Io(e.clone())));
                }
                return;
            }
            for (kind, key, _) in docs {
                self.dirty.remove(&(kind, key));
            }
            self.mirror.write().unwrap_or_else(PoisonError::into_inner).merge(plan);
            self.empty_log_once();
        }
        for (wish, revision, done) in waiting {
            self.announce(&wish, revision);
            answer(done, Ok(revision));
        }
    }

    /// After the first safe write of each run the log is emptied into the file: a file that lost its log is then never
    /// one without accounts.
    fn empty_log_once(&mut self) {
        if std::mem::replace(&mut self.emptied, true) {
            return;
        }
        if let Err(e) = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::debug!(error = %e, "the log stays as it is");
        }
    }

    /// Commits everything dirty.
    fn write_behind(&mut self) -> Result<(), String> {
        self.due = None;
        if self.dirty.is_empty() {
            return Ok(());
        }
        let mirror = self.mirror.read().unwrap_or_else(PoisonError::into_inner);
        let docs: Vec<_> =
            self.dirty.iter().map(|(kind, key)| (*kind, Arc::clone(key), mirror.get(*kind, key).cloned())).collect();
        let kinds: HashSet<Kind> = self.dirty.iter().map(|(kind, _)| *kind).collect();
        let floors: Vec<_> = kinds.into_iter().map(|kind| (kind, mirror.floor(kind))).filter(|(_, f)| *f > 0).collect();
        drop(mirror);
        match self.write(false, &docs, &floors) {
            Ok(()) => {
                if !self.pause.is_zero() {
                    tracing::info!(file = %self.path.display(), "the state file can be written again");
                }
                self.pause = Duration::ZERO;
                self.dirty.clear();
                Ok(())
            }
            Err(e) => {
                // Kept, and bounded by the number of documents. Said once, then with every tenfold of the pause.
                if self.pause.is_zero() || self.pause == RETRY_MAX {
                    tracing::error!(waiting = self.dirty.len(), "the state file can't be written: {e}");
                }
                self.pause = self.pause.saturating_mul(2).clamp(BEHIND, RETRY_MAX);
                self.due = Some(Instant::now() + self.pause);
                Err(e)
            }
        }
    }

    /// One transaction: all or nothing.
    fn write(
        &mut self,
        full: bool,
        docs: &[(Kind, Arc<str>, Option<Entry>)],
        floors: &[(Kind, u64)],
    ) -> Result<(), String> {
        self.transaction(full, docs, floors).map_err(|e| reason(&e, &self.path))
    }

    fn transaction(
        &mut self,
        full: bool,
        docs: &[(Kind, Arc<str>, Option<Entry>)],
        floors: &[(Kind, u64)],
    ) -> rusqlite::Result<()> {
        if self.full != Some(full) {
            self.connection.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
            self.full = Some(full);
        }
        // Dropped without a commit, it is rolled back.
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (kind, key, entry) in docs {
            match entry {
                Some(Entry { revision, body }) => transaction
                    .prepare_cached(
                        "INSERT INTO doc (kind, key, revision, body, sum) VALUES (?1, ?2, ?3, ?4, ?5)
                         ON CONFLICT (kind, key)
                         DO UPDATE SET revision = excluded.revision, body = excluded.body, sum = excluded.sum",
                    )?
                    .execute(params![
                        kind.as_str(),
                        key,
                        signed(*revision),
                        body,
                        sum::doc(kind.as_str(), key, signed(*revision), body)
                    ])?,
                None => transaction
                    .prepare_cached("DELETE FROM doc WHERE kind = ?1 AND key = ?2")?
                    .execute(params![kind.as_str(), key])?,
            };
        }
        for (kind, floor) in floors {
            transaction
                .prepare_cached(
                    "INSERT INTO floor (kind, revision, sum) VALUES (?1, ?2, ?3)
                     ON CONFLICT (kind) DO UPDATE SET revision = excluded.revision, sum = excluded.sum
                     WHERE excluded.revision > revision",
                )?
                .execute(params![kind.as_str(), signed(*floor), sum::floor(kind.as_str(), signed(*floor))])?;
        }
        transaction.commit()?;
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        self.counts.rows.fetch_add(u64::try_from(docs.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(())
    }

    fn announce(&self, wish: &Wish, revision: Option<u64>) {
        // Nobody may be watching: fine.
        drop(self.changes.send(Change { kind: wish.kind, key: wish.key.as_ref().to_owned(), revision }));
    }

    #[cfg(test)]
    fn io(&self, e: &rusqlite::Error) -> StoreError {
        StoreError::Io(reason(e, &self.path))
    }
}

/// SQLite's integers are signed; at a million writes a second a revision lasts 290,000 years.
fn signed(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

/// Says what is wrong with the file and what to do.
pub(super) fn reason(error: &rusqlite::Error, path: &std::path::Path) -> String {
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; free some space on its disk, nothing was written",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "; it and its folder have to be writable for the user that runs rackfish"
        }
        Some(ErrorCode::SystemIoFailure) => "; its disk has errors or is read-only now, see the kernel's log",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "; another program keeps it locked",
        _ => "",
    };
    format!("{}: {error}{hint}", path.display())
}

fn answer<T>(done: oneshot::Sender<Result<T, StoreError>>, result: Result<T, StoreError>) {
    // The caller may have gone away: what it asked for is done all the same.
    drop(done.send(result));
}
