//! One exchange with an agent: a request out, its answer in, or why there is none.
//!
//! Every exchange has a socket of its own: a late answer finds nobody, nothing is left in doubt when a future is
//! dropped, and a thousand idle PDUs hold no socket and no buffer. (The `snmp2` crate's session would hold 128 KiB,
//! has no time-out, and shows neither whose Report it got nor that a late answer was only late; so its parsers and
//! its version 3 security are used, and the few lines of UDP are here.)

use std::{
    fmt,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd,
    sync::Arc,
    time::Duration,
};

use nix::sys::socket::{MsgFlags, recv};
use tokio::{
    io::Interest,
    net::{UdpSocket, lookup_host},
    time::{Instant, timeout_at},
};

use super::{
    settings::{Access, Host, Settings},
    usm::{Report, Usm},
};
use crate::{
    model::{Fault, Why},
    wire::snmp::{Message, Oid, Pdu, PduKind, Peek, Value, Version, peek_v3, plain_v3},
};

/// Largest answer taken. Agents answer within the request's path MTU; 8 KiB is the largest that any is known to send.
const LARGEST_ANSWER: usize = 16 * 1024;

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    /// `error-status`
    pub status: u32,
    /// `error-index`, from 1
    pub index: usize,
    pub varbinds: Vec<(Oid, Value)>,
}

/// Whether the community for reading or the one for writing is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Read,
    Write,
}

/// A way to one agent.
pub(super) struct Session {
    settings: Arc<Settings>,
    address: Option<SocketAddr>,
    usm: Option<Usm>,
    next_id: i32,
}

/// How waiting for an answer ended without one.
enum Lost {
    /// Nobody listens there: the datagram was refused.
    Refused,
    /// Time is up; and what was heard that could not be read.
    Silence(Option<String>),
}

impl Session {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        let usm = match &settings.access {
            Access::User(user) => Some(Usm::new(user.clone())),
            Access::Community { .. } => None,
        };
        Self { settings, address: None, usm, next_id: rand::random_range(1..i32::MAX / 2) }
    }

    /// A session that has talked to its agent already.
    pub(super) fn for_fuzzing(settings: super::settings::Settings) -> Self {
        let mut session = Self::new(Arc::new(settings));
        if let Some(usm) = &mut session.usm {
            usm.learn_now(&Peek {
                message_id: 1,
                authenticated: true,
                engine_id: b"\x80\0\0\0\x01engine".to_vec(),
                engine_boots: 1,
                engine_time: 1,
                report: None,
            });
        }
        session
    }

    /// What [`Self::ask`] does with bytes that came; whatever comes of it is nobody's.
    pub(super) fn digest(&mut self, bytes: &[u8], request: &Pdu) {
        drop(self.understand(bytes, request));
    }

    /// Forgets what was learnt about the agent: address, engine, clock.
    pub(super) fn reset(&mut self) {
        self.address = None;
        if let Some(usm) = &mut self.usm {
            usm.forget();
        }
    }

    /// Sends one request and waits for its answer. Sends again only what the agent says it has not carried out
    /// (version 3: clock or engine changed), and that once.
    pub(super) async fn ask(&mut self, kind: PduKind, right: Right, what: Ask) -> Result<Reply, Fault> {
        let is_set = kind == PduKind::Set;
        let address = self.resolve().await?;
        let mut pdu = Pdu { error_index: what.repetitions, ..Pdu::request(kind, 0, what.varbinds) };
        for attempt in 0..2 {
            if self.usm.as_ref().is_some_and(Usm::is_lost) {
                self.discover(address).await?;
            }
            pdu.request_id = self.id();
            let bytes = self.seal(right, &pdu)?;
            let socket = open_socket(address).await?;
            socket.send(&bytes).await.map_err(|e| self.send_failed(&e))?;
            let deadline = Instant::now() + self.settings.timeout;
            match self.answer(&socket, deadline, &pdu).await {
                Ok(Answer::Reply(reply)) => return Ok(reply),
                Ok(Answer::Resync) if attempt == 0 => {
                    if let Some(usm) = &mut self.usm {
                        usm.forget();
                    }
                }
                Ok(Answer::Resync) => {
                    return Err(Fault::Refused(Why::Protocol(
                        "the agent does not accept its own clock and engine id".to_owned(),
                    )));
                }
                Ok(Answer::No(fault)) => return Err(fault),
                Err(lost) => return Err(self.lost(lost, is_set)),
            }
        }
        Err(Fault::Unreachable(format!("no answer from {}", self.settings)))
    }

    fn id(&mut self) -> i32 {
        self.next_id = if self.next_id >= i32::MAX - 1 { 1 } else { self.next_id + 1 };
        self.next_id
    }

    async fn resolve(&mut self) -> Result<SocketAddr, Fault> {
        if let Some(address) = self.address {
            return Ok(address);
        }
        let address = match &self.settings.host {
            Host::Ip(ip) => SocketAddr::new(*ip, self.settings.port),
            Host::Name(name) => {
                // The resolver has no time-out that we could trust.
                let lookup = lookup_host((name.as_str(), self.settings.port));
                let failed = |why: &dyn fmt::Display| {
                    Fault::Unreachable(format!("the name {name} does not resolve ({why}): check `address` and DNS"))
                };
                let found = tokio::time::timeout(self.settings.timeout.max(Duration::from_secs(5)), lookup).await;
                let mut found = found.map_err(|_| failed(&"no answer"))?.map_err(|e| failed(&e))?;
                found.next().ok_or_else(|| failed(&"no address"))?
            }
        };
        self.address = Some(address);
        Ok(address)
    }

    fn seal(&mut self, right: Right, pdu: &Pdu) -> Result<Vec<u8>, Fault> {
        match (&self.settings.access, &mut self.usm) {
            (_, Some(usm)) => usm.seal(pdu),
            (Access::Community { version, read, write }, None) => {
                let community = match right {
                    Right::Read => read,
                    Right::Write => write,
                };
                Ok(Message::encode_parts(*version, community.expose().as_bytes(), pdu))
            }
            (Access::User(_), None) => Err(Fault::NotSent("no version 3 security".to_owned())),
        }
    }

    /// Finds out the engine's id and clock (RFC 3414, section 4).
    async fn discover(&mut self, address: SocketAddr) -> Result<(), Fault> {
        let id = self.id();
        let socket = open_socket(address).await?;
        let request = plain_v3(&[], &[], &Pdu::request(PduKind::Get, id, Vec::new()));
        socket.send(&request).await.map_err(|e| self.send_failed(&e))?;
        let deadline = Instant::now() + self.settings.timeout;
        let mut heard = None;
        loop {
            let bytes = receive(&socket, deadline, &mut heard).await.map_err(|lost| self.lost(lost, false))?;
            match peek_v3(&bytes) {
                Ok(peek) if peek.message_id == id && peek.report.is_some() => {
                    let Some(usm) = &mut self.usm else { return Ok(()) };
                    return usm.learn(&peek).await;
                }
                Ok(_) => {}
                Err(e) => heard = Some(e.to_string()),
            }
        }
    }

    /// Waits for the answer to `request`. Answers to other requests and bytes that make no sense do not end the
    /// waiting: anybody can send those.
    async fn answer(&mut self, socket: &UdpSocket, deadline: Instant, request: &Pdu) -> Result<Answer, Lost> {
        let mut heard = None;
        loop {
            let bytes = receive(socket, deadline, &mut heard).await?;
            match self.understand(&bytes, request) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(why) => heard = Some(why),
            }
        }
    }

    /// `None`: it belongs to another request.
    fn understand(&mut self, bytes: &[u8], request: &Pdu) -> Result<Option<Answer>, String> {
        let Some(usm) = &mut self.usm else {
            let pdu = snmp2::Pdu::from_bytes(bytes).map_err(|e| e.to_string())?;
            return reply(&pdu, request);
        };
        let peek = peek_v3(bytes).map_err(|e| e.to_string())?;
        if peek.message_id != request.request_id {
            return Ok(None);
        }
        if let Some(counter) = &peek.report {
            return Ok(Some(match usm.report(counter) {
                Report::Resync => Answer::Resync,
                Report::Refused(fault) => Answer::No(fault),
            }));
        }
        usm.open(bytes, &peek, |pdu| reply(pdu, request)).map_err(|e| e.to_string())?
    }

    fn send_failed(&self, error: &std::io::Error) -> Fault {
        Fault::NotSent(format!("{}: {error}", self.settings))
    }

    fn lost(&self, lost: Lost, is_set: bool) -> Fault {
        let place = &*self.settings;
        match lost {
            Lost::Refused => {
                Fault::Unreachable(format!("{place}: no SNMP agent there (port unreachable); check address and port"))
            }
            Lost::Silence(heard) => {
                let time = place.timeout;
                let heard = heard.map(|what| format!("; what came could not be read ({what})")).unwrap_or_default();
                match (is_set, heard.is_empty()) {
                    (true, _) => Fault::Uncertain(format!("{place} did not answer a SET within {time:?}{heard}")),
                    (false, false) => Fault::Garbage(format!("{place}: no usable answer within {time:?}{heard}")),
                    (false, true) => {
                        let cause = match place.version() {
                            Version::V3 => "a wrong `priv_key`",
                            Version::V1 | Version::V2c => "a wrong `community` or `version`",
                        };
                        Fault::Unreachable(format!(
                            "{place} did not answer within {time:?}: switched off, not reachable, or {cause} \
                             (agents meet those with silence)"
                        ))
                    }
                }
            }
        }
    }
}

/// What to ask for.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask {
    pub varbinds: Vec<(Oid, Value)>,
    /// `max-repetitions` of a GETBULK.
    pub repetitions: u32,
}

impl Ask {
    pub(super) fn about<'o>(oids: impl IntoIterator<Item = &'o Oid>) -> Self {
        Self { varbinds: oids.into_iter().map(|oid| (oid.clone(), Value::Null)).collect(), repetitions: 0 }
    }
}

enum Answer {
    Reply(Reply),
    Resync,
    No(Fault),
}

fn reply(pdu: &snmp2::Pdu<'_>, request: &Pdu) -> Result<Option<Answer>, String> {
    if pdu.req_id != request.request_id {
        return Ok(None);
    }
    if pdu.message_type != snmp2::MessageType::Response {
        return Err(format!("a {:?} where a response belongs", pdu.message_type));
    }
    let varbinds: Option<Vec<_>> = pdu.varbinds.clone().map(|(oid, v)| Some((owned_oid(&oid)?, owned(&v)?))).collect();
    let varbinds = varbinds.ok_or("a variable of an unknown kind")?;
    // The crate's list ends silently where it can't read on. Error answers of some agents leave the list out.
    let expected = if request.kind == PduKind::GetBulk { 0 } else { request.varbinds.len() };
    if pdu.error_status == 0 && varbinds.len() < expected {
        return Err(format!("{} of {expected} variables are readable", varbinds.len()));
    }
    let index = usize::try_from(pdu.error_index).unwrap_or(0);
    Ok(Some(Answer::Reply(Reply { status: pdu.error_status, index, varbinds })))
}

fn owned_oid(oid: &snmp2::Oid<'_>) -> Option<Oid> {
    let parts: Option<Vec<u32>> = oid.iter()?.map(|part| u32::try_from(part).ok()).collect();
    Oid::new(&parts?).ok()
}

fn owned(value: &snmp2::Value<'_>) -> Option<Value> {
    Some(match value {
        snmp2::Value::Null => Value::Null,
        snmp2::Value::Integer(n) => Value::Integer(*n),
        snmp2::Value::OctetString(octets) => Value::OctetString(octets.to_vec()),
        snmp2::Value::ObjectIdentifier(oid) => owned_oid(oid).map_or(Value::Null, Value::ObjectId),
        snmp2::Value::IpAddress(octets) => Value::IpAddress(*octets),
        snmp2::Value::Counter32(n) => Value::Counter32(*n),
        snmp2::Value::Unsigned32(n) => Value::Gauge32(*n),
        snmp2::Value::Timeticks(n) => Value::TimeTicks(*n),
        snmp2::Value::Opaque(octets) => Value::Opaque(octets.to_vec()),
        snmp2::Value::Counter64(n) => Value::Counter64(*n),
        snmp2::Value::NoSuchObject => Value::NoSuchObject,
        snmp2::Value::NoSuchInstance => Value::NoSuchInstance,
        snmp2::Value::EndOfMibView => Value::EndOfMibView,
        _ => return None,
    })
}

async fn open_socket(address: SocketAddr) -> Result<UdpSocket, Fault> {
    let any = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let failed = |e: std::io::Error| Fault::NotSent(format!("no socket to {address}: {e}"));
    let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
    // Connected: only this agent's datagrams arrive, and a refused port is told at once.
    socket.connect(address).await.map_err(failed)?;
    Ok(socket)
}

async fn receive(socket: &UdpSocket, deadline: Instant, heard: &mut Option<String>) -> Result<Vec<u8>, Lost> {
    loop {
        // A refused datagram shows as an error alone, not as something to read. Nothing is allocated while a dead
        // device is waited for.
        let ready = match timeout_at(deadline, socket.ready(Interest::READABLE | Interest::ERROR)).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(_)) => return Err(Lost::Refused),
            Err(_) => return Err(Lost::Silence(heard.take())),
        };
        // One kind at a time: `try_io` clears nothing when given a sum of kinds.
        let kind = if ready.is_readable() { Interest::READABLE } else { Interest::ERROR };
        let mut buffer = vec![0; LARGEST_ANSWER];
        let take = || Ok(recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)?);
        match socket.try_io(kind, take) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Err(Lost::Refused),
        }
    }
}
