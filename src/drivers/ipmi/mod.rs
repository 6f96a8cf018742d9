//! Driver `ipmi`: one BMC, IPMI 2.0 over LAN with RMCP+ (suites 17 and 3).
//!
//! | file | what |
//! | --- | --- |
//! | `settings` | what the configuration says, checked |
//! | `login` | Open Session, RAKP 1 to 4, fall-back from suite 17 to 3 |
//! | `session` | one exchange: send, match the answer, time out |
//! | `faults` | what failures and completion codes mean to the waist |
//! | `driver` | the `Driver` contract: dispatch, and when a new login is due |
//! | `power`, `boot`, `sensors`, `repository`, `inventory`, `log` | one aspect each |
//!
//! Not here: bytes (`wire::ipmi`), retries, pacing and verification (the fleet's worker).

mod boot;
mod driver;
mod faults;
mod inventory;
mod log;
mod login;
mod power;
mod repository;
mod sensors;
mod session;
mod settings;

pub use settings::IpmiSetup;

use super::DriverKind;

/// The registration.
pub static KIND: DriverKind = DriverKind {
    name: "ipmi",
    summary: "a BMC, IPMI 2.0 over LAN (RMCP+)",
    secrets: &["password", "kg"],
    files: &[],
    parse: settings::parse,
};

#[cfg(test)]
mod tests;
