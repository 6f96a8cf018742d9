//! Arguments that several subcommands share, and those of `serve` and `demo`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::control;
use crate::config;

/// Where the configuration is unless told otherwise.
pub const CONFIG: &str = "/etc/rackfish/rackfish.toml";

/// The configuration file.
#[derive(Debug, Clone, Args)]
pub struct ConfigArg {
    /// Configuration file
    #[arg(long, short, value_name = "FILE", env = "RACKFISH_CONFIG", default_value = CONFIG)]
    pub config: PathBuf,
}

/// How a running service is found.
#[derive(Debug, Clone, Args)]
pub struct Reach {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub config: ConfigArg,
    /// State folder of the service, if not the one that the configuration names (`rackfish demo` has its own)
    #[arg(long, value_name = "DIR", env = "RACKFISH_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

impl Reach {
    /// The service's state folder.
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(|| config::state_dir(&self.config.config, &config::process_env()))
    }

    /// The service's control socket.
    pub fn socket(&self) -> PathBuf {
        control::socket(&self.state_dir())
    }
}

/// `rackfish serve`
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub config: ConfigArg,
    /// Let a crash dump its memory, and debuggers attach; passwords of devices are in there
    #[arg(long)]
    pub allow_core_dumps: bool,
}

/// `rackfish demo`
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Where Redfish is served; port 0 takes any
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// Take the password of `admin` from this file (made, with a new password, when it does not exist)
    #[arg(long, value_name = "FILE")]
    pub admin_password_file: Option<PathBuf>,
    /// Write addresses and nodes as JSON into this file once everything answers
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Keep the state in this folder instead of a temporary one
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub rack: RackArgs,
}

/// A simulated rack.
#[derive(Debug, Clone, Args)]
pub struct RackArgs {
    /// Time between an accepted command and the relay of a simulated outlet
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = config::duration::parse)]
    pub relay_delay: Duration,
    /// Time between mains and the first answer of a simulated BMC
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = config::duration::parse)]
    pub bmc_boot_delay: Duration,
    /// Number of simulated nodes with an IPMI BMC, an outlet, or both
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub nodes: u32,
    /// Number of further nodes, with a Redfish BMC that has virtual media
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub redfish_nodes: u32,
}
