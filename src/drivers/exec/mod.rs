//! Driver `exec`: units that the site's own commands switch and tell. For what speaks no protocol that rackfish knows:
//! a relay board with a program of its own, a lab's script, a vendor's tool.
//!
//! * `settings`: an endpoint's keys.
//! * `commands`: argument lists with their placeholders; what a status command has said.
//! * `driver`: the conversation. There is nothing to open, to log in to or to close.
//!
//! Not here: running a program with bounds (`crate::process`); retries, verification, off-wait-on (the fleet's).

mod commands;
mod driver;
mod settings;

#[cfg(test)]
mod tests;

use std::{any::Any, sync::Arc, time::Duration};

use super::{Driver, DriverKind, Pace, SettingsError, Setup};
use crate::model::{Caps, Unit};

/// Registration.
pub static KIND: DriverKind = DriverKind {
    name: "exec",
    summary: "units switched by commands of one's own: on, off, and optionally cycle and status",
    secrets: &["secrets.*"],
    files: &[],
    parse,
};

fn parse(table: &toml::Table) -> Result<Arc<dyn Setup>, Vec<SettingsError>> {
    settings::parse(table).map(|s| -> Arc<dyn Setup> { Arc::new(Commands(Arc::new(s))) })
}

/// A configured endpoint.
#[derive(Debug)]
struct Commands(Arc<settings::Settings>);

impl Setup for Commands {
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
        self.0.units.contains(unit).then(|| driver::caps(&self.0))
    }

    fn pace(&self) -> Pace {
        // Every look starts a program.
        Pace { verify_every: Duration::from_secs(1), ..Pace::default() }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
