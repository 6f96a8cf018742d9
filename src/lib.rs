//! rackfish: a standard Redfish service for machines that have none.
//!
//! # The house
//!
//! An hourglass. Faces above, drivers below, and one waist between them that owns all common behaviour:
//!
//! | room | what lives there | may use |
//! | --- | --- | --- |
//! | [`model`] | the words: node, endpoint, unit, feed, reading, fault. No I/O, no async | nothing |
//! | [`wire`] | byte codecs. No I/O, no async | `model` |
//! | `process` | one program run to its end, bounded | `model` |
//! | `drivers` | one device each, straight-line code behind the `Driver` contract | `wire`, `process`, `model` |
//! | `config` | files to a checked `Config`; ranges, secrets by reference | `drivers` (their settings), `wire`, `model` |
//! | `store` | durable documents with revisions | `model` |
//! | `auth` | accounts, sessions, tokens of others, roles | `store`, `config`, `wire`, `model` |
//! | `fleet` | the waist: nodes, endpoint workers, policies, operations, overrides | `drivers`, `config`, `process`, `store`, `model` |
//! | `api` | faces: translate a request into one fleet operation, nothing else | `fleet`, `auth` |
//! | `sim` | simulators of devices with fault injection | `wire`, `model` |
//! | `cli` | one file per subcommand | everything |
//!
//! `tests/it/house.rs` holds these arrows against the source; `cargo check --no-default-features` proves that
//! `model` and `wire` need no runtime.

#![forbid(unsafe_code)]

pub mod model;
pub mod wire;

#[cfg(feature = "runtime")]
pub mod api;
#[cfg(feature = "runtime")]
pub mod auth;
#[cfg(feature = "runtime")]
pub mod cli;
#[cfg(feature = "runtime")]
pub mod config;
#[cfg(feature = "runtime")]
pub mod drivers;
#[cfg(feature = "runtime")]
pub mod fleet;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "runtime")]
pub mod process;
#[cfg(feature = "runtime")]
pub mod sim;
#[cfg(feature = "runtime")]
pub mod store;
