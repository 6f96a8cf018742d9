//! `/metrics` (Prometheus text), `/healthz`, `/readyz`: for whoever runs the service.
//!
//! No label names a node or an endpoint: with 10,000 of them that would cost more than it tells. On a listener of
//! their own they are open; on the main one they need a login.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
        histogram::Histogram,
    },
    registry::Registry,
};

use super::redfish::{Redfish, admit, error::Error, http};
use crate::{
    auth::{Auth, oauth::IssuerInfo},
    fleet::{Fleet, event},
    model::PowerState,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    face: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaceLabels {
    face: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    kind: String,
    result: &'static str,
}

/// Kinds of operations that are counted apart; the rest is `other`, so that no client makes up labels.
const KINDS: [&str; 12] = [
    "On",
    "ForceOn",
    "ForceOff",
    "GracefulShutdown",
    "GracefulRestart",
    "ForceRestart",
    "PowerCycle",
    "FullPowerCycle",
    "Nmi",
    "Boot",
    "Indicator",
    "ClearLog",
];

/// Counters of the service.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<FaceLabels, Histogram>,
    operations: Family<OperationLabels, Counter>,
    ready: AtomicBool,
}

impl Metrics {
    /// Counts for `fleet` and `auth`.
    pub fn new(fleet: Fleet, auth: Auth) -> Self {
        let mut registry = Registry::with_prefix("rackfish");
        let requests = Family::default();
        let durations = Family::<FaceLabels, Histogram>::new_with_constructor(|| {
            Histogram::new([0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 10.0, 30.0])
        });
        let operations = Family::default();
        registry.register("requests", "Requests answered, by face and status", requests.clone());
        registry.register("request_seconds", "Time until a request was answered", durations.clone());
        registry.register("operations", "Operations that have ended, by kind and result", operations.clone());
        registry.register_collector(Box::new(Snapshot { fleet, auth }));
        Self { registry: Mutex::new(registry), requests, durations, operations, ready: AtomicBool::new(true) }
    }

    /// A request was answered.
    pub fn request(&self, face: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { face, status: u32::from(status) }).inc();
        self.durations.get_or_create(&FaceLabels { face }).observe(took.as_secs_f64());
    }

    /// From now on `/readyz` says whether requests should be sent here.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Counts what the fleet does, whoever asked for it. Ends with the fleet.
    pub async fn follow(&self, fleet: &Fleet) {
        use tokio::sync::broadcast::error::RecvError;
        let mut events = fleet.events();
        loop {
            match events.recv().await {
                Ok(event) => self.count(&event.what),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn count(&self, what: &event::What) {
        if let event::What::Operation { op, error, .. } = what {
            let word = op.split([' ', '(']).next().unwrap_or_default();
            let kind = KINDS.iter().find(|k| **k == word).unwrap_or(&"other");
            let result = if error.is_none() { "ok" } else { "failed" };
            self.operations.get_or_create(&OperationLabels { kind: (*kind).to_owned(), result }).inc();
        }
    }

    /// All metrics as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing into a String can't fail.
        text::encode(&mut out, &registry).unwrap_or_default();
        out
    }
}

/// What is counted when somebody asks.
struct Snapshot {
    fleet: Fleet,
    auth: Auth,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IssuerLabels {
    issuer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let endpoints = self.fleet.endpoints();
        let down = endpoints.iter().filter(|e| e.fault.is_some()).count();
        let units = endpoints.iter().flat_map(|e| &e.units).map(|(_, power)| power.as_ref().map(|p| p.value));
        let (mut on, mut off, mut unknown) = (0, 0, 0);
        for power in units {
            match power {
                Some(PowerState::On | PowerState::PoweringOn) => on += 1,
                Some(PowerState::Off | PowerState::PoweringOff) => off += 1,
                None => unknown += 1,
            }
        }
        let up = endpoints.len() - down;
        gauges(&mut encoder, "endpoints", "Devices, by whether they answer", &[("up", up), ("down", down)])?;
        gauges(
            &mut encoder,
            "units",
            "Outlets and hosts, by power",
            &[("on", on), ("off", off), ("unknown", unknown)],
        )?;
        let nodes = self.fleet.config().nodes.len();
        gauges(&mut encoder, "nodes", "Nodes in the configuration", &[("configured", nodes)])?;
        gauges(&mut encoder, "sessions", "Sessions", &[("open", self.auth.sessions().len())])?;
        let sum = |pick: fn(&crate::fleet::view::Counts) -> u64| endpoints.iter().map(|e| pick(&e.counts)).sum::<u64>();
        counter(&mut encoder, "exchanges", "Exchanges with devices", sum(|c| c.exchanges))?;
        counter(&mut encoder, "exchange_failures", "Exchanges with devices that failed", sum(|c| c.failures))?;
        counter(&mut encoder, "acts", "Commands sent to devices", sum(|c| c.acts))?;
        counter(&mut encoder, "logins", "Logins on devices", sum(|c| c.opens))?;
        issuers(&mut encoder, &self.auth.issuers())
    }
}

/// Whether tokens can be checked. The only label that the configuration names: there is a handful of issuers.
fn issuers(encoder: &mut DescriptorEncoder<'_>, all: &[IssuerInfo]) -> Result<(), fmt::Error> {
    use prometheus_client::metrics::MetricType;
    if all.is_empty() {
        return Ok(());
    }
    let labels = |info: &IssuerInfo| IssuerLabels { issuer: info.settings.name.clone() };
    let mut metric = encoder.encode_descriptor("oauth_keys", "Keys of an issuer", None, MetricType::Gauge)?;
    for info in all {
        let gauge = ConstGauge::new(i64::try_from(info.keys).unwrap_or(i64::MAX));
        gauge.encode(metric.encode_family(&labels(info))?)?;
    }
    let help = "Time since the keys of an issuer were read or fetched";
    let mut metric = encoder.encode_descriptor("oauth_keys_age_seconds", help, None, MetricType::Gauge)?;
    for (info, age) in all.iter().filter_map(|info| Some((info, info.age?))) {
        let gauge = ConstGauge::new(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        gauge.encode(metric.encode_family(&labels(info))?)?;
    }
    let help = "Attempts to fetch the keys of an issuer that failed";
    let mut metric = encoder.encode_descriptor("oauth_fetch_failures", help, None, MetricType::Counter)?;
    for info in all {
        ConstCounter::new(info.failures).encode(metric.encode_family(&labels(info))?)?;
    }
    Ok(())
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: &[(&'static str, usize)],
) -> Result<(), fmt::Error> {
    use prometheus_client::metrics::MetricType;
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (state, value) in values {
        let gauge = ConstGauge::new(i64::try_from(*value).unwrap_or(i64::MAX));
        gauge.encode(metric.encode_family(&StateLabels { state })?)?;
    }
    Ok(())
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    use prometheus_client::metrics::MetricType;
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(metric)
}

/// Routes without a login, for a listener of their own.
pub fn open(config: &mut web::ServiceConfig) {
    config
        .route("/metrics", web::get().to(|face: web::Data<Redfish>| async move { metrics(&face) }))
        .route("/healthz", web::get().to(healthz))
        .route("/readyz", web::get().to(|face: web::Data<Redfish>| async move { readyz(&face) }));
}

/// The same routes behind a login.
pub fn guarded(config: &mut web::ServiceConfig) {
    config
        .route("/metrics", web::get().to(|req, face| with_login(req, face, metrics)))
        .route("/healthz", web::get().to(|req, face| with_login(req, face, |_| HttpResponse::Ok().body("ok\n"))))
        .route("/readyz", web::get().to(|req, face| with_login(req, face, readyz)));
}

async fn with_login(
    req: HttpRequest,
    face: web::Data<Redfish>,
    then: impl FnOnce(&Redfish) -> HttpResponse,
) -> HttpResponse {
    let peer = req.peer_addr().map(|a| a.ip());
    match admit::authenticate(&face, req.headers(), peer, req.conn_data()).await {
        // What is told here is about all nodes.
        Ok(who) if who.session.as_ref().is_some_and(|session| face.auth.door_of(session).is_some()) => {
            http::refuse(&req, Error::forbidden())
        }
        Ok(_) => then(&face),
        Err(error) => http::refuse(&req, error),
    }
}

fn metrics(face: &Redfish) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8"))
        .body(face.metrics.text())
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

fn readyz(face: &Redfish) -> HttpResponse {
    if face.metrics.ready.load(Ordering::Relaxed) {
        HttpResponse::Ok().body("ready\n")
    } else {
        HttpResponse::ServiceUnavailable().body("stopping\n")
    }
}
