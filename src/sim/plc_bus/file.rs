//! Files that say what boards there are.
//!
//! * OpenDCRE's: `{"boards": [...], "scanall": [...]}`, or a wrapper `{"serial_device": "...", "emulator_data": "FILE"}`
//!   around it.
//! * Ours: `{"rack": [{"board_id": "0000000a", ...}]}`, boards that really switch (`rack`).
//!
//! Mistakes are told with file, board, device and action.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    emulator::{Board, Device, Emulator, Entry, Firmware, Planned},
    rack::{Rack, RackBoard},
    value::{Action, Element, raw},
};

/// Larger files are none of these.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A file that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct FileError {
    /// File, and board, device and action in it.
    pub place: String,
    /// What is wrong.
    pub why: String,
}

/// What a file holds.
#[derive(Debug)]
pub struct Loaded {
    /// The boards.
    pub(super) boards: Boards,
    /// The tty that a wrapper names.
    pub serial_device: Option<PathBuf>,
}

/// Boards of either kind.
#[derive(Debug)]
pub(super) enum Boards {
    Emulated(Emulator),
    Rack(Rack),
}

fn wrong(place: &str, why: impl Into<String>) -> FileError {
    FileError { place: place.to_owned(), why: why.into() }
}

fn json(path: &Path) -> Result<Value, FileError> {
    let place = path.display().to_string();
    let size = fs::metadata(path).map_err(|error| wrong(&place, error.to_string()))?.len();
    if size > LARGEST {
        return Err(wrong(&place, "larger than 16 MiB"));
    }
    let text = fs::read_to_string(path).map_err(|error| wrong(&place, error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| wrong(&place, error.to_string()))
}

/// Reads a file, and the one that it wraps. `compat`: the emulator has all quirks of the original.
pub fn load(path: &Path, compat: bool) -> Result<Loaded, FileError> {
    let outer = json(path)?;
    let Some(data) = outer.get("emulator_data") else {
        return Ok(Loaded { boards: boards(&path.display().to_string(), &outer, compat)?, serial_device: None });
    };
    let place = path.display().to_string();
    let data = data.as_str().ok_or_else(|| wrong(&place, "`emulator_data` is no text"))?;
    // From the working directory, as the original has it, or from beside the wrapper.
    let beside = path.parent().unwrap_or(Path::new(".")).join(data);
    let inner = if Path::new(data).exists() { PathBuf::from(data) } else { beside };
    let serial_device = outer.get("serial_device").and_then(Value::as_str).map(PathBuf::from);
    Ok(Loaded { boards: boards(&inner.display().to_string(), &json(&inner)?, compat)?, serial_device })
}

/// A rack of `count` boards like `rack::RackBoard::usual`.
pub fn usual(count: u32) -> Loaded {
    let boards = (1..=count).map(RackBoard::usual).collect();
    Loaded { boards: Boards::Rack(Rack::new(boards)), serial_device: None }
}

fn boards(place: &str, value: &Value, compat: bool) -> Result<Boards, FileError> {
    if let Some(rack) = value.get("rack") {
        let boards: Vec<RackBoard> = serde_json::from_value(rack.clone())
            .map_err(|error| wrong(&format!("{place}: rack"), error.to_string()))?;
        return Ok(Boards::Rack(Rack::new(boards)));
    }
    let Some(list) = value.get("boards").and_then(Value::as_array) else {
        return Err(wrong(place, "it has neither a list `boards` nor a list `rack`"));
    };
    let boards = list.iter().enumerate().map(|(n, value)| board(place, n, value)).collect::<Result<Vec<_>, _>>()?;
    let plan = match value.get("scanall") {
        None => Vec::new(),
        Some(Value::Array(list)) => list.iter().map(|value| planned(place, value)).collect::<Result<_, _>>()?,
        Some(_) => return Err(wrong(place, "`scanall` is no list")),
    };
    Ok(Boards::Emulated(Emulator::new(boards, plan, compat)))
}

fn id(place: &str, object: &Map<String, Value>, key: &str) -> Result<(String, u32), FileError> {
    let text =
        object.get(key).and_then(Value::as_str).ok_or_else(|| wrong(place, format!("it has no text `{key}`")))?;
    let digits = text.trim().trim_start_matches("0x").trim_start_matches("0X");
    let number = u32::from_str_radix(digits, 16);
    Ok((text.to_owned(), number.map_err(|_| wrong(place, format!("`{key}` {text:?} is no hexadecimal number")))?))
}

fn board(file: &str, n: usize, value: &Value) -> Result<Board, FileError> {
    let place = format!("{file}: board {}", n + 1);
    let object = value.as_object().ok_or_else(|| wrong(&place, "it is no object"))?;
    let (name, number) = id(&place, object, "board_id")?;
    let place = format!("{file}: board {name}");
    let firmware = match object.get("firmware_version") {
        None => None,
        Some(Value::Array(items)) => Some(Firmware::Raw(raw(items))),
        Some(Value::String(text)) => Some(Firmware::Text(text.clone())),
        Some(_) => return Err(wrong(&place, "`firmware_version` is neither a text nor a list of numbers")),
    };
    let lists = |key: &str| match object.get(key) {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items.clone())),
        Some(_) => Err(wrong(&place, format!("`{key}` is no list"))),
    };
    let retry_firmware = lists("retry_firmware_version")?.map(|items| items.iter().map(Element::of).collect());
    let retry_raw = lists("retry_raw_data")?.map(|items| items.iter().map(Element::of).collect());
    // Version 1.1: one flat list of numbers.
    let raw_data = lists("raw_data")?.map(|items| {
        if items.iter().all(Value::is_number) {
            vec![Some(vec![raw(&items)])]
        } else {
            items.iter().map(frames).collect()
        }
    });
    let devices = match object.get("devices") {
        None => None,
        Some(Value::Array(items)) => {
            Some(items.iter().enumerate().map(|(n, value)| device(&place, n, value)).collect::<Result<Vec<_>, _>>()?)
        }
        Some(_) => return Err(wrong(&place, "`devices` is no list")),
    };
    if devices.is_none() && raw_data.is_none() {
        return Err(wrong(&place, "it has neither `devices` nor `raw_data`"));
    }
    Ok(Board { name, number, firmware, retry_firmware, raw_data, retry_raw, devices, turns: [0; 3] })
}

/// Frames of one scan; anything but a list is silence.
fn frames(value: &Value) -> Option<Vec<Vec<i64>>> {
    let list = value.as_array()?;
    Some(list.iter().map(|frame| frame.as_array().map(|items| raw(items)).unwrap_or_default()).collect())
}

fn device(board: &str, n: usize, value: &Value) -> Result<Device, FileError> {
    let place = format!("{board}: device {}", n + 1);
    let object = value.as_object().ok_or_else(|| wrong(&place, "it is no object"))?;
    let (name, number) = id(&place, object, "device_id")?;
    let place = format!("{board}: device {name}");
    let number = u16::try_from(number).map_err(|_| wrong(&place, "`device_id` has more than four digits"))?;
    let kind = object.get("device_type").and_then(Value::as_str);
    let kind = kind.ok_or_else(|| wrong(&place, "it has no text `device_type`"))?.to_ascii_lowercase();
    let has_state = object.get("has_state").and_then(Value::as_bool).unwrap_or(false);
    let mut device = Device::new(number, kind, has_state);
    for (key, value) in object {
        if ["device_id", "device_type", "has_state"].contains(&key.as_str()) || key.starts_with('_') {
            continue;
        }
        let entry = match value.as_object() {
            Some(object) if object.contains_key("responses") || object.contains_key("repeatable") => {
                Entry::Action(action(&format!("{place}: {key}"), object)?)
            }
            _ => Entry::Value(value.clone()),
        };
        if !has_state
            && matches!(entry, Entry::Value(_))
            && ["read", "write", "power", "boot_target", "host_info"].contains(&key.as_str())
        {
            return Err(wrong(&format!("{place}: {key}"), "it has no `responses`, and the device no `has_state`"));
        }
        device.keys.insert(key.clone(), entry);
    }
    device.begin();
    Ok(device)
}

fn action(place: &str, object: &Map<String, Value>) -> Result<Action, FileError> {
    let repeatable = object.get("repeatable").and_then(Value::as_bool);
    let repeatable = repeatable.ok_or_else(|| wrong(place, "`repeatable` is missing, or neither true nor false"))?;
    let list = |key: &str| match object.get(key) {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items.iter().map(Element::of).collect::<Vec<_>>())),
        Some(_) => Err(wrong(place, format!("`{key}` is no list"))),
    };
    let responses = list("responses")?.ok_or_else(|| wrong(place, "`responses` is missing"))?;
    Ok(Action { repeatable, responses, retry: list("retry_responses")?, next: 0, next_retry: 0 })
}

fn planned(file: &str, value: &Value) -> Result<Planned, FileError> {
    let place = format!("{file}: scanall");
    let one = |value: &Value| match value.get("result").and_then(Value::as_str) {
        Some("ok") => Ok(None),
        Some("error") => value
            .get("failed_board")
            .and_then(Value::as_str)
            .map(|board| Some(board.to_owned()))
            .ok_or_else(|| wrong(&place, "an `error` without `failed_board`")),
        _ => Err(wrong(&place, "`result` is neither \"ok\" nor \"error\"")),
    };
    let initial = one(value.get("initial").ok_or_else(|| wrong(&place, "an element without `initial`"))?)?;
    let retry = match value.get("retry") {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(one).collect::<Result<_, _>>()?,
        Some(_) => return Err(wrong(&place, "`retry` is no list")),
    };
    Ok(Planned { initial, retry, next: 0 })
}
