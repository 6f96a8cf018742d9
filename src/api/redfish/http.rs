//! HTTP: from a request to a [`Call`], from a [`Reply`] to a response; the request log and the audit log.

use std::{
    cell::RefCell,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::BoxBody,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    web,
};

use super::{
    Redfish,
    admit::{self, AUTH_TOKEN, ClientCertificate},
    body,
    call::{Call, names_etag},
    descriptor::{Method, Run},
    door::{self, AtDoor},
    error::{Challenge, Error},
    excerpts, expand,
    fields::LeftAlone,
    messages as m,
    query::Query,
    reply::Reply,
    resources::{accounts, sessions},
    route::Entry,
};

/// Longest `X-Request-Id` that is taken over.
const MAX_REQUEST_ID: usize = 64;

const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const JSON: &str = "application/json";

/// What the log says about a request besides its line.
#[derive(Default)]
struct Seen {
    principal: Option<Arc<str>>,
    /// The whole body was read.
    heard: bool,
    what: RefCell<String>,
    cause: String,
}

/// The one handler of everything below `/redfish`, and of what is nowhere.
pub async fn serve(req: HttpRequest, mut payload: web::Payload, face: web::Data<Redfish>) -> HttpResponse {
    let started = Instant::now();
    let request = request_id(req.headers());
    let mut seen = Seen::default();
    let found = face.router.find(req.path());
    let entry = found.as_ref().map(|(entry, _)| *entry);
    let mut handled = handle(&req, &mut payload, &face, found, &request, &mut seen).await;
    let mut stream = None;
    if let Ok(Some(open)) = handled.as_mut().map(|reply| reply.open.take().filter(|_| req.method() == "GET")) {
        match open.body(&req) {
            Ok(body) => stream = Some(body),
            Err(error) => handled = Err(error),
        }
    }
    let (reply, challenge) = match handled {
        Ok(reply) => (reply, Challenge::default()),
        Err(mut error) => {
            let challenge = std::mem::take(&mut error.challenge);
            seen.cause = error.text();
            (error.into_reply(), challenge)
        }
    };
    log(&req, &reply, &seen, &request, started);
    face.metrics.request("redfish", reply.status, started.elapsed());
    let response = respond(&req, reply, stream, entry, &challenge, &request);
    let endless = req.headers().contains_key(header::TRANSFER_ENCODING) && !seen.heard;
    if endless { response.map_body(|_, body| body::Unheard::boxed(body, payload.into_inner())) } else { response }
}

async fn handle(
    req: &HttpRequest,
    payload: &mut web::Payload,
    face: &Redfish,
    found: Option<(&Entry, super::route::Params<'_>)>,
    request: &Arc<str>,
    seen: &mut Seen,
) -> Result<Reply, Error> {
    let headers = req.headers();
    if headers.get(&ODATA_VERSION).is_some_and(|v| v.as_bytes() != b"4.0") {
        return Err(Error::new(412, m::HEADER_INVALID.with(["OData-Version"]).detail("It has to be 4.0.")));
    }
    let peer = req.peer_addr().map(|a| a.ip());
    let word = req.method().as_str();
    let reading = matches!(word, "GET" | "HEAD" | "OPTIONS");
    let method = if reading { Some(Method::Get) } else { Method::parse(word) };
    // An open method answers 405 to its neighbours without asking for a login: the root's does.
    let open = found.as_ref().is_some_and(|(e, _)| {
        method
            .and_then(|m| e.resource.verb(m))
            .or_else(|| e.resource.verb(Method::Get))
            .is_some_and(|v| v.privileges.is_empty())
    });
    let mut principal = match admit::authenticate(face, headers, peer, req.conn_data::<ClientCertificate>()) {
        // What an open resource links to is expanded for those who may see it.
        login if open && req.query_string().contains("expand") => login.await.ok(),
        _ if open => None,
        login => Some(login.await?),
    };
    let here = req.conn_data::<AtDoor>();
    // What is open is so for those too whose token is good elsewhere only.
    if open {
        principal = principal.filter(|p| door::held_to(face, here, p.session.as_deref()).is_ok());
    }
    seen.principal = principal.as_ref().map(|p| Arc::clone(&p.name));
    let door = match &principal {
        Some(principal) => door::held_to(face, here, principal.session.as_deref())?,
        None => door::held_to(face, here, admit::session_of(face, headers).as_deref())
            .unwrap_or_else(|_| here.map(|here| here.node.clone())),
    };
    let Some((entry, params)) = found else { return Err(Error::not_found(req.path())) };
    let resource = entry.resource;
    if door.as_ref().is_some_and(|node| !door::shows(face, node, resource, &params)) {
        return Err(Error::not_found(req.path()));
    }
    let Some(verb) = method.and_then(|m| resource.verb(m)) else {
        return Err(Error::new(405, m::OPERATION_NOT_ALLOWED.with([]).way_out(format!("Use {}.", resource.allow()))));
    };
    if let Some(principal) = principal.as_ref().filter(|_| !open) {
        let own = accounts::is_own(resource, &params, principal) || sessions::is_own(resource, &params, principal);
        admit::privileged(principal, verb.privileges, own)?;
    }
    if word == "OPTIONS" {
        return Ok(Reply::done());
    }
    let body = if reading { web::Bytes::new() } else { body::read(headers, payload).await? };
    seen.heard = !reading;
    let query = match method {
        Some(Method::Get) => Query::parse(req.query_string(), resource.queries)?,
        _ => Query::default(),
    };
    // What is filtered is counted and cut afterwards.
    let whole = Query { top: None, skip: 0, ..query.clone() };
    let actor = match &principal {
        Some(principal) => admit::actor_at(face, principal, Arc::clone(request), door.as_ref()),
        None => admit::nobody(Arc::clone(request)),
    };
    let call = Call {
        face,
        actor: &actor,
        principal: principal.as_ref(),
        door: door.as_ref(),
        resource,
        uri: req.path(),
        params,
        query: if query.filter.is_some() { &whole } else { &query },
        if_match: headers.get(header::IF_MATCH).and_then(|v| v.to_str().ok()),
        peer,
        body: &body,
        what: &seen.what,
        left: LeftAlone::default(),
    };
    let reply = match &verb.run {
        Run::Now(run) => {
            // Views may start a refresh: on the fleet's runtime, not on this worker's.
            let _inside = face.runtime.enter();
            run(&call)?
        }
        Run::Later(run) => run(&call).await?,
    };
    if !reading {
        let left = call.left.take();
        return Ok(if left.is_empty() { reply } else { reply.with_messages(&left) });
    }
    acceptable(headers, &reply)?;
    if !query.is_plain() {
        return Ok(shaped(&call, &query, reply));
    }
    Ok(unless_known(headers, reply))
}

/// Answers 304 if the client has the resource already.
fn unless_known(headers: &HeaderMap, reply: Reply) -> Reply {
    let known = match (headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()), &reply.body.etag) {
        (Some(header), Some(etag)) => reply.status == 200 && names_etag(header, etag),
        _ => false,
    };
    if known {
        let body = super::doc::Body { bytes: Vec::new(), etag: reply.body.etag };
        return Reply { status: 304, body, ..Reply::default() };
    }
    reply
}

/// Applies `only`, `$filter`, `$expand`, `excerpt` and `$select`, in the order of DSP0266, to a resource that was written whole.
fn shaped(call: &Call<'_>, query: &Query, mut reply: Reply) -> Reply {
    if reply.status != 200 {
        return reply;
    }
    if query.only {
        if let Some(member) = expand::only_member(&reply.body.bytes).and_then(|uri| fetch(call, &uri)) {
            return member;
        }
        return reply;
    }
    if let Some(filter) = &query.filter {
        let (wants, part) = (|resource: &_| filter.wants(resource), (query.skip, query.top));
        reply.body.bytes = expand::filter(&reply.body.bytes, wants, part, |uri| fetch(call, uri).map(|m| m.body.bytes));
        // It would not follow the members.
        reply.body.etag = None;
    }
    if let Some(which) = query.expand {
        reply.body.bytes =
            expand::expand(&reply.body.bytes, which, |uri| fetch(call, uri).map(|member| member.body.bytes));
        // It would not follow the members.
        reply.body.etag = None;
    }
    if query.excerpt {
        reply.body.bytes = expand::excerpt(&reply.body.bytes, excerpts::of);
    }
    if let Some(paths) = &query.select {
        reply.body.bytes = expand::select(&reply.body.bytes, paths);
    }
    reply
}

/// A resource that another one links to, as the same caller sees it.
fn fetch(call: &Call<'_>, uri: &str) -> Option<Reply> {
    let (entry, params) = call.face.router.find(uri)?;
    let verb = entry.resource.verb(Method::Get)?;
    let Run::Now(run) = &verb.run else { return None };
    if call.door.is_some_and(|node| !door::shows(call.face, node, entry.resource, &params)) {
        return None;
    }
    if let Some(principal) = call.principal {
        admit::privileged(principal, verb.privileges, false).ok()?;
    } else if !verb.privileges.is_empty() {
        return None;
    }
    let query = Query::default();
    let inner = Call {
        face: call.face,
        actor: call.actor,
        principal: call.principal,
        door: call.door,
        resource: entry.resource,
        uri,
        params,
        query: &query,
        if_match: None,
        peer: call.peer,
        body: &[],
        what: call.what,
        left: LeftAlone::default(),
    };
    let _inside = call.face.runtime.enter();
    run(&inner).ok().filter(|r| r.status == 200)
}

/// Refuses a GET whose `Accept` excludes what there is.
fn acceptable(headers: &HeaderMap, reply: &Reply) -> Result<(), Error> {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()) else { return Ok(()) };
    let have = reply.content_type.unwrap_or(JSON).split(';').next().unwrap_or_default();
    let family = have.split('/').next().unwrap_or_default();
    let fits = accept.split(',').any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim();
        range == "*/*" || range.eq_ignore_ascii_case(have) || range.strip_suffix("/*") == Some(family)
    });
    if fits || accept.trim().is_empty() {
        return Ok(());
    }
    Err(Error::new(406, m::HEADER_INVALID.with(["Accept"]).detail(format!("There is {have} only."))))
}

/// The answer to a request that another face or route refuses.
pub fn refuse(req: &HttpRequest, mut error: Error) -> HttpResponse {
    let challenge = std::mem::take(&mut error.challenge);
    respond(req, error.into_reply(), None, None, &challenge, &request_id(req.headers()))
}

fn respond(
    req: &HttpRequest,
    reply: Reply,
    stream: Option<BoxBody>,
    entry: Option<&Entry>,
    challenge: &Challenge,
    request: &str,
) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::new(status);
    let headers = response.headers_mut();
    headers.insert(ODATA_VERSION, HeaderValue::from_static("4.0"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut text = |name: HeaderName, value: &str| {
        // A value that is no header text (it would need control characters) is left out.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    text(REQUEST_ID, request);
    if let Some(etag) = &reply.body.etag {
        text(header::ETAG, etag);
    }
    if let Some(location) = &reply.location {
        text(header::LOCATION, location);
    }
    if let Some(mut token) = reply.token.as_ref().and_then(|token| HeaderValue::from_str(token.expose()).ok()) {
        // Whatever prints headers shows it as such.
        token.set_sensitive(true);
        headers.insert(AUTH_TOKEN, token);
    }
    if let Some(seconds) = reply.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    // Each in a line of its own: many clients understand the first alone, and that Basic is.
    if challenge.basic {
        headers
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"rackfish\", charset=\"UTF-8\""));
    }
    if let Some(bearer) = challenge.bearer.as_ref().and_then(|text| HeaderValue::from_str(text).ok()) {
        headers.append(header::WWW_AUTHENTICATE, bearer);
    }
    let reading = matches!(req.method().as_str(), "GET" | "HEAD" | "OPTIONS");
    if let Some(entry) = entry.filter(|_| reading || reply.status == 405) {
        headers.insert(header::ALLOW, entry.allow.clone());
        if let Some(link) = entry.described_by.as_ref().filter(|_| reading) {
            headers.insert(header::LINK, link.clone());
        }
    }
    if reply.body.bytes.is_empty() && reply.content_type.is_none() {
        return response;
    }
    let content_type = HeaderValue::from_static(reply.content_type.unwrap_or(JSON));
    headers.insert(header::CONTENT_TYPE, content_type);
    if let Some(stream) = stream {
        // Nothing else comes on that connection.
        response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
        return response.set_body(stream);
    }
    response.set_body(BoxBody::new(reply.body.bytes))
}

fn request_id(headers: &HeaderMap) -> Arc<str> {
    static RUN: LazyLock<u32> = LazyLock::new(rand::random);
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let given = headers.get(&REQUEST_ID).and_then(|v| v.to_str().ok()).filter(|id| {
        !id.is_empty()
            && id.len() <= MAX_REQUEST_ID
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    });
    match given {
        Some(id) => Arc::from(id),
        None => Arc::from(format!("{:08x}-{:x}", *RUN, NEXT.fetch_add(1, Ordering::Relaxed))),
    }
}

/// Reads that went well are logged at `debug`: Ironic polls each node four times every two minutes.
fn log(req: &HttpRequest, reply: &Reply, seen: &Seen, request: &str, started: Instant) {
    let principal = seen.principal.as_deref().unwrap_or("-");
    let (method, path, status, cause) = (req.method().as_str(), req.path(), reply.status, seen.cause.as_str());
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let writing = !matches!(method, "GET" | "HEAD" | "OPTIONS");
    if writing || status >= 400 {
        let peer = req.peer_addr().map(|a| a.ip());
        tracing::info!(target: "access", face = "redfish", ?peer, principal, method, path, status, micros, cause, request);
    } else {
        tracing::debug!(target: "access", face = "redfish", principal, method, path, status, micros, request);
    }
    if writing {
        let what = seen.what.borrow();
        let result = match status {
            202 => "goes on as a task",
            ..400 => "done",
            400..500 => "refused",
            _ => "failed",
        };
        tracing::info!(
            target: "audit", face = "redfish", principal, what = what.as_str(), method, path, result, status, cause, request
        );
    }
}
