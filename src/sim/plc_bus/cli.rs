//! `rackfish sim plc-bus`: simulated power-line boards for trying things out and for suites.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
};

use tokio::net::TcpListener;

use super::{Pty, SimBus, file, line};

/// Options of `rackfish sim plc-bus`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// File with the boards: OpenDCRE's emulator data or its wrapper, or a rack ({"rack": [...]}); before it, as OpenDCRE
    /// 1.2 has it, a tty that is there already. Without any: a rack of like boards
    #[arg(value_name = "FILE", num_args = 0..=2)]
    pub files: Vec<PathBuf>,
    /// Without a file: how many boards, numbered from 1
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub boards: u32,
    /// Symbolic link that leads to the pseudo-terminal
    #[arg(long, value_name = "PATH")]
    pub link: Option<PathBuf>,
    /// A TCP port in place of a pseudo-terminal, as a serial server has it (127.0.0.1:0 takes a free one)
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "link")]
    pub tcp: Option<SocketAddr>,
    /// Boards of an emulator file have every quirk of OpenDCRE's emulator (restarts, wrong numbers)
    #[arg(long)]
    pub compat: bool,
}

/// Runs until it is told `quit` on standard input, or is interrupted. Says `ready PATH` (or `ready ADDRESS:PORT`) when
/// boards answer there, and answers each line of standard input with one line: `ok`, JSON, or `error: ...`.
pub async fn run(options: Options) -> io::Result<()> {
    let (tty, path) = match options.files.as_slice() {
        [] => (None, None),
        [file] => (None, Some(file)),
        [tty, file, ..] => (Some(tty.clone()), Some(file)),
    };
    let loaded = match path {
        Some(path) => file::load(path, options.compat)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?,
        None => file::usual(options.boards),
    };
    // A wrapper's tty is used if it is there: a pair that somebody has made.
    let tty = tty.or_else(|| loaded.serial_device.clone().filter(|path| path.exists()));
    let bus = SimBus::new(loaded);
    let serving = bus.clone();
    let serve: tokio::task::JoinHandle<io::Result<()>> = if let Some(address) = options.tcp {
        let listener = TcpListener::bind(address).await?;
        say(&format!("ready {}", listener.local_addr()?))?;
        tokio::spawn(async move { line::serve_tcp(listener, &serving).await })
    } else if let Some(tty) = tty {
        say(&format!("ready {}", tty.display()))?;
        tokio::spawn(async move { line::serve_tty(&tty, &serving).await })
    } else {
        let pty = Pty::open(options.link.as_deref())?;
        say(&format!("ready {}", pty.path().display()))?;
        tokio::spawn(async move { line::serve_pty(pty, &serving).await })
    };
    let ended = tell(&bus, serve).await;
    if let Some(link) = &options.link {
        std::fs::remove_file(link).ok(); // the line has taken it along
    }
    ended
}

async fn tell(bus: &SimBus, mut serve: tokio::task::JoinHandle<io::Result<()>>) -> io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let (mut lines, mut open) = (crate::sim::lines(), true);
    loop {
        tokio::select! {
            ended = &mut serve => return ended.map_err(io::Error::other)?,
            line = lines.recv(), if open => match line {
                Some(line) if line.trim() == "quit" => return Ok(()),
                Some(line) if line.trim().is_empty() => {}
                Some(line) => say(&bus.command_line(&line).unwrap_or_else(|error| format!("error: {error}")))?,
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
    writeln!(out, "{text}")?;
    out.flush()
}
