//! Repeated errors of a device: one line every so often, with the number of those left out.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// One line per key and that long.
pub const EVERY: Duration = Duration::from_secs(10);
/// Keys remembered; the oldest make room.
const KEYS: usize = 16_384;

/// Says which lines are written. The time is an argument.
#[derive(Debug)]
pub struct LogLimit<K> {
    every: Duration,
    keys: HashMap<K, (Instant, u64)>,
}

impl<K: Eq + Hash + Clone> LogLimit<K> {
    /// One line per key and `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, keys: HashMap::new() }
    }

    /// `Some(n)`: write the line, `n` like it were left out since the last. `None`: leave it out.
    pub fn admit(&mut self, key: &K, now: Instant) -> Option<u64> {
        if let Some((last, left_out)) = self.keys.get_mut(key) {
            if now.saturating_duration_since(*last) < self.every {
                *left_out += 1;
                return None;
            }
            *last = now;
            return Some(std::mem::take(left_out));
        }
        if self.keys.len() >= KEYS {
            // All at once, and rarely: a pass over the keys for every new one would be quadratic.
            self.keys.retain(|_, (last, _)| now.saturating_duration_since(*last) < self.every);
            if self.keys.len() >= KEYS {
                self.keys.clear();
            }
        }
        self.keys.insert(key.clone(), (now, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_lines_are_counted_not_written() {
        let t = Instant::now();
        let mut limit = LogLimit::new(EVERY);
        assert_eq!(limit.admit(&"a", t), Some(0));
        assert_eq!(limit.admit(&"a", t + Duration::from_secs(1)), None);
        assert_eq!(limit.admit(&"a", t + Duration::from_secs(9)), None);
        assert_eq!(limit.admit(&"b", t + Duration::from_secs(9)), Some(0), "keys don't know each other");
        assert_eq!(limit.admit(&"a", t + Duration::from_secs(10)), Some(2));
        assert_eq!(limit.admit(&"a", t + Duration::from_secs(11)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let t = Instant::now();
        let mut limit = LogLimit::new(EVERY);
        for key in 0..3 * KEYS {
            limit.admit(&key, t);
        }
        assert!(limit.keys.len() <= KEYS);
    }
}
