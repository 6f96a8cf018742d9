//! Cost laws of the face: allocations, counted on the one thread that does everything here.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;

use actix_web::{
    App,
    body::to_bytes,
    dev::Service as _,
    http::StatusCode,
    test::{TestRequest, init_service},
    web,
};

use super::{Redfish, Served, http};
use crate::{
    api::operations::Metrics,
    auth::Auth,
    fleet::tests::rig::{Device, Rig, config, node},
    model::{Role, Scope, Secret},
    store::MemoryStore,
};

async fn face(rig: &Rig) -> (Redfish, Secret) {
    let auth = Auth::open(MemoryStore::new(), config(&[], vec![]).auth).await.unwrap();
    let password = Secret::new("a password of the test");
    auth.create("admin", &password, Role::Administrator, Scope::All, false).await.unwrap();
    let token = auth.login("admin", password.expose(), None).await.unwrap().token;
    let metrics = Arc::new(Metrics::new(rig.fleet.clone(), auth.clone()));
    (Redfish::new(rig.fleet.clone(), auth, None, metrics, Served { port: Some(8443), tls: true }), token)
}

/// Allocations and bytes of the second answer to a GET: what the first one sets up is not counted.
fn cost(path: &str) -> (u64, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let local = tokio::task::LocalSet::new();
    let (app, token, _rig) = local.block_on(&runtime, async {
        let (bmc, pdu) = (Device::bmc("bmc"), Device::pdu("pdu", 8));
        let mut nodes = vec![node("n1", Some("bmc"), &["pdu/1"])];
        nodes.extend((2..=8).map(|n| node(&format!("n{n}"), None, &[&format!("pdu/{n}")])));
        let rig = Rig::new(config(&[&bmc, &pdu], nodes)).await;
        crate::fleet::tests::rig::seconds(8).await;
        assert!(rig.power("n1").is_some() && rig.power("n8").is_some(), "not read yet");
        let (face, token) = face(&rig).await;
        let app = App::new().app_data(web::Data::new(face)).default_service(web::to(http::serve));
        (init_service(app).await, token, rig)
    });
    let ask = || {
        let request = TestRequest::get().uri(path).insert_header(("x-auth-token", token.expose())).to_request();
        let mut answer = None;
        let counted = allocation_counter::measure(|| {
            answer = Some(local.block_on(&runtime, async {
                let response = app.call(request).await.unwrap();
                (response.status(), to_bytes(response.into_body()).await.unwrap())
            }));
        });
        let (status, body) = answer.unwrap();
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        println!(
            "{path}: {} allocations, {} bytes for {} of answer",
            counted.count_total,
            counted.bytes_total,
            body.len()
        );
        (counted.count_total, counted.bytes_total)
    };
    ask();
    ask()
}

#[test]
fn a_get_of_a_system_is_a_few_allocations() {
    let (count, bytes) = cost("/redfish/v1/Systems/n1");
    assert!((10..=40).contains(&count), "{count} allocations");
    assert!(bytes < 12_000, "{bytes} bytes");
}

#[test]
fn a_list_is_fewer_allocations_than_two_a_member() {
    let (count, bytes) = cost("/redfish/v1/Systems");
    assert!((5..=22).contains(&count), "{count} allocations for eight members");
    assert!(bytes < 12_000, "{bytes} bytes");
}

#[tokio::test]
async fn what_is_about_certificates_is_unknown_on_plain_http() {
    let rig = Rig::new(config(&[], vec![])).await;
    let (face, token) = face(&rig).await;
    let app = init_service(App::new().app_data(web::Data::new(face)).default_service(web::to(http::serve))).await;
    let body = serde_json::json!({"MultiFactorAuth": {"ClientCertificate": {"Enabled": true}}});
    let request =
        TestRequest::patch().uri("/redfish/v1/AccountService").insert_header(("x-auth-token", token.expose()));
    let response = app.call(request.set_json(body).to_request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let text = to_bytes(response.into_body()).await.unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("PropertyUnknown") && text.contains("MultiFactorAuth"), "{text}");
}
