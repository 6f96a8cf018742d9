//! No input makes the loader panic, hang or say nothing.

use proptest::prelude::*;

use super::*;

/// A file that checks out and has something of everything.
const SOUND: &str = r#"
[server]
listen = ["127.0.0.1:8443"]
include = ["x/*.toml"]
tls = { names = ["a.example"] }
[patience]
action = "25s"
[defaults.node]
boot = { hook = { http = { url = "http://h/{mac}", authorization = { env = "A" } }, timeout = "1s" } }
[endpoints."bmc-[01-04]"]
driver = "test-bmc"
address = "10.1.0.{n}"
password = { env = "A" }
rate = 1.5
[endpoints."pdu[1-2]"]
driver = "test-pdu"
address = "a"
columns = { status = "1.3" }
[chassis."rack[1]"]
slots = 8
[nodes."n[01-04]"]
chassis = "rack1"
slot = "{n}"
host = "bmc-{0n}"
feeds = ["pdu1/{n}", { unit = "pdu2/{n}", shared = true, gap = "1s" }]
macs = ["52:54:00:00:00:{0n}"]
memory_gib = 4.0
shutdown = { command = ["/bin/true"] }
"#;

/// Pieces that are more likely to hurt than random characters.
const PIECES: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "=",
    "\n",
    "#",
    ".",
    "-",
    ",",
    "{n}",
    "{0n9}",
    "[1-99999999999]",
    "[1-100000]",
    "\u{0}",
    "é",
    "\u{202e}",
    "0x7fffffffffffffff",
    "-1",
    "1e999",
    "nan",
    "inf",
    "1979-05-27",
    "true",
    "[[nodes]]",
    "server = 1",
    "[endpoints.",
    "\"\"\"",
    "[nodes.\"[\"]",
    "a.b.c.d",
    "\\u0000",
    "{ file = \"/dev/null\" }",
    "{n+999999999999}",
    "{n-1}",
    "99999999999999999999",
];

fn check(text: &str) {
    let env = env(&[("A", "x")]);
    let dir = Dir::new();
    dir.write("rackfish.toml", text);
    match dir.load(&env) {
        Ok(loaded) => assert!(loaded.config.nodes.len() <= range::MAX_NAMES),
        Err(broken) => {
            assert!(!broken.problems.is_empty());
            let lines = text.lines().count() + 1;
            for problem in &broken.problems {
                assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem:?}");
                assert!(!problem.message.is_empty());
            }
        }
    }
}

#[test]
fn the_sound_file_is_sound() {
    let dir = Dir::new();
    dir.write("rackfish.toml", SOUND);
    dir.load(&env(&[("A", "x")])).unwrap_or_else(|b| panic!("{:#?}", b.problems));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_are_judged_and_never_panic(
        edits in prop::collection::vec((0..SOUND.len(), 0_usize..12, 0..PIECES.len(), any::<bool>()), 1..6)
    ) {
        let mut text: Vec<char> = SOUND.chars().collect();
        for (at, cut, piece, replace) in edits {
            let at = at.min(text.len());
            let end = if replace { (at + cut).min(text.len()) } else { at };
            text.splice(at..end, PIECES[piece].chars());
        }
        check(&text.into_iter().collect::<String>());
    }

    #[test]
    fn values_of_the_wrong_kind_are_judged_and_never_panic(line in 0_usize..40, piece in 0..PIECES.len()) {
        let mut lines: Vec<String> = SOUND.lines().map(str::to_owned).collect();
        let at = line % lines.len();
        if let Some((key, _)) = lines[at].clone().split_once('=') {
            lines[at] = format!("{key}= {}", PIECES[piece]);
        }
        check(&lines.join("\n"));
    }
}

#[test]
fn deep_nesting_is_refused_by_the_parser() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("{} = 1", vec!["a"; 100_000].join(".")),
        format!("[{}]", vec!["a"; 50_000].join(".")),
    ] {
        check(&text);
    }
}
