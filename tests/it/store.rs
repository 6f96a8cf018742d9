//! What was acknowledged survives `kill -9`, at any moment.
//!
//! This test binary starts itself again as a writer (the ignored test below), kills it and looks at what is left.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    collections::HashMap,
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use rackfish::store::{Expect, Kind, Safety, SqliteStore, Store as _};
use rand::Rng as _;
use serde_json::json;
use tempfile::TempDir;

const FOLDER: &str = "RACKFISH_TEST_KILL_FOLDER";
const ROUNDS: u32 = 30;
const TASKS: u64 = 8;

/// The writer: says on its standard output what was acknowledged. It ends only by being killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that the test below kills"]
async fn writes_until_killed() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    let store = SqliteStore::open(&folder).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let key = format!("k{task}");
            let mut revision = store.get(Kind::Operation, &key).await.unwrap().map_or(0, |doc| doc.revision);
            loop {
                let expect = if revision == 0 { Expect::Absent } else { Expect::Revision(revision) };
                let body = json!({"revision": revision + 1, "filler": "x".repeat(300)});
                revision = store.put(Kind::Operation, &key, expect, body, Safety::PowerLoss).await.unwrap();
                store.put(Kind::LastState, &key, Expect::Any, json!(revision), Safety::Behind).await.unwrap();
                // One write, one line: the parent may end it anywhere.
                std::io::stdout().write_all(format!("\nacknowledged {key} {revision}\n").as_bytes()).unwrap();
            }
        });
    }
    tasks.join_all().await;
}

#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    let dir = TempDir::new().unwrap();
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    let mut lines = 0_u64;
    for round in 0..ROUNDS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "store::writes_until_killed", "--ignored", "--nocapture"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (begun, has_begun) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = thread::spawn(move || {
            let mut seen = Vec::new();
            for line in output.lines().map_while(Result::ok) {
                if let Some((key, revision)) = line.strip_prefix("acknowledged ").and_then(|rest| rest.split_once(' '))
                {
                    seen.push((key.to_owned(), revision.parse::<u64>().unwrap()));
                    begun.send(()).ok();
                }
            }
            seen
        });
        // Never killed before it wrote something, so that each round counts.
        let started = has_begun.recv_timeout(Duration::from_secs(20));
        thread::sleep(Duration::from_micros(rand::rng().random_range(0..100_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = reader.join().unwrap();
        started.unwrap();
        lines += u64::try_from(seen.len()).unwrap();
        for (key, revision) in seen {
            let best = acknowledged.entry(key).or_default();
            *best = revision.max(*best);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open(dir.path()).unwrap();
            for (key, revision) in &acknowledged {
                let doc = store.get(Kind::Operation, key).await.unwrap().unwrap();
                assert!(doc.revision >= *revision, "round {round}: {key} is at {}, not {revision}", doc.revision);
                assert_eq!(doc.body["revision"], json!(doc.revision), "round {round}: half a write of {key}");
            }
        });
    }
    assert!(lines >= u64::from(ROUNDS) * 2, "only {lines} writes in {ROUNDS} rounds: nothing was proven");
}
