//! Power: states, what a unit can be told, and what a Redfish client can ask of a node.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// The power of a unit or a node. Redfish `Resource.PowerState` without `Paused`.
/// Unknown is not a state: it is the absence of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PowerState {
    /// Powered.
    On,
    /// Not powered.
    Off,
    /// On its way to on, and certain to arrive. Ironic counts it as on.
    PoweringOn,
    /// On its way to off, and certain to arrive. Ironic counts it as off.
    PoweringOff,
}

impl PowerState {
    /// Whether it is, or surely will be, on.
    pub fn is_on(self) -> bool {
        matches!(self, Self::On | Self::PoweringOn)
    }

    /// The Redfish word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "On",
            Self::Off => "Off",
            Self::PoweringOn => "PoweringOn",
            Self::PoweringOff => "PoweringOff",
        }
    }
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one unit is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PowerAct {
    /// Power on.
    On,
    /// Power off at once.
    Off,
    /// Ask the operating system to shut down (ACPI).
    Soft,
    /// Reset without removing power.
    Reset,
    /// The device's own off, wait, on. `off` is how long it stays off, where the device lets us say.
    Cycle {
        /// Time without power.
        off: Option<Duration>,
    },
    /// Diagnostic interrupt.
    Nmi,
}

/// Redfish `Resource.ResetType`, as far as any back end can do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // the words are the standard's
pub enum ResetType {
    On,
    ForceOn,
    ForceOff,
    GracefulShutdown,
    GracefulRestart,
    ForceRestart,
    PowerCycle,
    FullPowerCycle,
    Nmi,
}

impl ResetType {
    /// All of them, in the order they are listed to clients.
    pub const ALL: [Self; 9] = [
        Self::On,
        Self::ForceOff,
        Self::GracefulShutdown,
        Self::GracefulRestart,
        Self::ForceRestart,
        Self::Nmi,
        Self::ForceOn,
        Self::PowerCycle,
        Self::FullPowerCycle,
    ];

    /// The Redfish word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "On",
            Self::ForceOn => "ForceOn",
            Self::ForceOff => "ForceOff",
            Self::GracefulShutdown => "GracefulShutdown",
            Self::GracefulRestart => "GracefulRestart",
            Self::ForceRestart => "ForceRestart",
            Self::PowerCycle => "PowerCycle",
            Self::FullPowerCycle => "FullPowerCycle",
            Self::Nmi => "Nmi",
        }
    }

    /// Whether a machine that was off may be on afterwards: what `hold` and in-rush budgets look at.
    pub fn may_start(self) -> bool {
        !matches!(self, Self::ForceOff | Self::GracefulShutdown | Self::Nmi)
    }

    /// Whether the operation ends with the node off.
    pub fn ends_off(self) -> bool {
        matches!(self, Self::ForceOff | Self::GracefulShutdown)
    }
}

impl fmt::Display for ResetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ResetType {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|r| r.as_str() == text).ok_or(())
    }
}
