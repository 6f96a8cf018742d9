//! Who may pass: authentication of a request, privileges of its resource.

use std::{net::IpAddr, sync::Arc};

use actix_web::http::header::{self, HeaderMap, HeaderName};
use zeroize::Zeroizing;

use super::{Redfish, descriptor, error::Error, messages as m, resources::accounts};
use crate::{
    auth::{AuthError, Principal},
    model::{Actor, Face, NodeId, Privileges, Role, Scope, Secret},
};

/// The header that carries a session's token.
pub const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Name from a client certificate that the TLS layer has verified; kept with the connection.
#[derive(Debug, Clone)]
pub struct ClientCertificate(pub Arc<str>);

/// Finds out who asks: a session token, else `Authorization` (Basic or a bearer token), else the connection's client
/// certificate. For all faces that speak HTTP.
pub async fn authenticate(
    face: &Redfish,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    certificate: Option<&ClientCertificate>,
) -> Result<Principal, Error> {
    identify(face, headers, peer, certificate).await.map_err(|mut error| {
        // Who was refused may come back with a token, if that is a way at all (RFC 6750, section 3).
        if error.challenge.basic && error.challenge.bearer.is_none() && face.auth.takes_bearers() {
            error.challenge.bearer = Some("Bearer realm=\"rackfish\"".to_owned());
        }
        error
    })
}

async fn identify(
    face: &Redfish,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    certificate: Option<&ClientCertificate>,
) -> Result<Principal, Error> {
    if let Some(token) = headers.get(&AUTH_TOKEN) {
        let token = token.to_str().map_err(|_| Error::of_login(&AuthError::BadToken))?;
        return face.auth.token_now(token).await.map_err(|e| Error::of_login(&e));
    }
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        if let Some(token) = value.to_str().ok().and_then(bearer_of) {
            // This one and the next on the heap: requests with a session, which are most, make no room for them.
            return Box::pin(face.auth.bearer(token, peer)).await.map_err(|e| Error::of_login(&e));
        }
        let (user, password) =
            value.to_str().ok().and_then(basic).ok_or_else(|| Error::of_login(&AuthError::BadCredentials))?;
        return Box::pin(face.auth.basic(&user, password.expose(), peer)).await.map_err(|e| Error::of_login(&e));
    }
    if let Some(ClientCertificate(name)) = certificate {
        return face.auth.certificate(name).map_err(|e| Error::of_login(&e));
    }
    Err(Error::unauthorized(m::ACCESS_UNAUTHORIZED.with([])))
}

/// User and password of a `Basic` header (RFC 7617).
pub(crate) fn basic(value: &str) -> Option<(String, Secret)> {
    let (scheme, coded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = Zeroizing::new(openssl::base64::decode_block(coded.trim()).ok()?);
    let text = std::str::from_utf8(&bytes).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), Secret::new(password)))
}

/// The token of a `Bearer` header (RFC 6750, section 2.1).
pub(super) fn bearer_of(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_matches(' '))
}

/// Whether `principal` has one of `privileges`, and whether its password is one that it may go on with.
/// `own_account`: the request is one that an account may make whose password has to be changed.
pub fn privileged(principal: &Principal, privileges: descriptor::Privileges, own_account: bool) -> Result<(), Error> {
    if principal.must_change_password && !own_account {
        return Err(Error::new(403, m::PASSWORD_CHANGE_REQUIRED.with([&accounts::uri(&principal.name)])));
    }
    // A role that may not set its own password otherwise gets out of one that has ended all the same.
    if principal.must_change_password && privileges.contains(&"ConfigureSelf") {
        return Ok(());
    }
    if privileges.iter().any(|p| principal.privileges.has(p)) { Ok(()) } else { Err(Error::forbidden()) }
}

/// The actor that `principal` is in this request; at the door of a node it sees that node at most.
pub fn actor_at(face: &Redfish, principal: &Principal, request: Arc<str>, door: Option<&NodeId>) -> Actor {
    let scope = match door {
        None => Arc::clone(&principal.scope),
        Some(node) => {
            let config = face.fleet.config();
            let groups = config.nodes.get(node).into_iter().flat_map(|node| &node.groups);
            let nodes = principal.scope.covers(node, groups).then(|| node.clone()).into_iter().collect();
            Arc::new(Scope::Some { nodes, groups: std::collections::BTreeSet::new() })
        }
    };
    Actor {
        principal: Arc::clone(&principal.name),
        role: principal.role.clone(),
        privileges: principal.privileges,
        scope,
        face: Face::Redfish,
        request,
    }
}

/// The session that a request to an open resource came with, if it came with one that is good.
pub fn session_of(face: &Redfish, headers: &HeaderMap) -> Option<Arc<str>> {
    let token = headers.get(&AUTH_TOKEN)?.to_str().ok()?;
    face.auth.token(token).ok()?.session
}

/// The actor of a request that needs no login: sees nothing.
pub fn nobody(request: Arc<str>) -> Actor {
    let scope = Scope::Some { nodes: std::collections::BTreeSet::new(), groups: std::collections::BTreeSet::new() };
    Actor {
        principal: Arc::from("-"),
        role: Role::ReadOnly,
        privileges: Privileges::NONE,
        scope: Arc::new(scope),
        face: Face::Redfish,
        request,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::redfish::descriptor::{COMPONENTS, LOGIN, USERS, USERS_OR_SELF};

    #[test]
    fn basic_headers_are_taken_apart() {
        assert_eq!(basic("Basic YTpiOmM=").unwrap(), ("a".to_owned(), Secret::new("b:c")));
        assert_eq!(basic("basic Og==").unwrap(), (String::new(), Secret::default()));
        for bad in ["Basic", "Basic YQ==", "Basic !!!", "Bearer YTpi", "Basic //79OmE="] {
            assert!(basic(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn bearer_headers_are_taken_apart() {
        assert_eq!(bearer_of("Bearer a.b.c"), Some("a.b.c"));
        assert_eq!(bearer_of("bearer  a.b.c "), Some("a.b.c"));
        for bad in ["Bearer", "Bearera.b.c", "Basic YTpi", "a.b.c"] {
            assert!(bearer_of(bad).is_none(), "{bad}");
        }
    }

    fn somebody(role: Role, must_change_password: bool) -> Principal {
        let privileges = role.predefined().unwrap_or_default();
        Principal { name: "bob".into(), role, privileges, scope: Arc::default(), must_change_password, session: None }
    }

    #[test]
    fn privileges_follow_roles() {
        assert!(privileged(&somebody(Role::ReadOnly, false), LOGIN, false).is_ok());
        assert_eq!(privileged(&somebody(Role::ReadOnly, false), COMPONENTS, false).unwrap_err().status, 403);
        assert!(privileged(&somebody(Role::Operator, false), COMPONENTS, false).is_ok());
        assert!(privileged(&somebody(Role::ReadOnly, false), USERS_OR_SELF, false).is_ok());
    }

    #[test]
    fn a_password_to_be_changed_opens_one_door() {
        let error = privileged(&somebody(Role::Administrator, true), LOGIN, false).unwrap_err();
        assert_eq!(error.status, 403);
        assert_eq!(error.messages.first().unwrap().args, ["/redfish/v1/AccountService/Accounts/bob"]);
        assert!(privileged(&somebody(Role::ReadOnly, true), USERS_OR_SELF, true).is_ok());
        // Also for a role without ConfigureSelf, but for nothing else, and only as long as it has to.
        let bare =
            |must| Principal { privileges: Privileges::of(["Login"]).unwrap(), ..somebody(Role::ReadOnly, must) };
        assert!(privileged(&bare(true), USERS_OR_SELF, true).is_ok());
        assert!(privileged(&bare(true), USERS_OR_SELF, false).is_err());
        assert!(privileged(&bare(true), USERS, true).is_err());
        assert!(privileged(&bare(false), USERS_OR_SELF, true).is_err());
    }
}
