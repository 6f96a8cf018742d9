//! What a backup consists of, part by part, as it goes over the control socket.

use std::{
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::{Mutex, mpsc::Sender};

use crate::{
    cli::{
        control::wire::BackupPart,
        exit::{Exit, Failure},
    },
    store::Store,
};

/// Bytes of a piece: its base64 is well below the longest line of the control protocol.
const PIECE: usize = 1 << 20;
/// Largest file taken along besides the state file: keys and certificates have a few kilobytes.
const MAX_SMALL: u64 = 1 << 20;
/// Files besides the state file, as made by `api::tls` and `auth`; those that are not there are left out.
const SMALL: &[&str] = &[
    "tls/ca.pem",
    "tls/ca-key.pem",
    "tls/cert.pem",
    "tls/key.pem",
    "tls/replaced.pem",
    "tls/requested-key.pem",
    "tls/client-ca.pem",
    "first-password",
];

/// Name of the copy that is made for the time of a backup. In the state folder: it is the one place where the service
/// may write, and its owner's alone.
const COPY: &str = "rackfish.db.backup";

/// One at a time: the copy has one name, so that what a crash leaves of it is replaced by the next.
static ONE: Mutex<()> = Mutex::const_new(());

/// Sends all parts, the state file first. Ends early when nobody takes them any more.
pub async fn gather(store: &dyn Store, state_dir: &Path, out: &Sender<BackupPart>) -> Result<(), Failure> {
    let _one = ONE.lock().await;
    let copy = Copied(state_dir.join(COPY));
    store.backup(&copy.0).await.map_err(|e| failure(&e.to_string()))?;
    send(&copy.0, "rackfish.db", u64::MAX, out).await?;
    drop(copy);
    for name in SMALL {
        send(&state_dir.join(name), name, MAX_SMALL, out).await?;
    }
    Ok(())
}

/// Removes the copy, also when the client goes away in the middle.
struct Copied(PathBuf);

impl Drop for Copied {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %self.0.display(), "what a backup needed for a moment can't be removed");
        }
    }
}

fn failure(text: &str) -> Failure {
    Failure::new("backup", Exit::Failed, text)
}

/// Sends one file; false: it is not there.
async fn send(path: &Path, name: &str, most: u64, out: &Sender<BackupPart>) -> Result<bool, Failure> {
    let say = |error: io::Error| failure(&format!("{} can't be read: {error}", path.display()));
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(say(error)),
    };
    let meta = file.metadata().map_err(say)?;
    if !meta.is_file() || meta.len() > most {
        return Err(failure(&format!("{} is not the file that belongs there", path.display())));
    }
    let modified = meta.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let gone = |_| failure("the client is gone");
    let head = BackupPart::File {
        name: name.to_owned(),
        size: meta.len(),
        mode: meta.mode() & 0o777,
        modified: modified.unwrap_or(Duration::ZERO).as_secs(),
    };
    out.send(head).await.map_err(gone)?;
    // What is appended meanwhile is not part of it, and less than announced is an error of the archive.
    let mut left = file.take(meta.len());
    loop {
        let (piece, rest) = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::with_capacity(PIECE);
            let read = (&mut left).take(PIECE as u64).read_to_end(&mut piece);
            (read.map(|_| piece), left)
        })
        .await
        .map_err(|e| failure(&format!("reading was cut short: {e}")))?;
        left = rest;
        let piece = piece.map_err(say)?;
        if piece.is_empty() {
            return Ok(true);
        }
        out.send(BackupPart::Bytes(openssl::base64::encode_block(&piece))).await.map_err(gone)?;
    }
}
