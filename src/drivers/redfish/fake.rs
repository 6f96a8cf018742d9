//! A small BMC for tests, over real sockets, that can be told to misbehave. Everything it was asked is counted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::drivers::{Driver, find};

pub(super) const SYSTEM: &str = "/redfish/v1/Systems/1";
pub(super) const RESET: &str = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset";
pub(super) const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

/// What is answered in place of the truth.
#[derive(Debug, Clone)]
pub(super) enum Odd {
    /// A status, further headers, a body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// Nothing, for that long; then the truth.
    Late(Duration),
    /// The connection is closed.
    HangUp,
}

/// Everything about it.
#[derive(Debug)]
pub(super) struct Bmc {
    pub resources: BTreeMap<String, Value>,
    /// `METHOD PATH`, and how often from now on (0: always).
    pub odd: Vec<(String, u32, Odd)>,
    /// `METHOD PATH BODY` of all requests.
    pub asked: Vec<String>,
    /// Headers of the last request.
    pub headers: String,
    pub tokens: Vec<String>,
    pub logins: u32,
    /// PATCH needs the right `If-Match`, which changes after each.
    pub tagged: bool,
    /// It gives out weak tags and only knows strong ones.
    pub strong: bool,
    /// After that many GETs somebody else changes what was read.
    pub slips: u32,
    /// Methods that it says its resources take.
    pub allow: Option<&'static str>,
    revision: u32,
}

impl Bmc {
    fn new() -> Self {
        let link = |to: &str| json!({ "@odata.id": to });
        let resources = BTreeMap::from([
            (
                "/redfish/v1".to_owned(),
                json!({
                    "Systems": link("/redfish/v1/Systems"),
                    "SessionService": link("/redfish/v1/SessionService"),
                    "Links": { "Sessions": link(SESSIONS) },
                }),
            ),
            ("/redfish/v1/Systems".to_owned(), json!({ "Members": [link(SYSTEM)] })),
            (
                SYSTEM.to_owned(),
                json!({
                    "Id": "1", "PowerState": "Off", "Manufacturer": "Contoso", "SerialNumber": 4711,
                    "UUID": "38947555-7742-3448-3784-823347823834", "LocationIndicatorActive": false,
                    "Boot": {
                        "BootSourceOverrideTarget": "None", "BootSourceOverrideEnabled": "Disabled",
                        "BootSourceOverrideMode": "UEFI",
                        "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", "Hdd", "UsbCd", "UefiHttp"],
                    },
                    "Links": { "Chassis": [link("/redfish/v1/Chassis/1")], "ManagedBy": [link("/redfish/v1/Managers/1")] },
                    "Actions": { "#ComputerSystem.Reset": {
                        "target": RESET,
                        "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "ForceRestart", "GracefulShutdown"],
                    } },
                }),
            ),
            ("/redfish/v1/Chassis/1".to_owned(), json!({ "Thermal": link("/redfish/v1/Chassis/1/Thermal") })),
            (
                "/redfish/v1/Chassis/1/Thermal".to_owned(),
                json!({ "Temperatures": [{ "MemberId": "0", "Name": "CPU Temp", "ReadingCelsius": 41 }] }),
            ),
            ("/redfish/v1/Managers/1".to_owned(), json!({ "FirmwareVersion": "1.2" })),
        ]);
        Self {
            resources,
            odd: Vec::new(),
            asked: Vec::new(),
            headers: String::new(),
            tokens: Vec::new(),
            logins: 0,
            tagged: false,
            strong: false,
            slips: 0,
            allow: None,
            revision: 1,
        }
    }

    /// How often something that begins like this was asked.
    pub(super) fn count(&self, begins: &str) -> usize {
        self.asked.iter().filter(|asked| asked.starts_with(begins)).count()
    }

    fn tag(&self) -> String {
        format!("W/\"{}\"", self.revision)
    }

    fn wanted(&self) -> String {
        let tag = self.tag();
        if self.strong { tag.trim_start_matches("W/").to_owned() } else { tag }
    }

    fn answer(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &Value,
    ) -> (u16, Vec<(&'static str, String)>, String) {
        let say = |status: u16| (status, Vec::new(), String::new());
        let header = |name: &str| {
            headers.lines().find_map(|line| {
                line.to_ascii_lowercase().starts_with(name).then(|| line[name.len()..].trim().to_owned())
            })
        };
        let basic = header("authorization:").as_deref() == Some("Basic cm9vdDpjYWx2aW4=");
        let known = header("x-auth-token:").is_some_and(|token| self.tokens.contains(&token));
        match (method, path) {
            ("GET", "/redfish/v1") => {}
            ("POST", SESSIONS) => {
                if *body != json!({"UserName": "root", "Password": "calvin"}) {
                    return say(401);
                }
                self.logins += 1;
                let token = format!("token-{}", self.logins);
                self.tokens.push(token.clone());
                let at = format!("https://10.9.9.9{SESSIONS}/{}", self.logins);
                return (201, vec![("X-Auth-Token", token), ("Location", at)], "{}".to_owned());
            }
            _ if !basic && !known => return say(401),
            _ => {}
        }
        match method {
            "DELETE" => {
                self.tokens.clear();
                say(204)
            }
            "POST" if path == RESET => {
                let off = matches!(body["ResetType"].as_str(), Some("ForceOff" | "GracefulShutdown"));
                self.resources.get_mut(SYSTEM).unwrap()["PowerState"] = json!(if off { "Off" } else { "On" });
                say(204)
            }
            _ if !self.resources.contains_key(path) => say(404),
            "PATCH" if self.tagged && header("if-match:") != Some(self.wanted()) => say(412),
            "PATCH" => {
                self.revision += 1;
                let resource = self.resources.get_mut(path).unwrap();
                for (key, value) in body.as_object().unwrap() {
                    match value.as_object() {
                        Some(inner) => inner.iter().for_each(|(k, v)| resource[key][k] = v.clone()),
                        None => resource[key] = value.clone(),
                    }
                }
                (200, Vec::new(), resource.to_string())
            }
            "GET" => {
                let tag = self.tag();
                if self.slips > 0 {
                    self.slips -= 1;
                    self.revision += 1;
                }
                let allow = self.allow.map(|allow| ("Allow", allow.to_owned()));
                let headers = std::iter::once(("ETag", tag)).chain(allow).collect();
                (200, headers, self.resources[path].to_string())
            }
            _ => say(405),
        }
    }
}

/// A running one.
#[derive(Clone)]
pub(super) struct Fake {
    state: Arc<Mutex<Bmc>>,
    pub address: String,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Bmc::new()));
        let kept = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self { state, address }
    }

    pub(super) fn bmc(&self) -> MutexGuard<'_, Bmc> {
        self.state.lock().unwrap()
    }

    /// From now on that many times (0: always).
    pub(super) fn odd(&self, what: &str, times: u32, odd: Odd) {
        self.bmc().odd.push((what.to_owned(), times, odd));
    }

    /// A driver for it.
    pub(super) fn driver(&self, more: &str) -> Box<dyn Driver> {
        let text = format!(
            "address = \"{}\"\nusername = \"root\"\npassword = \"calvin\"\ninsecure_no_verify = true\ntimeout = \"300ms\"\n{more}",
            self.address
        );
        (find("redfish").unwrap().parse)(&toml::from_str(&text).unwrap()).unwrap().connect()
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<Bmc>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut headers = String::new();
        loop {
            match stream.read_line(&mut headers).await {
                Ok(n) if n > 2 => {}
                Ok(n) if n > 0 => break,
                _ => return,
            }
        }
        let length = headers.to_ascii_lowercase();
        let length =
            length.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
        let mut body = vec![0_u8; length];
        stream.read_exact(&mut body).await.unwrap();
        let line: Vec<String> = headers.lines().next().unwrap().split(' ').map(str::to_owned).collect();
        let bare = line[1].trim_end_matches('/');
        let what = format!("{} {bare}", line[0]);
        let odd = {
            let mut bmc = state.lock().unwrap();
            bmc.asked.push(format!("{what} {}", String::from_utf8_lossy(&body)));
            bmc.headers.clone_from(&headers);
            let at = bmc.odd.iter().position(|(begins, ..)| what.starts_with(begins));
            let found = at.map(|at| bmc.odd[at].2.clone());
            if let Some(at) = at {
                match bmc.odd[at].1 {
                    0 => {}
                    1 => drop(bmc.odd.remove(at)),
                    _ => bmc.odd[at].1 -= 1,
                }
            }
            found
        };
        let truth = || {
            let path = bare.split('?').next().unwrap();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            state.lock().unwrap().answer(&line[0], path, &headers, &body)
        };
        let (status, more, text) = match odd {
            None => truth(),
            Some(Odd::Say(status, more, text)) => (status, more, text),
            Some(Odd::Late(time)) => {
                tokio::time::sleep(time).await;
                truth()
            }
            Some(Odd::HangUp) => return,
        };
        let mut answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", text.len());
        for (name, value) in more {
            answer.extend([name, ": ", &value, "\r\n"]);
        }
        answer += "\r\n";
        answer += &text;
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
