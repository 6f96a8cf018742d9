//! PDUs that speak SNMP: outlets are switched by a SET and tell their state in a table.
//!
//! * `family` and `models/*.toml`: what is particular to a PDU family is data, not code.
//! * `settings`: an endpoint's keys.
//! * `session` and `usm`: one exchange with an agent, versions 1, 2c and 3.
//! * `reader`: many objects in few packets.
//! * `driver`: the conversation; `convert`: what values and errors mean.
//!
//! Not here: waiting for a relay, off-wait-on, retries; those are the fleet's. No device's own reboot is used: APC's
//! leaves an outlet off that was off.

use std::{any::Any, sync::Arc};

mod convert;
mod driver;
mod family;
#[doc(hidden)]
pub(crate) mod fuzz;
mod reader;
mod session;
mod settings;
mod usm;

#[cfg(test)]
mod tests;

pub use driver::DEVICE_UNIT;

use super::{Driver, DriverKind, Pace, SettingsError, Setup};
use crate::model::{Caps, Unit};

/// Registration.
pub static KIND: DriverKind = DriverKind {
    name: "snmp-pdu",
    summary: "PDU outlets over SNMP 1, 2c or 3: known families, or any table described in the configuration",
    secrets: &["community", "write_community", "auth_key", "priv_key"],
    files: &["model_file"],
    parse,
};

/// Families that come with the program, name and what it is for, in the order in which they are tried at an unknown
/// device: newer devices answer the tables of older ones too.
pub fn families() -> Vec<(String, String)> {
    let mut known: Vec<_> = family::embedded().map(|(_, family)| family).collect();
    known.sort_by_key(|f| f.try_order);
    known.into_iter().map(|f| (f.name.clone(), f.title.clone())).collect()
}

fn parse(table: &toml::Table) -> Result<Arc<dyn Setup>, Vec<SettingsError>> {
    settings::parse(table).map(|s| -> Arc<dyn Setup> { Arc::new(Pdu(Arc::new(s))) })
}

/// A configured PDU.
#[derive(Debug)]
struct Pdu(Arc<settings::Settings>);

impl Setup for Pdu {
    fn driver(&self) -> &'static str {
        KIND.name
    }

    fn address(&self) -> String {
        self.0.to_string()
    }

    fn connect(&self) -> Box<dyn Driver> {
        Box::new(driver::Conversation::new(Arc::clone(&self.0)))
    }

    fn presumed(&self, unit: &Unit) -> Option<Caps> {
        let family = &self.0.family;
        let (outlets, device) = driver::presumed_meters(family);
        if unit.as_str() == DEVICE_UNIT {
            return Some(driver::caps(family, unit, device));
        }
        let index = family.outlets.index(unit)?;
        let last = self.0.outlets.map(|count| family.outlets.first.saturating_add(count));
        if let (Some(end), [number]) = (last, index.as_slice())
            && *number >= end
        {
            return None;
        }
        Some(driver::caps(family, unit, outlets))
    }

    fn pace(&self) -> Pace {
        Pace {
            // Agents of PDUs are small, and drop what they have no time for.
            retries: 3,
            ..Pace::default()
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
