//! The `snmp-pdu` driver against other people's agents, and other people's tools against the simulated PDU.
//!
//! All of it needs programs from outside (net-snmp, snmpsim): `conformance/snmp/run` starts them and runs these.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod check;
mod oracle;
mod proxy;
mod simulated;
mod snmpd;
mod snmpsim;
