//! Against net-snmp's `snmpd`.
//!
//! `RACKFISH_SNMPD`: a PDU of each family behind `pass_persist` (`conformance/snmp/pass_pdu.py`): rPDU with 48
//! outlets, rPDU2 with 24, all others with 8, relays of half a second; users as in `conformance/snmp/snmpd.conf`.
//! `RACKFISH_SNMPD_SICK`: rPDU with 24 outlets, every second one missing, 5 stuck; sPDU rows by `override`.
//! `RACKFISH_SNMPD_REBOOT`: a program that restarts the first one.

use std::{net::SocketAddr, process::Command, time::Duration};

use rackfish::model::{Aspect, Fact, Fault, PowerAct, PowerState, Unit, Why};

use super::{
    check::{Checked, Checks, Pdu, credentials, holds, off_and_on, off_and_on_beside, peer, same, silence, text},
    proxy::Proxy,
};

const SHA_AES: &str = "version = '3'\nuser = 'sha-aes'\nauth_key = 'authauth1'\npriv_key = 'privpriv1'";
const ACCESS: [(&str, &str); 9] = [
    ("v1", "version = '1'\nwrite_community = 'private'"),
    ("v2c", "version = '2c'\nwrite_community = 'private'"),
    ("v3_sha_aes", SHA_AES),
    (
        "v3_md5_des",
        "user = 'md5-des'\nauth_protocol = 'md5'\nauth_key = 'authauth1'\npriv_protocol = 'des'\npriv_key = 'privpriv1'",
    ),
    (
        "v3_sha256_aes256",
        "user = 'sha256-aes256'\nauth_protocol = 'sha256'\nauth_key = 'authauth1'\npriv_protocol = 'aes256'\npriv_key = 'privpriv1'",
    ),
    ("v3_sha512_aes", "user = 'sha512-aes'\nauth_protocol = 'sha512'\nauth_key = 'authauth1'\npriv_key = 'privpriv1'"),
    (
        "v3_sha_aes256_blumenthal",
        "user = 'sha-aes256'\nauth_key = 'authauth1'\npriv_protocol = 'aes256'\npriv_key = 'privpriv1'\nkey_extension = 'blumenthal'",
    ),
    ("v3_sha_only", "user = 'sha-only'\nauth_key = 'authauth1'"),
    ("v3_no_auth", "user = 'nobody'"),
];

#[tokio::test]
#[ignore = "needs net-snmp: conformance/snmp/run"]
async fn snmpd() {
    let agent = peer("RACKFISH_SNMPD");
    let mut checks = Checks::new("snmpd");
    for (name, access) in ACCESS {
        for (model, outlet, neighbour) in [
            ("apc-rpdu", "47", "48"),
            ("apc-rpdu2", "7", "8"),
            ("apc-masterswitch", "3", "4"),
            ("eaton-g3", "0.7", "0.8"),
            ("servertech-sentry4", "1.1.7", "1.1.8"),
        ] {
            if model != "apc-rpdu2" && name.starts_with("v3_") && name != "v3_sha_aes" {
                continue;
            }
            let settings = format!("model = '{model}'\n{access}");
            let result = off_and_on_beside(agent, &settings, outlet, neighbour).await;
            checks.report(&format!("{name}.{model}.off_and_on"), result);
        }
    }
    for (name, access) in ACCESS.into_iter().take(4) {
        checks.report(&format!("{name}.48_outlets_in_4_packets"), packets(agent, access).await);
    }
    checks.report("rpdu2_status_is_inverted", inverted(agent).await);
    checks.report("meters", meters(agent).await);
    checks.report("identity_and_names", identity(agent).await);
    checks.report("generic", generic(agent).await);
    for (name, access) in ACCESS.into_iter().take(3) {
        checks.report(&format!("{name}.wrong_value_is_unsupported"), wrong_value(agent, access).await);
        checks.report(&format!("{name}.read_only_is_rejected"), read_only(agent, access).await);
        checks.report(&format!("{name}.no_such_outlet"), no_such_outlet(agent, access).await);
    }
    for version in ["1", "2c"] {
        let settings = format!("model = 'apc-rpdu2'\nversion = '{version}'\ntimeout = '300ms'\ncommunity = 'nobody'");
        checks.report(&format!("v{version}.wrong_community"), silence(agent, &settings, "community").await);
        checks.report(&format!("v{version}.reading_community"), reading_community(agent, version).await);
    }
    let user = |name: &str, more: &str| format!("model = 'apc-rpdu2'\ntimeout = '500ms'\nuser = '{name}'\n{more}");
    let wrong_key = user("sha-aes", "auth_key = 'authauth2'\npriv_key = 'privpriv1'");
    checks.report("wrong_auth_key_is_credentials", credentials(agent, &wrong_key, "auth_key").await);
    let wrong_user = user("nemo", "auth_key = 'authauth1'");
    checks.report("unknown_user_is_credentials", credentials(agent, &wrong_user, "nemo").await);
    let wrong_level = user("sha-only", "auth_key = 'authauth1'\npriv_key = 'privpriv1'");
    checks.report("privacy_that_a_user_has_not", credentials(agent, &wrong_level, "security level").await);
    let wrong_privacy = user("sha-aes", "auth_key = 'authauth1'\npriv_key = 'privpriv2'");
    checks.report("wrong_priv_key_is_named", silence(agent, &wrong_privacy, "priv_key").await);
    checks.report("unused_port_is_told_at_once", unused().await);
    // Last: it restarts the agent.
    checks.report("v3_survives_a_restart_of_the_agent", restart(agent).await);
    checks.finish();
}

#[tokio::test]
#[ignore = "needs net-snmp: conformance/snmp/run"]
async fn snmpd_sick() {
    let agent = peer("RACKFISH_SNMPD_SICK");
    let mut checks = Checks::new("snmpd_sick");
    for (name, access) in ACCESS.into_iter().take(3) {
        checks.report(&format!("{name}.half_of_the_outlets_missing"), half(agent, access).await);
        checks.report(&format!("{name}.stuck_relay_is_seen"), stuck(agent, access).await);
        // `override` rows keep what is written: command and status are one object in this family.
        let settings = format!("model = 'apc-masterswitch'\n{access}");
        checks.report(&format!("{name}.override_rows"), off_and_on(agent, &settings, 3).await);
    }
    checks.finish();
}

async fn packets(agent: SocketAddr, access: &str) -> Checked {
    let proxy = Proxy::to(agent).await;
    let mut pdu = Pdu::open(proxy.address, &format!("model = 'apc-rpdu'\n{access}")).await?;
    proxy.take();
    let facts = pdu.all(Aspect::Power, &[]).await?;
    same(&facts.iter().filter(|(_, f)| matches!(f, Ok(Fact::Power(_)))).count(), &48)?;
    let (requests, answers) = proxy.take();
    holds(requests <= 4 && answers <= 4, &format!("{requests} requests, {answers} answers"))
}

/// What `snmpget` says an object holds.
fn snmpget(agent: SocketAddr, oid: &str) -> Result<String, String> {
    let done = Command::new("snmpget").args(["-v2c", "-c", "public", "-Oqv", &agent.to_string(), oid]).output();
    let done = done.map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

async fn inverted(agent: SocketAddr) -> Checked {
    let mut pdu = Pdu::open(agent, &format!("model = 'apc-rpdu2'\n{SHA_AES}")).await?;
    for (act, state, command, status) in
        [(PowerAct::Off, PowerState::Off, "2", "1"), (PowerAct::On, PowerState::On, "1", "2")]
    {
        pdu.switch(11, act).await?;
        pdu.wait(11, state).await?;
        same(&snmpget(agent, "1.3.6.1.4.1.318.1.1.26.9.2.4.1.5.11")?.as_str(), &command)?;
        same(&snmpget(agent, "1.3.6.1.4.1.318.1.1.26.9.2.3.1.5.11")?.as_str(), &status)?;
    }
    Ok(())
}

async fn meters(agent: SocketAddr) -> Checked {
    let mut pdu = Pdu::open(agent, "model = 'apc-rpdu2'").await?;
    let found: Vec<_> = pdu.readings("2").await?.into_iter().map(|r| (r.id, r.value)).collect();
    let expected = [("power", 115.0), ("current", 0.5), ("energy", 123.4)].map(|(id, v)| (id.to_owned(), Some(v)));
    same(&found, &expected.to_vec())?;
    let found: Vec<_> = pdu.readings("pdu").await?.into_iter().map(|r| (r.id, r.value)).collect();
    holds(found.contains(&("power".to_owned(), Some(1230.0))), &format!("{found:?}"))?;
    holds(found.contains(&("energy".to_owned(), Some(4567.8))), &format!("{found:?}"))?;
    // The same by version 1, where a missing object spoils the whole GET.
    let mut pdu = Pdu::open(agent, "model = 'apc-rpdu'\nversion = '1'").await?;
    let found: Vec<_> = pdu.readings("pdu").await?.into_iter().map(|r| (r.id, r.value)).collect();
    let expected = [("current-1", 1.5), ("power", 345.0)].map(|(id, v)| (id.to_owned(), Some(v)));
    same(&found, &expected.to_vec())
}

async fn identity(agent: SocketAddr) -> Checked {
    let mut pdu = Pdu::open(agent, "model = 'apc-rpdu2'").await?;
    let inventory = pdu.inventory().await?;
    same(&inventory.model.as_deref(), &Some("AP8941"))?;
    same(&inventory.serial.as_deref(), &Some("ZA0000000002"))?;
    same(&inventory.firmware.as_deref(), &Some("v6.5.6"))?;
    let units = pdu.all(Aspect::Units, &[]).await?;
    same(&units.len(), &25)?;
    let names = units.iter().filter(|(u, f)| match f {
        Ok(Fact::Caps(_, Some(name))) => *name == format!("Outlet {u}"),
        _ => false,
    });
    same(&names.count(), &24)
}

fn rpdu2_columns(on: i32, command: &str) -> String {
    format!(
        "model = 'generic'\nwrite_community = 'private'\n[columns]\ncommand = '1.3.6.1.4.1.318.1.1.26.9.2.{command}.*'\n\
         on = {on}\noff = 2\nstatus = '1.3.6.1.4.1.318.1.1.26.9.2.3.1.5.*'\nstatus_on = [2]\nstatus_off = 1\n\
         power = {{ oid = '1.3.6.1.4.1.318.1.1.26.9.4.3.1.7.*', scale = 1 }}"
    )
}

/// Settings of `generic` with the keys of an access before its tables.
fn generic_settings(access: &str, on: i32, command: &str) -> String {
    let columns = rpdu2_columns(on, command);
    let columns = if access.contains("user") { columns.replace("write_community = 'private'\n", "") } else { columns };
    format!("{}\n{columns}", access.replace("write_community = 'private'", ""))
}

async fn generic(agent: SocketAddr) -> Checked {
    for (_, access) in ACCESS.into_iter().take(3) {
        // No count: the table is walked.
        let settings = generic_settings(access, 1, "4.1.5");
        let mut pdu = Pdu::closed(agent, &settings);
        same(&pdu.0.open().await.map_err(text)?.len(), &25)?;
        off_and_on(agent, &settings, 20).await?;
        same(&pdu.readings("2").await?.first().and_then(|r| r.value), &Some(115.0))?;
    }
    Ok(())
}

async fn wrong_value(agent: SocketAddr, access: &str) -> Checked {
    let mut pdu = Pdu::open(agent, &generic_settings(access, 77, "4.1.5")).await?;
    match pdu.try_switch(1, PowerAct::On).await {
        Err(Fault::Unsupported(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// The status column takes no SET.
async fn read_only(agent: SocketAddr, access: &str) -> Checked {
    let mut pdu = Pdu::open(agent, &generic_settings(access, 1, "3.1.5")).await?;
    match pdu.try_switch(1, PowerAct::On).await {
        Err(Fault::Refused(Why::Rejected(_))) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

async fn no_such_outlet(agent: SocketAddr, access: &str) -> Checked {
    let mut pdu = Pdu::open(agent, &format!("model = 'apc-rpdu2'\n{access}")).await?;
    let fault = pdu.try_switch(99, PowerAct::Off).await;
    holds(
        matches!(fault, Err(Fault::NoSuchUnit(_) | Fault::Refused(Why::Rejected(_)))),
        &format!("a command: {fault:?}"),
    )?;
    let read = pdu.all(Aspect::Power, &[Unit::outlet(99), Unit::outlet(1)]).await?;
    let of = |n| read.iter().find(|(u, _)| *u == Unit::outlet(n)).map(|(_, f)| f);
    holds(matches!(of(99), Some(Err(Fault::NoSuchUnit(_)))), &format!("{read:?}"))?;
    holds(matches!(of(1), Some(Ok(Fact::Power(_)))), &format!("its neighbour: {read:?}"))
}

async fn reading_community(agent: SocketAddr, version: &str) -> Checked {
    let settings = format!("model = 'apc-rpdu2'\nversion = '{version}'\ncommunity = 'public'");
    let mut pdu = Pdu::open(agent, &settings).await?;
    let before = pdu.power(1).await?;
    match pdu.try_switch(1, PowerAct::Off).await {
        Err(Fault::Refused(Why::Rejected(_) | Why::Privilege(_))) => {}
        other => return Err(format!("{other:?}")),
    }
    same(&pdu.power(1).await?, &before)
}

async fn unused() -> Checked {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).map_err(|e| e.to_string())?;
    let begun = std::time::Instant::now();
    silence(free, "model = 'apc-rpdu'\ntimeout = '20s'", "no SNMP agent").await?;
    holds(begun.elapsed() < Duration::from_secs(5), "it waited")
}

/// After a restart the engine has started once more and its clock runs from zero: the first request is refused with a
/// Report, and sent again with what that says; a SET too, and it is carried out once.
async fn restart(agent: SocketAddr) -> Checked {
    let mut pdu = Pdu::open(agent, &format!("model = 'apc-rpdu2'\n{SHA_AES}")).await?;
    let again = std::env::var("RACKFISH_SNMPD_REBOOT").map_err(|e| e.to_string())?;
    for first in [None, Some(PowerAct::Off)] {
        let done = Command::new(&again).status().map_err(|e| e.to_string())?;
        holds(done.success(), "the agent did not restart")?;
        match first {
            None => drop(pdu.power(4).await?),
            Some(act) => pdu.switch(4, act).await?,
        }
    }
    pdu.wait(4, PowerState::Off).await
}

async fn half(agent: SocketAddr, access: &str) -> Checked {
    let mut pdu = Pdu::open(agent, &format!("model = 'apc-rpdu'\n{access}")).await?;
    let facts = pdu.all(Aspect::Power, &[]).await?;
    for outlet in 1..=24 {
        let found: Vec<_> = facts.iter().filter(|(u, _)| *u == Unit::outlet(outlet)).map(|(_, f)| f).collect();
        let right = match found.as_slice() {
            [Err(Fault::NoSuchUnit(_))] => outlet % 2 == 0,
            [Ok(Fact::Power(_))] => outlet % 2 == 1,
            _ => false,
        };
        holds(right, &format!("outlet {outlet}: {found:?}"))?;
    }
    Ok(())
}

async fn stuck(agent: SocketAddr, access: &str) -> Checked {
    let mut pdu = Pdu::open(agent, &format!("model = 'apc-rpdu'\n{access}")).await?;
    pdu.switch(5, PowerAct::Off).await?;
    pdu.switch(7, PowerAct::Off).await?;
    pdu.wait(7, PowerState::Off).await?;
    same(&pdu.power(5).await?, &PowerState::On)?;
    pdu.switch(7, PowerAct::On).await?;
    pdu.wait(7, PowerState::On).await
}
