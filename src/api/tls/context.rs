//! From files to an OpenSSL context.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use openssl::{
    asn1::{Asn1Time, Asn1TimeRef},
    error::ErrorStack,
    hash::MessageDigest,
    pkey::{PKey, Private},
    ssl::{
        AlpnError, ErrorCode, Ssl, SslAcceptor, SslAcceptorBuilder, SslContext, SslContextBuilder, SslMethod,
        SslSessionCacheMode, SslStream, SslVerifyMode, select_next_proto,
    },
    stack::Stack,
    x509::{X509, X509Name, X509Ref, store::X509StoreBuilder, verify::X509VerifyFlags},
};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::{CertificateInfo, TlsError, clients::ClientCas, made, replaced};
use crate::config::Tls;

/// What we speak (RFC 7301): HTTP/1.1 is all that Redfish clients need.
const ALPN: &[u8] = b"\x08http/1.1";
/// Largest PEM file read; a full set of the world's roots has 250 kB.
const MAX_FILE: u64 = 4 << 20;
/// A certificate that ends sooner than that is a warning.
const SOON_DAYS: i64 = 30;

/// Everything that a connection needs, from one reading of the files.
pub(super) struct Current {
    pub context: SslContext,
    pub verify: SslVerifyMode,
    pub info: CertificateInfo,
    /// Of all files: equal means that nothing has changed.
    pub digest: [u8; 32],
    pub chain: Vec<X509>,
    pub key: PKey<Private>,
    pub asked: Asked,
    pub client_cas: ClientCas,
    clients: Vec<X509>,
    session_context: [u8; 32],
}

/// What was asked for when the files were read.
pub(super) struct Asked {
    pub tls: Tls,
    pub state_dir: PathBuf,
    pub listen: Vec<SocketAddr>,
}

/// The curves of the profile; OpenSSL would take more.
const GROUPS: &str = "X25519:P-256:P-384";

/// Mozilla's intermediate profile (5.7, <https://ssl-config.mozilla.org>): TLS 1.2 and 1.3, forward secrecy only.
pub(super) fn acceptor() -> Result<SslAcceptorBuilder, ErrorStack> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
    builder.set_groups_list(GROUPS)?;
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    // Most clients connect anew and resume nothing: one ticket is for those that do (OpenSSL's default is two).
    builder.set_num_tickets(1)?;
    Ok(builder)
}

/// Reads, or makes and reads, what the configuration names.
pub(super) fn load(tls: &Tls, state_dir: &Path, listen: &[SocketAddr]) -> Result<Current, TlsError> {
    let (certificate, key, trust) = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone(), None),
        // A chain and its key in one file.
        (Some(both), None) => (both.clone(), both.clone(), None),
        (None, Some(key)) => {
            let what = "server.tls.key is set without server.tls.certificate; set both or none".to_owned();
            return Err(TlsError::Content { path: key.clone(), what });
        }
        (None, None) if replaced::file(state_dir).exists() => {
            let both = replaced::file(state_dir);
            (both.clone(), both, None)
        }
        (None, None) => {
            let made = made::certificate(state_dir, tls, listen)?;
            (made.chain, made.key, Some(made.trust))
        }
    };
    let chain_pem = read(&certificate)?;
    let key_pem = read(&key)?;
    let (client_cas, client_pem) = match &tls.client_ca {
        Some(path) => {
            let pem = read(path)?;
            (ClientCas::of(true, true, certificates(path, &pem)?)?, pem)
        }
        None => ClientCas::kept(state_dir)?,
    };
    let chain = certificates(&certificate, &chain_pem)?;
    let private = private_key(&key, &key_pem)?;
    let Some(own) = chain.first() else {
        return Err(content(&certificate, "holds no certificate"));
    };
    if !own.public_key()?.public_eq(&private) {
        return Err(TlsError::Mismatch { certificate, key });
    }
    let all = client_cas.all.iter().filter(|_| client_cas.enabled);
    let clients: Vec<X509> = all.map(|(_, certificate)| certificate.clone()).collect();
    let session_context: [u8; 32] = Sha256::digest(&client_pem).into();
    let mut digest = Sha256::new();
    for part in [certificate.as_os_str().as_encoded_bytes(), &chain_pem, &key_pem, session_context.as_slice()] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let info = info(own, certificate, trust)?;
    let verify = if clients.is_empty() { SslVerifyMode::NONE } else { SslVerifyMode::PEER };
    let mut builder = acceptor()?;
    equip(&mut builder, &chain, &private, &clients, verify, &session_context)?;
    Ok(Current {
        context: builder.build().into_context(),
        verify,
        info,
        digest: digest.finalize().into(),
        chain,
        key: private,
        asked: Asked { tls: tls.clone(), state_dir: state_dir.to_owned(), listen: listen.to_vec() },
        clients,
        client_cas,
        session_context,
    })
}

/// Calls of both sides that a handshake takes: three or four, and some more for a long chain.
const ROUNDS: usize = 64;

/// An error with its reason if that can't be served: a handshake with ourselves. Some of what OpenSSL does not like shows
/// nowhere before.
pub(super) fn trial(chain: &[X509], key: &PKey<Private>) -> Result<(), String> {
    let prepared = || -> Result<_, ErrorStack> {
        if let Some(own) = chain.first() {
            date(own.not_after())?;
        }
        let mut builder = acceptor()?;
        equip(&mut builder, chain, key, &[], SslVerifyMode::NONE, &[])?;
        // One that takes everything: what fails is the server's fault.
        let mut client = SslContext::builder(SslMethod::tls())?;
        client.set_verify(SslVerifyMode::NONE);
        client.set_security_level(0);
        Ok((Ssl::new(builder.build().context())?, Ssl::new(&client.build())?))
    };
    let (server, client) = prepared().map_err(|error| error.to_string())?;
    let connected = || {
        let (a, b) = UnixStream::pair()?;
        a.set_nonblocking(true)?;
        b.set_nonblocking(true)?;
        io::Result::Ok((a, b))
    };
    let (a, b) = connected().map_err(|error| error.to_string())?;
    let mut server = SslStream::new(server, a).map_err(|error| error.to_string())?;
    let mut client = SslStream::new(client, b).map_err(|error| error.to_string())?;
    for _ in 0..ROUNDS {
        let asked = client.connect();
        let mut open = false;
        // The server's reason first: the client knows no more than that the server has given up.
        for side in [server.accept(), asked] {
            match side {
                Ok(()) => {}
                Err(error) if matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE) => open = true,
                Err(error) => return Err(error.to_string()),
            }
        }
        if !open {
            return Ok(());
        }
    }
    Err("no handshake comes to an end with it".to_owned())
}

impl Current {
    /// Gives a builder what this one has.
    pub fn equip(&self, builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        equip(builder, &self.chain, &self.key, &self.clients, self.verify, &self.session_context)
    }

    /// Says what is served, and warns of its end.
    pub fn log(&self) {
        let days = (self.info.not_after - OffsetDateTime::now_utc()).whole_days();
        let (file, fingerprint) = (self.info.file.display(), &self.info.fingerprint);
        if days < SOON_DAYS {
            tracing::warn!(%file, not_after = %self.info.not_after, "the TLS certificate has {days} days left");
        }
        tracing::info!(%file, not_after = %self.info.not_after, sha256 = %fingerprint, "TLS certificate");
    }
}

/// All that a context needs; one that is swapped in inherits nothing.
fn equip(
    builder: &mut SslContextBuilder,
    chain: &[X509],
    key: &PKey<Private>,
    clients: &[X509],
    verify: SslVerifyMode,
    session_context: &[u8],
) -> Result<(), ErrorStack> {
    for (n, certificate) in chain.iter().enumerate() {
        if n == 0 {
            builder.set_certificate(certificate)?;
        } else {
            builder.add_extra_chain_cert(certificate.clone())?;
        }
    }
    builder.set_private_key(key)?;
    builder.check_private_key()?;
    builder.set_alpn_select_callback(|_, offered| select_next_proto(ALPN, offered).ok_or(AlpnError::NOACK));
    let mut trusted = X509StoreBuilder::new()?;
    // Whoever is named is trusted, an authority below another one too: its own certificate need not lead to a root.
    trusted.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    let mut names: Stack<X509Name> = Stack::new()?;
    for certificate in clients {
        trusted.add_cert(certificate.clone())?;
        names.push(certificate.subject_name().to_owned()?)?;
    }
    builder.set_cert_store(trusted.build());
    builder.set_client_ca_list(names);
    builder.set_verify(verify);
    builder.set_session_id_context(session_context)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let file = |cause| TlsError::File { path: path.to_owned(), cause };
    if fs::metadata(path).map_err(file)?.len() > MAX_FILE {
        return Err(content(path, "is too large for a PEM file"));
    }
    fs::read(path).map_err(file)
}

pub(super) fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<X509>, TlsError> {
    match X509::stack_from_pem(pem) {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(content(path, "holds no PEM certificate (\"-----BEGIN CERTIFICATE-----\")")),
        Err(e) => Err(content(path, &format!("holds a certificate that can't be read: {e}"))),
    }
}

pub(super) fn private_key(path: &Path, pem: &[u8]) -> Result<PKey<Private>, TlsError> {
    // Without a callback of our own, OpenSSL would ask for the passphrase on the terminal.
    let mut asked = false;
    let key = PKey::private_key_from_pem_callback(pem, |_| {
        asked = true;
        Ok(0)
    });
    match key {
        Ok(key) => Ok(key),
        Err(_) if asked => Err(content(
            path,
            "is protected by a passphrase; store it without one, readable for the user that runs rackfish only",
        )),
        Err(e) => Err(content(path, &format!("holds no PEM private key that can be read: {e}"))),
    }
}

fn info(own: &X509Ref, file: PathBuf, trust: Option<PathBuf>) -> Result<CertificateInfo, TlsError> {
    Ok(CertificateInfo {
        file,
        trust,
        not_after: date(own.not_after())?,
        fingerprint: fingerprint(own)?,
        names: names(own),
    })
}

/// SHA-256, hexadecimal with colons.
pub fn fingerprint(certificate: &X509Ref) -> Result<String, ErrorStack> {
    let digest = certificate.digest(MessageDigest::sha256())?;
    let hex: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    Ok(hex.join(":"))
}

/// Names and addresses of a certificate, as text.
pub(super) fn names(certificate: &X509Ref) -> Vec<String> {
    let names = certificate.subject_alt_names();
    let text = |name: &openssl::x509::GeneralNameRef| {
        let address = |bytes: &[u8]| {
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        };
        name.dnsname().map(str::to_owned).or_else(|| name.ipaddress().and_then(address))
    };
    names.iter().flatten().filter_map(text).collect()
}

/// A certificate's time as everybody else has it.
pub fn date(time: &Asn1TimeRef) -> Result<OffsetDateTime, ErrorStack> {
    let now = OffsetDateTime::now_utc();
    let left = Asn1Time::days_from_now(0)?.diff(time)?;
    let left = time::Duration::days(left.days.into()).saturating_add(time::Duration::seconds(left.secs.into()));
    let far =
        if left.is_negative() { OffsetDateTime::UNIX_EPOCH } else { time::macros::datetime!(9999-12-31 0:00 UTC) };
    let at = now.checked_add(left).unwrap_or(far);
    Ok(at.replace_nanosecond(0).unwrap_or(at))
}

pub(super) fn content(path: &Path, what: &str) -> TlsError {
    TlsError::Content { path: path.to_owned(), what: what.to_owned() }
}
