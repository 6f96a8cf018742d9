//! Dead devices, stuck relays, lost answers, holds.

use std::{sync::Arc, time::Duration};

use super::rig::{Device, Rig, config, node, reference, seconds};
use crate::{
    fleet::{Fresh, Op, OpError, Target, clock},
    model::{Act, Fault, PowerAct, PowerState, Privileges, ResetType},
};

#[tokio::test(start_paused = true)]
async fn a_stuck_relay_is_an_error_that_names_it() {
    let pdu = Device::pdu("pdu", 1);
    pdu.state().relays.get_mut("1").unwrap().stuck = true;
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    match rig.reset("n1", ResetType::On).await {
        Err(OpError::NotConfirmed { endpoint, unit, shows, .. }) => {
            assert_eq!((endpoint.as_str(), unit.as_str(), shows.as_str()), ("pdu", "1", "Off"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(pdu.state().acts.len(), 1, "what was accepted is not sent again");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_up_not_repeated() {
    let pdu = Device::pdu("pdu", 1);
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    // In its first minute it can't know what the process before it has told the relay: then it says it once more.
    seconds(61).await;
    pdu.state().lose_answers = 1;
    rig.reset("n1", ResetType::On).await.unwrap();
    assert_eq!((pdu.relay("1"), pdu.state().acts.len()), ((1, 0, true), 1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_command_is_repeated_after_a_look() {
    let pdu = Device::pdu("pdu", 1);
    pdu.state().lose_acts = 1;
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    rig.reset("n1", ResetType::On).await.unwrap();
    assert_eq!(pdu.relay("1"), (1, 0, true));
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_never_sent_twice() {
    let bmc = Device::bmc("bmc");
    bmc.set("host", true);
    let rig = Rig::new(config(&[&bmc], vec![node("n1", Some("bmc"), &[])])).await;
    seconds(1).await;
    bmc.state().lose_answers = 1;
    let result = rig.reset("n1", ResetType::ForceRestart).await;
    assert!(matches!(result, Err(OpError::Uncertain { .. })), "{result:?}");
    assert_eq!(bmc.state().acts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_is_named_fails_fast_and_comes_back_by_itself() {
    let (dead, alive) = (Device::pdu("dead", 1), Device::pdu("alive", 1));
    dead.state().dead = true;
    let nodes = vec![node("n1", None, &["dead/1"]), node("n2", None, &["alive/1"])];
    let rig = Rig::new(config(&[&dead, &alive], nodes)).await;
    seconds(20).await;
    let begun = clock::now();
    let result = rig.reset("n1", ResetType::On).await;
    assert!(
        matches!(&result, Err(OpError::Endpoint { endpoint, fault: Fault::Unreachable(_), .. }) if endpoint.as_str() == "dead"),
        "{result:?}"
    );
    assert!(clock::now() - begun < Duration::from_secs(5));
    let view = rig.fleet.node(&rig.who, "n1").unwrap();
    assert!(view.power.is_none() && !view.reachable);
    assert!(view.trouble.unwrap().contains("dead"));
    let begun = clock::now();
    rig.reset("n2", ResetType::On).await.unwrap();
    assert!(clock::now() - begun < Duration::from_millis(100), "the others feel nothing");
    dead.state().dead = false;
    seconds(60).await;
    assert_eq!(rig.power("n1"), Some(PowerState::Off));
}

#[tokio::test(start_paused = true)]
async fn one_dead_feed_is_named_and_the_other_is_cut() {
    let (a, b) = (Device::pdu("a", 1), Device::pdu("b", 1));
    a.set("1", true);
    b.set("1", true);
    let rig = Rig::new(config(&[&a, &b], vec![node("n1", None, &["a/1", "b/1"])])).await;
    seconds(1).await;
    b.state().dead = true;
    let result = rig.reset("n1", ResetType::ForceOff).await;
    assert!(
        matches!(&result, Err(OpError::Endpoint { endpoint, .. } | OpError::Uncertain { endpoint, .. }) if endpoint.as_str() == "b"),
        "{result:?}"
    );
    assert!(!a.relay("1").2);
    assert_ne!(rig.power("n1"), Some(PowerState::Off), "half off is not off");
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_not_tried_again_until_asked() {
    let bmc = Device::bmc("bmc");
    bmc.state().wrong_password = true;
    let rig = Rig::new(config(&[&bmc], vec![node("n1", Some("bmc"), &[])])).await;
    seconds(600).await;
    assert_eq!(bmc.state().opens, 1);
    let result = rig.reset("n1", ResetType::On).await;
    assert!(matches!(&result, Err(OpError::Endpoint { fault, .. }) if fault.is_credentials()), "{result:?}");
    assert_eq!(bmc.state().opens, 1, "not even a command may lock the account");
    bmc.state().wrong_password = false;
    rig.op("n1", Op::Retry).await.unwrap();
    rig.reset("n1", ResetType::On).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_tried_again_after_a_long_while() {
    let bmc = Device::bmc("bmc");
    bmc.state().wrong_password = true;
    let rig = Rig::new(config(&[&bmc], vec![node("n1", Some("bmc"), &[])])).await;
    seconds(31 * 60).await;
    assert_eq!(bmc.state().opens, 2, "once at the start, once half an hour later, and no core is kept busy");
    bmc.state().wrong_password = false;
    seconds(20 * 60).await;
    assert_eq!((bmc.state().opens, rig.power("n1")), (2, None));
    seconds(11 * 60).await;
    assert_eq!(rig.power("n1"), Some(PowerState::Off), "nobody had to ask");
}

#[tokio::test(start_paused = true)]
async fn a_hold_refuses_starts_but_not_off() {
    let pdu = Device::pdu("pdu", 1);
    pdu.set("1", true);
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    rig.op("n1", Op::Hold { reason: "hands in the rack".to_owned(), until: None }).await.unwrap();
    for kind in [ResetType::On, ResetType::ForceRestart] {
        let result = rig.reset("n1", kind).await;
        assert!(matches!(&result, Err(OpError::Held { reason, .. }) if reason == "hands in the rack"), "{result:?}");
    }
    let on = Op::Act(Act::Power(PowerAct::On));
    let result = rig.fleet.run(&rig.who, Target::Unit(reference("pdu/1")), on, Fresh::Cached).await;
    assert!(matches!(result, Err(OpError::Held { .. })), "not through its outlet either: {result:?}");
    rig.reset("n1", ResetType::ForceOff).await.unwrap();
    assert_eq!(pdu.relay("1"), (0, 1, false));
    // A hold outlives the process.
    let again = Rig::on(config(&[&pdu], vec![node("n1", None, &["pdu/1"])]), Arc::clone(&rig.store)).await;
    assert!(matches!(again.reset("n1", ResetType::On).await, Err(OpError::Held { .. })));
    again.op("n1", Op::Release).await.unwrap();
    again.reset("n1", ResetType::On).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn observe_only_switches_nothing() {
    let pdu = Device::pdu("pdu", 1);
    let mut config = config(&[&pdu], vec![node("n1", None, &["pdu/1"])]);
    config.server.observe_only = true;
    let rig = Rig::new(config).await;
    assert!(matches!(rig.reset("n1", ResetType::On).await, Err(OpError::ObserveOnly { .. })));
    seconds(1).await;
    assert!(pdu.state().acts.is_empty());
    assert_eq!(rig.power("n1"), Some(PowerState::Off), "but reads all the same");
}

#[tokio::test(start_paused = true)]
async fn a_held_endpoint_has_no_traffic() {
    let pdu = Device::pdu("pdu", 1);
    let rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    seconds(1).await;
    let endpoint = || Target::Endpoint("pdu".parse().unwrap());
    let hold = Op::Hold { reason: "firmware".to_owned(), until: None };
    rig.fleet.run(&rig.who, endpoint(), hold, Fresh::Cached).await.unwrap();
    seconds(2).await;
    let reads = pdu.state().reads;
    seconds(300).await;
    assert_eq!(pdu.state().reads, reads);
    assert!(matches!(rig.reset("n1", ResetType::On).await, Err(OpError::Held { .. })));
    rig.fleet.run(&rig.who, endpoint(), Op::Release, Fresh::Cached).await.unwrap();
    seconds(40).await;
    assert!(pdu.state().reads > reads);
}

#[tokio::test(start_paused = true)]
async fn who_may_look_may_not_touch() {
    let pdu = Device::pdu("pdu", 1);
    let mut rig = Rig::new(config(&[&pdu], vec![node("n1", None, &["pdu/1"])])).await;
    rig.who.privileges = Privileges::READ_ONLY;
    assert!(matches!(rig.reset("n1", ResetType::On).await, Err(OpError::Forbidden { .. })));
    rig.who.privileges = Privileges::OPERATOR;
    rig.who.scope = Arc::new(crate::model::Scope::Some { nodes: ["n2".parse().unwrap()].into(), groups: [].into() });
    assert!(matches!(rig.reset("n1", ResetType::On).await, Err(OpError::NotFound(_))));
    assert!(rig.fleet.nodes(&rig.who).is_empty() && rig.fleet.node(&rig.who, "n1").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_old_off_is_unknown_an_old_on_is_not_yet() {
    let (a, b) = (Device::pdu("a", 1), Device::pdu("b", 1));
    b.set("1", true);
    let rig = Rig::new(config(&[&a, &b], vec![node("off", None, &["a/1"]), node("on", None, &["b/1"])])).await;
    seconds(1).await;
    a.state().dead = true;
    b.state().dead = true;
    seconds(60).await;
    assert_eq!((rig.power("off"), rig.power("on")), (None, Some(PowerState::On)));
    seconds(600).await;
    assert_eq!(rig.power("on"), None);
}
