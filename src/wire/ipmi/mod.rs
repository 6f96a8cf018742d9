//! IPMI 2.0 over LAN as bytes: RMCP, RMCP+ sessions, LAN messages, commands and the records they carry.
//!
//! Follows the IPMI specification v2.0 rev. 1.1 (chapters named in each file), DCMI 1.5 and the IPMI FRU storage
//! definition 1.0 rev. 1.3. Both directions are here: the driver and the simulator share the session codec.
//!
//! Not here: sockets, time-outs, sequence policy (`drivers::ipmi`), behaviour of a BMC (`sim::ipmi`).
//! The vocabulary of commands (`Message`, `IpmiCommand`, completion codes, names of events and sensor types) is
//! `ipmi-rs-core`'s; its SDR parsers and its sensor arithmetic are not used, because they panic on short records
//! and lose the sign of M.

mod bytes;
pub mod command;
mod crypto;
pub mod fru;
pub mod handshake;
pub mod lan;
pub mod rmcp;
pub mod sdr;
pub mod sel;
pub mod session;
mod text;
mod window;

pub use bytes::{Bytes, Malformed};
pub use crypto::{Auth, Confidentiality, Integrity, Keys, Suite, UserKey};
pub use text::decode_type_length;
pub use window::Window;

/// What IPMI's completion code byte means, in words for people.
pub fn completion_text(code: u8) -> String {
    use ipmi_rs_core::connection::CompletionErrorCode as Code;
    let words = match Code::try_from(code) {
        Err(()) => "success",
        Ok(Code::NodeBusy) => "node busy",
        Ok(Code::InvalidCommand) => "invalid command",
        Ok(Code::InvalidCommandForLun) => "invalid command for this LUN",
        Ok(Code::ProcessingTimeout) => "time-out while processing the command",
        Ok(Code::OutOfSpace) => "out of space",
        Ok(Code::ReservationCancelledOrInvalidId) => "reservation cancelled",
        Ok(Code::RequestDataTruncated) => "request data truncated",
        Ok(Code::RequestDataLenInvalid) => "request data length invalid",
        Ok(Code::RequestDataLengthLimitExceeded) => "request data field length limit exceeded",
        Ok(Code::ParameterOutOfRange) => "parameter out of range",
        Ok(Code::CannotReturnNumOfRequestedBytes) => "cannot return that many bytes",
        Ok(Code::RequestedDatapointNotPresent) => "requested sensor, data or record not present",
        Ok(Code::InvalidDataFieldInRequest) => "invalid data field in request",
        Ok(Code::CommandIllegalForSensorOrRecord) => "command illegal for this sensor or record",
        Ok(Code::ResponseUnavailable { .. }) => "no response could be given (starting up or in update)",
        Ok(Code::CannotExecuteDuplicateRequest) => "duplicated request",
        Ok(Code::DestinationUnavailable) => "destination unavailable",
        Ok(Code::InsufficientPrivilege) => "insufficient privilege",
        Ok(Code::CannotExecuteCommandInCurrentState) => "not possible in the present state",
        Ok(Code::SubFunctionDisabled) => "sub-function disabled",
        Ok(Code::Unspecified) => "unspecified error",
        Ok(Code::Oem(_)) => "maker's own error",
        Ok(Code::CommandSpecific(_)) => "error of this command",
        Ok(Code::Reserved(_)) => "reserved error code",
    };
    format!("{words} (completion code 0x{code:02x})")
}

#[cfg(test)]
mod tests;
