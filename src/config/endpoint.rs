//! `[endpoints.NAME]`: common keys to a policy, the rest to the driver.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    sync::Arc,
    time::Duration,
};

use sha2::{Digest, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    drivers::{DriverKind, Setup},
    model::{Caps, EndpointId, Ref},
};

use super::{
    keys,
    layers::read_text,
    load::Cx,
    names::Named,
    problem::At,
    range,
    section::Section,
    source::{Entry, Map, Val},
    types::{Endpoint, EndpointPolicy, Order},
};

/// Bytes of a file that belongs to an endpoint (a model file, a certificate).
const MAX_FILE: u64 = 4 << 20;

/// Stands for a secret that could not be read, so that the driver can judge the other keys. Long enough for SNMPv3.
/// The configuration is refused anyway.
const STAND_IN: &str = "unreadable-secret";

/// All endpoints by name; those with a mistake are `None`: known, but nothing can be said about their units.
pub(super) type Known = HashMap<EndpointId, Option<Arc<Endpoint>>>;

/// Reads one endpoint.
pub(super) fn read(cx: &mut Cx<'_>, named: &Named<'_>) -> Option<(EndpointId, Option<Arc<Endpoint>>)> {
    let s = named.section("endpoints");
    let id = match EndpointId::new(&named.name) {
        Ok(id) => id,
        Err(error) => {
            cx.p.add(named.at, s.path.as_ref(), error.to_string(), "choose another name");
            return None;
        }
    };
    if id.as_str() == "rackfish" {
        cx.p.add(
            named.at,
            s.path.as_ref(),
            "the name is taken: it is the manager that stands for the service itself",
            "choose another name",
        );
    }
    let Some(kind) = driver(cx, &s) else { return Some((id, None)) };
    let settings = settings(cx, &s, kind);
    let setup = settings.as_ref().and_then(|table| parse(cx, &s, kind, table));
    let policy = policy(cx, &s, setup.as_deref());
    let Some(mut settings) = settings else { return Some((id, None)) };
    let fingerprint = setup.is_some().then(|| fingerprint(cx, kind, &settings, &policy));
    wipe(&mut settings, kind);
    let (Some(setup), Some(fingerprint)) = (setup, fingerprint) else { return Some((id, None)) };
    Some((id.clone(), Some(Arc::new(Endpoint { id, setup, policy, fingerprint }))))
}

fn driver(cx: &mut Cx<'_>, s: &Section<'_>) -> Option<&'static DriverKind> {
    let known = || cx.drivers.iter().map(|d| d.name);
    let all = known().collect::<Vec<_>>().join(", ");
    if s.entry("driver").is_none() {
        cx.p.add(s.at, s.path.as_ref(), "has no driver", format!("add driver = \"...\", one of {all}"));
        return None;
    }
    let name = s.text(&mut cx.p, "driver")?;
    let found = cx.drivers.iter().copied().find(|d| d.name == name);
    if found.is_none() {
        let names: Vec<&str> = cx.drivers.iter().map(|d| d.name).collect();
        let way_out = cx.p.did_you_mean(&name, names, format!("there are {all}"));
        s.wrong(&mut cx.p, "driver", format!("there is no driver {name:?}"), way_out);
    }
    found
}

/// The driver's own keys, filled in, with secrets as text and files as paths. `None` when one of them is wrong.
fn settings(cx: &mut Cx<'_>, s: &Section<'_>, kind: &DriverKind) -> Option<toml::Table> {
    let mut sound = true;
    let mut table = toml::Table::new();
    for (key, entry) in &s.map.0 {
        if !keys::ENDPOINT.contains(&key.as_str()) {
            match value(cx, s, kind, key, entry) {
                Some(value) => {
                    table.insert(key.clone(), value);
                }
                None => sound = false,
            }
        }
    }
    sound.then_some(table)
}

fn value(cx: &mut Cx<'_>, s: &Section<'_>, kind: &DriverKind, key: &str, entry: &Entry) -> Option<toml::Value> {
    let spot = &entry.spot;
    if kind.is_secret(key) {
        let text = cx.secrets.resolve(&mut cx.p, cx.sources, cx.env, s, key, spot);
        return Some(toml::Value::String(text.unwrap_or_else(|| STAND_IN.to_owned())));
    }
    Some(match &spot.val {
        Val::Text(text) => {
            let filled = s.fill(&mut cx.p, key, spot.at, text)?;
            if kind.files.contains(&key) {
                let path = cx.sources.resolve(spot.at, &filled);
                cx.seen.files.push(path.clone());
                return Some(toml::Value::String(path.to_string_lossy().into_owned()));
            }
            match filled.parse() {
                Ok(number) if !s.numbers.is_empty() && range::is_number_placeholder(text) => {
                    toml::Value::Integer(number)
                }
                _ => toml::Value::String(filled.into_owned()),
            }
        }
        Val::Int(number) => toml::Value::Integer(*number),
        Val::Float(number) => toml::Value::Float(*number),
        Val::Bool(flag) => toml::Value::Boolean(*flag),
        Val::Date(date) => toml::Value::Datetime(*date),
        Val::List(list) => {
            let mut items = Vec::with_capacity(list.len());
            for item in list {
                items.push(value(cx, s, kind, key, &Entry { at: item.at, spot: item.clone() })?);
            }
            toml::Value::Array(items)
        }
        Val::Table(map) => {
            let mut table = toml::Table::new();
            for (name, entry) in &map.0 {
                table.insert(name.clone(), value(cx, s, kind, &format!("{key}.{name}"), entry)?);
            }
            toml::Value::Table(table)
        }
    })
}

fn parse(cx: &mut Cx<'_>, s: &Section<'_>, kind: &DriverKind, table: &toml::Table) -> Option<Arc<dyn Setup>> {
    match (kind.parse)(table) {
        Ok(setup) => Some(setup),
        Err(errors) => {
            for error in errors {
                let Some(key) = error.key else {
                    cx.p.add(s.at, s.path.as_ref(), error.message, "");
                    continue;
                };
                // An unknown key may be a slip in a common one, which the driver does not know.
                let mut way_out = String::new();
                if ["unknown key", "not a setting"].iter().any(|say| error.message.contains(say))
                    && !error.message.contains("did you mean")
                    && !key.contains('.')
                {
                    way_out = cx.p.did_you_mean(&key, keys::ENDPOINT.iter().copied(), "");
                }
                cx.p.add(find(s.map, &key).unwrap_or(s.at), s.key(&key), error.message, way_out);
            }
            None
        }
    }
}

/// The place of a dotted key, or of the nearest table above it that exists.
fn find(map: &Map, key: &str) -> Option<At> {
    let (head, tail) = key.split_once('.').map_or((key, None), |(head, tail)| (head, Some(tail)));
    // `columns[2]` of a list stands where the list stands.
    let entry = map.get(head).or_else(|| map.get(head.split('[').next()?))?;
    match (&entry.spot.val, tail) {
        (Val::Table(map), Some(tail)) => find(map, tail).or(Some(entry.at)),
        _ => Some(entry.at),
    }
}

fn policy(cx: &mut Cx<'_>, s: &Section<'_>, setup: Option<&dyn Setup>) -> EndpointPolicy {
    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);
    let (p, sources) = (&mut cx.p, cx.sources);
    let tenth = Duration::from_millis(100);
    let mut policy = EndpointPolicy::new(setup.map(Setup::pace).unwrap_or_default());
    macro_rules! set {
        ($place:expr, $value:expr) => {
            if let Some(value) = $value {
                $place = value;
            }
        };
    }
    set!(policy.pace.poll, s.duration(p, "poll", tenth..=DAY));
    set!(policy.pace.poll_sensors, s.duration(p, "poll_sensors", tenth..=DAY));
    set!(policy.pace.min_gap, s.duration(p, "min_gap", Duration::ZERO..=Duration::from_mins(1)));
    set!(policy.pace.retries, s.int(p, sources, "retries", 0..=10));
    set!(policy.pace.verify_every, s.duration(p, "verify_every", Duration::from_millis(10)..=Duration::from_mins(1)));
    set!(policy.pace.off_time, s.duration(p, "off_time", Duration::ZERO..=HOUR));
    set!(policy.verify, s.flag(p, sources, "verify"));
    set!(policy.coalesce, s.flag(p, sources, "coalesce"));
    set!(policy.order, s.word(p, "order", &[("priority", Order::Priority), ("arrival", Order::Arrival)]));
    set!(policy.probe_at_start, s.flag(p, sources, "probe_at_start"));
    set!(policy.observe_only, s.flag(p, sources, "observe_only"));
    policy.rate = s.float(p, sources, "rate", 10_000.0);
    policy.starts_per_second = s.float(p, sources, "starts_per_second", 10_000.0);
    set!(policy.breaker_failures, s.int(p, sources, "breaker_failures", 1..=1_000));
    set!(policy.breaker_cool_down, s.duration(p, "breaker_cool_down", tenth..=HOUR));
    set!(policy.credentials_retry, s.duration(p, "credentials_retry", Duration::from_secs(1)..=DAY * 7));
    policy
}

/// A hash of everything that makes the endpoint what it is. A hash, because secrets are among it.
fn fingerprint(cx: &mut Cx<'_>, kind: &DriverKind, settings: &toml::Table, policy: &EndpointPolicy) -> String {
    let mut text = Zeroizing::new(format!("{}\n{policy:?}\n", kind.name));
    table(&mut text, settings);
    for key in kind.files {
        let path = key.split('.').try_fold(None, |at: Option<&toml::Value>, part| {
            Some(Some(at.map_or_else(|| settings.get(part), |value| value.get(part))?))
        });
        if let Some(Some(toml::Value::String(path))) = path {
            let content = cx
                .contents
                .entry(path.clone())
                .or_insert_with(|| read_text(path.as_ref(), MAX_FILE).unwrap_or_default());
            text.push_str(content);
            text.push('\n');
        }
    }
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a String can't fail.
        write!(hex, "{byte:02x}").unwrap_or_default();
    }
    hex
}

/// Overwrites what the driver has its own copies of, each of which is a `Secret`.
fn wipe(settings: &mut toml::Table, kind: &DriverKind) {
    for key in kind.secrets {
        if let Some(toml::Value::String(text)) = settings.get_mut(*key) {
            text.zeroize();
        }
    }
}

fn table(out: &mut String, table: &toml::Table) {
    // Sorted, whatever order the crate's map keeps.
    for (key, value) in table.iter().collect::<BTreeMap<_, _>>() {
        write!(out, "{key:?}{{").unwrap_or_default();
        canonical(out, value);
        out.push('}');
    }
}

fn canonical(out: &mut String, value: &toml::Value) {
    match value {
        toml::Value::Table(inner) => table(out, inner),
        toml::Value::Array(list) => {
            out.push('[');
            for value in list {
                canonical(out, value);
                out.push(',');
            }
            out.push(']');
        }
        toml::Value::String(text) => write!(out, "{text:?}").unwrap_or_default(),
        other => write!(out, "{other}").unwrap_or_default(),
    }
}

/// What `r` can presumably do; notes an unknown endpoint or unit. `None` also when nothing can be said.
pub(super) fn caps(cx: &mut Cx<'_>, known: &Known, s: &Section<'_>, key: &str, at: At, r: &Ref) -> Option<Caps> {
    match known.get(&r.endpoint) {
        None => {
            let way_out = cx.p.did_you_mean(
                r.endpoint.as_str(),
                known.keys().map(EndpointId::as_str),
                format!("define [endpoints.{}]", r.endpoint),
            );
            cx.p.add(at, s.key(key), format!("there is no endpoint {}", r.endpoint), way_out);
            None
        }
        Some(None) => None,
        Some(Some(endpoint)) => {
            let caps = endpoint.setup.presumed(&r.unit);
            if caps.is_none() {
                let way_out = if r.unit.as_str() == crate::model::Unit::HOST {
                    format!("name one of its units, as in \"{}/1\"", r.endpoint)
                } else {
                    format!("see which units {} endpoints have in docs/configuration.md", endpoint.setup.driver())
                };
                cx.p.add(
                    at,
                    s.key(key),
                    format!("{} ({}) has no unit {}", r.endpoint, endpoint.setup.driver(), r.unit),
                    way_out,
                );
            }
            caps
        }
    }
}
