//! Descriptors: each conversation with a device has a socket of its own.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that the service itself may need: connections, files, the runtime.
const OWN: u64 = 2_000;
/// Descriptors of one endpoint: its socket, and one more while a name is resolved or a login is made anew.
const EACH: u64 = 2;

/// Raises the soft limit to the hard one, and says clearly when that is too low. `doors`: listeners of nodes.
pub fn raise(endpoints: usize, doors: usize) {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => return tracing::warn!(%error, "the limit of open files can't be read"),
    };
    let mut allowed = soft;
    if soft < hard {
        match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => allowed = hard,
            Err(error) => tracing::warn!(%error, soft, hard, "the limit of open files can't be raised"),
        }
    }
    if let Some(text) = complaint(allowed, endpoints, doors) {
        // Whatever the log filter is: some devices will look dead, and this is why.
        tracing::error!("{text}");
    }
}

/// What has to be said of `allowed` descriptors for `endpoints` devices and `doors`; `None`: they are enough.
fn complaint(allowed: u64, endpoints: usize, doors: usize) -> Option<String> {
    let own = OWN.saturating_add(u64::try_from(doors).unwrap_or(u64::MAX / 4));
    let devices = u64::try_from(endpoints).unwrap_or(u64::MAX / 4).saturating_mul(EACH);
    let needed = own.saturating_add(devices);
    (allowed < needed).then(|| {
        let served = allowed.saturating_sub(own) / EACH;
        format!(
            "too few open files are allowed: {allowed}, where {endpoints} endpoints and their clients take up to \
             {needed} ({EACH} an endpoint, {own} for connections, files and {doors} doors of nodes); beyond about {served} endpoints, devices \
             look unreachable and clients are kept waiting: raise LimitNOFILE= of the unit, or `ulimit -Hn`, to \
             {needed} or more"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn enough_is_enough_and_too_little_is_said_with_numbers() {
        assert_eq!(complaint(2_000, 0, 0), None);
        assert_eq!(complaint(22_000, 10_000, 0), None);
        assert_eq!(complaint(u64::MAX, usize::MAX, usize::MAX), None);
        let said = complaint(20_000, 10_000, 0).unwrap_or_default();
        assert!(said.contains("20000") && said.contains("22000") && said.contains("about 9000 endpoints"), "{said}");
        let said = complaint(22_000, 10_000, 10_000).unwrap_or_default();
        assert!(said.contains("32000") && said.contains("10000 doors") && said.contains("about 5000"), "{said}");
        assert!(complaint(256, 1, 0).is_some_and(|said| said.contains("beyond about 0 endpoints")));
    }
}
