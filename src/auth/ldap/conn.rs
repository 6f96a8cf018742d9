//! One connection to a directory: one request at a time, every answer bounded.

use std::{pin::Pin, time::Instant};

use openssl::ssl::SslConnector;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_openssl::SslStream;

use crate::{
    config::LdapServer,
    wire::ldap::{Answer, BerError, Entry, Outcome, Request, Response, code, frame},
};

/// Entries that one search may answer with: more groups than anybody is in.
pub(super) const MAX_ENTRIES: usize = 2_000;

/// Why a directory did not answer, or not with sense.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The network.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// No TLS, or with somebody else.
    #[error("TLS: {0}")]
    Tls(String),
    /// What it says is no LDAP.
    #[error("{0}")]
    Garbage(#[from] BerError),
    /// An answer that does not belong here.
    #[error("it answers something else than what it was asked")]
    Astray,
    /// It hung up.
    #[error("it hung up{0}")]
    Closed(String),
    /// It refuses what a login needs.
    #[error("it refuses {what} with code {code}{text}")]
    Refused {
        /// `the search for the user`
        what: &'static str,
        /// See RFC 4511, appendix A.
        code: u32,
        /// What it says to it, after a colon.
        text: String,
    },
}

impl Broken {
    pub fn refused(what: &'static str, outcome: &Outcome) -> Self {
        Self::Refused { what, code: outcome.code, text: said(outcome) }
    }

    /// Whether the connection is to blame, so that a fresh one may do better.
    pub fn is_connection(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}

/// `: what it said`
pub(super) fn said(outcome: &Outcome) -> String {
    if outcome.text.is_empty() { String::new() } else { format!(": {}", outcome.text) }
}

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub entries: Vec<Entry>,
    /// There is more than was asked for.
    pub more: bool,
    /// The base does not exist.
    pub no_base: bool,
}

/// See the module's documentation.
pub(super) struct Connection {
    stream: Pin<Box<dyn Stream>>,
    buffer: Vec<u8>,
    next: u32,
    pub used: Instant,
}

impl Connection {
    /// Connects; with `ldap://` and a connector it goes on encrypted before anything else is said.
    pub async fn open(server: &LdapServer, tls: Option<&SslConnector>) -> Result<Self, Broken> {
        let tcp = TcpStream::connect((server.host.as_str(), server.port)).await?;
        tcp.set_nodelay(true)?;
        let Some(connector) = tls else { return Ok(Self::new(Box::pin(tcp))) };
        if server.tls {
            return Ok(Self::new(Box::pin(encrypt(tcp, &server.host, connector).await?)));
        }
        let mut tcp = tcp;
        start_tls(&mut tcp).await?;
        Ok(Self::new(Box::pin(encrypt(tcp, &server.host, connector).await?)))
    }

    fn new(stream: Pin<Box<dyn Stream>>) -> Self {
        Self { stream, buffer: Vec::new(), next: 1, used: Instant::now() }
    }

    /// A simple bind; whatever the server says to it.
    pub async fn bind(&mut self, name: &str, password: &str) -> Result<Outcome, Broken> {
        let id = self.send(&Request::Bind { name, password }).await?;
        match self.answer(id).await? {
            Answer::Bound(outcome) => Ok(outcome),
            _ => Err(Broken::Astray),
        }
    }

    /// A search. Referrals are not followed.
    pub async fn search(&mut self, what: &'static str, request: &Request<'_>) -> Result<Found, Broken> {
        let id = self.send(request).await?;
        let mut found = Found::default();
        loop {
            match self.answer(id).await? {
                Answer::Entry(entry) if found.entries.len() < MAX_ENTRIES => found.entries.push(entry),
                Answer::Entry(_) => found.more = true,
                Answer::Reference | Answer::Other => {}
                Answer::Done(outcome) => match outcome.code {
                    code::SUCCESS | code::REFERRAL => return Ok(found),
                    code::SIZE_LIMIT => return Ok(Found { more: true, ..found }),
                    code::NO_SUCH_OBJECT => return Ok(Found { no_base: true, ..found }),
                    _ => return Err(Broken::refused(what, &outcome)),
                },
                Answer::Bound(_) | Answer::Extended(_) => return Err(Broken::Astray),
            }
        }
    }

    async fn send(&mut self, request: &Request<'_>) -> Result<u32, Broken> {
        let id = self.next;
        // RFC 4511, 4.1.1.1: up to 2^31 - 1.
        self.next = if id >= i32::MAX.unsigned_abs() { 1 } else { id + 1 };
        let message = zeroize::Zeroizing::new(request.encode(id));
        self.stream.write_all(&message).await?;
        self.stream.flush().await?;
        self.used = Instant::now();
        Ok(id)
    }

    async fn answer(&mut self, id: u32) -> Result<Answer, Broken> {
        let response = read(&mut self.stream, &mut self.buffer).await?;
        match response.answer {
            answer if response.id == id => Ok(answer),
            // Notice of disconnection (RFC 4511, 4.4.1).
            Answer::Extended(outcome) if response.id == 0 => Err(Broken::Closed(said(&outcome))),
            // A connection whose search was given up is not used again: there is nothing left over to pass over.
            _ => Err(Broken::Astray),
        }
    }
}

/// The next whole message.
async fn read<S: AsyncRead + Unpin + ?Sized>(stream: &mut S, buffer: &mut Vec<u8>) -> Result<Response, Broken> {
    loop {
        if let Some(length) = frame(buffer)?.filter(|length| *length <= buffer.len()) {
            let rest = buffer.split_off(length);
            let message = std::mem::replace(buffer, rest);
            return Ok(Response::decode(&message)?);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(Broken::Closed(String::new()));
        }
    }
}

/// StartTLS. What a stranger on the way has put behind the answer would be taken for encrypted: it ends the attempt.
async fn start_tls(tcp: &mut TcpStream) -> Result<(), Broken> {
    tcp.write_all(&Request::StartTls.encode(1)).await?;
    let mut buffer = Vec::new();
    let response = read(tcp, &mut buffer).await?;
    match response.answer {
        Answer::Extended(outcome) if outcome.code == code::SUCCESS && buffer.is_empty() => Ok(()),
        Answer::Extended(outcome) if outcome.code != code::SUCCESS => Err(Broken::refused("StartTLS", &outcome)),
        _ => Err(Broken::Astray),
    }
}

async fn encrypt(tcp: TcpStream, host: &str, connector: &SslConnector) -> Result<SslStream<TcpStream>, Broken> {
    let tls = |error: &dyn std::fmt::Display| Broken::Tls(error.to_string());
    let ssl = connector.configure().and_then(|c| c.into_ssl(host)).map_err(|e| tls(&e))?;
    let mut stream = SslStream::new(ssl, tcp).map_err(|e| tls(&e))?;
    let shaken = Pin::new(&mut stream).connect().await;
    if let Err(error) = shaken {
        let verdict = stream.ssl().verify_result();
        return Err(if verdict == openssl::x509::X509VerifyResult::OK {
            tls(&error)
        } else {
            Broken::Tls(format!("its certificate is not accepted: {}", verdict.error_string()))
        });
    }
    Ok(stream)
}
