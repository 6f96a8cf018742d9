//! Byte codecs: no I/O, no async, no clock. Every decoder is bounded and never panics on outside data. Where a library
//! takes the bytes apart (`redfish`: JSON), what the answers mean.

pub mod device_bus;
pub mod ipmi;
pub mod jose;
pub mod ldap;
pub mod redfish;
pub mod snmp;
