//! Delivery to real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use reqwest::dns::Resolve as _;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::mpsc,
};

use super::{
    Delivery, Health, Look, NewStream, NewSubscription, RetryPolicy, Settings, StreamError, Subscription,
    SubscriptionError, SubscriptionPatch, Timing, check,
    filter::{Filters, Query},
    log::EventLog,
    post::Elsewhere,
    record::Record,
    streams::{MAX_OWN, MAX_STREAMS},
};
use crate::{
    model::Secret,
    store::{Kind, MemoryStore, Store},
};

const QUICK: Timing = Timing {
    attempt: Duration::from_secs(2),
    attempts: 3,
    interval: Duration::from_millis(20),
    backoff: (Duration::from_millis(10), Duration::from_millis(40)),
};
const SOON: Duration = Duration::from_mins(1);

/// What a destination got: head and body.
type Got = (String, Value);

/// A status: 503 for the next request, 200 for all after it.
const ONCE: u16 = 1;

/// A destination that answers with `status`, or not at all while that is 0.
async fn destination(status: Arc<AtomicU16>) -> (SocketAddr, mpsc::UnboundedReceiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (tell, status) = (tell.clone(), Arc::clone(&status));
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                loop {
                    let (mut head, mut length) = (String::new(), 0);
                    loop {
                        let mut line = String::new();
                        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                            return;
                        }
                        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = text.trim().parse().unwrap();
                        }
                        if line == "\r\n" {
                            break;
                        }
                        head.push_str(&line);
                    }
                    let mut body = vec![0; length];
                    stream.read_exact(&mut body).await.unwrap();
                    tell.send((head, serde_json::from_slice(&body).unwrap())).ok();
                    let code = status.load(Ordering::Relaxed);
                    if code == 0 {
                        std::future::pending::<()>().await;
                    }
                    let code = if code == ONCE {
                        status.store(200, Ordering::Relaxed);
                        503
                    } else {
                        code
                    };
                    let answer = format!("HTTP/1.1 {code} Whatever\r\nContent-Length: 0\r\n\r\n");
                    stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (at, told)
}

/// Who is called `blind` sees nothing; a body is ids and what else tests look at.
struct Plain;

impl Look for Plain {
    fn sees(&self, owner: &str, _event: &Record) -> bool {
        owner != "blind"
    }

    fn payload(&self, upto: u64, events: &[Arc<Record>], lost: bool, context: Option<&str>) -> String {
        let ids: Vec<u64> = events.iter().map(|event| event.id).collect();
        json!({"Id": upto, "Events": ids, "Lost": lost, "Context": context}).to_string()
    }
}

fn record(node: &str) -> Record {
    Record {
        id: 0,
        at: OffsetDateTime::now_utc(),
        node: None,
        private: None,
        audit: false,
        kind: "Alert".into(),
        resource: "ComputerSystem".into(),
        message: "Rackfish.1.0.X".into(),
        severity: "OK".into(),
        origin: format!("/redfish/v1/Systems/{node}").into(),
        body: "{}".into(),
    }
}

struct Bench {
    store: Arc<dyn Store>,
    log: Arc<EventLog>,
    delivery: Delivery,
}

impl Bench {
    fn happens(&self, count: u64) {
        for _ in 0..count {
            self.log.append(|_| record("n1"));
        }
    }
}

async fn start(store: &Arc<dyn Store>, log: &Arc<EventLog>) -> Delivery {
    Delivery::start_with(Arc::clone(store), Arc::clone(log), true, Box::new(Plain), QUICK, true).await.unwrap()
}

async fn bench() -> Bench {
    let (store, log): (Arc<dyn Store>, _) = (MemoryStore::new(), EventLog::in_memory(0));
    let delivery = start(&store, &log).await;
    Bench { store, log, delivery }
}

fn to(at: SocketAddr) -> NewSubscription {
    NewSubscription {
        owner: "ironic".into(),
        destination: format!("http://{at}/events?a=b"),
        context: Some("mine".to_owned()),
        ..NewSubscription::default()
    }
}

async fn next(told: &mut mpsc::UnboundedReceiver<Got>) -> Got {
    tokio::time::timeout(SOON, told.recv()).await.unwrap().unwrap()
}

async fn until(delivery: &Delivery, id: &str, wanted: impl Fn(&Subscription, &Health) -> bool) {
    for _ in 0..500 {
        if let (Some(subscription), Some(health)) = (delivery.get(id), delivery.health(id))
            && wanted(&subscription, &health)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never came: {:?} {:?}", delivery.get(id), delivery.health(id));
}

fn ok() -> Arc<AtomicU16> {
    Arc::new(AtomicU16::new(204))
}

/// The ids of the next `count` events, however they were put together.
async fn ids(told: &mut mpsc::UnboundedReceiver<Got>, count: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let (_, body) = next(told).await;
        assert_eq!(body["Lost"], false);
        ids.extend(body["Events"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()));
    }
    ids
}

#[tokio::test]
async fn events_arrive_in_order_with_context_and_headers() {
    let bench = bench().await;
    bench.happens(3);
    let (at, mut told) = destination(ok()).await;
    let headers = vec![("X-Auth-Token".to_owned(), Secret::new("s3cret"))];
    let made = bench.delivery.create(NewSubscription { headers, ..to(at) }).await.unwrap();
    bench.delivery.create(NewSubscription { owner: "blind".into(), ..to(at) }).await.unwrap();
    bench.happens(1);
    let (head, body) = next(&mut told).await;
    assert_eq!(body, json!({"Context": "mine", "Id": 4, "Events": [4], "Lost": false}), "those before it are not its");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /events?a=b http/1.1"), "{head}");
    for line in ["x-auth-token: s3cret", "content-type: application/json", "user-agent: rackfish/"] {
        assert!(head.contains(line), "{head}");
    }
    bench.happens(100);
    assert_eq!(ids(&mut told, 100).await, (5..=104).collect::<Vec<_>>());
    assert!(!format!("{made:?}").contains("s3cret"));
    let patch = SubscriptionPatch { context: Some(None), ..SubscriptionPatch::default() };
    let changed = bench.delivery.change(&made.id, patch, Some(made.revision)).await.unwrap();
    assert!(changed.revision > made.revision);
    bench.happens(1);
    assert_eq!(next(&mut told).await.1["Context"], json!(null));
    until(&bench.delivery, &made.id, |_, health| health.delivered == 102 && health.failing.is_none()).await;
}

#[tokio::test]
async fn a_subscriber_that_hangs_slows_nobody_and_misses_nothing() {
    let bench = bench().await;
    let hanging = Arc::new(AtomicU16::new(0));
    let (slow, mut slow_told) = destination(Arc::clone(&hanging)).await;
    let (quick, mut told) = destination(ok()).await;
    let slow = bench.delivery.create(NewSubscription { retry: RetryPolicy::RetryForever, ..to(slow) }).await.unwrap();
    bench.delivery.create(to(quick)).await.unwrap();
    bench.happens(1);
    next(&mut slow_told).await;
    assert_eq!(ids(&mut told, 1).await, [1]);
    for id in 2..=20 {
        bench.happens(1);
        // The quick one gets each before the next is made.
        assert_eq!(ids(&mut told, 1).await, [id]);
    }
    assert_eq!(bench.delivery.health(&slow.id).unwrap().delivered, 0);
    hanging.store(204, Ordering::Relaxed);
    let mut got = Vec::new();
    while got.last() != Some(&20) {
        got.extend(ids(&mut slow_told, 1).await);
        got.dedup();
    }
    assert_eq!(got, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn retries_are_bounded_and_a_suspension_says_why_survives_and_ends() {
    let bench = bench().await;
    let status = Arc::new(AtomicU16::new(ONCE));
    let (at, mut told) = destination(Arc::clone(&status)).await;
    let made = bench.delivery.create(to(at)).await.unwrap();
    // One that recovers in time is not suspended.
    bench.happens(1);
    until(&bench.delivery, &made.id, |_, health| health.delivered == 1 && health.failing.is_none()).await;
    while told.try_recv().is_ok() {}

    status.store(503, Ordering::Relaxed);
    bench.happens(1);
    until(&bench.delivery, &made.id, |to, _| to.suspended.is_some()).await;
    let reason = bench.delivery.get(&made.id).unwrap().suspended.clone().unwrap().reason;
    assert!(reason.contains("3 retries") && reason.contains("503"), "{reason}");
    let mut attempts = 0;
    while told.try_recv().is_ok() {
        attempts += 1;
    }
    assert_eq!(attempts, 4, "the first and three retries");
    status.store(200, Ordering::Relaxed);
    bench.happens(2);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(told.try_recv().is_err());

    // A new service on the same store.
    bench.delivery.stop().await;
    drop(bench.delivery);
    let again = start(&bench.store, &bench.log).await;
    assert_eq!(again.health(&made.id).unwrap().failing, Some(reason));
    again.resume(&made.id, None).await.unwrap();
    assert!(again.get(&made.id).unwrap().suspended.is_none());
    assert_eq!(ids(&mut told, 3).await, [2, 3, 4], "what it has missed comes first");
    // Or nothing of it, if that is wanted.
    again.suspend(&made.id, "suspended by admin").await.unwrap();
    bench.log.append(|_| record("n1"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    again.resume(&made.id, Some(Duration::ZERO)).await.unwrap();
    bench.log.append(|_| record("n1"));
    assert_eq!(ids(&mut told, 1).await, [6]);
}

#[test]
fn pauses_are_as_the_policy_says() {
    let timing = Timing::default();
    for number in [0, 3, 40, u32::MAX] {
        let pause = timing.pause(RetryPolicy::RetryForever, number).unwrap();
        assert!((15.0..=16.5).contains(&pause.as_secs_f64()), "{pause:?}");
    }
    let growing = |number| timing.pause(RetryPolicy::RetryForeverWithBackoff, number).unwrap().as_secs();
    assert!(growing(0) <= 1 && (8..=9).contains(&growing(3)) && (300..=330).contains(&growing(u32::MAX)));
    for policy in [RetryPolicy::SuspendRetries, RetryPolicy::TerminateAfterRetries] {
        assert!(timing.pause(policy, 4).is_some() && timing.pause(policy, 5).is_none());
    }
}

#[tokio::test]
async fn a_subscription_that_wants_to_end_is_removed() {
    let bench = bench().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let retry = RetryPolicy::TerminateAfterRetries;
    let made = bench.delivery.create(NewSubscription { retry, ..to(gone) }).await.unwrap();
    bench.happens(1);
    for _ in 0..500 {
        if bench.delivery.get(&made.id).is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(bench.delivery.list().is_empty());
    assert!(bench.store.list(Kind::Subscription).await.unwrap().is_empty());
}

fn on_disk(dir: &Path) -> Arc<EventLog> {
    EventLog::open(dir, 0).unwrap()
}

#[tokio::test]
async fn a_service_that_was_killed_goes_on_where_each_subscriber_was() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = MemoryStore::new();
    let log = on_disk(dir.path());
    let delivery = start(&store, &log).await;
    let (at, mut told) = destination(ok()).await;
    let status = Arc::new(AtomicU16::new(503));
    let (down, mut down_told) = destination(Arc::clone(&status)).await;
    let forever = NewSubscription { retry: RetryPolicy::RetryForever, ..to(down) };
    delivery.create(to(at)).await.unwrap();
    delivery.create(forever).await.unwrap();
    for _ in 0..10 {
        log.append(|_| record("n1"));
    }
    assert_eq!(ids(&mut told, 10).await, (1..=10).collect::<Vec<_>>());
    // Its place has been kept by then; no other goodbye.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    drop((delivery, log));
    let log = on_disk(dir.path());
    log.append(|_| record("n1"));
    let delivery = start(&store, &log).await;
    assert_eq!(ids(&mut told, 1).await, [11], "from where it was");
    status.store(200, Ordering::Relaxed);
    let mut got = Vec::new();
    while got.last() != Some(&11) {
        got.extend(ids(&mut down_told, 1).await);
        got.sort_unstable();
        got.dedup();
    }
    assert_eq!(got, (1..=11).collect::<Vec<_>>(), "and the other misses nothing");
    delivery.stop().await;
}

#[tokio::test]
async fn who_was_away_for_too_long_is_told() {
    let bench = bench().await;
    let status = Arc::new(AtomicU16::new(503));
    let (at, mut told) = destination(Arc::clone(&status)).await;
    let made = bench.delivery.create(to(at)).await.unwrap();
    bench.delivery.suspend(&made.id, "by the test").await.unwrap();
    bench.happens(3_000);
    status.store(200, Ordering::Relaxed);
    bench.delivery.resume(&made.id, None).await.unwrap();
    let (_, body) = next(&mut told).await;
    assert_eq!((&body["Lost"], &body["Events"][0]), (&json!(true), &json!(953)));
    until(&bench.delivery, &made.id, |_, health| health.lost == 1 && health.delivered == 2_048).await;
}

/// The cost law: an event is appended once and filtered for each subscriber; who does not want it costs no POST.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscribers_and_a_thousand_events_are_no_loss() {
    const MANY: u64 = 1_000;
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = MemoryStore::new();
    let log = on_disk(dir.path());
    // On a machine that is busy otherwise nobody is to be sent anything twice.
    let patient = Timing { attempt: Duration::from_mins(1), ..QUICK };
    let (kept, look) = (Arc::clone(&store), Box::new(Plain));
    let delivery = Delivery::start_with(kept, Arc::clone(&log), true, look, patient, true).await.unwrap();
    let (at, mut told) = destination(ok()).await;
    for n in 0..MANY {
        let origin_resources = vec![format!("/redfish/v1/Systems/n{n}")];
        let filters = Filters { origin_resources, ..Filters::default() };
        let retry = RetryPolicy::RetryForever;
        let new = NewSubscription { filters, retry, context: Some(n.to_string()), ..to(at) };
        delivery.create(new).await.unwrap();
    }
    let over = delivery.create(to(at)).await;
    assert!(matches!(over, Err(SubscriptionError::Full)));
    for n in 0..MANY {
        log.append(|_| record(&format!("n{}", n * 7 % MANY)));
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..MANY {
        let (_, body) = next(&mut told).await;
        let id = body["Id"].as_u64().unwrap();
        assert_eq!(body["Context"], ((id - 1) * 7 % MANY).to_string(), "each gets what it wants");
        assert_eq!(body["Events"], json!([id]));
        assert!(seen.insert(id), "{id} came twice");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(told.try_recv().is_err(), "nothing else was sent");
    let lines: usize = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap().lines().count() - 1)
        .sum();
    assert_eq!(lines, 1_000, "one line an event");
    delivery.stop().await;
}

fn stream(last: Option<&str>) -> NewStream {
    NewStream {
        owner: "admin".into(),
        peer: "192.0.2.1:9".to_owned(),
        door: None,
        filter: None,
        last: last.map(str::to_owned),
        rights: Box::new(|| true),
    }
}

/// What a stream says until it is silent, without comments.
async fn says(stream: &mut (impl futures_util::Stream<Item = String> + Unpin)) -> Vec<Value> {
    let mut all = Vec::new();
    while let Ok(Some(text)) = tokio::time::timeout(Duration::from_millis(200), stream.next()).await {
        if text.starts_with(':') {
            assert_eq!(text.find('\n'), Some(text.len() - 1), "a comment is one line: {text:?}");
            continue;
        }
        assert!(text.ends_with("\n\n"), "{text:?}");
        for message in text.split_terminator("\n\n") {
            let (id, data) = message.strip_prefix("id: ").unwrap().split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["Id"].to_string(), id);
            all.push(data);
        }
    }
    all
}

fn events(said: &[Value]) -> Vec<u64> {
    said.iter().flat_map(|s| s["Events"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap())).collect()
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_that_its_client_had() {
    let bench = bench().await;
    bench.happens(5);
    let mut fresh = Box::pin(bench.delivery.stream(stream(None)).unwrap());
    let mut back = Box::pin(bench.delivery.stream(stream(Some("3"))).unwrap());
    let mut foreign = Box::pin(bench.delivery.stream(stream(Some("x"))).unwrap());
    let mut blind = Box::pin(bench.delivery.stream(NewStream { owner: "blind".into(), ..stream(Some("0")) }).unwrap());
    let filter = Some(Query::parse("OriginResource eq '/redfish/v1/Systems/n2'").unwrap());
    let mut some = Box::pin(bench.delivery.stream(NewStream { filter, ..stream(Some("0")) }).unwrap());
    bench.happens(2);
    bench.log.append(|_| record("n2"));
    assert_eq!(events(&says(&mut fresh).await), [6, 7, 8]);
    assert_eq!(events(&says(&mut back).await), [4, 5, 6, 7, 8]);
    let told = says(&mut foreign).await;
    assert_eq!((&told[0]["Lost"], events(&told)), (&json!(true), vec![6, 7, 8]));
    assert_eq!(events(&says(&mut blind).await), [0; 0]);
    assert_eq!(events(&says(&mut some).await), [8]);
    assert_eq!(bench.delivery.streams().len(), 5);
    drop((fresh, back, foreign, blind));
    assert_eq!(bench.delivery.streams().len(), 1, "gone with its connection");
}

#[tokio::test]
async fn streams_end_with_rights_resource_and_service_and_are_bounded() {
    let bench = bench().await;
    let may = Arc::new(AtomicBool::new(true));
    let rights = Arc::clone(&may);
    let rights = NewStream { rights: Box::new(move || rights.load(Ordering::Relaxed)), ..stream(None) };
    let mut limited = Box::pin(bench.delivery.stream(rights).unwrap());
    let mut removed = Box::pin(bench.delivery.stream(stream(None)).unwrap());
    assert!(limited.next().await.is_some() && removed.next().await.is_some(), "a greeting");
    may.store(false, Ordering::Relaxed);
    bench.happens(1);
    assert!(limited.next().await.is_none(), "no event for who may not have it");
    drop(limited);
    let id = Arc::clone(&bench.delivery.streams()[0].id);
    assert!(removed.next().await.is_some());
    assert!(bench.delivery.end_stream(&id) && !bench.delivery.end_stream(&id));
    assert!(removed.next().await.is_none());
    let opened = |owner: &str| bench.delivery.stream(NewStream { owner: owner.into(), ..stream(None) });
    let mut all: Vec<_> = (0..MAX_OWN).map(|_| opened("greedy").unwrap()).collect();
    assert_eq!(opened("greedy").err(), Some(StreamError::Full), "nobody takes them all");
    all.extend((MAX_OWN..MAX_STREAMS).map(|n| opened(&format!("user-{}", n / 32)).unwrap()));
    assert_eq!(opened("late").err(), Some(StreamError::Full));
    let mut one = Box::pin(all.into_iter().next().unwrap());
    assert!(one.next().await.is_some());
    bench.delivery.end_streams();
    assert!(one.next().await.is_none());
    assert_eq!(bench.delivery.stream(stream(None)).err(), Some(StreamError::Stopping));
}

#[tokio::test]
async fn nothing_is_sent_after_removal() {
    let bench = bench().await;
    let (at, mut told) = destination(ok()).await;
    let made = bench.delivery.create(to(at)).await.unwrap();
    let late = bench.delivery.remove(&made.id, Some(made.revision + 1)).await;
    assert!(matches!(late, Err(SubscriptionError::Changed)));
    bench.delivery.remove(&made.id, Some(made.revision)).await.unwrap();
    assert!(matches!(bench.delivery.remove(&made.id, None).await, Err(SubscriptionError::NotFound(_))));
    bench.happens(1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(told.try_recv().is_err());
    assert!(bench.store.list(Kind::Subscription).await.unwrap().is_empty());
}

#[tokio::test]
async fn destinations_on_this_machine_are_refused_by_name_and_by_address() {
    for text in [
        "http://localhost/",
        "http://LOCALHOST.:80/",
        "https://a.localhost/",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0.0.0.0:8443/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[::127.0.0.2]/",
        "http://224.0.0.1/",
    ] {
        assert!(check::destination(text, false).is_err(), "{text}");
        assert!(check::destination(text, true).is_ok(), "{text}");
    }
    for text in ["", "x", "/events", "ftp://a.example/", "file:///etc/passwd", "http://u:p@a.example/", "http://"] {
        assert!(check::destination(text, true).is_err(), "{text}");
    }
    for text in ["http://10.0.0.1/", "https://[2001:db8::1]:6385/v1/events", "http://ironic.example:6385/"] {
        assert!(check::destination(text, false).is_ok(), "{text}");
    }
    // A name that leads here only when it is asked for.
    let resolver = Elsewhere { local: Arc::new(AtomicBool::new(false)) };
    let error = resolver.resolve("localhost".parse().unwrap()).await.err().unwrap();
    assert!(error.to_string().contains("not allowed"), "{error}");
    resolver.local.store(true, Ordering::Relaxed);
    assert!(resolver.resolve("localhost".parse().unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_destination_that_is_no_longer_allowed_gets_nothing() {
    let bench = bench().await;
    let (at, mut told) = destination(ok()).await;
    let made = bench.delivery.create(to(at)).await.unwrap();
    let settings = Settings { local: false, attempts: 2, interval: QUICK.interval };
    bench.delivery.reconfigure(settings);
    assert!(bench.delivery.create(to(at)).await.is_err());
    bench.happens(1);
    until(&bench.delivery, &made.id, |to, _| to.suspended.is_some()).await;
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn headers_and_context_have_limits() {
    let bench = bench().await;
    let base = to("192.0.2.1:80".parse().unwrap());
    let header = |name: &str, value: &str| vec![(name.to_owned(), Secret::new(value))];
    let many = (0..17).map(|n| (format!("X-{n}"), Secret::new("v"))).collect();
    for headers in
        [header("a b", "v"), header("Host", "v"), header("Content-Length", "1"), header("X", "a\r\nb: c"), many]
    {
        let refused = bench.delivery.create(NewSubscription { headers, ..base.clone() }).await;
        assert!(matches!(refused, Err(SubscriptionError::Unacceptable { property: "HttpHeaders", .. })));
    }
    let context = Some("x".repeat(1_025));
    assert!(bench.delivery.create(NewSubscription { context, ..base.clone() }).await.is_err());
    assert!(bench.delivery.list().is_empty());
}
