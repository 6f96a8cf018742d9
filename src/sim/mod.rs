//! Simulators of devices, over real sockets, with faults to inject.

pub mod ipmi;
pub mod net;
pub mod plc_bus;
pub mod redfish;
pub mod snmp;

use std::io::BufRead as _;

/// Standard input line by line. Reading it blocks, so a thread does: it ends with the process.
fn lines() -> tokio::sync::mpsc::Receiver<String> {
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
