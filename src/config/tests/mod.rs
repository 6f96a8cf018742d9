//! The loader against whole files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::format_push_string)]

mod drivers;
mod example;
mod ldap;
mod mutated;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::*;
use drivers::TestSetup;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
    fn load(&self, env: &Env) -> Result<Loaded, Broken> {
        load_with(&self.0.path().join("rackfish.toml"), env, drivers::ALL)
    }
}

fn load_text(text: &str) -> Result<Loaded, Broken> {
    let dir = Dir::new();
    dir.write("rackfish.toml", text);
    dir.load(&Env::new())
}

/// Problems of a text, as `LINE: KEY: MESSAGE; WAY OUT`.
fn problems(text: &str) -> Vec<String> {
    let broken = load_text(text).expect_err("it should not check out");
    broken
        .problems
        .iter()
        .map(|p| {
            format!(
                "{}: {}",
                p.line.unwrap_or(0),
                Problem { file: "".into(), line: None, ..p.clone() }.to_string().trim_start_matches(": ")
            )
        })
        .collect()
}

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/config").join(name)
}

#[test]
fn everything_wrong_is_found_at_once() {
    let path = fixture("wrong.toml");
    let broken = load_with(&path, &Env::new(), drivers::ALL).unwrap_err();
    let folder = format!("{}/", path.parent().unwrap().display());
    let found: Vec<String> =
        broken.problems.iter().chain(&broken.warnings).map(|p| p.to_string().replace(&folder, "")).collect();
    let expected = fs::read_to_string(fixture("wrong.expected")).unwrap();
    if std::env::var_os("BLESS").is_some() {
        fs::write(fixture("wrong.expected"), format!("{}\n", found.join("\n"))).unwrap();
    } else {
        assert_eq!(found, expected.lines().collect::<Vec<_>>(), "run with BLESS=1 after reading each line");
    }
}

#[test]
fn ranges_fill_numbers_in_wherever_a_text_stands() {
    let loaded = load_text(
        r#"
        [endpoints."bmc-[01-12]"]
        driver = "test-bmc"
        address = "10.1.0.{n+100}"
        port = "{n+6230}"
        username = "u{0n}"
        poll = "1{n}s"
        [endpoints."pdu[1-2]"]
        driver = "test-pdu"
        address = "10.2.0.{n}"
        outlets = 48
        [chassis.rack1]
        slots = 12
        [nodes."node-[01-12]"]
        chassis = "rack1"
        slot = "{n}"
        host = "bmc-{0n}"
        feeds = ["pdu1/{n}", { unit = "pdu2/{n+12}", gap = "{n}s" }]
        macs = ["52:54:00:00:01:{0n}"]
        shutdown = { command = ["/bin/true", "{node}", "{0n}"] }
        [nodes."r[1-2]n[07,9]"]
        feeds = [{ unit = "pdu{n1}/3{n2-6}", off_time = "1s" }]
        "#,
    )
    .unwrap_or_else(|b| panic!("{:#?}", b.problems));
    let config = loaded.config;
    let setup = config.endpoints["bmc-07"].setup.as_any().downcast_ref::<TestSetup>().unwrap();
    assert_eq!(setup.table["address"].as_str(), Some("10.1.0.107"));
    assert_eq!(setup.table["port"].as_integer(), Some(6237));
    assert_eq!(setup.table["username"].as_str(), Some("u07"));
    assert_eq!(config.endpoints["bmc-07"].policy.pace.poll, Duration::from_secs(17));
    let node = &config.nodes["node-07"];
    assert_eq!(node.slot, Some(7));
    assert_eq!(node.host.as_ref().unwrap().to_string(), "bmc-07/host");
    assert_eq!(node.feeds[1].unit.to_string(), "pdu2/19");
    assert_eq!(node.feeds[1].gap, Duration::from_secs(7));
    assert_eq!(node.feeds[0].off_time, Duration::from_secs(7), "the endpoint's, which is the driver's");
    assert_eq!(node.facts.macs, ["52:54:00:00:01:07"]);
    let HookAction::Command(words) = &node.shutdown.as_ref().unwrap().action else { panic!() };
    assert_eq!(words, &["/bin/true", "{node}", "07"]);
    assert_eq!(config.nodes["r2n07"].feeds[0].unit.to_string(), "pdu2/31");
    assert_eq!(config.nodes["r1n9"].feeds[0].unit.to_string(), "pdu1/33");
    assert_eq!(config.nodes.len(), 16);
}

#[test]
fn files_are_layered_and_the_environment_comes_last() {
    let dir = Dir::new();
    dir.write(
        "rackfish.toml",
        "[server]\nlisten = \"127.0.0.1:1\"\nlog = \"warn\"\nstate_dir = \"state\"\ninclude = [\"nodes.d/*.toml\"]\n[auth]\nmax_sessions = 5\n",
    );
    dir.write("nodes.d/b.toml", "[nodes.n1]\nfeeds = \"pdu/1\"\n");
    dir.write("nodes.d/a.toml", "[endpoints.pdu]\ndriver = \"test-pdu\"\naddress = \"x\"\n");
    dir.write("nodes.d/.hidden.toml", "not toml");
    dir.write("nodes.d/note.txt", "not toml");
    dir.write("rackfish.toml.d/50-log.toml", "[server]\nlog = \"debug\"\n[server.tls]\ninsecure_plain_http = false\n[defaults.node]\nrestore = \"last-state\"\n");
    let env = env(&[
        ("RACKFISH_SERVER__LISTEN", "127.0.0.1:2, [::1]:3"),
        ("RACKFISH_SERVER__TLS__INSECURE_PLAIN_HTTP", "true"),
        ("RACKFISH_AUTH__MIN_PASSWORD", "12"),
        ("RACKFISH_PATIENCE__ACTION", "40s"),
        ("RACKFISH_CONFIG", "/else/where"),
        ("RACKFISH_NODES__N1__BOOT", "refuse"),
        ("BMC_PASSWORD", "x"),
    ]);
    let loaded = dir.load(&env).unwrap_or_else(|b| panic!("{:#?}", b.problems));
    let config = &loaded.config;
    assert_eq!(config.server.listen.len(), 2);
    assert_eq!(config.server.listen[1].to_string(), "[::1]:3");
    assert_eq!(config.server.log, "debug");
    assert!(config.server.tls.insecure_plain_http);
    assert_eq!(config.server.state_dir, dir.0.path().join("state"));
    assert_eq!((config.auth.max_sessions, config.auth.min_password), (5, 12));
    assert_eq!(config.patience.action, Duration::from_secs(40));
    assert_eq!(config.nodes["n1"].restore, Restore::LastState);
    assert_eq!(config.nodes["n1"].boot, BootPolicy::Store);
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].to_string().contains("RACKFISH_NODES__N1__BOOT"));
    let watched: Vec<_> =
        loaded.files.iter().map(|f| f.strip_prefix(dir.0.path()).unwrap().to_str().unwrap()).collect();
    assert_eq!(
        watched,
        [
            "nodes.d",
            "nodes.d/a.toml",
            "nodes.d/b.toml",
            "rackfish.toml",
            "rackfish.toml.d",
            "rackfish.toml.d/50-log.toml"
        ]
    );
    assert_eq!(state_dir(&dir.0.path().join("rackfish.toml"), &env), dir.0.path().join("state"));
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let dir = Dir::new();
    dir.write("rackfish.toml", "");
    let env = env(&[
        ("RACKFISH_SERVER__LISTN", "127.0.0.1:2"),
        ("RACKFISH_AUTH__MAX_SESSIONS", "many"),
        ("RACKFISH_SERVER__X[99999999]__Y", "1"),
    ]);
    let mut found: Vec<String> = dir.load(&env).unwrap_err().problems.iter().map(ToString::to_string).collect();
    found.sort();
    assert_eq!(
        found,
        [
            "environment variable RACKFISH_AUTH__MAX_SESSIONS: auth.max_sessions: must be a whole number, not a text; for example max_sessions = 1",
            "environment variable RACKFISH_SERVER__LISTN: server.listn: unknown key; did you mean 'listen'?",
        ]
    );
}

#[test]
fn secrets_come_from_files_and_the_environment() {
    let dir = Dir::new();
    dir.write("secrets/7.pw", "p{n}q\r\n");
    let open = dir.write("open.pw", "x");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    dir.write("empty.pw", "\n");
    dir.write("more.oids", "1.3.6");
    dir.write(
        "rackfish.toml",
        r#"
        [endpoints."bmc[7]"]
        driver = "test-bmc"
        address = "a"
        password = { file = "secrets/{n}.pw" }
        [endpoints.open]
        driver = "test-bmc"
        address = "a"
        password = { file = "open.pw" }
        [endpoints.lit]
        driver = "test-bmc"
        address = "a"
        password = "literal"
        [endpoints.env]
        driver = "test-pdu"
        address = "a"
        table = "more.oids"
        auth = { user = "u", password = { env = "PW" } }
        "#,
    );
    let loaded = dir.load(&env(&[("PW", "from env")])).unwrap_or_else(|b| panic!("{:#?}", b.problems));
    let table =
        |name: &str| loaded.config.endpoints[name].setup.as_any().downcast_ref::<TestSetup>().unwrap().table.clone();
    assert_eq!(table("bmc7")["password"].as_str(), Some("p{n}q"), "trimmed and not filled in");
    assert_eq!(table("env")["auth"]["password"].as_str(), Some("from env"));
    assert_eq!(table("env")["table"].as_str(), Some(dir.0.path().join("more.oids").to_str().unwrap()));
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("endpoints.open.password: everybody on this machine can read"));
    assert!(warnings[1].contains("endpoints.lit.password: the secret stands in the configuration itself"));
    assert!(!format!("{warnings:?}").contains("\"literal\""));

    dir.write(
        "rackfish.toml",
        r#"
        [endpoints."b[1-2]"]
        driver = "test-bmc"
        address = "a"
        password = { file = "no-{n}.pw" }
        [endpoints.b3]
        driver = "test-bmc"
        address = "a"
        password = { env = "NOPE" }
        [endpoints.b4]
        driver = "test-bmc"
        address = "a"
        password = { file = "empty.pw" }
        [endpoints.b5]
        driver = "test-bmc"
        address = "a"
        password = { file = "x", env = "y" }
        "#,
    );
    let broken = dir.load(&Env::new()).unwrap_err();
    let found: Vec<String> =
        broken.problems.iter().map(|p| p.to_string().replace(dir.0.path().to_str().unwrap(), "")).collect();
    assert!(
        found[0].contains(":5: endpoints.b1.password: the secret file /no-1.pw can't be read: No such file"),
        "{found:?}"
    );
    assert!(found[1].contains("endpoints.b2.password"), "{found:?}");
    assert!(found[2].contains(":9: endpoints.b3.password: there is no environment variable NOPE"), "{found:?}");
    assert!(found[3].contains(":13: endpoints.b4.password: the secret file /empty.pw is empty"), "{found:?}");
    assert!(found[4].contains("must be a secret, not a table"), "{found:?}");
    assert!(broken.files.iter().any(|f| f.ends_with("no-1.pw")), "watched, so that making it heals");
}

#[test]
fn fingerprints_tell_changed_endpoints_from_others() {
    let dir = Dir::new();
    let text = |poll: &str| {
        format!(
            "# {poll}\n[endpoints.a]\ndriver = \"test-pdu\"\naddress = \"a\"\ntable = \"t\"\ncommunity = {{ file = \"c\" }}\n[endpoints.b]\ndriver = \"test-pdu\"\naddress = \"a\"\npoll = \"{poll}\"\n"
        )
    };
    dir.write("c", "public");
    dir.write("t", "1.2.3");
    let prints = || {
        let config = dir.load(&Env::new()).unwrap().config;
        (config.endpoints["a"].fingerprint.clone(), config.endpoints["b"].fingerprint.clone())
    };
    dir.write("rackfish.toml", &text("10s"));
    let first = prints();
    assert_ne!(first.0, first.1);
    assert!(!first.0.contains("public"));
    dir.write("rackfish.toml", &text("11s"));
    let second = prints();
    assert_eq!(first.0, second.0, "a comment does not matter");
    assert_ne!(first.1, second.1);
    dir.write("c", "private");
    let third = prints();
    assert_ne!(second.0, third.0, "the secret does");
    dir.write("t", "1.2.4");
    assert_ne!(third.0, prints().0, "and a file that belongs to it");
}

#[test]
fn the_same_name_in_two_files_names_both_places() {
    let dir = Dir::new();
    dir.write("rackfish.toml", "[server]\ninclude = \"n/*.toml\"\n[endpoints.p]\ndriver = \"test-pdu\"\naddress = \"a\"\n[nodes.\"n[1-3]\"]\nfeeds = [\"p/{n}\"]\n");
    dir.write("n/a.toml", "\n[nodes.n2]\nfeeds = [\"p/9\"]\n[server]\ninclude = []\n");
    let broken = dir.load(&Env::new()).unwrap_err();
    let found: Vec<String> =
        broken.problems.iter().map(|p| p.to_string().replace(dir.0.path().to_str().unwrap(), "")).collect();
    assert_eq!(
        found,
        [
            "/n/a.toml:2: nodes.n2: is defined twice: also at /rackfish.toml:6; take one of them out",
            "/n/a.toml:5: server.include: only the main file can include others; move the pattern there",
        ]
    );
}

#[test]
fn a_missing_file_says_how_to_make_one() {
    let broken = Dir::new().load(&Env::new()).unwrap_err();
    assert_eq!(broken.problems.len(), 1);
    assert!(broken.problems[0].to_string().contains("rackfish init"), "{}", broken.problems[0]);
    assert_eq!(broken.files.len(), 2, "the file and the drop-in folder: {:?}", broken.files);
}

#[test]
fn syntax_errors_stop_further_looks_but_repeated_keys_do_not() {
    let found = problems("[nodes.a]\nfeeds = [\n[nodes.b]\nhots = 1\n");
    assert!(found.iter().all(|line| line.contains("toml.io")), "{found:?}");
    let found = problems("[server]\nlog = \"info\"\nlog = \"warn\"\nwath = true\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("3: duplicate key"), "{found:?}");
    assert_eq!(found[1], "4: server.wath: unknown key; did you mean 'watch'?");
}

#[test]
fn a_range_repeats_a_mistake_three_times_at_most() {
    let found = problems("[nodes.\"n[1-5000]\"]\nhost = \"bmc{n}\"\nhots = 1\n");
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[2].contains("there is no endpoint bmc3 (and 4997 more from the same line)"), "{found:?}");
    assert_eq!(found[3], "3: nodes.\"n[1-5000]\".hots: unknown key; did you mean 'host'?");
}

#[test]
fn ten_thousand_nodes_load_quickly_whatever_their_form() {
    let dir = Dir::new();
    let ranges = "[endpoints.\"bmc-[00001-10000]\"]\ndriver = \"test-bmc\"\naddress = \"10.0.0.{n}\"\npassword = { env = \"PW\" }\n[nodes.\"node-[00001-10000]\"]\nhost = \"bmc-{0n}\"\nchassis = \"r\"\nslot = \"{n}\"\nuuid = \"00000000-0000-4000-8000-0000000{0n}\"\n[chassis.r]\n";
    let mut plain = String::from("[chassis.r]\n");
    for n in 1..=10_000 {
        plain.push_str(&format!("[endpoints.bmc-{n:05}]\ndriver = \"test-bmc\"\naddress = \"10.0.0.{n}\"\npassword = {{ env = \"PW\" }}\n[nodes.node-{n:05}]\nhost = \"bmc-{n:05}\"\nchassis = \"r\"\nslot = {n}\nuuid = \"00000000-0000-4000-8000-0000000{n:05}\"\n"));
    }
    let env = env(&[("PW", "secret")]);
    for text in [ranges, plain.as_str()] {
        dir.write("rackfish.toml", text);
        let begin = std::time::Instant::now();
        let loaded = dir.load(&env).unwrap_or_else(|b| panic!("{:#?}", b.problems));
        let took = begin.elapsed();
        assert_eq!(loaded.config.nodes.len(), 10_000);
        // An unoptimised build on a busy machine; a quadratic pass would take minutes.
        assert!(took < Duration::from_secs(30), "{took:?}");
    }
}

fn doors(server: &str, doors: &str) -> String {
    format!(
        "[server]\n{server}\n[endpoints.\"b[1-4]\"]\ndriver = \"test-bmc\"\naddress = \"a\"\npassword = {{ env = \"PW\" }}\n\
         [nodes.\"n[1-4]\"]\nhost = \"b{{n}}\"\n{doors}\n"
    )
}

#[test]
fn doors_are_found_and_may_not_meet() {
    let load = |text: &str| {
        let dir = Dir::new();
        dir.write("rackfish.toml", text);
        dir.load(&env(&[("PW", "secret")]))
    };
    let config = load(&doors("", "door = \"10.2.0.{n}:443\"")).unwrap().config;
    let found: Vec<_> = config.doors().into_iter().map(|(at, node)| format!("{at} {node}")).collect();
    assert_eq!(found, ["10.2.0.1:443 n1", "10.2.0.2:443 n2", "10.2.0.3:443 n3", "10.2.0.4:443 n4"]);
    assert_eq!(config.named_addresses().len(), 5);
    let config = load(&doors("", "door = \"127.0.0.1:{n+9000}\"")).unwrap().config;
    assert_eq!(config.doors().len(), 4);
    assert_eq!(config.named_addresses().len(), 2, "an address once");
    let why = |server: &str, door: &str| {
        let broken = load(&doors(server, &format!("door = \"{door}\""))).err().map(|broken| broken.problems);
        broken.and_then(|problems| Some(problems.first()?.to_string())).unwrap_or_default()
    };
    assert!(why("", "10.2.0.1:443").contains("10.2.0.1:443 is already the door of n1"));
    assert!(why("listen = \"10.2.0.3:443\"", "10.2.0.{n}:443").contains("nodes.n3.door: 10.2.0.3:443 can't be"));
    assert!(why("listen = \"0.0.0.0:443\"", "10.2.0.{n}:443").contains("beside 0.0.0.0:443 (server.listen)"));
    assert!(why("operations_listen = \"10.2.0.2:443\"", "10.2.0.{n}:443").contains("(server.operations_listen)"));
    assert!(why("", "10.2.0.{n}").contains("is not an address to listen on"));
    assert!(why("", "10.2.0.{n}:0").contains("has no port"));
    assert_eq!(why("listen = \"[::]:443\"", "10.2.0.{n}:443"), "", "IPv4 has listeners of its own");
    let defaults = doors("", "") + "[defaults.node]\ndoor = \"10.2.0.1:443\"\n";
    assert!(load(&defaults).err().unwrap().problems[0].message.contains("can't be the same for all nodes"));
    // Both ways round, whichever node is read first.
    for order in [["[::]", "[::1]"], ["[::1]", "[::]"]] {
        let [one, two] = order.map(|ip| format!("door = \"{ip}:443\""));
        let text = doors("", "")
            + "[endpoints.c]\ndriver = \"test-bmc\"\naddress = \"a\"\npassword = { env = \"PW\" }\n\
            [endpoints.d]\ndriver = \"test-bmc\"\naddress = \"a\"\npassword = { env = \"PW\" }\n"
            + &format!("[nodes.x]\nhost = \"c\"\n{one}\n[nodes.y]\nhost = \"d\"\n{two}\n");
        assert!(load(&text).err().unwrap().problems[0].message.contains("can't be listened on beside"), "{order:?}");
    }
}
