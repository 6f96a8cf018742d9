//! Reporting checks line by line, and talking to a driver as the fleet does.
#![allow(clippy::print_stdout)] // the lines are what the suite reads

use std::{fmt::Debug, sync::Arc};

use rackfish::{
    drivers::{self, Driver, Setup, ipmi::IpmiSetup},
    model::{
        Act, Aspect, BootSet, Cursor, Done, Fact, Fault, Inventory, LogEntry, PowerAct, PowerState, Reading, Unit, Why,
    },
};

/// What a check came to: nothing, or why it failed.
pub type Checked = Result<(), String>;

/// Collects the results of a suite.
pub struct Checks {
    prefix: &'static str,
    failed: Vec<String>,
}

impl Checks {
    /// Checks whose names begin with `prefix`.
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, failed: Vec::new() }
    }

    /// Reports a check.
    pub fn report(&mut self, name: &str, result: Checked) {
        let name = format!("{}.{name}", self.prefix);
        match result {
            // libtest leaves its own line open.
            Ok(()) => println!("\nok {name}"),
            Err(reason) => {
                let reason: String = reason.replace('\n', " ").chars().take(600).collect();
                println!("\nnot ok {name}: {reason}");
                self.failed.push(name);
            }
        }
    }

    /// Fails the test if a check failed.
    pub fn finish(self) {
        assert!(self.failed.is_empty(), "failed: {}", self.failed.join(", "));
    }
}

/// `Err` with both values if they differ.
pub fn same<T: PartialEq + Debug>(found: &T, expected: &T) -> Checked {
    if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
}

/// `Err` with `what` unless it holds.
pub fn holds(condition: bool, what: &str) -> Checked {
    if condition { Ok(()) } else { Err(what.to_owned()) }
}

/// A fault as the reason of a failed check.
pub fn or_text<T>(result: Result<T, Fault>) -> Result<T, String> {
    result.map_err(|fault| format!("{fault} ({fault:?})"))
}

/// A setup of driver `ipmi` from TOML.
pub fn setup(settings: &str) -> Arc<dyn Setup> {
    let table: toml::Table = settings.parse().expect("TOML");
    (drivers::find("ipmi").expect("registered").parse)(&table).expect("good settings")
}

/// The usual settings: `admin` and `password` at `address`, and more lines.
pub fn at(address: std::net::SocketAddr, more: &str) -> Arc<dyn Setup> {
    let common = "username = 'admin'\npassword = 'password'";
    setup(&format!("address = '{}'\nport = {}\n{common}\n{more}", address.ip(), address.port()))
}

/// The suite that the last login agreed on.
pub fn agreed(setup: &Arc<dyn Setup>) -> Option<u8> {
    setup.as_any().downcast_ref::<IpmiSetup>().expect("driver ipmi").agreed_suite()
}

/// The next page of an aspect of the host.
pub async fn page(
    driver: &mut dyn Driver,
    aspect: &Aspect,
    at: Option<Cursor>,
) -> Result<(Vec<Fact>, Option<Cursor>), Fault> {
    let page = driver.observe(aspect, &[Unit::host()], at).await?;
    let facts = page.items.into_iter().map(|(_, fact)| fact).collect::<Result<_, _>>()?;
    Ok((facts, page.next))
}

/// All facts of an aspect. A page that fails is asked for again at most `retries` times.
pub async fn read(driver: &mut dyn Driver, aspect: &Aspect, retries: u32) -> Result<Vec<Fact>, Fault> {
    let (mut at, mut facts, mut left) = (None, Vec::new(), retries);
    for _ in 0..10_000 {
        match page(driver, aspect, at.clone()).await {
            Ok((more, next)) => {
                facts.extend(more);
                at = next;
                if at.is_none() {
                    return Ok(facts);
                }
            }
            Err(_) if left > 0 => left -= 1,
            Err(fault) => return Err(fault),
        }
    }
    Err(Fault::Garbage("endless pages".to_owned()))
}

pub async fn power(driver: &mut dyn Driver) -> Result<PowerState, Fault> {
    match read(driver, &Aspect::Power, 0).await?.as_slice() {
        [Fact::Power(state)] => Ok(*state),
        other => Err(Fault::Garbage(format!("{other:?}"))),
    }
}

pub async fn boot(driver: &mut dyn Driver) -> Result<Option<BootSet>, Fault> {
    match read(driver, &Aspect::Boot, 0).await?.as_slice() {
        [Fact::Boot(boot)] => Ok(*boot),
        other => Err(Fault::Garbage(format!("{other:?}"))),
    }
}

pub async fn inventory(driver: &mut dyn Driver) -> Result<Inventory, Fault> {
    match read(driver, &Aspect::Inventory, 0).await?.as_slice() {
        [Fact::Inventory(inventory)] => Ok((**inventory).clone()),
        other => Err(Fault::Garbage(format!("{other:?}"))),
    }
}

pub async fn log(driver: &mut dyn Driver) -> Result<Vec<LogEntry>, Fault> {
    let facts = read(driver, &Aspect::Log, 0).await?;
    Ok(facts.into_iter().flat_map(|fact| if let Fact::Log(entries) = fact { entries } else { Vec::new() }).collect())
}

pub async fn sensors(driver: &mut dyn Driver, retries: u32) -> Result<Vec<Reading>, Fault> {
    let facts = read(driver, &Aspect::Sensors, retries).await?;
    Ok(facts.into_iter().flat_map(|fact| if let Fact::Sensors(found) = fact { found } else { Vec::new() }).collect())
}

/// One act on the host.
pub async fn act(driver: &mut dyn Driver, act: Act) -> Result<Done, Fault> {
    driver.act(&[(Unit::host(), act)]).await.remove(0)
}

pub async fn switch(driver: &mut dyn Driver, power: PowerAct) -> Result<Done, Fault> {
    act(driver, Act::Power(power)).await
}

/// Whether it was refused for its credentials.
pub fn is_credentials<T>(result: &Result<T, Fault>) -> bool {
    matches!(result, Err(Fault::Refused(Why::Credentials(_))))
}
