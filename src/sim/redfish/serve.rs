//! Sockets for simulated Redfish BMCs: one HTTPS server, a listener for each.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::{Method, StatusCode, header},
    web,
};
use serde_json::Value;

use super::{
    answer::answer,
    certificate,
    machine::{BmcConfig, Faults, Machine, Stats},
};

/// Largest body that is read.
const MAX_BODY: usize = 64 * 1024;
/// Who gets no answer waits that long, if no time-out of its own ends that.
const SILENCE: Duration = Duration::from_mins(2);

/// One BMC: the handle that tests and demos hold.
#[derive(Debug, Clone)]
pub struct Bmc(Arc<Mutex<Machine>>);

impl Bmc {
    /// One that nobody serves yet.
    pub fn new(config: BmcConfig) -> Self {
        Self(Arc::new(Mutex::new(Machine::new(config))))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks something, or mends it.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.machine().faults);
    }

    /// Somebody presses the host's button.
    pub fn press(&self, on: bool) {
        self.machine().press(on);
    }

    /// What it was made to do.
    pub fn stats(&self) -> Stats {
        let mut machine = self.machine();
        machine.pass(Instant::now());
        machine.stats.clone()
    }

    /// Id of each slot, and the image in it.
    pub fn slots(&self) -> Vec<(String, Option<String>)> {
        let mut machine = self.machine();
        machine.pass(Instant::now());
        let image = |slot: &super::machine::Slot| slot.image.as_ref().map(|image| image.uri.clone());
        machine.slots.iter().map(|slot| (slot.id.to_owned(), image(slot))).collect()
    }
}

type Members = Arc<HashMap<SocketAddr, Bmc>>;

/// BMCs behind one server. Ends when it is dropped.
#[derive(Debug)]
pub struct Rack {
    /// Where each listens, in the order that was given.
    pub bmcs: Vec<(SocketAddr, Bmc)>,
    /// SHA-256 of the certificate that all of them show, in hex.
    pub fingerprint: String,
    /// `None`: there is nothing to serve.
    server: Option<ServerHandle>,
}

impl Rack {
    /// Serves them, each at its address on the loopback device (port 0: any free one); has to be called on a runtime.
    ///
    /// Fails when an address is taken or is not on the loopback device, or when no certificate can be made.
    pub fn start(bmcs: Vec<(SocketAddr, BmcConfig)>) -> io::Result<Self> {
        let mut ready = Vec::with_capacity(bmcs.len());
        let mut listeners = Vec::with_capacity(bmcs.len());
        for (address, config) in bmcs {
            if !address.ip().is_loopback() {
                let why = format!("{address}: simulated BMCs listen on the loopback device only");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            let listener = TcpListener::bind(address)?;
            ready.push((listener.local_addr()?, Bmc::new(config)));
            listeners.push(listener);
        }
        let certificate = certificate::made()?;
        let members: Members = Arc::new(ready.iter().cloned().collect());
        let app = move || {
            let members = web::Data::from(Arc::clone(&members));
            let limit = web::PayloadConfig::new(MAX_BODY);
            App::new().app_data(members).app_data(limit).default_service(web::to(serve))
        };
        let mut server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1);
        for listener in listeners {
            server = server.listen_openssl(listener, certificate.acceptor()?)?;
        }
        let server = (!ready.is_empty()).then(|| {
            let running = server.run();
            let handle = running.handle();
            tokio::spawn(async move {
                if let Err(error) = running.await {
                    tracing::error!(%error, "simulated BMCs");
                }
            });
            handle
        });
        Ok(Self { bmcs: ready, fingerprint: certificate.fingerprint()?, server })
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        // The order is given when it is called; what it gives back only waits for the end.
        drop(self.server.as_ref().map(|server| server.stop(false)));
    }
}

async fn serve(request: HttpRequest, body: web::Bytes, members: web::Data<HashMap<SocketAddr, Bmc>>) -> HttpResponse {
    let Some(bmc) = members.get(&request.app_config().local_addr()) else { return HttpResponse::NotFound().finish() };
    let path = request.path().trim_end_matches('/');
    let changes = request.method() != Method::GET;
    let (status, said, lost, garbage) = {
        let mut machine = bmc.machine();
        if machine.faults.vanish {
            (503, Value::Null, true, false)
        } else if path != "/redfish/v1" && !is_let_in(&request, &machine) {
            (401, Value::Null, false, false)
        } else {
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let (status, said) = answer(&mut machine, request.method().as_str(), path, &body, Instant::now());
            let lost = changes && machine.faults.lose_answers > 0;
            machine.faults.lose_answers -= u32::from(lost);
            (status, said, lost, machine.faults.garbage)
        }
    };
    if lost {
        tokio::time::sleep(SILENCE).await;
    }
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    response.insert_header(("OData-Version", "4.0")).insert_header((header::ALLOW, "GET, HEAD, PATCH, POST"));
    match said {
        _ if garbage => response.content_type("application/json").body("{\"oh\": "),
        Value::Null => response.finish(),
        said => response.json(said),
    }
}

/// Basic authentication (RFC 7617).
fn is_let_in(request: &HttpRequest, machine: &Machine) -> bool {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let coded = header.and_then(|header| header.strip_prefix("Basic ")).unwrap_or_default();
    let said = openssl::base64::decode_block(coded.trim()).unwrap_or_default();
    let said = crate::model::Secret::new(String::from_utf8_lossy(&said));
    let config = &machine.config;
    let right = crate::model::Secret::new(format!("{}:{}", config.user, config.password.expose()));
    !machine.faults.wrong_password && said == right
}
