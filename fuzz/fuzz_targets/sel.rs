//! Log entries, and their text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rackfish::wire::ipmi::sel::Entry;

fuzz_target!(|data: &[u8]| {
    let Ok(entry) = Entry::decode(data) else { return };
    assert!(!entry.text(Some("name")).is_empty());
    let _ = entry.severity();
    assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
});
