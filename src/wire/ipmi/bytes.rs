//! Reading outside data without a chance to panic.

/// Why bytes are not what they should be. Carries the name of the thing that was being read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Ended too soon.
    #[error("{what}: too short, {missing} more bytes are needed")]
    Short {
        /// What was being read.
        what: &'static str,
        /// How many bytes are missing.
        missing: usize,
    },
    /// A field has a value that can't be.
    #[error("{what}: unexpected value 0x{value:02x}")]
    Value {
        /// Which field.
        what: &'static str,
        /// What it held.
        value: u32,
    },
    /// A checksum does not match.
    #[error("{0}: wrong checksum")]
    Checksum(&'static str),
    /// An integrity code, a pad or the cipher does not match the session's keys.
    #[error("{0}: fails the integrity check")]
    Integrity(&'static str),
}

/// A cursor over outside data.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// Starts to read `data`; `what` names it in errors.
    pub fn new(what: &'static str, data: &'a [u8]) -> Self {
        Self { what, rest: data }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| Malformed::Short { what: self.what, missing: count.saturating_sub(self.rest.len()) })?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| Malformed::Short { what: self.what, missing: N.saturating_sub(self.rest.len()) })?;
        self.rest = tail;
        Ok(*head)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let [value] = self.array()?;
        Ok(value)
    }

    /// The next two bytes, least significant first as everywhere in IPMI.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// The next three bytes, least significant first.
    pub fn u24(&mut self) -> Result<u32, Malformed> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    /// The next four bytes, least significant first.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Leaves out `count` bytes.
    pub fn skip(&mut self, count: usize) -> Result<(), Malformed> {
        self.take(count).map(|_| ())
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes what has not been read.
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}

/// IPMI's checksum: makes the sum of `data` and it zero.
pub(super) fn checksum(data: &[u8]) -> u8 {
    data.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte))
}
