//! Named points at which a test makes the process die.
//!
//! `RACKFISH_INSECURE_CRASH_AT=supply-off.sent` aborts the process, as `kill -9` would, the first time that point is
//! reached. The points are listed in `docs/CONTRIBUTING.md`; the suite `override` visits every one of them. Without
//! the variable a point costs one load.

use std::sync::OnceLock;

static POINT: OnceLock<Option<String>> = OnceLock::new();

/// Dies here if the test asks for it.
pub fn point(step: &str, moment: &str) {
    let wanted = POINT.get_or_init(|| std::env::var("RACKFISH_INSECURE_CRASH_AT").ok());
    if let Some(wanted) = wanted
        && wanted.split_once('.') == Some((step, moment))
    {
        tracing::error!(step, moment, "dying here, as asked by RACKFISH_INSECURE_CRASH_AT");
        std::process::abort();
    }
}
