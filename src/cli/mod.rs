//! The command line: one file per subcommand.
//!
//! `serve` and `demo` run the service; `check`, `auth`, `init`, `completions` and `man` work on files; all others talk to a
//! running service over its control socket ([`control`]). Exit codes are documented with [`exit::Exit`].

pub mod args;
pub mod control;
pub mod exit;
pub mod hostlist;
pub mod logging;
pub mod out;

mod account;
mod account_role;
mod account_test;
mod audit;
mod auth;
mod backup;
mod check;
mod completions;
mod demo;
mod endpoint;
mod export;
mod init;
mod man;
mod node;
mod password;
mod runtime;
mod serve;
mod service;
mod sim;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use exit::{CliError, Exit};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "rackfish", version, about, long_about = None, after_help = exit::EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(args::ServeArgs),
    /// Run a simulated rack and the service on loopback, to try things out
    Demo(args::DemoArgs),
    /// Check the configuration: every problem at once, each with its way out
    Check(check::CheckArgs),
    /// Write a first configuration by asking a PDU or BMC what it is
    Init(init::InitArgs),
    /// Nodes: look at them, switch them, hold them
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Endpoints (BMCs, PDUs): look at them, try them, hold them
    #[command(subcommand)]
    Endpoint(endpoint::EndpointCommand),
    /// Accounts of people and programs that use the service
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Tokens of other services that log in here
    #[command(subcommand)]
    Auth(auth::AuthCommand),
    /// Lines to paste for systems that shall manage the nodes
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// What the running service is doing
    Status(service::StatusArgs),
    /// Have the running service read its configuration again
    Reload(service::ReloadArgs),
    /// Write the state (accounts, holds, overrides, certificates) into an archive, while the service runs
    Backup(backup::BackupArgs),
    /// Simulated devices, for trying things out and for tests
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// Shell completions on standard output
    Completions(completions::CompletionsArgs),
    /// The man page on standard output
    Man,
}

/// The definition of the command line: for completions, the man page and tests.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the process's arguments, runs the subcommand, and says how it ended.
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Node(command) => node::run(command),
        Command::Endpoint(command) => endpoint::run(command),
        Command::Account(command) => account::run(command),
        Command::Auth(command) => auth::run(command),
        Command::Export(command) => export::run(command),
        Command::Status(args) => service::status(&args),
        Command::Reload(args) => service::reload(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Sim(command) => sim::run(command),
        Command::Completions(args) => completions::run(&args),
        Command::Man => man::run(),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    let exit = error.exit();
    if exit != Exit::Ok && !matches!(error, CliError::Printed(_)) {
        out::complain(&error.to_string());
    }
    ExitCode::from(exit.code())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_is_sound() {
        super::command().debug_assert();
    }
}
