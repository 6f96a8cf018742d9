//! One process at a time: `state_dir/lock`, held by `flock(2)` and naming its holder.
//!
//! The kernel releases it with the process, however that ends; the file stays, only its lock counts.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::StoreError;

/// Held as long as the value lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Makes `state_dir` (0700) if it is missing, and takes it.
    pub fn take(state_dir: &Path) -> Result<Self, StoreError> {
        let shown = state_dir.display();
        DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(|e| {
            StoreError::Io(format!(
                "the state folder {shown} can't be made: {e}; make it and give it to the user that runs rackfish, or \
                 set server.state_dir"
            ))
        })?;
        let path = state_dir.join("lock");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|e| {
            StoreError::Io(format!(
                "{} can't be opened: {e}; {shown} has to belong to the user that runs rackfish",
                path.display()
            ))
        })?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                // Only for the message below; a lock without a name in it still locks.
                let named = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                if let Err(e) = named {
                    tracing::debug!(path = %path.display(), error = %e, "the lock file does not name its holder");
                }
                Ok(Self { _file: file })
            }
            Err((file, Errno::EWOULDBLOCK)) => Err(StoreError::Unusable(format!(
                "the state folder {shown} is in use by {}; stop it first, or give this one a server.state_dir of its own",
                holder(file)
            ))),
            Err((_, e)) => Err(StoreError::Io(format!("{} can't be locked: {e}", path.display()))),
        }
    }
}

/// Who holds the lock, as well as can be told.
fn holder(mut file: File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(32).read_to_string(&mut text));
    let Some(pid) = read.ok().and_then(|_| text.trim().parse::<u32>().ok()) else {
        return "another process".to_owned();
    };
    match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("process {pid} ({})", name.trim()),
        Err(_) => format!("process {pid}"),
    }
}
