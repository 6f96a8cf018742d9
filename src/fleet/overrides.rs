//! Boot overrides: durable intent, and the state machine that makes a `Once` hold exactly one start.
//!
//! `Once` goes Armed, Firing(operation), Used; each is stored before the step it stands for, so that a crash at any
//! moment leaves either an override that is still armed or a start that has used it, never both.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::view::LastStart;
use crate::model::{BootEnabled, BootMode, BootPatch, BootSet, BootTarget};

/// The stored document of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Override {
    /// For every boot.
    pub standing: Option<BootTarget>,
    /// For the next one.
    pub once: Option<Once>,
    /// Shown while disabled: what a bare `BootSourceOverrideEnabled` would enable.
    pub parked: Option<BootTarget>,
    /// Firmware mode.
    pub mode: Option<BootMode>,
    /// `HttpBootUri`.
    pub http_boot_uri: Option<String>,
    /// What the last start was told.
    pub last_start: Option<LastStart>,
    /// The operation that made it, if it was ours.
    pub started_by: Option<String>,
    /// The host holds an option that stays: it has to be cleared when nothing is overridden any more.
    pub held_by_host: bool,
}

/// A one-time override.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    /// Where to boot from.
    pub target: BootTarget,
    /// Where it stands.
    pub stage: Stage,
}

/// Where a one-time override stands. `Used` is not stored: a used override is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Waits for a start.
    Armed,
    /// That operation is about to start the node with it, or has just done so.
    Firing(String),
}

/// A patch that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonsense {
    /// Redfish property.
    pub property: &'static str,
    /// As sent.
    pub value: String,
    /// Why not.
    pub reason: String,
}

/// The mode shown while nobody has chosen one.
pub const DEFAULT_MODE: BootMode = BootMode::Uefi;

impl Override {
    /// `BootSourceOverrideEnabled`
    pub fn enabled(&self) -> BootEnabled {
        match (&self.once, self.standing) {
            (Some(_), _) => BootEnabled::Once,
            (None, Some(_)) => BootEnabled::Continuous,
            (None, None) => BootEnabled::Disabled,
        }
    }

    /// `BootSourceOverrideTarget`
    pub fn target(&self) -> BootTarget {
        self.in_force().or(self.parked).unwrap_or(BootTarget::None)
    }

    /// `BootSourceOverrideMode`
    pub fn mode(&self) -> BootMode {
        self.mode.unwrap_or(DEFAULT_MODE)
    }

    fn in_force(&self) -> Option<BootTarget> {
        self.once.as_ref().map(|once| once.target).or(self.standing)
    }

    /// Applies a PATCH. `offered`: the targets that may be set.
    pub fn patch(&mut self, patch: &BootPatch, offered: &[BootTarget], modes: &[BootMode]) -> Result<(), Nonsense> {
        if let Some(target) = patch.target
            && target != BootTarget::None
            && !offered.contains(&target)
        {
            let list: Vec<_> = offered.iter().map(|t| t.as_str()).collect();
            return Err(Nonsense {
                property: "BootSourceOverrideTarget",
                value: target.to_string(),
                reason: format!("this node can be told to boot from {}", list.join(", ")),
            });
        }
        if let Some(mode) = patch.mode
            && mode != self.mode()
            && !modes.contains(&mode)
        {
            return Err(Nonsense {
                property: "BootSourceOverrideMode",
                value: mode.as_str().to_owned(),
                reason: "the boot mode of this node can't be chosen".to_owned(),
            });
        }
        let target = patch.target.unwrap_or_else(|| self.target());
        let enabled = patch.enabled.unwrap_or_else(|| self.enabled());
        match (enabled, target) {
            (BootEnabled::Disabled, _) => {
                self.once = None;
                self.standing = None;
                self.parked = patch.target.filter(|t| *t != BootTarget::None);
            }
            (BootEnabled::Once | BootEnabled::Continuous, BootTarget::None) => {
                if patch.target.is_none() {
                    return Err(Nonsense {
                        property: "BootSourceOverrideEnabled",
                        value: enabled.as_str().to_owned(),
                        reason: "there is no BootSourceOverrideTarget to enable; send one with it".to_owned(),
                    });
                }
                // "None" means the normal boot order: that is what disabled means.
                self.once = None;
                self.standing = None;
                self.parked = None;
            }
            (BootEnabled::Once, target) => {
                // A Once replaces the standing one (DSP0268, BootSourceOverrideEnabled). Armed anew, even if an
                // operation is firing the old one: that start has its options already.
                self.once = Some(Once { target, stage: Stage::Armed });
                self.standing = None;
                self.parked = None;
            }
            (BootEnabled::Continuous, target) => {
                self.standing = Some(target);
                self.once = None;
                self.parked = None;
            }
        }
        if let Some(mode) = patch.mode {
            self.mode = Some(mode);
        }
        if let Some(uri) = &patch.http_boot_uri {
            self.http_boot_uri.clone_from(uri);
        }
        Ok(())
    }

    /// What a host is to be told before a start; `None`: nothing, it has nothing from us.
    pub fn boot_set(&self) -> Option<BootSet> {
        match self.in_force() {
            Some(target) => Some(BootSet { target, mode: self.mode, persistent: self.once.is_none() }),
            None if self.held_by_host => Some(BootSet { target: BootTarget::None, mode: None, persistent: false }),
            None => None,
        }
    }

    /// A start is about to be made by `operation`.
    pub fn fire(&mut self, operation: &str) {
        if let Some(once) = &mut self.once {
            once.stage = Stage::Firing(operation.to_owned());
        }
    }

    /// The start of `operation` was made (or one that nobody of us made was seen: `None`, which uses up an armed
    /// override too).
    /// Telling it twice of one operation, as after a crash, changes nothing.
    pub fn started(&mut self, operation: Option<&str>, at: OffsetDateTime) {
        if operation.is_some() && self.started_by.as_deref() == operation {
            return;
        }
        self.started_by = operation.map(ToOwned::to_owned);
        let uses = self.once.as_ref().is_some_and(|once| match (&once.stage, operation) {
            (Stage::Firing(by), Some(operation)) => by == operation,
            (Stage::Armed, None) => true,
            // Armed anew while the start was under way, or another's: that one waits for the next start.
            (Stage::Armed, Some(_)) | (Stage::Firing(_), None) => false,
        });
        let target = match &self.once {
            Some(once) if uses => once.target,
            _ => self.standing.unwrap_or(BootTarget::None),
        };
        let mode = self.mode();
        self.last_start = Some(LastStart { target, mode, http_boot_uri: self.http_boot_uri.clone(), at });
        if uses {
            self.once = None;
        }
    }

    /// The start of `operation` was not made: a `Once` it was about to use waits for the next.
    pub fn rearm(&mut self, operation: &str) {
        if let Some(once) = &mut self.once
            && matches!(&once.stage, Stage::Firing(by) if by == operation)
        {
            once.stage = Stage::Armed;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OFFERED: &[BootTarget] = &[BootTarget::Pxe, BootTarget::Hdd, BootTarget::Cd];
    const MODES: &[BootMode] = &[BootMode::Uefi, BootMode::Legacy];

    fn set(target: Option<BootTarget>, enabled: Option<BootEnabled>) -> BootPatch {
        BootPatch { target, enabled, ..BootPatch::default() }
    }

    fn once(target: BootTarget) -> Override {
        let mut o = Override::default();
        o.patch(&set(Some(target), Some(BootEnabled::Once)), OFFERED, MODES).unwrap();
        o
    }

    #[test]
    fn once_is_used_by_one_start_and_reads_disabled_afterwards() {
        let mut o = once(BootTarget::Pxe);
        assert_eq!((o.enabled(), o.target()), (BootEnabled::Once, BootTarget::Pxe));
        o.fire("op1");
        assert_eq!(o.enabled(), BootEnabled::Once);
        o.started(Some("op1"), OffsetDateTime::UNIX_EPOCH);
        assert_eq!((o.enabled(), o.target()), (BootEnabled::Disabled, BootTarget::None));
        assert_eq!(o.last_start.as_ref().map(|l| l.target), Some(BootTarget::Pxe));
        o.started(Some("op1"), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(o.last_start.as_ref().map(|l| l.target), Some(BootTarget::Pxe), "told twice, after a crash");
        o.started(Some("op2"), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(o.last_start.map(|l| l.target), Some(BootTarget::None));
    }

    #[test]
    fn a_target_alone_keeps_once_and_a_disabled_one_is_armed_by_enabled_alone() {
        let mut o = once(BootTarget::Pxe);
        o.patch(&set(Some(BootTarget::Hdd), None), OFFERED, MODES).unwrap();
        assert_eq!((o.enabled(), o.target()), (BootEnabled::Once, BootTarget::Hdd));
        let mut o = Override::default();
        assert!(o.patch(&set(None, Some(BootEnabled::Once)), OFFERED, MODES).is_err());
        o.patch(&set(Some(BootTarget::Cd), None), OFFERED, MODES).unwrap();
        assert_eq!((o.enabled(), o.target()), (BootEnabled::Disabled, BootTarget::Cd));
        o.patch(&set(None, Some(BootEnabled::Continuous)), OFFERED, MODES).unwrap();
        assert_eq!((o.enabled(), o.target()), (BootEnabled::Continuous, BootTarget::Cd));
    }

    #[test]
    fn armed_anew_during_a_start_waits_for_the_next() {
        let mut o = once(BootTarget::Pxe);
        o.fire("op1");
        o.patch(&set(Some(BootTarget::Hdd), Some(BootEnabled::Once)), OFFERED, MODES).unwrap();
        o.started(Some("op1"), OffsetDateTime::UNIX_EPOCH);
        assert_eq!((o.enabled(), o.target()), (BootEnabled::Once, BootTarget::Hdd));
    }

    #[test]
    fn a_start_that_was_not_made_leaves_it_armed() {
        let mut o = once(BootTarget::Pxe);
        o.fire("op1");
        o.rearm("op2");
        o.started(None, OffsetDateTime::UNIX_EPOCH);
        assert_eq!(o.enabled(), BootEnabled::Once, "somebody else's start does not use one that is firing");
        o.rearm("op1");
        o.started(None, OffsetDateTime::UNIX_EPOCH);
        assert_eq!(o.enabled(), BootEnabled::Disabled, "a start that we did not make uses it up");
    }

    #[test]
    fn a_standing_override_stays_and_once_replaces_it() {
        let mut o = Override::default();
        o.patch(&set(Some(BootTarget::Hdd), Some(BootEnabled::Continuous)), OFFERED, MODES).unwrap();
        o.fire("op");
        o.started(Some("op"), OffsetDateTime::UNIX_EPOCH);
        assert_eq!((o.enabled(), o.target()), (BootEnabled::Continuous, BootTarget::Hdd));
        assert!(o.boot_set().unwrap().persistent);
        o.patch(&set(Some(BootTarget::Pxe), Some(BootEnabled::Once)), OFFERED, MODES).unwrap();
        o.fire("op2");
        o.started(Some("op2"), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(o.enabled(), BootEnabled::Disabled);
    }

    #[test]
    fn what_is_not_offered_is_refused_whole() {
        let mut o = once(BootTarget::Pxe);
        let before = o.clone();
        assert!(o.patch(&set(Some(BootTarget::Floppy), None), OFFERED, MODES).is_err());
        let mode = BootPatch { mode: Some(BootMode::Legacy), ..BootPatch::default() };
        assert!(o.patch(&mode, OFFERED, &[]).is_err());
        assert_eq!(o, before);
        o.patch(&set(Some(BootTarget::None), Some(BootEnabled::Once)), OFFERED, MODES).unwrap();
        assert_eq!(o.enabled(), BootEnabled::Disabled);
    }
}
