//! From a path to a [`Config`], or to everything that is wrong.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    drivers::{DRIVERS, DriverKind},
    model::ChassisId,
};

use super::{
    check, endpoint, keys, layers,
    layers::{Env, Seen},
    ldap, names, node,
    problem::{Problem, Problems},
    range,
    secret::Secrets,
    section::Section,
    server,
    source::{Map, Sources, Val},
    types::Config,
};

/// A configuration that checks out.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What works but is doubtful.
    pub warnings: Vec<Problem>,
    /// The files and folders to watch.
    pub files: Vec<PathBuf>,
}

/// A configuration that does not.
#[derive(Debug)]
pub struct Broken {
    /// All that is wrong; never empty.
    pub problems: Vec<Problem>,
    /// What is doubtful besides.
    pub warnings: Vec<Problem>,
    /// The files and folders to watch: a change of one may heal it.
    pub files: Vec<PathBuf>,
}

/// What the readers of single tables share.
pub(super) struct Cx<'a> {
    pub p: Problems,
    pub sources: &'a Sources,
    pub env: &'a Env,
    pub drivers: &'a [&'static DriverKind],
    pub secrets: Secrets,
    pub seen: Seen,
    /// Contents of files that belong to endpoints, each read once.
    pub contents: HashMap<String, String>,
}

/// Reads, merges and checks the configuration at `path`, with the drivers there are.
pub fn load(path: &Path, env: &Env) -> Result<Loaded, Broken> {
    load_with(path, env, DRIVERS)
}

/// As [`load`], with other drivers: for tests.
pub fn load_with(path: &Path, env: &Env, drivers: &[&'static DriverKind]) -> Result<Loaded, Broken> {
    let mut sources = Sources::default();
    let mut seen = Seen::default();
    let mut p = Problems::default();
    let layers = layers::read(path, env, &mut sources, &mut seen, &mut p);
    let mut cx = Cx { p, sources: &sources, env, drivers, secrets: Secrets::default(), seen, contents: HashMap::new() };
    let config = layers.map(|layers| build(&mut cx, &layers.docs, &layers.fixed)).unwrap_or_default();
    let Cx { p, secrets, seen, .. } = cx;
    let mut files = seen.files;
    files.extend(seen.folders);
    files.extend(secrets.into_files());
    for path in [&config.server.tls.certificate, &config.server.tls.key, &config.server.tls.client_ca] {
        files.extend(path.clone());
    }
    files.extend(config.auth.oauth.iter().flat_map(|issuer| issuer.files()));
    files.sort();
    files.dedup();
    let bad = p.is_bad();
    let (problems, warnings) = p.finish(&sources);
    if bad { Err(Broken { problems, warnings, files }) } else { Ok(Loaded { config, warnings, files }) }
}

/// Where the service of this configuration keeps its state, even if the rest is wrong or unreadable.
pub fn state_dir(path: &Path, env: &Env) -> PathBuf {
    let mut sources = Sources::default();
    match layers::read(path, env, &mut sources, &mut Seen::default(), &mut Problems::default()) {
        Some(layers) => server::state_dir(&layers.fixed, &sources),
        None => super::Server::default().state_dir,
    }
}

/// The environment of this process; what is not UTF-8 does not exist.
pub fn process_env() -> Env {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn build(cx: &mut Cx<'_>, docs: &[Map], fixed: &Map) -> Config {
    let (server, mut auth, patience, inrush) = server::read(fixed, cx.sources, &mut cx.p);
    auth.ldap = ldap::read(cx, fixed);
    let defaults = defaults(cx, fixed);
    let mut budget = range::MAX_NAMES;

    let mut known = endpoint::Known::new();
    for named in names::all(docs, "endpoints", &mut budget, cx.sources, &mut cx.p, |_, _| {}) {
        known.extend(endpoint::read(cx, &named));
    }

    let mut enclosures = HashMap::new();
    let mut places: HashMap<ChassisId, _> = HashMap::new();
    for named in names::all(docs, "chassis", &mut budget, cx.sources, &mut cx.p, |s, p| s.only(p, keys::CHASSIS)) {
        if let Some(chassis) = node::chassis(cx, &named) {
            places.insert(chassis.id.clone(), named.at);
            enclosures.insert(chassis.id.clone(), Arc::new(chassis));
        }
    }

    let mut drafts = Vec::new();
    for named in names::all(docs, "nodes", &mut budget, cx.sources, &mut cx.p, |s, p| node::only(p, s)) {
        drafts.extend(node::read(cx, &named, defaults, &known, &enclosures));
    }
    check::nodes(&drafts, &places, cx.sources, &mut cx.p);
    check::doors(&drafts, &server, cx.sources, &mut cx.p);
    if let Some(directory) = &auth.ldap {
        ldap::check(cx, fixed, directory, &drafts.iter().map(|draft| &draft.node));
    }

    Config {
        server,
        auth,
        patience,
        inrush,
        endpoints: known.into_iter().filter_map(|(id, endpoint)| Some((id, endpoint?))).collect(),
        chassis: enclosures.into_iter().collect(),
        nodes: drafts.into_iter().map(|d| (d.node.id.clone(), Arc::new(d.node))).collect::<BTreeMap<_, _>>(),
    }
}

/// `[defaults.node]`
fn defaults<'d>(cx: &mut Cx<'_>, fixed: &'d Map) -> Option<&'d Map> {
    let entry = fixed.get("defaults")?;
    let Val::Table(map) = &entry.spot.val else { return None };
    let section = Section::new("defaults", entry.at, map);
    section.only(&mut cx.p, keys::DEFAULTS);
    let node = section.table(&mut cx.p, "node")?;
    let shared: Vec<&str> = keys::NODE.iter().copied().filter(|key| !keys::NODE_OWN.contains(key)).collect();
    for key in keys::NODE_OWN {
        if let Some(entry) = node.map.get(key) {
            cx.p.add(entry.at, node.key(key), "can't be the same for all nodes", "write it into the nodes' own tables");
        }
    }
    let known: Vec<&str> = shared.into_iter().chain(keys::NODE_OWN.iter().copied()).collect();
    node.only(&mut cx.p, &known);
    Some(node.map)
}
