//! Just enough of tar to write regular files: the ustar header of POSIX.1-2017 (pax, "ustar Interchange Format").
//!
//! Not here: reading (that is `tar`'s), names beyond 100 bytes, files beyond 8 GiB, links, owners, folders in folders.

use std::io::{self, Write};

/// Header and padding come in blocks.
const BLOCK: usize = 512;
/// Largest size that 11 octal digits hold.
const MAX_SIZE: u64 = (1 << 33) - 1;

/// An archive under way.
pub struct Archive<W: Write> {
    out: W,
    /// Bytes that the present file still has to bring.
    missing: u64,
    /// Padding after it.
    padding: usize,
    bytes: u64,
    names: Vec<String>,
}

impl<W: Write> Archive<W> {
    /// An empty one.
    pub fn new(out: W) -> Self {
        Self { out, missing: 0, padding: 0, bytes: 0, names: Vec::new() }
    }

    /// Begins a file of `size` bytes. `modified`: seconds since 1970.
    pub fn begin(&mut self, name: &str, size: u64, mode: u32, modified: u64) -> io::Result<()> {
        self.pad()?;
        // A folder is nobody else's either, whatever mask the one has who unpacks it.
        if let Some((folder, _)) = name.split_once('/')
            && !self.names.iter().any(|known| known.split_once('/').is_some_and(|(known, _)| known == folder))
        {
            self.out.write_all(&header(&format!("{folder}/"), b'5', 0, 0o700, modified)?)?;
        }
        self.out.write_all(&header(name, b'0', size, mode, modified)?)?;
        self.missing = size;
        self.padding = usize::try_from(size % BLOCK as u64).map_or(0, |over| (BLOCK - over) % BLOCK);
        self.names.push(name.to_owned());
        Ok(())
    }

    /// The next bytes of the present file.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.missing =
            self.missing.checked_sub(length).ok_or_else(|| wrong("a file is longer than it was said to be"))?;
        self.bytes = self.bytes.saturating_add(length);
        self.out.write_all(bytes)
    }

    /// The end: two empty blocks, and everything on disk.
    pub fn finish(&mut self) -> io::Result<()> {
        self.pad()?;
        if self.names.is_empty() {
            return Err(wrong("there is nothing in it"));
        }
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Names of all files.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    fn pad(&mut self) -> io::Result<()> {
        if self.missing > 0 {
            return Err(wrong("a file is shorter than it was said to be"));
        }
        let padding = vec![0; std::mem::take(&mut self.padding)];
        self.out.write_all(&padding)
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// One block. Fields are at the offsets of the standard's table; numbers are octal text.
fn header(name: &str, kind: u8, size: u64, mode: u32, modified: u64) -> io::Result<[u8; BLOCK]> {
    if name.is_empty() || name.len() > 100 || name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return Err(wrong("a file's name is nothing that belongs into a backup"));
    }
    if size > MAX_SIZE {
        return Err(wrong("a file is larger than tar's first format can say (8 GiB)"));
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        for (to, from) in block.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    };
    put(0, name.as_bytes());
    put(100, format!("{:07o}\0", mode & 0o777).as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{:011o}\0", modified.min(MAX_SIZE)).as_bytes());
    // The checksum is made with blanks in its own place.
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    for (to, from) in block.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").into_bytes()) {
        *to = from;
    }
    Ok(block)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, process::Command};

    use super::*;

    #[test]
    fn tar_unpacks_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = Archive::new(Vec::new());
        archive.begin("rackfish.db", 700, 0o600, 1_700_000_000).unwrap();
        archive.write_all(&[7; 300]).unwrap();
        archive.write_all(&[8; 400]).unwrap();
        archive.begin("tls/ca.pem", 512, 0o644, 0).unwrap();
        archive.write_all(&[9; 512]).unwrap();
        archive.begin("first-password", 0, 0o600, 0).unwrap();
        archive.finish().unwrap();
        assert_eq!((archive.bytes(), archive.names().len()), (1_212, 3));
        let file = dir.path().join("a.tar");
        std::fs::write(&file, &archive.out).unwrap();
        let status = Command::new("tar").arg("-xpf").arg(&file).arg("-C").arg(dir.path()).status().unwrap();
        assert!(status.success());
        let db = std::fs::read(dir.path().join("rackfish.db")).unwrap();
        assert_eq!((db.len(), db.first(), db.last()), (700, Some(&7), Some(&8)));
        assert_eq!(std::fs::read(dir.path().join("tls/ca.pem")).unwrap(), [9; 512]);
        let mode = |name| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("rackfish.db"), mode("tls"), mode("tls/ca.pem")), (0o600, 0o700, 0o644));
    }

    #[test]
    fn what_does_not_fit_its_header_is_an_error() {
        let mut archive = Archive::new(Vec::new());
        assert!(archive.finish().is_err(), "empty");
        for name in ["", "/etc/passwd", "../up", "a/../../b", &"x".repeat(101)] {
            assert!(archive.begin(name, 0, 0o600, 0).is_err(), "{name}");
        }
        assert!(archive.begin("large", MAX_SIZE + 1, 0o600, 0).is_err());
        archive.begin("a", 2, 0o600, 0).unwrap();
        assert!(archive.write_all(&[0; 3]).is_err());
        archive.write_all(&[0; 1]).unwrap();
        assert!(archive.begin("b", 0, 0o600, 0).is_err(), "a byte is missing");
        assert!(archive.finish().is_err());
    }
}
