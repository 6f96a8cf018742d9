//! `[auth.ldap]`: the directory that is asked for names which no local account has.

use std::{sync::Arc, time::Duration};

use super::{
    keys,
    load::Cx,
    problem::At,
    section::Section,
    source::{Map, Spot, Val},
};
use crate::{
    model::{NodeId, Role, Scope, Secret},
    wire::ldap::{Dn, Filter},
};

/// What stands for the user's name in `user_filter`.
pub const USER: &str = "{user}";
/// Directories that are tried one after the other.
const MAX_URLS: usize = 8;
/// Groups that are given a role.
const MAX_ROLES: usize = 200;

/// `[auth.ldap]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ldap {
    /// Servers with the same content, in the order in which they are tried.
    pub servers: Vec<LdapServer>,
    /// Ask `ldap://` servers to go on encrypted (StartTLS).
    pub start_tls: bool,
    /// Certificates that servers have to be signed by, PEM; `None`: those that the system trusts.
    pub ca: Option<Vec<u8>>,
    /// Who we are when we search; `None`: nobody (anonymous).
    pub bind: Option<(String, Secret)>,
    /// What entries look like.
    pub schema: LdapSchema,
    /// Below which users are.
    pub user_base: String,
    /// How the user of a name is found; holds [`USER`].
    pub user_filter: Filter,
    /// The attribute that names a user: what they are called here, however they wrote it.
    pub name_attribute: String,
    /// Below which groups are.
    pub group_base: String,
    /// How groups in groups are found.
    pub nested: LdapNested,
    /// What groups are given.
    pub roles: Vec<LdapRole>,
    /// Longest time that one login may take.
    pub timeout: Duration,
    /// After nobody answered: so long nobody is asked.
    pub retry: Duration,
    /// Sessions: groups older than that are read again.
    pub recheck: Duration,
    /// Sessions: how long they go on when nobody answers.
    pub grace: Duration,
    /// HTTP Basic: a password that was right is not asked again for that long.
    pub cache: Duration,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapServer {
    /// As written, for messages.
    pub url: String,
    /// TLS from the first byte (`ldaps://`).
    pub tls: bool,
    /// Name or address; also what its certificate has to name.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// What entries look like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LdapSchema {
    /// Users with `uid`; groups that name members as entries (`member`, `uniqueMember`): OpenLDAP, 389 DS, FreeIPA.
    #[default]
    Rfc2307bis,
    /// Users with `uid`; groups that name members by their `uid` (`memberUid`).
    Rfc2307,
    /// Active Directory, and Samba as its domain controller.
    Ad,
}

/// Who finds groups in groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LdapNested {
    /// The server, by Active Directory's matching rule.
    Server,
    /// We, step by step.
    Walk,
    /// Nobody: only groups that name the user count.
    No,
}

/// What a group is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapRole {
    /// The group.
    pub group: Dn,
    /// What its members may do.
    pub role: Role,
    /// To which nodes.
    pub scope: Scope,
}

/// Reads the table, if there is one. The nodes and groups that roles name are for `check`, with their places.
pub(super) fn read(cx: &mut Cx<'_>, fixed: &Map) -> Option<Arc<Ldap>> {
    let entry = fixed.get("auth")?;
    let Val::Table(map) = &entry.spot.val else { return None };
    let auth = Section::new("auth", entry.at, map);
    // A lone text or list is noted by `table`.
    let s = auth.table(&mut cx.p, "ldap")?;
    s.only(&mut cx.p, keys::LDAP);
    let schema = s
        .word(
            &mut cx.p,
            "schema",
            &[("rfc2307bis", LdapSchema::Rfc2307bis), ("rfc2307", LdapSchema::Rfc2307), ("ad", LdapSchema::Ad)],
        )
        .unwrap_or_default();
    let servers = servers(cx, &s);
    let ca = ca(cx, &s);
    let bind = bind(cx, &s);
    let user_base = base(cx, &s, "user_base");
    let group_base = if s.entry("group_base").is_some() { base(cx, &s, "group_base") } else { user_base.clone() };
    let user_filter = user_filter(cx, &s, schema);
    let name_attribute = name_attribute(cx, &s, schema);
    let nested = s
        .word(
            &mut cx.p,
            "nested",
            &[("server", LdapNested::Server), ("walk", LdapNested::Walk), ("no", LdapNested::No)],
        )
        .unwrap_or(if schema == LdapSchema::Ad { LdapNested::Server } else { LdapNested::Walk });
    let roles = roles(cx, &s);
    let secs = |from, to| Duration::from_secs(from)..=Duration::from_secs(to);
    let mut time = |key: &str, bounds, default| s.duration(&mut cx.p, key, bounds).unwrap_or(default);
    let timeout = time("timeout", Duration::from_millis(100)..=Duration::from_mins(1), Duration::from_secs(5));
    let retry = time("retry", secs(1, 600), Duration::from_secs(10));
    let recheck = time("recheck", secs(1, 86_400), Duration::from_mins(5));
    let grace = time("grace", secs(1, 86_400 * 7), Duration::from_hours(1));
    let cache = time("cache", secs(0, 600), Duration::from_mins(1));
    if grace < recheck {
        s.wrong(
            &mut cx.p,
            "grace",
            "is shorter than `recheck`: every session would end before it is confirmed again",
            "take a longer one",
        );
    }
    let start_tls = s.flag(&mut cx.p, cx.sources, "start_tls").unwrap_or(false);
    Some(Arc::new(Ldap {
        servers,
        start_tls,
        ca,
        bind,
        schema,
        user_base,
        user_filter: user_filter?,
        name_attribute,
        group_base,
        nested,
        roles,
        timeout,
        retry,
        recheck,
        grace,
        cache,
    }))
}

fn servers(cx: &mut Cx<'_>, s: &Section<'_>) -> Vec<LdapServer> {
    let start_tls = s.flag(&mut cx.p, cx.sources, "start_tls").unwrap_or(false);
    let plain = s.flag(&mut cx.p, cx.sources, "insecure_plain").unwrap_or(false);
    let texts = s.texts(&mut cx.p, cx.sources, "url").unwrap_or_default();
    if texts.is_empty() && s.entry("url").is_none_or(|e| matches!(&e.spot.val, Val::List(l) if l.is_empty())) {
        s.wrong(&mut cx.p, "url", "names no server", "for example url = \"ldaps://ldap.example.org\"");
    }
    if texts.len() > MAX_URLS {
        s.wrong(&mut cx.p, "url", format!("names {} servers", texts.len()), format!("{MAX_URLS} are allowed"));
    }
    let mut servers: Vec<LdapServer> = Vec::new();
    for (at, text) in texts.into_iter().take(MAX_URLS) {
        match server(&text) {
            Err(why) => {
                cx.p.add(at, s.key("url"), format!("{text:?} {why}"), "for example \"ldaps://ldap.example.org\"");
            }
            Ok(server) if !server.tls && !start_tls && !plain => cx.p.add(
                at,
                s.key("url"),
                format!("{text:?} would send passwords unencrypted"),
                "write ldaps://, or start_tls = true (or insecure_plain = true, if nobody else is on the way)",
            ),
            Ok(server) if servers.contains(&server) => {
                cx.p.add(at, s.key("url"), format!("{text:?} is named twice"), "take one out");
            }
            Ok(server) => servers.push(server),
        }
    }
    let all_tls = !servers.is_empty() && servers.iter().all(|server| server.tls);
    for (key, set, what) in [
        ("start_tls", start_tls, "every server is spoken to with ldaps://"),
        ("insecure_plain", plain && !start_tls, "every server is spoken to with ldaps://"),
        ("insecure_plain", plain && start_tls, "start_tls = true is set too and wins"),
    ] {
        if set && (all_tls || (start_tls && key == "insecure_plain")) {
            cx.p.warn(s.at(key), s.key(key), format!("has no effect: {what}"), "take it out");
        }
    }
    if plain && !start_tls && servers.iter().any(|server| !server.tls) {
        cx.p.warn(
            s.at("insecure_plain"),
            s.key("insecure_plain"),
            "passwords go to the directory unencrypted",
            "use ldaps:// or start_tls = true",
        );
    }
    servers
}

fn server(text: &str) -> Result<LdapServer, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    let tls = match url.scheme() {
        "ldaps" => true,
        "ldap" => false,
        other => return Err(format!("has the scheme {other}, not ldaps or ldap")),
    };
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no host")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or password; bind_dn and bind_password are the place".to_owned());
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("holds more than a server; user_base is the place for the rest".to_owned());
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    // RFC 4516, and the registered port of LDAP over TLS.
    let port = url.port().unwrap_or(if tls { 636 } else { 389 });
    Ok(LdapServer { url: text.to_owned(), tls, host, port })
}

fn ca(cx: &mut Cx<'_>, s: &Section<'_>) -> Option<Vec<u8>> {
    let path = s.path(&mut cx.p, cx.sources, "ca_file")?;
    cx.seen.files.push(path.clone());
    let text = super::layers::read_text(&path, 4 << 20);
    let why = match text {
        Err(error) => error,
        Ok(text) => match openssl::x509::X509::stack_from_pem(text.as_bytes()) {
            Ok(list) if !list.is_empty() => return Some(text.into_bytes()),
            _ => "holds no certificate (PEM)".to_owned(),
        },
    };
    s.wrong(
        &mut cx.p,
        "ca_file",
        format!("{} {why}", path.display()),
        "name the file with the authority that signed the server's certificate, or leave the key out to trust those of \
         the system",
    );
    None
}

fn bind(cx: &mut Cx<'_>, s: &Section<'_>) -> Option<(String, Secret)> {
    let dn = s.text(&mut cx.p, "bind_dn");
    let password = s.entry("bind_password").and_then(|entry| {
        cx.secrets.resolve(&mut cx.p, cx.sources, cx.env, s, "bind_password", &entry.spot).map(Secret::new)
    });
    match (s.entry("bind_dn").is_some(), s.entry("bind_password").is_some()) {
        (true, false) => {
            // With an empty password a server would take us for nobody, and say that all is well.
            s.wrong(&mut cx.p, "bind_dn", "has no password", "add bind_password = { file = \"...\" }");
        }
        (false, true) => s.wrong(&mut cx.p, "bind_password", "has no bind_dn", "add bind_dn = \"cn=...\""),
        _ => {}
    }
    let dn = dn?.into_owned();
    // Active Directory also takes user@domain and DOMAIN\user.
    if Dn::parse(&dn).is_none() && !dn.contains(['@', '\\']) {
        s.wrong(
            &mut cx.p,
            "bind_dn",
            format!("{dn:?} is not a distinguished name"),
            "for example \"cn=rackfish,dc=example,dc=org\"",
        );
    }
    let password = password?;
    if password.expose().is_empty() {
        s.wrong(&mut cx.p, "bind_password", "is empty", "a directory takes that for nobody");
        return None;
    }
    Some((dn, password))
}

fn base(cx: &mut Cx<'_>, s: &Section<'_>, key: &str) -> String {
    if s.entry(key).is_none() {
        s.wrong(&mut cx.p, key, "is missing", format!("add {key} = \"ou=people,dc=example,dc=org\""));
        return String::new();
    }
    let Some(text) = s.text(&mut cx.p, key) else { return String::new() };
    if Dn::parse(&text).is_none() {
        s.wrong(
            &mut cx.p,
            key,
            format!("{text:?} is not a distinguished name"),
            format!("for example {key} = \"ou=people,dc=example,dc=org\""),
        );
    }
    text.into_owned()
}

fn user_filter(cx: &mut Cx<'_>, s: &Section<'_>, schema: LdapSchema) -> Option<Filter> {
    let text = if s.entry("user_filter").is_some() {
        s.text(&mut cx.p, "user_filter")?.into_owned()
    } else {
        match schema {
            LdapSchema::Rfc2307bis => "(&(objectClass=person)(uid={user}))",
            LdapSchema::Rfc2307 => "(&(objectClass=posixAccount)(uid={user}))",
            LdapSchema::Ad => "(&(objectClass=user)(|(sAMAccountName={user})(userPrincipalName={user})))",
        }
        .to_owned()
    };
    match Filter::parse(&text) {
        Err(error) => s.wrong(
            &mut cx.p,
            "user_filter",
            format!("{text:?} is not a filter: {error}"),
            "for example \"(&(objectClass=person)(uid={user}))\"",
        ),
        Ok(filter) if !filter.holds(USER) => s.wrong(
            &mut cx.p,
            "user_filter",
            "has no {user}: it would find the same entry for everybody",
            "for example \"(&(objectClass=person)(uid={user}))\"",
        ),
        Ok(filter) => return Some(filter),
    }
    None
}

fn name_attribute(cx: &mut Cx<'_>, s: &Section<'_>, schema: LdapSchema) -> String {
    let default = if schema == LdapSchema::Ad { "sAMAccountName" } else { "uid" };
    let Some(text) = s.text(&mut cx.p, "name_attribute") else { return default.to_owned() };
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';');
    if text.is_empty() || !text.chars().all(sound) {
        s.wrong(
            &mut cx.p,
            "name_attribute",
            format!("{text:?} can't be the name of an attribute"),
            "for example \"uid\"",
        );
        return default.to_owned();
    }
    text.into_owned()
}

fn roles(cx: &mut Cx<'_>, s: &Section<'_>) -> Vec<LdapRole> {
    let Some(entry) = s.entry("roles") else {
        s.wrong(
            &mut cx.p,
            "roles",
            "is missing: nobody of the directory could log in",
            "add roles = [{ group = \"cn=ops,ou=groups,dc=example,dc=org\", role = \"Operator\" }]",
        );
        return Vec::new();
    };
    let spots: Vec<&Spot> = match &entry.spot.val {
        Val::List(list) => list.iter().collect(),
        _ => vec![&entry.spot],
    };
    if spots.is_empty() || spots.len() > MAX_ROLES {
        s.wrong(&mut cx.p, "roles", format!("has {} entries", spots.len()), format!("1 to {MAX_ROLES} are allowed"));
    }
    let mut roles: Vec<LdapRole> = Vec::new();
    for spot in spots.into_iter().take(MAX_ROLES) {
        let Val::Table(map) = &spot.val else {
            cx.p.add(
                spot.at,
                s.key("roles"),
                format!("must be a table, not {}", spot.val.kind()),
                "for example { group = \"cn=ops,ou=groups,dc=example,dc=org\", role = \"Operator\" }",
            );
            continue;
        };
        let table = s.below("roles", spot.at, map);
        table.only(&mut cx.p, keys::LDAP_ROLE);
        if let Some(role) = role(cx, &table, spot.at) {
            if roles.iter().any(|known| known.group == role.group) {
                let group = &role.group;
                cx.p.add(spot.at, table.key("group"), format!("{group} is named twice"), "put both into one entry");
            }
            roles.push(role);
        }
    }
    roles
}

fn role(cx: &mut Cx<'_>, s: &Section<'_>, at: At) -> Option<LdapRole> {
    for (key, example) in [("group", "\"cn=ops,ou=groups,dc=example,dc=org\""), ("role", "\"Operator\"")] {
        if s.entry(key).is_none() {
            cx.p.add(at, s.key(key), "is missing", format!("add {key} = {example}"));
        }
    }
    let role = s.role(&mut cx.p, "role");
    let group = s.text(&mut cx.p, "group").and_then(|text| {
        let dn = Dn::parse(&text);
        if dn.is_none() {
            s.wrong(
                &mut cx.p,
                "group",
                format!("{text:?} is not a distinguished name"),
                "for example \"cn=ops,ou=groups,dc=example,dc=org\"",
            );
        }
        dn
    });
    let scope = scope(cx, s);
    Some(LdapRole { group: group?, role: role?, scope: scope? })
}

fn scope(cx: &mut Cx<'_>, s: &Section<'_>) -> Option<Scope> {
    if s.entry("nodes").is_none() && s.entry("groups").is_none() {
        return Some(Scope::All);
    }
    let mut nodes = std::collections::BTreeSet::new();
    let mut sound = true;
    for (at, text) in s.texts(&mut cx.p, cx.sources, "nodes").unwrap_or_default() {
        match NodeId::new(&text) {
            Ok(node) => {
                nodes.insert(node);
            }
            Err(error) => {
                cx.p.add(at, s.key("nodes"), format!("{text:?} can't be a node: {error}"), "");
                sound = false;
            }
        }
    }
    let groups: std::collections::BTreeSet<String> =
        s.texts(&mut cx.p, cx.sources, "groups").unwrap_or_default().into_iter().map(|(_, t)| t.into_owned()).collect();
    if nodes.is_empty() && groups.is_empty() && sound {
        let key = if s.entry("nodes").is_some() { "nodes" } else { "groups" };
        s.wrong(&mut cx.p, key, "names none: the role would be of no use", "leave the key out for all nodes");
        return None;
    }
    Some(Scope::Some { nodes, groups })
}

/// Warns of nodes and groups in roles that do not exist. They may come later, and then the role holds for them.
pub(super) fn check<'n>(
    cx: &mut Cx<'_>,
    fixed: &Map,
    ldap: &Ldap,
    nodes: &(impl Iterator<Item = &'n super::Node> + Clone),
) {
    let place = |map: &Map| Some(map.get("auth")?.at);
    let at = place(fixed).unwrap_or_else(|| super::source::Sources::whole(0));
    for role in &ldap.roles {
        let Scope::Some { nodes: wanted, groups } = &role.scope else { continue };
        let missing_nodes = wanted.iter().filter(|id| !nodes.clone().any(|node| node.id == **id));
        let missing_groups = groups.iter().filter(|group| !nodes.clone().any(|node| node.groups.contains(group)));
        let missing: Vec<String> = missing_nodes
            .map(|id| format!("node {}", id.as_str()))
            .chain(missing_groups.map(|group| format!("group {group}")))
            .collect();
        if !missing.is_empty() {
            cx.p.warn(
                at,
                "auth.ldap.roles",
                format!("{} is limited to what does not exist: {}", role.group, missing.join(", ")),
                "correct the name, or make the node",
            );
        }
    }
}
