//! What a BMC, or anybody who can send from its address, may answer.

use ipmi_rs_core::connection::IpmiCommand;

use super::made;
use crate::wire::ipmi::{
    Keys, Suite,
    command::{self, RawReading},
    fru::Fru,
    handshake::{OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp34},
    lan::LanMessage,
    rmcp::{self, Datagram, Payload},
    sdr::{Record, RecordHeader},
    sel, session,
};

/// RMCP packets and the login. The first byte chooses the suite; packets of a session are opened with its keys.
pub fn rmcp(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let suite = Suite::from_id(choice % 18).unwrap_or(Suite::SHA1);
    let keys = Keys::derive(suite, b"key");
    if let Ok(Datagram::Plus(packet)) = rmcp::decode(data) {
        made(&session::open(&keys, &packet));
    }
    if data.len() < 60_000 {
        // What was sealed opens.
        let sealed = session::seal(&keys, 1, 2, Payload::Ipmi, data, [*choice; 16]);
        let opened = match rmcp::decode(&sealed) {
            Ok(Datagram::Plus(packet)) => session::open(&keys, &packet).ok(),
            _ => None,
        };
        assert_eq!(opened.as_deref(), Some(data), "what was sealed does not open");
    }
    made(&OpenRequest::decode(data));
    made(&OpenResponse::decode(data));
    made(&Rakp1::decode(data));
    made(&Rakp2::decode(data));
    made(&Rakp34::decode(data));
}

macro_rules! parse {
    ($data:expr; $($name:ident),* $(,)?) => { $(made(&command::$name::parse_success_response($data));)* };
}

/// LAN messages, and the answers of all commands.
pub fn message(data: &[u8]) {
    if let Ok(message) = LanMessage::decode(data) {
        assert_eq!(message.encode(), data, "a LAN message changes on its way through");
    }
    if let Ok(guid) = command::GetSystemGuid::parse_success_response(data) {
        made(&command::guid_text(&guid));
    }
    if let Ok(flags) = command::GetBootOptions::parse_success_response(data) {
        made(&flags.in_force());
    }
    parse!(data; GetDeviceId, SetSessionPrivilegeLevel, GetChannelAuthenticationCapabilities, GetChassisStatus,
        GetRestartCause, GetDcmiPowerReading, GetSensorReading, GetSensorThresholds, GetSensorReadingFactors,
        GetFruArea, ReadFru, GetSdrRepositoryInfo, ReserveSdr, GetSdr, GetSelInfo, ReserveSel, GetSelEntry, ClearSel);
}

/// Sensor data records, and the arithmetic of what they hold.
pub fn sdr(data: &[u8]) {
    made(&RecordHeader::decode(data));
    let Ok(Record::Sensors(sensors)) = Record::decode(data) else { return };
    for sensor in sensors {
        let states = u16::from(data.first().copied().unwrap_or(0));
        made(&sensor.judge(&RawReading { value: 1, scanning: true, unavailable: false, states }));
        let Some(analog) = sensor.analog else { continue };
        made(&analog.thresholds(&analog.limits));
        made(&analog.range());
        for raw in 0..=255 {
            assert!(analog.value(raw).is_none_or(f64::is_finite), "a reading that is no number");
        }
    }
}

fn checksum(data: &[u8]) -> u8 {
    data.iter().fold(0, |sum, byte| sum.wrapping_sub(*byte))
}

/// FRU data. The checksums are made right where they fit, or nothing behind them would ever be reached.
pub fn fru(data: &[u8]) {
    made(&Fru::decode(data));
    let mut data = data.to_vec();
    let Some((head, _)) = data.split_first_chunk_mut::<8>() else { return };
    let [version, _, chassis, board, product, _, _, sum] = head;
    *version = 1;
    let areas = [*chassis, *board, *product];
    *sum = 0;
    head[7] = checksum(head);
    for start in areas.map(|offset| usize::from(offset) * 8) {
        let length = data.get(start + 1).map_or(0, |length| usize::from(*length) * 8);
        if start >= 8
            && let Some((last, rest)) = data.get_mut(start..start + length).and_then(|area| area.split_last_mut())
        {
            *last = checksum(rest);
        }
    }
    if let Ok(fru) = Fru::decode(&data) {
        made(&Fru::decode(&fru.encode()));
    }
}

/// Log entries, and their text.
pub fn sel(data: &[u8]) {
    let Ok(entry) = sel::Entry::decode(data) else { return };
    assert!(!entry.text(Some("name")).is_empty(), "an entry that says nothing");
    made(&entry.severity());
    assert_eq!(sel::Entry::decode(&entry.encode()), Ok(entry), "an entry changes on its way through");
}
