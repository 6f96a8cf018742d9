//! The checked configuration, as the rest of the program sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::{Ldap, OAuthIssuer};
use crate::{
    drivers::{Pace, Setup},
    model::{ChassisId, EndpointId, NodeId, Ref, Secret},
};

/// Everything, checked. Built by `config::load`; swapped whole by a reload.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The service itself.
    pub server: Server,
    /// Accounts and sessions.
    pub auth: AuthConfig,
    /// How long callers are kept waiting, and how long states are believed.
    pub patience: Patience,
    /// How many machines start at a time.
    pub inrush: Inrush,
    /// Devices by name.
    pub endpoints: BTreeMap<EndpointId, Arc<Endpoint>>,
    /// Enclosures by name.
    pub chassis: BTreeMap<ChassisId, Arc<Chassis>>,
    /// Managed servers by name.
    pub nodes: BTreeMap<NodeId, Arc<Node>>,
}

impl Config {
    /// The nodes that have a listener of their own, and where.
    pub fn doors(&self) -> BTreeMap<SocketAddr, NodeId> {
        self.nodes.values().filter_map(|node| Some((node.door?, node.id.clone()))).collect()
    }

    /// Addresses that the service's certificate has to be good for: those of `server.listen` and, of the doors', the
    /// first [`MAX_NAMED_DOORS`].
    pub fn named_addresses(&self) -> Vec<SocketAddr> {
        let ips: BTreeSet<_> = self.nodes.values().filter_map(|node| node.door).map(|door| door.ip()).collect();
        let doors = ips.into_iter().take(MAX_NAMED_DOORS).map(|ip| SocketAddr::new(ip, 0));
        self.server.listen.iter().copied().chain(doors).collect()
    }
}

/// Addresses of doors that a certificate of our own names: each costs up to 18 bytes of every handshake, and OpenSSL's
/// clients take chains of 100 KiB at most (`SSL_MAX_CERT_LIST_DEFAULT`).
pub const MAX_NAMED_DOORS: usize = 1_000;

/// `[server]`
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Where Redfish is served.
    pub listen: Vec<SocketAddr>,
    /// Where the store, the control socket and made certificates live.
    pub state_dir: PathBuf,
    /// TLS.
    pub tls: Tls,
    /// Listener for `/metrics`, `/healthz`, `/readyz`; without it they are on the main one, behind a login.
    pub operations_listen: Option<SocketAddr>,
    /// Serve `/boot/<mac>` to anyone, for firmware that can't log in.
    pub insecure_open_boot_hints: bool,
    /// Answer clients that search the network for Redfish services (SSDP).
    pub ssdp: bool,
    /// Let event subscriptions name this machine or its link (loopback, link-local): for tests and for clients that run
    /// beside rackfish. Otherwise an account could have us post to services that trust local callers.
    pub insecure_local_event_destinations: bool,
    /// Retries before a subscription is suspended or removed, if that is its policy.
    pub event_retry_attempts: u32,
    /// Pause before each retry.
    pub event_retry_interval: Duration,
    /// Refuse every write on every endpoint and log what it would have done.
    pub observe_only: bool,
    /// Reload when files change (they have to be quiet for a moment first).
    pub watch: bool,
    /// Text for people or JSON for machines.
    pub log_format: LogFormat,
    /// Filter, in `RUST_LOG` syntax.
    pub log: String,
    /// Audit log file; without it, entries go to the normal log with target `audit`.
    pub audit_file: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 8443))],
            state_dir: PathBuf::from("/var/lib/rackfish"),
            tls: Tls::default(),
            operations_listen: None,
            insecure_open_boot_hints: false,
            ssdp: false,
            insecure_local_event_destinations: false,
            event_retry_attempts: 5,
            event_retry_interval: Duration::from_secs(15),
            observe_only: false,
            watch: true,
            log_format: LogFormat::Text,
            log: "info".to_owned(),
            audit_file: None,
        }
    }
}

/// `[server.tls]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM chain; made in `state_dir` when absent.
    pub certificate: Option<PathBuf>,
    /// PEM key.
    pub key: Option<PathBuf>,
    /// PEM bundle: clients may log in with a certificate these have signed; its CN is the account's name. `None`: what was
    /// added over Redfish.
    pub client_ca: Option<PathBuf>,
    /// Names and addresses put into a made certificate, besides the host's own.
    pub names: Vec<String>,
    /// Serve plain HTTP.
    pub insecure_plain_http: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[auth]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// A session without a request for that long ends.
    pub session_timeout: Duration,
    /// Sessions kept; the one idle for longest makes room for a new one.
    pub max_sessions: usize,
    /// Failed logins per minute and source address before answers slow down and then turn into 401 unseen.
    pub failures_per_minute: u32,
    /// Shortest password accepted for an account.
    pub min_password: usize,
    /// When guessers are locked out; `None`: what the AccountService was told.
    pub lockout: Option<Lockout>,
    /// New passwords before an account may use an old one again; `None`: what the AccountService was told.
    pub password_history: Option<u32>,
    /// Days that a new password is good for, 0 for ever; `None`: what the AccountService was told.
    pub password_days: Option<u32>,
    /// Issuers whose tokens are accepted, by name.
    pub oauth: Vec<Arc<OAuthIssuer>>,
    /// Where names are looked up that no account has.
    pub ldap: Option<Arc<Ldap>>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_mins(30),
            max_sessions: 10_000,
            failures_per_minute: 30,
            min_password: 8,
            lockout: None,
            password_history: None,
            password_days: None,
            oauth: Vec::new(),
            ldap: None,
        }
    }
}

/// `[auth.lockout]`: when passwords from a source are not looked at any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lockout {
    /// Wrong passwords for one account, from one source; 0: never.
    pub threshold: u32,
    /// How long.
    pub duration: Duration,
    /// Wrong passwords longer ago than that do not count; at most `duration`, and not 0 while anybody is locked out.
    pub reset_after: Duration,
    /// Locks end, and wrong passwords are forgotten, by themselves.
    pub resets: bool,
}

/// Longest lock.
pub const MAX_LOCKOUT: Duration = Duration::from_hours(24);
/// Most old passwords that are remembered: each costs a new one an argon2.
pub const MAX_PASSWORD_HISTORY: u32 = 10;
/// Longest time after which passwords end, in days.
pub const MAX_PASSWORD_DAYS: u32 = 3_650;

impl Default for Lockout {
    fn default() -> Self {
        let time = Duration::from_mins(5);
        Self { threshold: 0, duration: time, reset_after: time, resets: true }
    }
}

impl Lockout {
    /// Whether anybody is locked out at all (AccountService: with a threshold or a duration of 0 nobody is).
    pub fn is_on(&self) -> bool {
        self.threshold > 0 && (!self.resets || self.duration > Duration::ZERO)
    }

    /// What does not go together.
    pub fn trouble(&self) -> Option<&'static str> {
        if !self.resets || self.duration.is_zero() {
            return None;
        }
        if self.threshold > 0 && self.reset_after.is_zero() {
            return Some("wrong passwords have to be counted for a while, or nobody is ever locked out");
        }
        (self.reset_after > self.duration).then_some("wrong passwords may not be counted for longer than a lock lasts")
    }
}

/// `[patience]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Longest time an action keeps its client waiting before it becomes a task (202).
    pub action: Duration,
    /// A state older than this starts a refresh when it is looked at.
    pub refresh_after: Duration,
    /// An `On` older than this is unknown.
    pub stale_after: Duration,
    /// An equal command of the same principal joins the one that ended this long ago.
    pub repeat_window: Duration,
    /// A machine that was asked to shut down softly may take that long.
    pub soft_off: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            action: Duration::from_secs(25),
            refresh_after: Duration::from_secs(5),
            stale_after: Duration::from_mins(10),
            repeat_window: Duration::from_secs(10),
            soft_off: Duration::from_mins(10),
        }
    }
}

/// `[inrush]`: at most so many starts a second; `None`: no bound. Every start counts, whoever asks for it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Inrush {
    /// Of all nodes.
    pub starts_per_second: Option<f64>,
    /// Of the nodes of one group.
    pub per_group: Option<f64>,
}

/// `[endpoints.NAME]`
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its name.
    pub id: EndpointId,
    /// The driver's checked settings.
    pub setup: Arc<dyn Setup>,
    /// How its worker treats it.
    pub policy: EndpointPolicy,
    /// All keys as resolved: equal text means that a reload may leave the endpoint's worker alone.
    pub fingerprint: String,
}

/// Keys that every endpoint has, whatever its driver.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointPolicy {
    /// What suits the device, the driver's suggestion with the configuration's changes.
    pub pace: Pace,
    /// Whether commands are verified by reading back where the device can tell.
    pub verify: bool,
    /// Whether equal reads share one exchange.
    pub coalesce: bool,
    /// Commands first, or first come, first served.
    pub order: Order,
    /// Whether the device is contacted at start, or only when first needed.
    pub probe_at_start: bool,
    /// Refuse every write and log what it would do.
    pub observe_only: bool,
    /// Exchanges per second, over a minute's bucket; `None`: as fast as the device answers.
    pub rate: Option<f64>,
    /// Nodes started per second from its outlets; `None`: no bound.
    pub starts_per_second: Option<f64>,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long an open breaker waits before it tries the endpoint again; grows to 10 x while it stays dead.
    pub breaker_cool_down: Duration,
    /// How long refused credentials are left alone.
    pub credentials_retry: Duration,
}

/// Service order of a worker's queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Commands before waiting reads before polls.
    #[default]
    Priority,
    /// First come, first served.
    Arrival,
}

impl EndpointPolicy {
    /// The defaults around a driver's suggestion.
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            verify: true,
            coalesce: true,
            order: Order::Priority,
            probe_at_start: true,
            observe_only: false,
            rate: None,
            starts_per_second: None,
            breaker_failures: 3,
            breaker_cool_down: Duration::from_secs(5),
            credentials_retry: Duration::from_mins(30),
        }
    }
}

/// `[chassis.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chassis {
    /// Its name.
    pub id: ChassisId,
    /// Redfish `ChassisType` (`Rack`, `Enclosure`, ...).
    pub kind: String,
    /// Number of slots, if it has slots.
    pub slots: Option<u32>,
    /// For people.
    pub description: Option<String>,
    /// Identity, served as given.
    pub manufacturer: Option<String>,
    /// Identity, served as given.
    pub model: Option<String>,
    /// Identity, served as given.
    pub serial: Option<String>,
}

/// `[nodes.NAME]`
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name: the last part of its System's URI.
    pub id: NodeId,
    /// The enclosure it sits in.
    pub chassis: Option<ChassisId>,
    /// Where in it, from 1.
    pub slot: Option<u32>,
    /// The unit that manages the node itself.
    pub host: Option<Ref>,
    /// Mains supplies, in the order they are switched on.
    pub feeds: Vec<Feed>,
    /// Serial console.
    pub console: Option<Ref>,
    /// Further units whose readings are the node's.
    pub sensors: Vec<Ref>,
    /// Identification light, if it isn't the host's.
    pub indicator: Option<Ref>,
    /// What a boot override does on a host that takes no boot options.
    pub boot: BootPolicy,
    /// How the operating system is asked to shut down where the hardware can't.
    pub shutdown: Option<Hook>,
    /// Where the node is served as if it had a service of its own.
    pub door: Option<SocketAddr>,
    /// What happens when mains come back.
    pub restore: Restore,
    /// The controller answers this long after mains came on; a start waits for it.
    pub controller_ready: Duration,
    /// For account scopes and host lists.
    pub groups: Vec<String>,
    /// What no device tells.
    pub facts: Facts,
}

/// One mains supply of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Outlet.
    pub unit: Ref,
    /// Other nodes hang on it too: switched on at any start, cut only when all of them are off.
    pub shared: bool,
    /// Pause after switching it on, before the next feed.
    pub gap: Duration,
    /// Least time off before it may be switched on again.
    pub off_time: Duration,
}

/// What a boot override means on hardware that takes none.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum BootPolicy {
    /// Kept, shown, and served at `/boot/<mac>` for whatever steers the node's PXE.
    #[default]
    Store,
    /// As `Store`, and the hook runs before every start.
    Hook(Hook),
    /// Not offered.
    Refuse,
}

/// Something outside that is run for a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// What.
    pub action: HookAction,
    /// Given up (and killed) after that long.
    pub timeout: Duration,
}

/// The two kinds of hook. `{node}`, `{mac}`, `{target}`, `{mode}`, `{enabled}` are replaced, each within one argument.
#[derive(Debug, Clone, PartialEq)]
pub enum HookAction {
    /// A program and its arguments; never a shell.
    Command(Vec<String>),
    /// An HTTP request.
    Http {
        /// `GET`, `POST`, `PUT`, ...
        method: String,
        /// Where.
        url: String,
        /// Sent as it is.
        body: Option<String>,
        /// `Authorization` header.
        authorization: Option<Secret>,
    },
    /// A file per MAC in that folder, holding target, mode and enabled as JSON (boot hooks only).
    Files(PathBuf),
}

/// Restore policy after mains loss, where no BMC keeps one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Restore {
    /// Leave it to the PDU and the machine.
    #[default]
    Device,
    /// Start it.
    AlwaysOn,
    /// Keep it off.
    AlwaysOff,
    /// As it was.
    LastState,
}

impl Restore {
    /// The word of Redfish's `PowerRestorePolicy`; `None`: nobody here decides it.
    pub fn policy(self) -> Option<&'static str> {
        match self {
            Self::Device => None,
            Self::AlwaysOn => Some("AlwaysOn"),
            Self::AlwaysOff => Some("AlwaysOff"),
            Self::LastState => Some("LastState"),
        }
    }
}

/// What no device tells: served as it is written here.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Facts {
    pub uuid: Option<uuid::Uuid>,
    /// Lower case, colons.
    pub macs: Vec<String>,
    /// Threads in all.
    pub cpus: Option<u32>,
    /// Sockets.
    pub sockets: Option<u32>,
    /// `x86_64`, `aarch64`, ... as Ironic writes it.
    pub cpu_arch: Option<String>,
    pub cpu_model: Option<String>,
    pub memory_gib: Option<f64>,
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub serial: Option<String>,
    pub sku: Option<String>,
    pub part_number: Option<String>,
    pub asset_tag: Option<String>,
    pub hostname: Option<String>,
    pub description: Option<String>,
    pub bios_version: Option<String>,
}
