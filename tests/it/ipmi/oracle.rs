//! ipmitool against our simulator: the simulator shares its codec with the driver, so somebody else has to say
//! whether it is right. Run by `conformance/ipmi/run`.

use std::time::Duration;

use rackfish::{
    model::Secret,
    sim::ipmi::{BmcConfig, Served},
};
use tokio::time::sleep;

use super::{check::*, ipmitool::Ipmitool};

async fn start(suite: u8) -> Result<(Served, Ipmitool), String> {
    let config = BmcConfig {
        soft_delay: Some(Duration::from_millis(100)),
        cycle_off: Duration::from_millis(300),
        ..BmcConfig::new("admin", Secret::new("password"))
    };
    let address = "127.0.0.1:0".parse().map_err(|error| format!("{error}"))?;
    let served = Served::start(address, config).await.map_err(|error| error.to_string())?;
    let tool = Ipmitool { address: served.address, suite };
    Ok((served, tool))
}

#[tokio::test]
#[ignore = "needs ipmitool: conformance/ipmi/run"]
async fn suite_3() {
    all(Checks::new("ipmitool_3"), 3).await;
}

#[tokio::test]
#[ignore = "needs ipmitool: conformance/ipmi/run"]
async fn suite_17() {
    all(Checks::new("ipmitool_17"), 17).await;
}

async fn all(mut checks: Checks, suite: u8) {
    checks.report("power", power_commands(suite).await);
    checks.report("power_while_off", while_off(suite).await);
    checks.report("bootdev", bootdev(suite).await);
    checks.report("sensors", sensor_values(suite).await);
    checks.report("sdr", sdr(suite).await);
    checks.report("fru", fru(suite).await);
    checks.report("sel", sel(suite).await);
    checks.report("mc_info", mc_info(suite).await);
    checks.report("dcmi_power", dcmi(suite).await);
    checks.report("identify", identify(suite).await);
    checks.report("closes_its_session", closes(suite).await);
    checks.finish();
}

fn contains(text: &str, part: &str) -> Checked {
    holds(text.contains(part), &format!("no {part:?} in {text:?}"))
}

async fn power_commands(suite: u8) -> Checked {
    let (served, tool) = start(suite).await?;
    same(&tool.run("power status").await?.as_str(), &"Chassis Power is off\n")?;
    contains(&tool.run("power on").await?, "Up/On")?;
    same(&tool.run("power status").await?.as_str(), &"Chassis Power is on\n")?;
    contains(&tool.run("power reset").await?, "Reset")?;
    contains(&tool.run("power diag").await?, "Diag")?;
    contains(&tool.run("power cycle").await?, "Cycle")?;
    same(&tool.run("power status").await?.as_str(), &"Chassis Power is off\n")?;
    sleep(Duration::from_millis(350)).await;
    same(&tool.run("power status").await?.as_str(), &"Chassis Power is on\n")?;
    contains(&tool.run("power soft").await?, "Soft")?;
    sleep(Duration::from_millis(150)).await;
    same(&tool.run("power status").await?.as_str(), &"Chassis Power is off\n")?;
    tool.run("power on").await?;
    contains(&tool.run("power off").await?, "Down/Off")?;
    contains(&tool.run("chassis restart_cause").await?, "chassis power control command")?;
    let stats = served.bmc.stats();
    same(&(stats.power_on, stats.power_off, stats.resets, stats.nmis), &(3, 3, 1, 1))
}

async fn while_off(suite: u8) -> Checked {
    let (_served, tool) = start(suite).await?;
    for command in ["power reset", "power cycle", "power diag", "power soft"] {
        let result = tool.run(command).await;
        holds(
            matches!(&result, Err(text) if text.contains("not supported in present state")),
            &format!("{command}: {result:?}"),
        )?;
    }
    Ok(())
}

async fn bootdev(suite: u8) -> Checked {
    let (served, tool) = start(suite).await?;
    for (command, device, persistent, efi) in [
        ("chassis bootdev pxe", "Force PXE", false, false),
        ("chassis bootdev disk options=persistent", "Force Boot from default Hard-Drive", true, false),
        ("chassis bootdev cdrom options=efiboot", "Force Boot from CD/DVD", false, true),
        ("chassis bootdev bios", "Force Boot into BIOS Setup", false, false),
    ] {
        tool.run(command).await?;
        let text = tool.run("chassis bootparam get 5").await?;
        contains(&text, "Boot Flag Valid")?;
        contains(&text, device)?;
        contains(
            &text,
            if persistent { "Options apply to all future boots" } else { "Options apply to only next boot" },
        )?;
        contains(&text, if efi { "BIOS EFI boot" } else { "BIOS PC Compatible (legacy) boot" })?;
    }
    // As Ironic sets it for UEFI.
    tool.run("raw 0x00 0x08 0x03 0x08").await?;
    tool.run("raw 0x00 0x08 0x05 0xa0 0x04 0x00 0x00 0x00").await?;
    same(&tool.run("raw 0x00 0x09 0x05 0x00 0x00").await?.trim(), &"01 05 a0 04 00 00 00")?;
    tool.run("power on").await?;
    same(&served.bmc.stats().booted_from, &Some(0x84))?;
    contains(&tool.run("chassis bootparam get 5").await?, "Boot Flag Invalid")
}

async fn sensor_values(suite: u8) -> Checked {
    let (served, tool) = start(suite).await?;
    tool.run("power on").await?;
    served.bmc.set_sensor(2, Some(0xf6));
    let rows = tool.sensors().await?;
    let limits = |values: [f64; 6]| values.map(Some);
    for (name, value, limits) in [
        ("CPU Temp", 46.0, limits([0.0, 2.0, 5.0, 85.0, 95.0, 100.0])),
        ("Inlet Temp", -10.0, limits([-10.0, -5.0, 3.0, 38.0, 42.0, 46.0])),
        ("12V", 12.06, limits([10.2, 10.5, 10.8, 12.9, 13.2, 13.8])),
        ("Fan 1", 5400.0, limits([300.0, 600.0, 900.0, 15300.0, 15300.0, 15300.0])),
        ("PSU Power", 180.0, [None; 6]),
        ("CPU Margin", 54.0, [None; 6]),
    ] {
        let row = rows.get(name).ok_or_else(|| format!("no sensor {name}"))?;
        same(&(row.value, row.limits), &(Some(value), limits)).map_err(|error| format!("{name}: {error}"))?;
    }
    same(&rows.len(), &7)
}

async fn sdr(suite: u8) -> Checked {
    let (served, tool) = start(suite).await?;
    tool.run("power on").await?;
    let text = tool.run("sdr elist").await?;
    contains(&text, "CPU Temp         | 01h | ok  |  3.1 | 46 degrees C")?;
    contains(&text, "PSU Status       | 07h | ok  | 10.1 | Presence detected")?;
    served.bmc.set_sensor(1, Some(96));
    contains(&tool.run("sdr elist").await?, "CPU Temp         | 01h | ucr |  3.1 | 96 degrees C")?;
    let text = tool.run("sdr -v").await?;
    contains(&text, "Sensor ID              : CPU Margin (0x6)")?;
    contains(&text, "Sensor Reading        : 54 (+/- ")?;
    served.bmc.set_sensor(1, None);
    tool.run("power off").await?;
    contains(&tool.run("sdr elist").await?, "CPU Temp         | 01h | ns  |  3.1 | No Reading")
}

async fn fru(suite: u8) -> Checked {
    let (_served, tool) = start(suite).await?;
    let fields = tool.fields("fru").await?;
    for (field, value) in [
        ("Chassis Part Number", "RF-CH-1"),
        ("Chassis Serial", "CH0000001"),
        ("Board Mfg", "rackfish"),
        ("Board Product", "Simulated board"),
        ("Board Serial", "BRD0000001"),
        ("Board Part Number", "RF-B-1"),
        ("Product Manufacturer", "rackfish"),
        ("Product Name", "Simulated server"),
        ("Product Part Number", "RF-P-1"),
        ("Product Version", "1.0"),
        ("Product Serial", "SIM0000001"),
    ] {
        same(&fields.get(field).map(String::as_str), &Some(value)).map_err(|error| format!("{field}: {error}"))?;
    }
    Ok(())
}

async fn sel(suite: u8) -> Checked {
    let (_served, tool) = start(suite).await?;
    let text = tool.run("sel list").await?;
    same(&text.lines().count(), &4)?;
    contains(&text, "11/14/23 | 22:13:20 UTC | Temperature #0x01 | Upper Non-critical going high | Asserted")?;
    contains(&text, "Power Supply #0x07 | Power Supply AC lost | Deasserted")?;
    contains(
        &tool.run("sel elist").await?,
        "Temperature CPU Temp | Upper Non-critical going high | Asserted | Reading 86 > Threshold 85 degrees C",
    )?;
    tool.run("sel clear").await?;
    same(&tool.run("sel list").await?.trim(), &"")
}

async fn mc_info(suite: u8) -> Checked {
    let (_served, tool) = start(suite).await?;
    let fields = tool.fields("mc info").await?;
    same(&fields.get("Firmware Revision").map(String::as_str), &Some("1.05"))?;
    same(&fields.get("Manufacturer ID").map(String::as_str), &Some("32473"))?;
    contains(&tool.run("mc guid").await?, "5d1f7a10-4c3b-4d5e-8f60-000000000001")?;
    contains(&tool.run("mc selftest").await?, "passed")
}

async fn dcmi(suite: u8) -> Checked {
    let (_served, tool) = start(suite).await?;
    tool.run("power on").await?;
    let fields = tool.fields("dcmi power reading").await?;
    same(&fields.get("Instantaneous power reading").map(String::as_str), &Some("180 Watts"))?;
    same(&fields.get("Power reading state is").map(String::as_str), &Some("activated"))
}

async fn identify(suite: u8) -> Checked {
    let (_served, tool) = start(suite).await?;
    let state = "raw 0x00 0x01";
    same(&tool.run(state).await?.trim(), &"00 00 40")?;
    contains(&tool.run("chassis identify force").await?, "indefinite")?;
    same(&tool.run(state).await?.trim(), &"00 00 60")?;
    contains(&tool.run("chassis identify 30").await?, "30 seconds")?;
    same(&tool.run(state).await?.trim(), &"00 00 50")?;
    contains(&tool.run("chassis identify 0").await?, "off")?;
    same(&tool.run(state).await?.trim(), &"00 00 40")
}

async fn closes(suite: u8) -> Checked {
    let (served, tool) = start(suite).await?;
    for _ in 0..3 {
        tool.run("power status").await?;
    }
    let stats = served.bmc.stats();
    same(&(stats.logins, stats.sessions), &(3, 0))
}
