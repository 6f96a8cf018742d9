//! The simulated PDU itself: relays, the errors of each version, the line protocol.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::*;
use crate::wire::snmp::{Message, Oid, Pdu, PduKind, Value, Version, status};

const COMMAND: &str = "1.3.6.1.4.1.318.1.1.26.9.2.4.1.5";
const STATE: &str = "1.3.6.1.4.1.318.1.1.26.9.2.3.1.5";

fn pdu(outlets: u32) -> SimPdu {
    SimPdu::new(PduOptions { outlets, ..PduOptions::default() })
}

fn oid(text: &str) -> Oid {
    text.parse().unwrap()
}

fn ask(pdu: &SimPdu, version: Version, community: &str, request: Pdu) -> Option<Pdu> {
    let message = Message { version, community: community.into(), pdu: request };
    let answers = pdu.receive(&message.encode()).datagrams;
    answers.last().map(|bytes| Message::decode(bytes).unwrap().pdu)
}

fn set(pdu: &SimPdu, version: Version, community: &str, at: &str, value: Value) -> u32 {
    let request = Pdu::request(PduKind::Set, 7, vec![(oid(at), value)]);
    ask(pdu, version, community, request).unwrap().error_status
}

#[tokio::test]
async fn errors_are_those_of_the_version() {
    let pdu = pdu(4);
    let outlet = format!("{COMMAND}.1");
    let cases: [(&str, String, Value, u32, u32); 5] = [
        ("private", outlet.clone(), Value::Integer(99), status::BAD_VALUE, status::WRONG_VALUE),
        ("private", outlet.clone(), Value::OctetString(b"1".to_vec()), status::BAD_VALUE, status::WRONG_TYPE),
        ("private", format!("{COMMAND}.9"), Value::Integer(1), status::NO_SUCH_NAME, status::NO_CREATION),
        ("private", format!("{STATE}.1"), Value::Integer(1), status::NO_SUCH_NAME, status::NOT_WRITABLE),
        ("public", outlet, Value::Integer(1), status::NO_SUCH_NAME, status::NO_ACCESS),
    ];
    for (community, at, value, v1, v2c) in cases {
        assert_eq!(set(&pdu, Version::V1, community, &at, value.clone()), v1, "{at} {value:?}");
        assert_eq!(set(&pdu, Version::V2c, community, &at, value.clone()), v2c, "{at} {value:?}");
    }
    let missing = Pdu::request(
        PduKind::Get,
        1,
        vec![(oid(&format!("{STATE}.1")), Value::Null), (oid(&format!("{STATE}.9")), Value::Null)],
    );
    let v1 = ask(&pdu, Version::V1, "public", missing.clone()).unwrap();
    assert_eq!((v1.error_status, v1.error_index), (status::NO_SUCH_NAME, 2));
    let v2c = ask(&pdu, Version::V2c, "public", missing).unwrap();
    assert_eq!((v2c.error_status, &v2c.varbinds[1].1), (0, &Value::NoSuchInstance));
    assert_eq!(ask(&pdu, Version::V2c, "else", Pdu::request(PduKind::Get, 1, vec![])), None, "silence");
    assert!(pdu.counters().outlets.values().all(|o| o.sets == 0), "nothing refused was carried out");
}

#[tokio::test]
async fn a_walk_visits_every_object_once_in_order() {
    for family in [SimFamily::MasterSwitch, SimFamily::Rpdu, SimFamily::Rpdu2] {
        let pdu = SimPdu::new(PduOptions { family, outlets: 12, ..PduOptions::default() });
        pdu.command_line("outlet 5 missing").unwrap();
        let (mut at, mut seen) = (oid("1.3"), 0);
        loop {
            let request = Pdu::request(PduKind::GetNext, 1, vec![(at.clone(), Value::Null)]);
            let (next, value) = ask(&pdu, Version::V2c, "public", request).unwrap().varbinds.remove(0);
            if value == Value::EndOfMibView {
                break;
            }
            assert!(next > at, "{next} after {at}");
            let get = Pdu::request(PduKind::Get, 1, vec![(next.clone(), Value::Null)]);
            assert_eq!(ask(&pdu, Version::V2c, "public", get).unwrap().varbinds[0].1, value);
            (at, seen) = (next, seen + 1);
        }
        let columns = family.rows().iter().filter(|r| r.per_outlet).count();
        assert_eq!(seen, family.rows().len() - columns + columns * 11);
    }
}

#[tokio::test(start_paused = true)]
async fn relays_take_their_time_and_the_last_command_wins() {
    let pdu = SimPdu::new(PduOptions { outlets: 2, relay_delay: Duration::from_secs(5), ..PduOptions::default() });
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&heard);
    pdu.on_change(Arc::new(move |outlet, on| hook.lock().unwrap().push((outlet, on))));
    let write = |outlet: u32, n| set(&pdu, Version::V2c, "private", &format!("{COMMAND}.{outlet}"), Value::Integer(n));
    assert_eq!(write(1, 2), 0);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(pdu.is_on(1), Some(true));
    // Taken back before the relay moved: it never does.
    assert_eq!(write(1, 1), 0);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(pdu.counters().outlets[&1], OutletCounters { sets: 2, on: 0, off: 0 });
    // Reboot: off after the delay, on five seconds later; of an outlet that is off: nothing.
    assert_eq!(write(2, 3), 0);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(pdu.is_on(2), Some(false));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(pdu.is_on(2), Some(true));
    pdu.press(2, false);
    assert_eq!(write(2, 3), 0);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(pdu.is_on(2), Some(false));
    assert_eq!(*heard.lock().unwrap(), [(2, false), (2, true), (2, false)]);
}

#[tokio::test]
async fn faults_by_lines() {
    let pdu = pdu(8);
    for line in [
        "fault drop-every 3",
        "fault lose-requests 0.5",
        "fault lose-answers 0",
        "fault lose-set-answers 2",
        "fault delay 20ms",
        "fault too-big 10",
        "fault vanish on",
        "fault duplicate on",
        "outlet 3 stuck",
        "outlet 3 delay 2s",
        "outlet 3 watts 10",
        "outlet 4 off",
    ] {
        assert_eq!(pdu.command_line(line).as_deref(), Ok("ok"), "{line}");
    }
    let faults = pdu.state().faults.clone();
    assert_eq!((faults.drop_every, faults.lose_set_answers, faults.too_big_above), (Some(3), 2, Some(10)));
    assert!(faults.vanished && faults.stuck.contains(&3) && pdu.is_on(4) == Some(false));
    let stats: serde_json::Value = serde_json::from_str(&pdu.command_line("stats").unwrap()).unwrap();
    assert_eq!(stats["outlets"]["4"]["off"], 1);
    for bad in [
        "",
        "hello",
        "outlet 9 on",
        "outlet x on",
        "outlet 1 sing",
        "fault lose-answers 2",
        "fault vanish yes",
        "fault",
    ] {
        assert!(pdu.command_line(bad).is_err(), "{bad:?}");
    }
    pdu.command_line("fault clear").unwrap();
    assert_eq!(pdu.state().faults, Faults::default());
}

#[tokio::test]
async fn foreign_answers_come_first_and_say_the_contrary() {
    let pdu = pdu(1);
    let get = Pdu::request(PduKind::Get, 7, vec![(oid(&format!("{STATE}.1")), Value::Null)]);
    let request = Message { version: Version::V2c, community: "public".into(), pdu: get }.encode();
    let heard = |pdu: &SimPdu| {
        let decode = |bytes: &Vec<u8>| {
            let pdu = Message::decode(bytes).unwrap().pdu;
            (pdu.request_id == 7, pdu.varbinds[0].1.clone())
        };
        pdu.receive(&request).datagrams.iter().map(decode).collect::<Vec<_>>()
    };
    pdu.fault(|f| (f.foreign_id, f.duplicate) = (true, true));
    let (on, off) = (Value::Integer(2), Value::Integer(1));
    assert_eq!(heard(&pdu), [(false, off.clone()), (true, on.clone()), (true, on)]);
    pdu.fault(|f| f.lose_answers = 1.0);
    assert_eq!(heard(&pdu), [(false, off)]);
}

#[tokio::test]
async fn losses_are_the_same_in_every_run() {
    let run = || {
        let pdu = pdu(2);
        pdu.fault(|f| f.lose_requests = 0.3);
        let get = || Pdu::request(PduKind::Get, 1, vec![(oid("1.3.6.1.2.1.1.3.0"), Value::Null)]);
        (0..64).map(|_| ask(&pdu, Version::V1, "public", get()).is_some()).collect::<Vec<_>>()
    };
    let first = run();
    assert_eq!(first, run());
    assert!(first.contains(&true) && first.contains(&false));
}
