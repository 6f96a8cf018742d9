//! One program run to its end: never a shell, bounded in time and in what is kept of its output, and killed with all
//! that it has started when its time is over or nobody waits for it any more.
//!
//! Used by hooks (`fleet::hook`) and by driver `exec`. What an exit status or an output means is theirs to say.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::model::Secret;

#[cfg(test)]
mod tests;

/// Bytes kept of each of a program's outputs. More is read away, so that a talkative program does not block.
pub const MOST_OUTPUT: usize = 16 * 1024;
/// A program may leave something behind that holds its outputs open (an ssh that keeps its connection): they are read
/// that long after its end, no longer.
const LINGER: Duration = Duration::from_millis(200);
/// A killed program is waited for that long; should it be stuck in the kernel, the runtime collects it later.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// Where programs are looked for when this process has no `PATH`.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Characters of an output that a message may quote.
const MOST_QUOTED: usize = 300;
/// Lines of an output that a message may quote.
const QUOTED_LINES: usize = 3;

/// What the program finds in its environment.
#[derive(Debug, Clone, Copy)]
pub enum Environment<'a> {
    /// Those of this process's own variables, in its own working folder.
    Inherited(&'a [&'a str]),
    /// This process's `PATH`, and these variables, which may overrule it. The working folder is `/`.
    Only(&'a [(String, Secret)]),
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// Exit code, or the signal that ended it.
    pub status: ExitStatus,
    /// The first [`MOST_OUTPUT`] bytes of its standard output.
    pub out: Vec<u8>,
    /// The same of its standard error.
    pub err: Vec<u8>,
}

impl Ended {
    /// The last lines of its standard error in one, for a message.
    pub fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.err);
        let mut lines: Vec<String> = text
            .lines()
            .rev()
            .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned())
            .filter(|line| !line.is_empty())
            .take(QUOTED_LINES)
            .collect();
        if lines.is_empty() {
            return "it said nothing".to_owned();
        }
        lines.reverse();
        lines.join(" / ").chars().take(MOST_QUOTED).collect()
    }
}

/// Why a program has no end to tell of.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no program in the list of arguments.
    #[error("the command is empty")]
    Empty,
    /// Nothing ran.
    #[error("{program} can't be started: {cause}")]
    NotStarted {
        /// What was to be run.
        program: String,
        /// Why not.
        cause: io::Error,
    },
    /// It was killed.
    #[error("{program} was not done within {within:?} and was killed")]
    TimedOut {
        /// What was run.
        program: String,
        /// Its time.
        within: Duration,
    },
    /// It was started, and the system can't tell how it ended.
    #[error("how {program} ended is not known: {cause}")]
    Lost {
        /// What was run.
        program: String,
        /// Why not.
        cause: io::Error,
    },
}

/// The process group of a running program: killed when dropped, unless the program has ended by itself.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error means that nothing of it is left.
            killpg(group, Signal::SIGKILL).ok();
        }
    }
}

/// Runs `argv` (program and arguments) and waits for its end, at most `within`. Its standard input is empty.
pub async fn run(argv: &[String], environment: Environment<'_>, within: Duration) -> Result<Ended, RunError> {
    let (program, arguments) = argv.split_first().ok_or(RunError::Empty)?;
    let named = || program.clone();
    let mut command = tokio::process::Command::new(program);
    command.env_clear();
    match environment {
        Environment::Inherited(variables) => {
            command.envs(variables.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        }
        Environment::Only(variables) => {
            let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
            command.current_dir("/").env("PATH", path);
            command.envs(variables.iter().map(|(name, value)| (name, value.expose())));
        }
    }
    let mut child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| RunError::NotStarted { program: named(), cause })?;
    // A group is named after its first process.
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = tokio::time::timeout(within, async {
        let mut reading = std::pin::pin!(async { tokio::join!(keep(stdout, &mut out), keep(stderr, &mut err)) });
        tokio::select! {
            status = child.wait() => {
                tokio::time::timeout(LINGER, reading).await.ok(); // what came until then is kept
                status
            }
            _ = &mut reading => child.wait().await,
        }
    })
    .await;
    match ended {
        Ok(Ok(status)) => {
            group.0 = None;
            Ok(Ended { status, out, err })
        }
        Ok(Err(cause)) => Err(RunError::Lost { program: named(), cause }),
        Err(_) => {
            drop(group);
            tokio::time::timeout(LAST_WAIT, child.wait()).await.ok(); // how it ended is no news
            Err(RunError::TimedOut { program: named(), within })
        }
    }
}

/// Reads to the end, or to the first error; keeps the beginning.
async fn keep(source: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut source) = source else { return };
    let mut part = [0; 4096];
    while let Ok(size @ 1..) = source.read(&mut part).await {
        let room = MOST_OUTPUT.saturating_sub(kept.len());
        kept.extend(part.iter().take(size.min(room)));
    }
}
