//! Commands of the network function App: identity and sessions (IPMI 2.0, chapters 20 and 22).

use ipmi_rs_core::connection::NetFn;

use super::command;

command! {
    /// Get Device ID (20.1).
    GetDeviceId {}
    send |_this| NetFn::App, 0x01, Vec::new();
    read |bytes| -> DeviceId {
        let [device, revision, major, minor, ipmi] = bytes.array()?;
        // The rest is mandatory, but small BMCs leave out parts of it.
        let support = bytes.u8().unwrap_or(0xff);
        let maker = bytes.u24().unwrap_or(0) & 0x000f_ffff;
        let product = bytes.u16().unwrap_or(0);
        Ok(DeviceId { device, revision: revision & 0x0f, device_sdrs: revision & 0x80 != 0, major: major & 0x7f,
            minor, ready: major & 0x80 == 0, ipmi, support, maker, product })
    }
}

/// Identity of a BMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceId {
    /// Device id.
    pub device: u8,
    /// Device revision, 0 to 15.
    pub revision: u8,
    /// Whether it has device SDRs, read with the sensor commands.
    pub device_sdrs: bool,
    /// Firmware: major revision, 0 to 127.
    pub major: u8,
    /// Firmware: minor revision, BCD.
    pub minor: u8,
    /// Whether it has started up and is not in a firmware update.
    pub ready: bool,
    /// IPMI version, BCD with the least significant digit first (0x02: 2.0).
    pub ipmi: u8,
    /// Additional device support, bit by bit; see the methods.
    pub support: u8,
    /// Maker's IANA enterprise number.
    pub maker: u32,
    /// Product number of that maker.
    pub product: u16,
}

impl DeviceId {
    /// Whether it has an SDR repository.
    pub fn has_sdr_repository(&self) -> bool {
        self.support & 0x02 != 0
    }

    /// Whether it has a log.
    pub fn has_sel(&self) -> bool {
        self.support & 0x04 != 0
    }

    /// Whether it holds FRU data.
    pub fn has_fru(&self) -> bool {
        self.support & 0x08 != 0
    }

    /// Firmware version as people write it, `2.07`.
    pub fn firmware(&self) -> String {
        format!("{}.{:02x}", self.major, self.minor)
    }
}

/// Name of a maker by its IANA enterprise number, for the makers of BMCs one meets.
pub fn maker_name(iana: u32) -> Option<&'static str> {
    Some(match iana {
        2 => "IBM",
        11 => "Hewlett-Packard",
        42 => "Sun Microsystems",
        119 => "NEC",
        186 => "Toshiba",
        343 => "Intel Corporation",
        373 => "Tyan Computer Corporation",
        674 => "Dell Inc.",
        2011 => "Huawei Technologies Co., Ltd.",
        2623 => "ASUSTek",
        4337 => "Radisys Corporation",
        5771 => "Cisco Systems, Inc.",
        6653 | 7244 => "Quanta Computer",
        7154 => "IPMI forum",
        10368 => "Fujitsu Siemens",
        10876 | 47488 => "Supermicro",
        15370 => "Giga-Byte",
        19046 => "Lenovo",
        20974 => "ASRock Incorporation",
        49622 => "OpenBMC",
        _ => return None,
    })
}

command! {
    /// Get System GUID (22.14): the SMBIOS UUID, as far as the BMC knows it.
    GetSystemGuid {}
    send |_this| NetFn::App, 0x37, Vec::new();
    read |bytes| -> [u8; 16] { bytes.array() }
}

/// A GUID as text. BMCs disagree on the byte order, so the one that gives the most plausible UUID is taken: the
/// variant of RFC 4122 and a version that machines really have (4, then 1, then the others). Among equals the order
/// is IPMI's own (20.8: everything reversed), SMBIOS's (first three fields reversed), RFC 4122's; if none is
/// plausible, SMBIOS's, which is what the machine itself shows. All zeros or ones is no GUID.
pub fn guid_text(guid: &[u8; 16]) -> Option<String> {
    if guid.iter().all(|byte| *byte == 0) || guid.iter().all(|byte| *byte == 0xff) {
        return None;
    }
    let mut reversed = *guid;
    reversed.reverse();
    let smbios = uuid::Uuid::from_bytes_le(*guid);
    let doubt = |uuid: &uuid::Uuid| match (uuid.get_variant(), uuid.get_version_num()) {
        (uuid::Variant::RFC4122, 4) => Some(0),
        (uuid::Variant::RFC4122, 1) => Some(1),
        (uuid::Variant::RFC4122, 2..=7) => Some(2),
        _ => None,
    };
    let orders = [uuid::Uuid::from_bytes(reversed), smbios, uuid::Uuid::from_bytes(*guid)];
    // The first of several equally good ones.
    let best = orders.into_iter().filter(|uuid| doubt(uuid).is_some()).min_by_key(doubt);
    Some(best.unwrap_or(smbios).hyphenated().to_string())
}

command! {
    /// Set Session Privilege Level (22.18). The answer is the level now in force.
    SetSessionPrivilegeLevel {
        /// 2 user, 3 operator, 4 administrator.
        level: u8,
    }
    send |this| NetFn::App, 0x3b, vec![this.level];
    read |bytes| -> u8 { bytes.u8().map(|level| level & 0x0f) }
}

command! {
    /// Close Session (22.19).
    CloseSession {
        /// The BMC's session id.
        session: u32,
    }
    send |this| NetFn::App, 0x3c, this.session.to_le_bytes().to_vec();
    read |bytes| -> () { Ok(()) }
}

command! {
    /// Get Channel Authentication Capabilities (22.13) for the channel the request comes by, IPMI 2.0 form.
    /// The only command outside a session.
    GetChannelAuthenticationCapabilities {
        /// Privilege level asked for.
        level: u8,
    }
    send |this| NetFn::App, 0x38, vec![0x8e, this.level];
    read |bytes| -> Channel38 {
        let [channel, types, status, extended] = bytes.array()?;
        Ok(Channel38 { channel: channel & 0x0f, plus: types & 0x80 != 0 && extended & 0x02 != 0, kg: status & 0x20 != 0 })
    }
}

/// What a channel can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel38 {
    /// Its number.
    pub channel: u8,
    /// Whether it speaks RMCP+.
    pub plus: bool,
    /// Whether K_g is set to something else than zeros.
    pub kg: bool,
}
