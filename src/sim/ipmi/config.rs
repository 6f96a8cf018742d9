//! How a simulated BMC is set up, what can be wrong with it, what it counts.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use crate::{model::Secret, wire::ipmi::fru::Fru};

/// What a machine does when mains come back (IPMI 2.0, 28.8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RestorePolicy {
    /// Stays off.
    #[default]
    AlwaysOff,
    /// Starts if it ran before.
    Previous,
    /// Starts.
    AlwaysOn,
}

/// A user of a BMC.
#[derive(Debug, Clone)]
pub struct User {
    /// Name, at most 16 bytes.
    pub name: String,
    /// Password, at most 20 bytes.
    pub password: Secret,
    /// Highest privilege level: 2 user, 3 operator, 4 administrator.
    pub level: u8,
}

/// How a BMC is set up.
#[derive(Debug, Clone)]
pub struct BmcConfig {
    /// Users.
    pub users: Vec<User>,
    /// The BMC's key K_g, if one is set.
    pub kg: Option<Secret>,
    /// Cipher suites it takes, by number (of 1, 2, 3, 15, 16, 17).
    pub suites: Vec<u8>,
    /// Sessions at the same time; real BMCs have 4 to 16.
    pub max_sessions: usize,
    /// A session without traffic for so long is closed (60 s ± 3 s in the specification).
    pub session_idle: Duration,
    /// From the accepted command to the change of power.
    pub switch_delay: Duration,
    /// From a soft-off command to off; `None`: the operating system ignores the button.
    pub soft_delay: Option<Duration>,
    /// How long a power cycle stays off.
    pub cycle_off: Duration,
    /// From mains to the controller's first answer.
    pub boot_delay: Duration,
    /// What the host does after mains came back.
    pub restore: RestorePolicy,
    /// Whether the host is on at the start.
    pub on: bool,
    /// GUID as sent: IPMI's byte order.
    pub guid: [u8; 16],
    /// What FRU 0 holds.
    pub fru: Fru,
    /// Watts drawn on and off, by DCMI.
    pub watts: (u16, u16),
    /// Seed of everything random in its faults.
    pub seed: u64,
}

impl BmcConfig {
    /// A BMC with the administrator `user`.
    pub fn new(user: &str, password: Secret) -> Self {
        Self {
            users: vec![User { name: user.to_owned(), password, level: 4 }],
            kg: None,
            suites: vec![3, 17],
            max_sessions: 15,
            session_idle: Duration::from_mins(1),
            switch_delay: Duration::ZERO,
            soft_delay: Some(Duration::from_secs(2)),
            cycle_off: Duration::from_secs(1),
            boot_delay: Duration::from_secs(5),
            restore: RestorePolicy::AlwaysOff,
            on: false,
            guid: [0; 16],
            fru: Fru {
                chassis_part: Some("RF-CH-1".to_owned()),
                chassis_serial: Some("CH0000001".to_owned()),
                board_maker: Some("rackfish".to_owned()),
                board_product: Some("Simulated board".to_owned()),
                board_serial: Some("BRD0000001".to_owned()),
                board_part: Some("RF-B-1".to_owned()),
                product_maker: Some("rackfish".to_owned()),
                product_name: Some("Simulated server".to_owned()),
                product_part: Some("RF-P-1".to_owned()),
                product_version: Some("1.0".to_owned()),
                product_serial: Some("SIM0000001".to_owned()),
                asset_tag: None,
                damaged: Vec::new(),
            },
            watts: (180, 8),
            seed: 1,
        }
        .numbered(1)
    }

    /// The same with serial numbers and a GUID of their own, made of `number`.
    #[must_use]
    pub fn numbered(mut self, number: u32) -> Self {
        self.fru.chassis_serial = Some(format!("CH{number:07}"));
        self.fru.board_serial = Some(format!("BRD{number:07}"));
        self.fru.product_serial = Some(format!("SIM{number:07}"));
        let uuid = uuid::Uuid::from_u128(0x5d1f_7a10_4c3b_4d5e_8f60_0000_0000_0000 | u128::from(number));
        // On the wire the last byte of a GUID comes first (IPMI 2.0, 20.8).
        self.guid = *uuid.as_bytes();
        self.guid.reverse();
        self.seed = number.into();
        self
    }
}

/// What is wrong with a BMC. All fields can be changed while it runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Every answer takes so long.
    pub delay: Duration,
    /// Chance that a datagram to the BMC is lost, 0 to 1.
    pub drop: f64,
    /// So many of the next answers are lost, after the command was carried out.
    pub lose_answers: u32,
    /// So many of the next answers come `late_by` later than the others: after the next ones.
    pub late_answers: u32,
    /// See `late_answers`.
    pub late_by: Duration,
    /// So many of the next answers are noise.
    pub garbage: u32,
    /// Every answer comes twice.
    pub duplicate: bool,
    /// Before each answer come two that are somebody else's and say something else: one to another session, one to
    /// another request. They are not lost with `lose_answers`.
    pub foreign: bool,
    /// So many of the next commands are answered "node busy".
    pub busy: u32,
    /// No session is free.
    pub table_full: bool,
    /// Every password is wrong.
    pub wrong_password: bool,
    /// Power commands are accepted and change nothing.
    pub stuck: bool,
    /// Answers nothing at all.
    pub vanish: bool,
}

/// What a BMC counts, since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Stats {
    /// Datagrams to it, lost ones included.
    pub packets_in: u64,
    /// Transitions of the host's power.
    pub power_on: u64,
    pub power_off: u64,
    /// Chassis Control commands received, by any name.
    pub controls: u64,
    pub resets: u64,
    pub nmis: u64,
    /// Completed logins.
    pub logins: u64,
    /// Logins that failed by name or password.
    pub refused_logins: u64,
    /// Sessions open now, half-open ones included.
    pub sessions: usize,
    /// State now.
    pub on: bool,
    pub mains: bool,
    /// Boot device selector in force at the last start, with the EFI bit (0x20 of the flags) in bit 7.
    pub booted_from: Option<u8>,
}

/// What all BMCs of a rack have in common, once.
pub(super) type Shared<T> = Arc<[T]>;
