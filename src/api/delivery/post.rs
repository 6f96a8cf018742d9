//! One POST.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Subscription, check};
use crate::model::{because, causes};
use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};

/// Connections kept for the next event, per destination.
const IDLE: usize = 1;

/// HTTP clients: one that checks certificates, one for those who asked not to.
pub(super) struct Poster {
    checking: Client,
    trusting: Client,
    local: Arc<AtomicBool>,
}

impl Poster {
    pub fn new(local: &Arc<AtomicBool>, timeout: Duration) -> reqwest::Result<Self> {
        let client = |trusting| {
            Client::builder()
                .user_agent(concat!("rackfish/", env!("CARGO_PKG_VERSION")))
                .timeout(timeout)
                // A redirect or a proxy could lead where the destination itself may not.
                .redirect(Policy::none())
                .no_proxy()
                .pool_max_idle_per_host(IDLE)
                .dns_resolver(Arc::new(Elsewhere { local: Arc::clone(local) }))
                .tls_danger_accept_invalid_certs(trusting)
                .build()
        };
        Ok(Self { checking: client(false)?, trusting: client(true)?, local: Arc::clone(local) })
    }

    /// Delivers `body`; anything but a 2xx is an error, as text for people.
    pub async fn post(&self, to: &Subscription, body: String) -> Result<(), String> {
        let url =
            check::destination(&to.asked.destination, self.local.load(Ordering::Relaxed)).map_err(|e| e.to_string())?;
        let client = if to.asked.verify_certificate { &self.checking } else { &self.trusting };
        let request = client.post(url).headers(headers(to)).header(CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await.map_err(|e| chain(&e.without_url()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("the destination answered {status}")),
        }
    }
}

fn headers(to: &Subscription) -> HeaderMap {
    let parsed = to.asked.headers.iter().filter_map(|(name, value)| {
        let mut value = HeaderValue::from_str(value.expose()).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
    });
    parsed.collect()
}

fn chain(error: &reqwest::Error) -> String {
    if error.is_timeout() { because("timed out".to_owned(), error) } else { causes(error) }
}

/// Resolves names, and forgets answers that a destination may not have.
pub(super) struct Elsewhere {
    pub local: Arc<AtomicBool>,
}

impl Resolve for Elsewhere {
    fn resolve(&self, name: Name) -> Resolving {
        let local = self.local.load(Ordering::Relaxed);
        Box::pin(async move {
            let all: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = all.into_iter().filter(|at| local || !check::is_local(at.ip())).collect();
            if allowed.is_empty() {
                let text = format!("{} is this machine or its link, which is not allowed", name.as_str());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
