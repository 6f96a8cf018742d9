//! SessionService and sessions: POST needs no login, and answers 201 with `X-Auth-Token` and `Location`.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, MANAGER_OR_SELF, Method, OPEN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        messages::{self as m, Message},
        reply::Reply,
        route::Params,
    },
    accounts, collection,
};
use crate::{
    auth::{Principal, SessionInfo},
    model::Secret,
};

/// The service.
pub const URI: &str = "/redfish/v1/SessionService";
/// The collection.
pub const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

/// The service.
pub static SERVICE: Resource = Resource {
    schema: "SessionService",
    version: "v1_2_0",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, service)],
    summary: "Sessions: how long an idle one lasts.",
    queries: Queries::Single,
};

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "SessionCollection",
    version: "",
    uris: &[SESSIONS, "/redfish/v1/SessionService/Sessions/Members"],
    verbs: &[Verb::get(LOGIN, list), Verb::of(Method::Post, OPEN, |call| Box::pin(login(call)))],
    summary: "Sessions: an administrator sees all, anyone else their own. POST logs in.",
    queries: Queries::Collection,
};

/// A session.
pub static SESSION: Resource = Resource {
    schema: "Session",
    version: "v1_8_0",
    uris: &["/redfish/v1/SessionService/Sessions/{session}"],
    verbs: &[Verb::get(LOGIN, get), Verb::of(Method::Delete, MANAGER_OR_SELF, |call| Box::pin(logout(call)))],
    summary: "A session. DELETE logs out.",
    queries: Queries::Single,
};

/// Whether the request is about the session that it came with.
pub fn is_own(resource: &Resource, params: &Params<'_>, principal: &Principal) -> bool {
    std::ptr::eq(resource, &raw const SESSION) && principal.session.as_deref() == Some(params.get(0))
}

fn visible(call: &Call<'_>, session: &SessionInfo) -> bool {
    (call.has("ConfigureManager") || call.is_self(&session.user)) && call.shows(session.door.as_ref())
}

fn session(call: &Call<'_>) -> Result<SessionInfo, Error> {
    call.face.auth.session(call.param(0)).filter(|s| visible(call, s)).ok_or_else(|| call.not_found())
}

#[allow(clippy::unnecessary_wraps)]
fn service(call: &Call<'_>) -> Result<Reply, Error> {
    let mut doc = Doc::resource(&SERVICE, URI);
    doc.set("Id", "SessionService")
        .set("Name", "Session service")
        .set("ServiceEnabled", true)
        // The schema's limits are 30 s and a day.
        .set("SessionTimeout", call.face.fleet.config().auth.session_timeout.as_secs().clamp(30, 86_400))
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        })
        .link("Sessions", SESSIONS);
    Ok(Reply::ok(doc))
}

#[allow(clippy::unnecessary_wraps)]
fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let ids: Vec<_> = call.face.auth.sessions().into_iter().filter(|s| visible(call, s)).map(|s| s.id).collect();
    Ok(collection(call, "Sessions", SESSIONS, ids.iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::ok(render(&session(call)?)))
}

fn render(session: &SessionInfo) -> Doc {
    let mut doc = Doc::resource(&SESSION, &format!("{SESSIONS}/{}", session.id));
    doc.set("Id", session.id.as_ref())
        .set("Name", format!("Session of {}", session.user))
        .set("UserName", session.user.as_ref())
        .set("SessionType", "Redfish")
        .set("CreatedTime", session.created)
        .opt("ClientOriginIPAddress", session.peer.map(|p| p.to_string()));
    doc
}

async fn login(call: &Call<'_>) -> Result<Reply, Error> {
    let mut fields = call.properties()?;
    for key in ["UserName", "Password"] {
        if !fields.has(key) {
            fields.missing(key);
        }
    }
    let user = fields.string("UserName").unwrap_or_default();
    let password = Secret::new(fields.string("Password").unwrap_or_default());
    // Clients send these along; they mean nothing here.
    for key in ["SessionType", "Context", "Name"] {
        fields.take(key);
    }
    fields.finish(None)?;
    call.note(format!("Log in as {user:?}"));
    let (auth, password) = (&call.face.auth, password.expose());
    let new = match call.door {
        None => auth.login(&user, password, call.peer).await,
        Some(node) => auth.login_at(node.clone(), &user, password, call.peer).await,
    };
    let new = new.map_err(|e| Error::of_login(&e))?;
    let created = time::OffsetDateTime::now_utc();
    let info = SessionInfo { id: new.id, user: new.principal.name, created, peer: call.peer, door: call.door.cloned() };
    let mut doc = render(&call.face.auth.session(&info.id).unwrap_or(info.clone()));
    if new.principal.must_change_password {
        let message = m::PASSWORD_CHANGE_REQUIRED.with([&accounts::uri(&info.user)]);
        Message::extended_info(&mut doc, [&message]);
    }
    let mut reply = Reply::created(doc, format!("{SESSIONS}/{}", info.id));
    reply.token = Some(new.token);
    Ok(reply)
}

async fn logout(call: &Call<'_>) -> Result<Reply, Error> {
    let session = session(call)?;
    call.note(format!("Log out {}", session.user));
    match call.face.auth.logout(&session.id).await {
        Ok(true) => Ok(Reply::done()),
        Ok(false) => Err(call.not_found()),
        Err(e) => Err(Error::of_login(&e)),
    }
}
