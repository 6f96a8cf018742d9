//! Reading many objects in few packets: one page, one exchange.
//!
//! GETs with many variables, because they name exactly what is wanted: a device with holes in its tables answers
//! them as well as a full one. An agent that finds an answer too big gets half as many variables from then on; one of
//! version 1, which refuses a whole GET for one missing object, is asked again without that object.

use std::collections::HashMap;

use super::session::{Ask, Reply, Right, Session};
use crate::{
    model::{Fault, Why},
    wire::snmp::{Oid, PduKind, Value, status},
};

/// What a page brought: positions in the list of wanted objects, and what is known of each.
pub(super) struct Found {
    pub items: Vec<(usize, Result<Value, Fault>)>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<usize>,
}

/// Reads lists of objects page by page.
pub(super) struct Reader {
    per_packet: usize,
    /// Objects that the device said it has not, or can't read.
    gaps: HashMap<Oid, Fault>,
}

impl Reader {
    pub(super) fn new(per_packet: usize) -> Self {
        Self { per_packet: per_packet.max(1), gaps: HashMap::new() }
    }

    /// The page of `wanted` that begins at `from`. An agent's "too big" or "no such name" makes a page without items
    /// whose `next` is `from`: each such page makes the packets smaller or the gaps more, so they end.
    pub(super) async fn page(&mut self, session: &mut Session, wanted: &[Oid], from: usize) -> Result<Found, Fault> {
        let mut items = Vec::new();
        let mut asked = Vec::new();
        let mut next = None;
        for (position, oid) in wanted.iter().enumerate().skip(from) {
            if let Some(fault) = self.gaps.get(oid) {
                items.push((position, Err(fault.clone())));
            } else if asked.len() == self.per_packet {
                next = Some(position);
                break;
            } else {
                asked.push((position, oid));
            }
        }
        if asked.is_empty() {
            return Ok(Found { items, next });
        }
        let ask = Ask::about(asked.iter().map(|(_, oid)| *oid));
        let reply = session.ask(PduKind::Get, Right::Read, ask).await?;
        let again = Found { items: Vec::new(), next: Some(from) };
        match reply.status {
            status::NO_ERROR => {
                let mut values = Values::new(reply);
                for (place, (position, oid)) in asked.into_iter().enumerate() {
                    let value = values.take(place, oid);
                    items.push((position, value.ok_or_else(|| missing_in_reply(oid))));
                }
                Ok(Found { items, next })
            }
            status::TOO_BIG if self.per_packet > 1 => {
                self.per_packet = asked.len().div_ceil(2).min(self.per_packet - 1).max(1);
                Ok(again)
            }
            code @ (status::NO_SUCH_NAME | status::GEN_ERR) => {
                let culprit = reply.index.checked_sub(1).and_then(|i| asked.get(i));
                match (culprit, asked.as_slice()) {
                    (Some((_, oid)), _) | (None, [(_, oid)]) => {
                        self.gaps.insert((*oid).clone(), gap(code, oid));
                    }
                    // It does not say which: one at a time will show.
                    _ => self.per_packet = 1,
                }
                Ok(again)
            }
            code => Err(refused_read(code)),
        }
    }

    /// All of `wanted`, in as many exchanges as it takes; `None` for what the device has not.
    pub(super) async fn all(&mut self, session: &mut Session, wanted: &[Oid]) -> Result<Vec<Option<Value>>, Fault> {
        let mut values = vec![None; wanted.len()];
        let mut from = Some(0);
        while let Some(at) = from {
            let found = self.page(session, wanted, at).await?;
            for (position, value) in found.items {
                if let (Some(slot), Ok(value)) = (values.get_mut(position), value) {
                    *slot = Some(value).filter(|v| !v.is_exception());
                }
            }
            from = found.next;
        }
        Ok(values)
    }
}

/// The rows of the column `root` as their indexes, at most `limit`, in order. Bounded: every exchange has to move on.
pub(super) async fn walk(
    session: &mut Session,
    bulk: bool,
    root: &Oid,
    index_parts: usize,
    limit: usize,
) -> Result<Vec<Vec<u32>>, Fault> {
    let mut rows: Vec<Vec<u32>> = Vec::new();
    let mut last = root.clone();
    loop {
        let kind = if bulk { PduKind::GetBulk } else { PduKind::GetNext };
        let ask = Ask { repetitions: if bulk { 48 } else { 0 }, ..Ask::about([&last]) };
        let reply = session.ask(kind, Right::Read, ask).await?;
        match reply.status {
            status::NO_ERROR => {}
            // The end of everything, in version 1.
            status::NO_SUCH_NAME => return Ok(rows),
            code => return Err(refused_read(code)),
        }
        let before = rows.len();
        for (oid, value) in reply.varbinds {
            let Some(index) = oid.after(root).filter(|_| !value.is_exception()) else { return Ok(rows) };
            if oid <= last {
                return Err(Fault::Garbage(format!("a table that runs backwards at {oid}")));
            }
            if index.len() == index_parts {
                rows.push(index.to_vec());
            }
            last = oid;
            if rows.len() >= limit {
                return Ok(rows);
            }
        }
        if rows.len() == before {
            return Ok(rows);
        }
    }
}

/// Values of a reply by place, and by name should the agent have changed the order.
struct Values(Vec<Option<(Oid, Value)>>);

impl Values {
    fn new(reply: Reply) -> Self {
        Self(reply.varbinds.into_iter().map(Some).collect())
    }

    fn take(&mut self, place: usize, oid: &Oid) -> Option<Value> {
        let is = |slot: &Option<(Oid, Value)>| slot.as_ref().is_some_and(|(name, _)| name == oid);
        let place = if self.0.get(place).is_some_and(is) { place } else { self.0.iter().position(is)? };
        self.0.get_mut(place)?.take().map(|(_, value)| value)
    }
}

fn missing_in_reply(oid: &Oid) -> Fault {
    Fault::Garbage(format!("the answer is not about {oid}"))
}

fn gap(code: u32, oid: &Oid) -> Fault {
    match code {
        status::NO_SUCH_NAME => Fault::NoSuchUnit(format!("the device has no object {oid} (noSuchName)")),
        code => Fault::Refused(Why::Rejected(format!("the device can't read {oid} ({})", status::name(code)))),
    }
}

fn refused_read(code: u32) -> Fault {
    let name = status::name(code);
    match code {
        status::NO_ACCESS | status::AUTHORIZATION_ERROR => {
            Fault::Refused(Why::Privilege(format!("the community or user may not read this ({name})")))
        }
        status::RESOURCE_UNAVAILABLE => Fault::Busy { reason: name.to_owned(), retry_after: None },
        _ => Fault::Refused(Why::Rejected(format!("the agent answers a read with {name} ({code})"))),
    }
}
