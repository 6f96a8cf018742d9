//! What can be wrong with a simulated PDU.

use std::{collections::BTreeSet, time::Duration};

/// Faults of one PDU; all of them can be changed while it runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Every that many-th request is not seen.
    pub drop_every: Option<u64>,
    /// Share of requests that are not seen, 0 to 1.
    pub lose_requests: f64,
    /// Share of answers that are lost after the request was carried out, 0 to 1.
    pub lose_answers: f64,
    /// That many answers to SETs are lost after the SET was carried out.
    pub lose_set_answers: u32,
    /// Answers come that late.
    pub delay: Duration,
    /// Answers are random bytes.
    pub garbage: bool,
    /// Before the right answer comes one to another request, which says on for off and off for on. It is not lost with
    /// `lose_answers`.
    pub foreign_id: bool,
    /// Every answer comes twice.
    pub duplicate: bool,
    /// SETs are answered with errorStatus 0 and noSuchInstance, and do nothing.
    pub set_no_such_instance: bool,
    /// SETs are answered as if they had worked, and do nothing.
    pub set_ignored: bool,
    /// GETs of more variables than that are answered with tooBig.
    pub too_big_above: Option<usize>,
    /// Outlets that are missing from all tables; the count still includes them.
    pub missing: BTreeSet<u32>,
    /// Outlets whose relay does not move.
    pub stuck: BTreeSet<u32>,
    /// It is gone: nothing is answered, nothing is carried out.
    pub vanished: bool,
}
