//! `rackfish status` and `rackfish reload`.

use clap::Args;

use super::{
    CliError,
    args::Reach,
    control::{client, entries::StatusEntry, wire::Ask},
    exit::Failure,
    out::Out,
};
use crate::config::Problem;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    reach: Reach,
}

/// What came over the socket as what it has to be.
pub(super) fn decode<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        Failure::new(
            "protocol",
            super::Exit::Failed,
            format!("the service's answer makes no sense ({error}); restart it after an update"),
        )
    })
}

/// All items of an answer.
pub(super) fn collect(reach: &Reach, ask: Ask) -> Result<Vec<serde_json::Value>, CliError> {
    let mut items = Vec::new();
    client::ask(&reach.socket(), ask, |item| {
        items.push(item);
        Ok(())
    })?;
    Ok(items)
}

pub(super) fn status(args: &StatusArgs) -> Result<(), CliError> {
    let items = collect(&args.reach, Ask::Status)?;
    let mut out = Out::stdout(args.reach.json);
    for item in items {
        if out.json {
            out.document(&item)?;
            continue;
        }
        let s: StatusEntry = decode(item)?;
        out.facts(&[
            ("version", s.version),
            ("process", s.pid.to_string()),
            ("redfish", s.redfish.join(", ")),
            ("uuid", s.uuid),
            ("state_dir", s.state_dir),
            ("to be trusted", s.trust.unwrap_or_default()),
            ("nodes", s.nodes.to_string()),
            ("endpoints", format!("{} ({} down)", s.endpoints, s.endpoints_down)),
            ("observe_only", if s.observe_only { "yes: nothing is switched".to_owned() } else { String::new() }),
        ])?;
    }
    Ok(())
}

pub(super) fn reload(args: &ReloadArgs) -> Result<(), CliError> {
    let mut out = Out::stdout(args.reach.json);
    let mut found = Vec::new();
    let result = client::ask(&args.reach.socket(), Ask::Reload, |item| {
        found.push(item);
        Ok(())
    });
    if out.json {
        out.document(&found)?;
        return result;
    }
    for item in found {
        // Either problems, or one report with its warnings.
        if let Ok(problem) = serde_json::from_value::<Problem>(item.clone()) {
            out.line(&problem.to_string())?;
            continue;
        }
        let report: super::control::ReloadReport = decode(item)?;
        for warning in &report.warnings {
            out.line(&format!("warning: {warning}"))?;
        }
        out.line(&report.summary)?;
    }
    result
}
