//! Reloading: a configuration that does not check out changes nothing and says so.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError},
};

use super::{Running, notify::Notify};
use crate::{
    api::doors::Prepared,
    cli::{control::ReloadReport, logging},
    config::{self, Broken, Config, Problem},
};

/// See the module. One reload at a time.
pub struct Reloader {
    path: PathBuf,
    running: Arc<Running>,
    log: logging::Logging,
    one: tokio::sync::Mutex<()>,
    files: std::sync::Mutex<Vec<PathBuf>>,
    notify: Notify,
}

impl Reloader {
    /// For the configuration that is in force.
    pub fn new(
        path: PathBuf,
        running: Arc<Running>,
        log: logging::Logging,
        files: Vec<PathBuf>,
        notify: Notify,
    ) -> Self {
        Self { path, running, log, one: tokio::sync::Mutex::default(), files: std::sync::Mutex::new(files), notify }
    }

    /// The files whose change is a reason to reload.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads everything anew and puts it in force, or says all that is wrong with it.
    pub async fn reload(&self) -> Result<ReloadReport, Vec<Problem>> {
        let _one = self.one.lock().await;
        self.notify.reloading();
        let result = self.read_and_apply().await;
        let status = match &result {
            Ok(_) => self.running.summary(),
            Err(_) => format!("{}; the last reload was refused, see the log", self.running.summary()),
        };
        self.notify.ready(&status);
        result
    }

    /// Reads everything for a start, and tries where it is to listen; or what is wrong with it, in a line.
    pub async fn read(&self) -> Result<config::Loaded, String> {
        let _one = self.one.lock().await;
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || config::load(&path, &config::process_env())).await;
        let loaded = read.map_err(|error| error.to_string())?.map_err(|Broken { problems, .. }| {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            format!("the configuration has {} problems: {first}", problems.len())
        })?;
        // Once this service has stopped there is no way back.
        self.running.server.could_serve(&loaded.config).map_err(|error| error.to_string())?;
        Ok(loaded)
    }

    async fn read_and_apply(&self) -> Result<ReloadReport, Vec<Problem>> {
        let path = self.path.clone();
        let env = config::process_env();
        // Thousands of nodes take a moment: not on the threads that serve.
        let loaded = tokio::task::spawn_blocking(move || config::load(&path, &env)).await;
        let (loaded, files) = match loaded {
            Ok(Ok(loaded)) => {
                let files = loaded.files.clone();
                (Ok(loaded), files)
            }
            Ok(Err(broken)) => {
                let files = broken.files.clone();
                (Err(broken), files)
            }
            Err(error) => {
                tracing::error!(%error, "the configuration could not be read");
                return Err(Vec::new());
            }
        };
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
        match loaded {
            Ok(loaded) => match self.doors(&loaded.config) {
                Ok(doors) => Ok(self.put_in_force(loaded, doors).await),
                Err(problem) => Err(self.refuse(vec![problem])),
            },
            Err(Broken { problems, .. }) => Err(self.refuse(problems)),
        }
    }

    fn refuse(&self, problems: Vec<Problem>) -> Vec<Problem> {
        for problem in &problems {
            tracing::error!(target: "rackfish::config", "{problem}");
        }
        let text = format!("reload refused: {} problems; the old configuration stays in force", problems.len());
        tracing::error!("{text}");
        self.running.fleet.reload_refused(text);
        problems
    }

    /// Listeners for doors that are new. One that can't be had is found before anything has changed.
    fn doors(&self, new: &Config) -> Result<Prepared, Problem> {
        let server = &self.running.server;
        server.doors.prepare(new.doors(), &server.beside_doors()).map_err(|error| Problem {
            file: self.path.display().to_string().into(),
            line: None,
            key: String::new(),
            message: error.to_string(),
            way_out: String::new(),
        })
    }

    async fn put_in_force(&self, loaded: config::Loaded, doors: Prepared) -> ReloadReport {
        let (old, new) = (self.running.fleet.config(), Arc::new(loaded.config));
        let mut summary = changes(&old, &new);
        if let Err(error) = self.running.fleet.reconfigure(Arc::clone(&new)).await {
            tracing::error!(%error, "stored documents could not be read for new nodes");
        }
        self.running.auth.reconfigure(new.auth.clone());
        self.running.delivery.reconfigure(super::event_settings(&new.server));
        if let Err(error) = self.log.set_audit(new.server.audit_file.as_deref()) {
            tracing::error!(%error, "audit entries go where they went before");
        }
        if let Err(error) = self.log.set_filter(&new.server.log) {
            tracing::error!(%error, "the log filter stays as it is");
        }
        if let Some(tls) = &self.running.tls {
            let server = &new.server;
            match tls.reload(&server.tls, &server.state_dir, &new.named_addresses()) {
                Ok(false) => {}
                Ok(true) => summary.push_str("; new certificate"),
                Err(error) => {
                    tracing::error!(%error, "the certificate stays as it is");
                    summary.push_str("; the certificate could not be read and stays as it is");
                }
            }
        }
        if let Err(error) = self.running.server.doors.apply(doors) {
            tracing::error!(%error, "new doors of nodes are not open");
            summary.push_str("; new doors of nodes could not be opened");
        }
        // Doors and endpoints that are new may be more than there are descriptors.
        super::limits::raise(new.endpoints.len(), new.doors().len());
        let fixed = |s: &config::Server| {
            (
                s.listen.clone(),
                s.operations_listen,
                s.ssdp,
                s.state_dir.clone(),
                s.tls.insecure_plain_http,
                s.log_format,
            )
        };
        if fixed(&old.server) != fixed(&new.server) {
            summary.push_str("; listen, ssdp, state_dir, plain HTTP and log_format change with a restart only");
        }
        tracing::info!("configuration reloaded: {summary}");
        ReloadReport { summary, warnings: loaded.warnings }
    }
}

fn changes(old: &Config, new: &Config) -> String {
    let kept = new
        .endpoints
        .iter()
        .filter(|(id, e)| old.endpoints.get(*id).is_some_and(|o| o.fingerprint == e.fingerprint))
        .count();
    let nodes = new.nodes.iter().filter(|(id, n)| old.nodes.get(*id) != Some(n)).count()
        + old.nodes.keys().filter(|id| !new.nodes.contains_key(*id)).count();
    let gone = old.endpoints.keys().filter(|id| !new.endpoints.contains_key(*id)).count();
    format!(
        "{} endpoints kept, {} new or changed, {gone} removed; {nodes} of {} nodes changed",
        kept,
        new.endpoints.len() - kept,
        new.nodes.len()
    )
}
