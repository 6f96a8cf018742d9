//! `rackfish demo`: not in this build.

use super::{CliError, Exit, args};

pub(super) fn run(_args: &args::DemoArgs) -> Result<(), CliError> {
    Err(CliError::new("not-built", Exit::Failed, "`rackfish demo` is not part of this build"))
}
