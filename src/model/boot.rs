//! Boot source overrides in Redfish's words (`ComputerSystem.Boot`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// `BootSourceOverrideTarget`, as far as IPMI boot options or a boot policy can express it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // the words are the standard's
pub enum BootTarget {
    None,
    Pxe,
    Hdd,
    Cd,
    Usb,
    Floppy,
    BiosSetup,
    Diags,
    UefiHttp,
    RemoteDrive,
}

impl BootTarget {
    /// All of them, in the order they are listed to clients.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::Pxe,
        Self::Hdd,
        Self::Cd,
        Self::Usb,
        Self::Floppy,
        Self::BiosSetup,
        Self::Diags,
        Self::UefiHttp,
        Self::RemoteDrive,
    ];

    /// The Redfish word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Pxe => "Pxe",
            Self::Hdd => "Hdd",
            Self::Cd => "Cd",
            Self::Usb => "Usb",
            Self::Floppy => "Floppy",
            Self::BiosSetup => "BiosSetup",
            Self::Diags => "Diags",
            Self::UefiHttp => "UefiHttp",
            Self::RemoteDrive => "RemoteDrive",
        }
    }
}

impl fmt::Display for BootTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BootTarget {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|t| t.as_str() == text).ok_or(())
    }
}

/// `BootSourceOverrideEnabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum BootEnabled {
    Disabled,
    Once,
    Continuous,
}

impl BootEnabled {
    /// The Redfish word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::Once => "Once",
            Self::Continuous => "Continuous",
        }
    }
}

/// `BootSourceOverrideMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum BootMode {
    Legacy,
    #[serde(rename = "UEFI")]
    Uefi,
}

impl BootMode {
    /// The Redfish word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "Legacy",
            Self::Uefi => "UEFI",
        }
    }
}

/// What a host is told before a start: IPMI boot flags, or a blade's next boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BootSet {
    /// Where to boot from; `BootTarget::None` clears.
    pub target: BootTarget,
    /// Firmware to boot in, if it matters.
    pub mode: Option<BootMode>,
    /// For every later boot too, not just the next.
    pub persistent: bool,
}

/// A change to a node's override: what a PATCH of `Boot` carries. Absent members stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootPatch {
    /// `BootSourceOverrideTarget`
    pub target: Option<BootTarget>,
    /// `BootSourceOverrideEnabled`
    pub enabled: Option<BootEnabled>,
    /// `BootSourceOverrideMode`
    pub mode: Option<BootMode>,
    /// `HttpBootUri`; `Some(None)` resets it.
    pub http_boot_uri: Option<Option<String>>,
}
