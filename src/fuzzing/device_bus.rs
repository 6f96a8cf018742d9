//! What boards on the device bus, or anything on its wire, may send.

use super::made;
use crate::wire::device_bus::{DeviceType, Exchange, Frame, Heard, Quirks, Receiver, Request, Sequence, Step, reply};

/// A stream: the first byte chooses what was asked, the rest is what comes, in pieces, with silence between them.
pub fn stream(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let quirks = if choice & 0x80 == 0 { Quirks::STRICT } else { Quirks::COMPAT };
    let mut receiver = Receiver::new(quirks, None);
    for byte in data {
        if let Some(Heard::Frame(frame)) = receiver.push(*byte) {
            let again = frame.encode().unwrap_or_default();
            assert_eq!(Frame::decode(&again).as_ref(), Ok(&frame), "a frame changes on its way through");
            meant(&frame);
        }
    }
    made(&receiver.silence());
    let at = (1, 1);
    let request = match choice & 3 {
        0 => Request::Read { at, kind: DeviceType::Thermistor },
        1 => Request::Scan { board: 1 },
        2 => Request::ScanAll { master: 0, time_slice: 75 },
        _ => Request::Version { board: 1 },
    };
    let mut exchange = Exchange::new(request, quirks, 3);
    let (mut numbers, mut pieces, mut sent) =
        (Sequence::default(), data.chunks(1 + usize::from(choice >> 2 & 0x1f)), 0);
    loop {
        match exchange.next(&mut numbers) {
            Step::Send { .. } => sent += 1,
            Step::Listen => match pieces.next() {
                Some(piece) => exchange.heard(piece),
                None => exchange.silence(),
            },
            Step::Pause(_) => {}
            Step::Done => break,
        }
    }
    assert!((1..=4).contains(&sent), "{sent} frames were sent");
    made(&exchange.finish());
}

/// Every reading of an answer.
fn meant(frame: &Frame) {
    made(&reply::scanned(frame));
    made(&reply::version(frame));
    for kind in DeviceType::ALL {
        made(&reply::reading(frame, *kind));
    }
    made(&reply::power(frame, Quirks::COMPAT));
    made(&reply::asset(frame));
    made(&reply::boot(frame));
    made(&reply::chamber_light(frame));
    made(&reply::host_info(frame));
    made(&reply::written(frame));
}
