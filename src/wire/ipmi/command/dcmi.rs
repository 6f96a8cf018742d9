//! DCMI 1.5: power reading (6.6.1). A group extension: every request and answer begins with 0xDC.

use ipmi_rs_core::connection::NetFn;

use super::command;
use crate::wire::ipmi::Malformed;

/// Network function "group extension".
const GROUP: NetFn = NetFn::Reserved(0x2c);
/// DCMI's group identification.
const DCMI: u8 = 0xdc;

command! {
    /// Get Power Reading, mode "system power statistics".
    GetDcmiPowerReading {}
    send |_this| GROUP, 0x02, vec![DCMI, 0x01, 0x00, 0x00];
    read |bytes| -> PowerReading {
        let group = bytes.u8()?;
        if group != DCMI {
            return Err(Malformed::Value { what: "DCMI group", value: group.into() });
        }
        let [now, min, max, average] = [bytes.u16()?, bytes.u16()?, bytes.u16()?, bytes.u16()?];
        bytes.skip(8)?; // time stamp and sampling period
        let active = bytes.u8()? & 0x40 != 0;
        Ok(PowerReading { now, min, max, average, active })
    }
}

/// Power drawn by the machine, in watts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerReading {
    /// Now.
    pub now: u16,
    /// Least of the sampling period.
    pub min: u16,
    /// Most of the sampling period.
    pub max: u16,
    /// Average over the sampling period.
    pub average: u16,
    /// Whether measuring is active.
    pub active: bool,
}
