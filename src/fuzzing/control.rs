//! Lines that come over the control socket.

use crate::cli::control::server;

/// A request, or words about why it is none.
pub fn line(data: &[u8]) {
    match server::parse(data) {
        Ok(request) => {
            // A password is taken and not told again, except to the service itself.
            assert!(!format!("{request:?}").contains("hunter2-secret"), "a password is shown");
        }
        Err(failure) => assert!(!failure.message.is_empty(), "refused without a word"),
    }
}
