//! Frames, numbers, conversions.

use super::*;

const NODE: (u32, u16) = (1, 4);

#[test]
fn requests_are_those_on_the_wire() {
    let wedge = |text: &str| Request::ChamberLight { at: (1, 6), text: text.to_owned() };
    let boot = |word| Request::Boot { at: (1, 1), word };
    let power = |word| Request::Power { at: NODE, word };
    for (sequence, request, bytes) in [
        (1, Request::Version { board: 1 }, "01 0a 01 ff 00 00 00 01 ff ff 56 ab 04"),
        (2, Request::Scan { board: 1 }, "01 0a 02 ff 00 00 00 01 ff ff 44 bc 04"),
        (3, Request::ScanAll { master: 0x4145, time_slice: 75 }, "01 0a 03 ff 80 41 45 4b ff ff 44 6b 04"),
        (4, Request::Save, "01 0a 04 ff 90 00 00 00 ff ff 44 2b 04"),
        (
            5,
            Request::Read { at: (0x14, 0x04ff), kind: DeviceType::Thermistor },
            "01 0a 05 9c 00 00 00 14 04 ff 52 f6 04",
        ),
        (6, Request::Read { at: (1, 0x2000), kind: DeviceType::Temperature }, "01 0a 06 9a 00 00 00 01 20 00 52 ed 04"),
        (8, Request::Light { at: (1, 5), lit: true }, "01 0b 08 10 00 00 00 01 00 05 57 31 5a 04"),
        (0x0b, Request::Fan { at: (1, 2), rpm: 4100 }, "01 0f 0b 82 00 00 00 01 00 02 57 ff 34 31 30 30 55 04"),
        (0x0d, power(PowerWord::On), "01 0b 0d 40 00 00 00 01 00 04 50 31 2d 04"),
        (0x0e, power(PowerWord::Off), "01 0b 0e 40 00 00 00 01 00 04 50 30 2d 04"),
        (0x0f, power(PowerWord::Cycle), "01 0b 0f 40 00 00 00 01 00 04 50 43 19 04"),
        (0x10, power(PowerWord::Status), "01 0b 10 40 00 00 00 01 00 04 50 3f 1c 04"),
        (0x11, Request::Asset { at: (1, 1) }, "01 0a 11 12 00 00 00 01 00 01 41 9a 04"),
        (0x12, boot(Some(BootWord::NoOverride)), "01 0b 12 12 00 00 00 01 00 01 42 30 68 04"),
        (0x13, boot(Some(BootWord::Hdd)), "01 0b 13 12 00 00 00 01 00 01 42 31 66 04"),
        (0x14, boot(Some(BootWord::Pxe)), "01 0b 14 12 00 00 00 01 00 01 42 32 64 04"),
        (0x15, boot(None), "01 0b 15 12 00 00 00 01 00 01 42 3f 56 04"),
        (0x16, wedge("-1,3,ffffff,1"), "01 17 16 08 00 00 00 01 00 06 4c 2d 31 2c 33 2c 66 66 66 66 66 66 2c 31 e5 04"),
        (0x17, wedge("1,3,-1,-1"), "01 13 17 08 00 00 00 01 00 06 4c 31 2c 33 2c 2d 31 2c 2d 31 ea 04"),
        (0x18, Request::HostInfo { at: (1, 1) }, "01 0a 18 12 00 00 00 01 00 01 48 8c 04"),
        (0xfe, Request::Version { board: 0x00ff_ffff }, "01 0a fe ff 00 ff ff ff ff ff 56 b2 04"),
        (0x00, Request::Version { board: 0x00ff_ffff }, "01 0a 00 ff 00 ff ff ff ff ff 56 b0 04"),
    ] {
        let frame = request.frame(sequence);
        assert_eq!(frame.encode().unwrap(), hex(bytes), "{request:?}");
        assert_eq!(Frame::decode(&hex(bytes)), Ok(frame));
    }
}

#[test]
fn answers_are_read() {
    let frame = |bytes: &str| Frame::decode(&hex(bytes)).unwrap();
    assert_eq!(reply::version(&frame("01 0c 01 ff 00 00 00 00 ff ff 66 77 31 f4 04")), Ok("fw1".to_owned()));
    let shortest = frame("01 09 01 ff 00 00 00 00 ff ff 02 04");
    assert_eq!(reply::version(&shortest), Ok(String::new()));
    assert!(reply::scanned(&shortest).is_err());
    assert_eq!(
        reply::scanned(&frame("01 0a 02 82 00 00 00 01 00 02 82 f7 04")),
        Ok(reply::Found { board: 1, device: 2, kind: DeviceType::FanSpeed })
    );
    let read = |bytes: &str, kind| reply::reading(&frame(bytes), kind);
    assert_eq!(
        read("01 0e 05 ff 00 00 00 00 ff ff 33 32 37 36 38 f4 04", DeviceType::Thermistor),
        Ok(reply::Reading::Celsius(-4173.97))
    );
    assert_eq!(
        read("01 0e 06 ff 00 00 00 00 ff ff 32 38 2e 37 38 f6 04", DeviceType::Temperature),
        Ok(reply::Reading::Celsius(28.78))
    );
    assert!(reply::written(&frame("01 0b 08 ff 00 00 00 00 ff ff 57 31 73 04")));
    let off = reply::power(&frame("01 11 10 ff 00 00 00 00 ff ff 36 34 2c 30 2c 30 2c 30 75 04"), Quirks::STRICT);
    assert!(matches!(off, Ok(reply::Power::Supply(s)) if !s.on && s.good), "{off:?}");
    assert_eq!(reply::boot(&frame("01 0b 15 ff 00 00 00 00 ff ff 42 32 7a 04")), Ok(BootWord::Pxe));
    assert_eq!(
        reply::chamber_light(&frame("01 13 16 ff 00 00 00 00 ff ff 31 2c 66 66 66 66 66 66 2c 31 cf 04")),
        Ok(reply::ChamberLight { lit: true, color: "ffffff".to_owned(), blinking: true })
    );
    let host = "01 22 18 ff 00 00 00 00 ff ff 69 31 30 2e 31 30 2e 31 2e 31 36 2c 68 63 61 73 73 61 6e 64 72 61 30 30 30 \
                ca 04";
    assert_eq!(
        reply::host_info(&frame(host)),
        Ok(reply::HostInfo { names: vec!["cassandra000".to_owned()], addresses: vec!["10.10.1.16".to_owned()] })
    );
}

#[test]
fn frames_that_are_none() {
    let good = "01 0c 03 40 12 34 56 78 aa 05 01 02 03 f4 04";
    let frame = Frame { sequence: 3, kind: 0x40, board: 0x1234_5678, device: 0xaa05, data: vec![1, 2, 3] };
    assert_eq!((Frame::decode(&hex(good)), frame.encode().unwrap()), (Ok(frame.clone()), hex(good)));
    for (bytes, error) in [
        ("01 08 03 40 12 34 56 78 aa 05 04", FrameError::Short),
        ("00 0c 03 40 12 34 56 78 aa 05 01 02 03 f4 04", FrameError::Header),
        ("01 0b 03 40 12 34 56 78 aa 05 01 02 03 f4 04", FrameError::Length),
        ("01 0c 03 40 12 34 56 78 aa 05 01 02 03 f5 04", FrameError::Checksum),
        ("01 0c 03 40 12 34 56 78 aa 05 01 02 03 f4 03", FrameError::Trailer),
        ("01 0c 02 ff 00 00 00 00 ff ff 36 35 36 61 04", FrameError::Checksum),
    ] {
        assert_eq!(Frame::decode(&hex(bytes)), Err(error), "{bytes}");
    }
    let longest = Frame { data: vec![7; MAX_DATA], ..frame.clone() };
    let bytes = longest.encode().unwrap();
    assert_eq!((bytes.len(), Frame::decode(&bytes)), (MAX_FRAME, Ok(longest)));
    assert!(Frame { data: vec![7; MAX_DATA + 1], ..frame }.encode().is_err());
}

#[test]
fn numbers_leave_255_out() {
    let mut numbers = Sequence::default();
    let taken: Vec<u8> = (0..512).map(|_| numbers.take()).collect();
    assert_eq!((taken[0], taken[253], taken[254], taken[255]), (1, 254, 0, 1));
    assert!(!taken.contains(&255));
}

#[test]
fn a_master_calls_itself_by_its_mac() {
    assert_eq!(master_id(0x0011_2233_4455), 0x9205);
    assert_eq!(master_id(u64::MAX), master_id(0xffff_ffff_ffff));
}

#[test]
fn thermistors() {
    for (raw, celsius) in [
        (0, 131.29),
        (218, 80.06),
        (219, 79.85),
        (354, 60.01),
        (355, 60.03),
        (542, 40.21),
        (543, 39.91),
        (656, 28.78),
        (745, 20.02),
        (746, 20.91),
        (32_768, -4173.97),
        (65_534, -8466.32),
        (-5, 132.47),
    ] {
        assert_eq!(convert::thermistor(raw), Ok(celsius), "{raw}");
    }
    assert_eq!(convert::thermistor(65_535), Err(convert::OutOfRange(65_535)));
}

#[test]
fn humidity() {
    for (raw, both) in [
        (1_486_313_281, (38.43, 16.24)),
        (0, (0.0, -40.0)),
        (65_535, (0.0, 125.01)),
        (4_294_901_760, (100.01, -40.0)),
        (-1, (100.01, 125.01)),
    ] {
        assert_eq!(convert::humidity(raw), Ok(both), "{raw}");
    }
    assert!(convert::humidity(1 << 32).is_err());
}

#[test]
#[allow(clippy::float_cmp)] // the original's doubles, bit for bit
fn power_meters() {
    assert_eq!(convert::watts(12_000), 198.576_865_795_134_86);
    assert_eq!(convert::volts(2400), 12.500_651_075_576_853);
    assert_eq!(convert::amperes(3356, Quirks::COMPAT), 15.879_801_734_820_322);
    assert_eq!(convert::amperes(0, Quirks::COMPAT), -25.706_319_702_602_23);
    assert!((convert::amperes(0, Quirks::STRICT) + 25.37).abs() < 0.01);
}

#[test]
fn power_words() {
    let told = |text: &str| reply::power(&Frame::answer(1, text.as_bytes().to_vec()), Quirks::STRICT);
    for (status, flags) in [
        (0, [true, true, false, false]),
        (64, [false, true, false, false]),
        (2048, [true, false, false, false]),
        (2056, [true, false, false, true]),
        (2064, [true, false, true, false]),
        (2072, [true, false, true, true]),
        (2136, [false, false, true, true]),
    ] {
        match told(&format!("{status}, 0,0 ,0")) {
            Ok(reply::Power::Supply(s)) => assert_eq!([s.on, s.good, s.over_current, s.under_voltage], flags),
            other => panic!("{status}: {other:?}"),
        }
    }
    let battery = reply::Power::Battery { state: "charging".to_owned(), percent: 100 };
    assert_eq!(told("charging,100"), Ok(battery));
    for bad in ["", "0", "junk,response,for,you", "1,2,3", "1,2,3,4,5", ",5", "charging,full", "0x1,0,0,0"] {
        assert!(told(bad).is_err(), "{bad}");
    }
}

#[test]
fn answers_that_make_no_sense() {
    let answer = |data: &[u8]| Frame::answer(1, data.to_vec());
    for (data, kind) in [
        (b"invalid".as_slice(), DeviceType::Temperature),
        (b"nan", DeviceType::Temperature),
        (b"4100.5", DeviceType::FanSpeed),
        (b"", DeviceType::Thermistor),
        (b"65535", DeviceType::Thermistor),
        (b"2", DeviceType::Led),
        (b"A", DeviceType::Led),
        (b"\xff\xfe", DeviceType::Humidity),
    ] {
        assert!(reply::reading(&answer(data), kind).is_err(), "{kind:?} {data:?}");
    }
    assert_eq!(reply::reading(&answer(b" -12345 "), DeviceType::VaporFan), Ok(reply::Reading::Rpm(-12_345)));
    assert_eq!(reply::reading(&answer(b"-0.12"), DeviceType::Pressure), Ok(reply::Reading::Kilopascal(-0.12)));
    for bad in ["", "B3", "2", "B?", "B1 "] {
        assert!(reply::boot(&answer(bad.as_bytes())).is_err(), "{bad}");
    }
    for bad in ["", "W0", "W2", "W11", "1"] {
        assert!(!reply::written(&answer(bad.as_bytes())), "{bad}");
    }
    for bad in ["", "bad-string", "hname,", "hname,x"] {
        assert!(reply::host_info(&answer(bad.as_bytes())).is_err(), "{bad}");
    }
    assert!(reply::asset(&answer(b"1,2,3,4,5,6,7,8,9,10,11,12")).is_err());
    let asset = reply::asset(&answer(b"1,2,3,4,5,6,7,8,9,10,11,12,13")).unwrap();
    assert_eq!((asset.board_manufacturer.as_str(), asset.product_version.as_str()), ("1", "13"));
    assert!(reply::chamber_light(&answer(b"junk,response,for,you")).is_err());
}

#[test]
fn every_type_has_one_code_and_one_name() {
    for kind in DeviceType::ALL {
        assert_eq!(DeviceType::of_code(kind.code()), *kind);
        assert_eq!(DeviceType::of_name(&kind.as_str().to_uppercase()), Some(*kind));
    }
    assert_eq!(DeviceType::of_code(0x77), DeviceType::None);
    assert_eq!(DeviceType::of_name("voltage"), None);
}

#[test]
fn every_quirk_has_a_tag() {
    for tag in Quirk::tags() {
        let quirk: Quirk = tag.parse().unwrap();
        assert!(Quirks::COMPAT.has(quirk) && !Quirks::STRICT.has(quirk) && Quirks::STRICT.with(quirk).has(quirk));
    }
    assert!("Q-99".parse::<Quirk>().is_err());
}
