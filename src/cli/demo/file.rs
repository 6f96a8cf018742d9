//! The demo's configuration file: written like one's own would be.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rand::Rng as _;

use super::rack::{BMC_USER, Kind, Node, Rack, SLOTS};
use crate::{model::Secret, sim::snmp::SimFamily};

/// IPMI 2.0 passwords have at most 20 bytes.
const BMC_PASSWORD: usize = 16;

/// 24 of 56 characters: 139 bits.
const PASSWORD: usize = 24;

fn random(length: usize) -> Secret {
    const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut rng = rand::rng();
    let pick = |_| ALPHABET.get(rng.random_range(0..ALPHABET.len())).copied().map(char::from);
    Secret::new((0..length).filter_map(pick).collect::<String>())
}

/// A new password.
pub fn password() -> Secret {
    random(PASSWORD)
}

/// A new password that a BMC takes.
pub fn short_password() -> Secret {
    random(BMC_PASSWORD)
}

/// Puts a secret into a file that only its owner can read.
pub fn secret(path: &Path, secret: &Secret) -> io::Result<()> {
    private(path, &format!("{}\n", secret.expose()))
}

fn private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Writes the configuration and its secrets; gives back its path.
pub fn write(state_dir: &Path, listen: SocketAddr, rack: &Rack) -> io::Result<PathBuf> {
    secret(&state_dir.join("bmc.password"), &rack.bmc_password)?;
    secret(&state_dir.join("pdu.community"), &rack.community)?;
    let path = state_dir.join("demo.toml");
    private(&path, &text(state_dir, listen, rack))?;
    Ok(path)
}

fn model(family: SimFamily) -> &'static str {
    match family {
        SimFamily::MasterSwitch => "apc-masterswitch",
        SimFamily::Rpdu => "apc-rpdu",
        SimFamily::Rpdu2 => "apc-rpdu2",
    }
}

/// As TOML would have it, whatever is in the path.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn text(state_dir: &Path, listen: SocketAddr, rack: &Rack) -> String {
    let mut out = String::from("# The demo's rack. Change it while the demo runs: it is read again.\n\n");
    let state = quoted(&state_dir.display().to_string());
    let listen = quoted(&listen.to_string());
    let racks = u32::try_from(rack.nodes.len()).unwrap_or(u32::MAX).div_ceil(SLOTS);
    // Writing to a String can't fail.
    let mut line = |text: std::fmt::Arguments<'_>| out.write_fmt(format_args!("{text}\n")).unwrap_or_default();
    line(format_args!("[server]\nlisten = {listen}\nstate_dir = {state}\ninsecure_local_event_destinations = true\n"));
    for n in 1..=racks {
        line(format_args!("[chassis.rack-{n:02}]\nslots = {SLOTS}\n"));
    }
    for pdu in &rack.pdus {
        line(format_args!(
            "[endpoints.{}]\ndriver = \"snmp-pdu\"\nmodel = \"{}\"\naddress = \"{}\"\nport = {}\n\
             community = {{ file = \"pdu.community\" }}\nverify_every = \"200ms\"\n",
            pdu.name,
            model(pdu.device.options().family),
            pdu.address,
            rack.pdu_port()
        ));
    }
    for node in &rack.nodes {
        if let Some(bmc) = &node.bmc {
            line(format_args!(
                "[endpoints.{}]\ndriver = \"ipmi\"\naddress = \"{}\"\nport = {}\nusername = \"{BMC_USER}\"\n\
                 password = {{ file = \"bmc.password\" }}\n",
                bmc.name,
                bmc.address,
                rack.bmc_port()
            ));
        }
        if let Some((bmc, port)) = &node.redfish {
            line(format_args!(
                "[endpoints.{}]\ndriver = \"redfish\"\naddress = \"{}:{port}\"\nusername = \"{BMC_USER}\"\n\
                 password = {{ file = \"bmc.password\" }}\nfingerprint = \"{}\"\nverify_every = \"200ms\"\n",
                bmc.name,
                bmc.address,
                rack.fingerprint(),
            ));
        }
        line(format_args!("{}", of_node(node, rack)));
    }
    out
}

fn of_node(node: &Node, rack: &Rack) -> String {
    let Node { name, kind, number, bmc, redfish, outlet } = node;
    let (high, middle, low) = (number >> 16 & 0xff, number >> 8 & 0xff, number & 0xff);
    let group = match kind {
        Kind::Ipmi => "ipmi",
        Kind::Pdu => "pdu",
        Kind::Mixed => "mixed",
        Kind::Redfish => "redfish",
    };
    let mut text = format!(
        "[nodes.{name}]\nchassis = \"rack-{:02}\"\nslot = {}\ngroups = [\"{group}\"]\n\
         macs = [\"52:54:00:{high:02x}:{middle:02x}:{low:02x}\"]\ncpus = 16\nsockets = 1\ncpu_arch = \"x86_64\"\nmemory_gib = 64\n",
        (number - 1) / SLOTS + 1,
        (number - 1) % SLOTS + 1,
    );
    let mut add = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if let Some(bmc) = bmc {
        add(format!("host = \"{}\"", bmc.name));
        add(format!("controller_ready = \"{}s\"", rack.controller_ready.as_secs()));
    } else if let Some((bmc, _)) = redfish {
        add(format!("host = \"{}\"", bmc.name));
    } else {
        add("manufacturer = \"rackfish\"\nmodel = \"Simulated board without a BMC\"".to_owned());
        add(format!("serial = \"PDU{number:07}\""));
    }
    if let Some((pdu, outlet)) = outlet {
        add(format!("feeds = [\"{}/{outlet}\"]", pdu.name));
    }
    text
}
