//! The bytes of a frame.
//!
//! Header 01, length (of all that follows but the trailer), sequence, device type, board (4), device (2), data,
//! checksum, trailer 04; big-endian. The checksum makes the sum of everything from the sequence on zero, modulo 256.
//! Nothing is escaped.

use super::NO_DEVICE;

/// First byte.
pub(super) const HEADER: u8 = 0x01;
/// Last byte.
const TRAILER: u8 = 0x04;
/// Type of a frame that is about no device.
pub(super) const NO_TYPE: u8 = 0xff;
/// Value of the length byte without data: sequence, type, board, device, checksum.
pub(super) const LEAST_LENGTH: u8 = 9;
/// Shortest frame.
pub const MIN_FRAME: usize = 12;
/// Longest frame: the length is one byte.
pub const MAX_FRAME: usize = 258;
/// Most data of a frame.
pub const MAX_DATA: usize = 246;

/// One frame, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Number of the request; its answer carries the same.
    pub sequence: u8,
    /// Code of the device type; FF where there is none.
    pub kind: u8,
    /// Board, with the flags of a broadcast.
    pub board: u32,
    /// Device; FFFF where there is none.
    pub device: u16,
    /// Command or answer; at most [`MAX_DATA`] bytes.
    pub data: Vec<u8>,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer than 12 bytes.
    #[error("cut short")]
    Short,
    /// It does not begin with 01.
    #[error("it does not begin with 01")]
    Header,
    /// The length byte doesn't fit the number of bytes.
    #[error("its length is wrong")]
    Length,
    /// Bytes were changed on their way.
    #[error("its checksum is wrong")]
    Checksum,
    /// It does not end with 04.
    #[error("it does not end with 04")]
    Trailer,
}

/// Data that no frame can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes of data are too many for a frame: at most {MAX_DATA}")]
pub struct TooLong(pub usize);

impl Frame {
    /// A frame about no device, as boards answer.
    pub fn answer(sequence: u8, data: Vec<u8>) -> Self {
        Self { sequence, kind: NO_TYPE, board: 0, device: NO_DEVICE, data }
    }

    /// Its bytes.
    pub fn encode(&self) -> Result<Vec<u8>, TooLong> {
        let length = u8::try_from(self.data.len()).ok().and_then(|n| n.checked_add(LEAST_LENGTH));
        let length = length.ok_or(TooLong(self.data.len()))?;
        let mut bytes = Vec::with_capacity(MIN_FRAME + self.data.len());
        bytes.extend([HEADER, length, self.sequence, self.kind]);
        bytes.extend(self.board.to_be_bytes());
        bytes.extend(self.device.to_be_bytes());
        bytes.extend(&self.data);
        bytes.push(checksum(bytes.get(2..).unwrap_or_default()));
        bytes.push(TRAILER);
        Ok(bytes)
    }

    /// Exactly one frame, checked in the order of the original: size, header, length, checksum, trailer.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() < MIN_FRAME {
            return Err(FrameError::Short);
        }
        let [header, length, inner @ .., sum, trailer] = bytes else { return Err(FrameError::Short) };
        if *header != HEADER {
            return Err(FrameError::Header);
        }
        if usize::from(*length) + 3 != bytes.len() {
            return Err(FrameError::Length);
        }
        if checksum(inner) != *sum {
            return Err(FrameError::Checksum);
        }
        if *trailer != TRAILER {
            return Err(FrameError::Trailer);
        }
        let [sequence, kind, b0, b1, b2, b3, d0, d1, data @ ..] = inner else { return Err(FrameError::Short) };
        Ok(Self {
            sequence: *sequence,
            kind: *kind,
            board: u32::from_be_bytes([*b0, *b1, *b2, *b3]),
            device: u16::from_be_bytes([*d0, *d1]),
            data: data.to_vec(),
        })
    }
}

/// Two's complement of the 8-bit sum.
pub(crate) fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}
