//! `rackfish sim ipmi`: simulated BMCs on the command line, steered by lines of text.
//!
//! Every line is a command, every answer a line of JSON. Lines come on standard input, or on a unix socket.
//!
//! ```text
//! [@N] fault delay=20ms drop=0.1 lose_answers=1 late_answers=1 late_by=500ms garbage=3 busy=2
//!            duplicate=on foreign=on table_full=on wrong_password=on stuck=on vanish=on
//! [@N] fault clear
//! [@N] mains on|off
//! [@N] press on|off
//! [@N] sensor NUMBER RAW|auto
//! [@N] password WORD
//! [@N] stats
//! quit
//! ```
//!
//! `@N` is one BMC, counted from 1; without it, all are meant.

use std::{
    io::{self, BufRead, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
};

use super::{Bmc, BmcConfig, Faults, Rack, RestorePolicy, Served};
use crate::model::Secret;

/// Options of `rackfish sim ipmi`.
#[derive(Debug, Clone, clap::Args)]
pub struct SimIpmiArgs {
    /// Address of the first BMC, on the loopback device; port 0: any free one
    #[arg(long, default_value = "127.0.0.1:6230", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// How many BMCs: at consecutive addresses, on the same port
    #[arg(long, default_value_t = 1)]
    pub count: u32,
    /// Administrator's name
    #[arg(long, default_value = "admin")]
    pub user: String,
    /// File that holds the password; without it the password is "password"
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Cipher suites taken
    #[arg(long, value_delimiter = ',', default_value = "3,17")]
    pub suites: Vec<u8>,
    /// Sessions at the same time, for each BMC
    #[arg(long, default_value_t = 15)]
    pub sessions: usize,
    /// From a power command to the change
    #[arg(long, default_value = "0s", value_parser = duration)]
    pub switch_delay: Duration,
    /// From soft-off to off; "never": the operating system ignores it
    #[arg(long, default_value = "2s", value_parser = optional_duration)]
    pub soft_delay: OptionalDuration,
    /// How long a power cycle stays off
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub cycle_off: Duration,
    /// From mains to the BMC's first answer
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub boot_delay: Duration,
    /// What hosts do when mains come back
    #[arg(long, default_value = "always-off", value_parser = policy)]
    pub restore: RestorePolicy,
    /// Start with the hosts on
    #[arg(long)]
    pub on: bool,
    /// Take control lines on this unix socket instead of standard input
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,
}

/// A time, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionalDuration(pub Option<Duration>);

/// `250ms`, `1s`, `1.5s`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write `1s` or `250ms`");
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').ok_or_else(wrong)?, 1.0),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

fn optional_duration(text: &str) -> Result<OptionalDuration, String> {
    if text == "never" { Ok(OptionalDuration(None)) } else { duration(text).map(|d| OptionalDuration(Some(d))) }
}

fn policy(text: &str) -> Result<RestorePolicy, String> {
    match text {
        "always-off" => Ok(RestorePolicy::AlwaysOff),
        "previous" => Ok(RestorePolicy::Previous),
        "always-on" => Ok(RestorePolicy::AlwaysOn),
        _ => Err("one of always-off, previous, always-on".to_owned()),
    }
}

/// The sockets, kept alive.
struct Running {
    _one: Option<Served>,
    _many: Option<Rack>,
}

fn config(args: &SimIpmiArgs) -> io::Result<BmcConfig> {
    let password = match &args.password_file {
        Some(file) => Secret::new(std::fs::read_to_string(file)?.trim_end_matches(['\r', '\n'])),
        None => Secret::new("password"),
    };
    Ok(BmcConfig {
        suites: args.suites.clone(),
        max_sessions: args.sessions,
        switch_delay: args.switch_delay,
        soft_delay: args.soft_delay.0,
        cycle_off: args.cycle_off,
        boot_delay: args.boot_delay,
        restore: args.restore,
        on: args.on,
        ..BmcConfig::new(&args.user, password)
    })
}

async fn start(args: &SimIpmiArgs) -> io::Result<(Running, Vec<Bmc>, u16)> {
    let config = config(args)?;
    let first = args.listen.ip();
    if !first.is_loopback() {
        let message = format!("{first} is not on the loopback device; simulated BMCs have well-known passwords");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    match first {
        IpAddr::V4(first) if args.count > 1 => {
            let rack = Rack::start(args.listen.port())?;
            let addresses = (0..args.count).map(|index| Ipv4Addr::from(u32::from(first).saturating_add(index)));
            let bmcs = (1..).zip(addresses).map(|(number, at)| rack.add(at, config.clone().numbered(number))).collect();
            let port = rack.port();
            Ok((Running { _one: None, _many: Some(rack) }, bmcs, port))
        }
        IpAddr::V6(_) if args.count > 1 => {
            let message = "several BMCs need an IPv4 address: ::1 is the only one of its kind";
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
        _ => {
            let served = Served::start(args.listen, config).await?;
            let (bmc, port) = (served.bmc.clone(), served.address.port());
            Ok((Running { _one: Some(served), _many: None }, vec![bmc], port))
        }
    }
}

/// A control line, and where its answer goes.
type Line = (String, oneshot::Sender<Value>);

/// Runs until `quit` or a signal ends the process.
pub async fn run_cli(args: SimIpmiArgs) -> io::Result<()> {
    // As the first process of a container it would otherwise not hear it at all.
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let control = args.control.clone();
    tokio::select! {
        result = serve(args) => result,
        _ = terminate.recv() => control.map_or(Ok(()), std::fs::remove_file),
    }
}

async fn serve(args: SimIpmiArgs) -> io::Result<()> {
    let (running, bmcs, port) = start(&args).await?;
    let (sender, mut lines) = mpsc::channel::<Line>(16);
    if let Some(path) = &args.control {
        let listener = UnixListener::bind(path)?;
        tokio::spawn(accept(listener, sender));
    } else {
        // Standard input can't be waited for without a thread.
        let handle = tokio::runtime::Handle::current();
        std::thread::spawn(move || read_stdin(&handle, &sender));
    }
    let ready = json!({"listening": format!("{}:{port}", args.listen.ip()), "count": bmcs.len()});
    say(&ready)?;
    while let Some((line, answer)) = lines.recv().await {
        if line.trim() == "quit" {
            break;
        }
        let value = obey(&bmcs, &line).unwrap_or_else(|error| json!({"error": error}));
        // The asker may be gone.
        drop(answer.send(value));
    }
    if let Some(path) = &args.control {
        std::fs::remove_file(path)?;
    } else if lines.is_closed() && lines.is_empty() {
        // End of standard input: on without control.
        std::future::pending::<()>().await;
    }
    drop(running);
    Ok(())
}

fn say(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}

fn read_stdin(runtime: &tokio::runtime::Handle, lines: &mpsc::Sender<Line>) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        if line.trim().is_empty() {
            continue;
        }
        let (answer, wait) = oneshot::channel();
        let said = runtime.block_on(async {
            lines.send((line, answer)).await.ok()?;
            wait.await.ok()
        });
        let Some(value) = said else { return };
        if say(&value).is_err() {
            return;
        }
    }
}

async fn accept(listener: UnixListener, lines: mpsc::Sender<Line>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(stream, lines.clone()));
    }
}

async fn converse(stream: UnixStream, lines: mpsc::Sender<Line>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read).lines();
    while let Ok(Some(line)) = read.next_line().await {
        let (answer, wait) = oneshot::channel();
        lines.send((line, answer)).await.ok()?;
        let value = wait.await.ok()?;
        write.write_all(format!("{value}\n").as_bytes()).await.ok()?;
    }
    Some(())
}

/// Carries out a control line.
pub fn obey(bmcs: &[Bmc], line: &str) -> Result<Value, String> {
    let mut words = line.split_whitespace().peekable();
    let mut meant = bmcs;
    if let Some(number) = words.peek().and_then(|word| word.strip_prefix('@')) {
        let found = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let one = found.and_then(|index| bmcs.get(index..=index));
        meant = one.ok_or_else(|| format!("there is no BMC {number}, only 1 to {}", bmcs.len()))?;
        words.next();
    }
    let command = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    match (command, rest.as_slice()) {
        ("stats", []) => {
            let all: Vec<Value> = meant.iter().map(|bmc| json!(bmc.stats())).collect();
            return Ok(if let [one] = all.as_slice() { one.clone() } else { Value::Array(all) });
        }
        ("mains", [state]) => {
            let on = switch(state)?;
            for bmc in meant {
                bmc.set_mains(on);
            }
        }
        ("press", [state]) => {
            let on = switch(state)?;
            for bmc in meant {
                bmc.press(on);
            }
        }
        ("sensor", [number, raw]) => {
            let number = number.parse().map_err(|_| format!("{number:?} is no sensor number"))?;
            let raw = match *raw {
                "auto" => None,
                raw => Some(raw.parse().map_err(|_| format!("{raw:?} is no raw value from 0 to 255"))?),
            };
            for bmc in meant {
                bmc.set_sensor(number, raw);
            }
        }
        ("password", [word]) => {
            let password = Secret::new(*word);
            for bmc in meant {
                bmc.set_password(&password);
            }
        }
        ("fault", ["clear"]) => meant.iter().for_each(|bmc| bmc.faults(|faults| *faults = Faults::default())),
        ("fault", settings) if !settings.is_empty() => {
            // All or nothing: tried on a copy first.
            let mut trial = Faults::default();
            settings.iter().try_for_each(|setting| set_fault(&mut trial, setting))?;
            for bmc in meant {
                bmc.faults(|faults| {
                    for setting in settings {
                        // Checked above.
                        drop(set_fault(faults, setting));
                    }
                });
            }
        }
        _ => return Err(format!("{line:?} is no command: fault, mains, password, press, sensor, stats, quit")),
    }
    Ok(json!({"ok": true}))
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{text:?} is neither on nor off")),
    }
}

fn set_fault(faults: &mut Faults, setting: &str) -> Result<(), String> {
    let (name, value) = setting.split_once('=').ok_or_else(|| format!("{setting:?} is not name=value"))?;
    let count = || value.parse().map_err(|_| format!("{name}={value}: a number is needed"));
    match name {
        "delay" => faults.delay = duration(value)?,
        "late_by" => faults.late_by = duration(value)?,
        "drop" => {
            faults.drop = value
                .parse()
                .ok()
                .filter(|chance| (0.0..=1.0).contains(chance))
                .ok_or_else(|| format!("drop={value}: a chance from 0 to 1 is needed"))?;
        }
        "lose_answers" => faults.lose_answers = count()?,
        "late_answers" => faults.late_answers = count()?,
        "garbage" => faults.garbage = count()?,
        "busy" => faults.busy = count()?,
        "duplicate" => faults.duplicate = switch(value)?,
        "foreign" => faults.foreign = switch(value)?,
        "table_full" => faults.table_full = switch(value)?,
        "wrong_password" => faults.wrong_password = switch(value)?,
        "stuck" => faults.stuck = switch(value)?,
        "vanish" => faults.vanish = switch(value)?,
        _ => return Err(format!("{name:?} is no fault")),
    }
    Ok(())
}
