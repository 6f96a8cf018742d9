//! The `ipmi` driver against peers, and against our simulator with faults.
//!
//! `peers` and `oracle` need programs from outside and are run by `conformance/ipmi/run`; `faults` runs with all
//! other tests, and its lines count there too.

mod check;
mod faults;
mod ipmitool;
mod oracle;
mod peers;
