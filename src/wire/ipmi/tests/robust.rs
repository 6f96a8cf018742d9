//! Round trips, and decoders against noise and mutated data: an error or a value, never a panic.

use ipmi_rs_core::connection::IpmiCommand;
use proptest::prelude::*;

use super::super::{
    Keys, Suite, command,
    fru::Fru,
    handshake::{OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp34},
    lan::LanMessage,
    rmcp::{self, Datagram, Payload},
    sdr::{Record, RecordHeader},
    sel::Entry,
    session,
};

fn suites() -> impl Strategy<Value = Suite> {
    prop::sample::select(vec![1u8, 2, 3, 15, 16, 17]).prop_map(|id| Suite::from_id(id).unwrap())
}

/// Everything that decodes, on the same bytes.
fn decode_all(data: &[u8], keys: &Keys) {
    if let Ok(Datagram::Plus(packet)) = rmcp::decode(data) {
        drop(session::open(keys, &packet));
    }
    drop(LanMessage::decode(data));
    drop(OpenRequest::decode(data));
    drop(OpenResponse::decode(data));
    drop(Rakp1::decode(data));
    drop(Rakp2::decode(data));
    drop(Rakp34::decode(data));
    drop(RecordHeader::decode(data));
    if let Ok(Record::Sensors(sensors)) = Record::decode(data) {
        for sensor in sensors {
            if let Some(analog) = sensor.analog {
                let values = (0..=255).filter_map(|raw| analog.value(raw)).count();
                assert!(values <= 256 && analog.range().is_none_or(|(low, high)| low <= high));
                drop(format!("{:?}", analog.thresholds(&analog.limits)));
            }
        }
    }
    drop(Fru::decode(data));
    if let Ok(entry) = Entry::decode(data) {
        drop((entry.text(None), entry.severity()));
    }
    answers(data);
}

/// The answers of all commands.
fn answers(data: &[u8]) {
    macro_rules! parse {
        ($($name:ident),* $(,)?) => { $(drop(command::$name::parse_success_response(data));)* };
    }
    parse!(
        GetDeviceId,
        GetSystemGuid,
        SetSessionPrivilegeLevel,
        CloseSession,
        GetChannelAuthenticationCapabilities,
        GetChassisStatus,
        ChassisControl,
        ChassisIdentify,
        GetRestartCause,
        GetBootOptions,
        SetBootOptions,
        GetDcmiPowerReading,
        GetSensorReading,
        GetSensorThresholds,
        GetSensorReadingFactors,
        GetFruArea,
        ReadFru,
        GetSdrRepositoryInfo,
        ReserveSdr,
        GetSdr,
        GetSelInfo,
        ReserveSel,
        GetSelEntry,
        ClearSel,
    );
}

/// Good examples to mutate: the records and FRU data of the ipmi_sim fixture, and a packet.
fn examples() -> Vec<Vec<u8>> {
    let bytes = |text: &str| -> Vec<u8> {
        text.split(' ').filter_map(|byte| u8::from_str_radix(byte.trim_start_matches("0x"), 16).ok()).collect()
    };
    let file = include_str!("../../../../fixtures/ipmi_sim/bmc.emu");
    let mut found: Vec<Vec<u8>> = file
        .lines()
        .filter_map(|line| line.strip_prefix("main_sdr_add 0x20 ").or_else(|| Some(line.split_once(" data ")?.1)))
        .map(bytes)
        .collect();
    assert!(found.len() > 10);
    let keys = Keys::derive(Suite::SHA1, b"key");
    let message = LanMessage::request(6, 0, 1, 1, &[]).encode();
    found.push(session::seal(&keys, 1, 1, Payload::Ipmi, &message, [7; 16]));
    found.push(rmcp::encode_plus(
        Payload::Rakp1,
        &Rakp1 { tag: 1, bmc: 2, random: [3; 16], role: 0x14, user: b"admin".to_vec() }.encode(),
    ));
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn noise(data in prop::collection::vec(any::<u8>(), 0..300), suite in suites()) {
        decode_all(&data, &Keys::derive(suite, b"key"));
    }

    #[test]
    fn mutations(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        suite in suites(),
    ) {
        let examples = examples();
        let mut data = which.get(&examples).clone();
        for (at, value) in changes {
            let at = at.index(data.len());
            data[at] = value;
        }
        if let Some(cut) = cut {
            data.truncate(cut.index(data.len()));
        }
        decode_all(&data, &Keys::derive(suite, b"key"));
        // A behind valid checksums: FRU data whose header and areas are right again.
        if data.len() > 8 && data[0] == 1 {
            data[7] = data[..7].iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
            decode_all(&data, &Keys::derive(suite, b"key"));
        }
    }

    #[test]
    fn sealed_packets_open(
        suite in suites(),
        sik in prop::collection::vec(any::<u8>(), 20..33),
        session_id in 1..=u32::MAX,
        sequence in 1..=u32::MAX,
        payload in prop::collection::vec(any::<u8>(), 0..300),
        iv in any::<[u8; 16]>(),
    ) {
        let keys = Keys::derive(suite, &sik);
        let datagram = session::seal(&keys, session_id, sequence, Payload::Ipmi, &payload, iv);
        let Ok(Datagram::Plus(packet)) = rmcp::decode(&datagram) else {
            return Err(TestCaseError::fail("not a packet"));
        };
        prop_assert_eq!((packet.session, packet.sequence, packet.payload_type), (session_id, sequence, Payload::Ipmi));
        prop_assert_eq!(session::open(&keys, &packet), Ok(payload));
    }

    #[test]
    fn lan_messages(
        netfn in 0u8..64, lun in 0u8..4, sequence in 0u8..64, command in any::<u8>(),
        data in prop::collection::vec(any::<u8>(), 0..250),
    ) {
        let request = LanMessage::request(netfn & !1, lun, sequence, command, &data);
        let bytes = request.encode();
        prop_assert_eq!(LanMessage::decode(&bytes), Ok(request));
        let answer = request.answer(&data);
        prop_assert!(answer.answers(&request));
        let other = LanMessage::request(netfn & !1, lun, sequence ^ 1, command, &data);
        prop_assert!(!answer.answers(&other));
    }

    #[test]
    fn fru_round_trip(
        texts in prop::collection::vec(prop::option::of("[!-~]([ -~]{0,28}[!-~])?"), 12),
    ) {
        let mut texts = texts.into_iter().map(|text| text.filter(|text| !text.is_empty()));
        let mut next = || texts.next().flatten();
        let fru = Fru {
            chassis_part: next(),
            chassis_serial: next(),
            board_maker: next(),
            board_product: next(),
            board_serial: next(),
            board_part: next(),
            product_maker: next(),
            product_name: next(),
            product_part: next(),
            product_version: next(),
            product_serial: next(),
            asset_tag: next(),
            damaged: Vec::new(),
        };
        prop_assert_eq!(Fru::decode(&fru.encode()), Ok(fru));
    }

    #[test]
    fn log_entry_round_trip(bytes in any::<[u8; 16]>()) {
        let entry = Entry::decode(&bytes).unwrap();
        let again = Entry::decode(&entry.encode()).unwrap();
        prop_assert_eq!(entry, again);
    }

    #[test]
    fn handshake_round_trip(
        tag in any::<u8>(), console in any::<u32>(), bmc in any::<u32>(), random in any::<[u8; 16]>(),
        guid in any::<[u8; 16]>(), user in prop::collection::vec(any::<u8>(), 0..=16),
        code in prop::collection::vec(any::<u8>(), 0..32), algorithms in any::<[u8; 3]>(), status in 0u8..0x13,
    ) {
        let algorithms = algorithms.map(|a| a & 0x3f);
        let open = OpenRequest { tag, level: tag & 0x0f, console, algorithms };
        prop_assert_eq!(OpenRequest::decode(&open.encode()), Ok(open));
        let opened = OpenResponse::Opened { tag, level: tag & 0x0f, console, bmc, algorithms };
        prop_assert_eq!(OpenResponse::decode(&opened.encode()), Ok(opened));
        let first = Rakp1 { tag, bmc, random, role: tag, user };
        prop_assert_eq!(Rakp1::decode(&first.encode()), Ok(first));
        let second = Rakp2 { tag, status: 0, console, random, guid, code: code.clone() };
        prop_assert_eq!(Rakp2::decode(&second.encode()), Ok(second));
        let code = if status == 0 { code } else { Vec::new() };
        let third = Rakp34 { tag, status, session: bmc, code };
        prop_assert_eq!(Rakp34::decode(&third.encode()), Ok(third));
    }
}
