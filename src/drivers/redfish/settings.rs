//! The keys of a `redfish` endpoint, checked. All errors are found at once.
//!
//! | key | meaning | default |
//! | --- | --- | --- |
//! | `address` | IP address or host name, with `:port` if it is not 443; or `https://...` | needed |
//! | `username`, `password` | an account of the BMC | needed |
//! | `system` | `Id` of the System | `auto`: the only one |
//! | `auth` | `session`, `basic`, or `auto`: a session where the BMC has them | `auto` |
//! | `ca_file` | PEM file with the CA, or with the BMC's own certificate | the system's CAs |
//! | `fingerprint` | SHA-256 of the BMC's own, self-signed certificate | none |
//! | `insecure_no_verify` | any certificate will do, and `http://` too | `false` |
//! | `timeout` | for one exchange | `15s` |
//! | `connect_timeout` | for its connection | `5s` |

use std::{cell::RefCell, fmt, io::Read as _, net::Ipv4Addr, time::Duration};

use reqwest::Url;
use toml::{Table, Value};

use crate::{
    drivers::{SettingsError, keys, keys::Keys},
    model::Secret,
};

/// Time of one exchange: BMCs need seconds for a System while they are busy.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Time of a connection, TLS included: the key exchange takes a small BMC a second or two.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A file of certificates is not larger.
const MAX_PEM: u64 = 1 << 20;

/// How to say who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Auth {
    /// A session, if the BMC has such a thing.
    Auto,
    /// A session.
    Session,
    /// Basic with each request.
    Basic,
}

/// Which certificate is the BMC's.
#[derive(Debug, Clone)]
pub(super) enum Trust {
    /// One that the system's CAs have signed.
    System,
    /// One that these have signed, or one of these (DER).
    Only(Vec<Vec<u8>>),
    /// The self-signed one with this SHA-256.
    Pinned([u8; 32]),
    /// Any.
    Any,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Scheme, host and port.
    pub base: Url,
    /// `None`: the only one.
    pub system: Option<String>,
    pub username: String,
    pub password: Secret,
    pub auth: Auth,
    pub trust: Trust,
    pub timeout: Duration,
    pub connect_timeout: Duration,
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.base.as_str().trim_end_matches('/'))?;
        self.system.as_ref().map_or(Ok(()), |system| write!(f, " ({system})"))
    }
}

/// Checks an endpoint's keys.
pub(super) fn parse(table: &Table) -> Result<Settings, Vec<SettingsError>> {
    keys::checked(table, read)
}

fn read(table: &Table, errors: &RefCell<Vec<SettingsError>>) -> Option<Settings> {
    let mut keys = Keys::new(table, "", errors);
    for (key, what) in [
        ("address", "the BMC's IP address or host name, or https://..."),
        ("username", "an account of the BMC"),
        ("password", "that account's password, as { file = \"...\" }"),
    ] {
        if !keys.has(key) {
            keys.wrong(key, format!("missing: {what}"));
        }
    }
    let base = address(&mut keys);
    let username = keys.text("username").map(str::to_owned);
    if username.as_deref().is_some_and(|name| name.contains([':', '\n', '\r'])) {
        keys.wrong("username", "can't hold a colon or a line break: Basic has no place for them");
    }
    let password = keys.text("password").map(Secret::new);
    let system = keys.text("system").filter(|text| *text != "auto").map(str::to_owned);
    if system.as_deref().is_some_and(|id| id.contains(['/', '?', '#', ' ']) && !id.starts_with("/redfish/")) {
        keys.wrong("system", "is the `Id` of a System, the last part of its path, or the path from /redfish/");
    }
    let words = [("auto", Auth::Auto), ("session", Auth::Session), ("basic", Auth::Basic)];
    let auth = keys.word("auth", &words).unwrap_or(Auth::Auto);
    let trust = trust(&mut keys);
    if let (Some(base), Some(trust)) = (&base, &trust)
        && base.scheme() == "http"
        && !matches!(trust, Trust::Any)
    {
        keys.wrong("address", "http:// shows the password to everybody on the way: write https://, or allow it with `insecure_no_verify = true`");
    }
    let timeout = keys.duration("timeout", Duration::from_millis(100)..=Duration::from_mins(2)).unwrap_or(TIMEOUT);
    let connect_timeout = keys
        .duration("connect_timeout", Duration::from_millis(100)..=Duration::from_mins(1))
        .unwrap_or(CONNECT_TIMEOUT);
    keys.finish();
    Some(Settings {
        base: base?,
        system,
        username: username?,
        password: password?,
        auth,
        trust: trust?,
        timeout,
        connect_timeout,
    })
}

/// Scheme, host and port: nothing else of a URL has a meaning here.
fn address(keys: &mut Keys<'_>) -> Option<Url> {
    let text = keys.text("address")?;
    // A bare IPv6 address has no brackets.
    let bare = text.parse::<std::net::Ipv6Addr>().map_or_else(|_| text.to_owned(), |v6| format!("[{v6}]"));
    let whole = if bare.contains("://") { bare } else { format!("https://{bare}") };
    let host = whole.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.split(['/', ':', '?']).next().unwrap_or_default();
    let digits = !host.is_empty() && host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    // URLs allow much that nobody means: 10.1 is 10.0.0.1 there, and 010 is 8.
    if digits && host.parse::<Ipv4Addr>().is_err() {
        keys.wrong("address", format!("{host:?} is no IPv4 address (four numbers, without leading zeros)"));
        return None;
    }
    let url = match Url::parse(&whole) {
        Ok(url) => url,
        Err(error) => {
            keys.wrong("address", format!("{text:?} is no address: {error}"));
            return None;
        }
    };
    let path = url.path().trim_end_matches('/');
    let wrong = match url.scheme() {
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
            "holds a user: that belongs into `username` and `password`".to_owned()
        }
        "http" | "https" if url.query().is_some() || url.fragment().is_some() => "ends at the port".to_owned(),
        "http" | "https" if !matches!(path, "" | "/redfish" | "/redfish/v1") => {
            format!("ends at the port: a Redfish service is always at /redfish/v1, not {path}")
        }
        "http" | "https" if url.host_str().is_none_or(str::is_empty) => "names no host".to_owned(),
        "http" | "https" => {
            let mut whole = url;
            whole.set_path("/");
            return Some(whole);
        }
        other => format!("begins with https://, not {other}://"),
    };
    keys.wrong("address", wrong);
    None
}

fn trust(keys: &mut Keys<'_>) -> Option<Trust> {
    let any = match keys.raw("insecure_no_verify") {
        None => false,
        Some(Value::Boolean(any)) => *any,
        Some(other) => {
            keys.wrong("insecure_no_verify", format!("expected true or false, found {}", keys::kind(other)));
            return None;
        }
    };
    let file = keys.text("ca_file").map(|path| (path, certificates(path)));
    let pin = keys.text("fingerprint").map(fingerprint);
    if usize::from(any) + usize::from(file.is_some()) + usize::from(pin.is_some()) > 1 {
        keys.wrong("ca_file", "`ca_file`, `fingerprint` and `insecure_no_verify` each say what to trust: keep one");
        return None;
    }
    match (file, pin) {
        (Some((_, Ok(found))), _) => Some(Trust::Only(found)),
        (Some((path, Err(why))), _) => {
            keys.wrong("ca_file", format!("{path}: {why}"));
            None
        }
        (_, Some(Some(pin))) => Some(Trust::Pinned(pin)),
        (_, Some(None)) => {
            keys.wrong(
                "fingerprint",
                "is 64 hex digits, with or without colons: `openssl x509 -noout -sha256 -fingerprint`",
            );
            None
        }
        _ if any => Some(Trust::Any),
        _ => Some(Trust::System),
    }
}

fn certificates(path: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_PEM + 1).read_to_end(&mut pem).map_err(|error| error.to_string())?;
    if u64::try_from(pem.len()).unwrap_or(u64::MAX) > MAX_PEM {
        return Err("is larger than any file of certificates".to_owned());
    }
    // Parsed by the TLS library here already: what it can't read would only be found at the first connection.
    let found = openssl::x509::X509::stack_from_pem(&pem).map_err(|error| format!("holds no certificate: {error}"))?;
    let found: Vec<_> = found.iter().filter_map(|certificate| certificate.to_der().ok()).collect();
    if found.is_empty() { Err("holds no certificate (PEM)".to_owned()) } else { Ok(found) }
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text).replace(':', "");
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
