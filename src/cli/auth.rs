//! `rackfish auth`: what the configuration makes of somebody who comes with a token.

use std::{io::Read as _, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{CliError, Exit, args::ConfigArg, out::Out};
use crate::{
    auth::oauth::explain,
    config::{self, Broken},
};

/// More is no token, and not read to its end.
const MAX_FILE: u64 = 64 << 10;

#[derive(Debug, Subcommand)]
pub(super) enum AuthCommand {
    /// Who the bearer of a token would be, or why it is refused; keys are fetched as the service would do it
    ExplainToken(ExplainArgs),
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// File with the token; - is standard input
    #[arg(value_name = "FILE")]
    token: PathBuf,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: AuthCommand) -> Result<(), CliError> {
    match command {
        AuthCommand::ExplainToken(args) => explain_token(&args),
    }
}

fn explain_token(args: &ExplainArgs) -> Result<(), CliError> {
    let loaded = config::load(&args.config.config, &config::process_env()).map_err(|broken| {
        let Broken { problems, warnings, .. } = broken;
        for problem in warnings.iter().chain(&problems) {
            super::out::complain(&problem.to_string());
        }
        CliError::Printed(Exit::Config)
    })?;
    let token = read(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let said = runtime.block_on(explain::token(&loaded.config.auth, token.trim()));
    let mut out = Out::stdout(args.json);
    if out.json {
        out.document(&said.facts)?;
    } else {
        for (name, value) in said.facts.as_object().into_iter().flatten() {
            line(&mut out, name, value)?;
        }
    }
    if said.accepted { Ok(()) } else { Err(CliError::Printed(Exit::Refused)) }
}

/// One fact a line; what has parts has them in lines of their own.
fn line<W: std::io::Write>(out: &mut Out<W>, name: &str, value: &Value) -> Result<(), CliError> {
    match value {
        Value::Null => Ok(()),
        Value::String(text) => Ok(out.line(&format!("{name}: {text}"))?),
        Value::Object(parts) => parts.iter().try_for_each(|(part, value)| line(out, &format!("{name}.{part}"), value)),
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().try_for_each(|value| line(out, name, value))
        }
        other => Ok(out.line(&format!("{name}: {other}"))?),
    }
}

/// The token: never an argument, which everybody on the machine could read.
fn read(args: &ExplainArgs) -> Result<Zeroizing<String>, CliError> {
    let shown = args.token.display();
    let fail = |error: std::io::Error| CliError::new("usage", Exit::Usage, format!("{shown} can't be read: {error}"));
    let mut text = Zeroizing::new(String::new());
    if args.token.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_FILE).read_to_string(&mut text).map_err(fail)?;
    } else {
        let file = std::fs::File::open(&args.token).map_err(fail)?;
        file.take(MAX_FILE).read_to_string(&mut text).map_err(fail)?;
    }
    if text.trim().is_empty() {
        return Err(CliError::new("usage", Exit::Usage, format!("there is no token in {shown}")));
    }
    Ok(text)
}
