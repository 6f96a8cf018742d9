//! `rackfish endpoint ...`

use clap::{Args, Subcommand};

use super::{
    CliError, Exit,
    args::Reach,
    control::{
        client,
        entries::EndpointEntry,
        wire::{Ask, EndpointAsk, OpResult},
    },
    node::{Terms, known, results},
    out::Out,
    service::{collect, decode},
};

#[derive(Debug, Subcommand)]
pub(super) enum EndpointCommand {
    /// One line an endpoint
    List(ListArgs),
    /// Everything that is known of endpoints, with their units
    Show(NamesArgs),
    /// Try endpoints now and show what they say
    Probe(NamesArgs),
    /// Stop all traffic to endpoints
    Hold(HoldArgs),
    /// End a hold
    Release(NamesArgs),
    /// Try endpoints again that were given up, also after refused credentials
    Retry(NamesArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Endpoints, as in pdu[1-4],bmc-*; all of them if absent
    #[arg(value_name = "HOSTLIST")]
    names: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub(super) struct NamesArgs {
    /// Endpoints, as in pdu[1-4],bmc-*
    #[arg(value_name = "HOSTLIST")]
    names: String,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    #[command(flatten)]
    names: NamesArgs,
    #[command(flatten)]
    terms: Terms,
}

pub(super) fn run(command: EndpointCommand) -> Result<(), CliError> {
    let (args, what) = match command {
        EndpointCommand::List(args) => return list(&args),
        EndpointCommand::Show(args) => return show(&args.reach, args.names),
        EndpointCommand::Probe(args) => return probe(args),
        EndpointCommand::Hold(args) => {
            let (reason, until) = args.terms.end();
            (args.names, EndpointAsk::Hold { reason, until })
        }
        EndpointCommand::Release(args) => (args, EndpointAsk::Release),
        EndpointCommand::Retry(args) => (args, EndpointAsk::Retry),
    };
    results(&args.reach, Ask::Endpoint { list: args.names, what })
}

fn list(args: &ListArgs) -> Result<(), CliError> {
    let items = collect(&args.reach, Ask::Endpoints { list: args.names.clone() })?;
    let mut out = Out::stdout(args.reach.json);
    if out.json {
        return Ok(out.document(&items)?);
    }
    let mut rows = Vec::new();
    for item in items {
        let e: EndpointEntry = decode(item)?;
        let remarks = remarks(&e);
        rows.push(vec![e.name, e.driver, e.address, e.state, e.units.len().to_string(), remarks]);
    }
    Ok(out.table(&["ENDPOINT", "DRIVER", "ADDRESS", "STATE", "UNITS", "REMARKS"], &rows)?)
}

fn remarks(e: &EndpointEntry) -> String {
    let mut remarks = Vec::new();
    if let Some(hold) = &e.hold {
        remarks.push(format!("held by {}: {}", hold.owner, hold.reason));
    }
    if e.observe_only {
        remarks.push("observed only".to_owned());
    }
    remarks.extend(e.fault.clone());
    remarks.extend(e.retry_in.map(|seconds| format!("tried again in {seconds} s")));
    remarks.join("; ")
}

fn show(reach: &Reach, list: String) -> Result<(), CliError> {
    let items = collect(reach, Ask::Endpoints { list: Some(list) })?;
    let mut out = Out::stdout(reach.json);
    if out.json {
        return Ok(out.document(&items)?);
    }
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.line("")?;
        }
        let e: EndpointEntry = decode(item)?;
        out.facts(&[
            ("endpoint", e.name.clone()),
            ("driver", e.driver.clone()),
            ("address", e.address.clone()),
            ("state", e.state.clone()),
            ("since", e.since.clone().unwrap_or_default()),
            ("last answer", e.last_answer.clone().unwrap_or_default()),
            ("remarks", remarks(&e)),
            ("exchanges", format!("{} ({} failed)", e.exchanges, e.failures)),
        ])?;
        let rows: Vec<Vec<String>> = e.units.iter().map(|u| vec![u.unit.clone(), known(u.power.as_ref())]).collect();
        if !rows.is_empty() {
            out.table(&["UNIT", "POWER"], &rows)?;
        }
    }
    Ok(())
}

/// Tries them, shows them, and fails if one did not answer.
fn probe(args: NamesArgs) -> Result<(), CliError> {
    let mut exit = Exit::Ok;
    client::ask(&args.reach.socket(), Ask::Endpoint { list: args.names.clone(), what: EndpointAsk::Probe }, |item| {
        let failed = decode::<OpResult>(item).map(|result| result.error);
        if let Ok(Some(error)) | Err(error) = failed {
            exit = exit.worst(error.exit);
            if !args.reach.json {
                super::out::complain(&error.message);
            }
        }
        Ok(())
    })?;
    show(&args.reach, args.names)?;
    if exit == Exit::Ok { Ok(()) } else { Err(CliError::Printed(exit)) }
}
