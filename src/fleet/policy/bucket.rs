//! Token bucket: at most so many exchanges a second, with a burst of one second's worth.

use std::time::{Duration, Instant};

/// Says when the next token is there, in exact integer arithmetic (nanoseconds a token).
#[derive(Debug, Clone)]
pub struct TokenBucket {
    per_token: Duration,
    burst: u32,
    /// The moment at which the bucket would be empty: tokens are `(now - empty_at) / per_token`, at most `burst`.
    empty_at: Option<Instant>,
}

/// A slower rate than one in an hour is one in an hour.
const LONGEST: Duration = Duration::from_hours(1);

impl TokenBucket {
    /// `rate` tokens a second; less than one in an hour counts as one in an hour.
    pub fn new(rate: f64) -> Self {
        let per_token = Duration::try_from_secs_f64(1.0 / rate.max(1.0 / 3600.0)).unwrap_or(LONGEST).min(LONGEST);
        // Truncation is meant: a burst of whole tokens, at least one.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let burst = (rate.clamp(1.0, 1_000_000.0)) as u32;
        // Not a number clamps to nothing.
        let burst = burst.max(1);
        Self { per_token, burst, empty_at: None }
    }

    /// When a token is (or was) there.
    pub fn ready_at(&self, now: Instant) -> Instant {
        self.empty_at.map_or(now, |empty| (empty + self.per_token).max(now))
    }

    /// Takes a token; call it at `ready_at` or later.
    pub fn take(&mut self, now: Instant) {
        let full = self.per_token * self.burst;
        let floor = now.checked_sub(full).unwrap_or(now);
        let empty = self.empty_at.map_or(floor, |e| e.max(floor));
        self.empty_at = Some(empty + self.per_token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_rate_after_the_burst() {
        let start = Instant::now() + Duration::from_mins(1);
        let mut now = start;
        let mut bucket = TokenBucket::new(10.0);
        for _ in 0..110 {
            now = bucket.ready_at(now);
            bucket.take(now);
        }
        // 10 at once, 100 more at 10 a second.
        assert_eq!(now - start, Duration::from_secs(10));
    }

    #[test]
    fn silly_rates_do_no_harm() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            let mut bucket = TokenBucket::new(rate);
            let now = Instant::now() + Duration::from_hours(2);
            bucket.take(now);
            assert!(bucket.ready_at(now) <= now + Duration::from_hours(1));
        }
    }
}
