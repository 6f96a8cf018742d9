//! Simulated Redfish BMCs with virtual media: HTTPS over real sockets, with faults to inject.
//!
//! | file | what |
//! | --- | --- |
//! | `machine` | the host and its BMC: power, boot, light, slots; pure, with the time as an argument |
//! | `answer` | what every path and method answers |
//! | `serve` | sockets: one server, a loopback address for each BMC |
//! | `certificate` | the self-signed certificate that BMCs are shipped with |
//! | `cli` | `rackfish sim redfish-bmc` |
//!
//! It is small on purpose: one System, one Chassis, one Manager, Basic authentication. No image is ever fetched: one is
//! in a slot from a moment after it was inserted until it is ejected, and the host starts from it if it is told to.
//! sushy and DMTF's tools see it only through rackfish; that driver `redfish` does with real services what it does with
//! this one is what `conformance/southbound` is for.

mod answer;
mod certificate;
pub mod cli;
mod machine;
mod serve;

pub use machine::{BmcConfig, Faults, Stats};
pub use serve::{Bmc, Rack};

#[cfg(test)]
mod tests;
