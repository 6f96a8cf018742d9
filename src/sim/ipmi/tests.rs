//! The machine behind a BMC on a clock of our own; control lines.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use super::{Bmc, BmcConfig, RestorePolicy, cli::obey, data, machine::Machine};
use crate::{
    model::Secret,
    wire::ipmi::{
        command::{Control, Identify},
        sdr::Record,
        sel::Entry,
    },
};

fn config() -> BmcConfig {
    BmcConfig {
        switch_delay: Duration::from_secs(3),
        soft_delay: Some(Duration::from_secs(10)),
        cycle_off: Duration::from_secs(5),
        boot_delay: Duration::from_secs(30),
        ..BmcConfig::new("admin", Secret::new("password"))
    }
}

/// A machine and the seconds since it was made.
struct Clocked {
    machine: Machine,
    start: Instant,
}

impl Clocked {
    fn new(config: &BmcConfig) -> Self {
        Self { machine: Machine::new(config), start: Instant::now() }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn on_at(&mut self, seconds: u64) -> bool {
        self.machine.tick(self.at(seconds));
        self.machine.is_on()
    }

    fn control(&mut self, control: Control, seconds: u64) -> u8 {
        let now = self.at(seconds);
        self.machine.tick(now);
        self.machine.control(control, now)
    }

    fn mains(&mut self, on: bool, seconds: u64) {
        let now = self.at(seconds);
        self.machine.tick(now);
        self.machine.set_mains(on, now);
    }
}

#[test]
fn power_takes_its_time() {
    let mut it = Clocked::new(&config());
    assert_eq!(it.control(Control::HardReset, 0), 0xd5);
    assert_eq!(it.control(Control::PowerUp, 0), 0);
    assert!(!it.on_at(2) && it.on_at(3));
    // An off takes the place of an on that has not happened.
    it.control(Control::PowerDown, 10);
    it.control(Control::PowerUp, 11);
    assert!(it.on_at(13) && it.on_at(14));
    assert_eq!((it.machine.stats.power_on, it.machine.stats.power_off), (1, 0));
    // A cycle that nobody looked at in between still went through off.
    it.control(Control::PowerCycle, 20);
    assert!(it.on_at(100));
    assert_eq!((it.machine.stats.power_on, it.machine.stats.power_off), (2, 1));
    it.control(Control::SoftShutdown, 100);
    assert!(it.on_at(109) && !it.on_at(110));
    assert_eq!(it.machine.stats.controls, 6);
}

#[test]
fn an_operating_system_may_ignore_the_button() {
    let mut it = Clocked::new(&BmcConfig { soft_delay: None, on: true, ..config() });
    assert_eq!(it.control(Control::SoftShutdown, 0), 0);
    assert!(it.on_at(1000));
}

#[test]
fn mains_and_policies() {
    for (policy, after) in
        [(RestorePolicy::AlwaysOff, false), (RestorePolicy::Previous, true), (RestorePolicy::AlwaysOn, true)]
    {
        let mut it = Clocked::new(&BmcConfig { on: true, restore: policy, ..config() });
        it.mains(false, 10);
        assert!(!it.on_at(11) && !it.machine.is_alive());
        it.mains(true, 20);
        assert!(!it.on_at(49) && !it.machine.is_alive());
        assert_eq!(it.on_at(50), after, "{policy:?}");
        assert!(it.machine.is_alive());
    }
    // What was about to happen is forgotten with the mains.
    let mut it = Clocked::new(&config());
    it.control(Control::PowerUp, 0);
    it.mains(false, 1);
    it.mains(true, 2);
    assert!(!it.on_at(1000));
}

#[test]
fn boot_flags_live_a_minute() {
    const PXE: [u8; 5] = [0x80, 0x04, 0, 0, 0];
    const PXE_FOREVER: [u8; 5] = [0xe0, 0x04, 0, 0, 0];
    let valid = |it: &Clocked| it.machine.boot.flags.first().is_some_and(|flags| flags & 0x80 != 0);

    let mut it = Clocked::new(&BmcConfig { switch_delay: Duration::ZERO, ..config() });
    let now = it.at(0);
    it.machine.boot.set_flags(PXE, now);
    it.on_at(59);
    assert!(valid(&it));
    it.on_at(60);
    assert!(!valid(&it), "dropped after a minute");

    it.machine.boot.set_flags(PXE, it.at(100));
    it.control(Control::PowerUp, 159);
    assert_eq!((it.machine.stats.booted_from, valid(&it)), (Some(0x04), false), "used up by the start");

    it.machine.boot.keep = 0x08;
    it.machine.boot.set_flags(PXE, it.at(200));
    it.on_at(1000);
    assert!(valid(&it), "parameter 3 says to keep them");

    it.machine.boot.set_flags(PXE_FOREVER, it.at(1000));
    it.control(Control::HardReset, 1001);
    it.control(Control::HardReset, 1002);
    assert_eq!((it.machine.stats.booted_from, valid(&it)), (Some(0x84), true), "persistent");
}

#[test]
fn identify_goes_out() {
    let mut it = Clocked::new(&config());
    let now = it.at(0);
    it.machine.identify(15, false, now);
    it.on_at(14);
    assert_eq!(it.machine.light(), Identify::Timed);
    it.on_at(15);
    assert_eq!(it.machine.light(), Identify::Off);
    it.machine.identify(0, true, now);
    it.on_at(1000);
    assert_eq!(it.machine.light(), Identify::On);
}

#[test]
fn stuck() {
    let mut it = Clocked::new(&config());
    it.machine.stuck = true;
    assert_eq!(it.control(Control::PowerUp, 0), 0);
    assert!(!it.on_at(100));
}

/// What it serves can be read.
#[test]
fn data_is_sound() {
    for sensor in data::sensors().iter() {
        assert!(matches!(Record::decode(&sensor.record), Ok(Record::Sensors(found)) if found.len() == 1));
        assert!(!sensor.reading(true, None).unavailable);
    }
    for (number, entry) in (1u16..).zip(data::log()) {
        assert_eq!(Entry::decode(&entry).unwrap().id, number);
    }
}

#[test]
fn control_lines() {
    let bmcs: Vec<Bmc> = (1..=3).map(|number| Bmc::new(config().numbered(number))).collect();
    let ok = |line: &str| obey(&bmcs, line).unwrap();
    ok("@2 press on");
    assert_eq!(bmcs.iter().map(Bmc::is_on).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(bmcs.iter().map(Bmc::watts).collect::<Vec<_>>(), [8, 180, 8]);
    ok("mains off");
    assert!(bmcs.iter().all(|bmc| !bmc.is_alive() && bmc.watts() == 0));
    assert_eq!(ok("@2 stats").get("power_off").and_then(serde_json::Value::as_u64), Some(1));
    assert_eq!(ok("stats").as_array().map(Vec::len), Some(3));
    ok("@1 fault delay=20ms drop=0.5 lose_answers=2 late_answers=1 late_by=1s garbage=3 busy=4 duplicate=on stuck=on");
    ok("fault foreign=on");
    ok("fault clear");
    ok("@3 password another");
    ok("sensor 1 96");
    ok("sensor 1 auto");
    for wrong in [
        "",
        "@0 stats",
        "@4 stats",
        "@x stats",
        "fault",
        "fault delay",
        "fault drop=2",
        "fault x=1",
        "mains",
        "mains up",
        "sensor 1 256",
        "press",
        "password",
    ] {
        assert!(obey(&bmcs, wrong).is_err(), "{wrong:?}");
    }
    // One wrong word, and nothing of the line is done.
    assert!(obey(&bmcs, "fault vanish=on drop=x").is_err());
}
