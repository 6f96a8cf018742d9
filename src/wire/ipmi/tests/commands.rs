//! Requests byte for byte, and answers as the specification lays them out.

use ipmi_rs_core::connection::{IpmiCommand, Message};

use super::{
    super::{Malformed, command::*},
    hex,
};
use crate::model::{BootMode, BootSet, BootTarget};

fn sent<C: Into<Message>>(command: C) -> (u8, u8, Vec<u8>) {
    let message = command.into();
    (message.netfn_raw(), message.cmd(), message.data().to_vec())
}

fn read<C: IpmiCommand<Error = Malformed>>(text: &str) -> Result<C::Output, Malformed> {
    C::parse_success_response(&hex(text))
}

#[test]
fn requests() {
    for (found, expected) in [
        (sent(GetDeviceId {}), (0x06, 0x01, "")),
        (sent(SetSessionPrivilegeLevel { level: 4 }), (0x06, 0x3b, "04")),
        (sent(CloseSession { session: 0x0102_0304 }), (0x06, 0x3c, "04030201")),
        (sent(GetChannelAuthenticationCapabilities { level: 4 }), (0x06, 0x38, "8e04")),
        (sent(GetChassisStatus {}), (0x00, 0x01, "")),
        (sent(ChassisControl { control: Control::PowerDown }), (0x00, 0x02, "00")),
        (sent(ChassisControl { control: Control::PowerUp }), (0x00, 0x02, "01")),
        (sent(ChassisControl { control: Control::PowerCycle }), (0x00, 0x02, "02")),
        (sent(ChassisControl { control: Control::HardReset }), (0x00, 0x02, "03")),
        (sent(ChassisControl { control: Control::DiagnosticInterrupt }), (0x00, 0x02, "04")),
        (sent(ChassisControl { control: Control::SoftShutdown }), (0x00, 0x02, "05")),
        (sent(ChassisIdentify { seconds: 0, force: true }), (0x00, 0x04, "0001")),
        (sent(ChassisIdentify { seconds: 255, force: false }), (0x00, 0x04, "ff")),
        (sent(SetBootOptions::progress(1)), (0x00, 0x08, "0001")),
        (sent(SetBootOptions::keep_beyond_a_minute()), (0x00, 0x08, "0308")),
        (sent(SetBootOptions::not_yet_handled()), (0x00, 0x08, "040101")),
        (sent(GetBootOptions { parameter: 5 }), (0x00, 0x09, "050000")),
        (sent(GetDcmiPowerReading {}), (0x2c, 0x02, "dc010000")),
        (sent(GetSensorReading { number: 9 }), (0x04, 0x2d, "09")),
        (sent(GetSdrRepositoryInfo { from: Repository::Shared }), (0x0a, 0x20, "")),
        (sent(GetSdrRepositoryInfo { from: Repository::Device }), (0x04, 0x20, "")),
        (
            sent(GetSdr { from: Repository::Shared, reservation: 0x1234, record: 0x0005, offset: 5, count: 16 }),
            (0x0a, 0x23, "341205000510"),
        ),
        (
            sent(GetSdr { from: Repository::Device, reservation: 1, record: 0, offset: 0, count: 5 }),
            (0x04, 0x21, "010000000005"),
        ),
        (sent(ReadFru { device: 0, offset: 0x0120, count: 32 }), (0x0a, 0x11, "00200120")),
        (sent(GetSelEntry { record: 3 }), (0x0a, 0x43, "0000030000ff")),
        (sent(ClearSel { reservation: 2, start: true }), (0x0a, 0x47, "0200434c52aa")),
    ] {
        assert_eq!(found, (expected.0, expected.1, hex(expected.2)));
    }
}

#[test]
fn device_id() {
    let id = read::<GetDeviceId>("20 81 02 34 02 bf 57 01 00 0b 00 01 02 03 04").unwrap();
    assert_eq!((id.firmware().as_str(), id.maker, id.product, id.device_sdrs, id.ready), ("2.34", 343, 11, true, true));
    assert!(id.has_sel() && id.has_fru() && id.has_sdr_repository());
    assert_eq!(maker_name(id.maker), Some("Intel Corporation"));
    // Some leave out everything behind the version.
    assert_eq!(read::<GetDeviceId>("20 01 82 05 02").map(|id| (id.ready, id.minor)), Ok((false, 5)));
    assert!(read::<GetDeviceId>("20 01 02").is_err());
}

#[test]
fn guids() {
    let uuid = "5d1f7a10-4c3b-4d5e-8f60-0123456789ab";
    let plain = hex(uuid);
    let mut reversed = plain.clone();
    reversed.reverse();
    let smbios = hex("107a1f5d 3b4c 5e4d 8f60 0123456789ab");
    for bytes in [plain, reversed, smbios] {
        assert_eq!(guid_text(bytes.first_chunk().unwrap()).as_deref(), Some(uuid));
    }
    assert_eq!(guid_text(&[0; 16]), None);
    assert_eq!(guid_text(&[0xff; 16]), None);
}

#[test]
fn chassis() {
    let status = read::<GetChassisStatus>("21 10 60").unwrap();
    assert!(status.on && !status.fault);
    assert_eq!(status.identify(), Some(Identify::On));
    assert_eq!(read::<GetChassisStatus>("00 00 00").unwrap().identify(), None);
    assert_eq!(read::<GetChassisStatus>("00 00 50 00").unwrap().identify(), Some(Identify::Timed));
    assert!(read::<GetChassisStatus>("00 00").is_err());
    assert_eq!(read::<GetRestartCause>("13 01").map(restart_cause_text), Ok("power button"));
}

/// The bytes that ipmitool and Ironic write for the same wishes.
#[test]
fn boot_flags() {
    use BootMode::{Legacy, Uefi};
    for (bytes, target, mode, persistent) in [
        ("8004000000", BootTarget::Pxe, Legacy, false),
        ("c008000000", BootTarget::Hdd, Legacy, true),
        ("a004000000", BootTarget::Pxe, Uefi, false),
        ("e018000000", BootTarget::BiosSetup, Uefi, true),
        ("8014000000", BootTarget::Cd, Legacy, false),
        ("803c000000", BootTarget::Usb, Legacy, false),
        ("8010000000", BootTarget::Diags, Legacy, false),
        ("8024000000", BootTarget::RemoteDrive, Legacy, false),
    ] {
        let set = BootSet { target, mode: Some(mode), persistent };
        let flags = BootFlags::of(&set).unwrap();
        assert_eq!(sent(SetBootOptions::flags(flags)), (0x00, 0x08, hex(&format!("05{bytes}"))));
        assert_eq!(read::<GetBootOptions>(&format!("0105{bytes}")).unwrap().in_force(), Some(set));
    }
    let none = BootSet { target: BootTarget::None, mode: None, persistent: true };
    assert_eq!(sent(SetBootOptions::flags(BootFlags::of(&none).unwrap())).2, hex("058000000000"));
    for nothing in ["01050004000000", "01058000000000", "01858004000000"] {
        assert_eq!(read::<GetBootOptions>(nothing).unwrap().in_force(), None, "{nothing}");
    }
    // Safe mode is still the disk.
    let safe = read::<GetBootOptions>("0105800c000000").unwrap().in_force().unwrap();
    assert_eq!(safe.target, BootTarget::Hdd);
    assert!(read::<GetBootOptions>("01048004000000").is_err(), "another parameter");
    assert!(BootFlags::of(&BootSet { target: BootTarget::UefiHttp, ..none }).is_none());
}

#[test]
fn dcmi() {
    let power = read::<GetDcmiPowerReading>("dc b400 0800 2c01 a000 00e1f505 e8030000 40").unwrap();
    assert_eq!((power.now, power.min, power.max, power.average, power.active), (180, 8, 300, 160, true));
    assert!(read::<GetDcmiPowerReading>("00 b400 0800 2c01 a000 00e1f505 e8030000 40").is_err());
}

#[test]
fn sensors() {
    let reading = read::<GetSensorReading>("2e c0 c8").unwrap();
    assert_eq!((reading.available(), reading.states & 0x3f), (Some(0x2e), 8));
    assert_eq!(read::<GetSensorReading>("2e e0 00 80").unwrap().available(), None);
    assert_eq!(read::<GetSensorReading>("2e 80").unwrap().available(), None);
    // States 0 and 9 of a discrete sensor.
    assert_eq!(read::<GetSensorReading>("00 c0 01 82").unwrap().states, 0x0201);
    let limits = read::<GetSensorThresholds>("3f 05 02 00 50 5a 64").unwrap();
    assert_eq!(limits.values, [5, 2, 0, 80, 90, 100]);
}

#[test]
fn repositories() {
    let shared = read::<GetSdrRepositoryInfo>("51 2500 0010 11223344 55667788 22").unwrap();
    assert_eq!((shared.records, shared.stamp), (37, 0x8877_6655_4433_2211));
    let fixed = read::<GetSdrRepositoryInfo>("0c 01").unwrap();
    assert_eq!(fixed.records, 12);
    let dynamic = read::<GetSdrRepositoryInfo>("0c 81 01000000").unwrap();
    assert_ne!(dynamic.stamp, read::<GetSdrRepositoryInfo>("0c 81 02000000").unwrap().stamp);
}
