//! How much of a bare handler's rate is left when it is a whole Redfish service: ratios in one run, no absolute claims.
//!
//! `cargo bench --bench http`. Each side is a process of its own on loopback; sides take turns within a round and the
//! rounds alternate their order, so that what else the machine does hits all alike. A ratio is worked out in each round,
//! and the table shows the median and the range. Beside the ratio of rates stands that of CPU time per request, user
//! and system, of the serving processes alone: the clients share the cores with the servers, which pulls the ratio of
//! rates towards 1, and what others do on the machine does not touch CPU time much.
//!
//! * `SUSHY_EMULATOR`: path of sushy-emulator's executable; without it its rows are left out.
//! * `ROUNDS` (7) and `SECONDS` (3) of each side in each round.

#![allow(clippy::print_stdout, clippy::indexing_slicing, missing_docs)] // the table is what it is for; nobody uses it as a library

mod bare;
mod figures;
mod load;
mod peers;

use std::{fs, path::PathBuf, time::Duration};

use figures::Spread;
use load::{Client, Target};
use openssl::ssl::SslConnector;
use peers::{Demo, Peer};

/// Anything that stops it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    if let [word, rest @ ..] = args.as_slice()
        && word == bare::WORD
    {
        return bare::serve(rest);
    }
    // `cargo test --benches` runs this too, and is not here to wait for figures of a debug build.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("`cargo bench --bench http` measures; nothing was measured now");
        return Ok(());
    }
    bench()
}

fn setting(name: &str, default: u32) -> Result<u32, Failure> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|e| format!("{name}={text}: {e}").into()),
        Err(_) => Ok(default),
    }
}

/// One side: who is asked, and how.
struct Side<'p> {
    peer: &'p Peer,
    target: Target,
    /// What each round gave: answers a second, CPU microseconds an answer.
    rounds: Vec<(f64, f64)>,
}

impl<'p> Side<'p> {
    fn new(peer: &'p Peer, path: &str, login: &str, anew: bool) -> Self {
        let target = Target { address: peer.address, path: path.to_owned(), login: login.to_owned(), anew };
        Self { peer, target, rounds: Vec::new() }
    }

    fn round(&mut self, connector: &SslConnector, time: Duration) -> Result<(), Failure> {
        let before = self.peer.cpu()?;
        let outcome = load::run(connector, &self.target, time)?;
        let cpu = (self.peer.cpu()? - before) * 1e6 / f64::from(outcome.answers.max(1));
        self.rounds.push((outcome.rate(), cpu));
        Ok(())
    }

    fn rates(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|r| r.0))
    }
}

/// A line of the table: which side beside which, and what is wanted of the ratio of rates.
struct Row {
    what: &'static str,
    ours: usize,
    theirs: usize,
    goal: f64,
}

fn bench() -> Result<(), Failure> {
    let (rounds, seconds) = (setting("ROUNDS", 7)?, setting("SECONDS", 3)?);
    let folder = tempfile::tempdir()?;
    let demo = peers::demo(folder.path())?;
    let connector = load::connector(&demo.ca)?;
    let basic = {
        let both = openssl::base64::encode_block(format!("admin:{}", demo.password).as_bytes());
        format!("Authorization: Basic {both}\r\n")
    };
    let body = settled(&connector, &demo, &basic)?;
    let body_file = folder.path().join("body.json");
    fs::write(&body_file, &body)?;
    let bare = peers::bare(&demo, &body_file, folder.path())?;
    let emulator = match std::env::var_os("SUSHY_EMULATOR").map(PathBuf::from) {
        Some(program) => Some(peers::emulator(&program, &demo, folder.path())?),
        None => None,
    };
    let token = format!("X-Auth-Token: {}\r\n", session(&demo)?);
    let system = demo.system.as_str();
    let mut sides = vec![
        Side::new(&demo.peer, system, &basic, false),
        Side::new(&bare, system, &basic, false),
        Side::new(&demo.peer, system, &token, false),
        Side::new(&demo.peer, system, &basic, true),
        Side::new(&bare, system, &basic, true),
    ];
    let mut rows = vec![
        Row { what: "kept-alive TLS, Basic, beside bare actix-web", ours: 0, theirs: 1, goal: 0.5 },
        Row { what: "kept-alive TLS, token, beside bare actix-web", ours: 2, theirs: 1, goal: 0.5 },
        Row { what: "new TLS connection each, Basic, beside bare actix-web", ours: 3, theirs: 4, goal: 0.8 },
    ];
    let fake = format!("/redfish/v1/Systems/{}", peers::FAKE);
    if let Some(emulator) = &emulator {
        sides.push(Side::new(emulator, &fake, "", false));
        rows.push(Row { what: "kept-alive TLS, Basic, beside sushy-emulator", ours: 0, theirs: 5, goal: 50.0 });
        rows.push(Row { what: "new TLS connection each, beside sushy-emulator", ours: 3, theirs: 5, goal: 0.0 });
    } else {
        println!("sushy-emulator is left out: SUSHY_EMULATOR does not name its executable");
    }
    println!(
        "GET {system}, {} bytes; {rounds} rounds of {seconds} s a side; {} cores",
        body.len(),
        std::thread::available_parallelism()?
    );
    for round in 0..rounds {
        let time = Duration::from_secs(seconds.into());
        let mut order: Vec<_> = sides.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for side in order {
            side.round(&connector, time)?;
        }
    }
    print(&rows, &sides);
    Ok(())
}

/// The System once its state is known: before, it is another answer.
fn settled(connector: &SslConnector, demo: &Demo, login: &str) -> Result<Vec<u8>, Failure> {
    let target = Side::new(&demo.peer, &demo.system, login, false).target;
    let mut client = Client::new(connector.clone(), target);
    for _ in 0..100 {
        let body = client.get()?.to_vec();
        let system: serde_json::Value = serde_json::from_slice(&body)?;
        // The model is told by the BMC, and last.
        if system["PowerState"].is_string() && system["Model"].is_string() {
            return Ok(body);
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    Err("the node's state did not become known within 30 s".into())
}

/// A session's token.
fn session(demo: &Demo) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let ca = reqwest::Certificate::from_pem(&fs::read(&demo.ca)?)?;
        let client = reqwest::Client::builder().tls_certs_only([ca]).build()?;
        let answer = client
            .post(format!("https://{}/redfish/v1/SessionService/Sessions", demo.peer.address))
            .json(&serde_json::json!({"UserName": "admin", "Password": demo.password}))
            .send()
            .await?
            .error_for_status()?;
        let token = answer.headers().get("X-Auth-Token").ok_or("a session without a token")?;
        Ok(token.to_str()?.to_owned())
    })
}

fn print(rows: &[Row], sides: &[Side<'_>]) {
    println!(
        "{:<56}{:>22}{:>7}{:>24}{:>30}",
        "", "ratio of rates", "goal", "ratio of CPU per GET", "GET/s, theirs then ours"
    );
    for row in rows {
        let (Some(ours), Some(theirs)) = (sides.get(row.ours), sides.get(row.theirs)) else { continue };
        let pairs = || ours.rounds.iter().zip(&theirs.rounds);
        let rate = Spread::of(pairs().map(|(o, t)| o.0 / t.0));
        // The other way round, so that more is better in both columns.
        let cpu = Spread::of(pairs().map(|(o, t)| t.1 / o.1));
        let show = |spread: Option<Spread>| spread.map_or_else(String::new, |s| s.to_string());
        let rates = format!("{}, {}", show(theirs.rates()), show(ours.rates()));
        let goal = if row.goal > 0.0 { row.goal.to_string() } else { "-".to_owned() };
        println!("{:<56}{:>22}{:>7}{:>24}  {rates}", row.what, show(rate), goal, show(cpu));
    }
}
