//! The mains layer: feeds off, feeds on.

use super::Run;
use crate::{
    config::Feed,
    fleet::{clock, op::OpError, plan::Step},
};

impl Run {
    /// Cuts all feeds at once. A feed that can't be cut is an error that names it; the others are cut all the same,
    /// because that is what was asked for.
    pub(super) async fn supply_off(&mut self) -> Result<(), OpError> {
        let feeds: Vec<Feed> = self.config.feeds.clone();
        let mut jobs = Vec::new();
        for feed in feeds.iter().filter(|feed| !feed.shared) {
            let mut part = self.part();
            jobs.push(async move {
                // "Already there" is decided here, by a live look.
                let off = part.tells(&feed.unit) && matches!(part.look(&feed.unit).await, Ok(false));
                if off && part.settled(&feed.unit)? {
                    return Ok(());
                }
                part.switch(&feed.unit, false, Step::SupplyOff.as_str()).await
            });
        }
        let results = futures_util::future::join_all(jobs).await;
        results.into_iter().collect()
    }

    /// Switches the feeds on, in order, each after its off-time and the gap of the one before.
    pub(super) async fn supply_on(&mut self) -> Result<(), OpError> {
        let feeds: Vec<Feed> = self.config.feeds.clone();
        let mut trouble = None;
        let mut gap = None;
        for feed in &feeds {
            match self.feed_on(feed, &mut gap).await {
                Ok(()) => {}
                Err(error @ (OpError::Cancelled { .. } | OpError::Held { .. })) => return Err(error),
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    async fn feed_on(&mut self, feed: &Feed, gap: &mut Option<std::time::Instant>) -> Result<(), OpError> {
        let on = self.tells(&feed.unit) && self.look(&feed.unit).await?;
        if on && self.settled(&feed.unit)? {
            return Ok(());
        }
        let worker = self.fleet.worker(&feed.unit)?;
        // The off-time belongs to the feed: it holds for every start, also for the On that follows another client's Off.
        let since = worker.state.unit(&feed.unit.unit, |u| u.off_since);
        let ready = since.map(|off| off + feed.off_time).into_iter().chain(*gap).max();
        if let Some(ready) = ready.filter(|ready| *ready > clock::now()) {
            self.op.at("off-time");
            self.pause_until(ready).await?;
        }
        if on {
            // It may be about to go off: said once more, it stays.
            return self.switch(&feed.unit, true, Step::SupplyOn.as_str()).await;
        }
        self.admit_start().await?;
        self.op.at(Step::SupplyOn.as_str());
        self.supplied_now = true;
        let result = self.switch(&feed.unit, true, Step::SupplyOn.as_str()).await;
        *gap = Some(clock::now() + feed.gap);
        result
    }

    /// A run for a part of the work that goes on beside others.
    fn part(&self) -> Self {
        Self {
            fleet: self.fleet.clone(),
            node: self.node.clone(),
            config: self.config.clone(),
            op: self.op.clone(),
            place: None,
            ..*self
        }
    }
}
