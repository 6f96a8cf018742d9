//! Units that take commands and can't tell their state: what is shown is assumed, and nothing is left out because of it.

use std::time::{Duration, Instant};

use super::rig::{Device, Rig, config, node, reference, seconds};
use crate::{
    fleet::{Fresh, Op, OpError, Target, clock},
    model::{Act, EndpointId, Origin, PowerAct, PowerState, ResetType},
};

fn sent(device: &Device) -> Vec<PowerAct> {
    let power = |act: &Act| if let Act::Power(power) = act { Some(*power) } else { None };
    device.state().acts.iter().filter_map(|(_, act)| power(act)).collect()
}

fn shown(rig: &Rig) -> Option<(PowerState, Origin)> {
    rig.fleet.node(&rig.who, "n1").unwrap().power.map(|p| (p.value, p.origin))
}

#[tokio::test(start_paused = true)]
async fn what_was_commanded_is_assumed() {
    let board = Device::pdu("board", 1).blind();
    let rig = Rig::new(config(&[&board], vec![node("n1", None, &["board/1"])])).await;
    seconds(1).await;
    assert_eq!(shown(&rig), None, "nobody knows");
    rig.reset("n1", ResetType::On).await.unwrap();
    assert_eq!((shown(&rig), board.relay("1").2), (Some((PowerState::On, Origin::Assumed)), true));
    rig.reset("n1", ResetType::ForceOff).await.unwrap();
    assert_eq!((shown(&rig), board.relay("1").2), (Some((PowerState::Off, Origin::Assumed)), false));
    seconds(3600).await;
    assert_eq!(shown(&rig), Some((PowerState::Off, Origin::Assumed)), "it does not get truer by being younger");
    // Once at the beginning, when nobody knew that there is nothing to be told.
    assert!(board.state().reads <= 2, "{} reads", board.state().reads);
}

#[tokio::test(start_paused = true)]
async fn an_assumption_keeps_no_command_back() {
    let board = Device::pdu("board", 1).blind();
    let rig = Rig::new(config(&[&board], vec![node("n1", None, &["board/1"])])).await;
    for _ in 0..2 {
        // Somebody may have switched it by hand meanwhile.
        rig.reset("n1", ResetType::On).await.unwrap();
        seconds(60).await;
    }
    for _ in 0..2 {
        rig.reset("n1", ResetType::ForceOff).await.unwrap();
        seconds(60).await;
    }
    assert_eq!(sent(&board), [PowerAct::On, PowerAct::On, PowerAct::Off, PowerAct::Off]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_off_a_pause_and_on() {
    let board = Device::pdu("board", 1).blind();
    board.set("1", true);
    let rig = Rig::new(config(&[&board], vec![node("n1", None, &["board/1"])])).await;
    let begun: Instant = clock::now();
    rig.reset("n1", ResetType::ForceRestart).await.unwrap();
    assert!(clock::now() - begun >= Duration::from_secs(5), "the off-time is kept");
    assert_eq!(sent(&board), [PowerAct::Off, PowerAct::On]);
    assert_eq!(board.relay("1"), (1, 1, true));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_told_at_once_and_nothing_repeated() {
    let board = Device::pdu("board", 1).blind();
    let rig = Rig::new(config(&[&board], vec![node("n1", None, &["board/1"])])).await;
    board.state().lose_answers = 1;
    let begun = clock::now();
    match rig.reset("n1", ResetType::On).await {
        Err(OpError::Uncertain { endpoint, .. }) => assert_eq!(endpoint.as_str(), "board"),
        other => panic!("{other:?}"),
    }
    assert!(clock::now() - begun < Duration::from_secs(5), "there is nothing to look at");
    assert_eq!(sent(&board).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_blind_host_is_switched_and_cycled() {
    let board = Device::bmc("board").blind();
    let rig = Rig::new(config(&[&board], vec![node("n1", Some("board"), &[])])).await;
    rig.reset("n1", ResetType::On).await.unwrap();
    seconds(60).await;
    rig.reset("n1", ResetType::PowerCycle).await.unwrap();
    assert_eq!(shown(&rig), Some((PowerState::On, Origin::Assumed)));
    seconds(60).await;
    rig.reset("n1", ResetType::ForceOff).await.unwrap();
    assert_eq!(sent(&board), [PowerAct::On, PowerAct::Cycle { off: None }, PowerAct::Off]);
}

/// The feeds can't tell and the controller is silent: it seems to have no mains, so they are switched on.
#[tokio::test(start_paused = true)]
async fn mains_that_can_not_tell_are_switched_on_for_a_silent_controller() {
    let (board, bmc) = (Device::pdu("board", 1).blind(), Device::bmc("bmc"));
    bmc.state().mains = Some((board.clone(), reference("board/1").unit));
    let rig = Rig::new(config(&[&board, &bmc], vec![node("n1", Some("bmc"), &["board/1"])])).await;
    rig.reset("n1", ResetType::On).await.unwrap();
    assert_eq!((board.relay("1").2, bmc.relay("host").2), (true, true));
    assert_eq!(sent(&board), [PowerAct::On]);
}

#[tokio::test(start_paused = true)]
async fn trying_such_an_endpoint_is_no_failure() {
    let board = Device::pdu("board", 1).blind();
    let rig = Rig::new(config(&[&board], vec![node("n1", None, &["board/1"])])).await;
    let target = || Target::Endpoint(EndpointId::new("board").unwrap());
    rig.fleet.run(&rig.who, target(), Op::Retry, Fresh::Cached).await.unwrap();
    board.state().dead = true;
    rig.fleet.run(&rig.who, target(), Op::Retry, Fresh::Cached).await.unwrap_err();
}
