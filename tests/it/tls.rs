//! TLS as it is served: actix-web on an acceptor whose certificate changes, and a client that only trusts `ca.pem`.
#![allow(clippy::unwrap_used)]

use std::{fs, net::TcpListener};

use actix_web::{App, HttpServer, web};
use rackfish::{api::tls::ReloadableAcceptor, config::Tls};
use tempfile::TempDir;

#[test]
fn a_client_that_trusts_the_authority_is_served_before_and_after_a_reload() {
    actix_web::rt::System::new().block_on(served_before_and_after());
}

async fn served_before_and_after() {
    let dir = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let tls = ReloadableAcceptor::new(&Tls::default(), dir.path(), &[at]).unwrap();
    let server = HttpServer::new(|| App::new().route("/", web::get().to(|| async { "served" })))
        .workers(1)
        .disable_signals()
        .listen_openssl(listener, tls.builder().unwrap())
        .unwrap()
        .run();
    let handle = server.handle();
    let server = actix_web::rt::spawn(server);

    let info = tls.info();
    let pem = fs::read(info.trust.unwrap()).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    let get = async |url: String| {
        // A client of its own: no connection is used twice.
        let client = reqwest::Client::builder().tls_certs_only([authority.clone()]).no_proxy().build().unwrap();
        client.get(url).send().await?.text().await
    };
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(get(format!("https://{host}:{}/", at.port())).await.unwrap(), "served");
    }
    let more = Tls { names: vec!["more.example".to_owned()], ..Tls::default() };
    assert!(tls.reload(&more, dir.path(), &[at]).unwrap());
    assert_ne!(tls.info().fingerprint, info.fingerprint);
    assert_eq!(get(format!("https://127.0.0.1:{}/", at.port())).await.unwrap(), "served");

    handle.stop(true).await;
    server.await.unwrap().unwrap();
}
