//! The simulators' socket: one JSON line in, one JSON line out. For suites that play the people in the rack.
//!
//! * `{"cmd": "stats"}`: what the simulated hardware of each node was made to do; `media`: images in its slots.
//! * `{"cmd": "totals"}`: packets, logins and sessions of all devices; logins of the BMC that has had most.
//! * `{"cmd": "power", "node": N, "on": bool}`: somebody presses the buttons of the node's outlet, else of its BMC.
//! * `{"cmd": "fault", "node": N, "fault": "stuck"|"vanish"|..., "value": ...}`: something breaks, or heals with `false`.
//! * `{"cmd": "delay", "node": N, "seconds": S}`: the relay of the node's outlet takes that long.

use std::{io, path::Path, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
};

use super::rack::{Node, Shared};
use crate::sim::redfish;

/// Longest line that is read.
const LINE: u64 = 65_536;

#[derive(Deserialize)]
#[serde(tag = "cmd", rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    Stats {},
    Totals {},
    Power { node: String, on: bool },
    Fault { node: String, fault: Fault, value: bool },
    Delay { node: String, seconds: f64 },
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    /// The relay (or the BMC's power) does not move.
    Stuck,
    /// The device does not answer.
    Vanish,
    /// The device answers noise.
    Garbage,
    /// Every password is wrong.
    WrongPassword,
    /// No session is free.
    TableFull,
    /// The answer to the next command is lost.
    LoseAnswer,
}

/// Makes the socket.
pub fn bind(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves it until the demo ends. The folder it lies in is its owner's alone.
pub async fn serve(rack: Shared, listener: std::os::unix::net::UnixListener) {
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the simulators' socket"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let rack = Arc::clone(&rack);
                tokio::spawn(async move {
                    if let Err(error) = talk(stream, &rack).await {
                        tracing::debug!(%error, "the simulators' socket");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the simulators' socket");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn talk(stream: UnixStream, rack: &Shared) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read.take(LINE)).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match serde_json::from_str(&line) {
            Ok(command) => carry_out(rack, command),
            Err(error) => json!({"error": error.to_string()}),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
        lines.get_mut().get_mut().set_limit(LINE);
    }
    Ok(())
}

fn carry_out(rack: &Shared, command: Command) -> Value {
    let on_node = |name: &str, act: &dyn Fn(&Node) -> Value| match rack.node(name) {
        Some(node) => act(node),
        None => json!({"error": format!("there is no node {name}")}),
    };
    match command {
        Command::Stats {} => stats(rack),
        Command::Totals {} => totals(rack),
        Command::Power { node, on } => on_node(&node, &|node| {
            match (&node.outlet, &node.bmc, &node.redfish) {
                (Some((pdu, outlet)), ..) => {
                    pdu.device.press(*outlet, on);
                }
                (None, Some(bmc), _) => bmc.device.press(on),
                (None, None, Some((bmc, _))) => bmc.device.press(on),
                (None, None, None) => {}
            }
            json!({"ok": true})
        }),
        Command::Fault { node, fault, value } => on_node(&node, &|node| break_something(node, fault, value)),
        Command::Delay { node, seconds } => on_node(&node, &|node| {
            let delay = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            match &node.outlet {
                Some((pdu, outlet)) => json!({"ok": pdu.device.set_delay(*outlet, delay)}),
                None => json!({"error": "it has no outlet"}),
            }
        }),
    }
}

fn break_something(node: &Node, fault: Fault, value: bool) -> Value {
    if let Some((pdu, outlet)) = &node.outlet {
        pdu.device.fault(|f| match fault {
            Fault::Stuck if value => {
                f.stuck.insert(*outlet);
            }
            Fault::Stuck => {
                f.stuck.remove(outlet);
            }
            Fault::Vanish => f.vanished = value,
            Fault::Garbage => f.garbage = value,
            Fault::LoseAnswer => f.lose_set_answers = u32::from(value),
            Fault::WrongPassword | Fault::TableFull => {}
        });
    }
    if let Some(bmc) = &node.bmc {
        bmc.device.faults(|f| match fault {
            Fault::Stuck => f.stuck = value,
            Fault::Vanish => f.vanish = value,
            Fault::Garbage => f.garbage = if value { u32::MAX } else { 0 },
            Fault::LoseAnswer => f.lose_answers = u32::from(value),
            Fault::WrongPassword => f.wrong_password = value,
            Fault::TableFull => f.table_full = value,
        });
    }
    if let Some((bmc, _)) = &node.redfish {
        bmc.device.faults(|f| match fault {
            Fault::Stuck => f.stuck = value,
            Fault::Vanish => f.vanish = value,
            Fault::Garbage => f.garbage = value,
            Fault::LoseAnswer => f.lose_answers = u32::from(value),
            Fault::WrongPassword => f.wrong_password = value,
            // It has no sessions.
            Fault::TableFull => {}
        });
    }
    json!({"ok": true})
}

fn totals(rack: &Shared) -> Value {
    let bmcs: Vec<_> = rack.nodes.iter().filter_map(|node| Some(node.bmc.as_ref()?.device.stats())).collect();
    let pdus: Vec<_> = rack.pdus.iter().map(|pdu| pdu.device.counters()).collect();
    json!({
        "bmcs": bmcs.len(),
        "bmc_packets": bmcs.iter().map(|s| s.packets_in).sum::<u64>(),
        "logins": bmcs.iter().map(|s| s.logins).sum::<u64>(),
        "most_logins": bmcs.iter().map(|s| s.logins).max(),
        "sessions": bmcs.iter().map(|s| s.sessions).sum::<usize>(),
        "pdus": pdus.len(),
        "pdu_packets": pdus.iter().map(|c| c.packets_in).sum::<u64>(),
    })
}

/// `on` and `off` are transitions of what makes the node run: the BMC's host, else the outlet; `mains_on` and
/// `mains_off` those of the outlet.
fn stats(rack: &Shared) -> Value {
    let nodes: serde_json::Map<String, Value> = rack
        .nodes
        .iter()
        .map(|node| {
            let outlet = node.outlet.as_ref().map(|(pdu, outlet)| {
                let counters = pdu.device.counters().outlets.get(outlet).copied().unwrap_or_default();
                (counters, pdu.device.is_on(*outlet).unwrap_or(false))
            });
            let bmc = node.bmc.as_ref().map(|bmc| bmc.device.stats());
            let (mains_on, mains_off, sets) = outlet.map_or((0, 0, 0), |(c, _)| (c.on, c.off, c.sets));
            let value = match bmc {
                Some(s) => json!({
                    "on": s.power_on, "off": s.power_off, "reset": s.resets, "nmi": s.nmis, "is_on": s.on,
                    "mains_on": mains_on, "mains_off": mains_off, "commands": s.controls + sets,
                    "logins": s.logins, "sessions": s.sessions, "booted_from": s.booted_from,
                }),
                None if let Some((bmc, _)) = &node.redfish => redfish_stats(&bmc.device),
                None => json!({
                    "on": mains_on, "off": mains_off, "reset": 0, "nmi": 0,
                    "is_on": outlet.is_some_and(|(_, on)| on), "mains_on": mains_on, "mains_off": mains_off,
                    "commands": sets,
                }),
            };
            (node.name.clone(), value)
        })
        .collect();
    json!({ "nodes": nodes })
}

fn redfish_stats(bmc: &redfish::Bmc) -> Value {
    let (s, slots) = (bmc.stats(), bmc.slots());
    let media: serde_json::Map<_, _> = slots.into_iter().map(|(id, image)| (id, json!(image))).collect();
    json!({
        "on": s.power_on, "off": s.power_off, "reset": s.resets, "nmi": s.nmis, "is_on": s.on, "mains_on": 0,
        "mains_off": 0, "commands": s.controls, "requests": s.requests, "booted_from": s.booted_from, "media": media,
        "inserts": s.inserts, "ejects": s.ejects,
    })
}
