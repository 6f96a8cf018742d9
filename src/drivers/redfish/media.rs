//! Virtual media: the System's slots, or its Manager's on older BMCs.
//!
//! A slot is read again right before it is told something: BMCs renumber and rename, and what is patched needs its tag.
//! Whether an image has arrived is not decided here: the fleet looks at the slot.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    driver::RedfishDriver,
    faults::{Failure, Tried},
    http::Request,
    power::not_sent,
    session::Session,
    site::optional,
    write::{follow, patch},
};
use crate::{
    drivers::bmc::Part,
    model::{Cursor, Done, Fact, Fault, MediaInsert, MediaSlot, Why},
    wire::redfish::{
        Path,
        media::{self, Way},
    },
};

/// Slots of one BMC that are looked at: real ones have two to four.
const MOST_SLOTS: usize = 16;
/// How long a task that an insertion has become is watched; looks at the slot follow anyway.
const TASK: Duration = Duration::from_secs(10);

/// Where the slots are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MediaSite {
    collection: Path,
}

/// The collection that has slots: the System's wins, as it does for Ironic.
pub(super) async fn find(session: &mut Session, system: &Value, manager: Option<&Path>) -> Tried<Option<MediaSite>> {
    if let Some(found) = slots_of(session, system).await? {
        return Ok(Some(found));
    }
    let Some(manager) = manager else { return Ok(None) };
    match optional(session, manager).await? {
        Some(body) => slots_of(session, &body).await,
        None => Ok(None),
    }
}

async fn slots_of(session: &mut Session, owner: &Value) -> Tried<Option<MediaSite>> {
    let Some(collection) = Path::at(owner, "VirtualMedia") else { return Ok(None) };
    let body = optional(session, &collection).await?.unwrap_or_default();
    Ok((!Path::all_at(&body, "Members").is_empty()).then_some(MediaSite { collection }))
}

/// A reading under way.
#[derive(Debug, Default)]
pub(super) struct MediaWalk {
    generation: u64,
    members: Vec<Path>,
    slots: Vec<MediaSlot>,
}

impl RedfishDriver {
    async fn media_members(&mut self) -> Result<Vec<Path>, Fault> {
        let none = || Fault::Unsupported("this BMC has no virtual media".to_owned());
        let collection = self.site().await?.media.clone().ok_or_else(none)?.collection;
        let body = match self.session.get(&collection).await {
            Ok(body) => body,
            Err(failure) => {
                if failure.is_absence() {
                    self.look_again();
                }
                return Err(failure.into_fault());
            }
        };
        let mut members = Path::all_at(&body, "Members");
        members.truncate(MOST_SLOTS);
        Ok(members)
    }

    /// One exchange: the collection, or one of its slots.
    pub(super) async fn read_media(&mut self, at: Option<Cursor>) -> Result<Part, Fault> {
        let at = at.map(|cursor| cursor.0).unwrap_or_default();
        let next = match at.as_slice() {
            [generation, index] if *generation == self.media.generation => {
                let index = usize::try_from(*index).unwrap_or(usize::MAX);
                if let Some(path) = self.media.members.get(index).cloned() {
                    self.read_slot(&path).await?;
                }
                index.saturating_add(1)
            }
            _ => {
                let members = self.media_members().await?;
                let generation = self.media.generation + 1;
                self.media = MediaWalk { generation, members, slots: Vec::new() };
                0
            }
        };
        if next < self.media.members.len() {
            let next = u64::try_from(next).unwrap_or(u64::MAX);
            return Ok((None, Some(Cursor(vec![self.media.generation, next]))));
        }
        Ok((Some(Fact::Media(std::mem::take(&mut self.media.slots))), None))
    }

    /// A slot that is broken is left out.
    async fn read_slot(&mut self, path: &Path) -> Result<(), Fault> {
        match self.session.send(&Request::get(path)).await {
            Ok(answer) => {
                let slot = media::slot(path, &answer.body, answer.allow.as_deref());
                if self.media.slots.iter().all(|known| known.id != slot.id) {
                    self.media.slots.push(slot);
                }
            }
            Err(failure @ Failure::Status { code: 429 | 503, .. }) => return Err(failure.into_fault()),
            Err(failure @ (Failure::Status { .. } | Failure::Garbage(_))) => {
                tracing::debug!(%path, ?failure, "a slot is left out");
            }
            Err(failure) => return Err(failure.into_fault()),
        }
        Ok(())
    }

    /// A slot as it is now: where it is, what it shows, and how it is filled and emptied.
    async fn slot(&mut self, id: &str) -> Result<(Path, MediaSlot, Way, Way), Fault> {
        let members = self.media_members().await.map_err(not_sent)?;
        let Some(path) = members.iter().find(|path| media::id(path) == id).cloned() else {
            let has: Vec<_> = members.iter().map(media::id).collect();
            let why = format!("the BMC has no slot {id} for virtual media; it has {}", has.join(", "));
            return Err(Fault::Refused(Why::Rejected(why)));
        };
        let answer = self.session.send(&Request::get(&path)).await.map_err(|f| f.before().into_act_fault())?;
        let allow = answer.allow.as_deref();
        let (insert, eject) = media::ways(&answer.body, allow);
        let slot = media::slot(&path, &answer.body, allow);
        Ok((path, slot, insert, eject))
    }

    pub(super) async fn insert_media(&mut self, wanted: &MediaInsert) -> Result<Done, Fault> {
        let (path, _, way, _) = self.slot(&wanted.slot).await?;
        let mut members = media::insert(wanted, &way);
        // Ends: each turn adds a member, and there are two that can be added.
        let result = loop {
            let body = Value::Object(members.clone());
            let result = match &way {
                Way::Action(target) => self.session.send(&Request::post(target, &body)).await,
                Way::Patch => patch(&mut self.session, &path, &body).await,
                Way::None => {
                    return Err(Fault::Unsupported(format!("nothing can be inserted into the slot {}", wanted.slot)));
                }
            };
            match &result {
                // Refused as a whole: nothing was done.
                Err(Failure::Status { code: 400, text, keys, .. })
                    if media::missed(&mut members, &format!("{text} {}", keys.join(" ")), &wanted.image) => {}
                _ => break result,
            }
        };
        match result {
            Ok(answer) => follow(&mut self.session, answer, TASK).await,
            Err(failure) => Err(failure.into_act_fault()),
        }
    }

    pub(super) async fn eject_media(&mut self, id: &str) -> Result<Done, Fault> {
        let (path, slot, _, way) = self.slot(id).await?;
        // Many refuse to eject from an empty slot.
        if !slot.is_full() {
            return Ok(Done::Completed);
        }
        let result = match &way {
            Way::Action(target) => self.session.send(&Request::post(target, &json!({}))).await,
            Way::Patch => patch(&mut self.session, &path, &media::eject()).await,
            Way::None => return Err(Fault::Unsupported(format!("the slot {id} can't be emptied by request"))),
        };
        match result {
            Ok(answer) => follow(&mut self.session, answer, TASK).await,
            Err(failure) => Err(failure.into_act_fault()),
        }
    }
}
