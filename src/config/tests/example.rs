//! `docs/rackfish.example.toml`: it loads, and it names every key there is and no other.

use std::collections::BTreeSet;

use super::*;
use crate::drivers::DRIVERS;

fn text() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rackfish.example.toml")).unwrap()
}

/// The example with its `#key = value` and `#[table]` lines in force.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    text().lines().map(line).collect::<Vec<_>>().join("\n")
}

fn load_example(text: &str) -> Result<Loaded, Broken> {
    let dir = Dir::new();
    dir.write("rackfish.toml", text);
    for file in [
        "secrets/bmc25.password",
        "secrets/ldap.password",
        "secrets/pdu01.community",
        "secrets/pdu02.auth",
        "secrets/pdu02.priv",
        "secrets/pxe.token",
        "secrets/relay.token",
        "tls/server.pem",
    ] {
        dir.write(file, "0123456789\n");
    }
    for n in 1..=24 {
        dir.write(&format!("secrets/bmc-{n:02}.kg"), "0x00\n");
    }
    dir.write("tls/server.key", "");
    dir.write("tls/directory-ca.pem", &super::ldap::certificate());
    dir.write("tls/clients.pem", "");
    dir.write(
        "keys.json",
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
    );
    let made = openssl::x509::X509::builder().and_then(|mut builder| {
        let key = openssl::pkey::PKey::generate_ed25519()?;
        builder.set_pubkey(&key)?;
        let today = openssl::asn1::Asn1Time::days_from_now(0)?;
        builder.set_not_before(&today)?;
        builder.set_not_after(&today)?;
        builder.sign(&key, openssl::hash::MessageDigest::null())?;
        builder.build().to_pem()
    });
    dir.write("tls/sso-ca.pem", &String::from_utf8(made.unwrap()).unwrap());
    fs::create_dir(dir.0.path().join("nodes.d")).unwrap();
    let env = env(&[("BMC_PASSWORD", "secret"), ("PDU01_WRITE", "secret"), ("TOKEN", "secret")]);
    load_with(&dir.0.path().join("rackfish.toml"), &env, DRIVERS)
}

fn sound(text: &str) -> Config {
    let loaded = load_example(text).unwrap_or_else(|b| panic!("{:#?}", b.problems));
    // That a hook's program is not on this machine is no matter here.
    let warnings: Vec<_> = loaded
        .warnings
        .iter()
        .filter(|w| !(w.message.ends_with("does not exist") || w.message.contains("is served yet")))
        .collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
    loaded.config
}

#[test]
fn it_loads_as_it_is() {
    let config = sound(&text());
    assert!(config.nodes.len() > 24 && config.endpoints.len() > 24, "ranges have been expanded");
    assert_eq!(config.server, Server::default(), "what it shows as default is the default");
    assert_eq!((config.auth, config.patience), (AuthConfig::default(), Patience::default()));
}

#[test]
fn what_it_shows_as_default_is_the_default() {
    let lines = |wanted: &[&str]| -> String {
        let full = uncommented();
        let kept = full.lines().filter(|line| {
            let key = line.split(" = ").next().unwrap_or_default();
            // A table that is not there by default is not there.
            (line.starts_with('[') && !line.starts_with("[auth.oauth")) || wanted.contains(&key)
        });
        // Only the tables up to [defaults].
        kept.take_while(|line| !line.starts_with("[defaults")).collect::<Vec<_>>().join("\n")
    };
    let shown: Vec<&str> =
        ["listen", "state_dir", "insecure_open_boot_hints", "observe_only", "watch", "log_format", "log"]
            .into_iter()
            // These are left to the AccountService by default: what is shown is an example.
            .chain(keys::AUTH.iter().copied().filter(|key| !key.starts_with("password_")))
            .chain(keys::PATIENCE.iter().copied())
            .collect();
    let config = sound(&lines(&shown));
    assert_eq!(config.server, Server::default());
    assert_eq!((config.auth, config.patience), (AuthConfig::default(), Patience::default()));
}

#[test]
fn it_names_every_key_and_no_other() {
    let table: toml::Table = uncommented_for_keys().parse().unwrap_or_else(|e| panic!("{e}"));
    let mut found = BTreeSet::new();
    collect(&mut found, "", &toml::Value::Table(table));
    let drivers_own = |path: &String| {
        let own = path.strip_prefix("endpoints.*.").is_some_and(|key| !keys::ENDPOINT.contains(&key));
        own || path.starts_with("defaults.")
    };
    let found: BTreeSet<String> = found.into_iter().filter(|path| !drivers_own(path)).collect();
    let known: BTreeSet<String> = keys::all_paths().into_iter().collect();
    // A shutdown hook has no files.
    let known: BTreeSet<String> = known.into_iter().filter(|path| path != "nodes.*.shutdown.files").collect();
    let missing: Vec<_> = known.difference(&found).collect();
    let surplus: Vec<_> = found.difference(&known).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}, unknown: {surplus:#?}");
}

/// What drivers say they know when they are given a key that they don't.
#[test]
fn it_names_every_key_of_every_driver() {
    let (text, table) = (text(), uncommented_for_keys().parse::<toml::Table>().unwrap());
    let shown: Vec<&toml::Table> =
        table["endpoints"].as_table().unwrap().values().filter_map(toml::Value::as_table).collect();
    for kind in DRIVERS {
        let odd = toml::Table::from_iter([("odd".to_owned(), toml::Value::Integer(1))]);
        let errors = (kind.parse)(&odd).err().unwrap();
        let said = errors.iter().find(|e| e.key.as_deref() == Some("odd")).unwrap();
        let (_, known) = said.message.rsplit_once(": ").unwrap();
        let known: Vec<&str> = known.split(", ").filter(|key| *key != "odd").collect();
        assert!(known.len() > 3, "{}: {}", kind.name, said.message);
        for key in known {
            let live = |e: &&toml::Table| e["driver"].as_str() == Some(kind.name) && e.contains_key(key);
            let told = text.contains(&format!("`{key}`"));
            assert!(shown.iter().any(live) || told, "{key} of {} is not in the example", kind.name);
        }
    }
}

/// All keys at once are more than one node can have, but they are TOML.
fn uncommented_for_keys() -> String {
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    let mut header = String::new();
    let mut out = Vec::new();
    for line in uncommented().lines() {
        if line.starts_with('[') {
            line.clone_into(&mut header);
        }
        // A key that is shown twice in a table (live, and as an alternative) counts once.
        if let Some((key, _)) = line.split_once(" = ")
            && !seen.insert((header.clone(), key.trim().to_owned()))
        {
            continue;
        }
        out.push(line.to_owned());
    }
    out.join("\n")
}

fn collect(found: &mut BTreeSet<String>, path: &str, value: &toml::Value) {
    match value {
        toml::Value::Table(table) => {
            let secret = !table.is_empty() && table.keys().all(|key| keys::SECRET.contains(&key.as_str()));
            if secret {
                return;
            }
            for (key, value) in table {
                let key =
                    if ["endpoints", "nodes", "chassis", "auth.oauth"].contains(&path) { "*" } else { key.as_str() };
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                if path.contains('.') && !path.ends_with('*') {
                    found.insert(path.clone());
                }
                if !path.ends_with(".columns") {
                    collect(found, &path, value);
                }
            }
        }
        toml::Value::Array(list) => list.iter().for_each(|item| collect(found, path, item)),
        _ => {}
    }
}

#[test]
fn its_other_lines_are_sound_too() {
    // Alternatives that exclude each other are tried one by one, each instead of what it replaces.
    let mut lines: Vec<String> = uncommented().lines().map(str::to_owned).collect();
    let http = lines.iter().rposition(|l| l.starts_with("http = ") && l.contains("agent.example")).unwrap();
    let command = lines.iter().position(|l| l.starts_with("command = [\"/usr/bin/ssh\"")).unwrap();
    lines[command] = std::mem::take(&mut lines[http]);
    let files = lines.iter().position(|l| l.starts_with("files = ")).unwrap();
    lines[files].clear();
    // Keys in a file or at an address.
    let keys = lines.iter().position(|l| l.starts_with("jwks_file = ")).unwrap();
    let in_a_file = std::mem::take(&mut lines[keys]);
    // Three ways to know a certificate, and no certificate here.
    for key in ["ca_file = \"bmc-ca", "fingerprint = "] {
        let line = lines.iter().position(|l| l.starts_with(key)).unwrap();
        lines[line].clear();
    }
    // Version 3 keys can't be shown with their default protocols and be wrong; the rest of them loads as it stands.
    sound(&lines.join("\n"));
    let http = lines.iter().position(|l| l.starts_with("http = ") && l.contains("pxe.example")).unwrap();
    lines[http].clear();
    lines[files] = "files = \"/srv/boot\"".to_owned();
    lines[keys] = in_a_file;
    for key in ["jwks_url", "ca_file = \"tls/sso", "refresh = ", "insecure_plain_jwks"] {
        let line = lines.iter().position(|l| l.starts_with(key)).unwrap();
        lines[line].clear();
    }
    sound(&lines.join("\n"));
}
