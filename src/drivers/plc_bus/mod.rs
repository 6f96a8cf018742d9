//! Driver `plc-bus`: power-line boards on a DC bus bar, behind a serial line (`wire::device_bus`). One endpoint is one
//! bus; a board is a unit (`0000000a`), and each of its devices is one (`0000000a/01ff`).
//!
//! * `settings`: an endpoint's keys.
//! * `port`: the serial line, a tty or the socket of a serial server; `lock`: the lock file that OpenDCRE knows.
//! * `bus`: one exchange at a time over them.
//! * `boards`: what a scan has found, and what units made of it can do.
//! * `driver`: the conversation; `read`: readings, identity and the rest, page by page.
//!
//! Not here: retries of commands, verification, off-wait-on (the fleet's). A power command goes out once: what came of it
//! is read.

mod boards;
mod bus;
mod driver;
mod lock;
mod port;
mod read;
mod settings;

#[cfg(test)]
mod tests;

use std::{any::Any, sync::Arc, time::Duration};

use super::{Driver, DriverKind, Pace, SettingsError, Setup};
use crate::model::{Caps, Unit};

/// Registration.
pub static KIND: DriverKind = DriverKind {
    name: "plc-bus",
    summary: "power-line boards on a DC bus bar, behind a serial line (OpenDCRE's device bus)",
    secrets: &[],
    files: &[],
    parse,
};

fn parse(table: &toml::Table) -> Result<Arc<dyn Setup>, Vec<SettingsError>> {
    settings::parse(table).map(|s| -> Arc<dyn Setup> { Arc::new(Line(Arc::new(s))) })
}

/// A configured bus.
#[derive(Debug)]
struct Line(Arc<settings::Settings>);

impl Setup for Line {
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
        let place = boards::Place::of(unit)?;
        let listed = self.0.boards.is_empty() || self.0.boards.contains(&place.board);
        listed.then(|| boards::presumed(&self.0, place))
    }

    fn pace(&self) -> Pace {
        // The wire takes milliseconds, a relay on a board no longer than the board's firmware.
        Pace { verify_every: Duration::from_millis(250), ..Pace::default() }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
