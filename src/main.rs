//! The program: command line in, exit code out.

use std::process::ExitCode;

/// Answers of 20 MB come and go on several threads, beside ten thousand small conversations that stay: the system's
/// allocator keeps 280 MB of that, this one 180 (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rackfish::cli::run()
}
