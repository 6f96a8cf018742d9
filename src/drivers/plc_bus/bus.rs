//! One exchange at a time: the rules of `wire::device_bus` over the line, under the lock, bounded in time.

use std::{io, sync::Arc, time::Duration};

use tokio::time::{self, Instant};

use super::{
    lock::{Held, LockError},
    port::Port,
    settings::Settings,
};
use crate::{
    model::Fault,
    wire::device_bus::{BusError, Exchange, Frame, Request, Sequence, Step},
};

/// Time-outs that an exchange of one answer may take in all, retries included, when bytes trickle in.
const MOST_TIMEOUTS: u32 = 20;
/// Longest scan: 40 boards with a slot of a quarter of a second, three times over.
const LONGEST_SCAN: Duration = Duration::from_secs(30);
/// A byte on the wire: start bit, eight data bits, stop bit.
const BITS: u32 = 10;

/// Why an exchange brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The line can't be opened or was found dead: nothing was sent.
    #[error("{0}")]
    NoLine(String),
    /// Another program has the line.
    #[error("{0}")]
    Locked(LockError),
    /// The line went away after something was sent.
    #[error("{0}")]
    LostLine(String),
    /// The boards' doing.
    #[error("{0}")]
    Bus(#[from] BusError),
    /// A scan of a board was answered, and what came says nothing of its devices.
    #[error("a scan tells nothing of its devices")]
    Unmet,
}

impl Failure {
    /// Whether the line itself is to blame, not a board.
    pub(super) fn of_the_line(&self) -> Option<Fault> {
        match self {
            Self::NoLine(why) | Self::LostLine(why) => Some(Fault::Unreachable(why.clone())),
            Self::Locked(why) => Some(Fault::Busy { reason: why.to_string(), retry_after: None }),
            Self::Bus(_) | Self::Unmet => None,
        }
    }

    /// As a read of that board or device shows it.
    pub(super) fn of_a_read(&self, whose: &str) -> Fault {
        match self {
            Self::Bus(BusError::Silent | BusError::RetrySilent) => Fault::Unreachable(format!("{whose}: {self}")),
            Self::Bus(_) | Self::Unmet => Fault::Garbage(format!("{whose}: {self}")),
            line => line.of_the_line().unwrap_or_else(|| Fault::Unreachable(line.to_string())),
        }
    }

    /// As a command to it shows it: what was sent may have been carried out.
    pub(super) fn of_a_command(&self, whose: &str) -> Fault {
        match self {
            Self::NoLine(why) => Fault::NotSent(why.clone()),
            Self::Unmet => Fault::NotSent(format!("{whose}: {self}")),
            Self::Locked(why) => Fault::Busy { reason: why.to_string(), retry_after: None },
            Self::LostLine(_) | Self::Bus(_) => Fault::Uncertain(format!("{whose}: {self}")),
        }
    }

    /// Whether nothing at all came.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Bus(BusError::Silent))
    }
}

/// The line and the numbers of its frames.
pub(super) struct Bus {
    settings: Arc<Settings>,
    port: Option<Port>,
    numbers: Sequence,
}

impl Bus {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, port: None, numbers: Sequence::default() }
    }

    /// Opens the line, if it is not open. With a lock file others open it between our exchanges: then this only says
    /// whether it can be opened.
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        let _held = self.lock().await?;
        let port = self.line().await?;
        self.put_back(port);
        Ok(())
    }

    pub(super) fn close(&mut self) {
        self.port = None;
    }

    /// One request, its answer, and what belongs between them.
    pub(super) async fn exchange(&mut self, request: Request) -> Result<Vec<Frame>, Failure> {
        let scan = request.is_scan();
        let _held = self.lock().await?;
        let mut port = self.line().await?;
        let patience = if scan { LONGEST_SCAN } else { self.settings.timeout * MOST_TIMEOUTS };
        let deadline = Instant::now() + patience;
        let mut exchange = Exchange::new(request, self.settings.quirks, self.settings.retry_limit);
        let mut buffer = [0; 512];
        let lost = |error: io::Error| Failure::LostLine(format!("{}: {error}", self.settings));
        loop {
            match exchange.next(&mut self.numbers) {
                Step::Send { bytes, discard } => {
                    if discard {
                        port.discard().map_err(lost)?;
                    }
                    port.write(&bytes).await.map_err(lost)?;
                    // All of it has to be on the wire before the line may be closed or anything is thrown away.
                    let bits = u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_mul(BITS);
                    if !self.keeps_line() {
                        time::sleep(Duration::from_secs_f64(f64::from(bits) / f64::from(self.settings.bps))).await;
                    }
                }
                Step::Listen => {
                    let until = (Instant::now() + self.settings.timeout).min(deadline);
                    match time::timeout_at(until, port.read(&mut buffer)).await {
                        Ok(count) => exchange.heard(buffer.get(..count.map_err(lost)?).unwrap_or_default()),
                        Err(_) if Instant::now() >= deadline => return Err(Failure::Bus(BusError::Babble)),
                        Err(_) => exchange.silence(),
                    }
                    if Instant::now() >= deadline {
                        return Err(Failure::Bus(BusError::Babble));
                    }
                }
                Step::Pause(pause) => time::sleep(pause).await,
                Step::Done => break,
            }
        }
        self.put_back(port);
        Ok(exchange.finish()?)
    }

    /// The answer of an exchange that is no scan.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Frame, Failure> {
        self.exchange(request).await?.into_iter().next().ok_or(Failure::Bus(BusError::Silent))
    }

    async fn lock(&self) -> Result<Option<Held>, Failure> {
        match &self.settings.lock {
            Some(lock) => Held::take(lock).await.map(Some).map_err(Failure::Locked),
            None => Ok(None),
        }
    }

    /// An open line. One that has died since it was last used (an adapter that was pulled) is opened anew.
    async fn line(&mut self) -> Result<Port, Failure> {
        if let Some(mut port) = self.port.take()
            && port.discard().is_ok()
        {
            return Ok(port);
        }
        Port::open(&self.settings).await.map_err(|error| Failure::NoLine(format!("{}: {error}", self.settings)))
    }

    fn keeps_line(&self) -> bool {
        self.settings.lock.is_none()
    }

    fn put_back(&mut self, port: Port) {
        self.port = self.keeps_line().then_some(port);
    }
}
