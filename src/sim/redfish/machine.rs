//! The host behind a simulated Redfish BMC, and what the BMC keeps of it.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::model::Secret;

/// How a BMC is set up.
#[derive(Debug, Clone)]
pub struct BmcConfig {
    /// Its only account.
    pub user: String,
    /// Of that account.
    pub password: Secret,
    /// Counts from 1: serial numbers and UUIDs follow from it.
    pub number: u32,
    /// From an accepted insertion to the slot showing it.
    pub media_delay: Duration,
    /// From a soft shutdown to off.
    pub soft_delay: Duration,
    /// The host is on at first.
    pub on: bool,
}

impl BmcConfig {
    /// The usual one.
    pub fn new(user: &str, password: Secret) -> Self {
        Self {
            user: user.to_owned(),
            password,
            number: 1,
            media_delay: Duration::from_millis(300),
            soft_delay: Duration::from_secs(1),
            on: false,
        }
    }

    /// The same for the n-th of several.
    #[must_use]
    pub fn numbered(self, number: u32) -> Self {
        Self { number, ..self }
    }
}

/// What is broken.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Commands are accepted and nothing happens.
    pub stuck: bool,
    /// Nothing is answered.
    pub vanish: bool,
    /// Answers are no JSON.
    pub garbage: bool,
    /// Every password is wrong.
    pub wrong_password: bool,
    /// So many commands are carried out, and their answers lost.
    pub lose_answers: u32,
}

/// What it was made to do.
#[derive(Debug, Clone, Default, Serialize)]
#[allow(missing_docs)]
pub struct Stats {
    pub requests: u64,
    pub power_on: u64,
    pub power_off: u64,
    pub resets: u64,
    pub nmis: u64,
    pub controls: u64,
    pub inserts: u64,
    pub ejects: u64,
    pub on: bool,
    /// Where the last start was told to go: the word of the override, and the image if it was one.
    pub booted_from: Option<String>,
}

/// A slot for virtual media.
#[derive(Debug, Clone, Default)]
pub struct Slot {
    /// Its `Id`.
    pub id: &'static str,
    /// Its `Name`.
    pub name: &'static str,
    /// Its `MediaTypes`.
    pub types: &'static [&'static str],
    /// Boot targets that mean it.
    pub targets: &'static [&'static str],
    /// What is in it.
    pub image: Option<Image>,
    /// What will be in it.
    pub coming: Option<(Instant, Option<Image>)>,
}

/// What is in a slot.
#[derive(Debug, Clone)]
pub struct Image {
    /// Where it is said to be.
    pub uri: String,
    /// The host may not write to it.
    pub write_protected: bool,
    /// As whom it would be fetched.
    pub user: String,
}

/// `ComputerSystem.Boot`.
#[derive(Debug, Clone)]
pub struct Boot {
    /// `BootSourceOverrideEnabled`
    pub enabled: String,
    /// `BootSourceOverrideTarget`
    pub target: String,
    /// `BootSourceOverrideMode`
    pub mode: String,
}

/// The host and its BMC.
#[derive(Debug, Clone)]
pub struct Machine {
    /// How it is set up.
    pub config: BmcConfig,
    /// What is broken.
    pub faults: Faults,
    /// What it was made to do.
    pub stats: Stats,
    /// The slots.
    pub slots: Vec<Slot>,
    /// Boot options.
    pub boot: Boot,
    /// `IndicatorLED`
    pub led: String,
    off_at: Option<Instant>,
}

impl Machine {
    /// As it leaves the factory.
    pub fn new(config: BmcConfig) -> Self {
        let stats = Stats { on: config.on, ..Stats::default() };
        let slot = |id, name, types, targets| Slot { id, name, types, targets, ..Slot::default() };
        Self {
            config,
            faults: Faults::default(),
            stats,
            slots: vec![
                slot("Cd", "Virtual CD", &["CD", "DVD"], &["Cd"]),
                slot("Usb", "Virtual stick", &["USBStick"], &["Usb"]),
            ],
            boot: Boot { enabled: "Disabled".to_owned(), target: "None".to_owned(), mode: "UEFI".to_owned() },
            led: "Off".to_owned(),
            off_at: None,
        }
    }

    /// Lets happen what is due.
    pub fn pass(&mut self, now: Instant) {
        if self.off_at.is_some_and(|at| at <= now) {
            self.press(false);
        }
        for slot in &mut self.slots {
            if slot.coming.as_ref().is_some_and(|(at, _)| *at <= now)
                && let Some((_, image)) = slot.coming.take()
            {
                slot.image = image;
            }
        }
    }

    /// Switches the host, whoever asks.
    pub fn press(&mut self, on: bool) {
        self.off_at = None;
        match (self.stats.on, on) {
            (false, true) => {
                self.stats.power_on += 1;
                self.start();
            }
            (true, false) => self.stats.power_off += 1,
            _ => {}
        }
        self.stats.on = on;
    }

    /// `ResetType`; false: there is no such thing.
    pub fn reset(&mut self, kind: &str, now: Instant) -> bool {
        if !super::answer::RESETS.contains(&kind) {
            return false;
        }
        self.stats.controls += 1;
        if self.faults.stuck {
            return true;
        }
        match kind {
            "On" | "ForceOn" => self.press(true),
            "ForceOff" => self.press(false),
            "GracefulShutdown" if self.stats.on => self.off_at = Some(now + self.config.soft_delay),
            "ForceRestart" if self.stats.on => {
                self.stats.resets += 1;
                self.start();
            }
            "PowerCycle" => {
                self.press(false);
                self.press(true);
            }
            "Nmi" => self.stats.nmis += 1,
            _ => {}
        }
        true
    }

    /// An override holds for one start, or for all.
    fn start(&mut self) {
        let target = if self.boot.enabled == "Disabled" { "None" } else { self.boot.target.as_str() };
        let slot = self.slots.iter().find(|slot| slot.targets.contains(&target));
        let image = slot.and_then(|slot| slot.image.as_ref());
        let from = image.map_or_else(|| target.to_owned(), |image| format!("{target} {}", image.uri));
        self.stats.booted_from = Some(from);
        if self.boot.enabled == "Once" {
            "Disabled".clone_into(&mut self.boot.enabled);
            "None".clone_into(&mut self.boot.target);
        }
    }

    /// Fills or empties a slot, after a moment.
    pub fn load(&mut self, slot: usize, image: Option<Image>, now: Instant) {
        match image {
            Some(_) => self.stats.inserts += 1,
            None => self.stats.ejects += 1,
        }
        if self.faults.stuck {
            return;
        }
        let at = now + self.config.media_delay;
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.coming = Some((at, image));
        }
    }
}
