//! The system event log: one entry a page, oldest first; and clearing it.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::sleep;

use super::{driver::IpmiDriver, faults::Failure};
use crate::{
    drivers::bmc::Part,
    model::{ActKind, AspectKind, Cursor, Done, Fact, Fault, LogEntry},
    wire::ipmi::{
        command::{ClearSel, GetSelEntry, GetSelInfo, ReserveSel},
        sel::Entry,
    },
};

/// Between two looks at an erasure, and how often to look: the log of a BMC is erased within a few seconds.
const LOOK: Duration = Duration::from_millis(250);
const LOOKS: u8 = 40;

impl IpmiDriver {
    /// One exchange: how many entries there are, or one of them.
    pub(super) async fn read_log(&mut self, at: Option<Cursor>) -> Result<Part, Fault> {
        let at = at.map(|cursor| cursor.0).unwrap_or_default();
        let [record, left] = at.as_slice() else {
            let info = match self.session().await?.run(GetSelInfo {}).await {
                Ok(info) => info,
                Err(failure) => {
                    self.lacks_aspect(AspectKind::Log, &failure);
                    return Err(failure.into_fault());
                }
            };
            if info.entries == 0 {
                return Ok((Some(Fact::Log(Vec::new())), None));
            }
            // Entries may be added while it is read, but a chain that runs in a circle must end.
            return Ok((None, Some(Cursor(vec![0, u64::from(info.entries) + 64]))));
        };
        let record = u16::try_from(*record).unwrap_or(u16::MAX);
        let piece = match self.session().await?.run(GetSelEntry { record }).await {
            Ok(piece) => piece,
            // Cleared in the meantime.
            Err(failure @ Failure::Code(_)) if failure.is_absence() => return Ok((Some(Fact::Log(Vec::new())), None)),
            Err(failure) => return Err(failure.into_fault()),
        };
        let next = (piece.next != 0xffff && piece.next != record && *left > 1)
            .then(|| Cursor(vec![piece.next.into(), left - 1]));
        let entries = match Entry::decode(&piece.data) {
            Ok(entry) => vec![self.log_entry(&entry, &piece.data)],
            Err(error) => {
                tracing::debug!(record, %error, "skipped a log entry");
                Vec::new()
            }
        };
        Ok((Some(Fact::Log(entries)), next))
    }

    fn log_entry(&self, entry: &Entry, raw: &[u8]) -> LogEntry {
        let name = match entry.body {
            crate::wire::ipmi::sel::Body::Event(event) => self.sensors.name(event.sensor),
            crate::wire::ipmi::sel::Body::Maker { .. } => None,
        };
        LogEntry {
            id: entry.id.into(),
            at: entry.seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds.into()).ok()),
            severity: entry.severity(),
            message: entry.text(name),
            raw: raw.to_vec(),
        }
    }

    /// Reserves, starts the erasure and waits, within bounds, until it is over.
    pub(super) async fn clear_log(&mut self) -> Result<Done, Fault> {
        self.prepare_act().await?;
        let session = self.session().await?;
        let reservation = match session.run(ReserveSel {}).await {
            Ok(reservation) => reservation,
            Err(failure) if failure.is_absence() => 0,
            Err(failure) => return Err(failure.into_fault()),
        };
        let mut done = match session.run(ClearSel { reservation, start: true }).await {
            Ok(done) => done,
            Err(failure) => {
                self.lacks_act(ActKind::ClearLog, &failure);
                return Err(failure.into_act_fault());
            }
        };
        for _ in 0..LOOKS {
            if done {
                return Ok(Done::Completed);
            }
            sleep(LOOK).await;
            done = match session.run(ClearSel { reservation, start: false }).await {
                Ok(done) => done,
                // The erasure ends the reservation on some BMCs: then the log itself tells.
                Err(Failure::Code(_)) => {
                    let info = session.run(GetSelInfo {}).await.map_err(Failure::into_act_fault)?;
                    info.entries == 0
                }
                Err(failure) => return Err(failure.into_act_fault()),
            };
        }
        Ok(Done::Accepted)
    }
}
