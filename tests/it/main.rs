//! Integration tests: one binary, a module for each subject.

mod snmp;
mod store;
mod tls;
