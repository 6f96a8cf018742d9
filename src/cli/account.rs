//! `rackfish account ...`: through the service when one runs, else in its store.

use std::{os::unix::fs::MetadataExt, path::Path, sync::Arc};

use clap::{Args, Subcommand};
use tokio::sync::mpsc;

use super::{
    CliError, Exit,
    args::Reach,
    control::{
        client,
        entries::AccountEntry,
        server,
        wire::{AccountAsk, Answer, Ask},
    },
    exit::Failure,
    out::Out,
    password::PasswordArgs,
    service::decode,
};
use crate::{
    auth::Auth,
    config::AuthConfig,
    model::{Actor, Face, Privileges, Role, Scope, causes},
    store::{SqliteStore, Store},
};

#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Make an account
    Add(AddArgs),
    /// All accounts
    List(ListArgs),
    /// Set an account's password
    Passwd(PasswdArgs),
    /// Take an account away; its sessions end
    Remove(RemoveArgs),
    /// Roles of your own making
    #[command(subcommand)]
    Role(super::account_role::RoleCommand),
    /// Ask the directory (auth.ldap) what a user would get; the service need not run
    Test(super::account_test::TestArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Name of the account
    name: String,
    /// What it may do: readonly (look), operator (switch), administrator (everything), or a role of your own making
    #[arg(long, value_parser = role, default_value = "operator")]
    role: Role,
    /// Limit it to these nodes, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    nodes: Vec<String>,
    /// Limit it to the nodes in these groups, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    groups: Vec<String>,
    /// It has to choose another password before it may do anything else
    #[arg(long)]
    must_change: bool,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub(super) struct PasswdArgs {
    /// Name of the account
    name: String,
    /// It has to choose another password before it may do anything else
    #[arg(long)]
    must_change: bool,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// Name of the account
    name: String,
    #[command(flatten)]
    reach: Reach,
}

/// A role by its name; the predefined ones in small letters, too.
fn role(name: &str) -> Result<Role, String> {
    let known = Role::PREDEFINED.into_iter().find(|role| role.as_str().to_lowercase() == name);
    known.map_or_else(|| Role::new(name).map_err(|reason| format!("the name {reason}")), Ok)
}

pub(super) fn run(command: AccountCommand) -> Result<(), CliError> {
    match command {
        AccountCommand::Test(args) => super::account_test::run(&args),
        AccountCommand::Role(command) => super::account_role::run(command),
        AccountCommand::List(args) => list(&args.reach),
        AccountCommand::Add(args) => {
            let (password, made) = args.password.get(&args.name)?;
            let shown = made.then(|| password.clone());
            let ask = AccountAsk::Add {
                name: args.name.clone(),
                password,
                role: args.role,
                nodes: args.nodes,
                groups: args.groups,
                must_change: args.must_change,
            };
            change(&args.reach, ask)?;
            said(&args.reach, &args.name, "added", shown)
        }
        AccountCommand::Passwd(args) => {
            let (password, made) = args.password.get(&args.name)?;
            let shown = made.then(|| password.clone());
            let ask = AccountAsk::Passwd { name: args.name.clone(), password, must_change: args.must_change };
            change(&args.reach, ask)?;
            said(&args.reach, &args.name, "password changed", shown)
        }
        AccountCommand::Remove(args) => {
            change(&args.reach, AccountAsk::Remove { name: args.name.clone() })?;
            said(&args.reach, &args.name, "removed", None)
        }
    }
}

pub(super) fn said(
    reach: &Reach,
    name: &str,
    what: &str,
    password: Option<crate::model::Secret>,
) -> Result<(), CliError> {
    let mut out = Out::stdout(reach.json);
    if out.json {
        let password = password.as_ref().map(crate::model::Secret::expose);
        return Ok(out.document(&serde_json::json!({ "name": name, "result": what, "password": password }))?);
    }
    out.line(&format!("{name}: {what}"))?;
    match password {
        Some(password) => Ok(out.line(&format!("password: {}", password.expose()))?),
        None => Ok(()),
    }
}

fn list(reach: &Reach) -> Result<(), CliError> {
    let items = ask(reach, AccountAsk::List)?;
    let mut out = Out::stdout(reach.json);
    if out.json {
        return Ok(out.document(&items)?);
    }
    let mut rows = Vec::new();
    for item in items {
        let a: AccountEntry = decode(item)?;
        let groups = a.groups.iter().map(|group| format!("@{group}"));
        let limits: Vec<String> = a.nodes.iter().cloned().chain(groups).collect();
        let remarks = match (a.enabled, a.must_change_password, a.locked) {
            (false, _, _) => "disabled",
            (true, true, _) => "has to change its password",
            (true, false, true) => "a guesser is locked out",
            (true, false, false) => "",
        };
        let limits = if a.limited { limits.join(",") } else { "all nodes".to_owned() };
        rows.push(vec![a.name, a.role, limits, remarks.to_owned()]);
    }
    Ok(out.table(&["ACCOUNT", "ROLE", "NODES", "REMARKS"], &rows)?)
}

fn change(reach: &Reach, what: AccountAsk) -> Result<(), CliError> {
    ask(reach, what).map(|_| ())
}

/// Through the service, or in its store.
pub(super) fn ask(reach: &Reach, what: AccountAsk) -> Result<Vec<serde_json::Value>, CliError> {
    let state_dir = reach.state_dir();
    let socket = super::control::socket(&state_dir);
    let mut items = Vec::new();
    if client::is_served(&socket) {
        client::ask(&socket, Ask::Account(what), |item| {
            items.push(item);
            Ok(())
        })?;
        return Ok(items);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = open_store(&state_dir)?;
        // The rules for passwords come from the defaults: the configuration may not even exist yet.
        let auth = Auth::open(Arc::clone(&store), AuthConfig::default()).await.map_err(|e| Failure::from(&e))?;
        let who = Actor {
            principal: Arc::from(format!("local:{}", nix::unistd::Uid::effective())),
            role: Role::Administrator,
            privileges: Privileges::ALL,
            scope: Arc::new(Scope::All),
            face: Face::Cli,
            request: Arc::from("account"),
        };
        let (out, mut answers) = mpsc::channel(64);
        let work = async {
            let result = server::account(&auth, &who, what, &out).await;
            drop(out);
            result
        };
        let collect = async {
            while let Some(answer) = answers.recv().await {
                if let Answer::Item(item) = answer {
                    items.push(item);
                }
            }
        };
        let (result, ()) = tokio::join!(work, collect);
        result?;
        store.flush().await.map_err(|e| CliError::new("store", Exit::Failed, e.to_string()))
    })?;
    Ok(items)
}

/// The service's store, while no service runs.
pub(super) fn open_store(state_dir: &Path) -> Result<Arc<dyn Store>, CliError> {
    let unreachable = |why: String| {
        let socket = super::control::socket(state_dir);
        CliError::new(
            "unreachable",
            Exit::Unreachable,
            format!("no service answers at {}, and {why}", socket.display()),
        )
    };
    let owner = match std::fs::metadata(state_dir) {
        Ok(meta) => meta.uid(),
        Err(error) => {
            return Err(unreachable(format!(
                "{} can't be opened ({error}); start the service once, or name its folder with --state-dir",
                state_dir.display()
            )));
        }
    };
    // What another user makes in there, the service could not open any more.
    if owner != nix::unistd::Uid::effective().as_raw() {
        return Err(unreachable(format!(
            "{} belongs to user {owner}; run this as that user, or start the service",
            state_dir.display()
        )));
    }
    let store = SqliteStore::open(state_dir).map_err(|error| unreachable(causes(&error)))?;
    Ok(store)
}
