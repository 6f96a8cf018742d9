//! The log in real files: kills, damage, a start of the machine, and readers that are late.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::os::unix::fs::PermissionsExt as _;

use time::OffsetDateTime;

use super::*;

fn record(text: &str) -> Record {
    Record {
        id: 0,
        at: OffsetDateTime::UNIX_EPOCH,
        node: None,
        private: None,
        audit: false,
        kind: "Alert".into(),
        resource: "Manager".into(),
        message: "Rackfish.1.0.X".into(),
        severity: "OK".into(),
        origin: "/x".into(),
        body: format!("{{\"Message\":\"{text}\"}}").into(),
    }
}

fn fill(log: &EventLog, count: u64) {
    for n in 0..count {
        log.append(|_| record(&n.to_string()));
    }
}

/// All that a reader gets, and how often it was told of a loss.
async fn all(log: &EventLog, mut after: u64) -> (Vec<u64>, u32) {
    let (mut ids, mut lost) = (Vec::new(), 0);
    loop {
        let batch = log.read(after, 100).await.unwrap();
        let Some(newest) = batch.records.last() else { return (ids, lost) };
        lost += u32::from(batch.lost);
        after = newest.id;
        ids.extend(batch.records.iter().map(|r| r.id));
    }
}

fn open(dir: &Path, boot: &str) -> Arc<EventLog> {
    EventLog::open_in(dir, 0, boot.to_owned()).unwrap()
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir.path().join("events"), "a");
    fill(&log, 5_000);
    // Nothing is closed or flushed: another process would see the same.
    let again = open(&dir.path().join("events"), "a");
    assert_eq!(again.newest(), 5_000);
    assert_eq!(all(&again, 0).await, ((1..=5_000).collect(), 0));
    assert_eq!(all(&again, 4_990).await, ((4_991..=5_000).collect(), 0));
    assert_eq!(again.append(|_| record("next")), 5_001);
    assert_eq!(all(&again, 4_999).await, (vec![5_000, 5_001], 0));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("events")), 0o700);
    for file in segment::files(&dir.path().join("events")).unwrap() {
        assert_eq!(mode(&file), 0o600);
    }
}

#[tokio::test]
async fn an_end_that_was_cut_is_left_out_and_its_ids_are_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path(), "a"), 10);
    let file = segment::files(dir.path()).unwrap().pop().unwrap();
    let whole = fs::read(&file).unwrap();
    for cut in [1, 20, 60] {
        fs::write(&file, &whole[..whole.len() - cut]).unwrap();
        let log = open(dir.path(), "a");
        assert_eq!(log.newest(), 9);
        let next = log.append(|_| record("next"));
        assert_eq!(next, 10 + JUMP);
        assert_eq!(all(&log, 0).await, ((1..=9).chain([next]).collect(), 0));
        fs::remove_file(segment::files(dir.path()).unwrap().pop().unwrap()).unwrap();
    }
    // A flipped bit in the middle costs what follows in that file.
    let mut bent = whole.clone();
    bent[whole.len() / 2] ^= 1;
    fs::write(&file, &bent).unwrap();
    let log = open(dir.path(), "a");
    assert!((1..9).contains(&log.newest()), "{}", log.newest());
    fs::write(&file, b"\xff\xfe").unwrap();
    assert_eq!(open(dir.path(), "a").newest(), 0);
}

#[tokio::test]
async fn ids_jump_when_the_machine_was_started_anew_or_the_log_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path(), "a"), 3);
    let log = open(dir.path(), "b");
    assert_eq!(log.append(|_| record("next")), 4 + JUMP);
    assert_eq!(all(&log, 2).await, (vec![3, 4 + JUMP], 0), "a jump is no loss");
    let gone = tempfile::tempdir().unwrap();
    let log = EventLog::open_in(gone.path(), 500, "a".to_owned()).unwrap();
    assert_eq!(all(&log, 500).await, (vec![], 0));
    let next = log.append(|_| record("next"));
    assert!(next > 500);
    assert_eq!(all(&log, 500).await, (vec![next], 1), "there may have been others");
    let again = EventLog::open_in(gone.path(), 500, "a".to_owned()).unwrap();
    assert_eq!(all(&again, next).await, (vec![], 0));
}

#[tokio::test]
async fn the_oldest_make_room_and_a_late_reader_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), "a");
    fill(&log, KEPT + 2 * SEGMENT);
    let files = segment::files(dir.path()).unwrap().len();
    assert!(u64::try_from(files).unwrap() <= KEPT / SEGMENT + 1, "{files} files");
    let (ids, lost) = all(&log, 0).await;
    assert_eq!(lost, 1);
    assert_eq!(*ids.last().unwrap(), KEPT + 2 * SEGMENT);
    assert!(ids.is_sorted() && u64::try_from(ids.len()).unwrap() > KEPT - SEGMENT);
    let memory = EventLog::in_memory(0);
    fill(&memory, 3_000);
    let (ids, lost) = all(&memory, 10).await;
    assert_eq!((ids.len(), lost), (RECENT, 1));
}

#[tokio::test]
async fn a_part_that_was_spoilt_is_an_error_and_can_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), "a");
    fill(&log, 3 * SEGMENT);
    let files = segment::files(dir.path()).unwrap();
    let length = fs::metadata(&files[0]).unwrap().len();
    fs::write(&files[0], vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
    assert!(log.read(0, 100).await.is_err());
    assert_eq!(log.beyond(0), SEGMENT);
    assert_eq!(log.read(SEGMENT, 100).await.unwrap().records[0].id, SEGMENT + 1);
    // One that was removed beside us is an error too, not an endless loop.
    fs::remove_file(&files[0]).unwrap();
    assert!(log.read(0, 100).await.is_err());
}

#[tokio::test]
async fn a_disk_that_refuses_costs_nobody_who_keeps_up() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("events");
    let log = open(&place, "a");
    fill(&log, 3);
    // No file can be made: the folder is gone. The one that is open goes on until it is full.
    log.state().file = None;
    let away = dir.path().join("away");
    fs::rename(&place, &away).unwrap();
    fill(&log, 3);
    assert_eq!(all(&log, 2).await.0, [3, 4, 5, 6]);
    fs::rename(&away, &place).unwrap();
    fill(&log, 1);
    drop(log);
    let log = open(&place, "a");
    assert_eq!(all(&log, 0).await, (vec![1, 2, 3, 7], 1), "what was in memory only is gone, and that is said");
}

#[test]
fn a_nodes_audit_trail_survives_restarts_and_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let node = |name: &str| crate::model::NodeId::new(name).unwrap();
    let of = |name: &str, audit| Record { node: Some(node(name)), audit, ..record("x") };
    let ids = |log: &EventLog, name: &str| log.trail(&node(name)).iter().map(|r| r.id).collect::<Vec<_>>();
    let log = EventLog::open(dir.path(), 0).unwrap();
    let first = log.append(|_| of("a", true));
    log.append(|_| of("a", false));
    log.append(|_| of("b", true));
    let second = log.append(|_| of("a", true));
    assert_eq!(ids(&log, "a"), [first, second]);
    assert_eq!(ids(&log, "c"), [0; 0]);
    // More than memory has, so that the file is read; and more than a trail has.
    for n in 0..3_000_u64 {
        log.append(|_| of(if n % 10 == 0 { "b" } else { "x" }, n % 10 == 0));
    }
    assert_eq!(ids(&log, "a"), [first, second], "others' events take nothing away");
    let kept = ids(&log, "b");
    assert_eq!(kept.len(), TRAIL);
    assert!(kept.is_sorted());
    drop(log);
    let log = EventLog::open(dir.path(), 0).unwrap();
    assert_eq!((ids(&log, "a"), ids(&log, "b")), (vec![first, second], kept));
    // As far as the log reaches back, and no further.
    for _ in 0..KEPT + 2 * SEGMENT {
        log.append(|_| of("x", false));
    }
    assert_eq!(ids(&log, "a"), [0; 0]);
    assert!(log.state().trails.is_empty(), "what is gone leaves nothing behind");
}
