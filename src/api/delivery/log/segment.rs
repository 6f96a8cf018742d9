//! One file of the log: a header line, then a line for each event, each with its checksum.
//!
//! ```text
//! rackfish-events 1 after=41 boot=6f1c...
//! 9ae0daaf {"i":42,...}
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};

use super::super::record::Record;

const MAGIC: &str = "rackfish-events 1";
/// Longest line that is read: a record has some hundred bytes.
const MAX_LINE: u64 = 256 * 1024;
const ENDING: &str = ".log";

/// A file of the log, as it is known without being read.
#[derive(Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    /// The last event before its first one.
    pub after: u64,
    /// Id of its first event; the others follow without a gap.
    pub first: u64,
    /// Where each event's line begins.
    pub starts: Vec<u64>,
    /// Bytes that are good.
    pub len: u64,
    /// The machine's start (`boot_id`) in which it was written.
    pub boot: String,
}

/// What was found in a file.
pub(super) struct Found {
    pub segment: Segment,
    pub records: Vec<Record>,
    /// Its end makes no sense: cut off by a kill or spoilt.
    pub damaged: bool,
}

impl Segment {
    /// Makes a new file.
    pub fn create(dir: &Path, first: u64, after: u64, boot: &str) -> io::Result<(Self, File)> {
        let path = dir.join(format!("{first:020}{ENDING}"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        let header = format!("{MAGIC} after={after} boot={boot}\n");
        if let Err(error) = file.write_all(header.as_bytes()) {
            // An empty file would be a damaged one at the next start.
            fs::remove_file(&path).ok();
            return Err(error);
        }
        let len = u64::try_from(header.len()).unwrap_or(0);
        Ok((Self { path, after, first, starts: Vec::new(), len, boot: boot.to_owned() }, file))
    }

    /// The id of its last event.
    pub fn last(&self) -> u64 {
        self.first.saturating_add(self.count()).saturating_sub(1)
    }

    /// Events in it.
    pub fn count(&self) -> u64 {
        u64::try_from(self.starts.len()).unwrap_or(u64::MAX)
    }

    /// Whether the event is in it.
    pub fn has(&self, id: u64) -> bool {
        !self.starts.is_empty() && (self.first..=self.last()).contains(&id)
    }

    /// Appends a record in one write: a kill leaves all or nothing of it behind.
    pub fn append(&mut self, file: &mut File, record: &Record) -> io::Result<()> {
        let line = line(record)?;
        if let Err(error) = file.write_all(line.as_bytes()) {
            // A part may have got through.
            file.set_len(self.len).ok();
            file.seek(SeekFrom::Start(self.len)).ok();
            return Err(error);
        }
        self.starts.push(self.len);
        self.len = self.len.saturating_add(u64::try_from(line.len()).unwrap_or(0));
        Ok(())
    }

    /// Which bytes hold the events after `after`, at most `max` of them: the file, where, and how many bytes.
    pub fn part(&self, after: u64, max: usize) -> (PathBuf, u64, u64) {
        let skip = usize::try_from(after.saturating_add(1).saturating_sub(self.first)).unwrap_or(usize::MAX);
        let start = self.starts.get(skip).copied().unwrap_or(self.len);
        let end = self.starts.get(skip.saturating_add(max)).copied().unwrap_or(self.len);
        (self.path.clone(), start, end.saturating_sub(start))
    }
}

/// The files of a folder, oldest first.
pub(super) fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let named = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(ENDING));
        if named.is_some_and(|n| n.len() == 20 && n.bytes().all(|b| b.is_ascii_digit())) {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// Reads a whole file. `None`: not even its header makes sense.
pub(super) fn load(path: &Path) -> io::Result<Option<Found>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = String::new();
    let mut next = |line: &mut String| -> io::Result<bool> {
        line.clear();
        match (&mut reader).take(MAX_LINE).read_line(line) {
            Ok(0) => Ok(false),
            Ok(_) => Ok(true),
            // Bytes that are no text: damage, which the checks below find.
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(true),
            Err(e) => Err(e),
        }
    };
    if !next(&mut line)? {
        return Ok(None);
    }
    let Some((after, boot)) = header(&line) else { return Ok(None) };
    let mut len = u64::try_from(line.len()).unwrap_or(0);
    let (mut records, mut starts): (Vec<Record>, Vec<u64>) = (Vec::new(), Vec::new());
    let mut damaged = false;
    while next(&mut line)? {
        let follows = |r: &Record| records.last().is_none_or(|last| r.id == last.id + 1);
        let Some(record) = parse(&line).filter(follows) else {
            damaged = true;
            break;
        };
        starts.push(len);
        len = len.saturating_add(u64::try_from(line.len()).unwrap_or(0));
        records.push(record);
    }
    let first = records.first().map_or(after.saturating_add(1), |r| r.id);
    Ok(Some(Found { segment: Segment { path: path.to_owned(), after, first, starts, len, boot }, records, damaged }))
}

/// Reads a part of a file that [`Segment::part`] named.
pub(super) fn read_part((path, start, len): &(PathBuf, u64, u64)) -> io::Result<Vec<Arc<Record>>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(*start))?;
    let mut text = String::new();
    file.take(*len).read_to_string(&mut text)?;
    Ok(text.split_inclusive('\n').map_while(parse).map(Arc::new).collect())
}

/// Reads single events that [`Segment::part`] named, file after file. What can't be read is left out.
pub(super) fn read_parts(parts: &[(PathBuf, u64, u64)]) -> Vec<Arc<Record>> {
    let mut all = Vec::new();
    for of_file in parts.chunk_by(|a, b| a.0 == b.0) {
        let Some(mut file) = of_file.first().and_then(|(path, ..)| File::open(path).ok()) else { continue };
        for (_, start, len) in of_file {
            let mut text = String::new();
            if file.seek(SeekFrom::Start(*start)).is_ok() && (&mut file).take(*len).read_to_string(&mut text).is_ok() {
                all.extend(parse(&text).map(Arc::new));
            }
        }
    }
    all
}

fn header(line: &str) -> Option<(u64, String)> {
    let rest = line.strip_suffix('\n')?.strip_prefix(MAGIC)?.strip_prefix(" after=")?;
    let (after, boot) = rest.split_once(" boot=")?;
    Some((after.parse().ok()?, boot.to_owned()))
}

fn line(record: &Record) -> io::Result<String> {
    let json = serde_json::to_string(record).map_err(io::Error::other)?;
    Ok(format!("{} {json}\n", sum(&json)))
}

fn parse(line: &str) -> Option<Record> {
    let (given, json) = line.strip_suffix('\n')?.split_once(' ')?;
    (given == sum(json)).then(|| serde_json::from_str(json).ok()).flatten()
}

/// Eight hexadecimal digits of a SHA-256: against flipped bits, not against people.
fn sum(json: &str) -> String {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(json.as_bytes()));
    format!("{a:02x}{b:02x}{c:02x}{d:02x}")
}
