//! One program for all targets of `rackfish::fuzzing`; `FUZZ_TARGET` says which one is meant. Linking it once is what
//! costs least: `fuzz/run` builds and runs it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rackfish::fuzzing::{TARGETS, find};

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    find(&name).unwrap_or_else(|| {
        let known: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        panic!("FUZZ_TARGET={name:?} is no target; there are {}", known.join(", "))
    })
});

fuzz_target!(|data: &[u8]| TARGET(data));
