//! The line protocol of a running simulator: one command a line, words separated by blanks.
//!
//! | command | effect |
//! | --- | --- |
//! | `outlet N stuck`, `outlet N free` | the relay does not move; moves again |
//! | `outlet N on`, `outlet N off` | somebody at the rack presses the button |
//! | `outlet N delay TIME` | relay delay of this outlet (`0`, `500ms`, `20s`) |
//! | `outlet N watts W` | what the load draws |
//! | `outlet N missing`, `outlet N present` | taken out of the tables; put back |
//! | `fault drop-every K` | every K-th request is not seen (0: none) |
//! | `fault lose-requests P`, `fault lose-answers P` | shares, 0 to 1 |
//! | `fault lose-set-answers N` | the next N SETs are carried out and not answered |
//! | `fault delay TIME` | answers come late |
//! | `fault garbage on`, `off` | also `foreign-id`, `duplicate`, `set-no-such-instance`, `set-ignored`, `vanish` |
//! | `fault too-big N` | GETs of more than N variables are too big (0: none) |
//! | `fault half` | every second outlet is missing |
//! | `fault clear` | none of these any more |
//! | `stats` | one line of JSON |

use std::{collections::BTreeSet, time::Duration};

use super::{Faults, SimPdu};

/// A command that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Not one of the commands.
    #[error("unknown command {0:?}: outlet, fault or stats")]
    Unknown(String),
    /// Something is missing or not a number, a time, on or off.
    #[error("{0:?}: expected {1}")]
    Argument(String, &'static str),
    /// No outlet has that number.
    #[error("there is no outlet {0}")]
    NoOutlet(u32),
}

impl SimPdu {
    /// Carries out one line; what it says is for the one who sent it.
    pub fn command_line(&self, line: &str) -> Result<String, CommandError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["stats"] => Ok(serde_json::to_string(&self.counters()).unwrap_or_default()),
            ["outlet", outlet, rest @ ..] => {
                let outlet: u32 = number(outlet)?;
                self.is_on(outlet).ok_or(CommandError::NoOutlet(outlet))?;
                self.outlet_line(outlet, rest)
            }
            ["fault", rest @ ..] => {
                let mut faults = self.state().faults.clone();
                fault_line(&mut faults, rest, self.options().outlets)?;
                self.fault(|f| *f = faults);
                Ok("ok".to_owned())
            }
            _ => Err(CommandError::Unknown(line.trim().to_owned())),
        }
    }

    fn outlet_line(&self, outlet: u32, words: &[&str]) -> Result<String, CommandError> {
        let change = |set: fn(&mut Faults) -> &mut BTreeSet<u32>, member: bool| {
            self.fault(|faults| {
                set(faults).remove(&outlet);
                set(faults).extend(member.then_some(outlet));
            });
            true
        };
        let found = match words {
            ["stuck"] => change(|f| &mut f.stuck, true),
            ["free"] => change(|f| &mut f.stuck, false),
            ["missing"] => change(|f| &mut f.missing, true),
            ["present"] => change(|f| &mut f.missing, false),
            ["on"] => self.press(outlet, true),
            ["off"] => self.press(outlet, false),
            ["delay", time] => self.set_delay(outlet, duration(time)?),
            ["watts", watts] => self.set_load(outlet, number(watts)?),
            other => {
                let expected = "stuck, free, missing, present, on, off, delay TIME or watts W";
                return Err(CommandError::Argument(other.join(" "), expected));
            }
        };
        if found { Ok("ok".to_owned()) } else { Err(CommandError::NoOutlet(outlet)) }
    }
}

fn fault_line(faults: &mut Faults, words: &[&str], outlets: u32) -> Result<(), CommandError> {
    match words {
        ["clear"] => *faults = Faults::default(),
        ["half"] => faults.missing = (1..=outlets).filter(|n| n % 2 == 0).collect(),
        ["drop-every", k] => faults.drop_every = Some(number(k)?).filter(|k| *k > 0),
        ["lose-requests", p] => faults.lose_requests = share(p)?,
        ["lose-answers", p] => faults.lose_answers = share(p)?,
        ["lose-set-answers", n] => faults.lose_set_answers = number(n)?,
        ["too-big", n] => faults.too_big_above = Some(number(n)?).filter(|n| *n > 0),
        ["delay", time] => faults.delay = duration(time)?,
        ["garbage", word] => faults.garbage = switch(word)?,
        ["foreign-id", word] => faults.foreign_id = switch(word)?,
        ["duplicate", word] => faults.duplicate = switch(word)?,
        ["set-no-such-instance", word] => faults.set_no_such_instance = switch(word)?,
        ["set-ignored", word] => faults.set_ignored = switch(word)?,
        ["vanish", word] => faults.vanished = switch(word)?,
        other => return Err(CommandError::Argument(other.join(" "), "a fault and its value")),
    }
    Ok(())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, CommandError> {
    text.parse().map_err(|_| CommandError::Argument(text.to_owned(), "a number"))
}

fn share(text: &str) -> Result<f64, CommandError> {
    let share: f64 = number(text)?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(CommandError::Argument(text.to_owned(), "0 to 1")) }
}

fn switch(text: &str) -> Result<bool, CommandError> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(CommandError::Argument(other.to_owned(), "on or off")),
    }
}

/// `0`, `500ms`, `20s`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, CommandError> {
    let bad = || CommandError::Argument(text.to_owned(), "a time such as 500ms or 20s");
    if let Some(ms) = text.strip_suffix("ms") {
        return ms.parse().map(Duration::from_millis).map_err(|_| bad());
    }
    let seconds: f64 = text.strip_suffix('s').unwrap_or(text).parse().map_err(|_| bad())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}
