//! Refusals that were told of lately: who asks for the same again and again would push everything else out of a node's
//! audit trail, which is as long as it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::op::OpError;
use crate::model::NodeId;

/// Equal refusals within that time are told of once.
const SPELL: Duration = Duration::from_mins(1);
/// Refusals that are remembered: beyond them the oldest is forgotten, and told of again.
const MOST: usize = 4096;

/// What makes two refusals equal.
#[derive(Debug, PartialEq, Eq, Hash, Clone)]
struct Key {
    node: NodeId,
    principal: Arc<str>,
    op: String,
    error: String,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<Key, Instant>>);

impl Refusals {
    /// Whether a refusal is news, which it is once a minute.
    pub fn is_news(&self, node: &NodeId, principal: &Arc<str>, op: &str, error: &OpError, now: Instant) -> bool {
        let error = match error {
            // How long it would have to wait is another time each time.
            OpError::TooLate { .. } => String::new(),
            other => other.to_string(),
        };
        let key = Key { node: node.clone(), principal: Arc::clone(principal), op: op.to_owned(), error };
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |at: &Instant| now.saturating_duration_since(*at) < SPELL;
        if told.get(&key).is_some_and(lately) {
            return false;
        }
        if told.len() >= MOST {
            told.retain(|_, at| lately(at));
        }
        if told.len() >= MOST {
            let oldest = told.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
            oldest.and_then(|key| told.remove(&key));
        }
        told.insert(key, now);
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn equal_refusals_are_news_once_a_minute_and_memory_is_bounded() {
        let (refusals, begun) = (Refusals::default(), Instant::now());
        let (node, ann) = (NodeId::new("n1").unwrap(), Arc::from("ann"));
        let held = |reason: &str| OpError::Held { target: "n1".into(), owner: "bob".into(), reason: reason.into() };
        let news = |op: &str, error: &OpError, after: u64| {
            refusals.is_news(&node, &ann, op, error, begun + Duration::from_secs(after))
        };
        assert!(news("On", &held("disk"), 0));
        assert!(!news("On", &held("disk"), 59));
        assert!(news("ForceOff", &held("disk"), 59), "another operation");
        assert!(news("On", &held("fan"), 59), "for another reason");
        assert!(refusals.is_news(&node, &Arc::from("eve"), "On", &held("disk"), begun), "of another account");
        assert!(news("On", &held("disk"), 60));
        let late = |seconds| OpError::TooLate { retry_after: Duration::from_secs(seconds) };
        assert!(news("On", &late(7), 60) && !news("On", &late(8), 61));
        for n in 0..2 * MOST {
            assert!(news(&n.to_string(), &late(1), 62), "told of, however many there are");
        }
        assert_eq!(refusals.0.lock().unwrap().len(), MOST);
        assert!(news("On", &late(7), 500) && refusals.0.lock().unwrap().len() == 1, "what is over is forgotten");
    }
}
