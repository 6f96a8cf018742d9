//! Authorities whose certificates clients may log in with, as far as the configuration names none (`server.tls.client_ca`):
//! `tls/client-ca.pem` in the state folder, read with everything else at each reload. A first line of its own says when
//! they are kept, but don't count.

use std::path::{Path, PathBuf};

use openssl::x509::X509;

use super::{
    TlsError,
    context::{certificates, fingerprint, read},
};

/// Authorities that are kept.
const MAX: usize = 50;
/// Largest PEM text that is taken.
const MAX_PEM: usize = 16 * 1024;
/// The first line of a file that does not count. What is not between PEM's own lines is no certificate.
const OFF: &str = "# rackfish: client certificates are not accepted\n";

/// The authorities, and where they come from.
#[derive(Debug, Clone, Default)]
pub struct ClientCas {
    /// The configuration names them: nothing can be changed.
    pub configured: bool,
    /// Certificates that they have signed are accepted.
    pub enabled: bool,
    /// Each with the id it has in URIs.
    pub all: Vec<(String, X509)>,
}

/// Why the authorities stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum ClientCaError {
    /// `server.tls.client_ca` says who they are.
    #[error("the configuration names the authorities (server.tls.client_ca)")]
    Configured,
    /// Not a certificate of an authority, with the reason.
    #[error("the given certificate {0}")]
    Unacceptable(String),
    /// It is there.
    #[error("there is this authority already, as {0}")]
    Exists(String),
    /// As many as are kept.
    #[error("there are {0} authorities already, and no more are kept")]
    TooMany(usize),
    /// No such authority.
    #[error("there is no such authority")]
    NotFound,
    /// Reading, writing, OpenSSL.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Where they are.
pub(super) fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("tls").join("client-ca.pem")
}

impl ClientCas {
    /// Of certificates in the order of their file.
    pub(super) fn of(configured: bool, enabled: bool, all: Vec<X509>) -> Result<Self, TlsError> {
        let named = |certificate: X509| Ok((id(&certificate)?, certificate));
        Ok(Self { configured, enabled, all: all.into_iter().map(named).collect::<Result<_, TlsError>>()? })
    }

    /// Those of the state folder, and the bytes of their file.
    pub(super) fn kept(state_dir: &Path) -> Result<(Self, Vec<u8>), TlsError> {
        let path = file(state_dir);
        if !path.exists() {
            return Ok((Self { enabled: true, ..Self::default() }, Vec::new()));
        }
        let bytes = read(&path)?;
        let enabled = !bytes.starts_with(OFF.as_bytes());
        let rest = bytes.strip_prefix(OFF.as_bytes()).unwrap_or(&bytes);
        let all = if rest.is_empty() { Vec::new() } else { certificates(&path, rest)? };
        Ok((Self::of(false, enabled, all)?, bytes))
    }

    /// Adds one; its id.
    pub(super) fn add(&mut self, pem: &str) -> Result<String, ClientCaError> {
        self.ours()?;
        let wrong = |what: &str| ClientCaError::Unacceptable(what.to_owned());
        if pem.len() > MAX_PEM {
            return Err(wrong("is too large"));
        }
        if pem.contains("PRIVATE KEY") {
            return Err(wrong("comes with a private key: that one has no business here, and should be replaced"));
        }
        let found = certificates(Path::new("the given certificate"), pem.as_bytes())?;
        let [one] = found.as_slice() else { return Err(wrong("is several: send one at a time")) };
        if !is_authority(one)? {
            return Err(wrong("is not an authority's (basic constraints without CA:TRUE)"));
        }
        let id = id(one)?;
        if self.all.iter().any(|(known, _)| *known == id) {
            return Err(ClientCaError::Exists(id));
        }
        if self.all.len() >= MAX {
            return Err(ClientCaError::TooMany(MAX));
        }
        self.all.push((id.clone(), one.clone()));
        Ok(id)
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, id: &str) -> Result<(), ClientCaError> {
        self.ours()?;
        let before = self.all.len();
        self.all.retain(|(known, _)| known != id);
        if self.all.len() == before { Err(ClientCaError::NotFound) } else { Ok(()) }
    }

    pub(super) fn ours(&self) -> Result<(), ClientCaError> {
        if self.configured { Err(ClientCaError::Configured) } else { Ok(()) }
    }

    /// For their file.
    pub(super) fn text(&self) -> Result<Vec<u8>, TlsError> {
        let mut text = if self.enabled { Vec::new() } else { OFF.as_bytes().to_vec() };
        for (_, certificate) in &self.all {
            text.extend(certificate.to_pem()?);
        }
        Ok(text)
    }
}

/// The first bytes of the fingerprint: the same certificate has the same id, wherever it lies.
fn id(certificate: &X509) -> Result<String, TlsError> {
    let text = fingerprint(certificate)?;
    Ok(text.chars().filter(char::is_ascii_hexdigit).take(16).collect::<String>().to_lowercase())
}

/// Whether its basic constraints say so. OpenSSL tells it in words only, on the line below the extension's name.
fn is_authority(certificate: &X509) -> Result<bool, TlsError> {
    let text = certificate.to_text()?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with("X509v3 Basic Constraints"));
    Ok(lines.nth(1).is_some_and(|line| line.starts_with("CA:TRUE")))
}
