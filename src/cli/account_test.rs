//! `rackfish account test`: what the directory of the configuration says of a user, step by step as a login does.
//!
//! It asks by itself, with the configuration as it lies on disk: what a running service has in force may be older.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{CliError, Exit, args::ConfigArg, out::Out, password};
use crate::{
    auth::{self, Found},
    config,
    model::Scope,
};

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Name of the user, as they would type it
    name: String,
    /// Also try a password: ask for it
    #[arg(long, conflicts_with = "password_file")]
    password: bool,
    /// Also try a password: the first line of this file; - is standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TestArgs) -> Result<(), CliError> {
    let path = &args.config.config;
    let loaded = config::load(path, &config::process_env()).map_err(|broken| {
        let shown = path.display();
        let text = format!("{shown} has {} problems: `rackfish check` shows them", broken.problems.len());
        CliError::new("config", Exit::Config, text)
    })?;
    let Some(ldap) = loaded.config.auth.ldap else {
        let text = format!("{} has no [auth.ldap]: all accounts are local", path.display());
        return Err(CliError::new("no-directory", Exit::Config, text));
    };
    let secret = match &args.password_file {
        Some(file) => Some(password::read(file)?),
        None if args.password => Some(password::prompt(&format!("Password for {}: ", args.name))?),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let trial = runtime.block_on(auth::try_directory(&ldap, &args.name, secret.as_ref())).map_err(|why| {
        CliError::new("unreachable", Exit::Unreachable, format!("the directory can't be asked: {why}"))
    })?;
    let mut out = Out::stdout(args.json);
    let (given, refused) = match &trial.found {
        Ok(found) => (Some(found), found.rights.as_ref().err()),
        Err(why) => (None, Some(why)),
    };
    if out.json {
        let rights = given.and_then(|found| found.rights.as_ref().ok());
        out.document(&json!({
            "server": trial.server,
            "dn": given.map(|found| &found.dn),
            "name": given.map(|found| &found.name),
            "groups": given.map(|found| &found.groups),
            "role": rights.map(|(role, _)| role.as_str()),
            "limits": rights.and_then(|(_, scope)| limits(scope)),
            "password": secret.is_some().then_some(given.is_some()),
            "refused": refused,
        }))?;
    } else {
        out.line(&format!("server:   {}", trial.server))?;
        if let Some(found) = given {
            show(&mut out, found, secret.is_some())?;
        }
        if let Some(why) = refused {
            out.line(&format!("refused:  {why}"))?;
        }
    }
    if refused.is_none() { Ok(()) } else { Err(CliError::Printed(Exit::Failed)) }
}

fn show<W: std::io::Write>(out: &mut Out<W>, found: &Found, proven: bool) -> Result<(), CliError> {
    out.line(&format!("entry:    {}", found.dn))?;
    out.line(&format!("name:     {}", found.name))?;
    out.line(if proven { "password: right" } else { "password: not tried" })?;
    for group in &found.groups {
        out.line(&format!("group:    {group}"))?;
    }
    if let Ok((role, scope)) = &found.rights {
        out.line(&format!("role:     {role}"))?;
        let nodes = limits(scope).map_or_else(|| "all".to_owned(), |limits| limits.join(", "));
        out.line(&format!("nodes:    {nodes}"))?;
    }
    Ok(())
}

/// Nodes, and groups with an `@`; `None`: all nodes.
fn limits(scope: &Scope) -> Option<Vec<String>> {
    match scope {
        Scope::All => None,
        Scope::Some { nodes, groups } => {
            Some(nodes.iter().map(|n| n.as_str().to_owned()).chain(groups.iter().map(|g| format!("@{g}"))).collect())
        }
    }
}
