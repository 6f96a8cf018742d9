//! Policies in front of weak devices: small types that take the time as an argument, so that they are tested with a
//! clock turned by hand. The worker (`fleet::worker`) asks them; they never sleep and never do I/O.

mod breaker;
mod bucket;
mod gap;
mod log_limit;
mod queue;

pub use breaker::{Breaker, Verdict};
pub use bucket::TokenBucket;
pub use gap::MinGap;
pub use log_limit::{EVERY as LOG_EVERY, LogLimit};
pub use queue::{Class, ClassQueue};
