//! How the rest of the fleet talks to a worker.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use super::{ActJob, Msg, ReadRequest, look::Expectation};
use crate::{
    config,
    fleet::{board::EndpointState, clock},
    model::{Act, Aspect, AspectKind, Done, Fault, PowerState, Unit},
};

/// Messages a worker may have waiting: more than any rack asks at once, little enough to be memory.
pub(super) const INBOX: usize = 4096;

/// An expectation that was not met in time.
#[derive(Debug, Clone)]
pub struct Unmet {
    /// What the unit shows, if it could be read.
    pub shows: Option<PowerState>,
    /// Why it could not be read, if it could not.
    pub fault: Option<Fault>,
}

/// An act in the queue. It is taken out when this is dropped before it was sent.
#[derive(Debug)]
pub struct Submitted(oneshot::Receiver<Result<Done, Fault>>);

impl Submitted {
    /// Waits until the device has accepted it.
    pub async fn accepted(self) -> Result<Done, Fault> {
        self.0.await.map_err(gone)?
    }
}

/// The fleet's end of a worker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkerHandle {
    pub(super) inbox: mpsc::Sender<Msg>,
    /// What is known about the endpoint.
    pub state: Arc<EndpointState>,
    /// Its configuration.
    pub config: Arc<config::Endpoint>,
}

fn gone<T>(_: T) -> Fault {
    Fault::NotSent("the endpoint is being removed".to_owned())
}

impl WorkerHandle {
    fn send(&self, msg: Msg) -> Result<(), Fault> {
        self.inbox.try_send(msg).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => Fault::Busy {
                reason: format!("{INBOX} requests wait for this endpoint already"),
                retry_after: Some(Duration::from_secs(5)),
            },
            mpsc::error::TrySendError::Closed(_) => gone(()),
        })
    }

    /// Sends one act; returns when the device has accepted it. Not sent at all after `deadline`.
    pub async fn act(&self, unit: &Unit, act: Act, deadline: Instant) -> Result<Done, Fault> {
        self.submit(unit, act, deadline)?.accepted().await
    }

    /// Puts one act into the queue, at once: acts are carried out in the order of these calls.
    pub fn submit(&self, unit: &Unit, act: Act, deadline: Instant) -> Result<Submitted, Fault> {
        let (reply, answer) = oneshot::channel();
        self.send(Msg::Act(ActJob { unit: unit.clone(), act, attempts: 0, deadline, reply }))?;
        Ok(Submitted(answer))
    }

    /// Reads now (or joins an equal read that waits or runs); the result is on the board. `Err` of `Unreachable`
    /// when `within` passes first.
    pub async fn read(&self, aspect: Aspect, unit: &Unit, within: Duration) -> Result<(), Fault> {
        let (reply, answer) = oneshot::channel();
        self.send(Msg::Read(ReadRequest { aspect, unit: unit.clone(), asked: clock::now(), reply: Some(reply) }))?;
        match tokio::time::timeout(within, answer).await {
            Ok(answer) => answer.map_err(gone)?,
            Err(_) => Err(Fault::Unreachable(format!("no answer within {within:?}"))),
        }
    }

    /// Asks for a read that nobody waits for. A full queue is as good as a read under way.
    pub fn refresh(&self, aspect: Aspect, unit: &Unit) {
        let request = ReadRequest { aspect, unit: unit.clone(), asked: clock::now(), reply: None };
        if let Err(fault) = self.send(Msg::Read(request)) {
            tracing::debug!(endpoint = %self.config.id, %fault, "refresh skipped");
        }
    }

    /// Waits until a read begun after now shows the unit on (or off), at most `within`.
    pub async fn expect(&self, unit: &Unit, on: bool, within: Duration) -> Result<(), Unmet> {
        let (reply, answer) = oneshot::channel();
        let now = clock::now();
        let expectation = Expectation::new(unit.clone(), on, now, now + within, reply);
        self.send(Msg::Expect(expectation)).map_err(|fault| Unmet { shows: None, fault: Some(fault) })?;
        answer.await.unwrap_or_else(|e| Err(Unmet { shows: None, fault: Some(gone(e)) }))
    }

    /// Tries the endpoint now, whatever its breaker or its refused credentials say.
    pub async fn retry(&self) -> Result<(), Fault> {
        let (reply, answer) = oneshot::channel();
        self.send(Msg::Retry(reply))?;
        match answer.await.map_err(gone)? {
            // It was opened; that its units can't tell their state is no fault of it.
            Err(Fault::Unsupported(_)) if self.tells_nothing() => Ok(()),
            result => result,
        }
    }

    /// Whether it has units, none of which can tell its state.
    fn tells_nothing(&self) -> bool {
        let units = self.state.units();
        let mut caps = units.values().filter_map(|u| u.caps.as_ref()).peekable();
        caps.peek().is_some() && caps.all(|caps| !caps.aspects.has(AspectKind::Power))
    }

    /// Says which units matter.
    pub fn watch(&self, units: Vec<Unit>) -> Result<(), Fault> {
        self.send(Msg::Watch(units))
    }

    /// Ends the worker after the exchange under way; its session on the device is closed.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.inbox.send(Msg::Stop(done)).await.is_ok() {
            // An error means that the worker is gone already: just as well.
            stopped.await.ok();
        }
    }
}
