//! The running service: everything assembled from a configuration file, reloaded, and stopped.
//!
//! `serve` and `demo` differ only in where the file comes from and what is printed.

mod limits;
mod notify;
mod protect;
mod reload;
mod stop;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use super::{CliError, Exit, control, logging};
use crate::{
    api::{
        delivery::{self, Delivery},
        redfish::events,
        restart::Restart,
        server::{self, ServerHandle},
        tls::ReloadableAcceptor,
    },
    auth::Auth,
    config::{self, Broken, Config, Loaded},
    fleet::Fleet,
    model::{Role, Scope, Secret, causes},
    store::{SqliteStore, Store},
};

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its configuration file.
    pub config: PathBuf,
    /// Make this administrator when there is no account yet, instead of one with a password of our own.
    pub first: Option<(String, Secret)>,
    /// Leave core dumps and debuggers alone: for those who look for a fault of rackfish itself.
    pub core_dumps: bool,
}

/// A running service.
pub struct Running {
    /// Nodes.
    pub fleet: Fleet,
    /// Accounts.
    pub auth: Auth,
    /// The certificate, if TLS is on.
    pub tls: Option<ReloadableAcceptor>,
    /// Event delivery.
    pub delivery: Delivery,
    /// Listeners.
    pub server: ServerHandle,
    store: Arc<dyn Store>,
}

impl Running {
    /// One line for the service manager.
    fn summary(&self) -> String {
        let config = self.fleet.config();
        let at: Vec<String> = self.server.addresses.iter().map(ToString::to_string).collect();
        let doors = match self.server.doors.count() {
            0 => String::new(),
            count => format!(" and {count} doors of nodes"),
        };
        let (nodes, endpoints) = (config.nodes.len(), config.endpoints.len());
        format!("{nodes} nodes, {endpoints} endpoints, serving at {}{doors}", at.join(", "))
    }
}

fn failed(code: &str, text: impl std::fmt::Display) -> CliError {
    CliError::new(code, Exit::Failed, text.to_string())
}

pub use limits::raise as raise_limits;

/// Reads the file and says all that is wrong with it.
pub fn load(plan: &Plan) -> Result<Loaded, CliError> {
    config::load(&plan.config, &config::process_env()).map_err(|Broken { problems, warnings, .. }| {
        for problem in warnings.iter().chain(&problems) {
            super::out::complain(&problem.to_string());
        }
        CliError::Printed(Exit::Config)
    })
}

/// Runs until SIGTERM or SIGINT. `ready` is called once everything answers.
pub fn run(plan: Plan, ready: impl AsyncFnOnce(&Running) -> Result<(), CliError>) -> Result<(), CliError> {
    let loaded = load(&plan)?;
    let server = &loaded.config.server;
    let log = logging::Logging::start(server.log_format, &server.log, server.audit_file.as_deref())
        .map_err(|e| failed("logging", e))?;
    for warning in &loaded.warnings {
        tracing::warn!(target: "rackfish::config", "{warning}");
    }
    protect::against_huge_pages();
    if !plan.core_dumps {
        protect::against_dumps();
    }
    limits::raise(loaded.config.endpoints.len(), loaded.config.doors().len());
    let notify = notify::Notify::from_env();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("fleet")
        .build()
        .map_err(|e| failed("runtime", e))?;
    runtime.block_on(async move {
        let mut signals = stop::Signals::new().map_err(|e| failed("signals", e))?;
        stop::keep_alive(&notify);
        let (mut loaded, mut ready) = (loaded, Some(ready));
        loop {
            let files = loaded.files;
            let config = Arc::new(loaded.config);
            let (restart, restarts) = Restart::new();
            let running = Arc::new(start(&config, plan.first.clone(), restart).await?);
            if let Some(ready) = ready.take() {
                ready(&running).await?;
            }
            notify.ready(&running.summary());
            let path = plan.config.clone();
            let reloader = reload::Reloader::new(path, Arc::clone(&running), log.clone(), files, notify.clone());
            let ended =
                stop::until_asked(&mut signals, &config, &running, Arc::new(reloader), &notify, restarts).await?;
            let let_go = stop::stop(running).await;
            let Some(new) = ended else { return Ok(()) };
            if !let_go {
                return Err(failed("restart", "the state is still in use: whoever started this has to start it again"));
            }
            let server = &new.config.server;
            for error in [
                log.set_audit(server.audit_file.as_deref()).err().map(|e| e.to_string()),
                log.set_filter(&server.log).err().map(|e| e.to_string()),
            ]
            .into_iter()
            .flatten()
            {
                tracing::error!(%error, "the log stays as it is");
            }
            limits::raise(new.config.endpoints.len(), new.config.doors().len());
            loaded = new;
        }
    })
}

/// Everything up, in the order in which it depends on each other.
async fn start(config: &Arc<Config>, first: Option<(String, Secret)>, restart: Restart) -> Result<Running, CliError> {
    let server = &config.server;
    let store: Arc<dyn Store> = SqliteStore::open(&server.state_dir).map_err(|e| failed("store", causes(&e)))?;
    let auth = Auth::open(Arc::clone(&store), config.auth.clone()).await.map_err(|e| failed("accounts", causes(&e)))?;
    first_account(&auth, config, first).await?;
    let tls = if server.tls.insecure_plain_http {
        tracing::warn!("plain HTTP: passwords and tokens can be read by anybody on the way (insecure_plain_http)");
        None
    } else {
        let made = ReloadableAcceptor::new(&server.tls, &server.state_dir, &config.named_addresses());
        Some(made.map_err(|e| failed("tls", causes(&e)))?)
    };
    for (set, key, what) in [
        (server.insecure_open_boot_hints, "insecure_open_boot_hints", "anybody can ask what a node boots from"),
        (
            server.insecure_local_event_destinations,
            "insecure_local_event_destinations",
            "subscriptions may post to this machine",
        ),
        (
            config.auth.ldap.as_ref().is_some_and(|ldap| !ldap.start_tls && ldap.servers.iter().any(|s| !s.tls)),
            "auth.ldap.insecure_plain",
            "passwords go to the directory unencrypted",
        ),
    ] {
        if set {
            tracing::warn!("{what} ({key})");
        }
    }
    let fleet = Fleet::open(Arc::clone(config), Arc::clone(&store)).await.map_err(|e| failed("fleet", causes(&e)))?;
    let delivery = events::start(Arc::clone(&store), &fleet, &auth, Some(&server.state_dir), event_settings(server))
        .await
        .map_err(|e| failed("events", causes(&e)))?;
    let service = server::Service {
        fleet: fleet.clone(),
        auth: auth.clone(),
        subscriptions: Some(delivery.clone()),
        tls: tls.clone().map(|tls| -> server::Acceptor { Arc::new(move || tls.builder().map_err(|e| e.to_string())) }),
        restart: Some(restart),
    };
    let server = server::start_with(service, server, tls.clone()).map_err(|e| failed("listen", causes(&e)))?;
    for address in &server.addresses {
        tracing::info!(%address, "serving Redfish");
    }
    Ok(Running { fleet, auth, tls, delivery, server, store })
}

/// What the configuration says of event subscriptions.
fn event_settings(server: &config::Server) -> delivery::Settings {
    delivery::Settings {
        local: server.insecure_local_event_destinations,
        attempts: server.event_retry_attempts,
        interval: server.event_retry_interval,
    }
}

async fn first_account(auth: &Auth, config: &Config, first: Option<(String, Secret)>) -> Result<(), CliError> {
    let state_dir = &config.server.state_dir;
    if !auth.must_make_first_account() {
        auth.tidy_first_password(state_dir);
        if let Some(user) = auth.first_password_in_use() {
            tracing::warn!(%user, "the first password is still in use: change it with `rackfish account passwd {user}`");
        }
        return Ok(());
    }
    if let Some((name, password)) = first {
        let made = auth.create(&name, &password, Role::Administrator, Scope::All, false).await;
        return made.map(|_| ()).map_err(|e| failed("accounts", causes(&e)));
    }
    let path = auth.first_account(state_dir).await.map_err(|e| failed("accounts", causes(&e)))?;
    super::out::remark(&format!(
        "There was no account yet: `admin` was made, its password is in {}.\nChange it with `rackfish account passwd admin`.",
        path.display()
    ));
    Ok(())
}

/// The control socket of a configuration.
fn socket(config: &Config) -> PathBuf {
    control::socket(&config.server.state_dir)
}
