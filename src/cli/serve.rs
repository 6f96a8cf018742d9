//! `rackfish serve`: not in this build.

use super::{CliError, Exit, args};

pub(super) fn run(_args: &args::ServeArgs) -> Result<(), CliError> {
    Err(CliError::new("not-built", Exit::Failed, "`rackfish serve` is not part of this build"))
}
