//! Running ipmitool and reading what it prints.

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::process::Command;

/// How ipmitool reaches a BMC.
pub struct Ipmitool {
    pub address: SocketAddr,
    pub suite: u8,
}

/// A row of `ipmitool sensor`: value, then the limits lower fatal, critical, non-critical, upper non-critical,
/// critical, fatal.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub value: Option<f64>,
    pub discrete: bool,
    pub limits: [Option<f64>; 6],
}

impl Ipmitool {
    /// What it prints for the words of `command`; what it says instead if it fails.
    pub async fn run(&self, command: &str) -> Result<String, String> {
        let (ip, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let output = Command::new("ipmitool")
            .args(["-I", "lanplus", "-C", &self.suite.to_string(), "-H", &ip, "-p", &port])
            .args(["-U", "admin", "-P", "password", "-R", "1"])
            .args(command.split(' '))
            .output()
            .await
            .map_err(|error| format!("ipmitool: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("ipmitool {command}: {} {}", text(&output.stderr).trim(), text(&output.stdout).trim()))
        }
    }

    /// `ipmitool sensor`, by name.
    pub async fn sensors(&self) -> Result<BTreeMap<String, Row>, String> {
        let text = self.run("sensor").await?;
        Ok(text.lines().filter_map(row).collect())
    }

    /// `name : value` lines of `command`.
    pub async fn fields(&self, command: &str) -> Result<BTreeMap<String, String>, String> {
        let text = self.run(command).await?;
        let pair =
            |line: &str| line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        Ok(text.lines().filter_map(pair).collect())
    }
}

fn row(line: &str) -> Option<(String, Row)> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let [name, value, unit, _, limits @ ..] = cells.as_slice() else { return None };
    let mut numbers = limits.iter().map(|cell| cell.parse().ok());
    let limits = std::array::from_fn(|_| numbers.next().flatten());
    let row = Row { value: value.parse().ok(), discrete: *unit == "discrete", limits };
    Some(((*name).to_owned(), row))
}
