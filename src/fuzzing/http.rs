//! Whole requests on the Redfish face: method, path, headers and body through the real handlers, without a socket.
//!
//! The input is text: `METHOD PATH`, header lines, an empty line, the body. A header `As:` says who asks (`nobody`,
//! `reader`, else the administrator). The rack behind it is real configuration with devices that are not there, and
//! nothing is switched (`observe_only`).

use std::{cell::RefCell, future::Future, mem::ManuallyDrop, pin::Pin, rc::Rc, sync::Arc};

use actix_web::{
    App,
    body::to_bytes,
    dev::Service as _,
    http::{
        Method, Uri,
        header::{HeaderName, HeaderValue},
    },
    test::{TestRequest, init_service},
    web,
};

use crate::{
    api::{
        boot_hint,
        delivery::Delivery,
        operations,
        operations::Metrics,
        redfish::{Redfish, events::Eyes, http},
    },
    auth::Auth,
    config::{self, Config},
    fleet::Fleet,
    model::{Role, Scope, Secret},
    store::MemoryStore,
};

/// Requests served before everything is made anew: what they leave behind must not decide what the next ones do.
const REQUESTS: u32 = 2_000;
/// Headers of one request.
const MAX_HEADERS: usize = 24;

/// Status, whether it says that it is JSON, body.
type Answer = (u16, bool, Vec<u8>);
type Serve = Box<dyn Fn(TestRequest) -> Pin<Box<dyn Future<Output = Option<Answer>>>>>;

struct Bench {
    // Dropped in this order: what runs on the runtime goes first.
    serve: Serve,
    tokens: [Secret; 2],
    local: tokio::task::LocalSet,
    runtime: tokio::runtime::Runtime,
    left: u32,
}

thread_local! {
    // Left behind by a thread that ends: actix keeps its pools with the thread, and nobody says whose end comes first.
    static BENCH: RefCell<Option<ManuallyDrop<Bench>>> = const { RefCell::new(None) };
}

/// The rack.
pub(super) fn rack() -> Option<Config> {
    const TEXT: &str = r#"
        [server]
        listen = ["127.0.0.1:8443"]
        observe_only = true
        [endpoints.bmc]
        driver = "ipmi"
        address = "127.0.0.1"
        port = 9
        timeout = "20ms"
        probe_at_start = false
        poll = "1d"
        poll_sensors = "1d"
        [endpoints.pdu]
        driver = "snmp-pdu"
        model = "apc-rpdu2"
        address = "127.0.0.1"
        port = 9
        timeout = "20ms"
        probe_at_start = false
        poll = "1d"
        poll_sensors = "1d"
        [chassis.rack1]
        slots = 4
        [nodes.n1]
        host = "bmc"
        chassis = "rack1"
        slot = 1
        [nodes.n2]
        feeds = ["pdu/1"]
        macs = ["52:54:00:00:00:02"]
        groups = ["g"]
        [nodes."n:3"]
        feeds = ["pdu/2", { unit = "pdu/3", gap = "1s" }]
        memory_gib = 4.0
    "#;
    let folder = std::env::temp_dir().join(format!("rackfish-fuzz-{:016x}", rand::random::<u64>()));
    std::fs::create_dir(&folder).ok()?;
    let file = folder.join("rackfish.toml");
    std::fs::write(&file, TEXT).ok()?;
    let loaded = config::load(&file, &config::Env::default());
    std::fs::remove_dir_all(&folder).ok()?;
    loaded.ok().map(|loaded| loaded.config)
}

fn bench() -> Option<Bench> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let local = tokio::task::LocalSet::new();
    let (serve, tokens) = local.block_on(&runtime, async {
        let config = rack()?;
        let store = MemoryStore::new();
        let auth = Auth::open(store.clone(), config.auth.clone()).await.ok()?;
        let password = Secret::new("a password of the bench");
        auth.create("admin", &password, Role::Administrator, Scope::All, false).await.ok()?;
        auth.create("reader", &password, Role::ReadOnly, Scope::All, false).await.ok()?;
        let admin = auth.login("admin", password.expose(), None).await.ok()?.token;
        let reader = auth.login("reader", password.expose(), None).await.ok()?.token;
        let fleet = Fleet::open(Arc::new(config), store).await.ok()?;
        // Nothing is sent anywhere.
        let eyes = Eyes { fleet: fleet.clone(), auth: auth.clone() };
        let delivery = Delivery::nowhere(MemoryStore::new(), eyes).await.ok()?;
        let metrics = Arc::new(Metrics::new(fleet.clone(), auth.clone()));
        let served = crate::api::redfish::Served { port: Some(8443), tls: true };
        let face = web::Data::new(Redfish::new(fleet, auth, Some(delivery), metrics, served));
        let app = App::new().app_data(face).configure(boot_hint::routes).configure(operations::guarded);
        let app = Rc::new(init_service(app.default_service(web::to(http::serve))).await);
        let serve: Serve = Box::new(move |request| {
            let app = Rc::clone(&app);
            Box::pin(async move {
                let response = app.call(request.to_request()).await.ok()?;
                let json = response.headers().get("content-type").is_some_and(|v| v.as_bytes() == b"application/json");
                let status = response.status().as_u16();
                Some((status, json, to_bytes(response.into_body()).await.ok()?.to_vec()))
            })
        });
        Some((serve, [admin, reader]))
    })?;
    Some(Bench { serve, tokens, local, runtime, left: REQUESTS })
}

/// See the module.
pub fn request(data: &[u8]) {
    let split = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match split {
        Some(at) => (data.get(..at).unwrap_or_default(), data.get(at + 2..).unwrap_or_default()),
        None => (data, &[][..]),
    };
    let Ok(head) = std::str::from_utf8(head) else { return };
    let mut lines = head.lines();
    let Some((method, path)) = lines.next().and_then(|line| line.split_once(' ')) else { return };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
    // A client's request line holds a path, or `*`.
    if !path.starts_with('/') || Uri::try_from(path).is_err() {
        return;
    }
    let mut request = TestRequest::default().method(method.clone()).uri(path).set_payload(body.to_vec());
    let mut who = Some(0);
    for (name, value) in lines.take(MAX_HEADERS).filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("as") {
            who = match value {
                "nobody" => None,
                "reader" => Some(1),
                _ => Some(0),
            };
        } else if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            // argon2 for each of a million guesses tells nothing.
            if name.as_str() != "authorization" || !value.as_bytes().to_ascii_lowercase().starts_with(b"basic") {
                request = request.append_header((name, value));
            }
        }
    }
    BENCH.with_borrow_mut(|place| {
        if place.as_ref().is_none_or(|bench| bench.left == 0) {
            drop(place.take().map(ManuallyDrop::into_inner));
            *place = bench().map(ManuallyDrop::new);
            assert!(place.is_some(), "the bench can't be set up");
        }
        let Some(bench) = place else { return };
        bench.left -= 1;
        if let Some(token) = who.and_then(|who: usize| bench.tokens.get(who)) {
            request = request.append_header(("x-auth-token", token.expose()));
        }
        let Some((status, json, body)) = bench.local.block_on(&bench.runtime, (bench.serve)(request)) else { return };
        assert!((200..600).contains(&status) && status != 500, "status {status}: something of ours went wrong");
        if json && !body.is_empty() {
            let body: serde_json::Value = match serde_json::from_slice(&body) {
                Ok(body) => body,
                Err(error) => return assert!(body.is_empty(), "status {status}: a body that is no JSON: {error}"),
            };
            assert!(status < 400 || body.get("error").is_some(), "status {status} without an error");
        }
    });
}
