//! The load: a few threads, each with one blocking TLS connection, asking as fast as answers come.
//!
//! Not a general HTTP client: it reads answers with `Content-Length` (all peers send it) and nothing else. A peer that
//! closes after an answer, as HTTP/1.0 servers do, is connected to again; that is part of what it costs.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use openssl::ssl::{SslConnector, SslMethod, SslStream};

use crate::Failure;

/// Connections of one load: two for each of the two cores that the budgets are made for.
const THREADS: usize = 4;
/// No peer takes longer than that for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest answer that is read.
const LARGEST: usize = 1 << 20;

/// What is asked for, and how.
#[derive(Clone)]
pub struct Target {
    /// Where.
    pub address: SocketAddr,
    /// Path.
    pub path: String,
    /// A header line that logs in; empty: none.
    pub login: String,
    /// A TLS connection for each request, as sushy makes them.
    pub anew: bool,
}

/// How it went.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Answers with status 200.
    pub answers: u32,
    /// How long all threads were at it.
    pub took: Duration,
}

impl Outcome {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        f64::from(self.answers) / self.took.as_secs_f64()
    }
}

/// One client's trust: the authority that the service made for itself.
pub fn connector(ca: &std::path::Path) -> Result<SslConnector, Failure> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_ca_file(ca)?;
    Ok(builder.build())
}

/// Asks for `time`, on all threads at once.
pub fn run(connector: &SslConnector, target: &Target, time: Duration) -> Result<Outcome, Failure> {
    let start = Arc::new(Barrier::new(THREADS + 1));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (connector, target, start) = (connector.clone(), target.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                ask_for(&connector, &target, time)
            })
        })
        .collect();
    start.wait();
    let began = Instant::now();
    let mut answers = 0;
    for thread in threads {
        answers += thread.join().map_err(|_| "a client thread ended unexpectedly")??;
    }
    Ok(Outcome { answers, took: began.elapsed() })
}

fn ask_for(connector: &SslConnector, target: &Target, time: Duration) -> Result<u32, Failure> {
    let until = Instant::now() + time;
    let mut client = Client::new(connector.clone(), target.clone());
    let mut answers = 0;
    while Instant::now() < until {
        client.get()?;
        answers += 1;
    }
    Ok(answers)
}

/// One client.
pub struct Client {
    connector: SslConnector,
    target: Target,
    request: Vec<u8>,
    stream: Option<SslStream<TcpStream>>,
    buffer: Vec<u8>,
}

impl Client {
    /// Not connected yet.
    pub fn new(connector: SslConnector, target: Target) -> Self {
        let connection = if target.anew { "close" } else { "keep-alive" };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nOData-Version: 4.0\r\nConnection: {connection}\r\n{}\r\n",
            target.path, target.address, target.login
        );
        Self { connector, target, request: request.into_bytes(), stream: None, buffer: Vec::new() }
    }

    /// Asks once; gives back the body.
    pub fn get(&mut self) -> Result<&[u8], Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        stream.write_all(&self.request)?;
        let (body, stays) = read_answer(&mut stream, &mut self.buffer)?;
        if stays && !self.target.anew {
            self.stream = Some(stream);
        }
        Ok(self.buffer.get(body..).unwrap_or_default())
    }

    fn connect(&self) -> Result<SslStream<TcpStream>, Failure> {
        let stream = TcpStream::connect_timeout(&self.target.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        self.connector
            .connect(&self.target.address.ip().to_string(), stream)
            .map_err(|e| format!("TLS with {}: {e}", self.target.address).into())
    }
}

/// Reads one answer into `buffer`; gives back where its body begins and whether the connection stays open.
fn read_answer(stream: &mut SslStream<TcpStream>, buffer: &mut Vec<u8>) -> Result<(usize, bool), Failure> {
    buffer.clear();
    let mut chunk = [0; 16 * 1024];
    let mut whole: Option<(usize, usize, bool)> = None;
    loop {
        if let Some((body, length, stays)) = whole
            && buffer.len() >= body + length
        {
            return Ok((body, stays));
        }
        let read = stream.read(&mut chunk)?;
        if read == 0 || buffer.len() > LARGEST {
            return Err(format!("an answer that was cut short or too long: {}", text(buffer)).into());
        }
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if whole.is_none()
            && let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n")
        {
            let (length, stays) = head(&text(buffer.get(..end).unwrap_or_default()))?;
            whole = Some((end + 4, length, stays));
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Length of the body, and whether the connection stays open.
fn head(head: &str) -> Result<(usize, bool), Failure> {
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.contains(" 200 ") {
        return Err(format!("not an answer to measure: {head}").into());
    }
    let mut length = None;
    let mut stays = status.starts_with("HTTP/1.1");
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("connection") {
            stays = !value.trim().eq_ignore_ascii_case("close");
        }
    }
    Ok((length.ok_or_else(|| format!("an answer without its length: {head}"))?, stays))
}
