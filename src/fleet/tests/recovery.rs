//! What a crash leaves, and what the next start makes of it.

use std::{sync::Arc, time::Duration};

use super::rig::{Device, Rig, config, node, seconds};
use crate::{
    fleet::{
        Op, OpError, Outcome, What, clock,
        journal::Entry,
        overrides::{Once, Override, Stage},
        plan::Step,
    },
    model::{BootEnabled, BootPatch, BootTarget, NodeId, PowerState, ResetType},
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

#[tokio::test(start_paused = true)]
async fn what_was_promised_while_it_waited_is_done_by_the_next_process() {
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", true);
    pdu.state().delay = Duration::from_secs(9);
    let n1 = node("n1", None, &["pdu/1"]);
    let mut patient = config(&[&pdu], vec![n1]);
    patient.patience.action = Duration::from_secs(2);
    let rig = Rig::new(patient.clone()).await;
    let (off, on) = tokio::join!(rig.reset("n1", ResetType::ForceOff), rig.reset("n1", ResetType::On));
    assert!(matches!((&off, &on), (Ok(Outcome::Running { .. }), Ok(Outcome::Running { .. }))), "{off:?} {on:?}");
    let waiting = |key: &String| key.contains('/');
    let left = store::read_all::<Entry>(&*rig.store, Kind::Operation).await.unwrap();
    assert_eq!(left.iter().filter(|(key, ..)| waiting(key)).count(), 1, "the On waits: {left:?}");
    // It dies here: the first process is left alone, with devices that no longer hear it.
    let copy = MemoryStore::new();
    for kind in [Kind::Operation, Kind::Task] {
        for (key, doc) in store::Store::list(&*rig.store, kind).await.unwrap() {
            store::Store::put(&*copy, kind, &key, Expect::Any, doc.body, Safety::PowerLoss).await.unwrap();
        }
    }
    rig.fleet.inner.workers.clear();
    let again = Rig::on(patient, copy).await;
    again.idle("n1").await;
    seconds(60).await;
    assert!(pdu.relay("1").2, "{:?}", pdu.relay("1"));
    let tasks = again.fleet.tasks(&again.who);
    assert!(tasks.len() == 2 && tasks.iter().all(|task| task.ended.is_some() && task.error.is_none()), "{tasks:?}");
    let left = store::read_all::<Entry>(&*again.store, Kind::Operation).await.unwrap();
    assert!(!left.iter().any(|(key, ..)| waiting(key)), "it waits no longer: {left:?}");
}

#[tokio::test(start_paused = true)]
async fn the_task_of_an_operation_that_had_just_ended_tells_its_end() {
    use crate::fleet::{
        journal::{End, How},
        view::TaskView,
    };
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", true);
    let store = MemoryStore::new();
    cut(&store, ResetType::ForceRestart, &RESTART, 3, false).await;
    let (revision, entry) = store::read::<Entry>(&*store, Kind::Operation, "n1").await.unwrap().unwrap();
    let ended = Entry { ended: Some(End { at: clock::wall(), how: How::Well }), ..entry };
    let expect = Expect::Revision(revision);
    store::write(&*store, Kind::Operation, "n1", expect, &ended, Safety::PowerLoss).await.unwrap();
    let task = TaskView {
        id: "op-1".to_owned(),
        name: "ForceRestart of n1".to_owned(),
        principal: "ironic".to_owned(),
        node: Some(NodeId::new("n1").unwrap()),
        started: clock::wall(),
        ended: None,
        error: None,
        progress: None,
    };
    store::write(&*store, Kind::Task, "op-1", Expect::Any, &task, Safety::PowerLoss).await.unwrap();
    let mut rig = Rig::on(config(&[&pdu], vec![node("n1", None, &["pdu/1"])]), store).await;
    let told = rig.fleet.task(&rig.who, "op-1").unwrap();
    assert!(told.ended.is_some() && told.error.is_none(), "{told:?}");
    // Sent again because the answer was lost with the process: nothing is switched.
    rig.who.principal = Arc::from("ironic");
    rig.reset("n1", ResetType::ForceRestart).await.unwrap();
    assert_eq!(pdu.relay("1"), (0, 0, true));
}

#[tokio::test(start_paused = true)]
async fn starts_that_a_crash_has_cut_keep_to_the_budget() {
    let pdu = Device::pdu("pdu", 20);
    let store = MemoryStore::new();
    for n in 1..=20 {
        cut(&store, ResetType::ForceRestart, &RESTART, 2, false).await;
        let (_, entry) = store::read::<Entry>(&*store, Kind::Operation, "n1").await.unwrap().unwrap();
        let entry = Entry { id: format!("op-{n}"), ..entry };
        store::write(&*store, Kind::Operation, &format!("m{n}"), Expect::Any, &entry, Safety::PowerLoss).await.unwrap();
    }
    let nodes = (1..=20).map(|n| node(&format!("m{n}"), None, &[&format!("pdu/{n}")])).collect();
    let mut config = config(&[&pdu], nodes);
    config.inrush.starts_per_second = Some(0.5);
    let _rig = Rig::on(config, store).await;
    let on = || (1..=20).filter(|n| pdu.relay(&n.to_string()).2).count();
    // Each waits for its relay first, which may be on its way, and then for its off-time.
    seconds(30).await;
    assert!((1..=11).contains(&on()), "{} of 20 after 30 s", on());
    seconds(60).await;
    assert_eq!(on(), 20, "and none is given up");
}

#[tokio::test(start_paused = true)]
async fn a_start_tells_only_what_has_changed_since_the_stop() {
    let pdu = Device::pdu("pdu", 3);
    pdu.set("1", true);
    pdu.set("2", true);
    let nodes: Vec<_> = (1..=3).map(|n| node(&format!("n{n}"), None, &[&format!("pdu/{n}")])).collect();
    let store = MemoryStore::new();
    let told = async |device: &Device| {
        let rig = Rig::on(config(&[device], nodes.clone()), Arc::clone(&store)).await;
        let mut events = rig.fleet.events();
        seconds(5).await;
        rig.fleet.stop().await;
        let mut powers = Vec::new();
        while let Ok(event) = events.try_recv() {
            if let What::Power { node, old, new, .. } = &event.what {
                powers.push((node.to_string(), *old, *new));
            }
        }
        powers.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        powers
    };
    let first = told(&pdu).await;
    assert_eq!(first.len(), 3, "nothing was known before: {first:?}");
    pdu.set("2", false);
    let second = told(&pdu).await;
    assert_eq!(second, [("n2".to_owned(), Some(PowerState::On), Some(PowerState::Off))]);
    assert_eq!(told(&pdu).await, []);
}
