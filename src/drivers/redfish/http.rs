//! One exchange: a request and its bounded answer, from the configured host and nobody else.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, Method, Response, Url,
    header::{ACCEPT, ALLOW, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, LOCATION, RETRY_AFTER},
};
use serde_json::Value;

use super::{
    clients::{Chain, client},
    faults::{Failure, Tried},
    settings::Settings,
    trust,
};
use crate::{
    model::{Secret, because},
    wire::redfish::{Path, value},
};

/// Largest answer that is read: a log of a few thousand entries, expanded.
const MAX_BODY: usize = 8 << 20;
/// Redirects of one GET: BMCs add or take away a slash, nothing more.
const REDIRECTS: u8 = 2;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum As<'s> {
    /// Nobody.
    Nobody,
    /// A session.
    Token(&'s Secret),
    /// User and password.
    Basic,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Request<'r> {
    pub method: Method,
    pub path: &'r Path,
    pub body: Option<&'r Value>,
    pub if_match: Option<&'r str>,
    /// Not over a connection that was used before: the BMC may just be closing it, and then nobody knows whether the
    /// request came through.
    pub fresh: bool,
}

impl<'r> Request<'r> {
    pub(super) fn get(path: &'r Path) -> Self {
        Self { method: Method::GET, path, body: None, if_match: None, fresh: false }
    }

    pub(super) fn post(path: &'r Path, body: &'r Value) -> Self {
        Self { method: Method::POST, path, body: Some(body), if_match: None, fresh: true }
    }
}

/// What was answered, with a status below 300.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub code: u16,
    /// `Null` if there is none.
    pub body: Value,
    pub etag: Option<String>,
    /// Methods that the resource takes.
    pub allow: Option<String>,
    pub location: Option<Path>,
    pub token: Option<Secret>,
    pub retry_after: Option<Duration>,
}

/// The way to one BMC.
pub(super) struct Http {
    settings: Arc<Settings>,
    chain: Chain,
    kept: Client,
    /// Made when it is first needed.
    fresh: Option<Client>,
}

impl Http {
    /// Fetches the certificate first, if it is known by its fingerprint. Sends nothing else.
    pub(super) async fn new(settings: &Arc<Settings>) -> Tried<Self> {
        let chain = trust::chain(settings).await?;
        let kept = client(&chain, settings.connect_timeout, false)?;
        Ok(Self { settings: Arc::clone(settings), chain, kept, fresh: None })
    }

    fn url(&self, path: &Path) -> Url {
        let mut url = self.settings.base.clone();
        let (path, query) = path.parts();
        url.set_path(path);
        url.set_query(query);
        url
    }

    /// Sends once. A GET follows redirects that stay on the host.
    pub(super) async fn send(&mut self, request: &Request<'_>, who: As<'_>) -> Tried<Answer> {
        let mut url = self.url(request.path);
        for _ in 0..=REDIRECTS {
            let response = self.once(request, who, url.clone()).await?;
            let status = response.status();
            if !status.is_redirection() || status.as_u16() == 304 {
                return read(response).await;
            }
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            let next = url.join(to).ok().filter(|next| next.origin() == url.origin());
            let Some(next) = next.filter(|_| request.method == Method::GET && !to.is_empty()) else {
                let to = value::clean(to).unwrap_or_else(|| "nowhere".to_owned());
                let why = format!("{} redirects to {to}, which is not followed: is `address` right?", request.path);
                return Err(Failure::Garbage(why));
            };
            url = next;
        }
        Err(Failure::Garbage(format!("{} redirects in a circle", request.path)))
    }

    async fn once(&mut self, request: &Request<'_>, who: As<'_>, url: Url) -> Tried<Response> {
        let client = match (request.fresh, self.fresh.take()) {
            (false, fresh) => {
                self.fresh = fresh;
                &self.kept
            }
            (true, Some(client)) => &*self.fresh.insert(client),
            (true, None) => &*self.fresh.insert(client(&self.chain, self.settings.connect_timeout, true)?),
        };
        let sending = client.request(request.method.clone(), url).timeout(self.settings.timeout);
        let mut sending = sending.headers(headers(request, who)?);
        if matches!(who, As::Basic) {
            sending = sending.basic_auth(&self.settings.username, Some(self.settings.password.expose()));
        }
        if let Some(body) = request.body {
            sending = sending.body(body.to_string());
        }
        sending.send().await.map_err(|error| {
            let connecting = error.is_connect();
            let text = causes(&error.without_url());
            let is_trust = ["certificate", "self-signed", "hostname"].iter().any(|word| text.contains(word));
            match connecting {
                true if is_trust => Failure::Untrusted(format!("{text}; the way out is `ca_file` or `fingerprint`")),
                true => Failure::NotSent(text),
                false => Failure::Silence(text),
            }
        })
    }
}

fn headers(request: &Request<'_>, who: As<'_>) -> Tried<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut put = |name: HeaderName, text: &str, secret: bool| {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| Failure::Garbage(format!("{name}: the BMC gave a value that can't be sent back")))?;
        value.set_sensitive(secret);
        headers.insert(name, value);
        Ok::<_, Failure>(())
    };
    put(ACCEPT, "application/json", false)?;
    put(HeaderName::from_static("odata-version"), "4.0", false)?;
    if request.body.is_some() {
        put(CONTENT_TYPE, "application/json", false)?;
    }
    if let Some(tag) = request.if_match {
        put(IF_MATCH, tag, false)?;
    }
    if let As::Token(token) = who {
        put(HeaderName::from_static("x-auth-token"), token.expose(), true)?;
    }
    Ok(headers)
}

/// Reads an answer; one whose status is no success is a failure.
async fn read(mut response: Response) -> Tried<Answer> {
    let code = response.status().as_u16();
    let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    let etag = header(ETAG).map(str::to_owned);
    let allow = header(ALLOW).map(str::to_owned);
    let location = header(LOCATION).and_then(Path::of);
    let token = header(HeaderName::from_static("x-auth-token")).filter(|token| !token.is_empty()).map(Secret::new);
    // The other form is a date, and BMCs' clocks are wrong.
    let retry_after = header(RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let mut text = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) if text.len() + piece.len() <= MAX_BODY => text.extend_from_slice(&piece),
            Ok(Some(_)) => return Err(Failure::Garbage(format!("the answer is larger than {} MiB", MAX_BODY >> 20))),
            Ok(None) => break,
            Err(error) => {
                return Err(Failure::Silence(format!("the answer broke off: {}", causes(&error.without_url()))));
            }
        }
    }
    let parsed = serde_json::from_slice(text.trim_ascii());
    if !(200..300).contains(&code) {
        return Err(Failure::status(code, &parsed.unwrap_or(Value::Null), retry_after));
    }
    let body = match parsed {
        Ok(body) => body,
        Err(_) if text.trim_ascii().is_empty() => Value::Null,
        Err(error) => return Err(Failure::Garbage(format!("the answer is no JSON: {error}"))),
    };
    Ok(Answer { code, body, etag, allow, location, token, retry_after })
}

/// An error with its causes, in the words of people who look after BMCs.
fn causes(error: &reqwest::Error) -> String {
    let text = match () {
        () if error.is_connect() && error.is_timeout() => "no connection in time".to_owned(),
        () if error.is_connect() => "no connection".to_owned(),
        () if error.is_timeout() => "no answer in time".to_owned(),
        () => error.to_string(),
    };
    because(text, error).chars().filter(|c| !c.is_control()).take(400).collect()
}
