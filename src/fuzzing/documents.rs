//! Documents as they may lie in a state file: what each room makes of them at the start.
//!
//! The input is text, a document a line: `KIND KEY JSON`. They are put into a store in memory, and accounts, fleet and
//! subscriptions are opened on it. A document that makes no sense is an error with words, never a crash.

use std::{cell::RefCell, sync::Arc};

use super::http::rack;
use crate::{
    api::delivery,
    auth,
    config::Config,
    fleet::Fleet,
    store::{Expect, Kind, MemoryStore, Safety, Store},
};

/// Documents of one input.
const MAX_DOCUMENTS: usize = 64;

thread_local! {
    static RACK: RefCell<Option<Arc<Config>>> = RefCell::new(rack().map(Arc::new));
}

/// See the module.
pub fn open(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let documents: Vec<_> = text.lines().take(MAX_DOCUMENTS).filter_map(document).collect();
    let Some(config) = RACK.with_borrow(Clone::clone) else { return };
    // One of its own: what was begun ends with it.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let store: Arc<dyn Store> = MemoryStore::new();
        for (kind, key, body) in documents {
            drop(store.put(kind, &key, Expect::Any, body, Safety::Behind).await);
        }
        if let Err(error) = auth::read_documents(&store).await {
            assert!(!error.to_string().is_empty(), "refused without a word");
        }
        if let Err(error) = delivery::read_documents(&*store).await {
            assert!(!error.to_string().is_empty(), "refused without a word");
        }
        if let Err(error) = Fleet::open(config, store).await {
            assert!(!error.to_string().is_empty(), "refused without a word");
        }
    });
}

fn document(line: &str) -> Option<(Kind, String, serde_json::Value)> {
    let (kind, rest) = line.split_once(' ')?;
    let (key, body) = rest.split_once(' ')?;
    Some((Kind::from_name(kind)?, key.to_owned(), serde_json::from_str(body).ok()?))
}
