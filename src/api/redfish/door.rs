//! A node's own door: a listener, or a session made at one, that shows a single node as if it had a service of its own.
//!
//! [`super::admit`] limits the actor to the node, which hides all other nodes and what belongs to them. Here is the rest:
//! which resources there are at a door at all. A door is a view, not a limit on what an account may do: accounts, roles
//! and privileges are those of the service.

use tokio_util::sync::CancellationToken;

use crate::{
    auth::{AuthError, Principal},
    fleet::view::ManagerRef,
    model::NodeId,
};

use super::{
    Redfish,
    admit::actor_at,
    call::Call,
    descriptor::Resource,
    error::Error,
    resources::{aggregation, certificates, managers},
    route::Params,
};

/// The node whose door a connection came in at; kept with the connection.
#[derive(Debug, Clone)]
pub struct AtDoor {
    /// Which.
    pub node: NodeId,
    /// The door is closed, or shows another node: what goes on for longer than a request ends.
    pub gone: CancellationToken,
}

/// The node that a request is held to: that of the door it came in at, or the one at whose door its session was made,
/// wherever it is used. A session of one door is none at another.
pub fn held_to(face: &Redfish, here: Option<&AtDoor>, session: Option<&str>) -> Result<Option<NodeId>, Error> {
    let made_at = session.and_then(|id| face.auth.door_of(id));
    match (here, made_at) {
        (Some(here), Some(made_at)) if here.node != made_at => Err(Error::of_login(&AuthError::BadToken)),
        (here, made_at) => Ok(made_at.or_else(|| here.map(|here| here.node.clone()))),
    }
}

/// Id of the only manager at the door of `node`: its BMC, or rackfish where it has none. `None`: there is no such node.
pub fn manager(face: &Redfish, node: &NodeId) -> Option<String> {
    let config = face.fleet.config();
    let host = config.nodes.get(node)?.host.as_ref();
    let manager = host.map_or(ManagerRef::Rackfish, |host| ManagerRef::Bmc(host.endpoint.clone()));
    Some(managers::id_of(&manager).to_owned())
}

/// Whether a resource is there at the door of `node`: what is about other nodes, about sets of nodes, or about the
/// service as a whole is not.
pub fn shows(face: &Redfish, node: &NodeId, resource: &Resource, params: &Params<'_>) -> bool {
    // All addresses of a resource are below the same collection.
    let rest = |uri: &str| resource.uris.first().and_then(|pattern| pattern.strip_prefix(uri));
    let below = |uri: &str| rest(uri).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let member = |uri: &str| rest(uri).is_some_and(|rest| rest.starts_with("/{"));
    if below(aggregation::URI) || below(certificates::URI) {
        return false;
    }
    // An enclosure holds other nodes too: there is none here but the node's own.
    if member(super::resources::chassis::URI) {
        return params.get(0) == node.as_str();
    }
    !member(managers::URI) || manager(face, node).is_some_and(|id| id == params.get(0))
}

/// The actor of a request from `principal`, for faces other than Redfish.
pub fn actor_of(
    face: &Redfish,
    principal: &Principal,
    request: std::sync::Arc<str>,
) -> Result<crate::model::Actor, Error> {
    let door = held_to(face, None, principal.session.as_deref())?;
    Ok(actor_at(face, principal, request, door.as_ref()))
}

impl Call<'_> {
    /// Whether what belongs to `node` is shown here: everything but at another node's door.
    pub fn shows(&self, node: Option<&NodeId>) -> bool {
        self.door.is_none_or(|door| node == Some(door))
    }
}
