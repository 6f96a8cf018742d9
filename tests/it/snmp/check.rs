//! Reporting checks line by line, and talking to the driver as the fleet does.

use std::{
    fmt::Debug,
    net::SocketAddr,
    time::{Duration, Instant},
};

use rackfish::{
    drivers::{self, Driver},
    model::{Act, Aspect, Done, Fact, Fault, Inventory, PowerAct, PowerState, Reading, Unit, Why},
};

/// What a check came to: nothing, or why it failed.
pub type Checked = Result<(), String>;

/// The results of one peer.
pub struct Checks {
    prefix: String,
    failed: Vec<String>,
}

impl Checks {
    /// Checks whose names begin with `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), failed: Vec::new() }
    }

    /// Reports a check.
    pub fn report(&mut self, name: &str, result: Checked) {
        let name = format!("{}.{name}", self.prefix);
        match result {
            // libtest leaves its own line open.
            Ok(()) => println!("\nok {name}"),
            Err(reason) => {
                println!("\nnot ok {name}: {}", reason.replace('\n', " "));
                self.failed.push(name);
            }
        }
    }

    /// Fails the test if a check failed.
    pub fn finish(self) {
        assert!(self.failed.is_empty(), "failed: {}", self.failed.join(", "));
    }
}

/// The address that the suite's script gives in `variable`.
pub fn peer(variable: &str) -> SocketAddr {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} names the peer")).parse().expect("address and port")
}

/// `Err` with both values if they differ.
pub fn same<T: PartialEq + Debug>(found: &T, expected: &T) -> Checked {
    if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
}

/// `Err` with `what` unless it holds.
pub fn holds(condition: bool, what: &str) -> Checked {
    if condition { Ok(()) } else { Err(what.to_owned()) }
}

/// An outlet: `7`, or `"0.7"` where families number units too.
pub trait Outlet: Copy + std::fmt::Display {
    fn unit(self) -> Unit {
        Unit::new(&self.to_string()).unwrap()
    }
}
impl Outlet for u32 {}
impl Outlet for &str {}

/// A conversation with one PDU.
pub struct Pdu(pub Box<dyn Driver>);

impl Pdu {
    /// A driver with these settings, not opened.
    pub fn closed(address: SocketAddr, settings: &str) -> Self {
        let place = format!("address = '{}'\nport = {}\n{settings}", address.ip(), address.port());
        let table: toml::Table = place.parse().expect("TOML");
        let setup = (drivers::find("snmp-pdu").expect("registered").parse)(&table);
        Self(setup.unwrap_or_else(|e| panic!("{place}: {e:?}")).connect())
    }

    /// The same, opened.
    pub async fn open(address: SocketAddr, settings: &str) -> Result<Self, String> {
        let mut pdu = Self::closed(address, settings);
        pdu.0.open().await.map_err(text)?;
        Ok(pdu)
    }

    /// All pages of an aspect.
    pub async fn all(&mut self, aspect: Aspect, units: &[Unit]) -> Result<Vec<(Unit, Result<Fact, Fault>)>, String> {
        let (mut items, mut at) = (Vec::new(), None);
        for _ in 0..500 {
            let page = self.0.observe(&aspect, units, at).await.map_err(text)?;
            items.extend(page.items);
            at = page.next;
            if at.is_none() {
                return Ok(items);
            }
        }
        Err("pages without end".to_owned())
    }

    /// The state; `Ok(Err)` when the outlet, and no more than that, can't be read.
    async fn look(&mut self, outlet: impl Outlet) -> Result<Result<PowerState, Fault>, String> {
        match self.all(Aspect::Power, &[outlet.unit()]).await?.pop() {
            Some((_, Ok(Fact::Power(state)))) => Ok(Ok(state)),
            Some((_, Err(fault))) => Ok(Err(fault)),
            other => Err(format!("outlet {outlet}: {other:?}")),
        }
    }

    pub async fn power(&mut self, outlet: impl Outlet) -> Result<PowerState, String> {
        self.look(outlet).await?.map_err(|fault| format!("outlet {outlet}: {}", text(fault)))
    }

    pub async fn try_switch(&mut self, outlet: impl Outlet, act: PowerAct) -> Result<Done, Fault> {
        self.0.act(&[(outlet.unit(), Act::Power(act))]).await.remove(0)
    }

    pub async fn switch(&mut self, outlet: impl Outlet, act: PowerAct) -> Checked {
        self.try_switch(outlet, act).await.map(drop).map_err(text)
    }

    /// Reads until the outlet is in `state`. One that says that it is changing is asked again.
    pub async fn wait(&mut self, outlet: impl Outlet, state: PowerState) -> Checked {
        let begun = Instant::now();
        loop {
            let is = self.look(outlet).await?;
            if is == Ok(state) {
                return Ok(());
            }
            if begun.elapsed() > Duration::from_secs(8) || !matches!(is, Ok(_) | Err(Fault::Busy { .. })) {
                return Err(format!("outlet {outlet} is still {is:?}"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn readings(&mut self, unit: &str) -> Result<Vec<Reading>, String> {
        let items = self.all(Aspect::Sensors, &[Unit::new(unit).unwrap()]).await?;
        let mut readings = Vec::new();
        for (_, fact) in items {
            match fact {
                Ok(Fact::Sensors(more)) => readings.extend(more),
                other => return Err(format!("{other:?}")),
            }
        }
        Ok(readings)
    }

    pub async fn inventory(&mut self) -> Result<Inventory, String> {
        match self.all(Aspect::Inventory, &[Unit::new("pdu").unwrap()]).await?.pop() {
            Some((_, Ok(Fact::Inventory(inventory)))) => Ok(*inventory),
            other => Err(format!("{other:?}")),
        }
    }
}

/// Off and on again, read back, with a neighbour that stays as it is.
pub async fn off_and_on(address: SocketAddr, settings: &str, outlet: u32) -> Checked {
    off_and_on_beside(address, settings, outlet, outlet + 1).await
}

/// The same where the neighbour has another kind of number.
pub async fn off_and_on_beside(
    address: SocketAddr,
    settings: &str,
    outlet: impl Outlet,
    neighbour: impl Outlet,
) -> Checked {
    let mut pdu = Pdu::open(address, settings).await?;
    pdu.switch(outlet, PowerAct::On).await?;
    pdu.wait(outlet, PowerState::On).await?;
    pdu.switch(outlet, PowerAct::Off).await?;
    pdu.wait(outlet, PowerState::Off).await?;
    same(&pdu.power(neighbour).await?, &PowerState::On)?;
    pdu.switch(outlet, PowerAct::On).await?;
    pdu.wait(outlet, PowerState::On).await
}

/// A fault as text.
#[allow(clippy::needless_pass_by_value)] // `map_err` wants it so
pub fn text(fault: Fault) -> String {
    format!("{fault} ({fault:?})")
}

/// Opening has to end in refused credentials that mention `hint`.
pub async fn credentials(address: SocketAddr, settings: &str, hint: &str) -> Checked {
    match Pdu::closed(address, settings).0.open().await {
        Err(Fault::Refused(Why::Credentials(why))) if why.contains(hint) => Ok(()),
        other => Err(format!("{other:?} instead of refused credentials with {hint:?}")),
    }
}

/// Opening has to end in silence, and the message to mention `hint`.
pub async fn silence(address: SocketAddr, settings: &str, hint: &str) -> Checked {
    match Pdu::closed(address, settings).0.open().await {
        Err(Fault::Unreachable(why)) if why.contains(hint) => Ok(()),
        other => Err(format!("{other:?} instead of unreachable with {hint:?}")),
    }
}
