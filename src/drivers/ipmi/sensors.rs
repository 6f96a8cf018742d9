//! Sensors: a page checks the repository, reads a piece of it, or reads one sensor.

use std::sync::Arc;

use super::{
    driver::IpmiDriver,
    faults::Failure,
    repository::{Polled, Progress},
};
use crate::{
    drivers::bmc::Part,
    model::{Cursor, Fact, Fault, Measure, Reading, ReadingState, Thresholds},
    wire::ipmi::command::{GetDcmiPowerReading, GetSensorReading, GetSensorReadingFactors, RawReading},
};

/// Steps of a cursor.
const WALK: u64 = 1;
const READ: u64 = 2;
const FACTORS: u64 = 3;
const DCMI: u64 = 4;

impl IpmiDriver {
    /// One exchange of a poll of all sensors.
    pub(super) async fn read_sensors(&mut self, at: Option<Cursor>) -> Result<Part, Fault> {
        let at = at.map(|cursor| cursor.0).unwrap_or_default();
        match at.as_slice() {
            [WALK] if self.sensors.is_walking() => {
                let (sensors, session) = self.with_session().await?;
                match sensors.step(session).await? {
                    Progress::More => Ok((None, Some(Cursor(vec![WALK])))),
                    Progress::Ready => Ok((None, self.after(None))),
                }
            }
            [READ, index] => self.read_sensor(*index).await,
            [FACTORS, index, value, states] => self.read_with_factors(*index, *value, *states).await,
            [DCMI] => self.read_dcmi().await,
            // The start, or the cursor of a walk that is gone.
            _ => {
                let device_sdrs = self.device.is_some_and(|device| device.device_sdrs);
                let (sensors, session) = self.with_session().await?;
                match sensors.check(session, device_sdrs).await? {
                    Progress::More => Ok((None, Some(Cursor(vec![WALK])))),
                    Progress::Ready => match self.after(None) {
                        None => Ok((Some(Fact::Sensors(Vec::new())), None)),
                        next => Ok((None, next)),
                    },
                }
            }
        }
    }

    /// What comes after the sensor of `index`; `None` before the first.
    fn after(&self, index: Option<usize>) -> Option<Cursor> {
        let next = index.map_or(0, |index| index + 1);
        if next < self.sensors.sensors.len() {
            return Some(Cursor(vec![READ, u64::try_from(next).unwrap_or(u64::MAX)]));
        }
        self.dcmi()
    }

    fn dcmi(&self) -> Option<Cursor> {
        (!self.no_dcmi).then(|| Cursor(vec![DCMI]))
    }

    /// The list stays as it is while one of its sensors is read.
    fn list(&self) -> Arc<[Polled]> {
        Arc::clone(&self.sensors.sensors)
    }

    async fn read_sensor(&mut self, index: u64) -> Result<Part, Fault> {
        let (at, list) = (usize::try_from(index).unwrap_or(usize::MAX), self.list());
        let Some(polled) = list.get(at) else { return Ok((None, self.dcmi())) };
        let which = polled.sensor.which;
        let session = self.session().await?;
        let raw = match session.run_at(which.lun(), GetSensorReading { number: which.number }, 1).await {
            Ok(raw) => raw,
            // A part that is not there, or a record without a sensor.
            Err(failure) if failure.is_absence() => {
                RawReading { value: 0, scanning: false, unavailable: true, states: 0 }
            }
            Err(failure) => return Err(failure.into_fault()),
        };
        let analog = polled.sensor.analog;
        if analog.is_some_and(|analog| analog.asks_for_factors()) && raw.available().is_some() {
            let cursor = vec![FACTORS, index, raw.value.into(), raw.states.into()];
            return Ok((None, Some(Cursor(cursor))));
        }
        let value = raw.available().and_then(|value| analog?.value(value));
        Ok((Some(Fact::Sensors(vec![reading(polled, raw, value)])), self.after(Some(at))))
    }

    async fn read_with_factors(&mut self, index: u64, value: u64, states: u64) -> Result<Part, Fault> {
        let (at, list) = (usize::try_from(index).unwrap_or(usize::MAX), self.list());
        let Some(polled) = list.get(at) else { return Ok((None, self.dcmi())) };
        let which = polled.sensor.which;
        let raw = RawReading {
            value: u8::try_from(value).unwrap_or(0),
            scanning: true,
            unavailable: false,
            states: u16::try_from(states).unwrap_or(0),
        };
        let command = GetSensorReadingFactors { number: which.number, reading: raw.value };
        let value = match self.session().await?.run_at(which.lun(), command, 1).await {
            Ok(factors) => polled.sensor.analog.and_then(|analog| analog.value_by(&factors, raw.value)),
            Err(failure) if failure.is_absence() => None,
            Err(failure) => return Err(failure.into_fault()),
        };
        Ok((Some(Fact::Sensors(vec![reading(polled, raw, value)])), self.after(Some(at))))
    }

    async fn read_dcmi(&mut self) -> Result<Part, Fault> {
        let power = match self.session().await?.run(GetDcmiPowerReading {}).await {
            Ok(power) => power,
            Err(failure) if failure.is_answer() && !matches!(failure, Failure::Code(0xc0)) => {
                self.no_dcmi = matches!(failure, Failure::Code(0xc1 | 0xc2 | 0xd6));
                return Ok((None, None));
            }
            Err(failure) => return Err(failure.into_fault()),
        };
        let reading = Reading {
            id: "power".to_owned(),
            name: "System power".to_owned(),
            measure: Measure::Power,
            value: power.active.then(|| power.now.into()),
            state: ReadingState::Ok,
            thresholds: Thresholds::default(),
            range: None,
            number: None,
            context: Some("PowerSubsystem".to_owned()),
        };
        Ok((Some(Fact::Sensors(vec![reading])), None))
    }
}

fn reading(polled: &Polled, raw: RawReading, value: Option<f64>) -> Reading {
    let sensor = &polled.sensor;
    Reading {
        id: polled.id.clone(),
        name: sensor.name.clone(),
        measure: sensor.analog.map_or(Measure::Other, |analog| analog.converted.measure),
        value,
        state: sensor.judge(&raw),
        thresholds: polled.thresholds,
        range: sensor.analog.and_then(|analog| analog.range()),
        number: Some(sensor.which.number.into()),
        context: sensor.context().map(str::to_owned),
    }
}
