//! What the answers say. They are text, but for scans; what does not fit is refused, never guessed.

use super::{BootWord, DeviceType, Frame, Quirks, convert};

/// PMBus STATUS_WORD: input under voltage.
const UNDER_VOLTAGE: i64 = 1 << 3;
/// Output over current.
const OVER_CURRENT: i64 = 1 << 4;
/// Off.
const OFF: i64 = 1 << 6;
/// Power good is negated.
const POWER_NOT_GOOD: i64 = 1 << 11;
/// Fields of an asset answer.
const ASSET_FIELDS: usize = 13;

/// An answer that makes no sense: what it was to be, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {expected}")]
pub struct ReplyError {
    expected: &'static str,
    text: String,
}

fn wrong(expected: &'static str, data: &[u8]) -> ReplyError {
    let text: String = String::from_utf8_lossy(data).chars().take(64).collect();
    ReplyError { expected, text }
}

fn text<'f>(frame: &'f Frame, expected: &'static str) -> Result<&'f str, ReplyError> {
    std::str::from_utf8(&frame.data).map_err(|_| wrong(expected, &frame.data))
}

/// A device that a scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its board.
    pub board: u32,
    /// Its number on that board.
    pub device: u16,
    /// What it is.
    pub kind: DeviceType,
}

/// One frame of a scan.
pub fn scanned(frame: &Frame) -> Result<Found, ReplyError> {
    let code = frame.data.first().ok_or_else(|| wrong("scan entry", &frame.data))?;
    Ok(Found { board: frame.board, device: frame.device, kind: DeviceType::of_code(*code) })
}

/// A version; may be empty.
pub fn version(frame: &Frame) -> Result<String, ReplyError> {
    text(frame, "version").map(str::to_owned)
}

/// A reading, in physical units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// Degrees Celsius.
    Celsius(f64),
    /// Percent and degrees Celsius.
    Humidity(f64, f64),
    /// Kilopascal.
    Kilopascal(f64),
    /// Revolutions per minute.
    Rpm(i64),
    /// A light.
    Lit(bool),
    /// A number that only the device's maker understands.
    Raw(i64),
}

/// An answer to a read of a device of that type.
pub fn reading(frame: &Frame, kind: DeviceType) -> Result<Reading, ReplyError> {
    let whole = text(frame, "number")?.trim();
    let bad = || wrong("number", &frame.data);
    let float = || whole.parse::<f64>().ok().filter(|n| n.is_finite()).ok_or_else(bad);
    let integer = || whole.parse::<i64>().map_err(|_| bad());
    let range = |_| wrong("raw value of that sensor", &frame.data);
    Ok(match kind {
        DeviceType::Temperature => Reading::Celsius(float()?),
        DeviceType::Pressure => Reading::Kilopascal(float()?),
        DeviceType::Thermistor => Reading::Celsius(convert::thermistor(integer()?).map_err(range)?),
        DeviceType::Humidity => {
            let (percent, celsius) = convert::humidity(integer()?).map_err(range)?;
            Reading::Humidity(percent, celsius)
        }
        DeviceType::FanSpeed | DeviceType::VaporFan => Reading::Rpm(integer()?),
        DeviceType::Led => match whole {
            "1" => Reading::Lit(true),
            "0" => Reading::Lit(false),
            _ => return Err(wrong("state of a light", &frame.data)),
        },
        _ => Reading::Raw(integer()?),
    })
}

/// Whether a write was acknowledged.
pub fn written(frame: &Frame) -> bool {
    frame.data == b"W1"
}

/// What a power device tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Power {
    /// Status word and three measured values.
    Supply(Supply),
    /// A battery: its state in words, and its charge.
    Battery {
        /// `charging`, `discharging`.
        state: String,
        /// Percent.
        percent: i64,
    },
}

/// Status and measured values of a supply.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Supply {
    /// Not off.
    pub on: bool,
    /// Power is good.
    pub good: bool,
    /// Output over current.
    pub over_current: bool,
    /// Input under voltage.
    pub under_voltage: bool,
    /// Watts at its input.
    pub watts: f64,
    /// Volts at its input.
    pub volts: f64,
    /// Amperes at its output.
    pub amperes: f64,
}

/// An answer to any power command.
pub fn power(frame: &Frame, quirks: Quirks) -> Result<Power, ReplyError> {
    let bad = || wrong("power status", &frame.data);
    let fields: Vec<&str> = text(frame, "power status")?.split(',').map(str::trim).collect();
    match fields.as_slice() {
        [state, percent] if !state.is_empty() => {
            Ok(Power::Battery { state: (*state).to_owned(), percent: percent.parse().map_err(|_| bad())? })
        }
        [status, power, voltage, current] => {
            let number = |text: &str| text.parse::<i64>().map_err(|_| bad());
            let status = number(status)?;
            Ok(Power::Supply(Supply {
                on: status & OFF == 0,
                good: status & POWER_NOT_GOOD == 0,
                over_current: status & OVER_CURRENT != 0,
                under_voltage: status & UNDER_VOLTAGE != 0,
                watts: convert::watts(number(power)?),
                volts: convert::volts(number(voltage)?),
                amperes: convert::amperes(number(current)?, quirks),
            }))
        }
        _ => Err(bad()),
    }
}

/// Identity: thirteen fields, in the order in which they come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the words are the bus's
pub struct Asset {
    pub board_manufacturer: String,
    pub board_part_number: String,
    pub board_product_name: String,
    pub board_serial_number: String,
    pub chassis_type: String,
    pub chassis_part_number: String,
    pub chassis_serial_number: String,
    pub product_asset_tag: String,
    pub product_manufacturer: String,
    pub product_part_number: String,
    pub product_name: String,
    pub product_serial_number: String,
    pub product_version: String,
}

/// An answer to an asset command. Commas can't be escaped.
pub fn asset(frame: &Frame) -> Result<Asset, ReplyError> {
    let fields: Vec<String> = text(frame, "asset information")?.split(',').map(str::to_owned).collect();
    let fields: [String; ASSET_FIELDS] = fields.try_into().map_err(|_| wrong("asset information", &frame.data))?;
    let [
        board_manufacturer,
        board_part_number,
        board_product_name,
        board_serial_number,
        chassis_type,
        chassis_part_number,
        chassis_serial_number,
        product_asset_tag,
        product_manufacturer,
        product_part_number,
        product_name,
        product_serial_number,
        product_version,
    ] = fields;
    Ok(Asset {
        board_manufacturer,
        board_part_number,
        board_product_name,
        board_serial_number,
        chassis_type,
        chassis_part_number,
        chassis_serial_number,
        product_asset_tag,
        product_manufacturer,
        product_part_number,
        product_name,
        product_serial_number,
        product_version,
    })
}

/// The boot target that a system holds.
pub fn boot(frame: &Frame) -> Result<BootWord, ReplyError> {
    match frame.data.as_slice() {
        b"B0" => Ok(BootWord::NoOverride),
        b"B1" => Ok(BootWord::Hdd),
        b"B2" => Ok(BootWord::Pxe),
        other => Err(wrong("boot target", other)),
    }
}

/// A chamber's light.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChamberLight {
    /// On.
    pub lit: bool,
    /// As the board tells it: six hexadecimal digits.
    pub color: String,
    /// Blinking.
    pub blinking: bool,
}

/// An answer to a chamber light command.
pub fn chamber_light(frame: &Frame) -> Result<ChamberLight, ReplyError> {
    let fields: Vec<&str> = text(frame, "chamber light")?.split(',').collect();
    match fields.as_slice() {
        [lit, color, blinking] => {
            Ok(ChamberLight { lit: *lit == "1", color: (*color).to_owned(), blinking: *blinking == "1" })
        }
        _ => Err(wrong("chamber light", &frame.data)),
    }
}

/// Names and addresses of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostInfo {
    /// Host names, in their order.
    pub names: Vec<String>,
    /// IP addresses, in their order.
    pub addresses: Vec<String>,
}

/// An answer to a host information command: `hNAME` and `iADDRESS`, separated by commas.
pub fn host_info(frame: &Frame) -> Result<HostInfo, ReplyError> {
    let mut info = HostInfo::default();
    for item in text(frame, "host information")?.split(',') {
        match (item.strip_prefix('h'), item.strip_prefix('i')) {
            (Some(name), _) => info.names.push(name.to_owned()),
            (_, Some(address)) => info.addresses.push(address.to_owned()),
            _ => return Err(wrong("host information", &frame.data)),
        }
    }
    Ok(info)
}
