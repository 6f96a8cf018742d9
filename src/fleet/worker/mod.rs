//! Endpoint workers: one task owns one driver and serves one queue.
//!
//! A command waits for at most one exchange under way; equal reads share one; commands are proven by looks that all
//! expectations of the endpoint share; a dead endpoint costs its own callers one time-out and everybody else nothing.

mod handle;
mod look;
mod poll;
mod read;
mod run;
mod seats;

pub use handle::{Submitted, Unmet, WorkerHandle};
pub use run::{Observed, spawn};
pub use seats::Seats;

use std::time::Instant;

use tokio::sync::oneshot;

use crate::model::{Act, Aspect, Done, Fault, Unit};

/// What a worker is told.
#[derive(Debug)]
enum Msg {
    Act(ActJob),
    Read(ReadRequest),
    Expect(look::Expectation),
    /// Try again now, whatever breaker and credentials say.
    Retry(oneshot::Sender<Result<(), Fault>>),
    /// Which units matter to nodes: those are polled.
    Watch(Vec<Unit>),
    Stop(oneshot::Sender<()>),
}

/// One act of one unit.
#[derive(Debug)]
struct ActJob {
    unit: Unit,
    act: Act,
    attempts: u32,
    /// Given up (not sent) after that.
    deadline: Instant,
    reply: oneshot::Sender<Result<Done, Fault>>,
}

/// Somebody wants to know.
#[derive(Debug)]
struct ReadRequest {
    aspect: Aspect,
    unit: Unit,
    asked: Instant,
    /// `None`: nobody waits, the board is enough.
    reply: Option<oneshot::Sender<Result<(), Fault>>>,
}
