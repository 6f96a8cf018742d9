//! `rackfish sim rack`: the demo's rack without the service, for whoever wants to measure or end the service alone.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;

use super::{control, failed, file, private_folder, rack::Rack};
use crate::cli::{CliError, args::RackArgs, out, runtime};

/// See the module.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    #[allow(missing_docs)]
    rack: RackArgs,
    /// Write a configuration for the rack, its secrets and the simulators' socket into this folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// `listen` of that configuration
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
}

/// Runs until it is ended; a line on standard output says that everything answers.
pub async fn run(options: Options) -> Result<(), CliError> {
    private_folder(&options.dir).map_err(|e| failed(format!("{}: {e}", options.dir.display())))?;
    runtime::raise_limits(0, 0);
    let rack = Arc::new(Rack::build(&options.rack).map_err(failed)?);
    let socket = options.dir.join("simulators.sock");
    let listener = control::bind(&socket).map_err(failed)?;
    let config = file::write(&options.dir, options.listen, &rack).map_err(failed)?;
    let said = format!("{} nodes, {}, {}", rack.nodes.len(), config.display(), socket.display());
    out::Out::stdout(false).line(&said).map_err(failed)?;
    control::serve(rack, listener).await;
    Ok(())
}
