//! Logins, sessions and account changes, against both stores where it matters.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{net::IpAddr, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use argon2::Params;
use tempfile::TempDir;
use time::OffsetDateTime;

use super::{AccountError, AccountPatch, Auth, AuthError, PolicyError, PolicyPatch, RoleError, password::Hasher};
use crate::{
    config::{AuthConfig, Lockout},
    model::{NodeId, Privileges, Role, Scope, Secret},
    store::{Kind, MemoryStore, SqliteStore, Store},
};

const PASSWORD: &str = "correct horse";

/// The smallest argon2id there is: these tests are not about its cost.
fn quick() -> Hasher {
    Hasher::with(Params::new(8, 1, 1, None).unwrap())
}

async fn open(store: &Arc<dyn Store>, config: AuthConfig) -> Auth {
    Auth::open_with(Arc::clone(store), config, quick()).await.unwrap()
}

async fn with(config: AuthConfig) -> (Auth, Arc<dyn Store>) {
    let store: Arc<dyn Store> = MemoryStore::new();
    let auth = open(&store, config).await;
    for (name, role) in [("root", Role::Administrator), ("ironic", Role::Operator)] {
        auth.create(name, &Secret::new(PASSWORD), role, Scope::All, false).await.unwrap();
    }
    (auth, store)
}

async fn new() -> (Auth, Arc<dyn Store>) {
    with(AuthConfig::default()).await
}

#[allow(clippy::unnecessary_wraps)] // what the callees take
fn peer(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn password(text: &str) -> AccountPatch {
    AccountPatch { password: Some(Secret::new(text)), ..AccountPatch::default() }
}

#[tokio::test]
async fn basic_knows_right_from_wrong() {
    let (auth, _) = new().await;
    let who = auth.basic("ironic", PASSWORD, None).await.unwrap();
    assert_eq!((who.name.as_ref(), who.role, who.session), ("ironic", Role::Operator, None));
    for (user, password) in [("ironic", "wrong"), ("ironic", ""), ("nobody", PASSWORD), ("", ""), ("Ironic", PASSWORD)]
    {
        for _ in 0..2 {
            let refused = auth.basic(user, password, None).await;
            assert!(matches!(refused, Err(AuthError::BadCredentials)), "{user}");
        }
    }
    assert!(auth.basic("ironic", &"x".repeat(100_000), None).await.is_err());
    assert!(auth.basic("ironic", PASSWORD, None).await.is_ok());
}

#[tokio::test]
async fn changes_end_cached_credentials_at_once() {
    let (auth, _) = new().await;
    auth.basic("ironic", PASSWORD, None).await.unwrap();
    auth.change("ironic", password("another one"), None, false).await.unwrap();
    assert!(auth.basic("ironic", PASSWORD, None).await.is_err());
    auth.basic("ironic", "another one", None).await.unwrap();
    let off = AccountPatch { enabled: Some(false), ..AccountPatch::default() };
    auth.change("ironic", off, None, false).await.unwrap();
    assert!(auth.basic("ironic", "another one", None).await.is_err());
    assert!(auth.certificate("ironic").is_err());
    let on = AccountPatch { enabled: Some(true), role: Some(Role::ReadOnly), ..AccountPatch::default() };
    auth.change("ironic", on, None, false).await.unwrap();
    assert_eq!(auth.basic("ironic", "another one", None).await.unwrap().role, Role::ReadOnly);
    auth.remove("ironic", None).await.unwrap();
    assert!(auth.basic("ironic", "another one", None).await.is_err());
    // A wrong password that becomes the right one must not stay wrong.
    auth.create("ironic", &Secret::new("another one"), Role::Operator, Scope::All, false).await.unwrap();
    assert_eq!(auth.basic("ironic", "another one", None).await.unwrap().role, Role::Operator);
}

#[tokio::test]
async fn a_session_lives_from_login_to_logout() {
    let (auth, store) = new().await;
    let made = auth.login("ironic", PASSWORD, peer("192.0.2.7")).await.unwrap();
    assert_eq!(made.token.expose().len(), 64);
    let who = auth.token(made.token.expose()).unwrap();
    assert_eq!((who.name.as_ref(), who.session.as_deref()), ("ironic", Some(made.id.as_ref())));
    assert_eq!(auth.session(&made.id).unwrap().peer, peer("192.0.2.7"));
    for bad in ["", "x", &made.token.expose()[1..], &made.token.expose().to_uppercase(), made.id.as_ref()] {
        assert!(matches!(auth.token(bad), Err(AuthError::BadToken)), "{bad}");
    }
    let kept = store.get(Kind::Session, &made.id).await.unwrap().unwrap().body.to_string();
    assert!(!kept.contains(made.token.expose()), "only a hash is kept");
    assert!(auth.logout(&made.id).await.unwrap());
    assert!(!auth.logout(&made.id).await.unwrap());
    assert!(auth.token(made.token.expose()).is_err());
    assert!(store.list(Kind::Session).await.unwrap().is_empty());
}

#[tokio::test]
async fn sessions_and_accounts_survive_a_restart_and_nothing_is_kept_in_the_clear() {
    let dir = TempDir::new().unwrap();
    let token = {
        let store: Arc<dyn Store> = SqliteStore::open(dir.path()).unwrap();
        let auth = open(&store, AuthConfig::default()).await;
        let scope = Scope::Some { nodes: [NodeId::new("n1").unwrap()].into(), groups: ["g".to_owned()].into() };
        auth.create("ironic", &Secret::new(PASSWORD), Role::Operator, scope, false).await.unwrap();
        auth.login("ironic", PASSWORD, None).await.unwrap().token
    };
    let mut kept = Vec::new();
    for file in std::fs::read_dir(dir.path()).unwrap() {
        kept.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    for secret in [PASSWORD, token.expose()] {
        assert!(!kept.windows(secret.len()).any(|w| w == secret.as_bytes()), "found in a file");
    }
    assert!(kept.windows(10).any(|w| w == b"$argon2id$"));
    // The task of the first one holds no store: it can be opened again.
    let store: Arc<dyn Store> = reopen(&dir).await;
    let auth = open(&store, AuthConfig::default()).await;
    let who = auth.token(token.expose()).unwrap();
    assert!(who.scope.covers(&NodeId::new("n1").unwrap(), []));
    assert!(!who.scope.covers(&NodeId::new("n2").unwrap(), []));
}

async fn reopen(dir: &TempDir) -> Arc<dyn Store> {
    for _ in 0..100 {
        if let Ok(store) = SqliteStore::open(dir.path()) {
            return store;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the store is still in use")
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_end_and_used_ones_do_not() {
    let config = AuthConfig { session_timeout: Duration::from_mins(10), ..AuthConfig::default() };
    let (auth, store) = with(config).await;
    let used = auth.login("ironic", PASSWORD, None).await.unwrap();
    let idle = auth.login("ironic", PASSWORD, None).await.unwrap();
    for _ in 0..11 {
        auth.token(used.token.expose()).unwrap();
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    assert!(auth.token(idle.token.expose()).is_err());
    assert!(auth.session(&idle.id).is_none());
    assert_eq!(auth.sessions().len(), 1);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(store.get(Kind::Session, &idle.id).await.unwrap().is_none(), "its document is removed");
    // Its last use is on disk: a restart does not end it early.
    assert!(store.get(Kind::Session, &used.id).await.unwrap().unwrap().revision > 1);
    // A longer timeout counts for those that live.
    auth.reconfigure(AuthConfig { session_timeout: Duration::from_hours(1), ..AuthConfig::default() });
    tokio::time::sleep(Duration::from_mins(30)).await;
    auth.token(used.token.expose()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_session_idle_for_longest_makes_room() {
    let (auth, store) = with(AuthConfig { max_sessions: 3, ..AuthConfig::default() }).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(auth.login("ironic", PASSWORD, None).await.unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    auth.token(made[0].token.expose()).unwrap();
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        auth.token(made[0].token.expose()).unwrap();
        auth.login("ironic", PASSWORD, None).await.unwrap();
    }
    assert_eq!(auth.sessions().len(), 3);
    assert_eq!(store.list(Kind::Session).await.unwrap().len(), 3);
    auth.token(made[0].token.expose()).unwrap();
    assert!(auth.token(made[1].token.expose()).is_err());
}

#[tokio::test]
async fn a_session_follows_its_account() {
    let (auth, _) = new().await;
    let one = auth.login("ironic", PASSWORD, None).await.unwrap();
    let two = auth.login("ironic", PASSWORD, None).await.unwrap();
    let other = auth.login("root", PASSWORD, None).await.unwrap();
    let demote = AccountPatch { role: Some(Role::ReadOnly), ..AccountPatch::default() };
    auth.change("ironic", demote, None, false).await.unwrap();
    assert_eq!(auth.token(one.token.expose()).unwrap().role, Role::ReadOnly);
    let patch = AccountPatch { keep_session: Some(Arc::clone(&one.id)), ..password("a new password") };
    auth.change("ironic", patch, None, true).await.unwrap();
    assert!(auth.token(one.token.expose()).is_ok());
    assert!(auth.token(two.token.expose()).is_err());
    auth.remove("ironic", None).await.unwrap();
    assert!(auth.token(one.token.expose()).is_err());
    assert!(auth.token(other.token.expose()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn guessers_wait_and_those_who_know_do_not() {
    let (auth, _) = with(AuthConfig { failures_per_minute: 5, ..AuthConfig::default() }).await;
    let from = peer("192.0.2.66");
    let mut throttled = 0;
    for n in 0..20 {
        let begin = tokio::time::Instant::now();
        match auth.basic("ironic", &format!("guess {n}"), from).await {
            Err(AuthError::Throttled(address)) => {
                assert_eq!(Some(address), from);
                assert!(begin.elapsed() >= Duration::from_secs(1));
                throttled += 1;
            }
            Err(AuthError::BadCredentials) => {
                assert!(begin.elapsed() < Duration::from_secs(1), "{n} {:?}", begin.elapsed());
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(throttled >= 10, "{throttled}");
    // The right password from the same address: not cached, then cached, then as a login; never late.
    let begin = tokio::time::Instant::now();
    for _ in 0..2 {
        auth.basic("ironic", PASSWORD, from).await.unwrap();
    }
    auth.login("root", PASSWORD, from).await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(100));
    assert!(matches!(auth.basic("ironic", "x", peer("192.0.2.67")).await, Err(AuthError::BadCredentials)));
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let (auth, _) = new().await;
    let refused = |result: Result<_, AccountError>| matches!(result, Err(AccountError::LastAdministrator(_)));
    let demote = AccountPatch { role: Some(Role::Operator), ..AccountPatch::default() };
    let disable = AccountPatch { enabled: Some(false), ..AccountPatch::default() };
    let nowhere = Scope::Some { nodes: [].into(), groups: [].into() };
    let limit = AccountPatch { scope: Some(nowhere.clone()), ..AccountPatch::default() };
    // A limited administrator can't repair what others lose.
    auth.create("limited", &Secret::new(PASSWORD), Role::Administrator, nowhere, false).await.unwrap();
    for patch in [&demote, &disable, &limit] {
        assert!(refused(auth.change("root", patch.clone(), None, false).await.map(drop)));
    }
    assert!(refused(auth.remove("root", None).await));
    auth.create("second", &Secret::new(PASSWORD), Role::Administrator, Scope::All, false).await.unwrap();
    let (a, b) = tokio::join!(auth.remove("root", None), auth.remove("second", None));
    assert!(a.is_ok() != b.is_ok(), "of two at once one stays");
}

#[tokio::test]
async fn changes_are_compare_and_set() {
    let (auth, _) = new().await;
    let before = auth.account("ironic").unwrap();
    let role = |role| AccountPatch { role: Some(role), ..AccountPatch::default() };
    let after = auth.change("ironic", role(Role::ReadOnly), Some(before.revision), false).await.unwrap();
    assert!(after.revision > before.revision);
    let late = auth.change("ironic", role(Role::Operator), Some(before.revision), false).await;
    assert!(matches!(late, Err(AccountError::Changed)));
    assert!(matches!(auth.remove("ironic", Some(before.revision)).await, Err(AccountError::Changed)));
    assert!(matches!(auth.remove("nobody", None).await, Err(AccountError::NotFound(_))));
    let again = auth.create("ironic", &Secret::new(PASSWORD), Role::Operator, Scope::All, false).await;
    assert!(matches!(again, Err(AccountError::Exists(_))));
    assert_eq!(auth.accounts().iter().map(|a| a.name.to_string()).collect::<Vec<_>>(), ["ironic", "root"]);
}

#[tokio::test]
async fn names_and_passwords_have_to_be_acceptable() {
    let (auth, _) = new().await;
    let long = "n".repeat(65);
    for name in ["", "a:b", "a/b", "a b", "a\nb", "..", ".a", "%41", long.as_str()] {
        let refused = auth.create(name, &Secret::new(PASSWORD), Role::ReadOnly, Scope::All, false).await;
        assert!(matches!(refused, Err(AccountError::Unacceptable { property: "UserName", .. })), "{name:?}");
    }
    let long = "p".repeat(1025);
    for text in ["", "1234567", "tab\tulator", "same-as-name", long.as_str()] {
        let refused = auth.create("same-as-name", &Secret::new(text), Role::ReadOnly, Scope::All, false).await;
        assert!(matches!(refused, Err(AccountError::Unacceptable { property: "Password", .. })), "{text:?}");
    }
    auth.create("jürgen.o-1@lab", &Secret::new("pässwörd: with colon"), Role::ReadOnly, Scope::All, false)
        .await
        .unwrap();
    auth.basic("jürgen.o-1@lab", "pässwörd: with colon", None).await.unwrap();
}

#[tokio::test]
async fn a_demanded_change_is_done_by_the_account_itself_and_to_another_password() {
    let (auth, _) = new().await;
    auth.create("fresh", &Secret::new(PASSWORD), Role::ReadOnly, Scope::All, true).await.unwrap();
    assert!(auth.basic("fresh", PASSWORD, None).await.unwrap().must_change_password);
    auth.change("fresh", password("by an administrator"), None, false).await.unwrap();
    assert!(auth.account("fresh").unwrap().must_change_password);
    assert!(auth.change("fresh", password("by an administrator"), None, true).await.is_err());
    auth.change("fresh", password("by myself"), None, true).await.unwrap();
    assert!(!auth.basic("fresh", "by myself", None).await.unwrap().must_change_password);
}

#[tokio::test]
async fn the_first_account_works_as_it_is_until_somebody_changes_it() {
    let dir = TempDir::new().unwrap();
    let store: Arc<dyn Store> = MemoryStore::new();
    let auth = open(&store, AuthConfig::default()).await;
    assert!(auth.must_make_first_account());
    let path = auth.first_account(dir.path()).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.trim().len() >= 20);
    let who = auth.basic("admin", text.trim(), None).await.unwrap();
    assert_eq!((who.role, who.must_change_password), (Role::Administrator, false));
    assert!(!auth.must_make_first_account());
    // A second one would be somebody else's way in; the file of the first stays.
    assert!(auth.first_account(dir.path()).await.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let auth = open(&store, AuthConfig::default()).await;
    assert_eq!(auth.first_password_in_use().as_deref(), Some("admin"));
    assert!(!auth.tidy_first_password(dir.path()));
    auth.change("admin", password("chosen by hand"), None, true).await.unwrap();
    assert_eq!(auth.first_password_in_use(), None);
    assert!(auth.tidy_first_password(dir.path()));
    assert!(!path.exists());
}

/// What makes Basic cheap, and what keeps an unknown name from being told from a wrong password by its time: counted.
#[tokio::test]
async fn what_a_check_costs() {
    let (auth, _) = with(AuthConfig { failures_per_minute: 0, ..AuthConfig::default() }).await;
    let runs = async |user: &str, password: &str| {
        let before = auth.inner.hasher.runs();
        auth.basic(user, password, None).await.ok();
        auth.inner.hasher.runs() - before
    };
    assert_eq!(runs("ironic", PASSWORD).await, 1);
    for _ in 0..100 {
        assert_eq!(runs("ironic", PASSWORD).await, 0);
    }
    for user in ["ironic", "nobody"] {
        for n in 0..3 {
            assert_eq!(runs(user, &format!("wrong {n}")).await, 1, "{user}");
            assert_eq!(runs(user, &format!("wrong {n}")).await, 0, "{user}");
        }
    }
    let disabled = AccountPatch { enabled: Some(false), ..AccountPatch::default() };
    auth.change("ironic", disabled, None, false).await.unwrap();
    assert_eq!(runs("ironic", PASSWORD).await, 1);
    let before = auth.inner.hasher.runs();
    let made = auth.login("root", PASSWORD, None).await.unwrap();
    for _ in 0..100 {
        auth.token(made.token.expose()).unwrap();
    }
    assert_eq!(auth.inner.hasher.runs() - before, 1);
}

#[tokio::test]
async fn an_account_is_made_with_all_it_has_in_one_write() {
    let (auth, store) = with(AuthConfig::default()).await;
    let at = OffsetDateTime::from_unix_timestamp(4_000_000_000).unwrap();
    let more = AccountPatch { enabled: Some(false), password_expires: Some(Some(at)), ..AccountPatch::default() };
    let made = auth.create_with("ann", &Secret::new(PASSWORD), Role::ReadOnly, Scope::All, &more).await.unwrap();
    let kept = store.list(Kind::Account).await.unwrap();
    let first = auth.account("root").unwrap().revision;
    assert!(kept.iter().any(|(name, doc)| name == "ann" && doc.revision == first), "no write after the first");
    assert_eq!(made.revision, first, "nobody finds it enabled in between");
    assert!(!made.enabled && !made.must_change_password && made.password_expires == Some(at));
    assert!(auth.basic("ann", PASSWORD, None).await.is_err());
}

#[tokio::test]
async fn a_role_is_worth_what_it_is_worth_now() {
    let (auth, store) = with(AuthConfig::default()).await;
    let set = |names: &[&str]| Privileges::of(names).unwrap();
    let night = Role::new("night-shift").unwrap();
    auth.create("ann", &Secret::new(PASSWORD), night.clone(), Scope::All, false).await.unwrap_err();
    for (name, privileges) in [("Operator", set(&["Login"])), ("operator", set(&["Login"])), ("a b", set(&["Login"]))] {
        assert!(auth.create_role(name, privileges).await.is_err(), "{name}");
    }
    assert!(auth.create_role("blind", set(&["ConfigureComponents"])).await.is_err());
    let made = auth.create_role("night-shift", set(&["Login"])).await.unwrap();
    assert!(matches!(auth.create_role("Night-Shift", set(&["Login"])).await, Err(RoleError::Exists(_))));
    auth.create("ann", &Secret::new(PASSWORD), night.clone(), Scope::All, false).await.unwrap();
    let session = auth.login("ann", PASSWORD, None).await.unwrap();
    let may_switch = |auth: &Auth| auth.token(session.token.expose()).unwrap().privileges.may_switch();
    assert!(!may_switch(&auth));
    let changed = auth.change_role("night-shift", Privileges::OPERATOR, Some(made.revision)).await.unwrap();
    assert!(may_switch(&auth), "a session that is under way has it at once");
    assert_eq!(auth.known("ann").unwrap().privileges, Privileges::OPERATOR);
    let late = auth.change_role("night-shift", Privileges::ALL, Some(made.revision)).await;
    assert!(matches!(late, Err(RoleError::Changed)));
    assert!(matches!(auth.remove_role("Operator", None).await, Err(RoleError::Predefined(_))));
    assert!(matches!(auth.change_role("Operator", Privileges::ALL, None).await, Err(RoleError::Predefined(_))));
    let held = auth.remove_role("night-shift", None).await;
    assert!(matches!(held, Err(RoleError::InUse { accounts, .. }) if accounts == ["ann"]));
    for n in 0..12 {
        auth.create(&format!("b{n:02}"), &Secret::new(PASSWORD), night.clone(), Scope::All, false).await.unwrap();
    }
    let held = auth.remove_role("night-shift", None).await.unwrap_err().to_string();
    assert!(held.contains("ann, b00, ") && held.ends_with(", b08, and 3 more"), "{held}");
    for n in 0..12 {
        auth.remove(&format!("b{n:02}"), None).await.unwrap();
    }
    // All of it survives a restart.
    drop(auth);
    let auth = open(&store, AuthConfig::default()).await;
    assert!(may_switch(&auth));
    assert_eq!(auth.role("night-shift").unwrap(), changed);
    auth.remove("ann", None).await.unwrap();
    auth.remove_role("night-shift", Some(changed.revision)).await.unwrap();
    assert!(auth.role("night-shift").is_none() && auth.roles().len() == 3);
    assert!(matches!(auth.remove_role("night-shift", None).await, Err(RoleError::NotFound(_))));
}

#[tokio::test]
async fn the_last_way_in_can_not_be_lost_by_a_role() {
    let (auth, _) = with(AuthConfig::default()).await;
    let users = Privileges::of(["Login", "ConfigureUsers"]).unwrap();
    auth.create_role("keeper", users).await.unwrap();
    let role = |name: &str| AccountPatch { role: Some(Role::new(name).unwrap()), ..AccountPatch::default() };
    // A role of one's own is as good a way in as Administrator.
    auth.change("root", role("keeper"), None, false).await.unwrap();
    let lost = auth.change_role("keeper", Privileges::OPERATOR, None).await;
    assert!(matches!(lost, Err(RoleError::LastAdministrator(name)) if name == "root"));
    assert!(matches!(
        auth.change("root", role("ReadOnly"), None, false).await,
        Err(AccountError::LastAdministrator(_))
    ));
    assert!(matches!(auth.remove("root", None).await, Err(AccountError::LastAdministrator(_))));
    assert!(auth.change("root", role("no-such"), None, false).await.is_err());
    auth.create("second", &Secret::new(PASSWORD), Role::Administrator, Scope::All, false).await.unwrap();
    auth.change_role("keeper", Privileges::OPERATOR, None).await.unwrap();
    assert!(matches!(auth.remove("second", None).await, Err(AccountError::LastAdministrator(_))));
}

/// The point of the matter: whoever guesses Ironic's password shuts out themselves, wherever they are.
#[tokio::test]
async fn a_lockout_shuts_out_who_guesses_and_nobody_else() {
    let rules =
        Lockout { threshold: 3, duration: Duration::from_mins(5), reset_after: Duration::from_mins(5), resets: true };
    let config = AuthConfig { lockout: Some(rules), failures_per_minute: 0, ..AuthConfig::default() };
    let (auth, store) = with(config.clone()).await;
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    auth.on_lockout(move |name, address| heard.lock().unwrap().push((name.to_owned(), address)));
    let (here, there): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let ok = async |auth: &Auth, password: &str, peer| auth.basic("ironic", password, Some(peer)).await.is_ok();
    let session = auth.login("ironic", PASSWORD, Some(here)).await.unwrap();
    for n in 0..20 {
        assert!(!ok(&auth, &format!("guess {n}"), here).await);
    }
    assert_eq!(*told.lock().unwrap(), [("ironic".to_owned(), here)]);
    assert!(auth.account("ironic").unwrap().locked && !auth.account("root").unwrap().locked);
    // Behind one address with the guesser, with a session, and elsewhere: all go on.
    auth.inner.verified.forget(auth.account("ironic").unwrap().revision);
    assert!(ok(&auth, PASSWORD, here).await && ok(&auth, PASSWORD, there).await);
    assert!(auth.token(session.token.expose()).is_ok());
    assert!(auth.account("ironic").unwrap().locked, "a right password from there does not let the guesser go on");
    assert!(auth.basic("root", PASSWORD, Some(here)).await.is_ok());
    // A password that is set is known from then on, and the one before is not.
    auth.change("ironic", password("another one"), None, false).await.unwrap();
    assert!(ok(&auth, "another one", here).await && !ok(&auth, PASSWORD, here).await);
    let unlock = AccountPatch { unlock: true, ..AccountPatch::default() };
    assert!(!auth.change("ironic", unlock, None, false).await.unwrap().locked);
    // Who has not logged in since the start is not known: shut out from there, as a guesser is, and let in elsewhere.
    drop(auth);
    let auth = open(&store, config).await;
    for n in 0..3 {
        assert!(!ok(&auth, &format!("guess {n}"), here).await);
    }
    let runs = auth.inner.hasher.runs();
    assert!(!ok(&auth, "another one", here).await);
    assert_eq!(auth.inner.hasher.runs() - runs, 1, "a name that is locked takes as long as one that is not");
    assert!(ok(&auth, "another one", there).await && ok(&auth, "another one", here).await, "now it is known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_guesses_at_once_are_no_way_around_a_lockout() {
    let rules = Lockout { threshold: 3, ..Lockout::default() };
    let config = AuthConfig { lockout: Some(rules), failures_per_minute: 1_000_000, ..AuthConfig::default() };
    let (auth, store) = with(config.clone()).await;
    drop(auth);
    // Nobody's password is known after a start.
    let auth = open(&store, config).await;
    let guess = |n: usize| if n == 100 { PASSWORD.to_owned() } else { format!("guess {n}") };
    let all = (0..200).map(|n| {
        let auth = auth.clone();
        async move { auth.basic("ironic", &guess(n), peer("192.0.2.1")).await.is_ok() }
    });
    assert!(futures_util::future::join_all(all).await.iter().all(|right| !right));
    assert!(auth.account("ironic").unwrap().locked);
    assert!(auth.basic("ironic", PASSWORD, peer("192.0.2.1")).await.is_err(), "it is not known by that either");
    assert!(auth.basic("ironic", PASSWORD, peer("192.0.2.2")).await.is_ok());
}

#[tokio::test]
async fn a_lockout_can_not_be_one_that_never_locks() {
    let (auth, _) = with(AuthConfig::default()).await;
    let set = async |threshold, duration: Option<u64>, reset_after: Option<u64>| {
        let (duration, reset_after) = (duration.map(Duration::from_secs), reset_after.map(Duration::from_secs));
        let patch = PolicyPatch { threshold, duration, reset_after, ..PolicyPatch::default() };
        auth.change_policy(patch, None).await.map(|policy| policy.lockout)
    };
    set(Some(3), Some(60), Some(0)).await.unwrap_err();
    set(Some(3), Some(60), Some(30)).await.unwrap();
    set(None, None, Some(0)).await.unwrap_err();
    let off = set(None, Some(0), None).await.unwrap();
    assert!(!off.is_on() && off.reset_after == Duration::from_secs(30), "what was set stays for later");
    let on = set(None, Some(90), None).await.unwrap();
    assert!(on.is_on() && on.reset_after == Duration::from_secs(30));
    set(None, Some(0), Some(0)).await.unwrap();
    let on = set(None, Some(45), None).await.unwrap();
    assert!(on.is_on() && on.reset_after == Duration::from_secs(45), "0 is nothing to go on with");
}

#[tokio::test]
async fn rules_are_kept_and_those_of_the_configuration_hold() {
    let (auth, store) = with(AuthConfig::default()).await;
    let off = auth.policy();
    assert!(!off.lockout.is_on() && off.password_history == 0 && off.password_days.is_none());
    let patch = |threshold, seconds: Option<u64>| PolicyPatch {
        threshold,
        duration: seconds.map(Duration::from_secs),
        ..PolicyPatch::default()
    };
    let set = auth.change_policy(patch(Some(5), Some(60)), Some(0)).await.unwrap();
    assert_eq!((set.lockout.threshold, set.lockout.reset_after), (5, Duration::from_mins(1)), "as short as the lock");
    assert!(matches!(auth.change_policy(patch(Some(6), None), Some(0)).await, Err(PolicyError::Changed)));
    let longer = PolicyPatch { reset_after: Some(Duration::from_mins(2)), ..PolicyPatch::default() };
    assert!(matches!(auth.change_policy(longer, None).await, Err(PolicyError::Unacceptable { .. })));
    drop(auth);
    let auth = open(&store, AuthConfig::default()).await;
    assert_eq!(auth.policy(), set);
    let rules = Lockout { threshold: 9, ..Lockout::default() };
    auth.reconfigure(AuthConfig { lockout: Some(rules), password_days: Some(0), ..AuthConfig::default() });
    assert_eq!(auth.policy().lockout, rules);
    let days = PolicyPatch { password_days: Some(Some(30)), ..PolicyPatch::default() };
    for refused in [patch(Some(6), None), days] {
        assert!(matches!(auth.change_policy(refused, None).await, Err(PolicyError::Configured { .. })));
    }
}

#[tokio::test]
async fn old_passwords_do_not_come_back_and_passwords_end_if_that_is_wanted() {
    let (auth, store) = with(AuthConfig::default()).await;
    assert_eq!(auth.account("ironic").unwrap().password_expires, None, "nothing ends unless somebody says so");
    let policy = PolicyPatch { password_history: Some(3), password_days: Some(Some(30)), ..PolicyPatch::default() };
    auth.change_policy(policy, None).await.unwrap();
    assert_eq!(auth.account("ironic").unwrap().password_expires, None, "passwords that are set count");
    let set = async |auth: &Auth, text: &str| auth.change("ironic", password(text), None, false).await;
    set(&auth, PASSWORD).await.unwrap_err();
    for new in ["the second one", "the third one"] {
        set(&auth, new).await.unwrap();
        set(&auth, PASSWORD).await.unwrap_err();
    }
    drop(auth);
    let auth = open(&store, AuthConfig::default()).await;
    set(&auth, "the second one").await.unwrap_err();
    set(&auth, "the fourth one").await.unwrap();
    let info = set(&auth, PASSWORD).await.unwrap();
    let left = info.password_expires.unwrap() - OffsetDateTime::now_utc();
    assert!((29..=30).contains(&left.whole_days()) && !info.must_change_password);
    let until = |at| AccountPatch { password_expires: Some(at), ..AccountPatch::default() };
    let past = OffsetDateTime::now_utc() - Duration::from_secs(1);
    auth.change("ironic", until(Some(past)), None, false).await.unwrap();
    assert!(auth.basic("ironic", PASSWORD, None).await.unwrap().must_change_password, "as if an administrator said so");
    auth.change("ironic", until(None), None, false).await.unwrap();
    assert!(!auth.basic("ironic", PASSWORD, None).await.unwrap().must_change_password);
}

/// With the real parameters: what is kept is argon2id as RFC 9106 writes it.
#[tokio::test]
async fn the_default_is_argon2id_with_the_usual_cost() {
    let hash = Hasher::new().hash(&Secret::new(PASSWORD)).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
}
