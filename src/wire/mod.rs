//! Byte codecs: no I/O, no async, no clock. Every decoder is bounded and never panics on outside data.

pub mod ipmi;
pub mod redfish;
pub mod snmp;
