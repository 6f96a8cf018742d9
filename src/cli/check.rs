//! `rackfish check`: the configuration, without starting anything.

use clap::Args;
use serde_json::json;

use super::{CliError, Exit, args::ConfigArg, out::Out};
use crate::config::{self, Config, Problem};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CheckArgs) -> Result<(), CliError> {
    report(&args.config.config, Out::stdout(args.json))
}

/// Checks the configuration at `path` and prints what was found.
pub(super) fn report<W: std::io::Write>(path: &std::path::Path, mut out: Out<W>) -> Result<(), CliError> {
    let (problems, warnings, counts) = match config::load(path, &config::process_env()) {
        Ok(loaded) => {
            let c = &loaded.config;
            let mut warnings = loaded.warnings;
            warnings.extend(strange_doors(path, c));
            (Vec::new(), warnings, Some((c.nodes.len(), c.endpoints.len(), c.chassis.len())))
        }
        Err(broken) => (broken.problems, broken.warnings, None),
    };
    if out.json {
        out.document(&json!({
            "file": path,
            "ok": counts.is_some(),
            "problems": problems,
            "warnings": warnings,
            "nodes": counts.map(|c| c.0),
            "endpoints": counts.map(|c| c.1),
            "chassis": counts.map(|c| c.2),
        }))?;
    } else {
        for problem in &problems {
            out.line(&problem.to_string())?;
        }
        for warning in &warnings {
            out.line(&format!("warning: {warning}"))?;
        }
        match counts {
            Some((nodes, endpoints, chassis)) => out.line(&format!(
                "{}: ok, {} ({}, {chassis} chassis){}",
                path.display(),
                plural(nodes, "node"),
                plural(endpoints, "endpoint"),
                if warnings.is_empty() { String::new() } else { format!(", {}", plural(warnings.len(), "warning")) },
            ))?,
            None => out.line(&format!("{}: {}", path.display(), plural(problems.len(), "problem")))?,
        }
    }
    if counts.is_some() { Ok(()) } else { Err(CliError::Printed(Exit::Config)) }
}

/// Doors at addresses that this machine does not have. A warning: the service may be meant for another machine.
fn strange_doors(path: &std::path::Path, config: &Config) -> Option<Problem> {
    let mut looked = std::collections::HashMap::new();
    // Whether a port is free says nothing: it may be the running service that has it.
    let mut strange = |ip| {
        let cause = || std::net::TcpListener::bind((ip, 0)).err().map(|error| error.to_string());
        looked.entry(ip).or_insert_with(cause).clone()
    };
    let doors = config.nodes.values().filter_map(|node| Some((&node.id, node.door?)));
    let mut bad = doors.filter_map(|(node, door)| Some((node, door, strange(door.ip())?)));
    let (node, door, cause) = bad.next()?;
    let more = match bad.count() {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    Some(Problem {
        file: path.display().to_string().into(),
        line: None,
        key: format!("nodes.{node}.door"),
        message: format!("this machine can't listen on {}: {cause}{more}", door.ip()),
        way_out: "give it that address before the service starts there".to_owned(),
    })
}

/// `1 node`, `2 nodes`.
pub(super) fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
