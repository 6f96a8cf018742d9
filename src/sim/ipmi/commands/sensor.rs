//! Network function Sensor/Event.

use super::{Answer, Request, State, code};

pub(super) fn answer(state: &State, request: Request<'_>) -> Answer {
    let number = request.byte(0)?;
    let sensor = state.sensors.iter().find(|sensor| sensor.number == number).ok_or(code::NOT_PRESENT)?;
    match request.command {
        0x2d => {
            let reading = sensor.reading(state.machine.is_on(), state.forced.get(&number).copied());
            let [low, high] = reading.states.to_le_bytes();
            let flags = 0x80 | u8::from(reading.scanning) << 6 | u8::from(reading.unavailable) << 5;
            Ok(vec![reading.value, flags, low | if sensor.limits.readable == 0 { 0 } else { 0xc0 }, high | 0x80])
        }
        0x27 if sensor.limits.readable != 0 => {
            Ok([&[sensor.limits.readable], sensor.limits.values.as_slice()].concat())
        }
        // Hysteresis: none. Event enables: none. Event status: none.
        0x25 => Ok(vec![0, 0]),
        0x29 => Ok(vec![0xc0]),
        0x2b => Ok(vec![0xc0, 0, 0]),
        0x27 => Err(0xcd),
        _ => Err(code::INVALID_COMMAND),
    }
}
