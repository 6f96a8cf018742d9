//! Settings of an `ipmi` endpoint.

use std::{
    any::Any,
    net::{Ipv4Addr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use toml::{Table, Value};
use zeroize::Zeroizing;

use super::driver::{IpmiDriver, presumed_caps};
use crate::{
    drivers::{Driver, Pace, SettingsError, Setup},
    model::{Caps, Unit},
    wire::ipmi::{Suite, UserKey, rmcp},
};

/// Longest user name (IPMI 2.0, 13.20).
const MAX_USER: usize = 16;
/// Default time-out of one exchange: ipmitool's for `lanplus`.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Which cipher suites to propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suites {
    /// 17, then 3 if that is refused.
    Auto,
    /// This one or none.
    Only(u8),
}

/// One BMC: where it is, and how to log in.
#[derive(Debug)]
pub struct IpmiSetup {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: UserKey,
    pub(super) kg: Option<UserKey>,
    pub(super) suites: Suites,
    /// 2 user, 3 operator, 4 administrator.
    pub(super) level: u8,
    pub(super) timeout: Duration,
    /// The suite that the last login agreed on; 0: none yet. Shared by all conversations with this BMC.
    agreed: AtomicU8,
}

impl IpmiSetup {
    /// The suites to propose, in order, each with its number.
    pub(super) fn proposals(&self) -> Vec<(u8, Suite)> {
        let ids: &[u8] = match self.suites {
            Suites::Only(id) => &[id],
            Suites::Auto if self.agreed.load(Ordering::Relaxed) == 3 => &[3, 17],
            Suites::Auto => &[17, 3],
        };
        ids.iter().filter_map(|id| Some((*id, Suite::from_id(*id)?))).collect()
    }

    /// Remembers what the BMC agreed to.
    pub(super) fn agreed_on(&self, id: u8) {
        self.agreed.store(id, Ordering::Relaxed);
    }

    /// The suite of the last login.
    pub fn agreed_suite(&self) -> Option<u8> {
        Some(self.agreed.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }
}

/// For the registry.
pub(super) fn parse(table: &Table) -> Result<Arc<dyn Setup>, Vec<SettingsError>> {
    read(table).map(|setup| Arc::new(Wrapped(Arc::new(setup))) as Arc<dyn Setup>)
}

/// The setup behind a pointer that its conversations share.
#[derive(Debug)]
struct Wrapped(Arc<IpmiSetup>);

impl Setup for Wrapped {
    fn driver(&self) -> &'static str {
        super::KIND.name
    }

    fn address(&self) -> String {
        if self.0.host.contains(':') {
            format!("[{}]:{}", self.0.host, self.0.port)
        } else {
            format!("{}:{}", self.0.host, self.0.port)
        }
    }

    fn connect(&self) -> Box<dyn Driver> {
        Box::new(IpmiDriver::new(Arc::clone(&self.0)))
    }

    fn presumed(&self, unit: &Unit) -> Option<Caps> {
        (unit.as_str() == Unit::HOST).then(presumed_caps)
    }

    fn pace(&self) -> Pace {
        // The BMC itself sees to it that a host stays off long enough; `off_time` is about mains.
        Pace { off_time: Duration::ZERO, ..Pace::default() }
    }

    fn as_any(&self) -> &dyn Any {
        &*self.0
    }
}

/// Reads and checks all settings; returns all that is wrong.
fn read(table: &Table) -> Result<IpmiSetup, Vec<SettingsError>> {
    const KEYS: [&str; 8] = ["address", "port", "username", "password", "kg", "cipher_suite", "privilege", "timeout"];
    let mut wrong: Vec<SettingsError> = table
        .keys()
        .filter(|key| !KEYS.contains(&key.as_str()))
        .map(|key| {
            SettingsError::of(key, format!("`{key}` is not a setting of driver ipmi; it has: {}", KEYS.join(", ")))
        })
        .collect();
    let mut take = |result: Result<(), SettingsError>| {
        if let Err(error) = result {
            wrong.push(error);
        }
    };

    let mut setup = IpmiSetup {
        host: String::new(),
        port: rmcp::PORT,
        user: String::new(),
        password: UserKey::default(),
        kg: None,
        suites: Suites::Auto,
        level: 4,
        timeout: TIMEOUT,
        agreed: AtomicU8::new(0),
    };
    take(match text(table, "address") {
        Ok(Some(address)) => host(address).map(|host| setup.host = host),
        Ok(None) => Err(SettingsError::of("address", "`address` is missing: the BMC's IP address or host name")),
        Err(error) => Err(error),
    });
    take(match table.get("port") {
        None => Ok(()),
        Some(value) => match value.as_integer().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0) {
            Some(port) => {
                setup.port = port;
                Ok(())
            }
            None => Err(SettingsError::of("port", format!("`port` is a number from 1 to 65535, not {value}"))),
        },
    });
    take(text(table, "username").and_then(|user| {
        let user = user.unwrap_or_default();
        if user.len() > MAX_USER {
            return Err(SettingsError::of(
                "username",
                format!("a BMC's user name has at most {MAX_USER} bytes, this one has {}", user.len()),
            ));
        }
        user.clone_into(&mut setup.user);
        Ok(())
    }));
    take(text(table, "password").and_then(|password| {
        let password = password.unwrap_or_default();
        if password.len() > UserKey::MAX {
            return Err(SettingsError::of(
                "password",
                format!("a BMC's password has at most {} bytes, this one has {}", UserKey::MAX, password.len()),
            ));
        }
        setup.password = UserKey::new(password.as_bytes());
        Ok(())
    }));
    take(text(table, "kg").and_then(|kg| match kg {
        None => Ok(()),
        Some(kg) => key_of(kg).map(|key| setup.kg = Some(key)),
    }));
    take(suites(table).map(|suites| setup.suites = suites));
    take(text(table, "privilege").and_then(|privilege| {
        setup.level = match privilege.map(str::to_ascii_lowercase).as_deref() {
            None | Some("administrator") => 4,
            Some("operator") => 3,
            Some("user") => 2,
            Some(other) => {
                return Err(SettingsError::of(
                    "privilege",
                    format!("`privilege` is `administrator`, `operator` or `user` (read only), not `{other}`"),
                ));
            }
        };
        Ok(())
    }));
    take(timeout(table).map(|timeout| setup.timeout = timeout));
    if wrong.is_empty() { Ok(setup) } else { Err(wrong) }
}

fn text<'t>(table: &'t Table, key: &str) -> Result<Option<&'t str>, SettingsError> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        // The value is not named: the key may hold a secret.
        Some(other) => Err(SettingsError::of(key, format!("`{key}` is a text, not {}", other.type_str()))),
    }
}

/// An IPv4 or IPv6 address (with or without brackets) or a host name.
fn host(text: &str) -> Result<String, SettingsError> {
    let wrong = |message: String| Err(SettingsError::of("address", message));
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if bare.is_empty() {
        return wrong("`address` is empty".to_owned());
    }
    if bare.contains(':') {
        let (address, zone) = bare.split_once('%').map_or((bare, None), |(address, zone)| (address, Some(zone)));
        let zone_ok = zone.is_none_or(|zone| {
            !zone.is_empty() && zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        });
        if address.parse::<Ipv6Addr>().is_err() || !zone_ok {
            return wrong(format!("`{text}` is no IPv6 address; a port goes into `port`"));
        }
        return Ok(bare.to_owned());
    }
    if bare.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())) {
        if bare.parse::<Ipv4Addr>().is_err() {
            let zeros = bare.split('.').any(|part| part.len() > 1 && part.starts_with('0'));
            return wrong(if zeros {
                format!("`{text}` has leading zeros, which some programs read as octal; leave them out")
            } else {
                format!("`{text}` is no IPv4 address")
            });
        }
        return Ok(bare.to_owned());
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if bare.len() > 253 || !bare.trim_end_matches('.').split('.').all(label) {
        return wrong(format!("`{text}` is neither an IP address nor a host name"));
    }
    Ok(bare.to_owned())
}

/// K_g: `0x` and hex digits, or up to 20 characters.
fn key_of(text: &str) -> Result<UserKey, SettingsError> {
    let Some(digits) = text.strip_prefix("0x") else {
        if text.len() > UserKey::MAX {
            return Err(SettingsError::of(
                "kg",
                format!(
                    "K_g has at most {} characters, or `0x` and at most {} hex digits",
                    UserKey::MAX,
                    UserKey::MAX * 2
                ),
            ));
        }
        return Ok(UserKey::new(text.as_bytes()));
    };
    let bytes: Option<Vec<u8>> = (digits.len() % 2 == 0 && digits.len() <= UserKey::MAX * 2 && digits.is_ascii())
        .then(|| {
            digits
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect()
        })
        .flatten();
    match bytes.map(Zeroizing::new) {
        Some(bytes) => Ok(UserKey::new(&bytes)),
        None => Err(SettingsError::of(
            "kg",
            format!("K_g in hex is `0x` and an even number of at most {} hex digits", UserKey::MAX * 2),
        )),
    }
}

fn suites(table: &Table) -> Result<Suites, SettingsError> {
    match table.get("cipher_suite") {
        None => Ok(Suites::Auto),
        Some(Value::String(auto)) if auto == "auto" => Ok(Suites::Auto),
        Some(Value::Integer(3)) => Ok(Suites::Only(3)),
        Some(Value::Integer(17)) => Ok(Suites::Only(17)),
        Some(other) => Err(SettingsError::of(
            "cipher_suite",
            format!(
                "`cipher_suite` is `\"auto\"` (17, then 3), `17` or `3`, not {other}: all others lack encryption or are broken"
            ),
        )),
    }
}

/// Milliseconds as a number, or a text such as `1s` and `500ms`.
fn timeout(table: &Table) -> Result<Duration, SettingsError> {
    let Some(value) = table.get("timeout") else { return Ok(TIMEOUT) };
    let parsed = match value {
        Value::Integer(millis) => u64::try_from(*millis).ok().map(Duration::from_millis),
        Value::String(text) => duration(text),
        _ => None,
    };
    parsed.filter(|t| (Duration::from_millis(10)..=Duration::from_mins(1)).contains(t)).ok_or_else(|| {
        SettingsError::of(
            "timeout",
            format!("`timeout` is a time from `10ms` to `60s` such as `1s`, `500ms`, not {value}"),
        )
    })
}

/// `250ms`, `1s`, `1.5s`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s')?, 1.0),
    };
    let number: f64 = number.trim().parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}
