//! Medians and ranges.

use std::fmt;

/// What several rounds gave.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of some figures; `None` of none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut all: Vec<f64> = figures.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let (least, most) = (*all.first()?, *all.last()?);
        let (low, high) = (all.get((all.len() - 1) / 2)?, all.get(all.len() / 2)?);
        Some(Self { median: f64::midpoint(*low, *high), least, most })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = if self.median >= 100.0 { 0 } else { 2 };
        write!(f, "{:.places$} ({:.places$}-{:.places$})", self.median, self.least, self.most)
    }
}
