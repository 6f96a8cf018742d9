//! Sensors, one exchange a page. Where the service can, all `Sensor` resources of a chassis come in one answer; where it
//! can't, the two legacy resources cost two exchanges and the sensors one each, so the legacy ones go first.

use std::collections::HashSet;

use serde_json::Value;

use super::{driver::RedfishDriver, faults::Failure, site::optional};
use crate::{
    drivers::bmc::Part,
    model::{Cursor, Fact, Fault, Reading},
    wire::redfish::{
        Path,
        sensors::{identifier, power, sensor, thermal},
        value::list,
    },
};

/// Most exchanges of one poll.
const MOST_STEPS: usize = 300;
/// Most readings that are kept.
const MOST_READINGS: usize = 2000;
/// One level of a collection, without the links of its members.
const EXPAND: &str = "$expand=.($levels=1)";

/// An exchange to come. The text is what readings of that chassis are marked with.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Chassis(Path),
    /// A collection, and what to read if it is empty or can't be had.
    Sensors(Path, String, Vec<Step>),
    Sensor(Path, String),
    Thermal(Path, String),
    Power(Path, String),
}

/// A poll under way.
#[derive(Debug, Default)]
pub(super) struct Walk {
    generation: u64,
    steps: Vec<Step>,
    seen: HashSet<String>,
    /// What Chassis lead to: they need not be asked at every poll.
    plan: Vec<Step>,
    /// Expanding takes this BMC longer than anybody waits.
    slow: bool,
}

impl Walk {
    /// What was learnt may have changed.
    pub(super) fn forget(&mut self) {
        self.plan.clear();
    }

    /// After a poll: what led to readings is where the next one begins. Links of collections are found anew.
    fn remember(&mut self) {
        let lasting = |step: &&Step| match step {
            Step::Chassis(_) | Step::Sensor(..) => false,
            Step::Sensors(path, ..) => !(self.slow && path.parts().1 == Some(EXPAND)),
            Step::Thermal(..) | Step::Power(..) => true,
        };
        self.plan = self.steps.iter().filter(lasting).cloned().collect();
    }

    fn add(&mut self, steps: Vec<Step>) {
        for step in steps {
            // What was remembered is found again.
            if self.steps.len() < MOST_STEPS && !self.steps.contains(&step) {
                self.steps.push(step);
            }
        }
    }

    /// Identifiers are unique among all chassis of the machine.
    fn keep(&mut self, mark: &str, readings: Vec<Reading>) -> Vec<Reading> {
        let room = MOST_READINGS.saturating_sub(self.seen.len());
        let mut kept = Vec::new();
        for mut reading in readings.into_iter().take(room) {
            let plain = if mark.is_empty() { reading.id } else { format!("{mark}.{}", reading.id) };
            let mut id = plain.clone();
            let mut number = 2;
            while !self.seen.insert(id.clone()) {
                id = format!("{plain}-{number}");
                number += 1;
            }
            reading.id = id;
            kept.push(reading);
        }
        kept
    }
}

impl RedfishDriver {
    /// One exchange of a poll of all sensors.
    pub(super) async fn read_sensors(&mut self, at: Option<Cursor>) -> Result<Part, Fault> {
        let at = at.map(|cursor| cursor.0).unwrap_or_default();
        let index = match at.as_slice() {
            [generation, index] if *generation == self.walk.generation => usize::try_from(*index).unwrap_or(0),
            _ => {
                let chassis = self.site().await?.chassis.clone();
                let walk = &mut self.walk;
                walk.generation += 1;
                walk.seen.clear();
                walk.steps.clone_from(&walk.plan);
                if walk.steps.is_empty() {
                    walk.steps = chassis.into_iter().map(Step::Chassis).collect();
                }
                0
            }
        };
        let Some(step) = self.walk.steps.get(index).cloned() else {
            return Ok((Some(Fact::Sensors(Vec::new())), None));
        };
        let readings = self.take(step).await?;
        let next = index + 1;
        if next < self.walk.steps.len() {
            let next = u64::try_from(next).unwrap_or(u64::MAX);
            let next = Cursor(vec![self.walk.generation, next]);
            return Ok((Some(Fact::Sensors(readings)), Some(next)));
        }
        self.walk.remember();
        Ok((Some(Fact::Sensors(readings)), None))
    }

    async fn take(&mut self, step: Step) -> Result<Vec<Reading>, Fault> {
        let path = match &step {
            Step::Chassis(path)
            | Step::Sensors(path, ..)
            | Step::Sensor(path, _)
            | Step::Thermal(path, _)
            | Step::Power(path, _) => path,
        };
        let body = match optional(&mut self.session, path).await {
            Err(Failure::Silence(why)) if path.parts().1 == Some(EXPAND) => {
                tracing::debug!(%path, why, "sensors are read without expanding them");
                self.walk.slow = true;
                Value::Null
            }
            other => other.map_err(Failure::into_fault)?.unwrap_or_default(),
        };
        Ok(match step {
            Step::Chassis(path) => {
                self.follow_chassis(&path, &body);
                Vec::new()
            }
            Step::Sensors(path, mark, instead) => {
                let readings = self.follow_collection(&path, &mark, &body, instead);
                self.walk.keep(&mark, readings)
            }
            Step::Sensor(_, mark) => self.walk.keep(&mark, sensor(&body).into_iter().collect()),
            Step::Thermal(_, mark) => self.walk.keep(&mark, thermal(&body)),
            Step::Power(_, mark) => self.walk.keep(&mark, power(&body)),
        })
    }

    fn follow_chassis(&mut self, path: &Path, body: &Value) {
        let (expand, several) = self.known.as_ref().map_or((false, false), |s| (s.expand, s.chassis.len() > 1));
        let expand = expand && !self.walk.slow;
        let mark = if several { identifier(path.last()) } else { String::new() };
        let thermal = Path::at(body, "Thermal").map(|path| Step::Thermal(path, mark.clone()));
        let power = Path::at(body, "Power").map(|path| Step::Power(path, mark.clone()));
        let legacy: Vec<Step> = thermal.into_iter().chain(power).collect();
        match Path::at(body, "Sensors") {
            Some(all) if expand => self.walk.add(vec![Step::Sensors(all.with_query(EXPAND), mark, legacy)]),
            Some(all) if legacy.is_empty() => self.walk.add(vec![Step::Sensors(all, mark, legacy)]),
            _ => self.walk.add(legacy),
        }
    }

    fn follow_collection(&mut self, path: &Path, mark: &str, body: &Value, instead: Vec<Step>) -> Vec<Reading> {
        let (mut readings, mut steps) = (Vec::new(), Vec::new());
        for member in list(body, "Members") {
            match sensor(member) {
                Some(reading) => readings.push(reading),
                // It was not expanded.
                None => steps.extend(Path::in_link(member).map(|path| Step::Sensor(path, mark.to_owned()))),
            }
        }
        let next =
            Path::at(body, "Members@odata.nextLink").map(|path| Step::Sensors(path, mark.to_owned(), Vec::new()));
        match (readings.is_empty() && steps.is_empty(), path.parts().1) {
            (true, Some(EXPAND)) if instead.is_empty() => {
                let (path, mark) = (Path::of(path.parts().0), mark.to_owned());
                steps.extend(path.map(|path| Step::Sensors(path, mark, Vec::new())));
            }
            (true, _) => steps.extend(instead),
            _ => {}
        }
        steps.extend(next);
        self.walk.add(steps);
        readings
    }
}
