//! Bodies of requests: read within bounds, and what is done about those that nobody wants to hear.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpMessage as _,
    body::{BodySize, BoxBody, MessageBody},
    dev,
    http::header::{self, HeaderMap},
    web,
};
use futures_util::StreamExt;

use super::{error::Error, http::JSON, messages as m};

/// Largest body that is read: what Redfish clients send has a few hundred bytes.
pub const MAX_BODY: usize = 1024 * 1024;
/// A client that sends a body slower than this is cut off.
const BODY_TIME: Duration = Duration::from_secs(20);

/// Reads the body of a request, bounded in size and time.
pub(super) async fn read(headers: &HeaderMap, payload: &mut web::Payload) -> Result<web::Bytes, Error> {
    let too_large = || Error::new(413, m::PAYLOAD_TOO_LARGE.with([]).detail(format!("The limit is {MAX_BODY} bytes.")));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|n| n > MAX_BODY) {
        return Err(too_large());
    }
    let mut body = web::BytesMut::new();
    let reading = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|e| Error::new(400, m::UNRECOGNIZED_BODY.with([]).detail(format!("{e}."))))?;
            if body.len() + chunk.len() > MAX_BODY {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    match tokio::time::timeout(BODY_TIME, reading).await {
        Ok(result) => result?,
        Err(_) => return Err(Error::new(408, m::UNRECOGNIZED_BODY.with([]).detail("It did not arrive in time."))),
    }
    // sushy sends POSTs without a body and then without a type.
    if !body.is_empty() && !is_json(headers) {
        return Err(Error::new(415, m::HEADER_INVALID.with(["Content-Type"]).detail("It has to be application/json.")));
    }
    Ok(body.freeze())
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(JSON)
}

/// The body of an answer that was given before the request's chunks had come to their end, with the rest of them.
///
/// Without the rest the connection would be read on to the end of the chunks, which need not come: a client without a
/// login could hold it for ever. As long as somebody seems to want the rest, the server closes the connection after
/// the answer instead (actix-http 3, `should_close_for_unread_payload`), and lingers only for a moment.
pub struct Unheard {
    body: BoxBody,
    _rest: dev::Payload,
}

impl Unheard {
    /// The body with the rest of the request.
    pub fn boxed(body: BoxBody, rest: dev::Payload) -> BoxBody {
        BoxBody::new(Self { body, _rest: rest })
    }

    /// What nobody will read of a request that is not for the Redfish face, whose handler takes care of that itself.
    pub fn rest_of(req: &mut dev::ServiceRequest) -> Option<dev::Payload> {
        let ours = req.path().starts_with("/redfish");
        (!ours && req.headers().contains_key(header::TRANSFER_ENCODING)).then(|| req.take_payload())
    }
}

impl MessageBody for Unheard {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        thread::{sleep, spawn},
    };

    use actix_web::{App, HttpResponse, HttpServer, test::TestRequest};

    use super::*;

    #[test]
    fn a_connection_whose_chunks_nobody_wants_is_answered_and_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let refuse = |rest: web::Payload| async move {
            HttpResponse::Unauthorized().body("no").map_body(|_, body| Unheard::boxed(body, rest.into_inner()))
        };
        spawn(move || {
            let server = HttpServer::new(move || App::new().default_service(web::to(refuse)))
                .workers(1)
                .client_disconnect_timeout(Duration::from_millis(200))
                .disable_signals();
            actix_web::rt::System::new().block_on(server.listen(listener).unwrap().run()).ok();
        });
        let mut link = TcpStream::connect(address).unwrap();
        link.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        link.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401");
        let cut_off = (0..200).any(|_| {
            sleep(Duration::from_millis(25));
            link.write_all(b"1\r\nx\r\n").is_err()
        });
        assert!(cut_off, "it is still listened to after 5 s");
    }

    #[test]
    fn only_bodies_without_an_end_that_nobody_else_sees_to_are_taken() {
        let chunked = |path: &str| TestRequest::with_uri(path).insert_header(("transfer-encoding", "chunked"));
        assert!(Unheard::rest_of(&mut chunked("/metrics").to_srv_request()).is_some());
        assert!(Unheard::rest_of(&mut chunked("/redfish/v1/").to_srv_request()).is_none());
        assert!(Unheard::rest_of(&mut TestRequest::with_uri("/metrics").to_srv_request()).is_none());
    }
}
