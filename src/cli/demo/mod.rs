//! `rackfish demo`: a simulated rack on loopback, and the service in front of it.
//!
//! The rack is real sockets: BMCs that speak RMCP+, PDUs that speak SNMP, a BMC that speaks Redfish and has virtual
//! media. The service is the one that `serve` runs, with
//! a configuration file that the demo writes into its state folder: a first example of one's own.

mod control;
mod file;
mod rack;
mod ready;
pub(super) mod sim;

use std::{fs, io, path::PathBuf, sync::Arc};

use super::{CliError, Exit, args, out, runtime};
use crate::model::Secret;

fn failed(what: impl std::fmt::Display) -> CliError {
    CliError::new("demo", Exit::Failed, what.to_string())
}

/// The administrator of a demo.
const USER: &str = "admin";

pub(super) fn run(args: &args::DemoArgs) -> Result<(), CliError> {
    if !args.listen.ip().is_loopback() {
        return Err(CliError::new(
            "demo-listen",
            Exit::Usage,
            format!("{} is not a loopback address; a demo is served on 127.0.0.0/8 or [::1] only", args.listen),
        ));
    }
    let (state_dir, temporary) = match &args.state_dir {
        Some(folder) => (folder.clone(), false),
        None => (std::env::temp_dir().join(format!("rackfish-demo-{}", std::process::id())), true),
    };
    private_folder(&state_dir).map_err(|e| failed(format!("{}: {e}", state_dir.display())))?;
    let result = in_folder(args, &state_dir);
    if temporary && let Err(error) = fs::remove_dir_all(&state_dir) {
        out::complain(&format!("{} could not be removed: {error}", state_dir.display()));
    }
    result
}

fn private_folder(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn in_folder(args: &args::DemoArgs, state_dir: &std::path::Path) -> Result<(), CliError> {
    let password_file = args.admin_password_file.clone().unwrap_or_else(|| state_dir.join("admin-password"));
    let password = password(&password_file)?;
    // The simulators have a runtime of their own: what they do is not what the service does.
    let simulators = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .thread_name("simulators")
        .build()
        .map_err(failed)?;
    runtime::raise_limits(usize::try_from(args.rack.nodes).unwrap_or(usize::MAX), 0);
    let on_simulators = simulators.enter();
    let rack = rack::Rack::build(&args.rack).map_err(failed)?;
    drop(on_simulators);
    let rack = Arc::new(rack);
    let socket = state_dir.join("simulators.sock");
    simulators.spawn(control::serve(Arc::clone(&rack), control::bind(&socket).map_err(failed)?));
    let config = file::write(state_dir, args.listen, &rack).map_err(failed)?;
    let plan = runtime::Plan { config, first: Some((USER.to_owned(), password)), core_dumps: false };
    let facts = ready::Facts { socket, password_file, ready_file: args.ready_file.clone(), user: USER };
    let result = runtime::run(plan, async |running| ready::announce(running, &rack, &facts).map_err(failed));
    simulators.shutdown_background();
    result
}

/// The administrator's password: from the file, or a new one that is put there.
fn password(path: &PathBuf) -> Result<Secret, CliError> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(failed(format!("{} is empty", path.display()))),
        Ok(text) => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let password = file::password();
            file::secret(path, &password).map_err(|e| failed(format!("{}: {e}", path.display())))?;
            Ok(password)
        }
        Err(error) => Err(failed(format!("{}: {error}", path.display()))),
    }
}
