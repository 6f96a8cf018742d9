//! Hooks: something outside that is run for a node. Never a shell, always bounded.

use std::{path::Path, process::Stdio};

use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::io::AsyncReadExt;

use crate::{
    config::{Hook, HookAction, Node},
    model::{BootEnabled, BootMode, BootTarget},
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

/// Output of a hook that is kept for its error message.
const MOST_OUTPUT: u64 = 4096;

/// Runs a hook to its end; the error is one line for people.
pub async fn run(hook: &Hook, node: &Node, occasion: Occasion) -> Result<(), String> {
    let work = async {
        match &hook.action {
            HookAction::Command(argv) => command(argv, node, occasion).await,
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

async fn command(argv: &[String], node: &Node, occasion: Occasion) -> Result<(), String> {
    let mut argv = argv.iter().map(|arg| fill(arg, node, occasion));
    let program = argv.next().ok_or("the command is empty")?;
    let mut child = tokio::process::Command::new(&program)
        .args(argv)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| INHERITED.iter().any(|known| name == known)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("{program} can't be started: {e}"))?;
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut head = stderr.take(MOST_OUTPUT);
        head.read_to_end(&mut said).await.map_err(|e| e.to_string())?;
        // The rest is read away, so that a talkative program does not block.
        let mut rest = head.into_inner();
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map_err(|e| e.to_string())?;
    }
    let status = child.wait().await.map_err(|e| e.to_string())?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("{program} ended with {status}: {last}"))
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
