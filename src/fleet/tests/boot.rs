//! Boot overrides through real operations.

use std::{sync::Arc, time::Duration};

use super::rig::{Device, Rig, config, node, seconds};
use crate::{
    config::{BootPolicy, Hook, HookAction},
    fleet::{Op, OpError},
    model::{Act, BootEnabled, BootPatch, BootTarget, ResetType},
};

fn patch(target: BootTarget, enabled: BootEnabled) -> Op {
    Op::Boot(BootPatch { target: Some(target), enabled: Some(enabled), ..BootPatch::default() }, None)
}

#[tokio::test(start_paused = true)]
async fn once_reaches_the_host_right_before_the_start_and_is_used() {
    let bmc = Device::bmc("bmc");
    let rig = Rig::new(config(&[&bmc], vec![node("n1", Some("bmc"), &[])])).await;
    rig.op("n1", patch(BootTarget::Pxe, BootEnabled::Once)).await.unwrap();
    assert!(bmc.state().acts.is_empty(), "a BMC would drop it after 60 s");
    rig.reset("n1", ResetType::On).await.unwrap();
    let acts: Vec<_> = bmc.state().acts.iter().map(|(_, act)| act.kind()).collect();
    assert_eq!(acts, [crate::model::ActKind::Boot, crate::model::ActKind::On]);
    let boot = rig.fleet.node(&rig.who, "n1").unwrap().boot;
    assert_eq!((boot.enabled, boot.target), (BootEnabled::Disabled, BootTarget::None));
    assert_eq!(boot.last_start.unwrap().target, BootTarget::Pxe);
}

#[tokio::test(start_paused = true)]
async fn a_kept_override_is_served_for_the_boot_it_was_for() {
    let pdu = Device::pdu("pdu", 1);
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    rig.op("n1", patch(BootTarget::Pxe, BootEnabled::Once)).await.unwrap();
    rig.reset("n1", ResetType::On).await.unwrap();
    let view = rig.fleet.node_by_mac(&rig.who, "52-54-00-00-01-01").unwrap();
    assert_eq!(view.boot.last_start.unwrap().target, BootTarget::Pxe);
    assert_eq!(view.boot.enabled, BootEnabled::Disabled);
    rig.reset("n1", ResetType::ForceRestart).await.unwrap();
    let view = rig.fleet.node(&rig.who, "n1").unwrap();
    assert_eq!(view.boot.last_start.unwrap().target, BootTarget::None);
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_leaves_it_armed() {
    let bmc = Device::bmc("bmc");
    let rig = Rig::new(config(&[&bmc], vec![node("n1", Some("bmc"), &[])])).await;
    seconds(1).await;
    rig.op("n1", patch(BootTarget::Pxe, BootEnabled::Once)).await.unwrap();
    bmc.state().dead = true;
    rig.reset("n1", ResetType::On).await.unwrap_err();
    assert_eq!(rig.fleet.node(&rig.who, "n1").unwrap().boot.enabled, BootEnabled::Once);
}

#[tokio::test(start_paused = true)]
async fn a_button_pressed_in_the_rack_uses_it_up() {
    let pdu = Device::pdu("pdu", 1);
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    seconds(1).await;
    rig.op("n1", patch(BootTarget::Pxe, BootEnabled::Once)).await.unwrap();
    pdu.set("1", true);
    seconds(45).await;
    assert_eq!(rig.fleet.node(&rig.who, "n1").unwrap().boot.enabled, BootEnabled::Disabled);
}

#[tokio::test(start_paused = true)]
async fn a_standing_option_is_taken_back_from_the_host() {
    let bmc = Device::bmc("bmc");
    let rig = Rig::new(config(&[&bmc], vec![node("n1", Some("bmc"), &[])])).await;
    rig.op("n1", patch(BootTarget::Hdd, BootEnabled::Continuous)).await.unwrap();
    rig.reset("n1", ResetType::On).await.unwrap();
    assert!(bmc.state().boot.unwrap().persistent);
    rig.op("n1", patch(BootTarget::Hdd, BootEnabled::Disabled)).await.unwrap();
    rig.reset("n1", ResetType::PowerCycle).await.unwrap();
    assert_eq!(bmc.state().boot, None);
    let sets = bmc.state().acts.iter().filter(|(_, act)| matches!(act, Act::Boot(_))).count();
    assert_eq!(sets, 2);
}

#[tokio::test(start_paused = true)]
async fn refuse_offers_nothing_and_a_failing_hook_stops_the_start() {
    let pdu = Device::pdu("pdu", 2);
    let mut refuse = node("refuse", None, &["pdu/1"]);
    refuse.boot = BootPolicy::Refuse;
    let mut hooked = node("hooked", None, &["pdu/2"]);
    hooked.boot = BootPolicy::Hook(Hook {
        action: HookAction::Command(vec!["/bin/sh".into(), "-c".into(), "echo no tftp >&2; exit 3".into()]),
        timeout: Duration::from_secs(5),
    });
    hooked.facts.macs.clear();
    let rig = Rig::new(config(&[&pdu], vec![refuse, hooked])).await;
    assert!(rig.fleet.node(&rig.who, "refuse").unwrap().boot.refused);
    let result = rig.op("refuse", patch(BootTarget::Pxe, BootEnabled::Once)).await;
    assert!(matches!(result, Err(OpError::NotOffered { .. })), "{result:?}");
    rig.op("hooked", patch(BootTarget::Pxe, BootEnabled::Once)).await.unwrap();
    tokio::time::resume(); // a real program runs in real time
    let result = rig.reset("hooked", ResetType::On).await;
    assert!(matches!(&result, Err(OpError::Hook { cause, .. }) if cause.contains("no tftp")), "{result:?}");
    assert_eq!(pdu.relay("2"), (0, 0, false));
    assert_eq!(rig.fleet.node(&rig.who, "hooked").unwrap().boot.enabled, BootEnabled::Once);
}

#[tokio::test(start_paused = true)]
async fn if_match_is_part_of_the_write() {
    let pdu = Device::pdu("pdu", 1);
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    let stale = Op::Boot(
        BootPatch { target: Some(BootTarget::Pxe), enabled: Some(BootEnabled::Once), ..BootPatch::default() },
        Some(Arc::new(|view| view.boot.enabled == BootEnabled::Continuous)),
    );
    assert!(matches!(rig.op("n1", stale).await, Err(OpError::PreconditionFailed)));
    assert_eq!(rig.fleet.node(&rig.who, "n1").unwrap().boot.enabled, BootEnabled::Disabled);
}
