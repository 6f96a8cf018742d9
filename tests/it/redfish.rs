//! The Redfish face over HTTP, with the real fleet and accounts, on devices that exist in memory only.

#[path = "redfish/rack.rs"]
mod rack;
