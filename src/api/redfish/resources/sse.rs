//! The event stream: `GET` of `ServerSentEventUri` (DSP0266, "Server-sent events").
//!
//! Each open stream is a member of `Subscriptions` for as long as it lasts; DELETE of that ends it. It ends too when the
//! session, the account or the service does.

use actix_web::{
    HttpRequest,
    body::{BodyStream, BoxBody},
    web::Bytes,
};
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        admit::{AUTH_TOKEN, bearer_of},
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        door::AtDoor,
        error::Error,
        messages as m,
        query::decode,
        reply::{Open, Reply},
    },
    event_service::delivery,
};
use crate::{
    api::{
        connections::Connection,
        delivery::{NewStream, StreamError, filter::Query},
    },
    auth::{Auth, Principal},
    model::Secret,
};

/// Where it is.
pub const URI: &str = "/redfish/v1/EventService/SSE";
/// A client that takes nothing for that long is cut off: something is sent every 15 s.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

/// The stream.
pub static STREAM: Resource = Resource {
    schema: "event-stream",
    version: "",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "Events as they happen (`text/event-stream`); `Last-Event-ID` asks for those missed, `$filter` for some.",
    queries: Queries::Own,
};

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let filter = filter(call.query.own.as_deref().unwrap_or_default())?;
    let delivery = delivery(call)?.clone();
    let (auth, principal) = (call.face.auth.clone(), call.principal.ok_or_else(Error::forbidden)?.clone());
    let (uri, door) = (call.uri.to_owned(), call.door.cloned());
    let open = move |request: &HttpRequest| {
        let header = |name: &str| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
        let peer = request.peer_addr().map_or_else(|| "unknown".to_owned(), |at| at.to_string());
        let connection = request.conn_data::<std::sync::Arc<Connection>>().cloned();
        let closed = request.conn_data::<AtDoor>().map(|here| here.gone.clone());
        let (link, rights) =
            (connection.clone(), rights(auth, &principal, header(AUTH_TOKEN.as_str()), header("authorization")));
        let new = NewStream {
            owner: principal.name.clone(),
            peer,
            door,
            filter,
            last: header("last-event-id"),
            rights: Box::new(move || {
                let over = link.as_ref().is_some_and(|link| link.hung_up())
                    || closed.as_ref().is_some_and(CancellationToken::is_cancelled);
                !over && rights()
            }),
        };
        let stream = delivery.stream(new).map_err(|error| match error {
            StreamError::Full => Error::new(503, m::TOO_MANY_SUBSCRIPTIONS.with([])).retry(PATIENCE),
            StreamError::Stopping => Error::new(503, m::SHUTTING_DOWN.with([])),
        })?;
        tracing::info!(target: "access", face = "redfish", principal = &*principal.name, uri, "an event stream begins");
        let pieces = stream.map(move |text| {
            if let Some(connection) = &connection {
                connection.allow(PATIENCE);
            }
            Ok::<_, std::convert::Infallible>(Bytes::from(text))
        });
        Ok(BoxBody::new(BodyStream::new(Box::pin(pieces))))
    };
    Ok(Reply { status: 200, content_type: Some("text/event-stream"), open: Some(Open::new(open)), ..Reply::default() })
}

/// Whether the client may go on listening: its session is there, its account is what it was, its bearer token is valid.
fn rights(
    auth: Auth,
    principal: &Principal,
    token: Option<String>,
    authorization: Option<String>,
) -> Box<dyn Fn() -> bool + Send> {
    let token = token.filter(|_| principal.session.is_some()).map(Secret::new);
    let bearer = authorization.filter(|_| principal.session.is_none());
    let bearer = bearer.as_deref().and_then(bearer_of).map(Secret::new);
    let (name, revision) = (principal.name.clone(), auth.known(&principal.name).map(|account| account.revision));
    Box::new(move || match &token {
        // A session that is listened with is in use.
        Some(token) => auth.token(token.expose()).is_ok_and(|principal| !principal.must_change_password),
        None if bearer.as_ref().is_some_and(|bearer| !auth.bears(bearer.expose())) => false,
        None => auth.known(&name).is_some_and(|account| account.enabled && Some(account.revision) == revision),
    })
}

/// `$filter` of the query.
fn filter(query: &str) -> Result<Option<Query>, Error> {
    let mut found = None;
    for (key, value) in query.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, ""))) {
        let (key, value) = (decode(key), decode(value));
        match key.as_str() {
            "$filter" => {
                let read = Query::parse(&value).map_err(|why| {
                    let shown: String = value.chars().take(80).collect();
                    Error::new(400, m::QUERY_FORMAT.with([&shown, "$filter"]).detail(format!("In it, {why}.")))
                })?;
                found = Some(read);
            }
            other if other.starts_with('$') => return Err(Error::new(501, m::QUERY_UNSUPPORTED.with([other]))),
            "only" | "excerpt" => {
                return Err(Error::new(400, m::QUERY_NOT_ON_RESOURCE.with([]).detail(format!("It is {key}."))));
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_read() {
        assert!(filter("").unwrap().is_none());
        assert!(filter("x=y").unwrap().is_none());
        assert!(filter("%24filter=EventType%20eq%20%27Alert%27").unwrap().is_some());
        for (text, status) in [("$filter=x", 400), ("$filter", 400), ("$top=1", 501), ("only", 400)] {
            assert_eq!(filter(text).unwrap_err().status, status, "{text}");
        }
    }
}
