//! Sensor data records, and the arithmetic of what they hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rackfish::wire::ipmi::{
    command::RawReading,
    sdr::{Record, RecordHeader},
};

fuzz_target!(|data: &[u8]| {
    let _ = RecordHeader::decode(data);
    let Ok(Record::Sensors(sensors)) = Record::decode(data) else { return };
    for sensor in sensors {
        let states = u16::from(data.first().copied().unwrap_or(0));
        let _ = sensor.judge(&RawReading { value: 1, scanning: true, unavailable: false, states });
        let Some(analog) = sensor.analog else { continue };
        let _ = analog.thresholds(&analog.limits);
        let _ = analog.range();
        for raw in 0..=255 {
            assert!(analog.value(raw).is_none_or(f64::is_finite));
        }
    }
});
