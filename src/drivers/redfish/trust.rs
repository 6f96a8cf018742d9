//! Which certificates a connection accepts. The one that is known by its fingerprint is fetched first, over a connection
//! that carries nothing, and is then the only one that is trusted.

use std::{
    net::{TcpStream, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use super::{
    clients::Chain,
    faults::{Failure, Tried},
    settings::{Settings, Trust},
};
use openssl::{
    hash::MessageDigest,
    ssl::{SslConnector, SslMethod, SslVerifyMode},
    x509::X509,
};

/// What the settings say, and for a fingerprint the certificate that it belongs to.
pub(super) async fn chain(settings: &Arc<Settings>) -> Tried<Chain> {
    match &settings.trust {
        Trust::System => Ok(Chain::System),
        Trust::Only(roots) => Ok(Chain::Only(roots.clone())),
        Trust::Any => Ok(Chain::Any),
        Trust::Pinned(pin) => {
            let (pin, settings) = (*pin, Arc::clone(settings));
            let fetched = tokio::task::spawn_blocking(move || fetch(&settings)).await;
            let shown = fetched.map_err(|error| Failure::NotSent(error.to_string()))??;
            itself(&shown, pin)
        }
    }
}

fn itself(shown: &X509, pin: [u8; 32]) -> Tried<Chain> {
    let untrusted = |error: openssl::error::ErrorStack| Failure::Untrusted(error.to_string());
    let digest = shown.digest(MessageDigest::sha256()).map_err(untrusted)?;
    if digest.as_ref() != pin {
        let found: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        return Err(Failure::Untrusted(format!(
            "the BMC shows another certificate, with fingerprint {}: has it been renewed? Then change `fingerprint`",
            found.concat()
        )));
    }
    let key = shown.public_key().map_err(untrusted)?;
    if !shown.verify(&key).map_err(untrusted)? {
        return Err(Failure::Untrusted(
            "the certificate with that fingerprint is not self-signed: use `ca_file` with its CA".to_owned(),
        ));
    }
    shown.to_der().map(Chain::Itself).map_err(untrusted)
}

/// The certificate that is shown to everybody.
fn fetch(settings: &Settings) -> Tried<X509> {
    let not_sent = |error: &dyn std::fmt::Display| Failure::NotSent(format!("no connection: {error}"));
    let host = settings.base.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = settings.base.port_or_known_default().unwrap_or(443);
    let mut addresses = (bare, port).to_socket_addrs().map_err(|error| not_sent(&error))?;
    let address = addresses.next().ok_or_else(|| not_sent(&"the name has no address"))?;
    let stream = TcpStream::connect_timeout(&address, settings.connect_timeout).map_err(|error| not_sent(&error))?;
    let limit = Some(settings.connect_timeout.max(Duration::from_millis(1)));
    stream.set_read_timeout(limit).map_err(|error| not_sent(&error))?;
    stream.set_write_timeout(limit).map_err(|error| not_sent(&error))?;
    let mut connector = SslConnector::builder(SslMethod::tls_client()).map_err(|error| not_sent(&error))?;
    connector.set_verify(SslVerifyMode::NONE);
    let configured = connector.build().configure().map_err(|error| not_sent(&error))?.verify_hostname(false);
    let session = configured.connect(bare, stream).map_err(|error| not_sent(&error))?;
    session.ssl().peer_certificate().ok_or_else(|| not_sent(&"the BMC shows no certificate"))
}
