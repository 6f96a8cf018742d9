//! One UDP socket for many loopback addresses: which address a datagram was sent to, and sending from it
//! (IP_PKTINFO, ip(7)).

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::AsRawFd,
};

use nix::{
    libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
        sockopt::{Ipv4PacketInfo, RcvBuf, RcvBufForce},
    },
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{io::Interest, net::UdpSocket};

/// Room for datagrams that arrive while others are being answered: thousands of logins at once.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A UDP socket on all addresses of the loopback device.
#[derive(Debug)]
pub(super) struct LoopbackSocket(UdpSocket);

impl LoopbackSocket {
    /// On `port`; 0: any.
    pub(super) fn bind(port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        // Nothing but the loopback device can reach the wildcard address then.
        socket.bind_device(Some(b"lo"))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        setsockopt(&socket, Ipv4PacketInfo, &true)?;
        if setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER).is_err() {
            // Without the privilege to exceed the system's limit, as much as it allows.
            setsockopt(&socket, RcvBuf, &RECEIVE_BUFFER)?;
        }
        Ok(Self(UdpSocket::from_std(socket.into())?))
    }

    pub(super) fn port(&self) -> io::Result<u16> {
        Ok(self.0.local_addr()?.port())
    }

    /// The next datagram: its length, who sent it, and to which of our addresses.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddrV4, Ipv4Addr)> {
        self.0
            .async_io(Interest::READABLE, || {
                let mut parts = [IoSliceMut::new(buffer)];
                let mut control = nix::cmsg_space!(libc::in_pktinfo);
                let message =
                    recvmsg::<SockaddrIn>(self.0.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
                let to = message.cmsgs()?.find_map(|part| match part {
                    ControlMessageOwned::Ipv4PacketInfo(info) => {
                        Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)))
                    }
                    _ => None,
                });
                match (message.address, to) {
                    (Some(from), Some(to)) => Ok((message.bytes, SocketAddrV4::new(from.ip(), from.port()), to)),
                    _ => Err(io::Error::other("datagram without addresses")),
                }
            })
            .await
    }

    /// Sends a datagram from one of our addresses.
    pub(super) async fn send(&self, datagram: &[u8], from: Ipv4Addr, to: SocketAddrV4) -> io::Result<()> {
        let address = libc::in_addr { s_addr: u32::from(from).to_be() };
        let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: address };
        let to = SockaddrIn::from(to);
        self.0
            .async_io(Interest::WRITABLE, || {
                sendmsg(
                    self.0.as_raw_fd(),
                    &[IoSlice::new(datagram)],
                    &[ControlMessage::Ipv4PacketInfo(&info)],
                    MsgFlags::MSG_DONTWAIT,
                    Some(&to),
                )?;
                Ok(())
            })
            .await
    }
}
