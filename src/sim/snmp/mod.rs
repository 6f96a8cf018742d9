//! Simulated SNMP PDUs: an agent (versions 1 and 2c) over the tables of three APC families, with relays that take
//! their time and faults to inject. Version 3 is left to third-party agents (`conformance/snmp`).
//!
//! * [`SimPdu`]: one PDU: relays, counters, faults. Tells who wants to know when an outlet's power changes.
//! * `table`: the objects of each family. `agent`: requests to answers, with the errors of each version.
//! * [`Agents`]: many PDUs behind one socket, each at its own address of 127.0.0.0/8.
//! * [`cli`]: `rackfish sim pdu`.

mod agent;
pub mod cli;
mod command;
mod faults;
mod pdu;
mod serve;
mod table;

#[cfg(test)]
mod tests;

pub use command::CommandError;
pub use faults::Faults;
pub use pdu::{Counters, OutletCounters, PduOptions, SimPdu};
pub use serve::Agents;
pub use table::SimFamily;
