//! The socket between a real client and a stand-in for the service.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::{
    client,
    server::{Desk, serve},
    wire::{Answer, Ask, MAX_LINE, VERSION},
};
use crate::{
    cli::{
        CliError,
        exit::{Exit, Failure},
    },
    model::{Actor, Face, Role},
};

/// Echoes what it was asked; `Reload` never ends, so that clients can leave.
#[derive(Default)]
struct Echo {
    left: Arc<AtomicBool>,
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Desk for Echo {
    async fn handle(&self, who: Actor, ask: Ask, out: mpsc::Sender<Answer>) -> Result<(), Failure> {
        assert_eq!((who.role, who.face), (Role::Administrator, Face::Cli));
        match ask {
            Ask::Status => {
                for i in 0..100 {
                    out.send(Answer::Item(json!({ "i": i, "who": *who.principal }))).await.unwrap();
                }
                Ok(())
            }
            Ask::Reload => {
                let _gone = OnDrop(Arc::clone(&self.left));
                std::future::pending().await
            }
            _ => Err(Failure::new("held", Exit::Refused, "no")),
        }
    }
}

struct Served {
    dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
    left: Arc<AtomicBool>,
}

async fn served() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let desk = Echo::default();
    let left = Arc::clone(&desk.left);
    let path = super::socket(dir.path());
    let task = tokio::spawn({
        let path = path.clone();
        async move { serve(&path, desk, async { stopped.await.unwrap_or_default() }).await }
    });
    for _ in 0..200 {
        if client::is_served(&path) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Served { dir, stop: Some(stop), task, left }
}

impl Served {
    async fn raw(&self, bytes: Vec<u8>) -> String {
        let path = super::socket(self.dir.path());
        tokio::task::spawn_blocking(move || {
            let mut stream = UnixStream::connect(path).unwrap();
            // The other end may close before everything was sent.
            stream.write_all(&bytes).unwrap_or_default();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap_or_default();
            text
        })
        .await
        .unwrap()
    }

    async fn ask(&self, ask: Ask) -> (Vec<serde_json::Value>, Result<(), CliError>) {
        let path = super::socket(self.dir.path());
        tokio::task::spawn_blocking(move || {
            let mut items = Vec::new();
            let result = client::ask(&path, ask, |item| {
                items.push(item);
                Ok(())
            });
            (items, result)
        })
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn items_come_in_order_and_failures_keep_their_code() {
    let mut served = served().await;
    let path = super::socket(served.dir.path());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (items, result) = served.ask(Ask::Status).await;
    result.unwrap();
    assert_eq!(items.len(), 100);
    assert_eq!(items[99]["i"], 99);
    assert_eq!(items[0]["who"], format!("local:{}", nix::unistd::Uid::effective()));
    let (_, result) = served.ask(Ask::Endpoints { list: None }).await;
    assert_eq!(result.unwrap_err().exit(), Exit::Refused);

    served.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), &mut served.task).await.unwrap().unwrap().unwrap();
    assert!(!path.exists(), "removed at the end");
    let (_, result) = served.ask(Ask::Status).await;
    let error = result.unwrap_err();
    assert_eq!(error.exit(), Exit::Unreachable);
    assert!(error.to_string().contains("rackfish serve"), "{error}");
}

#[tokio::test]
async fn nonsense_is_answered_and_hurts_nobody() {
    let served = served().await;
    for (bytes, says) in [
        (b"{}\n".to_vec(), "another"),
        (b"not json\n".to_vec(), "not JSON"),
        (format!("{{\"version\":{VERSION},\"ask\":\"dance\"}}\n").into_bytes(), "not a request"),
        (format!("{{\"version\":{},\"ask\":\"status\"}}\n", VERSION + 1).into_bytes(), "restart the service"),
        (vec![b'x'; MAX_LINE + 10], "longer than"),
        (b"\xff\xfe\n".to_vec(), "not JSON"),
    ] {
        let answer = served.raw(bytes).await;
        assert!(answer.contains(says) && answer.contains("\"usage\""), "{says}: {answer}");
    }
    assert_eq!(served.ask(Ask::Status).await.0.len(), 100, "it still answers");
}

#[tokio::test]
async fn a_client_that_leaves_ends_what_waits_for_it() {
    let served = served().await;
    let mut stream = UnixStream::connect(super::socket(served.dir.path())).unwrap();
    stream.write_all(format!("{{\"version\":{VERSION},\"ask\":\"reload\"}}\n").as_bytes()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!served.left.load(Ordering::SeqCst));
    drop(stream);
    for _ in 0..200 {
        if served.left.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the request went on");
}

#[tokio::test]
async fn a_service_that_dies_leaves_the_outcome_uncertain() {
    let mut served = served().await;
    let path = super::socket(served.dir.path());
    let asked = tokio::task::spawn_blocking(move || client::ask(&path, Ask::Reload, |_| Ok(())));
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.stop.take().unwrap().send(()).unwrap();
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(error.exit(), Exit::Uncertain);
}

#[tokio::test]
async fn one_socket_one_service_and_a_stale_one_is_replaced() {
    let served = served().await;
    let path = super::socket(served.dir.path());
    let error = serve(&path, Echo::default(), std::future::pending()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    served.task.abort();
    assert!(served.task.await.unwrap_err().is_cancelled());
    assert!(path.exists(), "killed: the socket stays behind");
    let second = tokio::spawn({
        let path = path.clone();
        async move { serve(&path, Echo::default(), std::future::pending()).await }
    });
    for _ in 0..200 {
        if client::is_served(&path) {
            second.abort();
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the stale socket was not replaced");
}

#[test]
fn secrets_cross_the_socket_and_nothing_else() {
    use super::wire::AccountAsk;
    use crate::model::Secret;
    let ask = AccountAsk::Passwd { name: "ann".to_owned(), password: Secret::new("hunter2"), must_change: false };
    assert!(!format!("{ask:?}").contains("hunter2"));
    let text = serde_json::to_string(&ask).unwrap();
    let AccountAsk::Passwd { password, .. } = serde_json::from_str(&text).unwrap() else { panic!() };
    assert_eq!(password.expose(), "hunter2");
}
