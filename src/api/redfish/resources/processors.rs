//! Processors of a node, from configured facts: no PDU and no IPMI BMC tells. Without facts there are none.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        reply::Reply,
    },
    collection, systems,
};
use crate::config::Facts;

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "ProcessorCollection",
    version: "",
    uris: &["/redfish/v1/Systems/{system}/Processors"],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "Sockets of a node, if its facts say anything about them.",
    queries: Queries::Collection,
};

/// A socket.
pub static PROCESSOR: Resource = Resource {
    schema: "Processor",
    version: "v1_22_0",
    uris: &["/redfish/v1/Systems/{system}/Processors/{processor}"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "A socket: architecture, model, threads.",
    queries: Queries::Single,
};

/// Most sockets that are listed, whatever the configuration says.
const MAX_SOCKETS: u32 = 1024;

/// Whether anything is known.
pub fn known(facts: &Facts) -> bool {
    facts.cpus.is_some() || facts.sockets.is_some() || facts.cpu_arch.is_some() || facts.cpu_model.is_some()
}

/// Number of sockets: one if the facts don't say.
pub fn count(facts: &Facts) -> u32 {
    facts.sockets.unwrap_or(1).clamp(1, MAX_SOCKETS)
}

/// `ProcessorArchitecture` and `InstructionSet` (Processor schema) for an architecture as Linux and Ironic name it.
fn architecture(name: &str) -> (&'static str, &'static str) {
    match name {
        "x86_64" | "amd64" => ("x86", "x86-64"),
        "x86" | "i386" | "i686" => ("x86", "x86"),
        "aarch64" | "arm64" => ("ARM", "ARM-A64"),
        "arm" | "armv7l" | "armhf" => ("ARM", "ARM-A32"),
        "ppc64" | "ppc64le" => ("Power", "PowerISA"),
        "mips" => ("MIPS", "MIPS32"),
        "mips64" => ("MIPS", "MIPS64"),
        "ia64" => ("IA-64", "IA-64"),
        _ => ("OEM", "OEM"),
    }
}

fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let node = systems::node(call)?;
    if !known(node.facts()) {
        return Err(call.not_found());
    }
    let names: Vec<_> = (1..=count(node.facts())).map(|n| format!("CPU{n}")).collect();
    Ok(collection(call, "Processors", &format!("{}/Processors", systems::uri(node.id.as_str())), names.iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let node = systems::node(call)?;
    let facts = node.facts();
    let number = call.param(1).strip_prefix("CPU").and_then(|n| n.parse::<u32>().ok());
    let number = number.filter(|n| known(facts) && (1..=count(facts)).contains(n)).ok_or_else(|| call.not_found())?;
    if call.param(1) != format!("CPU{number}") {
        return Err(call.not_found());
    }
    Ok(Reply::ok(render(node.id.as_str(), facts, number)))
}

fn render(node: &str, facts: &Facts, number: u32) -> Doc {
    let mut doc = Doc::resource(&PROCESSOR, &format!("{}/Processors/CPU{number}", systems::uri(node)));
    let (architecture, instructions) = match facts.cpu_arch.as_deref().map(architecture) {
        Some((a, i)) => (Some(a), Some(i)),
        None => (None, None),
    };
    // What doesn't divide evenly is the first sockets': the sum is what Ironic counts.
    let sockets = count(facts);
    let threads = facts.cpus.map(|all| all / sockets + u32::from(number <= all % sockets));
    doc.set("Id", format!("CPU{number}"))
        .set("Name", format!("Processor {number}"))
        .set("Socket", format!("{number}"))
        .set("ProcessorType", "CPU")
        .set("ProcessorArchitecture", architecture)
        .set("InstructionSet", instructions)
        .opt("Model", facts.cpu_model.as_deref())
        .set("TotalThreads", threads)
        .obj("Status", |o| {
            o.set("State", "Enabled").set("Health", "OK");
        });
    doc
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn threads_add_up_over_sockets() {
        let facts = Facts { cpus: Some(7), sockets: Some(2), cpu_arch: Some("aarch64".into()), ..Facts::default() };
        let all: Vec<Value> = (1..=count(&facts))
            .map(|n| serde_json::from_slice(&render("n", &facts, n).finish().bytes).unwrap())
            .collect();
        assert_eq!(all.iter().map(|p| p["TotalThreads"].as_u64().unwrap()).sum::<u64>(), 7);
        assert_eq!(all[0]["InstructionSet"], "ARM-A64");
    }

    #[test]
    fn what_is_not_known_is_null() {
        let facts = Facts { cpu_model: Some("X".into()), ..Facts::default() };
        let one: Value = serde_json::from_slice(&render("n", &facts, 1).finish().bytes).unwrap();
        assert_eq!(one["TotalThreads"], Value::Null);
        assert!(known(&facts) && !known(&Facts::default()));
    }
}
