//! Delivery to real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};

use reqwest::dns::Resolve as _;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::{broadcast, mpsc},
};

use super::{
    Delivery, Health, NewSubscription, RetryPolicy, Subscription, SubscriptionError, SubscriptionPatch, Timing, check,
    post::Elsewhere,
};
use crate::{
    fleet::{Event, event::What},
    model::Secret,
    store::{Kind, MemoryStore, Store},
};

const QUICK: Timing = Timing {
    attempt: Duration::from_secs(2),
    pauses: [Duration::from_millis(10), Duration::from_millis(20), Duration::from_millis(30)],
};
const SOON: Duration = Duration::from_secs(10);

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

fn event(id: u64) -> Event {
    Event { id, at: OffsetDateTime::UNIX_EPOCH, what: What::Config { text: "reloaded".to_owned() }, who: None }
}

/// Odd events are nobody's business.
fn render(event: &Event, to: &Subscription) -> Option<Value> {
    event.id.is_multiple_of(2).then(|| json!({"Context": to.context, "Id": event.id}))
}

struct Bench {
    store: Arc<dyn Store>,
    events: broadcast::Sender<Event>,
    delivery: Delivery,
}

async fn bench() -> Bench {
    let store: Arc<dyn Store> = MemoryStore::new();
    let (events, stream) = broadcast::channel(64);
    let delivery = Delivery::start_with(Arc::clone(&store), stream, true, Box::new(render), QUICK).await.unwrap();
    Bench { store, events, delivery }
}

fn to(at: SocketAddr) -> NewSubscription {
    NewSubscription {
        owner: "ironic".into(),
        destination: format!("http://{at}/events?a=b"),
        context: Some("mine".to_owned()),
        format: "Event".to_owned(),
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

#[tokio::test]
async fn events_arrive_in_order_with_context_and_headers() {
    let bench = bench().await;
    let (at, mut told) = destination(ok()).await;
    let headers = vec![("X-Auth-Token".to_owned(), Secret::new("s3cret"))];
    let made = bench.delivery.create(NewSubscription { headers, ..to(at) }).await.unwrap();
    for id in 0..6 {
        bench.events.send(event(id)).unwrap();
    }
    for id in [0, 2, 4] {
        let (head, body) = next(&mut told).await;
        assert_eq!(body, json!({"Context": "mine", "Id": id}));
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /events?a=b http/1.1"), "{head}");
        for line in ["x-auth-token: s3cret", "content-type: application/json", "user-agent: rackfish/"] {
            assert!(head.contains(line), "{head}");
        }
    }
    assert!(!format!("{made:?}").contains("s3cret"));
    let patch = SubscriptionPatch { context: Some(None), ..SubscriptionPatch::default() };
    let changed = bench.delivery.change(&made.id, patch, Some(made.revision)).await.unwrap();
    assert!(changed.revision > made.revision);
    bench.events.send(event(8)).unwrap();
    assert_eq!(next(&mut told).await.1, json!({"Context": null, "Id": 8}));
    assert_eq!(bench.delivery.submit(|_| Some(json!("test"))), 1);
    assert_eq!(next(&mut told).await.1, json!("test"));
    until(&bench.delivery, &made.id, |_, health| health.delivered == 5 && health.failing.is_none()).await;
}

#[tokio::test]
async fn a_subscriber_that_hangs_slows_nobody_and_loses_the_oldest() {
    let bench = bench().await;
    let hanging = Arc::new(AtomicU16::new(0));
    let (slow, mut slow_told) = destination(Arc::clone(&hanging)).await;
    let (quick, mut told) = destination(ok()).await;
    let slow = bench.delivery.create(NewSubscription { retry: RetryPolicy::RetryForever, ..to(slow) }).await.unwrap();
    bench.delivery.create(to(quick)).await.unwrap();
    bench.events.send(event(0)).unwrap();
    next(&mut slow_told).await;
    for id in 1..=100 {
        bench.events.send(event(id * 2)).unwrap();
        // The quick one gets each before the next is made: nothing is lost on its way.
        loop {
            if next(&mut told).await.1["Id"] == json!(id * 2) {
                break;
            }
        }
    }
    assert_eq!(bench.delivery.health(&slow.id).unwrap().delivered, 0);
    hanging.store(204, Ordering::Relaxed);
    until(&bench.delivery, &slow.id, |_, health| health.lost > 0 && health.delivered > 60).await;
    loop {
        if next(&mut slow_told).await.1["Id"] == json!(200) {
            break;
        }
    }
}

#[tokio::test]
async fn retries_are_bounded_and_a_suspension_says_why_survives_and_ends() {
    let bench = bench().await;
    let status = Arc::new(AtomicU16::new(ONCE));
    let (at, mut told) = destination(Arc::clone(&status)).await;
    let made = bench.delivery.create(to(at)).await.unwrap();
    // One that recovers in time is not suspended.
    bench.events.send(event(0)).unwrap();
    until(&bench.delivery, &made.id, |_, health| health.delivered == 1 && health.failing.is_none()).await;
    while told.try_recv().is_ok() {}

    status.store(503, Ordering::Relaxed);
    bench.events.send(event(2)).unwrap();
    until(&bench.delivery, &made.id, |to, _| to.suspended.is_some()).await;
    let reason = bench.delivery.get(&made.id).unwrap().suspended.clone().unwrap().reason;
    assert!(reason.contains("3 retries") && reason.contains("503"), "{reason}");
    let mut attempts = 0;
    while told.try_recv().is_ok() {
        attempts += 1;
    }
    assert_eq!(attempts, 4, "the first and three retries");
    status.store(200, Ordering::Relaxed);
    bench.events.send(event(4)).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(told.try_recv().is_err());
    assert_eq!(bench.delivery.submit(|_| Some(json!("test"))), 0);

    // A new service on the same store.
    let stream = bench.events.subscribe();
    let store = Arc::clone(&bench.store);
    drop(bench.delivery);
    let again = Delivery::start_with(store, stream, true, Box::new(render), QUICK).await.unwrap();
    assert_eq!(again.health(&made.id).unwrap().failing, Some(reason));
    again.resume(&made.id).await.unwrap();
    assert!(again.get(&made.id).unwrap().suspended.is_none());
    bench.events.send(event(6)).unwrap();
    assert_eq!(next(&mut told).await.1["Id"], json!(6));
}

#[tokio::test]
async fn a_subscription_that_wants_to_end_is_removed() {
    let bench = bench().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let retry = RetryPolicy::TerminateAfterRetries;
    let made = bench.delivery.create(NewSubscription { retry, ..to(gone) }).await.unwrap();
    bench.events.send(event(0)).unwrap();
    for _ in 0..500 {
        if bench.delivery.get(&made.id).is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(bench.delivery.list().is_empty());
    assert!(bench.store.list(Kind::Subscription).await.unwrap().is_empty());
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
    bench.events.send(event(0)).unwrap();
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
    bench.delivery.reconfigure(false);
    assert!(bench.delivery.create(to(at)).await.is_err());
    bench.events.send(event(0)).unwrap();
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
