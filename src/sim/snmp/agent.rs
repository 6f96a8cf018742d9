//! Requests to answers, with the errors that agents of each version give (RFC 1157, 4.1; RFC 3416, 4.2).

use std::time::Duration;

use rand::RngCore;

use super::{
    SimPdu,
    pdu::State,
    table::{Command, Holds, find, in_column, next},
};
use crate::wire::snmp::{Message, Oid, Pdu, PduKind, Value, Version, status};

/// Largest answer: what an Ethernet frame holds (1,500 less 28 octets of IP and UDP).
const MAX_ANSWER: usize = 1472;
/// Variables of a GETBULK answer before its size is looked at.
const MAX_BULK: usize = 128;

/// Datagrams to send back, in order, and how long after the request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    pub datagrams: Vec<Vec<u8>>,
    pub delay: Duration,
}

impl SimPdu {
    /// Takes a datagram, carries it out, and says what to answer.
    pub(super) fn receive(&self, bytes: &[u8]) -> Answers {
        let mut state = self.state();
        state.packets_in += 1;
        let number = state.packets_in;
        let faults = state.faults.clone();
        let unseen = faults.vanished
            || faults.drop_every.is_some_and(|k| k > 0 && number.is_multiple_of(k))
            || state.chance(faults.lose_requests);
        if unseen {
            return Answers::default();
        }
        let Ok(request) = Message::decode(bytes) else { return Answers::default() };
        let options = self.options();
        let may_write = request.community == options.write_community.as_bytes();
        if !may_write && request.community != options.community.as_bytes() {
            return Answers::default();
        }
        let mut commands = Vec::new();
        let Some(pdu) = self.respond(&state, &request, may_write, &mut commands) else { return Answers::default() };
        let mut answer = Message::encode_parts(request.version, &request.community, &pdu);
        if answer.len() > MAX_ANSWER {
            commands.clear();
            answer = Message::encode_parts(request.version, &request.community, &too_big(&request.pdu));
        }
        let is_set = request.pdu.kind == PduKind::Set;
        let mut lost = state.chance(faults.lose_answers);
        if is_set && !lost && faults.lose_set_answers > 0 {
            state.faults.lose_set_answers -= 1;
            lost = true;
        }
        let mut datagrams = Vec::new();
        if faults.foreign_id {
            datagrams.push(Message::encode_parts(request.version, &request.community, &foreign(pdu)));
        }
        if !lost {
            if faults.garbage {
                answer = vec![0; 40];
                state.random.fill_bytes(&mut answer);
            }
            datagrams.extend(faults.duplicate.then(|| answer.clone()));
            datagrams.push(answer);
        }
        state.packets_out += u64::try_from(datagrams.len()).unwrap_or(0);
        drop(state);
        for (outlet, command) in commands {
            self.command(outlet, command);
        }
        Answers { datagrams, delay: faults.delay }
    }

    /// The answer, and the commands that it says were accepted. `None`: no answer at all.
    fn respond(
        &self,
        state: &State,
        request: &Message,
        may_write: bool,
        commands: &mut Vec<(u32, Command)>,
    ) -> Option<Pdu> {
        let asked = &request.pdu;
        let v1 = request.version == Version::V1;
        let answer = |varbinds| Pdu { kind: PduKind::Response, error_status: 0, error_index: 0, varbinds, ..*asked };
        let failure = |code, place: usize| Pdu {
            kind: PduKind::Response,
            error_status: code,
            error_index: u32::try_from(place + 1).unwrap_or(0),
            varbinds: asked.varbinds.clone(),
            request_id: asked.request_id,
        };
        let result = match asked.kind {
            PduKind::Get | PduKind::GetNext => {
                if state.faults.too_big_above.is_some_and(|most| asked.varbinds.len() > most) {
                    return Some(too_big(asked));
                }
                let mut found = Vec::with_capacity(asked.varbinds.len());
                for (place, (oid, _)) in asked.varbinds.iter().enumerate() {
                    let (oid, value) = match asked.kind {
                        PduKind::Get => (oid.clone(), self.get(state, oid)),
                        _ => self.get_next(state, oid),
                    };
                    if v1 && value.is_exception() {
                        return Some(failure(status::NO_SUCH_NAME, place));
                    }
                    found.push((oid, value));
                }
                answer(found)
            }
            // Version 1 does not know it.
            PduKind::GetBulk if v1 => return None,
            PduKind::GetBulk => answer(self.bulk(state, asked)),
            PduKind::Set if state.faults.set_no_such_instance => {
                answer(asked.varbinds.iter().map(|(oid, _)| (oid.clone(), Value::NoSuchInstance)).collect())
            }
            PduKind::Set => {
                let mut accepted = Vec::new();
                for (place, (oid, value)) in asked.varbinds.iter().enumerate() {
                    match self.check_set(state, oid, value, may_write) {
                        Ok(command) => accepted.push(command),
                        Err(code) => return Some(failure(if v1 { as_v1(code) } else { code }, place)),
                    }
                }
                if !state.faults.set_ignored {
                    *commands = accepted;
                }
                answer(asked.varbinds.clone())
            }
            PduKind::Response | PduKind::Report => return None,
        };
        Some(result)
    }

    fn get(&self, state: &State, oid: &Oid) -> Value {
        let rows = self.options().family.rows();
        let value = find(rows, oid).and_then(|(row, outlet)| self.value(state, row, outlet));
        value.unwrap_or(if in_column(rows, oid) { Value::NoSuchInstance } else { Value::NoSuchObject })
    }

    fn get_next(&self, state: &State, oid: &Oid) -> (Oid, Value) {
        let found = next(self.options().family.rows(), oid, |from| state.outlet_from(from));
        let value = found.and_then(|(name, row, outlet)| Some((name, self.value(state, row, outlet)?)));
        value.unwrap_or_else(|| (oid.clone(), Value::EndOfMibView))
    }

    /// As many rounds as asked for, as far as they fit.
    fn bulk(&self, state: &State, asked: &Pdu) -> Vec<(Oid, Value)> {
        let once = usize::try_from(asked.error_status).unwrap_or(usize::MAX).min(asked.varbinds.len());
        let (single, repeated) = asked.varbinds.split_at(once);
        let mut found: Vec<_> = single.iter().map(|(oid, _)| self.get_next(state, oid)).collect();
        let mut at: Vec<Oid> = repeated.iter().map(|(oid, _)| oid.clone()).collect();
        let mut size = 64 + found.len() * 32;
        for _ in 0..asked.error_index {
            for oid in &mut at {
                let (name, value) = self.get_next(state, oid);
                size += name.parts().len() + 12 + if let Value::OctetString(text) = &value { text.len() } else { 8 };
                if found.len() >= MAX_BULK || size > MAX_ANSWER {
                    return found;
                }
                oid.clone_from(&name);
                found.push((name, value));
            }
            if at.is_empty() || found.iter().rev().take(at.len()).all(|(_, v)| *v == Value::EndOfMibView) {
                break;
            }
        }
        found
    }

    /// The command that a variable of a SET stands for, or why it is none, in version 2c's words.
    fn check_set(&self, state: &State, oid: &Oid, value: &Value, may_write: bool) -> Result<(u32, Command), u32> {
        let family = self.options().family;
        if !may_write {
            return Err(status::NO_ACCESS);
        }
        let Some((row, outlet)) = find(family.rows(), oid) else { return Err(status::NOT_WRITABLE) };
        let Some(outlet) = outlet.filter(|_| row.holds == Holds::Command) else { return Err(status::NOT_WRITABLE) };
        if self.value(state, row, Some(outlet)).is_none() {
            return Err(status::NO_CREATION);
        }
        match value {
            Value::Integer(n) => family.command(*n).map(|c| (outlet, c)).ok_or(status::WRONG_VALUE),
            _ => Err(status::WRONG_TYPE),
        }
    }
}

/// An answer to somebody else's request, with the states turned round.
fn foreign(mut pdu: Pdu) -> Pdu {
    pdu.request_id ^= 0x0055_aa55;
    for (_, value) in &mut pdu.varbinds {
        match value {
            Value::Integer(n @ 1) => *n = 2,
            Value::Integer(n @ 2) => *n = 1,
            _ => {}
        }
    }
    pdu
}

/// Version 1 and 2c agree on the error, not on the variables: without them fits always (RFC 3416, 4.2.1).
fn too_big(asked: &Pdu) -> Pdu {
    Pdu {
        kind: PduKind::Response,
        error_status: status::TOO_BIG,
        error_index: 0,
        varbinds: Vec::new(),
        request_id: asked.request_id,
    }
}

/// The error of version 1 for one of version 2c (RFC 2576, 4.3).
fn as_v1(code: u32) -> u32 {
    match code {
        status::WRONG_VALUE | status::WRONG_TYPE => status::BAD_VALUE,
        status::NO_ACCESS | status::NOT_WRITABLE | status::NO_CREATION => status::NO_SUCH_NAME,
        other => other,
    }
}
