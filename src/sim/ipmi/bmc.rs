//! One simulated BMC: a datagram in, datagrams out, with its faults; and the handle by which it is steered.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{
    commands::{self, Asker, Request, code},
    config::{BmcConfig, Faults, Shared, Stats},
    data::{self, SimSensor},
    machine::Machine,
    sessions::{Active, Login, Sessions},
};
use crate::{
    model::Secret,
    wire::ipmi::{
        handshake::{OpenRequest, Rakp1, Rakp34},
        lan::LanMessage,
        rmcp::{self, Datagram, Payload, Plus},
        session,
    },
};

/// A datagram to send, and how long to wait before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The datagram.
    pub bytes: Vec<u8>,
    /// After this time.
    pub after: Duration,
}

/// Everything about one BMC.
pub(super) struct State {
    pub(super) config: BmcConfig,
    pub(super) machine: Machine,
    pub(super) sessions: Sessions,
    pub(super) sensors: Shared<SimSensor>,
    /// Raw values set from outside, by sensor number.
    pub(super) forced: HashMap<u8, u8>,
    pub(super) fru: Vec<u8>,
    pub(super) log: Vec<[u8; 16]>,
    pub(super) reservation: u16,
    pub(super) log_reservation: u16,
    faults: Faults,
    random: SmallRng,
}

/// A handle of a simulated BMC. Cheap to clone; all clones mean the same BMC.
#[derive(Clone)]
pub struct Bmc(Arc<Mutex<State>>);

/// Seconds since 1970: clocks of BMCs.
pub(super) fn unix_seconds() -> u32 {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX)
}

impl Bmc {
    /// A new BMC, with mains.
    pub fn new(config: BmcConfig) -> Self {
        static SENSORS: OnceLock<Shared<SimSensor>> = OnceLock::new();
        Self(Arc::new(Mutex::new(State {
            machine: Machine::new(&config),
            sessions: Sessions::default(),
            sensors: Arc::clone(SENSORS.get_or_init(data::sensors)),
            forced: HashMap::new(),
            fru: config.fru.encode(),
            log: data::log(),
            reservation: 0,
            log_reservation: 0,
            faults: Faults::default(),
            random: SmallRng::seed_from_u64(config.seed),
            config,
        })))
    }

    /// The state, with everything made up for that was due.
    fn state(&self, now: Instant) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.machine.tick(now);
        state
    }

    /// Mains come or go. Without them the BMC is dead and the host off; when they come back it answers after its
    /// `boot_delay`.
    pub fn set_mains(&self, mains: bool) {
        let now = Instant::now();
        let mut state = self.state(now);
        state.machine.set_mains(mains, now);
        if !mains {
            state.sessions.clear();
        }
    }

    /// Somebody presses the power button on the machine.
    pub fn press(&self, on: bool) {
        self.state(Instant::now()).machine.press(on);
    }

    /// Whether the host is on.
    pub fn is_on(&self) -> bool {
        self.state(Instant::now()).machine.is_on()
    }

    /// Whether the controller answers: it has mains and has started.
    pub fn is_alive(&self) -> bool {
        self.state(Instant::now()).machine.is_alive()
    }

    /// Watts that the machine draws now.
    pub fn watts(&self) -> u16 {
        let state = self.state(Instant::now());
        let (on, off) = state.config.watts;
        match (state.machine.has_mains(), state.machine.is_on()) {
            (false, _) => 0,
            (true, true) => on,
            (true, false) => off,
        }
    }

    /// Changes what is wrong with it.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        let mut state = self.state(Instant::now());
        change(&mut state.faults);
        state.machine.stuck = state.faults.stuck;
    }

    /// Sets a sensor's raw value; `None`: its own again.
    pub fn set_sensor(&self, number: u8, raw: Option<u8>) {
        let mut state = self.state(Instant::now());
        match raw {
            Some(raw) => state.forced.insert(number, raw),
            None => state.forced.remove(&number),
        };
    }

    /// Somebody changes the password of all users: the sessions that were opened with the old one end.
    pub fn set_password(&self, password: &Secret) {
        let mut state = self.state(Instant::now());
        for user in &mut state.config.users {
            user.password = password.clone();
        }
        state.sessions.clear();
    }

    /// What it has counted.
    pub fn stats(&self) -> Stats {
        let now = Instant::now();
        let mut state = self.state(now);
        let idle = state.config.session_idle;
        state.sessions.expire(idle, now);
        Stats {
            sessions: state.sessions.len(),
            on: state.machine.is_on(),
            mains: state.machine.has_mains(),
            ..state.machine.stats
        }
    }

    /// A datagram came from `_peer` at `now`: what is sent back, and when.
    pub fn receive(&self, datagram: &[u8], _peer: SocketAddr, now: Instant) -> Vec<Outgoing> {
        let mut state = self.state(now);
        state.machine.stats.packets_in += 1;
        let lost = state.faults.drop > 0.0 && {
            let chance = state.faults.drop;
            state.random.random_bool(chance.clamp(0.0, 1.0))
        };
        if lost || state.faults.vanish || !state.machine.is_alive() {
            return Vec::new();
        }
        let idle = state.config.session_idle;
        state.sessions.expire(idle, now);
        match rmcp::decode(datagram) {
            Ok(Datagram::Ping(tag)) => state.send(rmcp::encode_pong(tag)),
            Ok(Datagram::Plain(message)) => state.plain(message, now),
            Ok(Datagram::Plus(packet)) => state.plus(&packet, now),
            Ok(Datagram::Pong(_)) => Vec::new(),
            Err(error) => {
                tracing::debug!(%error, "simulated BMC got something else than IPMI");
                Vec::new()
            }
        }
    }
}

fn take_one(count: &mut u32) -> bool {
    let any = *count > 0;
    *count = count.saturating_sub(1);
    any
}

impl State {
    /// An answer goes out, as far as the faults let it.
    fn send(&mut self, bytes: Vec<u8>) -> Vec<Outgoing> {
        if take_one(&mut self.faults.lose_answers) {
            return Vec::new();
        }
        let mut after = self.faults.delay;
        if take_one(&mut self.faults.late_answers) {
            after += self.faults.late_by;
        }
        let bytes = if take_one(&mut self.faults.garbage) {
            let length = self.random.random_range(0..120);
            (0..length).map(|_| self.random.random()).collect()
        } else {
            bytes
        };
        let answer = Outgoing { bytes, after };
        if self.faults.duplicate { vec![answer.clone(), answer] } else { vec![answer] }
    }

    /// A message outside a session.
    fn plain(&mut self, message: &[u8], now: Instant) -> Vec<Outgoing> {
        let Ok(message) = LanMessage::decode(message) else { return Vec::new() };
        let asker = Asker { session: None, level: 0 };
        let request = Request { netfn: message.netfn, command: message.command, data: message.data };
        let data = commands::answer(self, &asker, request, now);
        self.send(rmcp::encode_plain(&message.answer(&data).encode()))
    }

    fn plus(&mut self, packet: &Plus<'_>, now: Instant) -> Vec<Outgoing> {
        match packet.payload_type {
            Payload::OpenRequest => {
                let Ok(request) = OpenRequest::decode(packet.payload) else { return Vec::new() };
                let answer = self.sessions.open(&self.config, &self.faults, &request, now);
                self.send(rmcp::encode_plus(Payload::OpenResponse, &answer.encode()))
            }
            Payload::Rakp1 => {
                let Ok(message) = Rakp1::decode(packet.payload) else { return Vec::new() };
                let Some((answer, login)) = self.sessions.rakp1(&self.config, &self.faults, &message) else {
                    return Vec::new();
                };
                self.count(login);
                self.send(rmcp::encode_plus(Payload::Rakp2, &answer.encode()))
            }
            Payload::Rakp3 => {
                let Ok(message) = Rakp34::decode(packet.payload) else { return Vec::new() };
                let (answer, login) = self.sessions.rakp3(&self.config, &message, now);
                self.count(login);
                let Some(answer) = answer else { return Vec::new() };
                self.send(rmcp::encode_plus(Payload::Rakp4, &answer.encode()))
            }
            Payload::Ipmi => self.command(packet, now),
            Payload::OpenResponse | Payload::Rakp2 | Payload::Rakp4 | Payload::Other(_) => Vec::new(),
        }
    }

    fn count(&mut self, login: Login) {
        match login {
            Login::Completed => self.machine.stats.logins += 1,
            Login::Refused => self.machine.stats.refused_logins += 1,
            Login::Neither => {}
        }
    }

    /// A command within a session. What fails a check is dropped without a word.
    fn command(&mut self, packet: &Plus<'_>, now: Instant) -> Vec<Outgoing> {
        let id = packet.session;
        let Some(open) = self.sessions.active(id, now) else { return Vec::new() };
        let level = open.level;
        let Some(active) = &mut open.active else { return Vec::new() };
        let Ok(payload) = session::open(&active.keys, packet) else { return Vec::new() };
        if !active.window.accept(packet.sequence) {
            return Vec::new();
        }
        let Ok(message) = LanMessage::decode(&payload) else { return Vec::new() };
        // The answer is sealed with what the session had before the command: Close Session ends it.
        let sequence = active.next();
        let strange = if self.faults.foreign { Some(active.next()) } else { None };
        let closing = (message.netfn, message.command) == (0x06, 0x3c);
        let sealed = |state: &mut Self, data: &[u8]| {
            let open = state.sessions.active(id, now)?;
            let console = open.console();
            let active = open.active.as_ref()?;
            let payload = message.answer(data).encode();
            Some(session::seal(&active.keys, console, sequence, Payload::Ipmi, &payload, rand::random()))
        };
        let asker = Asker { session: Some(id), level };
        let request = Request { netfn: message.netfn, command: message.command, data: message.data };
        if take_one(&mut self.faults.busy) {
            return sealed(self, &[code::BUSY]).map(|bytes| self.send(bytes)).unwrap_or_default();
        }
        let before = if closing { sealed(self, &[code::OK]) } else { None };
        let data = commands::answer(self, &asker, request, now);
        let mut out = strange.map(|number| self.strangers(id, number, &message, &data, now)).unwrap_or_default();
        let answer = sealed(self, &data).or(before);
        out.extend(answer.map(|bytes| self.send(bytes)).unwrap_or_default());
        out
    }

    /// Answers that are somebody else's, sealed with the right keys, and their data turned round: to another session,
    /// and in this one to another request.
    fn strangers(
        &mut self,
        id: u32,
        sequence: u32,
        asked: &LanMessage<'_>,
        data: &[u8],
        now: Instant,
    ) -> Vec<Outgoing> {
        let Some(open) = self.sessions.active(id, now) else { return Vec::new() };
        let console = open.console();
        let Some(active) = &open.active else { return Vec::new() };
        let mut turned = data.to_vec();
        // In the answer to Get Chassis Status that is the bit that says on or off.
        if let Some(first) = turned.get_mut(1) {
            *first ^= 1;
        }
        let answer = asked.answer(&turned);
        let elsewhere = LanMessage { sequence: answer.sequence ^ 0x15, ..answer };
        let seal = |console, message: &LanMessage<'_>| {
            session::seal(&active.keys, console, sequence, Payload::Ipmi, &message.encode(), rand::random())
        };
        let both = [seal(console ^ 0x0100, &answer), seal(console, &elsewhere)];
        both.map(|bytes| Outgoing { bytes, after: self.faults.delay }).into()
    }
}

impl Active {
    /// The next session sequence number; 0 means "outside a session".
    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }
}
