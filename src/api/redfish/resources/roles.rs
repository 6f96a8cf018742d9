//! Roles: the three that DSP0266 predefines, which stay as they are, and those that administrators make.
//!
//! Writes are compare-and-set, as those of accounts. A change holds at once for everybody who has the role.

use serde_json::Value;

use super::{
    super::{
        call::{Call, names_etag},
        descriptor::{LOGIN, Method, Queries, Resource, USERS, Verb},
        doc::{Body, Doc},
        error::Error,
        fields::Fields,
        messages as m,
        reply::Reply,
    },
    collection,
};
use crate::{
    auth::RoleInfo,
    model::{Privileges, Role},
};

/// The collection.
pub const URI: &str = "/redfish/v1/AccountService/Roles";

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "RoleCollection",
    version: "",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, list), Verb::of(Method::Post, USERS, |call| Box::pin(create(call)))],
    summary: "Roles. POST makes one.",
    queries: Queries::Collection,
};

/// A role.
pub static ROLE: Resource = Resource {
    schema: "Role",
    version: "v1_3_3",
    uris: &["/redfish/v1/AccountService/Roles/{role}"],
    verbs: &[
        Verb::get(LOGIN, get),
        Verb::of(Method::Patch, USERS, |call| Box::pin(patch(call))),
        Verb::of(Method::Delete, USERS, |call| Box::pin(remove(call))),
    ],
    summary: "A role and its privileges. Those that are predefined stay as they are.",
    queries: Queries::Single,
};

/// The URI of a role.
pub fn uri(role: &Role) -> String {
    format!("{URI}/{role}")
}

#[allow(clippy::unnecessary_wraps)]
fn list(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(collection(call, "Roles", URI, call.face.auth.roles().iter().map(|info| info.role.as_str())))
}

fn role(call: &Call<'_>) -> Result<RoleInfo, Error> {
    call.face.auth.role(call.param(0)).ok_or_else(|| call.not_found())
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::ok(render(&role(call)?)))
}

fn render(info: &RoleInfo) -> Doc {
    let RoleInfo { role, privileges, revision } = info;
    let mut doc = Doc::resource(&ROLE, &uri(role));
    doc.salt(*revision)
        .set("Id", role.as_str())
        .set("Name", format!("Role {role}"))
        .set("RoleId", role.as_str())
        .set("IsPredefined", role.predefined().is_some())
        .list("AssignedPrivileges", privileges.list());
    doc
}

/// `AssignedPrivileges`
fn privileges(fields: &mut Fields) -> Option<Privileges> {
    let names = fields.strings("AssignedPrivileges")?;
    match Privileges::of(&names) {
        Ok(set) => Some(set),
        Err(unknown) => {
            fields.not_in_list("AssignedPrivileges", unknown, &Privileges::names());
            None
        }
    }
}

/// `OemPrivileges`: there are none, and saying so is no mistake.
fn oem_privileges(fields: &mut Fields) {
    if let Some(names) = fields.strings("OemPrivileges").filter(|names| !names.is_empty()) {
        fields.not_in_list("OemPrivileges", &names.join(", "), &[]);
    }
}

async fn create(call: &Call<'_>) -> Result<Reply, Error> {
    let mut fields = call.properties()?;
    for key in ["RoleId", "AssignedPrivileges"] {
        if !fields.has(key) {
            fields.missing(key);
        }
    }
    let name = fields.string("RoleId").unwrap_or_default();
    let privileges = privileges(&mut fields);
    oem_privileges(&mut fields);
    fields.finish(None)?;
    let Some(privileges) = privileges else { return Err(call.not_found()) };
    call.note(format!("Make role {name:?} with {}", words(privileges)));
    let made = call.face.auth.create_role(&name, privileges).await.map_err(|e| Error::of_role(&e, call.uri))?;
    let location = uri(&made.role);
    Ok(Reply::created(render(&made), location))
}

fn words(privileges: Privileges) -> String {
    privileges.list().collect::<Vec<_>>().join(", ")
}

/// The revision that a write has to find: the one whose ETag the client names.
fn expected(call: &Call<'_>, info: &RoleInfo, body: &Body) -> Result<Option<u64>, Error> {
    match (call.if_match, &body.etag) {
        (None, _) => Ok(None),
        (Some(header), Some(etag)) if names_etag(header, etag) => Ok(Some(info.revision)),
        (Some(_), _) => Err(Error::precondition()),
    }
}

async fn patch(call: &Call<'_>) -> Result<Reply, Error> {
    let info = role(call)?;
    let current = render(&info).finish();
    let expect = expected(call, &info, &current)?;
    let value: Value = serde_json::from_slice(&current.bytes).unwrap_or_default();
    let mut fields = call.properties()?;
    // "For predefined roles, this property shall be read-only" (schema Role).
    if info.role.predefined().is_some() {
        for key in ["AssignedPrivileges", "OemPrivileges"] {
            if fields.take(key).is_some() {
                fields.problem(m::PROPERTY_NOT_WRITABLE.with([key]).about(key));
            }
        }
    }
    let privileges = privileges(&mut fields);
    oem_privileges(&mut fields);
    fields.finish(Some(&value))?;
    let Some(privileges) = privileges else { return Ok(Reply::ok(render(&info))) };
    call.note(format!("Give role {} the privileges {}", info.role, words(privileges)));
    let changed = call.face.auth.change_role(info.role.as_str(), privileges, expect).await;
    Ok(Reply::ok(render(&changed.map_err(|e| Error::of_role(&e, call.uri))?)))
}

async fn remove(call: &Call<'_>) -> Result<Reply, Error> {
    let info = role(call)?;
    let expect = expected(call, &info, &render(&info).finish())?;
    call.note(format!("Remove role {}", info.role));
    call.face.auth.remove_role(info.role.as_str(), expect).await.map_err(|e| Error::of_role(&e, call.uri))?;
    Ok(Reply::done())
}
