//! From files to a checked [`Config`].
//!
//! What is in this type has been checked: every reference resolves, every secret was read, every address parses.
//! Reading, merging, ranges and messages with file and line are in the rooms below.

mod types;

pub use types::{
    AuthConfig, BootPolicy, Chassis, Config, Endpoint, EndpointPolicy, Facts, Feed, Hook, HookAction, LogFormat, Node,
    Order, Patience, Restore, Server, Tls,
};
