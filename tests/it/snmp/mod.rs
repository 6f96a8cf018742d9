//! The `snmp-pdu` driver against other people's agents and the simulated PDU, and other people's tools against that.
//!
//! `oracle`, `snmpd` and `snmpsim` need programs from outside: `conformance/snmp/run` starts them and runs these.
//! `driver`, `families` and `simulated` run with all other tests; the lines of `simulated` count in the suite too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod canned;
mod check;
mod driver;
mod families;
mod oracle;
mod proxy;
mod simulated;
mod snmpd;
mod snmpsim;
