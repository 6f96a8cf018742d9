//! `rackfish sim pdu`: simulated PDUs for trying things out and for suites.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
    time::Duration,
};

use super::{Agents, PduOptions, SimFamily, SimPdu, command};

/// Options of `rackfish sim pdu`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Family whose tables it has
    #[arg(long, value_enum, default_value = "apc-rpdu2")]
    pub family: SimFamily,
    /// Address (of 127.0.0.0/8) and UDP port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:1161")]
    pub listen: SocketAddrV4,
    /// Number of PDUs, at that address and the ones after it, all on the same port
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_000))]
    pub count: u32,
    /// Outlets of each
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub outlets: u32,
    /// Time between an accepted command and the relay (0, 500ms, 20s)
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub relay_delay: Duration,
    /// File with the community for reading in its first line and the one for writing in its second
    /// (without it: public, private)
    #[arg(long, value_name = "FILE")]
    pub community_file: Option<PathBuf>,
    /// Outlets are off at start
    #[arg(long)]
    pub off: bool,
    /// Makes losses and garbage the same in every run
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    command::duration(text).map_err(|e| e.to_string())
}

/// Runs until it is told `quit` on standard input, or is interrupted. Says `ready ADDRESS:PORT` when it answers, and
/// answers each line of standard input with one line: `ok`, JSON, or `error: ...`. The commands are those of
/// `command`; `@ADDRESS` before one means one PDU of several (without it: all, and `stats` of each).
pub async fn run(options: Options) -> io::Result<()> {
    let (community, write_community) = communities(&options)?;
    let first = u32::from(*options.listen.ip());
    let addresses: Vec<Ipv4Addr> =
        (0..options.count).filter_map(|n| first.checked_add(n)).map(Ipv4Addr::from).collect();
    if let Some(outside) = addresses.iter().find(|a| !a.is_loopback()) {
        let why = format!("{outside}: simulated PDUs live in 127.0.0.0/8");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let make = |n: usize| {
        SimPdu::new(PduOptions {
            family: options.family,
            outlets: options.outlets,
            relay_delay: options.relay_delay,
            community: community.clone(),
            write_community: write_community.clone(),
            on: !options.off,
            seed: options.seed.wrapping_add(u64::try_from(n).unwrap_or(0)),
            serial: format!("SIM{:06}", n + 1),
        })
    };
    let pdus: Vec<(Ipv4Addr, SimPdu)> = addresses.into_iter().enumerate().map(|(n, a)| (a, make(n))).collect();
    let agents = match pdus.as_slice() {
        [(_, only)] => Agents::single(options.listen, only.clone())?,
        all => {
            let agents = Agents::bind(options.listen.port())?;
            for (address, pdu) in all {
                agents.add(*address, pdu.clone());
            }
            agents
        }
    };
    say(&format!("ready {}:{}\n", options.listen.ip(), agents.port()))?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut lines = crate::sim::lines();
    let mut open = true;
    loop {
        tokio::select! {
            line = lines.recv(), if open => match line {
                Some(line) if line.trim() == "quit" => return Ok(()),
                Some(line) if line.trim().is_empty() => {}
                Some(line) => say(&answer(&pdus, &line))?,
                // Started without anybody to talk to: goes on until it is ended.
                None => open = false,
            },
            _ = terminate.recv() => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn communities(options: &Options) -> io::Result<(String, String)> {
    let Some(path) = &options.community_file else {
        let usual = PduOptions::default();
        return Ok((usual.community, usual.write_community));
    };
    let text = std::fs::read_to_string(path)?;
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let read = lines.next().map(str::to_owned);
    let read = read.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the community file is empty"))?;
    let write = lines.next().map_or_else(|| read.clone(), str::to_owned);
    Ok((read, write))
}

/// One line for each PDU that was told `line` when that is `stats`, else one for all.
fn answer(pdus: &[(Ipv4Addr, SimPdu)], line: &str) -> String {
    let (chosen, line) = match line.trim().strip_prefix('@').and_then(|l| l.split_once(' ')) {
        Some((address, rest)) => (address.parse::<Ipv4Addr>().ok(), rest),
        None => (None, line),
    };
    let named = line.trim_start().starts_with('@') || chosen.is_some();
    let told = pdus.iter().filter(|(address, _)| !named || Some(*address) == chosen);
    let mut said: Vec<String> =
        told.map(|(_, pdu)| pdu.command_line(line).unwrap_or_else(|e| format!("error: {e}"))).collect();
    said.dedup();
    if said.is_empty() {
        said.push("error: no PDU has that address".to_owned());
    }
    said.join("\n") + "\n"
}
