//! `[nodes.NAME]` and `[chassis.NAME]`.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use crate::model::{ActKind, ChassisId, NodeId, Ref};

use super::{
    endpoint::{self, Known},
    facts, hook, keys,
    load::Cx,
    names::Named,
    problem::At,
    section::Section,
    server,
    source::{Map, Spot, Val},
    types::{BootPolicy, Chassis, Feed, HookAction, Node, Restore},
};

/// How long a controller may take to answer after mains came on, when nothing is said. Boards of the last ten years
/// need 30 s to 2 min.
const CONTROLLER_READY: Duration = Duration::from_mins(2);

/// A node with the places that later checks complain about.
pub(super) struct Draft {
    pub node: Node,
    pub at: At,
    pub host_at: At,
    pub feeds_at: Vec<At>,
    pub slot_at: At,
    pub macs_at: Vec<At>,
    pub door_at: At,
    pub uuid_at: At,
}

/// Redfish `Chassis.ChassisType` (Chassis.v1_26), those that hold something.
const KINDS: &[&str] = &[
    "Rack",
    "Blade",
    "Enclosure",
    "StandAlone",
    "RackMount",
    "Card",
    "Cartridge",
    "Row",
    "Pod",
    "Expansion",
    "Sidecar",
    "Zone",
    "Sled",
    "Shelf",
    "Drawer",
    "Module",
    "Component",
    "RackGroup",
    "StorageEnclosure",
    "ImmersionTank",
    "Other",
];

/// Reads one enclosure.
pub(super) fn chassis(cx: &mut Cx<'_>, named: &Named<'_>) -> Option<Chassis> {
    let s = named.section("chassis");
    let id = match ChassisId::new(&named.name) {
        Ok(id) => id,
        Err(error) => {
            cx.p.add(named.at, s.path.as_ref(), error.to_string(), "choose another name");
            return None;
        }
    };
    let words: Vec<(&'static str, &'static str)> = KINDS.iter().map(|kind| (*kind, *kind)).collect();
    let (p, sources) = (&mut cx.p, cx.sources);
    Some(Chassis {
        id,
        kind: s.word(p, "kind", &words).unwrap_or("Rack").to_owned(),
        slots: s.int(p, sources, "slots", 1..=100_000),
        description: s.label(p, "description"),
        manufacturer: s.label(p, "manufacturer"),
        model: s.label(p, "model"),
        serial: s.label(p, "serial"),
    })
}

/// Reads one node.
pub(super) fn read(
    cx: &mut Cx<'_>,
    named: &Named<'_>,
    defaults: Option<&Map>,
    endpoints: &Known,
    enclosures: &HashMap<ChassisId, Arc<Chassis>>,
) -> Option<Draft> {
    let mut s = named.section("nodes");
    s.under = defaults;
    let id = match NodeId::new(&named.name) {
        Ok(id) => id,
        Err(error) => {
            cx.p.add(named.at, s.path.as_ref(), error.to_string(), "choose another name");
            return None;
        }
    };
    let host = reference(cx, endpoints, &s, "host");
    let (feeds, feeds_at) = feeds(cx, endpoints, &s);
    if s.entry("host").is_none() && s.entry("feeds").is_none_or(|e| matches!(&e.spot.val, Val::List(l) if l.is_empty()))
    {
        cx.p.add(
            named.at,
            s.path.as_ref(),
            "has neither a host nor feeds: nothing could switch it",
            "add host = \"BMC\" or feeds = [\"PDU/OUTLET\"]",
        );
    }
    let indicator =
        reference_with(cx, endpoints, &s, "indicator", Some((ActKind::Indicator, "has no identification light")));
    let (macs, macs_at) = facts::macs(cx, &s);
    let boot = boot(cx, &s, macs.is_empty()).unwrap_or_default();
    let chassis = enclosure(cx, &s, enclosures);
    let slot = s.int(&mut cx.p, cx.sources, "slot", 1..=100_000);
    if let (Some(slot), None, None) = (slot, &chassis, s.entry("chassis")) {
        s.wrong(&mut cx.p, "slot", format!("slot {slot}, but no chassis"), "add chassis = \"...\"");
    }
    if let (Some(slot), Some(chassis)) = (slot, &chassis)
        && let Some(slots) = enclosures.get(chassis).and_then(|c| c.slots)
        && slot > slots
    {
        s.wrong(
            &mut cx.p,
            "slot",
            format!("{chassis} has {slots} slots, there is no slot {slot}"),
            format!("correct it, or chassis.{chassis}.slots"),
        );
    }
    let mut facts = facts::read(cx, &s);
    facts.macs = macs;
    let door = door(cx, &s);
    let shutdown = s.table(&mut cx.p, "shutdown").and_then(|table| hook::read(cx, &table, false));
    let node = Node {
        id,
        chassis,
        slot,
        host,
        feeds,
        console: reference(cx, endpoints, &s, "console"),
        sensors: sensors(cx, endpoints, &s),
        indicator,
        boot,
        shutdown,
        door,
        restore: s
            .word(
                &mut cx.p,
                "restore",
                &[
                    ("device", Restore::Device),
                    ("always-on", Restore::AlwaysOn),
                    ("always-off", Restore::AlwaysOff),
                    ("last-state", Restore::LastState),
                ],
            )
            .unwrap_or_default(),
        controller_ready: s
            .duration(&mut cx.p, "controller_ready", Duration::ZERO..=Duration::from_hours(1))
            .unwrap_or(CONTROLLER_READY),
        groups: groups(cx, &s),
        facts,
    };
    // Said plainly, because a switch that does nothing is worse than none.
    for (key, set, what) in [("console", node.console.is_some(), "no console is served yet")] {
        if set {
            cx.p.warn(s.at(key), s.key(key), what, "leave the key out, or keep it for a later version");
        }
    }
    Some(Draft {
        node,
        at: named.at,
        host_at: s.at("host"),
        feeds_at,
        slot_at: s.at("slot"),
        macs_at,
        door_at: s.at("door"),
        uuid_at: s.at("uuid"),
    })
}

/// Keys of a node's table as written, once for a whole range.
pub(super) fn only(cx: &mut super::problem::Problems, s: &Section<'_>) {
    s.only(cx, keys::NODE);
}

fn parse_ref(cx: &mut Cx<'_>, s: &Section<'_>, key: &str, at: At, text: &str) -> Option<Ref> {
    match text.parse() {
        Ok(r) => Some(r),
        Err(error) => {
            let way_out = if text.contains('{') {
                "placeholders like {n} need a range in the table's name, as in [nodes.\"node-[01-24]\"]"
            } else {
                "write ENDPOINT or ENDPOINT/UNIT, as in \"pdu01/7\""
            };
            cx.p.add(at, s.key(key), format!("{text:?} names no unit: {error}"), way_out);
            None
        }
    }
}

fn reference(cx: &mut Cx<'_>, known: &Known, s: &Section<'_>, key: &str) -> Option<Ref> {
    reference_with(cx, known, s, key, None)
}

fn reference_with(
    cx: &mut Cx<'_>,
    known: &Known,
    s: &Section<'_>,
    key: &str,
    needs: Option<(ActKind, &str)>,
) -> Option<Ref> {
    let text = s.text(&mut cx.p, key)?;
    let at = s.at(key);
    let r = parse_ref(cx, s, key, at, &text)?;
    if let Some(caps) = endpoint::caps(cx, known, s, key, at, &r)
        && let Some((act, lack)) = needs
        && !caps.acts.has(act)
    {
        cx.p.add(at, s.key(key), format!("{r} {lack}"), "name another unit or leave the key out");
    }
    Some(r)
}

fn sensors(cx: &mut Cx<'_>, known: &Known, s: &Section<'_>) -> Vec<Ref> {
    let texts = s.texts(&mut cx.p, cx.sources, "sensors").unwrap_or_default();
    let mut found = Vec::new();
    for (at, text) in texts {
        if let Some(r) = parse_ref(cx, s, "sensors", at, &text) {
            endpoint::caps(cx, known, s, "sensors", at, &r);
            found.push(r);
        }
    }
    found
}

fn feeds(cx: &mut Cx<'_>, known: &Known, s: &Section<'_>) -> (Vec<Feed>, Vec<At>) {
    let (mut feeds, mut places) = (Vec::new(), Vec::new());
    let Some(entry) = s.entry("feeds") else { return (feeds, places) };
    let spots: Vec<&Spot> = match &entry.spot.val {
        Val::List(list) => list.iter().collect(),
        _ => vec![&entry.spot],
    };
    for spot in spots {
        if let Some(feed) = feed(cx, known, s, spot) {
            feeds.push(feed);
            places.push(spot.at);
        }
    }
    (feeds, places)
}

fn feed(cx: &mut Cx<'_>, known: &Known, s: &Section<'_>, spot: &Spot) -> Option<Feed> {
    let hour = Duration::ZERO..=Duration::from_hours(1);
    let (text, table) = match &spot.val {
        Val::Text(text) => (s.fill(&mut cx.p, "feeds", spot.at, text)?, None),
        Val::Table(map) => {
            let table = s.below("feeds", spot.at, map);
            table.only(&mut cx.p, keys::FEED);
            if table.entry("unit").is_none() {
                cx.p.add(spot.at, table.path.as_ref(), "has no unit", "add unit = \"PDU/OUTLET\"");
            }
            (table.text(&mut cx.p, "unit")?, Some(table))
        }
        _ => {
            cx.p.add(
                spot.at,
                s.key("feeds"),
                format!("must be a unit or a table, not {}", spot.val.kind()),
                "for example feeds = [\"pdu01/7\", { unit = \"pdu02/7\", shared = true }]",
            );
            return None;
        }
    };
    let unit = parse_ref(cx, s, "feeds", spot.at, &text)?;
    if let Some(caps) = endpoint::caps(cx, known, s, "feeds", spot.at, &unit)
        && !(caps.acts.has(ActKind::On) && caps.acts.has(ActKind::Off))
    {
        cx.p.add(
            spot.at,
            s.key("feeds"),
            format!("{unit} can't be switched on and off"),
            "a feed has to be; for readings alone use `sensors`",
        );
    }
    let usual = known.get(&unit.endpoint).and_then(Option::as_ref).map(|e| e.policy.pace.off_time).unwrap_or_default();
    let table = table.as_ref();
    Some(Feed {
        shared: table.and_then(|t| t.flag(&mut cx.p, cx.sources, "shared")).unwrap_or(false),
        gap: table.and_then(|t| t.duration(&mut cx.p, "gap", hour.clone())).unwrap_or_default(),
        off_time: table.and_then(|t| t.duration(&mut cx.p, "off_time", hour)).unwrap_or(usual),
        unit,
    })
}

fn boot(cx: &mut Cx<'_>, s: &Section<'_>, no_macs: bool) -> Option<BootPolicy> {
    let entry = s.entry("boot")?;
    if matches!(entry.spot.val, Val::Text(_)) {
        let refuse = s.word(&mut cx.p, "boot", &[("store", false), ("refuse", true)])?;
        return Some(if refuse { BootPolicy::Refuse } else { BootPolicy::Store });
    }
    let Val::Table(map) = &entry.spot.val else {
        s.wrong(
            &mut cx.p,
            "boot",
            format!("must be a boot policy, not {}", entry.spot.val.kind()),
            "write boot = \"store\", boot = \"refuse\" or boot = { hook = { ... } }",
        );
        return None;
    };
    let table = s.below("boot", entry.at, map);
    table.only(&mut cx.p, keys::BOOT);
    if table.entry("hook").is_none() {
        cx.p.add(entry.at, table.path.as_ref(), "has no hook", "write boot = { hook = { command = [\"...\"] } }");
        return None;
    }
    let section = table.table(&mut cx.p, "hook")?;
    let hook = hook::read(cx, &section, true)?;
    if no_macs && matches!(hook.action, HookAction::Files(_)) {
        section.wrong(
            &mut cx.p,
            "files",
            "the node has no macs: there would be no file",
            "add macs = [\"...\"] to the node",
        );
    }
    Some(BootPolicy::Hook(hook))
}

fn enclosure(cx: &mut Cx<'_>, s: &Section<'_>, enclosures: &HashMap<ChassisId, Arc<Chassis>>) -> Option<ChassisId> {
    let text = s.text(&mut cx.p, "chassis")?;
    if let Some((id, _)) = enclosures.get_key_value(text.as_ref()) {
        return Some(id.clone());
    }
    let way_out =
        cx.p.did_you_mean(&text, enclosures.keys().map(ChassisId::as_str), format!("define [chassis.{text}]"));
    s.wrong(&mut cx.p, "chassis", format!("there is no chassis {text:?}"), way_out);
    None
}

fn door(cx: &mut Cx<'_>, s: &Section<'_>) -> Option<SocketAddr> {
    let text = s.text(&mut cx.p, "door")?;
    let address = server::address(s, &mut cx.p, "door", s.at("door"), &text)?;
    if address.port() == 0 {
        s.wrong(&mut cx.p, "door", "has no port", "name the port that clients connect to, as in \"10.2.0.7:443\"");
        return None;
    }
    Some(address)
}

fn groups(cx: &mut Cx<'_>, s: &Section<'_>) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for (at, text) in s.texts(&mut cx.p, cx.sources, "groups").unwrap_or_default() {
        // Groups are written in host lists and account scopes: the characters of a name.
        match NodeId::new(&text) {
            Err(error) => cx.p.add(at, s.key("groups"), format!("{text:?} can't be a group: {error}"), ""),
            Ok(_) if groups.iter().any(|g| *g == text) => {}
            Ok(_) => groups.push(text.into_owned()),
        }
    }
    groups
}
