//! Integration tests: one binary, a module for each subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod house;
mod ipmi;
mod plc_bus;
mod redfish;
mod snmp;
mod store;
mod tls;
