//! How many exchanges that nobody waits for are under way at once, in the whole fleet.
//!
//! Ten thousand logins at once, or as many polls on a machine that is short of CPU, would each take longer than its
//! time-out: everything is repeated, and nothing is learnt. With a bounded number under way each is answered in its
//! time, and the rest waits where waiting costs nothing. Commands, and reads that somebody waits for, need no seat.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Seats of a fleet. At 20 ms an exchange, which is slow for a BMC, that is 12,800 exchanges a second.
const SEATS: usize = 256;

/// A seat is given on after that long, answered or not: dead and slow devices must not keep others from being read.
/// If all were dead, 1,024 exchanges a second would still be begun, three times what 10,000 nodes every 30 s need.
const HELD: Duration = Duration::from_millis(250);

/// The seats. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Seats(Arc<Semaphore>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Default for Seats {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SEATS)))
    }
}

impl Seats {
    /// Waits for a seat, first come, first served. Can be cancelled.
    pub fn take(&self) -> impl Future<Output = Seat> + use<> {
        let seats = Arc::clone(&self.0);
        // Nobody closes the semaphore; if somebody did, there would be no bound.
        async move { Seat { _permit: seats.acquire_owned().await.ok() } }
    }
}

impl Seat {
    /// Does `work`; the seat is free when it is done, or before when it takes long.
    pub async fn during<T>(self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        if let Ok(done) = tokio::time::timeout(HELD, &mut work).await {
            return done;
        }
        drop(self);
        work.await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::time::{Instant, sleep};

    use super::*;

    async fn all_take(each: Duration, jobs: usize) -> Duration {
        let (seats, began) = (Seats::default(), Instant::now());
        let job = |_| {
            let seats = seats.clone();
            async move { seats.take().await.during(sleep(each)).await }
        };
        join_all((0..jobs).map(job)).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_seat_waits() {
        let each = Duration::from_millis(100);
        assert!(all_take(each, SEATS).await < each + Duration::from_millis(10));
        let rounds = all_take(each, 4 * SEATS).await;
        assert!(rounds >= 4 * each && rounds < 5 * each, "{rounds:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_slow_give_their_seats_on() {
        let slow = Duration::from_secs(10);
        let took = all_take(slow, 4 * SEATS).await;
        assert!(took < slow + 4 * HELD, "{took:?}: they did not wait for each other's ends");
    }
}
