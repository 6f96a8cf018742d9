//! A node as the fleet holds it: its configuration, its lane, and what people set on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::{clock, lane::Lane, overrides::Override, view::Hold};
use crate::{
    config,
    model::{NodeId, PowerState},
};

/// Small things that people set on a node and that rackfish keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Setting {
    /// Asset tag.
    pub asset_tag: Option<Arc<str>>,
}

/// See the module. Locks are held for moments, never over an `await`, but for `writing` and `media`.
pub struct NodeEntry {
    /// Its name.
    pub id: NodeId,
    /// Its UUID.
    pub uuid: uuid::Uuid,
    /// Its configuration.
    pub config: ArcSwap<config::Node>,
    lane: Mutex<Lane>,
    /// Changes of the documents below are made one after the other: check, write, show.
    pub writing: tokio::sync::Mutex<()>,
    /// Virtual media are changed one after the other: look, change, look.
    pub media: tokio::sync::Mutex<()>,
    boot: RwLock<Arc<Override>>,
    setting: RwLock<Setting>,
    hold: RwLock<Option<Hold>>,
    told: Mutex<Told>,
}

/// The effective power as events tell it.
#[derive(Debug, Default)]
struct Told {
    last: Option<PowerState>,
    /// What the process before this one told last: seeing it again is no news.
    before: Option<PowerState>,
}

impl NodeEntry {
    /// A node with what was stored of it; `power`: what it was when it was last looked at.
    pub fn new(
        config: Arc<config::Node>,
        uuid: uuid::Uuid,
        boot: Override,
        setting: Setting,
        hold: Option<Hold>,
        power: Option<PowerState>,
    ) -> Self {
        Self {
            id: config.id.clone(),
            uuid,
            config: ArcSwap::new(config),
            lane: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            media: tokio::sync::Mutex::default(),
            boot: RwLock::new(Arc::new(boot)),
            setting: RwLock::new(setting),
            hold: RwLock::new(hold),
            told: Mutex::new(Told { last: None, before: power }),
        }
    }

    /// Its lane.
    pub fn lane(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its boot override.
    pub fn boot(&self) -> Arc<Override> {
        Arc::clone(&self.boot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows a stored override. Call it with `writing` held, after the store has it.
    pub fn set_boot(&self, boot: Override) {
        *self.boot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(boot);
    }

    /// What people have set.
    pub fn setting(&self) -> Setting {
        self.setting.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows a stored setting.
    pub fn set_setting(&self, setting: Setting) {
        *self.setting.write().unwrap_or_else(PoisonError::into_inner) = setting;
    }

    /// The hold in force; one that has ended by itself counts as none.
    pub fn hold(&self) -> Option<Hold> {
        let hold = self.hold.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        hold.until.is_none_or(|until| until > clock::wall()).then_some(hold)
    }

    /// Shows a stored hold.
    pub fn set_hold(&self, hold: Option<Hold>) {
        *self.hold.write().unwrap_or_else(PoisonError::into_inner) = hold;
    }

    /// Takes in what the node's power is now. If that is news: what it was before.
    #[allow(clippy::option_option)] // "no news" and "it was not known" are two things
    pub fn tell(&self, state: Option<PowerState>) -> Option<Option<PowerState>> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last == state {
            return None;
        }
        let before = std::mem::replace(&mut told.last, state).or(told.before.take());
        (before != state).then_some(before)
    }
}
