//! RMCP packets and the login. The first byte chooses the suite; packets of a session are opened with its keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rackfish::wire::ipmi::{
    Keys, Suite,
    handshake::{OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp34},
    rmcp::{self, Datagram, Payload},
    session,
};

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let suite = Suite::from_id(choice % 18).unwrap_or(Suite::SHA1);
    let keys = Keys::derive(suite, b"key");
    if let Ok(Datagram::Plus(packet)) = rmcp::decode(data) {
        let _ = session::open(&keys, &packet);
    }
    // What was sealed opens.
    let sealed = session::seal(&keys, 1, 2, Payload::Ipmi, data, [*choice; 16]);
    if data.len() < 60_000 {
        let Ok(Datagram::Plus(packet)) = rmcp::decode(&sealed) else { panic!("not a packet") };
        assert_eq!(session::open(&keys, &packet).as_deref(), Ok(data));
    }
    let _ = OpenRequest::decode(data);
    let _ = OpenResponse::decode(data);
    let _ = Rakp1::decode(data);
    let _ = Rakp2::decode(data);
    let _ = Rakp34::decode(data);
});
