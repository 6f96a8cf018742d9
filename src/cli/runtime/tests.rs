//! State files of every released schema are opened and understood: `fixtures/state/README.md`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path, sync::Arc};

use crate::{
    api::{
        delivery::{self, Delivery},
        redfish::events,
    },
    auth::Auth,
    config::Config,
    fleet::Fleet,
    store::{Kind, SqliteStore, Store},
};

/// Kinds that began within a schema: nobody wrote them when its state file was made.
const LATER: [Kind; 5] = [Kind::Role, Kind::Policy, Kind::Outside, Kind::Sweep, Kind::Aggregate];

async fn opens(folder: &Path) {
    let shown = folder.display();
    let dir = tempfile::tempdir().unwrap();
    fs::copy(folder.join("rackfish.db"), dir.path().join("rackfish.db")).unwrap();
    let store: Arc<dyn Store> = SqliteStore::open(dir.path()).unwrap_or_else(|e| panic!("{shown}: {e}"));
    for kind in Kind::ALL.into_iter().filter(|kind| !LATER.contains(kind)) {
        assert!(!store.list(kind).await.unwrap().is_empty(), "{shown} has no {}: it proves nothing", kind.as_str());
    }
    // What each room makes of its documents: nothing may be dropped as unreadable.
    let config = Arc::new(Config::default());
    let auth = Auth::open(Arc::clone(&store), config.auth.clone()).await.unwrap_or_else(|e| panic!("{shown}: {e}"));
    let known = auth.basic("fixture-operator", "a password of the fixture", None).await;
    assert_eq!(known.unwrap_or_else(|e| panic!("{shown}: {e}")).role, crate::model::Role::Operator);
    assert!(auth.basic("admin", "another", None).await.is_err());
    let fleet = Fleet::open(config, Arc::clone(&store)).await.unwrap_or_else(|e| panic!("{shown}: {e}"));
    let settings = delivery::Settings { local: true, attempts: 5, interval: std::time::Duration::from_secs(15) };
    let delivery: Delivery = events::start(Arc::clone(&store), &fleet, &auth, Some(dir.path()), settings)
        .await
        .unwrap_or_else(|e| panic!("{shown}: {e}"));
    let subscriptions = delivery.list();
    assert_eq!(subscriptions.first().and_then(|s| s.asked.context.as_deref()), Some("fixture"), "{shown}");
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_released_state_file_opens() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/state");
    let mut seen = 0;
    for entry in fs::read_dir(all).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            opens(&path).await;
            seen += 1;
        }
    }
    assert!(seen > 0);
}
