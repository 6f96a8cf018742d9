//! A disk that takes nothing more: what is not kept is not begun, what was begun does not leave a node off.

use std::time::Duration;

use super::rig::{Device, Rig, config, node, seconds};
use crate::{
    fleet::{Op, OpError},
    model::{BootEnabled, BootPatch, BootTarget, ResetType},
};

async fn running() -> (Device, Rig) {
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", true);
    pdu.state().delay = Duration::from_secs(3);
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    seconds(1).await;
    (pdu, rig)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_switched_whose_intent_can_not_be_stored() {
    let (pdu, rig) = running().await;
    rig.store.set_full(true);
    assert!(matches!(rig.reset("n1", ResetType::ForceRestart).await, Err(OpError::Store(_))));
    assert!(pdu.state().acts.is_empty());
    rig.reset("n1", ResetType::ForceOff).await.unwrap();
    assert!(matches!(rig.reset("n1", ResetType::On).await, Err(OpError::Store(_))));
    assert_eq!(pdu.relay("1"), (0, 1, false), "off needs no journal, a start does");
    rig.store.set_full(false);
    rig.reset("n1", ResetType::On).await.unwrap();
    assert_eq!(pdu.relay("1"), (1, 1, true));
}

#[tokio::test(start_paused = true)]
async fn a_node_is_not_left_off_because_the_disk_fills_up_in_the_middle() {
    let (pdu, rig) = running().await;
    let (result, ()) = tokio::join!(rig.reset("n1", ResetType::ForceRestart), async {
        seconds(2).await;
        rig.store.set_full(true);
    });
    result.unwrap();
    assert_eq!(pdu.relay("1"), (1, 1, true));
    // Its end is not forgotten: the next start would do it all again.
    let again = Rig::on(config(&[&pdu], vec![node("n1", None, &["pdu/1"])]), rig.store).await;
    again.idle("n1").await;
    seconds(60).await;
    assert_eq!(pdu.relay("1"), (1, 1, true));
}

#[tokio::test(start_paused = true)]
async fn an_override_that_a_start_has_used_is_used_though_the_disk_is_full() {
    let (pdu, rig) = running().await;
    pdu.state().delay = Duration::from_secs(9);
    let pxe = BootPatch { target: Some(BootTarget::Pxe), enabled: Some(BootEnabled::Once), ..BootPatch::default() };
    rig.op("n1", Op::Boot(pxe, None)).await.unwrap();
    let (result, ()) = tokio::join!(rig.reset("n1", ResetType::ForceRestart), async {
        seconds(12).await;
        rig.store.set_full(true);
    });
    result.unwrap();
    let boot = rig.fleet.node(&rig.who, "n1").unwrap().boot;
    assert_eq!((boot.enabled, boot.last_start.unwrap().target), (BootEnabled::Disabled, BootTarget::Pxe));
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_override_can_not_be_marked_is_not_made_and_says_so() {
    let (pdu, rig) = running().await;
    let pxe = BootPatch { target: Some(BootTarget::Pxe), enabled: Some(BootEnabled::Once), ..BootPatch::default() };
    rig.op("n1", Op::Boot(pxe, None)).await.unwrap();
    let (result, ()) = tokio::join!(rig.reset("n1", ResetType::ForceRestart), async {
        seconds(2).await;
        rig.store.set_full(true);
    });
    assert!(matches!(&result, Err(OpError::Store(cause)) if cause.contains("switched off before")), "{result:?}");
    assert_eq!(pdu.relay("1"), (0, 1, false));
    rig.store.set_full(false);
    rig.reset("n1", ResetType::On).await.unwrap();
    let boot = rig.fleet.node(&rig.who, "n1").unwrap().boot;
    assert_eq!((boot.enabled, boot.last_start.unwrap().target), (BootEnabled::Disabled, BootTarget::Pxe));
}

#[tokio::test(start_paused = true)]
async fn ids_of_operations_do_not_come_again() {
    let (_, first) = running().await;
    let (_, second) = running().await;
    assert_ne!(first.fleet.inner.life, second.fleet.inner.life);
}
