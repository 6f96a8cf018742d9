//! The ways into this room for `crate::fuzzing`: what a session makes of bytes that came from the network.

use std::cell::RefCell;

use super::{
    family,
    session::{Ask, Session},
    settings,
};
use crate::wire::snmp::{Oid, Pdu, PduKind, peek_v3};

/// One session a way of speaking: communities, a user without secrets, one with authentication and privacy.
const SETTINGS: [&str; 3] = [
    "model = \"apc-rpdu2\"\naddress = \"127.0.0.1\"",
    "model = \"apc-rpdu2\"\naddress = \"127.0.0.1\"\nuser = \"u\"",
    "model = \"apc-rpdu2\"\naddress = \"127.0.0.1\"\nuser = \"u\"\nauth_key = \"12345678\"\npriv_key = \"12345678\"",
];

thread_local! {
    static SESSIONS: RefCell<Vec<Session>> = RefCell::new(sessions());
}

fn sessions() -> Vec<Session> {
    let session = |text: &str| {
        let settings = settings::parse(&text.parse().ok()?).ok()?;
        Some(Session::for_fuzzing(settings))
    };
    let made: Vec<Session> = SETTINGS.iter().filter_map(|text| session(text)).collect();
    assert_eq!(made.len(), SETTINGS.len(), "the settings above are not settings");
    made
}

/// An answer to a GET of two objects, with the request's id taken from the answer: nobody would ever guess it.
pub fn answer(data: &[u8]) {
    let Ok(oid) = "1.3.6.1.4.1.318.1.1.26.9.2.3.1.5.1".parse::<Oid>() else { return };
    let peeked = peek_v3(data).map(|peek| peek.message_id);
    let plain = || crate::wire::snmp::Message::decode(data).map(|message| message.pdu.request_id);
    let id = peeked.or_else(|_| plain()).unwrap_or(1);
    for kind in [PduKind::Get, PduKind::GetBulk] {
        let request = Pdu::request(kind, id, Ask::about([&oid, &oid]).varbinds);
        SESSIONS.with_borrow_mut(|sessions| {
            for session in sessions {
                session.digest(data, &request);
            }
        });
    }
}

/// A family file.
pub fn family(text: &str) {
    if let Err(errors) = family::parse_file(text) {
        assert!(!errors.is_empty(), "refused without a word");
    }
}
