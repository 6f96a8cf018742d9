//! Cost laws: counted, not timed.

use std::{sync::Arc, time::Duration};

use super::rig::{Device, Rig, config, node, seconds};
use crate::model::{Aspect, ResetType};

#[tokio::test(start_paused = true)]
async fn twenty_four_relays_are_watched_by_one_stream_of_reads() {
    let pdu = Device::pdu("pdu", 24).batch(24);
    pdu.state().delay = Duration::from_secs(4);
    let nodes = (1..=24).map(|n| node(&format!("n{n}"), None, &[&format!("pdu/{n}")])).collect();
    let rig = Arc::new(Rig::new(config(&[&pdu], nodes)).await);
    seconds(6).await; // nobody knows since when they are off: the off-time counts from the first look
    let before = pdu.state().reads;
    let begun = crate::fleet::clock::now();
    let jobs = (1..=24).map(|n| {
        let rig = Arc::clone(&rig);
        async move { rig.reset(&format!("n{n}"), ResetType::On).await }
    });
    for result in futures_util::future::join_all(jobs).await {
        result.unwrap();
    }
    let took = crate::fleet::clock::now() - begun;
    let reads = pdu.state().reads - before;
    assert!(took < Duration::from_millis(5_500), "24 relays of 4 s took {took:?}");
    assert!(reads <= 24, "{reads} reads for 24 relays: they share their looks");
}

#[tokio::test(start_paused = true)]
async fn equal_reads_share_one_exchange() {
    let pdu = Device::pdu("pdu", 8);
    let nodes = (1..=8).map(|n| node(&format!("n{n}"), None, &[&format!("pdu/{n}")])).collect();
    let rig = Rig::new(config(&[&pdu], nodes)).await;
    seconds(7).await;
    let before = pdu.state().reads;
    for _ in 0..100 {
        for n in 1..=8 {
            rig.power(&format!("n{n}"));
        }
    }
    seconds(1).await;
    // The first look of each node asks for a refresh; the eight are one read, or two when the first had left.
    let reads = pdu.state().reads - before;
    assert!((1..=2).contains(&reads), "{reads} reads for 800 looks");
    let worker = rig.fleet.inner.worker(&"pdu/1".parse().unwrap()).unwrap();
    let unit = crate::model::Unit::outlet(1);
    let before = pdu.state().reads;
    let same = (0..10).map(|_| worker.read(Aspect::Power, &unit, Duration::from_secs(5)));
    for result in futures_util::future::join_all(same).await {
        result.unwrap();
    }
    assert_eq!(pdu.state().reads - before, 1, "ten readers, one exchange");
}

#[tokio::test(start_paused = true)]
async fn a_command_costs_one_act_and_a_few_reads() {
    let pdu = Device::pdu("pdu", 1);
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    seconds(2).await;
    let before = pdu.state().reads;
    rig.reset("n1", ResetType::On).await.unwrap();
    assert_eq!(pdu.state().acts.len(), 1);
    assert!(pdu.state().reads - before <= 4, "{} reads", pdu.state().reads - before);
    seconds(10).await;
    let before = pdu.state().reads;
    // As a face does it: who commands gets what is known, and the command looks for itself.
    assert!(rig.fleet.node_as_known(&rig.who, "n1").is_some());
    rig.reset("n1", ResetType::ForceOff).await.unwrap();
    assert_eq!(pdu.state().reads - before, 2, "one look before the act, one after it");
}

#[tokio::test(start_paused = true)]
async fn a_poll_of_a_pdu_is_one_read_a_round() {
    let pdu = Device::pdu("pdu", 8);
    let nodes = (1..=8).map(|n| node(&format!("n{n}"), None, &[&format!("pdu/{n}")])).collect();
    let _rig = Rig::new(config(&[&pdu], nodes)).await;
    seconds(5).await;
    let before = pdu.state().reads;
    seconds(300).await;
    let reads = pdu.state().reads - before;
    assert!((9..=11).contains(&reads), "{reads} reads in ten rounds of 30 s");
}

#[tokio::test(start_paused = true)]
async fn a_command_waits_for_no_poll_of_another_endpoint() {
    let (pdu, other) = (Device::pdu("pdu", 1), Device::pdu("other", 1));
    let nodes = vec![node("n1", None, &["pdu/1"]), node("n2", None, &["other/1"])];
    let rig = Rig::new(config(&[&pdu, &other], nodes)).await;
    seconds(6).await;
    let mut taken = Vec::new();
    while let Ok(seat) = tokio::time::timeout(Duration::from_millis(1), rig.fleet.inner.seats.take()).await {
        taken.push(seat);
    }
    let before = pdu.state().reads;
    seconds(90).await;
    assert_eq!(pdu.state().reads, before, "without a seat nothing is polled");
    let begun = crate::fleet::clock::now();
    rig.reset("n1", ResetType::On).await.unwrap();
    let took = crate::fleet::clock::now() - begun;
    assert!(took < Duration::from_secs(2), "{took:?}");
    drop(taken);
    let before = other.state().reads;
    seconds(1).await;
    assert!(other.state().reads > before, "those that waited are polled as soon as there are seats");
}
