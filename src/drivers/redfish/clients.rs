//! HTTP clients, shared by all endpoints that trust the same: each holds a store of certificates, and reading the
//! system's takes tens of milliseconds and a megabyte. Connections are kept by host, so nothing else is shared.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Certificate, Client, redirect::Policy};

use super::faults::{Failure, Tried};

/// Connections that are kept for a host: there is one exchange at a time.
const IDLE: usize = 1;
/// Clients that are remembered: one for each CA and time-out in use. Those beyond are made again when needed.
const REMEMBERED: usize = 64;

/// What a client trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chain {
    /// The system's CAs.
    System,
    /// These certificates (DER) and no others; names count.
    Only(Vec<Vec<u8>>),
    /// This one; names don't count.
    Itself(Vec<u8>),
    /// Anything.
    Any,
}

/// What makes two clients different. `fresh`: each exchange has a connection of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    chain: Chain,
    connect_timeout: Duration,
    fresh: bool,
}

static MADE: Mutex<Vec<(Key, Client)>> = Mutex::new(Vec::new());

/// The client for that.
pub(super) fn client(chain: &Chain, connect_timeout: Duration, fresh: bool) -> Tried<Client> {
    let key = Key { chain: chain.clone(), connect_timeout, fresh };
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, client)) = made.iter().find(|(known, _)| *known == key) {
        return Ok(client.clone());
    }
    let client = build(&key).map_err(|error| Failure::NotSent(format!("no HTTP client: {error}")))?;
    // Certificates that are known by themselves belong to one BMC, which keeps its client.
    if !matches!(chain, Chain::Itself(_)) {
        if made.len() >= REMEMBERED {
            made.remove(0);
        }
        made.push((key, client.clone()));
    }
    Ok(client)
}

fn build(key: &Key) -> reqwest::Result<Client> {
    let roots = |all: &[Vec<u8>]| all.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>();
    let builder = Client::builder()
        .user_agent(concat!("rackfish/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(key.connect_timeout)
        // A redirect or a proxy could lead elsewhere with the password.
        .redirect(Policy::none())
        .no_proxy()
        .http1_only()
        .pool_max_idle_per_host(if key.fresh { 0 } else { IDLE });
    let builder = match &key.chain {
        Chain::System => builder,
        Chain::Only(all) => builder.tls_certs_only(roots(all)?),
        // The one certificate that is trusted is known by itself, not by a name that it carries.
        Chain::Itself(own) => {
            builder.tls_certs_only(roots(std::slice::from_ref(own))?).tls_danger_accept_invalid_hostnames(true)
        }
        Chain::Any => builder.tls_danger_accept_invalid_certs(true),
    };
    builder.build()
}
