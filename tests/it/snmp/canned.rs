//! An agent that holds a table of objects, as text: for families that nobody simulates, with the values that their
//! MIBs give. Versions 1 and 2c, one datagram at a time, no faults: those are `rackfish::sim`'s.
//!
//! ```text
//! OID = VALUE                 an INTEGER that can only be read ("text" in quotes is a string)
//! OID = VALUE < N -> OID = M  N may be written to it, which makes the other object M; several with `,`
//! ```

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    time::Duration,
};

use rackfish::wire::snmp::{Message, Oid, Pdu, PduKind, Value, Version, status};

#[derive(Debug, Clone)]
struct Row {
    value: Value,
    effects: BTreeMap<i64, (Oid, i64)>,
}

/// What was written, in order.
pub type Written = Arc<Mutex<Vec<(Oid, i64)>>>;

/// A running agent; ends with its thread when it is dropped.
pub struct Agent {
    pub address: SocketAddr,
    pub written: Written,
    end: UdpSocket,
}

impl Agent {
    /// Serves `rows`, OIDs below `root`.
    pub fn new(root: &str, rows: &str) -> Self {
        let root: Oid = root.parse().unwrap();
        let mut table = BTreeMap::new();
        for line in rows.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (oid, row) = parse(&root, line);
            assert!(table.insert(oid, row).is_none(), "twice: {line}");
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let end = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, ender) = (socket.local_addr().unwrap(), end.local_addr().unwrap());
        // An agent that nobody ends ends itself.
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let written = Written::default();
        let seen = Arc::clone(&written);
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((size, peer)) = socket.recv_from(&mut buffer) {
                if peer == ender {
                    return;
                }
                if let Some(answer) = answer(&mut table, &buffer[..size], &seen) {
                    socket.send_to(&answer, peer).unwrap();
                }
            }
        });
        Self { address, written, end }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end.send_to(b"end", self.address).ok();
    }
}

fn at(root: &Oid, tail: &str) -> Oid {
    let parts: Vec<u32> = tail.trim().split('.').map(|part| part.parse().unwrap()).collect();
    root.join(&parts).unwrap()
}

fn parse(root: &Oid, line: &str) -> (Oid, Row) {
    let (row, effects) = line.split_once('<').unwrap_or((line, ""));
    let (oid, value) = row.split_once('=').unwrap();
    let value = match value.trim().strip_prefix('"') {
        Some(text) => Value::OctetString(text.trim_end_matches('"').as_bytes().to_vec()),
        None => Value::Integer(value.trim().parse().unwrap()),
    };
    let effect = |text: &str| {
        let (written, (oid, value)) =
            text.split_once("->").map(|(w, effect)| (w, effect.split_once('=').unwrap())).unwrap();
        (written.trim().parse().unwrap(), (at(root, oid), value.trim().parse().unwrap()))
    };
    let effects = effects.split(',').filter(|text| !text.trim().is_empty()).map(effect).collect();
    (at(root, oid), Row { value, effects })
}

fn answer(table: &mut BTreeMap<Oid, Row>, bytes: &[u8], written: &Written) -> Option<Vec<u8>> {
    let request = Message::decode(bytes).ok()?;
    let asked = &request.pdu;
    let (mut code, mut index) = (status::NO_ERROR, 0);
    let next = |table: &BTreeMap<Oid, Row>, oid: &Oid| {
        let after = (std::ops::Bound::Excluded(oid.clone()), std::ops::Bound::Unbounded);
        let found = table.range(after).next().map(|(oid, row)| (oid.clone(), row.value.clone()));
        found.unwrap_or_else(|| (oid.clone(), Value::EndOfMibView))
    };
    let mut varbinds: Vec<(Oid, Value)> = match asked.kind {
        PduKind::Get => asked
            .varbinds
            .iter()
            .map(|(oid, _)| (oid.clone(), table.get(oid).map_or(Value::NoSuchInstance, |row| row.value.clone())))
            .collect(),
        PduKind::GetNext => asked.varbinds.iter().map(|(oid, _)| next(table, oid)).collect(),
        PduKind::GetBulk => {
            let mut oid = asked.varbinds.first()?.0.clone();
            let mut found = Vec::new();
            for _ in 0..asked.error_index.min(48) {
                let (name, value) = next(table, &oid);
                oid.clone_from(&name);
                found.push((name, value));
            }
            found
        }
        PduKind::Set => {
            for (place, (oid, value)) in asked.varbinds.iter().enumerate() {
                let effect = match (table.get(oid), value) {
                    (None, _) => Err(status::NO_CREATION),
                    (Some(row), _) if row.effects.is_empty() => Err(status::NOT_WRITABLE),
                    (Some(row), Value::Integer(n)) => {
                        row.effects.get(n).cloned().map(|effect| (*n, effect)).ok_or(status::WRONG_VALUE)
                    }
                    _ => Err(status::WRONG_TYPE),
                };
                match effect {
                    Ok((n, (other, becomes))) => {
                        written.lock().unwrap().push((oid.clone(), n));
                        table.get_mut(&other).unwrap().value = Value::Integer(becomes);
                    }
                    Err(why) => (code, index) = (why, u32::try_from(place + 1).unwrap()),
                }
            }
            asked.varbinds.clone()
        }
        PduKind::Response | PduKind::Report => return None,
    };
    if request.version == Version::V1
        && let Some(place) = varbinds.iter().position(|(_, value)| value.is_exception())
    {
        (code, index) = (status::NO_SUCH_NAME, u32::try_from(place + 1).unwrap());
        varbinds.clone_from(&asked.varbinds);
    }
    let pdu =
        Pdu { kind: PduKind::Response, request_id: asked.request_id, error_status: code, error_index: index, varbinds };
    Some(Message::encode_parts(request.version, &request.community, &pdu))
}
