//! Guessers are locked out, if that is wanted; those who know the password are not.
//!
//! Off unless turned on (`throttle` slows guessers down anyhow). A lock is of a pair: one account, from one source
//! address. While it lasts, a password from there is not looked at, unless it is the one that was right last (or was set
//! last): of that a keyed digest is remembered, in memory only, and it is checked as ever. So whoever guesses Ironic's
//! password locks out themselves: Ironic at another address is not touched, and neither is Ironic behind the same one,
//! nor anybody with a session. The same wrong password counts once: a client with an old one does not run into a lock.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::{cache::Key, throttle::source};
use crate::config::Lockout;

/// Pairs remembered at once; a flood of more pushes out those without a lock first, then the oldest.
const PAIRS: usize = 8_192;
/// Accounts whose last right password is remembered.
const ACCOUNTS: usize = 4_096;
/// Wrong passwords of a pair that are told apart.
const RECENT: usize = 16;

/// It ends when it was going to when it began, whatever the rules have become: one that is over does not come back.
#[derive(Debug, Clone, Copy)]
enum Lock {
    Until(Instant),
    ForEver,
}

impl Lock {
    fn new(rules: &Lockout) -> Self {
        // Too far to be told: no clock goes there.
        let end = Instant::now().checked_add(rules.duration).filter(|_| rules.resets);
        end.map_or(Self::ForEver, Self::Until)
    }

    fn holds(self) -> bool {
        match self {
            Self::Until(end) => Instant::now() < end,
            Self::ForEver => true,
        }
    }
}

#[derive(Debug)]
struct Pair {
    failures: u32,
    last: Instant,
    locked: Option<Lock>,
    recent: VecDeque<Key>,
}

impl Pair {
    fn is_locked(&self) -> bool {
        self.locked.is_some_and(Lock::holds)
    }

    /// Nothing in it counts any more.
    fn is_over(&self, rules: &Lockout) -> bool {
        match self.locked {
            Some(lock) => !lock.holds(),
            None => rules.resets && self.last.elapsed() >= rules.reset_after,
        }
    }
}

/// The last right password of an account.
#[derive(Debug)]
struct Right {
    /// What it was checked against: worthless with another one.
    hash: Arc<str>,
    key: Key,
}

/// Somebody has just been locked out.
pub(super) type Told = Box<dyn Fn(&str, IpAddr) + Send + Sync>;

type Pairs = HashMap<(Arc<str>, IpAddr), Pair>;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Lockouts {
    pairs: Mutex<Pairs>,
    right: Mutex<HashMap<Arc<str>, Right>>,
    told: Mutex<Option<Told>>,
}

impl Lockouts {
    /// Whether passwords for that account are not looked at from there.
    pub fn is_locked(&self, account: &Arc<str>, peer: Option<IpAddr>, rules: &Lockout) -> bool {
        let Some(pair) = pair(account, peer).filter(|_| rules.is_on()) else { return false };
        self.pairs().get(&pair).is_some_and(Pair::is_locked)
    }

    /// Counts a wrong password.
    pub fn failed(&self, account: &Arc<str>, peer: Option<IpAddr>, key: &Key, rules: &Lockout) {
        let Some(of) = pair(account, peer).filter(|_| rules.is_on()) else { return };
        let address = of.1;
        let now_locked = {
            let mut pairs = self.pairs();
            make_room(&mut pairs, &of, rules);
            let fresh = || Pair { failures: 0, last: Instant::now(), locked: None, recent: VecDeque::new() };
            let pair = pairs.entry(of).or_insert_with(fresh);
            if pair.is_over(rules) {
                *pair = fresh();
            }
            if pair.locked.is_some() || pair.recent.contains(key) {
                return;
            }
            pair.recent.push_front(*key);
            pair.recent.truncate(RECENT);
            pair.failures = pair.failures.saturating_add(1);
            pair.last = Instant::now();
            if pair.failures >= rules.threshold {
                pair.locked = Some(Lock::new(rules));
            }
            pair.locked.is_some()
        };
        if now_locked {
            let seconds = if rules.resets { rules.duration.as_secs().to_string() } else { "for ever".to_owned() };
            tracing::warn!(target: "audit", account = &**account, %address, seconds, "locked out after wrong passwords");
            if let Some(told) = &*self.told.lock().unwrap_or_else(PoisonError::into_inner) {
                told(account, address);
            }
        }
    }

    /// A right password came from there: guesses before it do not count. A lock stays, for others may be at that address.
    pub fn succeeded(&self, account: &Arc<str>, peer: Option<IpAddr>, rules: &Lockout) {
        let Some(of) = pair(account, peer).filter(|_| rules.is_on()) else { return };
        let mut pairs = self.pairs();
        if pairs.get(&of).is_some_and(|pair| !pair.is_locked()) {
            pairs.remove(&of);
        }
    }

    /// Ends all locks of an account; false: there was none.
    pub fn unlock(&self, account: &str) -> bool {
        let mut locked = false;
        self.pairs().retain(|(name, _), pair| {
            locked |= **name == *account && pair.locked.is_some();
            **name != *account
        });
        locked
    }

    /// The accounts that are locked for somebody.
    pub fn locked(&self, rules: &Lockout) -> HashSet<Arc<str>> {
        if !rules.is_on() {
            return HashSet::new();
        }
        self.pairs().iter().filter(|(_, pair)| pair.is_locked()).map(|((name, _), _)| Arc::clone(name)).collect()
    }

    /// That password is right for the account.
    pub fn remember(&self, account: &Arc<str>, hash: &Arc<str>, key: Key) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= ACCOUNTS && !right.contains_key(account) {
            right.clear();
        }
        right.insert(Arc::clone(account), Right { hash: Arc::clone(hash), key });
    }

    /// Whether it is the one that was right last.
    pub fn knows(&self, account: &str, hash: &str, key: &Key) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(account).is_some_and(|right| *right.hash == *hash && right.key == *key)
    }

    /// The account is gone.
    pub fn forget(&self, account: &str) {
        self.right.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
        self.unlock(account);
    }

    /// Who is told of locks.
    pub fn tell(&self, told: Told) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pair(account: &Arc<str>, peer: Option<IpAddr>) -> Option<(Arc<str>, IpAddr)> {
    peer.map(|peer| (Arc::clone(account), source(peer)))
}

fn make_room(pairs: &mut Pairs, of: &(Arc<str>, IpAddr), rules: &Lockout) {
    if pairs.len() < PAIRS || pairs.contains_key(of) {
        return;
    }
    pairs.retain(|_, pair| !pair.is_over(rules));
    let oldest = pairs.iter().min_by_key(|(_, pair)| (pair.is_locked(), pair.last)).map(|(of, _)| of.clone());
    if let Some(oldest) = oldest.filter(|_| pairs.len() >= PAIRS) {
        pairs.remove(&oldest);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RULES: Lockout =
        Lockout { threshold: 3, duration: Duration::from_mins(10), reset_after: Duration::from_mins(5), resets: true };

    fn key(n: u16) -> Key {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&n.to_be_bytes());
        key
    }

    fn peer(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_is_of_one_account_and_one_source_and_ends() {
        let (all, ironic, other) = (Lockouts::default(), Arc::from("ironic"), Arc::from("other"));
        for n in 0..3 {
            assert!(!all.is_locked(&ironic, peer("192.0.2.1"), &RULES));
            all.failed(&ironic, peer("192.0.2.1"), &key(n), &RULES);
        }
        assert!(all.is_locked(&ironic, peer("::ffff:192.0.2.1"), &RULES));
        assert!(!all.is_locked(&ironic, peer("192.0.2.2"), &RULES) && !all.is_locked(&ironic, None, &RULES));
        assert!(!all.is_locked(&other, peer("192.0.2.1"), &RULES));
        assert_eq!(all.locked(&RULES), HashSet::from([Arc::clone(&ironic)]));
        // More guesses make it no longer, and it is over in its time; guesses from before do not count then.
        tokio::time::advance(Duration::from_mins(9)).await;
        all.failed(&ironic, peer("192.0.2.1"), &key(9), &RULES);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(!all.is_locked(&ironic, peer("192.0.2.1"), &RULES) && all.locked(&RULES).is_empty());
        all.failed(&ironic, peer("192.0.2.1"), &key(10), &RULES);
        assert!(!all.is_locked(&ironic, peer("192.0.2.1"), &RULES));
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_are_counted_once_each_and_for_a_while() {
        let (all, ann) = (Lockouts::default(), Arc::from("ann"));
        for _ in 0..100 {
            all.failed(&ann, peer("192.0.2.1"), &key(1), &RULES);
        }
        all.failed(&ann, peer("192.0.2.1"), &key(2), &RULES);
        assert!(!all.is_locked(&ann, peer("192.0.2.1"), &RULES), "an old password, sent again and again, is one guess");
        tokio::time::advance(RULES.reset_after).await;
        all.failed(&ann, peer("192.0.2.1"), &key(3), &RULES);
        all.failed(&ann, peer("192.0.2.1"), &key(4), &RULES);
        assert!(!all.is_locked(&ann, peer("192.0.2.1"), &RULES), "the first two were too long ago");
        all.succeeded(&ann, peer("192.0.2.1"), &RULES);
        all.failed(&ann, peer("192.0.2.1"), &key(5), &RULES);
        assert!(!all.is_locked(&ann, peer("192.0.2.1"), &RULES), "a right one makes up for those before it");
        let for_ever = Lockout { resets: false, ..RULES };
        for n in 6..9 {
            all.failed(&ann, peer("192.0.2.9"), &key(n), &for_ever);
        }
        tokio::time::advance(Duration::from_hours(1000)).await;
        assert!(all.is_locked(&ann, peer("192.0.2.9"), &for_ever));
        assert!(all.unlock("ann") && !all.unlock("ann"));
        assert!(!all.is_locked(&ann, peer("192.0.2.9"), &for_ever));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_is_over_does_not_come_back_with_other_rules() {
        let (all, ann) = (Lockouts::default(), Arc::from("ann"));
        let here = peer("192.0.2.1");
        for n in 0..3 {
            all.failed(&ann, here, &key(n), &RULES);
        }
        tokio::time::advance(RULES.duration.saturating_sub(Duration::from_secs(1))).await;
        let shorter = Lockout { duration: Duration::from_secs(5), reset_after: Duration::from_secs(5), ..RULES };
        assert!(all.is_locked(&ann, here, &shorter), "it was told to last that long");
        tokio::time::advance(Duration::from_secs(1)).await;
        let longer = Lockout { duration: Duration::from_hours(2), ..RULES };
        let for_ever = Lockout { resets: false, ..RULES };
        for rules in [RULES, longer, for_ever] {
            assert!(!all.is_locked(&ann, here, &rules) && all.locked(&rules).is_empty());
        }
        all.failed(&ann, here, &key(7), &for_ever);
        assert!(!all.is_locked(&ann, here, &for_ever), "what led to it does not count either");
        for n in 8..10 {
            all.failed(&ann, here, &key(n), &for_ever);
        }
        assert!(all.is_locked(&ann, here, &for_ever));
    }

    #[test]
    fn off_is_off_and_the_table_is_bounded() {
        let (all, ann): (_, Arc<str>) = (Lockouts::default(), Arc::from("ann"));
        for n in 0..100 {
            all.failed(&ann, peer("192.0.2.1"), &key(n), &Lockout::default());
        }
        assert!(all.pairs().is_empty());
        for n in 0..u32::try_from(PAIRS).unwrap() + 100 {
            all.failed(&ann, Some(IpAddr::from(n.to_be_bytes())), &key(0), &RULES);
        }
        assert_eq!(all.pairs().len(), PAIRS);
    }
}
