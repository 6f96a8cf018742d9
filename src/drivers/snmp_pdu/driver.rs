//! The conversation with one PDU.

use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    convert::{is_measured, number, power_state, reading, refused_set, text},
    family::{self, Family, Index, MAX_OUTLETS, Outlets},
    reader::{Reader, walk},
    session::{Ask, Right, Session},
    settings::Settings,
};
use crate::{
    drivers::Driver,
    model::{
        Act, ActKind, ActSet, Aspect, AspectKind, AspectSet, BootCaps, Caps, Cursor, Done, Fact, Fault, Inventory,
        Page, PowerAct, Proof, Unit,
    },
    wire::snmp::{Oid, PduKind, Value, Version, status},
};

/// The unit that stands for the device itself: its totals and its identity.
pub const DEVICE_UNIT: &str = "pdu";
/// What every agent has (RFC 3418).
const SYS_OBJECT_ID: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 2, 0];
/// sysUpTime.0, hundredths of a second since the agent started (RFC 3418).
const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3, 0];
/// What a unit of the family can do. `metered`: whether outlets (or the device) have readings.
pub(super) fn caps(family: &Family, unit: &Unit, metered: bool) -> Caps {
    let mut aspects = if metered { AspectSet::of(&[AspectKind::Sensors]) } else { AspectSet::default() };
    if unit.as_str() == DEVICE_UNIT {
        aspects = aspects.with(AspectKind::Inventory).with(AspectKind::Units);
        return Caps { acts: ActSet::default(), aspects, boot: BootCaps::default(), proof: Proof::None, batch: 1 };
    }
    let outlets = &family.outlets;
    let proof = match outlets.status {
        Some(_) => {
            aspects = aspects.with(AspectKind::Power);
            Proof::ReadBack { within: outlets.confirm_within }
        }
        None => Proof::None,
    };
    let acts = ActSet::of(&[ActKind::On, ActKind::Off]);
    Caps { acts, aspects, boot: BootCaps::default(), proof, batch: outlets.batch }
}

/// A conversation with one PDU.
pub(super) struct Conversation {
    settings: Arc<Settings>,
    session: Session,
    reader: Reader,
    /// Found by `open`.
    places: Places,
    outlets_metered: bool,
    /// How long the agent had been up at the last `open`.
    up: Option<Duration>,
    device_metered: bool,
}

/// Which outlets there are. Units are made of it when asked for: a thousand idle PDUs hold no names.
enum Places {
    /// Numbered.
    Counted(Range<u32>),
    /// As the device's table has them.
    Listed(Vec<Index>),
}

impl Places {
    fn first(&self) -> Option<Index> {
        match self {
            Self::Counted(range) => range.clone().next().map(|n| vec![n]),
            Self::Listed(list) => list.first().cloned(),
        }
    }

    /// The device itself, and its outlets.
    fn units(&self) -> Vec<Unit> {
        let device = Unit::new(DEVICE_UNIT).into_iter();
        match self {
            Self::Counted(range) => device.chain(range.clone().map(Unit::outlet)).collect(),
            Self::Listed(list) => device.chain(list.iter().filter_map(|index| Outlets::unit(index))).collect(),
        }
    }
}

/// One object of a list to read, and whose it is.
struct Wanted<T> {
    unit: Unit,
    what: T,
}

impl Conversation {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        let session = Session::new(Arc::clone(&settings));
        let reader = Reader::new(settings.varbinds);
        let (outlets_metered, device_metered) = presumed_meters(&settings.family);
        Self { settings, session, reader, places: Places::Counted(0..0), outlets_metered, device_metered, up: None }
    }

    fn caps_of(&self, unit: &Unit) -> Caps {
        let metered = if unit.as_str() == DEVICE_UNIT { self.device_metered } else { self.outlets_metered };
        caps(&self.settings.family, unit, metered)
    }

    fn no_such_unit(&self, unit: &Unit) -> Fault {
        let form = if self.settings.family.outlets.index_parts > 1 { "numbers such as 1.7" } else { "a number" };
        Fault::NoSuchUnit(format!("{unit} is no outlet of {}: outlets are {form}", self.settings))
    }

    /// Places of the outlets: as configured, as the device counts them, or as its table has them.
    async fn enumerate(&mut self, count: Option<&Value>, sys_object_id: Option<&Value>) -> Result<Places, Fault> {
        let outlets = &self.settings.family.outlets;
        let counted = match (self.settings.outlets, count) {
            (Some(count), _) => Some(count),
            (None, Some(value)) => match number(value).map(u32::try_from) {
                Some(Ok(0)) => {
                    return Err(Fault::Unsupported(format!("{} says that it has no switched outlets", self.settings)));
                }
                Some(Ok(count)) => Some(count.min(MAX_OUTLETS)),
                _ => None,
            },
            (None, None) => None,
        };
        if let Some(count) = counted.filter(|_| outlets.index_parts == 1) {
            return Ok(Places::Counted(outlets.first..outlets.first.saturating_add(count)));
        }
        let column =
            outlets.status.as_ref().map(|s| &s.at).into_iter().chain([&outlets.command]).find_map(|c| c.root());
        let Some(root) = column.cloned() else {
            return Err(Fault::Unsupported(format!(
                "{} can't tell how many outlets it has: set `outlets`",
                self.settings
            )));
        };
        let (parts, bulk) = (outlets.index_parts, self.settings.version() != Version::V1);
        let limit = usize::try_from(MAX_OUTLETS).unwrap_or(usize::MAX);
        let rows = walk(&mut self.session, bulk, &root, parts, limit).await?;
        if rows.is_empty() {
            let is = match sys_object_id {
                Some(Value::ObjectId(id)) => match family::claims(id) {
                    Some(other) => format!("; its sysObjectID {id} says {other}"),
                    None => format!("; its sysObjectID is {id}"),
                },
                _ => String::new(),
            };
            return Err(Fault::Unsupported(format!(
                "{} has no outlets at {root}: it is no {}{is}. Check `model`, and that the community or user may read",
                self.settings, self.settings.family.name
            )));
        }
        Ok(Places::Listed(rows))
    }

    /// Units to read: those asked for, or all.
    fn chosen(&self, units: &[Unit]) -> Vec<Unit> {
        if units.is_empty() { self.places.units() } else { units.to_vec() }
    }

    /// Reads one page of `wanted` and gives each object with its value.
    async fn page<T>(
        &mut self,
        wanted: Vec<(Oid, Wanted<T>)>,
        at: Option<&Cursor>,
    ) -> Result<(Vec<(Wanted<T>, Result<Value, Fault>)>, Option<Cursor>), Fault> {
        let from = at.and_then(|c| c.0.first()).and_then(|n| usize::try_from(*n).ok()).unwrap_or(0);
        let (oids, mut owners): (Vec<Oid>, Vec<Option<Wanted<T>>>) =
            wanted.into_iter().map(|(oid, owner)| (oid, Some(owner))).unzip();
        let found = self.reader.page(&mut self.session, &oids, from).await?;
        let next = found.next.map(|n| Cursor(vec![u64::try_from(n).unwrap_or(u64::MAX)]));
        let items = found.items.into_iter().filter_map(|(position, value)| {
            let owner = owners.get_mut(position)?.take()?;
            let value = value.and_then(|v| {
                if v.is_exception() {
                    let oid = oids.get(position).map(ToString::to_string).unwrap_or_default();
                    return Err(Fault::NoSuchUnit(format!("the device has no object {oid}")));
                }
                Ok(v)
            });
            Some((owner, value))
        });
        Ok((items.collect(), next))
    }

    async fn power(&mut self, units: &[Unit], at: Option<&Cursor>) -> Result<Page, Fault> {
        let settings = Arc::clone(&self.settings);
        let Some(status) = &settings.family.outlets.status else {
            return Err(Fault::Unsupported("this PDU can't tell an outlet's state (no `status` column)".to_owned()));
        };
        let (wanted, mut items) = self.split(units, at, |index| vec![(status.at.at(index), ())]);
        let (found, next) = self.page(wanted, at).await?;
        items.extend(found.into_iter().map(|(owner, value)| {
            let fact = value.and_then(|v| power_state(status, &owner.unit, &v)).map(Fact::Power);
            (owner.unit, fact)
        }));
        Ok(Page { items, next })
    }

    async fn sensors(&mut self, units: &[Unit], at: Option<&Cursor>) -> Result<Page, Fault> {
        let settings = Arc::clone(&self.settings);
        let family = &settings.family;
        let mut wanted = Vec::new();
        let (device, outlets): (Vec<Unit>, Vec<Unit>) =
            self.chosen(units).into_iter().partition(|u| u.as_str() == DEVICE_UNIT);
        for unit in device {
            wanted.extend(family.totals.iter().map(|m| {
                let what = (m.id.clone(), m.name.clone(), m.measure, m.scale);
                (m.at.clone(), Wanted { unit: unit.clone(), what })
            }));
        }
        let mut items = Vec::new();
        if self.outlets_metered && !outlets.is_empty() {
            let meters = &family.outlets.meters;
            let (more, faults) = self.split(&outlets, at, |index| {
                let about = |m: &super::family::Meter<_>| (m.id.clone(), m.name.clone(), m.measure, m.scale);
                meters.iter().map(|m| (m.at.at(index), about(m))).collect()
            });
            wanted.extend(more);
            items = faults;
        } else if at.is_none() {
            items.extend(outlets.into_iter().map(|u| (u, Ok(Fact::Sensors(Vec::new())))));
        }
        let (found, next) = self.page(wanted, at).await?;
        for (owner, value) in found {
            // What one model of a family has not is no fault of the unit: it has one sensor less.
            let reading = value.ok().and_then(|v| number(&v)).map(|raw| reading(owner.what, raw));
            match items.last_mut() {
                Some((unit, Ok(Fact::Sensors(readings)))) if *unit == owner.unit => readings.extend(reading),
                _ => items.push((owner.unit, Ok(Fact::Sensors(reading.into_iter().collect())))),
            }
        }
        Ok(Page { items, next })
    }

    async fn inventory(&mut self, units: &[Unit]) -> Result<Page, Fault> {
        let settings = Arc::clone(&self.settings);
        let units = self.chosen(units);
        let faults = units.iter().filter(|u| u.as_str() != DEVICE_UNIT).map(|u| {
            (u.clone(), Err(Fault::Unsupported("an outlet has no identity of its own; ask the unit `pdu`".to_owned())))
        });
        let mut items: Vec<_> = faults.collect();
        let Some(device) = units.into_iter().find(|u| u.as_str() == DEVICE_UNIT) else {
            return Ok(Page { items, next: None });
        };
        let identity = &settings.family.identity;
        let objects = [&identity.model, &identity.serial, &identity.firmware];
        let wanted: Vec<Oid> = objects.iter().filter_map(|oid| (*oid).clone()).collect();
        // Three objects: one exchange, but for an agent of version 1 that lacks some of them, the first time.
        let values = self.reader.all(&mut self.session, &wanted).await?;
        let value_of = |object: &Option<Oid>| {
            let place = wanted.iter().position(|oid| Some(oid) == object.as_ref())?;
            text(values.get(place)?.as_ref()?)
        };
        let [model, serial, firmware] = objects.map(value_of);
        let manufacturer = settings.family.manufacturer.clone();
        let inventory = Inventory { manufacturer, model, serial, firmware, ..Inventory::default() };
        items.push((device, Ok(Fact::Inventory(Box::new(inventory)))));
        Ok(Page { items, next: None })
    }

    async fn names(&mut self, units: &[Unit], at: Option<&Cursor>) -> Result<Page, Fault> {
        let settings = Arc::clone(&self.settings);
        let mut wanted = Vec::new();
        let mut items = Vec::new();
        for unit in self.chosen(units) {
            let oid = if unit.as_str() == DEVICE_UNIT {
                Ok(settings.family.identity.name.clone())
            } else {
                let index = settings.family.outlets.index(&unit);
                index
                    .map(|i| settings.family.outlets.name.as_ref().map(|c| c.at(&i)))
                    .ok_or_else(|| self.no_such_unit(&unit))
            };
            match oid {
                Ok(Some(oid)) => wanted.push((oid, Wanted { unit, what: () })),
                // Told once, with the first page.
                Ok(None) if at.is_none() => {
                    let caps = self.caps_of(&unit);
                    items.push((unit, Ok(Fact::Caps(caps, None))));
                }
                Err(fault) if at.is_none() => items.push((unit, Err(fault))),
                Ok(None) | Err(_) => {}
            }
        }
        let (found, next) = self.page(wanted, at).await?;
        for (owner, value) in found {
            let caps = self.caps_of(&owner.unit);
            let name = value.ok().as_ref().and_then(text);
            items.push((owner.unit, Ok(Fact::Caps(caps, name))));
        }
        Ok(Page { items, next })
    }

    /// Objects of the outlets among `units`; faults of the others, with the first page.
    #[allow(clippy::type_complexity)] // a list of objects and a list of items, as pages have them
    fn split<T>(
        &self,
        units: &[Unit],
        at: Option<&Cursor>,
        objects: impl Fn(&[u32]) -> Vec<(Oid, T)>,
    ) -> (Vec<(Oid, Wanted<T>)>, Vec<(Unit, Result<Fact, Fault>)>) {
        let mut wanted = Vec::new();
        let mut faults = Vec::new();
        for unit in self.chosen(units) {
            match self.settings.family.outlets.index(&unit) {
                Some(index) => {
                    let of_unit = objects(&index).into_iter();
                    wanted.extend(of_unit.map(|(oid, what)| (oid, Wanted { unit: unit.clone(), what })));
                }
                // "All" includes the device itself, which has no state.
                None if units.is_empty() || at.is_some() => {}
                None => {
                    let fault = self.no_such_unit(&unit);
                    faults.push((unit, Err(fault)));
                }
            }
        }
        (wanted, faults)
    }

    /// One SET for `acts`, which are few enough for the family.
    async fn switch(&mut self, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
        let outlets = &self.settings.family.outlets;
        let checked: Vec<Result<(Oid, Value), Fault>> = acts
            .iter()
            .map(|(unit, act)| {
                let index = outlets.index(unit).ok_or_else(|| self.no_such_unit(unit))?;
                let on = match act {
                    Act::Power(PowerAct::On) => true,
                    Act::Power(PowerAct::Off) => false,
                    _ => {
                        return Err(Fault::Unsupported(
                            "an outlet can be switched on and off, nothing else".to_owned(),
                        ));
                    }
                };
                let (oid, value) = outlets.order(&index, on);
                Ok((oid, Value::Integer(value)))
            })
            .collect();
        let varbinds: Vec<(Oid, Value)> = checked.iter().filter_map(|c| c.clone().ok()).collect();
        if varbinds.is_empty() {
            return checked.into_iter().map(|c| c.map(|_| Done::Accepted)).collect();
        }
        let sent = varbinds.clone();
        let outcome = self.session.ask(PduKind::Set, Right::Write, Ask { varbinds, repetitions: 0 }).await;
        checked
            .into_iter()
            .map(|check| {
                let (oid, _) = check?;
                let reply = outcome.as_ref().map_err(Clone::clone)?;
                if reply.status != status::NO_ERROR {
                    let culprit = reply.index.checked_sub(1).and_then(|i| sent.get(i)).map(|(oid, _)| oid);
                    return Err(refused_set(reply.status, culprit.unwrap_or(&oid)));
                }
                // An agent may answer "no error" and say in the variable that there is no such object.
                match reply.varbinds.iter().find(|(name, _)| *name == oid) {
                    Some((_, Value::Integer(_))) => Ok(Done::Accepted),
                    Some((_, value)) if value.is_exception() => Err(Fault::NoSuchUnit(format!(
                        "the device has no object {oid} to switch (it answers {value:?})"
                    ))),
                    Some((_, value)) => Err(Fault::Uncertain(format!("the answer to a SET of {oid} holds {value:?}"))),
                    None => Err(Fault::Uncertain(format!("the answer to a SET is not about {oid}"))),
                }
            })
            .collect()
    }
}

#[async_trait]
impl Driver for Conversation {
    async fn open(&mut self) -> Result<Vec<(Unit, Caps)>, Fault> {
        self.session.reset();
        self.reader = Reader::new(self.settings.varbinds);
        let settings = Arc::clone(&self.settings);
        let family = &settings.family;
        let mut wanted: Vec<Oid> = [SYS_OBJECT_ID, SYS_UP_TIME].into_iter().flat_map(Oid::new).collect();
        wanted.extend(family.outlets.count.clone());
        let first = wanted.len();
        wanted.extend(family.totals.iter().map(|m| m.at.clone()));
        let values = self.reader.all(&mut self.session, &wanted).await?;
        let count = family.outlets.count.as_ref().and_then(|_| values.get(2)?.as_ref());
        self.up = values.get(1).and_then(Option::as_ref).and_then(up_time);
        let places = self.enumerate(count, values.first().and_then(Option::as_ref)).await?;
        self.device_metered = values.iter().skip(first).flatten().any(is_measured);
        self.outlets_metered = match places.first() {
            Some(place) if !family.outlets.meters.is_empty() => {
                let of_first: Vec<Oid> = family.outlets.meters.iter().map(|m| m.at.at(&place)).collect();
                self.reader.all(&mut self.session, &of_first).await?.iter().flatten().any(is_measured)
            }
            _ => false,
        };
        self.places = places;
        let units = self.places.units().into_iter();
        Ok(units
            .map(|unit| {
                let caps = self.caps_of(&unit);
                (unit, caps)
            })
            .collect())
    }

    async fn observe(&mut self, aspect: &Aspect, units: &[Unit], at: Option<Cursor>) -> Result<Page, Fault> {
        let at = at.as_ref();
        match aspect {
            Aspect::Power => self.power(units, at).await,
            Aspect::Sensors => self.sensors(units, at).await,
            Aspect::Inventory => self.inventory(units).await,
            Aspect::Units => self.names(units, at).await,
            Aspect::Boot | Aspect::Log | Aspect::Indicator | Aspect::Media | Aspect::Raw(_) => {
                Err(Fault::Unsupported(format!("a PDU has no {:?}", aspect.kind())))
            }
        }
    }

    async fn act(&mut self, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
        let batch = usize::from(self.settings.family.outlets.batch.max(1));
        let mut results = Vec::with_capacity(acts.len());
        for some in acts.chunks(batch) {
            // Two varbinds for one object in a SET have no defined order.
            let distinct: BTreeSet<&Unit> = some.iter().map(|(unit, _)| unit).collect();
            let size = if distinct.len() == some.len() { batch } else { 1 };
            for few in some.chunks(size) {
                results.extend(self.switch(few).await);
            }
        }
        results
    }

    async fn close(&mut self) {
        // SNMP has no sessions to end; what was learnt about the agent is forgotten.
        self.session.reset();
    }

    fn up(&self) -> Option<Duration> {
        self.up
    }
}

fn up_time(value: &Value) -> Option<Duration> {
    match value {
        Value::TimeTicks(hundredths) => Some(Duration::from_millis(u64::from(*hundredths) * 10)),
        _ => None,
    }
}

/// What the family may have, before the device was asked: outlets' and device's meters.
pub(super) fn presumed_meters(family: &Family) -> (bool, bool) {
    (!family.outlets.meters.is_empty(), !family.totals.is_empty())
}
