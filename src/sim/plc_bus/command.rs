//! The line protocol of a running simulator: one command a line, words separated by blanks.
//!
//! | command | effect |
//! | --- | --- |
//! | `board ID on`, `board ID off` | somebody at the rack presses the button |
//! | `board ID stuck`, `board ID free` | its relays do not move; move again |
//! | `board ID delay TIME` | between a command and the relay (`0`, `500ms`, `20s`) |
//! | `board ID gone`, `board ID back` | it is taken out; put back |
//! | `fault lose-requests N`, `lose-answers N`, `lose-power-answers N` | so many more times; `spoil`, `cut`, `stale` likewise |
//! | `fault noise on`, `off` | also `babble` |
//! | `fault delay TIME` | answers come late |
//! | `fault clear` | none of these any more |
//! | `pull`, `plug` | the adapter is pulled; put back, as another pseudo-terminal |
//! | `stats` | one line of JSON |
//!
//! Boards that answer from an emulator file take `fault`, `pull`, `plug` and `stats`; they have no relays.

use std::time::Duration;

use super::{Faults, SimBus, rack::Change};

/// A command that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Not one of the commands.
    #[error("unknown command {0:?}: board, fault, pull, plug or stats")]
    Unknown(String),
    /// Something is missing or not what it should be.
    #[error("{0:?}: expected {1}")]
    Argument(String, &'static str),
    /// The rack has no such board.
    #[error("there is no board {0} with relays")]
    NoBoard(String),
}

impl SimBus {
    /// Carries out one line; what it says is for the one who sent it.
    pub fn command_line(&self, line: &str) -> Result<String, CommandError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["stats"] => return Ok(serde_json::to_string(&self.counters()).unwrap_or_default()),
            ["pull"] => self.pull(true),
            ["plug"] => self.pull(false),
            ["board", name, rest @ ..] => {
                let wanted = || CommandError::Argument((*name).to_owned(), "a board's number in hexadecimal");
                let board = u32::from_str_radix(name, 16).map_err(|_| wanted())?;
                let change = match rest {
                    ["on"] => Change::Press(true),
                    ["off"] => Change::Press(false),
                    ["stuck"] => Change::Stuck(true),
                    ["free"] => Change::Stuck(false),
                    ["gone"] => Change::Gone(true),
                    ["back"] => Change::Gone(false),
                    ["delay", time] => Change::Delay(duration(time)?),
                    other => {
                        let expected = "on, off, stuck, free, gone, back or delay TIME";
                        return Err(CommandError::Argument(other.join(" "), expected));
                    }
                };
                if !self.change(board, change) {
                    return Err(CommandError::NoBoard((*name).to_owned()));
                }
            }
            ["fault", rest @ ..] => {
                let mut outcome = Ok(());
                self.fault(|faults| outcome = fault(faults, rest));
                outcome?;
            }
            _ => return Err(CommandError::Unknown(line.trim().to_owned())),
        }
        Ok("ok".to_owned())
    }
}

fn fault(faults: &mut Faults, words: &[&str]) -> Result<(), CommandError> {
    match words {
        ["clear"] => *faults = Faults::default(),
        ["lose-requests", n] => faults.lose_requests = number(n)?,
        ["lose-answers", n] => faults.lose_answers = number(n)?,
        ["lose-power-answers", n] => faults.lose_power_answers = number(n)?,
        ["spoil", n] => faults.spoil = number(n)?,
        ["cut", n] => faults.cut = number(n)?,
        ["stale", n] => faults.stale = number(n)?,
        ["noise", word] => faults.noise = switch(word)?,
        ["babble", word] => faults.babble = switch(word)?,
        ["delay", time] => faults.delay = duration(time)?,
        other => return Err(CommandError::Argument(other.join(" "), "a fault and its value")),
    }
    Ok(())
}

fn number(text: &str) -> Result<u32, CommandError> {
    text.parse().map_err(|_| CommandError::Argument(text.to_owned(), "a number"))
}

fn switch(text: &str) -> Result<bool, CommandError> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(CommandError::Argument(other.to_owned(), "on or off")),
    }
}

/// `0`, `500ms`, `20s`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, CommandError> {
    let bad = || CommandError::Argument(text.to_owned(), "a time such as 500ms or 20s");
    if let Some(ms) = text.strip_suffix("ms") {
        return ms.parse().map(Duration::from_millis).map_err(|_| bad());
    }
    let seconds: f64 = text.strip_suffix('s').unwrap_or(text).parse().map_err(|_| bad())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}
