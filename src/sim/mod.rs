//! Simulators of devices, over real sockets, with faults to inject.

pub mod ipmi;
pub mod net;
pub mod redfish;
pub mod snmp;
