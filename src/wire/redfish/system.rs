//! `ComputerSystem`: power, resets, identification light, identity.

use serde_json::{Value, json};

use super::{
    Path,
    value::{allowed, flag, list, text, word},
};
use crate::model::{Inventory, Led, PowerAct, PowerState};

/// The power state; `Paused` is powered, and null is nothing.
pub fn power(system: &Value) -> Option<PowerState> {
    match word(system, "PowerState")? {
        "On" | "Paused" => Some(PowerState::On),
        "Off" => Some(PowerState::Off),
        "PoweringOn" => Some(PowerState::PoweringOn),
        "PoweringOff" => Some(PowerState::PoweringOff),
        _ => None,
    }
}

/// Something a resource can be told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Where it is posted to.
    pub target: Path,
    /// Values that its parameter takes; `None`: the resource does not say.
    pub allowed: Option<Vec<String>>,
    /// Where that is said instead.
    pub info: Option<Path>,
}

/// The action `name` (`#ComputerSystem.Reset`) of a resource, with what is said of its `parameter`.
pub fn action(resource: &Value, name: &str, parameter: &str) -> Option<Action> {
    let action = resource.get("Actions")?.get(name)?;
    // One known translator writes `Target`.
    let target = ["target", "Target"].iter().find_map(|key| Path::at(action, key));
    // The place is fixed by DSP0266, for a service that forgets to say.
    let named = || Path::at(resource, "@odata.id")?.below(&format!("Actions/{}", name.trim_start_matches('#')));
    Some(Action {
        target: target.or_else(named)?,
        allowed: allowed(action, parameter),
        info: Path::at(action, "@Redfish.ActionInfo"),
    })
}

/// Values of `parameter` that an `ActionInfo` tells.
pub fn allowed_by_info(info: &Value, parameter: &str) -> Option<Vec<String>> {
    let found = list(info, "Parameters").iter().find(|p| word(p, "Name") == Some(parameter))?;
    let values = found.get("AllowableValues")?.as_array()?;
    Some(values.iter().take(64).filter_map(Value::as_str).map(|word| word.trim().to_owned()).collect())
}

/// `ResetType` for an act: the first that is allowed. Without a list the plain word is tried. Nothing stands in for
/// what a BMC does not have: a power cycle is no reset, and a push of the button is not soft on a machine that hangs.
pub fn reset_type(act: PowerAct, allowed: Option<&[String]>) -> Option<&'static str> {
    let words: &[&str] = match act {
        PowerAct::On => &["On", "ForceOn"],
        PowerAct::Off => &["ForceOff"],
        PowerAct::Soft => &["GracefulShutdown"],
        PowerAct::Reset => &["ForceRestart"],
        // How long it stays off is the BMC's own business.
        PowerAct::Cycle { .. } => &["PowerCycle"],
        PowerAct::Nmi => &["Nmi"],
    };
    match allowed {
        None => words.first().copied(),
        Some(allowed) => words.iter().copied().find(|word| allowed.iter().any(|a| a == word)),
    }
}

/// How a resource's identification light is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Light {
    /// `IndicatorLED`: lit, blinking or off; deprecated, and all that older BMCs have.
    Led,
    /// `LocationIndicatorActive`: on or off.
    Active,
}

impl Light {
    /// Which one a resource has. Of both the one that has a word for blinking, if it tells its state.
    pub fn of(resource: &Value) -> Option<Self> {
        let active = flag(resource, "LocationIndicatorActive").is_some();
        match word(resource, "IndicatorLED") {
            Some("Lit" | "Blinking" | "Off") => Some(Self::Led),
            _ if active => Some(Self::Active),
            known => known.map(|_| Self::Led),
        }
    }

    /// Its state; `None`: the BMC does not know.
    pub fn read(self, resource: &Value) -> Option<Led> {
        match self {
            Self::Active => flag(resource, "LocationIndicatorActive").map(|on| if on { Led::Lit } else { Led::Off }),
            Self::Led => match word(resource, "IndicatorLED")? {
                "Lit" => Some(Led::Lit),
                "Blinking" => Some(Led::Blinking),
                "Off" => Some(Led::Off),
                _ => None,
            },
        }
    }

    /// What is patched; `None`: it can't be told that.
    pub fn patch(self, led: Led) -> Option<Value> {
        match (self, led) {
            (Self::Active, Led::Lit) => Some(json!({"LocationIndicatorActive": true})),
            (Self::Active, Led::Off) => Some(json!({"LocationIndicatorActive": false})),
            (Self::Active, Led::Blinking) => None,
            (Self::Led, led) => Some(json!({"IndicatorLED": led.as_str()})),
        }
    }
}

/// Identity, as System, Manager and Chassis tell it; any of them may be missing (null).
pub fn inventory(system: &Value, manager: &Value, chassis: &Value) -> Inventory {
    let uuid = word(system, "UUID").map(str::to_ascii_lowercase);
    Inventory {
        manufacturer: text(system, "Manufacturer"),
        model: text(system, "Model"),
        part_number: text(system, "PartNumber"),
        serial: text(system, "SerialNumber"),
        asset_tag: text(system, "AssetTag"),
        uuid: uuid.and_then(|uuid| uuid::Uuid::try_parse(&uuid).ok()).map(|uuid| uuid.to_string()),
        chassis_part_number: text(chassis, "PartNumber"),
        chassis_serial: text(chassis, "SerialNumber"),
        firmware: text(manager, "FirmwareVersion"),
        controller_manufacturer: text(manager, "Manufacturer"),
        ..Inventory::default()
    }
}
