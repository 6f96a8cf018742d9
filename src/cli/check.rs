//! `rackfish check`: the configuration, without starting anything.

use clap::Args;
use serde_json::json;

use super::{CliError, Exit, args::ConfigArg, out::Out};
use crate::config;

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
            (Vec::new(), loaded.warnings, Some((c.nodes.len(), c.endpoints.len(), c.chassis.len())))
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

/// `1 node`, `2 nodes`.
pub(super) fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
