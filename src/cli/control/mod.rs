//! The control socket: how subcommands reach a running service.
//!
//! A unix socket in `state_dir`, mode 0600, and the peer's user is checked: root and the service's own. One line of
//! JSON is a request; answers come as lines, the last one says that it was the last. No faces here: requests become
//! fleet operations and account changes, as those of any face do.

pub mod client;
pub mod entries;
pub mod server;
pub mod wire;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use server::{ReloadReport, serve_control};

/// Name of the socket in `state_dir`.
pub const SOCKET: &str = "control.sock";

/// The socket of a state folder.
pub fn socket(state_dir: &Path) -> PathBuf {
    state_dir.join(SOCKET)
}
