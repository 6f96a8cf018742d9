//! What a master can ask.

use super::{
    NO_DEVICE, SAVE, SCAN_ALL,
    frame::{Frame, NO_TYPE},
};

macro_rules! device_types {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal),* $(,)?) => {
        /// What a device of a board is, by the bus's own words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DeviceType { $($(#[$doc])* $variant),* }

        impl DeviceType {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its code on the bus.
            pub fn code(self) -> u8 {
                match self { $(Self::$variant => $code),* }
            }

            /// Its name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

device_types! {
    /// The light of a chamber ("wedge") of the rack
    VaporLed = 0x08 "vapor_led",
    /// A light
    Led = 0x10 "led",
    /// The machine: identity, boot target, names
    System = 0x12 "system",
    /// What switches the machine
    Power = 0x40 "power",
    /// A rectifier, switched and read as `power`
    VaporRectifier = 0x48 "vapor_rectifier",
    /// A battery
    VaporBattery = 0x4a "vapor_battery",
    /// Humidity, with a temperature
    Humidity = 0x4e "humidity",
    /// A fan
    FanSpeed = 0x82 "fan_speed",
    /// A chamber's fan
    VaporFan = 0x88 "vapor_fan",
    /// A current, raw
    Current = 0x90 "current",
    /// Degrees Celsius as text
    Temperature = 0x9a "temperature",
    /// A thermistor's raw number
    Thermistor = 0x9c "thermistor",
    /// Pressure in kPa as text
    Pressure = 0xee "pressure",
    /// A power supply, raw
    PowerSupply = 0xf0 "power_supply",
    /// Air flow, raw
    Airflow = 0xf2 "airflow",
    /// Anything else
    None = 0xff "none",
}

impl DeviceType {
    /// Of a code; what nobody knows is `none`.
    pub fn of_code(code: u8) -> Self {
        Self::ALL.iter().copied().find(|kind| kind.code() == code).unwrap_or(Self::None)
    }

    /// Of a name, in either case.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether it takes power commands.
    pub fn is_power(self) -> bool {
        matches!(self, Self::Power | Self::VaporRectifier | Self::VaporBattery)
    }
}

/// What a power device is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerWord {
    /// `P1`
    On,
    /// `P0`
    Off,
    /// `PC`: how long it stays off, and whether a device that is off comes on, is the board's own business.
    Cycle,
    /// `P?`: tells, switches nothing.
    Status,
}

impl PowerWord {
    /// The byte after `P`.
    pub fn byte(self) -> u8 {
        match self {
            Self::On => b'1',
            Self::Off => b'0',
            Self::Cycle => b'C',
            Self::Status => b'?',
        }
    }
}

/// Where a system boots from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootWord {
    /// `B0`: as its firmware likes
    NoOverride,
    /// `B1`
    Hdd,
    /// `B2`
    Pxe,
}

impl BootWord {
    /// The byte after `B`.
    pub fn byte(self) -> u8 {
        match self {
            Self::NoOverride => b'0',
            Self::Hdd => b'1',
            Self::Pxe => b'2',
        }
    }
}

/// A command to a board or to one of its devices. What is asked of a device carries its type: one of another type does
/// not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Its firmware's version.
    Version {
        /// Board.
        board: u32,
    },
    /// Its devices, a frame each.
    Scan {
        /// Board.
        board: u32,
    },
    /// All boards' devices.
    ScanAll {
        /// What the master calls itself: see [`super::master_id`].
        master: u16,
        /// Width of a reply slot, in milliseconds.
        time_slice: u8,
    },
    /// Boards keep their reply slots; nobody answers.
    Save,
    /// A reading.
    Read {
        /// Board and device.
        at: (u32, u16),
        /// Its type.
        kind: DeviceType,
    },
    /// A light on or off.
    Light {
        /// Board and device.
        at: (u32, u16),
        /// On.
        lit: bool,
    },
    /// A fan's speed.
    Fan {
        /// Board and device.
        at: (u32, u16),
        /// Revolutions per minute.
        rpm: u32,
    },
    /// Switch, or ask whether it is on.
    Power {
        /// Board and device.
        at: (u32, u16),
        /// What.
        word: PowerWord,
    },
    /// Identity.
    Asset {
        /// Board and device.
        at: (u32, u16),
    },
    /// Boot target; `None` asks.
    Boot {
        /// Board and device.
        at: (u32, u16),
        /// What to.
        word: Option<BootWord>,
    },
    /// Chamber light. Codes: 1 on or blinking, 0 off or steady, -1 as it is.
    ChamberLight {
        /// Board and device.
        at: (u32, u16),
        /// `state,rack,color,blink`
        text: String,
    },
    /// Host names and addresses.
    HostInfo {
        /// Board and device.
        at: (u32, u16),
    },
}

impl Request {
    /// The frame of that number.
    pub fn frame(&self, sequence: u8) -> Frame {
        let of_board = |board: u32, data: &[u8]| (NO_TYPE, board, NO_DEVICE, data.to_vec());
        let of_device = |at: &(u32, u16), kind: DeviceType, data: Vec<u8>| (kind.code(), at.0, at.1, data);
        let (kind, board, device, data) = match self {
            Self::Version { board } => of_board(*board, b"V"),
            Self::Scan { board } => of_board(*board, b"D"),
            Self::ScanAll { master, time_slice } => {
                of_board(SCAN_ALL | u32::from(*master) << 8 | u32::from(*time_slice), b"D")
            }
            Self::Save => of_board(SCAN_ALL | SAVE, b"D"),
            Self::Read { at, kind } => of_device(at, *kind, b"R".to_vec()),
            Self::Light { at, lit } => of_device(at, DeviceType::Led, vec![b'W', if *lit { b'1' } else { b'0' }]),
            Self::Fan { at, rpm } => {
                // FF stands for the motor's poles: nothing else was ever sent.
                let data = [b"W\xff".as_slice(), rpm.to_string().as_bytes()].concat();
                of_device(at, DeviceType::FanSpeed, data)
            }
            Self::Power { at, word } => of_device(at, DeviceType::Power, vec![b'P', word.byte()]),
            Self::Asset { at } => of_device(at, DeviceType::System, b"A".to_vec()),
            Self::Boot { at, word } => of_device(at, DeviceType::System, vec![b'B', word.map_or(b'?', BootWord::byte)]),
            Self::ChamberLight { at, text } => of_device(at, DeviceType::VaporLed, [b"L", text.as_bytes()].concat()),
            Self::HostInfo { at } => of_device(at, DeviceType::System, b"H".to_vec()),
        };
        Frame { sequence, kind, board, device, data }
    }

    /// Whether the answer is a list of frames that ends with silence.
    pub fn is_scan(&self) -> bool {
        matches!(self, Self::Scan { .. } | Self::ScanAll { .. })
    }

    /// Whether carrying it out twice may differ from once: it is never sent again.
    pub fn changes_something(&self) -> bool {
        match self {
            Self::Power { word, .. } => *word != PowerWord::Status,
            Self::Light { .. } | Self::Fan { .. } | Self::ChamberLight { .. } => true,
            Self::Boot { word, .. } => word.is_some(),
            _ => false,
        }
    }
}
