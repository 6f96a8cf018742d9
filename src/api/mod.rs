//! Faces: each translates requests into one fleet operation and results into its own wire form.

pub mod tls;
