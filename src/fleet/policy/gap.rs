//! Minimum gap between the end of an exchange and the start of the next.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug, Clone)]
pub struct MinGap {
    gap: Duration,
    last_end: Option<Instant>,
}

impl MinGap {
    /// No exchange yet.
    pub fn new(gap: Duration) -> Self {
        Self { gap, last_end: None }
    }

    /// When the next exchange may start.
    pub fn ready_at(&self, now: Instant) -> Instant {
        self.last_end.map_or(now, |end| (end + self.gap).max(now))
    }

    /// An exchange ended.
    pub fn ended(&mut self, now: Instant) {
        self.last_end = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_distance() {
        let t = Instant::now();
        let mut gap = MinGap::new(Duration::from_millis(100));
        assert_eq!(gap.ready_at(t), t);
        gap.ended(t);
        assert_eq!(gap.ready_at(t), t + Duration::from_millis(100));
        assert_eq!(gap.ready_at(t + Duration::from_secs(1)), t + Duration::from_secs(1));
    }
}
