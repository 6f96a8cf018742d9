//! Virtual media of a node's host: inserted and ejected, one after the other, and seen to be so.
//!
//! What is in a slot is what its controller shows, nothing that is kept here: so it is the same after a restart, and
//! when somebody else has changed it. The slot is read before (is it free? is the image in it already? sushy sends a
//! request up to ten times), and after, until it shows what was asked for: an answer that was lost is made good by that.

use std::{sync::Arc, time::Duration};

use super::{
    clock,
    event::What,
    inner::Inner,
    node::NodeEntry,
    op::{OpError, Outcome},
    worker::WorkerHandle,
};
use crate::model::{Act, ActKind, Actor, Aspect, Fault, MediaInsert, MediaSlot, Proof, Ref};

/// A reading of all slots may take that long.
const READ: Duration = Duration::from_secs(10);
/// The command waits at most that long for its turn.
const TURN: Duration = Duration::from_secs(15);
/// From the accepted (or unanswered) command to the slot showing it, for a controller of which nothing else is known: many
/// look at the image first. All of it stays below sushy's 60 s.
const PROOF: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// What is wanted of a slot.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// This in it.
    Image(Box<MediaInsert>),
    /// Nothing in it.
    Empty(String),
}

impl Wanted {
    fn slot(&self) -> &str {
        match self {
            Self::Image(insert) => &insert.slot,
            Self::Empty(slot) => slot,
        }
    }

    /// Whether the slot is as it is wanted. A controller that does not tell is believed once it has accepted.
    fn is_met(&self, slot: &MediaSlot) -> bool {
        match self {
            Self::Image(insert) => slot.holds(&insert.image),
            Self::Empty(_) => !slot.is_full(),
        }
    }

    /// The same, after the controller has said that it is done: it may show the image by another name.
    fn is_met_once_accepted(&self, slot: &MediaSlot) -> bool {
        match self {
            Self::Image(_) => slot.is_full() || (slot.inserted.is_none() && slot.image.is_none()),
            Self::Empty(_) => !slot.is_full(),
        }
    }

    fn act(&self) -> Act {
        match self {
            Self::Image(insert) => Act::InsertMedia(insert.clone()),
            Self::Empty(slot) => Act::EjectMedia(slot.clone()),
        }
    }

    fn text(&self) -> String {
        format!("{:?}", self.act().kind())
    }
}

/// Carries it out. `condition` is looked at once it is this one's turn.
pub async fn run(
    fleet: &Arc<Inner>,
    who: &Actor,
    entry: &Arc<NodeEntry>,
    wanted: Wanted,
    condition: impl Fn() -> Result<(), OpError>,
) -> Result<Outcome, OpError> {
    let config = entry.config.load_full();
    let none =
        || OpError::NotOffered { target: entry.id.to_string(), what: "virtual media".to_owned(), offered: Vec::new() };
    let unit = config.host.clone().ok_or_else(none)?;
    let kind = wanted.act().kind();
    let caps = fleet.caps(&unit).filter(|caps| caps.acts.has(kind)).ok_or_else(none)?;
    let within = match caps.proof {
        Proof::ReadBack { within } => within.min(PROOF),
        Proof::Reply | Proof::CompletionOnly | Proof::None => PROOF,
    };
    // Media decide what a machine boots: while people hold it they stay as they are.
    Inner::admit_start(entry)?;
    let worker = fleet.worker(&unit)?;
    fleet.may_write(&worker, &unit, if kind == ActKind::InsertMedia { "insert media" } else { "eject media" })?;
    let _turn = entry.media.lock().await;
    let result = change(&worker, &unit, &wanted, within, condition).await;
    let what = match &result {
        // It was so before.
        Ok(false) => return Ok(Outcome::Done),
        Ok(true) => None,
        // Refused before anything was sent: no operation.
        Err(OpError::PreconditionFailed | OpError::InUse { .. } | OpError::NotFound(_)) => {
            return result.map(|_| Outcome::Done);
        }
        Err(error) => Some(error.to_string()),
    };
    fleet.emit(What::Operation { target: entry.id.to_string(), op: wanted.text(), error: what }, Some(who));
    result.map(|_| Outcome::Done)
}

/// True: the slot was changed; false: it was as it was wanted.
async fn change(
    worker: &WorkerHandle,
    unit: &Ref,
    wanted: &Wanted,
    within: Duration,
    condition: impl Fn() -> Result<(), OpError>,
) -> Result<bool, OpError> {
    let before = look(worker, unit, wanted.slot()).await?;
    condition()?;
    let Some(before) = before else { return Err(OpError::NotFound(format!("slot {}", wanted.slot()))) };
    if wanted.is_met(&before) {
        return Ok(false);
    }
    if matches!(wanted, Wanted::Image(_)) && before.is_full() {
        let image = before.image.or(before.image_name).unwrap_or_else(|| "something".to_owned());
        // What follows the question mark may be a signature: not for logs.
        let by = image.split('?').next().unwrap_or_default().to_owned();
        return Err(OpError::InUse { what: format!("{} of {unit}", before.id), by });
    }
    let sent = match worker.submit(&unit.unit, wanted.act(), clock::now() + TURN) {
        Ok(submitted) => submitted.accepted().await,
        Err(fault) => Err(fault),
    };
    let lost = match sent {
        Ok(_) => None,
        Err(fault @ Fault::Uncertain(_)) => Some(fault),
        Err(fault) => return Err(Inner::endpoint_error(unit, fault)),
    };
    let end = clock::now() + within;
    let mut shows = before;
    loop {
        // One that can't be read at this moment is read again.
        if let Ok(Some(now)) = look(worker, unit, wanted.slot()).await {
            let is_met = if lost.is_some() { wanted.is_met(&now) } else { wanted.is_met_once_accepted(&now) };
            if is_met {
                return Ok(true);
            }
            shows = now;
        }
        if clock::now() + LOOK > end {
            break;
        }
        clock::sleep_until(clock::now() + LOOK).await;
    }
    Err(match lost {
        Some(fault) => OpError::Uncertain { endpoint: unit.endpoint.clone(), fault },
        None => OpError::NotConfirmed {
            endpoint: unit.endpoint.clone(),
            unit: format!("{} {}", unit.unit, shows.id),
            shows: shows.image.or(shows.image_name).unwrap_or_else(|| "no image".to_owned()),
            waited: within,
        },
    })
}

/// The slot as it is now; `None`: there is no such slot.
async fn look(worker: &WorkerHandle, unit: &Ref, id: &str) -> Result<Option<MediaSlot>, OpError> {
    worker.read(Aspect::Media, &unit.unit, READ).await.map_err(|fault| Inner::endpoint_error(unit, fault))?;
    let slots = worker.state.unit(&unit.unit, |u| u.media.as_ref().map(|seen| Arc::clone(&seen.value)));
    Ok(slots.and_then(|slots| slots.iter().find(|slot| slot.id == id).cloned()))
}
