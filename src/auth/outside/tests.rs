//! What is kept of identities from outside, and for how long.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;
use crate::{model::NodeId, store::MemoryStore};

fn who(name: &str, role: Role) -> Principal {
    let privileges = role.predefined().unwrap_or_default();
    Principal { name: name.into(), role, privileges, scope: Arc::default(), must_change_password: false, session: None }
}

fn believed(_: &Identity) -> bool {
    true
}

#[tokio::test]
async fn they_are_known_after_a_restart_and_their_rights_are_the_last_ones() {
    let store: Arc<dyn Store> = MemoryStore::new();
    let outside = Outside::open(&*store).await.unwrap();
    let first = outside.remember(&who("ann", Role::Operator), Source::Ldap, Some("ann@x")).unwrap();
    let same = outside.remember(&who("ann", Role::Operator), Source::Ldap, Some("ann@x")).unwrap();
    assert_eq!(first.generation, same.generation);
    let other = outside.remember(&who("ann", Role::ReadOnly), Source::Ldap, Some("ann@x")).unwrap();
    assert_ne!(first.generation, other.generation);
    assert!(outside.known("bob", &Roles::default(), believed).is_none());
    outside.save(&*store, false).await;

    let again = Outside::open(&*store).await.unwrap();
    let known = again.known("ann", &Roles::default(), believed).unwrap();
    assert_eq!((known.role, known.enabled), (Role::ReadOnly, true));
    assert!(known.revision >= FIRST, "never the revision of an account");
    assert_eq!(again.get("ann", Source::Ldap).unwrap().handle().as_deref(), Some("ann@x"));
    assert!(
        !again.known("ann", &Roles::default(), |_| false).unwrap().enabled,
        "rights that are not believed any more"
    );

    again.forget("ann", Source::Ldap);
    assert!(again.known("ann", &Roles::default(), believed).is_none());
    again.save(&*store, false).await;
    assert!(store.list(Kind::Outside).await.unwrap().is_empty());
}

#[test]
fn one_name_may_come_from_two_places() {
    let outside = Outside::default();
    let scope = Scope::Some { nodes: [NodeId::try_from("n1".to_owned()).unwrap()].into(), groups: [].into() };
    let limited = Principal { scope: Arc::new(scope.clone()), ..who("ann", Role::Administrator) };
    outside.remember(&who("ann", Role::Operator), Source::Ldap, None).unwrap();
    outside.remember(&limited, Source::Token, None).unwrap();
    let token = |i: &Identity| i.source == Source::Token;
    assert_eq!(*outside.known("ann", &Roles::default(), token).unwrap().scope, scope);
    assert_eq!(outside.known("ann", &Roles::default(), |i| !token(i)).unwrap().role, Role::Operator);
    outside.forget("ann", Source::Token);
    assert_eq!(outside.known("ann", &Roles::default(), believed).unwrap().role, Role::Operator);
    assert_eq!(outside.of(Source::Ldap).len(), 1);
    assert!(outside.of(Source::Token).is_empty());
}

#[tokio::test]
async fn who_was_not_seen_for_long_is_forgotten_and_nonsense_is_dropped() {
    let store: Arc<dyn Store> = MemoryStore::new();
    let old = now() - FORGET.as_secs() - 10;
    for (key, body) in [
        (
            "ldap:old",
            serde_json::json!({"name": "old", "source": "ldap", "role": "Operator", "checked": old, "seen": old}),
        ),
        ("ldap:x", serde_json::json!({"name": "y", "source": "ldap", "role": "Operator", "checked": 1, "seen": 1})),
        ("ldap:z", serde_json::json!({"name": "z"})),
    ] {
        store.put(Kind::Outside, key, Expect::Any, body, Safety::Behind).await.unwrap();
    }
    let outside = Outside::open(&*store).await.unwrap();
    assert!(outside.known("old", &Roles::default(), believed).is_some());
    outside.save(&*store, false).await;
    assert!(outside.known("old", &Roles::default(), believed).is_none());
    assert!(store.list(Kind::Outside).await.unwrap().is_empty());
}

#[test]
fn the_table_is_bounded() {
    let outside = Outside::default();
    for n in 0..MAX + 10 {
        outside.remember(&who(&format!("u{n}"), Role::ReadOnly), Source::Token, None).unwrap();
    }
    assert_eq!(outside.of(Source::Token).len(), MAX);
    assert!(outside.remember(&who("a\nb", Role::ReadOnly), Source::Token, None).is_none());
    assert!(outside.remember(&who("", Role::ReadOnly), Source::Token, None).is_none());
}
