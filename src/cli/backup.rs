//! `rackfish backup FILE`: the state, consistent, while the service runs or not.
//!
//! The archive is a plain tar, so that a restore needs nothing but `tar`: the state file as one whole (a copy that
//! SQLite makes within one transaction, never the file under its writer's hands), the certificate and authority that
//! rackfish made, the first password if it is still in use. Configuration and its secrets are not part of it.
//! How to restore: `docs/operations.md`.

mod gather;
mod tar;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::{
    CliError, Exit,
    account::open_store,
    args::Reach,
    control::{
        client,
        wire::{Ask, BackupPart},
    },
    out::Out,
    service::decode,
};

pub use gather::gather;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The archive to write (tar); an older one of that name is replaced when the new one is complete
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(args: &BackupArgs) -> Result<(), CliError> {
    let failed = |error: &io::Error| {
        CliError::new("backup", Exit::Failed, format!("{} can't be written: {error}", args.file.display()))
    };
    let aside = beside(&args.file);
    let result = write(args, &aside, failed).and_then(|mut archive| {
        let kept = archive.finish().and_then(|()| fs::rename(&aside, &args.file));
        kept.map_err(|error| failed(&error)).map(|()| archive)
    });
    if result.is_err() {
        // Half an archive is worth nothing; what kept it from being whole is what is reported.
        fs::remove_file(&aside).ok();
    }
    let archive = result?;
    let mut out = Out::stdout(args.reach.json);
    if out.json {
        return Ok(out.document(&json!({ "file": args.file, "bytes": archive.bytes(), "parts": archive.names() }))?);
    }
    let parts = archive.names().join(", ");
    Ok(out.line(&format!("{}: {parts} ({} bytes)", args.file.display(), archive.bytes()))?)
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    file.with_file_name(name)
}

fn write(
    args: &BackupArgs,
    aside: &Path,
    failed: impl Fn(&io::Error) -> CliError,
) -> Result<tar::Archive<Whole>, CliError> {
    // Password hashes and keys are in it: for its owner's eyes only, from the first byte on.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside).map_err(|e| failed(&e))?;
    let mut archive = tar::Archive::new(Whole(file));
    let state_dir = args.reach.state_dir();
    let socket = super::control::socket(&state_dir);
    if client::is_served(&socket) {
        let mut wrong = None;
        client::ask(&socket, Ask::Backup, |item| {
            // An answer that makes no sense is told after the last line, as the error that it is.
            match decode::<BackupPart>(item) {
                Ok(part) => part.append_to(&mut archive),
                Err(failure) => {
                    wrong = Some(failure);
                    Ok(())
                }
            }
        })?;
        return match wrong {
            Some(failure) => Err(failure.into()),
            None => Ok(archive),
        };
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // An archive of an empty state would be taken for a good one.
        if !state_dir.join("rackfish.db").exists() {
            return Err(CliError::new(
                "backup",
                Exit::Failed,
                format!("there is no state in {}; name its folder with --state-dir", state_dir.display()),
            ));
        }
        let store = open_store(&state_dir)?;
        let (send, mut parts) = tokio::sync::mpsc::channel(4);
        let work = async {
            let result = gather(&*store, &state_dir, &send).await;
            drop(send);
            result
        };
        let collect = async {
            while let Some(part) = parts.recv().await {
                part.append_to(&mut archive).map_err(|e| failed(&e))?;
            }
            Ok::<(), CliError>(())
        };
        let (result, collected) = tokio::join!(work, collect);
        collected?;
        result.map_err(CliError::from)
    })?;
    Ok(archive)
}

/// A file that is on disk when it is said to be.
struct Whole(File);

impl io::Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        self.0.sync_all()
    }
}

impl BackupPart {
    fn append_to(&self, archive: &mut tar::Archive<impl io::Write>) -> io::Result<()> {
        match self {
            Self::File { name, size, mode, modified } => archive.begin(name, *size, *mode, *modified),
            Self::Bytes(text) => {
                let bytes = openssl::base64::decode_block(text).map_err(io::Error::other)?;
                archive.write_all(&bytes)
            }
        }
    }
}
