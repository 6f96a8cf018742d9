//! The driver against the simulated PDU where a fault can be made that no peer makes at will. Needs no program from
//! outside: runs with all other tests, and its lines count in the suite.

use std::net::SocketAddr;

use rackfish::{
    model::{Aspect, Fact, Fault, PowerAct, PowerState, Unit, Why},
    sim::snmp::{Agents, PduOptions, SimFamily, SimPdu},
};

use super::check::{Checked, Checks, Pdu, holds, same};

struct Bench {
    sim: SimPdu,
    pdu: Pdu,
    _agents: Agents,
}

async fn bench(outlets: u32) -> Result<Bench, String> {
    bench_of(SimFamily::Rpdu2, "model = 'apc-rpdu2'", outlets).await
}

async fn bench_of(family: SimFamily, settings: &str, outlets: u32) -> Result<Bench, String> {
    let sim = SimPdu::new(PduOptions { family, outlets, ..PduOptions::default() });
    let agents = Agents::single("127.0.0.1:0".parse().unwrap(), sim.clone()).map_err(|e| e.to_string())?;
    let agent = SocketAddr::from(([127, 0, 0, 1], agents.port()));
    let pdu = Pdu::open(agent, &format!("{settings}\ntimeout = '300ms'")).await?;
    Ok(Bench { sim, pdu, _agents: agents })
}

#[tokio::test]
async fn simulated() {
    let mut checks = Checks::new("simulated");
    checks.report("48_outlets_in_4_packets", packets().await);
    checks.report("no_such_instance_is_a_failure", no_such_instance().await);
    checks.report("ignored_command_is_seen", ignored().await);
    checks.report("lost_answer_is_uncertain_and_not_sent_again", lost().await);
    checks.report("foreign_answers_are_skipped", foreign().await);
    checks.report("garbage", garbage().await);
    checks.report("half_of_the_outlets_missing", half().await);
    checks.report("vanished", vanished().await);
    checks.finish();
}

/// The budget, for every family and version.
async fn packets() -> Checked {
    let families =
        [(SimFamily::MasterSwitch, "apc-masterswitch"), (SimFamily::Rpdu, "apc-rpdu"), (SimFamily::Rpdu2, "apc-rpdu2")];
    for (family, model) in families {
        for version in ["1", "2c"] {
            let settings = format!("model = '{model}'\nversion = '{version}'");
            let mut bench = bench_of(family, &settings, 48).await?;
            let before = bench.sim.counters();
            same(&bench.pdu.all(Aspect::Power, &[]).await?.len(), &48)?;
            let after = bench.sim.counters();
            let (requests, answers) = (after.packets_in - before.packets_in, after.packets_out - before.packets_out);
            holds(requests <= 4 && answers <= 4, &format!("{settings}: {requests} requests, {answers} answers"))?;
        }
    }
    Ok(())
}

async fn no_such_instance() -> Checked {
    let mut bench = bench(8).await?;
    bench.sim.fault(|f| f.set_no_such_instance = true);
    let outcome = bench.pdu.try_switch(1, PowerAct::Off).await;
    holds(matches!(outcome, Err(Fault::NoSuchUnit(_))), &format!("{outcome:?}"))
}

async fn ignored() -> Checked {
    let mut bench = bench(8).await?;
    bench.sim.fault(|f| f.set_ignored = true);
    bench.pdu.switch(1, PowerAct::Off).await?;
    same(&bench.pdu.power(1).await?, &PowerState::On)
}

async fn lost() -> Checked {
    let mut bench = bench(8).await?;
    bench.sim.fault(|f| f.lose_set_answers = 1);
    let outcome = bench.pdu.try_switch(1, PowerAct::Off).await;
    holds(matches!(outcome, Err(Fault::Uncertain(_))), &format!("{outcome:?}"))?;
    same(&bench.sim.counters().outlets[&1].sets, &1)?;
    same(&bench.pdu.power(1).await?, &PowerState::Off)
}

async fn foreign() -> Checked {
    let mut bench = bench(8).await?;
    bench.sim.fault(|f| f.foreign_id = true);
    bench.pdu.switch(1, PowerAct::Off).await?;
    same(&bench.pdu.power(1).await?, &PowerState::Off)
}

async fn garbage() -> Checked {
    let mut bench = bench(8).await?;
    bench.sim.fault(|f| f.garbage = true);
    let read = bench.pdu.0.observe(&Aspect::Power, &[Unit::outlet(1)], None).await;
    holds(matches!(read, Err(Fault::Garbage(_))), &format!("{read:?}"))?;
    let outcome = bench.pdu.try_switch(1, PowerAct::Off).await;
    holds(matches!(outcome, Err(Fault::Uncertain(_))), &format!("{outcome:?}"))
}

/// Gaps are told as such, cost exchanges only once, and are looked at again when the PDU is opened again.
async fn half() -> Checked {
    for version in ["1", "2c"] {
        let settings = format!("model = 'apc-rpdu'\nversion = '{version}'");
        let mut bench = bench_of(SimFamily::Rpdu, &settings, 24).await?;
        bench.sim.command_line("fault half").map_err(|e| e.to_string())?;
        let facts = bench.pdu.all(Aspect::Power, &[]).await?;
        let on = facts.iter().filter(|(_, f)| *f == Ok(Fact::Power(PowerState::On))).count();
        let missing = facts.iter().filter(|(_, f)| matches!(f, Err(Fault::NoSuchUnit(_)))).count();
        same(&(on, missing), &(12, 12))?;
        let before = bench.sim.counters().packets_in;
        bench.pdu.all(Aspect::Power, &[]).await?;
        holds(bench.sim.counters().packets_in - before <= 2, "gaps are known the second time")?;
        let outcome = bench.pdu.try_switch(2, PowerAct::Off).await;
        let told = matches!(outcome, Err(Fault::NoSuchUnit(_) | Fault::Refused(Why::Rejected(_))));
        holds(told, &format!("{outcome:?}"))?;
        bench.sim.command_line("fault clear").map_err(|e| e.to_string())?;
        bench.pdu.0.open().await.map_err(|e| e.to_string())?;
        same(&bench.pdu.power(2).await?, &PowerState::On)?;
    }
    Ok(())
}

async fn vanished() -> Checked {
    let mut bench = bench(8).await?;
    bench.sim.fault(|f| f.vanished = true);
    let read = bench.pdu.0.observe(&Aspect::Power, &[Unit::outlet(1)], None).await;
    holds(matches!(read, Err(Fault::Unreachable(_))), &format!("{read:?}"))?;
    bench.sim.fault(|f| f.vanished = false);
    same(&bench.pdu.power(1).await?, &PowerState::On)
}
