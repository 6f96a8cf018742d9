//! What a Reset means on this node: the table of resets, as code. Pure: no I/O, no clock.
//!
//! Operations are built from a node's parts and from what their units can do, never from a driver's name.

use serde::{Deserialize, Serialize};

use crate::model::{ActKind, ActSet, ResetType};

/// A node as far as planning is concerned.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parts {
    /// What its host can do, if it has one.
    pub host: Option<ActSet>,
    /// It has feeds.
    pub feeds: bool,
    /// One of them is shared with another node.
    pub shared: bool,
    /// A shutdown hook is configured.
    pub shutdown: bool,
}

/// One step of an operation. Stored in the journal: never change a name's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Ask the operating system through the configured hook.
    ShutdownHook,
    /// Ask the operating system through the host, and wait until it is off.
    SoftOff,
    /// Host off at once.
    HostOff,
    /// Cut the feeds.
    SupplyOff,
    /// Feeds on, in order, each after its off-time.
    SupplyOn,
    /// Wait for the host's controller to answer.
    Controller,
    /// Arm the boot override for the start that comes next: host options or hook.
    Boot,
    /// Host on.
    HostOn,
    /// Host reset. Can't be verified, never sent twice.
    HostReset,
    /// The host's own off-and-on. Never sent twice; ends on.
    HostCycle,
    /// Diagnostic interrupt. Never sent twice.
    Nmi,
    /// The start was made: a one-time override is used up.
    Started,
}

impl Step {
    /// For people and crash points.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ShutdownHook => "shutdown-hook",
            Self::SoftOff => "soft-off",
            Self::HostOff => "host-off",
            Self::SupplyOff => "supply-off",
            Self::SupplyOn => "supply-on",
            Self::Controller => "controller",
            Self::Boot => "boot",
            Self::HostOn => "host-on",
            Self::HostReset => "host-reset",
            Self::HostCycle => "host-cycle",
            Self::Nmi => "nmi",
            Self::Started => "started",
        }
    }
}

/// Exactly what can be asked of such a node, in the order it is listed.
pub fn offered(parts: Parts) -> Vec<ResetType> {
    ResetType::ALL.into_iter().filter(|reset| can(parts, *reset)).collect()
}

fn can(parts: Parts, reset: ResetType) -> bool {
    let Some(host) = parts.host else {
        return parts.feeds
            && match reset {
                ResetType::On | ResetType::ForceOn => true,
                ResetType::ForceOff | ResetType::ForceRestart | ResetType::PowerCycle | ResetType::FullPowerCycle => {
                    !parts.shared
                }
                ResetType::GracefulShutdown | ResetType::GracefulRestart => !parts.shared && parts.shutdown,
                ResetType::Nmi => false,
            };
    };
    let on_off = host.has(ActKind::On) && host.has(ActKind::Off);
    let soft = host.has(ActKind::Soft) || parts.shutdown;
    match reset {
        ResetType::On | ResetType::ForceOn => host.has(ActKind::On),
        ResetType::ForceOff => host.has(ActKind::Off),
        ResetType::GracefulShutdown => soft,
        ResetType::GracefulRestart => soft && host.has(ActKind::On),
        ResetType::ForceRestart => host.has(ActKind::Reset) || on_off,
        ResetType::PowerCycle => host.has(ActKind::Cycle) || on_off,
        ResetType::FullPowerCycle => parts.feeds && !parts.shared && host.has(ActKind::On),
        ResetType::Nmi => host.has(ActKind::Nmi),
    }
}

/// The steps of a reset. `on`: the effective state when the operation begins; `supplied`: the feeds are on (true for
/// a node without feeds).
pub fn plan(parts: Parts, reset: ResetType, on: bool, supplied: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    match parts.host {
        None => supply_only(parts, reset, on, &mut steps),
        Some(host) => with_host(parts, host, reset, on, supplied, &mut steps),
    }
    steps
}

fn supply_only(parts: Parts, reset: ResetType, on: bool, steps: &mut Vec<Step>) {
    const START: [Step; 3] = [Step::Boot, Step::SupplyOn, Step::Started];
    match reset {
        // On already: the feeds that are off are switched on, but nothing starts.
        ResetType::On | ResetType::ForceOn if on => steps.push(Step::SupplyOn),
        ResetType::On | ResetType::ForceOn => steps.extend(START),
        ResetType::ForceOff => steps.push(Step::SupplyOff),
        ResetType::GracefulShutdown => {
            if on && parts.shutdown {
                steps.push(Step::ShutdownHook);
            }
            steps.push(Step::SupplyOff);
        }
        ResetType::GracefulRestart => {
            if on && parts.shutdown {
                steps.push(Step::ShutdownHook);
            }
            steps.push(Step::SupplyOff);
            steps.extend(START);
        }
        // On a node that is off too the feeds are cut first: one of two may be on.
        ResetType::ForceRestart | ResetType::PowerCycle | ResetType::FullPowerCycle => {
            steps.push(Step::SupplyOff);
            steps.extend(START);
        }
        ResetType::Nmi => {}
    }
}

fn with_host(parts: Parts, host: ActSet, reset: ResetType, on: bool, supplied: bool, steps: &mut Vec<Step>) {
    let start = |steps: &mut Vec<Step>| {
        if parts.feeds {
            steps.push(Step::SupplyOn);
        }
        steps.extend([Step::Controller, Step::Boot, Step::HostOn, Step::Started]);
    };
    let soft = |steps: &mut Vec<Step>| {
        steps.push(if host.has(ActKind::Soft) { Step::SoftOff } else { Step::ShutdownHook });
        if !host.has(ActKind::Soft) {
            steps.push(Step::HostOff);
        }
    };
    match reset {
        ResetType::On | ResetType::ForceOn => {
            if !on {
                start(steps);
            } else if parts.feeds {
                steps.push(Step::SupplyOn); // a second feed may be off
            }
        }
        // Without mains the host is off, and its controller can't be asked.
        ResetType::ForceOff if !supplied => {}
        ResetType::ForceOff => steps.push(Step::HostOff),
        ResetType::GracefulShutdown => {
            if on {
                soft(steps);
            }
        }
        ResetType::GracefulRestart => {
            if on {
                soft(steps);
            }
            start(steps);
        }
        ResetType::ForceRestart if on && host.has(ActKind::Reset) => {
            steps.extend([Step::Boot, Step::HostReset, Step::Started]);
        }
        ResetType::PowerCycle if on && host.has(ActKind::Cycle) => {
            steps.extend([Step::Boot, Step::HostCycle, Step::Started]);
        }
        ResetType::ForceRestart | ResetType::PowerCycle => {
            if on {
                steps.push(Step::HostOff);
            }
            start(steps);
        }
        ResetType::FullPowerCycle => {
            steps.push(Step::SupplyOff);
            start(steps);
        }
        ResetType::Nmi => steps.push(Step::Nmi),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BMC: ActSet = ActSet::of(&[
        ActKind::On,
        ActKind::Off,
        ActKind::Soft,
        ActKind::Reset,
        ActKind::Cycle,
        ActKind::Nmi,
        ActKind::Boot,
    ]);
    const BOARD: ActSet = ActSet::of(&[ActKind::On, ActKind::Off, ActKind::Cycle]);

    fn parts(host: Option<ActSet>, feeds: bool) -> Parts {
        Parts { host, feeds, shared: false, shutdown: false }
    }

    #[test]
    fn offers_follow_the_parts() {
        use ResetType as R;
        assert_eq!(
            offered(parts(Some(BMC), false)),
            [
                R::On,
                R::ForceOff,
                R::GracefulShutdown,
                R::GracefulRestart,
                R::ForceRestart,
                R::Nmi,
                R::ForceOn,
                R::PowerCycle
            ]
        );
        assert!(offered(parts(Some(BMC), true)).contains(&R::FullPowerCycle));
        let outlet = offered(parts(None, true));
        assert_eq!(outlet, [R::On, R::ForceOff, R::ForceRestart, R::ForceOn, R::PowerCycle, R::FullPowerCycle]);
        let board = offered(parts(Some(BOARD), false));
        assert!(!board.contains(&R::GracefulShutdown) && !board.contains(&R::Nmi) && board.contains(&R::ForceRestart));
        let hook = offered(Parts { shutdown: true, ..parts(None, true) });
        assert!(hook.contains(&R::GracefulShutdown) && hook.contains(&R::GracefulRestart));
        assert_eq!(offered(Parts { shared: true, ..parts(None, true) }), [R::On, R::ForceOn]);
        assert_eq!(offered(Parts::default()), []);
    }

    #[test]
    fn every_restart_ends_in_a_start() {
        for parts in [parts(Some(BMC), false), parts(Some(BMC), true), parts(Some(BOARD), true), parts(None, true)] {
            for reset in offered(parts).into_iter().filter(|r| r.may_start()) {
                for (on, supplied) in [(true, true), (false, true), (false, false)] {
                    let steps = plan(parts, reset, on, supplied);
                    let simple_on = matches!(reset, ResetType::On | ResetType::ForceOn) && on;
                    assert!(
                        simple_on || steps.last() == Some(&Step::Started),
                        "{reset} of {parts:?}, on {on}: {steps:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_restart_of_an_outlet_is_off_boot_on() {
        let steps = plan(parts(None, true), ResetType::ForceRestart, true, true);
        assert_eq!(steps, [Step::SupplyOff, Step::Boot, Step::SupplyOn, Step::Started]);
    }

    #[test]
    fn a_mixed_node_gets_mains_then_its_controller_then_power() {
        let steps = plan(parts(Some(BMC), true), ResetType::On, false, false);
        assert_eq!(steps, [Step::SupplyOn, Step::Controller, Step::Boot, Step::HostOn, Step::Started]);
        assert_eq!(plan(parts(Some(BMC), true), ResetType::ForceOff, false, false), []);
    }
}
