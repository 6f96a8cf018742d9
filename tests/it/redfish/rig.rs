//! The Redfish face on a rack in memory, and a client of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rackfish::{
    api::{
        delivery::Settings,
        restart::{self, Restart},
        server::{self, Acceptor, ServerHandle, Service},
        tls::ReloadableAcceptor,
    },
    auth::Auth,
    fleet::Fleet,
    model::{Role, Scope, Secret},
    store::MemoryStore,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::rack::Rack;

pub const PASSWORD: &str = "Correct-Horse-7";
pub const SYSTEMS: &str = "/redfish/v1/Systems";

pub struct Rig {
    pub rack: Rack,
    pub fleet: Fleet,
    pub server: ServerHandle,
    /// Whoever is asked to start the service anew; nobody listens.
    pub restarts: Option<tokio::sync::mpsc::Receiver<restart::Request>>,
    pub http: reqwest::Client,
    pub url: String,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// Key of the first message; checks that the error is whole.
    pub fn key(&self) -> &str {
        let error = &self.body["error"];
        assert!(!error["message"].as_str().unwrap().is_empty());
        for info in error["@Message.ExtendedInfo"].as_array().unwrap() {
            for member in ["MessageId", "Message", "Severity", "MessageSeverity", "Resolution"] {
                assert!(!info[member].as_str().unwrap().is_empty(), "{member} in {info}");
            }
            assert!(info["MessageArgs"].is_array());
        }
        error["@Message.ExtendedInfo"][0]["MessageId"].as_str().unwrap().rsplit('.').next().unwrap()
    }
}

impl Rig {
    pub async fn new(each: u32) -> Self {
        Self::with(each, |_| {}).await
    }

    pub async fn with(each: u32, change: impl FnOnce(&mut rackfish::config::Config)) -> Self {
        Self::behind(each, change, None, reqwest::Client::builder()).await
    }

    /// Behind TLS if there is an acceptor, with a client that trusts it.
    pub async fn behind(
        each: u32,
        change: impl FnOnce(&mut rackfish::config::Config),
        tls: Option<Acceptor>,
        client: reqwest::ClientBuilder,
    ) -> Self {
        Self::certified(each, change, tls, None, client).await
    }

    pub async fn certified(
        each: u32,
        change: impl FnOnce(&mut rackfish::config::Config),
        tls: Option<Acceptor>,
        certificate: Option<ReloadableAcceptor>,
        client: reqwest::ClientBuilder,
    ) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut rack = Rack::new(each);
        change(&mut rack.config);
        let store = MemoryStore::new();
        let auth = Auth::open(store.clone(), rack.config.auth.clone()).await.unwrap();
        let one = Scope::Some { nodes: BTreeSet::new(), groups: BTreeSet::from(["pdu".to_owned()]) };
        for (name, role, scope, change) in [
            ("admin", Role::Administrator, Scope::All, false),
            ("operator", Role::Operator, Scope::All, false),
            ("reader", Role::ReadOnly, Scope::All, false),
            ("tenant", Role::Operator, one, false),
            ("fresh", Role::Administrator, Scope::All, true),
        ] {
            auth.create(name, &Secret::new(PASSWORD), role, scope, change).await.unwrap();
        }
        let config = Arc::new(rack.config.clone());
        let fleet = Fleet::open(Arc::clone(&config), store.clone()).await.unwrap();
        let settings = Settings { local: true, attempts: 1, interval: Duration::from_millis(50) };
        let delivery = rackfish::api::redfish::events::start(store, &fleet, &auth, None, settings).await.unwrap();
        let (restart, restarts) = Restart::new();
        let service =
            Service { fleet: fleet.clone(), auth, subscriptions: Some(delivery), tls, restart: Some(restart) };
        let server = server::start_with(service, &config.server, certificate).unwrap();
        let url = format!("{scheme}://{}", server.addresses[0]);
        let restarts = Some(restarts);
        let rig = Self { rack, fleet, server, restarts, http: client.no_proxy().build().unwrap(), url };
        // Every state has been read once.
        for _ in 0..200 {
            let all = rig.get(&format!("{SYSTEMS}?$expand=.")).await.body;
            if all["Members"].as_array().unwrap().iter().all(|m| m["PowerState"].is_string()) {
                return rig;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the devices were never read");
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub async fn send(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let body =
            serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into()));
        let answer = Answer { status, headers, body };
        if status.is_client_error() || status.is_server_error() {
            answer.key();
        }
        answer
    }

    pub async fn as_user(&self, user: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(method, path).basic_auth(user, Some(PASSWORD));
        Self::send(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.as_user("admin", Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.as_user("admin", Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.as_user("admin", Method::PATCH, path, Some(body)).await
    }

    pub async fn reset(&self, node: &str, kind: &str) -> Answer {
        self.post(&format!("{SYSTEMS}/{node}/Actions/ComputerSystem.Reset"), json!({"ResetType": kind})).await
    }

    pub async fn power(&self, node: &str) -> Value {
        self.get(&format!("{SYSTEMS}/{node}")).await.body["PowerState"].clone()
    }
}
