//! The keys of a `plc-bus` endpoint, checked. All errors are found at once.
//!
//! | key | meaning | default |
//! | --- | --- | --- |
//! | `device` | path of a tty, or `socket://HOST:PORT` of a serial server | needed |
//! | `bps` | speed of the tty | 115200 |
//! | `timeout` | for an answer, between two bytes, and until a scan has ended | `250ms` |
//! | `retry_limit` | how often a bad answer is asked for again, and a scan is sent in all | 3 |
//! | `scan` | `broadcast`: all boards at once; `boards`: each alone, when it is first needed | `broadcast` |
//! | `time_slice` | milliseconds that a board has for its answer to a broadcast | 75 |
//! | `boards` | the only boards that nodes may name | any |
//! | `cycle` | `off-on`: off, look, wait, on; `board`: the board's own | `off-on` |
//! | `confirm_within` | how long after a command a board may show the old state | `10s` |
//! | `lockfile` | shared with OpenDCRE on the same line | none |
//! | `lock` | `link` (OpenDCRE 1.1 to 1.4.0), `flock` (from 1.4.1), `both` | `both` |
//! | `lock_wait` | how long another may hold it | `5s` |
//! | `rack` | what chamber lights call the rack | `1` |
//! | `quirks` | `strict`, `compat`, or tags | `strict` |

use std::{cell::RefCell, fmt, path::PathBuf, time::Duration};

use toml::{Table, Value};

use super::boards;
use crate::{
    drivers::{SettingsError, keys, keys::Keys},
    wire::device_bus::{Quirk, Quirks, RETRY_LIMIT},
};

/// The original's (OpenDCRE 1.3, `plc_config.json`).
const TIMEOUT: Duration = Duration::from_millis(250);
/// The same.
const TIME_SLICE: u8 = 75;
/// The speed of the original's line.
const BPS: u32 = 115_200;
/// Default time until a status shows what was commanded.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// The original holds it for seconds at most.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Where the line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Device {
    /// A tty.
    Tty(PathBuf),
    /// A serial server's socket: `host:port`.
    Socket(String),
}

/// How boards are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    Broadcast,
    Boards,
}

/// A lock that others respect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LockFile {
    pub path: PathBuf,
    pub link: bool,
    pub flock: bool,
    pub wait: Duration,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub device: Device,
    pub bps: u32,
    pub timeout: Duration,
    pub retry_limit: u8,
    pub scan: Scan,
    pub time_slice: u8,
    /// Empty: any.
    pub boards: Vec<u32>,
    /// The board's own cycle is used.
    pub own_cycle: bool,
    pub confirm_within: Duration,
    pub lock: Option<LockFile>,
    pub rack: String,
    pub quirks: Quirks,
}

impl fmt::Display for Settings {
    /// The line, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.device {
            Device::Tty(path) => write!(f, "{}", path.display()),
            Device::Socket(address) => write!(f, "socket://{address}"),
        }
    }
}

/// Checks an endpoint's keys.
pub(super) fn parse(table: &Table) -> Result<Settings, Vec<SettingsError>> {
    keys::checked(table, read)
}

fn read(table: &Table, errors: &RefCell<Vec<SettingsError>>) -> Option<Settings> {
    let mut keys = Keys::new(table, "", errors);
    if !keys.has("device") {
        keys.wrong("device", "missing: the path of a tty, as in \"/dev/ttyUSB0\", or \"socket://HOST:PORT\"");
    }
    let device = keys.text("device").and_then(|text| device(text).map_err(|why| keys.wrong("device", why)).ok());
    let bps = keys.number("bps", 300..=4_000_000).and_then(|n| u32::try_from(n).ok());
    if bps.is_some() && matches!(device, Some(Device::Socket(_))) {
        keys.wrong("bps", "the serial server sets the speed of its line: leave this out");
    }
    let timeout = keys.duration("timeout", Duration::from_millis(20)..=Duration::from_secs(10)).unwrap_or(TIMEOUT);
    let retry_limit = keys.number("retry_limit", 1..=10).and_then(|n| u8::try_from(n).ok()).unwrap_or(RETRY_LIMIT);
    let scan = keys.word("scan", &[("broadcast", Scan::Broadcast), ("boards", Scan::Boards)]);
    let time_slice = keys.number("time_slice", 1..=255).and_then(|n| u8::try_from(n).ok()).unwrap_or(TIME_SLICE);
    let boards = board_list(&mut keys);
    let own_cycle = keys.word("cycle", &[("off-on", false), ("board", true)]).unwrap_or(false);
    let long = Duration::from_millis(100)..=Duration::from_mins(10);
    let confirm_within = keys.duration("confirm_within", long).unwrap_or(CONFIRM_WITHIN);
    let lock = lock(&mut keys);
    let rack = keys.text("rack").unwrap_or("1").to_owned();
    if rack.contains(',') || rack.len() > 64 || !rack.is_ascii() {
        keys.wrong(
            "rack",
            "at most 64 ASCII characters, no comma: it goes into a message whose fields commas separate",
        );
    }
    let quirks = quirks(&mut keys);
    keys.finish();
    Some(Settings {
        device: device?,
        bps: bps.unwrap_or(BPS),
        timeout,
        retry_limit,
        scan: scan.unwrap_or(Scan::Broadcast),
        time_slice,
        boards,
        own_cycle,
        confirm_within,
        lock,
        rack,
        quirks,
    })
}

fn device(text: &str) -> Result<Device, String> {
    if let Some(address) = text.strip_prefix("socket://") {
        let sound = address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) && !address.contains(['/', ' '])
        });
        return if sound {
            Ok(Device::Socket(address.to_owned()))
        } else {
            Err(format!("{text:?}: expected socket://HOST:PORT"))
        };
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("{scheme} is not spoken: a path of a tty, or socket://HOST:PORT (raw TCP)"));
    }
    if text.starts_with('/') {
        Ok(Device::Tty(PathBuf::from(text)))
    } else {
        Err(format!("{text:?}: write the whole path, as in \"/dev/ttyUSB0\", or socket://HOST:PORT"))
    }
}

fn board_list(keys: &mut Keys<'_>) -> Vec<u32> {
    let mut found = Vec::new();
    for text in keys.texts("boards").unwrap_or_default() {
        match boards::board_number(&text) {
            Some(board) if !found.contains(&board) => found.push(board),
            Some(_) => keys.wrong("boards", format!("{text:?} is named twice")),
            None => keys.wrong(
                "boards",
                format!("{text:?}: expected eight hexadecimal digits in small letters, 00ffffff at most"),
            ),
        }
    }
    found
}

fn lock(keys: &mut Keys<'_>) -> Option<LockFile> {
    let path = keys.text("lockfile").map(PathBuf::from);
    let kind = keys.word("lock", &[("link", (true, false)), ("flock", (false, true)), ("both", (true, true))]);
    let wait = keys.duration("lock_wait", Duration::from_millis(100)..=Duration::from_mins(1)).unwrap_or(LOCK_WAIT);
    if !keys.has("lockfile") {
        for key in ["lock", "lock_wait"] {
            if keys.has(key) {
                keys.wrong(key, "there is no `lockfile` for it");
            }
        }
    }
    let path = path?;
    if !path.is_absolute() {
        keys.wrong("lockfile", "write the whole path, as in \"/tmp/OpenDCRE.lock\"");
    }
    let (link, flock) = kind.unwrap_or((true, true));
    Some(LockFile { path, link, flock, wait })
}

fn quirks(keys: &mut Keys<'_>) -> Quirks {
    match keys.raw("quirks") {
        None => Quirks::STRICT,
        Some(Value::String(word)) if word == "strict" => Quirks::STRICT,
        Some(Value::String(word)) if word == "compat" => Quirks::COMPAT,
        Some(Value::Array(tags)) => tags.iter().fold(Quirks::STRICT, |kept, tag| {
            if let Some(quirk) = tag.as_str().and_then(|tag| tag.parse::<Quirk>().ok()) {
                return kept.with(quirk);
            }
            let known: Vec<_> = Quirk::tags().collect();
            keys.wrong("quirks", format!("{tag} is not one of {}", known.join(", ")));
            kept
        }),
        Some(_) => {
            keys.wrong("quirks", "expected \"strict\", \"compat\", or a list of tags, as in [\"Q-06\"]");
            Quirks::STRICT
        }
    }
}
