//! One contract for every store, then what only the file can get wrong.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::{
    Expect, Kind, MemoryStore, Safety, SqliteStore, Store, StoreError, read, read_all, schema, write, writer::Command,
};

const SAFETIES: [Safety; 2] = [Safety::PowerLoss, Safety::Behind];

/// Runs `check` against each store.
async fn each<F: Future<Output = ()>>(check: impl Fn(Arc<dyn Store>) -> F) {
    check(MemoryStore::new()).await;
    let dir = TempDir::new().unwrap();
    check(SqliteStore::open(dir.path()).unwrap()).await;
}

fn found(error: &StoreError) -> u64 {
    match error {
        StoreError::Conflict { found, .. } => *found,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn revisions_and_compare_and_set() {
    each(|store| async move {
        for (n, safety) in SAFETIES.into_iter().enumerate() {
            let key = format!("k{n}");
            let put = async |expect, body| store.put(Kind::Hold, &key, expect, body, safety).await;
            assert_eq!(put(Expect::Absent, json!({"a": 1})).await.unwrap(), 1);
            assert_eq!(found(&put(Expect::Absent, json!(2)).await.unwrap_err()), 1);
            assert_eq!(found(&put(Expect::Revision(7), json!(2)).await.unwrap_err()), 1);
            assert_eq!(put(Expect::Revision(1), json!({"a": 2})).await.unwrap(), 2);
            assert_eq!(put(Expect::Any, json!({"a": 3})).await.unwrap(), 3);
            let doc = store.get(Kind::Hold, &key).await.unwrap().unwrap();
            assert_eq!((doc.revision, doc.body), (3, json!({"a": 3})));
            assert!(store.get(Kind::Task, &key).await.unwrap().is_none());
        }
        assert_eq!(
            found(&store.put(Kind::Hold, "x", Expect::Revision(1), json!(1), SAFETIES[0]).await.unwrap_err()),
            0
        );
    })
    .await;
}

#[tokio::test]
async fn a_revision_never_comes_back() {
    each(|store| async move {
        for safety in SAFETIES {
            for _ in 0..3 {
                store.put(Kind::Account, "a", Expect::Any, json!(1), safety).await.unwrap();
            }
            let before = store.get(Kind::Account, "a").await.unwrap().unwrap().revision;
            assert!(store.delete(Kind::Account, "a", Expect::Revision(before - 1), safety).await.is_err());
            store.delete(Kind::Account, "a", Expect::Revision(before), safety).await.unwrap();
            assert!(store.get(Kind::Account, "a").await.unwrap().is_none());
            assert_eq!(store.put(Kind::Account, "a", Expect::Absent, json!(1), safety).await.unwrap(), before + 1);
        }
    })
    .await;
}

#[tokio::test]
async fn deleting_what_is_not_there() {
    each(|store| async move {
        for safety in SAFETIES {
            store.delete(Kind::Task, "none", Expect::Any, safety).await.unwrap();
            assert_eq!(found(&store.delete(Kind::Task, "none", Expect::Revision(1), safety).await.unwrap_err()), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn lists_are_sorted_and_typed() {
    each(|store| async move {
        for key in ["b", "a", "c"] {
            write(&*store, Kind::Setting, key, Expect::Absent, &vec![key], Safety::Behind).await.unwrap();
        }
        let all: Vec<(String, u64, Vec<String>)> = read_all(&*store, Kind::Setting).await.unwrap();
        assert_eq!(all.iter().map(|(k, ..)| k.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(read::<Vec<String>>(&*store, Kind::Setting, "b").await.unwrap().unwrap().1, ["b"]);
        let wrong = read::<u32>(&*store, Kind::Setting, "b").await.unwrap_err();
        assert!(wrong.to_string().contains("setting b can't be read"), "{wrong}");
    })
    .await;
}

#[tokio::test]
async fn watchers_see_each_write_once_and_no_refused_one() {
    each(|store| async move {
        let mut changes = store.watch();
        for safety in SAFETIES {
            store.put(Kind::Task, "t", Expect::Any, json!(1), safety).await.unwrap();
            store.put(Kind::Task, "t", Expect::Absent, json!(1), safety).await.unwrap_err();
            store.delete(Kind::Task, "t", Expect::Any, safety).await.unwrap();
            store.delete(Kind::Task, "t", Expect::Any, safety).await.unwrap();
        }
        let mut seen = Vec::new();
        while let Ok(change) = changes.try_recv() {
            assert_eq!((change.kind, change.key.as_str()), (Kind::Task, "t"));
            seen.push(change.revision);
        }
        // A second delete changes nothing: whether it is announced is up to the store.
        seen.dedup();
        assert_eq!(seen, [Some(1), None, Some(2), None]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_with_one_revision_one_wins() {
    each(|store| async move {
        store.put(Kind::Override, "n", Expect::Absent, json!(0), Safety::PowerLoss).await.unwrap();
        let writers = (0..32).map(|n| {
            let store = Arc::clone(&store);
            let safety = SAFETIES[n % 2];
            tokio::spawn(async move { store.put(Kind::Override, "n", Expect::Revision(1), json!(n), safety).await })
        });
        let mut won = 0;
        for writer in writers.collect::<Vec<_>>() {
            won += u32::from(writer.await.unwrap().is_ok());
        }
        assert_eq!(won, 1);
        assert_eq!(store.get(Kind::Override, "n").await.unwrap().unwrap().revision, 2);
    })
    .await;
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let dir = TempDir::new().unwrap();
    {
        let store = SqliteStore::open(dir.path()).unwrap();
        store.put(Kind::Account, "safe", Expect::Absent, json!("ä\u{0}"), Safety::PowerLoss).await.unwrap();
        store.put(Kind::LastState, "behind", Expect::Absent, json!(2), Safety::Behind).await.unwrap();
        for _ in 0..5 {
            store.put(Kind::Hold, "gone", Expect::Any, json!(2), Safety::Behind).await.unwrap();
        }
        store.delete(Kind::Hold, "gone", Expect::Any, Safety::Behind).await.unwrap();
    }
    let store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(store.get(Kind::Account, "safe").await.unwrap().unwrap().body, json!("ä\u{0}"));
    assert_eq!(store.get(Kind::LastState, "behind").await.unwrap().unwrap().body, json!(2));
    assert!(store.list(Kind::Hold).await.unwrap().is_empty());
    assert_eq!(store.put(Kind::Hold, "gone", Expect::Absent, json!(1), Safety::PowerLoss).await.unwrap(), 6);
}

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("a/state");
    let store = SqliteStore::open(&state).unwrap();
    store.put(Kind::Account, "a", Expect::Any, json!(1), Safety::PowerLoss).await.unwrap();
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    for file in fs::read_dir(&state).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[test]
fn a_second_process_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let first = SqliteStore::open(dir.path()).unwrap();
    let refused = SqliteStore::open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains(&format!("process {} (", std::process::id())), "{refused}");
    drop(first);
    SqliteStore::open(dir.path()).unwrap();
}

/// Opening has to fail with `needle`, and must leave every byte as it was.
fn refused(dir: &Path, needle: &str) {
    let before = fs::read(dir.join("rackfish.db")).ok();
    let error = SqliteStore::open(dir).unwrap_err();
    assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
    assert!(error.to_string().contains(needle), "{error}");
    assert_eq!(fs::read(dir.join("rackfish.db")).ok(), before);
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let db = dir.path().join("rackfish.db");
    for text in ["", "SQLite", "something quite different, and long enough"] {
        fs::write(&db, text).unwrap();
        refused(dir.path(), "is not an SQLite file");
    }
    fs::remove_file(&db).unwrap();
    Connection::open(&db).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    refused(dir.path(), "not one of rackfish");
    fs::remove_file(&db).unwrap();
    fs::write(dir.path().join("rackfish.db-wal"), "left").unwrap();
    refused(dir.path(), "its log");
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    {
        let store = SqliteStore::open(dir.path()).unwrap();
        for n in 0..400 {
            let body = json!("x".repeat(200));
            store.put(Kind::Setting, &format!("{n:04}"), Expect::Any, body, Safety::Behind).await.unwrap();
        }
    }
    let db = dir.path().join("rackfish.db");
    let whole = fs::read(&db).unwrap();
    assert!(whole.len() > 60_000, "{}", whole.len());
    let mut torn = whole.clone();
    torn.truncate(30_000);
    fs::write(&db, &torn).unwrap();
    refused(dir.path(), "is damaged");
    let mut bent = whole.clone();
    bent.iter_mut().skip(20_000).take(9_000).for_each(|byte| *byte = 0x5a);
    fs::write(&db, &bent).unwrap();
    refused(dir.path(), "is damaged");
    fs::write(&db, &whole).unwrap();
    assert_eq!(SqliteStore::open(dir.path()).unwrap().list(Kind::Setting).await.unwrap().len(), 400);
}

/// The log of a file that is open, and the file, as a kill would leave them.
fn as_after_a_kill(from: &Path) -> TempDir {
    let dir = TempDir::new().unwrap();
    for name in ["rackfish.db", "rackfish.db-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), dir.path().join(name)).unwrap();
        }
    }
    dir
}

#[tokio::test]
async fn a_changed_row_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    {
        let store = SqliteStore::open(dir.path()).unwrap();
        store.put(Kind::Account, "o'hara", Expect::Any, json!({"enabled": false}), Safety::PowerLoss).await.unwrap();
        store.put(Kind::Hold, "gone", Expect::Any, json!(1), Safety::PowerLoss).await.unwrap();
        store.delete(Kind::Hold, "gone", Expect::Any, Safety::PowerLoss).await.unwrap();
    }
    let whole = fs::read(dir.path().join("rackfish.db")).unwrap();
    for (sql, needle) in [
        ("UPDATE doc SET body = '{\"enabled\":true}'", "account o'hara"),
        ("UPDATE doc SET kind = 'accounu'", "accounu o'hara"),
        ("UPDATE doc SET key = 'p'", "account p"),
        ("UPDATE doc SET revision = 2", "account o'hara"),
        ("UPDATE doc SET sum = NULL", "account o'hara"),
        ("UPDATE floor SET revision = 7", "revisions of hold"),
    ] {
        fs::write(dir.path().join("rackfish.db"), &whole).unwrap();
        let other = Connection::open(dir.path().join("rackfish.db")).unwrap();
        assert_eq!(other.execute(sql, []).unwrap(), 1, "{sql}");
        drop(other);
        refused(dir.path(), needle);
    }
    // The way out that is named leads out.
    let error = SqliteStore::open(dir.path()).unwrap_err().to_string();
    let statement = error.split('"').nth(1).unwrap();
    Connection::open(dir.path().join("rackfish.db")).unwrap().execute(statement, []).unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    assert!(store.get(Kind::Account, "o'hara").await.unwrap().is_some());
}

#[tokio::test]
async fn a_damaged_log_is_refused_and_one_that_is_gone_costs_no_account() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    store.put(Kind::Account, "admin", Expect::Any, json!(1), Safety::PowerLoss).await.unwrap();
    for n in 0..30 {
        store.put(Kind::Override, &format!("n{n}"), Expect::Any, json!(n), Safety::PowerLoss).await.unwrap();
    }
    let killed = as_after_a_kill(dir.path());
    assert_eq!(SqliteStore::open(killed.path()).unwrap().list(Kind::Override).await.unwrap().len(), 30);
    let killed = as_after_a_kill(dir.path());
    let log = killed.path().join("rackfish.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    bytes[10_000] ^= 1;
    fs::write(&log, &bytes).unwrap();
    refused(killed.path(), "is damaged from byte");
    fs::remove_file(&log).unwrap();
    let store = SqliteStore::open(killed.path()).unwrap();
    assert!(store.get(Kind::Account, "admin").await.unwrap().is_some());
}

#[tokio::test]
async fn files_from_before_checksums_get_them() {
    let dir = TempDir::new().unwrap();
    let file = schema::open_with(dir.path(), &schema::STEPS[..1]).unwrap();
    file.connection.execute("INSERT INTO doc VALUES ('account', 'a', 3, '{}'), ('other', 'b', 1, '1')", []).unwrap();
    file.connection.execute("INSERT INTO floor VALUES ('hold', 5)", []).unwrap();
    file.connection.close().unwrap();
    for _ in 0..2 {
        let store = SqliteStore::open(dir.path()).unwrap();
        assert_eq!(store.get(Kind::Account, "a").await.unwrap().unwrap().revision, 3);
    }
    let store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(store.put(Kind::Hold, "h", Expect::Absent, json!(1), Safety::PowerLoss).await.unwrap(), 6);
}

#[tokio::test]
async fn older_files_are_migrated_after_a_backup_and_newer_ones_refused() {
    let dir = TempDir::new().unwrap();
    {
        let store = SqliteStore::open(dir.path()).unwrap();
        store.put(Kind::Account, "a", Expect::Any, json!(1), Safety::PowerLoss).await.unwrap();
    }
    let next = [schema::STEPS, &["ALTER TABLE floor RENAME TO ground;"]].concat();
    let file = schema::open_with(dir.path(), &next).unwrap();
    let rows: i64 = file.connection.query_row("SELECT count(*) FROM doc, ground", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0);
    file.connection.close().unwrap();
    refused(dir.path(), "version 3 and was written by a newer rackfish");

    let backup = dir.path().join("rackfish.db.v2.bak");
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    fs::rename(&backup, dir.path().join("rackfish.db")).unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    assert!(store.get(Kind::Account, "a").await.unwrap().is_some());
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing() {
    let dir = TempDir::new().unwrap();
    drop(SqliteStore::open(dir.path()).unwrap());
    let bad = [schema::STEPS, &["CREATE TABLE half (a); ALTER TABLE nothing RENAME TO nowhere;"]].concat();
    schema::open_with(dir.path(), &bad).unwrap_err();
    let file = schema::open(dir.path()).unwrap();
    let half = file.connection.query_row("SELECT count(*) FROM half", [], |row| row.get::<_, i64>(0));
    assert!(half.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_whole_and_private_while_others_write() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = SqliteStore::open(dir.path()).unwrap();
    store.put(Kind::Account, "a", Expect::Any, json!(1), Safety::PowerLoss).await.unwrap();
    store.put(Kind::LastState, "behind", Expect::Any, json!(2), Safety::Behind).await.unwrap();
    // A writer that never rests.
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0.. {
                let put = |key| store.put(Kind::Hold, key, Expect::Any, json!(n), Safety::PowerLoss);
                let (one, two) = tokio::join!(put("one"), put("two"));
                one.and(two).unwrap();
            }
        })
    };
    let to = other.path().join("rackfish.db");
    for _ in 0..5 {
        store.backup(&to).await.unwrap();
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        let copy = SqliteStore::open(other.path()).unwrap();
        assert!(copy.get(Kind::Account, "a").await.unwrap().is_some());
        assert!(copy.get(Kind::LastState, "behind").await.unwrap().is_some(), "what is written behind is part of it");
        drop(copy);
        for log in ["rackfish.db-wal", "rackfish.db-shm"] {
            fs::remove_file(other.path().join(log)).unwrap_or_default();
        }
    }
    writer.abort();
    let nowhere = store.backup(&other.path().join("none/x.db")).await.unwrap_err().to_string();
    assert!(nowhere.contains("none/x.db"), "{nowhere}");
    assert!(MemoryStore::new().backup(&to).await.is_err());
}

#[tokio::test]
async fn a_full_disk_keeps_nothing_half_written() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let mut changes = store.watch();
    store.put(Kind::Hold, "old", Expect::Any, json!(1), Safety::PowerLoss).await.unwrap();
    store.ask(|done| Command::Execute("PRAGMA max_page_count = 1", done)).await.unwrap();
    let large = json!("x".repeat(200_000));
    let error = store.put(Kind::Hold, "old", Expect::Any, large.clone(), Safety::PowerLoss).await.unwrap_err();
    assert!(matches!(&error, StoreError::Io(text) if text.contains("free some space")), "{error}");
    let doc = store.get(Kind::Hold, "old").await.unwrap().unwrap();
    assert_eq!((doc.revision, doc.body), (1, json!(1)));
    // Written behind: accepted, kept in memory, and the truth is told to whoever asks for it.
    store.put(Kind::LastState, "n", Expect::Any, large, Safety::Behind).await.unwrap();
    assert!(store.flush().await.is_err());
    assert!(store.get(Kind::LastState, "n").await.unwrap().is_some());
    store.ask(|done| Command::Execute("PRAGMA max_page_count = 1000000", done)).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(changes.try_recv().unwrap().revision, Some(1));
    assert_eq!(changes.try_recv().unwrap().kind, Kind::LastState);
    drop(store);
    let store = SqliteStore::open(dir.path()).unwrap();
    assert!(store.get(Kind::LastState, "n").await.unwrap().is_some());
}

#[tokio::test]
async fn a_file_that_became_read_only_is_said_so() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    store.ask(|done| Command::Execute("PRAGMA query_only = 1", done)).await.unwrap();
    let error = store.put(Kind::Hold, "a", Expect::Any, json!(1), Safety::PowerLoss).await.unwrap_err();
    assert!(matches!(&error, StoreError::Io(text) if text.contains("writable")), "{error}");
    assert!(store.get(Kind::Hold, "a").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_wait_share_commits() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let writers = (0..500).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            store.put(Kind::Operation, &format!("op{n}"), Expect::Absent, json!(n), Safety::PowerLoss).await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        assert_eq!(writer.await.unwrap().unwrap(), 1);
    }
    let commits = store.commits();
    assert!(commits < 250, "{commits} transactions for 500 writers");
}

#[tokio::test]
async fn writes_behind_are_coalesced() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    for n in 0..2_000 {
        store.put(Kind::LastState, &format!("n{}", n % 10), Expect::Any, json!(n), Safety::Behind).await.unwrap();
    }
    store.flush().await.unwrap();
    let rows = store.rows();
    assert!(rows < 400, "{rows} rows written for 2,000 writes to 10 documents");
}

#[tokio::test]
async fn writes_behind_reach_the_file_without_being_asked() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    store.put(Kind::LastState, "n", Expect::Any, json!(1), Safety::Behind).await.unwrap();
    let other = Connection::open(dir.path().join("rackfish.db")).unwrap();
    let there = || other.query_row("SELECT count(*) FROM doc", [], |row| row.get::<_, i64>(0)).unwrap() == 1;
    for _ in 0..200 {
        if there() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("still not on disk");
}
