//! `rackfish account role ...`: roles of the administrator's own making.

use clap::{Args, Subcommand};

use super::{
    CliError,
    account::{ask, said},
    args::Reach,
    control::{
        entries::RoleEntry,
        wire::{AccountAsk, RoleAsk},
    },
    out::Out,
    service::decode,
};
use crate::model::Privileges;

#[derive(Debug, Subcommand)]
pub(super) enum RoleCommand {
    /// Make a role
    Add(SetArgs),
    /// All roles
    List(ListArgs),
    /// Give a role other privileges; they hold at once for everybody who has it
    Set(SetArgs),
    /// Take a role away that no account has
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// Name of the role
    name: String,
    /// What it is good for, separated by commas: Login (look), ConfigureSelf (own password), ConfigureComponents
    /// (switch), ConfigureManager (the service itself), ConfigureUsers (accounts and roles, and so everything)
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true, value_parser = Privileges::names())]
    privileges: Vec<String>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// Name of the role
    name: String,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(command: RoleCommand) -> Result<(), CliError> {
    match command {
        RoleCommand::List(args) => list(&args.reach),
        RoleCommand::Add(args) => {
            let (name, privileges) = (args.name.clone(), args.set());
            change(&args.reach, &args.name, RoleAsk::Add { name, privileges }, "added")
        }
        RoleCommand::Set(args) => {
            let (name, privileges) = (args.name.clone(), args.set());
            change(&args.reach, &args.name, RoleAsk::Set { name, privileges }, "changed")
        }
        RoleCommand::Remove(args) => {
            change(&args.reach, &args.name, RoleAsk::Remove { name: args.name.clone() }, "removed")
        }
    }
}

impl SetArgs {
    /// What the parser has let through are names of privileges.
    fn set(&self) -> Privileges {
        Privileges::of(&self.privileges).unwrap_or_default()
    }
}

fn change(reach: &Reach, name: &str, what: RoleAsk, done: &str) -> Result<(), CliError> {
    ask(reach, AccountAsk::Role(what))?;
    said(reach, name, done, None)
}

fn list(reach: &Reach) -> Result<(), CliError> {
    let items = ask(reach, AccountAsk::Role(RoleAsk::List))?;
    let mut out = Out::stdout(reach.json);
    if out.json {
        return Ok(out.document(&items)?);
    }
    let mut rows = Vec::new();
    for item in items {
        let role: RoleEntry = decode(item)?;
        let origin = if role.predefined { "predefined" } else { "own" };
        rows.push(vec![role.name, origin.to_owned(), role.privileges.join(",")]);
    }
    Ok(out.table(&["ROLE", "ORIGIN", "PRIVILEGES"], &rows)?)
}
