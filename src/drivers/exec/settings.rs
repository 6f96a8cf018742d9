//! The keys of an `exec` endpoint, checked. All errors are found at once.
//!
//! | key | meaning | default |
//! | --- | --- | --- |
//! | `units` | names of what the commands switch | needed |
//! | `on`, `off` | programs and their arguments; `{unit}` and `{address}` are replaced | needed |
//! | `cycle` | the same: off, a pause, and on | none |
//! | `status` | the same: tells whether the unit is on | none: states are assumed |
//! | `status_on`, `status_off` | exit codes, or patterns of a line of output (`*` is anything) | `0`, `1` |
//! | `confirm_within` | how long after a command `status` may show the old state | `10s` |
//! | `address` | what `{address}` stands for, and what people see | none |
//! | `timeout` | for one command | `10s` |
//! | `environment` | variables of the commands, besides `PATH` | none |
//! | `secrets` | the same, kept out of the configuration | none |

use std::{cell::RefCell, collections::BTreeSet, fmt, path::Path, time::Duration};

use toml::{Table, Value};

use super::commands::{PLACEHOLDERS, Told, unknown_placeholders};
use crate::{
    drivers::{SettingsError, keys, keys::Keys},
    model::{Secret, Unit},
};

/// Most units of one endpoint: each costs a program at every poll.
const MAX_UNITS: usize = 256;
/// Most arguments of a command.
const MAX_ARGUMENTS: usize = 64;
/// Default time of one command: an ssh to a slow board takes seconds.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Default time until a status shows what was commanded: most commands return when it is done.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// Longest of both.
const LONGEST: Duration = Duration::from_mins(10);

/// A command that tells a state.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub command: Vec<String>,
    pub told: Told,
    pub confirm_within: Duration,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub units: Vec<Unit>,
    pub address: Option<String>,
    pub on: Vec<String>,
    pub off: Vec<String>,
    pub cycle: Option<Vec<String>>,
    pub status: Option<Status>,
    pub timeout: Duration,
    pub environment: Vec<(String, Secret)>,
}

impl fmt::Display for Settings {
    /// The address, or else the program, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.on.first().map(String::as_str).unwrap_or_default();
        f.write_str(self.address.as_deref().unwrap_or(program))
    }
}

/// Checks an endpoint's keys.
pub(super) fn parse(table: &Table) -> Result<Settings, Vec<SettingsError>> {
    keys::checked(table, read)
}

fn read(table: &Table, errors: &RefCell<Vec<SettingsError>>) -> Option<Settings> {
    let mut keys = Keys::new(table, "", errors);
    let units = units(&mut keys);
    let address = keys.text("address").map(str::to_owned);
    for key in ["on", "off"] {
        if !keys.has(key) {
            keys.wrong(key, format!("missing: the command that switches a unit {key}, as in [\"/usr/bin/relay\", \"{key}\", \"{{unit}}\"]"));
        }
    }
    let several = units.as_ref().is_some_and(|units| units.len() > 1);
    let on = command(&mut keys, "on", several);
    let off = command(&mut keys, "off", several);
    let cycle = command(&mut keys, "cycle", several);
    if on.is_some() && on == off {
        keys.wrong("off", "is the same command as `on`");
    }
    let status = status(&mut keys, several);
    let timeout = keys.duration("timeout", Duration::from_millis(100)..=LONGEST).unwrap_or(TIMEOUT);
    let environment = environment(&mut keys);
    keys.finish();
    Some(Settings { units: units?, address, on: on?, off: off?, cycle, status, timeout, environment })
}

fn units(keys: &mut Keys<'_>) -> Option<Vec<Unit>> {
    if !keys.has("units") {
        keys.wrong("units", "missing: the names of what is switched, as in [\"1\", \"2\"]");
    }
    let names = keys.texts("units")?;
    if names.len() > MAX_UNITS {
        keys.wrong("units", format!("{} units are too many: one endpoint has at most {MAX_UNITS}", names.len()));
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut units = Vec::with_capacity(names.len());
    for name in &names {
        match Unit::new(name) {
            Ok(_) if !seen.insert(name) => keys.wrong("units", format!("{name:?} is named twice")),
            Ok(unit) => units.push(unit),
            Err(error) => keys.wrong("units", format!("{name:?}: {error}")),
        }
    }
    Some(units)
}

/// A program and its arguments. `several`: they have to say which unit.
fn command(keys: &mut Keys<'_>, key: &str, several: bool) -> Option<Vec<String>> {
    if let Some(Value::String(text)) = keys.raw(key) {
        let words: Vec<String> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
        keys.wrong(key, format!("must be a list: no shell takes it apart; write [{}]", words.join(", ")));
        return None;
    }
    let argv = keys.texts(key)?;
    if argv.len() > MAX_ARGUMENTS {
        keys.wrong(key, format!("has more than {MAX_ARGUMENTS} arguments: put them into a script"));
    }
    if argv.iter().any(|word| word.contains('\0')) {
        keys.wrong(key, "holds a NUL character, which no argument can");
    }
    let program = argv.first().map(String::as_str).unwrap_or_default();
    if program.contains('{') {
        keys.wrong(key, "the program itself can't hold a placeholder");
    } else if program.contains('/') && !Path::new(program).is_absolute() {
        keys.wrong(
            key,
            format!("{program:?} depends on the folder that rackfish was started in: write the whole path"),
        );
    }
    for unknown in argv.iter().flat_map(|word| unknown_placeholders(word)) {
        keys.wrong(key, format!("nothing replaces {{{unknown}}}: there are {{{}}}", PLACEHOLDERS.join("} and {")));
    }
    if argv.iter().any(|word| word.contains("{address}")) && !keys.has("address") {
        keys.wrong(key, "{address} stands for nothing: add `address`");
    }
    if several && !argv.iter().any(|word| word.contains("{unit}")) {
        keys.wrong(key, "does not say which of the units: write {unit} in one of its arguments");
    }
    Some(argv)
}

/// What `status_on` and `status_off` may be.
enum Said {
    Codes(Vec<i32>),
    Lines(Vec<String>),
}

fn said(keys: &mut Keys<'_>, key: &str) -> Option<Said> {
    let values = match keys.raw(key)? {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    let code = |v: &Value| v.as_integer().and_then(|n| u8::try_from(n).ok()).map(i32::from);
    if let Some(codes) = values.iter().map(code).collect::<Option<Vec<_>>>().filter(|codes| !codes.is_empty()) {
        return Some(Said::Codes(codes));
    }
    let line = |v: &Value| v.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(lines) = values.iter().map(line).collect::<Option<Vec<_>>>().filter(|lines| !lines.is_empty()) {
        return Some(Said::Lines(lines));
    }
    keys.wrong(key, "expected exit codes (0 to 255) or texts for a line of output, one or a list");
    None
}

fn status(keys: &mut Keys<'_>, several: bool) -> Option<Status> {
    let command = command(keys, "status", several);
    let (on, off) = (said(keys, "status_on"), said(keys, "status_off"));
    let within = keys.duration("confirm_within", Duration::from_millis(100)..=LONGEST).unwrap_or(CONFIRM_WITHIN);
    if !keys.has("status") {
        for key in ["status_on", "status_off", "confirm_within"] {
            if keys.has(key) {
                keys.wrong(key, "there is no `status` command for it");
            }
        }
        return None;
    }
    if keys.has("status_on") != keys.has("status_off") {
        keys.wrong("status_on", "`status_on` and `status_off` belong together: give both or none");
        return None;
    }
    let told = match (on, off) {
        (None, None) if !keys.has("status_on") => Told::Codes { on: vec![0], off: vec![1] },
        (Some(Said::Codes(on)), Some(Said::Codes(off))) => {
            if on.iter().any(|code| off.contains(code)) {
                keys.wrong("status_off", "an exit code can't stand for two states: compare `status_on`");
            }
            Told::Codes { on, off }
        }
        (Some(Said::Lines(on)), Some(Said::Lines(off))) => {
            if on.iter().any(|line| off.contains(line)) {
                keys.wrong("status_off", "a line can't stand for two states: compare `status_on`");
            }
            Told::Lines { on, off }
        }
        (Some(_), Some(_)) => {
            keys.wrong("status_off", "is of another kind than `status_on`: both are exit codes, or both are texts");
            return None;
        }
        _ => return None,
    };
    Some(Status { command: command?, told, confirm_within: within })
}

/// `environment` and `secrets`, as one list.
fn environment(keys: &mut Keys<'_>) -> Vec<(String, Secret)> {
    let mut variables: Vec<(String, Secret)> = Vec::new();
    for key in ["environment", "secrets"] {
        let Some(table) = keys.table(key) else { continue };
        let below = keys.below(key, table);
        for (name, value) in table {
            let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !name.starts_with(|c: char| c.is_ascii_digit());
            match value {
                _ if name.is_empty() || !sound => {
                    below.wrong(name, "a variable's name is made of letters, digits and `_`, and begins with no digit");
                }
                // The value is not shown: it may be a secret.
                Value::String(text) if text.contains('\0') => below.wrong(name, "holds a NUL character"),
                Value::String(_) if variables.iter().any(|(known, _)| known == name) => {
                    below.wrong(name, "is in `environment` too: leave it out there");
                }
                Value::String(text) => variables.push((name.clone(), Secret::new(text.as_str()))),
                other => below.wrong(name, format!("expected text in quotes, found {}", keys::kind(other))),
            }
        }
    }
    variables
}
