//! The IPMI LAN message: addresses, checksums, sequence (IPMI 2.0, 13.8).

use super::{Bytes, Malformed, bytes::checksum};

/// Address of a BMC.
pub const BMC: u8 = 0x20;
/// Software id of a remote console.
pub const CONSOLE: u8 = 0x81;

/// A LAN message of either direction. In a request `to` is the responder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanMessage<'a> {
    /// Receiver's address.
    pub to: u8,
    /// Receiver's LUN, 0 to 3.
    pub to_lun: u8,
    /// Network function, 0 to 63: even in requests, odd in answers.
    pub netfn: u8,
    /// Sender's address.
    pub from: u8,
    /// Sender's LUN, 0 to 3.
    pub from_lun: u8,
    /// Request sequence, 0 to 63.
    pub sequence: u8,
    /// Command.
    pub command: u8,
    /// Data; an answer's begins with the completion code.
    pub data: &'a [u8],
}

impl<'a> LanMessage<'a> {
    /// Takes the message in `bytes` apart and checks both checksums.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "IPMI LAN message";
        let mut reader = Bytes::new(WHAT, bytes);
        let head: [u8; 3] = reader.array()?;
        if checksum(&head) != 0 {
            return Err(Malformed::Checksum(WHAT));
        }
        if checksum(reader.rest()) != 0 {
            return Err(Malformed::Checksum(WHAT));
        }
        let [to, netfn, _] = head;
        let [from, sequence, command] = reader.array()?;
        let (_, data) = reader.rest().split_last().ok_or(Malformed::Short { what: WHAT, missing: 1 })?;
        Ok(Self {
            to,
            to_lun: netfn & 3,
            netfn: netfn >> 2,
            from,
            from_lun: sequence & 3,
            sequence: sequence >> 2,
            command,
            data,
        })
    }

    /// The message as bytes, with checksums.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(7 + self.data.len());
        out.extend_from_slice(&[self.to, self.netfn << 2 | self.to_lun & 3]);
        out.push(checksum(&out));
        let body = [self.from, self.sequence << 2 | self.from_lun & 3, self.command];
        out.extend_from_slice(&body);
        out.extend_from_slice(self.data);
        out.push(checksum(out.get(3..).unwrap_or_default()));
        out
    }

    /// A console's request to the BMC.
    pub fn request(netfn: u8, lun: u8, sequence: u8, command: u8, data: &'a [u8]) -> Self {
        Self { to: BMC, to_lun: lun, netfn, from: CONSOLE, from_lun: 0, sequence: sequence & 0x3f, command, data }
    }

    /// The answer to `self`; `data` begins with the completion code.
    pub fn answer<'b>(&self, data: &'b [u8]) -> LanMessage<'b> {
        LanMessage {
            to: self.from,
            to_lun: self.from_lun,
            netfn: self.netfn | 1,
            from: self.to,
            from_lun: self.to_lun,
            sequence: self.sequence,
            command: self.command,
            data,
        }
    }

    /// Whether `self` is the answer to `request`. Addresses and LUNs are not compared: BMCs fill them as they
    /// like.
    pub fn answers(&self, request: &LanMessage<'_>) -> bool {
        self.netfn == request.netfn | 1 && self.command == request.command && self.sequence == request.sequence
    }
}
