//! `[auth.oauth.NAME]`: issuers whose tokens are accepted in place of a password.

use std::{
    collections::BTreeSet,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    model::{NodeId, Role, Scope},
    wire::jose::{Alg, Jwks, jwk::MAX_SET},
};

use super::{
    keys,
    problem::Problems,
    section::{Section, quoted},
    source::{Sources, Val},
};

/// Issuers in all: each token's is looked up among them.
const MAX_ISSUERS: usize = 16;
/// Audiences of one issuer, and rules of one issuer.
const MAX_ENTRIES: usize = 256;
/// A file of certificates is not larger.
const MAX_PEM: u64 = 1 << 20;
/// What is accepted unless told otherwise: what nearly all issuers sign with.
const ALGORITHMS: [Alg; 3] = [Alg::Rs256, Alg::Ps256, Alg::Es256];
/// Keys are fetched again after that long.
const REFRESH: Duration = Duration::from_mins(10);
/// Clocks differ by that much.
const LEEWAY: Duration = Duration::from_secs(30);
/// Where the roles of a token stand unless told otherwise (RFC 8693, section 4.2).
const ROLES_CLAIM: &str = "scope";

/// `[auth.oauth.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthIssuer {
    /// Its name here: what its users' names begin with, as `NAME:user`.
    pub name: String,
    /// `iss` of its tokens, to the letter.
    pub issuer: String,
    /// A token has to be meant for one of these (`aud`).
    pub audience: Vec<String>,
    /// Where its keys come from.
    pub keys: OAuthKeys,
    /// What its tokens may be signed with.
    pub algorithms: Vec<Alg>,
    /// The claim that names the user; without it `preferred_username`, else `sub`.
    pub name_claim: Option<String>,
    /// The claim that holds the values of `roles`.
    pub roles_claim: String,
    /// What a token's values are worth here.
    pub roles: Vec<OAuthRole>,
    /// How far its clock may be from ours.
    pub leeway: Duration,
    /// Longest time from a token's `iat` to its `exp`; `None`: any.
    pub max_lifetime: Option<Duration>,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OAuthKeys {
    /// A file, read with the configuration.
    File {
        /// Which.
        path: PathBuf,
        /// What is in it.
        set: Arc<Jwks>,
    },
    /// Fetched, again and again.
    Url {
        /// `https`, or `http` when the configuration insists.
        url: reqwest::Url,
        /// `url` is the issuer, whose metadata says where its keys are.
        discover: bool,
        /// File with the certificates (DER) that are trusted there, in place of the system's.
        ca: Option<(PathBuf, Vec<Vec<u8>>)>,
        /// Fetched again after that long at the latest.
        refresh: Duration,
    },
}

/// A rule of `roles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthRole {
    /// A value of the claim.
    pub value: String,
    /// What it makes of its bearer.
    pub role: Role,
    /// On which nodes.
    pub scope: Scope,
}

impl OAuthIssuer {
    /// Files that were read: for the watcher.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let path = match &self.keys {
            OAuthKeys::File { path, .. } => Some(path.clone()),
            OAuthKeys::Url { ca, .. } => ca.as_ref().map(|(path, _)| path.clone()),
        };
        path.into_iter()
    }
}

/// Reads `[auth.oauth]`. What is not sound is left out, and noted.
pub(super) fn read(auth: &Section<'_>, sources: &Sources, p: &mut Problems) -> Vec<Arc<OAuthIssuer>> {
    let Some(table) = auth.table(p, "oauth") else { return Vec::new() };
    let mut found: Vec<Arc<OAuthIssuer>> = Vec::new();
    for (name, entry) in &table.map.0 {
        let Val::Table(map) = &entry.spot.val else {
            let way_out = "issuers have names, as in [auth.oauth.sso]: keys stand below that";
            p.add(entry.at, table.key(&quoted(name)), "is no issuer", way_out);
            continue;
        };
        let s = Section::new(table.key(&quoted(name)), entry.at, map);
        let sound = !name.is_empty()
            && name.len() <= 32
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !sound || name == "local" {
            let way_out = "1 to 32 letters, digits, '-', '_' and '.'; `local` is taken by the control socket";
            p.add(entry.at, s.path.as_ref(), "is no name for an issuer: its users are called NAME:user", way_out);
        }
        let Some(issuer) = issuer(name, &s, sources, p) else { continue };
        if let Some(other) = found.iter().find(|other| other.issuer == issuer.issuer) {
            let message = format!("{} is the issuer of [auth.oauth.{}] already", issuer.issuer, other.name);
            s.wrong(p, "issuer", message, "an issuer is configured once; more audiences and roles go into its lists");
        }
        found.push(Arc::new(issuer));
    }
    if found.len() > MAX_ISSUERS {
        p.add(
            table.at,
            table.path.as_ref(),
            format!("has {} issuers", found.len()),
            format!("{MAX_ISSUERS} are allowed"),
        );
    }
    found
}

fn issuer(name: &str, s: &Section<'_>, sources: &Sources, p: &mut Problems) -> Option<OAuthIssuer> {
    s.only(p, keys::OAUTH);
    let examples = [
        ("issuer", "issuer = \"https://sso.example/realms/lab\""),
        ("audience", "audience = \"rackfish\""),
        ("roles", "roles = [{ value = \"rackfish.ops\", role = \"Operator\" }]"),
    ];
    let missing: Vec<_> = examples.into_iter().filter(|(key, _)| s.entry(key).is_none()).collect();
    if !missing.is_empty() {
        let (keys, examples): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
        let message = format!("has no {}", keys.join(" and no "));
        p.add(s.at, s.path.as_ref(), message, format!("for example {}", examples.join(", ")));
    }
    let issuer = s.label(p, "issuer");
    let audience = s.texts(p, sources, "audience").map(|list| {
        if list.is_empty() || list.len() > MAX_ENTRIES || list.iter().any(|(_, text)| text.is_empty()) {
            s.wrong(p, "audience", "names nobody, or too many", "write what tokens for this service have as `aud`");
        }
        list.into_iter().map(|(_, text)| text.into_owned()).collect()
    });
    let keys = read_keys(s, sources, p);
    let roles = roles(s, sources, p);
    let claim = |p: &mut Problems, key: &str| s.label(p, key);
    let (name_claim, roles_claim) = (claim(p, "name_claim"), claim(p, "roles_claim"));
    let algorithms = algorithms(s, sources, p);
    let secs = |from, to| Duration::from_secs(from)..=Duration::from_secs(to);
    let leeway = s.duration(p, "leeway", secs(0, 300)).unwrap_or(LEEWAY);
    let max_lifetime = s.duration(p, "max_lifetime", secs(1, 366 * 86_400));
    Some(OAuthIssuer {
        name: name.to_owned(),
        issuer: issuer?,
        audience: audience?,
        keys: keys?,
        algorithms,
        name_claim,
        roles_claim: roles_claim.unwrap_or_else(|| ROLES_CLAIM.to_owned()),
        roles: roles?,
        leeway,
        max_lifetime,
    })
}

fn algorithms(s: &Section<'_>, sources: &Sources, p: &mut Problems) -> Vec<Alg> {
    let Some(list) = s.texts(p, sources, "algorithms") else { return ALGORITHMS.to_vec() };
    if list.is_empty() {
        s.wrong(p, "algorithms", "names none", "leave the key out for RS256, PS256 and ES256");
    }
    let mut found = Vec::new();
    for (at, text) in list {
        match Alg::of(&text) {
            Some(alg) => found.push(alg),
            None if text.starts_with("HS") || text.eq_ignore_ascii_case("none") => p.add(
                at,
                s.key("algorithms"),
                format!("{text:?} is no signature of a key pair: anybody who knows the public key could make it"),
                "take it out",
            ),
            None => {
                let known: Vec<&str> = Alg::ALL.iter().map(|alg| alg.as_str()).collect();
                let way_out = format!("known are {}", known.join(", "));
                let way_out = p.did_you_mean(&text, known.iter().copied(), way_out);
                p.add(at, s.key("algorithms"), format!("{text:?} is no algorithm"), way_out);
            }
        }
    }
    found
}

fn read_keys(s: &Section<'_>, sources: &Sources, p: &mut Problems) -> Option<OAuthKeys> {
    let file = s.path(p, sources, "jwks_file");
    let url = s.text(p, "jwks_url");
    let plain = s.flag(p, sources, "insecure_plain_jwks").unwrap_or(false);
    let refresh = s.duration(p, "refresh", Duration::from_secs(1)..=Duration::from_hours(24));
    let ca_file = s.path(p, sources, "ca_file");
    match (file, url) {
        (Some(_), Some(_)) => {
            s.wrong(p, "jwks_file", "there is a `jwks_url` too", "keys come from one of them: take the other out");
            None
        }
        (Some(path), None) => {
            for key in ["ca_file", "refresh", "insecure_plain_jwks"] {
                if s.entry(key).is_some() {
                    s.wrong(p, key, "is for keys that are fetched, and these are in a file", "take it out");
                }
            }
            match set_of(&path) {
                Ok(set) => {
                    for why in &set.left_out {
                        p.warn(s.at("jwks_file"), s.key("jwks_file"), why.clone(), "it is not used");
                    }
                    Some(OAuthKeys::File { path, set: Arc::new(set) })
                }
                Err(why) => {
                    let way_out = "save what the issuer serves at its `jwks_uri`";
                    s.wrong(p, "jwks_file", format!("{}: {why}", path.display()), way_out);
                    // Kept, so that it is watched: its next version may be right.
                    Some(OAuthKeys::File { path, set: Arc::default() })
                }
            }
        }
        (None, url) => {
            // Without a word of its keys, the issuer itself is asked.
            let (key, text) = match url {
                Some(url) => ("jwks_url", url),
                None => ("issuer", s.text(p, "issuer")?),
            };
            let discover = key == "issuer";
            let ca = ca_file.map(|path| {
                let found = certificates(&path).unwrap_or_else(|why| {
                    s.wrong(p, "ca_file", format!("{}: {why}", path.display()), "name a PEM file with the issuer's CA");
                    Vec::new()
                });
                (path, found)
            });
            let url = address(s, p, key, &text, plain)?;
            if url.scheme() == "http" && ca.is_some() {
                s.wrong(p, "ca_file", format!("is for https, and `{key}` is http"), "take it out");
            }
            Some(OAuthKeys::Url { url, discover, ca, refresh: refresh.unwrap_or(REFRESH) })
        }
    }
}

/// `key` is where it stands: `jwks_url`, or `issuer` if its metadata has to be asked.
fn address(s: &Section<'_>, p: &mut Problems, key: &str, text: &str, plain: bool) -> Option<reqwest::Url> {
    let wrong = |p: &mut Problems, what: String, way_out: &str| s.wrong(p, key, what, way_out);
    let example = if key == "issuer" {
        "an issuer that is no address can't be asked for its keys: add jwks_url = \"https://...\" or jwks_file = \"...\""
    } else {
        "for example \"https://sso.example/certs\""
    };
    let url = match reqwest::Url::parse(text) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => url,
        Ok(_) => {
            wrong(p, format!("{text:?} is no https URL"), example);
            return None;
        }
        Err(error) => {
            wrong(p, format!("{text:?} is not a URL: {error}"), example);
            return None;
        }
    };
    if key == "issuer" && (url.query().is_some() || url.fragment().is_some()) {
        wrong(p, "has a query or a fragment, which no issuer has".to_owned(), "add jwks_url if it is to the letter");
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        wrong(p, "holds a password".to_owned(), "keys are public: take it out");
        return None;
    }
    if url.scheme() == "http" {
        if !plain {
            let way_out = "use https; insecure_plain_jwks = true is for tests";
            wrong(p, "is not https: who is on the way could put keys of their own into it".to_owned(), way_out);
        }
    } else if plain {
        s.wrong(p, "insecure_plain_jwks", format!("`{key}` is https"), "take it out");
    }
    Some(url)
}

/// Reads a file up to a bound.
fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("can't be read: {error}"))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| format!("can't be read: {error}"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(format!("has more than {most} bytes"));
    }
    Ok(bytes)
}

fn set_of(path: &Path) -> Result<Jwks, String> {
    let bytes = bytes(path, MAX_SET.try_into().unwrap_or(u64::MAX))?;
    let set = Jwks::parse(&bytes).map_err(|error| error.to_string())?;
    if set.keys.is_empty() {
        return Err(match set.left_out.as_slice() {
            [] => "holds no key".to_owned(),
            some => format!("holds no key that can be used: {}", some.join("; ")),
        });
    }
    Ok(set)
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let pem = bytes(path, MAX_PEM)?;
    let found = openssl::x509::X509::stack_from_pem(&pem).map_err(|error| format!("holds no certificate: {error}"))?;
    let found: Vec<_> = found.iter().filter_map(|certificate| certificate.to_der().ok()).collect();
    if found.is_empty() { Err("holds no certificate (PEM)".to_owned()) } else { Ok(found) }
}

fn roles(s: &Section<'_>, sources: &Sources, p: &mut Problems) -> Option<Vec<OAuthRole>> {
    let entry = s.entry("roles")?;
    let Val::List(list) = &entry.spot.val else {
        let way_out = "for example roles = [{ value = \"rackfish.ops\", role = \"Operator\" }]";
        s.wrong(p, "roles", format!("must be a list of tables, not {}", entry.spot.val.kind()), way_out);
        return None;
    };
    if list.is_empty() || list.len() > MAX_ENTRIES {
        s.wrong(p, "roles", format!("has {} entries", list.len()), format!("1 to {MAX_ENTRIES} are allowed"));
    }
    let mut found = Vec::new();
    for spot in list {
        let Val::Table(map) = &spot.val else {
            p.add(spot.at, s.key("roles"), format!("must be a table, not {}", spot.val.kind()), "");
            continue;
        };
        found.extend(role(&s.below("roles", spot.at, map), sources, p));
    }
    Some(found)
}

fn role(s: &Section<'_>, sources: &Sources, p: &mut Problems) -> Option<OAuthRole> {
    s.only(p, keys::OAUTH_ROLE);
    for key in ["value", "role"] {
        if s.entry(key).is_none() {
            p.add(s.at, s.path.as_ref(), format!("an entry has no `{key}`"), "add it");
        }
    }
    let value = s.label(p, "value");
    let words = [Role::Administrator, Role::Operator, Role::ReadOnly].map(|role| (role.as_str(), role));
    let role = s.word(p, "role", &words);
    let names = |p: &mut Problems, key: &str| s.texts(p, sources, key);
    let nodes = names(p, "nodes").map(|list| {
        let mut nodes = BTreeSet::new();
        for (at, text) in list {
            match NodeId::new(text.as_ref()) {
                Ok(node) => drop(nodes.insert(node)),
                Err(error) => p.add(at, s.key("nodes"), error.to_string(), ""),
            }
        }
        nodes
    });
    let groups: Option<BTreeSet<String>> =
        names(p, "groups").map(|list| list.into_iter().map(|(_, text)| text.into_owned()).collect());
    let scope = match (nodes, groups) {
        (None, None) => Scope::All,
        (nodes, groups) => Scope::Some { nodes: nodes.unwrap_or_default(), groups: groups.unwrap_or_default() },
    };
    Some(OAuthRole { value: value?, role: role?, scope })
}
