//! Whatever comes: no panic, bounded, and what was sent arrives.

use proptest::prelude::*;

use super::*;

fn frames() -> impl Strategy<Value = Frame> {
    let data = proptest::collection::vec(any::<u8>(), 0..=MAX_DATA);
    (any::<u8>(), any::<u8>(), any::<u32>(), any::<u16>(), data)
        .prop_map(|(sequence, kind, board, device, data)| Frame { sequence, kind, board, device, data })
}

fn all(quirks: Quirks, expected: Option<u8>, bytes: &[u8]) -> Vec<Heard> {
    let mut receiver = Receiver::new(quirks, expected);
    let mut heard: Vec<Heard> = bytes.iter().filter_map(|byte| receiver.push(*byte)).collect();
    heard.extend(receiver.silence());
    heard
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(frame in frames()) {
        let bytes = frame.encode().unwrap();
        prop_assert_eq!(Frame::decode(&bytes), Ok(frame.clone()));
        for quirks in [Quirks::STRICT, Quirks::COMPAT] {
            prop_assert_eq!(all(quirks, Some(frame.sequence), &bytes), vec![Heard::Frame(frame.clone())]);
        }
    }

    #[test]
    fn a_changed_byte_is_noticed(frame in frames(), at in any::<prop::sample::Index>(), by in 1_u8..) {
        let mut bytes = frame.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = bytes[at].wrapping_add(by);
        prop_assert!(Frame::decode(&bytes).is_err(), "a sum finds every single change");
    }

    /// Noise that holds no header costs nothing; any other at most what it claims to be the length of.
    #[test]
    fn a_frame_after_noise_is_found(frame in frames(), noise in proptest::collection::vec(2_u8.., 0..300)) {
        let bytes = [noise, frame.encode().unwrap()].concat();
        prop_assert_eq!(all(Quirks::STRICT, Some(frame.sequence), &bytes), vec![Heard::Frame(frame)]);
    }

    #[test]
    fn anything_at_all(bytes in proptest::collection::vec(prop_oneof![Just(1_u8), Just(9), Just(4), any::<u8>()], 0..2000)) {
        for quirks in [Quirks::STRICT, Quirks::COMPAT] {
            for expected in [None, Some(1)] {
                for heard in all(quirks, expected, &bytes) {
                    if let Heard::Frame(frame) = heard {
                        prop_assert!(frame.data.len() <= MAX_DATA && expected.is_none_or(|n| n == frame.sequence));
                    }
                }
            }
        }
    }
}
