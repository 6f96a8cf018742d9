//! Faces: each translates requests into one fleet operation and results into its own wire form.

pub mod boot_hint;
mod connections;
pub mod delivery;
pub mod doors;
pub mod operations;
mod plain_http;
pub mod redfish;
pub mod restart;
pub mod server;
pub mod ssdp;
pub mod tls;
