//! Nodes as tests need them.
#![allow(missing_docs, clippy::expect_used, clippy::missing_panics_doc)]

use std::sync::Arc;

use time::{OffsetDateTime, macros::datetime};

use crate::{
    config::{BootPolicy, Facts, Feed, Node, Restore},
    fleet::{BootView, FeedView, NodeView, view::ManagerRef},
    model::{
        BootEnabled, BootMode, BootTarget, ChassisId, EndpointId, Led, Measure, NodeId, Origin, PowerState, Reading,
        ReadingState, Ref, ResetType, Stated, Thresholds,
    },
};

pub const NOW: OffsetDateTime = datetime!(2026-01-31 12:00:00 UTC);

fn stated<T>(value: T) -> Stated<T> {
    Stated { value, origin: Origin::Read, at: NOW - time::Duration::seconds(3) }
}

fn unit(text: &str) -> Ref {
    text.parse().expect("a unit")
}

pub fn reading(id: &str, measure: Measure, value: f64) -> Reading {
    Reading {
        id: id.to_owned(),
        name: id.to_uppercase(),
        measure,
        value: Some(value),
        state: ReadingState::Ok,
        thresholds: Thresholds { lower_critical: Some(600.7), ..Thresholds::default() },
        range: Some((0.0, 10_000.0)),
        number: Some(7),
        context: Some("CPU".to_owned()),
    }
}

fn node(name: &str, host: Option<Ref>, feeds: &[&str]) -> NodeView {
    let config = Node {
        id: NodeId::new(name).expect("a name"),
        chassis: ChassisId::new("rack1").ok(),
        slot: Some(1),
        host,
        feeds: feeds
            .iter()
            .map(|f| Feed {
                unit: unit(f),
                shared: false,
                gap: std::time::Duration::ZERO,
                off_time: std::time::Duration::from_secs(5),
            })
            .collect(),
        console: None,
        sensors: Vec::new(),
        indicator: None,
        boot: BootPolicy::Store,
        shutdown: None,
        restore: Restore::Device,
        door: None,
        controller_ready: std::time::Duration::ZERO,
        groups: Vec::new(),
        facts: Facts {
            macs: vec!["52:54:00:00:01:01".to_owned()],
            cpus: Some(8),
            cpu_arch: Some("x86_64".to_owned()),
            memory_gib: Some(32.0),
            manufacturer: Some("Contoso".to_owned()),
            ..Facts::default()
        },
    };
    NodeView {
        id: config.id.clone(),
        uuid: uuid::Uuid::from_u128(1),
        config: Arc::new(config),
        power: Some(stated(PowerState::On)),
        trouble: None,
        reachable: true,
        host_power: None,
        feeds: feeds
            .iter()
            .enumerate()
            .map(|(i, f)| FeedView {
                unit: unit(f),
                shared: false,
                power: Some(stated(if i == 0 { PowerState::On } else { PowerState::Off })),
                reachable: true,
                name: None,
            })
            .collect(),
        resets: vec![ResetType::On, ResetType::ForceOff, ResetType::ForceRestart],
        boot: BootView {
            enabled: BootEnabled::Disabled,
            target: BootTarget::None,
            mode: BootMode::Uefi,
            http_boot_uri: None,
            native: Vec::new(),
            kept: vec![BootTarget::Pxe, BootTarget::Hdd, BootTarget::Cd, BootTarget::UefiHttp],
            modes: vec![BootMode::Legacy, BootMode::Uefi],
            refused: false,
            last_start: None,
        },
        indicator: None,
        readings: Vec::new(),
        inventory: None,
        asset_tag: None,
        hold: None,
        operation: None,
        manager: ManagerRef::Rackfish,
        has_log: false,
        media: None,
    }
}

/// Two metered outlets.
pub fn pdu_node() -> NodeView {
    let mut view = node("node-02", None, &["pdu01/7", "pdu02/7"]);
    view.readings = vec![
        (
            unit("pdu01/7"),
            stated(Arc::new(vec![reading("power", Measure::Power, 80.0), reading("voltage", Measure::Voltage, 231.0)])),
        ),
        (unit("pdu02/7"), stated(Arc::new(vec![reading("power", Measure::Power, 40.5)]))),
    ];
    view
}

/// A BMC with sensors, a light and a log, and one feed.
pub fn ipmi_node() -> NodeView {
    let host = unit("bmc-01");
    let mut view = node("node-01", Some(host.clone()), &["pdu01/1"]);
    view.host_power = Some(stated(PowerState::On));
    view.boot.native = vec![BootTarget::Pxe, BootTarget::Hdd, BootTarget::Cd, BootTarget::BiosSetup];
    view.boot.kept = Vec::new();
    view.indicator = Some(Led::Off);
    view.readings = vec![(
        host,
        stated(Arc::new(vec![
            reading("cpu_temp", Measure::Temperature, 41.5),
            reading("fan1", Measure::FanRpm, 5400.6),
            reading("psu_power", Measure::Power, 210.0),
            reading("p12v", Measure::Voltage, 12.08),
        ])),
    )];
    view.manager = ManagerRef::Bmc(EndpointId::new("bmc-01").expect("a name"));
    view.has_log = true;
    view
}
