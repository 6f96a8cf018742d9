//! `rackfish export ironic`: the lines that enrol the nodes.
//!
//! Node facts come from the running service, or from the configuration when none runs. The password is not among
//! what is printed: the lines take it from the shell's environment.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    CliError, Exit,
    args::Reach,
    control::{
        client,
        entries::{NodeEntry, StatusEntry, addresses, trust},
        wire::Ask,
    },
    exit::Failure,
    hostlist::{self, Host},
    out::{Out, complain},
    service::{collect, decode},
};
use crate::config;

#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    /// `baremetal node create` and `baremetal port create` for OpenStack Ironic
    Ironic(IronicArgs),
}

#[derive(Debug, Args)]
pub(super) struct IronicArgs {
    /// Nodes, as in node[1-8],rack2-*,@group,-node3; all of them if absent
    #[arg(value_name = "HOSTLIST")]
    nodes: Option<String>,
    /// Address under which Ironic reaches rackfish
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    /// Account that Ironic uses
    #[arg(long, value_name = "NAME", default_value = "admin")]
    user: String,
    /// Environment variable that holds its password when the lines are run
    #[arg(long, value_name = "NAME", default_value = "REDFISH_PASSWORD")]
    password_variable: String,
    /// CA file on Ironic's machine, or false to verify nothing
    #[arg(long, value_name = "FILE")]
    verify_ca: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(command: ExportCommand) -> Result<(), CliError> {
    let ExportCommand::Ironic(args) = command;
    let (nodes, addresses, trust) = known(&args)?;
    let address = args.address.clone().or_else(|| addresses.first().cloned()).unwrap_or_default();
    let verify_ca = args.verify_ca.as_ref().map(|path| path.display().to_string()).or(trust);
    let enrolments: Vec<Value> =
        nodes.iter().map(|node| enrolment(node, &address, verify_ca.as_deref(), &args)).collect();
    for node in nodes.iter().filter(|node| node.macs.is_empty()) {
        complain(&format!(
            "{}: no macs are configured, so no port is made; Ironic needs one to boot it from the network",
            node.name
        ));
    }
    let mut out = Out::stdout(args.reach.json);
    if out.json {
        return Ok(out.document(&enrolments)?);
    }
    out.line(&format!(
        "# The password of {}: export {}=... before running these lines.",
        args.user, args.password_variable
    ))?;
    for (node, enrolment) in nodes.iter().zip(&enrolments) {
        out.line(&script(node, enrolment, &args.password_variable))?;
    }
    Ok(())
}

type Known = (Vec<NodeEntry>, Vec<String>, Option<String>);

/// Nodes, addresses of the Redfish face, and what clients have to trust.
fn known(args: &IronicArgs) -> Result<Known, CliError> {
    if client::is_served(&args.reach.socket()) {
        let nodes = collect(&args.reach, Ask::Nodes { list: args.nodes.clone(), details: false })?;
        let nodes = nodes.into_iter().map(decode).collect::<Result<Vec<NodeEntry>, _>>()?;
        let status = collect(&args.reach, Ask::Status)?.into_iter().next().unwrap_or(Value::Null);
        let status: StatusEntry = decode(status)?;
        return Ok((nodes, status.redfish, status.trust));
    }
    let loaded = config::load(&args.reach.config.config, &config::process_env()).map_err(|broken| {
        for problem in &broken.problems {
            complain(&problem.to_string());
        }
        CliError::new("config", Exit::Config, "no service runs, and the configuration has problems")
    })?;
    let config = loaded.config;
    let mut nodes: Vec<NodeEntry> = config.nodes.values().map(|node| NodeEntry::of_config(node)).collect();
    if let Some(list) = &args.nodes {
        let hosts: Vec<Host<'_>> = nodes.iter().map(|node| Host { name: &node.name, groups: &node.groups }).collect();
        let chosen = hostlist::select(list, "node", &hosts).map_err(|error| Failure::not_found(error.to_string()))?;
        nodes.retain(|node| chosen.binary_search(&node.name).is_ok());
    }
    Ok((nodes, addresses(&config.server), trust(&config.server)))
}

fn enrolment(node: &NodeEntry, address: &str, verify_ca: Option<&str>, args: &IronicArgs) -> Value {
    let mut driver_info = json!({
        "redfish_address": address,
        "redfish_system_id": node.system,
        "redfish_username": args.user,
    });
    if let (Some(verify_ca), Some(info)) = (verify_ca, driver_info.as_object_mut()) {
        info.insert("redfish_verify_ca".to_owned(), json!(verify_ca));
    }
    let mut properties = serde_json::Map::new();
    if let Some(cpus) = node.cpus {
        properties.insert("cpus".to_owned(), json!(cpus));
    }
    if let Some(arch) = &node.cpu_arch {
        properties.insert("cpu_arch".to_owned(), json!(arch));
    }
    if let Some(gib) = node.memory_gib {
        // Ironic counts whole MiB.
        properties.insert("memory_mb".to_owned(), json!(format!("{:.0}", gib * 1024.0)));
    }
    json!({
        "name": node.name,
        "uuid": node.uuid,
        "driver": "redfish",
        "driver_info": driver_info,
        "properties": properties,
        "ports": node.macs,
    })
}

fn script(node: &NodeEntry, enrolment: &Value, password: &str) -> String {
    let mut words = vec![format!("baremetal node create --driver redfish --name {}", node.name)];
    if let (Some(uuid), Some(first)) = (&node.uuid, words.first_mut()) {
        first.push_str(" --uuid ");
        first.push_str(uuid);
    }
    for (option, table) in [("--driver-info", "driver_info"), ("--property", "properties")] {
        for (key, value) in enrolment.get(table).and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            words.push(format!("  {option} {key}={}", shell(&value)));
        }
    }
    words.push(format!("  --driver-info redfish_password=\"${password}\""));
    // The client takes a port's node by UUID only.
    let uuid =
        node.uuid.clone().unwrap_or_else(|| format!("\"$(baremetal node show {} -f value -c uuid)\"", node.name));
    let ports = node.macs.iter().map(|mac| format!("baremetal port create {mac} --node {uuid}"));
    std::iter::once(words.join(" \\\n")).chain(ports).collect::<Vec<_>>().join("\n")
}

/// A word that a shell takes as it is.
fn shell(text: &str) -> String {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:@%+=[]".contains(&b));
    if plain && !text.contains(['[', ']']) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(shell("https://h:8443"), "https://h:8443");
        assert_eq!(shell("/srv/a b'c"), "'/srv/a b'\\''c'");
        assert_eq!(shell("https://[::1]:1"), "'https://[::1]:1'");
        assert_eq!(shell("$(x)"), "'$(x)'");
    }

    #[test]
    fn a_node_becomes_lines() {
        let node = NodeEntry {
            name: "n1".to_owned(),
            system: "/redfish/v1/Systems/n1".to_owned(),
            macs: vec!["52:54:00:00:00:01".to_owned()],
            memory_gib: Some(1.5),
            ..NodeEntry::default()
        };
        let args = IronicArgs {
            nodes: None,
            address: None,
            user: "ironic".to_owned(),
            password_variable: "PW".to_owned(),
            verify_ca: None,
            reach: Reach {
                config: super::super::args::ConfigArg { config: PathBuf::new() },
                state_dir: None,
                json: false,
            },
        };
        let enrolment = enrolment(&node, "https://h:1", Some("/ca.pem"), &args);
        assert_eq!(
            script(&node, &enrolment, "PW"),
            "baremetal node create --driver redfish --name n1 \\\n  --driver-info redfish_address=https://h:1 \\\n  \
             --driver-info redfish_system_id=/redfish/v1/Systems/n1 \\\n  --driver-info redfish_username=ironic \\\n  \
             --driver-info redfish_verify_ca=/ca.pem \\\n  --property memory_mb=1536 \\\n  \
             --driver-info redfish_password=\"$PW\"\nbaremetal port create 52:54:00:00:00:01 --node \
             \"$(baremetal node show n1 -f value -c uuid)\""
        );
    }
}
