//! Logins of ipmitool 1.8.19 as user `admin` with password `password`, recorded on the loopback device: suite 3
//! against OpenIPMI's ipmi_sim 2.0.33, suite 17 against our simulator (whose side ipmitool accepted).

use super::{super::*, hex};
use crate::wire::ipmi::{
    handshake::{Exchange, OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp34},
    lan::LanMessage,
    rmcp::{Datagram, Payload, Plus},
};

struct Login {
    suite: Suite,
    open_request: &'static str,
    open_response: &'static str,
    rakp_1: &'static str,
    rakp_2: &'static str,
    rakp_3: &'static str,
    rakp_4: &'static str,
    first_request: &'static str,
    first_answer: &'static str,
}

const SUITE_3: Login = Login {
    suite: Suite::SHA1,
    open_request: "0600ff0706100000000000000000200000000000a4a3a2a0000000080100000001000008010000000200000801000000",
    open_response: "0600ff0706110000000000000000240000000000a4a3a2a002000000000000080100000001000008010000000200000801000000",
    rakp_1: "0600ff070612000000000000000021000000000002000000e8f412ecd0754f6746160984f472ab8a1400000561646d696e",
    rakp_2: "0600ff07061300000000000000003c0000000000a4a3a2a07f892d72167672173573e0a61557048aa123456789abcdefa123456789abcdefac0d02e6efccd5fcf01a0338f99ed8aadcd73ac0",
    rakp_3: "0600ff07061400000000000000001c00000000000200000089dcc83fec19158a7f8f92af08b29450040ac9c7",
    rakp_4: "0600ff0706150000000000000000140000000000a4a3a2a024552134a3889d4a83269378",
    first_request: "0600ff0706c00200000003000000200040c73f99922f54e9bfa9ba07ae21453ed62fec0a228dfb52261e9d8d9fa54fa5ffff02075585f6a411533c5a6b090660",
    first_answer: "0600ff0706c0a4a3a2a0010000002000016537745a132c0bd1f44d4429c13c06053e81f85a0971a4c93239e9b07c30a3ffff02071f96d6aaa7540d36091f6c85",
};

const SUITE_17: Login = Login {
    suite: Suite::SHA256,
    open_request: "0600ff0706100000000000000000200000000000a4a3a2a0000000080300000001000008040000000200000801000000",
    open_response: "0600ff0706110000000000000000240000000400a4a3a2a001000000000000080300000001000008040000000200000801000000",
    rakp_1: "0600ff070612000000000000000021000000000001000000996c91e23a2ea770ad8e30b54e17d40e1400000561646d696e",
    rakp_2: "0600ff0706130000000000000000480000000000a4a3a2a0b9c679a1c02710677575e7c8e0b6a0de010000000000608f5e4d3b4c107a1f5dd3d5fad1c214c4c1f32bb024908f292d1f44f91bef8924a43929cb2e1e1525c4",
    rakp_3: "0600ff070614000000000000000028000000000001000000fbe50b8b9e9b920d5273425e8d71458db4be927ecfd4b0acbc77a3066a0d39d3",
    rakp_4: "0600ff0706150000000000000000180000000000a4a3a2a0adae8a1d81ae6abbb17845642738275b",
    first_request: "0600ff0706c0010000000300000020007f4b5d8005df6fad2e4939e2739a2698e84265a52eea267b7940af6d44aaaccfffff020722baa4536dced0f1b5e2b615750826ac",
    first_answer: "0600ff0706c0a4a3a2a00100000020007d6f10aa8a977079f1d55438133016b68536e9ede033540d2d155857941b301cffff020788599047e50a6661ecb5f1eb3980accf",
};

fn plus(datagram: &[u8]) -> Plus<'_> {
    match rmcp::decode(datagram).unwrap() {
        Datagram::Plus(packet) => packet,
        other => panic!("{other:?}"),
    }
}

/// The payload of a packet outside a session, after checking that it can be written again to the same bytes.
fn outside(text: &str, kind: Payload) -> Vec<u8> {
    let datagram = hex(text);
    let packet = plus(&datagram);
    assert_eq!((packet.payload_type, packet.session, packet.sequence), (kind, 0, 0));
    assert_eq!(rmcp::encode_plus(kind, packet.payload), datagram);
    packet.payload.to_vec()
}

fn exchange(login: &Login) -> Exchange {
    let request = outside(login.open_request, Payload::OpenRequest);
    let open = OpenRequest::decode(&request).unwrap();
    assert_eq!(open.encode(), request);
    assert_eq!(open.algorithms, login.suite.algorithms());

    let response = outside(login.open_response, Payload::OpenResponse);
    let opened = OpenResponse::decode(&response).unwrap();
    assert_eq!(opened.encode(), response);
    let OpenResponse::Opened { console, bmc, algorithms, .. } = opened else { panic!("{opened:?}") };
    assert_eq!((console, algorithms), (open.console, login.suite.algorithms()));

    let bytes = outside(login.rakp_1, Payload::Rakp1);
    let first = Rakp1::decode(&bytes).unwrap();
    assert_eq!(first.encode(), bytes);
    assert_eq!((first.bmc, first.role, first.user.as_slice()), (bmc, 0x14, b"admin".as_slice()));

    let bytes = outside(login.rakp_2, Payload::Rakp2);
    let second = Rakp2::decode(&bytes).unwrap();
    assert_eq!(second.encode(), bytes);
    assert_eq!(second.code.len(), login.suite.auth.code_len());
    Exchange {
        suite: login.suite,
        console,
        bmc,
        console_random: first.random,
        bmc_random: second.random,
        guid: second.guid,
        role: first.role,
        user: first.user,
    }
}

fn is_reproduced(login: &Login) {
    let password = UserKey::new(b"password");
    let exchange = exchange(login);
    let second = Rakp2::decode(&outside(login.rakp_2, Payload::Rakp2)).unwrap();
    assert_eq!(exchange.rakp2_code(&password).to_vec(), second.code);
    assert_ne!(exchange.rakp2_code(&UserKey::new(b"Password")).to_vec(), second.code);

    let bytes = outside(login.rakp_3, Payload::Rakp3);
    let third = Rakp34::decode(&bytes).unwrap();
    assert_eq!(third.encode(), bytes);
    assert_eq!((third.session, third.code.as_slice()), (exchange.bmc, exchange.rakp3_code(&password).as_slice()));

    let sik = exchange.sik(&password);
    let bytes = outside(login.rakp_4, Payload::Rakp4);
    let fourth = Rakp34::decode(&bytes).unwrap();
    assert_eq!(fourth.encode(), bytes);
    assert_eq!((fourth.session, fourth.code.as_slice()), (exchange.console, exchange.rakp4_check(&sik).as_slice()));

    // Set Session Privilege Level: administrator, and its answer.
    let keys = exchange.keys(&sik);
    for (text, session_id, netfn, data) in [
        (login.first_request, exchange.bmc, 0x06, vec![0x04]),
        (login.first_answer, exchange.console, 0x07, vec![0x00, 0x04]),
    ] {
        let datagram = hex(text);
        let packet = plus(&datagram);
        assert_eq!((packet.session, packet.encrypted, packet.authenticated), (session_id, true, true));
        let payload = session::open(&keys, &packet).unwrap();
        let message = LanMessage::decode(&payload).unwrap();
        assert_eq!((message.netfn, message.command, message.data), (netfn, 0x3b, data.as_slice()));
        assert_eq!(message.encode(), payload);
        // With the same initialisation vector, the same datagram.
        let iv = *packet.payload.first_chunk().unwrap();
        assert_eq!(session::seal(&keys, session_id, packet.sequence, Payload::Ipmi, &payload, iv), datagram);
    }
}

#[test]
fn suite_3() {
    is_reproduced(&SUITE_3);
}

#[test]
fn suite_17() {
    is_reproduced(&SUITE_17);
}

/// ipmi_sim 2.0.33 refuses suite 17 in two bytes: tag and status.
#[test]
fn a_refusal_of_two_bytes() {
    let refused = OpenResponse::decode(&[0x2a, 0x04]).unwrap();
    assert_eq!(refused, OpenResponse::Refused { tag: 0x2a, status: 4, console: 0 });
    assert_eq!(Rakp2::decode(&[7, 0x0d]).unwrap().status, 0x0d);
    assert_eq!(Rakp34::decode(&[7, 0x0f]).unwrap().status, 0x0f);
    assert!(OpenResponse::decode(&[0x2a]).is_err());
}

/// Get Channel Authentication Capabilities and its answer, before the session.
#[test]
fn before_the_session() {
    for (text, netfn, length) in [
        ("0600ff07000000000000000000092018c88100388e04b5", 0x06, 2),
        ("0600ff0700000000000000000010811c6320003800019706030000000007", 0x07, 9),
    ] {
        let datagram = hex(text);
        let Datagram::Plain(payload) = rmcp::decode(&datagram).unwrap() else { panic!() };
        let message = LanMessage::decode(payload).unwrap();
        assert_eq!((message.netfn, message.command, message.data.len()), (netfn, 0x38, length));
        assert_eq!(rmcp::encode_plain(&message.encode()), datagram);
    }
}

#[test]
fn asf() {
    assert_eq!(rmcp::encode_ping(0x11), hex("0600ff06 000011be 80110000"));
    assert_eq!(rmcp::decode(&rmcp::encode_ping(0x11)), Ok(Datagram::Ping(0x11)));
    assert_eq!(rmcp::decode(&rmcp::encode_pong(0x12)), Ok(Datagram::Pong(0x12)));
}

/// A packet that is less protected than the suite asks, or was changed on the way, is refused.
#[test]
fn tampering() {
    let exchange = exchange(&SUITE_3);
    let keys = exchange.keys(&exchange.sik(&UserKey::new(b"password")));
    let datagram = hex(SUITE_3.first_answer);
    for position in 4..datagram.len() {
        for bit in 0..8 {
            let mut changed = datagram.clone();
            changed[position] ^= 1 << bit;
            if let Ok(Datagram::Plus(packet)) = rmcp::decode(&changed) {
                assert!(session::open(&keys, &packet).is_err(), "bit {bit} of byte {position}");
            }
        }
    }
    let bare = rmcp::encode_plus(Payload::Ipmi, &hex("20 18 c8 81 00 38 8e 04 b5"));
    assert!(session::open(&keys, &plus(&bare)).is_err());
}
