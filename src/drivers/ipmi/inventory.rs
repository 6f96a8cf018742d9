//! Identity: controller, GUID, restart cause, FRU 0.

use super::driver::IpmiDriver;
use crate::{
    drivers::bmc::Part,
    model::{Cursor, Fact, Fault, Inventory},
    wire::ipmi::{
        command::{
            GetDeviceId, GetFruArea, GetRestartCause, GetSystemGuid, ReadFru, guid_text, maker_name, restart_cause_text,
        },
        fru::Fru,
    },
};

/// Steps of a cursor.
const GUID: u64 = 1;
const CAUSE: u64 = 2;
const AREA: u64 = 3;
const DATA: u64 = 4;

/// The machine's own FRU device.
const FRU: u8 = 0;
/// Pieces of FRU data; some BMCs can't send more.
const PIECE: u8 = 32;
/// FRU data beyond this is not read.
const MAX_FRU: usize = 4096;

/// What has been collected so far.
#[derive(Debug, Default)]
pub(super) struct InventoryWalk {
    found: Inventory,
    fru: Vec<u8>,
    size: usize,
    words: bool,
    piece: u8,
}

impl IpmiDriver {
    /// One exchange.
    pub(super) async fn read_inventory(&mut self, at: Option<Cursor>) -> Result<Part, Fault> {
        match at.map(|cursor| cursor.0).unwrap_or_default().as_slice() {
            [GUID] => {
                let guid = answer(self.session().await?.run(GetSystemGuid {}).await)?;
                self.inventory.found.uuid = guid.as_ref().and_then(guid_text);
                Ok(go_on(CAUSE))
            }
            [CAUSE] => {
                let cause = answer(self.session().await?.run(GetRestartCause {}).await)?;
                self.inventory.found.restart_cause =
                    cause.filter(|cause| *cause != 0).map(|cause| restart_cause_text(cause).to_owned());
                Ok(go_on(AREA))
            }
            [AREA] => {
                let area = answer(self.session().await?.run(GetFruArea { device: FRU }).await)?;
                let walk = &mut self.inventory;
                walk.fru.clear();
                walk.piece = PIECE;
                match area {
                    Some(area) if area.size > 0 => {
                        walk.words = area.words;
                        walk.size = usize::from(area.size).min(MAX_FRU);
                        Ok(go_on(DATA))
                    }
                    _ => Ok(self.finish()),
                }
            }
            [DATA] => self.read_fru().await,
            _ => {
                let device =
                    self.session().await?.run(GetDeviceId {}).await.map_err(super::faults::Failure::into_fault)?;
                self.device = Some(device);
                self.inventory.found = Inventory {
                    firmware: Some(device.firmware()),
                    controller_manufacturer: maker_name(device.maker).map(str::to_owned),
                    ..Inventory::default()
                };
                Ok(go_on(GUID))
            }
        }
    }

    async fn read_fru(&mut self) -> Result<Part, Fault> {
        let walk = &self.inventory;
        let at = walk.fru.len();
        let end = needed(&walk.fru).min(walk.size);
        if at >= end {
            return Ok(self.finish());
        }
        let unit = if walk.words { 2 } else { 1 };
        let count = (end - at).min(walk.piece.into()).div_ceil(unit);
        let command = ReadFru {
            device: FRU,
            offset: u16::try_from(at / unit).unwrap_or(u16::MAX),
            count: u8::try_from(count).unwrap_or(u8::MAX),
        };
        let result = self.session().await?.run(command).await;
        let walk = &mut self.inventory;
        match result {
            Ok(data) if data.is_empty() => Ok(self.finish()),
            Ok(data) => {
                walk.fru.extend(data.iter().take(count * unit));
                if walk.fru.len() >= needed(&walk.fru).min(walk.size) { Ok(self.finish()) } else { Ok(go_on(DATA)) }
            }
            Err(failure) if failure.is_answer() && walk.piece > 8 && !failure.is_absence() => {
                walk.piece /= 2;
                Ok(go_on(DATA))
            }
            Err(failure) if failure.is_answer() => Ok(self.finish()),
            Err(failure) => Err(failure.into_fault()),
        }
    }

    fn finish(&mut self) -> Part {
        let walk = &mut self.inventory;
        let mut found = std::mem::take(&mut walk.found);
        let data = std::mem::take(&mut walk.fru);
        if !data.is_empty() {
            match Fru::decode(&data) {
                Ok(fru) => fill(&mut found, fru),
                Err(error) => tracing::debug!(%error, "skipped the FRU data"),
            }
        }
        (Some(Fact::Inventory(Box::new(found))), None)
    }
}

fn go_on(step: u64) -> Part {
    (None, Some(Cursor(vec![step])))
}

/// Nothing where the BMC does not have it; an error where it did not answer.
fn answer<T>(result: Result<T, super::faults::Failure>) -> Result<Option<T>, Fault> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.is_answer() => Ok(None),
        Err(failure) => Err(failure.into_fault()),
    }
}

/// Up to where FRU data has to be read, judged by what there is of it: header, then lengths, then areas. Internal
/// use and multi-records are of no interest.
fn needed(data: &[u8]) -> usize {
    let Some([_, _, chassis, board, product, ..]) = data.first_chunk::<8>() else { return 8 };
    [*chassis, *board, *product]
        .into_iter()
        .filter(|offset| *offset != 0)
        .map(|offset| {
            let start = usize::from(offset) * 8;
            data.get(start + 1).map_or(start + 2, |length| start + usize::from(*length) * 8)
        })
        .max()
        .unwrap_or(8)
}

/// Product fields name the machine; where there are none, the board's do.
fn fill(found: &mut Inventory, fru: Fru) {
    found.manufacturer = fru.product_maker.or_else(|| fru.board_maker.clone());
    found.model = fru.product_name.or_else(|| fru.board_product.clone());
    found.part_number = fru.product_part.or(fru.board_part);
    found.serial = fru.product_serial.or_else(|| fru.chassis_serial.clone()).or_else(|| fru.board_serial.clone());
    found.asset_tag = fru.asset_tag;
    found.chassis_part_number = fru.chassis_part;
    found.chassis_serial = fru.chassis_serial;
    found.board_manufacturer = fru.board_maker;
    found.board_product = fru.board_product;
    found.board_serial = fru.board_serial;
}
