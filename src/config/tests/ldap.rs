//! `[auth.ldap]`: what is read, and every mistake at once.

use openssl::{
    asn1::Asn1Time,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::PKey,
    x509::{X509Builder, X509NameBuilder},
};

use super::*;
use crate::model::{Role, Scope};

/// A certificate that signs itself.
pub fn certificate() -> String {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "directory").unwrap();
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    String::from_utf8(builder.build().to_pem().unwrap()).unwrap()
}

const SOUND: &str = r#"
[auth.ldap]
url = ["ldaps://ldap.example.org", "ldaps://[::1]:1636"]
ca_file = "ca.pem"
bind_dn = "cn=rackfish,dc=example,dc=org"
bind_password = { file = "pw" }
user_base = "dc=example,dc=org"
recheck = "1m"
roles = [{ group = "cn=ops,dc=example,dc=org", role = "Operator" }, { group = "cn=r,dc=x", role = "ReadOnly", nodes = ["n1"] }]
"#;

fn dir(text: &str) -> Dir {
    let dir = Dir::new();
    dir.write("rackfish.toml", text);
    dir.write("ca.pem", &certificate());
    dir.write("pw", "marked\n");
    dir
}

fn load_it(text: &str) -> Result<Loaded, Broken> {
    let dir = dir(text);
    load(&dir.0.path().join("rackfish.toml"), &Env::default())
}

#[test]
fn a_directory_is_read() {
    let loaded = load_it(SOUND).unwrap();
    let ldap = loaded.config.auth.ldap.clone().unwrap();
    let servers: Vec<_> = ldap.servers.iter().map(|s| (s.tls, s.host.as_str(), s.port)).collect();
    assert_eq!(servers, [(true, "ldap.example.org", 636), (true, "::1", 1636)]);
    assert_eq!(ldap.user_filter.to_string(), "(&(objectClass=person)(uid={user}))");
    assert_eq!((ldap.group_base.as_str(), ldap.nested), ("dc=example,dc=org", LdapNested::Walk));
    assert_eq!((ldap.recheck.as_secs(), ldap.grace.as_secs(), ldap.cache.as_secs()), (60, 3_600, 60));
    assert_eq!(ldap.roles[0].scope, Scope::All);
    assert_eq!(ldap.roles[1].role, Role::ReadOnly);
    assert!(matches!(&ldap.roles[1].scope, Scope::Some { nodes, .. } if nodes.len() == 1));
    assert!(!format!("{ldap:?}").contains("marked"), "the secret is shown");
    // The certificate and the secret are watched; a node that does not exist is only warned of.
    assert!(loaded.files.iter().any(|f| f.ends_with("ca.pem")) && loaded.files.iter().any(|f| f.ends_with("pw")));
    assert_eq!(loaded.warnings.len(), 1, "{:#?}", loaded.warnings);
    assert!(loaded.warnings[0].message.contains("node n1"));
}

#[test]
fn presets_suit_their_directories() {
    let ad = load_it(&SOUND.replace("ca_file", "schema = \"ad\"\nca_file")).unwrap().config.auth.ldap.unwrap();
    assert_eq!(ad.name_attribute, "sAMAccountName");
    assert_eq!(ad.nested, LdapNested::Server);
    assert!(ad.user_filter.to_string().contains("(userPrincipalName={user})"));
    let upn = SOUND.replace("cn=rackfish,dc=example,dc=org", "rackfish@example.org");
    assert!(load_it(&upn).is_ok(), "Active Directory binds that way too");
}

#[test]
fn mistakes_are_found() {
    for (from, to, said) in [
        ("\"ldaps://ldap.example.org\", ", "\"ldap://ldap.example.org\", ", "would send passwords unencrypted"),
        ("ldap.example.org\"", "ldap.example.org/dc=x\"", "holds more than a server"),
        ("ldaps://ldap.", "ldaps://a:b@ldap.", "holds a user or password"),
        ("ldaps://ldap.example.org", "ldapi:///x", "has the scheme ldapi"),
        ("url = [\"ldaps://ldap.example.org\", \"ldaps://[::1]:1636\"]", "url = []", "names no server"),
        ("ldaps://[::1]:1636", "ldaps://ldap.example.org", "named twice"),
        ("\"ca.pem\"", "\"pw\"", "holds no certificate"),
        ("\"ca.pem\"", "\"none.pem\"", "can't be read"),
        ("bind_dn = \"cn=rackfish,dc=example,dc=org\"\n", "", "has no bind_dn"),
        ("bind_password = { file = \"pw\" }\n", "", "has no password"),
        ("cn=rackfish,dc=example,dc=org", "rackfish", "is not a distinguished name"),
        ("user_base = \"dc=example,dc=org\"\n", "", "user_base: is missing"),
        ("recheck", "user_filter = \"(uid=*)\"\nrecheck", "has no {user}"),
        ("recheck", "name_attribute = \"u(d\"\nrecheck", "can't be the name of an attribute"),
        ("\"1m\"", "\"2h\"", "is shorter than `recheck`"),
        ("role = \"ReadOnly\"", "role = \"readonly\"", "is too much like ReadOnly"),
        ("nodes = [\"n1\"]", "nodes = []", "names none"),
        ("nodes = [\"n1\"]", "node = [\"n1\"]", "unknown key"),
        ("cn=r,dc=x", "CN=ops, dc=example,dc=org", "is named twice"),
    ] {
        let text = SOUND.replacen(from, to, 1);
        assert_ne!(text, SOUND, "{from}");
        let broken = load_it(&text).unwrap_err();
        let found: Vec<String> = broken.problems.iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|p| p.contains(said)), "{said}: {found:#?}");
    }
    let without = SOUND.lines().filter(|line| !line.starts_with("roles")).collect::<Vec<_>>().join("\n");
    assert!(load_it(&without).unwrap_err().problems[0].to_string().contains("auth.ldap.roles: is missing"));
}
