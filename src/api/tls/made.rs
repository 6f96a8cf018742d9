//! A certificate of our own, for installations that bring none.
//!
//! A small authority is made once (`tls/ca.pem`, its key beside it) and signs the server's certificate (`tls/cert.pem`
//! with `tls/key.pem`), which is made anew when names or addresses are missing in it or when it ends. Clients trust
//! `ca.pem` once and never notice; `cert.pem` holds the authority's certificate too, so trusting that file works as well.
//! Extensions are what RFC 5280 wants of each, because strict clients (Python 3.13 and later) check.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    net::{IpAddr, SocketAddr},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use openssl::{
    asn1::{Asn1Integer, Asn1Time},
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{HasPublic, PKey, PKeyRef, Private},
    x509::{
        X509, X509Builder, X509Name, X509NameRef, X509Ref,
        extension::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
            SubjectKeyIdentifier,
        },
    },
};

use super::{
    TlsError,
    context::{certificates, content, names, private_key, read},
};
use crate::config::Tls;

/// The authority's life: ten years, for clients have to be told of a new one.
const AUTHORITY_DAYS: u32 = 3_653;
/// The server's: with the day before, a year (Mozilla's "intermediate" profile allows 366 days). Nobody notices when it is
/// made anew: clients trust the authority.
const DAYS: u32 = 364;
/// The server's certificate is made anew when it has less than that left.
const RENEW_DAYS: u32 = 30;
/// Addresses of this machine that are taken, at most.
const MAX_ADDRESSES: usize = 32;

/// Where it lies.
pub(super) struct Made {
    pub chain: PathBuf,
    pub key: PathBuf,
    pub trust: PathBuf,
}

/// Sees to it that the files are there and good for what the configuration wants.
pub(super) fn certificate(state_dir: &Path, tls: &Tls, listen: &[SocketAddr]) -> Result<Made, TlsError> {
    let dir = state_dir.join("tls");
    let made = Made { chain: dir.join("cert.pem"), key: dir.join("key.pem"), trust: dir.join("ca.pem") };
    let wanted = wanted(tls, listen)?;
    if made.chain.exists() && made.key.exists() && made.trust.exists() {
        let chain = certificates(&made.chain, &read(&made.chain)?)?;
        let soon = Asn1Time::days_from_now(RENEW_DAYS)?;
        let good = |own: &X509| {
            let has: BTreeSet<String> = names(own).into_iter().collect();
            wanted.is_subset(&has) && own.not_after() > soon
        };
        if chain.first().is_some_and(good) {
            return Ok(made);
        }
    }
    folder(&dir)?;
    let (authority, authority_key) = authority(&dir, &made.trust)?;
    // The old key stays: chain and key must never be of different makes, whenever we are killed.
    let key = if made.key.exists() {
        private_key(&made.key, &read(&made.key)?)?
    } else {
        let key = new_key()?;
        write(&made.key, &key.private_key_to_pem_pkcs8()?, 0o600)?;
        key
    };
    let own = issue(&key, &wanted, &authority, &authority_key)?;
    let pem = [own.to_pem()?, authority.to_pem()?].concat();
    write(&made.chain, &pem, 0o644)?;
    tracing::info!(file = %made.chain.display(), ?wanted, "a TLS certificate was made; clients trust {}", made.trust.display());
    Ok(made)
}

/// Sees to it that the folder is there, for nobody else to look into.
pub(super) fn folder(dir: &Path) -> Result<(), TlsError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|cause| TlsError::File { path: dir.to_owned(), cause })
}

/// What the certificate has to be good for.
fn wanted(tls: &Tls, listen: &[SocketAddr]) -> Result<BTreeSet<String>, TlsError> {
    let mut all: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    for name in &tls.names {
        match name.parse::<IpAddr>() {
            Ok(address) => all.insert(address.to_string()),
            Err(_) if is_host(name) => all.insert(name.clone()),
            Err(_) => return Err(TlsError::Name(name.clone())),
        };
    }
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    all.extend(host.filter(|host| is_host(host)));
    all.extend(listen.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string()));
    if listen.iter().any(|at| at.ip().is_unspecified()) {
        all.extend(addresses().into_iter().take(MAX_ADDRESSES));
    }
    Ok(all)
}

/// Addresses of this machine's interfaces that others can reach.
fn addresses() -> BTreeSet<String> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
        let v6 = || {
            address
                .as_sockaddr_in6()
                .map(nix::sys::socket::SockaddrIn6::ip)
                .filter(|ip| !ip.is_unicast_link_local())
                .map(IpAddr::from)
        };
        v4.or_else(v6).filter(|ip| !ip.is_loopback()).map(|ip| ip.to_string())
    };
    interfaces.filter_map(address).collect()
}

/// A host name, with a wildcard for its first label at most (RFC 1123, RFC 6125).
pub(super) fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.strip_prefix("*.").unwrap_or(name).split('.').all(label)
}

/// The authority: the one that is there, or a new one.
fn authority(dir: &Path, file: &Path) -> Result<(X509, PKey<Private>), TlsError> {
    let key_file = dir.join("ca-key.pem");
    if file.exists() {
        let certificate = certificates(file, &read(file)?)?.into_iter().next();
        let certificate = certificate.ok_or_else(|| content(file, "holds no certificate"))?;
        if !key_file.exists() {
            return Err(content(
                &key_file,
                "is gone, so no certificate can be signed for clients that trust ca.pem; put it back, or remove the \
                 whole folder to have everything made anew (clients then have to trust the new ca.pem)",
            ));
        }
        let key = private_key(&key_file, &read(&key_file)?)?;
        if !certificate.public_key()?.public_eq(&key) {
            return Err(TlsError::Mismatch { certificate: file.to_owned(), key: key_file });
        }
        return Ok((certificate, key));
    }
    let key = new_key()?;
    let mut id = [0; 4];
    openssl::rand::rand_bytes(&mut id)?;
    // No two authorities have one name: clients look them up by it.
    let name = name(&format!("rackfish authority {:08x}", u32::from_be_bytes(id)))?;
    let certificate = build(
        &name,
        &name,
        &key,
        &key,
        |builder| {
            builder.append_extension(BasicConstraints::new().critical().ca().pathlen(0).build()?)?;
            builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)
        },
        None,
    )?;
    // The key first: an authority without its key could sign nothing, one that nobody has seen may be replaced.
    write(&key_file, &key.private_key_to_pem_pkcs8()?, 0o600)?;
    write(file, &certificate.to_pem()?, 0o644)?;
    Ok((certificate, key))
}

fn issue(
    key: &PKey<Private>,
    wanted: &BTreeSet<String>,
    authority: &X509Ref,
    signer: &PKey<Private>,
) -> Result<X509, ErrorStack> {
    build(
        &*name("rackfish")?,
        authority.subject_name(),
        key,
        signer,
        |builder| {
            builder.append_extension(BasicConstraints::new().critical().build()?)?;
            builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
            builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
            let mut names = SubjectAlternativeName::new();
            for name in wanted {
                if name.parse::<IpAddr>().is_ok() {
                    names.ip(name)
                } else {
                    names.dns(name)
                };
            }
            let names = names.build(&builder.x509v3_context(Some(authority), None))?;
            builder.append_extension(names)
        },
        Some(authority),
    )
}

/// What both kinds have in common.
fn build(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    key: &PKeyRef<impl HasPublic>,
    signer: &PKey<Private>,
    extensions: impl FnOnce(&mut X509Builder) -> Result<(), ErrorStack>,
    authority: Option<&X509Ref>,
) -> Result<X509, ErrorStack> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?; // "v3" (RFC 5280, 4.1.2.1)
    let mut serial = BigNum::new()?;
    // 127 bits, positive (RFC 5280, 4.1.2.2: at most 20 octets).
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    // From yesterday: clients' clocks may be slow.
    let yesterday = time::OffsetDateTime::now_utc().unix_timestamp() - 86_400;
    builder.set_not_before(&*Asn1Time::from_unix(yesterday)?)?;
    let days = if authority.is_some() { DAYS } else { AUTHORITY_DAYS };
    builder.set_not_after(&*Asn1Time::days_from_now(days)?)?;
    extensions(&mut builder)?;
    let subject_key = SubjectKeyIdentifier::new().build(&builder.x509v3_context(authority, None))?;
    builder.append_extension(subject_key)?;
    if authority.is_some() {
        let issuer_key = AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(authority, None))?;
        builder.append_extension(issuer_key)?;
    }
    builder.sign(signer, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn name(common: &str) -> Result<X509Name, ErrorStack> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::ORGANIZATIONNAME, "rackfish")?;
    name.append_entry_by_nid(Nid::COMMONNAME, common)?;
    Ok(name.build())
}

/// ECDSA P-256: what every client takes and what costs least.
fn new_key() -> Result<PKey<Private>, ErrorStack> {
    PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)
}

/// Writes aside and renames: whoever reads finds the old file or the new one.
pub(super) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), TlsError> {
    let aside = path.with_extension("new");
    let write = || -> io::Result<()> {
        match fs::remove_file(&aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(|cause| TlsError::File { path: path.to_owned(), cause })
}
