//! The objects of the simulated families: PowerNet-MIB, branches sPDU, rPDU and rPDU2.
//!
//! Rows are computed, not stored: a thousand PDUs share these lists.

use std::sync::LazyLock;

use crate::wire::snmp::{Oid, Value};

/// Families that are simulated. Names as the driver's models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum SimFamily {
    /// sPDU
    #[value(name = "apc-masterswitch")]
    MasterSwitch,
    /// rPDU
    #[value(name = "apc-rpdu")]
    Rpdu,
    /// rPDU2: its status counts the other way round than its command
    #[value(name = "apc-rpdu2")]
    Rpdu2,
}

/// What an object holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holds {
    Text(&'static str),
    Id(Oid),
    Uptime,
    Serial,
    Count,
    /// Name of the outlet
    Name,
    /// Takes commands, tells the state as commands tell it
    Command,
    /// The state
    State,
    /// Whether a command is pending
    Pending,
    /// Tenths of an ampere
    Current,
    Watts,
    /// Tenths of a kilowatt hour
    Energy,
    /// Of all outlets
    TotalWatts,
    /// Of all outlets, in tens of watts
    TotalTensOfWatts,
    /// Of all outlets
    TotalCurrent,
    /// Of all outlets
    TotalEnergy,
    Volts,
}

/// An object, or a column of them with one per outlet.
#[derive(Debug)]
pub(super) struct Row {
    pub oid: Oid,
    pub holds: Holds,
    pub per_outlet: bool,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    On,
    Off,
    /// Off and on again; an outlet that is off stays off.
    Reboot,
    Cancel,
}

impl SimFamily {
    /// Its objects in the order of a walk.
    pub(super) fn rows(self) -> &'static [Row] {
        static TABLES: LazyLock<[Vec<Row>; 3]> =
            LazyLock::new(|| [SimFamily::MasterSwitch, SimFamily::Rpdu, SimFamily::Rpdu2].map(SimFamily::make_rows));
        let [master_switch, rpdu, rpdu2] = &*TABLES;
        match self {
            Self::MasterSwitch => master_switch,
            Self::Rpdu => rpdu,
            Self::Rpdu2 => rpdu2,
        }
    }

    fn make_rows(self) -> Vec<Row> {
        const SYSTEM: &[u32] = &[1, 3, 6, 1, 2, 1, 1];
        const APC: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1];
        let row = |base: &[u32], tail: &[u32], holds, per_outlet| {
            let oid = Oid::new(&[base, tail].concat()).ok()?;
            Some(Row { oid, holds, per_outlet })
        };
        let id = |tail: &[u32]| Oid::new(&[&[1, 3, 6, 1, 4, 1, 318, 1, 3, 4], tail].concat());
        let one = |tail: &[u32], holds| row(APC, tail, holds, false);
        let each = |tail: &[u32], holds| row(APC, tail, holds, true);
        let (product, mut rows) = match self {
            Self::MasterSwitch => (
                3,
                vec![
                    one(&[4, 1, 2, 0], Holds::Text("v2.2.1")),
                    one(&[4, 1, 4, 0], Holds::Text("AP9225")),
                    one(&[4, 1, 5, 0], Holds::Serial),
                    one(&[4, 4, 1, 0], Holds::Count),
                    each(&[4, 4, 2, 1, 2], Holds::Pending),
                    each(&[4, 4, 2, 1, 3], Holds::Command),
                    each(&[4, 4, 2, 1, 4], Holds::Name),
                    one(&[4, 5, 1, 0], Holds::Count),
                ],
            ),
            Self::Rpdu => (
                5,
                vec![
                    one(&[12, 1, 1, 0], Holds::Text("simulated rPDU")),
                    one(&[12, 1, 3, 0], Holds::Text("v3.9.2")),
                    one(&[12, 1, 5, 0], Holds::Text("AP7930")),
                    one(&[12, 1, 6, 0], Holds::Serial),
                    one(&[12, 1, 8, 0], Holds::Count),
                    one(&[12, 1, 16, 0], Holds::TotalWatts),
                    one(&[12, 2, 3, 1, 1, 2, 1], Holds::TotalCurrent),
                    one(&[12, 3, 1, 3, 0], Holds::Count),
                    each(&[12, 3, 3, 1, 1, 4], Holds::Command),
                    each(&[12, 3, 5, 1, 1, 2], Holds::Name),
                    each(&[12, 3, 5, 1, 1, 4], Holds::State),
                    each(&[12, 3, 5, 1, 1, 5], Holds::Pending),
                    each(&[12, 3, 5, 1, 1, 7], Holds::Current),
                ],
            ),
            Self::Rpdu2 => (
                6,
                vec![
                    one(&[26, 2, 1, 3, 1], Holds::Text("simulated rPDU2")),
                    one(&[26, 2, 1, 6, 1], Holds::Text("v6.5.6")),
                    one(&[26, 2, 1, 8, 1], Holds::Text("AP8653")),
                    one(&[26, 2, 1, 9, 1], Holds::Serial),
                    one(&[26, 4, 3, 1, 5, 1], Holds::TotalTensOfWatts),
                    one(&[26, 4, 3, 1, 9, 1], Holds::TotalEnergy),
                    one(&[26, 6, 3, 1, 5, 1], Holds::TotalCurrent),
                    one(&[26, 6, 3, 1, 6, 1], Holds::Volts),
                    one(&[26, 9, 1, 0], Holds::Count),
                    each(&[26, 9, 2, 1, 1, 3], Holds::Name),
                    each(&[26, 9, 2, 3, 1, 5], Holds::State),
                    each(&[26, 9, 2, 3, 1, 6], Holds::Pending),
                    each(&[26, 9, 2, 4, 1, 5], Holds::Command),
                    one(&[26, 9, 3, 0], Holds::Count),
                    each(&[26, 9, 4, 3, 1, 6], Holds::Current),
                    each(&[26, 9, 4, 3, 1, 7], Holds::Watts),
                    each(&[26, 9, 4, 3, 1, 11], Holds::Energy),
                ],
            ),
        };
        rows.push(row(SYSTEM, &[1, 0], Holds::Text("rackfish simulated PDU"), false));
        rows.push(id(&[product]).ok().and_then(|id| row(SYSTEM, &[2, 0], Holds::Id(id), false)));
        rows.push(row(SYSTEM, &[3, 0], Holds::Uptime, false));
        let mut rows: Vec<Row> = rows.into_iter().flatten().collect();
        rows.sort_by(|a, b| a.oid.cmp(&b.oid));
        rows
    }

    /// The number that a state has in the status column.
    pub(super) fn state(self, on: bool) -> i64 {
        match (self, on) {
            (Self::Rpdu2, true) | (Self::MasterSwitch | Self::Rpdu, false) => 2,
            (Self::Rpdu2, false) | (Self::MasterSwitch | Self::Rpdu, true) => 1,
        }
    }

    /// What writing `number` to the command column does; `None`: wrongValue.
    pub(super) fn command(self, number: i64) -> Option<Command> {
        match (self, number) {
            (_, 1) | (Self::Rpdu, 4) | (Self::Rpdu2 | Self::MasterSwitch, 5) => Some(Command::On),
            (_, 2) | (Self::Rpdu, 5) | (Self::Rpdu2 | Self::MasterSwitch, 6) => Some(Command::Off),
            (_, 3) | (Self::Rpdu, 6) | (Self::Rpdu2 | Self::MasterSwitch, 7) => Some(Command::Reboot),
            (Self::Rpdu, 7) | (Self::Rpdu2, 8) => Some(Command::Cancel),
            _ => None,
        }
    }
}

/// The object at `oid`: its row, and the outlet if it is one of a column.
pub(super) fn find(rows: &'static [Row], oid: &Oid) -> Option<(&'static Row, Option<u32>)> {
    rows.iter().find_map(|row| match (row.per_outlet, oid.after(&row.oid)?) {
        (false, []) => Some((row, None)),
        (true, [outlet]) => Some((row, Some(*outlet))),
        _ => None,
    })
}

/// Whether some column has a place for `oid`, so that only the row is missing.
pub(super) fn in_column(rows: &[Row], oid: &Oid) -> bool {
    rows.iter().any(|row| row.per_outlet && oid.starts_with(&row.oid))
}

/// The first object after `oid`; `next_outlet` gives the first outlet that is not below its argument.
pub(super) fn next(
    rows: &'static [Row],
    oid: &Oid,
    next_outlet: impl Fn(u32) -> Option<u32>,
) -> Option<(Oid, &'static Row, Option<u32>)> {
    rows.iter().find_map(|row| {
        if !row.per_outlet {
            return (row.oid > *oid).then(|| (row.oid.clone(), row, None));
        }
        let from = match oid.after(&row.oid) {
            None if row.oid < *oid => return None,
            None | Some([]) => 0,
            Some([outlet, ..]) => outlet.checked_add(1)?,
        };
        let outlet = next_outlet(from)?;
        Some((row.oid.join(&[outlet])?, row, Some(outlet)))
    })
}

/// A number as the object's type has it.
pub(super) fn gauge(n: u64) -> Value {
    Value::Gauge32(u32::try_from(n).unwrap_or(u32::MAX))
}
