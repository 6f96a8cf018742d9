//! Hooks: something outside that is run for a node. Never a shell, always bounded.

use std::{path::Path, time::Duration};

use reqwest::header::{AUTHORIZATION, HeaderValue};

use crate::{
    config::{Hook, HookAction, Node},
    model::{BootEnabled, BootMode, BootTarget},
    process::{self, Environment},
};

/// What a hook may put into its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Occasion {
    /// Boot target, for boot hooks.
    pub target: BootTarget,
    /// Boot mode.
    pub mode: BootMode,
    /// Whether the override stays.
    pub enabled: BootEnabled,
}

/// What a command inherits of our environment. Nothing else: passwords of devices may be in it (`{ env = "..." }`).
const INHERITED: &[&str] =
    &["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "SSH_AUTH_SOCK", "TMPDIR", "TZ", "USER"];

/// Runs a hook to its end; the error is one line for people.
pub async fn run(hook: &Hook, node: &Node, occasion: Occasion) -> Result<(), String> {
    let work = async {
        match &hook.action {
            HookAction::Command(argv) => command(argv, node, occasion, hook.timeout).await,
            HookAction::Http { method, url, body, authorization } => {
                let url = fill(url, node, occasion);
                let method = method.parse().map_err(|_| format!("{method:?} is not an HTTP method"))?;
                // A redirect could lead anywhere, with our authorisation in hand.
                let client = reqwest::Client::builder()
                    .redirect(reqwest::redirect::Policy::none())
                    .build()
                    .map_err(|e| e.to_string())?;
                let mut request = client.request(method, &url);
                if let Some(body) = body {
                    request = request.header("content-type", "application/json").body(fill(body, node, occasion));
                }
                if let Some(authorization) = authorization {
                    let mut value = HeaderValue::from_str(authorization.expose())
                        .map_err(|_| "the authorization is nothing that a header can carry".to_owned())?;
                    value.set_sensitive(true);
                    request = request.header(AUTHORIZATION, value);
                }
                let answer = request.send().await.map_err(|e| e.without_url().to_string())?;
                let status = answer.status();
                if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
            }
            HookAction::Files(folder) => files(folder, node, occasion).await,
        }
    };
    if matches!(hook.action, HookAction::Command(_)) {
        return work.await; // it minds the time itself: what is late has to be killed
    }
    tokio::time::timeout(hook.timeout, work)
        .await
        .unwrap_or_else(|_| Err(format!("not done within {:?}", hook.timeout)))
}

fn fill(text: &str, node: &Node, occasion: Occasion) -> String {
    let mac = node.facts.macs.first().map_or("", String::as_str);
    text.replace("{node}", node.id.as_str())
        .replace("{mac}", mac)
        .replace("{target}", occasion.target.as_str())
        .replace("{mode}", occasion.mode.as_str())
        .replace("{enabled}", occasion.enabled.as_str())
}

async fn command(argv: &[String], node: &Node, occasion: Occasion, within: Duration) -> Result<(), String> {
    let argv: Vec<String> = argv.iter().map(|arg| fill(arg, node, occasion)).collect();
    let ended = process::run(&argv, Environment::Inherited(INHERITED), within).await.map_err(|e| e.to_string())?;
    if ended.status.success() {
        return Ok(());
    }
    let program = argv.first().map_or("", String::as_str);
    Err(format!("{program} ended with {}: {}", ended.status, ended.complaint()))
}

/// One file per MAC, named `52-54-00-00-01-01.json`, written aside and renamed.
async fn files(folder: &Path, node: &Node, occasion: Occasion) -> Result<(), String> {
    let body = serde_json::json!({
        "node": node.id,
        "target": occasion.target.as_str(),
        "mode": occasion.mode.as_str(),
        "enabled": occasion.enabled.as_str(),
    })
    .to_string();
    for mac in &node.facts.macs {
        let name = mac.replace(':', "-");
        let (aside, path) = (folder.join(format!(".{name}.new")), folder.join(format!("{name}.json")));
        tokio::fs::write(&aside, &body).await.map_err(|e| format!("{}: {e}", aside.display()))?;
        tokio::fs::rename(&aside, &path).await.map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fleet::tests::rig;

    #[tokio::test]
    async fn a_command_inherits_no_secrets() {
        // Cargo sets it for tests; it stands for any variable that is none of the hook's business.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let script = r#"test -z "$CARGO_MANIFEST_DIR" && test -n "$PATH" || { env >&2; exit 1; }"#;
        let action = HookAction::Command(["/bin/sh", "-c", script].map(str::to_owned).to_vec());
        let hook = Hook { action, timeout: Duration::from_secs(10) };
        let occasion = Occasion { target: BootTarget::Pxe, mode: BootMode::Uefi, enabled: BootEnabled::Once };
        let node = rig::node("n1", None, &["pdu/1"]);
        assert_eq!(run(&hook, &node, occasion).await, Ok(()));
    }
}
