//! All keys that the configuration knows, table by table: the one list behind "unknown key" and the example file.
//!
//! A driver's own keys are the driver's business (`drivers::DriverKind::parse` refuses what it does not know).

/// Top-level tables.
pub const ROOT: &[&str] = &["server", "auth", "patience", "inrush", "defaults", "endpoints", "chassis", "nodes"];

/// Top-level tables with fixed keys: these are layered, later files and then the environment win.
pub const FIXED: &[&str] = &["server", "auth", "patience", "inrush", "defaults"];

/// `[server]`
pub const SERVER: &[&str] = &[
    "listen",
    "state_dir",
    "include",
    "tls",
    "operations_listen",
    "ssdp",
    "event_retry_attempts",
    "event_retry_interval",
    "insecure_local_event_destinations",
    "insecure_open_boot_hints",
    "observe_only",
    "watch",
    "log_format",
    "log",
    "audit_file",
];

/// `[server.tls]`
pub const TLS: &[&str] = &["certificate", "key", "client_ca", "names", "insecure_plain_http"];

/// `[auth]`
pub const AUTH: &[&str] = &[
    "session_timeout",
    "max_sessions",
    "failures_per_minute",
    "min_password",
    "password_history",
    "password_days",
    "lockout",
    "oauth",
    "ldap",
];

/// `[auth.lockout]`
pub const LOCKOUT: &[&str] = &["threshold", "duration", "reset_after", "resets"];

/// `[auth.oauth.NAME]`
pub const OAUTH: &[&str] = &[
    "issuer",
    "audience",
    "jwks_url",
    "jwks_file",
    "ca_file",
    "insecure_plain_jwks",
    "refresh",
    "algorithms",
    "name_claim",
    "roles_claim",
    "roles",
    "leeway",
    "max_lifetime",
];

/// A table in `roles`.
pub const OAUTH_ROLE: &[&str] = &["value", "role", "nodes", "groups"];

/// `[auth.ldap]`
pub const LDAP: &[&str] = &[
    "url",
    "start_tls",
    "insecure_plain",
    "ca_file",
    "bind_dn",
    "bind_password",
    "schema",
    "user_base",
    "user_filter",
    "name_attribute",
    "group_base",
    "nested",
    "roles",
    "timeout",
    "retry",
    "recheck",
    "grace",
    "cache",
];

/// A table in `auth.ldap.roles`.
pub const LDAP_ROLE: &[&str] = &["group", "role", "nodes", "groups"];

/// `[patience]`
pub const PATIENCE: &[&str] = &["action", "refresh_after", "stale_after", "repeat_window", "soft_off"];

/// `[inrush]`
pub const INRUSH: &[&str] = &["starts_per_second", "per_group"];

/// `[defaults]`
pub const DEFAULTS: &[&str] = &["node"];

/// `[endpoints.NAME]`: what every endpoint has, beside its driver's own keys.
pub const ENDPOINT: &[&str] = &[
    "driver",
    "poll",
    "poll_sensors",
    "verify",
    "verify_every",
    "coalesce",
    "order",
    "probe_at_start",
    "observe_only",
    "rate",
    "starts_per_second",
    "retries",
    "min_gap",
    "off_time",
    "breaker_failures",
    "breaker_cool_down",
    "credentials_retry",
];

/// `[chassis.NAME]`
pub const CHASSIS: &[&str] = &["kind", "slots", "description", "manufacturer", "model", "serial"];

/// `[nodes.NAME]`
pub const NODE: &[&str] = &[
    "chassis",
    "slot",
    "host",
    "feeds",
    "console",
    "sensors",
    "indicator",
    "boot",
    "shutdown",
    "door",
    "restore",
    "controller_ready",
    "groups",
    "uuid",
    "macs",
    "cpus",
    "sockets",
    "cpu_arch",
    "cpu_model",
    "memory_gib",
    "manufacturer",
    "model",
    "serial",
    "sku",
    "part_number",
    "asset_tag",
    "hostname",
    "description",
    "bios_version",
];

/// Keys of a node that can't be the same for all of them: not in `[defaults.node]`.
pub const NODE_OWN: &[&str] =
    &["slot", "host", "feeds", "console", "indicator", "door", "uuid", "macs", "serial", "asset_tag", "hostname"];

/// A table in `feeds`.
pub const FEED: &[&str] = &["unit", "shared", "gap", "off_time"];

/// `boot = { ... }`
pub const BOOT: &[&str] = &["hook"];

/// A hook.
pub const HOOK: &[&str] = &["command", "http", "files", "timeout"];

/// `http = { ... }` of a hook.
pub const HTTP: &[&str] = &["url", "method", "body", "authorization"];

/// A secret that is not a literal.
pub const SECRET: &[&str] = &["file", "env"];

/// Every key of the loader as a dotted path; `*` stands for a name. For the example file's test.
pub fn all_paths() -> Vec<String> {
    let groups: [(&str, &[&str]); 19] = [
        ("server", SERVER),
        ("server.tls", TLS),
        ("auth", AUTH),
        ("auth.lockout", LOCKOUT),
        ("auth.oauth.*", OAUTH),
        ("auth.oauth.*.roles", OAUTH_ROLE),
        ("auth.ldap", LDAP),
        ("auth.ldap.roles", LDAP_ROLE),
        ("patience", PATIENCE),
        ("inrush", INRUSH),
        ("endpoints.*", ENDPOINT),
        ("chassis.*", CHASSIS),
        ("nodes.*", NODE),
        ("nodes.*.feeds", FEED),
        ("nodes.*.boot", BOOT),
        ("nodes.*.boot.hook", HOOK),
        ("nodes.*.boot.hook.http", HTTP),
        ("nodes.*.shutdown", HOOK),
        ("nodes.*.shutdown.http", HTTP),
    ];
    groups.into_iter().flat_map(|(table, keys)| keys.iter().map(move |key| format!("{table}.{key}"))).collect()
}
