//! The certificate of HTTPS, shown and replaced over Redfish.

use std::sync::Arc;

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
