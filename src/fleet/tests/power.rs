//! Power of all kinds of nodes, counted at the relay.

use std::{sync::Arc, time::Duration};

use super::rig::{Device, Rig, config, node, seconds};
use crate::{
    fleet::{OpError, Outcome, clock},
    model::{Actor, PowerState, ResetType},
};

#[tokio::test(start_paused = true)]
async fn a_restart_of_an_outlet_is_off_then_on_after_the_off_time() {
    let pdu = Device::pdu("pdu", 2);
    pdu.set("1", true);
    pdu.state().delay = Duration::from_secs(3);
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    let begun = clock::now();
    let outcome = rig.reset("n1", ResetType::ForceRestart).await.unwrap();
    assert!(matches!(outcome, Outcome::Done));
    assert_eq!(pdu.relay("1"), (1, 1, true));
    let took = clock::now() - begun;
    // 3 s off, 5 s off-time, 3 s on; the looks add less than two of their intervals.
    assert!(took >= Duration::from_secs(11) && took < Duration::from_millis(12_200), "{took:?}");
    assert_eq!(rig.power("n1"), Some(PowerState::On));
}

#[tokio::test(start_paused = true)]
async fn two_feeds_go_on_in_order_and_off_together() {
    let (a, b) = (Device::pdu("a", 1), Device::pdu("b", 1));
    let rig = Rig::new(config(&[&a, &b], vec![node("n1", None, &["a/1", "b/1"])])).await;
    rig.reset("n1", ResetType::On).await.unwrap();
    assert_eq!((a.relay("1"), b.relay("1")), ((1, 0, true), (1, 0, true)));
    b.set("1", false);
    seconds(40).await;
    assert_eq!(rig.power("n1"), Some(PowerState::On), "on when any is on");
    rig.reset("n1", ResetType::ForceOff).await.unwrap();
    assert_eq!((a.relay("1").2, b.relay("1").2), (false, false));
    assert_eq!(rig.power("n1"), Some(PowerState::Off));
}

#[tokio::test(start_paused = true)]
async fn a_mixed_node_waits_for_its_controller() {
    let (pdu, bmc) = (Device::pdu("pdu", 1), Device::bmc("bmc"));
    bmc.state().mains = Some((pdu.clone(), crate::model::Unit::outlet(1)));
    bmc.state().boot_delay = Duration::from_secs(30);
    let rig = Rig::new(config(&[&pdu, &bmc], vec![node("n1", Some("bmc"), &["pdu/1"])])).await;
    seconds(5).await;
    assert_eq!(rig.power("n1"), Some(PowerState::Off), "no mains, no power, whatever the BMC says");
    let outcome = rig.reset("n1", ResetType::On).await;
    // 25 s of patience are over before the BMC is up, but its time (120 s) is beyond Ironic's: it is told to retry.
    assert!(matches!(outcome, Err(OpError::ControllerBooting { .. })), "{outcome:?}");
    let outcome = rig.reset("n1", ResetType::On).await.unwrap();
    assert!(matches!(outcome, Outcome::Done));
    assert_eq!((pdu.relay("1"), bmc.relay("host").2), ((1, 0, true), true));
    rig.reset("n1", ResetType::FullPowerCycle).await.ok();
    rig.idle("n1").await;
    assert_eq!((pdu.relay("1"), bmc.relay("host").2), ((2, 1, true), true));
}

#[tokio::test(start_paused = true)]
async fn off_then_on_without_waiting_ends_on() {
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", true);
    pdu.state().delay = Duration::from_secs(8);
    let rig = Arc::new(Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await);
    let off = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.reset("n1", ResetType::ForceOff).await }
    });
    seconds(1).await;
    rig.reset("n1", ResetType::On).await.unwrap();
    off.await.unwrap().unwrap();
    rig.idle("n1").await;
    assert_eq!(pdu.relay("1"), (1, 1, true));
}

#[tokio::test(start_paused = true)]
async fn ten_equal_restarts_are_one() {
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", true);
    pdu.state().delay = Duration::from_secs(2);
    let rig = Arc::new(Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await);
    let mut all = Vec::new();
    for _ in 0..10 {
        let rig = Arc::clone(&rig);
        all.push(tokio::spawn(async move { rig.reset("n1", ResetType::ForceRestart).await }));
        seconds(1).await;
    }
    for one in all {
        one.await.unwrap().unwrap();
    }
    rig.reset("n1", ResetType::ForceRestart).await.unwrap();
    assert_eq!(pdu.relay("1"), (1, 1, true));
    seconds(11).await;
    rig.reset("n1", ResetType::ForceRestart).await.unwrap();
    assert_eq!(pdu.relay("1"), (2, 2, true), "after the window it is a new command");
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_restart_is_a_conflict_that_names_it() {
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", true);
    let rig = Arc::new(Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await);
    let first = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.reset("n1", ResetType::ForceRestart).await }
    });
    seconds(1).await;
    let other = Rig {
        fleet: rig.fleet.clone(),
        store: Arc::clone(&rig.store),
        who: Actor { principal: Arc::from("other"), ..Actor::internal("test") },
    };
    match other.reset("n1", ResetType::PowerCycle).await {
        Err(OpError::Conflict { target, running }) => {
            assert_eq!(target, "n1");
            assert!(running.contains("ForceRestart by rackfish"), "{running}");
        }
        unexpected => panic!("{unexpected:?}"),
    }
    first.await.unwrap().unwrap();
    assert_eq!(pdu.relay("1"), (1, 1, true));
}

#[tokio::test(start_paused = true)]
async fn force_off_ends_a_pending_start() {
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", true);
    let rig = Arc::new(Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await);
    let restart = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.reset("n1", ResetType::ForceRestart).await }
    });
    seconds(2).await; // in its off-time
    rig.reset("n1", ResetType::ForceOff).await.unwrap();
    assert!(matches!(restart.await.unwrap(), Err(OpError::Cancelled { .. })));
    seconds(60).await;
    assert_eq!(pdu.relay("1"), (0, 1, false), "no start after a later off");
}

#[tokio::test(start_paused = true)]
async fn the_off_time_belongs_to_the_feed() {
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", true);
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    rig.reset("n1", ResetType::ForceOff).await.unwrap();
    let off = clock::now();
    seconds(1).await;
    rig.reset("n1", ResetType::On).await.unwrap();
    assert!(clock::now() - off >= Duration::from_millis(4_900));
    assert_eq!(pdu.relay("1"), (1, 1, true));
}

#[tokio::test(start_paused = true)]
async fn a_long_operation_becomes_a_task_and_goes_on() {
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", true);
    pdu.state().delay = Duration::from_secs(9);
    let mut n1 = node("n1", None, &["pdu/1"]);
    n1.feeds[0].off_time = Duration::from_secs(30);
    let rig = Rig::new(config(&[&pdu], vec![n1])).await;
    let Outcome::Running { task } = rig.reset("n1", ResetType::ForceRestart).await.unwrap() else {
        panic!("it takes longer than the patience")
    };
    assert!(rig.fleet.task(&rig.who, &task).unwrap().ended.is_none());
    rig.idle("n1").await;
    let task = rig.fleet.task(&rig.who, &task).unwrap();
    assert!(task.ended.is_some() && task.error.is_none(), "{task:?}");
    assert_eq!(pdu.relay("1"), (1, 1, true));
}

#[tokio::test(start_paused = true)]
async fn a_host_is_reset_once_and_cycled_by_itself() {
    let bmc = Device::bmc("bmc");
    let rig = Rig::new(config(&[&bmc], vec![node("n1", Some("bmc"), &[])])).await;
    rig.reset("n1", ResetType::ForceRestart).await.unwrap();
    assert_eq!(bmc.relay("host"), (1, 0, true), "a restart of a machine that is off starts it");
    rig.reset("n1", ResetType::PowerCycle).await.unwrap();
    rig.reset("n1", ResetType::GracefulShutdown).await.unwrap();
    assert_eq!(rig.power("n1"), Some(PowerState::Off));
    assert_eq!(bmc.state().acts.len(), 3);
    let nmi = rig.reset("n1", ResetType::Nmi).await;
    assert!(matches!(nmi, Err(OpError::Conflict { .. })), "{nmi:?}");
}

#[tokio::test(start_paused = true)]
async fn force_off_ends_a_shutdown_that_is_ignored() {
    let bmc = Device::bmc("bmc");
    bmc.set("host", true);
    bmc.state().relays.get_mut("host").unwrap().stuck = true;
    let rig = Arc::new(Rig::new(config(&[&bmc], vec![node("n1", Some("bmc"), &[])])).await);
    let soft = rig.reset("n1", ResetType::GracefulShutdown).await.unwrap();
    assert!(matches!(soft, Outcome::Running { .. }), "{soft:?}");
    bmc.state().relays.get_mut("host").unwrap().stuck = false;
    let begun = clock::now();
    rig.reset("n1", ResetType::ForceOff).await.unwrap();
    assert!(clock::now() - begun < Duration::from_secs(2));
    assert_eq!(rig.power("n1"), Some(PowerState::Off));
}

#[tokio::test(start_paused = true)]
async fn what_a_controller_said_before_the_mains_were_cut_is_not_shown() {
    let (pdu, bmc) = (Device::pdu("pdu", 1), Device::bmc("bmc"));
    bmc.state().mains = Some((pdu.clone(), crate::model::Unit::outlet(1)));
    bmc.state().boot_delay = Duration::from_mins(1);
    pdu.set("1", true);
    let rig = Rig::new(config(&[&pdu, &bmc], vec![node("n1", Some("bmc"), &["pdu/1"])])).await;
    seconds(70).await;
    rig.reset("n1", ResetType::On).await.unwrap();
    assert_eq!(rig.power("n1"), Some(PowerState::On));
    let waiting = rig.reset("n1", ResetType::FullPowerCycle).await;
    assert!(matches!(waiting, Ok(Outcome::Running { .. })), "{waiting:?}");
    assert_eq!(rig.power("n1"), None, "mains are on, the controller is not up: nobody knows");
    rig.idle("n1").await;
    assert_eq!(rig.power("n1"), Some(PowerState::On));
}
