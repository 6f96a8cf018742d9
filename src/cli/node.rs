//! `rackfish node ...`

use clap::{Args, Subcommand, ValueEnum};
use time::OffsetDateTime;

use super::{
    CliError, Exit,
    args::Reach,
    control::{
        client,
        entries::{Known, NodeEntry},
        wire::{Ask, Layer, NodeAsk, OpResult},
    },
    exit::Failure,
    out::Out,
    service::{collect, decode},
};
use crate::{
    config::duration,
    model::{BootEnabled, BootMode, BootPatch, BootTarget, Led, ResetType},
};

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// One line a node
    List(ListArgs),
    /// Everything that is known of nodes
    Show(NodesArgs),
    /// Power on: feeds, then the machine
    On(PowerArgs),
    /// Power off at once
    Off(PowerArgs),
    /// Ask the operating system to shut down
    Soft(PowerArgs),
    /// Reset; a node that is off is started
    Restart(RestartArgs),
    /// Power cycle; ends in on
    Cycle(CycleArgs),
    /// Choose what the next boot, or every boot, is from
    Boot(BootArgs),
    /// Identification light
    Led(LedArgs),
    /// Refuse starts of nodes: somebody works on them
    Hold(HoldArgs),
    /// End a hold
    Release(NodesArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Nodes, as in node[1-8],rack2-*,@group,-node3; all of them if absent
    #[arg(value_name = "HOSTLIST")]
    nodes: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub(super) struct NodesArgs {
    /// Nodes, as in node[1-8],rack2-*,@group,-node3
    #[arg(value_name = "HOSTLIST")]
    nodes: String,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub(super) struct PowerArgs {
    #[command(flatten)]
    nodes: NodesArgs,
    /// Which of the node's power layers
    #[arg(long, value_enum, default_value_t)]
    layer: Layer,
}

#[derive(Debug, Args)]
pub(super) struct RestartArgs {
    #[command(flatten)]
    power: PowerArgs,
    /// Ask the operating system first
    #[arg(long)]
    graceful: bool,
}

#[derive(Debug, Args)]
pub(super) struct CycleArgs {
    #[command(flatten)]
    power: PowerArgs,
    /// Take the mains away, also from the BMC
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Args)]
pub(super) struct BootArgs {
    #[command(flatten)]
    nodes: NodesArgs,
    /// pxe, disk, cd, usb, floppy, bios, diags, http, remote, or none to clear the override
    #[arg(value_parser = target)]
    target: BootTarget,
    /// For every boot, not just the next
    #[arg(long)]
    persistent: bool,
    /// Firmware mode
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// What to load with `http`
    #[arg(long, value_name = "URI")]
    uri: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Uefi,
    Legacy,
}

#[derive(Debug, Args)]
pub(super) struct LedArgs {
    #[command(flatten)]
    nodes: NodesArgs,
    /// What it shall do
    #[arg(value_enum)]
    light: Light,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Light {
    On,
    Blink,
    Off,
}

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    #[command(flatten)]
    nodes: NodesArgs,
    #[command(flatten)]
    terms: Terms,
}

/// Why and how long.
#[derive(Debug, Args)]
pub(super) struct Terms {
    /// Why: shown to everybody who is refused
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Ends by itself after that time, as in 90m or 8h
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    time: Option<std::time::Duration>,
}

impl Terms {
    /// When it ends by itself.
    pub(super) fn end(&self) -> (String, Option<OffsetDateTime>) {
        (self.reason.clone(), self.time.map(|time| OffsetDateTime::now_utc() + time))
    }
}

fn target(text: &str) -> Result<BootTarget, String> {
    let alias = match text.to_ascii_lowercase().as_str() {
        "disk" => Some(BootTarget::Hdd),
        "cdrom" => Some(BootTarget::Cd),
        "bios" => Some(BootTarget::BiosSetup),
        "http" => Some(BootTarget::UefiHttp),
        "remote" => Some(BootTarget::RemoteDrive),
        "clear" => Some(BootTarget::None),
        _ => None,
    };
    alias
        .or_else(|| BootTarget::ALL.into_iter().find(|t| t.as_str().eq_ignore_ascii_case(text)))
        .ok_or_else(|| format!("one of pxe, disk, cd, usb, floppy, bios, diags, http, remote, none, not {text}"))
}

pub(super) fn run(command: NodeCommand) -> Result<(), CliError> {
    let reset = |power: PowerArgs, reset| (power.nodes, NodeAsk::Reset { reset, layer: power.layer });
    let (args, what) = match command {
        NodeCommand::List(args) => return list(&args),
        NodeCommand::Show(args) => return show(&args),
        NodeCommand::On(args) => reset(args, ResetType::On),
        NodeCommand::Off(args) => reset(args, ResetType::ForceOff),
        NodeCommand::Soft(args) => reset(args, ResetType::GracefulShutdown),
        NodeCommand::Restart(args) => {
            let kind = if args.graceful { ResetType::GracefulRestart } else { ResetType::ForceRestart };
            reset(args.power, kind)
        }
        NodeCommand::Cycle(args) => {
            reset(args.power, if args.full { ResetType::FullPowerCycle } else { ResetType::PowerCycle })
        }
        NodeCommand::Boot(args) => boot(args),
        NodeCommand::Led(args) => {
            let led = match args.light {
                Light::On => Led::Lit,
                Light::Blink => Led::Blinking,
                Light::Off => Led::Off,
            };
            (args.nodes, NodeAsk::Led(led))
        }
        NodeCommand::Hold(args) => {
            let (reason, until) = args.terms.end();
            (args.nodes, NodeAsk::Hold { reason, until })
        }
        NodeCommand::Release(args) => (args, NodeAsk::Release),
    };
    results(&args.reach, Ask::Node { list: args.nodes, what })
}

fn boot(args: BootArgs) -> (NodesArgs, NodeAsk) {
    let enabled = match (args.target, args.persistent) {
        (BootTarget::None, _) => BootEnabled::Disabled,
        (_, true) => BootEnabled::Continuous,
        (_, false) => BootEnabled::Once,
    };
    let mode = args.mode.map(|mode| match mode {
        Mode::Uefi => BootMode::Uefi,
        Mode::Legacy => BootMode::Legacy,
    });
    let patch =
        BootPatch { target: Some(args.target), enabled: Some(enabled), mode, http_boot_uri: args.uri.map(Some) };
    (args.nodes, NodeAsk::Boot(patch))
}

/// Runs something on several targets and prints each result as it comes; the exit code is the worst one's.
pub(super) fn results(reach: &Reach, ask: Ask) -> Result<(), CliError> {
    let mut out = Out::stdout(reach.json);
    let mut all: Vec<OpResult> = Vec::new();
    let mut odd = None;
    let ended = client::ask(&reach.socket(), ask, |item| {
        let result: OpResult = match decode(item) {
            Ok(result) => result,
            Err(failure) => {
                odd = Some(failure);
                return Ok(());
            }
        };
        if !out.json {
            out.line(&sentence(&result))?;
        }
        all.push(result);
        Ok(())
    });
    if out.json {
        all.sort_by(|a, b| a.name.cmp(&b.name));
        out.document(&all)?;
    }
    ended?;
    if let Some(failure) = odd {
        return Err(failure.into());
    }
    let exit = all.iter().filter_map(|r| r.error.as_ref()).fold(Exit::Ok, |exit, error| exit.worst(error.exit));
    if exit == Exit::Ok { Ok(()) } else { Err(CliError::Printed(exit)) }
}

fn sentence(result: &OpResult) -> String {
    match (&result.error, &result.task) {
        (Some(Failure { message, .. }), _) => format!("{}: {message}", result.name),
        (None, Some(task)) => format!("{}: still running (task {task})", result.name),
        (None, None) => format!("{}: {}", result.name, result.result),
    }
}

fn list(args: &ListArgs) -> Result<(), CliError> {
    let items = collect(&args.reach, Ask::Nodes { list: args.nodes.clone(), details: false })?;
    let mut out = Out::stdout(args.reach.json);
    if out.json {
        return Ok(out.document(&items)?);
    }
    let rows =
        items.into_iter().map(|item| decode::<NodeEntry>(item).map(|n| row(&n))).collect::<Result<Vec<_>, _>>()?;
    Ok(out.table(&["NODE", "POWER", "HOST", "FEEDS", "PLACE", "BOOT", "REMARKS"], &rows)?)
}

fn row(node: &NodeEntry) -> Vec<String> {
    let place = match (&node.chassis, node.slot) {
        (Some(chassis), Some(slot)) => format!("{chassis}/{slot}"),
        (Some(chassis), None) => chassis.clone(),
        _ => "-".to_owned(),
    };
    let mut remarks = Vec::new();
    if let Some(hold) = &node.hold {
        remarks.push(format!("held by {}: {}", hold.owner, hold.reason));
    }
    remarks.extend(node.operation.clone());
    remarks.extend(node.trouble.clone());
    let feeds: Vec<&str> = node.feeds.iter().map(|feed| feed.unit.as_str()).collect();
    let dash = |text: Option<&str>| text.filter(|t| !t.is_empty()).unwrap_or("-").to_owned();
    vec![
        node.name.clone(),
        known(node.power.as_ref()),
        dash(node.host.as_deref()),
        dash(Some(&feeds.join(" "))),
        place,
        dash(node.boot.as_deref().filter(|boot| *boot != "Disabled")),
        remarks.join("; "),
    ]
}

/// `On`, `Off (assumed)`, `unknown`.
pub(super) fn known(state: Option<&Known>) -> String {
    match state {
        None => "unknown".to_owned(),
        Some(known) if known.origin == "read" => known.value.clone(),
        Some(known) => format!("{} ({})", known.value, known.origin),
    }
}

fn show(args: &NodesArgs) -> Result<(), CliError> {
    let items = collect(&args.reach, Ask::Nodes { list: Some(args.nodes.clone()), details: true })?;
    let mut out = Out::stdout(args.reach.json);
    if out.json {
        return Ok(out.document(&items)?);
    }
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.line("")?;
        }
        details(&mut out, &decode(item)?)?;
    }
    Ok(())
}

fn details(out: &mut Out, node: &NodeEntry) -> Result<(), CliError> {
    let seen = |state: Option<&Known>| state.map_or_else(String::new, |k| format!("{}, seen {}", known(Some(k)), k.at));
    let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
    let mut facts = vec![
        ("node", node.name.clone()),
        ("system", node.system.clone()),
        ("uuid", node.uuid.clone().unwrap_or_default()),
        ("power", if node.power.is_some() { seen(node.power.as_ref()) } else { "unknown".to_owned() }),
        ("trouble", node.trouble.clone().unwrap_or_default()),
        ("running", node.operation.clone().unwrap_or_default()),
        ("hold", node.hold.as_ref().map(|h| format!("{}: {}", h.owner, h.reason)).unwrap_or_default()),
        (
            "host",
            node.host.clone().map(|host| format!("{host} {}", seen(node.host_power.as_ref()))).unwrap_or_default(),
        ),
    ];
    for feed in &node.feeds {
        let name = feed.name.as_ref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
        let shared = if feed.shared { ", shared" } else { "" };
        facts.push(("feed", format!("{}{name}: {}{shared}", feed.unit, known(feed.power.as_ref()))));
    }
    facts.extend([
        ("chassis", node.chassis.clone().unwrap_or_default()),
        ("slot", number(node.slot)),
        ("groups", node.groups.join(", ")),
        ("resets", node.resets.join(", ")),
        ("boot", node.boot.clone().unwrap_or_default()),
        ("light", node.indicator.clone().unwrap_or_default()),
        ("macs", node.macs.join(", ")),
        ("cpus", [number(node.cpus), node.cpu_arch.clone().unwrap_or_default()].join(" ").trim().to_owned()),
        ("memory", node.memory_gib.map(|gib| format!("{gib} GiB")).unwrap_or_default()),
        ("made by", node.manufacturer.clone().unwrap_or_default()),
        ("model", node.model.clone().unwrap_or_default()),
        ("serial", node.serial.clone().unwrap_or_default()),
        ("asset tag", node.asset_tag.clone().unwrap_or_default()),
    ]);
    out.facts(&facts)?;
    if !node.readings.is_empty() {
        let rows: Vec<Vec<String>> = node
            .readings
            .iter()
            .map(|r| {
                let value = r.value.map_or_else(|| "-".to_owned(), |value| format!("{value}"));
                vec![r.name.clone(), value, r.units.clone(), r.state.clone(), r.unit.clone()]
            })
            .collect();
        out.table(&["SENSOR", "VALUE", "UNIT", "STATE", "FROM"], &rows)?;
    }
    Ok(())
}
