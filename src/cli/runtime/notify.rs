//! Tells the service manager how the service is: `READY=1`, `RELOADING=1`, `STOPPING=1`, `STATUS=...`, `WATCHDOG=1`.
//!
//! Follows sd_notify(3): one datagram to the socket that `NOTIFY_SOCKET` names (a path, or an abstract name after `@`).
//! Without that variable nothing is sent; a manager that does not listen is no reason to do anything else.
//! Not here: when to say what (`runtime`, `reload`, `stop`), the unit itself (`packaging/systemd/`).

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{ffi::OsStrExt as _, net::SocketAddr, net::UnixDatagram},
    },
    sync::Arc,
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};

/// Longest `STATUS=` that is sent: what fits into a line of `systemctl status`.
const MAX_STATUS: usize = 400;

/// The manager's ear, if there is a manager. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    to: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment of this process says.
    pub fn from_env() -> Self {
        Self::of(|name| std::env::var_os(name), std::process::id())
    }

    /// As `env` says to process `pid`. A socket that makes no sense is logged and forgotten.
    fn of(env: impl Fn(&str) -> Option<OsString>, pid: u32) -> Self {
        let Some(name) = env("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return Self::default() };
        let made = address(&name).and_then(|address| Ok((UnixDatagram::unbound()?, address)));
        let to = match made {
            Ok(made) => made,
            Err(error) => {
                tracing::warn!(%error, socket = %name.display(), "NOTIFY_SOCKET can't be used");
                return Self::default();
            }
        };
        let number = |name: &str| env(name).and_then(|text| text.to_str()?.parse::<u64>().ok());
        // The variable may be meant for another process: a wrapper, or whoever started us from within a service.
        let ours = number("WATCHDOG_PID").is_none_or(|meant| meant == u64::from(pid));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 0).map(Duration::from_micros);
        Self { to: Some(Arc::new(to)), watchdog }
    }

    /// How often [`Self::alive`] has to be said: half of what the manager waits (sd_watchdog_enabled(3)).
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.map(|wait| wait / 2)
    }

    /// Everything answers.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", line(status)));
    }

    /// The configuration is being read again. [`Self::ready`] has to follow, whatever comes of it.
    pub fn reloading(&self) {
        // Tells a reload that was asked for from one that began before (systemd 253, `Type=notify-reload`).
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reading the configuration", now.as_micros()));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=waiting for operations under way");
    }

    /// Still there.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, state: &str) {
        let Some((socket, address)) = self.to.as_deref() else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            tracing::debug!(%error, "the service manager was not told");
        }
    }
}

/// The address that `NOTIFY_SOCKET` names: an absolute path, or an abstract name after `@`.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "neither a path nor an abstract socket")),
    }
}

/// One line, not too long.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_STATUS).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn notify(pairs: &[(&str, &str)]) -> Notify {
        let env: HashMap<String, OsString> = pairs.iter().map(|(k, v)| ((*k).to_owned(), OsString::from(v))).collect();
        Notify::of(|name| env.get(name).cloned(), 42)
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer.get(..length).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn everything_is_heard_at_a_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let service = notify(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
        service.ready("3 nodes\nEXTRA=1");
        assert_eq!(heard(&manager), "READY=1\nSTATUS=3 nodes EXTRA=1");
        service.reloading();
        let said = heard(&manager);
        let usec = said.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
        assert!(said.starts_with("RELOADING=1\n") && usec.parse::<u64>().unwrap() > 0, "{said}");
        service.alive();
        assert_eq!(heard(&manager), "WATCHDOG=1");
        service.stopping();
        assert!(heard(&manager).starts_with("STOPPING=1\n"));
        drop(manager);
        // Nobody listens any more: no harm.
        service.alive();
    }

    #[test]
    fn an_abstract_name_is_one() {
        let name = format!("rackfish-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        notify(&[("NOTIFY_SOCKET", &format!("@{name}"))]).alive();
        assert_eq!(heard(&manager), "WATCHDOG=1");
    }

    #[test]
    fn without_a_manager_nothing_is_said() {
        for env in [&[][..], &[("NOTIFY_SOCKET", "")], &[("NOTIFY_SOCKET", "vsock:2:1234")]] {
            let service = notify(env);
            assert!(service.to.is_none());
            service.ready("");
        }
    }

    #[test]
    fn the_watchdog_is_fed_twice_as_often_and_only_when_meant() {
        let with = |pid: &str| {
            notify(&[("NOTIFY_SOCKET", "/x"), ("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", pid)]).watchdog()
        };
        assert_eq!(with("42"), Some(Duration::from_millis(1_500)));
        assert_eq!(with("43"), None);
        assert_eq!(notify(&[("NOTIFY_SOCKET", "/x"), ("WATCHDOG_USEC", "0")]).watchdog(), None);
        assert_eq!(
            notify(&[("NOTIFY_SOCKET", "/x"), ("WATCHDOG_USEC", "2")]).watchdog(),
            Some(Duration::from_micros(1))
        );
    }
}
