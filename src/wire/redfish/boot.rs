//! `ComputerSystem.Boot`: which overrides a BMC takes, what is in force, and what is patched.

use serde_json::{Map, Value, json};

use super::{
    Path,
    value::{allowed, word},
};
use crate::model::{BootCaps, BootMode, BootSet, BootTarget};

/// What a System says of its boot options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Targets that are taken; `None`: it does not say.
    targets: Option<Vec<String>>,
    /// It has `BootSourceOverrideMode`.
    mode: bool,
    /// It takes `Continuous`.
    continuous: bool,
    /// It takes `Disabled`.
    disabled: bool,
}

impl Boot {
    /// Of a System; `None`: it takes none.
    pub fn of(system: &Value) -> Option<Self> {
        let boot = system.get("Boot").filter(|boot| boot.is_object())?;
        let has = |key: &str| boot.get(key).is_some();
        if !has("BootSourceOverrideTarget") && !has("BootSourceOverrideEnabled") {
            return None;
        }
        let enabled = allowed(boot, "BootSourceOverrideEnabled");
        let takes = |word: &str| enabled.as_ref().is_none_or(|words| words.iter().any(|w| w == word));
        Some(Self {
            // An empty list is a service that does not know either.
            targets: allowed(boot, "BootSourceOverrideTarget").filter(|words| !words.is_empty()),
            mode: word(boot, "BootSourceOverrideMode").is_some(),
            continuous: takes("Continuous"),
            disabled: takes("Disabled"),
        })
    }

    /// The BMC's word for a target. `UefiHttp` needs a URI with it, which nobody hands to drivers.
    fn word(&self, target: BootTarget) -> Option<&'static str> {
        let Some(words) = &self.targets else {
            // What every BMC of the last ten years takes.
            use BootTarget::{BiosSetup, Cd, Hdd, Pxe};
            return matches!(target, Pxe | Hdd | Cd | BiosSetup).then(|| target.as_str());
        };
        let has = |word: &str| words.iter().any(|w| w == word);
        match target {
            BootTarget::UefiHttp => None,
            // Supermicro's virtual drive is on USB.
            BootTarget::Cd if !has("Cd") && has("UsbCd") => Some("UsbCd"),
            target => has(target.as_str()).then(|| target.as_str()),
        }
    }

    /// In the house's words.
    pub fn caps(&self) -> BootCaps {
        let targets =
            BootTarget::ALL.into_iter().filter(|target| *target == BootTarget::None || self.word(*target).is_some());
        BootCaps { targets: targets.collect(), mode: self.mode, persistent: self.continuous }
    }

    /// The members of `Boot` for `set`: a BMC that knows no `Continuous` is told `Once`, before every start. `None`:
    /// the BMC has no word for it.
    pub fn members(&self, set: &BootSet) -> Option<Map<String, Value>> {
        let mut members = Map::new();
        let mut put = |key: &str, word: &str| members.insert(format!("BootSourceOverride{key}"), json!(word));
        if set.target == BootTarget::None {
            if self.disabled {
                put("Enabled", "Disabled");
            }
            // A BMC that does not list `None` may refuse it.
            if self.targets.as_ref().is_none_or(|words| !self.disabled || words.iter().any(|w| w == "None")) {
                put("Target", "None");
            }
        } else {
            put("Enabled", if set.persistent && self.continuous { "Continuous" } else { "Once" });
            put("Target", self.word(set.target)?);
        }
        if let Some(mode) = set.mode.filter(|_| self.mode) {
            put("Mode", mode.as_str());
        }
        Some(members)
    }
}

/// What is in force; `None`: nothing.
pub fn in_force(system: &Value) -> Option<BootSet> {
    let boot = system.get("Boot")?;
    let persistent = match word(boot, "BootSourceOverrideEnabled")? {
        "Once" => false,
        "Continuous" => true,
        _ => return None,
    };
    let target = match word(boot, "BootSourceOverrideTarget")? {
        "UsbCd" => BootTarget::Cd,
        other => other.parse().ok()?,
    };
    let mode = match word(boot, "BootSourceOverrideMode") {
        Some("UEFI") => Some(BootMode::Uefi),
        Some("Legacy") => Some(BootMode::Legacy),
        _ => None,
    };
    (target != BootTarget::None).then_some(BootSet { target, mode, persistent })
}

/// Where changes of a System are written if not to itself (`@Redfish.Settings`).
pub fn settings(system: &Value) -> Option<Path> {
    Path::at(system.get("@Redfish.Settings")?, "SettingsObject")
}

/// Parts `members` between the settings object, which takes what it shows, and the System, which takes the rest.
pub fn part(members: Map<String, Value>, settings: &Value) -> (Map<String, Value>, Map<String, Value>) {
    let shown = settings.get("Boot").and_then(Value::as_object);
    members.into_iter().partition(|(key, _)| shown.is_some_and(|shown| shown.contains_key(key)))
}
