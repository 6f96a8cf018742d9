//! When files have changed and come to rest.
//!
//! Polled, not notified: it works on every file system (NFS, mounted ConfigMaps), needs no descriptor per file, and
//! a second more or less does not matter. A change counts once nothing has changed for [`QUIET`]: an editor or a
//! deployment writes several files, one after the other.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Between two looks.
pub const EVERY: Duration = Duration::from_secs(1);
/// Without a change for that long, the files are at rest.
pub const QUIET: Duration = Duration::from_secs(1);

/// What tells two versions of a file apart. Absent files have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    changed: (i64, i64),
    size: u64,
    inode: u64,
}

/// Watches files and folders (a folder changes when a file is made or removed in it).
#[derive(Debug)]
pub struct Watch {
    paths: Vec<PathBuf>,
    settled: Vec<Option<Stamp>>,
    moving: Option<(Vec<Option<Stamp>>, Duration)>,
}

impl Watch {
    /// Takes the files as they are now for known.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let settled = stamps(&paths);
        Self { paths, settled, moving: None }
    }

    /// Looks, `since` after the last look. True: something changed, and has been at rest since.
    pub fn look(&mut self, since: Duration) -> bool {
        let now = stamps(&self.paths);
        match &mut self.moving {
            None if now == self.settled => false,
            Some((last, quiet)) if *last == now => {
                *quiet += since;
                if *quiet < QUIET {
                    return false;
                }
                self.moving = None;
                // Changed back in the meantime: nothing to do.
                let changed = self.settled != now;
                self.settled = now;
                changed
            }
            _ => {
                self.moving = Some((now, Duration::ZERO));
                false
            }
        }
    }

    /// Waits until something has changed and come to rest. Cancel safe.
    pub async fn changed(&mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            if self.look(EVERY) {
                return;
            }
        }
    }

    /// Watches other files from now on, after a reload. What was watched before is compared with how it was when the
    /// last change was reported: what changed while the reload was reading is not missed.
    pub fn retarget(&mut self, paths: Vec<PathBuf>) {
        let known: HashMap<&PathBuf, Option<Stamp>> = self.paths.iter().zip(self.settled.iter().copied()).collect();
        self.settled = paths.iter().map(|path| known.get(path).copied().unwrap_or_else(|| stamp(path))).collect();
        self.paths = paths;
        self.moving = None;
    }

    /// What is watched.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    paths.iter().map(|path| stamp(path)).collect()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp {
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
        size: meta.size(),
        inode: meta.ino(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_it_has_come_to_rest() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        std::fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(vec![file.clone(), dir.path().join("later.toml"), dir.path().to_path_buf()]);
        assert!(!watch.look(EVERY));
        std::fs::write(&file, "22").unwrap();
        assert!(!watch.look(EVERY), "just changed");
        std::fs::write(&file, "333").unwrap();
        assert!(!watch.look(EVERY), "still moving");
        assert!(watch.look(EVERY), "at rest");
        assert!(!watch.look(EVERY), "said once");
        // Replaced as editors do, with the same size.
        std::fs::write(dir.path().join("b"), "444").unwrap();
        std::fs::rename(dir.path().join("b"), &file).unwrap();
        assert!(!watch.look(EVERY));
        assert!(watch.look(EVERY));
        std::fs::write(dir.path().join("later.toml"), "").unwrap();
        assert!(!watch.look(EVERY));
        assert!(watch.look(EVERY));
    }

    #[test]
    fn a_change_during_a_reload_is_not_missed() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&a, "1").unwrap();
        std::fs::write(&b, "1").unwrap();
        let mut watch = Watch::new(vec![a.clone()]);
        std::fs::write(&a, "22").unwrap();
        assert!(!watch.look(EVERY));
        assert!(watch.look(EVERY));
        std::fs::write(&a, "333").unwrap(); // while the reload was reading
        watch.retarget(vec![a, b]);
        assert!(!watch.look(EVERY));
        assert!(watch.look(EVERY));
        assert!(!watch.look(EVERY), "b is known as it is");
    }
}
