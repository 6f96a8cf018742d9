//! Who may do what, for clients to read: the privileges of every method, from the descriptors (DSP0266, "Privilege
//! mapping"; schema `PrivilegeRegistry`). It describes what is enforced, it does not decide it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    call::Call,
    descriptor::{LOGIN, Method, Privileges, Queries, Resource, Verb},
    doc::Doc,
    error::Error,
    reply::Reply,
    table,
};

/// The map.
pub const URI: &str = "/redfish/v1/AccountService/PrivilegeMap";

/// The map.
pub static MAP: Resource = Resource {
    schema: "PrivilegeRegistry",
    version: "v1_1_5",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "Which privileges each method of each kind of resource takes.",
    queries: Queries::Single,
};

/// Methods of a kind of resource, each with the privileges of which a caller needs one.
type Operations = BTreeMap<&'static str, BTreeSet<&'static str>>;

#[allow(clippy::unnecessary_wraps)]
fn get(_: &Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::ok(render(&mappings(table::ALL))))
}

/// What takes no login needs this (`Privileges.PrivilegeType`).
fn needed(privileges: Privileges) -> BTreeSet<&'static str> {
    if privileges.is_empty() { BTreeSet::from(["NoAuth"]) } else { privileges.iter().copied().collect() }
}

/// By schema. An action is a POST of the kind of resource that has it.
fn mappings(resources: &[&'static Resource]) -> BTreeMap<&'static str, Operations> {
    let mut all: BTreeMap<&'static str, Operations> = BTreeMap::new();
    for resource in resources.iter().filter(|r| r.has_schema() || r.is_action()) {
        let entity = resource.schema.split('.').next().unwrap_or(resource.schema);
        let operations = all.entry(entity).or_default();
        for verb in resource.verbs {
            let needed = needed(verb.privileges);
            if verb.method == Method::Get {
                operations.entry("HEAD").or_default().extend(&needed);
            }
            operations.entry(verb.method.as_str()).or_default().extend(needed);
        }
    }
    all
}

fn render(mappings: &BTreeMap<&'static str, Operations>) -> Doc {
    let used: BTreeSet<_> = mappings.values().flat_map(BTreeMap::values).flatten().copied().collect();
    let mut doc = Doc::resource(&MAP, URI);
    doc.set("Id", "PrivilegeMap")
        .set("Name", "Privileges of methods")
        .set("Description", "Made from what the service enforces. Accounts may be limited to nodes on top of it.")
        .list("PrivilegesUsed", used)
        .list("OEMPrivilegesUsed", [""; 0])
        .arr("Mappings", |a| {
            for (entity, operations) in mappings {
                a.item_obj(|o| {
                    o.set("Entity", *entity).obj("OperationMap", |o| {
                        for (method, privileges) in operations {
                            o.arr(method, |a| {
                                for privilege in privileges {
                                    a.item_obj(|o| {
                                        o.list("Privilege", [*privilege]);
                                    });
                                }
                            });
                        }
                    });
                });
            }
        });
    doc
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn it_tells_what_is_enforced() {
        let body: Value = serde_json::from_slice(&render(&mappings(table::ALL)).finish().bytes).unwrap();
        let of = |entity: &str| {
            let found = body["Mappings"].as_array().unwrap().iter().find(|m| m["Entity"] == entity);
            found.map(|m| m["OperationMap"].clone()).unwrap()
        };
        assert_eq!(of("ServiceRoot")["GET"], json!([{"Privilege": ["NoAuth"]}]));
        let system = of("ComputerSystem");
        assert_eq!(system["GET"], json!([{"Privilege": ["Login"]}]));
        assert_eq!(system["HEAD"], system["GET"]);
        assert_eq!(system["POST"], json!([{"Privilege": ["ConfigureComponents"]}]), "its Reset");
        assert_eq!(system["PATCH"], system["POST"]);
        assert!(system.get("DELETE").is_none(), "nobody can");
        assert_eq!(of("ManagerAccount")["DELETE"], json!([{"Privilege": ["ConfigureUsers"]}]));
        assert_eq!(of("ManagerAccount")["PATCH"].as_array().unwrap().len(), 2);
        assert_eq!(body["PrivilegesUsed"].as_array().unwrap().len(), 6);
    }

    /// The map has one place for a kind of resource: methods of the same kind must not differ from place to place.
    #[test]
    fn one_kind_has_one_rule() {
        let mut seen: BTreeMap<(&str, &str), (Privileges, &str)> = BTreeMap::new();
        for resource in table::ALL.iter().filter(|r| r.has_schema() || r.is_action()) {
            let entity = resource.schema.split('.').next().unwrap();
            for verb in resource.verbs {
                let rule = (verb.privileges, resource.schema);
                let first = seen.entry((entity, verb.method.as_str())).or_insert(rule);
                assert_eq!(first.0, verb.privileges, "{} and {}", first.1, resource.schema);
            }
        }
    }
}
