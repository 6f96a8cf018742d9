//! The document of an identity from outside. Times are seconds since 1970.

use std::sync::{Arc, atomic::Ordering};

use serde::{Deserialize, Serialize};

use super::{Identity, Source};
use crate::model::{Role, Scope};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OutsideDoc {
    pub name: Arc<str>,
    pub source: Source,
    pub role: Role,
    #[serde(default)]
    pub scope: Scope,
    #[serde(default)]
    pub handle: Option<Arc<str>>,
    pub checked: u64,
    pub seen: u64,
}

impl OutsideDoc {
    pub fn of(identity: &Identity) -> Self {
        Self {
            name: Arc::clone(&identity.name),
            source: identity.source,
            role: identity.role.clone(),
            scope: Scope::clone(&identity.scope),
            handle: identity.handle(),
            checked: identity.checked.load(Ordering::Relaxed),
            seen: identity.seen.load(Ordering::Relaxed),
        }
    }
}
