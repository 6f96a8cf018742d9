//! `rackfish completions SHELL`.

use clap::Args;

use super::{CliError, out::Out};

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Which shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<(), CliError> {
    let mut bytes = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "rackfish", &mut bytes);
    Ok(Out::stdout(false).raw(&bytes)?)
}
