//! Settings, and what failures mean.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::{
    IpmiSetup,
    faults::Failure,
    repository::slug,
    settings::{Suites, duration, parse},
};
use crate::{
    drivers::{SettingsError, Setup},
    model::{ActKind, AspectKind, Fault, Unit, Why},
    wire::ipmi::UserKey,
};

fn keys_wrong(text: &str) -> Vec<String> {
    match parse(&text.parse().unwrap()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.into_iter().filter_map(|SettingsError { key, .. }| key).collect(),
    }
}

fn good(text: &str) -> std::sync::Arc<dyn Setup> {
    parse(&text.parse().unwrap()).unwrap()
}

#[test]
fn defaults() {
    let setup = good("address = '10.0.0.1'");
    let ipmi = setup.as_any().downcast_ref::<IpmiSetup>().unwrap();
    assert_eq!((ipmi.port, ipmi.level, ipmi.timeout, ipmi.suites), (623, 4, Duration::from_secs(1), Suites::Auto));
    assert_eq!(ipmi.proposals().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [17, 3]);
    ipmi.agreed_on(3);
    assert_eq!(ipmi.proposals().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3, 17]);
    assert_eq!((setup.driver(), setup.address().as_str()), ("ipmi", "10.0.0.1:623"));
    let caps = setup.presumed(&Unit::host()).unwrap();
    assert!(caps.acts.has(ActKind::Nmi) && caps.aspects.has(AspectKind::Sensors) && caps.boot.persistent);
    assert!(setup.presumed(&Unit::outlet(1)).is_none());
}

#[test]
fn all_settings() {
    let setup = good(
        "address = 'bmc-1.example'\nport = 6230\nusername = 'admin'\npassword = 'a password of 20 byt'\n\
         kg = '0x00ff10'\ncipher_suite = 17\nprivilege = 'operator'\ntimeout = '250ms'",
    );
    let ipmi = setup.as_any().downcast_ref::<IpmiSetup>().unwrap();
    assert_eq!(ipmi.kg, Some(UserKey::new(&[0x00, 0xff, 0x10])));
    assert_eq!((ipmi.level, ipmi.suites, ipmi.timeout), (3, Suites::Only(17), Duration::from_millis(250)));
    assert!(!format!("{setup:?}").contains("a password"), "secrets are never shown");
}

#[test]
fn addresses() {
    for (text, shown) in [
        ("127.0.0.2", "127.0.0.2:623"),
        ("fe80::1", "[fe80::1]:623"),
        ("[2001:db8::7]", "[2001:db8::7]:623"),
        ("fe80::1%eth0", "[fe80::1%eth0]:623"),
        ("bmc.rack-1.example.", "bmc.rack-1.example.:623"),
    ] {
        assert_eq!(good(&format!("address = '{text}'")).address(), shown);
    }
    for text in [
        "",
        "10.0.0.010",
        "10.0.0",
        "10.0.0.256",
        "010.1",
        "bmc 1",
        "bmc/1",
        "10.0.0.1:623",
        "fe80::g",
        "a..b",
        "[::1",
        "fe80::1%",
    ] {
        assert_eq!(keys_wrong(&format!("address = '{text}'")), ["address"], "{text:?}");
    }
    let Err(errors) = parse(&"address = '10.1.0.08'".parse().unwrap()) else { unreachable!() };
    assert!(errors.iter().any(|error| error.message.contains("octal")));
}

/// All that is wrong is found at once, and no secret is repeated.
#[test]
fn wrong_settings() {
    let text = "port = 0\nusername = 'a name of 17 byte'\npassword = 'a password of 21 bytes'\nkg = '0xabc'\n\
                cipher_suite = 0\nprivilege = 'root'\ntimeout = '1h'\nadress = 'x'";
    let Err(errors) = parse(&text.parse().unwrap()) else { unreachable!() };
    let mut keys: Vec<_> = errors.iter().filter_map(|error| error.key.as_deref()).collect();
    keys.sort_unstable();
    let expected = ["address", "adress", "cipher_suite", "kg", "password", "port", "privilege", "timeout", "username"];
    assert_eq!(keys, expected);
    assert!(errors.iter().all(|error| !error.message.contains("a password of") && !error.message.contains("abc")));
    for (text, key) in [
        ("address = 7", "address"),
        ("address = 'a'\npassword = 12345", "password"),
        ("address = 'a'\nkg = 'a key of more than 20'", "kg"),
        ("address = 'a'\nkg = '0xzz'", "kg"),
        ("address = 'a'\ntimeout = 5", "timeout"),
        ("address = 'a'\ntimeout = '61s'", "timeout"),
        ("address = 'a'\nport = 65536", "port"),
    ] {
        assert_eq!(keys_wrong(text), [key], "{text}");
    }
    assert_eq!(keys_wrong("address = 'a'\ntimeout = 1500"), Vec::<String>::new());
}

#[test]
fn durations() {
    assert_eq!(duration("1s"), Some(Duration::from_secs(1)));
    assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
    assert_eq!(duration(" 20 ms"), Some(Duration::from_millis(20)));
    for wrong in ["", "s", "1", "1m", "-1s", "nans", "1e300s"] {
        assert_eq!(duration(wrong), None, "{wrong:?}");
    }
}

#[test]
fn what_failures_mean() {
    let silence = || Failure::Silence(Duration::from_secs(1));
    assert!(matches!(silence().into_fault(), Fault::Unreachable(_)));
    assert!(matches!(silence().into_act_fault(), Fault::Uncertain(_)));
    assert!(matches!(Failure::Gone(String::new()).into_act_fault(), Fault::Uncertain(_)));
    assert!(matches!(Failure::NotSent(String::new()).into_act_fault(), Fault::NotSent(_)));
    // A BMC that ran out of time may have done it.
    assert!(matches!(Failure::Code(0xc3).into_act_fault(), Fault::Uncertain(_)));
    for (code, meaning) in [
        (0xc0, "busy"),
        (0xd2, "busy"),
        (0xc1, "unsupported"),
        (0xd4, "privilege"),
        (0xd5, "rejected"),
        (0xcc, "rejected"),
        (0xff, "rejected"),
    ] {
        for fault in [Failure::Code(code).into_fault(), Failure::Code(code).into_act_fault()] {
            let found = match &fault {
                Fault::Busy { .. } => "busy",
                Fault::Unsupported(_) => "unsupported",
                Fault::Refused(Why::Privilege(_)) => "privilege",
                Fault::Refused(Why::Rejected(_)) => "rejected",
                _ => "something else",
            };
            assert_eq!(found, meaning, "{code:#x}");
        }
    }
}

#[test]
fn ids_of_readings() {
    assert_eq!(slug("CPU Temp"), "cpu_temp");
    assert_eq!(slug("+12V (main)"), "12v_main");
    assert_eq!(slug("Température"), "temp_rature");
    assert_eq!(slug("***"), "");
}
