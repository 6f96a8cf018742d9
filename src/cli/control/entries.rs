//! What the command line shows of nodes, endpoints and accounts. Field names are part of the interface (`--json`).

use serde::{Deserialize, Serialize};

use crate::{
    auth::{AccountInfo, RoleInfo},
    config::{self, Facts, Server},
    fleet::{Hold, NodeView, view},
    model::{PowerState, Reading, Scope, Stated},
};

/// Something known, with its origin and time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Known {
    /// The value.
    pub value: String,
    /// `read`, `commanded` or `assumed`.
    pub origin: String,
    /// RFC 3339.
    pub at: String,
}

/// About the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusEntry {
    /// Of the program.
    pub version: String,
    /// Of the installation.
    pub uuid: String,
    /// Process.
    pub pid: u32,
    /// Addresses of the Redfish face.
    pub redfish: Vec<String>,
    /// File with the authority that clients have to trust, if rackfish made it.
    pub trust: Option<String>,
    /// State folder.
    pub state_dir: String,
    /// Number of nodes.
    pub nodes: usize,
    /// Number of endpoints.
    pub endpoints: usize,
    /// Those that don't answer.
    pub endpoints_down: usize,
    /// Writes are refused everywhere.
    pub observe_only: bool,
}

/// One supply.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FeedEntry {
    /// Outlet.
    pub unit: String,
    /// Its state.
    pub power: Option<Known>,
    /// Fed by it are others too.
    pub shared: bool,
    /// Its endpoint answers.
    pub reachable: bool,
    /// The PDU's name for it.
    pub name: Option<String>,
}

/// A node.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeEntry {
    /// Its name.
    pub name: String,
    /// Its System's path.
    pub system: String,
    /// Its UUID, when a service told it.
    pub uuid: Option<String>,
    /// Power; absent: unknown.
    pub power: Option<Known>,
    /// Why it is unknown or old.
    pub trouble: Option<String>,
    /// Host and feeds answer.
    pub reachable: Option<bool>,
    /// Host unit.
    pub host: Option<String>,
    /// The host's own power.
    pub host_power: Option<Known>,
    /// Supplies.
    pub feeds: Vec<FeedEntry>,
    /// Enclosure.
    pub chassis: Option<String>,
    /// Slot.
    pub slot: Option<u32>,
    /// Groups.
    pub groups: Vec<String>,
    /// Resets it takes.
    pub resets: Vec<String>,
    /// Boot override: `Disabled`, or `Pxe Once UEFI`.
    pub boot: Option<String>,
    /// Identification light.
    pub indicator: Option<String>,
    /// Asset tag.
    pub asset_tag: Option<String>,
    /// Starts are refused.
    pub hold: Option<Hold>,
    /// What runs: `ForceOff by admin (switching off pdu01/7)`.
    pub operation: Option<String>,
    /// MACs.
    pub macs: Vec<String>,
    /// Threads.
    pub cpus: Option<u32>,
    /// Architecture.
    pub cpu_arch: Option<String>,
    /// Memory.
    pub memory_gib: Option<f64>,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Readings, with details only.
    pub readings: Vec<ReadingEntry>,
}

/// A reading.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadingEntry {
    /// Where it was read.
    pub unit: String,
    /// The sensor.
    pub name: String,
    /// Its value; absent: none.
    pub value: Option<f64>,
    /// UCUM.
    pub units: String,
    /// `Ok`, `Warning`, `Critical`.
    pub state: String,
}

/// An endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointEntry {
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Its address.
    pub address: String,
    /// `ok`, `down` or `unknown`.
    pub state: String,
    /// Why it is down.
    pub fault: Option<String>,
    /// Since when.
    pub since: Option<String>,
    /// Last exchange that worked.
    pub last_answer: Option<String>,
    /// Tried again in that many seconds.
    pub retry_in: Option<u64>,
    /// All traffic is stopped.
    pub hold: Option<Hold>,
    /// Only reads.
    pub observe_only: bool,
    /// Units with their power.
    pub units: Vec<UnitEntry>,
    /// Exchanges since the start.
    pub exchanges: u64,
    /// Those that failed.
    pub failures: u64,
}

/// A unit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnitEntry {
    /// Its name.
    pub unit: String,
    /// Its power.
    pub power: Option<Known>,
}

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountEntry {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Nodes it is limited to; with `groups` empty too: not limited.
    pub nodes: Vec<String>,
    /// Groups it is limited to.
    pub groups: Vec<String>,
    /// Whether it is limited.
    pub limited: bool,
    /// May log in.
    pub enabled: bool,
    /// Has to choose another password first.
    pub must_change_password: bool,
    /// Somebody who guessed its password is locked out at some address.
    #[serde(default)]
    pub locked: bool,
}

/// A role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoleEntry {
    /// Its name.
    pub name: String,
    /// It can't be changed.
    pub predefined: bool,
    /// What it is good for.
    pub privileges: Vec<String>,
}

impl From<&RoleInfo> for RoleEntry {
    fn from(info: &RoleInfo) -> Self {
        Self {
            name: info.role.to_string(),
            predefined: info.role.predefined().is_some(),
            privileges: info.privileges.list().map(str::to_owned).collect(),
        }
    }
}

fn rfc3339(at: time::OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

fn power(state: &Stated<PowerState>) -> Known {
    Known { value: state.value.to_string(), origin: state.origin.as_str().to_owned(), at: rfc3339(state.at) }
}

fn text(text: Option<&String>) -> Option<String> {
    text.cloned()
}

impl NodeEntry {
    /// What the configuration alone tells.
    pub fn of_config(node: &config::Node) -> Self {
        let Facts { macs, cpus, cpu_arch, memory_gib, manufacturer, model, serial, asset_tag, uuid, .. } = &node.facts;
        Self {
            name: node.id.to_string(),
            system: format!("/redfish/v1/Systems/{}", node.id),
            uuid: uuid.map(|uuid| uuid.to_string()),
            host: node.host.as_ref().map(ToString::to_string),
            feeds: node
                .feeds
                .iter()
                .map(|feed| FeedEntry {
                    unit: feed.unit.to_string(),
                    power: None,
                    shared: feed.shared,
                    reachable: false,
                    name: None,
                })
                .collect(),
            chassis: node.chassis.as_ref().map(ToString::to_string),
            slot: node.slot,
            groups: node.groups.clone(),
            asset_tag: text(asset_tag.as_ref()),
            macs: macs.clone(),
            cpus: *cpus,
            cpu_arch: text(cpu_arch.as_ref()),
            memory_gib: *memory_gib,
            manufacturer: text(manufacturer.as_ref()),
            model: text(model.as_ref()),
            serial: text(serial.as_ref()),
            ..Self::default()
        }
    }

    /// What a running service knows.
    pub fn of_view(view: &NodeView, details: bool) -> Self {
        let inventory = view.inventory.as_ref().map(|stated| &stated.value);
        let read = |configured: &Option<String>, read: fn(&crate::model::Inventory) -> &Option<String>| {
            configured.clone().or_else(|| inventory.and_then(|inventory| read(inventory).clone()))
        };
        let facts = &view.config.facts;
        Self {
            uuid: Some(view.uuid.to_string()),
            power: view.power.as_ref().map(power),
            trouble: view.trouble.as_deref().map(str::to_owned),
            reachable: Some(view.reachable),
            host_power: view.host_power.as_ref().map(power),
            feeds: view
                .feeds
                .iter()
                .map(|feed| FeedEntry {
                    unit: feed.unit.to_string(),
                    power: feed.power.as_ref().map(power),
                    shared: feed.shared,
                    reachable: feed.reachable,
                    name: feed.name.as_deref().map(str::to_owned),
                })
                .collect(),
            resets: view.resets.iter().map(ToString::to_string).collect(),
            boot: Some(boot(&view.boot)),
            indicator: view.indicator.map(|led| led.as_str().to_owned()),
            asset_tag: view.asset_tag.as_deref().map(str::to_owned),
            hold: view.hold.clone(),
            operation: view.operation.as_ref().map(|op| format!("{} by {} ({})", op.what, op.principal, op.step)),
            manufacturer: read(&facts.manufacturer, |inventory| &inventory.manufacturer),
            model: read(&facts.model, |inventory| &inventory.model),
            serial: read(&facts.serial, |inventory| &inventory.serial),
            readings: if details { readings(view) } else { Vec::new() },
            ..Self::of_config(&view.config)
        }
    }
}

fn boot(boot: &view::BootView) -> String {
    use crate::model::BootEnabled;
    if boot.refused {
        return "not offered".to_owned();
    }
    match boot.enabled {
        BootEnabled::Disabled => "Disabled".to_owned(),
        enabled => {
            let uri = boot.http_boot_uri.as_deref().map(|uri| format!(" {uri}")).unwrap_or_default();
            format!("{} {} {}{uri}", boot.target, enabled.as_str(), boot.mode.as_str())
        }
    }
}

fn readings(view: &NodeView) -> Vec<ReadingEntry> {
    let entry = |unit: &crate::model::Ref, reading: &Reading| ReadingEntry {
        unit: unit.to_string(),
        name: reading.name.clone(),
        value: reading.value,
        units: reading.measure.ucum().to_owned(),
        state: format!("{:?}", reading.state),
    };
    view.readings.iter().flat_map(|(unit, stated)| stated.value.iter().map(|r| entry(unit, r))).collect()
}

impl From<&view::EndpointView> for EndpointEntry {
    fn from(view: &view::EndpointView) -> Self {
        let state = match (&view.fault, view.last_answer) {
            (Some(_), _) => "down",
            (None, Some(_)) => "ok",
            (None, None) => "unknown",
        };
        let mut units: Vec<_> = view.units.iter().collect();
        units.sort_by_cached_key(|(unit, _)| natural(unit.as_str()));
        Self {
            name: view.id.to_string(),
            driver: view.driver.to_owned(),
            address: view.address.clone(),
            state: state.to_owned(),
            fault: view.fault.as_deref().map(str::to_owned),
            since: view.since.map(rfc3339),
            last_answer: view.last_answer.map(rfc3339),
            retry_in: view.retry_in.map(|wait| wait.as_secs()),
            hold: view.hold.clone(),
            observe_only: view.observe_only,
            units: units
                .into_iter()
                .map(|(unit, state)| UnitEntry { unit: unit.to_string(), power: state.as_ref().map(power) })
                .collect(),
            exchanges: view.counts.exchanges,
            failures: view.counts.failures,
        }
    }
}

impl From<&AccountInfo> for AccountEntry {
    fn from(info: &AccountInfo) -> Self {
        let (nodes, groups, limited) = match &*info.scope {
            Scope::All => (Vec::new(), Vec::new(), false),
            Scope::Some { nodes, groups } => {
                (nodes.iter().map(ToString::to_string).collect(), groups.iter().cloned().collect(), true)
            }
        };
        Self {
            name: info.name.as_ref().to_owned(),
            role: info.role.as_str().to_owned(),
            nodes,
            groups,
            limited,
            enabled: info.enabled,
            must_change_password: info.must_change_password,
            locked: info.locked,
        }
    }
}

/// Sorts `2` before `10` and numbers before words.
fn natural(unit: &str) -> Vec<(u64, String)> {
    unit.split(['.', '/'])
        .map(|part| part.parse().map_or((u64::MAX, part.to_owned()), |n| (n, String::new())))
        .collect()
}

/// Addresses under which the Redfish face of a configuration can be reached from here.
pub fn addresses(server: &Server) -> Vec<String> {
    let scheme = if server.tls.insecure_plain_http { "http" } else { "https" };
    server
        .listen
        .iter()
        .map(|listen| {
            let host = if listen.ip().is_unspecified() {
                hostname().unwrap_or_else(|| "localhost".to_owned())
            } else if listen.is_ipv6() {
                format!("[{}]", listen.ip())
            } else {
                listen.ip().to_string()
            };
            format!("{scheme}://{host}:{}", listen.port())
        })
        .collect()
}

/// The authority that rackfish made for itself (`api::tls::made`); none when a certificate was given.
pub fn trust(server: &Server) -> Option<String> {
    let made = server.tls.certificate.is_none() && !server.tls.insecure_plain_http;
    made.then(|| server.state_dir.join("tls/ca.pem").display().to_string())
}

/// This machine's name, as the kernel has it.
fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty() && name != "(none)").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::natural;

    #[test]
    fn outlets_are_sorted_as_people_count() {
        let mut units = vec!["pdu", "10", "2", "1.10", "1.9", "1"];
        units.sort_by_cached_key(|unit| natural(unit));
        assert_eq!(units, ["1", "1.9", "1.10", "2", "10", "pdu"]);
    }
}
