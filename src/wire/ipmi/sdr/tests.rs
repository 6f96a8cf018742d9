//! Conversion against values worked out by hand, and records as a real tool's peer serves them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::float_cmp, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::{
    model::{Measure, ReadingState, Thresholds},
    wire::ipmi::{
        command::{RawReading, RawThresholds},
        sdr::record::Analog,
    },
};

fn factors(m: i16, b: i16, b_exponent: i8, exponent: i8) -> Factors {
    Factors { m, b, b_exponent, exponent, tolerance: 0, accuracy: 0, accuracy_exponent: 0 }
}

#[test]
fn values() {
    use Format::{OnesComplement, TwosComplement, Unsigned};
    for (factors, format, raw, value) in [
        (factors(1, 0, 0, 0), Unsigned, 40, 40.0),
        (factors(1, 0, 0, 0), TwosComplement, 0xf6, -10.0),
        (factors(1, 0, 0, 0), TwosComplement, 0x80, -128.0),
        (factors(1, 0, 0, 0), OnesComplement, 0xfa, -5.0),
        (factors(1, 0, 0, 0), OnesComplement, 5, 5.0),
        (factors(1, 0, 0, 0), OnesComplement, 0xff, 0.0),
        (factors(6, 0, 0, -2), Unsigned, 200, 12.0),
        (factors(60, 0, 0, 0), Unsigned, 75, 4500.0),
        (factors(-1, 100, 0, 0), Unsigned, 30, 70.0),
        (factors(-5, 0, 0, 0), Unsigned, 3, -15.0),
        (factors(-512, 0, 0, 0), Unsigned, 1, -512.0),
        (factors(511, -512, 0, 0), Unsigned, 1, -1.0),
        (factors(25, -512, 0, -3), Unsigned, 142, 3.038),
        (factors(1, 5, 2, 1), Unsigned, 7, 5070.0),
        (factors(1, 5, -1, 0), Unsigned, 7, 7.5),
    ] {
        assert_eq!(factors.convert(format, Linear::Linear, raw), Some(value), "{factors:?} {format:?} {raw}");
    }
    assert_eq!(factors(1, 0, 0, 0).convert(Format::None, Linear::Linear, 1), None);
}

#[test]
fn linearisation() {
    let one = factors(1, 0, 0, 0);
    let near = |linear, raw, value: f64| {
        let found = one.convert(Format::Unsigned, linear, raw).unwrap();
        assert!((found - value).abs() < 1e-9 * value.abs().max(1.0), "{linear:?}: {found}");
    };
    near(Linear::Ln, 10, std::f64::consts::LN_10);
    near(Linear::Log10, 100, 2.0);
    near(Linear::Log2, 8, 3.0);
    near(Linear::Exp, 1, std::f64::consts::E);
    near(Linear::Exp10, 3, 1000.0);
    near(Linear::Exp2, 10, 1024.0);
    near(Linear::Inverse, 4, 0.25);
    near(Linear::Square, 12, 144.0);
    near(Linear::Cube, 5, 125.0);
    near(Linear::SquareRoot, 225, 15.0);
    near(Linear::InverseCube, 2, 0.125);
    near(Linear::Asked, 7, 7.0);
    // What has no value has none: 1/0, logarithm of 0 and of a negative.
    for linear in [Linear::Inverse, Linear::Ln, Linear::InverseCube] {
        assert_eq!(one.convert(Format::Unsigned, linear, 0), None);
    }
    assert_eq!(factors(-1, 0, 0, 0).convert(Format::Unsigned, Linear::SquareRoot, 4), None);
}

#[test]
fn units() {
    let unit = |base| Unit { flags: 0, base, modifier: 0 };
    for (base, measure, value, converted) in [
        (1, Measure::Temperature, 20.0, 20.0),
        (2, Measure::Temperature, 212.0, 100.0),
        (3, Measure::Temperature, 273.15, 0.0),
        (4, Measure::Voltage, 1.0, 1.0),
        (5, Measure::Current, 1.0, 1.0),
        (6, Measure::Power, 1.0, 1.0),
        (7, Measure::Energy, 3_600_000.0, 1.0),
        (18, Measure::FanRpm, 1.0, 1.0),
        (19, Measure::Frequency, 50.0, 50.0),
        (65, Measure::Other, 1.0, 1.0),
    ] {
        let found = unit(base).converted(1, "x");
        assert_eq!(found.measure, measure);
        assert!((found.value(value) - converted).abs() < 1e-9, "{base}");
    }
    let percent = Unit { flags: 1, base: 0, modifier: 0 };
    assert_eq!(percent.converted(4, "Fan duty").measure, Measure::FanPercent);
    assert_eq!(percent.converted(0x0b, "Humidity").measure, Measure::Humidity);
    assert_eq!(percent.converted(0x0b, "CPU usage").measure, Measure::Other);
    // Watts per second are no watts.
    assert_eq!(Unit { flags: 0x18, base: 6, modifier: 0 }.converted(8, "x").measure, Measure::Other);
}

/// Records of `fixtures/ipmi_sim/bmc.emu`.
fn fixture() -> Vec<Record> {
    include_str!("../../../../fixtures/ipmi_sim/bmc.emu")
        .lines()
        .filter_map(|line| line.strip_prefix("main_sdr_add 0x20 "))
        .map(|line| {
            let bytes: Vec<u8> =
                line.split(' ').map(|byte| u8::from_str_radix(byte.trim_start_matches("0x"), 16).unwrap()).collect();
            Record::decode(&bytes).unwrap()
        })
        .collect()
}

#[test]
fn records() {
    let mut sensors = Vec::new();
    let mut locators = Vec::new();
    for record in fixture() {
        match record {
            Record::Sensors(found) => sensors.extend(found),
            Record::Locator(locator) => locators.push((locator.controller, locator.name)),
            Record::Other(kind) => panic!("{kind}"),
        }
    }
    assert_eq!(locators, [(true, "BMC".to_owned()), (false, "System FRU".to_owned())]);
    let names: Vec<&str> = sensors.iter().map(|sensor| sensor.name.as_str()).collect();
    let expected = [
        "CPU Temp",
        "Inlet Temp",
        "12V",
        "Fan 1",
        "PSU Power",
        "Margin",
        "Neg Rail",
        "Sqrt Current",
        "VBAT 12V",
        "PSU 1",
        "PSU Redundancy",
        "Drive1",
        "Drive2",
    ];
    assert_eq!(names, expected);
    // The two drives share a record: their numbers follow one another.
    assert_eq!((sensors[11].which.number, sensors[12].which.number), (12, 13));
    assert_eq!(sensors[0].context(), Some("CPU"));
    assert_eq!(sensors[1].context(), Some("Intake"));
    let cpu = sensors[0].analog.unwrap();
    assert_eq!(
        cpu.thresholds(&cpu.limits),
        Thresholds {
            lower_non_critical: Some(5.0),
            lower_critical: Some(2.0),
            lower_fatal: Some(0.0),
            upper_non_critical: Some(80.0),
            upper_critical: Some(90.0),
            upper_fatal: Some(100.0),
        }
    );
    let inlet = sensors[1].analog.unwrap();
    assert_eq!(inlet.range(), Some((-128.0, 127.0)));
    assert_eq!(inlet.thresholds(&inlet.limits), Thresholds::default());
    assert!(sensors[9].analog.is_none() && !sensors[9].is_threshold());
}

#[test]
fn health() {
    let sensors = fixture();
    let Record::Sensors(cpu) = &sensors[1] else { panic!() };
    let reading = |states| RawReading { value: 1, scanning: true, unavailable: false, states };
    for (states, state) in [
        (0, ReadingState::Ok),
        (0x01, ReadingState::Warning),
        (0x08, ReadingState::Warning),
        (0x18, ReadingState::Critical),
        (0x02, ReadingState::Critical),
        (0x3f, ReadingState::Critical),
        (0xc0, ReadingState::Ok),
    ] {
        assert_eq!(cpu[0].judge(&reading(states)), state, "{states:#x}");
    }
    let absent = RawReading { unavailable: true, ..reading(0x3f) };
    assert_eq!(cpu[0].judge(&absent), ReadingState::Ok);
    assert_eq!(judge_states(0x08, 0x6f, 0b01), ReadingState::Ok);
    assert_eq!(judge_states(0x08, 0x6f, 0b11), ReadingState::Critical);
    assert_eq!(judge_states(0x09, 0x0b, 0b100), ReadingState::Warning);
}

proptest! {
    #[test]
    fn factors_round_trip(
        m in -512i16..512, b in -512i16..512, b_exponent in -8i8..8, exponent in -8i8..8,
        tolerance in 0u8..64, accuracy in 0u16..1024, accuracy_exponent in 0u8..4,
    ) {
        let factors = Factors { m, b, b_exponent, exponent, tolerance, accuracy, accuracy_exponent };
        prop_assert_eq!(Factors::unpack(factors.pack()), factors);
    }

    #[test]
    fn full_records_round_trip(
        number in any::<u8>(), sensor_type in any::<u8>(), base in 0u8..93, name in "[A-Za-z0-9]([A-Za-z0-9 ]{0,14}[A-Za-z0-9])?",
        m in -512i16..512, b in -512i16..512, exponent in -8i8..8, format in 0u8..3, values in any::<[u8; 6]>(),
        range in any::<(u8, u8)>(), linear in 0u8..12, readable in prop::bool::ANY,
    ) {
        let unit = Unit { flags: 0, base, modifier: 0 };
        let analog = Analog {
            unit,
            format: Format::from_bits(format),
            linear: Linear::from_byte(linear),
            factors: factors(m, b, 0, exponent),
            range,
            limits: RawThresholds { readable: if readable { 0x3f } else { 0 }, values },
            converted: unit.converted(sensor_type, &name),
        };
        let which = Which { owner: 0x20, channel_lun: 0, number };
        let sensor = Sensor { which, entity: (3, 1), sensor_type, reading_type: 1, name, analog: Some(analog) };
        let record = FullSensor { id: 7, sensor: sensor.clone(), analog };
        let bytes = record.encode();
        prop_assert_eq!(RecordHeader::decode(&bytes).unwrap().id, 7);
        prop_assert_eq!(Record::decode(&bytes), Ok(Record::Sensors(vec![sensor])));
    }
}
