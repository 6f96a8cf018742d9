//! Commands of the network function Chassis: power, identification, boot options (IPMI 2.0, chapter 28).

use ipmi_rs_core::connection::NetFn;

use super::command;
use crate::{
    model::{BootMode, BootSet, BootTarget},
    wire::ipmi::Malformed,
};

command! {
    /// Get Chassis Status (28.2).
    GetChassisStatus {}
    send |_this| NetFn::Chassis, 0x01, Vec::new();
    read |bytes| -> ChassisStatus {
        let [power, last_event, misc] = bytes.array()?;
        Ok(ChassisStatus { on: power & 0x01 != 0, fault: power & 0x18 != 0, last_event, misc })
    }
}

/// State of a chassis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChassisStatus {
    /// Whether the host has power.
    pub on: bool,
    /// Main power fault or power control fault.
    pub fault: bool,
    /// Last power event, bit by bit.
    pub last_event: u8,
    /// Miscellaneous state, bit by bit.
    pub misc: u8,
}

/// State of the identification light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Identify {
    Off,
    /// On for a while.
    Timed,
    /// On until told otherwise.
    On,
}

impl ChassisStatus {
    /// State of the identification light, if the BMC tells (bits 6 and 5:4 of the third byte).
    pub fn identify(&self) -> Option<Identify> {
        if self.misc & 0x40 == 0 {
            return None;
        }
        match self.misc >> 4 & 3 {
            0 => Some(Identify::Off),
            1 => Some(Identify::Timed),
            2 => Some(Identify::On),
            _ => None,
        }
    }
}

/// What Chassis Control does (28.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Control {
    PowerDown = 0,
    PowerUp = 1,
    PowerCycle = 2,
    HardReset = 3,
    DiagnosticInterrupt = 4,
    SoftShutdown = 5,
}

impl Control {
    /// From the request byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte & 0x0f {
            0 => Self::PowerDown,
            1 => Self::PowerUp,
            2 => Self::PowerCycle,
            3 => Self::HardReset,
            4 => Self::DiagnosticInterrupt,
            5 => Self::SoftShutdown,
            _ => return None,
        })
    }
}

command! {
    /// Chassis Control (28.3). Not idempotent: never sent twice.
    ChassisControl {
        /// What to do.
        control: Control,
    }
    send |this| NetFn::Chassis, 0x02, vec![this.control as u8];
    read |bytes| -> () { Ok(()) }
}

command! {
    /// Chassis Identify (28.5).
    ChassisIdentify {
        /// Seconds; 0 turns the light off.
        seconds: u8,
        /// On until told otherwise. An optional byte: old BMCs refuse it.
        force: bool,
    }
    send |this| NetFn::Chassis, 0x04, if this.force { vec![this.seconds, 1] } else { vec![this.seconds] };
    read |bytes| -> () { Ok(()) }
}

command! {
    /// Get System Restart Cause (28.11). The answer is the cause, 0 to 15.
    GetRestartCause {}
    send |_this| NetFn::Chassis, 0x07, Vec::new();
    read |bytes| -> u8 { bytes.u8().map(|cause| cause & 0x0f) }
}

/// A restart cause in words.
pub fn restart_cause_text(cause: u8) -> &'static str {
    match cause {
        0x1 => "chassis control command",
        0x2 => "reset button",
        0x3 => "power button",
        0x4 => "watchdog",
        0x5 => "maker's own",
        0x6 => "power restored, policy always on",
        0x7 => "power restored, policy previous state",
        0x8 => "reset by an event filter",
        0x9 => "power cycle by an event filter",
        0xa => "soft reset",
        0xb => "real-time clock",
        _ => "unknown",
    }
}

command! {
    /// Get System Boot Options (28.13). The answer is the parameter's data without its two leading bytes; the
    /// flag says that the BMC has marked the whole parameter as invalid.
    GetBootOptions {
        /// Parameter.
        parameter: u8,
    }
    send |this| NetFn::Chassis, 0x09, vec![this.parameter, 0, 0];
    read |bytes| -> BootFlags {
        let [_version, parameter] = bytes.array()?;
        if parameter & 0x7f != BOOT_FLAGS {
            return Err(Malformed::Value { what: "boot option parameter", value: parameter.into() });
        }
        let [flags, device] = bytes.array()?;
        Ok(BootFlags { flags, device, locked: parameter & 0x80 != 0 })
    }
}

command! {
    /// Set System Boot Options (28.12).
    SetBootOptions {
        /// Parameter.
        parameter: u8,
        /// Its data.
        data: [u8; 5],
        /// How many bytes of it the parameter has.
        length: usize,
    }
    send |this| NetFn::Chassis, 0x08, {
        let mut data = vec![this.parameter];
        data.extend(this.data.iter().take(this.length));
        data
    };
    read |bytes| -> () { Ok(()) }
}

/// Number of the parameter that holds the boot flags (table 28-14).
pub const BOOT_FLAGS: u8 = 5;

impl SetBootOptions {
    /// Set in progress (parameter 0): 0 complete, 1 in progress.
    pub fn progress(state: u8) -> Self {
        Self { parameter: 0, data: [state, 0, 0, 0, 0], length: 1 }
    }

    /// Parameter 3: the boot flags stay valid even if no Chassis Control follows within 60 s.
    pub fn keep_beyond_a_minute() -> Self {
        Self { parameter: 3, data: [0x08, 0, 0, 0, 0], length: 1 }
    }

    /// Parameter 4: marks the flags as not yet handled by the BIOS.
    pub fn not_yet_handled() -> Self {
        Self { parameter: 4, data: [0x01, 0x01, 0, 0, 0], length: 2 }
    }

    /// Parameter 5 from the first two of its bytes.
    pub fn flags(flags: BootFlags) -> Self {
        Self { parameter: BOOT_FLAGS, data: [flags.flags, flags.device, 0, 0, 0], length: 5 }
    }
}

/// Boot flags (table 28-14, parameter 5): the two bytes that say where to boot from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootFlags {
    /// Valid (0x80), for all later boots (0x40), EFI (0x20).
    pub flags: u8,
    /// Boot device in bits 5:2, and bits about CMOS and keyboard that are left alone.
    pub device: u8,
    /// The BMC says that the parameter as a whole is invalid or locked.
    pub locked: bool,
}

/// Boot device selectors in their bits of the second byte, and what they are called here. "Removable media"
/// (0x3c) stands for USB: the floppy of the specification is no more.
const SELECTORS: [(u8, BootTarget); 8] = [
    (0x00, BootTarget::None),
    (0x04, BootTarget::Pxe),
    (0x08, BootTarget::Hdd),
    (0x10, BootTarget::Diags),
    (0x14, BootTarget::Cd),
    (0x18, BootTarget::BiosSetup),
    (0x3c, BootTarget::Usb),
    (0x24, BootTarget::RemoteDrive),
];

impl BootFlags {
    /// The flags for `set`; `None` if IPMI has no word for its target. `BootTarget::None` is "no override".
    pub fn of(set: &BootSet) -> Option<Self> {
        let (device, _) = SELECTORS.into_iter().find(|(_, target)| *target == set.target)?;
        let mut flags = 0x80;
        if set.persistent && set.target != BootTarget::None {
            flags |= 0x40;
        }
        if set.mode == Some(BootMode::Uefi) {
            flags |= 0x20;
        }
        Some(Self { flags, device, locked: false })
    }

    /// The targets that flags exist for.
    pub fn targets() -> Vec<BootTarget> {
        SELECTORS.into_iter().map(|(_, target)| target).collect()
    }

    /// What is in force; `None`: nothing. Selectors without a word (safe mode, remote floppy and CD) are mapped to
    /// the nearest one.
    pub fn in_force(&self) -> Option<BootSet> {
        if self.flags & 0x80 == 0 || self.locked {
            return None;
        }
        let target = match self.device & 0x3c {
            0x00 => return None,
            0x0c | 0x2c => BootTarget::Hdd,
            0x20 => BootTarget::Cd,
            0x1c => BootTarget::Usb,
            other => SELECTORS.into_iter().find(|(bits, _)| *bits == other)?.1,
        };
        let mode = if self.flags & 0x20 == 0 { BootMode::Legacy } else { BootMode::Uefi };
        Some(BootSet { target, mode: Some(mode), persistent: self.flags & 0x40 != 0 })
    }
}
