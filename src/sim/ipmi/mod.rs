//! Simulated BMCs: RMCP+ over real sockets, with faults to inject.
//!
//! | file | what |
//! | --- | --- |
//! | `config` | how a BMC is set up, the faults it can be told to have, what it counts |
//! | `machine` | the host behind it: mains, power, boot flags, light; pure, with the time as an argument |
//! | `data` | sensors, FRU data, log |
//! | `sessions` | logins and sessions, the BMC's side |
//! | `commands` | what every command answers |
//! | `bmc` | one BMC: a datagram in, datagrams out; the handle that tests and demos hold |
//! | `rack`, `pktinfo` | sockets: many BMCs on one (one loopback address each), or one on its own |
//! | `cli` | `rackfish sim ipmi` |
//!
//! It shares the codec with the driver and therefore its mistakes: `ipmitool` is what proves it right
//! (`conformance/ipmi`).

mod bmc;
pub mod cli;
mod commands;
mod config;
mod data;
mod machine;
mod pktinfo;
mod rack;
mod sessions;

pub use bmc::{Bmc, Outgoing};
pub use config::{BmcConfig, Faults, RestorePolicy, Stats, User};
pub use rack::{Rack, Served};

#[cfg(test)]
mod tests;
