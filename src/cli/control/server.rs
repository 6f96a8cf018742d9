//! The service's end of the control socket.

use std::{future::Future, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use crate::{
    auth::{AccountPatch, Auth},
    cli::{
        backup,
        exit::{Exit, Failure},
        hostlist::{self, Host},
    },
    config::Problem,
    fleet::{Fleet, Fresh, Op, OpError, Outcome, Target},
    model::{Actor, EndpointId, Face, NodeId, Privileges, Role, Scope},
    store::Store,
};

use super::{
    entries::{AccountEntry, EndpointEntry, NodeEntry, RoleEntry, StatusEntry, addresses, trust},
    wire::{AccountAsk, Answer, Ask, EndpointAsk, MAX_LINE, NodeAsk, OpResult, Request, RoleAsk, VERSION},
};

/// Connections served at once; further ones wait.
const CONNECTIONS: usize = 32;
/// Operations of one request that run at once. The fleet paces devices; this only bounds memory.
const AT_ONCE: usize = 256;
/// A client sends its request within that time.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// A client that takes nothing for that long is gone.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// Requests under way at the end may take that long.
const GRACE: Duration = Duration::from_secs(3);

/// What a reload brought.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReloadReport {
    /// For people: `3 endpoints changed, 117 kept`.
    pub summary: String,
    /// What is doubtful.
    pub warnings: Vec<Problem>,
}

/// What answers requests: the service, or a test's stand-in.
pub(super) trait Desk: Send + Sync + 'static {
    /// Answers one request. A closed `out` means that the client is gone: nothing new has to be begun.
    fn handle(
        &self,
        who: Actor,
        ask: Ask,
        out: mpsc::Sender<Answer>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Serves the control socket at `path` until `shutdown` ends. `reload` reads the configuration again and puts it in
/// force, or says all that is wrong with it.
pub async fn serve_control<R, F>(
    path: &Path,
    fleet: Fleet,
    auth: Auth,
    store: Arc<dyn Store>,
    reload: R,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    R: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<ReloadReport, Vec<Problem>>> + Send,
{
    serve(path, Service { fleet, auth, store, reload }, shutdown).await
}

pub(super) async fn serve(path: &Path, desk: impl Desk, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let listener = bind(path)?;
    let own = nix::unistd::Uid::effective().as_raw();
    let desk = Arc::new(desk);
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    let mut talks = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = talks.join_next(), if !talks.is_empty() => {}
            accepted = listener.accept() => {
                let stream = match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of descriptors, most likely: give others time to close theirs.
                        tracing::warn!(%error, "control socket");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        continue;
                    }
                };
                let uid = stream.peer_cred().map(|cred| cred.uid());
                match uid {
                    Ok(uid) if uid == 0 || uid == own => {
                        let (desk, seats) = (Arc::clone(&desk), Arc::clone(&seats));
                        talks.spawn(async move {
                            let Ok(_seat) = seats.acquire().await else { return };
                            if let Err(error) = talk(stream, uid, &*desk).await {
                                tracing::debug!(%error, "control socket");
                            }
                        });
                    }
                    Ok(uid) => tracing::warn!(uid, "control socket: refused, neither root nor the service's own user"),
                    Err(error) => tracing::warn!(%error, "control socket: the peer's user is unknown"),
                }
            }
        }
    }
    // Those that wait for an operation learn its end, or from the fleet that it stops, if that comes soon.
    let rest = async { while talks.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, rest).await.is_err() {
        talks.shutdown().await;
    }
    std::fs::remove_file(path)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    // sun_path (unix(7)) has 108 bytes.
    if path.as_os_str().len() > 107 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is too long for a socket (107 bytes); choose a shorter state_dir", path.display()),
        ));
    }
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("another rackfish answers at {}; stop it, or choose another state_dir", path.display()),
            ));
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    // Between the two lines others could connect; the peer's user is checked anyway.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn talk(stream: UnixStream, uid: u32, desk: &impl Desk) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    let mut read = BufReader::new(read.take(limit));
    let got = tokio::time::timeout(REQUEST_TIME, read.read_until(b'\n', &mut line)).await??;
    if got == 0 {
        return Ok(());
    }
    let request = match parse(&line) {
        Ok(request) => request,
        Err(failure) => return send(&mut write, &Answer::Failed(failure)).await,
    };
    let request_id: String = uuid::Uuid::new_v4().simple().to_string().chars().take(12).collect();
    let who = Actor {
        principal: Arc::from(format!("local:{uid}")),
        role: Role::Administrator,
        privileges: Privileges::ALL,
        scope: Arc::new(Scope::All),
        face: Face::Cli,
        request: Arc::from(request_id),
    };
    let (out, mut answers) = mpsc::channel(64);
    let work = async {
        let result = desk.handle(who, request.ask, out.clone()).await;
        let last = match result {
            Ok(()) => Answer::End,
            Err(failure) => Answer::Failed(failure),
        };
        out.send(last).await.unwrap_or_default(); // the client is gone
        drop(out);
    };
    let reply = async {
        while let Some(answer) = answers.recv().await {
            let last = !matches!(answer, Answer::Item(_));
            send(&mut write, &answer).await?;
            if last {
                break;
            }
        }
        io::Result::Ok(())
    };
    tokio::pin!(work);
    tokio::pin!(reply);
    let mut byte = [0_u8; 1];
    loop {
        tokio::select! {
            result = &mut reply => return result,
            () = &mut work => return reply.await,
            // End of file: the client is gone. What it began goes on in the fleet; nothing new is begun.
            gone = read.read(&mut byte) => {
                if matches!(gone, Ok(0) | Err(_)) {
                    return Ok(());
                }
            }
        }
    }
}

/// One line as a request.
pub(crate) fn parse(line: &[u8]) -> Result<Request, Failure> {
    let Some(line) = line.strip_suffix(b"\n") else {
        return Err(Failure::usage(format!("the request is cut off or longer than {MAX_LINE} bytes")));
    };
    // The version first: a request of another one may not parse at all.
    let value: serde_json::Value =
        serde_json::from_slice(line).map_err(|error| Failure::usage(format!("not JSON: {error}")))?;
    let version = value.get("version").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(VERSION)) {
        return Err(Failure::usage(format!(
            "the service speaks version {VERSION} of the control protocol, this command another; restart the service \
             after an update"
        )));
    }
    serde_json::from_value(value).map_err(|error| Failure::usage(format!("not a request: {error}")))
}

async fn send(write: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    tokio::time::timeout(WRITE_TIME, write.write_all(&line)).await?
}

/// The real thing.
struct Service<R> {
    fleet: Fleet,
    auth: Auth,
    store: Arc<dyn Store>,
    reload: R,
}

impl<R, F> Desk for Service<R>
where
    R: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<ReloadReport, Vec<Problem>>> + Send,
{
    async fn handle(&self, who: Actor, ask: Ask, out: mpsc::Sender<Answer>) -> Result<(), Failure> {
        match ask {
            Ask::Status => item(&out, &self.status()).await,
            Ask::Reload => match (self.reload)().await {
                Ok(report) => item(&out, &report).await,
                Err(problems) => {
                    for problem in problems {
                        item(&out, &problem).await?;
                    }
                    Err(Failure::new(
                        "config",
                        Exit::Config,
                        "the configuration has problems; the old one stays in force",
                    ))
                }
            },
            Ask::Nodes { list, details } => {
                for id in self.nodes(&who, list.as_deref())? {
                    let view =
                        if details { self.fleet.node_with_sensors(&who, &id) } else { self.fleet.node(&who, &id) };
                    if let Some(view) = view {
                        item(&out, &NodeEntry::of_view(&view, details)).await?;
                    }
                }
                Ok(())
            }
            Ask::Node { list, what } => {
                let mut targets = Vec::new();
                for name in self.nodes(&who, Some(&list))? {
                    let id = NodeId::new(&name).map_err(|error| Failure::usage(error.to_string()))?;
                    let (layer, op) = node_op(&what);
                    targets.push((name, Target::Node(id, layer), op));
                }
                self.run(&who, targets, &out).await
            }
            Ask::Endpoints { list } => {
                for id in self.endpoints(list.as_deref())? {
                    if let Some(view) = self.fleet.endpoint(&id) {
                        item(&out, &EndpointEntry::from(&view)).await?;
                    }
                }
                Ok(())
            }
            Ask::Endpoint { list, what } => {
                let mut targets = Vec::new();
                for name in self.endpoints(Some(&list))? {
                    let id = EndpointId::new(&name).map_err(|error| Failure::usage(error.to_string()))?;
                    targets.push((name, Target::Endpoint(id), endpoint_op(&what)));
                }
                self.run(&who, targets, &out).await
            }
            Ask::Account(ask) => account(&self.auth, &who, ask, &out).await,
            Ask::Backup => {
                tracing::info!(target: "audit", principal = %who.principal, request = %who.request, "backup");
                self.backup(&out).await
            }
        }
    }
}

impl<R> Service<R> {
    fn status(&self) -> StatusEntry {
        let config = self.fleet.config();
        StatusEntry {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uuid: self.fleet.uuid().to_string(),
            pid: std::process::id(),
            redfish: addresses(&config.server),
            trust: trust(&config.server),
            state_dir: config.server.state_dir.display().to_string(),
            nodes: config.nodes.len(),
            endpoints: config.endpoints.len(),
            endpoints_down: self.fleet.endpoints().iter().filter(|view| view.fault.is_some()).count(),
            observe_only: config.server.observe_only,
        }
    }

    /// The parts as they are made; a client that goes away ends it.
    async fn backup(&self, out: &mpsc::Sender<Answer>) -> Result<(), Failure> {
        // Sessions were last used a moment ago, not when that was last written down.
        self.auth.save().await;
        let state_dir = self.fleet.config().server.state_dir.clone();
        let (send, mut parts) = mpsc::channel(2);
        let work = async {
            let result = backup::gather(&*self.store, &state_dir, &send).await;
            drop(send);
            result
        };
        let pass = async {
            while let Some(part) = parts.recv().await {
                item(out, &part).await?;
            }
            Ok(())
        };
        tokio::pin!(pass);
        tokio::select! {
            result = work => {
                pass.await?;
                result
            }
            result = &mut pass => result,
        }
    }

    fn nodes(&self, who: &Actor, list: Option<&str>) -> Result<Vec<String>, Failure> {
        let config = self.fleet.config();
        let ids = self.fleet.nodes(who);
        let hosts: Vec<Host<'_>> = ids
            .iter()
            .map(|id| Host { name: id.as_str(), groups: config.nodes.get(id).map_or(&[], |node| &node.groups) })
            .collect();
        choose(list, "node", &hosts)
    }

    fn endpoints(&self, list: Option<&str>) -> Result<Vec<String>, Failure> {
        let config = self.fleet.config();
        let hosts: Vec<Host<'_>> = config.endpoints.keys().map(|id| Host { name: id.as_str(), groups: &[] }).collect();
        choose(list, "endpoint", &hosts)
    }

    /// Runs operations side by side; results come as they end.
    async fn run(
        &self,
        who: &Actor,
        targets: Vec<(String, Target, Op)>,
        out: &mpsc::Sender<Answer>,
    ) -> Result<(), Failure> {
        let mut results = stream::iter(targets)
            .map(|(name, target, op)| async move { result(name, self.fleet.run(who, target, op, Fresh::Cached).await) })
            .buffer_unordered(AT_ONCE);
        while let Some(result) = results.next().await {
            item(out, &result).await?;
        }
        Ok(())
    }
}

fn choose(list: Option<&str>, kind: &'static str, hosts: &[Host<'_>]) -> Result<Vec<String>, Failure> {
    match list {
        None => Ok(hosts.iter().map(|host| host.name.to_owned()).collect()),
        Some(list) => hostlist::select(list, kind, hosts).map_err(|error| Failure::not_found(error.to_string())),
    }
}

fn node_op(what: &NodeAsk) -> (crate::fleet::Layer, Op) {
    let effective = crate::fleet::Layer::Effective;
    match what {
        NodeAsk::Reset { reset, layer } => ((*layer).into(), Op::Reset(*reset)),
        NodeAsk::Boot(patch) => (effective, Op::Boot(patch.clone(), None)),
        NodeAsk::Led(led) => (effective, Op::Indicator(*led, None)),
        NodeAsk::Hold { reason, until } => (effective, Op::Hold { reason: reason.clone(), until: *until }),
        NodeAsk::Release => (effective, Op::Release),
    }
}

fn endpoint_op(what: &EndpointAsk) -> Op {
    match what {
        EndpointAsk::Probe | EndpointAsk::Retry => Op::Retry,
        EndpointAsk::Hold { reason, until } => Op::Hold { reason: reason.clone(), until: *until },
        EndpointAsk::Release => Op::Release,
    }
}

fn result(name: String, outcome: Result<Outcome, OpError>) -> OpResult {
    match outcome {
        Ok(Outcome::Running { task }) => OpResult::running(name, task.as_ref()),
        Ok(Outcome::Done | Outcome::Facts(_)) => OpResult::done(name),
        Err(error) => OpResult::failed(name, Failure::from(&error)),
    }
}

/// Account changes: by the service, or by the command itself when none runs.
pub(in crate::cli) async fn account(
    auth: &Auth,
    who: &Actor,
    ask: AccountAsk,
    out: &mpsc::Sender<Answer>,
) -> Result<(), Failure> {
    let done = match ask {
        AccountAsk::List => {
            for info in auth.accounts() {
                item(out, &AccountEntry::from(&info)).await?;
            }
            return Ok(());
        }
        AccountAsk::Add { name, password, role, nodes, groups, must_change } => {
            let scope = scope(nodes, groups)?;
            auth.create(&name, &password, role, scope, must_change).await.map(|_| ("added", name))
        }
        AccountAsk::Passwd { name, password, must_change } => {
            let patch = AccountPatch {
                password: Some(password),
                must_change_password: Some(must_change),
                ..AccountPatch::default()
            };
            auth.change(&name, patch, None, false).await.map(|_| ("password changed", name))
        }
        AccountAsk::Role(ask) => return role(auth, who, ask, out).await,
        AccountAsk::Remove { name } => auth.remove(&name, None).await.map(|()| ("removed", name)),
    };
    match done {
        Ok((what, name)) => {
            tracing::info!(target: "audit", principal = %who.principal, request = %who.request, account = %name, "account {what}");
            item(out, &OpResult::done(name)).await
        }
        Err(error) => Err(Failure::from(&error)),
    }
}

/// Roles, likewise.
async fn role(auth: &Auth, who: &Actor, ask: RoleAsk, out: &mpsc::Sender<Answer>) -> Result<(), Failure> {
    let (what, name, done) = match ask {
        RoleAsk::List => {
            for info in auth.roles() {
                item(out, &RoleEntry::from(&info)).await?;
            }
            return Ok(());
        }
        RoleAsk::Add { name, privileges } => {
            let done = auth.create_role(&name, privileges).await.map(drop);
            ("added", name, done)
        }
        RoleAsk::Set { name, privileges } => {
            let done = auth.change_role(&name, privileges, None).await.map(drop);
            ("changed", name, done)
        }
        RoleAsk::Remove { name } => {
            let done = auth.remove_role(&name, None).await;
            ("removed", name, done)
        }
    };
    done.map_err(|error| Failure::from(&error))?;
    tracing::info!(target: "audit", principal = %who.principal, request = %who.request, role = %name, "role {what}");
    item(out, &OpResult::done(name)).await
}

fn scope(nodes: Vec<String>, groups: Vec<String>) -> Result<Scope, Failure> {
    if nodes.is_empty() && groups.is_empty() {
        return Ok(Scope::All);
    }
    let nodes = nodes
        .into_iter()
        .map(|name| NodeId::new(&name).map_err(|error| Failure::usage(format!("{name:?}: {error}"))))
        .collect::<Result<_, _>>()?;
    Ok(Scope::Some { nodes, groups: groups.into_iter().collect() })
}

async fn item(out: &mpsc::Sender<Answer>, value: &impl Serialize) -> Result<(), Failure> {
    let value = serde_json::to_value(value)
        .map_err(|error| Failure::new("internal", Exit::Failed, format!("the answer can't be written: {error}")))?;
    out.send(Answer::Item(value)).await.map_err(|_| Failure::new("gone", Exit::Failed, "the client is gone"))
}
