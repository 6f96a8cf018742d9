//! A directory (LDAP, Active Directory) that knows users which no local account knows.
//!
//! A login is a search for the user as the service's own account (`bind_dn`), a bind as the user with the password they
//! gave, and a search for their groups. Rooms: `conn` (one connection), `groups` (which groups, and what they are given),
//! `entry` (may this user log in at all), `breaker` (nobody waits for a directory that is down).
//!
//! What must never happen: a bind with an empty password, which a directory takes for nobody and lets pass (RFC 4513,
//! 5.1.2); a user name that becomes a part of a filter; a name that fits two entries; a referral that is followed.

mod breaker;
mod conn;
mod entry;
mod groups;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use openssl::{
    error::ErrorStack,
    ssl::{SslConnector, SslMethod, SslVersion},
    x509::{X509, store::X509StoreBuilder},
};
use tokio::sync::Semaphore;

use crate::{
    config::{LDAP_USER, Ldap},
    model::{Role, Scope},
    wire::ldap::{Dn, Request, SearchScope, code},
};
use breaker::Breaker;
use conn::{Broken, Connection, Found, said};
use groups::User;

/// Logins under way at once; more wait.
const PLACES: usize = 8;
/// Connections kept for the next one, of each kind.
const KEPT: usize = 4;
/// A connection that was not used for that long is not used again: servers hang up on idle ones.
const IDLE: Duration = Duration::from_secs(30);
/// After `bind_dn` was refused: asking on would only lock that account.
const REFUSED: Duration = Duration::from_mins(1);
/// Longest name that the directory is asked for, in bytes.
const MAX_NAME: usize = 256;

/// Somebody the directory knows.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// Their entry.
    pub dn: String,
    /// What they are called here.
    pub name: String,
    /// Why they may not log in, if so.
    pub disabled: Option<&'static str>,
    /// Their groups; not asked for when they may not log in.
    pub groups: Vec<Dn>,
    /// What their groups are given.
    pub rights: Option<(Role, Arc<Scope>)>,
}

/// Why somebody is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No entry fits the name.
    Unknown,
    /// Several do.
    Ambiguous,
    /// The entry lacks the attribute that names users.
    Nameless(String),
    /// The password is wrong, or the directory bars it; with what it says.
    Password(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("the directory has no such user"),
            Self::Ambiguous => f.write_str("several entries of the directory fit the name"),
            Self::Nameless(dn) => {
                write!(f, "the entry {dn} does not have the attribute that names users (name_attribute)")
            }
            Self::Password(text) => write!(f, "the directory refuses the password{text}"),
        }
    }
}

/// Nobody could be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Down {
    /// Why, for the log.
    pub why: String,
    /// When it is worth trying again.
    pub again: Duration,
}

/// See the module's documentation.
pub(super) struct Directory {
    pub config: Arc<Ldap>,
    tls: Option<SslConnector>,
    /// The server that answered last.
    preferred: AtomicUsize,
    /// Connections bound as `bind_dn`.
    service: Mutex<Vec<Connection>>,
    /// Connections for binds of users.
    users: Mutex<Vec<Connection>>,
    breaker: Breaker,
    places: Semaphore,
    /// Passed first by those who have guessed wrong too often.
    guessers: Semaphore,
}

impl Directory {
    /// Connects to nobody yet.
    pub fn new(config: Arc<Ldap>) -> Result<Self, ErrorStack> {
        let encrypted = config.start_tls || config.servers.iter().any(|server| server.tls);
        Ok(Self {
            tls: if encrypted { Some(connector(config.ca.as_deref())?) } else { None },
            config,
            preferred: AtomicUsize::new(0),
            service: Mutex::default(),
            users: Mutex::default(),
            breaker: Breaker::default(),
            places: Semaphore::new(PLACES),
            guessers: Semaphore::new(1),
        })
    }

    /// Who that is, if the password is theirs.
    pub async fn prove(&self, login: &str, password: &str, guesser: bool) -> Result<Result<Person, Refusal>, Down> {
        // Never sent: a directory takes a bind without a password for nobody's, and says that all is well.
        if password.is_empty() {
            return Ok(Err(Refusal::Password(String::new())));
        }
        if !askable(login) {
            return Ok(Err(Refusal::Unknown));
        }
        let _narrow = if guesser { self.guessers.acquire().await.ok() } else { None };
        self.ask(self.login(login, Some(password))).await
    }

    /// Who that is; their password is not asked for.
    pub async fn look(&self, login: &str) -> Result<Result<Person, Refusal>, Down> {
        if !askable(login) {
            return Ok(Err(Refusal::Unknown));
        }
        self.ask(self.login(login, None)).await
    }

    /// The server that answered last.
    pub fn server(&self) -> &str {
        let server = self.config.servers.get(self.preferred.load(Ordering::Relaxed));
        server.map_or("", |server| server.url.as_str())
    }

    /// Within the time that a login may take, and not at all while nobody answers.
    async fn ask<T>(&self, work: impl Future<Output = Result<T, Broken>>) -> Result<T, Down> {
        let timeout = self.config.timeout;
        let Ok(Ok(_place)) = tokio::time::timeout(timeout, self.places.acquire()).await else {
            return Err(Down { why: "too many logins at once".to_owned(), again: timeout });
        };
        self.breaker.enter(timeout).map_err(|(why, again)| Down { why, again })?;
        let (why, pause) = match tokio::time::timeout(timeout, work).await {
            Ok(Ok(done)) => {
                if self.breaker.answered() {
                    tracing::info!(server = self.server(), "the directory answers again");
                }
                return Ok(done);
            }
            Ok(Err(error @ Broken::Refused { .. })) => (error.to_string(), self.config.retry.max(REFUSED)),
            Ok(Err(error)) => (error.to_string(), self.config.retry),
            Err(_) => {
                // Whoever took the connection and says nothing: another one gets the next try.
                let next = (self.preferred.load(Ordering::Relaxed) + 1) % self.config.servers.len().max(1);
                self.preferred.store(next, Ordering::Relaxed);
                (format!("no answer within {} ms", timeout.as_millis()), self.config.retry)
            }
        };
        if self.breaker.failed(&why, pause) {
            tracing::error!(error = %why, "the directory can't be asked: only local accounts can log in");
        }
        Err(Down { why, again: pause })
    }

    async fn login(&self, login: &str, password: Option<&str>) -> Result<Result<Person, Refusal>, Broken> {
        let entry = match self.find(login).await? {
            Ok(entry) => entry,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(name) = entry.text(&self.config.name_attribute).map(str::to_owned) else {
            return Ok(Err(Refusal::Nameless(entry.dn)));
        };
        let disabled = entry::disabled(&entry, self.config.schema);
        let primary = entry::primary_group(&entry, self.config.schema);
        if let Some(password) = password
            && let Err(text) = self.bind(&entry.dn, password).await?
        {
            return Ok(Err(Refusal::Password(text)));
        }
        let mut person = Person { dn: entry.dn, name, disabled, groups: Vec::new(), rights: None };
        if person.disabled.is_none() {
            let user = User { dn: &person.dn, name: &person.name, primary: primary.as_deref() };
            person.groups = self.groups(&user).await?;
            person.rights = groups::rights(&person.groups, &self.config.roles);
        }
        Ok(Ok(person))
    }

    /// The one entry that fits.
    async fn find(&self, login: &str) -> Result<Result<crate::wire::ldap::Entry, Refusal>, Broken> {
        let filter = self.config.user_filter.fill(LDAP_USER, login.as_bytes());
        let mut attributes = vec![self.config.name_attribute.as_str()];
        attributes.extend(entry::ATTRIBUTES);
        let request = Request::Search {
            base: &self.config.user_base,
            scope: SearchScope::Subtree,
            limit: 2,
            seconds: 0,
            filter: &filter,
            attributes: &attributes,
        };
        let what = "the search for users";
        let (mut connection, reused) = self.service().await?;
        let found = match connection.search(what, &request).await {
            Err(error) if reused && error.is_connection() => {
                connection = self.connect_service().await?;
                connection.search(what, &request).await?
            }
            other => other?,
        };
        put(&self.service, connection);
        let Found { mut entries, more, no_base } = found;
        if no_base {
            tracing::warn!(base = %self.config.user_base, "auth.ldap.user_base does not exist in the directory");
        }
        Ok(match (entries.pop(), more || !entries.is_empty()) {
            (_, true) => Err(Refusal::Ambiguous),
            (Some(entry), false) if !entry.dn.is_empty() => Ok(entry),
            _ => Err(Refusal::Unknown),
        })
    }

    /// Whether that is the password of that entry; else what the directory says.
    async fn bind(&self, dn: &str, password: &str) -> Result<Result<(), String>, Broken> {
        let (mut connection, reused) = match take(&self.users) {
            Some(connection) => (connection, true),
            None => (self.connect().await?, false),
        };
        let outcome = match connection.bind(dn, password).await {
            Err(error) if reused && error.is_connection() => {
                connection = self.connect().await?;
                connection.bind(dn, password).await?
            }
            other => other?,
        };
        put(&self.users, connection);
        match outcome.code {
            code::SUCCESS => Ok(Ok(())),
            code::INVALID_CREDENTIALS
            | code::INAPPROPRIATE_AUTH
            | code::UNWILLING
            | code::CONSTRAINT
            | code::NO_SUCH_OBJECT => Ok(Err(said(&outcome))),
            _ => Err(Broken::refused("binds of users", &outcome)),
        }
    }

    async fn groups(&self, user: &User<'_>) -> Result<Vec<Dn>, Broken> {
        let (mut connection, reused) = self.service().await?;
        let groups = match groups::of(&mut connection, &self.config, user).await {
            Err(error) if reused && error.is_connection() => {
                connection = self.connect_service().await?;
                groups::of(&mut connection, &self.config, user).await?
            }
            other => other?,
        };
        put(&self.service, connection);
        Ok(groups)
    }

    /// A connection that may search, and whether it was used before.
    async fn service(&self) -> Result<(Connection, bool), Broken> {
        match take(&self.service) {
            Some(connection) => Ok((connection, true)),
            None => Ok((self.connect_service().await?, false)),
        }
    }

    async fn connect_service(&self) -> Result<Connection, Broken> {
        let mut connection = self.connect().await?;
        if let Some((dn, password)) = &self.config.bind {
            let outcome = connection.bind(dn, password.expose()).await?;
            if outcome.code != code::SUCCESS {
                return Err(Broken::refused("bind_dn with bind_password", &outcome));
            }
        }
        Ok(connection)
    }

    /// To the server that answered last, else to the next. Each gets its share of the time.
    async fn connect(&self) -> Result<Connection, Broken> {
        let servers = &self.config.servers;
        let share = self.config.timeout / u32::try_from(servers.len()).unwrap_or(1).max(1);
        let first = self.preferred.load(Ordering::Relaxed);
        let mut problems = Vec::new();
        for step in 0..servers.len() {
            let number = (first + step) % servers.len();
            let Some(server) = servers.get(number) else { continue };
            let tls = self.tls.as_ref().filter(|_| server.tls || self.config.start_tls);
            match tokio::time::timeout(share, Connection::open(server, tls)).await {
                Ok(Ok(connection)) => {
                    self.preferred.store(number, Ordering::Relaxed);
                    return Ok(connection);
                }
                Ok(Err(error)) => problems.push(format!("{}: {error}", server.url)),
                Err(_) => problems.push(format!("{}: no connection within {} ms", server.url, share.as_millis())),
            }
        }
        Err(Broken::Io(std::io::Error::other(problems.join("; "))))
    }
}

/// A name that may be somebody's.
fn askable(login: &str) -> bool {
    !login.is_empty() && login.len() <= MAX_NAME && !login.chars().any(char::is_control)
}

fn take(pool: &Mutex<Vec<Connection>>) -> Option<Connection> {
    let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
    pool.retain(|connection| connection.used.elapsed() < IDLE);
    pool.pop()
}

fn put(pool: &Mutex<Vec<Connection>>, connection: Connection) {
    let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
    if pool.len() < KEPT {
        pool.push(connection);
    }
}

/// Checks certificates and names against `ca` alone, or against what the system trusts.
fn connector(ca: Option<&[u8]>) -> Result<SslConnector, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    if let Some(pem) = ca {
        let mut store = X509StoreBuilder::new()?;
        for certificate in X509::stack_from_pem(pem)? {
            store.add_cert(certificate)?;
        }
        builder.set_cert_store(store.build());
    }
    Ok(builder.build())
}
