//! What a unit can do, what can be read from it, and how its answers can be trusted.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{BootSet, BootTarget, Led, MediaInsert, PowerAct};

/// Something to read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Aspect {
    /// Which units there are: every item of the page is a unit with [`super::Fact::Caps`].
    Units,
    /// Power state.
    Power,
    /// Boot options as the device holds them.
    Boot,
    /// Sensors and meters.
    Sensors,
    /// Identity: maker, model, serial, firmware.
    Inventory,
    /// The device's event log.
    Log,
    /// Identification light.
    Indicator,
    /// Slots for virtual media, and what is in them.
    Media,
    /// Something only this driver knows, by name.
    Raw(Arc<str>),
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Switch.
    Power(PowerAct),
    /// Set boot options.
    Boot(BootSet),
    /// Set the identification light.
    Indicator(Led),
    /// Limit the power drawn, in watts; `None` lifts the limit.
    Limit(Option<u32>),
    /// Fan speed in rpm.
    Fan(u32),
    /// Empty the device's event log.
    ClearLog,
    /// Insert an image into a slot for virtual media.
    InsertMedia(Box<MediaInsert>),
    /// Empty the slot of that id.
    EjectMedia(String),
    /// Something only this driver knows.
    Raw(Vec<u8>),
}

macro_rules! bitset {
    ($(#[$doc:meta])* $set:ident of $(#[$kdoc:meta])* $kind:ident { $($(#[$vdoc:meta])* $variant:ident),* $(,)? }) => {
        $(#[$kdoc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $kind { $($(#[$vdoc])* $variant),* }

        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub struct $set(u32);

        impl $set {
            /// The set of `kinds`.
            pub const fn of(kinds: &[$kind]) -> Self {
                let mut bits = 0;
                let mut rest = kinds;
                while let [first, tail @ ..] = rest {
                    bits |= 1 << (*first as u32);
                    rest = tail;
                }
                Self(bits)
            }

            /// Whether `kind` is in the set.
            pub const fn has(self, kind: $kind) -> bool {
                self.0 & (1 << (kind as u32)) != 0
            }

            /// The set with `kind` added.
            #[must_use]
            pub const fn with(self, kind: $kind) -> Self {
                Self(self.0 | 1 << (kind as u32))
            }

            /// The set with `kind` taken out.
            #[must_use]
            pub const fn without(self, kind: $kind) -> Self {
                Self(self.0 & !(1 << (kind as u32)))
            }
        }
    };
}

bitset! {
    /// The acts a unit takes.
    ActSet of
    /// Kinds of [`Act`], power acts one by one.
    ActKind {
        /// Power on
        On,
        /// Power off
        Off,
        /// Soft shutdown
        Soft,
        /// Reset
        Reset,
        /// Power cycle by the device itself
        Cycle,
        /// Diagnostic interrupt
        Nmi,
        /// Boot options
        Boot,
        /// Identification light
        Indicator,
        /// Power limit
        Limit,
        /// Fan speed
        Fan,
        /// Clear the log
        ClearLog,
        /// Driver's own
        Raw,
        // Sets are stored as bits: what is new comes last.
        /// Insert virtual media
        InsertMedia,
        /// Eject virtual media
        EjectMedia,
    }
}

bitset! {
    /// The aspects a unit can be asked for.
    AspectSet of
    /// Kinds of [`Aspect`].
    AspectKind {
        /// Units
        Units,
        /// Power state
        Power,
        /// Boot options
        Boot,
        /// Sensors
        Sensors,
        /// Inventory
        Inventory,
        /// Log
        Log,
        /// Identification light
        Indicator,
        /// Driver's own
        Raw,
        // As above: what is new comes last.
        /// Virtual media
        Media,
    }
}

impl Act {
    /// Its kind.
    pub fn kind(&self) -> ActKind {
        match self {
            Self::Power(PowerAct::On) => ActKind::On,
            Self::Power(PowerAct::Off) => ActKind::Off,
            Self::Power(PowerAct::Soft) => ActKind::Soft,
            Self::Power(PowerAct::Reset) => ActKind::Reset,
            Self::Power(PowerAct::Cycle { .. }) => ActKind::Cycle,
            Self::Power(PowerAct::Nmi) => ActKind::Nmi,
            Self::Boot(_) => ActKind::Boot,
            Self::Indicator(_) => ActKind::Indicator,
            Self::Limit(_) => ActKind::Limit,
            Self::Fan(_) => ActKind::Fan,
            Self::ClearLog => ActKind::ClearLog,
            Self::InsertMedia(_) => ActKind::InsertMedia,
            Self::EjectMedia(_) => ActKind::EjectMedia,
            Self::Raw(_) => ActKind::Raw,
        }
    }
}

impl Aspect {
    /// Its kind.
    pub fn kind(&self) -> AspectKind {
        match self {
            Self::Units => AspectKind::Units,
            Self::Power => AspectKind::Power,
            Self::Boot => AspectKind::Boot,
            Self::Sensors => AspectKind::Sensors,
            Self::Inventory => AspectKind::Inventory,
            Self::Log => AspectKind::Log,
            Self::Indicator => AspectKind::Indicator,
            Self::Media => AspectKind::Media,
            Self::Raw(_) => AspectKind::Raw,
        }
    }
}

/// Which boot options a unit takes natively.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootCaps {
    /// Targets that can be set; empty: the unit takes no boot options.
    pub targets: Vec<BootTarget>,
    /// Whether the firmware mode can be chosen with them.
    pub mode: bool,
    /// Whether an option can be made to stay.
    pub persistent: bool,
}

/// How it is known that a power act has been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// The reply itself: the device answers when it is done.
    Reply,
    /// Reading the state: it shows the new one within that time, or something is wrong.
    ReadBack {
        /// Longest time between the accepted command and the state showing it.
        within: Duration,
    },
    /// The device confirms completion, but its state can't be read.
    CompletionOnly,
    /// Nothing: the state is `assumed`.
    None,
}

/// What one unit can do. Stored, so that it is known while the endpoint is dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// Acts it takes.
    pub acts: ActSet,
    /// Aspects that can be read.
    pub aspects: AspectSet,
    /// Native boot options.
    pub boot: BootCaps,
    /// How a power act is proven.
    pub proof: Proof,
    /// How many units one `act` call may carry in one exchange (1: one at a time).
    pub batch: u16,
}
