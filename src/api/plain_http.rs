//! Plain HTTP on the TLS port: answered with a redirect to `https`, and with nothing else.
//!
//! A TLS client's first byte is a record's type (22, RFC 8446 section 5.1), an HTTP client's a capital letter; so a look
//! at one byte that stays in the socket's buffer tells them apart. Whoever speaks HTTP is sent to the same host, port and
//! path with 308 (RFC 9110 section 15.4.9: the method stays, DSP0266 "HTTP redirect"). Headers but `Host` are not
//! looked at, bodies are not read: nothing that was sent in the clear has any effect.

use std::{io, net::SocketAddr, time::Duration};

use actix_web::rt::net::TcpStream;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

/// A client that has said nothing by then is cut off; as long as a TLS handshake may take.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// A plain client that has not sent its request's head by then is cut off.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Longest head that is read; what Redfish clients send has a few hundred bytes.
const MAX_HEAD: usize = 8 * 1024;
/// Longest path that is sent back.
const MAX_TARGET: usize = 2048;
/// How much and how long is listened to a client that goes on sending after its answer: closing at once would reset the
/// connection, and take the answer with it.
const LINGER: (u64, Duration) = (64 * 1024, Duration::from_secs(1));

/// The connection, if its client speaks TLS. Others are answered here, which is an error for the caller.
pub async fn secured(mut stream: TcpStream) -> io::Result<TcpStream> {
    let mut first = [0];
    let seen = timeout(FIRST_BYTE, stream.peek(&mut first)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    if seen == 0 || !first[0].is_ascii_uppercase() {
        return Ok(stream);
    }
    let answer = match timeout(HEAD_TIME, head(&mut stream)).await.map_err(|_| io::ErrorKind::TimedOut)?? {
        Some(head) => answer(&head, stream.local_addr()?),
        None => "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into(),
    };
    timeout(LINGER.1, close(&mut stream, &answer)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP on the TLS port"))
}

async fn close(stream: &mut TcpStream, answer: &str) -> io::Result<()> {
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGER.0), &mut tokio::io::sink()).await?;
    Ok(())
}

/// The request's line and headers; `None` if they are too long.
async fn head(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            head.truncate(end);
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        if head.len() > MAX_HEAD {
            return Ok(None);
        }
    }
}

/// The answer to a head; `here`: where the client has connected to, for those that do not say.
fn answer(head: &str, here: SocketAddr) -> String {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(_), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return refused();
    };
    if !version.starts_with("HTTP/1.") || words.next().is_some() {
        return refused();
    }
    let host = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim())
        .filter(|host| is_authority(host))
        .map_or_else(|| here.to_string(), str::to_owned);
    let target = if is_path(target) { target } else { "/redfish/v1/" };
    format!(
        "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://{host}{target}\r\nOData-Version: 4.0\r\n\
         Cache-Control: no-store\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

fn refused() -> String {
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
}

/// A name or address with or without a port, and nothing that could be read as anything else.
fn is_authority(host: &str) -> bool {
    !host.is_empty() && host.len() <= 255 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b))
}

fn is_path(target: &str) -> bool {
    target.starts_with('/') && target.len() <= MAX_TARGET && target.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn location(head: &str) -> Option<String> {
        let answer = answer(head, "127.0.0.1:8443".parse().unwrap());
        assert!(answer.ends_with("\r\n\r\n"));
        if !answer.starts_with("HTTP/1.1 308 ") {
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
            return None;
        }
        answer.lines().find_map(|line| line.strip_prefix("Location: ")).map(str::to_owned)
    }

    #[test]
    fn the_same_place_is_named_with_https() {
        let there = location("POST /redfish/v1/Systems?$top=1 HTTP/1.1\r\nAccept: */*\r\nhOST: rack.example:8443 ");
        assert_eq!(there.unwrap(), "https://rack.example:8443/redfish/v1/Systems?$top=1");
        assert_eq!(location("GET / HTTP/1.1\r\nHost: [::1]:1").unwrap(), "https://[::1]:1/");
        assert_eq!(location("GET /x HTTP/1.0").unwrap(), "https://127.0.0.1:8443/x");
    }

    #[test]
    fn what_is_odd_is_not_sent_back() {
        let root = "https://127.0.0.1:8443/redfish/v1/";
        assert_eq!(location("GET http://evil.example/ HTTP/1.1\r\nHost: evil.example/@a").unwrap(), root);
        assert_eq!(location("GET * HTTP/1.1\r\nHost:").unwrap(), root);
        assert_eq!(location("GET /a\u{e4} HTTP/1.1").unwrap(), root);
        assert_eq!(location(&format!("GET /{} HTTP/1.1", "a".repeat(3000))).unwrap(), root);
        for head in ["", "GET", "GET /", "GET / HTTP/2.0", "GET / a HTTP/1.1", "HELLO THERE FRIEND"] {
            assert_eq!(location(head), None, "{head}");
        }
    }
}
