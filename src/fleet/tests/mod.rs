//! The whole waist against devices in memory, on a manual clock.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used, missing_docs)]

mod assumed;
mod boot;
mod cost;
mod disk;
mod lists;
mod mains;
mod power;
mod recovery;
pub(crate) mod rig;
mod safety;
mod sweep;
mod trouble;
