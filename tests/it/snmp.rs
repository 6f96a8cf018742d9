//! The `snmp-pdu` driver against agents that are not ours; started by `conformance/snmp/run`.

use rackfish::{
    drivers::{Driver, Setup, snmp_pdu::KIND},
    model::*,
};
use std::{sync::Arc, time::Duration};

fn setup(text: &str) -> Arc<dyn Setup> {
    (KIND.parse)(&text.parse().unwrap()).unwrap()
}

async fn read(driver: &mut dyn Driver, aspect: Aspect, units: &[Unit]) -> Vec<(Unit, Result<Fact, Fault>)> {
    let mut items = Vec::new();
    let mut at = None;
    loop {
        let page = driver.observe(&aspect, units, at).await.unwrap();
        items.extend(page.items);
        at = page.next;
        if at.is_none() {
            return items;
        }
    }
}

#[tokio::test]
#[ignore]
async fn try_it() {
    let port = std::env::var("PORT").unwrap();
    for (model, extra) in [
        ("apc-rpdu", ""),
        ("apc-rpdu", "version=\"2c\""),
        ("apc-rpdu2", ""),
        ("apc-masterswitch", ""),
        ("apc-rpdu2", "version=\"3\"\nuser=\"sha\"\nauth_key=\"authauth1\"\npriv_key=\"privpriv1\""),
        (
            "apc-rpdu2",
            "user=\"md5\"\nauth_key=\"authauth1\"\npriv_key=\"privpriv1\"\nauth_protocol=\"md5\"\npriv_protocol=\"des\"",
        ),
        ("apc-rpdu2", "user=\"sha\"\nauth_key=\"authauth2\"\npriv_key=\"privpriv1\""),
        ("apc-rpdu2", "user=\"shax\"\nauth_key=\"authauth2\"\npriv_key=\"privpriv1\""),
        ("apc-rpdu2", "user=\"sha\"\nauth_key=\"authauth1\"\npriv_key=\"privpriv2\""),
        ("apc-rpdu2", "user=\"sha\"\nauth_key=\"authauth1\""),
        ("apc-rpdu2", "user=\"sha\""),
        ("apc-rpdu2", "community=\"nope\""),
    ] {
        println!("== {model} {extra}");
        let s = setup(&format!("model=\"{model}\"\naddress=\"127.0.0.1\"\nport={port}\n{extra}"));
        let mut d = s.connect();
        match d.open().await {
            Ok(u) => println!("{} {:?}", u.len(), u.last()),
            Err(e) => {
                println!("{e}");
                continue;
            }
        }
        let t = std::time::Instant::now();
        let power = read(&mut *d, Aspect::Power, &[]).await;
        println!("{} in {:?} {:?}", power.len(), t.elapsed(), power.last());
        println!(
            "{:?}",
            d.act(&[
                (Unit::outlet(3), Act::Power(PowerAct::Off)),
                (Unit::outlet(300), Act::Power(PowerAct::Off)),
                (Unit::outlet(2), Act::Power(PowerAct::Reset))
            ])
            .await
        );
        println!(
            "{:?}",
            read(&mut *d, Aspect::Power, &[Unit::outlet(3), Unit::outlet(4), Unit::outlet(300), Unit::host()]).await
        );
        tokio::time::sleep(Duration::from_millis(600)).await;
        println!("{:?}", read(&mut *d, Aspect::Power, &[Unit::outlet(3), Unit::outlet(4)]).await);
        println!("{:?}", read(&mut *d, Aspect::Sensors, &[Unit::outlet(3), Unit::new("pdu").unwrap()]).await);
        println!("{:?}", read(&mut *d, Aspect::Inventory, &[Unit::new("pdu").unwrap()]).await);
        println!("{:?}", read(&mut *d, Aspect::Units, &[]).await.pop());
        println!("{:?}", d.act(&[(Unit::outlet(3), Act::Power(PowerAct::On))]).await);
    }
}
