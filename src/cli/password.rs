//! Passwords: from a file, from a prompt, or made. Never from the command line, where everybody can read them.

use std::{
    fs::OpenOptions,
    io::{self, BufRead, BufReader, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use rand::Rng;

use super::{CliError, Exit};
use crate::model::Secret;

/// Characters of a made password, without those that look alike.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Characters of a made password: 116 bits.
const LENGTH: usize = 20;

/// Where a password comes from.
#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    /// Read the password from the first line of this file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "generate")]
    password_file: Option<PathBuf>,
    /// Make a password and print it
    #[arg(long)]
    generate: bool,
}

impl PasswordArgs {
    /// The password, and whether it was made (and has to be shown).
    pub(super) fn get(&self, whose: &str) -> Result<(Secret, bool), CliError> {
        if self.generate {
            return Ok((made(), true));
        }
        if let Some(file) = &self.password_file {
            return Ok((read(file)?, false));
        }
        let first = prompt(&format!("Password for {whose}: "))?;
        let second = prompt("Again: ")?;
        if first != second {
            return Err(CliError::new("usage", Exit::Usage, "the two passwords differ"));
        }
        Ok((first, false))
    }
}

/// A random password.
pub(super) fn made() -> Secret {
    let mut rng = rand::rng();
    let text: String =
        (0..LENGTH).filter_map(|_| ALPHABET.get(rng.random_range(0..ALPHABET.len()))).map(|b| char::from(*b)).collect();
    Secret::new(text)
}

/// The first line of a file or of standard input.
pub(super) fn read(file: &Path) -> Result<Secret, CliError> {
    let fail =
        |error: io::Error| CliError::new("usage", Exit::Usage, format!("{} can't be read: {error}", file.display()));
    let mut line = String::new();
    let limit = 64 << 10;
    if file == Path::new("-") {
        io::Read::take(io::stdin().lock(), limit).read_line(&mut line).map_err(fail)?;
    } else {
        let file = std::fs::File::open(file).map_err(fail)?;
        BufReader::new(io::Read::take(file, limit)).read_line(&mut line).map_err(fail)?;
    }
    let text = line.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(CliError::new("usage", Exit::Usage, format!("the first line of {} is empty", file.display())));
    }
    Ok(Secret::new(text))
}

/// Asks on the terminal, without echo.
pub(super) fn prompt(question: &str) -> Result<Secret, CliError> {
    use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
    if !io::stdin().is_terminal() {
        return Err(CliError::new(
            "usage",
            Exit::Usage,
            "there is no terminal to ask for the password on; name it with --password-file (- is standard input)",
        ));
    }
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin).map_err(io::Error::from)?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    write!(io::stderr().lock(), "{question}")?;
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &hidden).map_err(io::Error::from)?;
    let mut line = String::new();
    let result = stdin.lock().read_line(&mut line);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &shown).map_err(io::Error::from)?;
    writeln!(io::stderr().lock())?;
    result?;
    let text = line.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(CliError::new("usage", Exit::Usage, "no password was given"));
    }
    Ok(Secret::new(text))
}

/// Writes a secret into a new file that only its owner can read. An existing file is left alone.
pub(super) fn keep(file: &Path, secret: &Secret) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(secret.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn made_passwords_differ_and_kept_ones_come_back() {
        let (a, b) = (made(), made());
        assert_ne!(a, b);
        assert_eq!(a.expose().len(), LENGTH);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pw");
        keep(&file, &a).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&file).unwrap(), a);
        assert!(keep(&file, &b).is_err(), "never overwritten");
        std::fs::write(&file, "\nx").unwrap();
        assert_eq!(read(&file).unwrap_err().exit(), Exit::Usage);
    }
}
