//! The lock file that OpenDCRE's processes share a line by, in both of its forms.
//!
//! * `link` (1.1 to 1.4.0): the lock is held while `FILE.lock` exists, a hard link to a file of the holder's beside it,
//!   `HOST-THREAD.PID...`. The original waits for ever when the holder has died. Here the wait is bounded, and a lock is
//!   broken that is a minute old and whose holder is a process of this machine that is gone, or that is older than any
//!   command. The minute is for holders that we can't see: those in a container have process ids of their own.
//! * `flock` (from 1.4.1): `FILE` itself is locked.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use nix::{
    fcntl::{Flock, FlockArg},
    sys::signal::kill,
    unistd::Pid,
};
use tokio::time::{self, Instant};

use super::settings::LockFile;

/// Between two looks. The original's is 100 ms.
const EVERY: Duration = Duration::from_millis(20);
/// No command of anybody's takes that long: a lock of that age, whose holder can't be told, is nobody's.
const STALE: Duration = Duration::from_mins(2);
/// No lock is broken that is younger, even when its holder seems to be gone: a scan takes half a minute at most.
const YOUNGEST: Duration = Duration::from_mins(1);
/// Between two looks at whether the lock is stale.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Own names that are tried: those of an earlier life with the same process id may be left.
const MOST_NAMES: u32 = 1000;

/// Files by which this process holds locks, or waits for them.
static OWN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file, whatever its name.
type Node = (u64, u64);

/// Why the lock could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum LockError {
    /// Another holds it.
    #[error("{path} is held by another program for {waited:?}")]
    Held {
        /// The lock.
        path: PathBuf,
        /// How long we have waited.
        waited: Duration,
    },
    /// It can't be made.
    #[error("{path}: {error}")]
    Io {
        /// The lock.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// The lock, given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    _flock: Option<Flock<File>>,
    _link: Option<Link>,
}

#[derive(Debug)]
struct Link {
    lock: PathBuf,
    own: PathBuf,
}

impl Drop for Link {
    fn drop(&mut self) {
        // Ours, unless somebody has broken it.
        if same(&self.lock, &self.own) {
            fs::remove_file(&self.lock).ok(); // broken this very moment
        }
        fs::remove_file(&self.own).ok(); // the folder was cleared
        OWN.lock().unwrap_or_else(PoisonError::into_inner).retain(|own| *own != self.own);
    }
}

impl Held {
    /// Waits for it, but not for ever.
    pub(super) async fn take(lock: &LockFile) -> Result<Self, LockError> {
        let deadline = Instant::now() + lock.wait;
        let flock = if lock.flock { Some(take_flock(lock, deadline).await?) } else { None };
        let link = if lock.link { Some(take_link(lock, deadline).await?) } else { None };
        Ok(Self { _flock: flock, _link: link })
    }
}

async fn wait(lock: &LockFile, path: &Path, deadline: Instant) -> Result<(), LockError> {
    if Instant::now() >= deadline {
        return Err(LockError::Held { path: path.to_owned(), waited: lock.wait });
    }
    time::sleep(EVERY).await;
    Ok(())
}

async fn take_flock(lock: &LockFile, deadline: Instant) -> Result<Flock<File>, LockError> {
    let failed = |error: io::Error| LockError::Io { path: lock.path.clone(), error };
    let mut file = OpenOptions::new().append(true).create(true).open(&lock.path).map_err(failed)?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((back, nix::errno::Errno::EWOULDBLOCK)) => file = back,
            Err((_, errno)) => return Err(failed(errno.into())),
        }
        wait(lock, &lock.path, deadline).await?;
    }
}

async fn take_link(lock: &LockFile, deadline: Instant) -> Result<Link, LockError> {
    let mut name = lock.path.clone().into_os_string();
    name.push(".lock");
    let path = PathBuf::from(name);
    let failed = |error: io::Error| LockError::Io { path: path.clone(), error };
    let (own, mut file) = own_file(&lock.path).map_err(failed)?;
    OWN.lock().unwrap_or_else(PoisonError::into_inner).push(own.clone());
    let link = Link { lock: path.clone(), own };
    // For people who wonder whose it is.
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    let mut next_check = Instant::now();
    loop {
        match fs::hard_link(&link.own, &link.lock) {
            Ok(()) => return Ok(link),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if Instant::now() >= next_check {
                    next_check = Instant::now() + LOOK_EVERY;
                    if let Some((node, why)) = stale(&path, SystemTime::now()) {
                        tracing::warn!(lock = %path.display(), why, "breaking a stale lock");
                        break_it(&path, node).map_err(failed)?;
                        continue;
                    }
                }
            }
            Err(error) => return Err(failed(error)),
        }
        wait(lock, &path, deadline).await?;
    }
}

fn hostname() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
}

/// As the original names its own: host, thread, process. A number after the process keeps two buses of ours apart.
fn own_name(path: &Path) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = path.parent().unwrap_or(Path::new("/"));
    folder.join(format!("{}-rackfish.{}-{next}", hostname(), std::process::id()))
}

/// A new file of such a name: never one that is there already, which may be a lock of an earlier life's.
fn own_file(path: &Path) -> io::Result<(PathBuf, File)> {
    for _ in 0..MOST_NAMES {
        let own = own_name(path);
        match OpenOptions::new().write(true).create_new(true).open(&own) {
            Ok(file) => return Ok((own, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn node(path: &Path) -> Option<Node> {
    // Not what a link points to: the lock is the name's own file.
    fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

fn same(one: &Path, other: &Path) -> bool {
    node(one).is_some() && node(one) == node(other)
}

/// Why nobody can be holding it, if so, and which file it was that was looked at.
fn stale(lock: &Path, now: SystemTime) -> Option<(Node, String)> {
    let meta = fs::symlink_metadata(lock).ok()?;
    let node = (meta.dev(), meta.ino());
    // When it was linked, that is taken: the file itself may be older.
    let taken = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(meta.ctime()).ok()?);
    let age = now.duration_since(taken).ok()?;
    if age < YOUNGEST {
        return None;
    }
    let old = (age > STALE).then(|| format!("it is {} s old, and its holder can't be told", age.as_secs()));
    let folder = fs::read_dir(lock.parent()?).ok()?;
    let owner = folder.flatten().take(100_000).map(|entry| entry.path()).find(|path| path != lock && same(path, lock));
    let Some(owner) = owner else { return Some((node, old?)) };
    if OWN.lock().unwrap_or_else(PoisonError::into_inner).contains(&owner) {
        return None; // another bus of this process
    }
    let name = owner.file_name().and_then(|name| name.to_str());
    let why = match name.and_then(|name| process(name, &hostname(), lock)) {
        Some(pid) if u32::try_from(pid).is_ok_and(|pid| pid == std::process::id()) => {
            Some(format!("its holder, process {pid}, was another with the id of this one"))
        }
        Some(pid) if gone(pid) => Some(format!("its holder, process {pid}, is gone")),
        // That process may be another, which has got the id of one that died.
        _ => old,
    };
    Some((node, why?))
}

/// The process in the name of a holder's file, if it is of this machine: `HOST-THREAD.PID`, then a hash of the lock's
/// path, which Python 2 computes as here and separates by nothing but its sign.
fn process(name: &str, host: &str, lock: &Path) -> Option<i32> {
    let rest = name.strip_prefix(host)?.strip_prefix('-')?;
    let (_, rest) = rest.split_once('.')?;
    let hash = python_hash(lock.to_str()?.strip_suffix(".lock")?).to_string();
    let digits = match rest.strip_suffix(&hash) {
        Some(digits) => digits,
        None => rest.split_once('-')?.0,
    };
    digits.parse().ok().filter(|pid| *pid > 0)
}

/// `hash()` of a text in 64-bit Python 2 without `-R`.
fn python_hash(text: &str) -> i64 {
    let Some(first) = text.bytes().next() else { return 0 };
    let mut hash = i64::from(first) << 7;
    for byte in text.bytes() {
        hash = hash.wrapping_mul(1_000_003) ^ i64::from(byte);
    }
    hash ^= i64::try_from(text.len()).unwrap_or(0);
    if hash == -1 { -2 } else { hash }
}

fn gone(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None) == Err(nix::errno::Errno::ESRCH)
}

/// Taken aside first: what is removed is what was looked at, not a lock that another has just made.
fn break_it(lock: &Path, looked_at: Node) -> io::Result<()> {
    if node(lock) != Some(looked_at) {
        return Ok(()); // given back, or another's by now
    }
    // A free name: renaming a file onto another of its own names does nothing.
    let free = (0..MOST_NAMES).map(|_| own_name(lock)).find(|name| node(name).is_none());
    let aside = free.ok_or(io::ErrorKind::AlreadyExists)?;
    match fs::rename(lock, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    if node(&aside) != Some(looked_at) {
        fs::hard_link(&aside, lock).ok(); // a third has it by now: then that one waits, too
    }
    fs::remove_file(aside)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn lock(folder: &Path, wait: u64) -> LockFile {
        let path = folder.join("OpenDCRE.lock");
        LockFile { path, link: true, flock: true, wait: Duration::from_millis(wait) }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn one_at_a_time_and_nothing_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = lock(folder.path(), 100);
        let held = Held::take(&file).await.unwrap();
        assert!(names(folder.path()).contains(&"OpenDCRE.lock.lock".to_owned()));
        for (link, flock) in [(true, false), (false, true)] {
            let other = LockFile { link, flock, ..file.clone() };
            match Held::take(&other).await {
                Err(LockError::Held { waited, .. }) => assert_eq!(waited, Duration::from_millis(100)),
                other => panic!("{other:?}"),
            }
        }
        drop(held);
        drop(Held::take(&file).await.unwrap());
        assert_eq!(names(folder.path()), ["OpenDCRE.lock"]);
    }

    /// A holder as the original makes it: a file that names it, and the link.
    fn original(folder: &Path, pid: u32) -> PathBuf {
        let path = folder.join("OpenDCRE.lock");
        let hash = python_hash(path.to_str().unwrap());
        let own = folder.join(format!("{}-7f3a2b40.{pid}{hash}", hostname()));
        fs::write(&own, "").unwrap();
        let lock = folder.join("OpenDCRE.lock.lock");
        fs::hard_link(own, &lock).unwrap();
        lock
    }

    fn after(seconds: u64) -> SystemTime {
        SystemTime::now() + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_lock_of_the_dead_is_broken_after_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let path = original(folder.path(), pid);
        // It may live where we can't see it.
        assert!(matches!(Held::take(&lock(folder.path(), 100)).await, Err(LockError::Held { .. })));
        assert!(stale(&path, after(55)).is_none());
        let (looked_at, why) = stale(&path, after(62)).unwrap();
        assert!(why.contains("is gone"), "{why}");
        break_it(&path, looked_at).unwrap();
        Held::take(&lock(folder.path(), 200)).await.unwrap();
    }

    #[tokio::test]
    async fn a_lock_of_the_living_is_respected_for_two_minutes() {
        let folder = tempfile::tempdir().unwrap();
        let path = original(folder.path(), std::os::unix::process::parent_id());
        assert!(matches!(Held::take(&lock(folder.path(), 200)).await, Err(LockError::Held { .. })));
        assert!(stale(&path, after(115)).is_none());
        assert!(stale(&path, after(123)).is_some(), "its id may be another's by now");
        // Its holder gives it back.
        fs::remove_file(path).unwrap();
        Held::take(&lock(folder.path(), 200)).await.unwrap();
    }

    #[tokio::test]
    async fn our_own_id_is_not_ourselves() {
        let folder = tempfile::tempdir().unwrap();
        let path = original(folder.path(), std::process::id());
        assert!(stale(&path, after(55)).is_none());
        assert!(stale(&path, after(62)).is_some());
        fs::remove_file(&path).unwrap();
        let held = Held::take(&lock(folder.path(), 200)).await.unwrap();
        assert!(stale(&path, after(1000)).is_none(), "we hold it");
        drop(held);
    }

    #[test]
    fn a_lock_of_nobody_is_broken_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("OpenDCRE.lock.lock");
        let file = File::create(&path).unwrap();
        // The age of the file is not that of the lock.
        file.set_modified(SystemTime::now() - STALE - Duration::from_secs(1)).unwrap();
        assert!(stale(&path, after(115)).is_none());
        let (looked_at, _) = stale(&path, after(123)).unwrap();
        // Another was quicker: its lock stays.
        fs::rename(&path, folder.path().join("old")).unwrap();
        fs::write(&path, "another's").unwrap();
        break_it(&path, looked_at).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
        let (looked_at, _) = stale(&path, after(123)).unwrap();
        break_it(&path, looked_at).unwrap();
        assert_eq!(names(folder.path()), ["old"]);
    }

    #[test]
    fn what_an_earlier_life_left_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("OpenDCRE.lock");
        let (own, _) = own_file(&path).unwrap();
        let (_, number) = own.to_str().unwrap().rsplit_once('-').unwrap();
        let number: u32 = number.parse().unwrap();
        for next in 1..20 {
            let left = own.to_str().unwrap().replace(&format!("-{number}"), &format!("-{}", number + next));
            fs::write(left, "left").unwrap();
        }
        let (new, _) = own_file(&path).unwrap();
        assert_eq!(fs::read_to_string(new).unwrap(), "");
        assert_eq!(names(folder.path()).len(), 21);
    }

    #[test]
    fn hashes_are_pythons() {
        // python2.7: hash("a"), hash("/tmp/OpenDCRE.lock") of a 64-bit build.
        assert_eq!(python_hash("a"), 12_416_037_344);
        assert_eq!(python_hash(""), 0);
    }
}
