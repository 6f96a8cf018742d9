//! An open session: one exchange at a time, answers matched to their request.
//!
//! A session owns one connected UDP socket and is thrown away with it: BMCs that tie a session to the client's
//! port (pyghmi's) work, and ICMP errors arrive at once.

use std::time::Duration;

use ipmi_rs_core::connection::{IpmiCommand, Message};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

use super::faults::Failure;
use crate::wire::ipmi::{
    Keys, Malformed, Window,
    command::CloseSession,
    lan::LanMessage,
    rmcp::{self, Datagram, Payload},
    session,
};

/// Sessions die after 60 s ± 3 s without traffic (IPMI 2.0, 6.12.15): one that was idle for longer than this is
/// not trusted any more.
pub(super) const IDLE: Duration = Duration::from_secs(50);
/// Largest datagram looked at. LAN messages have at most 272 bytes.
pub(super) const DATAGRAM: usize = 1024;
/// So many exchanges in a row without an answer, and the session counts as lost.
const SILENCES: u8 = 2;

/// An open session.
pub(super) struct Session {
    pub(super) socket: UdpSocket,
    pub(super) keys: Keys,
    /// Our id: in packets to us.
    pub(super) console: u32,
    /// The BMC's id: in packets to it.
    pub(super) bmc: u32,
    pub(super) timeout: Duration,
    pub(super) sequence: u32,
    pub(super) window: Window,
    pub(super) request: u8,
    pub(super) last_answer: Instant,
    pub(super) silences: u8,
    pub(super) closed: bool,
}

impl Session {
    /// Whether it can't be relied on any more.
    pub(super) fn is_stale(&self) -> bool {
        self.closed || self.silences >= SILENCES || self.last_answer.elapsed() >= IDLE
    }

    /// Whether there is reason to doubt that the BMC still knows it.
    pub(super) fn is_doubtful(&self) -> bool {
        self.closed || self.silences > 0
    }

    /// Sends `command` once and reads its answer.
    pub(super) async fn run<C>(&mut self, command: C) -> Result<C::Output, Failure>
    where
        C: IpmiCommand<Error = Malformed>,
    {
        self.run_at(0, command, 1).await
    }

    /// Sends `command` to `lun`, at most `attempts` times, and reads its answer. More than one attempt is only
    /// for what may be carried out twice.
    pub(super) async fn run_at<C>(&mut self, lun: u8, command: C, attempts: u8) -> Result<C::Output, Failure>
    where
        C: IpmiCommand<Error = Malformed>,
    {
        let message: Message = command.into();
        let data = self.exchange(lun, &message, attempts).await?;
        match data.split_first() {
            Some((0, data)) => Ok(C::parse_success_response(data)?),
            Some((code, _)) => Err(Failure::Code(*code)),
            None => Err(Failure::Malformed(Malformed::Short { what: "completion code", missing: 1 })),
        }
    }

    /// The answer's data, completion code first. Retransmissions have a new session sequence number and the same
    /// request sequence.
    async fn exchange(&mut self, lun: u8, message: &Message, attempts: u8) -> Result<Vec<u8>, Failure> {
        self.request = self.request.wrapping_add(1) & 0x3f;
        let request = LanMessage::request(message.netfn_raw(), lun, self.request, message.cmd(), message.data());
        for _ in 0..attempts {
            self.send(&request).await?;
            if let Some(data) = self.receive(&request).await? {
                self.silences = 0;
                self.last_answer = Instant::now();
                return Ok(data);
            }
        }
        self.silences = self.silences.saturating_add(1);
        Err(Failure::Silence(self.timeout))
    }

    fn packet(&mut self, request: &LanMessage<'_>) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1).max(1); // 0 means "outside a session"
        session::seal(&self.keys, self.bmc, self.sequence, Payload::Ipmi, &request.encode(), rand::random())
    }

    async fn send(&mut self, request: &LanMessage<'_>) -> Result<(), Failure> {
        let packet = self.packet(request);
        // An error that is waiting here is about an earlier packet; `send` then reports it and sends nothing (udp(7)).
        self.socket.send(&packet).await.map(drop).map_err(|error| {
            self.silences = SILENCES;
            Failure::NotSent(error.to_string())
        })
    }

    /// Waits for the answer to `request`; `None`: it did not come in time. Everything else that comes is dropped:
    /// late answers, duplicates, strangers, garbage.
    async fn receive(&mut self, request: &LanMessage<'_>) -> Result<Option<Vec<u8>>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut buffer = [0; DATAGRAM];
        loop {
            match timeout_at(deadline, self.socket.recv(&mut buffer)).await {
                Err(_) => return Ok(None),
                Ok(Err(error)) => {
                    self.silences = SILENCES;
                    return Err(Failure::Gone(error.to_string()));
                }
                Ok(Ok(length)) => {
                    let datagram = buffer.get(..length).unwrap_or_default();
                    match self.take(datagram, request) {
                        Ok(Some(data)) => return Ok(Some(data)),
                        Ok(None) => tracing::trace!("skipped an answer to another request"),
                        Err(error) => tracing::debug!(%error, "skipped a packet"),
                    }
                }
            }
        }
    }

    fn take(&mut self, datagram: &[u8], request: &LanMessage<'_>) -> Result<Option<Vec<u8>>, Malformed> {
        let Datagram::Plus(packet) = rmcp::decode(datagram)? else { return Ok(None) };
        if packet.session != self.console || packet.payload_type != Payload::Ipmi {
            return Ok(None);
        }
        let payload = session::open(&self.keys, &packet)?;
        if !self.window.accept(packet.sequence) {
            return Ok(None);
        }
        let message = LanMessage::decode(&payload)?;
        Ok(message.answers(request).then(|| message.data.to_vec()))
    }

    /// Ends the session on the BMC. Waits for its answer at most one time-out.
    pub(super) async fn close(mut self) {
        if self.closed {
            return;
        }
        let command = CloseSession { session: self.bmc };
        if let Err(failure) = self.run(command).await {
            tracing::debug!(?failure, "close session");
        }
        self.closed = true;
    }

    /// Ends the session without waiting: for one that is in doubt.
    pub(super) fn abandon(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        let message: Message = CloseSession { session: self.bmc }.into();
        let data = message.data().to_vec();
        self.request = self.request.wrapping_add(1) & 0x3f;
        let request = LanMessage::request(message.netfn_raw(), 0, self.request, message.cmd(), &data);
        let packet = self.packet(&request);
        // A socket buffer has room for one packet, and if not, the BMC forgets the session by itself.
        if let Err(error) = self.socket.try_send(&packet) {
            tracing::trace!(%error, "close session");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.abandon();
    }
}
