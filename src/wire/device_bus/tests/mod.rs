//! Bytes, numbers, readings, and dialogues. The frames were recorded from OpenDCRE 1.3, or made and read by its classes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod bytes;
mod dialogues;
mod robust;

use super::*;

/// `01 0a ...`
fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
