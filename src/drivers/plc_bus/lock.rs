//! The lock file that OpenDCRE's processes share a line by, in both of its forms.
//!
//! * `link` (1.1 to 1.4.0): the lock is held while `FILE.lock` exists, a hard link to a file of the holder's beside it,
//!   `HOST-THREAD.PID...`. The original waits for ever when the holder has died. Here the wait is bounded, and a lock is
//!   broken whose holder is a process of this machine that is gone, or that is older than any command.
//! * `flock` (from 1.4.1): `FILE` itself is locked.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
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
    let own = own_name(&lock.path);
    let mut file = File::create(&own).map_err(failed)?;
    let link = Link { lock: path.clone(), own };
    // For people who wonder whose it is.
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    loop {
        match fs::hard_link(&link.own, &link.lock) {
            Ok(()) => return Ok(link),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if let Some(why) = stale(&path) {
                    tracing::warn!(lock = %path.display(), why, "breaking a stale lock");
                    break_it(&path).map_err(failed)?;
                    continue;
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
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = path.parent().unwrap_or(Path::new("/"));
    folder.join(format!("{}-rackfish.{}-{next}", hostname(), std::process::id()))
}

fn same(one: &Path, other: &Path) -> bool {
    let node = |path: &Path| fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    node(one).is_some() && node(one) == node(other)
}

/// Why nobody can be holding it, if so.
fn stale(lock: &Path) -> Option<String> {
    let meta = fs::metadata(lock).ok()?;
    let folder = fs::read_dir(lock.parent()?).ok()?;
    let owner = folder.flatten().take(100_000).map(|entry| entry.path()).find(|path| path != lock && same(path, lock));
    let owner = owner.and_then(|path| path.file_name()?.to_str().map(str::to_owned));
    if let Some(pid) = owner.as_deref().and_then(|name| process(name, &hostname(), lock)) {
        return gone(pid).then(|| format!("its holder, process {pid}, is gone"));
    }
    let age = SystemTime::now().duration_since(meta.modified().ok()?).ok()?;
    (age > STALE).then(|| format!("it is {} s old, and its holder can't be told", age.as_secs()))
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
fn break_it(lock: &Path) -> io::Result<()> {
    let node = fs::metadata(lock).map(|m| (m.dev(), m.ino()));
    let aside = own_name(lock);
    match fs::rename(lock, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    let moved = fs::metadata(&aside).map(|m| (m.dev(), m.ino()));
    if let (Ok(was), Ok(is)) = (node, moved)
        && was != is
    {
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
    fn original(folder: &Path, pid: u32) {
        let path = folder.join("OpenDCRE.lock");
        let hash = python_hash(path.to_str().unwrap());
        let own = folder.join(format!("{}-7f3a2b40.{pid}{hash}", hostname()));
        fs::write(&own, "").unwrap();
        fs::hard_link(own, folder.join("OpenDCRE.lock.lock")).unwrap();
    }

    #[tokio::test]
    async fn a_lock_of_the_dead_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        original(folder.path(), pid);
        Held::take(&lock(folder.path(), 2000)).await.unwrap();
    }

    #[tokio::test]
    async fn a_lock_of_the_living_is_respected() {
        let folder = tempfile::tempdir().unwrap();
        original(folder.path(), std::process::id());
        assert!(matches!(Held::take(&lock(folder.path(), 200)).await, Err(LockError::Held { .. })));
        // Its holder gives it back.
        fs::remove_file(folder.path().join("OpenDCRE.lock.lock")).unwrap();
        Held::take(&lock(folder.path(), 200)).await.unwrap();
    }

    #[tokio::test]
    async fn a_lock_of_nobody_is_broken_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("OpenDCRE.lock.lock");
        let file = File::create(&path).unwrap();
        assert!(matches!(Held::take(&lock(folder.path(), 100)).await, Err(LockError::Held { .. })));
        file.set_modified(SystemTime::now() - STALE - Duration::from_secs(1)).unwrap();
        Held::take(&lock(folder.path(), 1000)).await.unwrap();
    }

    #[test]
    fn hashes_are_pythons() {
        // python2.7: hash("a"), hash("/tmp/OpenDCRE.lock") of a 64-bit build.
        assert_eq!(python_hash("a"), 12_416_037_344);
        assert_eq!(python_hash(""), 0);
    }
}
