//! Where things are on this BMC: System, then Chassis, Manager and log by their links.

use serde_json::Value;

use super::{
    faults::{Failure, Tried},
    media::{self, MediaSite},
    session::{ROOT, Session},
};
use crate::{
    model::{Fault, Why},
    wire::redfish::{
        Path,
        boot::{self, Boot},
        log,
        system::{self, Action, Light},
        value::{flag, list},
    },
};

/// Chassis of one System that are read: a machine has one, a blade two.
const MOST_CHASSIS: usize = 8;
/// Log services of one resource that are looked at.
const MOST_LOGS: usize = 8;
/// A log that is surely the hardware's: no need to look further.
const SURE: u8 = 4;
/// Systems that are named in an error.
const MOST_NAMED: usize = 8;

/// The log that is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LogSite {
    pub entries: Path,
    pub clear: Option<Path>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Site {
    pub system: Path,
    pub chassis: Vec<Path>,
    pub manager: Option<Path>,
    pub log: Option<LogSite>,
    pub media: Option<MediaSite>,
    /// The service takes `$expand` with levels.
    pub expand: bool,
    /// It tells a power state.
    pub power: bool,
    pub reset: Option<Action>,
    pub boot: Option<Boot>,
    /// Where boot options are written, if not to the System.
    pub settings: Option<Path>,
    /// The identification light, and on which resource.
    pub light: Option<(Path, Light)>,
}

/// What is not there, or broken, is nothing; a BMC that does not answer, or asks for patience, is a failure.
pub(super) async fn optional(session: &mut Session, path: &Path) -> Tried<Option<Value>> {
    match session.get(path).await {
        Ok(body) => Ok(Some(body)),
        Err(failure @ Failure::Status { code: 429 | 503, .. }) => Err(failure),
        Err(failure @ (Failure::Status { .. } | Failure::Garbage(_))) => {
            tracing::debug!(%path, ?failure, "left out");
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Finds everything; `known` is what was found before, and saves looking for the log and the virtual media again.
pub(super) async fn find(session: &mut Session, wanted: Option<&str>, known: Option<&Site>) -> Result<Site, Fault> {
    let root = session.enter().await.map_err(|failure| {
        if failure.is_absence() {
            let why = failure.into_fault();
            return Fault::Refused(Why::Protocol(format!("there is no Redfish service at {ROOT}: {why}")));
        }
        failure.into_fault()
    })?;
    let (path, body) = find_system(session, &root, wanted).await?;
    look(session, &root, path, &body, known).await.map_err(Failure::into_fault)
}

async fn find_system(session: &mut Session, root: &Value, wanted: Option<&str>) -> Result<(Path, Value), Fault> {
    let all = Path::at(root, "Systems").unwrap_or_else(|| Path::fixed("/redfish/v1/Systems"));
    let path = match wanted {
        Some(id) if id.starts_with('/') => Path::of(id),
        Some(id) => all.below(id),
        None => None,
    };
    if let Some(path) = path {
        match session.get(&path).await {
            Ok(body) => return Ok((path, body)),
            Err(failure) if failure.is_absence() => {}
            Err(failure) => return Err(failure.into_fault()),
        }
    }
    let body = session.get(&all).await.map_err(Failure::into_fault)?;
    let members = Path::all_at(&body, "Members");
    let named = || {
        let names: Vec<_> = members.iter().take(MOST_NAMED).map(Path::last).collect();
        if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) }
    };
    let path = match (wanted, members.as_slice()) {
        // Not below the collection, but a member of it.
        (Some(id), members) => members.iter().find(|member| member.last() == id),
        (None, [only]) => Some(only),
        (None, []) => None,
        (None, _) => {
            let why = format!("the BMC has several Systems: say which one with `system`; {}", named());
            return Err(Fault::Refused(Why::Rejected(why)));
        }
    };
    let Some(path) = path.cloned() else {
        return Err(Fault::NoSuchUnit(format!("the BMC has no System {}; {}", wanted.unwrap_or("at all"), named())));
    };
    session.get(&path).await.map(|body| (path, body)).map_err(Failure::into_fault)
}

async fn look(session: &mut Session, root: &Value, path: Path, body: &Value, known: Option<&Site>) -> Tried<Site> {
    let links = body.get("Links").unwrap_or(&Value::Null);
    let mut chassis = Path::all_at(links, "Chassis");
    chassis.truncate(MOST_CHASSIS);
    let managers = [Path::all_at(links, "ManagedBy"), Path::all_at(links, "Managers")].concat();
    let mut reset = system::action(body, "#ComputerSystem.Reset", "ResetType");
    if let Some(action) = &mut reset
        && action.allowed.is_none()
        && let Some(info) = action.info.clone()
        && let Some(info) = optional(session, &info).await?
    {
        action.allowed = system::allowed_by_info(&info, "ResetType");
    }
    let mut light = Light::of(body).map(|light| (path.clone(), light));
    if light.is_none()
        && let Some(first) = chassis.first()
        && let Some(enclosure) = optional(session, first).await?
    {
        light = Light::of(&enclosure).map(|light| (first.clone(), light));
    }
    let known = known.filter(|known| known.system.same(&path));
    let log = match known {
        Some(known) => known.log.clone(),
        None => find_log(session, body, managers.first()).await?,
    };
    // A BMC that has just started may have its slots last: that there are none is not for good.
    let media = match known.and_then(|known| known.media.clone()) {
        Some(known) => Some(known),
        None => media::find(session, body, managers.first()).await?,
    };
    let expand = root.get("ProtocolFeaturesSupported").and_then(|f| f.get("ExpandQuery"));
    Ok(Site {
        chassis,
        manager: managers.into_iter().next(),
        log,
        media,
        expand: expand.is_some_and(|e| flag(e, "NoLinks") == Some(true) && flag(e, "Levels") == Some(true)),
        power: body.get("PowerState").is_some(),
        reset,
        boot: Boot::of(body),
        settings: boot::settings(body),
        light,
        system: path,
    })
}

/// The System's own log, or its Manager's.
async fn find_log(session: &mut Session, system: &Value, manager: Option<&Path>) -> Tried<Option<LogSite>> {
    let mut best: Option<(u8, LogSite)> = None;
    for owner in 0..2 {
        let services = match (owner, manager) {
            (0, _) => Path::at(system, "LogServices"),
            (_, Some(manager)) => {
                optional(session, manager).await?.as_ref().and_then(|body| Path::at(body, "LogServices"))
            }
            _ => None,
        };
        let Some(services) = services else { continue };
        let Some(services) = optional(session, &services).await? else { continue };
        for member in list(&services, "Members").iter().take(MOST_LOGS) {
            let Some(path) = Path::in_link(member) else { continue };
            let Some(service) = optional(session, &path).await? else { continue };
            let (Some(rank), Some(entries)) = (log::rank(&service), Path::at(&service, "Entries")) else { continue };
            if best.as_ref().is_none_or(|(known, _)| rank > *known) {
                let clear = system::action(&service, "#LogService.ClearLog", "LogEntriesETag");
                best = Some((rank, LogSite { entries, clear: clear.map(|action| action.target) }));
            }
        }
        if best.as_ref().is_some_and(|(rank, _)| *rank >= SURE) {
            break;
        }
    }
    Ok(best.map(|(_, log)| log))
}
