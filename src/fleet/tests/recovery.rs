//! What a crash leaves, and what the next start makes of it.

use std::{sync::Arc, time::Duration};

use super::rig::{Device, Rig, config, node, seconds};
use crate::{
    fleet::{
        Op, OpError, Outcome, clock,
        journal::Entry,
        overrides::{Once, Override, Stage},
        plan::Step,
    },
    model::{BootEnabled, BootPatch, BootTarget, NodeId, ResetType},
    store::{self, Expect, Kind, MemoryStore, Safety},
};

async fn cut(store: &MemoryStore, reset: ResetType, steps: &[Step], at: usize, late: bool) {
    let deadline = clock::wall() + if late { -time::Duration::hours(1) } else { time::Duration::minutes(5) };
    let entry = Entry {
        id: "op-1".to_owned(),
        reset,
        layer: "effective".to_owned(),
        principal: "ironic".to_owned(),
        request: "r".to_owned(),
        started: clock::wall(),
        deadline,
        steps: steps.to_vec(),
        at,
        outdated: false,
        ended: None,
    };
    store::write(store, Kind::Operation, "n1", Expect::Any, &entry, Safety::PowerLoss).await.unwrap();
}

const RESTART: [Step; 4] = [Step::SupplyOff, Step::Boot, Step::SupplyOn, Step::Started];

async fn resumed(on: bool, at: usize, late: bool) -> (Device, Rig) {
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", on);
    let store = MemoryStore::new();
    cut(&store, ResetType::ForceRestart, &RESTART, at, late).await;
    let rig = Rig::on(config(&[&pdu], vec![node("n1", None, &["pdu/1"])]), store).await;
    rig.idle("n1").await;
    seconds(30).await;
    (pdu, rig)
}

#[tokio::test(start_paused = true)]
async fn a_restart_cut_before_or_after_its_off_ends_on() {
    let (pdu, _rig) = resumed(true, 0, false).await;
    assert_eq!(pdu.relay("1"), (1, 1, true), "the off was not made yet");
    let (pdu, _rig) = resumed(false, 0, false).await;
    assert_eq!(pdu.relay("1"), (1, 0, true), "the off was made");
    let (pdu, _rig) = resumed(false, 2, false).await;
    assert_eq!(pdu.relay("1"), (1, 0, true), "the on was not made yet");
    let (pdu, rig) = resumed(true, 2, false).await;
    assert_eq!(pdu.relay("1"), (0, 0, true), "the on was made");
    let left: Vec<_> = store::read_all::<Entry>(&*rig.store, Kind::Operation).await.unwrap();
    assert!(left.iter().all(|(_, _, entry)| entry.ended.is_some()), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn long_after_its_deadline_a_running_machine_is_left_alone_and_a_dark_one_is_started() {
    let (pdu, _rig) = resumed(true, 0, true).await;
    assert_eq!(pdu.relay("1"), (0, 0, true));
    let (pdu, _rig) = resumed(false, 2, true).await;
    assert_eq!(pdu.relay("1"), (1, 0, true), "no node is left off because we died");
    let (pdu, rig) = resumed(false, 0, true).await;
    assert_eq!(pdu.relay("1"), (1, 0, true), "the off of the first step was made");
    let left = store::read_all::<Entry>(&*rig.store, Kind::Operation).await.unwrap();
    assert!(left.iter().all(|(_, _, entry)| entry.ended.is_some()));
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_outlasts_a_stop_is_ended_by_the_next_start() {
    let pxe = BootPatch { target: Some(BootTarget::Pxe), enabled: Some(BootEnabled::Once), ..BootPatch::default() };
    // A stop waits for 20 s. It cuts one operation in its off-time, one while the relay is about to close.
    for (relay, off_time) in [(1, 30), (9, 5)] {
        let pdu = Device::pdu("pdu", 1);
        pdu.set("1", true);
        pdu.state().delay = Duration::from_secs(relay);
        let mut n1 = node("n1", None, &["pdu/1"]);
        n1.feeds[0].off_time = Duration::from_secs(off_time);
        let rig = Rig::new(config(&[&pdu], vec![n1.clone()])).await;
        rig.op("n1", Op::Boot(pxe.clone(), None)).await.unwrap();
        seconds(1).await;
        let (result, ()) = tokio::join!(rig.reset("n1", ResetType::ForceRestart), async {
            seconds(1).await;
            rig.fleet.stop().await;
        });
        assert!(matches!(result, Err(OpError::Stopping) | Ok(Outcome::Running { .. })), "{result:?}");
        assert_eq!(pdu.relay("1"), (0, 1, false));
        let again = Rig::on(config(&[&pdu], vec![n1]), rig.store).await;
        again.idle("n1").await;
        seconds(30).await;
        assert_eq!(pdu.relay("1"), (1, 1, true));
        let view = again.fleet.node(&again.who, "n1").unwrap();
        assert_eq!((view.boot.enabled, view.boot.last_start.unwrap().target), (BootEnabled::Disabled, BootTarget::Pxe));
        // Whoever was sent away with a task learns there how it ended.
        assert!(again.fleet.tasks(&again.who).iter().all(|task| task.ended.is_some() && task.error.is_none()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_firing_override_is_used_by_the_start_that_was_made_and_rearmed_without_one() {
    let firing = Override {
        once: Some(Once { target: BootTarget::Pxe, stage: Stage::Firing("op-1".to_owned()) }),
        ..Override::default()
    };
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", true);
    let store = MemoryStore::new();
    store::write(&*store, Kind::Override, "n1", Expect::Any, &firing, Safety::PowerLoss).await.unwrap();
    cut(&store, ResetType::ForceRestart, &RESTART, 2, false).await;
    let rig = Rig::on(config(&[&pdu], vec![node("n1", None, &["pdu/1"])]), Arc::clone(&store)).await;
    rig.idle("n1").await;
    let boot = rig.fleet.node(&rig.who, "n1").unwrap().boot;
    assert_eq!((boot.enabled, boot.last_start.unwrap().target), (BootEnabled::Disabled, BootTarget::Pxe));
    // Its operation is gone: nobody will use it.
    store::write(&*store, Kind::Override, "n1", Expect::Any, &firing, Safety::PowerLoss).await.unwrap();
    let rig = Rig::on(config(&[&pdu], vec![node("n1", None, &["pdu/1"])]), store).await;
    assert_eq!(rig.fleet.node(&rig.who, "n1").unwrap().boot.enabled, BootEnabled::Once);
}

#[tokio::test(start_paused = true)]
async fn an_operation_of_a_node_that_is_gone_is_dropped() {
    let pdu = Device::pdu("pdu", 1);
    let store = MemoryStore::new();
    cut(&store, ResetType::ForceRestart, &RESTART, 2, false).await;
    let other = node("n2", None, &["pdu/1"]);
    assert_eq!(other.id, NodeId::new("n2").unwrap());
    let rig = Rig::on(config(&[&pdu], vec![other]), store).await;
    seconds(30).await;
    assert_eq!(pdu.relay("1"), (0, 0, false));
    let left = store::read_all::<Entry>(&*rig.store, Kind::Operation).await.unwrap();
    assert!(left.iter().all(|(_, _, entry)| entry.ended.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_cut_before_it_was_asked_for_is_asked_for() {
    let bmc = Device::bmc("bmc");
    bmc.set("host", true);
    let store = MemoryStore::new();
    let steps = [Step::SoftOff, Step::Controller, Step::Boot, Step::HostOn, Step::Started];
    cut(&store, ResetType::GracefulRestart, &steps, 0, false).await;
    let rig = Rig::on(config(&[&bmc], vec![node("n1", Some("bmc"), &[])]), store).await;
    rig.idle("n1").await;
    assert_eq!(bmc.relay("host"), (1, 1, true));
}
