//! FRU data. The header's checksum is made right, or nothing behind it would ever be reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rackfish::wire::ipmi::fru::Fru;

fn checksum(data: &[u8]) -> u8 {
    data.iter().fold(0, |sum, byte| sum.wrapping_sub(*byte))
}

fuzz_target!(|data: &[u8]| {
    let _ = Fru::decode(data);
    let mut data = data.to_vec();
    if data.len() < 8 {
        return;
    }
    data[0] = 1;
    data[7] = checksum(&data[..7]);
    // The areas' too, where they fit.
    for offset in [data[2], data[3], data[4]] {
        let start = usize::from(offset) * 8;
        let length = data.get(start + 1).map_or(0, |length| usize::from(*length) * 8);
        if start >= 8 && length > 0 && start + length <= data.len() {
            data[start + length - 1] = checksum(&data[start..start + length - 1]);
        }
    }
    if let Ok(fru) = Fru::decode(&data) {
        let _ = Fru::decode(&fru.encode());
    }
});
