//! What the asserted states of a discrete sensor mean for the machine's health (IPMI 2.0, tables 42-2 and 42-3).

use crate::model::ReadingState::{self, Critical, Ok, Warning};

/// Generic event/reading types (table 42-2): type, state, judgement. What is not listed is `Ok`.
const GENERIC: &[(u8, u8, ReadingState)] = &[
    (0x04, 1, Warning), // predictive failure
    (0x05, 1, Warning), // limit exceeded
    (0x06, 1, Warning), // performance lags
    (0x07, 1, Warning), // to non-critical from OK
    (0x07, 2, Critical),
    (0x07, 3, Critical),
    (0x07, 4, Warning),
    (0x07, 5, Critical),
    (0x07, 6, Critical),
    (0x0b, 1, Critical), // redundancy lost
    (0x0b, 2, Warning),  // redundancy degraded
    (0x0b, 3, Warning),
    (0x0b, 4, Warning),
    (0x0b, 5, Critical), // insufficient resources
    (0x0b, 6, Warning),
    (0x0b, 7, Warning),
];

/// Sensor-specific states (table 42-3): sensor type, state, judgement.
const SPECIFIC: &[(u8, u8, ReadingState)] = &[
    (0x05, 0, Warning),  // chassis intrusion
    (0x07, 0, Critical), // processor: internal error
    (0x07, 1, Critical), // thermal trip
    (0x07, 2, Critical),
    (0x07, 5, Warning),
    (0x07, 8, Warning),
    (0x07, 10, Warning),
    (0x08, 1, Critical), // power supply: failure
    (0x08, 2, Warning),
    (0x08, 3, Critical), // input lost
    (0x08, 4, Critical),
    (0x08, 5, Warning),
    (0x08, 6, Warning),
    (0x09, 4, Critical), // power unit: input lost
    (0x09, 5, Critical),
    (0x09, 6, Critical),
    (0x09, 7, Warning),
    (0x0c, 0, Warning), // memory: correctable
    (0x0c, 1, Critical),
    (0x0c, 2, Critical),
    (0x0c, 3, Warning),
    (0x0c, 5, Warning),
    (0x0c, 7, Warning),
    (0x0c, 10, Critical),
    (0x0d, 1, Critical), // drive: fault
    (0x0d, 2, Warning),
    (0x0d, 5, Warning),
    (0x0d, 6, Critical),
    (0x10, 4, Warning), // log full
    (0x10, 5, Warning),
    (0x13, 1, Critical), // critical interrupt
    (0x13, 4, Critical),
    (0x13, 5, Critical),
    (0x13, 7, Warning),
    (0x13, 8, Critical),
    (0x13, 9, Critical),
    (0x13, 10, Critical),
    (0x1b, 1, Warning),  // cable: wrong connection
    (0x20, 0, Critical), // operating system: critical stop
    (0x20, 1, Critical),
    (0x28, 0, Warning), // management subsystem
    (0x28, 1, Warning),
    (0x28, 2, Critical),
    (0x28, 3, Critical),
    (0x28, 4, Warning),
    (0x28, 5, Warning),
    (0x29, 0, Warning), // battery low
    (0x29, 1, Critical),
];

/// The worst of the asserted `states` (bit n: state n).
pub fn judge_states(sensor_type: u8, reading_type: u8, states: u16) -> ReadingState {
    let (table, key) = if reading_type == 0x6f { (SPECIFIC, sensor_type) } else { (GENERIC, reading_type) };
    table
        .iter()
        .filter(|(kind, state, _)| *kind == key && states >> *state & 1 != 0)
        .map(|(_, _, judgement)| *judgement)
        .max()
        .unwrap_or(Ok)
}
