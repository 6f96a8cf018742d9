//! The loop of one endpoint worker: what comes next, and whether it may.

mod acts;
mod reads;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use acts::answer_all;

use super::{
    ActJob, Msg, ReadRequest, WorkerHandle,
    handle::INBOX,
    look::Looks,
    poll::{Timetable, worth_asking},
    read::{ReadJob, Waiter},
    seats::Seats,
};
use crate::{
    config,
    drivers::Driver,
    fleet::{
        board::{Count, EndpointState},
        clock,
        policy::{Breaker, Class, ClassQueue, LOG_EVERY, LogLimit, MinGap, TokenBucket, Verdict},
    },
    model::{Aspect, EndpointId, Fault, Origin, PowerState, Unit, Why},
};

/// What a worker tells the fleet: something changed on the board.
#[derive(Debug, Clone)]
pub enum Observed {
    /// The power of a unit was read and differs from what was known, or was read for the first time.
    Power {
        /// Device.
        endpoint: EndpointId,
        /// Part of it.
        unit: Unit,
        /// Before.
        old: Option<PowerState>,
        /// Now.
        new: PowerState,
    },
    /// The endpoint went away or came back.
    Link {
        /// Device.
        endpoint: EndpointId,
        /// `None`: it answers.
        fault: Option<Arc<Fault>>,
    },
    /// It has started anew since it was last known, and all its units have been read since.
    Restarted {
        /// Device.
        endpoint: EndpointId,
        /// Its units as they were.
        before: HashMap<Unit, PowerState>,
    },
    /// It was opened: capabilities have been learnt.
    Opened {
        /// Device.
        endpoint: EndpointId,
    },
}

/// A command may probe an endpoint whose breaker is open, but not more often than that: ten clients that switch ten
/// nodes of a dead PDU wait for one time-out, not for ten.
const COMMAND_PROBE_SPACING: Duration = Duration::from_secs(1);

/// Pause before a busy device or an unreachable network is tried again for the same act.
const ACT_RETRY_PAUSE: Duration = Duration::from_millis(300);

/// Clocks of devices are that far off at most between two looks at them; a restart takes longer.
const CLOCK_SLACK: Duration = Duration::from_secs(5);

/// Starts a worker; `fleet` is the number of endpoints in all (it spreads the first polls), `known` when its units
/// were last known to be as stored.
pub fn spawn(
    config: &Arc<config::Endpoint>,
    state: Arc<EndpointState>,
    units: Vec<Unit>,
    fleet: usize,
    known: Option<Instant>,
    seats: Seats,
    observer: mpsc::UnboundedSender<Observed>,
) -> WorkerHandle {
    let (inbox, messages) = mpsc::channel(INBOX);
    let handle = WorkerHandle { inbox, state: Arc::clone(&state), config: Arc::clone(config) };
    let now = clock::now();
    let policy = &config.policy;
    let worker = Worker {
        driver: config.setup.connect(),
        opened: false,
        queue: ClassQueue::new(policy.order == config::Order::Arrival),
        looks: Looks::new(policy.pace.verify_every),
        table: Timetable::new(&config.id, policy, fleet, now),
        breaker: Breaker::new(policy.breaker_failures, policy.breaker_cool_down),
        gap: MinGap::new(policy.pace.min_gap),
        bucket: policy.rate.map(TokenBucket::new),
        refused: None,
        met: false,
        up_since: known,
        restarted: None,
        restarted_at: None,
        restart_suspected: false,
        lines: LogLimit::new(LOG_EVERY),
        watched: units,
        messages,
        observer,
        seats,
        state,
        config: Arc::clone(config),
    };
    tokio::spawn(worker.run());
    handle
}

enum Item {
    Acts(Vec<ActJob>),
    Read(Box<ReadJob>),
}

struct Worker {
    config: Arc<config::Endpoint>,
    state: Arc<EndpointState>,
    driver: Box<dyn Driver>,
    opened: bool,
    queue: ClassQueue<Item>,
    looks: Looks,
    table: Timetable,
    breaker: Breaker,
    gap: MinGap,
    bucket: Option<TokenBucket>,
    /// Credentials were refused: nothing is sent before then, whoever asks, except after [`Msg::Retry`].
    refused: Option<(Instant, Fault)>,
    /// It was logged in to since it was last down: what it is has been asked.
    met: bool,
    /// When the device last started, as it said; before its first answer, when it was last known.
    up_since: Option<Instant>,
    /// It has started anew; its units as they were before that.
    restarted: Option<HashMap<Unit, PowerState>>,
    /// When that was noticed: reads begun then or later show how they are now.
    restarted_at: Option<Instant>,
    /// A unit has changed without a command of ours.
    restart_suspected: bool,
    /// A flapping endpoint must not fill the log.
    lines: LogLimit<&'static str>,
    watched: Vec<Unit>,
    messages: mpsc::Receiver<Msg>,
    observer: mpsc::UnboundedSender<Observed>,
    seats: Seats,
}

impl Worker {
    async fn run(mut self) {
        let stopped = loop {
            if let Some(stop) = self.drain() {
                break Some(stop);
            }
            let now = clock::now();
            self.looks.expire(now);
            if self.state.hold().is_some() {
                self.refuse_all(&Fault::NotSent("the endpoint is on hold".to_owned()));
                self.close().await;
                match tokio::time::timeout(Duration::from_secs(1), self.messages.recv()).await {
                    Ok(Some(message)) => match self.take(message) {
                        None => continue,
                        stop => break stop,
                    },
                    Ok(None) => break None,
                    Err(_) => continue,
                }
            }
            self.schedule(now);
            let ready = self.ready_at(now);
            if !self.queue.is_empty() && ready <= now {
                if self.queue.next_class() == Some(Class::Poll) {
                    let wake = self.wake_at(now);
                    // Who waits for a seat listens: a command is not kept waiting by it.
                    let seat = tokio::select! {
                        biased;
                        message = self.messages.recv() => match message {
                            Some(message) => match self.take(message) {
                                None => continue,
                                stop => break stop,
                            },
                            None => break None,
                        },
                        seat = self.seats.take() => seat,
                        () = clock::sleep_until(wake) => continue,
                    };
                    seat.during(self.serve_next()).await;
                } else {
                    self.serve_next().await;
                }
                continue;
            }
            let wake = if self.queue.is_empty() { self.wake_at(now) } else { ready };
            tokio::select! {
                biased;
                message = self.messages.recv() => match message {
                    Some(message) => if let Some(stop) = self.take(message) { break Some(stop) },
                    None => break None,
                },
                () = clock::sleep_until(wake) => {}
            }
        };
        self.refuse_all(&Fault::NotSent("the endpoint is being closed".to_owned()));
        self.close().await;
        if let Some(stopped) = stopped {
            stopped.send(()).ok(); // whoever asked may have left
        }
    }

    /// Takes all messages that wait; `Some`: stop.
    fn drain(&mut self) -> Option<oneshot::Sender<()>> {
        while let Ok(message) = self.messages.try_recv() {
            if let Some(stop) = self.take(message) {
                return Some(stop);
            }
        }
        None
    }

    fn take(&mut self, message: Msg) -> Option<oneshot::Sender<()>> {
        match message {
            Msg::Act(job) => self.queue.push(Class::Command, Item::Acts(vec![job])),
            Msg::Read(request) => self.take_read(request),
            Msg::Expect(expectation) => self.looks.add(expectation, clock::now()),
            Msg::Retry(reply) => {
                self.breaker.reset();
                self.refused = None;
                self.opened = false;
                self.table.all_due(clock::now());
                let unit = self.watched.first().cloned().unwrap_or_else(Unit::host);
                self.take_read(ReadRequest { aspect: Aspect::Power, unit, asked: clock::now(), reply: Some(reply) });
            }
            Msg::Watch(units) => self.watched = units,
            Msg::Stop(done) => return Some(done),
        }
        None
    }

    fn take_read(&mut self, request: ReadRequest) {
        let ReadRequest { aspect, unit, asked, reply } = request;
        // It was read while this request waited in the inbox: that read is the one to join.
        if aspect == Aspect::Power
            && self.state.unit(&unit, |u| u.power.as_ref().map(|p| p.origin == Origin::Read && p.at >= asked))
                == Some(true)
        {
            if let Some(reply) = reply {
                reply.send(Ok(())).ok(); // whoever asked may have left
            }
            return;
        }
        let waiter = reply.map(|reply| Waiter { unit: unit.clone(), reply });
        let class = if waiter.is_some() { Class::Read } else { Class::Poll };
        if self.config.policy.coalesce {
            for class in [Class::Read, Class::Poll] {
                if class == Class::Poll && waiter.is_some() {
                    continue; // somebody waits: not behind a poll
                }
                for item in self.queue.iter_mut(class) {
                    if let Item::Read(job) = item
                        && job.joinable(&aspect)
                    {
                        job.add(&unit);
                        job.waiters.extend(waiter);
                        return;
                    }
                }
            }
        }
        let mut job = ReadJob::new(aspect, vec![unit]);
        job.waiters.extend(waiter);
        self.queue.push(class, Item::Read(Box::new(job)));
    }

    /// Puts due looks and polls into the queue.
    fn schedule(&mut self, now: Instant) {
        if let Some(units) = self.looks.due(now) {
            self.looks.began();
            let mut job = ReadJob::new(Aspect::Power, units);
            job.look = true;
            self.queue.push(Class::Read, Item::Read(Box::new(job)));
        }
        let refused = self.refused.as_ref().is_some_and(|(until, _)| *until > now);
        if refused || !matches!(self.breaker.verdict(now), Verdict::Closed | Verdict::Probe) {
            return;
        }
        for aspect in self.table.due(now) {
            let units: Vec<Unit> = match aspect {
                // Before the first login nobody knows what is worth asking.
                _ if aspect != Aspect::Power && !self.opened && self.breaker.is_open() => continue,
                _ => self.watched.iter().filter(|u| worth_asking(&self.state, u, &aspect)).cloned().collect(),
            };
            if units.is_empty() {
                continue;
            }
            let mut job = ReadJob::new(aspect, units);
            job.poll = true;
            self.queue.push(Class::Poll, Item::Read(Box::new(job)));
        }
    }

    fn ready_at(&self, now: Instant) -> Instant {
        let gap = self.gap.ready_at(now);
        self.bucket.as_ref().map_or(gap, |bucket| bucket.ready_at(now).max(gap))
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let blocked = match (&self.refused, self.breaker.verdict(now)) {
            (Some((until, _)), _) => Some(*until),
            (None, Verdict::Open(until)) => Some(until),
            _ => None,
        };
        let polls = self.table.wake_at().map(|at| blocked.map_or(at, |until| at.max(until)));
        let soon = [polls, self.looks.wake_at()].into_iter().flatten().min();
        // Something may always change that no timetable knows (a hold): look round once a minute.
        soon.unwrap_or(now + Duration::from_mins(1)).min(now + Duration::from_mins(1))
    }

    /// Whether an exchange may be tried now, else why not.
    fn admit(&mut self, class: Class, now: Instant) -> Result<(), Fault> {
        if let Some((until, fault)) = &self.refused {
            if *until > now {
                return Err(fault.clone());
            }
            self.refused = None;
        }
        match self.breaker.verdict(now) {
            Verdict::Closed | Verdict::Probe => Ok(()),
            Verdict::Open(_)
                if class == Class::Command && self.breaker.command_may_probe(now, COMMAND_PROBE_SPACING) =>
            {
                Ok(())
            }
            Verdict::Open(_) => Err(self
                .state
                .fault()
                .map_or_else(|| Fault::Unreachable("it did not answer lately".to_owned()), |f| (*f).clone())),
        }
    }

    async fn serve_next(&mut self) {
        if let Some((class, item)) = self.queue.pop() {
            self.serve(class, item).await;
        }
    }

    async fn serve(&mut self, class: Class, item: Item) {
        let now = clock::now();
        if let Err(fault) = self.admit(class, now) {
            match item {
                Item::Acts(jobs) => answer_all(jobs, &fault),
                Item::Read(job) => self.read_failed_for_good(job, &fault),
            }
            return;
        }
        if !self.opened
            && let Err(fault) = self.open().await
        {
            match item {
                Item::Acts(jobs) => self.not_sent(jobs, &fault).await,
                Item::Read(job) => self.read_failed(class, job, fault).await,
            }
            return;
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now);
        }
        match item {
            Item::Acts(jobs) => self.serve_acts(jobs).await,
            Item::Read(job) => self.serve_read(class, job).await,
        }
        self.gap.ended(clock::now());
    }

    async fn open(&mut self) -> Result<(), Fault> {
        self.state.count(Count::Open);
        self.state.count(Count::Exchange);
        match self.driver.open().await {
            Ok(units) => {
                self.opened = true;
                self.answered();
                self.note_restart();
                if !std::mem::replace(&mut self.met, true) {
                    self.table.all_due(clock::now());
                }
                {
                    let mut board = self.state.units_mut();
                    for (unit, caps) in units {
                        board.entry(unit).or_default().caps = Some(Arc::new(caps));
                    }
                }
                self.tell(Observed::Opened { endpoint: self.config.id.clone() });
                Ok(())
            }
            Err(fault) => {
                self.failed(&fault);
                Err(fault)
            }
        }
    }

    /// Whether it has started anew since it was last known.
    fn note_restart(&mut self) {
        let Some(since) = self.driver.up().and_then(|up| clock::now().checked_sub(up)) else { return };
        let anew = self.up_since.replace(since).is_some_and(|known| since > known + CLOCK_SLACK);
        if anew && self.restarted.is_none() {
            let units = self.state.units();
            let was =
                |unit: &Unit| units.get(unit).and_then(|u| u.before.or(u.power.as_ref().map(|p| p.value)).or(u.last));
            self.restarted = Some(self.watched.iter().filter_map(|unit| Some((unit.clone(), was(unit)?))).collect());
            drop(units);
            self.restarted_at = Some(clock::now());
            self.table.all_due(clock::now());
        }
    }

    /// The endpoint has answered: it is alive.
    fn answered(&mut self) {
        self.breaker.succeeded();
        let was_down = self.state.change_link(|link| {
            link.last_answer = Some(clock::wall());
            link.retry_at = None;
            let was = link.fault.take();
            if was.is_some() || link.since.is_none() {
                link.since = Some(clock::wall());
            }
            was
        });
        if let Some(fault) = was_down {
            if let Some(left_out) = self.lines.admit(&"up", clock::now()) {
                tracing::info!(endpoint = %self.config.id, before = %fault, left_out, "endpoint answers again");
            }
            self.tell(Observed::Link { endpoint: self.config.id.clone(), fault: None });
        }
    }

    /// An exchange failed.
    fn failed(&mut self, fault: &Fault) {
        self.state.count(Count::Failure);
        if !fault.blames_endpoint() {
            return;
        }
        let now = clock::now();
        if fault.is_credentials() {
            let again = now + self.config.policy.credentials_retry;
            self.refused = Some((again, refused_for_good(fault, self.config.policy.credentials_retry)));
        } else {
            self.breaker.failed(now);
        }
        // One lost packet is no outage: the endpoint is down when its breaker opens or its login is refused.
        if !self.breaker.is_open() && self.refused.is_none() {
            return;
        }
        let retry_at = match (&self.refused, self.breaker.verdict(now)) {
            (Some((until, _)), _) => Some(*until),
            (None, Verdict::Open(until)) => Some(until),
            _ => None,
        };
        let news = self.state.change_link(|link| {
            link.retry_at = retry_at;
            let was_up = link.fault.is_none();
            if was_up {
                link.since = Some(clock::wall());
            }
            link.fault = Some(Arc::new(fault.clone()));
            was_up.then(|| link.fault.clone()).flatten()
        });
        if let Some(fault) = news {
            self.met = false;
            if let Some(left_out) = self.lines.admit(&"down", now) {
                let address = self.config.setup.address();
                tracing::warn!(endpoint = %self.config.id, %address, %fault, left_out, "endpoint is down");
            }
            self.tell(Observed::Link { endpoint: self.config.id.clone(), fault: Some(fault) });
        }
    }

    fn refuse_all(&mut self, fault: &Fault) {
        while let Some((_, item)) = self.queue.pop() {
            match item {
                Item::Acts(jobs) => answer_all(jobs, fault),
                Item::Read(job) => self.read_failed_for_good(job, fault),
            }
        }
    }

    async fn close(&mut self) {
        if std::mem::take(&mut self.opened) {
            self.driver.close().await;
        }
    }

    fn tell(&self, what: Observed) {
        // The fleet is gone only when the program ends.
        self.observer.send(what).ok();
    }
}

fn refused_for_good(fault: &Fault, pause: Duration) -> Fault {
    match fault {
        Fault::Refused(Why::Credentials(text)) => Fault::Refused(Why::Credentials(format!(
            "{text}; not tried again for {} min unless the configuration changes or `rackfish endpoint retry` asks",
            pause.as_secs().div_ceil(60)
        ))),
        other => other.clone(),
    }
}
