//! The HTTP listeners: assembles faces into one actix-web server on threads of its own.
//!
//! Handlers run on the server's workers; whatever outlasts a request (operations, refreshes) runs on the runtime that
//! [`start`] is called in.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use actix_http::{HttpService, HttpServiceBuilder, TlsAcceptorConfig, error::DispatchError};
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_tls::accept::{TlsError, max_concurrent_tls_connect, openssl::TlsStream};
use actix_web::{
    App, HttpServer,
    body::BoxBody,
    dev::{self, AppConfig, Extensions, Server, ServerHandle as ActixHandle, ServiceRequest, ServiceResponse},
    rt::net::TcpStream,
    web,
};
use openssl::ssl::SslAcceptorBuilder;

use super::{
    boot_hint,
    connections::{Connections, minded},
    delivery::Delivery,
    doors::{self, Doors},
    operations,
    operations::Metrics,
    plain_http::secured,
    redfish::{Redfish, Served, admit::ClientCertificate, body::Unheard, http, resources::root::REDFISH_VERSION},
    restart::Restart,
    ssdp::Ssdp,
    tls::{self, ReloadableAcceptor},
};
use crate::{auth::Auth, config, fleet::Fleet, model::NodeId};

/// An idle connection is closed after that long; sushy makes a new one for each request anyway.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// A client that has not sent its request's head by then is cut off.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// A kept connection on which no request is complete by then is cut off.
const NEXT_TIME: Duration = KEEP_ALIVE.saturating_add(HEAD_TIME);
/// A TLS handshake takes at most that long.
pub(super) const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// A client that does not close its side by then is cut off.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Connections per worker.
pub(super) const MAX_CONNECTIONS: usize = 10_000;
/// TLS handshakes under way per worker: as many as connections. A worker whose handshakes are all taken takes no
/// connection at all, so that a few hundred clients that connect and say nothing would shut everybody else out; and a
/// handshake that waits costs no processor time.
const MAX_HANDSHAKES: usize = MAX_CONNECTIONS;
/// Connections waiting to be accepted.
const BACKLOG: i32 = 1024;
/// Requests under way get that long when the server stops: as long as an action's patience.
pub(super) const STOP_TIME: u64 = 30;

/// Makes an acceptor for a listener; called once for each.
pub type Acceptor = Arc<dyn Fn() -> Result<SslAcceptorBuilder, String> + Send + Sync>;

/// What is served.
pub struct Service {
    /// Nodes.
    pub fleet: Fleet,
    /// Accounts.
    pub auth: Auth,
    /// Event subscriptions; without them there is no EventService.
    pub subscriptions: Option<Delivery>,
    /// TLS; without it plain HTTP is served.
    pub tls: Option<Acceptor>,
    /// Whoever can start the service anew; without it that is not offered.
    pub restart: Option<Restart>,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address that can't be listened on.
    #[error("can't listen on {address}: {cause}; choose another address in server.listen, or stop what uses it")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// A node's own address that can't be listened on.
    #[error(
        "the door of {node} can't listen on {address}: {cause}; the address has to be one of this machine's, and free: \
         choose another in nodes.{node}.door, or stop what uses it"
    )]
    Door {
        /// Which.
        address: SocketAddr,
        /// Whose.
        node: NodeId,
        /// Why.
        cause: io::Error,
    },
    /// A node's own address that can't be had beside what is listened on until the service starts anew.
    #[error(
        "the door of {node} can't listen on {address} while {held} is listened on: sockets that are open are neither \
         narrowed nor moved; it takes effect when rackfish starts anew (Manager.Reset, or its service manager)"
    )]
    Later {
        /// Which.
        address: SocketAddr,
        /// Whose.
        node: NodeId,
        /// What is in its way.
        held: SocketAddr,
    },
    /// No TLS acceptor.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server's thread could not be started.
    #[error("the server could not be started: {0}")]
    Start(io::Error),
}

/// A running server.
pub struct ServerHandle {
    /// Where Redfish is served, ports filled in.
    pub addresses: Vec<SocketAddr>,
    /// Where metrics are served, if they have a listener of their own.
    pub operations: Option<SocketAddr>,
    /// The nodes' own listeners.
    pub doors: Doors,
    metrics: Arc<Metrics>,
    servers: Vec<ActixHandle>,
    thread: JoinHandle<io::Result<()>>,
    counting: tokio::task::JoinHandle<()>,
    ssdp: Arc<Ssdp>,
}

impl ServerHandle {
    /// Everything but doors that is listened on.
    pub fn beside_doors(&self) -> Vec<SocketAddr> {
        self.addresses.iter().copied().chain(self.operations).collect()
    }

    /// Whether a service of that configuration could listen where it wants to once this one has stopped: tries the
    /// addresses that are not listened on now, and lets go of them at once.
    pub fn could_serve(&self, config: &config::Config) -> Result<(), ServeError> {
        let doors = config.doors();
        let all = wanted(&config.server, &doors);
        let held: BTreeSet<SocketAddr> = self.beside_doors().into_iter().chain(self.doors.addresses()).collect();
        for address in all.iter().copied().filter(|address| !held.contains(address)) {
            let Err(cause) = bound(address, &all) else { continue };
            // What we hold ourselves is free by then.
            if cause.kind() == io::ErrorKind::AddrInUse && in_the_way(address, &held).is_some() {
                continue;
            }
            return Err(match doors.get(&address) {
                Some(node) => ServeError::Door { address, node: node.clone(), cause },
                None => ServeError::Listen { address, cause },
            });
        }
        Ok(())
    }

    /// Stops taking connections, lets requests under way end (bounded), and returns when all threads are gone.
    pub async fn stop(self) {
        self.metrics.set_ready(false);
        // Stopping can't fail.
        self.ssdp.set(false).ok();
        // Beside each other: each waits for its requests.
        tokio::join!(self.doors.stop(), async {
            for server in &self.servers {
                server.stop(true).await;
            }
        });
        self.counting.abort();
        // It holds the fleet: gone only when it has really ended. That it was cancelled is no news.
        self.counting.await.ok();
        let thread = self.thread;
        match tokio::task::spawn_blocking(move || thread.join()).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(cause))) => tracing::warn!(%cause, "the server ended with an error"),
            Ok(Err(_)) | Err(_) => tracing::error!("the server's thread ended unexpectedly"),
        }
    }
}

/// Starts to serve. Has to be called within the runtime that the fleet lives on.
pub fn start(service: Service, server: &config::Server) -> Result<ServerHandle, ServeError> {
    start_with(service, server, None)
}

/// As [`start`], with a certificate that is shown and can be replaced over Redfish.
pub fn start_with(
    service: Service,
    server: &config::Server,
    certificate: Option<ReloadableAcceptor>,
) -> Result<ServerHandle, ServeError> {
    let doors = service.fleet.config().doors();
    let all = wanted(server, &doors);
    let listeners = server.listen.iter().map(|a| listen_or(*a, &all)).collect::<Result<Vec<_>, _>>()?;
    let addresses: Vec<SocketAddr> = listeners.iter().filter_map(|l| l.local_addr().ok()).collect();
    let own = server.operations_listen.map(|a| listen_or(a, &all)).transpose()?;
    let doors = doors::bind(doors, &all, |_| false)?;
    let operations = own.as_ref().and_then(|l| l.local_addr().ok());
    let acceptors = match &service.tls {
        Some(tls) => {
            let each = listeners.iter().map(|_| tls().map(Some)).collect::<Result<Vec<_>, _>>();
            each.map_err(ServeError::Tls)?
        }
        None => listeners.iter().map(|_| None).collect(),
    };
    let metrics = Arc::new(Metrics::new(service.fleet.clone(), service.auth.clone()));
    let counting = {
        let (metrics, fleet) = (Arc::clone(&metrics), service.fleet.clone());
        tokio::spawn(async move { metrics.follow(&fleet).await })
    };
    let reached = Served { port: addresses.first().map(SocketAddr::port), tls: service.tls.is_some() };
    let ssdp = Arc::new(Ssdp::new(service.fleet.uuid(), reached.tls, addresses.clone(), REDFISH_VERSION));
    if server.ssdp
        && let Err(error) = ssdp.set(true)
    {
        tracing::warn!(%error, "searches for Redfish services are not answered (ssdp)");
    }
    let mut face = Redfish::new(service.fleet, service.auth, service.subscriptions, Arc::clone(&metrics), reached);
    face.ssdp = Some(Arc::clone(&ssdp));
    face.certificate = certificate;
    face.restart = service.restart;
    let face = web::Data::new(face);
    let connections = Connections::new(NEXT_TIME);
    let own_doors = Doors::new(face.clone(), Arc::clone(&connections), service.tls);
    let (send, receive) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let servers = match build(&face, &connections, listeners, acceptors, own) {
                    Ok(servers) => servers,
                    Err(cause) => {
                        drop(send);
                        return Err(cause);
                    }
                };
                // Nobody waits for it any more if this fails: then the servers below end with their handles.
                drop(send.send(servers.iter().map(actix_web::dev::Server::handle).collect::<Vec<_>>()));
                tokio::select! {
                    ended = futures_util::future::try_join_all(servers) => ended.map(|_| ()),
                    never = connections.watch() => match never {},
                }
            })
        })
        .map_err(ServeError::Start)?;
    if let Ok(servers) = receive.recv() {
        own_doors.apply(doors)?;
        return Ok(ServerHandle { addresses, operations, doors: own_doors, metrics, servers, thread, counting, ssdp });
    }
    counting.abort();
    Err(ServeError::Start(match thread.join() {
        Ok(Err(cause)) => cause,
        _ => io::Error::other("its thread ended"),
    }))
}

/// Everything that a configuration listens on: [`listen`] has to know what is beside an address.
fn wanted(server: &config::Server, doors: &BTreeMap<SocketAddr, NodeId>) -> Vec<SocketAddr> {
    server.listen.iter().copied().chain(server.operations_listen).chain(doors.keys().copied()).collect()
}

/// What of `held` may keep `address` from being listened on: itself, or one of both takes the other along.
pub(super) fn in_the_way(address: SocketAddr, held: &BTreeSet<SocketAddr>) -> Option<SocketAddr> {
    let wide = |at: SocketAddr| at.ip().is_unspecified();
    let meets = |at: &SocketAddr| at.port() == address.port() && (*at == address || wide(*at) || wide(address));
    held.iter().copied().find(meets)
}

fn listen_or(address: SocketAddr, all: &[SocketAddr]) -> Result<TcpListener, ServeError> {
    listen(address, all).map_err(|cause| ServeError::Listen { address, cause })
}

pub(super) fn listen(address: SocketAddr, all: &[SocketAddr]) -> io::Result<TcpListener> {
    let socket = bound(address, all)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from(socket))
}

/// A socket that nobody can connect to yet.
fn bound(address: SocketAddr, all: &[SocketAddr]) -> io::Result<socket2::Socket> {
    // [::] takes IPv4 along, unless IPv4 has a listener of its own on that port.
    let apart = address.ip().is_unspecified() && all.iter().any(|a| a.is_ipv4() && a.port() == address.port());
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(apart)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn build(
    face: &web::Data<Redfish>,
    connections: &Arc<Connections>,
    listeners: Vec<TcpListener>,
    acceptors: Vec<Option<SslAcceptorBuilder>>,
    own: Option<TcpListener>,
) -> io::Result<Vec<actix_web::dev::Server>> {
    let mut servers = Vec::new();
    let shared = own.is_none();
    let main_face = face.clone();
    let app = move || {
        let app = App::new().wrap_fn(minded).app_data(main_face.clone()).configure(boot_hint::routes);
        let app = if shared { app.configure(operations::guarded) } else { app };
        app.default_service(web::to(http::serve)).wrap_fn(no_endless_bodies)
    };
    // actix-web's own builder hands a connection to OpenSSL before anybody has seen what its client speaks.
    max_concurrent_tls_connect(MAX_HANDSHAKES);
    let mut main =
        Server::build().max_concurrent_connections(MAX_CONNECTIONS).disable_signals().shutdown_timeout(STOP_TIME);
    for (listener, acceptor) in listeners.into_iter().zip(acceptors) {
        let address = listener.local_addr()?;
        let stopping = main.graceful_shutdown_signal();
        let stopping = move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        };
        let (app, connections) = (app.clone(), Arc::clone(connections));
        let app = move || map_config(app().into_factory(), |()| AppConfig::default());
        main = match acceptor.map(SslAcceptorBuilder::build) {
            Some(acceptor) => main.listen("https", listener, move || {
                let connections = Arc::clone(&connections);
                let http = tuned(HttpService::build().secure(), stopping.clone())
                    .on_connect_ext(move |io, data| connected(&connections, io, data));
                let handshake = TlsAcceptorConfig::default().handshake_timeout(HANDSHAKE_TIME);
                fn_service(async |stream| secured(stream).await.map_err(|e| TlsError::Service(DispatchError::Io(e))))
                    .and_then(http.local_addr(address).finish(app()).openssl_with_config(acceptor.clone(), handshake))
            })?,
            None => main.listen("http", listener, move || {
                let connections = Arc::clone(&connections);
                let http = tuned(HttpService::build(), stopping.clone())
                    .on_connect_ext(move |io, data| connected(&connections, io, data));
                http.local_addr(address).finish(app()).tcp()
            })?,
        };
    }
    servers.push(main.run());
    if let Some(listener) = own {
        let (face, connections) = (face.clone(), Arc::clone(connections));
        let app = move || {
            let app = App::new().wrap_fn(minded).app_data(face.clone()).configure(operations::open);
            app.wrap_fn(no_endless_bodies)
        };
        let server = HttpServer::new(app)
            .on_connect(move |io, data| connected(&connections, io, data))
            .workers(1)
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIME)
            .disable_signals()
            .shutdown_timeout(1)
            .listen(listener)?;
        servers.push(server.run());
    }
    Ok(servers)
}

/// What both kinds of listeners have in common.
pub(super) fn tuned<T, S, F>(
    http: HttpServiceBuilder<T, S>,
    stopping: impl Fn() -> F + 'static,
) -> HttpServiceBuilder<T, S>
where
    T: 'static,
    F: Future<Output = ()> + 'static,
    S: dev::ServiceFactory<actix_http::Request, Config = ()>,
    S::Error: Into<actix_http::Response<BoxBody>> + 'static,
    S::InitError: std::fmt::Debug,
    <S::Service as dev::Service<actix_http::Request>>::Future: 'static,
{
    http.graceful_shutdown_signal(stopping)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIME)
        .client_disconnect_timeout(CLOSE_TIME)
        .tcp_nodelay(true)
}

/// Ends connections whose request's body nobody waits for.
pub(super) fn no_endless_bodies<S>(
    mut req: ServiceRequest,
    next: &S,
) -> impl Future<Output = Result<ServiceResponse, actix_web::Error>> + use<S>
where
    S: dev::Service<ServiceRequest, Response = ServiceResponse, Error = actix_web::Error>,
{
    let rest = Unheard::rest_of(&mut req);
    let answer = next.call(req);
    async move {
        let answer = answer.await?;
        Ok(match rest {
            Some(rest) => answer.map_body(|_, body| Unheard::boxed(body, rest)),
            None => answer,
        })
    }
}

/// What is kept with a new connection: its watch, and the name in its client's certificate.
pub(super) fn connected(connections: &Connections, io: &dyn Any, data: &mut Extensions) {
    let secure = io.downcast_ref::<TlsStream<TcpStream>>();
    if let Some(name) = secure.and_then(|stream| tls::peer_common_name(stream.ssl())) {
        data.insert(ClientCertificate(name.into()));
    }
    let Some(stream) = secure.map(|stream| stream.get_ref()).or_else(|| io.downcast_ref::<TcpStream>()) else { return };
    match connections.enter(stream) {
        Ok(connection) => drop(data.insert(connection)),
        Err(error) => tracing::warn!(%error, "a connection is not watched: no descriptor is left"),
    }
}
