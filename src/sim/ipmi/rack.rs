//! Sockets for simulated BMCs.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use tokio::{
    net::UdpSocket,
    task::JoinHandle,
    time::{Duration, sleep},
};

use super::{Bmc, BmcConfig, Outgoing, pktinfo::LoopbackSocket};

/// Largest datagram looked at.
const DATAGRAM: usize = 2048;
/// After an error of the socket, so that a lasting one does not keep a core busy.
const AFTER_ERROR: Duration = Duration::from_millis(10);

type Members = Arc<RwLock<HashMap<Ipv4Addr, Bmc>>>;

/// Many BMCs behind one socket, each with a loopback address of its own. Ends when it is dropped.
pub struct Rack {
    members: Members,
    port: u16,
    task: JoinHandle<()>,
}

impl Rack {
    /// An empty rack on `port` of every loopback address; 0: any free port.
    pub fn start(port: u16) -> io::Result<Self> {
        let socket = Arc::new(LoopbackSocket::bind(port)?);
        let port = socket.port()?;
        let members = Members::default();
        let task = tokio::spawn(serve_rack(socket, Arc::clone(&members)));
        Ok(Self { members, port, task })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Puts a BMC at `address`, in place of the one that was there. Addresses outside 127.0.0.0/8 are never
    /// reached.
    pub fn add(&self, address: Ipv4Addr, config: BmcConfig) -> Bmc {
        let bmc = Bmc::new(config);
        self.members.write().unwrap_or_else(PoisonError::into_inner).insert(address, bmc.clone());
        bmc
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve_rack(socket: Arc<LoopbackSocket>, members: Members) {
    let mut buffer = [0; DATAGRAM];
    loop {
        let (length, peer, local) = match socket.receive(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "simulated BMCs: receive");
                sleep(AFTER_ERROR).await;
                continue;
            }
        };
        let bmc = members.read().unwrap_or_else(PoisonError::into_inner).get(&local).cloned();
        let Some(bmc) = bmc else { continue };
        let datagram = buffer.get(..length).unwrap_or_default();
        for Outgoing { bytes, after } in bmc.receive(datagram, peer.into(), Instant::now()) {
            let socket = Arc::clone(&socket);
            let send = async move {
                if let Err(error) = socket.send(&bytes, local, peer).await {
                    tracing::debug!(%error, "simulated BMC: send");
                }
            };
            if after.is_zero() {
                send.await;
            } else {
                tokio::spawn(async move {
                    sleep(after).await;
                    send.await;
                });
            }
        }
    }
}

/// One BMC on a socket of its own. Ends when it is dropped.
pub struct Served {
    /// The BMC.
    pub bmc: Bmc,
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    /// A BMC at `address`; port 0: any free one.
    pub async fn start(address: SocketAddr, config: BmcConfig) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(address).await?);
        let address = socket.local_addr()?;
        let bmc = Bmc::new(config);
        let task = tokio::spawn(serve_one(socket, bmc.clone()));
        Ok(Self { bmc, address, task })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve_one(socket: Arc<UdpSocket>, bmc: Bmc) {
    let mut buffer = [0; DATAGRAM];
    loop {
        let (length, peer) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "simulated BMC: receive");
                sleep(AFTER_ERROR).await;
                continue;
            }
        };
        let datagram = buffer.get(..length).unwrap_or_default();
        for Outgoing { bytes, after } in bmc.receive(datagram, peer, Instant::now()) {
            let socket = Arc::clone(&socket);
            let send = async move {
                if let Err(error) = socket.send_to(&bytes, peer).await {
                    tracing::debug!(%error, "simulated BMC: send");
                }
            };
            if after.is_zero() {
                send.await;
            } else {
                tokio::spawn(async move {
                    sleep(after).await;
                    send.await;
                });
            }
        }
    }
}
