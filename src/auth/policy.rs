//! Rules of the AccountService that may be changed while it runs: lockout, and what passwords have to be.
//!
//! What the configuration says holds and can't be changed here; the rest is what somebody has set over Redfish, kept in
//! the store; what nobody has set is off.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::Inner;
use crate::{
    config::{AuthConfig, Lockout, MAX_LOCKOUT, MAX_PASSWORD_DAYS, MAX_PASSWORD_HISTORY},
    store::{self, Expect, Kind, Safety, Store, StoreError},
};

/// The one document.
const KEY: &str = "accounts";

/// What somebody has set. Times in seconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct PolicyDoc {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lockout: Option<LockoutDoc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_history: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_days: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LockoutDoc {
    threshold: u32,
    duration: u64,
    reset_after: u64,
    resets: bool,
}

/// What is in the store.
#[derive(Debug, Default)]
pub(super) struct Stored {
    revision: u64,
    doc: PolicyDoc,
}

impl Stored {
    /// Reads it from the store.
    pub async fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let found = store::read::<PolicyDoc>(store, Kind::Policy, KEY).await?;
        Ok(found.map_or_else(Self::default, |(revision, doc)| Self { revision, doc }))
    }

    /// The rules in force.
    pub fn with(&self, config: &AuthConfig) -> Policy {
        let stored = self.doc.lockout.as_ref().map(|doc| Lockout {
            threshold: doc.threshold,
            duration: Duration::from_secs(doc.duration),
            reset_after: Duration::from_secs(doc.reset_after),
            resets: doc.resets,
        });
        Policy {
            lockout: config.lockout.or(stored).unwrap_or_default(),
            password_history: config.password_history.or(self.doc.password_history).unwrap_or(0),
            password_days: config.password_days.or(self.doc.password_days).filter(|days| *days > 0),
            revision: self.revision,
        }
    }
}

/// The rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// When guessers are locked out.
    pub lockout: Lockout,
    /// New passwords before an old one may be used again; 0: any.
    pub password_history: u32,
    /// Days that a new password is good for; `None`: for ever.
    pub password_days: Option<u32>,
    /// Of the document: for ETags and compare-and-set; 0: nobody has set anything.
    pub revision: u64,
}

/// What a client wants changed; absent members stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyPatch {
    /// `AccountLockoutThreshold`
    pub threshold: Option<u32>,
    /// `AccountLockoutDuration`
    pub duration: Option<Duration>,
    /// `AccountLockoutCounterResetAfter`
    pub reset_after: Option<Duration>,
    /// `AccountLockoutCounterResetEnabled`
    pub resets: Option<bool>,
    /// `EnforcePasswordHistoryCount`
    pub password_history: Option<u32>,
    /// `PasswordExpirationDays`; the inner `None` is null.
    pub password_days: Option<Option<u32>>,
}

impl PolicyPatch {
    fn of_lockout(&self) -> Option<&'static str> {
        [
            (self.threshold.is_some(), "AccountLockoutThreshold"),
            (self.duration.is_some(), "AccountLockoutDuration"),
            (self.reset_after.is_some(), "AccountLockoutCounterResetAfter"),
            (self.resets.is_some(), "AccountLockoutCounterResetEnabled"),
        ]
        .into_iter()
        .find_map(|(set, name)| set.then_some(name))
    }
}

/// Why the rules could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The configuration says it.
    #[error("the configuration says it ({key}): change it there")]
    Configured {
        /// The property.
        property: &'static str,
        /// What the configuration calls it.
        key: &'static str,
    },
    /// A value that does not go with the others, with the reason.
    #[error("{property}: {reason}")]
    Unacceptable {
        /// The property.
        property: &'static str,
        /// What would do.
        reason: String,
    },
    /// Somebody else changed them in between (`If-Match`).
    #[error("the rules have changed since they were read")]
    Changed,
    /// The store failed.
    #[error("the rules can't be written")]
    Store(#[from] StoreError),
}

fn unacceptable(property: &'static str, reason: impl Into<String>) -> PolicyError {
    PolicyError::Unacceptable { property, reason: reason.into() }
}

impl Inner {
    /// The rules in force.
    pub fn policy(&self) -> Policy {
        self.stored.load().with(&self.config.load())
    }

    pub(super) async fn change_policy(&self, patch: PolicyPatch, expect: Option<u64>) -> Result<Policy, PolicyError> {
        let _one = self.accounts.changing.lock().await;
        let config = self.config.load_full();
        let stored = self.stored.load_full();
        if expect.is_some_and(|revision| revision != stored.revision) {
            return Err(PolicyError::Changed);
        }
        let mut doc = stored.doc.clone();
        if let Some(property) = patch.of_lockout() {
            if config.lockout.is_some() {
                return Err(PolicyError::Configured { property, key: "auth.lockout" });
            }
            doc.lockout = Some(lockout(&patch, stored.with(&config).lockout)?);
        }
        if let Some(count) = patch.password_history {
            let property = "EnforcePasswordHistoryCount";
            if config.password_history.is_some() {
                return Err(PolicyError::Configured { property, key: "auth.password_history" });
            }
            if count > MAX_PASSWORD_HISTORY {
                return Err(unacceptable(property, format!("may be {MAX_PASSWORD_HISTORY} at most")));
            }
            doc.password_history = Some(count);
        }
        if let Some(days) = patch.password_days {
            let property = "PasswordExpirationDays";
            if config.password_days.is_some() {
                return Err(PolicyError::Configured { property, key: "auth.password_days" });
            }
            if days.is_some_and(|days| !(1..=MAX_PASSWORD_DAYS).contains(&days)) {
                return Err(unacceptable(property, format!("may be 1 to {MAX_PASSWORD_DAYS}, or null for never")));
            }
            doc.password_days = days;
        }
        let expected = if stored.revision == 0 { Expect::Absent } else { Expect::Revision(stored.revision) };
        let written = store::write(&*self.store, Kind::Policy, KEY, expected, &doc, Safety::PowerLoss).await;
        let revision = match written {
            Err(StoreError::Conflict { .. }) => return Err(PolicyError::Changed),
            other => other?,
        };
        self.stored.store(Arc::new(Stored { revision, doc }));
        let policy = self.policy();
        tracing::info!(target: "audit", ?policy, "rules for accounts changed");
        Ok(policy)
    }
}

/// What becomes of a time to count that was not named, with another duration. One of 0 turns locks off, and says nothing of
/// the counting once they are on again.
fn follow(reset_after: Duration, duration: Option<Duration>) -> Duration {
    match duration.filter(|duration| !duration.is_zero()) {
        Some(duration) if reset_after.is_zero() => duration,
        Some(duration) => reset_after.min(duration),
        None => reset_after,
    }
}

/// The rules of the schema: times go together, and none is longer than anybody would wait.
fn lockout(patch: &PolicyPatch, now: Lockout) -> Result<LockoutDoc, PolicyError> {
    let rules = Lockout {
        threshold: patch.threshold.unwrap_or(now.threshold),
        duration: patch.duration.unwrap_or(now.duration),
        reset_after: patch.reset_after.unwrap_or_else(|| follow(now.reset_after, patch.duration)),
        resets: patch.resets.unwrap_or(now.resets),
    };
    if let Some(reason) = rules.trouble() {
        let property = if patch.reset_after.is_some() || patch.duration.is_none() {
            "AccountLockoutCounterResetAfter"
        } else {
            "AccountLockoutDuration"
        };
        return Err(unacceptable(property, reason));
    }
    if rules.duration > MAX_LOCKOUT {
        return Err(unacceptable("AccountLockoutDuration", format!("may be {} s at most", MAX_LOCKOUT.as_secs())));
    }
    Ok(LockoutDoc {
        threshold: rules.threshold,
        duration: rules.duration.as_secs(),
        reset_after: rules.reset_after.as_secs(),
        resets: rules.resets,
    })
}
