//! The driver against our simulator with everything that can go wrong. Needs nothing from outside.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use rackfish::{
    drivers::{Driver, Setup},
    model::{Act, Aspect, BootMode, BootSet, BootTarget, Done, Fault, Led, PowerAct, PowerState, Secret, Unit, Why},
    sim::ipmi::{BmcConfig, Rack, Served, User},
};
use tokio::time::sleep;

use super::check::*;

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn config() -> BmcConfig {
    BmcConfig { boot_delay: Duration::from_millis(300), ..BmcConfig::new("admin", Secret::new("password")) }
}

async fn serve(config: BmcConfig) -> Result<Served, String> {
    Served::start(LOCAL, config).await.map_err(|error| error.to_string())
}

/// A BMC, a setup with a short time-out, and an open conversation.
async fn open(config: BmcConfig) -> Result<(Served, Arc<dyn Setup>, Box<dyn Driver>), String> {
    let served = serve(config).await?;
    let setup = at(served.address, "timeout = '400ms'");
    let mut driver = setup.connect();
    or_text(driver.open().await)?;
    Ok((served, setup, driver))
}

#[tokio::test]
async fn faults() {
    let mut checks = Checks::new("faults");
    checks.report("late_answer_does_not_shift", late().await);
    checks.report("lost_control_is_not_repeated", lost_control().await);
    checks.report("lost_reads_are_not_repeated_by_the_driver", lost_read().await);
    checks.report("no_session_free_is_busy", table_full().await);
    checks.report("node_busy_is_busy", busy().await);
    checks.report("garbage_is_skipped", garbage().await);
    checks.report("garbage_at_login", garbage_login().await);
    checks.report("duplicates_are_skipped", duplicates().await);
    checks.report("vanished_is_unreachable", vanished().await);
    checks.report("closed_port_is_unreachable_at_once", closed_port().await);
    checks.report("wrong_password_is_credentials", wrong_password().await);
    checks.report("stuck_power_is_seen", stuck().await);
    checks.report("mains_lost_and_back", mains().await);
    checks.report("expired_session_is_renewed", expired().await);
    checks.report("loss_of_a_tenth", loss().await);
    checks.finish();
}

async fn late() -> Checked {
    let (served, _, mut driver) = open(BmcConfig { on: true, ..config() }).await?;
    let expected = or_text(sensors(&mut *driver, 0).await)?;
    for skip in 0..3 {
        let (mut at, mut found, mut failed, mut pages) = (None, Vec::new(), 0, 0);
        loop {
            if pages == skip + 1 {
                // The answer comes after two more requests have timed out or been answered.
                served.bmc.faults(|f| (f.late_answers, f.late_by) = (1, Duration::from_millis(500)));
            }
            pages += 1;
            match page(&mut *driver, &Aspect::Sensors, at.clone()).await {
                Ok((facts, next)) => {
                    found.extend(facts);
                    at = next;
                    if at.is_none() {
                        break;
                    }
                }
                Err(_) if failed < 2 => failed += 1,
                Err(fault) => return Err(fault.to_string()),
            }
            sleep(Duration::from_millis(20)).await;
        }
        same(&failed, &1)?;
        let found: Vec<_> = found
            .into_iter()
            .flat_map(|fact| if let rackfish::model::Fact::Sensors(found) = fact { found } else { Vec::new() })
            .collect();
        same(&found, &expected)?;
    }
    same(&served.bmc.stats().logins, &1)
}

async fn lost_control() -> Checked {
    let (served, _, mut driver) = open(config()).await?;
    served.bmc.faults(|f| f.lose_answers = 1);
    let result = switch(&mut *driver, PowerAct::On).await;
    holds(matches!(result, Err(Fault::Uncertain(_))), &format!("{result:?}"))?;
    let stats = served.bmc.stats();
    same(&(stats.controls, stats.power_on), &(1, 1))?;
    same(&or_text(power(&mut *driver).await)?, &PowerState::On)
}

async fn lost_read() -> Checked {
    let (served, _, mut driver) = open(config()).await?;
    let before = served.bmc.stats().packets_in;
    served.bmc.faults(|f| f.lose_answers = 1);
    let result = power(&mut *driver).await;
    holds(matches!(result, Err(Fault::Unreachable(_))), &format!("{result:?}"))?;
    same(&(served.bmc.stats().packets_in - before), &1)?;
    or_text(power(&mut *driver).await).map(|_| ())
}

async fn table_full() -> Checked {
    let served = serve(BmcConfig { max_sessions: 2, ..config() }).await?;
    let setup = at(served.address, "timeout = '200ms'");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut driver = setup.connect();
        or_text(driver.open().await)?;
        open.push(driver);
    }
    let mut third = setup.connect();
    let result = third.open().await;
    holds(matches!(result, Err(Fault::Busy { .. })), &format!("{result:?}"))?;
    // One by a proper close, one by being dropped.
    for _ in 0..2 {
        let mut driver = open.remove(0);
        if open.is_empty() {
            drop(driver);
            sleep(Duration::from_millis(50)).await;
        } else {
            driver.close().await;
        }
        or_text(third.open().await)?;
        third.close().await;
    }
    same(&served.bmc.stats().sessions, &0)
}

async fn busy() -> Checked {
    let (served, _, mut driver) = open(config()).await?;
    served.bmc.faults(|f| f.busy = 1);
    let result = power(&mut *driver).await;
    holds(matches!(result, Err(Fault::Busy { .. })), &format!("{result:?}"))?;
    served.bmc.faults(|f| f.busy = 1);
    let result = switch(&mut *driver, PowerAct::On).await;
    holds(matches!(&result, Err(fault) if fault.act_may_retry()), &format!("{result:?}"))?;
    same(&served.bmc.stats().controls, &0)
}

async fn garbage() -> Checked {
    let (served, _, mut driver) = open(config()).await?;
    for _ in 0..5 {
        served.bmc.faults(|f| f.garbage = 1);
        let result = power(&mut *driver).await;
        holds(matches!(result, Err(Fault::Unreachable(_))), &format!("{result:?}"))?;
        same(&or_text(power(&mut *driver).await)?, &PowerState::Off)?;
    }
    Ok(())
}

async fn garbage_login() -> Checked {
    let served = serve(config()).await?;
    let mut driver = at(served.address, "timeout = '100ms'").connect();
    served.bmc.faults(|f| f.garbage = 2);
    let result = driver.open().await;
    holds(matches!(result, Err(Fault::Garbage(_) | Fault::Unreachable(_))), &format!("{result:?}"))?;
    or_text(driver.open().await).map(|_| ())
}

async fn duplicates() -> Checked {
    let served = serve(BmcConfig { on: true, ..config() }).await?;
    served.bmc.faults(|f| f.duplicate = true);
    let mut driver = at(served.address, "timeout = '200ms'").connect();
    or_text(driver.open().await)?;
    let first = or_text(sensors(&mut *driver, 0).await)?;
    same(&or_text(sensors(&mut *driver, 0).await)?, &first)
}

async fn vanished() -> Checked {
    let (served, setup, mut driver) = open(config()).await?;
    served.bmc.faults(|f| f.vanish = true);
    let result = power(&mut *driver).await;
    holds(matches!(result, Err(Fault::Unreachable(_))), &format!("{result:?}"))?;
    // The session is in doubt: the act tries to log in first, and nothing is sent that could count.
    let result = switch(&mut *driver, PowerAct::On).await;
    holds(matches!(result, Err(Fault::NotSent(_))), &format!("{result:?}"))?;
    let began = Instant::now();
    let result = setup.connect().open().await;
    holds(matches!(result, Err(Fault::Unreachable(_))), &format!("{result:?}"))?;
    holds(began.elapsed() < Duration::from_secs(2), "an unreachable BMC holds up its worker")?;
    driver.close().await;
    served.bmc.faults(|f| f.vanish = false);
    or_text(driver.open().await)?;
    same(&served.bmc.stats().controls, &0)
}

async fn closed_port() -> Checked {
    let served = serve(config()).await?;
    let address = served.address;
    drop(served);
    sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    let result = at(address, "timeout = '5s'").connect().open().await;
    holds(matches!(result, Err(Fault::Unreachable(_))), &format!("{result:?}"))?;
    holds(began.elapsed() < Duration::from_secs(1), "waited although the network said that nobody is there")
}

async fn wrong_password() -> Checked {
    let served = serve(config()).await?;
    let address = served.address;
    let (ip, port) = (address.ip(), address.port());
    for (user, password) in [("admin", "wrong"), ("nobody", "password"), ("", "")] {
        let text = format!("address = '{ip}'\nport = {port}\nusername = '{user}'\npassword = '{password}'");
        let result = setup(&text).connect().open().await;
        holds(is_credentials(&result), &format!("{user} {password}: {result:?}"))?;
    }
    // The refused logins left no session behind.
    sleep(Duration::from_millis(50)).await;
    same(&served.bmc.stats().sessions, &0)
}

async fn stuck() -> Checked {
    let (served, _, mut driver) = open(config()).await?;
    served.bmc.faults(|f| f.stuck = true);
    same(&or_text(switch(&mut *driver, PowerAct::On).await)?, &Done::Accepted)?;
    same(&or_text(power(&mut *driver).await)?, &PowerState::Off)?;
    same(&served.bmc.stats().power_on, &0)
}

async fn mains() -> Checked {
    let (served, _, mut driver) = open(BmcConfig { on: true, ..config() }).await?;
    served.bmc.set_mains(false);
    let result = power(&mut *driver).await;
    holds(matches!(result, Err(Fault::Unreachable(_))), &format!("{result:?}"))?;
    served.bmc.set_mains(true);
    holds(!served.bmc.is_alive(), "alive before it has started")?;
    sleep(Duration::from_millis(400)).await;
    // The controller is there again, with no memory of the session; the host stays off by its policy.
    same(&or_text(switch(&mut *driver, PowerAct::On).await)?, &Done::Accepted)?;
    same(&or_text(power(&mut *driver).await)?, &PowerState::On)?;
    let stats = served.bmc.stats();
    same(&(stats.power_off, stats.power_on, stats.logins), &(1, 1, 2))
}

async fn expired() -> Checked {
    let (served, _, mut driver) = open(BmcConfig { session_idle: Duration::from_millis(100), ..config() }).await?;
    sleep(Duration::from_millis(200)).await;
    let mut tries = 0;
    while power(&mut *driver).await.is_err() {
        tries += 1;
        holds(tries <= 2, "the session is not renewed")?;
    }
    same(&served.bmc.stats().logins, &2)
}

async fn loss() -> Checked {
    let (served, _, mut driver) = open(BmcConfig { on: true, ..config() }).await?;
    let expected = or_text(sensors(&mut *driver, 0).await)?;
    served.bmc.faults(|f| f.drop = 0.1);
    for _ in 0..5 {
        same(&or_text(sensors(&mut *driver, 20).await)?, &expected)?;
    }
    Ok(())
}

#[tokio::test]
async fn features() {
    let mut checks = Checks::new("simulated");
    checks.report("suites", suites().await);
    checks.report("key_kg", kg().await);
    checks.report("privileges", privileges().await);
    checks.report("power", all_power().await);
    checks.report("boot", all_boot().await);
    checks.report("indicator", indicator().await);
    checks.report("inventory", identity().await);
    checks.report("log", event_log().await);
    checks.report("sensor_limits", limits().await);
    checks.report("sessions_are_closed", sessions().await);
    checks.report("sensor_polls_are_cheap", cheap_polls().await);
    checks.report("foreign_unit", foreign_unit().await);
    checks.report("many_on_one_socket", many().await);
    checks.finish();
}

async fn suites() -> Checked {
    for (offered, pinned, expected) in [
        (vec![3, 17], "", Some(17)),
        (vec![3], "", Some(3)),
        (vec![17], "", Some(17)),
        (vec![3, 17], "cipher_suite = 3", Some(3)),
        (vec![3], "cipher_suite = 17", None),
        (vec![1], "", None),
    ] {
        let served = serve(BmcConfig { suites: offered, ..config() }).await?;
        let setup = at(served.address, pinned);
        let result = setup.connect().open().await;
        same(&agreed(&setup), &expected)?;
        match (expected, result) {
            (Some(_), result) => or_text(result).map(|_| ())?,
            (None, Err(Fault::Refused(Why::Protocol(_)))) => {}
            (None, other) => return Err(format!("{other:?}")),
        }
    }
    Ok(())
}

async fn kg() -> Checked {
    let served = serve(BmcConfig { kg: Some(Secret::new("key of the BMC")), ..config() }).await?;
    or_text(at(served.address, "kg = 'key of the BMC'").connect().open().await)?;
    let hex = "6b6579206f662074686520424d43"; // "key of the BMC"
    or_text(at(served.address, &format!("kg = '0x{hex}'")).connect().open().await)?;
    for wrong in ["", "kg = 'another key'"] {
        let result = at(served.address, wrong).connect().open().await;
        holds(is_credentials(&result), &format!("{wrong}: {result:?}"))?;
    }
    Ok(())
}

async fn privileges() -> Checked {
    let users = [("admin", 4), ("oper", 3), ("user", 2)];
    let users = users.map(|(name, level)| User { name: name.to_owned(), password: Secret::new("password"), level });
    let served = serve(BmcConfig { users: users.to_vec(), ..config() }).await?;
    let (ip, port) = (served.address.ip(), served.address.port());
    let login = |user: &str, privilege: &str| {
        let text = format!(
            "address = '{ip}'\nport = {port}\nusername = '{user}'\npassword = 'password'\nprivilege = '{privilege}'"
        );
        setup(&text).connect()
    };
    let result = login("oper", "administrator").open().await;
    holds(matches!(result, Err(Fault::Refused(Why::Privilege(_)))), &format!("{result:?}"))?;
    let mut oper = login("oper", "operator");
    or_text(oper.open().await)?;
    or_text(switch(&mut *oper, PowerAct::On).await)?;
    let mut user = login("user", "user");
    let units = or_text(user.open().await)?;
    holds(
        units.iter().all(|(_, caps)| !caps.acts.has(rackfish::model::ActKind::On)),
        "a user who may not switch is offered to",
    )?;
    or_text(power(&mut *user).await)?;
    let result = switch(&mut *user, PowerAct::Off).await;
    holds(matches!(result, Err(Fault::Refused(Why::Privilege(_)))), &format!("{result:?}"))
}

async fn all_power() -> Checked {
    let (served, _, mut driver) = open(BmcConfig {
        soft_delay: Some(Duration::from_millis(50)),
        cycle_off: Duration::from_millis(50),
        ..config()
    })
    .await?;
    let driver = &mut *driver;
    let result = switch(driver, PowerAct::Reset).await;
    holds(matches!(result, Err(Fault::Refused(Why::Rejected(_)))), &format!("reset while off: {result:?}"))?;
    or_text(switch(driver, PowerAct::On).await)?;
    same(&or_text(power(driver).await)?, &PowerState::On)?;
    or_text(switch(driver, PowerAct::Reset).await)?;
    or_text(switch(driver, PowerAct::Nmi).await)?;
    or_text(switch(driver, PowerAct::Cycle { off: None }).await)?;
    same(&or_text(power(driver).await)?, &PowerState::Off)?;
    sleep(Duration::from_millis(80)).await;
    same(&or_text(power(driver).await)?, &PowerState::On)?;
    or_text(switch(driver, PowerAct::Soft).await)?;
    same(&or_text(power(driver).await)?, &PowerState::On)?;
    sleep(Duration::from_millis(80)).await;
    same(&or_text(power(driver).await)?, &PowerState::Off)?;
    or_text(switch(driver, PowerAct::On).await)?;
    or_text(switch(driver, PowerAct::Off).await)?;
    let stats = served.bmc.stats();
    same(&(stats.power_on, stats.power_off, stats.resets, stats.nmis), &(3, 3, 1, 1))
}

async fn all_boot() -> Checked {
    let (served, _, mut driver) = open(config()).await?;
    let driver = &mut *driver;
    same(&or_text(boot(driver).await)?, &None)?;
    let targets = [
        BootTarget::Pxe,
        BootTarget::Hdd,
        BootTarget::Cd,
        BootTarget::Usb,
        BootTarget::BiosSetup,
        BootTarget::Diags,
        BootTarget::RemoteDrive,
    ];
    for target in targets {
        for mode in [BootMode::Legacy, BootMode::Uefi] {
            for persistent in [false, true] {
                let set = BootSet { target, mode: Some(mode), persistent };
                same(&or_text(act(driver, Act::Boot(set)).await)?, &Done::Completed)?;
                same(&or_text(boot(driver).await)?, &Some(set))?;
            }
        }
    }
    let once = BootSet { target: BootTarget::Pxe, mode: Some(BootMode::Uefi), persistent: false };
    or_text(act(driver, Act::Boot(once)).await)?;
    or_text(switch(driver, PowerAct::On).await)?;
    // The start took the flags (PXE 0x04, EFI) and used them up.
    same(&served.bmc.stats().booted_from, &Some(0x84))?;
    same(&or_text(boot(driver).await)?, &None)?;
    or_text(act(driver, Act::Boot(BootSet { persistent: true, ..once })).await)?;
    or_text(act(driver, Act::Boot(BootSet { target: BootTarget::None, ..once })).await)?;
    same(&or_text(boot(driver).await)?, &None)?;
    let result = act(driver, Act::Boot(BootSet { target: BootTarget::UefiHttp, ..once })).await;
    holds(matches!(result, Err(Fault::Unsupported(_))), &format!("{result:?}"))
}

async fn indicator() -> Checked {
    let (_served, _, mut driver) = open(config()).await?;
    for led in [Led::Lit, Led::Off] {
        or_text(act(&mut *driver, Act::Indicator(led)).await)?;
        let facts = or_text(read(&mut *driver, &Aspect::Indicator, 0).await)?;
        same(&facts, &vec![rackfish::model::Fact::Indicator(led)])?;
    }
    let result = act(&mut *driver, Act::Indicator(Led::Blinking)).await;
    holds(matches!(result, Err(Fault::Unsupported(_))), &format!("{result:?}"))
}

async fn identity() -> Checked {
    let (_served, _, mut driver) = open(config().numbered(7)).await?;
    or_text(switch(&mut *driver, PowerAct::On).await)?;
    let found = or_text(inventory(&mut *driver).await)?;
    let text = |text: &str| Some(text.to_owned());
    same(&found.serial, &text("SIM0000007"))?;
    same(&found.chassis_serial, &text("CH0000007"))?;
    same(&found.manufacturer, &text("rackfish"))?;
    same(&found.model, &text("Simulated server"))?;
    same(&found.firmware, &text("1.05"))?;
    same(&found.uuid, &text("5d1f7a10-4c3b-4d5e-8f60-000000000007"))?;
    same(&found.restart_cause, &text("chassis control command"))
}

async fn event_log() -> Checked {
    let (_served, _, mut driver) = open(config()).await?;
    or_text(sensors(&mut *driver, 0).await)?;
    let entries = or_text(log(&mut *driver).await)?;
    same(&entries.len(), &4)?;
    let first = entries.first().ok_or("empty")?;
    same(&first.message.as_str(), &"Temperature CPU Temp: Upper Non-critical - going high asserted")?;
    same(&first.at.map(time::OffsetDateTime::unix_timestamp), &Some(1_700_000_000))?;
    same(&or_text(act(&mut *driver, Act::ClearLog).await)?, &Done::Completed)?;
    same(&or_text(log(&mut *driver).await)?, &Vec::new())
}

async fn limits() -> Checked {
    use rackfish::model::ReadingState::{Critical, Ok as Fine, Warning};
    let (served, _, mut driver) = open(BmcConfig { on: true, ..config() }).await?;
    for (raw, value, state) in
        [(50, 50.0, Fine), (85, 85.0, Warning), (95, 95.0, Critical), (3, 3.0, Warning), (100, 100.0, Critical)]
    {
        served.bmc.set_sensor(1, Some(raw));
        let found = or_text(sensors(&mut *driver, 0).await)?;
        let cpu = found.iter().find(|reading| reading.id == "cpu_temp").ok_or("no cpu_temp")?;
        same(&(cpu.value, cpu.state), &(Some(value), state))?;
    }
    Ok(())
}

async fn sessions() -> Checked {
    let served = serve(BmcConfig { max_sessions: 4, ..config() }).await?;
    let setup = at(served.address, "");
    for round in 0..70 {
        let mut driver = setup.connect();
        driver.open().await.map_err(|fault| format!("login {round}: {fault}"))?;
        if round % 2 == 0 {
            driver.close().await;
        }
    }
    sleep(Duration::from_millis(50)).await;
    same(&served.bmc.stats().sessions, &0)
}

/// With the repository known, a poll asks whether it changed, reads every sensor once, and DCMI.
async fn cheap_polls() -> Checked {
    let (served, _, mut driver) = open(BmcConfig { on: true, ..config() }).await?;
    let count = or_text(sensors(&mut *driver, 0).await)?.len();
    let before = served.bmc.stats().packets_in;
    same(&or_text(sensors(&mut *driver, 0).await)?.len(), &count)?;
    same(&(served.bmc.stats().packets_in - before), &(u64::try_from(count).unwrap_or(0) + 1))
}

async fn foreign_unit() -> Checked {
    let (_served, setup, mut driver) = open(config()).await?;
    let outlet = Unit::outlet(7);
    holds(setup.presumed(&outlet).is_none() && setup.presumed(&Unit::host()).is_some(), "units of a BMC")?;
    let result = driver.act(&[(outlet.clone(), Act::Power(PowerAct::On))]).await.remove(0);
    holds(matches!(result, Err(Fault::NoSuchUnit(_))), &format!("{result:?}"))?;
    let page = or_text(driver.observe(&Aspect::Power, &[outlet, Unit::host()], None).await)?;
    same(&page.items.len(), &2)?;
    holds(matches!(page.items.first(), Some((_, Err(Fault::NoSuchUnit(_))))), &format!("{:?}", page.items))
}

async fn many() -> Checked {
    const BMCS: u32 = 300;
    let rack = Rack::start(0).map_err(|error| error.to_string())?;
    let bmcs: Vec<_> = (1..=BMCS)
        .map(|number| {
            let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 77, 0, 0)) + number);
            (address, rack.add(address, config().numbered(number)))
        })
        .collect();
    let mut tasks = tokio::task::JoinSet::new();
    for (index, (address, _)) in bmcs.iter().enumerate() {
        let setup = at((*address, rack.port()).into(), "");
        tasks.spawn(async move {
            let mut driver = setup.connect();
            or_text(driver.open().await)?;
            if index % 2 == 0 {
                or_text(switch(&mut *driver, PowerAct::On).await)?;
            }
            let serial = or_text(inventory(&mut *driver).await)?.serial;
            same(&serial, &Some(format!("SIM{:07}", index + 1)))?;
            driver.close().await;
            Ok::<(), String>(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.map_err(|error| error.to_string())??;
    }
    for (index, (_, bmc)) in bmcs.iter().enumerate() {
        same(&bmc.is_on(), &(index % 2 == 0))?;
    }
    Ok(())
}
