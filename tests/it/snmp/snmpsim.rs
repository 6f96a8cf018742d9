//! Against snmpsim (`RACKFISH_SNMPSIM`), with `fixtures/snmp/pdu.snmprec`: a MasterSwitch whose outlets are
//! `writecache` rows, and an rPDU whose command rows can't be written, which snmpsim answers with errorStatus 0 and
//! noSuchInstance.

use rackfish::model::{Aspect, Fact, Fault, PowerAct, PowerState, Why};

use super::{
    check::{Checked, Checks, Pdu, credentials, holds, off_and_on, peer, same, silence},
    proxy::Proxy,
};

const ACCESS: [(&str, &str); 4] = [
    ("v1", "version = '1'\ncommunity = 'pdu'"),
    ("v2c", "version = '2c'\ncommunity = 'pdu'"),
    ("v3_sha_aes", "user = 'sha-aes'\nauth_key = 'authauth1'\npriv_key = 'privpriv1'\ncontext = 'pdu'"),
    (
        "v3_md5_des",
        "user = 'md5-des'\nauth_protocol = 'md5'\nauth_key = 'authauth1'\npriv_protocol = 'des'\npriv_key = 'privpriv1'\n\
         context = 'pdu'",
    ),
];

#[tokio::test]
#[ignore = "needs snmpsim: conformance/snmp/run"]
async fn snmpsim() {
    let agent = peer("RACKFISH_SNMPSIM");
    let mut checks = Checks::new("snmpsim");
    for (name, access) in ACCESS {
        let settings = |model: &str| format!("model = '{model}'\ntimeout = '3s'\n{access}");
        checks.report(
            &format!("{name}.writecache_off_and_on"),
            off_and_on(agent, &settings("apc-masterswitch"), 3).await,
        );
        checks.report(&format!("{name}.no_such_instance_is_a_failure"), refused(agent, &settings("apc-rpdu")).await);
        checks.report(&format!("{name}.status_of_all"), status(agent, &settings("apc-rpdu")).await);
    }
    let wrong = "model = 'apc-rpdu'\nversion = '2c'\ntimeout = '500ms'\ncommunity = 'else'";
    checks.report("wrong_community", silence(agent, wrong, "community").await);
    let wrong = "model = 'apc-rpdu'\nuser = 'sha-aes'\nauth_key = 'authauth2'\npriv_key = 'privpriv1'\ntimeout = '3s'";
    checks.report("wrong_auth_key_is_credentials", credentials(agent, wrong, "auth_key").await);
    checks.finish();
}

/// The answer to the SET has no error, but no value either: it has to be taken for a failure.
async fn refused(agent: std::net::SocketAddr, settings: &str) -> Checked {
    let mut pdu = Pdu::open(agent, settings).await?;
    let outcome = pdu.try_switch(1, PowerAct::Off).await;
    let failed = matches!(outcome, Err(Fault::NoSuchUnit(_) | Fault::Refused(Why::Rejected(_))));
    holds(failed, &format!("{outcome:?}"))?;
    same(&pdu.power(1).await?, &PowerState::On)
}

async fn status(agent: std::net::SocketAddr, settings: &str) -> Checked {
    let proxy = Proxy::to(agent).await;
    let mut pdu = Pdu::open(proxy.address, settings).await?;
    proxy.take();
    let facts = pdu.all(Aspect::Power, &[]).await?;
    same(&facts.iter().filter(|(_, f)| *f == Ok(Fact::Power(PowerState::On))).count(), &8)?;
    holds(proxy.take().0 <= 1, "eight outlets are one packet")
}
