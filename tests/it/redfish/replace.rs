//! The certificate of HTTPS, shown and replaced over Redfish.

use std::sync::Arc;

use openssl::{
    hash::MessageDigest,
    x509::{X509, X509Req},
};
use rackfish::{
    api::{server::Acceptor, tls::ReloadableAcceptor},
    config::Tls,
};
use tempfile::TempDir;

use super::{certificates::Pair, *};

const CERTIFICATE: &str = "/redfish/v1/Managers/rackfish/NetworkProtocol/HTTPS/Certificates/1";
const ACTION: &str = "/redfish/v1/CertificateService/Actions/CertificateService.ReplaceCertificate";

async fn rig(tls: &Tls, dir: &TempDir) -> (Rig, ReloadableAcceptor) {
    let made = ReloadableAcceptor::new(tls, dir.path(), &["127.0.0.1:0".parse().unwrap()]).unwrap();
    let acceptor: Acceptor = {
        let made = made.clone();
        Arc::new(move || made.builder().map_err(|e| e.to_string()))
    };
    // What is trusted changes on the way.
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true).pool_max_idle_per_host(0);
    (Rig::certified(1, |_| {}, Some(acceptor), Some(made.clone()), client).await, made)
}

fn pem(pair: &Pair, with_key: bool) -> String {
    let mut pem = pair.certificate.to_pem().unwrap();
    if with_key {
        pem.extend(pair.key.private_key_to_pem_pkcs8().unwrap());
    }
    String::from_utf8(pem).unwrap()
}

fn ask(pem: &str) -> Value {
    json!({"CertificateString": pem, "CertificateType": "PEM", "CertificateUri": {"@odata.id": CERTIFICATE}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_for_good_and_nothing_else_is_taken() {
    let dir = TempDir::new().unwrap();
    let (rig, tls) = rig(&Tls::default(), &dir).await;
    let before = rig.get(CERTIFICATE).await.body;
    assert_eq!(before["Fingerprint"], tls.info().fingerprint);
    assert!(!before["CertificateString"].as_str().unwrap().contains("PRIVATE"));
    let service = rig.get("/redfish/v1/CertificateService").await.body;
    assert_eq!(service["Actions"]["#CertificateService.ReplaceCertificate"]["target"], ACTION);

    let (new, other) = (Pair::new("new", None), Pair::new("other", None));
    let mixed = pem(&new, false) + &String::from_utf8(other.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    for (body, key) in [
        (json!({}), "ActionParameterMissing"),
        (ask("no certificate"), "ActionParameterValueFormatError"),
        // Without a key it would have to go with the one in use.
        (ask(&pem(&new, false)), "ActionParameterValueFormatError"),
        (ask(&mixed), "ActionParameterValueFormatError"),
        (ask(&"x".repeat(100_000)), "ActionParameterValueFormatError"),
    ] {
        let answer = rig.post(ACTION, body).await;
        assert_eq!((answer.status.as_u16(), answer.key()), (400, key));
    }
    let mut elsewhere = ask(&pem(&new, true));
    elsewhere["CertificateUri"]["@odata.id"] = json!("/redfish/v1/Managers/rackfish");
    assert_eq!(rig.post(ACTION, elsewhere).await.key(), "ResourceNotFound");
    let wrong = json!({"CertificateString": [pem(&new, true)], "CertificateType": "PEM", "CertificateUri": {}});
    let answer = rig.post(ACTION, wrong).await;
    assert!(answer.status == 400 && !answer.body.to_string().contains("PRIVATE"));
    assert_eq!(rig.as_user("operator", Method::POST, ACTION, Some(ask(&pem(&new, true)))).await.status, 403);
    assert_eq!(rig.get(CERTIFICATE).await.body["Fingerprint"], before["Fingerprint"]);

    assert_eq!(rig.post(ACTION, ask(&pem(&new, true))).await.status, 204);
    let after = rig.get(CERTIFICATE).await.body;
    assert_eq!((&after["Subject"]["CommonName"], &after["Issuer"]["CommonName"]), (&json!("new"), &json!("new")));
    let trusting = reqwest::Certificate::from_pem(&new.certificate.to_pem().unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusting]).danger_accept_invalid_hostnames(true);
    let answer = client.no_proxy().build().unwrap().get(format!("{}/redfish/v1/", rig.url)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "the new one is served");
    // It is still there for the next start.
    let again = ReloadableAcceptor::new(&Tls::default(), dir.path(), &["127.0.0.1:0".parse().unwrap()]).unwrap();
    assert_eq!(again.info().fingerprint, tls.info().fingerprint);
    let mode = std::os::unix::fs::PermissionsExt::mode(&again.info().file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_configuration_names_is_not_replaced() {
    let (dir, own) = (TempDir::new().unwrap(), Pair::new("own", None));
    let file = dir.path().join("both.pem");
    std::fs::write(&file, pem(&own, true)).unwrap();
    let (rig, _) = rig(&Tls { certificate: Some(file.clone()), ..Tls::default() }, &dir).await;
    assert_eq!(rig.get("/redfish/v1/CertificateService").await.body["Actions"], json!({}));
    let answer = rig.post(ACTION, ask(&pem(&Pair::new("new", None), true))).await;
    assert_eq!((answer.status.as_u16(), answer.key()), (400, "ActionNotSupported"));
    assert_eq!(std::fs::read_to_string(file).unwrap(), pem(&own, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_was_asked_for_finds_its_key_here() {
    const CSR: &str = "/redfish/v1/CertificateService/Actions/CertificateService.GenerateCSR";
    let dir = TempDir::new().unwrap();
    let (rig, tls) = rig(&Tls::default(), &dir).await;
    let place = json!({"@odata.id": CERTIFICATE.trim_end_matches("/1")});
    let wanted =
        json!({"CommonName": "rack.example", "AlternativeNames": ["127.0.0.1"], "CertificateCollection": place});
    assert_eq!(rig.as_user("operator", Method::POST, CSR, Some(wanted.clone())).await.status, 403);
    assert_eq!(rig.post(CSR, json!({"CommonName": "x"})).await.key(), "ActionParameterMissing");
    let first = rig.post(CSR, wanted.clone()).await;
    assert_eq!((first.status.as_u16(), &first.body["CertificateCollection"]), (200, &place));
    let second = rig.post(CSR, wanted).await;
    let signed = |answer: &Answer| {
        let request = X509Req::from_pem(answer.body["CSRString"].as_str().unwrap().as_bytes()).unwrap();
        let (mut authority, key) = (Pair::new("the authority", None), request.public_key().unwrap());
        let mut builder = X509::builder().unwrap();
        builder.set_subject_name(request.subject_name()).unwrap();
        builder.set_issuer_name(authority.certificate.subject_name()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(authority.certificate.not_before()).unwrap();
        builder.set_not_after(authority.certificate.not_after()).unwrap();
        builder.sign(&authority.key, MessageDigest::sha256()).unwrap();
        authority.certificate = builder.build();
        pem(&authority, false)
    };
    // The newer request has taken the place of the older one.
    let late = rig.post(ACTION, ask(&signed(&first))).await;
    assert!(late.status == 400 && late.body.to_string().contains("GenerateCSR"));
    let before = tls.info().fingerprint;
    let pending = dir.path().join("tls/requested-key.pem");
    assert!(pending.exists() && tls.info().fingerprint == before);
    assert_eq!(rig.post(ACTION, ask(&signed(&second))).await.status, 204);
    assert_eq!(rig.get(CERTIFICATE).await.body["Subject"]["CommonName"], "rack.example");
    assert!(!pending.exists(), "its key lies with the certificate now");
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_of_clients_come_and_go_without_a_restart() {
    const SERVICE: &str = "/redfish/v1/AccountService";
    let list = format!("{SERVICE}/MultiFactorAuth/ClientCertificate/Certificates");
    let dir = TempDir::new().unwrap();
    let (rig, tls) = rig(&Tls::default(), &dir).await;
    let authority = Pair::new("clients", None);
    let client = Pair::new("operator", Some(&authority));
    let get = async || {
        let shown = reqwest::Client::builder().danger_accept_invalid_certs(true).identity(client.identity());
        let request = shown.no_proxy().build().unwrap().get(format!("{}{SYSTEMS}", rig.url));
        request.send().await.map(|answer| answer.status().as_u16()).ok()
    };
    assert_eq!(get().await, Some(401), "nobody asks for certificates yet");
    let ask = |pem: &str| json!({"CertificateString": pem, "CertificateType": "PEM"});
    for (body, key) in [
        (json!({}), "EmptyJSON"),
        (ask("nothing"), "PropertyValueFormatError"),
        (ask(&pem(&client, false)), "PropertyValueFormatError"),
        (ask(&pem(&authority, true)), "PropertyValueFormatError"),
        (ask(&pem(&authority, false).repeat(2)), "PropertyValueFormatError"),
    ] {
        assert_eq!(rig.post(&list, body).await.key(), key);
    }
    let body = ask(&pem(&authority, false));
    assert_eq!(rig.as_user("operator", Method::POST, &list, Some(body.clone())).await.status, 403);
    let made = rig.post(&list, body.clone()).await;
    let one = made.header("location").to_owned();
    assert_eq!((made.status.as_u16(), &made.body["Subject"]["CommonName"]), (201, &json!("clients")));
    assert_eq!(rig.post(&list, body).await.key(), "ResourceAlreadyExists");
    assert_eq!(get().await, Some(200));
    let locations = rig.get("/redfish/v1/CertificateService/CertificateLocations").await.body;
    assert!(locations["Links"]["Certificates"].to_string().contains(&one));
    // Switched off and on, and still there for the next start.
    let enable = async |on: bool| {
        let body = json!({"MultiFactorAuth": {"ClientCertificate": {"Enabled": on}}});
        rig.patch(SERVICE, body).await.body["MultiFactorAuth"]["ClientCertificate"]["Enabled"].clone()
    };
    assert_eq!((enable(false).await, get().await), (json!(false), Some(401)));
    let again = ReloadableAcceptor::new(&Tls::default(), dir.path(), &["127.0.0.1:0".parse().unwrap()]).unwrap();
    assert!(!again.client_cas().enabled && again.client_cas().all.len() == 1);
    assert_eq!((enable(true).await, get().await), (json!(true), Some(200)));
    assert_eq!(rig.as_user("admin", Method::DELETE, &one, None).await.status, 204);
    assert_eq!((get().await, rig.get(&one).await.status.as_u16()), (Some(401), 404));
    // Where the configuration names them, that holds.
    let file = dir.path().join("ours.pem");
    std::fs::write(&file, pem(&authority, false)).unwrap();
    let named = Tls { client_ca: Some(file), ..Tls::default() };
    assert!(tls.reload(&named, dir.path(), &["127.0.0.1:0".parse().unwrap()]).unwrap());
    assert_eq!((rig.get(&list).await.body["Members@odata.count"].clone(), get().await), (json!(1), Some(200)));
    for refused in [rig.post(&list, json!({})).await, rig.as_user("admin", Method::DELETE, &one, None).await] {
        assert_eq!((refused.status.as_u16(), refused.key()), (409, "MadeByConfiguration"));
    }
}
