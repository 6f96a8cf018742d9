//! Real handshakes over loopback, with OpenSSL's client.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use openssl::{
    asn1::Asn1Time,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    ssl::{SslAcceptor, SslConnector, SslConnectorBuilder, SslFiletype, SslMethod, SslVersion},
    symm::Cipher,
    x509::{X509, X509Name, extension::BasicConstraints},
};
use tempfile::TempDir;

use super::{ClientCaError, ReloadableAcceptor, TlsError, peer_common_name, request};
use crate::config::Tls;

const LISTEN: &str = "127.0.0.1:8443";

fn listen() -> Vec<SocketAddr> {
    vec![LISTEN.parse().unwrap()]
}

fn acceptor(tls: &Tls, dir: &Path) -> Result<ReloadableAcceptor, TlsError> {
    ReloadableAcceptor::new(tls, dir, &listen())
}

/// Answers each connection with the client's common name, forever.
fn serve(tls: &ReloadableAcceptor) -> SocketAddr {
    let acceptor: SslAcceptor = tls.builder().unwrap().build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = acceptor.accept(stream.unwrap()) else { continue };
            let name = peer_common_name(stream.ssl()).unwrap_or_else(|| "nobody".to_owned());
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() {
                stream.write_all(name.as_bytes()).unwrap();
                stream.write_all(b"\n").unwrap();
            }
        }
    });
    at
}

struct Seen {
    name: String,
    alpn: Option<Vec<u8>>,
    certificate: X509,
}

/// One connection to `host`: what came of it.
fn connect(at: SocketAddr, host: &str, connector: &SslConnector) -> Result<Seen, String> {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let ssl = connector.configure().unwrap().into_ssl(host).unwrap();
    let mut stream = ssl.connect(stream).map_err(|e| e.to_string())?;
    stream.write_all(b"?").map_err(|e| e.to_string())?;
    let mut name = String::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte).map_err(|e| e.to_string())?;
        if byte[0] == b'\n' {
            break;
        }
        name.push(char::from(byte[0]));
    }
    Ok(Seen {
        name,
        alpn: stream.ssl().selected_alpn_protocol().map(<[u8]>::to_vec),
        certificate: stream.ssl().peer_certificate().unwrap(),
    })
}

fn client(trust: &Path, change: impl FnOnce(&mut SslConnectorBuilder)) -> SslConnector {
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_ca_file(trust).unwrap();
    builder.set_alpn_protos(b"\x02h2\x08http/1.1").unwrap();
    change(&mut builder);
    builder.build()
}

/// A certificate as an operator might bring it, and its key, as files.
struct Brought {
    certificate: PathBuf,
    key: PathBuf,
}

impl Brought {
    fn tls(&self) -> Tls {
        Tls { certificate: Some(self.certificate.clone()), key: Some(self.key.clone()), ..Tls::default() }
    }
}

fn bring(dir: &Path, name: &str, signer: Option<&Brought>) -> Brought {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    bring_with(dir, name, signer, &key, signer.is_none())
}

/// A key that no security level of OpenSSL but the lowest takes.
fn weak() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(768).unwrap()).unwrap()
}

fn bring_with(dir: &Path, name: &str, signer: Option<&Brought>, key: &PKey<Private>, authority: bool) -> Brought {
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(90).unwrap()).unwrap();
    if authority {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    }
    let (issuer, signing): (X509Name, PKey<Private>) = match signer {
        None => (subject, key.clone()),
        Some(signer) => {
            let issuer = X509::from_pem(&fs::read(&signer.certificate).unwrap()).unwrap();
            let key = PKey::private_key_from_pem(&fs::read(&signer.key).unwrap()).unwrap();
            (issuer.subject_name().to_owned().unwrap(), key)
        }
    };
    builder.set_issuer_name(&issuer).unwrap();
    builder.sign(&signing, MessageDigest::sha256()).unwrap();
    let brought = Brought { certificate: dir.join(format!("{name}.pem")), key: dir.join(format!("{name}.key")) };
    fs::write(&brought.certificate, builder.build().to_pem().unwrap()).unwrap();
    fs::write(&brought.key, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    brought
}

#[test]
fn a_made_certificate_is_trusted_by_those_who_have_its_authority() {
    let dir = TempDir::new().unwrap();
    let tls = Tls { names: vec!["bmc.lab.example".to_owned(), "192.0.2.9".to_owned()], ..Tls::default() };
    let acceptor = acceptor(&tls, dir.path()).unwrap();
    let info = acceptor.info();
    let at = serve(&acceptor);
    for trust in [info.trust.clone().unwrap(), info.file.clone()] {
        let client = client(&trust, |_| ());
        for host in ["localhost", "127.0.0.1", "::1", "bmc.lab.example", "192.0.2.9"] {
            let seen = connect(at, host, &client).unwrap_or_else(|e| panic!("{host}: {e}"));
            assert_eq!(seen.alpn.as_deref(), Some(b"http/1.1".as_slice()));
            assert_eq!(seen.name, "nobody");
        }
        assert!(connect(at, "other.example", &client).is_err());
    }
    let stranger = SslConnector::builder(SslMethod::tls()).unwrap().build();
    assert!(connect(at, "localhost", &stranger).is_err());
    let days = (info.not_after - time::OffsetDateTime::now_utc()).whole_days();
    assert!((360..365).contains(&days), "{days}");
    for (file, mode) in [("ca-key.pem", 0o600), ("key.pem", 0o600), ("cert.pem", 0o644)] {
        let path = dir.path().join("tls").join(file);
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777 & !mode, 0, "{file}");
    }
}

#[test]
fn a_made_certificate_is_kept_and_follows_the_names() {
    let dir = TempDir::new().unwrap();
    let first = acceptor(&Tls::default(), dir.path()).unwrap();
    let at = serve(&first);
    let trusting = client(&first.info().trust.unwrap(), |_| ());
    let again = acceptor(&Tls::default(), dir.path()).unwrap();
    assert_eq!(first.info(), again.info());
    assert!(!first.reload(&Tls::default(), dir.path(), &listen()).unwrap());
    let more = Tls { names: vec!["new.example".to_owned()], ..Tls::default() };
    assert!(connect(at, "new.example", &trusting).is_err());
    assert!(first.reload(&more, dir.path(), &listen()).unwrap());
    connect(at, "new.example", &trusting).unwrap();
    assert!(first.info().names.contains(&"new.example".to_owned()));
    let bad = Tls { names: vec!["not a name".to_owned()], ..Tls::default() };
    assert!(matches!(first.reload(&bad, dir.path(), &listen()), Err(TlsError::Name(_))));
}

#[test]
fn an_authority_without_its_key_is_not_replaced_silently() {
    let dir = TempDir::new().unwrap();
    acceptor(&Tls::default(), dir.path()).unwrap();
    fs::remove_file(dir.path().join("tls/ca-key.pem")).unwrap();
    acceptor(&Tls::default(), dir.path()).unwrap();
    let more = Tls { names: vec!["new.example".to_owned()], ..Tls::default() };
    let error = acceptor(&more, dir.path()).err().unwrap().to_string();
    assert!(error.contains("ca-key.pem") && error.contains("put it back"), "{error}");
}

#[test]
fn a_reload_counts_from_the_next_connection_on() {
    let dir = TempDir::new().unwrap();
    let [old, new] = ["old.example", "new.example"].map(|name| bring(dir.path(), name, None));
    let acceptor = acceptor(&old.tls(), dir.path()).unwrap();
    let at = serve(&acceptor);
    let connector = client(&old.certificate, |c| c.set_ca_file(&new.certificate).unwrap());
    let served = || {
        let mut name = String::new();
        for host in ["old.example", "new.example"] {
            if let Ok(seen) = connect(at, host, &connector) {
                let common = seen.certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next().unwrap();
                name = common.data().to_string().unwrap();
            }
        }
        name
    };
    assert_eq!(served(), "old.example");
    assert!(acceptor.reload(&new.tls(), dir.path(), &listen()).unwrap());
    assert_eq!(served(), "new.example");
    // What can't be served is said, and the old one stays.
    let mixed = Tls { key: Some(old.key.clone()), ..new.tls() };
    assert!(matches!(acceptor.reload(&mixed, dir.path(), &listen()), Err(TlsError::Mismatch { .. })));
    let pem = PKey::private_key_from_pem(&fs::read(&new.key).unwrap()).unwrap();
    let locked = dir.path().join("locked");
    fs::write(&locked, pem.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret").unwrap()).unwrap();
    let text = dir.path().join("text");
    fs::write(&text, "nothing of the kind").unwrap();
    let broken = [
        (Tls { key: Some(locked), ..new.tls() }, "passphrase"),
        (Tls { key: Some(text.clone()), ..new.tls() }, "no PEM private key"),
        (Tls { certificate: Some(text.clone()), ..new.tls() }, "no PEM certificate"),
        (Tls { client_ca: Some(text), ..new.tls() }, "no PEM certificate"),
        (Tls { certificate: Some(dir.path().join("gone")), ..new.tls() }, "No such file"),
        (Tls { certificate: None, ..new.tls() }, "without server.tls.certificate"),
    ];
    for (tls, needle) in broken {
        let error = acceptor.reload(&tls, dir.path(), &listen()).unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    }
    assert_eq!(served(), "new.example");
}

#[test]
fn client_certificates_are_asked_for_after_a_reload_too() {
    let dir = TempDir::new().unwrap();
    let server = bring(dir.path(), "localhost", None);
    let [ours, theirs] = ["ours", "theirs"].map(|name| bring(dir.path(), name, None));
    let ironic = bring(dir.path(), "ironic", Some(&ours));
    let stranger = bring(dir.path(), "stranger", Some(&theirs));
    let acceptor = acceptor(&server.tls(), dir.path()).unwrap();
    let at = serve(&acceptor);
    let with = |brought: &Brought, version| {
        let connector = client(&server.certificate, |c| {
            c.set_certificate_file(&brought.certificate, SslFiletype::PEM).unwrap();
            c.set_private_key_file(&brought.key, SslFiletype::PEM).unwrap();
            c.set_max_proto_version(version).unwrap();
        });
        connect(at, "localhost", &connector).map(|seen| seen.name)
    };
    let plain = client(&server.certificate, |_| ());
    for version in [Some(SslVersion::TLS1_2), Some(SslVersion::TLS1_3)] {
        acceptor.reload(&server.tls(), dir.path(), &listen()).unwrap();
        assert_eq!(with(&ironic, version).unwrap(), "nobody", "nothing was asked for");
        let asking = Tls { client_ca: Some(ours.certificate.clone()), ..server.tls() };
        assert!(acceptor.reload(&asking, dir.path(), &listen()).unwrap());
        assert_eq!(with(&ironic, version).unwrap(), "ironic");
        assert_eq!(connect(at, "localhost", &plain).unwrap().name, "nobody", "they are optional");
        assert!(with(&stranger, version).is_err(), "a stranger's certificate is no certificate");
    }
}

#[test]
fn old_protocols_are_refused() {
    let dir = TempDir::new().unwrap();
    let acceptor = acceptor(&Tls::default(), dir.path()).unwrap();
    let at = serve(&acceptor);
    let old = client(&acceptor.info().trust.unwrap(), |c| {
        c.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
        c.set_max_proto_version(Some(SslVersion::TLS1_1)).unwrap();
        c.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    });
    assert!(connect(at, "localhost", &old).is_err());
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_certificate_that_is_refused_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let acceptor = acceptor(&Tls::default(), dir.path()).unwrap();
    let served = acceptor.info();
    let files = || {
        let names = fs::read_dir(dir.path().join("tls")).unwrap().map(|entry| entry.unwrap().file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let wanted = request::Wanted {
        subject: vec![(request::Part::CommonName, "new.example".to_owned())],
        names: Vec::new(),
        key: request::KeyKind::P256,
        usage: Vec::new(),
    };
    acceptor.request(&wanted).unwrap();
    let before = files();
    let key = request::pending(dir.path()).unwrap().unwrap();
    let aside = TempDir::new().unwrap();
    // A short key of its own, and a good one, signed by an authority with a short key.
    let short = bring_with(aside.path(), "short", None, &weak(), true);
    let signed = bring_with(aside.path(), "signed", Some(&short), &key, false);
    let chain = text(&signed.certificate) + &text(&short.certificate);
    for pem in [text(&short.certificate) + &text(&short.key), chain] {
        let error = acceptor.replace(&pem).unwrap_err();
        assert!(
            matches!(&error, TlsError::Content { path, what } if path.ends_with("the given certificate")
            && what.contains("too small")),
            "{error}"
        );
        assert_eq!(files(), before);
    }
    assert!(request::pending(dir.path()).unwrap().unwrap().public_eq(&key));
    assert_eq!(self::acceptor(&Tls::default(), dir.path()).unwrap().info(), served, "a start goes as before");
    // Another file that is broken is not the certificate's fault, and the change is taken back all the same.
    let good = bring_with(aside.path(), "good", None, &key, false);
    let authorities = dir.path().join("tls").join("client-ca.pem");
    fs::write(&authorities, "nothing of the kind").unwrap();
    assert!(matches!(acceptor.replace(&text(&good.certificate)), Err(TlsError::Elsewhere(_))));
    fs::remove_file(&authorities).unwrap();
    assert_eq!(files(), before);
    acceptor.replace(&text(&good.certificate)).unwrap();
    assert!(request::pending(dir.path()).unwrap().is_none(), "it is answered");
    assert_eq!(self::acceptor(&Tls::default(), dir.path()).unwrap().info(), acceptor.info());
}

#[test]
fn authorities_of_clients_are_what_they_were_if_they_can_not_be_used() {
    let dir = TempDir::new().unwrap();
    let server = bring(dir.path(), "localhost", None);
    let acceptor = acceptor(&server.tls(), dir.path()).unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| bring(dir.path(), name, None));
    let file = dir.path().join("tls").join("client-ca.pem");
    let key = text(&server.key);
    let refused = |change: &dyn Fn() -> Result<(), ClientCaError>| {
        fs::write(&server.key, "nothing of the kind").unwrap();
        let result = change();
        assert!(matches!(result, Err(ClientCaError::Tls(TlsError::Elsewhere(_)))), "{result:?}");
        fs::write(&server.key, &key).unwrap();
    };
    refused(&|| acceptor.add_client_ca(&text(&ours.certificate)).map(drop));
    assert!(!file.exists() && acceptor.client_cas().all.is_empty());
    let id = acceptor.add_client_ca(&text(&ours.certificate)).unwrap();
    let kept = text(&file);
    refused(&|| acceptor.add_client_ca(&text(&theirs.certificate)).map(drop));
    refused(&|| acceptor.remove_client_ca(&id));
    refused(&|| acceptor.enable_client_cas(false));
    assert_eq!(text(&file), kept);
    assert!(acceptor.client_cas().enabled && acceptor.client_cas().all.len() == 1);
}

#[test]
fn an_authority_below_another_one_is_enough() {
    let dir = TempDir::new().unwrap();
    let server = bring(dir.path(), "localhost", None);
    let root = bring(dir.path(), "root", None);
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let below = bring_with(dir.path(), "below", Some(&root), &key, true);
    let [ironic, other] = [("ironic", &below), ("other", &root)].map(|(name, by)| bring(dir.path(), name, Some(by)));
    let acceptor = acceptor(&server.tls(), dir.path()).unwrap();
    acceptor.add_client_ca(&text(&below.certificate)).unwrap();
    let at = serve(&acceptor);
    let with = |brought: &Brought| {
        let connector = client(&server.certificate, |c| {
            c.set_certificate_file(&brought.certificate, SslFiletype::PEM).unwrap();
            c.set_private_key_file(&brought.key, SslFiletype::PEM).unwrap();
        });
        connect(at, "localhost", &connector).map(|seen| seen.name)
    };
    assert_eq!(with(&ironic).unwrap(), "ironic");
    assert!(with(&other).is_err(), "the one above was not named");
}
