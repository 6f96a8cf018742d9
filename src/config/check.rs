//! What can only be seen when everything is read: two nodes on one unit, slot, MAC or UUID; names that collide.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
};

use crate::model::{ChassisId, Ref};

use super::{
    node::Draft,
    problem::{At, Problems},
    section::quoted,
    source::Sources,
    types::{MAX_NAMED_DOORS, Server},
};

struct Use<'d> {
    node: &'d str,
    at: At,
    shared: bool,
}

/// Checks the nodes against each other.
pub(super) fn nodes<'d>(drafts: &'d [Draft], enclosures: &HashMap<ChassisId, At>, sources: &Sources, p: &mut Problems) {
    let mut hosts: HashMap<&Ref, Use<'d>> = HashMap::new();
    let mut feeds: HashMap<&Ref, Use<'d>> = HashMap::new();
    let mut slots = HashMap::new();
    let mut macs = HashMap::new();
    let mut uuids = HashMap::new();
    for draft in drafts {
        let node = draft.node.id.as_str();
        let key = |key: &str| format!("nodes.{}.{key}", quoted(node));
        let other = |used: &Use<'_>| format!("{} ({})", used.node, sources.place(used.at));
        if let Some(host) = &draft.node.host {
            let mine = Use { node, at: draft.host_at, shared: false };
            if let Some(used) = hosts.get(host) {
                p.add(
                    draft.host_at,
                    key("host"),
                    format!("{host} is already the host of {}", other(used)),
                    "a host manages one node",
                );
            } else {
                hosts.insert(host, mine);
            }
        }
        for (feed, at) in draft.node.feeds.iter().zip(&draft.feeds_at) {
            let mine = Use { node, at: *at, shared: feed.shared };
            match feeds.get(&feed.unit) {
                Some(used) if used.node == node => {
                    p.add(*at, key("feeds"), format!("{} is named twice", feed.unit), "take one out");
                }
                Some(used) if !(used.shared && feed.shared) => p.add(
                    *at,
                    key("feeds"),
                    format!("{} already feeds {}", feed.unit, other(used)),
                    format!(
                        "if it really does, write {{ unit = \"{}\", shared = true }} on every node it feeds",
                        feed.unit
                    ),
                ),
                Some(_) => {}
                None => {
                    feeds.insert(&feed.unit, mine);
                }
            }
        }
        if let (Some(chassis), Some(slot)) = (&draft.node.chassis, draft.node.slot) {
            let mine = Use { node, at: draft.slot_at, shared: false };
            if let Some(used) = slots.insert((chassis, slot), mine) {
                p.add(
                    draft.slot_at,
                    key("slot"),
                    format!("slot {slot} of {chassis} is already taken by {}", other(&used)),
                    "correct one of them",
                );
            }
        }
        for (mac, at) in draft.node.facts.macs.iter().zip(&draft.macs_at) {
            if let Some(used) = macs.insert(mac, Use { node, at: *at, shared: false }) {
                p.add(
                    *at,
                    key("macs"),
                    format!("{mac} already belongs to {}", other(&used)),
                    "a MAC names one interface of one node",
                );
            }
        }
        if let Some(uuid) = draft.node.facts.uuid
            && let Some(used) = uuids.insert(uuid, Use { node, at: draft.uuid_at, shared: false })
        {
            p.add(
                draft.uuid_at,
                key("uuid"),
                format!("{uuid} already belongs to {}", other(&used)),
                "leave the key out: one is derived from the name",
            );
        }
        // Each node has a Chassis of its own under its own name.
        if let Some(at) = enclosures.get(node) {
            p.add(
                draft.at,
                format!("nodes.{}", quoted(node)),
                format!("a chassis has this name too ({})", sources.place(*at)),
                "rename one: both are served as /redfish/v1/Chassis/NAME",
            );
        }
    }
    // After all are known: a host may be read before the feed that is the same unit.
    for draft in drafts {
        let node = draft.node.id.as_str();
        if let Some(host) = &draft.node.host
            && let Some(used) = feeds.get(host)
        {
            p.add(
                draft.host_at,
                format!("nodes.{}.host", quoted(node)),
                format!("{host} is also a feed of {} ({})", used.node, sources.place(used.at)),
                "a unit is either the machine's own controller or its supply",
            );
        }
    }
}

/// Checks that each door is the only listener at its address and port.
pub(super) fn doors(drafts: &[Draft], server: &Server, sources: &Sources, p: &mut Problems) {
    // By port: all, and those that may take another address along; thousands of doors are not compared with each other.
    let (mut all, mut wide) = (HashMap::<u16, Vec<_>>::new(), HashMap::<u16, Vec<_>>::new());
    let listen = server.listen.iter().map(|at| (*at, "server.listen".to_owned()));
    let own = server.operations_listen.iter().map(|at| (*at, "server.operations_listen".to_owned()));
    for taken in listen.chain(own) {
        all.entry(taken.0.port()).or_default().push(taken.clone());
        wide.entry(taken.0.port()).or_default().push(taken);
    }
    let mut exact: HashMap<SocketAddr, &Draft> = HashMap::new();
    let mut ips = BTreeSet::new();
    for draft in drafts {
        let Some(door) = draft.node.door else { continue };
        let key = format!("nodes.{}.door", quoted(draft.node.id.as_str()));
        let way_out = "give each node an address or a port of its own";
        ips.insert(door.ip());
        if let Some(other) = exact.get(&door) {
            let other = format!("{} ({})", other.node.id, sources.place(other.door_at));
            p.add(draft.door_at, key, format!("{door} is already the door of {other}"), way_out);
            continue;
        }
        exact.insert(door, draft);
        let others = if door.ip().is_unspecified() { &all } else { &wide }.get(&door.port());
        if let Some((at, whose)) = others.into_iter().flatten().find(|(at, _)| overlap(*at, door)) {
            let message = format!("{door} can't be listened on beside {at} ({whose})");
            p.add(draft.door_at, key, message, way_out);
            continue;
        }
        let mine = (door, format!("the door of {}", draft.node.id));
        if door.ip().is_unspecified() {
            wide.entry(door.port()).or_default().push(mine.clone());
        }
        all.entry(door.port()).or_default().push(mine);
    }
    let plain = server.tls.insecure_plain_http || server.tls.certificate.is_some();
    if ips.len() > MAX_NAMED_DOORS
        && !plain
        && let Some(first) = drafts.iter().find(|draft| draft.node.door.is_some())
    {
        p.warn(
            first.door_at,
            "nodes.*.door",
            format!(
                "{} doors have addresses of their own, and the certificate that is made names {MAX_NAMED_DOORS}",
                ips.len()
            ),
            "give a certificate of your own (server.tls.certificate), or doors one address and many ports",
        );
    }
}

/// Whether one socket can't listen beside the other: same port, and one address takes the other along.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    // `[::]` takes IPv4 along, unless IPv4 has a listener of its own there.
    let takes = |wide: IpAddr, other: IpAddr| wide.is_unspecified() && wide.is_ipv4() == other.is_ipv4();
    a.port() == b.port() && (a.ip() == b.ip() || takes(a.ip(), b.ip()) || takes(b.ip(), a.ip()))
}
