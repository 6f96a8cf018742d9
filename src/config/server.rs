//! The tables with fixed keys: `[server]`, `[auth]`, `[patience]`, `[inrush]`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    keys, oauth,
    problem::{At, Problems},
    section::Section,
    source::{Map, Sources, Val},
    types::{
        AuthConfig, Inrush, Lockout, LogFormat, MAX_LOCKOUT, MAX_PASSWORD_DAYS, MAX_PASSWORD_HISTORY, Patience, Server,
        Tls,
    },
};

const fn secs(from: u64, to: u64) -> std::ops::RangeInclusive<Duration> {
    Duration::from_secs(from)..=Duration::from_secs(to)
}

/// Reads the merged tables.
pub(super) fn read(fixed: &Map, sources: &Sources, p: &mut Problems) -> (Server, AuthConfig, Patience, Inrush) {
    let section = |name: &'static str| match fixed.get(name).map(|e| (e.at, &e.spot.val)) {
        Some((at, Val::Table(map))) => Some(Section::new(name, at, map)),
        _ => None,
    };
    (
        section("server").map_or_else(Server::default, |s| server(&s, sources, p)),
        section("auth").map_or_else(AuthConfig::default, |s| auth(&s, sources, p)),
        section("patience").map_or_else(Patience::default, |s| patience(&s, p)),
        section("inrush").map_or_else(Inrush::default, |s| inrush(&s, sources, p)),
    )
}

/// Only what is needed to find a running service. Never fails: what is wrong is found when everything is read.
pub(super) fn state_dir(fixed: &Map, sources: &Sources) -> PathBuf {
    read(fixed, sources, &mut Problems::default()).0.state_dir
}

fn server(s: &Section<'_>, sources: &Sources, p: &mut Problems) -> Server {
    s.only(p, keys::SERVER);
    let default = Server::default();
    let listen = match s.texts(p, sources, "listen") {
        None => default.listen,
        Some(texts) if texts.is_empty() => {
            s.wrong(p, "listen", "names no address", "for example listen = \"0.0.0.0:8443\"");
            default.listen
        }
        Some(texts) => {
            let mut seen = HashMap::new();
            let mut listen = Vec::new();
            for (at, text) in texts {
                if let Some(address) = address(s, p, "listen", at, &text) {
                    if seen.insert(address, at).is_some() {
                        p.add(at, s.key("listen"), format!("{address} is named twice"), "take one out");
                    } else {
                        listen.push(address);
                    }
                }
            }
            listen
        }
    };
    let operations_listen = s
        .text(p, "operations_listen")
        .and_then(|text| address(s, p, "operations_listen", s.at("operations_listen"), &text));
    if let Some(address) = operations_listen
        && address.port() != 0
        && listen.contains(&address)
    {
        s.wrong(
            p,
            "operations_listen",
            format!("{address} is in `listen` too"),
            "take another port, or leave the key out",
        );
    }
    let tls = s.table(p, "tls").map_or_else(Tls::default, |tls| read_tls(&tls, sources, p));
    Server {
        listen,
        state_dir: s.path(p, sources, "state_dir").unwrap_or(default.state_dir),
        tls,
        operations_listen,
        ssdp: s.flag(p, sources, "ssdp").unwrap_or(false),
        insecure_open_boot_hints: s.flag(p, sources, "insecure_open_boot_hints").unwrap_or(false),
        event_retry_attempts: s
            .int(p, sources, "event_retry_attempts", 0..=1_000)
            .unwrap_or(default.event_retry_attempts),
        event_retry_interval: s
            .duration(p, "event_retry_interval", secs(1, 3_600))
            .unwrap_or(default.event_retry_interval),
        insecure_local_event_destinations: s.flag(p, sources, "insecure_local_event_destinations").unwrap_or(false),
        observe_only: s.flag(p, sources, "observe_only").unwrap_or(false),
        watch: s.flag(p, sources, "watch").unwrap_or(default.watch),
        log_format: s
            .word(p, "log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])
            .unwrap_or_default(),
        log: filter(s, p).unwrap_or(default.log),
        audit_file: s.path(p, sources, "audit_file"),
    }
}

fn filter(s: &Section<'_>, p: &mut Problems) -> Option<String> {
    let text = s.text(p, "log")?;
    if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&text) {
        s.wrong(
            p,
            "log",
            format!("{text:?} is not a log filter: {error}"),
            "for example \"info\" or \"warn,rackfish::drivers=debug\"",
        );
        return None;
    }
    Some(text.into_owned())
}

/// A socket address. Names are not resolved: where a service listens must not depend on a resolver.
pub(super) fn address(s: &Section<'_>, p: &mut Problems, key: &str, at: At, text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    let octal = host.split('.').any(|octet| octet.len() > 1 && octet.starts_with('0'));
    let way_out = if octal && host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        "take the leading zeros away: some programs read them as octal".to_owned()
    } else if host.is_empty() {
        format!("write \"0.0.0.0{text}\" (IPv4) or \"[::]{text}\" (IPv6)")
    } else if text.parse::<std::net::IpAddr>().is_ok() {
        "add a port, as in \"0.0.0.0:8443\" or \"[::1]:8443\"".to_owned()
    } else {
        "write an IP address and a port, as in \"0.0.0.0:8443\" or \"[::]:8443\"; names are not resolved here"
            .to_owned()
    };
    p.add(at, s.key(key), format!("{text:?} is not an address to listen on"), way_out);
    None
}

fn read_tls(s: &Section<'_>, sources: &Sources, p: &mut Problems) -> Tls {
    s.only(p, keys::TLS);
    let mut file = |key: &str| -> Option<PathBuf> {
        let path = s.path(p, sources, key)?;
        readable(s, p, key, &path);
        Some(path)
    };
    let (certificate, key, client_ca) = (file("certificate"), file("key"), file("client_ca"));
    match (&certificate, &key) {
        (Some(_), None) => {
            s.wrong(p, "certificate", "has no key", "name the PEM file of the private key as server.tls.key");
        }
        (None, Some(_)) => {
            s.wrong(p, "key", "has no certificate", "name the PEM file of the chain as server.tls.certificate");
        }
        _ => {}
    }
    let insecure_plain_http = s.flag(p, sources, "insecure_plain_http").unwrap_or(false);
    if insecure_plain_http && (certificate.is_some() || client_ca.is_some()) {
        p.warn(
            s.at("insecure_plain_http"),
            s.key("insecure_plain_http"),
            "with plain HTTP the certificates are not used",
            "take one of them out",
        );
    }
    let names = s
        .texts(p, sources, "names")
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(at, name)| {
            let sound = name.len() <= 253
                && (name.parse::<std::net::IpAddr>().is_ok()
                    || name.split('.').all(|label| {
                        !label.is_empty()
                            && label.len() <= 63
                            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'*'))
                    }));
            if !sound {
                p.add(at, s.key("names"), format!("{name:?} is neither a host name nor an address"), "");
            }
            sound.then(|| name.into_owned())
        })
        .collect();
    Tls { certificate, key, client_ca, names, insecure_plain_http }
}

fn readable(s: &Section<'_>, p: &mut Problems, key: &str, path: &Path) {
    if let Err(error) = std::fs::File::open(path) {
        s.wrong(
            p,
            key,
            format!("{} can't be read: {error}", path.display()),
            "make the file, or leave the key out: a certificate is made at first start",
        );
    }
}

fn auth(s: &Section<'_>, sources: &Sources, p: &mut Problems) -> AuthConfig {
    s.only(p, keys::AUTH);
    let default = AuthConfig::default();
    AuthConfig {
        // Redfish SessionService.SessionTimeout: 30 to 86400 s.
        session_timeout: s.duration(p, "session_timeout", secs(30, 86_400)).unwrap_or(default.session_timeout),
        max_sessions: s.int(p, sources, "max_sessions", 1..=1_000_000).unwrap_or(default.max_sessions),
        failures_per_minute: s
            .int(p, sources, "failures_per_minute", 1..=100_000)
            .unwrap_or(default.failures_per_minute),
        min_password: s.int(p, sources, "min_password", 1..=128).unwrap_or(default.min_password),
        password_history: s.int(p, sources, "password_history", 0..=i64::from(MAX_PASSWORD_HISTORY)),
        password_days: s.int(p, sources, "password_days", 0..=i64::from(MAX_PASSWORD_DAYS)),
        lockout: s.table(p, "lockout").map(|table| lockout(&table, sources, p)),
        oauth: oauth::read(s, sources, p),
        // Read by `ldap`, which resolves a secret.
        ldap: None,
    }
}

fn lockout(s: &Section<'_>, sources: &Sources, p: &mut Problems) -> Lockout {
    s.only(p, keys::LOCKOUT);
    let default = Lockout::default();
    let longest = Duration::ZERO..=MAX_LOCKOUT;
    let duration = s.duration(p, "duration", longest.clone()).unwrap_or(default.duration);
    let rules = Lockout {
        threshold: s.int(p, sources, "threshold", 0..=1_000).unwrap_or(default.threshold),
        duration,
        reset_after: s.duration(p, "reset_after", longest).unwrap_or(duration),
        resets: s.flag(p, sources, "resets").unwrap_or(default.resets),
    };
    if let Some(why) = rules.trouble() {
        s.wrong(p, "reset_after", why, "make it as long as `duration` or shorter, but not 0, or leave it out");
    }
    rules
}

fn patience(s: &Section<'_>, p: &mut Problems) -> Patience {
    s.only(p, keys::PATIENCE);
    let default = Patience::default();
    Patience {
        action: s.duration(p, "action", secs(0, 3_600)).unwrap_or(default.action),
        refresh_after: s.duration(p, "refresh_after", secs(0, 3_600)).unwrap_or(default.refresh_after),
        stale_after: s.duration(p, "stale_after", secs(1, 86_400 * 7)).unwrap_or(default.stale_after),
        repeat_window: s.duration(p, "repeat_window", secs(0, 600)).unwrap_or(default.repeat_window),
        soft_off: s.duration(p, "soft_off", secs(1, 86_400)).unwrap_or(default.soft_off),
    }
}

fn inrush(s: &Section<'_>, sources: &Sources, p: &mut Problems) -> Inrush {
    s.only(p, keys::INRUSH);
    Inrush {
        starts_per_second: s.float(p, sources, "starts_per_second", 10_000.0),
        per_group: s.float(p, sources, "per_group", 10_000.0),
    }
}
