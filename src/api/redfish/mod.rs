//! The Redfish face (DSP0266 1.20; what Ironic's client needs of it decides where the standard leaves a choice).
//!
//! A request passes [`http`] (bytes, headers, log), [`admit`] (route, login, privilege) and ends in one handler below
//! [`resources`], which asks the fleet for a view or an operation and writes the answer with [`doc`]. What a resource
//! is (route, methods, privileges, schema version) stands in its [`descriptor`] and nowhere else.

pub mod admit;
pub mod body;
pub mod call;
pub mod descriptor;
pub mod doc;
pub mod door;
pub mod error;
pub mod events;
pub mod excerpts;
pub mod expand;
pub mod fields;
pub mod filter;
pub mod http;
pub mod messages;
pub mod query;
pub mod reply;
pub mod resources;
pub mod route;
pub mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::{
    api::{delivery::Delivery, operations::Metrics, restart::Restart, ssdp::Ssdp, tls::ReloadableAcceptor},
    auth::Auth,
    fleet::Fleet,
};
use resources::logs::LogCache;
use route::Router;

/// How clients reach the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Port of the first listener.
    pub port: Option<u16>,
    /// HTTPS; otherwise HTTP.
    pub tls: bool,
}

/// The face: what handlers need.
pub struct Redfish {
    /// Nodes, chassis, managers, tasks, operations.
    pub fleet: Fleet,
    /// Accounts and sessions.
    pub auth: Auth,
    /// Event subscriptions; without them there is no EventService.
    pub subscriptions: Option<Delivery>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where it listens.
    pub served: Served,
    /// Answers searches on the network; `None`: it can't be had here.
    pub ssdp: Option<Arc<Ssdp>>,
    /// What the service proves itself with; `None`: plain HTTP.
    pub certificate: Option<ReloadableAcceptor>,
    /// Whoever can start the service anew.
    pub restart: Option<Restart>,
    /// Where operations run: never on a listener's own threads.
    pub runtime: Handle,
    /// Logs as last read.
    pub logs: Arc<LogCache>,
    /// Routes.
    pub router: Router,
}

impl Redfish {
    /// A face for `fleet`. Has to be called within the runtime that the fleet lives on.
    pub fn new(
        fleet: Fleet,
        auth: Auth,
        subscriptions: Option<Delivery>,
        metrics: Arc<Metrics>,
        served: Served,
    ) -> Self {
        Self {
            fleet,
            auth,
            subscriptions,
            metrics,
            served,
            ssdp: None,
            certificate: None,
            restart: None,
            runtime: Handle::current(),
            logs: Arc::default(),
            router: Router::new(table::ALL),
        }
    }
}
