//! TLS for every face: OpenSSL, one certificate, new keys without a restart.
//!
//! [`ReloadableAcceptor::builder`] gives listeners an acceptor whose client-hello callback swaps in the context of the
//! moment, so [`ReloadableAcceptor::reload`] counts from the next connection on and connections that are open live on.
//! The certificate is the configured one, one that an administrator has put in place (`replaced`, perhaps asked for by
//! `request`), or one that `made` makes in the state folder. `clients` keeps whose certificates clients may log in with.

mod clients;
mod context;
mod made;
mod replaced;
pub mod request;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use openssl::{
    error::ErrorStack,
    nid::Nid,
    ssl::{ClientHelloResponse, SslAcceptorBuilder, SslRef},
    x509::{X509, X509VerifyResult},
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::config::Tls;
pub use clients::{ClientCaError, ClientCas};
use context::{Asked, Current};
pub(crate) use context::{date, fingerprint};

/// Why there is no TLS, or why the old certificate stays.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that can't be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{}: {what}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and the way out.
        what: String,
    },
    /// Two files that have nothing to do with each other.
    #[error(
        "the key {} does not belong to the first certificate of {}; the chain has to begin with the server's own",
        key.display(), certificate.display()
    )]
    Mismatch {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// A name that no certificate can carry.
    #[error("server.tls.names: {0:?} is neither a host name nor an address")]
    Name(String),
    /// Something else that is read together with what was given: that is not at fault, and nothing was changed.
    #[error("nothing was changed, for what else is read with it can't be used: {0}")]
    Elsewhere(Box<TlsError>),
    /// OpenSSL's own reasons.
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] ErrorStack),
}

/// What is served now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The chain's file.
    pub file: PathBuf,
    /// What clients have to trust, when we made it ourselves.
    pub trust: Option<PathBuf>,
    /// When it ends.
    pub not_after: OffsetDateTime,
    /// SHA-256 of the server's own certificate, hexadecimal with colons, as browsers and `openssl x509` show it.
    pub fingerprint: String,
    /// Names and addresses it is good for.
    pub names: Vec<String>,
}

/// A certificate that may change while listeners use it. Cheap to clone.
#[derive(Clone)]
pub struct ReloadableAcceptor {
    current: Arc<ArcSwap<Current>>,
    /// One change of the state folder's files at a time.
    changing: Arc<Mutex<()>>,
}

impl ReloadableAcceptor {
    /// Reads the configured certificate, or makes one in `state_dir/tls` for the names and addresses of this machine.
    /// Blocks for some milliseconds.
    pub fn new(tls: &Tls, state_dir: &Path, listen: &[SocketAddr]) -> Result<Self, TlsError> {
        let current = context::load(tls, state_dir, listen)?;
        current.log();
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(current)), changing: Arc::default() })
    }

    /// Reads everything anew; false: nothing has changed. On an error the old certificate stays.
    pub fn reload(&self, tls: &Tls, state_dir: &Path, listen: &[SocketAddr]) -> Result<bool, TlsError> {
        let _one = self.one();
        self.take(tls, state_dir, listen)
    }

    /// As [`Self::reload`], for whoever is changing files.
    fn take(&self, tls: &Tls, state_dir: &Path, listen: &[SocketAddr]) -> Result<bool, TlsError> {
        let new = context::load(tls, state_dir, listen)?;
        if new.digest == self.current.load().digest {
            return Ok(false);
        }
        new.log();
        self.current.store(Arc::new(new));
        Ok(true)
    }

    /// The chain that is served now, the server's own certificate first.
    pub fn chain(&self) -> Vec<X509> {
        self.current.load().chain.clone()
    }

    /// Whether [`Self::replace`] may be used: the configuration names no certificate of its own.
    pub fn can_replace(&self) -> bool {
        let current = self.current.load();
        current.asked.tls.certificate.is_none() && current.asked.tls.key.is_none()
    }

    /// Serves the chain in `pem` from the next connection on, and after a restart too. A chain without a key goes with
    /// the key of the last [`Self::request`], or else with the one in use. Blocks for some milliseconds; on an error the old certificate stays.
    pub fn replace(&self, pem: &str) -> Result<(), TlsError> {
        let _one = self.one();
        let current = self.current.load_full();
        if !self.can_replace() {
            let path = current.info.file.clone();
            let what = "is named by the configuration; replace that file, it is read again".to_owned();
            return Err(TlsError::Content { path, what });
        }
        let state_dir = &current.asked.state_dir;
        let given = replaced::check(state_dir, pem, &current.key)?;
        self.write(&current.asked, &replaced::file(state_dir), &given.text)?;
        if given.requested {
            request::answered(state_dir);
        }
        Ok(())
    }

    /// Makes a key for the next certificate, and the request (PEM) to have that signed; [`Self::replace`] takes what comes
    /// of it. Blocks: a large RSA key takes seconds.
    pub fn request(&self, wanted: &request::Wanted) -> Result<String, TlsError> {
        let _one = self.one();
        request::make(&self.current.load().asked.state_dir, wanted)
    }

    /// Whose certificates clients may log in with.
    pub fn client_cas(&self) -> ClientCas {
        self.current.load().client_cas.clone()
    }

    /// Accepts certificates that this authority has signed, from the next connection on; its id. Blocks for some
    /// milliseconds, as the next two do.
    pub fn add_client_ca(&self, pem: &str) -> Result<String, ClientCaError> {
        self.change_client_cas(|cas| cas.add(pem))
    }

    /// Accepts them no more.
    pub fn remove_client_ca(&self, id: &str) -> Result<(), ClientCaError> {
        self.change_client_cas(|cas| cas.remove(id))
    }

    /// Whether client certificates count at all. The authorities stay.
    pub fn enable_client_cas(&self, enabled: bool) -> Result<(), ClientCaError> {
        self.change_client_cas(|cas| {
            cas.ours()?;
            cas.enabled = enabled;
            Ok(())
        })
    }

    fn change_client_cas<T>(
        &self,
        change: impl FnOnce(&mut ClientCas) -> Result<T, ClientCaError>,
    ) -> Result<T, ClientCaError> {
        let _one = self.one();
        let current = self.current.load_full();
        let mut cas = current.client_cas.clone();
        let done = change(&mut cas)?;
        self.write(&current.asked, &clients::file(&current.asked.state_dir), &cas.text()?)?;
        Ok(done)
    }

    /// Writes a file that was found good and takes it into use. If that fails, for whatever else is read then, the file is
    /// what it was: the next start must not fail for a change that was refused.
    fn write(&self, asked: &Asked, path: &Path, text: &[u8]) -> Result<(), TlsError> {
        let Asked { tls, state_dir, listen } = asked;
        let before = if path.exists() { Some(Zeroizing::new(context::read(path)?)) } else { None };
        made::folder(&state_dir.join("tls"))?;
        made::write(path, text, 0o600)?;
        let Err(error) = self.take(tls, state_dir, listen) else { return Ok(()) };
        let back = match before {
            Some(before) => made::write(path, &before, 0o600),
            None => std::fs::remove_file(path).map_err(|cause| TlsError::File { path: path.to_owned(), cause }),
        };
        if let Err(error) = back {
            tracing::error!(file = %path.display(), %error, "a change that failed can't be taken back");
        }
        Err(TlsError::Elsewhere(Box::new(error)))
    }

    fn one(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is served now.
    pub fn info(&self) -> CertificateInfo {
        self.current.load().info.clone()
    }

    /// An acceptor for a listener.
    ///
    /// Sessions are resumed by tickets only: nothing is kept for clients that never come back, and the tickets' keys
    /// are this builder's own, so they outlive a reload. Sessions made under another `client_ca` are not resumed.
    pub fn builder(&self) -> Result<SslAcceptorBuilder, TlsError> {
        let mut builder = context::acceptor()?;
        self.current.load().equip(&mut builder)?;
        let current = Arc::clone(&self.current);
        // Before anything is decided, session resumption included: a servername callback would be too late for that.
        builder.set_client_hello_callback(move |ssl, _alert| {
            let current = current.load();
            ssl.set_ssl_context(&current.context)?;
            // The connection has taken this from the builder already; the context does not bring it along.
            ssl.set_verify(current.verify);
            Ok(ClientHelloResponse::SUCCESS)
        });
        Ok(builder)
    }
}

/// The common name of a client certificate that `client_ca` has signed; `None` without one.
pub fn peer_common_name(ssl: &SslRef) -> Option<String> {
    if ssl.verify_result() != X509VerifyResult::OK {
        return None;
    }
    let certificate = ssl.peer_certificate()?;
    // The last one is the most specific (RFC 6125, 2.3.1); a name with several is nobody's account all the same.
    let mut names = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    let name = names.next()?.data().to_string().ok()?;
    names.next().is_none().then_some(name)
}
