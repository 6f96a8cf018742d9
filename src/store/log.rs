//! Looks through SQLite's write-ahead log before SQLite does (<https://sqlite.org/fileformat.html>, 4.1 and 4.2).
//!
//! SQLite reads a log up to the first frame whose checksum is wrong: after a power loss that is where the log ends. When
//! whole frames of the same log follow, it is no end but a hole: bits have flipped, and what was acknowledged behind it
//! would be lost without a word. The last transaction can't be told from one that was cut; all others can.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

const HEADER: usize = 32;
const FRAME: usize = 24;
/// First word; the lowest bit says that checksums are reckoned with big-endian words.
const MAGIC: u32 = 0x377f_0682;
/// Largest page of SQLite.
const LARGEST: u32 = 65_536;

/// The checksum as far as it has been reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum(u32, u32);

impl Sum {
    fn over(mut self, bytes: &[u8], big: bool) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |bytes: [u8; 4]| if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        for pair in words.as_chunks::<2>().0 {
            let [first, second] = *pair;
            self.0 = self.0.wrapping_add(word(first)).wrapping_add(self.1);
            self.1 = self.1.wrapping_add(word(second)).wrapping_add(self.0);
        }
        self
    }
}

/// The big-endian words of a header.
fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut out = [0; N];
    for (word, chunk) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*chunk);
    }
    out
}

/// Where the log is damaged, as the number of good bytes before; `None`: it is whole, empty, absent, or cut.
pub(super) fn examine(path: &Path) -> io::Result<Option<u64>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    look(BufReader::with_capacity(1 << 16, file))
}

fn look(mut log: impl Read) -> io::Result<Option<u64>> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(Some(0));
    }
    if header == [0; HEADER] {
        // Made right before the power went: nothing of it was ever acknowledged.
        return Ok(None);
    }
    let [magic, _, page, _, salt_1, salt_2, sum_1, sum_2] = words(&header);
    let big = magic & 1 == 1;
    let (counted, _) = header.split_at(FRAME);
    let mut written = Sum(sum_1, sum_2);
    let known = magic & !1 == MAGIC && page.is_power_of_two() && (512..=LARGEST).contains(&page);
    if !known || Sum::default().over(counted, big) != written {
        return Ok(Some(0));
    }
    let mut reckoned = written;
    let mut frame = vec![0; FRAME + usize::try_from(page).unwrap_or(0)];
    let length = u64::try_from(frame.len()).unwrap_or(0);
    let (mut at, mut hole) = (u64::try_from(HEADER).unwrap_or(0), None);
    while fill(&mut log, &mut frame)? {
        let (head, data) = frame.split_at(FRAME);
        let [_, commit, own_1, own_2, sum_1, sum_2] = words(head);
        let (counted, _) = head.split_at(8);
        let sum = |before: Sum| before.over(counted, big).over(data, big);
        let said = Sum(sum_1, sum_2);
        let ours = (own_1, own_2) == (salt_1, salt_2);
        // Either of the two may be what the flipped bit has spoilt: the frame before, or the checksum in it.
        let good = ours && (sum(written) == said || sum(reckoned) == said);
        match hole {
            None if !good => hole = Some(at),
            Some(_) if good && commit != 0 => return Ok(hole),
            _ => {}
        }
        reckoned = sum(reckoned);
        written = said;
        at += length;
    }
    Ok(None)
}

/// Whether the buffer could be filled: false at the end.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::*;

    /// A log of some transactions, as a kill leaves it, and the size of its frames.
    fn log() -> (Vec<u8>, usize) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)").unwrap();
        for n in 0..40 {
            connection.execute("INSERT INTO t VALUES (?1)", [format!("{n:0900}")]).unwrap();
        }
        (fs::read(dir.path().join("a.db-wal")).unwrap(), 4096 + FRAME)
    }

    #[test]
    fn a_whole_log_and_one_that_was_cut_are_good() {
        let (whole, frame) = log();
        assert!(whole.len() > HEADER + 40 * frame);
        assert_eq!(look(&*whole).unwrap(), None);
        for length in [HEADER, HEADER + 1, HEADER + frame, HEADER + 5 * frame + 100, whole.len() - 1] {
            assert_eq!(look(&whole[..length]).unwrap(), None, "{length}");
        }
        assert_eq!(examine(Path::new("/nowhere/at/all")).unwrap(), None);
    }

    #[test]
    fn older_frames_behind_the_end_are_no_hole() {
        let (mut bytes, frame) = log();
        // As after a restart of the log: salts of before from there on.
        for start in (HEADER + 10 * frame..bytes.len()).step_by(frame) {
            bytes[start + 8] ^= 0x55;
        }
        assert_eq!(look(&*bytes).unwrap(), None);
    }

    #[test]
    fn a_flipped_bit_is_found_wherever_it_is() {
        let (whole, frame) = log();
        let behind = whole.len() - 4 * frame;
        for at in (0..behind).step_by(211).chain(0..HEADER + FRAME).chain(HEADER + frame..HEADER + frame + FRAME) {
            let mut bent = whole.clone();
            bent[at] ^= 0x10;
            let found = look(&*bent).unwrap();
            let start = if at < HEADER { 0 } else { HEADER + (at - HEADER) / frame * frame };
            assert_eq!(found, Some(u64::try_from(start).unwrap()), "byte {at}");
        }
        assert_eq!(look(&whole[..10]).unwrap(), Some(0));
    }
}
