//! net-snmp's tools against the simulated PDU: whether it speaks as agents do.

use std::{
    net::SocketAddr,
    process::{Command, Output},
};

use rackfish::sim::snmp::{Agents, PduOptions, SimFamily, SimPdu};

use super::check::{Checked, Checks, holds, same};

const COMMAND: &str = "1.3.6.1.4.1.318.1.1.26.9.2.4.1.5";
const STATE: &str = "1.3.6.1.4.1.318.1.1.26.9.2.3.1.5";
const VERSIONS: [&str; 2] = ["-v1", "-v2c"];

struct Bench {
    pdu: SimPdu,
    agent: SocketAddr,
    _agents: Agents,
}

impl Bench {
    fn new(family: SimFamily) -> Self {
        let pdu = SimPdu::new(PduOptions { family, outlets: 24, ..PduOptions::default() });
        let agents = Agents::single("127.0.0.1:0".parse().unwrap(), pdu.clone()).unwrap();
        let agent = SocketAddr::from(([127, 0, 0, 1], agents.port()));
        Self { pdu, agent, _agents: agents }
    }

    /// Runs a tool of net-snmp; the simulator goes on on another thread.
    async fn tool(&self, tool: &str, version: &str, community: &str, more: &[&str]) -> Result<Output, String> {
        let mut command = Command::new(tool);
        command.args([version, "-c", community, "-t", "1", "-r", "0", "-On", "-Oe"]);
        command.args(more.iter().take_while(|a| a.starts_with("-C"))).arg(self.agent.to_string());
        command.args(more.iter().skip_while(|a| a.starts_with("-C")));
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().map_err(|e| format!("net-snmp: {e}"))
    }

    async fn says(&self, tool: &str, version: &str, more: &[&str]) -> Result<String, String> {
        let output = self.tool(tool, version, "private", more).await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ok(text.trim().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs net-snmp: conformance/snmp/run"]
async fn oracle() {
    let mut checks = Checks::new("oracle");
    for (name, family) in
        [("masterswitch", SimFamily::MasterSwitch), ("rpdu", SimFamily::Rpdu), ("rpdu2", SimFamily::Rpdu2)]
    {
        checks.report(&format!("walks_agree.{name}"), walks(&Bench::new(family)).await);
    }
    let bench = Bench::new(SimFamily::Rpdu2);
    for version in VERSIONS {
        let tag = version.trim_start_matches('-');
        checks.report(&format!("{tag}.get"), get(&bench, version).await);
        checks.report(&format!("{tag}.set"), set(&bench, version).await);
        checks.report(&format!("{tag}.errors"), errors(&bench, version).await);
    }
    checks.report("v2c.exceptions", exceptions(&bench).await);
    checks.report("silence", silence(&bench).await);
    checks.finish();
}

/// GETNEXT of both versions and GETBULK visit the same objects, and all of them.
async fn walks(bench: &Bench) -> Checked {
    let lines = |text: String| -> Vec<String> {
        // The uptime goes on between two walks; the end is told in other words by each version.
        let objects = text.lines().filter(|l| l.starts_with('.') && !l.starts_with(".1.3.6.1.2.1.1.3.0"));
        objects.filter(|l| !l.contains("No more variables")).map(str::to_owned).collect()
    };
    let text = bench.says("snmpwalk", "-v1", &["1.3"]).await?;
    holds(!text.contains("rror") && !text.contains("not increasing"), &text)?;
    let first = lines(text);
    let second = lines(bench.says("snmpwalk", "-v2c", &["1.3"]).await?);
    let bulk = lines(bench.says("snmpbulkwalk", "-v2c", &["-Cr40", "1.3"]).await?);
    holds(first.len() > 24 * 3, &format!("{} lines", first.len()))?;
    for (name, other) in [("GETNEXT of version 2c", second), ("GETBULK", bulk)] {
        let differs = other.iter().zip(&first).find(|(a, b)| a != b);
        holds(differs.is_none() && other.len() == first.len(), &format!("{name}: {differs:?}, {} lines", other.len()))?;
    }
    Ok(())
}

async fn get(bench: &Bench, version: &str) -> Checked {
    let both = bench.says("snmpget", version, &["1.3.6.1.2.1.1.2.0", &format!("{STATE}.24")]).await?;
    let expected = format!(".1.3.6.1.2.1.1.2.0 = OID: .1.3.6.1.4.1.318.1.3.4.6\n.{STATE}.24 = INTEGER: 2");
    same(&both, &expected)
}

async fn set(bench: &Bench, version: &str) -> Checked {
    for (value, on) in [("2", false), ("1", true)] {
        let said = bench.says("snmpset", version, &[&format!("{COMMAND}.7"), "i", value]).await?;
        same(&said, &format!(".{COMMAND}.7 = INTEGER: {value}"))?;
        same(&bench.pdu.is_on(7), &Some(on))?;
    }
    Ok(())
}

/// The errors that snmpd itself gives in these cases (version 1 has fewer words for them).
async fn errors(bench: &Bench, version: &str) -> Checked {
    let outlet = format!("{COMMAND}.1");
    let cases: [(&[&str], &str, &str); 4] = [
        (&[&outlet, "i", "99"], "badValue", "wrongValue"),
        (&[&outlet, "s", "on"], "badValue", "wrongType"),
        (&[&format!("{COMMAND}.99"), "i", "1"], "noSuchName", "noCreation"),
        (&[&format!("{STATE}.1"), "i", "1"], "noSuchName", "notWritable"),
    ];
    for (arguments, v1, v2c) in cases {
        let said = bench.says("snmpset", version, arguments).await?;
        let expected = if version == "-v1" { v1 } else { v2c };
        holds(said.contains(expected), &format!("{arguments:?}: {said} instead of {expected}"))?;
    }
    let output = bench.tool("snmpset", version, "public", &[&outlet, "i", "2"]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = if version == "-v1" { "noSuchName" } else { "noAccess" };
    holds(said.contains(expected), &format!("reading community: {said}"))?;
    same(&bench.pdu.is_on(1), &Some(true))
}

async fn exceptions(bench: &Bench) -> Checked {
    let said = bench.says("snmpget", "-v2c", &[&format!("{STATE}.99"), "1.3.6.1.4.1.9.9"]).await?;
    holds(said.contains("No Such Instance") && said.contains("No Such Object"), &said)
}

async fn silence(bench: &Bench) -> Checked {
    for version in VERSIONS {
        let output = bench.tool("snmpget", version, "nobody", &["1.3.6.1.2.1.1.2.0"]).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        holds(said.contains("Timeout"), &said)?;
    }
    Ok(())
}
