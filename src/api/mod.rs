//! Faces: each translates requests into one fleet operation and results into its own wire form.

pub mod delivery;
pub mod tls;
