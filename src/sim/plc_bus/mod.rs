//! Simulated power-line boards on a device bus, behind a pseudo-terminal or a TCP port.
//!
//! * [`file`]: what boards there are: OpenDCRE's emulator files with their lists of answers, or a rack of our own.
//! * `emulator`: boards that answer from such lists, as OpenDCRE's emulator does. `value`: what the lists hold.
//! * `rack`: boards that switch, with relays that take their time or are stuck.
//! * [`SimBus`]: the wire: frames in, frames out, and everything that can go wrong between. `command`: how it is told to.
//! * `line`: the pseudo-terminal. [`cli`]: `rackfish sim plc-bus`.

mod bus;
pub mod cli;
mod command;
mod emulator;
pub mod file;
mod line;
mod rack;
mod value;

#[cfg(test)]
mod tests;

pub use bus::{Counters, Faults, SimBus};
pub use command::CommandError;
pub use line::{Pty, serve_pty, serve_tcp};
