//! The program: command line in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    rackfish::cli::run()
}
