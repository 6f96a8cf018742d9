//! A PDU family: which objects switch, tell and measure an outlet, and with which values. A family is a data file
//! (`models/*.toml`); `generic` reads the same tables from the endpoint's own settings.
//!
//! | table | keys |
//! | --- | --- |
//! | top | `name`, `title`, `manufacturer`, `source`, `sys_object_id` (list of prefixes), `try_order` (of families at an unknown device; lower is tried first), `version`, `community`, `write_community` (what such devices usually speak) |
//! | `identity` | OIDs of `name`, `firmware`, `model`, `serial` |
//! | `columns` | `command` with `on` and `off`, and `command_off` where off is written to a column of its own; `status` with `status_on`, `status_off`, `status_pending`; `name`; meters; `count`; `index_parts`, `first`; `confirm_within`, `batch`, `varbinds` |
//! | `totals` | meters of the whole device |
//!
//! In `columns`, `*` in an OID stands for the outlet: one sub-identifier (`7`), or `index_parts` of them (`1.7`).
//! A meter is `{ oid, scale, measure, name }`; `measure` may be left out where the key says it. `scale` brings the raw
//! number to watts, amperes, volts, kilowatt hours, volt-amperes, a factor of 0 to 1, hertz.

use std::{
    cell::RefCell,
    sync::{Arc, LazyLock},
    time::Duration,
};

use toml::Table;

use crate::{
    drivers::{SettingsError, keys, keys::Keys},
    model::{Measure, Unit},
    wire::snmp::{Oid, Version},
};

/// Most outlets taken from a device that enumerates itself: four chained 48-outlet modules, with a lot of room.
pub(super) const MAX_OUTLETS: u32 = 1024;
/// Values per GET: 24 fit in a 484-octet answer only when short, but every agent since the nineties takes an
/// Ethernet frame; smaller ones answer `tooBig`, which halves it.
const VARBINDS: usize = 24;
/// Most values per GET that keep request and answer below 1,472 octets at 30 octets each.
const MAX_VARBINDS: i64 = 48;

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("models/", $name, ".toml")))),*] };
}

/// The files that come with the program. A new family is one line here; everything else goes through this list.
pub(super) const FILES: &[(&str, &str)] =
    files!["apc-masterswitch", "apc-rpdu", "apc-rpdu2", "eaton-g3", "servertech-sentry4",];

/// Kinds of meter by key.
const MEASURES: [(&str, Measure); 7] = [
    ("power", Measure::Power),
    ("current", Measure::Current),
    ("voltage", Measure::Voltage),
    ("energy", Measure::Energy),
    ("apparent_power", Measure::ApparentPower),
    ("power_factor", Measure::PowerFactor),
    ("frequency", Measure::Frequency),
];

/// SNMP versions by their word in the configuration.
pub(super) const VERSIONS: [(&str, Version); 3] = [("1", Version::V1), ("2c", Version::V2c), ("3", Version::V3)];

/// Where an outlet sits in a table: its sub-identifiers.
pub(super) type Index = Vec<u32>;

/// An OID with a place for the outlet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    before: Oid,
    after: Vec<u32>,
}

impl Column {
    fn parse(text: &str) -> Result<Self, String> {
        let Some((before, after)) = text.split_once('*') else {
            return Err("the outlet's place is missing: write `*` where the outlet's number belongs".to_owned());
        };
        let before = before.strip_suffix('.').ok_or("a `.` belongs before the `*`")?;
        let before: Oid = before.parse().map_err(|e| format!("{e}"))?;
        let after = match after.strip_prefix('.') {
            None if after.is_empty() => Vec::new(),
            None => return Err("a `.` belongs after the `*`".to_owned()),
            Some(tail) if tail.contains('*') => return Err("there can be only one `*`".to_owned()),
            Some(tail) => {
                let parts: Result<Vec<u32>, _> = tail.split('.').map(str::parse).collect();
                parts.map_err(|_| format!("{tail:?} after the `*` is not made of numbers"))?
            }
        };
        // Room for any index.
        before.join(&after).and_then(|o| o.join(&[0; 4])).ok_or("the OID is too long")?;
        Ok(Self { before, after })
    }

    /// The object of one outlet.
    pub(super) fn at(&self, index: &[u32]) -> Oid {
        // `parse` has made sure that it fits; an index has at most four parts.
        self.before.join(&[index, &self.after].concat()).unwrap_or_else(|| self.before.clone())
    }

    /// The column's root, if its rows can be walked (nothing follows the outlet).
    pub(super) fn root(&self) -> Option<&Oid> {
        self.after.is_empty().then_some(&self.before)
    }
}

/// How a status column reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub at: Column,
    pub on: Vec<i64>,
    pub off: Vec<i64>,
    pub pending: Vec<i64>,
}

/// Something measured, at `O` (a column for outlets, an object for the device).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Meter<O> {
    pub id: String,
    pub name: String,
    pub measure: Measure,
    pub at: O,
    pub scale: f64,
}

/// Objects that tell what the device is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Identity {
    pub name: Option<Oid>,
    pub firmware: Option<Oid>,
    pub model: Option<Oid>,
    pub serial: Option<Oid>,
}

/// Everything that is particular to a family.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    pub name: String,
    pub title: String,
    pub manufacturer: Option<String>,
    pub sys_object_ids: Vec<Oid>,
    pub try_order: i64,
    pub version: Version,
    pub community: String,
    pub write_community: String,
    pub identity: Identity,
    pub outlets: Outlets,
    pub totals: Vec<Meter<Oid>>,
}

/// The tables of outlets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outlets {
    pub count: Option<Oid>,
    pub index_parts: usize,
    pub first: u32,
    pub command: Column,
    /// Where off is written, if not to `command`.
    pub command_off: Option<Column>,
    pub on: i64,
    pub off: i64,
    pub status: Option<Status>,
    pub name: Option<Column>,
    pub meters: Vec<Meter<Column>>,
    pub confirm_within: Duration,
    pub batch: u16,
    pub varbinds: usize,
}

impl Outlets {
    /// The object and the value that switch the outlet at that place.
    pub(super) fn order(&self, index: &[u32], on: bool) -> (Oid, i64) {
        if on {
            (self.command.at(index), self.on)
        } else {
            (self.command_off.as_ref().unwrap_or(&self.command).at(index), self.off)
        }
    }

    /// The place of a unit in the tables: `7`, or `1.7` for a family with two sub-identifiers. Leading zeros are
    /// refused, so that one outlet has one name.
    pub(super) fn index(&self, unit: &Unit) -> Option<Index> {
        let part = |text: &str| {
            let plain = text == "0" || !text.starts_with('0');
            (plain && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u32>().ok()).flatten()
        };
        let index: Option<Index> = unit.as_str().split('.').map(part).collect();
        index.filter(|i| i.len() == self.index_parts && (self.index_parts > 1 || i.first() >= Some(&self.first)))
    }

    /// The unit at that place.
    pub(super) fn unit(index: &[u32]) -> Option<Unit> {
        let parts: Vec<String> = index.iter().map(u32::to_string).collect();
        Unit::new(&parts.join(".")).ok()
    }
}

/// The families that come with the program, by name. Parsed once: ten thousand endpoints share them.
pub(super) fn embedded() -> impl Iterator<Item = (&'static str, &'static Arc<Family>)> {
    type Parsed = Vec<(&'static str, Arc<Family>)>;
    static ALL: LazyLock<Parsed> = LazyLock::new(|| {
        // A file that is not sound is not offered; a test parses every one.
        FILES.iter().filter_map(|(name, text)| Some((*name, Arc::new(parse_file(text).ok()?)))).collect()
    });
    ALL.iter().map(|(name, family)| (*name, family))
}

/// The family that comes with the program and claims that sysObjectID: the longest prefix wins.
pub(super) fn claims(id: &Oid) -> Option<&'static str> {
    let longest = |f: &Family| {
        f.sys_object_ids.iter().filter(|prefix| id.starts_with(prefix)).map(|prefix| prefix.parts().len()).max()
    };
    embedded().filter_map(|(name, f)| Some((longest(f)?, name))).max().map(|(_, name)| name)
}

/// A family file.
pub(super) fn parse_file(text: &str) -> Result<Family, Vec<SettingsError>> {
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(e) => return Err(vec![SettingsError { key: None, message: format!("not TOML: {e}") }]),
    };
    keys::checked(&table, read_file)
}

fn read_file(table: &Table, errors: &RefCell<Vec<SettingsError>>) -> Option<Family> {
    let mut keys = Keys::new(table, "", errors);
    let name = required(&mut keys, "name", Keys::text).map(str::to_owned);
    let title = required(&mut keys, "title", Keys::text).map(str::to_owned);
    let manufacturer = keys.text("manufacturer").map(str::to_owned);
    // For people: where the numbers come from.
    required(&mut keys, "source", Keys::text);
    let mut sys_object_ids = Vec::new();
    match keys.raw("sys_object_id") {
        None => {}
        Some(toml::Value::Array(list)) => {
            for value in list {
                match value.as_str().map(str::parse) {
                    Some(Ok(oid)) => sys_object_ids.push(oid),
                    _ => keys.wrong("sys_object_id", format!("{value} is not an OID in quotes")),
                }
            }
        }
        Some(_) => keys.wrong("sys_object_id", "expected a list of OIDs"),
    }
    let try_order = keys.number("try_order", 1..=1000).unwrap_or(1000);
    let version = keys.word("version", &VERSIONS).unwrap_or(Version::V2c);
    let community = keys.text("community").unwrap_or("public").to_owned();
    let write_community = keys.text("write_community").unwrap_or("private").to_owned();
    let (identity, outlets, totals) = read_tables(&mut keys);
    keys.finish();
    Some(Family {
        name: name?,
        title: title?,
        manufacturer,
        sys_object_ids,
        try_order,
        version,
        community,
        write_community,
        identity,
        outlets: outlets?,
        totals,
    })
}

/// The tables that family files and `generic` endpoints share.
pub(super) fn read_tables(keys: &mut Keys<'_>) -> (Identity, Option<Outlets>, Vec<Meter<Oid>>) {
    let mut identity = Identity::default();
    if let Some(table) = keys.table("identity") {
        let mut below = keys.below("identity", table);
        identity.name = oid(&mut below, "name");
        identity.firmware = oid(&mut below, "firmware");
        identity.model = oid(&mut below, "model");
        identity.serial = oid(&mut below, "serial");
        below.finish();
    }
    if !keys.has("columns") {
        keys.wrong("columns", "missing: the table that says which objects switch and tell an outlet");
    }
    let outlets = keys.table("columns").and_then(|table| read_outlets(keys.below("columns", table)));
    let mut totals = Vec::new();
    if let Some(table) = keys.table("totals") {
        let mut below = keys.below("totals", table);
        for id in table.keys() {
            totals.extend(meter(&mut below, id, |text| text.parse().map_err(|e| format!("{e}"))));
        }
        below.finish();
    }
    (identity, outlets, totals)
}

fn read_outlets(mut keys: Keys<'_>) -> Option<Outlets> {
    let command = required(&mut keys, "command", column);
    let command_off = column(&mut keys, "command_off");
    if command_off.is_some() && command_off == command {
        keys.wrong("command_off", "is the same column as `command`: leave it out");
    }
    let on = required(&mut keys, "on", value);
    let off = required(&mut keys, "off", value);
    if on.is_some() && on == off && !keys.has("command_off") {
        keys.wrong("off", "is the same value as `on`, and there is no `command_off` for it");
    }
    let at = column(&mut keys, "status");
    let (status_on, status_off) = (keys.numbers("status_on"), keys.numbers("status_off"));
    let pending = keys.numbers("status_pending").unwrap_or_default();
    let status = match (at, status_on, status_off) {
        (Some(at), Some(on), Some(off)) => {
            if on.iter().any(|n| off.contains(n)) || pending.iter().any(|n| on.contains(n) || off.contains(n)) {
                keys.wrong("status_off", "a value can't stand for two states: compare status_on, _off and _pending");
            }
            Some(Status { at, on, off, pending })
        }
        (Some(_), _, _) => {
            keys.wrong("status", "needs `status_on` and `status_off`: the values that mean on and off");
            None
        }
        (None, None, None) if pending.is_empty() => None,
        (None, ..) => {
            if !keys.has("status") {
                keys.wrong("status_on", "there is no `status` column for these values");
            }
            None
        }
    };
    let name = column(&mut keys, "name");
    let count = oid(&mut keys, "count");
    let index_parts = keys.number("index_parts", 1..=4).and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
    let first = keys.number("first", 0..=1).and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    let longest = Duration::from_mins(10);
    let confirm_within =
        keys.duration("confirm_within", Duration::from_millis(100)..=longest).unwrap_or(Duration::from_secs(10));
    let batch = keys.number("batch", 1..=48).and_then(|n| u16::try_from(n).ok()).unwrap_or(1);
    let varbinds = keys.number("varbinds", 1..=MAX_VARBINDS).and_then(|n| usize::try_from(n).ok()).unwrap_or(VARBINDS);
    let mut meters = Vec::new();
    for (id, _) in MEASURES {
        meters.extend(meter(&mut keys, id, Column::parse));
    }
    keys.finish();
    Some(Outlets {
        count,
        index_parts,
        first,
        command: command?,
        command_off,
        on: on?,
        off: off?,
        status,
        name,
        meters,
        confirm_within,
        batch,
        varbinds,
    })
}

fn required<'t, T>(keys: &mut Keys<'t>, key: &str, read: impl FnOnce(&mut Keys<'t>, &str) -> Option<T>) -> Option<T> {
    if !keys.has(key) {
        keys.wrong(key, "missing");
    }
    read(keys, key)
}

fn value(keys: &mut Keys<'_>, key: &str) -> Option<i64> {
    keys.number(key, i64::from(i32::MIN)..=i64::from(i32::MAX))
}

fn oid(keys: &mut Keys<'_>, key: &str) -> Option<Oid> {
    let text = keys.text(key)?;
    text.parse().map_err(|e| keys.wrong(key, format!("{e}"))).ok()
}

fn column(keys: &mut Keys<'_>, key: &str) -> Option<Column> {
    let text = keys.text(key)?;
    Column::parse(text).map_err(|e| keys.wrong(key, e)).ok()
}

/// `id = { oid = "...", scale = 0.1, measure = "current", name = "..." }`, or `id = "OID"`.
fn meter<O>(keys: &mut Keys<'_>, id: &str, parse: impl FnOnce(&str) -> Result<O, String>) -> Option<Meter<O>> {
    let known = MEASURES.iter().find(|(word, _)| *word == id).map(|(_, measure)| *measure);
    let plain_name = id.replace(['_', '-'], " ");
    if Unit::new(id).is_err() || id.contains('/') {
        keys.wrong(id, "a reading's name is made of letters, digits, '-', '_', '.' and ':'");
    }
    if let toml::Value::String(_) = keys.raw(id)? {
        let Some(measure) = known else {
            keys.wrong(id, "needs a table with `oid` and `measure`");
            return None;
        };
        let at = parse(keys.text(id)?).map_err(|e| keys.wrong(id, e)).ok()?;
        return Some(Meter { id: id.to_owned(), name: plain_name, measure, at, scale: 1.0 });
    }
    let table = keys.table(id)?;
    let mut below = keys.below(id, table);
    let at = required(&mut below, "oid", Keys::text).and_then(|t| parse(t).map_err(|e| below.wrong("oid", e)).ok());
    let scale = below.factor("scale").unwrap_or(1.0);
    let measure = match below.word("measure", &MEASURES) {
        Some(measure) => Some(measure),
        None if known.is_none() && !below.has("measure") => {
            below.wrong("measure", "missing: what it measures (power, current, voltage, energy, ...)");
            None
        }
        None => known,
    };
    let name = below.text("name").map_or(plain_name, str::to_owned);
    below.finish();
    Some(Meter { id: id.to_owned(), name, measure: measure?, at: at?, scale })
}
