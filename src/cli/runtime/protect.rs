//! What is in memory stays there: no core dumps, no other process of the same user that reads it.
//!
//! Passwords of devices have to be kept in the clear, because IPMI and SNMP log in with them. A crash must not write
//! them to a disk or hand them to a crash reporter, so the limit of core files is 0 (core(5)), and the process is
//! "not dumpable" (PR_SET_DUMPABLE in prctl(2)): a kernel whose `core_pattern` is a pipe ignores the limit, and
//! ptrace(2) and `/proc/PID/mem` are closed to everybody but root. Hooks are processes of their own and lose the second.

use nix::{
    sys::{
        prctl,
        resource::{Resource, setrlimit},
    },
    unistd::Uid,
};

/// Thousands of small conversations spread over huge pages (2 MiB each) keep a quarter more memory resident than over
/// small ones, and gain nothing.
pub fn against_huge_pages() {
    if let Err(error) = prctl::set_thp_disable(true) {
        tracing::debug!(%error, "the kernel may use huge pages");
    }
}

/// Sees to it. What can't be done is logged: nothing else depends on it.
pub fn against_dumps() {
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "core dumps can't be forbidden; a crash may write passwords of devices to a file");
    }
    if let Err(error) = prctl::set_dumpable(false) {
        tracing::warn!(%error, "other processes of this user may read the memory of this one");
    }
    if Uid::effective().is_root() {
        tracing::info!("running as root: nothing here needs it, a user of its own would do (docs/security.md)");
    }
}
