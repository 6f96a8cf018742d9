//! `rackfish sim redfish-bmc`: simulated Redfish BMCs on the command line, steered by lines of text.
//!
//! Every line on standard input is a command, every answer a line of JSON:
//!
//! ```text
//! [@N] stats
//! [@N] press on|off
//! [@N] fault stuck|vanish|garbage|wrong-password|lose-answers [N]
//! [@N] fault clear
//! quit
//! ```
//!
//! `@N` is one BMC, counted from 1; without it, all are meant.

use std::{
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde_json::{Value, json};

use super::{Bmc, BmcConfig, Faults, Rack};
use crate::model::Secret;

/// Options of `rackfish sim redfish-bmc`.
#[derive(Debug, Clone, clap::Args)]
pub struct SimRedfishArgs {
    /// Address of the first BMC, on the loopback device; port 0: any free one
    #[arg(long, default_value = "127.0.0.1:6443", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// How many BMCs: at consecutive addresses
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub count: u32,
    /// Name of the only account
    #[arg(long, default_value = "admin")]
    pub user: String,
    /// File that holds its password; without it the password is "password"
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Start with the hosts on
    #[arg(long)]
    pub on: bool,
}

/// Runs until `quit` or a signal ends the process.
pub async fn run_cli(args: SimRedfishArgs) -> io::Result<()> {
    let password = match &args.password_file {
        Some(file) => Secret::new(std::fs::read_to_string(file)?.trim_end_matches(['\r', '\n'])),
        None => Secret::new("password"),
    };
    let config = BmcConfig { on: args.on, ..BmcConfig::new(&args.user, password) };
    let address = |index: u32| match args.listen.ip() {
        IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from(u32::from(first).saturating_add(index))),
        first @ IpAddr::V6(_) => first,
    };
    let bmcs = (0..args.count).map(|index| {
        (SocketAddr::new(address(index), args.listen.port()), config.clone().numbered(index.saturating_add(1)))
    });
    let rack = Rack::start(bmcs.collect())?;
    let at: Vec<_> = rack.bmcs.iter().map(|(address, _)| address.to_string()).collect();
    say(&json!({ "listening": at, "fingerprint": rack.fingerprint }))?;
    let bmcs: Vec<Bmc> = rack.bmcs.iter().map(|(_, bmc)| bmc.clone()).collect();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let (mut lines, mut open) = (crate::sim::lines(), true);
    loop {
        tokio::select! {
            line = lines.recv(), if open => match line {
                Some(line) if line.trim() == "quit" => return Ok(()),
                Some(line) => say(&obey(&bmcs, &line).unwrap_or_else(|error| json!({ "error": error })))?,
                // Started without anybody to talk to: goes on until it is ended.
                None => open = false,
            },
            _ = terminate.recv() => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

fn say(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}

/// Carries out one line.
fn obey(bmcs: &[Bmc], line: &str) -> Result<Value, String> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let mut meant: Vec<&Bmc> = bmcs.iter().collect();
    if let Some(number) = words.first().and_then(|word| word.strip_prefix('@')) {
        let number: usize = number.parse().map_err(|_| format!("@{number} is no number"))?;
        let one = number.checked_sub(1).and_then(|index| bmcs.get(index));
        meant = vec![one.ok_or_else(|| format!("there is no BMC {number}"))?];
        words.remove(0);
    }
    match words.as_slice() {
        ["stats"] => {
            let stats = meant.iter().map(|bmc| {
                let slots: serde_json::Map<_, _> =
                    bmc.slots().into_iter().map(|(id, image)| (id, json!(image))).collect();
                json!({ "stats": bmc.stats(), "slots": slots })
            });
            return Ok(json!(stats.collect::<Vec<_>>()));
        }
        ["press", word @ ("on" | "off")] => meant.iter().for_each(|bmc| bmc.press(*word == "on")),
        ["fault", "clear"] => meant.iter().for_each(|bmc| bmc.faults(|faults| *faults = Faults::default())),
        ["fault", kind, rest @ ..] => {
            let times = rest.first().map_or(Ok(1), |word| word.parse()).map_err(|_| "that is no number".to_owned())?;
            let mut faults = Faults::default();
            match *kind {
                "stuck" => faults.stuck = true,
                "vanish" => faults.vanish = true,
                "garbage" => faults.garbage = true,
                "wrong-password" => faults.wrong_password = true,
                "lose-answers" => faults.lose_answers = times,
                other => return Err(format!("there is no fault {other}")),
            }
            for bmc in meant {
                bmc.faults(|now| *now = faults.clone());
            }
        }
        _ => return Err(format!("not understood: {line:?}")),
    }
    Ok(json!({ "ok": true }))
}
