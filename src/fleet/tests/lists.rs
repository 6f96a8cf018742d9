//! What is listed, in which order, and for whom.

use std::{collections::BTreeSet, sync::Arc};

use super::rig::{Device, Rig, config, node};
use crate::{
    config::{Chassis, Config, Node},
    model::{ChassisId, NodeId, Scope},
};

fn within(chassis: &str, slot: Option<u32>, node: Node) -> Node {
    Node { chassis: Some(ChassisId::new(chassis).unwrap()), slot, ..node }
}

fn racks(mut config: Config, names: &[&str]) -> Config {
    for name in names {
        let id = ChassisId::new(name).unwrap();
        let chassis = Chassis {
            id: id.clone(),
            kind: "Rack".to_owned(),
            slots: None,
            description: None,
            manufacturer: None,
            model: None,
            serial: None,
        };
        config.chassis.insert(id, Arc::new(chassis));
    }
    config
}

fn names<T: AsRef<str>>(all: &[T]) -> Vec<&str> {
    all.iter().map(AsRef::as_ref).collect()
}

#[tokio::test(start_paused = true)]
async fn an_enclosure_lists_its_own_nodes_by_slot_and_name() {
    let pdu = Device::pdu("pdu", 4);
    let nodes = vec![
        within("east", Some(2), node("a", None, &["pdu/1"])),
        within("east", Some(1), node("c", None, &["pdu/2"])),
        within("east", Some(1), node("b", None, &["pdu/3"])),
        within("west", None, node("d", None, &["pdu/4"])),
    ];
    let rig = Rig::new(racks(config(&[&pdu], nodes), &["east", "west", "empty"])).await;
    let seen = |id: &str| rig.fleet.chassis(&rig.who, id).unwrap().nodes;
    assert_eq!(names(&seen("east")), ["b", "c", "a"]);
    assert_eq!(names(&seen("west")), ["d"]);
    assert!(seen("empty").is_empty());
    assert!(rig.fleet.chassis(&rig.who, "north").is_none());
    let mut limited = rig.who.clone();
    let only = BTreeSet::from([NodeId::new("c").unwrap()]);
    limited.scope = Arc::new(Scope::Some { nodes: only, groups: BTreeSet::new() });
    assert_eq!(names(&rig.fleet.chassis(&limited, "east").unwrap().nodes), ["c"]);
    assert!(rig.fleet.chassis(&limited, "west").is_none(), "it holds nothing that the account may see");
}

#[tokio::test(start_paused = true)]
async fn managers_are_listed_for_those_who_see_their_nodes() {
    let (one, two, pdu) = (Device::bmc("bmc1"), Device::bmc("bmc2"), Device::pdu("pdu", 1));
    let nodes = vec![node("a", Some("bmc1/host"), &[]), node("b", Some("bmc2/host"), &[]), node("c", None, &["pdu/1"])];
    let rig = Rig::new(config(&[&one, &two, &pdu], nodes)).await;
    assert_eq!(names(&rig.fleet.managers(&rig.who)), ["rackfish", "bmc1", "bmc2"]);
    let mut limited = rig.who.clone();
    let only = BTreeSet::from([NodeId::new("b").unwrap()]);
    limited.scope = Arc::new(Scope::Some { nodes: only, groups: BTreeSet::new() });
    assert_eq!(names(&rig.fleet.managers(&limited)), ["rackfish", "bmc2"]);
    for name in rig.fleet.managers(&limited) {
        assert!(rig.fleet.manager(&limited, &name).is_some(), "{name} is listed, so it is there");
    }
}
