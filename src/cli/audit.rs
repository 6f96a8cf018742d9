//! The audit file: who did what, one JSON object a line, for as long as somebody keeps it.
//!
//! It is opened anew at every reload, so that `logrotate` may move it away and send SIGHUP.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// The `target` of audit entries.
pub const TARGET: &str = "audit";

/// Where audit entries go when they have a file of their own. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AuditFile(Arc<Mutex<Option<File>>>);

impl AuditFile {
    /// Opens (or makes) the file; `None`: entries go to the normal log.
    pub fn open(&self, path: Option<&Path>) -> io::Result<()> {
        let file = match path {
            None => None,
            Some(path) => {
                let open = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
                Some(open.map_err(|e| io::Error::new(e.kind(), format!("audit_file {}: {e}", path.display())))?)
            }
        };
        *self.lock() = file;
        Ok(())
    }

    /// Whether entries have a file.
    pub fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for AuditFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.lock() {
            Some(file) => file.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for AuditFile {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_to_the_file_of_the_moment() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        let mut audit = AuditFile::default();
        audit.write_all(b"nowhere\n").unwrap();
        audit.open(Some(&first)).unwrap();
        audit.write_all(b"one\n").unwrap();
        std::fs::rename(&first, &second).unwrap();
        audit.open(Some(&first)).unwrap();
        audit.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&second).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(&first).unwrap(), "two\n");
        assert!(audit.open(Some(Path::new("/nonexistent/audit"))).unwrap_err().to_string().contains("audit_file"));
    }
}
