//! Logins and sessions, the BMC's side (IPMI 2.0, 13.15 to 13.24).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::config::{BmcConfig, Faults, User};
use crate::wire::ipmi::{
    Keys, Suite, UserKey, Window,
    handshake::{Exchange, OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp34, code_matches, status},
};

/// A login that is not completed within this time is forgotten.
const HALF_OPEN: Duration = Duration::from_secs(10);

/// A session.
pub(super) struct Session {
    exchange: Exchange,
    password: UserKey,
    /// Highest level: asked for, and the user's.
    pub(super) highest: u8,
    /// Level in force; sessions begin at "user".
    pub(super) level: u8,
    pub(super) active: Option<Active>,
    touched: Instant,
}

/// What an active session has besides.
pub(super) struct Active {
    pub(super) keys: Keys,
    pub(super) window: Window,
    pub(super) sequence: u32,
}

impl Session {
    /// The console's id.
    pub(super) fn console(&self) -> u32 {
        self.exchange.console
    }
}

/// All sessions of a BMC.
#[derive(Default)]
pub(super) struct Sessions {
    open: HashMap<u32, Session>,
    next: u32,
}

/// What a login came to, for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    Completed,
    Refused,
    Neither,
}

impl Sessions {
    /// Forgets those without traffic.
    pub(super) fn expire(&mut self, idle: Duration, now: Instant) {
        self.open.retain(|_, session| {
            let limit = if session.active.is_some() { idle } else { HALF_OPEN };
            now.saturating_duration_since(session.touched) < limit
        });
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// An active session, touched.
    pub(super) fn active(&mut self, id: u32, now: Instant) -> Option<&mut Session> {
        let session = self.open.get_mut(&id).filter(|session| session.active.is_some())?;
        session.touched = now;
        Some(session)
    }

    pub(super) fn close(&mut self, id: u32) -> bool {
        self.open.remove(&id).is_some()
    }

    /// Open Session Request.
    pub(super) fn open(
        &mut self,
        config: &BmcConfig,
        faults: &Faults,
        request: &OpenRequest,
        now: Instant,
    ) -> OpenResponse {
        let refused = |status| OpenResponse::Refused { tag: request.tag, status, console: request.console };
        let suite = match Suite::from_algorithms(request.algorithms) {
            Ok(suite) if suite.id().is_some_and(|id| config.suites.contains(&id)) => suite,
            Ok(_) => return refused(status::NO_CIPHER_SUITE),
            Err(_) => return refused(status::BAD_AUTH_ALGORITHM),
        };
        if faults.table_full || self.open.len() >= config.max_sessions {
            return refused(status::NO_RESOURCES);
        }
        loop {
            self.next = self.next.wrapping_add(1);
            if self.next != 0 && !self.open.contains_key(&self.next) {
                break;
            }
        }
        let exchange = Exchange {
            suite,
            console: request.console,
            bmc: self.next,
            console_random: [0; 16],
            bmc_random: rand::random(),
            guid: config.guid,
            role: 0,
            user: Vec::new(),
        };
        let password = UserKey::default();
        self.open.insert(self.next, Session { exchange, password, highest: 0, level: 0, active: None, touched: now });
        OpenResponse::Opened {
            tag: request.tag,
            level: if request.level == 0 { 4 } else { request.level },
            console: request.console,
            bmc: self.next,
            algorithms: request.algorithms,
        }
    }

    /// RAKP 1. `None`: there is no such session, and nobody to answer to.
    pub(super) fn rakp1(&mut self, config: &BmcConfig, faults: &Faults, message: &Rakp1) -> Option<(Rakp2, Login)> {
        let session = self.open.get_mut(&message.bmc).filter(|session| session.active.is_none())?;
        let console = session.exchange.console;
        let refused =
            |status| Rakp2 { tag: message.tag, status, console, random: [0; 16], guid: [0; 16], code: Vec::new() };
        let asked = message.role & 0x0f;
        let Some(user) = find(config, &message.user) else {
            self.close(message.bmc);
            return Some((refused(status::UNAUTHORIZED_NAME), Login::Refused));
        };
        if asked > user.level {
            self.close(message.bmc);
            return Some((refused(status::UNAUTHORIZED_ROLE), Login::Refused));
        }
        session.highest = if asked == 0 { user.level } else { asked };
        session.level = session.highest.min(2);
        session.password = UserKey::new(user.password.expose().as_bytes());
        if faults.wrong_password {
            session.password = UserKey::new(&rand::random::<[u8; 20]>());
        }
        let exchange = &mut session.exchange;
        exchange.console_random = message.random;
        exchange.role = message.role;
        exchange.user.clone_from(&message.user);
        let answer = Rakp2 {
            tag: message.tag,
            status: status::OK,
            console,
            random: exchange.bmc_random,
            guid: exchange.guid,
            code: exchange.rakp2_code(&session.password).to_vec(),
        };
        Some((answer, Login::Neither))
    }

    /// RAKP 3. `None`: no answer.
    pub(super) fn rakp3(&mut self, config: &BmcConfig, message: &Rakp34, now: Instant) -> (Option<Rakp34>, Login) {
        let Some(session) = self.open.get_mut(&message.session) else { return (None, Login::Neither) };
        let console = session.exchange.console;
        if message.status != status::OK {
            // The console found RAKP 2 wanting: it has another password. There is no answer to that.
            if session.active.is_some() {
                return (None, Login::Neither);
            }
            self.close(message.session);
            return (None, Login::Refused);
        }
        let expected = session.exchange.rakp3_code(&session.password);
        if !code_matches(&expected, &message.code) {
            self.close(message.session);
            let code = Vec::new();
            let answer = Rakp34 { tag: message.tag, status: status::BAD_CHECK_VALUE, session: console, code };
            return (Some(answer), Login::Refused);
        }
        let kg = config.kg.as_ref().map(|kg| UserKey::new(kg.expose().as_bytes()));
        let sik = session.exchange.sik(kg.as_ref().unwrap_or(&session.password));
        let code = session.exchange.rakp4_check(&sik);
        let login = if session.active.is_some() { Login::Neither } else { Login::Completed };
        session.touched = now;
        if session.active.is_none() {
            let keys = session.exchange.keys(&sik);
            session.active = Some(Active { keys, window: Window::default(), sequence: 0 });
        }
        (Some(Rakp34 { tag: message.tag, status: status::OK, session: console, code }), login)
    }
}

fn find<'c>(config: &'c BmcConfig, name: &[u8]) -> Option<&'c User> {
    config.users.iter().find(|user| user.name.as_bytes() == name)
}
