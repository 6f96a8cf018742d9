//! Two drivers for the loader's tests: they parse settings as real ones do and can't be opened.

use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    drivers::{Driver, DriverKind, Pace, SettingsError, Setup},
    model::{
        Act, ActKind, ActSet, Aspect, AspectKind, AspectSet, BootCaps, Caps, Cursor, Done, Fault, Page, Proof, Unit,
    },
};

pub static BMC: DriverKind = DriverKind {
    name: "test-bmc",
    summary: "a BMC",
    secrets: &["password"],
    files: &[],
    parse: |table| {
        let known = ["address", "username", "password", "port"];
        parse(table, &known, &["address"]).map(|()| Arc::new(TestSetup::new("test-bmc", table, 0)) as Arc<dyn Setup>)
    },
};

pub static PDU: DriverKind = DriverKind {
    name: "test-pdu",
    summary: "a PDU",
    secrets: &["community", "auth.password"],
    files: &["table"],
    parse: |table| {
        let known = ["address", "community", "auth", "table", "outlets", "columns"];
        let mut result = parse(table, &known, &["address"]);
        if let Some(columns) = table.get("columns").and_then(toml::Value::as_table)
            && columns.get("status").is_some_and(|status| !status.is_str())
        {
            let error = SettingsError::of("columns.status", "must be an OID");
            result = Err(result.err().into_iter().flatten().chain([error]).collect());
        }
        let outlets = table.get("outlets").and_then(toml::Value::as_integer).unwrap_or(24);
        result.map(|()| Arc::new(TestSetup::new("test-pdu", table, outlets)) as Arc<dyn Setup>)
    },
};

pub static ALL: &[&DriverKind] = &[&BMC, &PDU];

fn parse(table: &toml::Table, known: &[&str], required: &[&str]) -> Result<(), Vec<SettingsError>> {
    let mut errors: Vec<SettingsError> = Vec::new();
    for key in table.keys() {
        if !known.contains(&key.as_str()) {
            errors.push(match crate::config::nearest(key, known.iter().copied()) {
                Some(near) => SettingsError::of(key, format!("unknown key; did you mean '{near}'?")),
                None => SettingsError::of(key, "unknown key"),
            });
        }
    }
    for key in required {
        if !table.contains_key(*key) {
            errors.push(SettingsError::of(key, "is missing"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

#[derive(Debug)]
pub struct TestSetup {
    driver: &'static str,
    pub table: toml::Table,
    outlets: i64,
}

impl TestSetup {
    fn new(driver: &'static str, table: &toml::Table, outlets: i64) -> Self {
        Self { driver, table: table.clone(), outlets }
    }
}

impl Setup for TestSetup {
    fn driver(&self) -> &'static str {
        self.driver
    }
    fn address(&self) -> String {
        self.table.get("address").and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    }
    fn connect(&self) -> Box<dyn Driver> {
        Box::new(Deaf)
    }
    fn presumed(&self, unit: &Unit) -> Option<Caps> {
        let caps = |kinds: &[ActKind]| Caps {
            acts: ActSet::of(kinds),
            aspects: AspectSet::of(&[AspectKind::Power]),
            boot: BootCaps::default(),
            proof: Proof::Reply,
            batch: 1,
        };
        if self.outlets == 0 {
            return (unit.as_str() == Unit::HOST).then(|| caps(&[ActKind::On, ActKind::Off, ActKind::Indicator]));
        }
        match unit.as_str() {
            "env" => Some(caps(&[])),
            number => {
                let number: i64 = number.parse().ok()?;
                (1..=self.outlets).contains(&number).then(|| caps(&[ActKind::On, ActKind::Off]))
            }
        }
    }
    fn pace(&self) -> Pace {
        Pace { off_time: Duration::from_secs(7), ..Pace::default() }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Deaf;

#[async_trait]
impl Driver for Deaf {
    async fn open(&mut self) -> Result<Vec<(Unit, Caps)>, Fault> {
        Err(Fault::Unreachable("a test's driver".to_owned()))
    }
    async fn observe(&mut self, _: &Aspect, _: &[Unit], _: Option<Cursor>) -> Result<Page, Fault> {
        Err(Fault::Unreachable("a test's driver".to_owned()))
    }
    async fn act(&mut self, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
        acts.iter().map(|_| Err(Fault::Unreachable("a test's driver".to_owned()))).collect()
    }
    async fn close(&mut self) {}
}
