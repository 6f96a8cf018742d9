//! `init` against a device that answers from memory: what is written has to load.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{any::Any, fs, os::unix::fs::PermissionsExt};

use async_trait::async_trait;

use super::*;
use crate::{
    config,
    drivers::{Pace, SettingsError},
    model::{Act, ActSet, AspectSet, BootCaps, Done, Fault, Page, Proof},
};

static PDU: DriverKind = DriverKind {
    name: "fake-pdu",
    summary: "a PDU",
    secrets: &["community"],
    files: &[],
    parse: |table| {
        if table.get("community").and_then(toml::Value::as_str) != Some("s3cret") {
            return Err(vec![SettingsError::of("community", "is wrong")]);
        }
        let text = |key: &str| table.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        Ok(Arc::new(Fake { model: text("model"), address: text("address") }))
    },
};

static BMC: DriverKind = DriverKind {
    name: "fake-bmc",
    summary: "a BMC",
    secrets: &[],
    files: &[],
    parse: |_| Ok(Arc::new(Fake { model: "bmc".to_owned(), address: "b".to_owned() })),
};

#[derive(Debug, Clone)]
struct Fake {
    model: String,
    address: String,
}

impl Fake {
    fn units(&self) -> Vec<Unit> {
        match self.model.as_str() {
            "bmc" => vec![Unit::host()],
            "labels" => vec![Unit::new("1.7").unwrap(), Unit::outlet(2), Unit::outlet(3), Unit::outlet(4)],
            _ => (1..=24).map(Unit::outlet).chain([Unit::new("pdu").unwrap()]).collect(),
        }
    }
}

impl Setup for Fake {
    fn driver(&self) -> &'static str {
        if self.model == "bmc" { "fake-bmc" } else { "fake-pdu" }
    }
    fn address(&self) -> String {
        self.address.clone()
    }
    fn connect(&self) -> Box<dyn Driver> {
        Box::new(self.clone())
    }
    fn presumed(&self, unit: &Unit) -> Option<Caps> {
        self.units().contains(unit).then(|| caps(unit))
    }
    fn pace(&self) -> Pace {
        Pace::default()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn caps(unit: &Unit) -> Caps {
    let acts: &[ActKind] = if unit.as_str() == "pdu" { &[] } else { &[ActKind::On, ActKind::Off] };
    Caps {
        acts: ActSet::of(acts),
        aspects: AspectSet::of(&[AspectKind::Power, AspectKind::Inventory]),
        boot: BootCaps::default(),
        proof: Proof::Reply,
        batch: 1,
    }
}

#[async_trait]
impl Driver for Fake {
    async fn open(&mut self) -> Result<Vec<(Unit, Caps)>, Fault> {
        if self.model == "other" {
            return Err(Fault::Unsupported("no such table".to_owned()));
        }
        Ok(self.units().into_iter().map(|unit| (unit.clone(), caps(&unit))).collect())
    }
    async fn observe(&mut self, aspect: &Aspect, units: &[Unit], at: Option<Cursor>) -> Result<Page, Fault> {
        let fact = |unit: &Unit| match aspect {
            Aspect::Units if ["labels", "unset"].contains(&self.model.as_str()) => {
                let label = match unit.as_str() {
                    _ if self.model == "unset" => "Outlet 1",
                    "1.7" => "Web Server\u{7} 1",
                    "2" => "Outlet 2",
                    _ => "db",
                };
                Ok(Fact::Caps(caps(unit), Some(label.to_owned())))
            }
            Aspect::Inventory => Ok(Fact::Inventory(Box::new(Inventory {
                manufacturer: Some("ACME\n[server]".to_owned()),
                ..Inventory::default()
            }))),
            _ => Err(Fault::Unsupported("names".to_owned())),
        };
        // One unit a page: cursors have to be followed.
        let first = usize::try_from(at.map_or(0, |c| c.0[0])).unwrap();
        let next = (first + 1 < units.len()).then(|| Cursor(vec![u64::try_from(first + 1).unwrap()]));
        Ok(Page { items: vec![(units[first].clone(), fact(&units[first]))], next })
    }
    async fn act(&mut self, _: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
        panic!("init must not switch anything")
    }
    async fn close(&mut self) {}
}

fn draft(name: &str, models: &[&str], community: &str) -> Draft {
    Draft {
        kind: &PDU,
        name: EndpointId::new(name).unwrap(),
        node: None,
        keys: vec![("address".to_owned(), toml::Value::String("10.0.0.5".to_owned()))],
        secrets: vec![("community".to_owned(), Secret::new(community))],
        models: models.iter().map(|m| (*m).to_owned()).collect(),
    }
}

async fn init(dir: &Path, draft: &Draft) -> config::Config {
    let found = ask(draft).await.unwrap();
    write(dir, draft, &found).unwrap();
    let loaded = config::load_with(&dir.join("rackfish.toml"), &config::Env::new(), &[&PDU, &BMC]);
    let loaded = loaded.unwrap_or_else(|b| panic!("{:#?}", b.problems));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.config
}

#[tokio::test]
async fn what_is_written_loads_and_devices_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path(), &draft("pdu01", &["other", "plain"], "s3cret")).await;
    assert_eq!(config.nodes.len(), 24);
    assert_eq!(config.nodes["pdu01-outlet-07"].feeds[0].unit.to_string(), "pdu01/7");
    let text = fs::read_to_string(dir.path().join("nodes.d/pdu01.toml")).unwrap();
    assert!(text.starts_with("# ACME[server] at 10.0.0.5\n"), "a device's words stay in the comment: {text}");
    assert!(text.contains("model = \"plain\""), "the first that fits: {text}");
    assert!(!text.contains("s3cret"));
    let secret = dir.path().join("secrets/pdu01.community");
    assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);

    let config = init(dir.path(), &draft("pdu02", &["labels"], "s3cret")).await;
    assert_eq!(config.nodes.len(), 28);
    assert_eq!(config.nodes["web-server--1"].feeds[0].unit.to_string(), "pdu02/1.7");
    assert_eq!(config.nodes["pdu02-outlet-2"].feeds[0].unit.to_string(), "pdu02/2");
    assert_eq!(config.nodes["db"].feeds[0].unit.to_string(), "pdu02/3");
    assert_eq!(config.nodes["pdu02-outlet-4"].feeds[0].unit.to_string(), "pdu02/4", "the second of a label");

    let config = init(dir.path(), &draft("pdu03", &["unset"], "s3cret")).await;
    assert_eq!(config.nodes["pdu03-outlet-24"].feeds[0].unit.to_string(), "pdu03/24");
    let text = fs::read_to_string(dir.path().join("nodes.d/pdu03.toml")).unwrap();
    assert!(text.contains("[nodes.\"pdu03-outlet-[01-24]\"]"), "labels that nobody has set make one range: {text}");

    let bmc = Draft { kind: &BMC, secrets: Vec::new(), models: Vec::new(), ..draft("bmc-10-0-0-9", &[], "") };
    let config = init(dir.path(), &bmc).await;
    assert_eq!(config.nodes["node-10-0-0-9"].host.as_ref().unwrap().to_string(), "bmc-10-0-0-9/host");

    // Nothing is overwritten.
    let again = draft("pdu01", &["plain"], "s3cret");
    let found = ask(&again).await.unwrap();
    assert_eq!(write(dir.path(), &again, &found).unwrap_err().exit(), Exit::Failed);
}

#[tokio::test]
async fn what_fails_is_said_and_nothing_written() {
    let error = ask(&draft("p", &["other"], "s3cret")).await.err().unwrap();
    assert!(error.to_string().contains("as other: not supported: no such table"), "{error}");
    let error = ask(&draft("p", &["plain"], "guess")).await.err().unwrap();
    assert_eq!((error.exit(), error.to_string().as_str()), (Exit::Usage, "community: is wrong"));
}

#[test]
fn every_family_is_tried_unless_one_is_named() {
    let args = |model: Option<&str>| PduArgs {
        address: "10.0.0.5".to_owned(),
        name: None,
        port: 161,
        model: model.map(str::to_owned),
        version: None,
        community_file: None,
        write_community_file: None,
        user: None,
        auth_key_file: None,
        auth_protocol: None,
        priv_key_file: None,
        priv_protocol: None,
    };
    let families: Vec<String> = snmp_pdu::families().into_iter().map(|(name, _)| name).collect();
    assert!(families.len() > 3 && families[0] == "apc-rpdu2", "{families:?}");
    let draft = pdu_draft(&args(None)).unwrap();
    assert_eq!(draft.models, families);
    // Each of them is a `model` that the driver takes.
    assert!(draft.models.iter().all(|model| setup(&draft, Some(model)).is_ok()));
    assert_eq!(pdu_draft(&args(Some("generic"))).unwrap().models, ["generic"]);
}

#[test]
fn names_are_made_from_addresses() {
    let name = |address| endpoint_name(None, "bmc", address).unwrap().to_string();
    assert_eq!(name("10.0.0.9"), "bmc-10-0-0-9");
    assert_eq!(name("BMC1.example"), "bmc-bmc1-example");
    assert!(endpoint_name(Some(&"a b".to_owned()), "bmc", "x").is_err());
}
