//! The two clocks: one that only goes forward (deadlines), one for people (time stamps).
//!
//! The monotonic clock is tokio's, so that a test that pauses tokio's time drives the whole waist by hand.

use std::time::Instant;

use time::OffsetDateTime;

/// For deadlines and ages.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// For time stamps.
pub fn wall() -> OffsetDateTime {
    #[cfg(test)]
    if let Some(time) = test::wall() {
        return time;
    }
    OffsetDateTime::now_utc()
}

/// Sleeps until `at` of [`now`]'s clock.
pub async fn sleep_until(at: Instant) {
    tokio::time::sleep_until(tokio::time::Instant::from_std(at)).await;
}

/// A wall clock that follows the paused one, for tests in which a process dies and comes back.
#[cfg(test)]
pub mod test {
    use std::{cell::Cell, time::Instant};

    use time::OffsetDateTime;

    thread_local! {
        static AT: Cell<Option<(OffsetDateTime, Instant)>> = const { Cell::new(None) };
    }

    /// From now on, on this thread, the wall clock shows `time` and goes on with tokio's. `None`: the real one.
    pub fn set_wall(time: Option<OffsetDateTime>) {
        AT.set(time.map(|time| (time, super::now())));
    }

    pub(super) fn wall() -> Option<OffsetDateTime> {
        AT.get().map(|(time, since)| time + super::now().saturating_duration_since(since))
    }
}
