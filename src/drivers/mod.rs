//! The Driver contract and the registry of drivers.
//!
//! A driver speaks to ONE kind of device in straight-line code: no locks, no queue, no retries, no timers of its
//! own but the time-out of the exchange under way. It is owned by exactly one endpoint worker (`fleet::worker`),
//! which paces, retries, coalesces and verifies. It knows nothing of nodes, faces or other endpoints.
//!
//! Adding one: `docs/CONTRIBUTING.md`, "Add a driver".

mod bmc;
pub mod exec;
pub mod ipmi;
mod keys;
pub mod plc_bus;
pub mod redfish;
pub mod snmp_pdu;

use std::{any::Any, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::model::{Act, Aspect, Caps, Cursor, Done, Fault, Page, Unit};

/// A conversation with one endpoint.
///
/// Cancel safety: the worker never drops a future of `act` before it ends; futures of `observe` may be dropped,
/// after which the driver has to be usable (the worker may call `close` and `open` to be sure).
#[async_trait]
pub trait Driver: Send {
    /// Logs in, as far as the protocol has such a thing, and says which units there are and what they can do.
    /// Called again after a fault that leaves the session in doubt. A driver that cannot enumerate its units
    /// answers those it was told of in its settings.
    async fn open(&mut self) -> Result<Vec<(Unit, Caps)>, Fault>;

    /// Reads `aspect` of `units`: ONE exchange (a request and its answer, or a burst that the device answers as
    /// one). Long reads come in pages: call again with `Page::next`. Never retries.
    async fn observe(&mut self, aspect: &Aspect, units: &[Unit], at: Option<Cursor>) -> Result<Page, Fault>;

    /// Carries out `acts` and returns on acceptance; never waits for a relay. At most `Caps::batch` acts a call.
    /// One result for each act, in order. An act whose answer is lost is [`Fault::Uncertain`].
    async fn act(&mut self, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>>;

    /// Ends the session on the device (Close Session, log out). Never fails, bounded in time.
    async fn close(&mut self);

    /// How long the device had been up when it was last opened, if it told: what a loss of mains is known by.
    fn up(&self) -> Option<Duration> {
        None
    }
}

/// What a driver suggests to the worker for its kind of device; each can be overridden per endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// Between two polls of the power state.
    pub poll: Duration,
    /// Between two polls of sensors.
    pub poll_sensors: Duration,
    /// Smallest gap between the end of an exchange and the start of the next.
    pub min_gap: Duration,
    /// How often a failed read is tried again before it counts as failed.
    pub retries: u32,
    /// Between two looks at a unit that is expected to change.
    pub verify_every: Duration,
    /// Least time a unit stays off before it may be started again (belongs to the feed).
    pub off_time: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(30),
            poll_sensors: Duration::from_mins(1),
            min_gap: Duration::ZERO,
            retries: 2,
            verify_every: Duration::from_millis(500),
            off_time: Duration::from_secs(5),
        }
    }
}

/// The checked settings of one endpoint: what is known without asking the device, and how to reach it.
pub trait Setup: Send + Sync + fmt::Debug {
    /// Name of the driver, as in the configuration.
    fn driver(&self) -> &'static str;

    /// The device's address for people and logs: never a secret.
    fn address(&self) -> String;

    /// A new, unopened conversation.
    fn connect(&self) -> Box<dyn Driver>;

    /// What `unit` can presumably do, before the device was ever reached; `None`: there is no such unit
    /// (a text that is no outlet number, `host` of a PDU). Found by `rackfish check`.
    fn presumed(&self, unit: &Unit) -> Option<Caps>;

    /// What suits this kind of device.
    fn pace(&self) -> Pace;

    /// For downcasts in tests.
    fn as_any(&self) -> &dyn Any;
}

/// Settings that can't be used. `key` is a path below the endpoint (`version`, `columns.status`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingsError {
    /// The key that is wrong, if it is one.
    pub key: Option<String>,
    /// What is wrong and the way out.
    pub message: String,
}

impl SettingsError {
    /// An error of `key`.
    pub fn of(key: &str, message: impl Into<String>) -> Self {
        Self { key: Some(key.to_owned()), message: message.into() }
    }
}

/// Settings to setup, or ALL that is wrong with them.
pub type Parse = fn(&toml::Table) -> Result<Arc<dyn Setup>, Vec<SettingsError>>;

/// What a driver registers.
pub struct DriverKind {
    /// Name in the configuration (`driver = "..."`).
    pub name: &'static str,
    /// One line for `--help` and the docs.
    pub summary: &'static str,
    /// Keys that hold secrets: a literal value there is a warning of `rackfish check`. Dotted for keys of a table
    /// (`auth.password`); `table.*` is every key of a table.
    pub secrets: &'static [&'static str],
    /// Keys whose value names a file; relative ones are taken from the configuration file's folder.
    pub files: &'static [&'static str],
    /// Checks the endpoint's own keys (the common ones are already taken out, secrets are resolved to text) and
    /// returns ALL that is wrong.
    pub parse: Parse,
}

/// All drivers. A new one is one line here.
pub static DRIVERS: &[&DriverKind] = &[&exec::KIND, &ipmi::KIND, &plc_bus::KIND, &redfish::KIND, &snmp_pdu::KIND];

impl DriverKind {
    /// Whether the value of that (dotted) key is a secret.
    pub fn is_secret(&self, key: &str) -> bool {
        self.secrets.iter().any(|secret| match secret.strip_suffix('*') {
            Some(table) => key.starts_with(table),
            None => *secret == key,
        })
    }
}

/// The driver of that name.
pub fn find(name: &str) -> Option<&'static DriverKind> {
    DRIVERS.iter().copied().find(|d| d.name == name)
}
