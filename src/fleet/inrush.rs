//! The in-rush budget: how many machines start at a time, for the whole service, a PDU, a group.
//!
//! A start takes its place before anything of its operation is done: one that would come too late for its client is
//! refused whole, instead of leaving a machine off half way through a restart. Places are moments that lie at least
//! one interval apart in each scope that counts the start; a crowded PDU does not use up the places of others.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    config::{self, Config},
    model::EndpointId,
};

/// What counts starts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All of rackfish.
    Service,
    /// The outlets of one device.
    Endpoint(EndpointId),
    /// Nodes of one group.
    Group(String),
}

/// The scopes that count a start, each with the least time between two of its starts.
pub type Scopes = Vec<(Scope, Duration)>;

/// Slowest budget: one start an hour.
const SLOWEST: Duration = Duration::from_hours(1);

fn interval(rate: f64) -> Duration {
    Duration::try_from_secs_f64(1.0 / rate).unwrap_or(SLOWEST).min(SLOWEST)
}

/// The scopes of some outlets, beside those of a node.
pub fn scopes<'a>(
    config: &Config,
    endpoints: impl Iterator<Item = &'a EndpointId>,
    node: Option<&config::Node>,
) -> Scopes {
    let mut scopes = Scopes::new();
    if let Some(rate) = config.inrush.starts_per_second {
        scopes.push((Scope::Service, interval(rate)));
    }
    for id in endpoints {
        let Some(rate) = config.endpoints.get(id).and_then(|e| e.policy.starts_per_second) else { continue };
        let scope = Scope::Endpoint(id.clone());
        if !scopes.iter().any(|(known, _)| *known == scope) {
            scopes.push((scope, interval(rate)));
        }
    }
    if let (Some(rate), Some(node)) = (config.inrush.per_group, node) {
        scopes.extend(node.groups.iter().map(|group| (Scope::Group(group.clone()), interval(rate))));
    }
    scopes
}

/// All places taken. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Inrush(Arc<Mutex<HashMap<Scope, BTreeSet<Instant>>>>);

/// A place. Dropped before it was used, it is free again.
#[derive(Debug)]
pub struct Place {
    all: Inrush,
    scopes: Scopes,
    /// The start may be made then.
    pub at: Instant,
    used: bool,
}

impl Place {
    /// The start is made.
    pub fn used(mut self) {
        self.used = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.used {
            let mut all = self.all.lock();
            for (scope, _) in &self.scopes {
                if let Some(taken) = all.get_mut(scope) {
                    taken.remove(&self.at);
                }
            }
        }
    }
}

/// The first free moment is that far away: too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLate(pub Duration);

impl Inrush {
    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, BTreeSet<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first free place, if it is not more than `most` away.
    pub fn take(&self, scopes: Scopes, now: Instant, most: Duration) -> Result<Place, TooLate> {
        let mut all = self.lock();
        for (scope, interval) in &scopes {
            // What lies an interval back no longer matters.
            let gone = now.checked_sub(*interval).unwrap_or(now);
            let taken = all.entry(scope.clone()).or_default();
            *taken = taken.split_off(&gone);
        }
        let at = first_free(&all, &scopes, now);
        let wait = at.saturating_duration_since(now);
        if wait > most {
            return Err(TooLate(wait));
        }
        for (scope, _) in &scopes {
            all.entry(scope.clone()).or_default().insert(at);
        }
        drop(all);
        Ok(Place { all: self.clone(), scopes, at, used: false })
    }
}

/// The earliest moment that lies an interval from every place taken, in every scope. Each pass moves behind a place
/// that is in the way, so there are no more passes than places.
fn first_free(all: &HashMap<Scope, BTreeSet<Instant>>, scopes: &Scopes, now: Instant) -> Instant {
    let mut at = now;
    loop {
        let in_the_way = scopes.iter().find_map(|(scope, interval)| {
            let from = at.checked_sub(*interval).unwrap_or(at);
            let near = all.get(scope)?.range(from..at + *interval).find(|place| **place + *interval > at)?;
            Some(*near + *interval)
        });
        match in_the_way {
            Some(behind) if behind > at => at = behind,
            _ => return at,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pdu(name: &str) -> (Scope, Duration) {
        (Scope::Endpoint(EndpointId::new(name).unwrap()), SECOND)
    }

    #[test]
    fn starts_lie_an_interval_apart_and_what_is_too_late_takes_no_place() {
        let (inrush, now) = (Inrush::default(), Instant::now());
        let places: Vec<_> = (0..4).map(|_| inrush.take(vec![pdu("a")], now, 3 * SECOND)).collect();
        let waits: Vec<_> = places.iter().map(|p| p.as_ref().unwrap().at - now).collect();
        assert_eq!(waits, [0, 1, 2, 3].map(|n| n * SECOND));
        assert_eq!(inrush.take(vec![pdu("a")], now, 3 * SECOND).unwrap_err(), TooLate(4 * SECOND));
    }

    #[test]
    fn a_crowded_pdu_leaves_room_for_others() {
        let (inrush, now) = (Inrush::default(), Instant::now());
        let service = (Scope::Service, SECOND / 10);
        let a: Vec<_> = (0..10).map(|_| inrush.take(vec![service.clone(), pdu("a")], now, 60 * SECOND)).collect();
        assert_eq!(a.last().unwrap().as_ref().unwrap().at - now, 9 * SECOND);
        let b = inrush.take(vec![service, pdu("b")], now, 60 * SECOND).unwrap();
        assert_eq!(b.at - now, SECOND / 10, "the service has places between those of the crowded PDU");
    }

    #[test]
    fn a_place_that_was_not_used_is_free_again() {
        let (inrush, now) = (Inrush::default(), Instant::now());
        drop(inrush.take(vec![pdu("a")], now, SECOND).unwrap());
        let place = inrush.take(vec![pdu("a")], now, SECOND).unwrap();
        assert_eq!(place.at, now);
        place.used();
        assert_eq!(inrush.take(vec![pdu("a")], now, SECOND).unwrap().at, now + SECOND);
        assert_eq!(inrush.take(vec![pdu("a")], now + 5 * SECOND, SECOND).unwrap().at, now + 5 * SECOND);
    }

    #[test]
    fn without_a_budget_nobody_waits() {
        let (inrush, now) = (Inrush::default(), Instant::now());
        assert!((0..1000).all(|_| inrush.take(Scopes::new(), now, Duration::ZERO).unwrap().at == now));
    }
}
