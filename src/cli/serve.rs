//! `rackfish serve`: the service, until SIGTERM.

use super::{CliError, args, runtime};

pub(super) fn run(args: &args::ServeArgs) -> Result<(), CliError> {
    let plan = runtime::Plan { config: args.config.config.clone(), first: None, core_dumps: args.allow_core_dumps };
    runtime::run(plan, async |running| {
        tracing::info!(
            nodes = running.fleet.config().nodes.len(),
            endpoints = running.fleet.config().endpoints.len(),
            "ready"
        );
        Ok(())
    })
}
