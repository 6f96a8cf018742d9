//! Who we are to the BMC: a session, opened once and used for everything; Basic where there are no sessions.

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    faults::{Failure, Tried},
    http::{Answer, As, Http, Request},
    settings::{Auth, Settings},
};
use crate::{model::Secret, wire::redfish::Path};

/// Where sessions are, if the root does not say.
const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";
/// The root, with its slash: some BMCs redirect without.
pub(super) const ROOT: &str = "/redfish/v1/";
/// Messages of the Base registry that say so.
const FULL: [&str; 2] = ["SessionLimitExceeded", "CreateLimitReachedForResource"];
/// Longest time for giving a session back.
const GOODBYE: Duration = Duration::from_secs(3);

enum Login {
    Token { token: Secret, at: Option<Path> },
    Basic,
}

/// A conversation's identity, and its connections.
pub(super) struct Session {
    settings: Arc<Settings>,
    http: Option<Http>,
    login: Option<Login>,
    /// The last exchange was answered: the BMC is worth a goodbye.
    alive: bool,
}

impl Session {
    pub(super) fn new(settings: &Arc<Settings>) -> Self {
        Self { settings: Arc::clone(settings), http: None, login: None, alive: false }
    }

    async fn raw(&mut self, request: &Request<'_>) -> Tried<Answer> {
        let http = match self.http.take() {
            Some(http) => http,
            None => Http::new(&self.settings).await?,
        };
        let http = self.http.insert(http);
        let who = match &self.login {
            None => As::Nobody,
            Some(Login::Token { token, .. }) => As::Token(token),
            Some(Login::Basic) => As::Basic,
        };
        let result = http.send(request, who).await;
        self.alive = matches!(result, Ok(_) | Err(Failure::Status { .. }));
        if matches!(result, Err(Failure::Untrusted(_))) {
            // A certificate that was fetched may have been renewed.
            self.http = None;
        }
        result
    }

    /// The root, which everybody may read; who we are is decided by what it says.
    pub(super) async fn enter(&mut self) -> Tried<Value> {
        let root = Path::fixed(ROOT);
        if self.login.is_some() {
            return self.send(&Request::get(&root)).await.map(|answer| answer.body);
        }
        let found = match self.raw(&Request::get(&root)).await {
            // Some show nothing at all without a password.
            Err(Failure::Status { code: 401 | 403, .. }) if self.settings.auth != Auth::Session => {
                self.login = Some(Login::Basic);
                self.send(&Request::get(&root)).await?.body
            }
            Err(Failure::Status { code: 401 | 403, .. }) => Value::Null,
            other => other?.body,
        };
        if self.login.is_none() {
            self.log_in(&found).await?;
        }
        Ok(found)
    }

    async fn log_in(&mut self, root: &Value) -> Tried<()> {
        let links = root.get("Links").unwrap_or(&Value::Null);
        let named = Path::at(links, "Sessions");
        let has = named.is_some() || root.get("SessionService").is_some();
        self.login = match self.settings.auth {
            Auth::Basic => Some(Login::Basic),
            Auth::Auto if !has => Some(Login::Basic),
            Auth::Auto | Auth::Session => {
                let sessions = named.unwrap_or_else(|| Path::fixed(SESSIONS));
                Some(self.open_session(&sessions).await?)
            }
        };
        Ok(())
    }

    async fn open_session(&mut self, sessions: &Path) -> Tried<Login> {
        let body = json!({"UserName": self.settings.username, "Password": self.settings.password.expose()});
        let only = self.settings.auth == Auth::Session;
        match self.raw(&Request::post(sessions, &body)).await {
            Ok(Answer { token: Some(token), location, body, .. }) => {
                let at = location.or_else(|| Path::at(&body, "@odata.id"));
                tracing::debug!(bmc = %self.settings, "session opened");
                Ok(Login::Token { token, at })
            }
            Ok(_) if only => Err(Failure::Garbage("the BMC opened a session without a token".to_owned())),
            // All its sessions are taken: that is no reason to doubt the password, nor for another way in.
            Err(Failure::Status { text, retry_after, keys, .. })
                if keys.iter().any(|key| FULL.contains(&key.as_str())) =>
            {
                Err(Failure::Status { code: 503, text, retry_after, keys })
            }
            Err(Failure::Status { code: 401 | 403, text, .. }) => Err(Failure::Credentials(text)),
            Err(failure) if only => Err(failure),
            // There are no sessions after all, or none that we understand: what Basic is worth shows at once.
            Ok(_) | Err(Failure::Status { code: 400 | 404 | 405 | 415 | 501, .. }) => Ok(Login::Basic),
            Err(failure) => Err(failure),
        }
    }

    /// Sends once. A session that the BMC has forgotten is opened anew, once: what is turned away at the door was not
    /// carried out.
    pub(super) async fn send(&mut self, request: &Request<'_>) -> Tried<Answer> {
        if self.login.is_none() {
            self.enter_anew().await?;
        }
        let result = self.raw(request).await;
        let Err(Failure::Status { code: 401, text, .. }) = &result else { return result };
        if !matches!(self.login, Some(Login::Token { .. })) {
            return Err(Failure::Credentials(text.clone()));
        }
        self.login = None;
        self.enter_anew().await?;
        match self.raw(request).await {
            Err(Failure::Status { code: 401, text, .. }) => Err(Failure::Credentials(text)),
            other => other,
        }
    }

    async fn enter_anew(&mut self) -> Tried<()> {
        // In a box: entering may have to send.
        Box::pin(self.enter()).await.map(|_| ()).map_err(Failure::before)
    }

    /// GET, its body alone.
    pub(super) async fn get(&mut self, path: &Path) -> Tried<Value> {
        self.send(&Request::get(path)).await.map(|answer| answer.body)
    }

    /// Gives the session back. One that does not answer is left to expire.
    pub(super) async fn close(&mut self) {
        if let Some(Login::Token { at: Some(at), .. }) = &self.login
            && self.alive
        {
            let at = at.clone();
            let request = Request { method: Method::DELETE, ..Request::get(&at) };
            match tokio::time::timeout(GOODBYE, self.raw(&request)).await {
                Ok(Ok(_)) => {}
                Ok(Err(failure)) => tracing::debug!(bmc = %self.settings, ?failure, "session not closed"),
                Err(_) => tracing::debug!(bmc = %self.settings, "session not closed in time"),
            }
        }
        self.login = None;
        self.http = None;
        self.alive = false;
    }
}
