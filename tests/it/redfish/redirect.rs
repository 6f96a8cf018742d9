//! Plain HTTP on the TLS port.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Instant,
};

use rackfish::{
    api::{server::Acceptor, tls::ReloadableAcceptor},
    config::Tls,
};
use tempfile::TempDir;

use super::*;

async fn secure(dir: &TempDir) -> (Rig, SocketAddr) {
    let tls =
        Arc::new(ReloadableAcceptor::new(&Tls::default(), dir.path(), &["127.0.0.1:0".parse().unwrap()]).unwrap());
    let pem = std::fs::read(tls.info().trust.unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()]);
    let acceptor: Acceptor = Arc::new(move || tls.builder().map_err(|e| e.to_string()));
    let rig = Rig::behind(1, |_| {}, Some(acceptor), client).await;
    let address = rig.server.addresses[0];
    (rig, address)
}

/// Says something in the clear and hears the answer out.
async fn say(at: SocketAddr, text: Vec<u8>) -> (Duration, String) {
    let talk = move || {
        let begun = Instant::now();
        let mut link = TcpStream::connect(at).unwrap();
        link.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // It may be cut off in the middle.
        link.write_all(&text).ok();
        let mut answer = Vec::new();
        link.read_to_end(&mut answer).ok();
        (begun.elapsed(), String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_clients_are_sent_to_https_and_nothing_they_say_counts() {
    let dir = TempDir::new().unwrap();
    let (rig, at) = secure(&dir).await;
    let path = format!("{SYSTEMS}/pdu-1/Actions/ComputerSystem.Reset");
    let login = "Authorization: Basic YWRtaW46Q29ycmVjdC1Ib3JzZS03\r\n";
    let body = "{\"ResetType\": \"ForceOff\"}";
    let request = format!("POST {path} HTTP/1.1\r\nHost: {at}\r\n{login}Content-Length: {}\r\n\r\n{body}", body.len());
    let before = rig.power("pdu-1").await;
    let (_, answer) = say(at, request.into_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(answer.contains(&format!("\r\nLocation: https://{at}{path}\r\n")), "{answer}");
    assert_eq!(rig.power("pdu-1").await, before);

    // A client that follows arrives, and is asked for its login there.
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true).no_proxy().build().unwrap();
    let followed = client.get(format!("http://{at}{SYSTEMS}")).send().await.unwrap();
    assert_eq!((followed.url().scheme(), followed.status().as_u16()), ("https", 401));
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_clients_are_bounded() {
    let dir = TempDir::new().unwrap();
    let (rig, at) = secure(&dir).await;
    let long = format!("GET / HTTP/1.1\r\nX-Long: {}", "a".repeat(20_000)).into_bytes();
    assert!(say(at, long).await.1.starts_with("HTTP/1.1 431 "));
    assert!(say(at, b"HELLO\r\n\r\n".to_vec()).await.1.starts_with("HTTP/1.1 400 "));
    let (slow, other) = tokio::join!(say(at, b"GET /redfish HTTP/1.1\r\n".to_vec()), say(at, vec![0, 1, 2, 3]));
    assert!(slow.0 < Duration::from_secs(8) && slow.1.is_empty(), "{slow:?}");
    assert!(other.0 < Duration::from_secs(12), "{other:?}");
    assert_eq!(rig.get(SYSTEMS).await.status, 200);
}
