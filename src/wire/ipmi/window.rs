//! The window of session sequence numbers already seen (IPMI 2.0, 6.12.14 and 13.28.3).

/// Numbers remembered below the highest one. The specification asks for 15 to 32; late replies beyond that are
/// of no use to us, but reordering networks exist.
const SPAN: u32 = 64;

/// Tells replays and hopelessly late packets from new ones. Starts empty: the first number is always taken,
/// because BMCs start wherever they like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    highest: Option<u32>,
    /// Bit n: `highest - n` was seen.
    seen: u64,
}

impl Window {
    /// Takes `number` if it was not seen before and is not too old.
    pub fn accept(&mut self, number: u32) -> bool {
        let Some(highest) = self.highest else {
            self.highest = Some(number);
            self.seen = 1;
            return true;
        };
        let ahead = number.wrapping_sub(highest);
        if ahead == 0 {
            return false;
        }
        if ahead < u32::MAX / 2 {
            self.seen = if ahead < SPAN { self.seen << ahead | 1 } else { 1 };
            self.highest = Some(number);
            return true;
        }
        let behind = highest.wrapping_sub(number);
        if behind >= SPAN || self.seen & 1 << behind != 0 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn takes_each_number_once() {
        let mut window = Window::default();
        assert!(window.accept(1000));
        assert!(!window.accept(1000));
        assert!(window.accept(1003));
        assert!(window.accept(1001));
        assert!(!window.accept(1001));
        assert!(!window.accept(1003));
        assert!(window.accept(1003 + 63));
        assert!(!window.accept(1003 - 1 + 1 - 1), "64 behind is too old");
        assert!(window.accept(1004), "62 behind and never seen");
    }

    #[test]
    fn wraps() {
        let mut window = Window::default();
        assert!(window.accept(u32::MAX));
        assert!(window.accept(1));
        assert!(window.accept(0));
        assert!(!window.accept(u32::MAX));
        assert!(window.accept(u32::MAX - 1));
    }

    #[test]
    fn a_jump_forgets_what_was_before() {
        let mut window = Window::default();
        assert!(window.accept(5));
        assert!(window.accept(100_000));
        assert!(!window.accept(6));
        assert!(window.accept(99_999));
    }
}
