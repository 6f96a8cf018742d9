//! Commands of the network function Storage, and their twins for device SDRs: FRU, SDR repository, log
//! (IPMI 2.0, chapters 31, 33, 34 and 35.2 to 35.4).

use ipmi_rs_core::connection::NetFn;

use super::command;

command! {
    /// Get FRU Inventory Area Info (34.1).
    GetFruArea {
        /// FRU device.
        device: u8,
    }
    send |this| NetFn::Storage, 0x10, vec![this.device];
    read |bytes| -> FruArea {
        let size = bytes.u16()?;
        Ok(FruArea { size, words: bytes.u8()? & 1 != 0 })
    }
}

/// Size of a FRU area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FruArea {
    /// In bytes.
    pub size: u16,
    /// Offsets and counts are in words of two bytes.
    pub words: bool,
}

command! {
    /// Read FRU Data (34.2). The answer: how much was read, and the data.
    ReadFru {
        /// FRU device.
        device: u8,
        /// From where, in bytes or words.
        offset: u16,
        /// How much, in bytes or words.
        count: u8,
    }
    send |this| NetFn::Storage, 0x11, {
        let [low, high] = this.offset.to_le_bytes();
        vec![this.device, low, high, this.count]
    };
    read |bytes| -> Vec<u8> {
        let _count = bytes.u8()?;
        Ok(bytes.take_rest().to_vec())
    }
}

/// Where SDRs are: in the repository, or with the sensors themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repository {
    /// The SDR repository (chapter 33).
    Shared,
    /// Device SDRs (35.2 to 35.4).
    Device,
}

command! {
    /// Get SDR Repository Info (33.9), or Get Device SDR Info (35.2).
    GetSdrRepositoryInfo {
        /// Which.
        from: Repository,
    }
    send |this| match this.from {
        Repository::Shared => NetFn::Storage,
        Repository::Device => NetFn::SensorEvent,
    }, 0x20, Vec::new();
    read |bytes| -> RepositoryInfo {
        if let Ok([_version, low, high, _, _, a, b, c, d, e, f, g, h]) = bytes.array::<13>() {
            let stamp = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            return Ok(RepositoryInfo { records: u16::from_le_bytes([low, high]), stamp });
        }
        let records = bytes.u8()?;
        let flags = bytes.u8().unwrap_or(0);
        // Sensor population change indicator: only with a dynamic population.
        let change = bytes.u32().unwrap_or(0);
        Ok(RepositoryInfo { records: records.into(), stamp: u64::from(flags) << 32 | u64::from(change) })
    }
}

/// What is in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepositoryInfo {
    /// Number of records (of sensors, for device SDRs).
    pub records: u16,
    /// Changes with every change of the records: times of the last addition and of the last erasure.
    pub stamp: u64,
}

command! {
    /// Reserve SDR Repository (33.11), or Reserve Device SDR Repository (35.4).
    ReserveSdr {
        /// Which.
        from: Repository,
    }
    send |this| match this.from {
        Repository::Shared => NetFn::Storage,
        Repository::Device => NetFn::SensorEvent,
    }, 0x22, Vec::new();
    read |bytes| -> u16 { bytes.u16() }
}

command! {
    /// Get SDR (33.12), or Get Device SDR (35.3): a piece of a record.
    GetSdr {
        /// Which.
        from: Repository,
        /// From Reserve.
        reservation: u16,
        /// Record; 0 the first.
        record: u16,
        /// From where in the record.
        offset: u8,
        /// How much; 0xFF all of it.
        count: u8,
    }
    send |this| match this.from {
        Repository::Shared => NetFn::Storage,
        Repository::Device => NetFn::SensorEvent,
    }, match this.from {
        Repository::Shared => 0x23,
        Repository::Device => 0x21,
    }, {
        let [reservation_low, reservation_high] = this.reservation.to_le_bytes();
        let [record_low, record_high] = this.record.to_le_bytes();
        vec![reservation_low, reservation_high, record_low, record_high, this.offset, this.count]
    };
    read |bytes| -> Piece {
        let next = bytes.u16()?;
        Ok(Piece { next, data: bytes.take_rest().to_vec() })
    }
}

/// A piece of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The next record; 0xFFFF: this is the last.
    pub next: u16,
    /// The piece.
    pub data: Vec<u8>,
}

command! {
    /// Get SEL Info (31.2).
    GetSelInfo {}
    send |_this| NetFn::Storage, 0x40, Vec::new();
    read |bytes| -> SelInfo {
        let _version = bytes.u8()?;
        let entries = bytes.u16()?;
        let free = bytes.u16()?;
        Ok(SelInfo { entries, free })
    }
}

/// State of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelInfo {
    /// Entries in it.
    pub entries: u16,
    /// Free bytes.
    pub free: u16,
}

command! {
    /// Reserve SEL (31.4).
    ReserveSel {}
    send |_this| NetFn::Storage, 0x42, Vec::new();
    read |bytes| -> u16 { bytes.u16() }
}

command! {
    /// Get SEL Entry (31.5): a whole entry, without a reservation.
    GetSelEntry {
        /// Record; 0 the first.
        record: u16,
    }
    send |this| NetFn::Storage, 0x43, {
        let [low, high] = this.record.to_le_bytes();
        vec![0, 0, low, high, 0, 0xff]
    };
    read |bytes| -> Piece {
        let next = bytes.u16()?;
        Ok(Piece { next, data: bytes.take_rest().to_vec() })
    }
}

command! {
    /// Clear SEL (31.9). The answer: whether erasure is complete.
    ClearSel {
        /// From Reserve SEL.
        reservation: u16,
        /// Start erasing, or just ask how far it is.
        start: bool,
    }
    send |this| NetFn::Storage, 0x47, {
        let [low, high] = this.reservation.to_le_bytes();
        vec![low, high, b'C', b'L', b'R', if this.start { 0xaa } else { 0x00 }]
    };
    read |bytes| -> bool { bytes.u8().map(|progress| progress & 0x0f == 1) }
}
