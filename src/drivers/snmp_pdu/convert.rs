//! What values and errors of an agent mean.

use super::family::Status;
use crate::{
    model::{Fault, Measure, PowerState, Reading, ReadingState, Thresholds, Unit, Why},
    wire::snmp::{Oid, Value, status},
};

/// Readings that mean "not measured".
const NOT_MEASURED: [i64; 2] = [-1, -2];

pub(super) fn power_state(status: &Status, unit: &Unit, value: &Value) -> Result<PowerState, Fault> {
    let raw = number(value).ok_or_else(|| Fault::Garbage(format!("outlet {unit} tells its state as {value:?}")))?;
    if status.on.contains(&raw) {
        Ok(PowerState::On)
    } else if status.off.contains(&raw) {
        Ok(PowerState::Off)
    } else if status.pending.contains(&raw) {
        Err(Fault::Busy { reason: format!("outlet {unit} is changing (status {raw})"), retry_after: None })
    } else {
        Err(Fault::Unsupported(format!("outlet {unit} has status {raw}, which is neither on nor off in this family")))
    }
}

pub(super) fn refused_set(code: u32, oid: &Oid) -> Fault {
    let name = status::name(code);
    match code {
        status::NO_SUCH_NAME | status::NOT_WRITABLE | status::NO_ACCESS | status::READ_ONLY => Fault::Refused(
            Why::Rejected(format!("{name} for {oid}: no such outlet, or the write community or user may not write")),
        ),
        status::NO_CREATION | status::INCONSISTENT_NAME => {
            Fault::NoSuchUnit(format!("the device has no object {oid} ({name})"))
        }
        status::AUTHORIZATION_ERROR => Fault::Refused(Why::Privilege(format!("{name} for {oid}"))),
        status::BAD_VALUE
        | status::WRONG_VALUE
        | status::WRONG_TYPE
        | status::WRONG_LENGTH
        | status::WRONG_ENCODING => {
            Fault::Unsupported(format!("the device does not take this value for {oid} ({name}): is `model` right?"))
        }
        status::RESOURCE_UNAVAILABLE | status::INCONSISTENT_VALUE => {
            Fault::Busy { reason: format!("{name} for {oid}"), retry_after: None }
        }
        // It tried, and can't say how that ended.
        status::COMMIT_FAILED | status::UNDO_FAILED | status::GEN_ERR => {
            Fault::Uncertain(format!("the device answers {name} for {oid}"))
        }
        _ => Fault::Refused(Why::Rejected(format!("{name} ({code}) for {oid}"))),
    }
}

pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(n) => Some(*n),
        Value::Gauge32(n) | Value::Counter32(n) | Value::TimeTicks(n) => Some(i64::from(*n)),
        Value::Counter64(n) => i64::try_from(*n).ok(),
        // Some devices tell numbers as text.
        Value::OctetString(octets) => std::str::from_utf8(octets).ok()?.trim().parse().ok(),
        _ => None,
    }
}

pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::OctetString(octets) => {
            let text = String::from_utf8_lossy(octets);
            let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
            Some(text).filter(|t| !t.is_empty())
        }
        Value::Integer(n) => Some(n.to_string()),
        _ => None,
    }
}

/// A gauge can't be negative: -1 comes as its last value.
fn measured(raw: i64) -> Option<i64> {
    Some(raw).filter(|n| !NOT_MEASURED.contains(n) && *n != i64::from(u32::MAX))
}

pub(super) fn is_measured(value: &Value) -> bool {
    number(value).and_then(measured).is_some()
}

pub(super) fn reading((id, name, measure, scale): (String, String, Measure, f64), raw: i64) -> Reading {
    #[allow(clippy::cast_precision_loss)] // beyond 2^52 there is no meter
    let value = measured(raw).map(|n| n as f64 * scale);
    Reading {
        id,
        name,
        measure,
        value: value.map(tidy),
        state: ReadingState::Ok,
        thresholds: Thresholds::default(),
        range: None,
        number: None,
        context: None,
    }
}

/// 3 * 0.1 is 0.30000000000000004: a meter's nine digits are enough.
fn tidy(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
