//! Login by client certificate: the common name is the account, and its role counts.

use std::{path::Path, sync::Arc};

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{X509, X509Name, extension::BasicConstraints},
};
use rackfish::{
    api::{server::Acceptor, tls::ReloadableAcceptor},
    config::Tls,
};
use tempfile::TempDir;

use super::*;

/// A certificate and its key.
pub(super) struct Pair {
    pub(super) certificate: X509,
    pub(super) key: PKey<Private>,
}

impl Pair {
    /// Signed by `authority`, or an authority of its own.
    pub(super) fn new(name: &str, authority: Option<&Self>) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut subject = X509Name::builder().unwrap();
        subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(rand::random()).unwrap();
        builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(authority.map_or(&subject, |a| a.certificate.subject_name())).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
        if authority.is_none() {
            builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        }
        builder.sign(authority.map_or(&key, |a| &a.key), MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    pub(super) fn identity(&self) -> reqwest::Identity {
        let (certificate, key) = (self.certificate.to_pem().unwrap(), self.key.private_key_to_pem_pkcs8().unwrap());
        reqwest::Identity::from_pkcs8_pem(&certificate, &key).unwrap()
    }
}

/// The service behind TLS that asks for certificates of `clients`.
struct Secure {
    rig: Rig,
    clients: Pair,
    trusted: reqwest::Certificate,
    _dir: TempDir,
}

impl Secure {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let clients = Pair::new("clients of the rack", None);
        let client_ca = dir.path().join("clients.pem");
        std::fs::write(&client_ca, clients.certificate.to_pem().unwrap()).unwrap();
        let (tls, trusted) = acceptor(&client_ca, dir.path());
        let client = reqwest::Client::builder().tls_certs_only([trusted.clone()]);
        let rig = Rig::behind(1, |_| {}, Some(tls), client).await;
        Self { rig, clients, trusted, _dir: dir }
    }

    /// A client that shows a certificate, or none.
    fn client(&self, shown: Option<&Pair>) -> reqwest::Client {
        let client = reqwest::Client::builder().tls_certs_only([self.trusted.clone()]).no_proxy();
        shown.map(Pair::identity).into_iter().fold(client, reqwest::ClientBuilder::identity).build().unwrap()
    }

    fn get(&self, client: &reqwest::Client, path: &str) -> reqwest::RequestBuilder {
        client.get(format!("{}{path}", self.rig.url))
    }

    fn reset(&self, client: &reqwest::Client) -> reqwest::RequestBuilder {
        let url = format!("{}{SYSTEMS}/pdu-1/Actions/ComputerSystem.Reset", self.rig.url);
        client.post(url).json(&json!({"ResetType": "On"}))
    }
}

fn acceptor(client_ca: &Path, state: &Path) -> (Acceptor, reqwest::Certificate) {
    let tls = Tls { client_ca: Some(client_ca.to_owned()), ..Tls::default() };
    let made = ReloadableAcceptor::new(&tls, state, &["127.0.0.1:0".parse().unwrap()]).unwrap();
    let trusted = reqwest::Certificate::from_pem(&std::fs::read(made.info().trust.unwrap()).unwrap()).unwrap();
    (Arc::new(move || made.builder().map_err(|e| e.to_string())), trusted)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_a_login_with_its_accounts_role() {
    let secure = Secure::new().await;
    let operator = secure.client(Some(&Pair::new("operator", Some(&secure.clients))));
    assert_eq!(Rig::send(secure.get(&operator, SYSTEMS)).await.status, 200);
    assert_eq!(Rig::send(secure.reset(&operator)).await.status, 204);
    let reader = secure.client(Some(&Pair::new("reader", Some(&secure.clients))));
    assert_eq!(Rig::send(secure.get(&reader, SYSTEMS)).await.status, 200);
    let refused = Rig::send(secure.reset(&reader)).await;
    assert_eq!((refused.status.as_u16(), refused.key()), (403, "InsufficientPrivilege"));
    // An account that is limited to nodes is so with a certificate too.
    let tenant = secure.client(Some(&Pair::new("tenant", Some(&secure.clients))));
    assert_eq!(Rig::send(secure.get(&tenant, SYSTEMS)).await.body["Members@odata.count"], 1);
    // What is said in the request counts for more than the connection, right or wrong.
    let other = secure.reset(&reader).basic_auth("operator", Some(PASSWORD));
    assert_eq!(Rig::send(other).await.status, 204);
    let wrong = secure.get(&reader, SYSTEMS).basic_auth("operator", Some("wrong"));
    assert_eq!(Rig::send(wrong).await.status, 401);
    // An account that is switched off is off on connections that are open, too.
    let account = "/redfish/v1/AccountService/Accounts/reader";
    assert_eq!(secure.rig.patch(account, json!({"Enabled": false})).await.status, 200);
    assert_eq!(Rig::send(secure.get(&reader, SYSTEMS)).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_no_account_is_nobody() {
    let secure = Secure::new().await;
    let stranger = secure.client(Some(&Pair::new("stranger", Some(&secure.clients))));
    let answer = Rig::send(secure.get(&stranger, SYSTEMS)).await;
    assert_eq!((answer.status.as_u16(), answer.key()), (401, "AccessUnauthorized"));
    assert!(answer.header("www-authenticate").starts_with("Basic "));
    assert_eq!(Rig::send(secure.get(&stranger, "/redfish/v1/")).await.status, 200, "the root is open");
    let basic = secure.get(&stranger, SYSTEMS).basic_auth("admin", Some(PASSWORD));
    assert_eq!(Rig::send(basic).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_somebody_else_gets_no_connection() {
    let secure = Secure::new().await;
    // The authority has the same name: only its key tells.
    let forger = Pair::new("clients of the rack", None);
    for shown in [Pair::new("operator", Some(&forger)), Pair::new("operator", None)] {
        let client = secure.client(Some(&shown));
        for path in [SYSTEMS, "/redfish/v1/"] {
            let result = secure.get(&client, path).basic_auth("admin", Some(PASSWORD)).send().await;
            assert!(result.is_err(), "{path}: {result:?}");
        }
    }
    assert_eq!(secure.rig.get(SYSTEMS).await.status, 200, "the service goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_passwords_and_sessions_are_as_ever() {
    let secure = Secure::new().await;
    let plain = secure.client(None);
    assert_eq!(Rig::send(secure.get(&plain, SYSTEMS)).await.status, 401);
    let basic = secure.get(&plain, SYSTEMS).basic_auth("reader", Some(PASSWORD));
    assert_eq!(Rig::send(basic).await.status, 200);
    let sessions = format!("{}/redfish/v1/SessionService/Sessions", secure.rig.url);
    let login = plain.post(sessions).json(&json!({"UserName": "reader", "Password": PASSWORD}));
    let token = Rig::send(login).await.header("x-auth-token").to_owned();
    assert_eq!(Rig::send(secure.get(&plain, SYSTEMS).header("X-Auth-Token", token)).await.status, 200);
}
