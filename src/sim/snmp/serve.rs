//! Many simulated PDUs behind one socket.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Arc, PoisonError, RwLock},
};

use tokio::task::JoinHandle;

use super::SimPdu;
use crate::sim::net::LoopbackSocket;

/// Simulated PDUs by address, all on one port. Dropping it ends them.
#[derive(Debug)]
pub struct Agents {
    socket: Arc<LoopbackSocket>,
    pdus: Arc<RwLock<HashMap<Ipv4Addr, SimPdu>>>,
    task: JoinHandle<()>,
}

impl Agents {
    /// Takes `port` (0: any free one) on all of 127.0.0.0/8. An address without a PDU is silent.
    pub fn bind(port: u16) -> io::Result<Self> {
        LoopbackSocket::bind(port).map(Self::start)
    }

    /// One PDU at one address, beside other sockets of that port.
    pub fn single(address: SocketAddrV4, pdu: SimPdu) -> io::Result<Self> {
        let agents = Self::start(LoopbackSocket::bind_at(address)?);
        agents.add(*address.ip(), pdu);
        Ok(agents)
    }

    fn start(socket: LoopbackSocket) -> Self {
        let socket = Arc::new(socket);
        let pdus = Arc::new(RwLock::new(HashMap::new()));
        let task = tokio::spawn(serve(Arc::clone(&socket), Arc::clone(&pdus)));
        Self { socket, pdus, task }
    }

    /// The port they answer on.
    pub fn port(&self) -> u16 {
        self.socket.port()
    }

    /// Puts a PDU at `address`, in place of what was there.
    pub fn add(&self, address: Ipv4Addr, pdu: SimPdu) {
        self.pdus.write().unwrap_or_else(PoisonError::into_inner).insert(address, pdu);
    }

    /// The PDU at `address`.
    pub fn get(&self, address: Ipv4Addr) -> Option<SimPdu> {
        self.pdus.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: Arc<LoopbackSocket>, pdus: Arc<RwLock<HashMap<Ipv4Addr, SimPdu>>>) {
    loop {
        let (bytes, local, peer) = match socket.recv().await {
            Ok(datagram) => datagram,
            Err(error) => {
                // Loopback has no errors but those of a peer that is gone; a pause keeps any other from spinning.
                tracing::debug!(%error, "simulated PDUs");
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                continue;
            }
        };
        let pdu = pdus.read().unwrap_or_else(PoisonError::into_inner).get(&local).cloned();
        let Some(pdu) = pdu else { continue };
        let answers = pdu.receive(&bytes);
        if answers.datagrams.is_empty() {
            continue;
        }
        if answers.delay.is_zero() {
            send(&socket, &answers.datagrams, local, peer).await;
        } else {
            let socket = Arc::clone(&socket);
            tokio::spawn(async move {
                tokio::time::sleep(answers.delay).await;
                send(&socket, &answers.datagrams, local, peer).await;
            });
        }
    }
}

async fn send(socket: &LoopbackSocket, datagrams: &[Vec<u8>], from: Ipv4Addr, to: std::net::SocketAddr) {
    for datagram in datagrams {
        // Whoever asked may be gone: an agent does not notice.
        drop(socket.send(datagram, from, to).await);
    }
}
