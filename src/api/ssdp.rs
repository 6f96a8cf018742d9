//! SSDP: answers clients that search the network for Redfish services (DSP0266 1.20, "Discovery"; UPnP Device
//! Architecture 2.0, section 1.3). Off unless asked for; IPv4; no advertisements of our own.
//!
//! The socket is bound to the group's address, so only what was sent to the group is ever seen: nobody outside of the
//! link can have us answer to an address that is not theirs. What waits to be answered is bounded all the same.

use std::{
    fmt::Write as _,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::Rng as _;
use tokio::{
    net::UdpSocket,
    runtime::Handle,
    task::{JoinHandle, JoinSet},
};
use uuid::Uuid;

/// Where clients search (UPnP Device Architecture 2.0, section 1.1).
const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900);
/// What they search for (DSP0266, "URN (USN)"); a minor version of the protocol may follow.
const SERVICE: &str = "urn:dmtf-org:service:redfish-rest:1";
/// Everything.
const ALL: &str = "ssdp:all";
/// How long an answer may be remembered, in seconds; DSP0266 wants 1,800 at least.
const MAX_AGE: u32 = 1800;
/// Longest search that is read; clients send some 150 bytes.
const MAX_SEARCH: usize = 1024;
/// A search says within how many seconds its answers should be spread; not over more than this.
const MAX_SPREAD: u64 = 2;
/// Answers that wait to be sent; further searches are not answered.
const MAX_WAITING: usize = 32;

/// What is told about the service.
#[derive(Debug, Clone)]
struct Told {
    uuid: Uuid,
    tls: bool,
    listen: Vec<SocketAddr>,
    /// Of the Redfish protocol.
    minor: u32,
}

/// The responder: off until it is set on.
#[derive(Debug)]
pub struct Ssdp {
    told: Arc<Told>,
    runtime: Handle,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Ssdp {
    /// For a service with `uuid` that listens on `listen` (ports filled in), with protocol version `version`
    /// (`1.20.0`). Has to be called within a runtime, which the responder will live on.
    pub fn new(uuid: Uuid, tls: bool, listen: Vec<SocketAddr>, version: &str) -> Self {
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0);
        let told = Arc::new(Told { uuid, tls, listen, minor });
        Self { told, runtime: Handle::current(), task: Mutex::default() }
    }

    /// Whether searches are answered.
    pub fn enabled(&self) -> bool {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|task| !task.is_finished())
    }

    /// Starts or stops to answer. An error names what the group could not be joined for.
    pub fn set(&self, on: bool) -> io::Result<()> {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        match (task.as_ref().filter(|task| !task.is_finished()), on) {
            (Some(_), true) | (None, false) => {}
            (Some(running), false) => {
                running.abort();
                *task = None;
            }
            (None, true) => {
                let _inside = self.runtime.enter();
                let socket = UdpSocket::from_std(join()?)?;
                *task = Some(self.runtime.spawn(respond(socket, Arc::clone(&self.told))));
            }
        }
        Ok(())
    }
}

impl Drop for Ssdp {
    fn drop(&mut self) {
        // Stopping can't fail.
        self.set(false).ok();
    }
}

fn join() -> io::Result<std::net::UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    // Others on this machine may listen to the group too.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from(GROUP).into())?;
    socket.join_multicast_v4(GROUP.ip(), &Ipv4Addr::UNSPECIFIED)?;
    Ok(socket.into())
}

/// Answers for ever. Answers that wait end with it.
async fn respond(socket: UdpSocket, told: Arc<Told>) {
    let mut waiting = JoinSet::new();
    let mut buffer = [0; MAX_SEARCH];
    loop {
        let (length, peer) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "a search for Redfish services could not be read");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        while waiting.try_join_next().is_some() {}
        let Some(spread) = buffer.get(..length).and_then(|search| wanted(search, told.minor)) else { continue };
        if waiting.len() < MAX_WAITING {
            let told = Arc::clone(&told);
            let pause = Duration::from_millis(rand::rng().random_range(0..=spread.min(MAX_SPREAD) * 1000));
            waiting.spawn(async move {
                tokio::time::sleep(pause).await;
                if let Err(error) = answer(peer, &told).await {
                    tracing::debug!(%peer, %error, "a search for Redfish services could not be answered");
                }
            });
        }
    }
}

/// If `search` asks for services like ours: over how many seconds its answers should be spread.
fn wanted(search: &[u8], minor: u32) -> Option<u64> {
    let text = std::str::from_utf8(search).ok()?;
    let mut lines = text.lines();
    if lines.next()? != "M-SEARCH * HTTP/1.1" {
        return None;
    }
    let (mut discovers, mut meant, mut spread) = (false, false, 1);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.trim().to_ascii_uppercase().as_str() {
            "MAN" => discovers = value == "\"ssdp:discover\"",
            "ST" => meant = value == ALL || is_service(value, minor),
            "MX" => spread = value.parse().ok()?,
            _ => {}
        }
    }
    (discovers && meant).then_some(spread)
}

/// Whether we are what is searched for: the protocol, in our version or an earlier one.
fn is_service(target: &str, minor: u32) -> bool {
    let asked = target.strip_prefix(SERVICE).map(|rest| rest.strip_prefix(':').map_or((rest, None), |m| ("", Some(m))));
    match asked {
        Some(("", None)) => true,
        Some((_, Some(asked))) => asked.parse::<u32>().is_ok_and(|asked| asked <= minor),
        _ => false,
    }
}

async fn answer(peer: SocketAddr, told: &Told) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(peer).await?;
    let Some(root) = told.root(socket.local_addr()?.ip()) else { return Ok(()) };
    socket.send(told.text(&root).as_bytes()).await.map(|_| ())
}

impl Told {
    /// Where the service root is for somebody who reaches this machine at `here`; `None`: not reachable from there.
    fn root(&self, here: IpAddr) -> Option<String> {
        let meant = |address: &&SocketAddr| address.ip() == here || address.ip().is_unspecified();
        let port = self.listen.iter().find(meant)?.port();
        let scheme = if self.tls { "https" } else { "http" };
        Some(format!("{scheme}://{}/redfish/v1/", SocketAddr::new(here, port)))
    }

    fn text(&self, root: &str) -> String {
        let mut service = SERVICE.to_owned();
        if self.minor > 0 {
            // Writing into a String can't fail.
            write!(service, ":{}", self.minor).unwrap_or_default();
        }
        format!(
            "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age={MAX_AGE}\r\nEXT:\r\nST: {service}\r\n\
             USN: uuid:{}::{service}\r\nAL: {root}\r\n\r\n",
            self.uuid
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn search(man: &str, target: &str) -> String {
        format!("M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\nMan: {man}\r\nST: {target}\r\nMX: 3\r\n\r\n")
    }

    #[test]
    fn only_searches_for_such_services_are_answered() {
        let discover = "\"ssdp:discover\"";
        for target in [SERVICE, ALL, "urn:dmtf-org:service:redfish-rest:1:20", "urn:dmtf-org:service:redfish-rest:1:0"]
        {
            assert_eq!(wanted(search(discover, target).as_bytes(), 20), Some(3), "{target}");
        }
        for target in [
            "upnp:rootdevice",
            "urn:dmtf-org:service:redfish-rest:2",
            "urn:dmtf-org:service:redfish-rest:1:21",
            "urn:dmtf-org:service:redfish-rest:1:",
            "urn:dmtf-org:service:redfish-rest:11",
        ] {
            assert_eq!(wanted(search(discover, target).as_bytes(), 20), None, "{target}");
        }
        assert_eq!(wanted(search("ssdp:alive", ALL).as_bytes(), 20), None);
        assert_eq!(wanted(search(discover, ALL).replace("M-SEARCH", "NOTIFY").as_bytes(), 20), None);
        assert_eq!(wanted(search(discover, ALL).replace("MX: 3", "MX: many").as_bytes(), 20), None);
        assert_eq!(wanted(&[0xff, 0xfe], 20), None);
        assert_eq!(wanted(b"", 20), None);
    }

    #[test]
    fn answers_name_the_root_as_the_client_reaches_it() {
        let listen = vec!["10.0.0.1:8443".parse().unwrap(), "0.0.0.0:443".parse().unwrap()];
        let told = Told { uuid: Uuid::nil(), tls: true, listen, minor: 20 };
        assert_eq!(told.root([10, 0, 0, 1].into()).unwrap(), "https://10.0.0.1:8443/redfish/v1/");
        assert_eq!(told.root([10, 0, 0, 2].into()).unwrap(), "https://10.0.0.2:443/redfish/v1/");
        let local = Told { listen: vec!["127.0.0.1:1".parse().unwrap()], tls: false, ..told.clone() };
        assert_eq!(local.root([10, 0, 0, 2].into()), None);
        let text = told.text("https://x/redfish/v1/");
        assert!(text.contains("\r\nST: urn:dmtf-org:service:redfish-rest:1:20\r\n"), "{text}");
        let usn = "USN: uuid:00000000-0000-0000-0000-000000000000::urn:dmtf-org:service:redfish-rest:1:20\r\n";
        assert!(text.contains(usn) && text.ends_with("AL: https://x/redfish/v1/\r\n\r\n"), "{text}");
    }

    #[tokio::test]
    async fn it_is_off_until_it_is_set_on() {
        let ssdp = Ssdp::new(Uuid::nil(), true, Vec::new(), "1.20.0");
        assert!(!ssdp.enabled());
        ssdp.set(false).unwrap();
        assert_eq!(ssdp.told.minor, 20);
    }
}
