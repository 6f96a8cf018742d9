//! The settings and their errors, and the family files. The driver at work: `tests/it/snmp`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use super::{family, settings::Settings, *};

fn parse_text(text: &str) -> Result<Arc<dyn Setup>, Vec<SettingsError>> {
    (KIND.parse)(&text.parse().unwrap())
}

fn messages(text: &str) -> Vec<String> {
    parse_text(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn every_family_file_is_sound() {
    let mut orders = std::collections::BTreeMap::new();
    for &(name, text) in family::FILES {
        let family = family::parse_file(text).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(family.name, name, "the file's name is the family's");
        let other = orders.insert(family.try_order, name);
        assert_eq!(other, None, "{name} has the same try_order");
        for id in &family.sys_object_ids {
            assert_eq!(family::claims(id), Some(name), "{id} is claimed by another family too");
        }
        assert!(!family.sys_object_ids.is_empty(), "{name} can be recognised");
        assert!(family.outlets.status.is_some(), "{name} can be verified");
        assert!(family.identity.model.is_some() && family.identity.serial.is_some(), "{name} tells what it is");
    }
    let order: Vec<String> = families().into_iter().map(|(name, _)| name).collect();
    assert_eq!(order.len(), family::FILES.len());
    // These answer each other's tables.
    let apc: Vec<&str> = order.iter().map(String::as_str).filter(|name| name.starts_with("apc-")).collect();
    assert_eq!(apc, ["apc-rpdu2", "apc-rpdu", "apc-masterswitch"], "newest first");
    let rpdu2 = "1.3.6.1.4.1.318.1.3.4.6.1".parse().unwrap();
    assert_eq!(family::claims(&rpdu2), Some("apc-rpdu2"));
}

/// With a thousand PDUs an idle conversation must stay small.
#[test]
fn an_idle_conversation_is_small() {
    assert!(size_of::<driver::Conversation>() < 1024, "{}", size_of::<driver::Conversation>());
}

#[test]
fn presumed_units() {
    let setup = parse_text("model = 'apc-rpdu'\naddress = 'pdu.example'\noutlets = 8").unwrap();
    let unit = |text: &str| setup.presumed(&Unit::new(text).unwrap());
    assert!(unit("1").is_some() && unit("8").is_some() && unit("pdu").is_some());
    for none in ["0", "9", "08", "host", "1.7", "-1", "99999999999"] {
        assert!(unit(none).is_none(), "{none}");
    }
    let two = "model = 'generic'\naddress = '::1'\n[columns]\ncommand = '1.3.6.1.4.1.9.*.4'\non = 1\noff = 0\nindex_parts = 2";
    let setup = parse_text(two).unwrap();
    assert!(setup.presumed(&Unit::new("1.7").unwrap()).is_some());
    assert!(setup.presumed(&Unit::new("7").unwrap()).is_none());
    assert_eq!(setup.address(), "[::1]:161");
}

#[test]
fn all_errors_are_found_at_once() {
    let found = messages(
        "model = 'apc-rdpu'\naddress = '10.0.0.05'\nport = 70000\nversion = '2'\ncomunity = 'x'\ntimeout = 'soon'\noutlets = 0",
    );
    for (key, hint) in [
        ("model", "apc-rpdu2"),
        ("address", "octal"),
        ("port", "65535"),
        ("version", "2c"),
        ("comunity", "community"),
        ("timeout", "500ms"),
        ("outlets", "1 to"),
    ] {
        assert!(found.iter().any(|m| m.contains(&format!("`{key}`")) && m.contains(hint)), "{key}: {found:#?}");
    }
    assert_eq!(found.len(), 7, "{found:#?}");
    let found = messages("port = 161");
    assert!(found.len() == 2 && found.iter().all(|m| m.contains("missing")), "{found:?}");
}

#[test]
fn columns_are_checked_too() {
    let found = messages(
        "model = 'generic'\naddress = 'a'\n[columns]\ncommand = '1.3.6.1.4'\non = 1\noff = 1\nstatus = '1.3.*.*'\n\
         status_on = 'x'\nvolts = 1\npower = { oid = '1.3.6.*', scale = 0 }\ncurrent = { scale = 2 }\nconfirm_within = '1h'\n\
         [totals]\nwhatever = '1.3.6.1'",
    );
    for (key, hint) in [
        ("columns.command", "`*`"),
        ("columns.off", "same value"),
        ("columns.status", "can be only one"),
        ("columns.status_on", "numbers"),
        ("columns.volts", "no such key"),
        ("columns.power.scale", "zero"),
        ("columns.current.oid", "missing"),
        ("columns.confirm_within", "time"),
        ("totals.whatever", "measure"),
    ] {
        assert!(found.iter().any(|m| m.contains(&format!("`{key}`")) && m.contains(hint)), "{key}: {found:#?}");
    }
    assert_eq!(found.len(), 9, "{found:#?}");
}

#[test]
fn off_may_have_a_column_of_its_own() {
    let settings = |columns: &str| {
        format!("model = 'generic'\naddress = 'a'\n[columns]\ncommand = '1.3.6.4.*'\non = 0\noff = 0\n{columns}")
    };
    let setup = settings::parse(&settings("command_off = '1.3.6.3.*'\nindex_parts = 2").parse().unwrap()).unwrap();
    let outlets = &setup.family.outlets;
    assert_eq!(outlets.order(&[0, 7], true), ("1.3.6.4.0.7".parse().unwrap(), 0));
    assert_eq!(outlets.order(&[0, 7], false), ("1.3.6.3.0.7".parse().unwrap(), 0));
    assert_eq!(outlets.index(&Unit::new("0.7").unwrap()), Some(vec![0, 7]));
    let same = messages(&settings(""));
    assert!(same.len() == 1 && same[0].contains("`columns.off`") && same[0].contains("command_off"), "{same:?}");
    let column = messages(&settings("command_off = '1.3.6.4.*'"));
    assert!(column.len() == 1 && column[0].contains("`columns.command_off`"), "{column:?}");
}

#[test]
fn version_3_is_checked() {
    let base = "model = 'apc-rpdu2'\naddress = '10.0.0.5'\n";
    let v3 = |more: &str| messages(&format!("{base}{more}")).join("\n");
    assert!(v3("version = '3'").contains("`user`"));
    assert!(v3("user = 'a'\nauth_key = 'short'").contains("eight"));
    assert!(v3("user = 'a'\npriv_key = 'longenough'").contains("`auth_key`"));
    assert!(v3("user = 'a'\nauth_protocol = 'sha'").contains("`auth_key`"));
    assert!(v3("user = 'a'\ncommunity = 'x'").contains("versions 1 and 2c"));
    assert!(v3("version = '1'\nuser = 'a'").contains("version 3"));
    assert!(parse_text(&format!("{base}user = 'a'\nauth_key = 'longenough'\npriv_key = 'longenough'")).is_ok());
}

#[test]
fn secrets_are_not_shown() {
    let text = "model = 'apc-rpdu2'\naddress = '10.0.0.5'\nuser = 'a'\nauth_key = 'hunter2hunter2'\npriv_key = 'hunter2hunter2'";
    assert!(!format!("{:?}", parse_text(text).unwrap()).contains("hunter2"));
    let text = "model = 'apc-rpdu2'\naddress = '10.0.0.5'\ncommunity = 'hunter2'";
    assert!(!format!("{:?}", parse_text(text).unwrap()).contains("hunter2"));
    let _: fn(&toml::Table) -> Result<Settings, Vec<SettingsError>> = settings::parse;
}

#[test]
fn a_family_file_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let text = include_str!("models/apc-rpdu.toml").replace("apc-rpdu", "mine");
    std::fs::write(&path, &text).unwrap();
    let keys = format!("model_file = '{}'\naddress = 'pdu'", path.display());
    assert!(parse_text(&keys).is_ok());
    std::fs::write(&path, text.replace("on = 1", "on = 'yes'")).unwrap();
    let found = messages(&keys);
    assert!(found.iter().any(|m| m.contains("mine.toml") && m.contains("columns.on")), "{found:?}");
    assert!(messages("model_file = '/nowhere'\naddress = 'pdu'")[0].contains("/nowhere"));
}
