//! The host behind a simulated BMC, and what the BMC knows of it. Pure: the time is an argument, and changes that
//! are due are made up for at the next look.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::config::{BmcConfig, RestorePolicy, Stats};
use crate::wire::ipmi::command::{Control, Identify};

/// Boot flags are forgotten so long after they were set, unless a chassis control comes or parameter 3 says not
/// to (IPMI 2.0, table 28-14).
const BOOT_FLAGS_LIVE: Duration = Duration::from_mins(1);

/// Codes of the last restart's cause (28.11).
const CAUSE_CONTROL: u8 = 1;
const CAUSE_BUTTON: u8 = 3;
const CAUSE_ALWAYS_ON: u8 = 6;
const CAUSE_PREVIOUS: u8 = 7;

/// Boot options.
#[derive(Debug, Default)]
pub(super) struct Boot {
    /// Set in progress (parameter 0).
    pub(super) progress: u8,
    /// Parameter 3.
    pub(super) keep: u8,
    /// Parameter 4.
    pub(super) handled: [u8; 2],
    /// Parameter 5.
    pub(super) flags: [u8; 5],
    expires: Option<Instant>,
}

impl Boot {
    /// Sets the boot flags at `now`.
    pub(super) fn set_flags(&mut self, flags: [u8; 5], now: Instant) {
        self.flags = flags;
        self.expires = (self.keep & 0x08 == 0).then(|| now + BOOT_FLAGS_LIVE);
    }

    fn invalidate(&mut self) {
        let [valid, ..] = &mut self.flags;
        *valid &= !0x80;
    }

    /// The firmware reads the flags at a start: the device, if they are valid.
    fn consume(&mut self) -> Option<u8> {
        let [flags, device, ..] = self.flags;
        if flags & 0x80 == 0 {
            return None;
        }
        if flags & 0x40 == 0 {
            self.invalidate();
        }
        self.expires = None;
        Some(device & 0x3c | (flags & 0x20) << 2)
    }
}

/// A host and what its BMC knows of it.
#[derive(Debug)]
pub(super) struct Machine {
    switch_delay: Duration,
    soft_delay: Option<Duration>,
    cycle_off: Duration,
    boot_delay: Duration,
    pub(super) restore: RestorePolicy,
    /// Power commands change nothing.
    pub(super) stuck: bool,
    on: bool,
    was_on: bool,
    mains: bool,
    /// When the controller has started; `None`: it has.
    ready_at: Option<Instant>,
    pending: VecDeque<(Instant, bool, u8)>,
    pub(super) cause: u8,
    identify: Identify,
    identify_until: Option<Instant>,
    pub(super) boot: Boot,
    pub(super) stats: Stats,
}

impl Machine {
    pub(super) fn new(config: &BmcConfig) -> Self {
        Self {
            switch_delay: config.switch_delay,
            soft_delay: config.soft_delay,
            cycle_off: config.cycle_off,
            boot_delay: config.boot_delay,
            restore: config.restore,
            stuck: false,
            on: config.on,
            was_on: config.on,
            mains: true,
            ready_at: None,
            pending: VecDeque::new(),
            cause: 0,
            identify: Identify::Off,
            identify_until: None,
            boot: Boot::default(),
            stats: Stats::default(),
        }
    }

    /// Makes up for everything that was due by `now`.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.ready_at.is_some_and(|ready| now >= ready) {
            self.ready_at = None;
            let (start, cause) = match self.restore {
                RestorePolicy::AlwaysOff => (false, 0),
                RestorePolicy::Previous => (self.was_on, CAUSE_PREVIOUS),
                RestorePolicy::AlwaysOn => (true, CAUSE_ALWAYS_ON),
            };
            if start {
                self.switch(true, cause);
            }
        }
        while let Some((at, on, cause)) = self.pending.front().copied() {
            if at > now {
                break;
            }
            self.pending.pop_front();
            self.switch(on, cause);
        }
        if self.identify_until.is_some_and(|until| now >= until) {
            self.identify_until = None;
            self.identify = Identify::Off;
        }
        if self.boot.expires.is_some_and(|at| now >= at) {
            self.boot.expires = None;
            self.boot.invalidate();
        }
    }

    fn switch(&mut self, on: bool, cause: u8) {
        if self.on == on {
            return;
        }
        self.on = on;
        if on {
            self.stats.power_on += 1;
            self.started(cause);
        } else {
            self.stats.power_off += 1;
        }
    }

    fn started(&mut self, cause: u8) {
        self.cause = cause;
        self.stats.booted_from = self.boot.consume();
    }

    /// Whether the controller answers.
    pub(super) fn is_alive(&self) -> bool {
        self.mains && self.ready_at.is_none()
    }

    /// Whether the host has power.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Whether mains are there.
    pub(super) fn has_mains(&self) -> bool {
        self.mains
    }

    /// Mains come or go. Without them the host is off at once and the controller forgets what it was about to do.
    pub(super) fn set_mains(&mut self, mains: bool, now: Instant) {
        if self.mains == mains {
            return;
        }
        self.mains = mains;
        if mains {
            self.ready_at = Some(now + self.boot_delay);
            return;
        }
        self.was_on = self.on;
        self.pending.clear();
        self.switch(false, 0);
        self.identify = Identify::Off;
        self.identify_until = None;
        self.ready_at = None;
    }

    /// Somebody presses the button on the machine.
    pub(super) fn press(&mut self, on: bool) {
        if self.is_alive() {
            self.pending.clear();
            self.switch(on, CAUSE_BUTTON);
        }
    }

    /// Chassis Control; the completion code.
    pub(super) fn control(&mut self, control: Control, now: Instant) -> u8 {
        const NOT_IN_THIS_STATE: u8 = 0xd5;
        self.stats.controls += 1;
        // A chassis control stops the clock of the boot flags.
        self.boot.expires = None;
        let after = now + self.switch_delay;
        let needs_power = !matches!(control, Control::PowerUp | Control::PowerDown);
        if needs_power && !self.on {
            return NOT_IN_THIS_STATE;
        }
        if self.stuck {
            return 0;
        }
        match control {
            Control::PowerUp => self.plan([(after, true)]),
            Control::PowerDown => self.plan([(after, false)]),
            Control::PowerCycle => self.plan([(after, false), (after + self.cycle_off, true)]),
            Control::SoftShutdown => {
                if let Some(delay) = self.soft_delay {
                    self.plan([(now + delay, false)]);
                }
            }
            Control::HardReset => {
                self.stats.resets += 1;
                self.started(CAUSE_CONTROL);
            }
            Control::DiagnosticInterrupt => self.stats.nmis += 1,
        }
        self.tick(now);
        0
    }

    fn plan<const N: usize>(&mut self, changes: [(Instant, bool); N]) {
        self.pending.clear();
        self.pending.extend(changes.map(|(at, on)| (at, on, CAUSE_CONTROL)));
    }

    /// Chassis Identify.
    pub(super) fn identify(&mut self, seconds: u8, force: bool, now: Instant) {
        (self.identify, self.identify_until) = match (seconds, force) {
            (_, true) => (Identify::On, None),
            (0, false) => (Identify::Off, None),
            _ => (Identify::Timed, Some(now + Duration::from_secs(seconds.into()))),
        };
    }

    /// State of the light.
    pub(super) fn light(&self) -> Identify {
        self.identify
    }
}
