//! Version 3: who the agent's engine is, what time it has there, and messages sealed for it (RFC 3414).
//!
//! The cryptography is the `snmp2` crate's. Around it, this keeps the localised keys between exchanges (making them
//! hashes a megabyte twice) and the engine's clock running, and reads Reports, which say what is wrong.

use std::time::Instant;

use snmp2::v3::{Auth, Security};

use super::settings::User;
use crate::{
    model::{Fault, Why},
    wire::snmp::{Oid, Pdu, Peek, plain_v3},
};

/// `usmStats` (RFC 3414, section 5): counters that a Report names.
const USM_STATS: [u32; 9] = [1, 3, 6, 1, 6, 3, 15, 1, 1];

/// What a Report asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    /// The engine's identity or clock is not what we think: learn them and ask again, once.
    Resync,
    /// It will not talk to us.
    Refused(Fault),
}

/// A user at one engine.
pub(super) struct Usm {
    user: User,
    engine: Option<Engine>,
}

struct Engine {
    security: Security,
    boots: u32,
    time: u32,
    at: Instant,
}

impl Usm {
    pub(super) fn new(user: User) -> Self {
        Self { user, engine: None }
    }

    /// Whether the engine has yet to be discovered.
    pub(super) fn is_lost(&self) -> bool {
        self.engine.is_none()
    }

    /// Forgets the engine.
    pub(super) fn forget(&mut self) {
        self.engine = None;
    }

    /// Takes the engine from its answer to a discovery. Makes the localised keys: some milliseconds of computing, so
    /// it runs on a thread for that.
    pub(super) async fn learn(&mut self, peek: &Peek) -> Result<(), Fault> {
        if peek.engine_id.is_empty() {
            return Err(Fault::Garbage("the SNMP engine does not tell its id".to_owned()));
        }
        let user = self.user.clone();
        let id = peek.engine_id.clone();
        let keyed = tokio::task::spawn_blocking(move || secure(&user).with_engine_id(&id)).await;
        let security = keyed
            .map_err(|e| Fault::NotSent(format!("the keys could not be made: {e}")))?
            .map_err(|e| Fault::Refused(Why::Protocol(format!("the keys could not be made: {e}"))))?;
        self.engine = Some(Engine { security, boots: peek.engine_boots, time: peek.engine_time, at: Instant::now() });
        Ok(())
    }

    /// As [`Self::learn`], on the spot and without a word.
    pub(super) fn learn_now(&mut self, peek: &Peek) {
        self.engine = secure(&self.user).with_engine_id(&peek.engine_id).ok().map(|security| Engine {
            security,
            boots: peek.engine_boots,
            time: peek.engine_time,
            at: Instant::now(),
        });
    }

    /// `pdu` as a message for the engine.
    pub(super) fn seal(&mut self, pdu: &Pdu) -> Result<Vec<u8>, Fault> {
        let failed = |e: snmp2::Error| Fault::NotSent(format!("the request could not be secured: {e}"));
        let engine = self.engine.as_mut().ok_or_else(|| Fault::NotSent("the SNMP engine is not known".to_owned()))?;
        // The crate does not advance the clock by itself, and 150 s behind is out of the agent's time window.
        let elapsed = u32::try_from(engine.at.elapsed().as_secs()).unwrap_or(u32::MAX);
        let time = engine.time.saturating_add(elapsed).min(0x7fff_ffff);
        let now = engine.security.clone().with_engine_boots_and_time(i64::from(engine.boots), i64::from(time));
        engine.security = now;
        // The crate secures what it has parsed: the request goes through it in the clear.
        let id = engine.security.engine_id().to_vec();
        let mut carrier = Security::new(b"", b"").with_auth(Auth::NoAuthNoPriv).with_engine_id(&id).map_err(failed)?;
        let plain = plain_v3(&id, self.user.context.as_bytes(), pdu);
        let parsed = snmp2::Pdu::from_bytes_with_security(&plain, Some(&mut carrier)).map_err(failed)?;
        parsed.to_bytes_with_security(Some(&engine.security)).map_err(failed)
    }

    /// Opens a message from the engine and hands the PDU to `read`. `peek` has to be of the same bytes.
    pub(super) fn open<T>(
        &mut self,
        bytes: &[u8],
        peek: &Peek,
        read: impl Fn(&snmp2::Pdu<'_>) -> T,
    ) -> Result<T, snmp2::Error> {
        let Some(engine) = self.engine.as_mut() else {
            return Err(snmp2::Error::AuthFailure(snmp2::v3::AuthErrorKind::SecurityNotReady));
        };
        // "Updated" means: the clock was taken over, read again. The crate blanks the digest in the bytes it has
        // read, so each attempt has a copy. A changed clock is no reason to send a request again.
        let mut result = Err(snmp2::Error::AuthUpdated);
        for _ in 0..2 {
            let copy = bytes.to_vec();
            let opened = snmp2::Pdu::from_bytes_with_security(&copy, Some(&mut engine.security));
            result = opened.map(|pdu| read(&pdu));
            if !matches!(result, Err(snmp2::Error::AuthUpdated)) {
                break;
            }
        }
        if result.is_ok() && peek.authenticated {
            (engine.boots, engine.time, engine.at) = (peek.engine_boots, peek.engine_time, Instant::now());
        }
        result
    }

    /// What to make of a Report.
    pub(super) fn report(&self, counter: &Oid) -> Report {
        let number = counter.parts().strip_prefix(&USM_STATS).and_then(|tail| tail.first());
        let user = &self.user.name;
        let refused = |why: String| Report::Refused(Fault::Refused(Why::Credentials(why)));
        match number {
            Some(1) => refused(format!(
                "the agent does not let user {user:?} speak {} (unsupported security level)",
                match (&self.user.auth, &self.user.privacy) {
                    (_, Some(_)) => "with authentication and privacy",
                    (Some(_), None) => "with authentication and without privacy",
                    (None, None) => "without authentication",
                }
            )),
            Some(2 | 4) => Report::Resync,
            Some(3) => refused(format!("the agent knows no user {user:?}")),
            Some(5) => refused(format!("`auth_key` or `auth_protocol` of user {user:?} is wrong")),
            Some(6) => refused(format!("`priv_key` or `priv_protocol` of user {user:?} is wrong")),
            _ => Report::Refused(Fault::Refused(Why::Rejected(format!("the agent reports {counter}")))),
        }
    }
}

fn secure(user: &User) -> Security {
    let (protocol, key) = match &user.auth {
        Some((protocol, key)) => (*protocol, key.expose()),
        None => (snmp2::v3::AuthProtocol::Sha1, ""),
    };
    let auth = match (&user.auth, &user.privacy) {
        (Some(_), Some((cipher, key))) => {
            Auth::AuthPriv { cipher: *cipher, privacy_password: key.expose().as_bytes().to_vec() }
        }
        (Some(_), None) => Auth::AuthNoPriv,
        (None, _) => Auth::NoAuthNoPriv,
    };
    Security::new(user.name.as_bytes(), key.as_bytes())
        .with_auth(auth)
        .with_auth_protocol(protocol)
        .with_context_name(&user.context)
        .with_key_extension_method(user.extension)
}
