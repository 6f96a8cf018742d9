//! Reading the SDR repository, one exchange at a time, and keeping what was read.

use std::sync::Arc;

use super::{faults::Failure, session::Session};
use crate::{
    model::{Fault, Thresholds},
    wire::ipmi::{
        command::{GetSdr, GetSdrRepositoryInfo, GetSensorThresholds, Repository as From, RepositoryInfo, ReserveSdr},
        sdr::{HEADER, Record, RecordHeader, Sensor},
    },
};

/// Pieces of records are at most this long: more does not fit into the messages of some BMCs.
const PIECE: u8 = 16;
/// Records beyond this are not read: no repository comes near, only broken chains do.
const MAX_RECORDS: u32 = 4096;
/// So often a walk begins anew because the repository changed under it.
const MAX_RESTARTS: u8 = 8;

/// A sensor as it is polled: with its limits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Polled {
    pub(super) sensor: Sensor,
    pub(super) thresholds: Thresholds,
    /// Id of its readings.
    pub(super) id: String,
}

/// The sensors of a BMC, and how far reading them has got.
#[derive(Debug, Default)]
pub(super) struct Repository {
    /// Those of the last complete walk.
    pub(super) sensors: Arc<[Polled]>,
    known: Option<(From, RepositoryInfo)>,
    walk: Option<Walk>,
}

#[derive(Debug)]
struct Walk {
    from: From,
    info: RepositoryInfo,
    step: Step,
    sensors: Vec<Polled>,
    records: u32,
    restarts: u8,
    piece: u8,
}

#[derive(Debug)]
enum Step {
    Reserve,
    /// The record's next piece goes behind `data`; with less than a header in it, its length is not known yet.
    Record {
        reservation: u16,
        record: u16,
        data: Vec<u8>,
    },
    /// Limits of the sensor of that index.
    Limits(usize),
}

/// How far one exchange got.
pub(super) enum Progress {
    /// Go on.
    More,
    /// The sensors are known and as new as the repository.
    Ready,
}

impl Repository {
    /// Whether a walk is under way.
    pub(super) fn is_walking(&self) -> bool {
        self.walk.is_some()
    }

    /// Name of a sensor by its number, if the repository was read.
    pub(super) fn name(&self, number: u8) -> Option<&str> {
        let found = self.sensors.iter().find(|polled| polled.sensor.which.number == number)?;
        Some(&found.sensor.name)
    }

    /// Asks whether the repository has changed; if so, begins a walk.
    pub(super) async fn check(&mut self, session: &mut Session, device_sdrs: bool) -> Result<Progress, Fault> {
        let from = self.known.map_or(From::Shared, |(from, _)| from);
        let (from, info) = match session.run(GetSdrRepositoryInfo { from }).await {
            Ok(info) => (from, info),
            // No repository: perhaps the sensors have their own records.
            Err(failure) if failure.is_absence() && from == From::Shared && device_sdrs => {
                let from = From::Device;
                match session.run(GetSdrRepositoryInfo { from }).await {
                    Ok(info) => (from, info),
                    Err(failure) if failure.is_absence() => return Ok(self.nothing()),
                    Err(failure) => return Err(failure.into_fault()),
                }
            }
            Err(failure) if failure.is_absence() => return Ok(self.nothing()),
            Err(failure) => return Err(failure.into_fault()),
        };
        if self.known == Some((from, info)) {
            return Ok(Progress::Ready);
        }
        if info.records == 0 {
            self.known = Some((from, info));
            return Ok(self.nothing());
        }
        // A walk that a lost packet interrupted goes on where it was: a long repository would never be read on a
        // bad line otherwise. Should the reservation be gone, the BMC says so.
        if self.walk.as_ref().is_some_and(|walk| (walk.from, walk.info) == (from, info)) {
            return Ok(Progress::More);
        }
        let step = Step::Reserve;
        self.walk = Some(Walk { from, info, step, sensors: Vec::new(), records: 0, restarts: 0, piece: PIECE });
        Ok(Progress::More)
    }

    fn nothing(&mut self) -> Progress {
        self.sensors = Arc::from([]);
        Progress::Ready
    }

    /// One exchange of the walk. A failed one may simply be repeated.
    pub(super) async fn step(&mut self, session: &mut Session) -> Result<Progress, Fault> {
        let Some(walk) = &mut self.walk else { return Ok(Progress::Ready) };
        let over = match walk.step {
            Step::Reserve => walk.reserve(session).await?,
            Step::Record { .. } => walk.piece(session).await?,
            Step::Limits(index) => walk.limits(session, index).await?,
        };
        if !over {
            return Ok(Progress::More);
        }
        if let Some(walk) = self.walk.take() {
            self.known = Some((walk.from, walk.info));
            self.sensors = pool::shared(with_ids(walk.sensors));
        }
        Ok(Progress::Ready)
    }
}

impl Walk {
    async fn reserve(&mut self, session: &mut Session) -> Result<bool, Fault> {
        let reservation = match session.run(ReserveSdr { from: self.from }).await {
            Ok(reservation) => reservation,
            // Without reservations, 0 will do for whole records and, on such BMCs, for pieces too.
            Err(failure) if failure.is_absence() => 0,
            Err(failure) => return Err(failure.into_fault()),
        };
        self.step = Step::Record { reservation, record: 0, data: Vec::new() };
        Ok(false)
    }

    async fn piece(&mut self, session: &mut Session) -> Result<bool, Fault> {
        let Step::Record { reservation, record, data, .. } = &mut self.step else { return Ok(true) };
        let (reservation, record) = (*reservation, *record);
        let whole = RecordHeader::decode(data).ok().map(|header| HEADER + usize::from(header.length));
        let missing = whole.map_or(HEADER, |whole| whole.saturating_sub(data.len()));
        // A header is short enough for every BMC and is never cut.
        let limit = if whole.is_some() { self.piece } else { PIECE };
        let count = u8::try_from(missing).unwrap_or(u8::MAX).min(limit);
        let offset = u8::try_from(data.len()).unwrap_or(u8::MAX);
        let request = GetSdr { from: self.from, reservation, record, offset, count };
        let piece = match session.run(request).await {
            Ok(piece) => piece,
            Err(Failure::Code(0xc5)) => return self.restart(),
            Err(Failure::Code(0xca | 0xc8 | 0xff)) if self.piece > 1 => {
                self.piece /= 2;
                return Ok(false);
            }
            Err(failure) if failure.is_absence() && record == 0 => return Ok(true),
            Err(failure) => return Err(failure.into_fault()),
        };
        if piece.data.is_empty() {
            return Err(Fault::Garbage(format!("empty piece of sensor data record {record}")));
        }
        data.extend(piece.data.iter().take(usize::from(count)));
        let Ok(header) = RecordHeader::decode(data) else { return Ok(false) };
        let complete = data.len() >= HEADER + usize::from(header.length);
        if header.wanted() && !complete {
            return Ok(false);
        }
        if complete && header.wanted() {
            match Record::decode(data) {
                Ok(Record::Sensors(sensors)) => self.sensors.extend(sensors.into_iter().filter_map(polled)),
                Ok(Record::Locator(_) | Record::Other(_)) => {}
                Err(error) => tracing::debug!(record, %error, "skipped a sensor data record"),
            }
        }
        self.records += 1;
        let next = piece.next;
        if next == 0xffff || next == record || self.records >= MAX_RECORDS {
            self.step = Step::Limits(0);
        } else {
            self.step = Step::Record { reservation, record: next, data: Vec::new() };
        }
        Ok(matches!(self.step, Step::Limits(_)) && self.next_limits(0).is_none())
    }

    /// The repository changed: everything from the start, a bounded number of times.
    fn restart(&mut self) -> Result<bool, Fault> {
        self.restarts += 1;
        self.sensors.clear();
        self.records = 0;
        self.step = Step::Reserve;
        if self.restarts > MAX_RESTARTS {
            self.restarts = 0;
            return Err(Fault::Busy {
                reason: "the sensor data repository keeps changing while it is read".to_owned(),
                retry_after: None,
            });
        }
        Ok(false)
    }

    /// The first sensor from `index` on that has limits to read.
    fn next_limits(&self, index: usize) -> Option<usize> {
        (index..self.sensors.len()).find(|index| {
            self.sensors
                .get(*index)
                .and_then(|polled| polled.sensor.analog)
                .is_some_and(|analog| analog.limits.readable != 0)
        })
    }

    /// Limits that were changed since the records were written are only told by the sensor.
    async fn limits(&mut self, session: &mut Session, index: usize) -> Result<bool, Fault> {
        let Some(index) = self.next_limits(index) else { return Ok(true) };
        let Some(polled) = self.sensors.get_mut(index) else { return Ok(true) };
        let which = polled.sensor.which;
        match session.run_at(which.lun(), GetSensorThresholds { number: which.number }, 1).await {
            Ok(mut raw) => {
                if let Some(analog) = &polled.sensor.analog {
                    raw.readable &= analog.limits.readable;
                    polled.thresholds = analog.thresholds(&raw);
                }
            }
            Err(failure) if failure.is_answer() => {}
            Err(failure) => return Err(failure.into_fault()),
        }
        self.step = Step::Limits(index + 1);
        Ok(self.next_limits(index + 1).is_none())
    }
}

/// A sensor of the BMC itself; those of other controllers would have to be bridged to.
fn polled(sensor: Sensor) -> Option<Polled> {
    if !sensor.which.is_bmc() {
        tracing::debug!(name = sensor.name, owner = sensor.which.owner, "skipped a sensor behind another controller");
        return None;
    }
    let thresholds = sensor.analog.map(|analog| analog.thresholds(&analog.limits)).unwrap_or_default();
    Some(Polled { sensor, thresholds, id: String::new() })
}

/// Machines of one model have the same sensors: they are kept once.
mod pool {
    use std::{
        collections::HashMap,
        hash::{DefaultHasher, Hash, Hasher},
        sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
    };

    use super::Polled;

    /// Lists that look alike but differ in a limit or two; more of them are not shared.
    const ALIKE: usize = 16;

    type Lists = HashMap<u64, Vec<Weak<[Polled]>>>;

    static LISTS: LazyLock<Mutex<Lists>> = LazyLock::new(Mutex::default);

    /// `sensors`, or the equal list that another BMC already has.
    pub(super) fn shared(sensors: Vec<Polled>) -> Arc<[Polled]> {
        let mut hasher = DefaultHasher::new();
        for polled in &sensors {
            (&polled.id, polled.sensor.which, polled.sensor.entity).hash(&mut hasher);
        }
        let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = lists.entry(hasher.finish()).or_default();
        alike.retain(|list| list.strong_count() > 0);
        if let Some(same) = alike.iter().filter_map(Weak::upgrade).find(|list| **list == *sensors) {
            return same;
        }
        let list: Arc<[Polled]> = sensors.into();
        if alike.len() < ALIKE {
            alike.push(Arc::downgrade(&list));
        }
        list
    }
}

/// Gives every sensor an id made of its name; where two have the same, the sensor number tells them apart.
fn with_ids(mut sensors: Vec<Polled>) -> Vec<Polled> {
    let slugs: Vec<String> = sensors.iter().map(|polled| slug(&polled.sensor.name)).collect();
    for (index, polled) in sensors.iter_mut().enumerate() {
        let which = polled.sensor.which;
        let slug = slugs.get(index).map_or("", String::as_str);
        let unique = !slug.is_empty() && slugs.iter().filter(|other| *other == slug).count() == 1;
        polled.id = match (unique, which.lun()) {
            (true, _) => slug.to_owned(),
            (false, 0) => format!("{}{}", if slug.is_empty() { "sensor" } else { slug }, suffix(which.number)),
            (false, lun) => format!("{slug}{}-lun{lun}", suffix(which.number)),
        };
    }
    sensors
}

fn suffix(number: u8) -> String {
    format!("-{number}")
}

/// Lower case, `_` for everything that is no letter or digit, at most 64 characters.
pub(super) fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().take(64) {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
    }
    out.trim_end_matches('_').to_owned()
}
