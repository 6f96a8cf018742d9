//! Descriptors: each BMC session has a socket of its own.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that the service itself may need: connections, files, the runtime.
const OWN: u64 = 2_000;

/// Raises the soft limit to the hard one, and says clearly when that is too low.
pub fn raise(endpoints: usize) {
    let needed = OWN + u64::try_from(endpoints).unwrap_or(u64::MAX / 2) * 2;
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => return tracing::warn!(%error, "the limit of open files can't be read"),
    };
    if soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, soft, hard, "the limit of open files can't be raised");
    }
    if hard < needed {
        tracing::warn!(
            hard,
            needed,
            "too few open files are allowed for {endpoints} endpoints: some will be unreachable at times; \
             raise LimitNOFILE= of the unit, or `ulimit -n`"
        );
    }
}
