//! Roles: the three that DSP0266 predefines. They can't be changed.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    collection,
};
use crate::model::Role;

/// The collection.
pub const URI: &str = "/redfish/v1/AccountService/Roles";
const ALL: [Role; 3] = [Role::Administrator, Role::Operator, Role::ReadOnly];

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "RoleCollection",
    version: "",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "Roles.",
    queries: Queries::Collection,
};

/// A role.
pub static ROLE: Resource = Resource {
    schema: "Role",
    version: "v1_3_3",
    uris: &["/redfish/v1/AccountService/Roles/{role}"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "A role and its privileges.",
    queries: Queries::Single,
};

/// The URI of a role.
pub fn uri(role: Role) -> String {
    format!("{URI}/{role}")
}

#[allow(clippy::unnecessary_wraps)]
fn list(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(collection(call, "Roles", URI, ALL.iter().map(|r| r.as_str())))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let role = ALL.into_iter().find(|r| r.as_str() == call.param(0)).ok_or_else(|| call.not_found())?;
    let mut doc = Doc::resource(&ROLE, &uri(role));
    doc.set("Id", role.as_str())
        .set("Name", format!("Role {role}"))
        .set("RoleId", role.as_str())
        .set("IsPredefined", true)
        .list("AssignedPrivileges", role.privileges().iter().copied());
    Ok(Reply::ok(doc))
}
