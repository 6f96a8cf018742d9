//! Commands and their answers, on `ipmi-rs-core`'s `Message` and `IpmiCommand`.
//!
//! One file per chapter of the specification. A command is a plain struct; what it sends and how its answer is
//! read is all there is to it. Completion codes are the sender's business.

mod app;
mod chassis;
mod dcmi;
mod sensor;
mod storage;

pub use app::{
    Channel38, CloseSession, DeviceId, GetChannelAuthenticationCapabilities, GetDeviceId, GetSystemGuid,
    SetSessionPrivilegeLevel, guid_text, maker_name,
};
pub use chassis::{
    BOOT_FLAGS, BootFlags, ChassisControl, ChassisIdentify, ChassisStatus, Control, GetBootOptions, GetChassisStatus,
    GetRestartCause, Identify, SetBootOptions, restart_cause_text,
};
pub use dcmi::{GetDcmiPowerReading, PowerReading};
pub use sensor::{GetSensorReading, GetSensorReadingFactors, GetSensorThresholds, RawReading, RawThresholds};
pub use storage::{
    ClearSel, FruArea, GetFruArea, GetSdr, GetSdrRepositoryInfo, GetSelEntry, GetSelInfo, Piece, ReadFru, Repository,
    RepositoryInfo, ReserveSdr, ReserveSel, SelInfo,
};

/// Declares a command: struct, request and the reading of its answer.
macro_rules! command {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }
        send |$this:ident| $netfn:expr, $command:expr, $data:expr;
        read |$bytes:ident| -> $output:ty { $($read:tt)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }

        impl From<$name> for ipmi_rs_core::connection::Message {
            fn from($this: $name) -> Self {
                Self::new_request($netfn, $command, $data)
            }
        }

        impl ipmi_rs_core::connection::IpmiCommand for $name {
            type Output = $output;
            type Error = crate::wire::ipmi::Malformed;

            fn parse_success_response(data: &[u8]) -> Result<Self::Output, Self::Error> {
                #[allow(unused_mut, unused_variables)]
                let mut $bytes = crate::wire::ipmi::Bytes::new(stringify!($name), data);
                $($read)*
            }
        }
    };
}
use command;
