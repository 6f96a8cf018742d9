//! What `rackfish init` writes.

use std::{collections::BTreeSet, fmt::Write};

use super::{Draft, Found};
use crate::model::{ActKind, NodeId, Unit};

/// The main file.
pub(super) const MAIN: &str = r#"# rackfish: made by `rackfish init`. Every key is explained in rackfish.example.toml.

[server]
listen = "0.0.0.0:8443"            # a certificate is made at the first start if none is given
include = ["nodes.d/*.toml"]       # one file for each device
# state_dir = "/var/lib/rackfish"  # accounts, sessions, what is under way
"#;

/// The file of one device and its nodes.
pub(super) fn device(draft: &Draft, found: &Found) -> String {
    let mut out = String::new();
    let told = &found.inventory;
    let about: Vec<&str> = [&told.manufacturer, &told.model, &told.serial, &told.firmware]
        .into_iter()
        .filter_map(Option::as_deref)
        .collect();
    // Writing to a String can't fail.
    let mut line = |text: String| writeln!(out, "{text}").unwrap_or_default();
    line(format!(
        "# {} at {}",
        if about.is_empty() { draft.kind.summary.to_owned() } else { comment(&about.join(", ")) },
        found.address
    ));
    line(String::new());
    line(format!("[endpoints.{}]", quoted(draft.name.as_str())));
    line(format!("driver = {}", quote(draft.kind.name)));
    if let Some(model) = &found.model {
        line(format!("model = {}", quote(model)));
    }
    for (key, value) in &draft.keys {
        line(format!("{key} = {value}"));
    }
    for (key, _) in &draft.secrets {
        line(format!("{key} = {{ file = {} }}", quote(&format!("../secrets/{}.{key}", draft.name))));
    }
    line(String::new());
    let switched: Vec<&(Unit, crate::model::Caps, Option<String>)> =
        found.units.iter().filter(|(_, caps, _)| caps.acts.has(ActKind::On) && caps.acts.has(ActKind::Off)).collect();
    if let Some((unit, _, _)) = switched.iter().find(|(unit, _, _)| unit.as_str() == Unit::HOST) {
        let name = draft.node.clone().unwrap_or_else(|| {
            let name = draft.name.as_str();
            format!("node-{}", name.strip_prefix("bmc-").unwrap_or(name))
        });
        line(format!("[nodes.{}]", quoted(&name)));
        line(format!("host = {}", quote(draft.name.as_str())));
        debug_assert_eq!(unit.as_str(), Unit::HOST);
        line("# feeds = [\"pdu01/7\"]             # its mains, if a PDU is configured too".to_owned());
        line("# macs = [\"52:54:00:12:34:56\"]    # for Ironic's inspection and its ports".to_owned());
        return out;
    }
    line(
        "# Every outlet is a node here: take out those that feed no server, or put several into one node's feeds."
            .to_owned(),
    );
    let plain = switched.iter().all(|(_, _, label)| label.as_deref().and_then(node_name).is_none());
    let numbers: Vec<u32> = switched.iter().filter_map(|(unit, _, _)| unit.as_str().parse().ok()).collect();
    let count = u32::try_from(switched.len()).unwrap_or(0);
    if plain && count > 1 && numbers.iter().copied().eq(1..=count) {
        let width = count.to_string().len();
        line(format!("[nodes.\"{}-outlet-[{:0width$}-{count}]\"]", draft.name, 1));
        line(format!("feeds = [\"{}/{{n}}\"]", draft.name));
        return out;
    }
    let mut taken = BTreeSet::new();
    for (unit, _, label) in switched {
        let fallback = format!("{}-outlet-{}", draft.name, unit.as_str().replace('/', "."));
        let name = label.as_deref().and_then(node_name).filter(|name| !taken.contains(name)).unwrap_or(fallback);
        line(format!("[nodes.{}]", quoted(&name)));
        let remark = label.as_deref().map(|label| format!("  # \"{}\"", comment(label))).unwrap_or_default();
        line(format!("feeds = [{}]{remark}", quote(&format!("{}/{unit}", draft.name))));
        taken.insert(name);
    }
    out
}

/// An outlet's label as a node's name: `Web Server 1` -> `web-server-1`. Labels that nobody has set
/// (`Outlet 7`) say nothing.
fn node_name(label: &str) -> Option<String> {
    let name: String = label
        .trim()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    let said = !name.starts_with("outlet") && name.contains(|c: char| c.is_ascii_alphabetic());
    (said && NodeId::new(name).is_ok()).then(|| name.to_owned())
}

fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A name in a table's header.
fn quoted(name: &str) -> String {
    let bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { name.to_owned() } else { quote(name) }
}

/// A device's words within a comment: one line, no control characters.
fn comment(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
