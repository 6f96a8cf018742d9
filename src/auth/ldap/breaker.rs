//! After nobody answered, nobody is asked for a while; then one request tries, and the others do not wait for it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    shut: Mutex<Option<(Instant, String)>>,
}

impl Breaker {
    /// Why it is no use to ask now, and for how long. If it has been long enough, the caller is the one who tries: for
    /// `trying` nobody else does.
    pub fn enter(&self, trying: Duration) -> Result<(), (String, Duration)> {
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((until, why)) = &mut *shut else { return Ok(()) };
        let now = Instant::now();
        if now < *until {
            return Err((why.clone(), *until - now));
        }
        *until = now + trying;
        Ok(())
    }

    /// Somebody answered; true: nobody had before.
    pub fn answered(&self) -> bool {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    /// Nobody answered; true: that is new.
    pub fn failed(&self, why: &str, pause: Duration) -> bool {
        let next = Some((Instant::now() + pause, why.to_owned()));
        std::mem::replace(&mut *self.shut.lock().unwrap_or_else(PoisonError::into_inner), next).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_tries_after_the_pause_and_the_others_do_not_wait() {
        let second = Duration::from_secs(1);
        let breaker = Breaker::default();
        assert!(breaker.enter(second).is_ok() && !breaker.answered());
        assert!(breaker.failed("down", 10 * second));
        assert!(!breaker.failed("down", 10 * second), "not news");
        assert_eq!(breaker.enter(second), Err(("down".to_owned(), 10 * second)));
        tokio::time::advance(10 * second).await;
        assert!(breaker.enter(second).is_ok());
        assert!(breaker.enter(second).is_err(), "one is trying");
        // Who tried was never heard of again.
        tokio::time::advance(second).await;
        assert!(breaker.enter(second).is_ok());
        assert!(breaker.answered());
        assert!(breaker.enter(second).is_ok() && breaker.enter(second).is_ok());
    }
}
