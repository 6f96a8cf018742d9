//! The simulated rack: a third IPMI nodes, a third PDU-only nodes, a third mixed ones; then those with a Redfish BMC.

use std::{net::Ipv4Addr, sync::Arc};

use serde::Serialize;

use super::file;
use crate::{
    cli::args::RackArgs,
    model::Secret,
    sim::{
        ipmi::{Bmc, BmcConfig, Rack as Bmcs},
        redfish,
        snmp::{Agents, PduOptions, SimFamily, SimPdu},
    },
};

/// Outlets of a simulated PDU.
pub const OUTLETS: u32 = 24;

/// Slots of a simulated rack.
pub const SLOTS: u32 = 24;

/// User of the simulated BMCs.
pub const BMC_USER: &str = "operator";

/// What a node is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A BMC.
    Ipmi,
    /// An outlet.
    Pdu,
    /// A BMC that an outlet feeds.
    Mixed,
    /// A Redfish BMC with virtual media.
    Redfish,
}

/// One simulated node.
pub struct Node {
    /// `node-07`
    pub name: String,
    /// What it is made of.
    pub kind: Kind,
    /// Counts from 1.
    pub number: u32,
    /// Its IPMI BMC.
    pub bmc: Option<Part<Bmc>>,
    /// Its Redfish BMC, and the port of that.
    pub redfish: Option<(Part<redfish::Bmc>, u16)>,
    /// Its PDU and outlet.
    pub outlet: Option<(Part<SimPdu>, u32)>,
}

/// A simulated device, by name.
#[derive(Clone)]
pub struct Part<T> {
    /// Endpoint name.
    pub name: String,
    /// Address.
    pub address: Ipv4Addr,
    /// The device.
    pub device: T,
}

/// All of it. Ends when dropped.
pub struct Rack {
    /// Nodes, in order.
    pub nodes: Vec<Node>,
    /// PDUs, in order.
    pub pdus: Vec<Part<SimPdu>>,
    /// Password of the BMCs.
    pub bmc_password: Secret,
    /// Community of the PDUs.
    pub community: Secret,
    /// How long a BMC takes to answer after mains came on.
    pub controller_ready: std::time::Duration,
    bmcs: Bmcs,
    agents: Agents,
    redfish: redfish::Rack,
}

/// The n-th address (from 0) of a /10 of the loopback network.
fn address(network: u8, n: u32) -> Ipv4Addr {
    let byte = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
    Ipv4Addr::new(127, network + byte(n / 62_500), byte(n / 250 % 250), byte(n % 250 + 1))
}

impl Rack {
    /// Builds the rack; has to be called on the runtime that is to carry it.
    pub fn build(args: &RackArgs) -> std::io::Result<Self> {
        let (bmcs, agents) = (Bmcs::start(0)?, Agents::bind(0)?);
        let (bmc_password, community) = (file::short_password(), file::password());
        let all = args.nodes.saturating_add(args.redfish_nodes);
        if all == 0 {
            return Err(std::io::Error::other("a rack without nodes: see --nodes and --redfish-nodes"));
        }
        let width = all.to_string().len().max(2);
        let further = |n: u32| redfish::BmcConfig::new(BMC_USER, bmc_password.clone()).numbered(n + 1);
        let further = (0..args.redfish_nodes).map(|n| ((address(96, n), 0).into(), further(n))).collect();
        let redfish = redfish::Rack::start(further)?;
        let mut rack = Self {
            nodes: Vec::new(),
            pdus: Vec::new(),
            bmc_password,
            community,
            controller_ready: args.bmc_boot_delay * 2 + std::time::Duration::from_secs(15),
            bmcs,
            agents,
            redfish,
        };
        let mut fed = 0;
        for number in 1..=args.nodes {
            let kind = match number % 3 {
                1 => Kind::Ipmi,
                2 => Kind::Pdu,
                _ => Kind::Mixed,
            };
            let name = format!("node-{number:0width$}");
            let outlet = (kind != Kind::Ipmi).then(|| {
                fed += 1;
                rack.outlet(fed, kind, args)
            });
            let bmc = (kind != Kind::Pdu).then(|| rack.bmc(number, width, args));
            if let (Some(bmc), Some((pdu, outlet))) = (&bmc, &outlet) {
                wire(&bmc.device, &pdu.device, *outlet);
            }
            rack.nodes.push(Node { name, kind, number, bmc, redfish: None, outlet });
        }
        for (number, (address, device)) in (args.nodes.saturating_add(1)..).zip(rack.redfish.bmcs.clone()) {
            let std::net::IpAddr::V4(ip) = address.ip() else { continue };
            let part = Part { name: format!("bmc-{number:0width$}"), address: ip, device };
            rack.nodes.push(Node {
                name: format!("node-{number:0width$}"),
                kind: Kind::Redfish,
                number,
                bmc: None,
                redfish: Some((part, address.port())),
                outlet: None,
            });
        }
        Ok(rack)
    }

    /// The port of all BMCs.
    pub fn bmc_port(&self) -> u16 {
        self.bmcs.port()
    }

    /// The port of all PDUs.
    pub fn pdu_port(&self) -> u16 {
        self.agents.port()
    }

    /// SHA-256 of the certificate that all Redfish BMCs show.
    pub fn fingerprint(&self) -> &str {
        &self.redfish.fingerprint
    }

    /// A node by name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    fn bmc(&self, number: u32, width: usize, args: &RackArgs) -> Part<Bmc> {
        let mut config = BmcConfig::new(BMC_USER, self.bmc_password.clone()).numbered(number);
        config.boot_delay = args.bmc_boot_delay;
        let address = address(64, number - 1);
        Part { name: format!("bmc-{number:0width$}"), address, device: self.bmcs.add(address, config) }
    }

    /// The n-th PDU (from 0), with all its outlets off.
    fn pdu(&self, index: u32, args: &RackArgs) -> Part<SimPdu> {
        let options = PduOptions {
            // All three families that APC's agents speak are in the rack.
            family: match index % 3 {
                0 => SimFamily::Rpdu2,
                1 => SimFamily::Rpdu,
                _ => SimFamily::MasterSwitch,
            },
            outlets: OUTLETS,
            relay_delay: args.relay_delay,
            community: self.community.expose().to_owned(),
            write_community: self.community.expose().to_owned(),
            on: false,
            seed: u64::from(index) + 1,
            serial: format!("SIM{:06}", index + 1),
        };
        let (device, address) = (SimPdu::new(options), address(32, index));
        self.agents.add(address, device.clone());
        Part { name: format!("pdu-{:02}", index + 1), address, device }
    }

    /// The n-th outlet that feeds something; a new PDU when the last is full.
    fn outlet(&mut self, fed: u32, kind: Kind, args: &RackArgs) -> (Part<SimPdu>, u32) {
        let (index, outlet) = ((fed - 1) / OUTLETS, (fed - 1) % OUTLETS + 1);
        let pdu = match self.pdus.last() {
            Some(pdu) if outlet != 1 => pdu.clone(),
            _ => {
                let pdu = self.pdu(index, args);
                self.pdus.push(pdu.clone());
                pdu
            }
        };
        if kind == Kind::Mixed {
            pdu.device.press(outlet, true); // its BMC is alive, its host is off
        }
        (pdu, outlet)
    }
}

/// The outlet feeds the BMC.
fn wire(bmc: &Bmc, pdu: &SimPdu, outlet: u32) {
    let Some(mut power) = pdu.watch(outlet) else { return };
    let bmc = bmc.clone();
    bmc.set_mains(*power.borrow_and_update());
    tokio::spawn(async move {
        while power.changed().await.is_ok() {
            let on = *power.borrow_and_update();
            bmc.set_mains(on);
        }
    });
}

/// Shared by the rooms of the demo.
pub type Shared = Arc<Rack>;

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_are_distinct_loopback_addresses() {
        let all: std::collections::BTreeSet<_> = (0..100_000).map(|n| address(64, n)).collect();
        assert_eq!(all.len(), 100_000);
        assert!(all.iter().all(|a| a.is_loopback() && a.octets()[3] != 0));
    }
}
