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
    OffsetDateTime::now_utc()
}

/// Sleeps until `at` of [`now`]'s clock.
pub async fn sleep_until(at: Instant) {
    tokio::time::sleep_until(tokio::time::Instant::from_std(at)).await;
}
