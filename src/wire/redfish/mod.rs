//! What a Redfish BMC answers, made sense of: bodies (JSON that is parsed already) to the house's words, and back.
//! Follows DSP0266 (protocol) and DSP8010 (schemas); where BMCs are known to differ, the place says so.
//!
//! | file | what |
//! | --- | --- |
//! | `path` | links: relative and absolute, with and without slashes; never another host's |
//! | `value` | members that may be missing, null, or of another type |
//! | `message` | errors and tasks, in words |
//! | `system` | power, resets, identification light, identity |
//! | `boot` | `Boot`, read and written |
//! | `sensors` | `Sensor`, and the older `Thermal` and `Power` |
//! | `log` | log services and their entries |
//! | `media` | `VirtualMedia`, read, inserted and ejected |
//!
//! Nothing here trusts its input: what is missing or odd is left out, what is long is cut.

pub mod boot;
pub mod log;
pub mod media;
pub mod message;
pub mod path;
pub mod sensors;
pub mod system;
pub mod value;

pub use path::Path;

#[cfg(test)]
mod tests;
