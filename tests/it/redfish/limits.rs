//! Clients that are slow, silent or talkative: each is cut off in bounded time or refused, and nobody else notices.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use super::*;

/// `server.rs`: 10 s for a connection's first head, 15 s for a later one, 2 s until a client that does not close its
/// side is cut off; and some slack.
const CUT: Duration = Duration::from_secs(20);

/// Writes `text` a byte at a time until the other side is gone. Returns how long that took and what it said.
fn drip(mut socket: TcpStream, text: &'static str) -> (Duration, String) {
    let begun = Instant::now();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut said = Vec::new();
    for byte in text.bytes().cycle() {
        if begun.elapsed() > CUT * 2 || socket.write_all(&[byte]).is_err() {
            break;
        }
        let mut part = [0; 1024];
        match socket.read(&mut part) {
            Ok(0) => break,
            Ok(size) => said.extend_from_slice(&part[..size]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    (begun.elapsed(), String::from_utf8_lossy(&said).into_owned())
}

/// Sends `parts` as far as they are taken, and reads what comes back until the other side closes.
fn tell(at: SocketAddr, parts: impl Iterator<Item = Vec<u8>>) -> String {
    let mut socket = TcpStream::connect(at).unwrap();
    socket.set_read_timeout(Some(CUT)).unwrap();
    socket.set_write_timeout(Some(CUT)).unwrap();
    for part in parts {
        if socket.write_all(&part).is_err() {
            break; // it has heard enough
        }
    }
    let mut said = Vec::new();
    socket.read_to_end(&mut said).ok(); // a reset after the answer is as good as an end
    String::from_utf8_lossy(&said).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_are_cut_off_while_others_are_served() {
    let rig = Rig::new(1).await;
    let at = rig.server.addresses[0];
    let client = |head: &'static [u8], rest: &'static str| {
        tokio::task::spawn_blocking(move || {
            let mut socket = TcpStream::connect(at).unwrap();
            socket.write_all(head).unwrap();
            drip(socket, rest)
        })
    };
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(client(b"GET /redfish/v1/ HTTP/1.1\r\nHost: x\r\n", "X-Slow: very\r\n"));
    }
    // One that has been answered before, on a connection that is kept.
    slow.push(client(b"GET /redfish/v1/ HTTP/1.1\r\nHost: x\r\n\r\nGET /redfish/v1/ HTTP/1.1\r\n", "X-Slow: very\r\n"));
    // One that does not get beyond its first line, and one that says nothing at all (its first byte comes late).
    slow.push(client(b"GET /redfish/v1/", "aaaaaaaa"));
    while slow.iter().any(|client| !client.is_finished()) {
        let begun = Instant::now();
        assert_eq!(rig.get(SYSTEMS).await.status, 200);
        assert!(begun.elapsed() < Duration::from_secs(2), "others wait for it");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for (number, client) in slow.into_iter().enumerate() {
        let (took, said) = client.await.unwrap();
        assert!(took < CUT, "client {number} was let on for {took:?}");
        let last = said.rsplit("HTTP/1.1 ").next().unwrap_or_default();
        assert!(said.is_empty() || last.starts_with("408") || number == 20, "client {number} was told {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_is_cut_off() {
    let rig = Rig::new(1).await;
    let at = rig.server.addresses[0];
    let silent = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        tell(at, std::iter::empty());
        begun.elapsed()
    });
    let took = silent.await.unwrap();
    assert!(took < CUT, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_cut_off() {
    let rig = Rig::new(1).await;
    let at = rig.server.addresses[0];
    let slow = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(at).unwrap();
        let token = openssl::base64::encode_block(format!("admin:{PASSWORD}").as_bytes());
        let head = format!(
            "POST {SYSTEMS}/pdu-1/Actions/ComputerSystem.Reset HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\n\
             Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).unwrap();
        drip(socket, " ")
    });
    let (took, said) = slow.await.unwrap();
    // 20 s for a body (`http.rs`).
    assert!(took < Duration::from_secs(26), "{took:?}");
    assert_eq!(status(&said), 408, "{said}");
    assert!(said.contains("It did not arrive in time."), "{said}");
    assert_eq!(rig.power("pdu-1").await, "Off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused() {
    let rig = Rig::new(1).await;
    let at = rig.server.addresses[0];
    let line = "GET /redfish/v1/ HTTP/1.1\r\nHost: x\r\n";
    let long_value = move || {
        std::iter::once(format!("{line}X-Long: ").into_bytes()).chain(std::iter::repeat_n(vec![b'a'; 4096], 1000))
    };
    let many = move || {
        let each = (0..5000).map(|n| format!("X-{n}: a\r\n").into_bytes());
        std::iter::once(line.as_bytes().to_vec()).chain(each).chain([b"\r\n".to_vec()])
    };
    let long_path = move || {
        let path = std::iter::repeat_n(vec![b'a'; 4096], 1000);
        std::iter::once(b"GET /redfish/v1/".to_vec()).chain(path).chain([b" HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()])
    };
    let (a, b, c) =
        tokio::task::spawn_blocking(move || (tell(at, long_value()), tell(at, many()), tell(at, long_path())))
            .await
            .unwrap();
    for (what, answer) in [("a header of 4 MB", a), ("5000 headers", b), ("a path of 4 MB", c)] {
        assert!((400..500).contains(&status(&answer)), "{what}: {answer}");
    }
    assert_eq!(rig.get(SYSTEMS).await.status, 200, "the service goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused() {
    let rig = Rig::new(1).await;
    let reset = format!("{SYSTEMS}/pdu-1/Actions/ComputerSystem.Reset");
    let big = || vec![b' '; 2 << 20];
    let request = || rig.request(Method::POST, &reset).basic_auth("admin", Some(PASSWORD));
    let announced = Rig::send(request().header("Content-Type", "application/json").body(big())).await;
    assert_eq!((announced.status.as_u16(), announced.key()), (413, "PayloadTooLarge"));
    assert!(announced.body["error"]["message"].as_str().unwrap().contains("1048576"), "{}", announced.body);
    // Without a length beforehand.
    let at = rig.server.addresses[0];
    let token = openssl::base64::encode_block(format!("admin:{PASSWORD}").as_bytes());
    let head = format!(
        "POST {reset} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunks = std::iter::repeat_n([b"4000\r\n".as_slice(), &[b' '; 16384], b"\r\n"].concat(), 160)
        .chain([b"0\r\n\r\n".to_vec()]);
    let begun = Instant::now();
    let chunked = tokio::task::spawn_blocking(move || tell(at, std::iter::once(head.into_bytes()).chain(chunks)));
    let chunked = chunked.await.unwrap();
    assert_eq!(status(&chunked), 413, "{chunked}");
    assert!(chunked.contains("PayloadTooLarge"), "{chunked}");
    assert!(begun.elapsed() < Duration::from_secs(10), "it was closed after {:?}", begun.elapsed());
    assert_eq!(rig.reset("pdu-1", "On").await.status, 204, "the service goes on");
}
