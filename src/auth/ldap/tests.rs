//! What no honest server does, and what follows: a directory of scripted bytes. Honest ones are in `conformance/ldap`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    clippy::type_complexity
)]

use std::{net::SocketAddr, sync::atomic::AtomicU32};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::{
    auth::{Auth, AuthError, Source},
    config::{AuthConfig, LdapNested, LdapRole, LdapSchema, LdapServer},
    model::{Role, Scope, Secret},
    store::{MemoryStore, Store},
    wire::ldap::Filter,
};

/// An element of BER with less than 128 bytes.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag, u8::try_from(content.len()).unwrap()];
    assert!(content.len() < 128);
    out.extend(content);
    out
}

fn message(id: u8, operation: Vec<u8>) -> Vec<u8> {
    element(0x30, &[&element(2, &[&[id]]), &operation])
}

fn outcome(tag: u8, code: u8) -> Vec<u8> {
    element(tag, &[&element(0x0a, &[&[code]]), &element(4, &[]), &element(4, &[])])
}

/// An entry with `uid`.
fn entry(id: u8, dn: &str, uid: &str) -> Vec<u8> {
    let values = element(0x31, &[&element(4, &[uid.as_bytes()])]);
    let attribute = element(0x30, &[&element(4, &[b"uid"]), &values]);
    message(id, element(0x64, &[&element(4, &[dn.as_bytes()]), &element(0x30, &[&attribute])]))
}

fn done(id: u8) -> Vec<u8> {
    message(id, outcome(0x65, 0))
}

/// What it says to a request, of which it gets the operation's tag, the id and the bytes.
type Script = dyn Fn(u8, u8, &[u8]) -> Option<Vec<u8>> + Send + Sync;

struct Fake {
    address: SocketAddr,
    connections: Arc<AtomicU32>,
}

/// `None` from the script: it hangs up.
async fn serve(script: impl Fn(u8, u8, &[u8]) -> Option<Vec<u8>> + Send + Sync + 'static) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
    let (count, script): (_, Arc<Script>) = (Arc::clone(&connections), Arc::new(script));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let script = Arc::clone(&script);
            tokio::spawn(async move {
                let mut buffer = vec![0; 4_096];
                // Requests are small, and each waits for its answer: one read is one request.
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    let request = buffer.get(..length).unwrap_or_default();
                    let header = if request.get(1).is_some_and(|n| *n >= 0x80) { 3 } else { 2 };
                    let (id, tag) = (request.get(header + 2).copied(), request.get(header + 3).copied());
                    let Some(answer) = script(tag.unwrap_or(0), id.unwrap_or(0), request) else { return };
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Fake { address, connections }
}

/// Knows ann, who is in ops; takes any password but `wrong`.
fn honest(tag: u8, id: u8, request: &[u8]) -> Option<Vec<u8>> {
    let holds = |text: &str| request.windows(text.len()).any(|window| window == text.as_bytes());
    Some(match tag {
        0x60 => message(id, outcome(0x61, if holds("wrong") { 49 } else { 0 })),
        0x63 if holds("member") => [entry(id, "cn=ops,dc=x", "ops"), done(id)].concat(),
        0x63 if holds("ann") => [entry(id, "uid=ann,dc=x", "ann"), done(id)].concat(),
        _ => done(id),
    })
}

fn config(addresses: &[SocketAddr]) -> Ldap {
    let server = |address: &SocketAddr| LdapServer {
        url: format!("ldap://{address}"),
        tls: false,
        host: address.ip().to_string(),
        port: address.port(),
    };
    Ldap {
        servers: addresses.iter().map(server).collect(),
        start_tls: false,
        ca: None,
        bind: None,
        schema: LdapSchema::Rfc2307bis,
        user_base: "dc=x".to_owned(),
        user_filter: Filter::parse("(uid={user})").unwrap(),
        name_attribute: "uid".to_owned(),
        group_base: "dc=x".to_owned(),
        nested: LdapNested::No,
        roles: vec![LdapRole { group: Dn::parse("cn=OPS,dc=x").unwrap(), role: Role::Operator, scope: Scope::All }],
        timeout: Duration::from_millis(500),
        retry: Duration::from_secs(5),
        recheck: Duration::from_mins(5),
        grace: Duration::from_hours(1),
        cache: Duration::from_mins(1),
    }
}

fn directory(fake: &Fake) -> Directory {
    Directory::new(Arc::new(config(&[fake.address]))).unwrap()
}

#[tokio::test]
async fn a_user_is_found_and_proven() {
    let fake = serve(honest).await;
    let directory = directory(&fake);
    let ann = directory.prove("ann", "right", false).await.unwrap().unwrap();
    assert_eq!((ann.name.as_str(), ann.dn.as_str()), ("ann", "uid=ann,dc=x"));
    let rights = super::rights(&ann.groups, &directory.config.roles, &Role::predefined);
    assert_eq!(rights, Some((Role::Operator, Scope::All)));
    assert!(matches!(directory.prove("ann", "wrong", true).await.unwrap(), Err(Refusal::Password(_))));
    assert_eq!(directory.prove("bob", "right", false).await.unwrap().unwrap_err(), Refusal::Unknown);
    assert_eq!(fake.connections.load(Ordering::Relaxed), 2, "one to search, one to bind");
}

#[tokio::test]
async fn an_empty_password_is_never_sent() {
    let fake = serve(honest).await;
    let directory = directory(&fake);
    assert!(matches!(directory.prove("ann", "", false).await.unwrap(), Err(Refusal::Password(_))));
    for name in ["", "a\0b", "a\nb", &"x".repeat(300)] {
        assert_eq!(directory.prove(name, "right", false).await.unwrap().unwrap_err(), Refusal::Unknown);
    }
    assert_eq!(fake.connections.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn several_entries_and_referrals_are_nobody() {
    let two =
        serve(|_, id, _| Some([entry(id, "uid=a,dc=x", "a"), entry(id, "uid=b,dc=x", "a"), done(id)].concat())).await;
    assert_eq!(directory(&two).look("a").await.unwrap().unwrap_err(), Refusal::Ambiguous);
    let more = serve(|_, id, _| Some([entry(id, "uid=a,dc=x", "a"), message(id, outcome(0x65, 4))].concat())).await;
    assert_eq!(directory(&more).look("a").await.unwrap().unwrap_err(), Refusal::Ambiguous);
    let elsewhere = serve(|_, id, _| {
        let reference = message(id, element(0x73, &[&element(4, &[b"ldap://127.0.0.1:1/dc=x"])]));
        Some([reference, message(id, outcome(0x65, 10))].concat())
    });
    assert_eq!(directory(&elsewhere.await).look("a").await.unwrap().unwrap_err(), Refusal::Unknown);
}

#[tokio::test]
async fn a_directory_that_makes_no_sense_is_down() {
    let scripts: [fn(u8, u8, &[u8]) -> Option<Vec<u8>>; 6] = [
        |_, _, _| Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        |_, _, _| Some(vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]),
        |_, id, _| Some(done(id + 1)),
        |_, id, _| Some(message(id, outcome(0x61, 0))),
        |_, _, _| None,
        |_, _, _| Some(Vec::new()),
    ];
    for script in scripts {
        let directory = directory(&serve(script).await);
        let down = directory.look("ann").await.unwrap_err();
        assert!(!down.why.is_empty() && down.again == Duration::from_secs(5), "{down:?}");
        let begun = std::time::Instant::now();
        assert!(directory.look("ann").await.is_err());
        assert!(begun.elapsed() < Duration::from_millis(100), "nobody waits for it");
    }
}

#[tokio::test]
async fn what_was_put_behind_the_answer_to_start_tls_is_refused() {
    let fake = serve(|_, id, _| Some([message(id, outcome(0x78, 0)), done(2)].concat())).await;
    let config = Ldap { start_tls: true, ..config(&[fake.address]) };
    let directory = Directory::new(Arc::new(config)).unwrap();
    assert!(directory.look("ann").await.unwrap_err().why.contains("something else than what it was asked"));
    let fake = serve(|_, id, _| Some(message(id, outcome(0x78, 53)))).await;
    let config = Ldap { start_tls: true, ..self::config(&[fake.address]) };
    let directory = Directory::new(Arc::new(config)).unwrap();
    assert!(
        directory.look("ann").await.unwrap_err().why.contains("StartTLS with code 53"),
        "and nothing goes on plain"
    );
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_no_outage_and_dead_servers_are_passed_over() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    // It hangs up after each second request.
    let count = AtomicU32::new(0);
    let fake = serve(
        move |tag, id, request| {
            if count.fetch_add(1, Ordering::Relaxed) % 3 == 2 { None } else { honest(tag, id, request) }
        },
    );
    let fake = fake.await;
    let directory = Directory::new(Arc::new(config(&[dead, fake.address]))).unwrap();
    for _ in 0..4 {
        assert!(directory.look("ann").await.unwrap().is_ok());
    }
    assert_eq!(directory.server(), format!("ldap://{}", fake.address));
}

#[tokio::test]
async fn sessions_follow_the_directory_and_local_accounts_win() {
    let fake = serve(honest).await;
    let store: Arc<dyn Store> = MemoryStore::new();
    let settings = AuthConfig { ldap: Some(Arc::new(config(&[fake.address]))), ..AuthConfig::default() };
    let auth = Auth::open(Arc::clone(&store), settings.clone()).await.unwrap();
    assert!(auth.basic("ann", "wrong", None).await.is_err());
    let new = auth.login("ann", "right", None).await.unwrap();
    assert_eq!(auth.token(new.token.expose()).unwrap().role, Role::Operator);
    assert!(auth.account("ann").is_none() && auth.accounts().is_empty());
    assert!(auth.known("ann").is_some_and(|known| known.enabled && known.role == Role::Operator));
    auth.save().await;

    // After a restart the session is there; without a directory its user is nobody.
    let again = Auth::open(Arc::clone(&store), settings.clone()).await.unwrap();
    assert_eq!(again.token(new.token.expose()).unwrap().name.as_ref(), "ann");
    again.reconfigure(AuthConfig::default());
    assert!(matches!(again.token(new.token.expose()), Err(AuthError::BadToken)));
    assert!(again.known("ann").is_some_and(|known| !known.enabled));

    // Nobody is in ops any more: the session ends with the next use after the configuration has changed.
    let mut other = config(&[fake.address]);
    other.roles.first_mut().unwrap().group = Dn::parse("cn=others,dc=x").unwrap();
    auth.reconfigure(AuthConfig { ldap: Some(Arc::new(other)), ..AuthConfig::default() });
    assert!(matches!(auth.token_now(new.token.expose()).await, Err(AuthError::BadToken)));
    assert!(auth.sessions().is_empty() && auth.known("ann").is_none());

    // An account that is made now is somebody else.
    auth.reconfigure(settings);
    let new = auth.login("ann", "right", None).await.unwrap();
    auth.create("ann", &Secret::new("a local password"), Role::ReadOnly, Scope::All, false).await.unwrap();
    assert!(matches!(auth.token(new.token.expose()), Err(AuthError::BadToken)));
    assert!(auth.basic("ann", "right", None).await.is_err());
    assert_eq!(auth.basic("ann", "a local password", None).await.unwrap().role, Role::ReadOnly);
    assert_eq!(auth.known("ann").unwrap().role, Role::ReadOnly);
    auth.remember(&new.principal, Source::Token);
    assert_eq!(auth.known("ann").unwrap().role, Role::ReadOnly, "a local account wins there too");
}

#[tokio::test]
async fn a_directory_that_is_down_refuses_for_now() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let store: Arc<dyn Store> = MemoryStore::new();
    let settings = AuthConfig { ldap: Some(Arc::new(config(&[dead]))), ..AuthConfig::default() };
    let auth = Auth::open(store, settings).await.unwrap();
    assert!(matches!(auth.basic("ann", "right", None).await, Err(AuthError::DirectoryDown(_))));
    auth.create("root", &Secret::new("a local password"), Role::Administrator, Scope::All, false).await.unwrap();
    assert!(auth.basic("root", "a local password", None).await.is_ok());
}
