//! Driver `redfish`: one BMC that speaks Redfish (DSP0266) is the host of a node.
//!
//! | file | what |
//! | --- | --- |
//! | `settings` | what the configuration says, checked |
//! | `http` | one exchange: bounded, and never with another host |
//! | `clients` | HTTP clients, shared by endpoints that trust the same |
//! | `trust` | certificates: a CA's, one by its fingerprint, or none |
//! | `session` | a session's token, used again and given back; Basic where there are no sessions |
//! | `faults` | what failures and status codes mean to the waist |
//! | `site` | where things are on this BMC, found by its links |
//! | `driver` | the `Driver` contract |
//! | `power`, `boot`, `sensors`, `log`, `media` | one aspect each; `write`: PATCH with ETags, tasks |
//!
//! Not here: what bodies mean (`wire::redfish`), retries, pacing and verification (the fleet's worker).

mod boot;
mod clients;
mod driver;
mod faults;
mod http;
mod log;
mod media;
mod power;
mod sensors;
mod session;
mod settings;
mod site;
mod trust;
mod write;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::{any::Any, sync::Arc, time::Duration};

use super::{Driver, DriverKind, Pace, SettingsError, Setup};
use crate::model::{Caps, Unit};

/// Registration.
pub static KIND: DriverKind = DriverKind {
    name: "redfish",
    summary: "a BMC, Redfish over HTTPS",
    secrets: &["password"],
    files: &["ca_file"],
    parse,
};

fn parse(table: &toml::Table) -> Result<Arc<dyn Setup>, Vec<SettingsError>> {
    settings::parse(table).map(|s| -> Arc<dyn Setup> { Arc::new(Bmc(Arc::new(s))) })
}

/// A configured BMC.
#[derive(Debug)]
struct Bmc(Arc<settings::Settings>);

impl Setup for Bmc {
    fn driver(&self) -> &'static str {
        KIND.name
    }

    fn address(&self) -> String {
        self.0.to_string()
    }

    fn connect(&self) -> Box<dyn Driver> {
        Box::new(driver::RedfishDriver::new(Arc::clone(&self.0)))
    }

    fn presumed(&self, unit: &Unit) -> Option<Caps> {
        (unit.as_str() == Unit::HOST).then(driver::presumed_caps)
    }

    fn pace(&self) -> Pace {
        // The BMC itself sees to it that a host stays off long enough. A look is an HTTP exchange, and BMCs are slow.
        Pace { off_time: Duration::ZERO, verify_every: Duration::from_secs(1), ..Pace::default() }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
