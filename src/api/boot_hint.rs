//! `GET /boot/<mac>`: what the node with that MAC address is to boot from, for whatever steers its PXE.
//!
//! While a boot is under way that used an override up, the answer is what that start was told; otherwise it is the
//! override as it stands. JSON, or one word with `Accept: text/plain`. Needs a login unless
//! `insecure_open_boot_hints` says otherwise: firmware can't log in.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use serde::Serialize;

use super::redfish::{Redfish, admit, door, error::Error, http};
use crate::{
    fleet::{BootView, NodeView},
    model::Actor,
};

#[derive(Debug, PartialEq, Serialize)]
struct Hint<'n> {
    node: &'n str,
    target: &'static str,
    enabled: &'static str,
    mode: &'static str,
    http_boot_uri: Option<&'n str>,
    origin: &'static str,
}

/// Route.
pub fn routes(config: &mut web::ServiceConfig) {
    config.route("/boot/{mac}", web::get().to(get));
}

async fn get(req: HttpRequest, face: web::Data<Redfish>, mac: web::Path<String>) -> HttpResponse {
    let actor = if face.fleet.config().server.insecure_open_boot_hints {
        Actor::internal("boot hint")
    } else {
        let peer = req.peer_addr().map(|a| a.ip());
        match admit::authenticate(&face, req.headers(), peer, req.conn_data()).await {
            Ok(principal) if principal.must_change_password => return http::refuse(&req, Error::forbidden()),
            Ok(principal) => match door::actor_of(&face, &principal, "boot hint".into()) {
                Ok(actor) => actor,
                Err(error) => return http::refuse(&req, error),
            },
            Err(error) => return http::refuse(&req, error),
        }
    };
    let node = {
        let _inside = face.runtime.enter();
        face.fleet.node_by_mac(&actor, &mac)
    };
    let Some(node) = node else {
        return http::refuse(&req, Error::not_found(req.path()));
    };
    let hint = hint(&node);
    tracing::debug!(node = hint.node, target = hint.target, origin = hint.origin, "boot hint");
    let plain = req.headers().get(header::ACCEPT).is_some_and(|a| a.as_bytes().starts_with(b"text/plain"));
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if plain { response.content_type("text/plain").body(hint.target) } else { response.json(&hint) }
}

fn hint(node: &NodeView) -> Hint<'_> {
    let BootView { enabled, target, mode, http_boot_uri, last_start, .. } = &node.boot;
    match last_start {
        Some(last) => Hint {
            node: node.id.as_str(),
            target: last.target.as_str(),
            enabled: enabled.as_str(),
            mode: last.mode.as_str(),
            http_boot_uri: last.http_boot_uri.as_deref(),
            origin: "last-start",
        },
        None => Hint {
            node: node.id.as_str(),
            target: target.as_str(),
            enabled: enabled.as_str(),
            mode: mode.as_str(),
            http_boot_uri: http_boot_uri.as_deref(),
            origin: "pending",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::redfish::resources::samples,
        fleet::view::LastStart,
        model::{BootEnabled, BootMode, BootTarget},
    };

    #[test]
    fn what_a_start_was_told_holds_while_it_boots() {
        let mut node = samples::pdu_node();
        node.boot.target = BootTarget::Pxe;
        node.boot.enabled = BootEnabled::Once;
        assert_eq!((hint(&node).target, hint(&node).origin), ("Pxe", "pending"));
        node.boot.target = BootTarget::None;
        node.boot.enabled = BootEnabled::Disabled;
        node.boot.last_start =
            Some(LastStart { target: BootTarget::Pxe, mode: BootMode::Uefi, http_boot_uri: None, at: samples::NOW });
        assert_eq!((hint(&node).target, hint(&node).enabled, hint(&node).origin), ("Pxe", "Disabled", "last-start"));
    }
}
