//! Real programs, small ones.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Instant;

use super::*;

const INHERITED: Environment<'static> = Environment::Inherited(&["PATH", "CARGO_MANIFEST_DIR"]);
const LONG: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

async fn ended(script: &str) -> Ended {
    run(&shell(script), INHERITED, LONG).await.unwrap()
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| !"ZX".contains(state))
}

#[tokio::test]
async fn status_and_outputs_are_told() {
    let told = ended("echo out; echo first >&2; echo; printf 'second\\033[1m\\n\\n' >&2; exit 3").await;
    assert_eq!((told.status.code(), told.out.as_slice()), (Some(3), b"out\n\n".as_slice()));
    assert_eq!(told.complaint(), "first / second[1m", "no control characters, no empty lines");
    assert_eq!(ended("exit 1").await.complaint(), "it said nothing");
    assert_eq!(ended("kill -9 $$").await.status.code(), None);
    let alone = run(&shell("pwd; cat"), Environment::Only(&[]), LONG).await.unwrap();
    assert_eq!(alone.out, b"/\n", "an empty standard input");
}

#[tokio::test]
async fn a_talkative_program_is_neither_kept_whole_nor_blocked() {
    let told = ended("yes 0123456789 | head -c 1000000; yes error | head -c 1000000 >&2; exit 7").await;
    assert_eq!((told.out.len(), told.err.len(), told.status.code()), (MOST_OUTPUT, MOST_OUTPUT, Some(7)));
    assert!(told.complaint().chars().count() <= MOST_QUOTED);
}

#[tokio::test]
async fn what_is_late_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!("sleep 60 & echo $! > '{0}'; echo $$ >> '{0}'; wait", pids.display());
    let begun = Instant::now();
    let late = run(&shell(&script), INHERITED, Duration::from_millis(700)).await.unwrap_err();
    assert_eq!(late.to_string(), "/bin/sh was not done within 700ms and was killed");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let pids = std::fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        for _ in 0..100 {
            if alive(pid) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        assert!(!alive(pid), "{pid} of {pids:?} is still there");
    }
}

#[tokio::test]
async fn nobody_waiting_ends_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("sleep 60 & echo $! > '{}'; wait", file.display());
    let argv = shell(&script);
    tokio::select! {
        _ = run(&argv, INHERITED, LONG) => panic!("it can't have ended"),
        () = async {
            while std::fs::read_to_string(&file).unwrap_or_default().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        } => {}
    }
    let pid = std::fs::read_to_string(&file).unwrap();
    for _ in 0..100 {
        if alive(&pid) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(!alive(&pid));
}

/// `ssh` with ControlPersist leaves a master behind that holds the outputs: that must not make a fast command slow.
#[tokio::test]
async fn what_stays_behind_is_neither_waited_for_nor_killed() {
    let begun = Instant::now();
    let told = ended("sleep 5 & echo $!; echo done").await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let out = String::from_utf8(told.out).unwrap();
    assert!(out.ends_with("done\n"), "{out}");
    let pid = out.lines().next().unwrap();
    assert!(alive(pid));
    nix::sys::signal::kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn the_environment_is_what_it_is_told_to_be() {
    let variables = [("GREETING".to_owned(), Secret::new("hello $HOME; `id`"))];
    let told = run(&shell("env"), Environment::Only(&variables), LONG).await.unwrap();
    let text = String::from_utf8(told.out).unwrap();
    // A shell adds some of its own.
    let own = ["PWD", "OLDPWD", "SHLVL", "_"];
    let names: Vec<&str> =
        text.lines().filter_map(|line| line.split('=').next()).filter(|name| !own.contains(name)).collect();
    assert!(names.len() == 2 && names.contains(&"PATH") && names.contains(&"GREETING"), "{text}");
    assert!(text.contains("GREETING=hello $HOME; `id`\n"), "{text}");
    let text = String::from_utf8(ended("env; pwd").await.out).unwrap();
    assert!(text.contains("CARGO_MANIFEST_DIR=") && !text.contains("CARGO_PKG_NAME="), "{text}");
    assert!(text.ends_with(&format!("{}\n", std::env::current_dir().unwrap().display())), "its own folder");
}

#[tokio::test]
async fn what_can_not_be_started_is_named() {
    let nothing = run(&["/no/such/program".to_owned()], INHERITED, LONG).await.unwrap_err();
    assert!(nothing.to_string().starts_with("/no/such/program can't be started: "), "{nothing}");
    assert!(matches!(run(&[], INHERITED, LONG).await, Err(RunError::Empty)));
}
