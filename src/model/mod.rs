//! The words of the trade as types: no I/O, no clock, no async.
//!
//! Every other room speaks in these. A word means one thing (see `docs/ARCHITECTURE.md`):
//! a *node* is a managed server, an *endpoint* one configured device, a *unit* what an endpoint switches or
//! measures, a *feed* a node's mains supply.

mod actor;
mod boot;
mod caps;
mod causes;
mod fact;
mod fault;
mod media;
mod name;
mod power;
mod reading;
mod secret;
mod strict_json;

pub use actor::{Actor, Face, Role, Scope};
pub use boot::{BootEnabled, BootMode, BootPatch, BootSet, BootTarget};
pub use caps::{Act, ActKind, ActSet, Aspect, AspectKind, AspectSet, BootCaps, Caps, Proof};
pub use causes::{because, causes};
pub use fact::{Cursor, Fact, Inventory, LogEntry, Page};
pub use fault::{Done, Fault, Why};
pub use media::{ConnectedVia, MediaInsert, MediaSlot, MediaType, TransferMethod, TransferProtocol};
pub use name::{ChassisId, EndpointId, NameError, NodeId, Ref, Unit};
pub use power::{PowerAct, PowerState, ResetType};
pub use reading::{Led, Measure, Origin, Reading, ReadingState, Stated, Thresholds};
pub use secret::Secret;
pub use strict_json::StrictJson;
