//! Circuit breaker with a half-open probe: a dead endpoint is left alone, then asked with ONE exchange.

use std::time::{Duration, Instant};

/// What the breaker says to an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go ahead.
    Closed,
    /// Go ahead with one exchange; its outcome decides.
    Probe,
    /// Not before then.
    Open(Instant),
}

/// Opens after `limit` failures in a row; stays open for `cool_down`, twice as long each time a probe fails, up to
/// ten times.
#[derive(Debug, Clone)]
pub struct Breaker {
    limit: u32,
    cool_down: Duration,
    failures: u32,
    open_until: Option<Instant>,
    opened: u32,
    last_failure: Option<Instant>,
}

/// The longest cool-down, in multiples of the first.
const GROWTH: u32 = 10;

impl Breaker {
    /// Closed.
    pub fn new(limit: u32, cool_down: Duration) -> Self {
        Self { limit: limit.max(1), cool_down, failures: 0, open_until: None, opened: 0, last_failure: None }
    }

    /// May an exchange be tried now?
    pub fn verdict(&self, now: Instant) -> Verdict {
        match self.open_until {
            None => Verdict::Closed,
            Some(until) if now >= until => Verdict::Probe,
            Some(until) => Verdict::Open(until),
        }
    }

    /// A person's command may probe an open breaker before its time, but not more than once in `spacing`.
    pub fn command_may_probe(&self, now: Instant, spacing: Duration) -> bool {
        self.last_failure.is_none_or(|at| now.saturating_duration_since(at) >= spacing)
    }

    /// An exchange worked.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.opened = 0;
        self.open_until = None;
        self.last_failure = None;
    }

    /// An exchange failed, and the endpoint is to blame.
    pub fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(now);
        if self.failures >= self.limit {
            let factor = 2_u32.saturating_pow(self.opened.min(8)).min(GROWTH);
            self.opened = self.opened.saturating_add(1);
            self.open_until = Some(now + self.cool_down * factor);
        }
    }

    /// Whether it is open (or about to probe).
    pub fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// Closes it: somebody asked.
    pub fn reset(&mut self) {
        self.succeeded();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn opens_probes_and_closes() {
        let t = Instant::now();
        let mut b = Breaker::new(3, 5 * S);
        b.failed(t);
        b.failed(t);
        assert_eq!(b.verdict(t), Verdict::Closed);
        b.failed(t);
        assert_eq!(b.verdict(t), Verdict::Open(t + 5 * S));
        assert_eq!(b.verdict(t + 5 * S), Verdict::Probe);
        b.failed(t + 5 * S);
        assert_eq!(b.verdict(t + 6 * S), Verdict::Open(t + 15 * S), "a failed probe doubles the wait");
        b.succeeded();
        assert_eq!(b.verdict(t + 6 * S), Verdict::Closed);
    }

    #[test]
    fn growth_is_bounded() {
        let t = Instant::now();
        let mut b = Breaker::new(1, S);
        for _ in 0..1000 {
            b.failed(t);
        }
        assert_eq!(b.verdict(t), Verdict::Open(t + 10 * S));
    }

    #[test]
    fn a_command_probes_but_does_not_hammer() {
        let t = Instant::now();
        let mut b = Breaker::new(1, 60 * S);
        assert!(b.command_may_probe(t, S));
        b.failed(t);
        assert!(!b.command_may_probe(t, S));
        assert!(b.command_may_probe(t + S, S));
    }
}
