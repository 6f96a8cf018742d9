//! The conversation: one command a unit.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    commands::{Told, filled},
    settings::{Settings, Status},
};
use crate::{
    drivers::Driver,
    model::{
        Act, ActKind, ActSet, Aspect, AspectKind, AspectSet, BootCaps, Caps, Cursor, Done, Fact, Fault, Page, PowerAct,
        PowerState, Proof, Unit, Why,
    },
    process::{self, Ended, Environment, RunError},
};

/// What each unit can do.
pub(super) fn caps(settings: &Settings) -> Caps {
    let mut acts = ActSet::of(&[ActKind::On, ActKind::Off]);
    if settings.cycle.is_some() {
        acts = acts.with(ActKind::Cycle);
    }
    let (aspects, proof) = match &settings.status {
        Some(status) => (AspectSet::of(&[AspectKind::Power]), Proof::ReadBack { within: status.confirm_within }),
        None => (AspectSet::default(), Proof::None),
    };
    Caps { acts, aspects, boot: BootCaps::default(), proof, batch: 1 }
}

/// A conversation with what the commands reach.
pub(super) struct Conversation(Arc<Settings>);

impl Conversation {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self(settings)
    }

    fn no_such_unit(&self, unit: &Unit) -> Fault {
        Fault::NoSuchUnit(format!("{unit} is not among the `units` of {}", self.0))
    }

    async fn run(&self, argv: &[String], unit: &Unit) -> Result<Ended, RunError> {
        let argv = filled(argv, unit, self.0.address.as_deref());
        process::run(&argv, Environment::Only(&self.0.environment), self.0.timeout).await
    }

    async fn switch(&self, unit: &Unit, act: &Act) -> Result<Done, Fault> {
        if !self.0.units.contains(unit) {
            return Err(self.no_such_unit(unit));
        }
        let (word, argv) = match (act, &self.0.cycle) {
            (Act::Power(PowerAct::On), _) => ("on", &self.0.on),
            (Act::Power(PowerAct::Off), _) => ("off", &self.0.off),
            // How long it stays off is the command's own business.
            (Act::Power(PowerAct::Cycle { .. }), Some(cycle)) => ("cycle", cycle),
            _ => return Err(Fault::Unsupported(format!("there is no command for {:?} of {unit}", act.kind()))),
        };
        let ended = self.run(argv, unit).await.map_err(|error| match error {
            RunError::Empty | RunError::NotStarted { .. } => Fault::NotSent(error.to_string()),
            RunError::TimedOut { .. } | RunError::Lost { .. } => {
                Fault::Uncertain(format!("`{word}` of {unit}: {error}"))
            }
        })?;
        match ended.status.code() {
            Some(0) => Ok(Done::Accepted),
            Some(_) => Err(Fault::Refused(Why::Rejected(complaint(word, unit, argv, &ended)))),
            // Somebody has killed it: it may have done its work before.
            None => Err(Fault::Uncertain(complaint(word, unit, argv, &ended))),
        }
    }

    /// A status that fails or hangs is a fault of its unit: the next one may tell.
    async fn power(&self, status: &Status, unit: &Unit) -> Result<PowerState, Fault> {
        if !self.0.units.contains(unit) {
            return Err(self.no_such_unit(unit));
        }
        let ended = self.run(&status.command, unit).await.map_err(|error| match error {
            RunError::Empty | RunError::NotStarted { .. } => Fault::NotSent(error.to_string()),
            RunError::TimedOut { .. } | RunError::Lost { .. } => {
                Fault::Unreachable(format!("`status` of {unit}: {error}"))
            }
        })?;
        let said = || complaint("status", unit, &status.command, &ended);
        let Some(code) = ended.status.code() else { return Err(Fault::Garbage(said())) };
        let rejected = || Fault::Refused(Why::Rejected(said()));
        match &status.told {
            Told::Codes { .. } => status.told.by_code(code).ok_or_else(rejected),
            Told::Lines { .. } if code != 0 => Err(rejected()),
            Told::Lines { .. } => status.told.by_output(&ended.out).ok_or_else(|| {
                let out = String::from_utf8_lossy(&ended.out);
                let shown: String = out.trim().chars().filter(|c| !c.is_control()).take(200).collect();
                Fault::Garbage(format!("`status` of {unit} says {shown:?}: neither on nor off"))
            }),
        }
    }
}

/// `off of 3: /usr/bin/relay ended with exit status: 3: no such relay`. The arguments are left out: they are the
/// site's, and may hold more than people should see.
fn complaint(word: &str, unit: &Unit, argv: &[String], ended: &Ended) -> String {
    let program = argv.first().map(String::as_str).unwrap_or_default();
    format!("`{word}` of {unit}: {program} ended with {}: {}", ended.status, ended.complaint())
}

#[async_trait]
impl Driver for Conversation {
    async fn open(&mut self) -> Result<Vec<(Unit, Caps)>, Fault> {
        let caps = caps(&self.0);
        Ok(self.0.units.iter().map(|unit| (unit.clone(), caps.clone())).collect())
    }

    /// One unit a page: each is a command, and what is more urgent may go between two of them.
    async fn observe(&mut self, aspect: &Aspect, units: &[Unit], at: Option<Cursor>) -> Result<Page, Fault> {
        let Some(status) = self.0.status.as_ref().filter(|_| *aspect == Aspect::Power) else {
            let why = match aspect {
                Aspect::Power => "there is no `status` command".to_owned(),
                _ => format!("commands tell no {:?}", aspect.kind()),
            };
            return Err(Fault::Unsupported(why));
        };
        let units = if units.is_empty() { &self.0.units } else { units };
        let place = at.and_then(|c| c.0.first().copied()).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let Some(unit) = units.get(place) else { return Ok(Page { items: Vec::new(), next: None }) };
        let state = self.power(status, unit).await;
        let next = place + 1;
        let next = (next < units.len()).then(|| Cursor(vec![u64::try_from(next).unwrap_or(u64::MAX)]));
        Ok(Page { items: vec![(unit.clone(), state.map(Fact::Power))], next })
    }

    async fn act(&mut self, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
        let mut results = Vec::with_capacity(acts.len());
        for (unit, act) in acts {
            results.push(self.switch(unit, act).await);
        }
        results
    }

    async fn close(&mut self) {}
}
