//! Accounts (their service is in `account_service`). Writes are compare-and-set: of several that name one ETag, one gets through.

use std::collections::BTreeSet;

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    super::{
        call::{Call, names_etag},
        descriptor::{Method, Queries, Resource, USERS, USERS_OR_SELF, Verb},
        doc::{Body, Doc},
        error::Error,
        fields::Fields,
        messages as m,
        reply::Reply,
        route::Params,
    },
    account_service, collection, roles,
};
use crate::{
    auth::{AccountInfo, AccountPatch, Principal, RoleInfo},
    model::{NodeId, Role, Scope, Secret},
};

/// The service.
pub const URI: &str = "/redfish/v1/AccountService";
/// The collection.
pub const ACCOUNTS: &str = "/redfish/v1/AccountService/Accounts";
/// The service.
pub static SERVICE: Resource = Resource {
    schema: "AccountService",
    version: "v1_18_1",
    uris: &[URI],
    verbs: &[
        Verb::get(USERS_OR_SELF, account_service::get),
        Verb::of(Method::Patch, USERS, |call| Box::pin(account_service::patch(call))),
    ],
    summary: "Accounts, roles and the rules for passwords and lockout.",
    queries: Queries::Single,
};

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "ManagerAccountCollection",
    version: "",
    uris: &[ACCOUNTS],
    verbs: &[Verb::get(USERS_OR_SELF, list), Verb::of(Method::Post, USERS, |call| Box::pin(create(call)))],
    summary: "Accounts: an administrator sees all, anyone else their own. POST makes one.",
    queries: Queries::Collection,
};

/// An account.
pub static ACCOUNT: Resource = Resource {
    schema: "ManagerAccount",
    version: "v1_14_1",
    uris: &["/redfish/v1/AccountService/Accounts/{account}"],
    verbs: &[
        Verb::get(USERS_OR_SELF, get),
        Verb::of(Method::Patch, USERS_OR_SELF, |call| Box::pin(patch(call))),
        Verb::of(Method::Delete, USERS, |call| Box::pin(remove(call))),
    ],
    summary: "An account: role, password, the nodes it may see. Anyone may change their own password.",
    queries: Queries::Single,
};

/// The URI of an account.
pub fn uri(name: &str) -> String {
    format!("{ACCOUNTS}/{name}")
}

/// Whether the request is about the caller's own account.
pub fn is_own(resource: &Resource, params: &Params<'_>, principal: &Principal) -> bool {
    std::ptr::eq(resource, &raw const ACCOUNT) && principal.name.as_ref() == params.get(0)
}

fn visible(call: &Call<'_>, account: &AccountInfo) -> bool {
    call.has("ConfigureUsers") || call.is_self(&account.name)
}

fn account(call: &Call<'_>) -> Result<AccountInfo, Error> {
    match call.face.auth.account(call.param(0)) {
        Some(account) if visible(call, &account) => Ok(account),
        _ if call.has("ConfigureUsers") => Err(call.not_found()),
        // Whether there is such an account is not for everybody to know.
        _ => Err(Error::forbidden()),
    }
}

#[allow(clippy::unnecessary_wraps)]
fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let names: Vec<_> = call.face.auth.accounts().into_iter().filter(|a| visible(call, a)).map(|a| a.name).collect();
    Ok(collection(call, "Accounts", ACCOUNTS, names.iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::ok(render(&account(call)?)))
}

fn render(account: &AccountInfo) -> Doc {
    let mut doc = Doc::resource(&ACCOUNT, &uri(&account.name));
    // A new password has to change the tag too, though it is never shown.
    doc.salt(account.revision)
        .set("Id", account.name.as_ref())
        .set("Name", format!("Account {}", account.name))
        .set("UserName", account.name.as_ref())
        .set("Password", None::<bool>)
        .set("RoleId", account.role.as_str())
        .set("Enabled", account.enabled)
        .set("PasswordExpiration", account.password_expires)
        // Neither a guesser nor the clock makes a client's ETag void.
        .volatile(|doc| {
            doc.set("Locked", account.locked).set("PasswordChangeRequired", account.must_change_password);
        })
        .list("AccountTypes", ["Redfish"])
        .obj("Links", |o| {
            o.link("Role", &roles::uri(&account.role));
        });
    doc.obj("Oem", |o| {
        o.obj("Rackfish", |o| {
            o.set("@odata.type", "#RackfishManagerAccount.v1_0_0.ManagerAccount");
            match account.scope.as_ref() {
                Scope::All => o.set("AllNodes", true),
                Scope::Some { nodes, groups } => o
                    .set("AllNodes", false)
                    .list("Nodes", nodes.iter().map(NodeId::as_str))
                    .list("Groups", groups.iter().map(String::as_str)),
            };
        });
    });
    doc
}

/// `Oem.Rackfish`: `AllNodes`, or `Nodes` and `Groups`.
fn scope(fields: &mut Fields, current: &Value) -> Option<Scope> {
    let mut oem = fields.object("Oem")?;
    let mut scope = None;
    if let Some(mut ours) = oem.object("Rackfish") {
        ours.take("@odata.type");
        let all = ours.boolean("AllNodes");
        let (nodes, groups) = (ours.strings("Nodes"), ours.strings("Groups"));
        let names: Option<BTreeSet<_>> =
            nodes.as_deref().unwrap_or_default().iter().map(|n| NodeId::new(n).ok()).collect();
        if names.is_none() {
            ours.not_in_list("Nodes", "given", &["names of nodes"]);
        }
        scope = match (all, nodes.is_some() || groups.is_some()) {
            (Some(true), false) => Some(Scope::All),
            (Some(true), true) => {
                ours.problem(m::PROPERTY_CONFLICT.with(["AllNodes", "Nodes"]));
                None
            }
            (Some(false), _) | (None, true) => Some(Scope::Some {
                nodes: names.unwrap_or_default(),
                groups: groups.unwrap_or_default().into_iter().collect(),
            }),
            (None, false) => None,
        };
        oem.absorb(ours, current.pointer("/Oem/Rackfish"));
    }
    fields.absorb(oem, current.get("Oem"));
    scope
}

/// `RoleId`: one that there is.
fn role(roles: &[RoleInfo], fields: &mut Fields) -> Option<Role> {
    let name = fields.string("RoleId")?;
    let found = roles.iter().find(|info| info.role.as_str() == name).map(|info| info.role.clone());
    if found.is_none() {
        let names: Vec<&str> = roles.iter().map(|info| info.role.as_str()).collect();
        fields.not_in_list("RoleId", &name, &names);
    }
    found
}

/// `Locked`: ends locks, and makes none.
fn locked(fields: &mut Fields) -> bool {
    let locked = fields.boolean("Locked");
    if locked == Some(true) {
        let message = m::PROPERTY_INCORRECT.with(["Locked", "true"]);
        fields.problem(message.detail("Nobody locks accounts by hand; set Enabled to false.").about("Locked"));
    }
    locked == Some(false)
}

/// `PasswordExpiration`: a time, or null for never.
#[allow(clippy::option_option)] // absent, null, a time
fn expiration(fields: &mut Fields) -> Option<Option<OffsetDateTime>> {
    let Some(text) = fields.nullable_string("PasswordExpiration")? else { return Some(None) };
    let at = OffsetDateTime::parse(&text, &Rfc3339).ok();
    if at.is_none() {
        let why = "It has to be like 2030-01-31T12:00:00Z, or null for never.";
        fields.ill_formed("PasswordExpiration", &text, why);
    }
    at.map(Some)
}

/// Takes what POST and PATCH have in common.
fn changes(roles: &[RoleInfo], fields: &mut Fields, current: &Value) -> AccountPatch {
    let patch = AccountPatch {
        password: fields.string("Password").map(Secret::new),
        role: role(roles, fields),
        scope: scope(fields, current),
        enabled: fields.boolean("Enabled"),
        must_change_password: fields.boolean("PasswordChangeRequired"),
        password_expires: expiration(fields),
        unlock: locked(fields),
        keep_session: None,
    };
    if let Some(types) = fields.strings("AccountTypes").filter(|t| t.iter().any(|t| t != "Redfish")) {
        fields.not_in_list("AccountTypes", &types.join(", "), &["Redfish"]);
    }
    patch
}

async fn create(call: &Call<'_>) -> Result<Reply, Error> {
    let mut fields = call.properties()?;
    for key in ["UserName", "Password", "RoleId"] {
        if !fields.has(key) {
            fields.missing(key);
        }
    }
    let name = fields.string("UserName").unwrap_or_default();
    let mut more = changes(&call.face.auth.roles(), &mut fields, &Value::Null);
    fields.finish(None)?;
    let (Some(password), Some(role)) = (more.password.take(), more.role.take()) else { return Err(call.not_found()) };
    let scope = more.scope.take().unwrap_or_default();
    call.note(format!("Create account {name:?} with role {role}"));
    let made = call.face.auth.create_with(&name, &password, role, scope, &more).await;
    let made = made.map_err(|e| Error::of_account(&e, call.uri))?;
    let location = uri(&made.name);
    Ok(Reply::created(render(&made), location))
}

/// The revision that a write has to find: the one whose ETag the client names.
fn expected(call: &Call<'_>, account: &AccountInfo, body: &Body) -> Result<Option<u64>, Error> {
    match (call.if_match, &body.etag) {
        (None, _) => Ok(None),
        (Some(header), Some(etag)) if names_etag(header, etag) => Ok(Some(account.revision)),
        (Some(_), _) => Err(Error::precondition()),
    }
}

async fn patch(call: &Call<'_>) -> Result<Reply, Error> {
    let account = account(call)?;
    let current = render(&account).finish();
    let expect = expected(call, &account, &current)?;
    let value: Value = serde_json::from_slice(&current.bytes).unwrap_or_default();
    let mut fields = call.properties()?;
    let mut patch = changes(&call.face.auth.roles(), &mut fields, &value);
    fields.finish(Some(&value))?;
    let by_self = call.is_self(&account.name);
    patch.keep_session = call.principal.and_then(|p| p.session.clone()).filter(|_| by_self);
    let only_password = patch.role.is_none()
        && patch.scope.is_none()
        && patch.enabled.is_none()
        && patch.must_change_password.is_none()
        && patch.password_expires.is_none()
        && !patch.unlock;
    let must_change = call.principal.is_some_and(|p| p.must_change_password);
    if !only_password && (must_change || !call.has("ConfigureUsers")) {
        return Err(Error::forbidden());
    }
    call.note(format!("Change account {} ({})", account.name, parts(&patch)));
    let changed = call
        .face
        .auth
        .change(&account.name, patch, expect, by_self)
        .await
        .map_err(|e| Error::of_account(&e, call.uri))?;
    Ok(Reply::ok(render(&changed)))
}

fn parts(patch: &AccountPatch) -> String {
    let mut parts = Vec::new();
    parts.extend(patch.password.as_ref().map(|_| "password".to_owned()));
    parts.extend(patch.role.as_ref().map(|r| format!("role {r}")));
    parts.extend(patch.scope.as_ref().map(|s| format!("nodes {s:?}")));
    parts.extend(patch.enabled.map(|e| if e { "enabled".to_owned() } else { "disabled".to_owned() }));
    parts.extend(
        patch.password_expires.map(|at| at.map_or("password for ever".to_owned(), |at| format!("password until {at}"))),
    );
    parts.extend(patch.unlock.then(|| "unlock".to_owned()));
    parts.extend(patch.must_change_password.map(|m| format!("password change required: {m}")));
    parts.join(", ")
}

async fn remove(call: &Call<'_>) -> Result<Reply, Error> {
    if call.principal.is_some_and(|p| p.must_change_password) {
        return Err(Error::forbidden());
    }
    let account = account(call)?;
    let expect = expected(call, &account, &render(&account).finish())?;
    call.note(format!("Remove account {}", account.name));
    call.face.auth.remove(&account.name, expect).await.map_err(|e| Error::of_account(&e, call.uri))?;
    Ok(Reply::done())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::model::Privileges;

    fn info(revision: u64) -> AccountInfo {
        AccountInfo {
            name: "bob".into(),
            role: Role::Operator,
            privileges: Privileges::OPERATOR,
            scope: Arc::default(),
            enabled: true,
            must_change_password: false,
            password_expires: None,
            locked: false,
            revision,
        }
    }

    #[test]
    fn a_new_password_changes_the_tag_but_not_the_body() {
        let (a, b) = (render(&info(1)).finish(), render(&info(2)).finish());
        assert_ne!(a.etag, b.etag);
        let strip = |body: &Body| {
            let mut value: Value = serde_json::from_slice(&body.bytes).unwrap();
            value.as_object_mut().unwrap().remove("@odata.etag");
            value
        };
        assert_eq!(strip(&a), strip(&b));
    }

    fn read(body: &Value) -> Result<AccountPatch, Vec<&'static str>> {
        let current = serde_json::from_slice(&render(&info(1)).finish().bytes).unwrap();
        let mut fields = Fields::properties(body.to_string().as_bytes()).unwrap();
        let role = |role: Role| RoleInfo { privileges: role.predefined().unwrap(), role, revision: 0 };
        let roles = Role::PREDEFINED.map(role);
        let patch = changes(&roles, &mut fields, &current);
        fields.finish(Some(&current)).map_err(|e| e.messages.iter().map(|m| m.definition.key).collect::<Vec<_>>())?;
        Ok(patch)
    }

    #[test]
    fn scopes_are_read_from_the_oem_part() {
        let patch = read(&json!({"Oem": {"Rackfish": {"Nodes": ["n1"], "Groups": ["g"]}}})).unwrap();
        assert!(matches!(patch.scope, Some(Scope::Some { nodes, groups }) if nodes.len() == 1 && groups.len() == 1));
        assert_eq!(read(&json!({"Oem": {"Rackfish": {"AllNodes": true}}})).unwrap().scope, Some(Scope::All));
        assert_eq!(read(&json!({"Oem": {"Rackfish": {"Nodes": ["a b"]}}})).unwrap_err(), ["PropertyValueNotInList"]);
        assert_eq!(read(&json!({"Oem": {"Other": {}}})).unwrap_err(), ["PropertyUnknown"]);
    }

    #[test]
    fn what_can_not_be_changed_is_named() {
        assert_eq!(read(&json!({"UserName": "x"})).unwrap_err(), ["PropertyNotWritable"]);
        assert_eq!(read(&json!({"RoleId": "King"})).unwrap_err(), ["PropertyValueNotInList"]);
        assert_eq!(read(&json!({"Locked": true})).unwrap_err(), ["PropertyValueIncorrect"]);
        assert_eq!(read(&json!({"BogusProp": 1, "Password": "x"})).unwrap_err(), ["PropertyUnknown"]);
    }
}
