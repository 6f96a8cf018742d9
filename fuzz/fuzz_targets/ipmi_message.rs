//! LAN messages, and the answers of all commands.
#![no_main]

use ipmi_rs_core::connection::IpmiCommand;
use libfuzzer_sys::fuzz_target;
use rackfish::wire::ipmi::{command, lan::LanMessage};

macro_rules! parse {
    ($data:expr; $($name:ident),* $(,)?) => { $(let _ = command::$name::parse_success_response($data);)* };
}

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = LanMessage::decode(data) {
        assert_eq!(message.encode(), data);
    }
    if let Ok(guid) = command::GetSystemGuid::parse_success_response(data) {
        let _ = command::guid_text(&guid);
    }
    if let Ok(flags) = command::GetBootOptions::parse_success_response(data) {
        let _ = flags.in_force();
    }
    parse!(data; GetDeviceId, SetSessionPrivilegeLevel, GetChannelAuthenticationCapabilities, GetChassisStatus,
        GetRestartCause, GetDcmiPowerReading, GetSensorReading, GetSensorThresholds, GetSensorReadingFactors,
        GetFruArea, ReadFru, GetSdrRepositoryInfo, ReserveSdr, GetSdr, GetSelInfo, ReserveSel, GetSelEntry, ClearSel);
});
