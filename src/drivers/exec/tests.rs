//! Settings and their errors; real small commands that keep their state in a file.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{fs, path::Path, time::Instant};

use tempfile::TempDir;

use super::{commands::fits, *};
use crate::model::{Act, ActKind, Aspect, AspectKind, Done, Fact, Fault, PowerAct, PowerState, Proof, Why};

fn parse_text(text: &str) -> Result<Arc<dyn Setup>, Vec<SettingsError>> {
    (KIND.parse)(&text.parse().unwrap())
}

fn messages(text: &str) -> Vec<String> {
    parse_text(text).unwrap_err().iter().map(ToString::to_string).collect()
}

fn unit(text: &str) -> Unit {
    Unit::new(text).unwrap()
}

#[test]
fn all_errors_are_found_at_once() {
    let found = messages(
        "units = ['a', 'b', 'a', 'c d']\non = 'relay on {unit}'\noff = ['bin/relay', '{outlet}', '{address}']\n\
         cycle = ['/usr/bin/{unit}']\nstatus = ['relay', 7, '{unit}']\nstatus_on = 'on'\nstatus_off = 1\n\
         confirm_within = '1d'\ntimeout = 0\nunit = 'x'\n[environment]\n'1A' = 'x'\nB = 1\nC = 'x'\n[secrets]\nC = 'y'",
    );
    for (key, hint) in [
        ("units", "\"a\" is named twice"),
        ("units", "\"c d\": "),
        ("on", "[\"relay\", \"on\", \"{unit}\"]"),
        ("off", "whole path"),
        ("off", "{outlet}: there are {unit} and {address}"),
        ("off", "add `address`"),
        ("off", "which of the units"),
        ("cycle", "program itself"),
        ("status_off", "another kind"),
        ("confirm_within", "within"),
        ("timeout", "within"),
        ("unit", "units"),
        ("environment.1A", "begins with no digit"),
        ("environment.B", "a whole number"),
        ("secrets.C", "`environment` too"),
    ] {
        assert!(found.iter().any(|m| m.contains(&format!("`{key}`")) && m.contains(hint)), "{key}: {found:#?}");
    }
    assert_eq!(found.len(), 15, "{found:#?}");
    let found = messages("address = 'x'");
    assert!(found.len() == 3 && found.iter().all(|m| m.contains("missing")), "{found:?}");
    let base = "units = [1]\non = ['a']\noff = ['b']\n";
    for (more, hint) in [
        ("off = ['a']", "same command"),
        ("status_on = 0", "no `status` command"),
        ("confirm_within = '1s'", "no `status` command"),
        ("status = ['s']\nstatus_on = 1", "give both or none"),
        ("status = ['s']\nstatus_on = [0, 2]\nstatus_off = [2, 3]", "two states"),
        ("status = ['s']\nstatus_on = 'x'\nstatus_off = ['x']", "two states"),
        ("status = ['s']\nstatus_on = 256\nstatus_off = 1", "0 to 255"),
        ("status = ['s']\nstatus_on = []\nstatus_off = 1", "one or a list"),
        ("cycle = []", "at least one"),
        ("cycle = ['']", "none of them empty"),
    ] {
        let base = if more.starts_with("off") { base.replace("off = ['b']\n", "") } else { base.to_owned() };
        let found = messages(&format!("{base}{more}"));
        assert!(found.len() == 1 && found[0].contains(hint), "{more}: {found:?}");
    }
    let many: Vec<String> = (0..257).map(|n| n.to_string()).collect();
    assert!(messages(&format!("{}units = {many:?}", base.replace("units = [1]\n", "")))[0].contains("at most 256"));
}

#[test]
fn units_are_those_that_are_named() {
    let setup = parse_text("units = ['door', 2]\non = ['r', '{unit}']\noff = ['r', '-{unit}']").unwrap();
    for (name, known) in [("door", true), ("2", true), ("1", false), ("host", false)] {
        assert_eq!(setup.presumed(&unit(name)).is_some(), known, "{name}");
    }
    let caps = setup.presumed(&unit("door")).unwrap();
    assert_eq!((caps.proof, caps.aspects.has(AspectKind::Power)), (Proof::None, false), "nothing tells");
    assert!(!caps.acts.has(ActKind::Cycle));
    assert_eq!(setup.address(), "r");
    let text = "units = ['u']\non = ['a']\noff = ['b']\ncycle = ['c']\nstatus = ['s']\nconfirm_within = '3s'\naddress = 'here'";
    let setup = parse_text(text).unwrap();
    let caps = setup.presumed(&unit("u")).unwrap();
    assert_eq!(caps.proof, Proof::ReadBack { within: Duration::from_secs(3) });
    assert!(caps.acts.has(ActKind::Cycle) && caps.aspects.has(AspectKind::Power));
    assert_eq!(setup.address(), "here");
}

#[test]
fn secrets_are_not_shown() {
    let text =
        "units = ['u']\non = ['a']\noff = ['b']\nsecrets = { TOKEN = 'hunter2' }\nenvironment = { A = 'hunter2' }";
    assert!(!format!("{:?}", parse_text(text).unwrap()).contains("hunter2"));
    assert!(KIND.is_secret("secrets.TOKEN") && !KIND.is_secret("environment.TOKEN") && !KIND.is_secret("secrets"));
}

#[test]
fn patterns_are_of_whole_lines() {
    for (pattern, line, is) in [
        ("on", "on", true),
        ("on", "connection", false),
        ("*on", "relay 3: on", true),
        ("*on", "one", false),
        ("relay * is on", "relay 3 is on", true),
        ("relay * is on", "relay 3 is on!", false),
        ("*a*b*", "xaxbx", true),
        ("*a*b*", "xbxax", false),
        ("a*a", "a", false),
        ("*", "", true),
        ("é*", "été", true),
    ] {
        assert_eq!(fits(pattern, line), is, "{pattern:?} {line:?}");
    }
}

/// A folder with a script: `switch WORD UNIT FOLDER` keeps its state in `FOLDER/UNIT`.
struct Bench {
    dir: TempDir,
    driver: Box<dyn Driver>,
}

const SCRIPT: &str = r#"
cd "$3" || exit 9
echo "$1 $2 ${TOKEN-no token} ${LANGUAGE-no language} ${HOME-no home}" >> log
case $1 in
    on | off) [ -e "stuck" ] || echo "$1" > "$2" ;;
    cycle) echo on > "$2" ;;
    status) grep -q on "$2" ;;
    say) echo "relay $2:"; echo "  state is $(cat "$2")"; [ ! -e broken ] || { echo "no bus" >&2; exit 4; } ;;
    fail) echo "relay board: no answer" >&2; exit 3 ;;
    hang) echo half-done > "$2"; sleep 60 ;;
    die) kill -9 $$ ;;
esac
"#;

impl Bench {
    fn new(keys: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("switch");
        fs::write(&script, SCRIPT).unwrap();
        for name in ["1", "2"] {
            fs::write(dir.path().join(name), "off\n").unwrap();
        }
        // Through the shell: a file that another thread's child still holds open for writing can't be executed.
        let command = |word: &str| format!("['/bin/sh', '{}', '{word}', '{{unit}}', '{{address}}']", script.display());
        let mut text = format!("units = [1, 2]\naddress = '{}'\n", dir.path().display());
        for line in keys.lines() {
            // `on = !word` is the script with that word.
            let line = line.split_once('!').map_or(line.to_owned(), |(head, word)| head.to_owned() + &command(word));
            text.push_str(&line);
            text.push('\n');
        }
        for word in ["on", "off"] {
            if !text.contains(&format!("\n{word} = ")) {
                text = text.replacen('\n', &format!("\n{word} = {}\n", command(word)), 1);
            }
        }
        Self { driver: parse_text(&text).unwrap().connect(), dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    async fn act(&mut self, name: &str, act: PowerAct) -> Result<Done, Fault> {
        self.driver.act(&[(unit(name), Act::Power(act))]).await.remove(0)
    }

    /// The states of all units, page by page.
    async fn states(&mut self) -> Result<Vec<Result<PowerState, Fault>>, Fault> {
        let (mut states, mut at) = (Vec::new(), None);
        loop {
            let page = self.driver.observe(&Aspect::Power, &[], at).await?;
            assert_eq!(page.items.len(), 1, "one command a page");
            states.extend(page.items.into_iter().map(|(_, fact)| match fact {
                Ok(Fact::Power(state)) => Ok(state),
                Ok(other) => panic!("{other:?}"),
                Err(fault) => Err(fault),
            }));
            at = page.next;
            if at.is_none() {
                return Ok(states);
            }
        }
    }
}

#[tokio::test]
async fn switches_and_tells_by_exit_code() {
    let mut bench = Bench::new("status = !status\ncycle = !cycle");
    assert_eq!(bench.driver.open().await.unwrap().len(), 2);
    assert_eq!(bench.states().await.unwrap(), [Ok(PowerState::Off), Ok(PowerState::Off)]);
    assert_eq!(bench.act("2", PowerAct::On).await, Ok(Done::Accepted));
    assert_eq!(bench.states().await.unwrap(), [Ok(PowerState::Off), Ok(PowerState::On)]);
    assert_eq!(bench.act("1", PowerAct::Cycle { off: None }).await, Ok(Done::Accepted));
    assert_eq!(bench.act("2", PowerAct::Off).await, Ok(Done::Accepted));
    assert_eq!(bench.states().await.unwrap(), [Ok(PowerState::On), Ok(PowerState::Off)]);
    fs::remove_file(bench.path().join("1")).unwrap();
    let states = bench.states().await.unwrap();
    // grep's 2 is neither 0 nor 1: an error of this unit alone.
    match &states[0] {
        Err(Fault::Refused(Why::Rejected(text))) => {
            assert!(
                text.contains("`status` of 1") && text.contains("exit status: 2") && text.contains("No such"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(states[1], Ok(PowerState::Off));
}

#[tokio::test]
async fn tells_by_its_output() {
    let mut bench = Bench::new("status = !say\nstatus_on = 'state is on'\nstatus_off = ['state is off', '*dark']");
    bench.act("1", PowerAct::On).await.unwrap();
    assert_eq!(bench.states().await.unwrap(), [Ok(PowerState::On), Ok(PowerState::Off)]);
    fs::write(bench.path().join("1"), "odd\u{7}").unwrap();
    match &bench.states().await.unwrap()[0] {
        Err(Fault::Garbage(text)) => assert!(text.contains("state is odd\"") && text.contains("neither"), "{text}"),
        other => panic!("{other:?}"),
    }
    // With patterns a failure is a failure, whatever was printed before it.
    fs::write(bench.path().join("broken"), "").unwrap();
    match &bench.states().await.unwrap()[1] {
        Err(Fault::Refused(Why::Rejected(text))) => assert!(text.contains("no bus"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_command_that_fails_is_quoted() {
    let mut bench = Bench::new("on = !fail");
    match bench.act("1", PowerAct::On).await {
        Err(Fault::Refused(Why::Rejected(text))) => {
            assert!(
                text.starts_with("`on` of 1: ") && text.ends_with("exit status: 3: relay board: no answer"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.act("1", PowerAct::Off).await, Ok(Done::Accepted), "the others go on");
    let none = bench.states().await.unwrap_err();
    assert!(matches!(none, Fault::Unsupported(_)), "{none:?}");
}

#[tokio::test]
async fn a_command_that_hangs_or_dies_is_uncertain() {
    let mut bench = Bench::new("on = !hang\noff = !die\ntimeout = '500ms'\nstatus = !hang");
    let begun = Instant::now();
    match bench.act("1", PowerAct::On).await {
        Err(Fault::Uncertain(text)) => assert!(text.contains("`on` of 1") && text.contains("500ms"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(fs::read_to_string(bench.path().join("1")).unwrap(), "half-done\n");
    let died = bench.act("1", PowerAct::Off).await;
    assert!(matches!(&died, Err(Fault::Uncertain(text)) if text.contains("signal: 9")), "{died:?}");
    for silent in bench.states().await.unwrap() {
        assert!(matches!(&silent, Err(Fault::Unreachable(text)) if text.contains("500ms")), "{silent:?}");
    }
}

#[tokio::test]
async fn what_can_not_be_started_was_not_sent() {
    let mut bench = Bench::new("on = ['/no/such/relay', '{unit}']\nstatus = ['/no/such/relay', '{unit}']");
    let states = bench.states().await.unwrap();
    assert!(matches!(&states[..], [Err(Fault::NotSent(_)), Err(Fault::NotSent(_))]), "{states:?}");
    match bench.act("1", PowerAct::On).await {
        Err(Fault::NotSent(text)) => assert!(text.contains("/no/such/relay"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_else_is_run() {
    let mut bench = Bench::new("status = !status");
    for act in [PowerAct::Reset, PowerAct::Soft, PowerAct::Nmi, PowerAct::Cycle { off: None }] {
        assert!(matches!(bench.act("1", act).await, Err(Fault::Unsupported(_))));
    }
    assert!(matches!(bench.act("3", PowerAct::On).await, Err(Fault::NoSuchUnit(_))));
    let page = bench.driver.observe(&Aspect::Power, &[unit("3"), unit("1")], None).await.unwrap();
    assert!(matches!(page.items[0].1, Err(Fault::NoSuchUnit(_))) && page.next.is_some(), "{page:?}");
    assert!(!bench.path().join("log").exists());
}

#[tokio::test]
async fn commands_see_what_they_are_given_and_nothing_else() {
    let mut bench = Bench::new("environment = { LANGUAGE = 'C' }\nsecrets = { TOKEN = 'a b; $x' }");
    bench.act("1", PowerAct::On).await.unwrap();
    assert_eq!(fs::read_to_string(bench.path().join("log")).unwrap(), "on 1 a b; $x C no home\n");
}
