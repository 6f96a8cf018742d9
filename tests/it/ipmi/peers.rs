//! The driver against BMCs that others wrote. The peers' addresses come in the environment; without them these
//! tests fail, and they are only run by `conformance/ipmi/run`.

use std::{env, net::SocketAddr, path::PathBuf, time::Duration};

use rackfish::{
    drivers::Driver,
    model::{Act, BootSet, BootTarget, Done, Fault, PowerAct, PowerState, Reading, Thresholds, Why},
};
use tokio::time::sleep;

use super::{
    check::*,
    ipmitool::{Ipmitool, Row},
};

fn address(variable: &str) -> SocketAddr {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} names the peer")).parse().expect("address and port")
}

/// ipmi_sim, with the files that its chassis program keeps.
struct IpmiSim {
    address: SocketAddr,
    state: PathBuf,
}

impl IpmiSim {
    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.state.join(name)).unwrap_or_default().trim().to_owned()
    }

    async fn open(&self) -> Result<Box<dyn Driver>, String> {
        let mut driver = at(self.address, "").connect();
        or_text(driver.open().await)?;
        Ok(driver)
    }

    fn ipmitool(&self) -> Ipmitool {
        Ipmitool { address: self.address, suite: 3 }
    }
}

#[tokio::test]
#[ignore = "needs ipmi_sim: conformance/ipmi/run"]
async fn ipmi_sim() {
    let peer = IpmiSim {
        address: address("RACKFISH_IPMI_SIM"),
        state: env::var("RACKFISH_IPMI_SIM_STATE").expect("RACKFISH_IPMI_SIM_STATE").into(),
    };
    let mut checks = Checks::new("ipmi_sim");
    checks.report("login_falls_back_to_suite_3", login(&peer).await);
    checks.report("pinned_suite_17_is_refused", pinned(&peer).await);
    checks.report("wrong_password_is_credentials", refused(&peer).await);
    checks.report("operator_may_switch", operator(&peer).await);
    checks.report("power_on_off", on_off(&peer).await);
    checks.report("power_reset", reset(&peer).await);
    checks.report("power_cycle", cycle(&peer).await);
    checks.report("power_soft", soft(&peer).await);
    checks.report("boot_device", boot_device(&peer).await);
    checks.report("sensor_values_equal_ipmitool", values(&peer).await);
    checks.report("sensor_limits_equal_ipmitool", limits(&peer).await);
    checks.report("discrete_sensors_are_health", health(&peer).await);
    checks.report("fru_equals_ipmitool", fru(&peer).await);
    checks.report("log_equals_ipmitool", sel(&peer).await);
    checks.report("log_is_cleared", clear(&peer).await);
    checks.report("no_session_leaks", leaks(&peer).await);
    checks.finish();
}

async fn login(peer: &IpmiSim) -> Checked {
    let setup = at(peer.address, "");
    let mut driver = setup.connect();
    or_text(driver.open().await)?;
    driver.close().await;
    same(&agreed(&setup), &Some(3))
}

async fn pinned(peer: &IpmiSim) -> Checked {
    let result = at(peer.address, "cipher_suite = 17").connect().open().await;
    holds(matches!(result, Err(Fault::Refused(Why::Protocol(_)))), &format!("{result:?}"))
}

fn as_user(peer: &IpmiSim, user: &str, password: &str, more: &str) -> Box<dyn Driver> {
    let (ip, port) = (peer.address.ip(), peer.address.port());
    setup(&format!("address = '{ip}'\nport = {port}\nusername = '{user}'\npassword = '{password}'\n{more}")).connect()
}

async fn refused(peer: &IpmiSim) -> Checked {
    for (user, password) in [("admin", "wrong"), ("stranger", "password")] {
        let result = as_user(peer, user, password, "").open().await;
        holds(is_credentials(&result), &format!("{user}: {result:?}"))?;
    }
    Ok(())
}

async fn operator(peer: &IpmiSim) -> Checked {
    let mut driver = as_user(peer, "oper", "password", "privilege = 'operator'");
    or_text(driver.open().await)?;
    or_text(switch(&mut *driver, PowerAct::On).await)?;
    driver.close().await;
    // ipmi_sim takes the login as administrator and refuses the level afterwards: the next lower one it is.
    let mut driver = as_user(peer, "oper", "password", "");
    or_text(driver.open().await)?;
    or_text(switch(&mut *driver, PowerAct::Off).await)?;
    driver.close().await;
    Ok(())
}

/// Waits until the power is read as `state`.
async fn becomes(driver: &mut dyn Driver, state: PowerState) -> Checked {
    for _ in 0..40 {
        if or_text(power(driver).await)? == state {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Err(format!("never became {state}"))
}

async fn on_off(peer: &IpmiSim) -> Checked {
    let mut driver = peer.open().await?;
    for (act, state, file) in [
        (PowerAct::Off, PowerState::Off, "0"),
        (PowerAct::On, PowerState::On, "1"),
        (PowerAct::Off, PowerState::Off, "0"),
    ] {
        same(&or_text(switch(&mut *driver, act).await)?, &Done::Accepted)?;
        becomes(&mut *driver, state).await?;
        same(&peer.file("power").as_str(), &file)?;
    }
    driver.close().await;
    Ok(())
}

/// How often the chassis program was told `what`.
fn told(peer: &IpmiSim, what: &str) -> usize {
    peer.file("calls").lines().filter(|line| *line == what).count()
}

async fn reset(peer: &IpmiSim) -> Checked {
    let mut driver = peer.open().await?;
    or_text(switch(&mut *driver, PowerAct::On).await)?;
    let before = told(peer, "reset 1");
    or_text(switch(&mut *driver, PowerAct::Reset).await)?;
    sleep(Duration::from_millis(300)).await;
    driver.close().await;
    same(&(told(peer, "reset 1") - before), &1)
}

async fn cycle(peer: &IpmiSim) -> Checked {
    let mut driver = peer.open().await?;
    or_text(switch(&mut *driver, PowerAct::On).await)?;
    becomes(&mut *driver, PowerState::On).await?;
    let before = (told(peer, "power 0"), told(peer, "power 1"));
    or_text(switch(&mut *driver, PowerAct::Cycle { off: None }).await)?;
    becomes(&mut *driver, PowerState::Off).await?;
    becomes(&mut *driver, PowerState::On).await?;
    driver.close().await;
    same(&(told(peer, "power 0") - before.0, told(peer, "power 1") - before.1), &(1, 1))
}

async fn soft(peer: &IpmiSim) -> Checked {
    let mut driver = peer.open().await?;
    let before = told(peer, "shutdown 1");
    or_text(switch(&mut *driver, PowerAct::Soft).await)?;
    becomes(&mut *driver, PowerState::Off).await?;
    driver.close().await;
    same(&(told(peer, "shutdown 1") - before), &1)
}

/// ipmi_sim keeps the device but never the valid bit, so its chassis program is asked what came through, and
/// ipmitool whether we read the same bytes.
async fn boot_device(peer: &IpmiSim) -> Checked {
    let mut driver = peer.open().await?;
    for (target, name) in [
        (BootTarget::Pxe, "pxe"),
        (BootTarget::Hdd, "disk"),
        (BootTarget::Cd, "cdrom"),
        (BootTarget::BiosSetup, "bios"),
        (BootTarget::None, "none"),
    ] {
        let set = BootSet { target, mode: None, persistent: false };
        or_text(act(&mut *driver, Act::Boot(set)).await).map_err(|error| format!("{target}: {error}"))?;
        sleep(Duration::from_millis(50)).await;
        let stored = peer.file("boot");
        let expected: &[&str] = match name {
            "disk" => &["disk", "default"],
            "none" => &["none", "default"],
            _ => &[name],
        };
        holds(expected.contains(&stored.as_str()), &format!("{target} became {stored}"))?;
        let told = peer.ipmitool().run("chassis bootparam get 5").await?;
        let valid = told.contains("Boot Flag Valid");
        same(&or_text(boot(&mut *driver).await)?.is_some(), &(valid && target != BootTarget::None))?;
    }
    driver.close().await;
    Ok(())
}

/// Our readings and ipmitool's rows, side by side by name. ipmitool shows one sensor of those that share a record
/// and can't read names in packed ASCII.
async fn both(peer: &IpmiSim) -> Result<Vec<(Reading, Row)>, String> {
    let mut driver = peer.open().await?;
    let ours = or_text(sensors(&mut *driver, 0).await)?;
    driver.close().await;
    let mut rows = peer.ipmitool().sensors().await?;
    let mut pairs = Vec::new();
    for reading in ours {
        if let Some(row) = rows.remove(&reading.name) {
            pairs.push((reading, row));
        }
    }
    rows.retain(|name, _| name != "Drive" && name.is_ascii());
    same(&rows.keys().collect::<Vec<_>>(), &Vec::new())?;
    holds(pairs.len() >= 10, &format!("only {} sensors", pairs.len()))?;
    Ok(pairs)
}

/// Equal to the three decimals that ipmitool prints.
fn near(ours: Option<f64>, theirs: Option<f64>) -> bool {
    match (ours, theirs) {
        (None, None) => true,
        (Some(a), Some(b)) => (a - b).abs() < 0.000_501,
        _ => false,
    }
}

async fn values(peer: &IpmiSim) -> Checked {
    for (reading, row) in both(peer).await? {
        let theirs = row.value.filter(|_| !row.discrete);
        holds(
            near(reading.value, theirs),
            &format!("{}: {:?}, ipmitool {:?}", reading.name, reading.value, row.value),
        )?;
    }
    let mut driver = peer.open().await?;
    let ours = or_text(sensors(&mut *driver, 0).await)?;
    driver.close().await;
    // What ipmitool can't show: by hand (25 * 142 - 512) / 1000.
    let packed = ours.iter().find(|reading| reading.name == "VBAT 12V").ok_or("no sensor with a packed name")?;
    holds(near(packed.value, Some(3.038)), &format!("{packed:?}"))
}

async fn limits(peer: &IpmiSim) -> Checked {
    for (reading, row) in both(peer).await? {
        let Thresholds {
            lower_fatal,
            lower_critical,
            lower_non_critical,
            upper_non_critical,
            upper_critical,
            upper_fatal,
        } = reading.thresholds;
        let ours = [lower_fatal, lower_critical, lower_non_critical, upper_non_critical, upper_critical, upper_fatal];
        let equal = ours.iter().zip(row.limits).all(|(ours, theirs)| near(*ours, theirs));
        holds(equal, &format!("{}: {ours:?}, ipmitool {:?}", reading.name, row.limits))?;
    }
    Ok(())
}

async fn health(peer: &IpmiSim) -> Checked {
    use rackfish::model::ReadingState::{Critical, Ok as Fine};
    let mut driver = peer.open().await?;
    let ours = or_text(sensors(&mut *driver, 0).await)?;
    driver.close().await;
    for (name, state) in [("PSU 1", Critical), ("PSU Redundancy", Fine), ("Drive1", Fine), ("Drive2", Critical)] {
        let reading = ours.iter().find(|reading| reading.name == name).ok_or_else(|| format!("no sensor {name}"))?;
        same(&(reading.state, reading.value), &(state, None)).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

async fn fru(peer: &IpmiSim) -> Checked {
    let mut driver = peer.open().await?;
    let ours = or_text(inventory(&mut *driver).await)?;
    driver.close().await;
    let theirs = peer.ipmitool().fields("fru").await?;
    for (field, value) in [
        ("Product Manufacturer", ours.manufacturer),
        ("Product Name", ours.model),
        ("Product Part Number", ours.part_number),
        ("Product Serial", ours.serial),
        ("Product Asset Tag", ours.asset_tag),
        ("Chassis Part Number", ours.chassis_part_number),
        ("Chassis Serial", ours.chassis_serial),
        ("Board Mfg", ours.board_manufacturer),
        ("Board Product", ours.board_product),
        ("Board Serial", ours.board_serial),
    ] {
        holds(value.is_some(), &format!("no {field}"))?;
        same(&value.as_ref(), &theirs.get(field)).map_err(|error| format!("{field}: {error}"))?;
    }
    let info = peer.ipmitool().fields("mc info").await?;
    same(&ours.firmware.as_ref(), &info.get("Firmware Revision"))
}

async fn sel(peer: &IpmiSim) -> Checked {
    let mut driver = peer.open().await?;
    let ours = or_text(log(&mut *driver).await)?;
    driver.close().await;
    let theirs = peer.ipmitool().run("sel list").await?;
    let lines: Vec<&str> = theirs.lines().collect();
    same(&ours.len(), &lines.len())?;
    holds(!ours.is_empty(), "the log is empty")?;
    for (entry, line) in ours.iter().zip(lines) {
        let id = line.split('|').next().and_then(|id| u32::from_str_radix(id.trim(), 16).ok());
        same(&Some(entry.id), &id)?;
        // ipmitool and we word events differently; what kind and which direction has to agree.
        let gone = |text: &str| text.to_lowercase().contains("deasserted");
        same(&gone(&entry.message), &gone(line))?;
        for word in ["Temperature", "Power Supply"] {
            same(&entry.message.contains(word), &line.contains(word))?;
        }
    }
    Ok(())
}

async fn clear(peer: &IpmiSim) -> Checked {
    let mut driver = peer.open().await?;
    same(&or_text(act(&mut *driver, Act::ClearLog).await)?, &Done::Completed)?;
    let left = or_text(log(&mut *driver).await)?;
    driver.close().await;
    same(&left, &Vec::new())
}

/// More logins than ipmi_sim has sessions.
async fn leaks(peer: &IpmiSim) -> Checked {
    for round in 0..70 {
        let mut driver = at(peer.address, "cipher_suite = 3").connect();
        driver.open().await.map_err(|fault| format!("login {round}: {fault}"))?;
        driver.close().await;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs pyghmi's fake BMC: conformance/ipmi/run"]
async fn pyghmi() {
    let peer = address("RACKFISH_PYGHMI");
    let mut checks = Checks::new("pyghmi");
    checks.report("substituted_suite_is_refused_then_3_taken", pyghmi_login(peer).await);
    checks.report("wrong_password_is_credentials", pyghmi_refused(peer).await);
    checks.report("power_on_off_soft", pyghmi_power(peer).await);
    checks.report("missing_cycle_is_rejected", pyghmi_cycle(peer).await);
    checks.report("boot_set_get", pyghmi_boot(peer).await);
    checks.report("without_sensors_fru_and_log", pyghmi_rest(peer).await);
    checks.report("logins_in_a_row", pyghmi_logins(peer).await);
    checks.finish();
}

async fn pyghmi_login(peer: SocketAddr) -> Checked {
    let setup = at(peer, "");
    let mut driver = setup.connect();
    or_text(driver.open().await)?;
    driver.close().await;
    same(&agreed(&setup), &Some(3))?;
    let result = at(peer, "cipher_suite = 17").connect().open().await;
    holds(matches!(result, Err(Fault::Refused(Why::Protocol(_)))), &format!("{result:?}"))
}

async fn pyghmi_refused(peer: SocketAddr) -> Checked {
    let (ip, port) = (peer.ip(), peer.port());
    let wrong = setup(&format!("address = '{ip}'\nport = {port}\nusername = 'admin'\npassword = 'wrong'"));
    let result = wrong.connect().open().await;
    holds(is_credentials(&result), &format!("{result:?}"))
}

async fn pyghmi_power(peer: SocketAddr) -> Checked {
    let mut driver = at(peer, "").connect();
    or_text(driver.open().await)?;
    for (act, state) in [
        (PowerAct::On, PowerState::On),
        (PowerAct::Off, PowerState::Off),
        (PowerAct::On, PowerState::On),
        (PowerAct::Soft, PowerState::Off),
    ] {
        or_text(switch(&mut *driver, act).await)?;
        same(&or_text(power(&mut *driver).await)?, &state)?;
    }
    or_text(switch(&mut *driver, PowerAct::Reset).await)?;
    driver.close().await;
    Ok(())
}

async fn pyghmi_cycle(peer: SocketAddr) -> Checked {
    let mut driver = at(peer, "").connect();
    or_text(driver.open().await)?;
    let result = switch(&mut *driver, PowerAct::Cycle { off: None }).await;
    driver.close().await;
    holds(matches!(result, Err(Fault::Refused(Why::Rejected(_)))), &format!("{result:?}"))
}

async fn pyghmi_boot(peer: SocketAddr) -> Checked {
    let mut driver = at(peer, "").connect();
    or_text(driver.open().await)?;
    for target in [BootTarget::Pxe, BootTarget::Hdd, BootTarget::Cd] {
        or_text(act(&mut *driver, Act::Boot(BootSet { target, mode: None, persistent: false })).await)?;
        same(&or_text(boot(&mut *driver).await)?.map(|boot| boot.target), &Some(target))?;
    }
    driver.close().await;
    Ok(())
}

/// It has none of them: that is an empty answer or "not supported", never a failure of the BMC.
async fn pyghmi_rest(peer: SocketAddr) -> Checked {
    let mut driver = at(peer, "").connect();
    or_text(driver.open().await)?;
    same(&or_text(sensors(&mut *driver, 0).await)?, &Vec::new())?;
    let found = or_text(inventory(&mut *driver).await)?;
    holds(found.firmware.is_some() && found.serial.is_none(), &format!("{found:?}"))?;
    let result = log(&mut *driver).await;
    driver.close().await;
    holds(matches!(result, Err(Fault::Unsupported(_))), &format!("{result:?}"))
}

async fn pyghmi_logins(peer: SocketAddr) -> Checked {
    for round in 0..20 {
        let mut driver = at(peer, "").connect();
        driver.open().await.map_err(|fault| format!("login {round}: {fault}"))?;
        driver.close().await;
    }
    Ok(())
}
