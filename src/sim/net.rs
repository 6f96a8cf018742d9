//! One UDP socket that is many simulated devices: each has its own address in 127.0.0.0/8 and they share a port.
//!
//! A wildcard socket, bound to the device `lo`, learns the address a datagram was sent to from `IP_PKTINFO` (ip(7))
//! and answers from that address, so ten thousand devices cost one file descriptor. It holds no protocol.

use std::{
    ffi::OsString,
    io::{self, IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::AsRawFd,
};

use nix::{
    libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
        sockopt::{BindToDevice, Ipv4PacketInfo},
    },
};
use tokio::{io::Interest, net::UdpSocket};

/// Largest payload of a UDP datagram over IPv4.
const MAX_DATAGRAM: usize = 65_507;
/// Room in the kernel for bursts of thousands of polls; the kernel caps it at `net.core.rmem_max`.
const RECEIVE_BUFFER: usize = 8 << 20;

/// A datagram: its bytes, the local address it was sent to, and who sent it.
pub type Datagram = (Vec<u8>, Ipv4Addr, SocketAddr);

/// A UDP socket for simulated devices on the loopback device. Never reachable from another machine.
#[derive(Debug)]
pub struct LoopbackSocket {
    socket: UdpSocket,
    port: u16,
}

impl LoopbackSocket {
    /// Takes `port` (0: any free one) on every address of 127.0.0.0/8.
    ///
    /// Fails when the port is taken, or when the system has no device `lo` or does not let us bind to it.
    pub fn bind(port: u16) -> io::Result<Self> {
        Self::new(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))
    }

    /// Takes exactly `address`, which has to lie in 127.0.0.0/8: a single device beside other programs' sockets.
    pub fn bind_at(address: SocketAddrV4) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let why = format!("{address}: simulators listen on 127.0.0.0/8 only");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Self::new(address)
    }

    fn new(address: SocketAddrV4) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Best effort: the limit is the machine's.
        drop(socket.set_recv_buffer_size(RECEIVE_BUFFER));
        setsockopt(&socket, BindToDevice, &OsString::from("lo"))?;
        setsockopt(&socket, Ipv4PacketInfo, &true)?;
        socket.bind(&SocketAddr::V4(address).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let port = socket.local_addr()?.port();
        Ok(Self { socket, port })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next datagram. Cancel safe.
    pub async fn recv(&self) -> io::Result<Datagram> {
        // One extra byte would only matter for jumbograms, which the loopback device does not make.
        let mut bytes = vec![0u8; MAX_DATAGRAM];
        let (length, local, peer) =
            self.socket.async_io(Interest::READABLE, || receive(self.socket.as_raw_fd(), &mut bytes)).await?;
        bytes.truncate(length);
        bytes.shrink_to_fit();
        Ok((bytes, local, peer))
    }

    /// Sends `bytes` as the device at `from` (an address of 127.0.0.0/8) to `to`.
    pub async fn send(&self, bytes: &[u8], from: Ipv4Addr, to: SocketAddr) -> io::Result<()> {
        let SocketAddr::V4(to) = to else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "simulated devices speak IPv4"));
        };
        let to = SockaddrIn::from(to);
        let info = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        self.socket
            .async_io(Interest::WRITABLE, || {
                let parts = [IoSlice::new(bytes)];
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmsg(self.socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), Some(&to))?;
                Ok(())
            })
            .await
    }
}

fn receive(fd: i32, bytes: &mut [u8]) -> io::Result<(usize, Ipv4Addr, SocketAddr)> {
    let mut control = nix::cmsg_space!(libc::in_pktinfo);
    let mut parts = [IoSliceMut::new(bytes)];
    let message = recvmsg::<SockaddrIn>(fd, &mut parts, Some(&mut control), MsgFlags::empty())?;
    let peer = message.address.ok_or_else(|| io::Error::other("a datagram without a sender"))?;
    let local = message
        .cmsgs()?
        .find_map(|c| match c {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes())),
            _ => None,
        })
        .ok_or_else(|| io::Error::other("a datagram without IP_PKTINFO"))?;
    Ok((message.bytes, local, SocketAddr::V4(SocketAddrV4::new(peer.ip(), peer.port()))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_socket_answers_as_many_devices() {
        let devices = LoopbackSocket::bind(0).unwrap();
        for device in [Ipv4Addr::new(127, 3, 0, 1), Ipv4Addr::new(127, 3, 255, 254)] {
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            // Connected: an answer from another address would not arrive.
            client.connect((device, devices.port())).await.unwrap();
            client.send(b"who").await.unwrap();
            let (bytes, local, peer) = devices.recv().await.unwrap();
            assert_eq!((bytes.as_slice(), local, peer), (&b"who"[..], device, client.local_addr().unwrap()));
            devices.send(b"me", local, peer).await.unwrap();
            let mut answer = [0; 16];
            assert_eq!(client.recv(&mut answer).await.unwrap(), 2);
        }
    }

    #[tokio::test]
    async fn a_single_device_takes_only_its_own_address() {
        let one = LoopbackSocket::bind_at("127.0.0.9:0".parse().unwrap()).unwrap();
        let other = LoopbackSocket::bind_at(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 8), one.port()));
        assert!(other.is_ok(), "another address of the same port is free");
        assert!(LoopbackSocket::bind_at("10.0.0.1:0".parse().unwrap()).is_err());
    }
}
