//! Systems: every node is a ComputerSystem.
//!
//! What a device does not tell and nobody configured is left out, never made up. `PowerState` is null while it is
//! unknown: unknown is not off.

use time::OffsetDateTime;

use super::{
    super::{
        call::Call,
        descriptor::{COMPONENTS, LOGIN, Method, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        messages as m,
        reply::Reply,
    },
    chassis, collection, ethernet, logs, managers, media, processors, reset, system_patch,
};
use crate::{
    fleet::{BootView, FeedView, NodeView},
    model::{BootEnabled, BootTarget, Inventory, Led, PowerState, ReadingState, Stated},
};

/// The collection.
pub const URI: &str = "/redfish/v1/Systems";

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "ComputerSystemCollection",
    version: "",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "All nodes that the account may see.",
    queries: Queries::Collection,
};

/// A node.
pub static SYSTEM: Resource = Resource {
    schema: "ComputerSystem",
    version: "v1_27_0",
    uris: &["/redfish/v1/Systems/{system}"],
    verbs: &[Verb::get(LOGIN, get), Verb::of(Method::Patch, COMPONENTS, |call| Box::pin(system_patch::patch(call)))],
    summary: "A node: power, boot override, identity.",
    queries: Queries::Single,
};

/// The URI of a node.
pub fn uri(id: &str) -> String {
    [URI, "/", id].concat()
}

/// The node that the path names, if the caller may see it.
pub fn node(call: &Call<'_>) -> Result<NodeView, Error> {
    call.face.fleet.node(call.actor, call.param(0)).ok_or_else(|| call.not_found())
}

#[allow(clippy::unnecessary_wraps)]
fn list(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(collection(call, "Nodes", URI, call.face.fleet.nodes(call.actor).iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::ok(render(&node(call)?, OffsetDateTime::now_utc())))
}

/// Writes a node.
pub fn render(node: &NodeView, now: OffsetDateTime) -> Doc {
    let id = node.id.as_str();
    let uri = uri(id);
    let facts = node.facts();
    let told = node.inventory.as_ref().map(|i| i.value.as_ref());
    let read = |pick: fn(&Inventory) -> &Option<String>| told.and_then(|i| pick(i).as_deref());
    let mut doc = Doc::resource(&SYSTEM, &uri);
    doc.set("Id", id)
        .set("Name", id)
        .opt("Description", facts.description.as_deref())
        .set("SystemType", "Physical")
        .set("UUID", node.uuid)
        .opt("HostName", facts.hostname.as_deref())
        .opt("Manufacturer", facts.manufacturer.as_deref().or(read(|i| &i.manufacturer)))
        .opt("Model", facts.model.as_deref().or(read(|i| &i.model)))
        .opt("SKU", facts.sku.as_deref())
        .opt("PartNumber", facts.part_number.as_deref().or(read(|i| &i.part_number)))
        .opt("SerialNumber", facts.serial.as_deref().or(read(|i| &i.serial)))
        .opt("BiosVersion", facts.bios_version.as_deref())
        .set("AssetTag", node.asset_tag.as_deref())
        .set("PowerState", node.power.as_ref().map(|p| p.value.as_str()))
        .opt("PowerRestorePolicy", node.config.restore.policy());
    status(&mut doc, node);
    if let Some(led) = node.indicator {
        doc.set("IndicatorLED", led.as_str()).set("LocationIndicatorActive", led != Led::Off);
    }
    doc.obj("Boot", |o| boot(o, &node.boot));
    if let Some(gib) = facts.memory_gib {
        doc.obj("MemorySummary", |o| {
            o.set("TotalSystemMemoryGiB", gib);
        });
    }
    if processors::known(facts) {
        doc.obj("ProcessorSummary", |o| {
            o.set("Count", processors::count(facts))
                .opt("LogicalProcessorCount", facts.cpus)
                .opt("Model", facts.cpu_model.as_deref());
        });
        doc.link("Processors", &[&uri, "/Processors"].concat());
    }
    if !facts.macs.is_empty() {
        doc.link("EthernetInterfaces", &ethernet::collection_uri(id));
    }
    doc.link("LogServices", &logs::services_uri(id));
    if node.media.is_some() {
        doc.link("VirtualMedia", &media::collection_uri(id));
    }
    doc.obj("Links", |o| {
        o.links("Chassis", [chassis::uri(id)]);
        o.links("ManagedBy", [managers::uri(managers::id_of(&node.manager))]);
    });
    doc.obj("Actions", |o| {
        o.obj("#ComputerSystem.Reset", |o| {
            o.set("target", reset::uri(id))
                .list("ResetType@Redfish.AllowableValues", node.resets.iter().map(|r| r.as_str()));
        });
    });
    doc.obj("Oem", |o| {
        o.obj("Rackfish", |o| oem(o, node, now));
    });
    doc
}

fn status(doc: &mut Doc, node: &NodeView) {
    doc.obj("Status", |o| {
        o.set("State", if node.power.is_some() { "Enabled" } else { "UnavailableOffline" })
            .set("Health", if node.trouble.is_some() { "Warning" } else { "OK" });
        let worst = node.readings.iter().flat_map(|(_, r)| r.value.iter()).map(|r| r.state).max();
        o.volatile(|o| {
            let rollup = match (worst, &node.trouble) {
                (Some(ReadingState::Critical), _) => "Critical",
                (Some(ReadingState::Warning), _) | (_, Some(_)) => "Warning",
                _ => "OK",
            };
            o.set("HealthRollup", rollup);
            if let Some(trouble) = &node.trouble {
                let message = m::NODE_UNREACHABLE.with([node.id.as_str(), trouble.trim_end_matches('.')]);
                o.arr("Conditions", |a| {
                    a.item_obj(|o| {
                        o.set("MessageId", message.definition.id())
                            .set("Message", message.text())
                            .list("MessageArgs", &message.args)
                            .set("Severity", message.definition.severity)
                            .set("Resolution", message.definition.resolution);
                        if let Some(power) = &node.power {
                            o.set("Timestamp", power.at);
                        }
                    });
                });
            }
        });
    });
}

/// Targets that can be set now.
pub fn targets(boot: &BootView) -> Vec<BootTarget> {
    let settable = |t: &BootTarget| {
        *t == BootTarget::None || (!boot.refused && (boot.native.contains(t) || boot.kept.contains(t)))
    };
    BootTarget::ALL.into_iter().filter(settable).collect()
}

/// Values of `BootSourceOverrideEnabled` that can be set now.
pub fn enables(boot: &BootView) -> &'static [BootEnabled] {
    if boot.refused {
        &[BootEnabled::Disabled]
    } else {
        &[BootEnabled::Disabled, BootEnabled::Once, BootEnabled::Continuous]
    }
}

fn boot(o: &mut Doc, boot: &BootView) {
    let targets = targets(boot);
    o.set("BootSourceOverrideEnabled", boot.enabled.as_str())
        .list("BootSourceOverrideEnabled@Redfish.AllowableValues", enables(boot).iter().map(|e| e.as_str()))
        .set("BootSourceOverrideTarget", boot.target.as_str())
        .list("BootSourceOverrideTarget@Redfish.AllowableValues", targets.iter().map(|t| t.as_str()))
        .set("BootSourceOverrideMode", boot.mode.as_str());
    if boot.modes.is_empty() {
        o.list("BootSourceOverrideMode@Redfish.AllowableValues", [boot.mode.as_str()]);
    } else {
        o.list("BootSourceOverrideMode@Redfish.AllowableValues", boot.modes.iter().map(|m| m.as_str()));
    }
    if targets.contains(&BootTarget::UefiHttp) {
        o.set("HttpBootUri", boot.http_boot_uri.as_deref());
    }
}

fn age(at: OffsetDateTime, now: OffsetDateTime) -> u64 {
    (now - at).whole_seconds().try_into().unwrap_or(0)
}

fn known(o: &mut Doc, power: Option<&Stated<PowerState>>, now: OffsetDateTime) {
    o.set("PowerState", power.map(|p| p.value.as_str()));
    o.volatile(|o| {
        if let Some(power) = power {
            o.set("Origin", power.origin.as_str()).set("AgeSeconds", age(power.at, now));
        }
    });
}

fn feed(o: &mut Doc, feed: &FeedView, now: OffsetDateTime) {
    o.set("Endpoint", feed.unit.endpoint.as_str())
        .set("Unit", feed.unit.unit.as_str())
        .opt("Name", feed.name.as_deref())
        .set("Shared", feed.shared);
    known(o, feed.power.as_ref(), now);
    o.volatile(|o| {
        o.set("Reachable", feed.reachable);
    });
}

fn oem(o: &mut Doc, node: &NodeView, now: OffsetDateTime) {
    o.set("@odata.type", "#RackfishComputerSystem.v1_0_0.ComputerSystem");
    o.obj("Power", |o| known(o, node.power.as_ref(), now));
    if let Some(host) = &node.config.host {
        o.obj("Host", |o| {
            o.set("Endpoint", host.endpoint.as_str()).set("Unit", host.unit.as_str());
            known(o, node.host_power.as_ref(), now);
        });
    }
    o.arr("Feeds", |a| {
        for f in &node.feeds {
            a.item_obj(|o| feed(o, f, now));
        }
    });
    o.obj("Boot", |o| {
        o.list("NativeTargets", node.boot.native.iter().map(|t| t.as_str()))
            .list("KeptTargets", node.boot.kept.iter().map(|t| t.as_str()));
    });
    if let Some(hold) = &node.hold {
        o.obj("Hold", |o| {
            o.set("Owner", &hold.owner).set("Reason", &hold.reason).set("Since", hold.since).opt("Until", hold.until);
        });
    }
    o.volatile(|o| {
        if let Some(running) = &node.operation {
            o.obj("Operation", |o| {
                o.set("What", running.what.as_ref())
                    .set("Principal", running.principal.as_ref())
                    .set("Step", running.step.as_ref())
                    .set("Since", running.since);
            });
        }
    });
}
