//! Guessers are slowed down, by source address; those who know the password are not.
//!
//! A leaky bucket per source: each wrong password fills it by one, and a minute empties it. While it is over the limit,
//! wrong passwords are answered late and with another error, and checks of that source go through the narrow lane of
//! `password`. Nothing is ever locked: clients behind one address (a NAT, a proxy) share its bucket, and Ironic may be
//! one of them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};

/// Sources remembered at once; a flood from more of them pushes out those that were quiet for longest.
const SOURCES: usize = 8_192;
/// How late a wrong answer to a throttled source is.
const DELAY: Duration = Duration::from_secs(1);
/// Answers delayed at once: each holds a connection. Beyond that they are given at once.
const DELAYED: usize = 256;
/// A bucket over the limit by that factor gets no fuller, so that it is over within two minutes.
const DEPTH: f64 = 2.0;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    fn level(&self, now: Instant, limit: u32) -> f64 {
        let drained = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(limit) / 60.0;
        (self.level - drained).max(0.0)
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Throttle {
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
    delays: Semaphore,
}

impl Throttle {
    pub fn new() -> Self {
        Self { buckets: Mutex::new(HashMap::new()), delays: Semaphore::new(DELAYED) }
    }

    /// Whether that source has guessed wrong too often. `limit`: per minute; 0: never.
    pub fn is_throttled(&self, peer: Option<IpAddr>, limit: u32) -> bool {
        let Some(source) = peer.map(source) else { return false };
        let level = self.buckets().get(&source).map_or(0.0, |bucket| bucket.level(Instant::now(), limit));
        limit > 0 && level > f64::from(limit)
    }

    /// Counts a wrong password; whether that source has now guessed wrong too often.
    pub fn failed(&self, peer: Option<IpAddr>, limit: u32) -> bool {
        let Some(source) = peer.map(source).filter(|_| limit > 0) else { return false };
        let now = Instant::now();
        let mut buckets = self.buckets();
        if buckets.len() >= SOURCES && !buckets.contains_key(&source) {
            buckets.retain(|_, bucket| bucket.level(now, limit) > 0.0);
            let oldest = buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(source, _)| *source);
            if let Some(oldest) = oldest.filter(|_| buckets.len() >= SOURCES) {
                buckets.remove(&oldest);
            }
        }
        let bucket = buckets.entry(source).or_insert(Bucket { level: 0.0, at: now });
        let level = (bucket.level(now, limit) + 1.0).min(f64::from(limit) * DEPTH);
        *bucket = Bucket { level, at: now };
        level > f64::from(limit)
    }

    /// Keeps a throttled source waiting.
    pub async fn delay(&self) {
        if let Ok(_place) = self.delays.try_acquire() {
            tokio::time::sleep(DELAY).await;
        }
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<IpAddr, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is counted as one: an IPv4 address, or the /64 that one IPv6 site has at its disposal.
pub(super) fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = 5;

    fn peer(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_is_throttled_by_its_own_failures_and_for_a_while() {
        let throttle = Throttle::new();
        for _ in 0..LIMIT {
            assert!(!throttle.failed(peer("192.0.2.1"), LIMIT));
        }
        assert!(throttle.failed(peer("192.0.2.1"), LIMIT));
        assert!(throttle.is_throttled(peer("::ffff:192.0.2.1"), LIMIT), "the same address written as IPv6");
        assert!(!throttle.is_throttled(peer("192.0.2.2"), LIMIT));
        for _ in 0..1000 {
            throttle.failed(peer("192.0.2.1"), LIMIT);
        }
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!throttle.is_throttled(peer("192.0.2.1"), LIMIT), "even a flood is over after a minute");
    }

    #[test]
    fn a_site_is_one_source() {
        let throttle = Throttle::new();
        for n in 0..=LIMIT {
            throttle.failed(peer(&format!("2001:db8:0:1::{n:x}")), LIMIT);
        }
        assert!(throttle.is_throttled(peer("2001:db8:0:1:ffff::1"), LIMIT));
        assert!(!throttle.is_throttled(peer("2001:db8:0:2::1"), LIMIT));
    }

    #[test]
    fn no_limit_and_no_address() {
        let throttle = Throttle::new();
        for _ in 0..100 {
            assert!(!throttle.failed(peer("192.0.2.1"), 0));
            assert!(!throttle.failed(None, LIMIT));
        }
        assert!(!throttle.is_throttled(peer("192.0.2.1"), 0));
    }

    #[test]
    fn the_table_is_bounded() {
        let throttle = Throttle::new();
        for n in 0..u32::try_from(SOURCES).unwrap_or(0) + 100 {
            throttle.failed(Some(IpAddr::from(n.to_be_bytes())), LIMIT);
        }
        assert_eq!(throttle.buckets().len(), SOURCES);
    }
}
