//! The nodes' own listeners (`door` of a node): sockets that come and go with the configuration.
//!
//! actix-web's server has its listeners for life and a thread for each few of them; there may be thousands of doors. So
//! a handful of threads holds one instance of the HTTP service each, and a door is a task that accepts connections and
//! hands them to it. What is shown there is the face's matter (`redfish::door`): a connection carries [`AtDoor`].

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use actix_http::{HttpService, TlsAcceptorConfig, error::DispatchError};
use actix_service::{IntoServiceFactory as _, Service, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_tls::accept::TlsError;
use actix_web::{
    App, HttpRequest, HttpResponse,
    dev::AppConfig,
    rt::{self, net::TcpStream},
    web,
};
use arc_swap::ArcSwap;
use openssl::ssl::{SslAcceptor, SslAcceptorBuilder};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    connections::{Connections, minded},
    plain_http::secured,
    redfish::{Redfish, door::AtDoor, error::Error, http},
    server::{
        Acceptor, HANDSHAKE_TIME, MAX_CONNECTIONS, STOP_TIME, ServeError, connected, in_the_way, listen,
        no_endless_bodies, tuned,
    },
};
use crate::model::NodeId;

/// Threads that serve doors, at most: as many as processors below that.
const MAX_THREADS: usize = 8;
/// When no connection can be accepted (no descriptor is left), it is tried again after that.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

tokio::task_local! {
    /// The door that the connection of this task came in at.
    static HERE: Arc<Shown>;
}

/// What a door shows now.
struct Shown {
    node: NodeId,
    /// It shows something else, or nothing, from now on: connections end after the request under way.
    gone: CancellationToken,
}

/// A door that is open.
struct Door {
    shown: Arc<ArcSwap<Shown>>,
    /// Its listener is to be closed.
    close: CancellationToken,
}

/// A door for a thread to attend to.
struct Task {
    listener: TcpListener,
    shown: Arc<ArcSwap<Shown>>,
    close: CancellationToken,
}

struct Thread {
    tasks: mpsc::UnboundedSender<Task>,
    handle: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    open: BTreeMap<SocketAddr, Door>,
    /// Started with the first door.
    threads: Vec<Thread>,
    next: usize,
}

/// All doors.
pub struct Doors {
    face: web::Data<Redfish>,
    connections: Arc<Connections>,
    tls: Option<Acceptor>,
    /// The service ends.
    end: CancellationToken,
    state: Mutex<State>,
}

/// Listeners that are bound and not yet attended to: dropping them closes them.
pub struct Prepared {
    wanted: BTreeMap<SocketAddr, NodeId>,
    new: Vec<(SocketAddr, TcpListener)>,
}

/// Binds what is in `wanted` and not `known`. `beside`: other addresses that are listened on.
pub(super) fn bind(
    wanted: BTreeMap<SocketAddr, NodeId>,
    beside: &[SocketAddr],
    known: impl Fn(&SocketAddr) -> bool,
) -> Result<Prepared, ServeError> {
    let all: Vec<SocketAddr> = wanted.keys().chain(beside).copied().filter(SocketAddr::is_ipv4).collect();
    let mut new = Vec::new();
    for (address, node) in wanted.iter().filter(|(address, _)| !known(address)) {
        let door = |cause| ServeError::Door { address: *address, node: node.clone(), cause };
        new.push((*address, listen(*address, &all).map_err(door)?));
    }
    Ok(Prepared { wanted, new })
}

impl Doors {
    /// None yet.
    pub(super) fn new(face: web::Data<Redfish>, connections: Arc<Connections>, tls: Option<Acceptor>) -> Self {
        Self { face, connections, tls, end: CancellationToken::new(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.state().open.len()
    }

    /// Where they are.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.state().open.keys().copied().collect()
    }

    /// Binds the doors that are not open yet, beside other listeners. An error changes nothing.
    pub fn prepare(&self, wanted: BTreeMap<SocketAddr, NodeId>, beside: &[SocketAddr]) -> Result<Prepared, ServeError> {
        let state = self.state();
        bind(wanted, beside, |address| state.open.contains_key(address)).map_err(|error| match error {
            ServeError::Door { address, node, cause } if cause.kind() == io::ErrorKind::AddrInUse => {
                let held = beside.iter().chain(state.open.keys()).copied().collect();
                match in_the_way(address, &held) {
                    Some(held) => ServeError::Later { address, node, held },
                    None => ServeError::Door { address, node, cause },
                }
            }
            other => other,
        })
    }

    /// Opens those that were prepared, and closes those that are not wanted any more. A door that shows another node
    /// keeps its listener; its connections end.
    pub fn apply(&self, prepared: Prepared) -> Result<(), ServeError> {
        let Prepared { wanted, new } = prepared;
        let mut state = self.state();
        if state.threads.is_empty() && !new.is_empty() {
            state.threads = self.start()?;
        }
        state.open.retain(|address, door| {
            let shown = door.shown.load();
            match wanted.get(address) {
                Some(node) if *node == shown.node => {}
                Some(node) => {
                    door.shown.store(Arc::new(self.showing(node)));
                    shown.gone.cancel();
                }
                None => {
                    door.close.cancel();
                    shown.gone.cancel();
                    return false;
                }
            }
            true
        });
        for (address, listener) in new {
            let Some(node) = wanted.get(&address) else { continue };
            let (shown, close) = (Arc::new(ArcSwap::from_pointee(self.showing(node))), self.end.child_token());
            let task = Task { listener, shown: Arc::clone(&shown), close: close.clone() };
            state.next = state.next.wrapping_add(1);
            let at = state.next.checked_rem(state.threads.len()).unwrap_or(0);
            // A thread is gone only when the service ends.
            if state.threads.get(at).is_some_and(|thread| thread.tasks.send(task).is_ok()) {
                state.open.insert(address, Door { shown, close });
            }
        }
        Ok(())
    }

    fn showing(&self, node: &NodeId) -> Shown {
        Shown { node: node.clone(), gone: self.end.child_token() }
    }

    fn start(&self) -> Result<Vec<Thread>, ServeError> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MAX_THREADS);
        let mut all = Vec::new();
        for _ in 0..threads {
            let acceptor = self.tls.as_ref().map(|tls| tls()).transpose().map_err(ServeError::Tls)?;
            let acceptor = acceptor.map(SslAcceptorBuilder::build);
            let (tasks, receive) = mpsc::unbounded_channel();
            let (face, connections, end) = (self.face.clone(), Arc::clone(&self.connections), self.end.clone());
            let handle = std::thread::Builder::new()
                .name("doors".to_owned())
                .spawn(move || rt::System::new().block_on(serve(face, connections, acceptor, receive, end)))
                .map_err(ServeError::Start)?;
            all.push(Thread { tasks, handle });
        }
        Ok(all)
    }

    /// Closes all, lets requests under way end (bounded), and returns when the threads are gone.
    pub(super) async fn stop(&self) {
        self.end.cancel();
        let threads = std::mem::take(&mut self.state().threads);
        let ended = tokio::task::spawn_blocking(move || {
            threads.into_iter().all(|Thread { tasks, handle }| {
                drop(tasks);
                handle.join().is_ok()
            })
        });
        if !ended.await.unwrap_or(false) {
            tracing::error!("a thread of the nodes' own doors ended unexpectedly");
        }
    }
}

/// One thread.
async fn serve(
    face: web::Data<Redfish>,
    connections: Arc<Connections>,
    acceptor: Option<SslAcceptor>,
    tasks: mpsc::UnboundedReceiver<Task>,
    end: CancellationToken,
) {
    let app = move || {
        let app = App::new().wrap_fn(minded).app_data(face.clone());
        let app = app.default_service(web::to(serve_here)).wrap_fn(no_endless_bodies);
        map_config(app.into_factory(), |()| AppConfig::default())
    };
    let at = |data: &mut actix_web::dev::Extensions| {
        let here = HERE.try_with(|here| AtDoor { node: here.node.clone(), gone: here.gone.clone() });
        if let Ok(here) = here {
            data.insert(here);
        }
    };
    let gone = || {
        let gone = HERE.try_with(|here| here.gone.clone());
        async move {
            if let Ok(gone) = gone {
                gone.cancelled_owned().await;
            }
        }
    };
    if let Some(acceptor) = acceptor {
        let handshake = TlsAcceptorConfig::default().handshake_timeout(HANDSHAKE_TIME);
        let http = tuned(HttpService::build().secure(), gone).on_connect_ext(move |io, data| {
            connected(&connections, io, data);
            at(data);
        });
        let service =
            fn_service(async |stream| secured(stream).await.map_err(|e| TlsError::Service(DispatchError::Io(e))))
                .and_then(http.finish(app()).openssl_with_config(acceptor, handshake));
        attend(service, tasks, end).await;
    } else {
        let http = tuned(HttpService::build(), gone).on_connect_ext(move |io, data| {
            connected(&connections, io, data);
            at(data);
        });
        attend(http.finish(app()).tcp(), tasks, end).await;
    }
}

/// The handler at a door. A connection that came in at none is shown nothing.
async fn serve_here(req: HttpRequest, payload: web::Payload, face: web::Data<Redfish>) -> HttpResponse {
    if req.conn_data::<AtDoor>().is_none() {
        tracing::error!("a connection at a node's door without a node");
        return http::refuse(&req, Error::forbidden());
    }
    http::serve(req, payload, face).await
}

async fn attend<F>(factory: F, mut tasks: mpsc::UnboundedReceiver<Task>, end: CancellationToken)
where
    F: ServiceFactory<TcpStream, Config = ()>,
    F::Service: 'static,
{
    let Ok(service) = factory.new_service(()).await else {
        return tracing::error!("nothing is served at the nodes' own doors: the service could not be made");
    };
    let service = Rc::new(service);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        tokio::select! {
            () = end.cancelled() => break,
            task = tasks.recv() => match task {
                Some(task) => drop(rt::spawn(accept(task, Rc::clone(&service), Arc::clone(&places)))),
                None => break,
            },
        }
    }
    end.cancelled().await;
    // All places are free when all connections have ended.
    let all = places.acquire_many(u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX));
    tokio::time::timeout(Duration::from_secs(STOP_TIME), all).await.ok();
}

/// Accepts the connections of one door until it is closed.
async fn accept<S>(task: Task, service: Rc<S>, places: Arc<Semaphore>)
where
    S: Service<TcpStream> + 'static,
{
    let Task { listener, shown, close } = task;
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            let node = &shown.load().node;
            return tracing::error!(%node, %error, "the node's door can't be served");
        }
    };
    loop {
        let stream = tokio::select! {
            () = close.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(node = %shown.load().node, %error, "no connection can be accepted at the node's door");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Beyond the most connections a client waits, as at the service's own listener.
        let place = tokio::select! {
            () = close.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let (service, here) = (Rc::clone(&service), shown.load_full());
        drop(rt::spawn(HERE.scope(here, async move {
            // How it went is logged with its requests.
            if std::future::poll_fn(|cx| service.poll_ready(cx)).await.is_ok() {
                service.call(stream).await.ok();
            }
            drop(place);
        })));
    }
}
