//! What is fuzzed: one function for each decoder, and for whole requests.
//!
//! The same functions run in two forms. `tests` replays `fuzz/corpus/` and mutates it for a moment with a small
//! deterministic mutator, in the ordinary test binary (the suite `fuzz`); `fuzz/` runs them for as long as one likes
//! under libFuzzer. A function must not panic, must not take long, and must hold what it asserts, for ALL inputs.
//! How to run either, and what to do with a finding: `docs/CONTRIBUTING.md`.
//!
//! Not part of the library's interface: hidden from the documentation, and only the binary's linker sees it unused.

mod bmc;
mod device_bus;
mod ipmi;
mod jose;
mod ldap;
mod snmp;

#[cfg(feature = "runtime")]
mod control;
#[cfg(feature = "runtime")]
mod documents;
#[cfg(feature = "runtime")]
mod http;
#[cfg(feature = "runtime")]
mod redfish;
#[cfg(feature = "runtime")]
mod text;

#[cfg(all(test, feature = "runtime"))]
mod mutate;
#[cfg(all(test, feature = "runtime"))]
mod tests;

/// A target: its name is its folder in `fuzz/corpus/`.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("rmcp", ipmi::rmcp),
    ("ipmi_message", ipmi::message),
    ("sdr", ipmi::sdr),
    ("fru", ipmi::fru),
    ("sel", ipmi::sel),
    ("snmp_message", snmp::message),
    ("snmp_v3", snmp::v3),
    ("oid", snmp::oid),
    ("device_bus", device_bus::stream),
    ("redfish_answer", bmc::answer),
    ("token", jose::token),
    ("key_set", jose::key_set),
    ("ldap_message", ldap::message),
    ("ldap_text", ldap::text),
    #[cfg(feature = "runtime")]
    ("snmp_answer", snmp::answer),
    #[cfg(feature = "runtime")]
    ("config", text::config),
    #[cfg(feature = "runtime")]
    ("pdu_family", text::family),
    #[cfg(feature = "runtime")]
    ("host_list", text::host_list),
    #[cfg(feature = "runtime")]
    ("redfish_query", redfish::query),
    #[cfg(feature = "runtime")]
    ("redfish_body", redfish::body),
    #[cfg(feature = "runtime")]
    ("redfish_path", redfish::path),
    #[cfg(feature = "runtime")]
    ("redfish_request", http::request),
    #[cfg(feature = "runtime")]
    ("control_line", control::line),
    #[cfg(feature = "runtime")]
    ("documents", documents::open),
];

/// The target of that name.
pub fn find(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, run)| *run)
}

/// Has it made, whatever it is.
fn made<T>(value: &T) {
    std::hint::black_box(value);
}
