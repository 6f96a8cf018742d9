//! What is checked before a state file is trusted, and how an older one is brought up to date.
//!
//! A file that is not ours, damaged or newer is refused and left as it is: it may be the only copy of somebody's
//! accounts and holds. A new one is made aside and renamed, so an empty or half-made `rackfish.db` is never ours.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    Kind, StoreError, log,
    mirror::{Entry, Mirror},
    sum,
    writer::reason,
};

/// `RkFs`: marks the file as ours (`PRAGMA application_id`).
const APPLICATION: i32 = 0x526b_4673;
/// First bytes of every SQLite file (<https://sqlite.org/fileformat.html>, 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How long to wait for somebody who looks into the file with another program.
const BUSY: Duration = Duration::from_secs(5);

/// Statements that lead from nothing to version 1, from 1 to 2, and so on. Append only.
pub(super) const STEPS: &[&str] = &[
    "
    CREATE TABLE doc (
        kind TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE floor (kind TEXT NOT NULL PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
",
    // SQLite checks how its pages hang together, not what is in them.
    "
    ALTER TABLE doc ADD COLUMN sum INTEGER;
    ALTER TABLE floor ADD COLUMN sum INTEGER;
",
];
/// The version since which every row has a checksum.
const SUMMED: usize = 2;

/// An open state file.
#[derive(Debug)]
pub(super) struct File {
    pub connection: Connection,
    pub path: PathBuf,
}

/// Opens `rackfish.db` in `state_dir`; the caller holds the lock.
pub(super) fn open(state_dir: &Path) -> Result<File, StoreError> {
    open_with(state_dir, STEPS)
}

/// As [`open`], with the history of the schema as an argument.
pub(super) fn open_with(state_dir: &Path, steps: &[&str]) -> Result<File, StoreError> {
    let path = state_dir.join("rackfish.db");
    let sql = |e: rusqlite::Error| StoreError::Io(reason(&e, &path));
    match fs::metadata(&path) {
        Ok(meta) if !meta.is_file() => return Err(refuse(&path, "is not a regular file", "move it away")),
        Ok(_) => {
            check_magic(&path)?;
            check_log(&path)?;
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => create(&path, steps)?,
        Err(e) => return Err(StoreError::Io(format!("{} can't be opened: {e}", path.display()))),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(sql)?;
    connection.busy_timeout(BUSY).map_err(sql)?;
    check_ours(&connection, &path)?;
    migrate(&mut connection, &path, steps)?;
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(|e| StoreError::Io(reason(&e, &path)))?;
    if mode != "wal" {
        return Err(StoreError::Io(format!(
            "{}: its file system can't share memory, which the write-ahead log needs (a network share?); set \
             server.state_dir to a local disk",
            path.display()
        )));
    }
    Ok(File { connection, path })
}

/// Reads everything.
pub(super) fn load(file: &File) -> Result<Mirror, StoreError> {
    read_all(&file.connection).map_err(|e| match e {
        Bad::Sql(e) => damaged(&file.path, &e.to_string()),
        Bad::Row(what, remove) => refuse(
            &file.path,
            &format!("is damaged ({what} is not what was written)"),
            &format!(
                "restore it from a backup, give this one entry up with `sqlite3 {} \"{remove}\"`, or move the file away \
                 to start without accounts and holds",
                file.path.display()
            ),
        ),
    })
}

/// What is wrong with the content of a file.
enum Bad {
    Sql(rusqlite::Error),
    /// What it is, and the statement that takes it out.
    Row(String, String),
}

impl From<rusqlite::Error> for Bad {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sql(e)
    }
}

impl From<rusqlite::types::FromSqlError> for Bad {
    fn from(e: rusqlite::types::FromSqlError) -> Self {
        Self::Sql(e.into())
    }
}

fn read_all(connection: &Connection) -> Result<Mirror, Bad> {
    let mut mirror = Mirror::default();
    let mut statement = connection.prepare("SELECT kind, key, revision, body, sum FROM doc")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, key) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        let (revision, body) = (row.get(2)?, row.get_ref(3)?.as_str()?);
        if row.get::<_, Option<i64>>(4)? != Some(sum::doc(kind, key, revision, body)) {
            let which = format!("kind = {} AND key = {}", quoted(kind), quoted(key));
            return Err(Bad::Row(format!("{kind} {key}"), format!("DELETE FROM doc WHERE {which}")));
        }
        // A kind of another version of this program is left alone.
        if let Some(kind) = Kind::from_name(kind) {
            mirror.load(kind, Arc::from(key), Entry { revision: unsigned(revision), body: Arc::from(body) });
        }
    }
    let mut statement = connection.prepare("SELECT kind, revision, sum FROM floor")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, revision) = (row.get_ref(0)?.as_str()?, row.get(1)?);
        if row.get::<_, Option<i64>>(2)? != Some(sum::floor(kind, revision)) {
            let remove = format!("DELETE FROM floor WHERE kind = {}", quoted(kind));
            return Err(Bad::Row(format!("the count of revisions of {kind}"), remove));
        }
        if let Some(kind) = Kind::from_name(kind) {
            mirror.load_floor(kind, unsigned(revision));
        }
    }
    Ok(mirror)
}

/// A text in an SQL statement for people.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Gives checksums to the rows of a file that was written before there were any.
fn add_sums(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT kind, key, revision, body FROM doc")?;
    let sums = statement.query_map([], |row| {
        let (kind, key): (String, String) = (row.get(0)?, row.get(1)?);
        let sum = sum::doc(&kind, &key, row.get(2)?, row.get_ref(3)?.as_str()?);
        Ok((kind, key, sum))
    })?;
    let sums = sums.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut update = connection.prepare("UPDATE doc SET sum = ?3 WHERE kind = ?1 AND key = ?2")?;
    for row in sums {
        update.execute(row)?;
    }
    let mut statement = connection.prepare("SELECT kind, revision FROM floor")?;
    let floors = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let floors = floors.collect::<rusqlite::Result<Vec<(String, i64)>>>()?;
    let mut update = connection.prepare("UPDATE floor SET sum = ?2 WHERE kind = ?1")?;
    for (kind, revision) in floors {
        update.execute((&kind, sum::floor(&kind, revision)))?;
    }
    Ok(())
}

fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0)
}

/// Makes a new file aside, complete and on disk, then gives it its name.
fn create(path: &Path, steps: &[&str]) -> Result<(), StoreError> {
    let log = beside(path, "-wal");
    if log.exists() {
        return Err(StoreError::Unusable(format!(
            "{} is gone but its log {} is still there, so it was not rackfish that removed it; put the file back, or \
             remove the log too to start without accounts and holds",
            path.display(),
            log.display()
        )));
    }
    let new = beside(path, ".new");
    let make = || -> Result<(), StoreError> {
        empty_file(&new).map_err(|e| StoreError::Io(format!("{} can't be made: {e}", new.display())))?;
        let sql = |e: rusqlite::Error| StoreError::Io(reason(&e, &new));
        let connection = Connection::open(&new).map_err(sql)?;
        let statements = format!("BEGIN; PRAGMA application_id = {APPLICATION}; {} COMMIT;", upgrade(0, steps));
        connection.execute_batch(&statements).map_err(sql)?;
        connection.close().map_err(|(_, e)| sql(e))?;
        let sync = || -> io::Result<()> {
            fs::File::open(&new)?.sync_all()?;
            fs::rename(&new, path)?;
            path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
        };
        sync().map_err(|e| StoreError::Io(format!("{} can't be made: {e}", path.display())))
    };
    make().inspect_err(|_| drop(fs::remove_file(&new)))
}

/// An empty file that only its owner may read; an older one of that name is removed.
fn empty_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

fn check_magic(path: &Path) -> Result<(), StoreError> {
    let mut head = [0; MAGIC.len()];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    match read {
        Ok(()) if head == *MAGIC => Ok(()),
        Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => {
            Err(StoreError::Io(format!("{} can't be read: {e}", path.display())))
        }
        _ => Err(refuse(
            path,
            "is not an SQLite file",
            "restore it from a backup, or move it away to start without accounts and holds",
        )),
    }
}

/// SQLite takes a log that is damaged in its middle for one that ends there, and goes on without the rest.
fn check_log(path: &Path) -> Result<(), StoreError> {
    let file = beside(path, "-wal");
    let damage = log::examine(&file).map_err(|e| StoreError::Io(format!("{} can't be read: {e}", file.display())))?;
    let Some(at) = damage else { return Ok(()) };
    let (log, way_out) = (file.display(), "restore it and its log from a backup");
    let way_out = match at {
        0 => format!("{way_out}, or remove {log} to start with what was in the file before"),
        at => {
            format!("{way_out}, or cut the log there (`truncate -s {at} {log}`) to start with what was written before")
        }
    };
    Err(refuse(path, &format!("has a log, {log}, that is damaged from byte {at} on"), &way_out))
}

fn check_ours(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let number = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i32>(0));
    let application = number("application_id").map_err(|e| broken(path, &e))?;
    if application != APPLICATION {
        return Err(refuse(
            path,
            "is an SQLite file, but not one of rackfish",
            "move it away, or set server.state_dir to another folder",
        ));
    }
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|e| broken(path, &e))?;
    if verdict == "ok" { Ok(()) } else { Err(damaged(path, &verdict)) }
}

/// Brings an older file up to date, in one transaction, after a backup copy.
fn migrate(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), StoreError> {
    let sql = |e: rusqlite::Error| StoreError::Io(reason(&e, path));
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)?;
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let done = match usize::try_from(version) {
        Ok(done) if done > 0 && version <= known => done,
        _ if version > known => {
            return Err(StoreError::Unusable(format!(
                "{} has version {version} and was written by a newer rackfish; this one knows versions up to {known}: \
                 run the newer one, or restore the copy it made before ({})",
                path.display(),
                beside(path, &format!(".v{known}.bak")).display()
            )));
        }
        _ => return Err(damaged(path, &format!("version {version} never existed"))),
    };
    if version == known {
        return Ok(());
    }
    let backup = beside(path, &format!(".v{version}.bak"));
    let copy = beside(path, ".copy");
    let copied = vacuum_into(connection, &copy).and_then(|()| fs::rename(&copy, &backup).map_err(|e| e.to_string()));
    copied.map_err(|e| {
        StoreError::Io(format!(
            "{} can't be brought to version {known}: the backup {} can't be written: {e}",
            path.display(),
            backup.display()
        ))
    })?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sql)?;
    let transaction = connection.transaction().map_err(sql)?;
    transaction.execute_batch(&upgrade(done, steps)).map_err(sql)?;
    if done < SUMMED {
        add_sums(&transaction).map_err(sql)?;
    }
    transaction.commit().map_err(sql)?;
    tracing::info!(
        from = version,
        to = known,
        backup = %backup.display(),
        "the state file was brought up to date"
    );
    Ok(())
}

/// Copies the state file as it is at one moment, while others write to it.
pub(super) fn copy(path: &Path, to: &Path) -> Result<(), StoreError> {
    let sql = |e: rusqlite::Error| StoreError::Io(reason(&e, path));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    connection.busy_timeout(BUSY).map_err(sql)?;
    vacuum_into(&connection, to)
        .map_err(|e| StoreError::Io(format!("the copy {} of the state file can't be written: {e}", to.display())))
}

/// A copy of all that a connection sees, on disk. `VACUUM INTO` writes into an empty file too; made here, it is never
/// readable for others.
fn vacuum_into(connection: &Connection, to: &Path) -> Result<(), String> {
    empty_file(to).map_err(|e| e.to_string())?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map_err(|e| e.to_string())?;
    fs::File::open(to).and_then(|file| file.sync_all()).map_err(|e| e.to_string())
}

/// The statements that lead from version `done` to the newest.
fn upgrade(done: usize, steps: &[&str]) -> String {
    let todo: String = steps.iter().skip(done).copied().collect();
    format!("{todo} PRAGMA user_version = {};", steps.len())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(suffix);
    path.with_file_name(name)
}

/// An error of a file whose header looked right.
fn broken(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            damaged(path, &error.to_string())
        }
        // The disk's fault, or somebody else's: the file may be whole.
        Some(
            rusqlite::ErrorCode::DiskFull
            | rusqlite::ErrorCode::ReadOnly
            | rusqlite::ErrorCode::CannotOpen
            | rusqlite::ErrorCode::PermissionDenied
            | rusqlite::ErrorCode::DatabaseBusy
            | rusqlite::ErrorCode::DatabaseLocked
            | rusqlite::ErrorCode::SystemIoFailure
            | rusqlite::ErrorCode::FileLockingProtocolFailed
            | rusqlite::ErrorCode::OutOfMemory,
        ) => StoreError::Io(reason(error, path)),
        // A schema that makes no sense, a table that is not there.
        _ => damaged(path, &error.to_string()),
    }
}

fn damaged(path: &Path, what: &str) -> StoreError {
    refuse(
        path,
        &format!("is damaged ({what})"),
        "restore it from a backup, try `sqlite3 rackfish.db .recover`, or move it away to start without accounts and \
         holds",
    )
}

fn refuse(path: &Path, what: &str, way_out: &str) -> StoreError {
    StoreError::Unusable(format!("the state file {} {what}; nothing was changed: {way_out}", path.display()))
}
