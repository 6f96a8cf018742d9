//! The program: command line in, exit code out.

use std::process::ExitCode;

/// Answers of 20 MB come and go on several threads, beside ten thousand small conversations that stay, and a login takes
/// 19 MB for a moment: this allocator gives them back (docs/performance.md has the figures).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rackfish::cli::run()
}
