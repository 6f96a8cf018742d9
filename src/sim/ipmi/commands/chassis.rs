//! Network function Chassis.

use std::time::Instant;

use super::{Answer, Request, State, code};
use crate::{
    sim::ipmi::RestorePolicy,
    wire::ipmi::command::{Control, Identify},
};

pub(super) fn answer(state: &mut State, request: Request<'_>, now: Instant) -> Answer {
    let machine = &mut state.machine;
    match request.command {
        // Get Chassis Capabilities: everything is behind the BMC.
        0x00 => Ok(vec![0x00, 0x20, 0x20, 0x20, 0x20]),
        0x01 => {
            let policy = match machine.restore {
                RestorePolicy::AlwaysOff => 0x00,
                RestorePolicy::Previous => 0x20,
                RestorePolicy::AlwaysOn => 0x40,
            };
            let light = match machine.light() {
                Identify::Off => 0x00,
                Identify::Timed => 0x10,
                Identify::On => 0x20,
            };
            Ok(vec![policy | u8::from(machine.is_on()), 0x00, 0x40 | light])
        }
        0x02 => {
            let control = Control::from_byte(request.byte(0)?).ok_or(code::BAD_FIELD)?;
            match machine.control(control, now) {
                code::OK => Ok(Vec::new()),
                code => Err(code),
            }
        }
        0x04 => {
            // Without data: 15 seconds.
            let seconds = request.data.first().copied().unwrap_or(15);
            machine.identify(seconds, request.data.get(1).is_some_and(|force| force & 1 == 1), now);
            Ok(Vec::new())
        }
        // Set Power Restore Policy; 3 only asks which there are.
        0x06 => {
            match request.byte(0)? & 7 {
                0 => machine.restore = RestorePolicy::AlwaysOff,
                1 => machine.restore = RestorePolicy::Previous,
                2 => machine.restore = RestorePolicy::AlwaysOn,
                3 => {}
                _ => return Err(code::BAD_FIELD),
            }
            Ok(vec![0x07])
        }
        0x07 => Ok(vec![machine.cause, 0x00]),
        0x08 => set_boot(state, request, now),
        0x09 => get_boot(state, request),
        _ => Err(code::INVALID_COMMAND),
    }
}

fn set_boot(state: &mut State, request: Request<'_>, now: Instant) -> Answer {
    let boot = &mut state.machine.boot;
    match request.byte(0)? & 0x7f {
        0 => boot.progress = request.byte(1)? & 3,
        3 => boot.keep = request.byte(1)?,
        4 => boot.handled = [request.byte(1)?, request.byte(2)?],
        5 => {
            let flags = request.data.get(1..).and_then(|data| data.first_chunk::<5>()).ok_or(code::BAD_LENGTH)?;
            boot.set_flags(*flags, now);
        }
        _ => return Err(0x80),
    }
    Ok(Vec::new())
}

fn get_boot(state: &State, request: Request<'_>) -> Answer {
    let boot = &state.machine.boot;
    let parameter = request.byte(0)? & 0x7f;
    let mut out = vec![0x01, parameter];
    match parameter {
        0 => out.push(boot.progress),
        3 => out.push(boot.keep),
        4 => out.extend_from_slice(&boot.handled),
        5 => out.extend_from_slice(&boot.flags),
        _ => return Err(0x80),
    }
    Ok(out)
}
