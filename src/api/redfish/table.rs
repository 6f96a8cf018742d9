//! All resources. A new one is one line here; see `docs/CONTRIBUTING.md`, "Add a Redfish resource".

use super::descriptor::Resource;
// Every resource is in the table, so that a new one is a line here and not two.
#[allow(clippy::wildcard_imports)]
use super::resources::*;

/// In the order of the docs.
pub static ALL: &[&Resource] = &[
    &root::VERSIONS,
    &root::ROOT,
    &root::ODATA,
    &metadata::METADATA,
    &metadata::SCHEMAS,
    &openapi::OPENAPI,
    &systems::COLLECTION,
    &systems::SYSTEM,
    &reset::RESET,
    &processors::COLLECTION,
    &processors::PROCESSOR,
    &ethernet::COLLECTION,
    &ethernet::INTERFACE,
    &logs::SERVICES,
    &logs::SERVICE,
    &logs::ENTRIES,
    &logs::ENTRY,
    &logs::CLEAR,
    &media::COLLECTION,
    &media::SLOT,
    &media::INSERT,
    &media::EJECT,
    &chassis::COLLECTION,
    &chassis::CHASSIS,
    &thermal::THERMAL,
    &power::POWER,
    &thermal_subsystem::SUBSYSTEM,
    &thermal_subsystem::METRICS,
    &thermal_subsystem::FANS,
    &thermal_subsystem::FAN,
    &power_subsystem::SUBSYSTEM,
    &power_subsystem::SUPPLIES,
    &power_subsystem::SUPPLY,
    &power_subsystem::METRICS,
    &environment_metrics::METRICS,
    &assembly::ASSEMBLY,
    &sensors::COLLECTION,
    &sensors::SENSOR,
    &aggregation::SERVICE,
    &aggregation::RESET_ACTION,
    &aggregates::COLLECTION,
    &aggregates::AGGREGATE,
    &aggregates::RESET_ACTION,
    &aggregates::ADD_ACTION,
    &aggregates::REMOVE_ACTION,
    &managers::COLLECTION,
    &managers::MANAGER,
    &managers::RESET,
    &network_protocol::NETWORK_PROTOCOL,
    &manager_log::SERVICES,
    &manager_log::SERVICE,
    &manager_log::ENTRIES,
    &manager_log::ENTRY,
    &certificates::COLLECTION,
    &certificates::CERTIFICATE,
    &certificates::SERVICE,
    &certificates::LOCATIONS,
    &certificates::REPLACE,
    &csr::GENERATE,
    &sessions::SERVICE,
    &sessions::COLLECTION,
    &sessions::SESSION,
    &accounts::SERVICE,
    &accounts::COLLECTION,
    &accounts::ACCOUNT,
    &client_certificates::COLLECTION,
    &client_certificates::CERTIFICATE,
    &roles::COLLECTION,
    &roles::ROLE,
    &privilege_map::MAP,
    &tasks::SERVICE,
    &tasks::COLLECTION,
    &tasks::TASK,
    &tasks::MONITOR,
    &event_service::SERVICE,
    &event_service::SUBMIT_TEST,
    &event_service::TEST_SUBSCRIPTION,
    &sse::STREAM,
    &subscriptions::COLLECTION,
    &subscriptions::SUBSCRIPTION,
    &subscriptions::RESUME_SUBSCRIPTION,
    &subscriptions::SUSPEND_SUBSCRIPTION,
    &registries::COLLECTION,
    &registries::FILE,
    &registries::REGISTRY,
    &json_schemas::COLLECTION,
    &json_schemas::FILE,
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::{super::descriptor::docs_table, ALL};
    use crate::api::redfish::{messages::RACKFISH, resources::registries};

    /// Compares a file of the repository with what the code says it holds; `RACKFISH_BLESS=1` writes it instead.
    fn holds(path: &str, text: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("RACKFISH_BLESS").is_some() {
            fs::write(&path, text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "{} is not what the code says; set RACKFISH_BLESS=1 to write it", path.display());
    }

    #[test]
    fn the_docs_list_what_is_served() {
        let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/redfish.md")).unwrap();
        let (before, rest) = docs.split_once("<!-- resources:").unwrap();
        let (marker, rest) = rest.split_once("-->\n").unwrap();
        let (_, after) = rest.split_once("<!-- resources end -->").unwrap();
        let table = docs_table(ALL);
        holds(
            "docs/redfish.md",
            &format!("{before}<!-- resources:{marker}-->\n\n{table}\n<!-- resources end -->{after}"),
        );
    }

    #[test]
    fn the_list_of_schemas_is_what_is_served() {
        let mut lines: Vec<_> = ALL.iter().filter(|r| r.has_schema()).map(|r| r.schema_id()).collect();
        lines.sort();
        holds("redfish-schemas/served.txt", &(lines.join("\n") + "\n"));
    }

    #[test]
    fn our_registry_is_in_the_tree() {
        let body = registries::render(&RACKFISH).finish();
        let value: serde_json::Value = serde_json::from_slice(&body.bytes).unwrap();
        holds(
            "redfish-schemas/registries/Rackfish.1.0.0.json",
            &(serde_json::to_string_pretty(&value).unwrap() + "\n"),
        );
    }

    /// An action's URI is its resource's, `/Actions/` and its name (DSP0266, "POST (action)").
    #[test]
    fn actions_are_where_they_belong() {
        for action in ALL.iter().filter(|r| r.is_action()) {
            for uri in action.uris {
                assert!(uri.ends_with(&format!("/Actions/{}", action.schema)), "{uri}");
                let of = uri.split("/Actions/").next().unwrap();
                assert!(ALL.iter().any(|r| r.uris.contains(&of)), "{uri} belongs to nothing");
            }
        }
    }
}
