//! Network interfaces of the machine that rackfish runs on: those of Ethernet that have an address, as the kernel has
//! them at the moment (getifaddrs(3)). They are shown and not set: that is the operating system's matter. Where an
//! address comes from (DHCP or not) the kernel does not tell, so it is not said.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags, sys::socket::SockaddrIn};

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    collection, managers,
};

/// Type of Ethernet hardware (ARPHRD_ETHER of if_arp.h).
const ETHERNET: u16 = 1;

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "EthernetInterfaceCollection",
    version: "",
    uris: &["/redfish/v1/Managers/{manager}/EthernetInterfaces"],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "Network interfaces, with an address, of the machine that rackfish runs on.",
    queries: Queries::Collection,
};

/// An interface.
pub static INTERFACE: Resource = Resource {
    schema: "EthernetInterface",
    version: "v1_12_4",
    uris: &["/redfish/v1/Managers/{manager}/EthernetInterfaces/{interface}"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "A network interface of that machine: its addresses, and whether it has a link.",
    queries: Queries::Single,
};

/// An interface as the kernel has it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Interface {
    mac: Option<[u8; 6]>,
    up: bool,
    running: bool,
    v4: Vec<(Ipv4Addr, Option<Ipv4Addr>)>,
    v6: Vec<(Ipv6Addr, Option<u32>)>,
}

/// Those that there are, by name.
pub fn all() -> BTreeMap<String, Interface> {
    let mut all = BTreeMap::<String, Interface>::new();
    for part in getifaddrs().into_iter().flatten() {
        let interface = all.entry(part.interface_name).or_default();
        interface.up = part.flags.contains(InterfaceFlags::IFF_UP);
        interface.running = part.flags.contains(InterfaceFlags::IFF_RUNNING);
        let Some(address) = part.address else { continue };
        if let Some(link) = address.as_link_addr() {
            interface.mac = link.addr().filter(|_| link.hatype() == ETHERNET);
        } else if let Some(v4) = address.as_sockaddr_in() {
            let mask = part.netmask.as_ref().and_then(|mask| mask.as_sockaddr_in()).map(SockaddrIn::ip);
            interface.v4.push((v4.ip(), mask));
        } else if let Some(v6) = address.as_sockaddr_in6() {
            let mask = part.netmask.as_ref().and_then(|mask| mask.as_sockaddr_in6());
            interface.v6.push((v6.ip(), mask.map(|mask| u128::from(mask.ip()).count_ones())));
        }
    }
    let sound = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b));
    all.retain(|name, i| sound(name) && i.mac.is_some() && !(i.v4.is_empty() && i.v6.is_empty()));
    all
}

/// The URI of the collection.
pub fn collection_uri() -> String {
    format!("{}/EthernetInterfaces", managers::uri(managers::OURSELVES))
}

fn of_manager(call: &Call<'_>) -> Result<BTreeMap<String, Interface>, Error> {
    let all = if call.param(0) == managers::OURSELVES { all() } else { BTreeMap::new() };
    if all.is_empty() { Err(call.not_found()) } else { Ok(all) }
}

fn list(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(collection(call, "Network interfaces", &collection_uri(), of_manager(call)?.keys()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let all = of_manager(call)?;
    let (name, interface) = all.get_key_value(call.param(1)).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(render(name, interface)))
}

fn render(name: &str, interface: &Interface) -> Doc {
    let mut doc = Doc::resource(&INTERFACE, &format!("{}/{name}", collection_uri()));
    let mac = interface.mac.map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":"));
    doc.set("Id", name)
        .set("Name", name)
        .opt("MACAddress", mac)
        .set("InterfaceEnabled", interface.up)
        .set("LinkStatus", if interface.running { "LinkUp" } else { "LinkDown" });
    if !interface.v4.is_empty() {
        doc.arr("IPv4Addresses", |a| {
            for (address, mask) in &interface.v4 {
                a.item_obj(|o| {
                    o.set("Address", address.to_string()).opt("SubnetMask", mask.map(|mask| mask.to_string()));
                });
            }
        });
    }
    if !interface.v6.is_empty() {
        doc.arr("IPv6Addresses", |a| {
            for (address, prefix) in &interface.v6 {
                a.item_obj(|o| {
                    o.set("Address", address.to_string()).opt("PrefixLength", *prefix);
                });
            }
        });
    }
    doc.obj("Status", |o| {
        o.set("State", if interface.up { "Enabled" } else { "Disabled" }).set("Health", "OK");
    });
    doc
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_interface_has_its_addresses() {
        let interface = Interface {
            mac: Some([0x52, 0x54, 0, 0, 1, 0xab]),
            up: true,
            running: true,
            v4: vec![("192.0.2.7".parse().unwrap(), Some("255.255.255.0".parse().unwrap()))],
            v6: vec![("2001:db8::7".parse().unwrap(), Some(64))],
        };
        let v: Value = serde_json::from_slice(&render("eth0", &interface).finish().bytes).unwrap();
        assert_eq!(v["MACAddress"], "52:54:00:00:01:ab");
        assert_eq!(v["IPv4Addresses"], json!([{"Address": "192.0.2.7", "SubnetMask": "255.255.255.0"}]));
        assert_eq!(v["IPv6Addresses"], json!([{"Address": "2001:db8::7", "PrefixLength": 64}]));
        assert_eq!((&v["LinkStatus"], &v["Status"]["State"]), (&json!("LinkUp"), &json!("Enabled")));
        let v: Value = serde_json::from_slice(&render("eth0", &Interface::default()).finish().bytes).unwrap();
        assert_eq!((&v["LinkStatus"], v.get("IPv4Addresses")), (&json!("LinkDown"), None));
    }

    #[test]
    fn what_is_listed_is_ethernet_with_an_address() {
        for (name, interface) in all() {
            assert_ne!(name, "lo");
            assert!(interface.mac.is_some() && interface.v4.len() + interface.v6.len() > 0, "{name}");
        }
    }
}
