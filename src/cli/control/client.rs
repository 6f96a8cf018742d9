//! A subcommand's end of the control socket: blocking, one request, one connection.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use crate::cli::exit::{Exit, Failure};

use super::wire::{Answer, Ask, MAX_LINE, Request, VERSION};

/// Longer than any operation keeps its client waiting (`patience.action` is at most an hour, usually 25 s).
const PATIENCE: Duration = Duration::from_hours(2);

/// Whether a service answers at `socket`.
pub fn is_served(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// Asks, and gives each item to `each` as it comes.
pub fn ask(
    socket: &Path,
    ask: Ask,
    mut each: impl FnMut(serde_json::Value) -> io::Result<()>,
) -> Result<(), super::super::CliError> {
    let changes = !matches!(ask, Ask::Status | Ask::Nodes { .. } | Ask::Endpoints { .. } | Ask::Backup);
    let mut stream = UnixStream::connect(socket).map_err(|error| unreachable(socket, &error))?;
    let lost = |error: &io::Error| {
        if changes {
            Failure::new(
                "lost",
                Exit::Uncertain,
                format!("the service went away before it answered ({error}); look at the state before repeating it"),
            )
        } else {
            Failure::new("lost", Exit::Unreachable, format!("the service went away before it answered ({error})"))
        }
    };
    let mut line = serde_json::to_vec(&Request { version: VERSION, ask })
        .map_err(|error| Failure::usage(format!("the request can't be written: {error}")))?;
    line.push(b'\n');
    if line.len() > MAX_LINE {
        return Err(Failure::usage("the request is too long; take fewer nodes at once, or a pattern").into());
    }
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.write_all(&line))
        .map_err(|error| unreachable(socket, &error))?;
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    let mut answers = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let got = (&mut answers).take(limit).read_until(b'\n', &mut line).map_err(|error| lost(&error))?;
        if got == 0 || line.last() != Some(&b'\n') {
            return Err(lost(&io::Error::from(io::ErrorKind::UnexpectedEof)).into());
        }
        let answer: Answer = serde_json::from_slice(&line).map_err(|error| {
            Failure::new(
                "protocol",
                Exit::Failed,
                format!("the service's answer makes no sense ({error}); restart it after an update"),
            )
        })?;
        match answer {
            Answer::Item(value) => each(value)?,
            Answer::End => return Ok(()),
            Answer::Failed(failure) => return Err(failure.into()),
        }
    }
}

fn unreachable(socket: &Path, error: &io::Error) -> Failure {
    let way_out = match error.kind() {
        io::ErrorKind::PermissionDenied => "run this as root or as the user that rackfish runs as".to_owned(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "start it with `rackfish serve` (or `systemctl start rackfish`); if it runs elsewhere, name its folder with --state-dir"
                .to_owned()
        }
        _ => "see whether it still runs".to_owned(),
    };
    Failure::new(
        "unreachable",
        Exit::Unreachable,
        format!("no service answers at {} ({error}); {way_out}", socket.display()),
    )
}
