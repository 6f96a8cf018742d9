//! FRU data, log entries and texts.

use super::{
    super::{
        decode_type_length,
        fru::Fru,
        sel::{Body, Entry},
    },
    hex,
};
use crate::model::ReadingState;

#[test]
fn texts() {
    // 8-bit, BCD plus, packed 6-bit ("IPMI": the example of the FRU storage definition, 13.2), none.
    assert_eq!(decode_type_length(&hex("c8 43 50 55 20 54 65 6d 70")), "CPU Temp");
    assert_eq!(decode_type_length(&hex("43 12 3b 4c")), "123-4.");
    assert_eq!(decode_type_length(&hex("83 29 dc a6")), "IPMI");
    assert_eq!(decode_type_length(&hex("c0")), "");
    assert_eq!(decode_type_length(&[]), "");
    // Cut short, with control characters, with a NUL inside.
    assert_eq!(decode_type_length(&hex("c8 43 50")), "CP");
    assert_eq!(decode_type_length(&hex("c4 41 0a 42 20")), "AB");
    assert_eq!(decode_type_length(&hex("c4 41 42 00 43")), "AB");
    // Unicode in a sensor's name.
    assert_eq!(decode_type_length(&hex("04 41 00 b0 00")), "A°");
}

/// The FRU data of `fixtures/ipmi_sim/bmc.emu`: chassis with BCD plus, board with packed 6-bit, product.
#[test]
fn fixture() {
    let file = include_str!("../../../../fixtures/ipmi_sim/bmc.emu");
    let line = file.lines().find(|line| line.starts_with("mc_add_fru_data")).unwrap();
    let (_, bytes) = line.split_once(" data ").unwrap();
    let bytes: Vec<u8> =
        bytes.split(' ').map(|byte| u8::from_str_radix(byte.trim_start_matches("0x"), 16).unwrap()).collect();
    let fru = Fru::decode(&bytes).unwrap();
    assert_eq!(fru.chassis_part.as_deref(), Some("CH-PART-1"));
    assert_eq!(fru.chassis_serial.as_deref(), Some("1234-56.78"));
    assert_eq!(fru.board_maker.as_deref(), Some("Boardmaker"));
    assert_eq!(fru.board_product.as_deref(), Some("BOARD-X9"));
    assert_eq!(fru.product_name.as_deref(), Some("Roadrunner 9000"));
    assert_eq!(fru.asset_tag.as_deref(), Some("ASSET-42"));
    assert!(fru.damaged.is_empty());

    // A broken area costs only itself; a broken header everything.
    let mut broken = bytes.clone();
    let board = usize::from(broken[3]) * 8;
    broken[board + 10] ^= 1;
    let fru = Fru::decode(&broken).unwrap();
    assert_eq!((fru.board_maker, fru.damaged), (None, vec!["board"]));
    assert_eq!(fru.product_serial.as_deref(), Some("SN-4711"));
    broken[1] ^= 1;
    assert!(Fru::decode(&broken).is_err());
}

/// An area in another language than English: UTF-16.
#[test]
fn utf16() {
    let mut area = vec![1, 0, 12 /* Japanese */];
    area.push(0xc0 | 4);
    area.extend_from_slice(&hex("e5 65 2c 67"));
    area.push(0xc1);
    while (area.len() + 1) % 8 != 0 {
        area.push(0);
    }
    area[1] = u8::try_from((area.len() + 1) / 8).unwrap();
    area.push(area.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte)));
    let mut data = vec![1, 0, 0, 0, 1, 0, 0];
    data.push(data.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte)));
    data.extend_from_slice(&area);
    assert_eq!(Fru::decode(&data).unwrap().product_maker.as_deref(), Some("日本"));
}

#[test]
fn log_entries() {
    for (bytes, seconds, severity, text) in [
        (
            "0100 02 00f15365 2000 04 01 01 01 595f5a",
            Some(0x6553_f100),
            ReadingState::Critical,
            "Temperature CPU: Upper Critical - going high asserted",
        ),
        (
            "0200 02 00f15365 2000 04 01 01 81 57555a",
            Some(0x6553_f100),
            ReadingState::Ok,
            "Temperature CPU: Upper Non-critical - going high deasserted",
        ),
        (
            // Seconds since the controller started.
            "0300 02 40000000 2000 04 08 01 6f 03ffff",
            None,
            ReadingState::Critical,
            "Power Supply CPU: Power Supply input lost (AC/DC) asserted",
        ),
        (
            // A state that the tables don't name.
            "0400 02 ffffffff 2000 04 c5 01 71 0effff",
            None,
            ReadingState::Ok,
            "OEM (0xC5) CPU: state 14 asserted",
        ),
        (
            "0500 c1 00f15365 570100 010203040506",
            Some(0x6553_f100),
            ReadingState::Ok,
            "Entry of maker 343, type 0xc1: 010203040506",
        ),
        (
            "0600 e0 0102030405060708090a0b0c0d",
            None,
            ReadingState::Ok,
            "Maker's own entry, type 0xe0: 0102030405060708090a0b0c0d",
        ),
    ] {
        let bytes = hex(bytes);
        let entry = Entry::decode(&bytes).unwrap();
        assert_eq!((entry.seconds, entry.severity(), entry.text(Some("CPU")).as_str()), (seconds, severity, text));
        if seconds.is_some() || matches!(entry.body, Body::Maker { iana: None, .. }) {
            assert_eq!(entry.encode().as_slice(), bytes);
        }
    }
    let entry = Entry::decode(&hex("0100 02 00f15365 2000 04 01 07 01 595f5a")).unwrap();
    assert_eq!(entry.text(None), "Temperature sensor 7: Upper Critical - going high asserted");
    assert!(Entry::decode(&hex("0100 02 00f15365 2000 04 01 07 01 59")).is_err());
}
