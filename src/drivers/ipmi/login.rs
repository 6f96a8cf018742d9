//! Logging in: Open Session, RAKP 1 to 4, Set Session Privilege Level (IPMI 2.0, 13.15 to 13.24).
//!
//! Every attempt has a fresh message tag, and answers are matched by it: a refusal may come as two bytes without
//! a session id. Every proposal of a suite has a fresh socket. An ASF ping is never sent, and Get Channel
//! Authentication Capabilities is not needed for RMCP+.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{UdpSocket, lookup_host},
    time::{Instant, timeout_at},
};

use super::{
    faults::Failure,
    session::{DATAGRAM, Session},
    settings::IpmiSetup,
};
use crate::{
    model::{Fault, Why},
    wire::ipmi::{
        Malformed, Suite, Window,
        command::SetSessionPrivilegeLevel,
        handshake::{
            Exchange, OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp34, code_matches, role_byte, status, status_text,
        },
        rmcp::{self, Datagram, Payload},
    },
};

/// How often a message of the login is sent before the BMC counts as unreachable. A login has three round trips,
/// and the worker's retries would repeat them all. (The text of the fault says "twice".)
const ATTEMPTS: u8 = 2;
/// Privilege level "user".
const USER: u8 = 2;
/// How long a full session table is left alone: the shortest time in which one of its sessions may end by itself
/// is far longer, but other clients close theirs.
const NO_SESSION: Duration = Duration::from_secs(5);

/// Why a proposal of a suite failed.
enum Refusal {
    /// The BMC does not want this suite: another one may do.
    Suite(String),
    /// The login failed.
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Opens a session, with the first suite that the BMC takes.
pub(super) async fn login(setup: &IpmiSetup) -> Result<Session, Fault> {
    let address = resolve(setup).await?;
    let mut refusals = Vec::new();
    for (id, suite) in setup.proposals() {
        match propose(setup, address, suite).await {
            Ok(session) => {
                setup.agreed_on(id);
                return Ok(session);
            }
            Err(Refusal::Fault(fault)) => return Err(fault),
            Err(Refusal::Suite(reason)) => refusals.push(format!("suite {id}: {reason}")),
        }
    }
    Err(Fault::Refused(Why::Protocol(format!(
        "the BMC takes none of the cipher suites proposed ({})",
        refusals.join("; ")
    ))))
}

/// The BMC's address. Looked up at every login: a renumbered BMC is found without a restart.
async fn resolve(setup: &IpmiSetup) -> Result<SocketAddr, Fault> {
    let unknown = |reason: String| Fault::Unreachable(format!("host name {}: {reason}", setup.host));
    // Resolvers may take very long; a login may not.
    let deadline = Instant::now() + setup.timeout.max(Duration::from_secs(5));
    match timeout_at(deadline, lookup_host((setup.host.as_str(), setup.port))).await {
        Err(_) => Err(unknown("the resolver does not answer".to_owned())),
        Ok(Err(error)) => Err(unknown(error.to_string())),
        Ok(Ok(mut found)) => found.next().ok_or_else(|| unknown("has no address".to_owned())),
    }
}

async fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// The conversation of one login.
struct Talk<'s> {
    socket: UdpSocket,
    setup: &'s IpmiSetup,
    tag: u8,
}

impl Talk<'_> {
    /// Sends what `build` makes of a fresh tag until `read` finds its answer. `read` returns `None` for answers
    /// to something else.
    async fn ask<T>(
        &mut self,
        attempts: u8,
        kind: Payload,
        answer: Payload,
        build: impl Fn(u8) -> Vec<u8>,
        read: impl Fn(&[u8]) -> Result<(u8, T), Malformed>,
    ) -> Result<T, Fault> {
        let mut garbage = None;
        for _ in 0..attempts {
            self.tag = self.tag.wrapping_add(1);
            let packet = rmcp::encode_plus(kind, &build(self.tag));
            self.socket.send(&packet).await.map_err(|error| Fault::Unreachable(error.to_string()))?;
            let deadline = Instant::now() + self.setup.timeout;
            let mut buffer = [0; DATAGRAM];
            while let Ok(received) = timeout_at(deadline, self.socket.recv(&mut buffer)).await {
                let length = received.map_err(|error| Fault::Unreachable(error.to_string()))?;
                let datagram = buffer.get(..length).unwrap_or_default();
                let packet = match rmcp::decode(datagram) {
                    Ok(Datagram::Plus(packet)) if packet.payload_type == answer => packet,
                    Ok(_) => continue,
                    Err(error) => {
                        garbage = Some(error);
                        continue;
                    }
                };
                match read(packet.payload) {
                    Ok((tag, found)) if tag == self.tag => return Ok(found),
                    Ok(_) => {}
                    Err(error) => garbage = Some(error),
                }
            }
        }
        Err(match garbage {
            Some(error) => Fault::Garbage(error.to_string()),
            None => Fault::Unreachable(format!("no answer to a login within {:?}, asked twice", self.setup.timeout)),
        })
    }
}

/// Open Session. Every attempt comes from a fresh port: BMCs that tie sessions to the client's port are silent
/// for a while towards one that they have seen before.
async fn first_contact(setup: &IpmiSetup, address: SocketAddr, suite: Suite) -> Result<(Talk<'_>, Exchange), Refusal> {
    let mut attempt = 1;
    loop {
        let socket = connect(address).await.map_err(|error| Fault::NotSent(error.to_string()))?;
        let mut talk = Talk { socket, setup, tag: rand::random() };
        match open(&mut talk, suite).await {
            Ok(exchange) => return Ok((talk, exchange)),
            Err(Refusal::Fault(Fault::Unreachable(_) | Fault::Garbage(_))) if attempt < ATTEMPTS => attempt += 1,
            Err(refusal) => return Err(refusal),
        }
    }
}

/// Opens a session with `suite`.
async fn propose(setup: &IpmiSetup, address: SocketAddr, suite: Suite) -> Result<Session, Refusal> {
    let (mut talk, exchange) = first_contact(setup, address, suite).await?;
    let exchange = rakp1(&mut talk, exchange).await?;
    let sik = exchange.sik(setup.kg.as_ref().unwrap_or(&setup.password));
    rakp3(&mut talk, &exchange, &sik).await?;
    let mut session = Session {
        socket: talk.socket,
        keys: exchange.keys(&sik),
        console: exchange.console,
        bmc: exchange.bmc,
        timeout: setup.timeout,
        sequence: 0,
        window: Window::default(),
        request: 0,
        last_answer: Instant::now(),
        silences: 0,
        closed: false,
    };
    raise(&mut session, setup).await?;
    Ok(session)
}

/// Sessions begin at level user. Some BMCs take a login at any level and only refuse the level itself: then the
/// next lower one will do, and what needs more is refused by the BMC.
async fn raise(session: &mut Session, setup: &IpmiSetup) -> Result<(), Fault> {
    for level in (USER..=setup.level).rev() {
        match session.run_at(0, SetSessionPrivilegeLevel { level }, ATTEMPTS).await {
            Ok(_) if level == setup.level => return Ok(()),
            Ok(_) => {
                tracing::warn!(bmc = setup.host, wanted = setup.level, granted = level, "privilege level not granted");
                return Ok(());
            }
            Err(failure @ Failure::Code(_)) => tracing::debug!(?failure, level, "privilege level refused"),
            Err(failure) => return Err(failure.into_fault()),
        }
    }
    tracing::warn!(bmc = setup.host, wanted = setup.level, "no privilege level granted");
    Ok(())
}

async fn open(talk: &mut Talk<'_>, suite: Suite) -> Result<Exchange, Refusal> {
    let console: u32 = rand::random::<u32>().max(1);
    let algorithms = suite.algorithms();
    let level = talk.setup.level;
    let answer = talk
        .ask(
            1,
            Payload::OpenRequest,
            Payload::OpenResponse,
            |tag| OpenRequest { tag, level, console, algorithms }.encode(),
            |data| {
                let answer = OpenResponse::decode(data)?;
                let (OpenResponse::Opened { tag, .. } | OpenResponse::Refused { tag, .. }) = answer;
                Ok((tag, answer))
            },
        )
        .await?;
    match answer {
        OpenResponse::Refused { status, .. } => Err(refusal(status, talk.setup)),
        OpenResponse::Opened { console: echoed, .. } if echoed != console => {
            Err(Fault::Garbage("Open Session Response for another session".to_owned()).into())
        }
        OpenResponse::Opened { algorithms: chosen, .. } if chosen != algorithms => {
            let chosen = match Suite::from_algorithms(chosen).ok().and_then(Suite::id) {
                Some(id) => format!("suite {id}"),
                None => format!("algorithms {chosen:?}"),
            };
            Err(Refusal::Suite(format!("the BMC chose {chosen} instead")))
        }
        OpenResponse::Opened { bmc, .. } => Ok(Exchange {
            suite,
            console,
            bmc,
            console_random: rand::random(),
            bmc_random: [0; 16],
            guid: [0; 16],
            role: role_byte(level),
            user: talk.setup.user.as_bytes().to_vec(),
        }),
    }
}

async fn rakp1(talk: &mut Talk<'_>, mut exchange: Exchange) -> Result<Exchange, Refusal> {
    let (bmc, random, role, user) = (exchange.bmc, exchange.console_random, exchange.role, exchange.user.clone());
    let answer = talk
        .ask(
            ATTEMPTS,
            Payload::Rakp1,
            Payload::Rakp2,
            |tag| Rakp1 { tag, bmc, random, role, user: user.clone() }.encode(),
            |data| Rakp2::decode(data).map(|answer| (answer.tag, answer)),
        )
        .await?;
    if answer.status != status::OK {
        return Err(refusal(answer.status, talk.setup));
    }
    exchange.bmc_random = answer.random;
    exchange.guid = answer.guid;
    if !code_matches(&exchange.rakp2_code(&talk.setup.password), &answer.code) {
        // RAKP 3 with a status frees the BMC's session at once; there is no answer to it.
        talk.tag = talk.tag.wrapping_add(1);
        let goodbye = Rakp34 { tag: talk.tag, status: status::BAD_CHECK_VALUE, session: bmc, code: Vec::new() };
        let packet = rmcp::encode_plus(Payload::Rakp3, &goodbye.encode());
        if let Err(error) = talk.socket.send(&packet).await {
            tracing::trace!(%error, "RAKP 3");
        }
        return Err(credentials(talk.setup, "the password does not match the BMC's").into());
    }
    Ok(exchange)
}

async fn rakp3(talk: &mut Talk<'_>, exchange: &Exchange, sik: &[u8]) -> Result<(), Refusal> {
    let code = exchange.rakp3_code(&talk.setup.password);
    let session = exchange.bmc;
    let answer = talk
        .ask(
            ATTEMPTS,
            Payload::Rakp3,
            Payload::Rakp4,
            |tag| Rakp34 { tag, status: status::OK, session, code: code.to_vec() }.encode(),
            |data| Rakp34::decode(data).map(|answer| (answer.tag, answer)),
        )
        .await?;
    if answer.status != status::OK {
        return Err(refusal(answer.status, talk.setup));
    }
    if !code_matches(&exchange.rakp4_check(sik), &answer.code) {
        let words = if talk.setup.kg.is_some() {
            "the key K_g does not match the BMC's"
        } else {
            "the BMC's integrity check fails: is a key K_g set there?"
        };
        return Err(credentials(talk.setup, words).into());
    }
    Ok(())
}

fn credentials(setup: &IpmiSetup, reason: &str) -> Fault {
    Fault::Refused(Why::Credentials(format!("user {:?}: {reason}", setup.user)))
}

/// What a status code of the login means.
fn refusal(code: u8, setup: &IpmiSetup) -> Refusal {
    let text = format!("{} (RMCP+ status 0x{code:02x})", status_text(code));
    match code {
        status::NO_RESOURCES | status::NO_RESOURCES_AT_ROLE => {
            Fault::Busy { reason: format!("no session free: {text}"), retry_after: Some(NO_SESSION) }.into()
        }
        // "Illegal parameter" is how some BMCs say that they have never heard of an algorithm.
        0x03..=0x07 | 0x10 | 0x11 | status::ILLEGAL_PARAMETER => Refusal::Suite(text),
        status::BAD_ROLE | status::UNAUTHORIZED_ROLE => Fault::Refused(Why::Privilege(text)).into(),
        status::BAD_NAME_LENGTH | status::UNAUTHORIZED_NAME | 0x0e | status::BAD_CHECK_VALUE => {
            credentials(setup, &text).into()
        }
        status::BAD_SESSION_ID | status::INACTIVE_SESSION_ID => {
            Fault::Unreachable(format!("the BMC lost the login: {text}")).into()
        }
        _ => Fault::Refused(Why::Protocol(text)).into(),
    }
}
