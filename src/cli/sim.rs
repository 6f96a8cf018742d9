//! `rackfish sim`: simulated devices, each in a process of its own.

use clap::Subcommand;

use super::{CliError, Exit, demo};
use crate::sim::{ipmi, plc_bus, redfish, snmp};

#[derive(Debug, Subcommand)]
pub(super) enum SimCommand {
    /// BMCs that speak IPMI 2.0 (RMCP+)
    Ipmi(ipmi::cli::SimIpmiArgs),
    /// PDUs that speak SNMP
    Pdu(snmp::cli::Options),
    /// Power-line boards on a device bus, behind a pseudo-terminal
    PlcBus(plc_bus::cli::Options),
    /// BMCs that speak Redfish and have virtual media
    RedfishBmc(redfish::cli::SimRedfishArgs),
    /// The demo's rack of all, without the service
    Rack(demo::sim::Options),
}

pub(super) fn run(command: SimCommand) -> Result<(), CliError> {
    let failed = |e: std::io::Error| CliError::new("sim", Exit::Failed, e.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
    match command {
        SimCommand::Ipmi(args) => runtime.block_on(ipmi::cli::run_cli(args)),
        SimCommand::Pdu(options) => runtime.block_on(snmp::cli::run(options)),
        SimCommand::PlcBus(options) => runtime.block_on(plc_bus::cli::run(options)),
        SimCommand::RedfishBmc(args) => runtime.block_on(redfish::cli::run_cli(args)),
        SimCommand::Rack(options) => return runtime.block_on(demo::sim::run(options)),
    }
    .map_err(failed)
}
