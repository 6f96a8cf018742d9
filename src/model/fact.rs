//! What a driver reads: facts, in pages of one exchange each.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{BootSet, Caps, Fault, Led, MediaSlot, PowerState, Reading, Unit};

/// One thing read from one unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// What the unit can do, with the name the device gives it, if any.
    Caps(Caps, Option<String>),
    /// Power state.
    Power(PowerState),
    /// Boot options held by the device; `None`: none are in force.
    Boot(Option<BootSet>),
    /// Some of the unit's sensors: a page may hold a part, later pages add to it.
    Sensors(Vec<Reading>),
    /// Identity.
    Inventory(Box<Inventory>),
    /// Some of the unit's log, oldest first.
    Log(Vec<LogEntry>),
    /// Identification light.
    Indicator(Led),
    /// All slots for virtual media.
    Media(Vec<MediaSlot>),
    /// Driver's own.
    Raw(Vec<u8>),
}

/// Identity of a machine and its controller, as the device tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Inventory {
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub part_number: Option<String>,
    pub serial: Option<String>,
    pub asset_tag: Option<String>,
    /// System UUID (IPMI Get System GUID), canonical text.
    pub uuid: Option<String>,
    pub chassis_part_number: Option<String>,
    pub chassis_serial: Option<String>,
    pub board_manufacturer: Option<String>,
    pub board_product: Option<String>,
    pub board_serial: Option<String>,
    /// Firmware version of the BMC or PDU.
    pub firmware: Option<String>,
    /// Name of the controller's maker, if it tells.
    pub controller_manufacturer: Option<String>,
    /// Cause of the last start, in the device's words.
    pub restart_cause: Option<String>,
}

/// One entry of a device's event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Record number, unique within the log.
    pub id: u32,
    /// When, if the device's clock is set.
    #[serde(with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
    /// `OK`, `Warning` or `Critical`.
    pub severity: super::ReadingState,
    /// Readable text.
    pub message: String,
    /// The record as read, for those who know better.
    pub raw: Vec<u8>,
}

/// Where to go on reading: opaque to everyone but the driver that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub Vec<u64>);

/// What one exchange brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Per unit a fact or why there is none.
    pub items: Vec<(Unit, Result<Fact, Fault>)>,
    /// More to come.
    pub next: Option<Cursor>,
}
