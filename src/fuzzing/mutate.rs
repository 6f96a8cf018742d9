//! A small deterministic mutator: the same seed makes the same inputs on every machine.
#![allow(clippy::indexing_slicing)]

/// Values at which code tends to break.
const EDGES: [u8; 10] = [0, 1, 0x7f, 0x80, 0x81, 0xff, b'0', b'[', b'"', b'\n'];
/// Longest input made.
const MOST: usize = 4096;

/// Makes inputs of a corpus.
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// `seed` must not be 0.
    pub fn new(seed: u64) -> Self {
        Self { state: seed.max(1) }
    }

    /// xorshift64* (Marsaglia 2003, Vigna 2016).
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`; 0 for 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0).checked_rem(end).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// A place and a length within `data`.
    fn part(&mut self, data: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(data.len());
        start..start + self.below((data.len() - start).min(64)) + usize::from(!data.is_empty())
    }

    /// One of the corpus, changed in one to four ways.
    pub fn make(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let pick = self.below(corpus.len());
        let mut data = corpus.get(pick).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            self.change(&mut data, corpus);
        }
        data.truncate(MOST);
        data
    }

    fn change(&mut self, data: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(data.len());
        match self.below(8) {
            0 => data.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
            1 => data.iter_mut().skip(at).take(1).for_each(|byte| *byte = EDGES[self.below(EDGES.len())]),
            2 => data.iter_mut().skip(at).take(1).for_each(|byte| *byte = self.byte()),
            3 => data.insert(at, self.byte()),
            4 => drop(data.drain(self.part(data)).count()),
            5 => {
                let again = data[self.part(data)].to_vec();
                data.splice(at..at, again);
            }
            6 => data.truncate(at),
            _ => {
                let other = &corpus[self.below(corpus.len())];
                let piece = other[self.part(other)].to_vec();
                data.splice(at..at, piece);
            }
        }
    }
}
