//! What the demo says once everything answers: a file for scripts, lines to paste for people.

use std::{fs, io, path::PathBuf};

use serde_json::json;

use super::rack::{Kind, Rack};
use crate::cli::{out, runtime::Running};

/// What is said besides the rack.
pub struct Facts {
    /// The simulators' socket.
    pub socket: PathBuf,
    /// Where the password lies.
    pub password_file: PathBuf,
    /// Where to write the file for scripts.
    pub ready_file: Option<PathBuf>,
    /// The administrator.
    pub user: &'static str,
}

/// Nodes that are shown to people.
const SHOWN: usize = 4;

/// Says it.
pub fn announce(running: &Running, rack: &Rack, facts: &Facts) -> io::Result<()> {
    let address = running.server.addresses.first().ok_or_else(|| io::Error::other("nothing is served"))?;
    let url = format!("https://{address}");
    let info = running.tls.as_ref().map(crate::api::tls::ReloadableAcceptor::info);
    let ca = info.as_ref().and_then(|i| i.trust.clone()).or_else(|| info.as_ref().map(|i| i.file.clone()));
    if let Some(file) = &facts.ready_file {
        let nodes: Vec<_> = rack
            .nodes
            .iter()
            .map(|node| json!({"name": node.name, "kind": node.kind, "system": system(&node.name)}))
            .collect();
        let config = running.fleet.config();
        let ready = json!({
            "redfish": url,
            "user": facts.user,
            "password_file": facts.password_file,
            "ca_file": ca,
            "nodes": nodes,
            "control": facts.socket,
            "state_dir": config.server.state_dir,
            "config_file": config.server.state_dir.join("demo.toml"),
            "faces": {"redfish": url},
        });
        // Aside, then renamed: whoever sees the file sees all of it.
        let aside = file.with_extension("new");
        fs::write(&aside, serde_json::to_vec_pretty(&ready)?)?;
        fs::rename(&aside, file)?;
    }
    let count = |kind| rack.nodes.iter().filter(|n| n.kind == kind).count();
    let ca = ca.map_or_else(String::new, |ca| ca.display().to_string());
    let password = facts.password_file.display();
    let (host, user) = (address, facts.user);
    let some: Vec<_> = [Kind::Ipmi, Kind::Pdu, Kind::Mixed, Kind::Redfish]
        .into_iter()
        .filter_map(|kind| rack.nodes.iter().find(|n| n.kind == kind))
        .take(SHOWN)
        .map(|n| format!("{} ({})", n.name, kind_word(n.kind)))
        .collect();
    let node = rack.nodes.get(1).or(rack.nodes.first()).map_or("node-01", |n| n.name.as_str());
    let system = system(node);
    let text = format!(
        "rackfish serves {} simulated nodes at {url}: {} with a BMC, {} on PDU outlets only, {} with both,
{} with a Redfish BMC and virtual media.
For example {}.

Log in as {user}; the password is in {password}. Three things to try:

  curl --cacert {ca} -u \"{user}:$(cat {password})\" {url}{system}

  redfishtool -S Always -r {host} -u {user} -p \"$(cat {password})\" Systems -I {node} reset On

  python3 - <<'END'
  import sushy
  password = open('{password}').read().strip()
  root = sushy.Sushy('{url}', username='{user}', password=password, verify='{ca}')
  system = root.get_system('{system}')
  print(system.power_state, system.reset_system(sushy.ResetType.ON), system.refresh(), system.power_state)
  END

The rack's configuration is {config}; `rackfish node list --state-dir {state}` shows it.
Ctrl-C ends the demo.",
        rack.nodes.len(),
        count(Kind::Ipmi),
        count(Kind::Pdu),
        count(Kind::Mixed),
        count(Kind::Redfish),
        some.join(", "),
        config = running.fleet.config().server.state_dir.join("demo.toml").display(),
        state = running.fleet.config().server.state_dir.display(),
    );
    out::remark(&text);
    Ok(())
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Ipmi => "a BMC",
        Kind::Pdu => "an outlet",
        Kind::Mixed => "both",
        Kind::Redfish => "Redfish",
    }
}

fn system(node: &str) -> String {
    format!("/redfish/v1/Systems/{node}")
}
