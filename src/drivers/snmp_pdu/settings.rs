//! The keys of an `snmp-pdu` endpoint, checked. All errors are found at once.
//!
//! | key | meaning | default |
//! | --- | --- | --- |
//! | `model` | a family of `models/`, or `generic` with a `columns` table | needed |
//! | `model_file` | a family file of one's own, in place of `model` | |
//! | `address`, `port` | IPv4, IPv6 or host name; UDP port | needed, 161 |
//! | `version` | `1`, `2c`, `3` | `3` with a `user`, else what the family usually speaks |
//! | `community`, `write_community` | versions 1 and 2c | the family's usual; `community` |
//! | `user`, `context` | version 3 | needed; none |
//! | `auth_protocol`, `auth_key` | `md5`, `sha`, `sha224`, `sha256`, `sha384`, `sha512` | `sha` |
//! | `priv_protocol`, `priv_key` | `des`, `aes`, `aes192`, `aes256` | `aes` |
//! | `key_extension` | how a short hash becomes a long AES key: `reeder` or `blumenthal` | `reeder` |
//! | `timeout` | for one exchange | `1s` |
//! | `outlets` | their number, where the device can't tell | asked |
//! | `varbinds` | most values asked for in one packet | the family's |

use std::{cell::RefCell, fmt, net::IpAddr, sync::Arc, time::Duration};

use toml::Table;

use super::family::{self, Family, MAX_OUTLETS, VERSIONS};
use crate::{
    drivers::{SettingsError, keys, keys::Keys},
    model::Secret,
    wire::snmp::Version,
};

/// Shortest key that RFC 3414 (11.2) lets a user have.
const SHORTEST_KEY: usize = 8;
/// Largest family file read.
const LARGEST_FILE: u64 = 256 * 1024;

/// Where a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Ip(IpAddr),
    Name(String),
}

/// How a version 3 user proves itself. Names are those of the `snmp2` crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub name: String,
    pub auth: Option<(snmp2::v3::AuthProtocol, Secret)>,
    pub privacy: Option<(snmp2::v3::Cipher, Secret)>,
    pub extension: snmp2::v3::KeyExtension,
    pub context: String,
}

/// What the messages carry to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Access {
    Community { version: Version, read: Secret, write: Secret },
    User(User),
}

/// Checked settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub family: Arc<Family>,
    pub host: Host,
    pub port: u16,
    pub access: Access,
    pub timeout: Duration,
    pub outlets: Option<u32>,
    /// Most values asked for in one packet.
    pub varbinds: usize,
}

impl Settings {
    pub(super) fn version(&self) -> Version {
        match &self.access {
            Access::Community { version, .. } => *version,
            Access::User(_) => Version::V3,
        }
    }
}

impl fmt::Display for Settings {
    /// Address and port, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            Host::Ip(ip) => write!(f, "{ip}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// Checks an endpoint's keys.
pub(super) fn parse(table: &Table) -> Result<Settings, Vec<SettingsError>> {
    keys::checked(table, read)
}

fn read(table: &Table, errors: &RefCell<Vec<SettingsError>>) -> Option<Settings> {
    let mut keys = Keys::new(table, "", errors);
    let family = read_family(&mut keys);
    if !keys.has("address") {
        keys.wrong("address", "missing: the PDU's IP address or host name");
    }
    let host = keys.text("address").and_then(|t| parse_host(t).map_err(|e| keys.wrong("address", e)).ok());
    let port = keys.number("port", 1..=65_535).and_then(|n| u16::try_from(n).ok()).unwrap_or(161);
    let access = read_access(&mut keys, family.as_deref());
    let span = Duration::from_millis(20)..=Duration::from_mins(1);
    let timeout = keys.duration("timeout", span).unwrap_or(Duration::from_secs(1));
    let outlets = keys.number("outlets", 1..=i64::from(MAX_OUTLETS)).and_then(|n| u32::try_from(n).ok());
    let varbinds = keys.number("varbinds", 1..=48).and_then(|n| usize::try_from(n).ok());
    if outlets.is_some() && family.as_ref().is_some_and(|f| f.outlets.index_parts > 1) {
        keys.wrong("outlets", "this family's outlets have several numbers (1.7): they are found on the device");
    }
    keys.finish();
    let family = family?;
    let varbinds = varbinds.unwrap_or(family.outlets.varbinds);
    Some(Settings { family, host: host?, port, access: access?, timeout, outlets, varbinds })
}

fn read_family(keys: &mut Keys<'_>) -> Option<Arc<Family>> {
    let known: Vec<_> = family::embedded().map(|(name, _)| name).chain(["generic"]).collect();
    let model = keys.text("model");
    let file = keys.text("model_file");
    match (model, file) {
        (Some(_), Some(_)) => {
            keys.wrong("model_file", "takes the place of `model`: leave one of the two out");
            None
        }
        (Some("generic"), None) => {
            let (identity, outlets, totals) = family::read_tables(keys);
            Some(Arc::new(Family {
                name: "generic".to_owned(),
                title: "outlets described in the configuration".to_owned(),
                manufacturer: None,
                sys_object_ids: Vec::new(),
                try_order: 1000,
                version: Version::V2c,
                community: "public".to_owned(),
                write_community: "private".to_owned(),
                identity,
                outlets: outlets?,
                totals,
            }))
        }
        (Some(name), None) => {
            let found = family::embedded().find(|(known, _)| *known == name).map(|(_, family)| Arc::clone(family));
            if found.is_none() {
                let message = format!(
                    "unknown family {name:?}; known: {}. Others: `generic` with a `columns` table, or a `model_file`",
                    known.join(", ")
                );
                keys.wrong("model", message);
            }
            found
        }
        (None, Some(path)) => match read_limited(path) {
            Ok(text) => match family::parse_file(&text) {
                Ok(family) => Some(Arc::new(family)),
                Err(inner) => {
                    for e in inner {
                        keys.wrong("model_file", format!("{path}: {}", e.message));
                    }
                    None
                }
            },
            Err(e) => {
                keys.wrong("model_file", format!("{path}: {e}"));
                None
            }
        },
        (None, None) => {
            if !keys.has("model") && !keys.has("model_file") {
                keys.wrong("model", format!("missing: the PDU's family, one of {}", known.join(", ")));
            }
            None
        }
    }
}

fn read_limited(path: &str) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > LARGEST_FILE {
        return Err(std::io::Error::other("larger than 256 KiB: not a family file"));
    }
    std::fs::read_to_string(path)
}

/// IPv4 without leading zeros, IPv6, or a host name (RFC 1123).
fn parse_host(text: &str) -> Result<Host, String> {
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(Host::Ip(ip));
    }
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric && text.split('.').any(|part| part.len() > 1 && part.starts_with('0')) {
        return Err(format!("{text} has leading zeros, which resolvers read as octal; write it without them"));
    }
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    if numeric || text.len() > 253 || !text.trim_end_matches('.').split('.').all(label) {
        return Err(format!("{text:?} is neither an IP address nor a host name (the port has a key of its own)"));
    }
    Ok(Host::Name(text.to_owned()))
}

fn read_access(keys: &mut Keys<'_>, family: Option<&Family>) -> Option<Access> {
    use snmp2::v3::{AuthProtocol, Cipher, KeyExtension};

    let usual = family.map_or(Version::V2c, |f| f.version);
    let version = match keys.word("version", &VERSIONS) {
        Some(version) => version,
        None if keys.has("user") => Version::V3,
        None => usual,
    };
    let read = keys.text("community").map(Secret::new);
    let write = keys.text("write_community").map(Secret::new);
    let user = keys.text("user");
    let auth_protocol = keys.word(
        "auth_protocol",
        &[
            ("md5", AuthProtocol::Md5),
            ("sha", AuthProtocol::Sha1),
            ("sha224", AuthProtocol::Sha224),
            ("sha256", AuthProtocol::Sha256),
            ("sha384", AuthProtocol::Sha384),
            ("sha512", AuthProtocol::Sha512),
        ],
    );
    let auth_key = key_of(keys, "auth_key");
    let cipher = keys.word(
        "priv_protocol",
        &[("des", Cipher::Des), ("aes", Cipher::Aes128), ("aes192", Cipher::Aes192), ("aes256", Cipher::Aes256)],
    );
    let priv_key = key_of(keys, "priv_key");
    let extension =
        keys.word("key_extension", &[("reeder", KeyExtension::Reeder), ("blumenthal", KeyExtension::Blumenthal)]);
    let context = keys.text("context");
    if version != Version::V3 {
        for key in ["user", "auth_protocol", "auth_key", "priv_protocol", "priv_key", "key_extension", "context"] {
            if keys.has(key) {
                keys.wrong(key, format!("belongs to SNMP version 3, but the version is {}", version.as_str()));
            }
        }
        let write = write.or_else(|| read.clone());
        let usual = |of: fn(&Family) -> &String| Secret::new(family.map(of).cloned().unwrap_or_default());
        let read = read.unwrap_or_else(|| usual(|f| &f.community));
        let write = write.unwrap_or_else(|| usual(|f| &f.write_community));
        return Some(Access::Community { version, read, write });
    }
    for key in ["community", "write_community"] {
        if keys.has(key) {
            keys.wrong(key, "belongs to SNMP versions 1 and 2c; version 3 has a `user`");
        }
    }
    if user.is_none() && !keys.has("user") {
        keys.wrong("user", "missing: SNMP version 3 needs a user");
    }
    for (key, needs) in [("auth_protocol", "auth_key"), ("priv_protocol", "priv_key"), ("priv_key", "auth_key")] {
        if keys.has(key) && !keys.has(needs) {
            keys.wrong(key, format!("needs `{needs}` too"));
        }
    }
    Some(Access::User(User {
        name: user?.to_owned(),
        auth: auth_key.map(|key| (auth_protocol.unwrap_or(AuthProtocol::Sha1), key)),
        privacy: priv_key.map(|key| (cipher.unwrap_or(Cipher::Aes128), key)),
        extension: extension.unwrap_or(KeyExtension::Reeder),
        context: context.unwrap_or_default().to_owned(),
    }))
}

fn key_of(keys: &mut Keys<'_>, key: &str) -> Option<Secret> {
    let text = keys.text(key)?;
    if text.len() < SHORTEST_KEY {
        keys.wrong(key, "is shorter than eight characters, which SNMP version 3 does not allow");
        return None;
    }
    Some(Secret::new(text))
}
