//! Makes the views that faces see, from the board and the nodes. Never waits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    board::{Seen, UnitState},
    clock,
    inner::{Inner, OURSELVES},
    node::NodeEntry,
    overrides::Override,
    plan,
    view::{BootView, ChassisView, EndpointView, FeedView, ManagerRef, ManagerView, NodeView, OperationView},
};
use crate::{
    config::{self, BootPolicy, Patience},
    model::{
        ActKind, Actor, Aspect, AspectKind, BootMode, BootTarget, MediaSlot, NodeId, Origin, PowerState, Reading, Ref,
        Stated,
    },
};

/// An "off" lives one poll interval past its read, and as long as a poll may take on top.
const OFF_GRACE: Duration = Duration::from_secs(10);

/// Without polling, an "off" is good for that long.
const OFF_UNPOLLED: Duration = Duration::from_mins(1);

/// After an accepted command what was read before may be shown for that long, until the first look; longer only if
/// the look comes.
const ACTED_GRACE: Duration = Duration::from_secs(2);

/// Whether a seen state may still be shown.
fn alive(
    seen: &Seen<PowerState>,
    acted_at: Option<Instant>,
    poll: Duration,
    patience: &Patience,
    now: Instant,
) -> bool {
    if let Some(acted) = acted_at
        && acted > seen.at
        && now.saturating_duration_since(acted) > ACTED_GRACE
    {
        return false;
    }
    // What can't be read does not get truer by being younger.
    if seen.origin != Origin::Read {
        return true;
    }
    let life = if seen.value.is_on() {
        patience.stale_after
    } else if poll.is_zero() {
        OFF_UNPOLLED
    } else {
        (poll + OFF_GRACE).min(patience.stale_after)
    };
    now.saturating_duration_since(seen.at) <= life
}

impl Inner {
    /// The power of one unit, if it is known and not too old.
    pub fn unit_power(&self, unit: &Ref) -> Option<Stated<PowerState>> {
        let worker = self.workers.get(&unit.endpoint)?;
        let config = self.config.load();
        let (poll, now) = (worker.config.policy.pace.poll, clock::now());
        worker.state.unit(&unit.unit, |u| {
            let seen = u.power.as_ref()?;
            alive(seen, u.acted_at, poll, &config.patience, now).then(|| seen.stated())
        })
    }

    /// The power of a node's host. What a controller said before all mains were cut is no longer true.
    fn host_power(&self, node: &config::Node, host: &Ref) -> Option<Stated<PowerState>> {
        let seen = self.workers.get(&host.endpoint)?.state.unit(&host.unit, |u| u.power.as_ref().map(|p| p.at))?;
        let came_on =
            |unit: &Ref| self.workers.get(&unit.endpoint).and_then(|w| w.state.unit(&unit.unit, |u| u.on_since));
        // All feeds came on after that look: there was a moment without any.
        let dark_since = !node.feeds.is_empty()
            && node.feeds.iter().all(|feed| came_on(&feed.unit).is_some_and(|came_on| came_on > seen));
        if dark_since { None } else { self.unit_power(host) }
    }

    /// A node's effective power, from its parts.
    pub fn effective(&self, node: &config::Node) -> Option<Stated<PowerState>> {
        let feeds: Vec<_> = node.feeds.iter().map(|feed| self.unit_power(&feed.unit)).collect();
        combine(node.host.as_ref().map(|host| self.host_power(node, host)), &feeds)
    }

    /// Asks for a read of the node's power (and sensors) if what is known is older than `refresh_after`.
    pub fn refresh(&self, node: &config::Node, sensors: bool) {
        let feeds = node.feeds.iter().map(|feed| &feed.unit);
        for unit in node.host.iter().chain(feeds) {
            self.refresh_unit(unit, &Aspect::Power);
            if sensors {
                self.refresh_unit(unit, &Aspect::Sensors);
            }
        }
        if sensors {
            node.sensors.iter().for_each(|unit| self.refresh_unit(unit, &Aspect::Sensors));
        }
    }

    /// Asks for a reading of the slots for virtual media of the node's host, if what is known is old.
    pub fn refresh_media(&self, node: &config::Node) {
        if let Some(host) = &node.host {
            self.refresh_unit(host, &Aspect::Media);
        }
    }

    fn refresh_unit(&self, unit: &Ref, aspect: &Aspect) {
        let Some(worker) = self.workers.get(&unit.endpoint) else { return };
        let (now, after) = (clock::now(), self.config.load().patience.refresh_after);
        let young = |at: Option<Instant>| at.is_some_and(|at| now.saturating_duration_since(at) < after);
        let fresh = |u: &UnitState| match aspect {
            // It can't tell: there is nothing to ask.
            _ if u.caps.as_ref().is_some_and(|caps| !caps.aspects.has(aspect.kind())) => true,
            Aspect::Power => young(u.power.as_ref().map(|p| p.at)) || young(u.refresh_asked),
            Aspect::Media => young(u.media.as_ref().map(|m| m.at)) || young(u.media_asked),
            _ => young(u.sensors.as_ref().map(|s| s.at)) || young(u.sensors_asked),
        };
        if worker.state.units().get(&unit.unit).is_some_and(fresh) {
            return;
        }
        let asked = worker.state.change(&unit.unit, |u| {
            if fresh(u) {
                return false; // somebody was quicker
            }
            match aspect {
                Aspect::Power => u.refresh_asked = Some(now),
                Aspect::Media => u.media_asked = Some(now),
                _ => u.sensors_asked = Some(now),
            }
            true
        });
        if asked {
            worker.refresh(aspect.clone(), &unit.unit);
        }
    }

    /// A node as it is known now.
    pub fn node_view(&self, entry: &NodeEntry) -> NodeView {
        let node = entry.config.load_full();
        let host_power = node.host.as_ref().map(|host| self.host_power(&node, host));
        let mut trouble = None;
        let mut reachable = true;
        let mut check = |what: &str, unit: &Ref| {
            let Some(worker) = self.workers.get(&unit.endpoint) else { return true };
            let down = worker
                .state
                .fault()
                .map(|f| f.to_string())
                .or_else(|| worker.state.hold().map(|hold| format!("on hold by {}: {}", hold.owner, hold.reason)));
            let (name, why) = match down {
                Some(why) => (unit.endpoint.to_string(), why),
                None => match worker.state.unit(&unit.unit, |u| u.fault.as_ref().map(ToString::to_string)) {
                    Some(why) => (unit.to_string(), why),
                    None => return true,
                },
            };
            reachable = false;
            if trouble.is_none() {
                trouble = Some(Arc::from(format!("{what} {name}: {why}")));
            }
            false
        };
        if let Some(host) = &node.host {
            check("controller", host);
        }
        let feeds: Vec<FeedView> = node
            .feeds
            .iter()
            .map(|feed| FeedView {
                unit: feed.unit.clone(),
                shared: feed.shared,
                power: self.unit_power(&feed.unit),
                reachable: check("power supply", &feed.unit),
                name: self
                    .workers
                    .get(&feed.unit.endpoint)
                    .and_then(|w| w.state.unit(&feed.unit.unit, |u| u.name.clone())),
            })
            .collect();
        let powers: Vec<_> = feeds.iter().map(|feed| feed.power.clone()).collect();
        let power = combine(host_power.clone(), &powers);
        let operation = entry.lane().current().map(|op| OperationView {
            what: Arc::from(op.reset.as_str()),
            principal: Arc::clone(&op.actor.principal),
            step: op.step(),
            since: op.since,
        });
        let caps = node.host.as_ref().and_then(|host| self.caps(host));
        let inventory = node.host.as_ref().and_then(|host| {
            self.workers
                .get(&host.endpoint)
                .and_then(|w| w.state.unit(&host.unit, |u| u.inventory.as_ref().map(Seen::stated)))
        });
        let asset_tag = entry
            .setting()
            .asset_tag
            .or_else(|| node.facts.asset_tag.as_deref().map(Arc::from))
            .or_else(|| inventory.as_ref().and_then(|i| i.value.asset_tag.as_deref().map(Arc::from)));
        NodeView {
            id: entry.id.clone(),
            uuid: entry.uuid,
            resets: plan::offered(self.parts(&node)),
            boot: self.boot_view(&node, &entry.boot()),
            indicator: self.indicator(&node),
            readings: self.readings(&node),
            has_log: caps.as_ref().is_some_and(|caps| caps.aspects.has(AspectKind::Log)),
            media: caps.filter(|caps| caps.aspects.has(AspectKind::Media)).map(|_| self.media(&node)),
            manager: node.host.as_ref().map_or(ManagerRef::Rackfish, |h| ManagerRef::Bmc(h.endpoint.clone())),
            hold: entry.hold(),
            host_power: host_power.flatten(),
            config: node,
            power,
            trouble,
            reachable,
            feeds,
            inventory,
            asset_tag,
            operation,
        }
    }

    /// The targets and modes that a node's override may have: native ones, kept ones, modes.
    pub fn boot_offers(&self, node: &config::Node) -> (Vec<BootTarget>, Vec<BootTarget>, Vec<BootMode>) {
        /// What can be kept for whatever steers the node's boot.
        const KEPT: [BootTarget; 5] =
            [BootTarget::Pxe, BootTarget::Hdd, BootTarget::Cd, BootTarget::BiosSetup, BootTarget::UefiHttp];
        let caps = node.host.as_ref().and_then(|host| self.caps(host)).filter(|caps| caps.acts.has(ActKind::Boot));
        let native: Vec<_> = caps.as_ref().map(|caps| caps.boot.targets.clone()).unwrap_or_default();
        let native: Vec<_> = native.into_iter().filter(|t| *t != BootTarget::None).collect();
        let kept: Vec<_> = match node.boot {
            BootPolicy::Refuse => Vec::new(),
            BootPolicy::Store | BootPolicy::Hook(_) => KEPT.into_iter().filter(|t| !native.contains(t)).collect(),
        };
        let choose = caps.is_some_and(|caps| caps.boot.mode) || !matches!(node.boot, BootPolicy::Refuse);
        let modes = if choose && !(native.is_empty() && kept.is_empty()) {
            vec![BootMode::Uefi, BootMode::Legacy]
        } else {
            Vec::new()
        };
        (native, kept, modes)
    }

    fn boot_view(&self, node: &config::Node, boot: &Override) -> BootView {
        let (native, kept, modes) = self.boot_offers(node);
        BootView {
            enabled: boot.enabled(),
            target: boot.target(),
            mode: boot.mode(),
            http_boot_uri: boot.http_boot_uri.clone(),
            refused: native.is_empty() && kept.is_empty(),
            native,
            kept,
            modes,
            last_start: boot.last_start.clone(),
        }
    }

    /// The unit whose light is the node's: the configured one, else the host's.
    pub fn indicator_unit<'n>(&self, node: &'n config::Node) -> Option<&'n Ref> {
        node.indicator
            .as_ref()
            .or(node.host.as_ref())
            .filter(|unit| self.caps(unit).is_some_and(|caps| caps.acts.has(ActKind::Indicator)))
    }

    fn indicator(&self, node: &config::Node) -> Option<crate::model::Led> {
        let unit = self.indicator_unit(node)?;
        let worker = self.workers.get(&unit.endpoint)?;
        // A light that was never read nor set is dark: that is how machines start.
        Some(worker.state.unit(&unit.unit, |u| u.indicator.as_ref().map(|i| i.value)).unwrap_or(crate::model::Led::Off))
    }

    fn media(&self, node: &config::Node) -> Arc<Vec<MediaSlot>> {
        let host = node.host.as_ref();
        host.and_then(|host| {
            self.workers.get(&host.endpoint)?.state.unit(&host.unit, |u| Some(Arc::clone(&u.media.as_ref()?.value)))
        })
        .unwrap_or_default()
    }

    fn readings(&self, node: &config::Node) -> Vec<(Ref, Stated<Arc<Vec<Reading>>>)> {
        let feeds = node.feeds.iter().map(|feed| &feed.unit);
        node.host
            .iter()
            .chain(feeds)
            .chain(&node.sensors)
            .filter_map(|unit| {
                let worker = self.workers.get(&unit.endpoint)?;
                let seen = worker.state.unit(&unit.unit, |u| u.sensors.as_ref().map(Seen::stated))?;
                Some((unit.clone(), seen))
            })
            .collect()
    }

    /// An endpoint as it is known now.
    pub fn endpoint_view(&self, id: &str) -> Option<EndpointView> {
        // A copy of the handle: a guard must not be held while the map is asked again.
        let worker = self.workers.get(id).map(|w| w.value().clone())?;
        let (link, now) = (worker.state.link(), clock::now());
        let mut units: Vec<_> = worker.state.units().keys().cloned().collect();
        units.sort_unstable();
        let units = units
            .into_iter()
            .map(|unit| {
                let power = self.unit_power(&Ref { endpoint: worker.config.id.clone(), unit: unit.clone() });
                (unit, power)
            })
            .collect();
        Some(EndpointView {
            id: worker.config.id.clone(),
            driver: worker.config.setup.driver(),
            address: worker.config.setup.address(),
            fault: link.fault.map(|fault| Arc::from(fault.to_string())),
            since: link.since,
            last_answer: link.last_answer,
            retry_in: link.retry_at.map(|at| at.saturating_duration_since(now)),
            hold: worker.state.hold(),
            observe_only: worker.config.policy.observe_only || self.config.load().server.observe_only,
            units,
            counts: worker.state.counts(),
        })
    }

    /// An enclosure as the actor may see it.
    pub fn chassis_view(&self, who: &Actor, chassis: &Arc<config::Chassis>) -> ChassisView {
        let index = self.index.load();
        let nodes = index.in_chassis.get(&chassis.id).into_iter().flatten();
        ChassisView {
            id: chassis.id.clone(),
            config: Arc::clone(chassis),
            uuid: self.derived("chassis", chassis.id.as_str()),
            nodes: nodes.filter(|node| self.sees(who, node)).cloned().collect(),
        }
    }

    /// rackfish itself as a manager.
    pub fn own_manager(&self, who: &Actor) -> ManagerView {
        let config = self.config.load();
        let nodes = config.nodes.values().filter(|n| n.host.is_none() && self.sees(who, &n.id));
        ManagerView {
            id: Arc::from(OURSELVES),
            uuid: self.uuid,
            endpoint: None,
            firmware: Some(Arc::from(env!("CARGO_PKG_VERSION"))),
            model: Some(Arc::from("rackfish")),
            nodes: nodes.map(|n| n.id.clone()).collect(),
        }
    }

    /// A BMC as a manager, if it manages a node that the actor may see.
    pub fn bmc_manager(&self, who: &Actor, id: &str) -> Option<ManagerView> {
        let index = self.index.load();
        let (endpoint, all) = index.hosts.get_key_value(id)?;
        let nodes: Vec<NodeId> = all.iter().filter(|node| self.sees(who, node)).cloned().collect();
        if nodes.is_empty() {
            return None;
        }
        let inventory = self
            .workers
            .get(endpoint)
            .and_then(|w| w.state.units().values().find_map(|u| u.inventory.as_ref().map(|i| Arc::clone(&i.value))));
        Some(ManagerView {
            id: Arc::from(endpoint.as_str()),
            uuid: self.derived("manager", endpoint.as_str()),
            endpoint: self.endpoint_view(endpoint.as_str()),
            firmware: inventory.as_ref().and_then(|i| i.firmware.as_deref().map(Arc::from)),
            model: inventory.as_ref().and_then(|i| i.controller_manufacturer.as_deref().map(Arc::from)),
            nodes,
        })
    }
}

/// A node's power from the power of its parts. `host`: outer `None`, it has no host; inner, the host's is unknown.
#[allow(clippy::option_option)] // "no host" and "a host nobody knows of" are two things
pub fn combine(
    host: Option<Option<Stated<PowerState>>>,
    feeds: &[Option<Stated<PowerState>>],
) -> Option<Stated<PowerState>> {
    let off = |p: &Option<Stated<PowerState>>| p.as_ref().is_some_and(|p| p.value == PowerState::Off);
    let all_off = !feeds.is_empty() && feeds.iter().all(off);
    match host {
        // Without mains the machine is off, and its controller can't say so.
        Some(_) if all_off => feeds.iter().flatten().min_by_key(|p| p.at).cloned(),
        Some(power) => power,
        None if all_off => feeds.iter().flatten().min_by_key(|p| p.at).cloned(),
        // On when any is on; anything else is unknown.
        None => feeds.iter().flatten().filter(|p| p.value.is_on()).max_by_key(|p| p.at).cloned(),
    }
}

#[cfg(test)]
#[allow(clippy::option_option, clippy::unnecessary_wraps, clippy::unchecked_time_subtraction)]
mod tests {
    use super::*;
    use time::OffsetDateTime;

    fn seen(value: PowerState) -> Option<Stated<PowerState>> {
        Some(Stated { value, origin: Origin::Read, at: OffsetDateTime::UNIX_EPOCH })
    }

    fn state(host: Option<Option<Stated<PowerState>>>, feeds: &[Option<Stated<PowerState>>]) -> Option<PowerState> {
        combine(host, feeds).map(|p| p.value)
    }

    #[test]
    fn a_node_is_on_when_any_feed_is_on_and_off_when_all_are_off() {
        use PowerState::{Off, On};
        assert_eq!(state(None, &[seen(On), seen(Off)]), Some(On));
        assert_eq!(state(None, &[seen(On), None]), Some(On));
        assert_eq!(state(None, &[seen(Off), seen(Off)]), Some(Off));
        assert_eq!(state(None, &[seen(Off), None]), None, "an unread feed may be on");
        assert_eq!(state(None, &[]), None);
    }

    #[test]
    fn a_host_decides_unless_mains_are_cut() {
        use PowerState::{Off, On};
        assert_eq!(state(Some(seen(Off)), &[seen(On)]), Some(Off));
        assert_eq!(state(Some(None), &[seen(Off), seen(Off)]), Some(Off));
        assert_eq!(state(Some(None), &[seen(On)]), None);
        assert_eq!(state(Some(seen(On)), &[]), Some(On));
    }

    #[test]
    fn an_off_dies_sooner_than_an_on_and_a_command_ends_both() {
        let patience = Patience::default();
        let now = Instant::now() + Duration::from_hours(1);
        let poll = Duration::from_secs(30);
        let at = |value, ago: u64| Seen { at: now - Duration::from_secs(ago), ..Seen::read(value) };
        assert!(alive(&at(PowerState::Off, 39), None, poll, &patience, now));
        assert!(!alive(&at(PowerState::Off, 41), None, poll, &patience, now));
        assert!(alive(&at(PowerState::On, 599), None, poll, &patience, now));
        assert!(!alive(&at(PowerState::On, 601), None, poll, &patience, now));
        let acted = Some(now - Duration::from_secs(3));
        assert!(!alive(&at(PowerState::On, 5), acted, poll, &patience, now));
        assert!(alive(&at(PowerState::On, 2), acted, poll, &patience, now));
    }
}
