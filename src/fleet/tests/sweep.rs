//! One reset of many nodes: batches, failures, and what a stop or a kill leaves of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::rig::{Device, Rig, config, node, seconds};
use crate::{
    fleet::{AggregateError, OpError, Sweep, Swept, TaskView, clock},
    model::{Actor, NodeId, Privileges, ResetType, Scope},
    store::MemoryStore,
};

fn ids(numbers: std::ops::RangeInclusive<u32>) -> Vec<NodeId> {
    numbers.map(|n| format!("n{n}").parse().unwrap()).collect()
}

fn nodes(count: u32) -> Vec<crate::config::Node> {
    (1..=count).map(|n| node(&format!("n{n}"), None, &[&format!("pdu/{n}")])).collect()
}

fn asked(reset: ResetType, batch: Option<usize>, delay: u64) -> Sweep {
    Sweep { nodes: ids(1..=6), reset, batch, delay: Duration::from_secs(delay) }
}

async fn task(rig: &Rig, id: &str) -> TaskView {
    for _ in 0..600 {
        let task = rig.fleet.task(&rig.who, id).unwrap();
        if task.ended.is_some() {
            return task;
        }
        seconds(1).await;
    }
    panic!("it never ends");
}

#[tokio::test(start_paused = true)]
async fn all_at_once_or_batch_after_batch() {
    let pdu = Device::pdu("pdu", 6);
    let rig = Rig::new(config(&[&pdu], nodes(6))).await;
    seconds(6).await;
    let ended = rig.fleet.sweep(&rig.who, asked(ResetType::On, None, 0)).await.unwrap();
    assert!(matches!(&ended, Swept::Ended(progress) if progress.failed.is_empty() && progress.ended == 6), "{ended:?}");
    for unit in ["1", "6"] {
        assert_eq!(pdu.relay(unit), (1, 0, true));
    }
    // Two at a time, with 60 s between: longer than a client waits.
    let begun = clock::now();
    let Swept::Running(going) = rig.fleet.sweep(&rig.who, asked(ResetType::ForceOff, Some(2), 60)).await.unwrap()
    else {
        panic!("it ended before its second batch")
    };
    assert!(clock::now() - begun < Duration::from_secs(30), "the client was kept waiting");
    let off = |pdu: &Device| (1..=6).filter(|n| !pdu.relay(&n.to_string()).2).count();
    assert_eq!(off(&pdu), 2);
    assert_eq!(rig.fleet.task(&rig.who, &going.id).unwrap().progress.unwrap().ended, 2);
    let ended = task(&rig, &going.id).await;
    assert_eq!((ended.error, off(&pdu)), (None, 6));
    assert!(clock::now() - begun > Duration::from_mins(2));
}

#[tokio::test(start_paused = true)]
async fn who_failed_is_told_and_the_others_are_done() {
    let (pdu, bad) = (Device::pdu("pdu", 5), Device::pdu("bad", 1));
    let mut all = nodes(5);
    all.push(node("n6", None, &["bad/1"]));
    let rig = Rig::new(config(&[&pdu, &bad], all)).await;
    seconds(6).await;
    bad.state().relays.values_mut().for_each(|relay| relay.stuck = true);
    let swept = rig.fleet.sweep(&rig.who, asked(ResetType::On, None, 0)).await.unwrap();
    let failed = match swept {
        Swept::Ended(progress) => progress.failed,
        Swept::Running(going) => task(&rig, &going.id).await.progress.unwrap().failed,
    };
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].node.as_str(), "n6");
    assert!(failed[0].error.contains("bad"), "{}", failed[0].error);
    assert_eq!((1..=5).filter(|n| pdu.relay(&n.to_string()).2).count(), 5);
    // What a node can't do is its failure, not that of the set.
    let Swept::Ended(progress) = rig.fleet.sweep(&rig.who, asked(ResetType::Nmi, None, 0)).await.unwrap() else {
        panic!("nothing to wait for")
    };
    assert_eq!(progress.failed.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn nobody_sweeps_what_they_may_not_see_or_switch() {
    let pdu = Device::pdu("pdu", 6);
    let rig = Rig::new(config(&[&pdu], nodes(6))).await;
    let one = Scope::Some { nodes: BTreeSet::from(["n1".parse().unwrap()]), groups: BTreeSet::new() };
    let limited = Actor { privileges: Privileges::OPERATOR, scope: Arc::new(one), ..Actor::internal("t") };
    let refused = rig.fleet.sweep(&limited, asked(ResetType::On, None, 0)).await.unwrap_err();
    assert!(matches!(&refused, OpError::NotFound(what) if what.contains("n2")), "{refused}");
    let reader = Actor { privileges: Privileges::READ_ONLY, ..Actor::internal("t") };
    let refused = rig.fleet.sweep(&reader, asked(ResetType::On, None, 0)).await.unwrap_err();
    assert!(matches!(refused, OpError::Forbidden { .. }));
    assert_eq!(pdu.relay("1"), (0, 0, false));
}

/// A reset of six nodes, two at a time, whose rackfish is stopped between two batches, or within one if relays are slow.
async fn cut(reset: ResetType, on: bool, relays: u64) -> (Device, Rig, TaskView) {
    let pdu = Device::pdu("pdu", 6);
    pdu.state().delay = Duration::from_secs(relays);
    for n in 1..=6 {
        pdu.set(&n.to_string(), on);
    }
    let store = MemoryStore::new();
    let all = nodes(6);
    let rig = Rig::on(config(&[&pdu], all.clone()), Arc::clone(&store)).await;
    seconds(6).await;
    let Swept::Running(going) = rig.fleet.sweep(&rig.who, asked(reset, Some(2), 60)).await.unwrap() else {
        panic!("it ended")
    };
    rig.fleet.stop().await;
    drop(rig);
    let rig = Rig::on(config(&[&pdu], all), store).await;
    let ended = task(&rig, &going.id).await;
    (pdu, rig, ended)
}

#[tokio::test(start_paused = true)]
async fn the_next_start_goes_on_where_a_stop_has_cut() {
    for relays in [0, 9] {
        let (pdu, _rig, ended) = cut(ResetType::ForceOff, true, relays).await;
        assert_eq!(ended.error, None, "{:?}", ended.progress);
        for n in 1..=6 {
            assert_eq!(pdu.relay(&n.to_string()), (0, 1, false), "n{n} was switched off once");
        }
        let (pdu, _rig, ended) = cut(ResetType::ForceRestart, true, relays).await;
        assert_eq!(ended.error, None, "{:?}", ended.progress);
        for n in 1..=6 {
            assert_eq!(pdu.relay(&n.to_string()), (1, 1, true), "n{n} was restarted once");
        }
    }
}

#[tokio::test]
async fn sets_are_kept_changed_and_limited() {
    let pdu = Device::pdu("pdu", 6);
    let mut all = nodes(6);
    all[0].groups = vec!["rack1".to_owned()];
    all[1].groups = vec!["rack1".to_owned()];
    let store = MemoryStore::new();
    let rig = Rig::on(config(&[&pdu], all.clone()), Arc::clone(&store)).await;
    let set = |ids: Vec<NodeId>| ids.into_iter().collect::<BTreeSet<_>>();
    let made = rig.fleet.make_aggregate(&rig.who, set(ids(2..=3))).await.unwrap();
    let sets = rig.fleet.aggregates(&rig.who);
    assert_eq!(sets.iter().map(|set| set.id.as_str()).collect::<Vec<_>>(), ["group-rack1", &made.id]);
    assert_eq!(sets[0].nodes, ids(1..=2));
    let changed =
        rig.fleet.change_aggregate(&rig.who, &made.id, set(ids(4..=4)), &set(ids(2..=2)), None).await.unwrap();
    assert_eq!(changed.nodes, ids(3..=4));
    let stale = rig.fleet.remove_aggregate(&rig.who, &made.id, made.revision).await.unwrap_err();
    assert!(matches!(stale, AggregateError::Changed));
    let group = rig.fleet.remove_aggregate(&rig.who, "group-rack1", None).await.unwrap_err();
    assert!(matches!(group, AggregateError::Configured));
    // Somebody who may see one of the two.
    let one = Scope::Some { nodes: BTreeSet::from(["n3".parse().unwrap()]), groups: BTreeSet::new() };
    let limited = Actor { privileges: Privileges::OPERATOR, scope: Arc::new(one), ..Actor::internal("t") };
    assert_eq!(rig.fleet.aggregate(&limited, &made.id).unwrap().nodes, ids(3..=3));
    assert!(rig.fleet.aggregate(&limited, "group-rack1").is_none());
    let refused = rig.fleet.remove_aggregate(&limited, &made.id, None).await.unwrap_err();
    assert!(matches!(refused, AggregateError::Forbidden));
    // As they were after a restart, without what is no longer configured.
    drop(rig);
    all.remove(3);
    let rig = Rig::on(config(&[&pdu], all), store).await;
    assert_eq!(rig.fleet.aggregate(&rig.who, &made.id).unwrap().nodes, ids(3..=3));
    rig.fleet.remove_aggregate(&rig.who, &made.id, None).await.unwrap();
    assert!(rig.fleet.aggregate(&rig.who, &made.id).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_begins_nothing_and_restarts_nobody_in_secret() {
    let pdu = Device::pdu("pdu", 6);
    (1..=6).for_each(|n| pdu.set(&n.to_string(), true));
    let rig = Rig::new(config(&[&pdu], nodes(6))).await;
    seconds(6).await;
    rig.store.set_full(true);
    let refused = rig.fleet.sweep(&rig.who, asked(ResetType::ForceRestart, Some(2), 0)).await.unwrap_err();
    assert!(matches!(refused, OpError::Store(_)), "{refused}");
    assert!(pdu.state().acts.is_empty() && rig.fleet.tasks(&rig.who).is_empty());
    // It fills up after the first batch: the others are not touched, and said to have failed.
    rig.store.set_full(false);
    let (swept, ()) = tokio::join!(rig.fleet.sweep(&rig.who, asked(ResetType::ForceRestart, Some(2), 15)), async {
        seconds(12).await;
        rig.store.set_full(true);
    });
    let progress = match swept.unwrap() {
        Swept::Ended(progress) => progress,
        Swept::Running(going) => task(&rig, &going.id).await.progress.unwrap(),
    };
    let failed: Vec<_> = progress.failed.iter().map(|failure| failure.node.as_str()).collect();
    assert_eq!((failed, progress.ended), (vec!["n3", "n4", "n5", "n6"], 6), "{progress:?}");
    assert!(progress.failed.iter().all(|failure| failure.error.contains("stored")), "{progress:?}");
    assert_eq!((pdu.relay("1"), pdu.relay("3")), ((1, 1, true), (0, 0, true)));
}
