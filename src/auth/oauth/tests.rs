//! Signatures of the RFCs' examples, claims one by one, what is remembered, and keys that come and go.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::time::Duration;

use openssl::{
    ec::{EcGroup, EcKey},
    ecdsa::EcdsaSig,
    nid::Nid,
    pkey::Private,
};
use serde_json::{Value, json};

use super::{keys::KeySet, *};
use crate::{
    config::{OAuthKeys, OAuthRole},
    model::NodeId,
    wire::jose::{Alg, Jwks, base64url},
};

const NOW: i64 = 1_800_000_000;

fn rule(value: &str, role: Role, nodes: &[&str]) -> OAuthRole {
    let scope = match nodes {
        [] => Scope::All,
        some => Scope::Some { nodes: some.iter().map(|n| NodeId::new(n).unwrap()).collect(), groups: [].into() },
    };
    OAuthRole { value: value.to_owned(), role, scope }
}

fn settings(set: Jwks) -> OAuthIssuer {
    OAuthIssuer {
        name: "sso".to_owned(),
        issuer: "https://sso.example".to_owned(),
        audience: vec!["rackfish".to_owned(), "lab".to_owned()],
        keys: OAuthKeys::File { path: "keys.json".into(), set: Arc::new(set) },
        algorithms: vec![Alg::Es256],
        name_claim: None,
        roles_claim: "scope".to_owned(),
        roles: vec![
            rule("admin", Role::Administrator, &[]),
            rule("ops1", Role::Operator, &["n1"]),
            rule("ops2", Role::Operator, &["n2"]),
            rule("look", Role::ReadOnly, &[]),
        ],
        leeway: Duration::from_secs(30),
        max_lifetime: None,
    }
}

fn claims() -> Value {
    json!({ "iss": "https://sso.example", "aud": "rackfish", "sub": "0f-1", "preferred_username": "ann",
            "iat": NOW, "exp": NOW + 300, "scope": "openid admin" })
}

fn judged(change: impl Fn(&mut json::Object), by: &OAuthIssuer) -> Result<Grant, Refusal> {
    let mut claims = claims().as_object().unwrap().clone();
    change(&mut claims);
    claims::judge(&claims, by, NOW, &Role::predefined)
}

#[allow(clippy::needless_pass_by_value)] // as `json!` makes them
fn with(key: &str, value: Value) -> Result<Grant, Refusal> {
    judged(|c| drop(c.insert(key.to_owned(), value.clone())), &settings(Jwks::default()))
}

#[test]
fn examples_of_the_rfcs_are_right_and_only_as_they_are() {
    let long = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let all = [
        // RFC 7515, A.2.
        (
            r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#,
            Alg::Rs256,
            format!("eyJhbGciOiJSUzI1NiJ9.{long}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        // RFC 7515, A.3.
        (
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
            Alg::Es256,
            format!("eyJhbGciOiJFUzI1NiJ9.{long}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        // RFC 7515, A.4.
        (
            r#"{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#,
            Alg::Es512,
            "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA".to_owned(),
            "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
        ),
        // RFC 8037, A.4.
        (
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            Alg::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];
    for (jwk, alg, signed, signature) in &all {
        let set = Jwks::parse(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).unwrap();
        let keys = KeySet::new(Arc::new(set));
        let Found::These(found) = keys.find(None, *alg) else { panic!("{alg}") };
        let signature = base64url::decode(signature).unwrap();
        assert!(found[0].signed(*alg, signed, &signature), "{alg}");
        assert!(!found[0].signed(*alg, &format!("{signed}A"), &signature), "{alg}");
        for n in [0, signature.len() / 2, signature.len() - 1] {
            let mut other = signature.clone();
            other[n] ^= 1;
            assert!(!found[0].signed(*alg, signed, &other), "{alg} {n}");
        }
        for other in [&signature[1..], &[signature.as_slice(), &[0]].concat(), &[], &[0; 64], &[0; 132], &[0; 256]] {
            assert!(!found[0].signed(*alg, signed, other), "{alg} of {} bytes", other.len());
        }
        for other in Alg::ALL.into_iter().filter(|other| other != alg) {
            assert!(!found[0].signed(other, signed, &signature), "{alg} is not {other}");
        }
    }
}

#[test]
fn a_point_beside_its_curve_is_no_key() {
    let one = base64url::encode(&[1; 32]);
    let jwk = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","x":"{one}","y":"{one}","kid":"odd"}}]}}"#);
    let keys = KeySet::new(Arc::new(Jwks::parse(jwk.as_bytes()).unwrap()));
    assert_eq!((keys.len(), keys.left_out.len()), (0, 1));
}

#[test]
fn times() {
    assert_eq!(judged(|_| {}, &settings(Jwks::default())).unwrap().until, NOW + 330);
    assert!(with("exp", json!(NOW - 29)).is_ok());
    assert_eq!(with("exp", json!(NOW - 30)), Err(Refusal::Expired(30)));
    assert!(with("exp", json!(1_800_000_000.5)).is_ok());
    for odd in [json!("1900000000"), json!(null), json!(-1), json!(1e300), json!(true), json!(253_402_300_800_i64)] {
        assert_eq!(with("exp", odd.clone()), Err(Refusal::Claim("exp".into())), "{odd}");
    }
    for claim in ["nbf", "iat"] {
        assert!(with(claim, json!(NOW + 30)).is_ok());
        assert_eq!(with(claim, json!(NOW + 31)), Err(Refusal::NotYet(31, claim)));
    }
    let short = OAuthIssuer { max_lifetime: Some(Duration::from_mins(5)), ..settings(Jwks::default()) };
    assert!(judged(|_| {}, &short).is_ok());
    let longer = |c: &mut json::Object| drop(c.insert("exp".into(), json!(NOW + 301)));
    assert_eq!(judged(longer, &short), Err(Refusal::TooLong(301, "sso".into())));
    assert_eq!(judged(|c| drop(c.remove("iat")), &short), Err(Refusal::Claim("iat".into())));
}

#[test]
fn audiences() {
    assert!(with("aud", json!(["x", "lab"])).is_ok());
    for odd in [json!("Rackfish"), json!(["x"]), json!([]), json!("rackfish lab")] {
        assert!(matches!(with("aud", odd.clone()), Err(Refusal::Audience(_))), "{odd}");
    }
    for odd in [json!(null), json!(["rackfish", 1]), json!({ "rackfish": true }), json!(vec!["rackfish"; 257])] {
        assert_eq!(with("aud", odd.clone()), Err(Refusal::Claim("aud".into())), "{odd}");
    }
    assert_eq!(with("cnf", json!({})), Err(Refusal::Bound));
}

#[test]
fn names_are_never_those_of_accounts() {
    let plain = settings(Jwks::default());
    assert_eq!(judged(|_| {}, &plain).unwrap().name, "sso:ann");
    assert_eq!(judged(|c| drop(c.remove("preferred_username")), &plain).unwrap().name, "sso:0f-1");
    assert_eq!(with("preferred_username", json!("Ann O'Neil")).unwrap().name, "sso:Ann O'Neil");
    for odd in ["", " ann", "ann\n", "a\u{202e}b", "a\"b", "a\\b", &"x".repeat(129)] {
        assert_eq!(with("preferred_username", json!(odd)), Err(Refusal::Name("preferred_username".into())), "{odd:?}");
    }
    assert_eq!(with("preferred_username", json!(7)), Err(Refusal::Claim("preferred_username".into())));
    let own = OAuthIssuer { name_claim: Some("user.id".to_owned()), ..settings(Jwks::default()) };
    assert_eq!(judged(|_| {}, &own), Err(Refusal::Claim("user.id".into())), "nothing in its place");
    let nested = |c: &mut json::Object| drop(c.insert("user".into(), json!({ "id": "u1" })));
    assert_eq!(judged(nested, &own).unwrap().name, "sso:u1");
}

#[test]
fn the_highest_role_and_its_own_nodes() {
    let worth = |value: Value| with("scope", value).map(|grant| (grant.role, grant.scope, grant.values));
    let some = |nodes: &[&str]| rule("", Role::ReadOnly, nodes).scope;
    assert_eq!(worth(json!("look")).unwrap(), (Role::ReadOnly, Scope::All, "look".into()));
    assert_eq!(worth(json!(["ops2", "ops1"])).unwrap(), (Role::Operator, some(&["n1", "n2"]), "ops1\nops2".into()));
    let both = worth(json!("look ops1")).unwrap();
    assert_eq!(both, (Role::Operator, some(&["n1"]), "look\nops1".into()), "no operator of all nodes");
    assert_eq!(worth(json!("ops1  admin")).unwrap().1, Scope::All);
    for none in [json!(""), json!("adm"), json!("admin,look"), json!([]), json!(null), json!(["admin look"])] {
        assert!(matches!(worth(none.clone()), Err(Refusal::NoRole { .. })), "{none}");
    }
    for odd in [json!(["admin", 1]), json!(1), json!({ "admin": true })] {
        assert_eq!(worth(odd.clone()), Err(Refusal::Claim("scope".into())), "{odd}");
    }
    let path = OAuthIssuer { roles_claim: "realm_access.roles".to_owned(), ..settings(Jwks::default()) };
    let nested = |c: &mut json::Object| drop(c.insert("realm_access".into(), json!({ "roles": ["look"] })));
    assert_eq!(judged(nested, &path).unwrap().role, Role::ReadOnly);
    let flat = |c: &mut json::Object| drop(c.insert("realm_access.roles".into(), json!(["ops1"])));
    assert_eq!(judged(flat, &path).unwrap().role, Role::Operator, "a name with dots of its own");
}

struct Pair {
    key: EcKey<Private>,
    jwk: Value,
}

fn pair(kid: &str) -> Pair {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = EcKey::generate(&group).unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
    let point = key.public_key().to_bytes(&group, form, &mut context).unwrap();
    let text = |part: &[u8]| base64url::encode(part);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": text(&point[1..33]), "y": text(&point[33..]) });
    Pair { key, jwk }
}

fn set(pairs: &[&Pair]) -> Jwks {
    let keys: Vec<&Value> = pairs.iter().map(|pair| &pair.jwk).collect();
    Jwks::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn token(pair: &Pair, kid: &str, change: impl Fn(&mut json::Object)) -> String {
    let now = now();
    let mut claims = claims().as_object().unwrap().clone();
    claims.insert("iat".into(), json!(now));
    claims.insert("exp".into(), json!(now + 300));
    change(&mut claims);
    let part = |value: Value| base64url::encode(value.to_string().as_bytes());
    let text = format!("{}.{}", part(json!({ "alg": "ES256", "kid": kid })), part(Value::Object(claims)));
    let digest = openssl::sha::sha256(text.as_bytes());
    let made = EcdsaSig::sign(&digest, &pair.key).unwrap();
    let halves = [made.r().to_vec_padded(32).unwrap(), made.s().to_vec_padded(32).unwrap()].concat();
    format!("{text}.{}", base64url::encode(&halves))
}

#[tokio::test]
async fn a_checked_token_ends_with_its_key_and_with_its_configuration() {
    let (a, b) = (pair("a"), pair("b"));
    let with = |pairs: &[&Pair]| vec![Arc::new(settings(set(pairs)))];
    let oauth = OAuth::new(&with(&[&a, &b]), Box::new(Role::predefined));
    let (of_a, of_b) = (token(&a, "a", |_| {}), token(&b, "b", |_| {}));
    for token in [&of_a, &of_b, &of_a] {
        let (who, values) = oauth.bearer(token).await.unwrap();
        assert_eq!(
            (who.name.as_ref(), who.role, who.session, &*values),
            ("sso:ann", Role::Administrator, None, "admin")
        );
    }
    assert_eq!(oauth.seen.len(), 2);
    oauth.reconfigure(&with(&[&a, &b]));
    assert_eq!(oauth.seen.len(), 2, "the same configuration again");
    oauth.reconfigure(&with(&[&a]));
    assert!(oauth.bears(&of_a) && !oauth.bears(&of_b));
    assert!(matches!(oauth.bearer(&of_b).await, Err(Refusal::UnknownKey { .. })));
    let mut poorer = settings(set(&[&a]));
    poorer.roles.retain(|rule| rule.value != "admin");
    oauth.reconfigure(&[Arc::new(poorer)]);
    assert!(matches!(oauth.bearer(&of_a).await, Err(Refusal::NoRole { .. })));
    assert_eq!((oauth.worth("sso:ann", "admin"), oauth.worth("other:ann", "look")), (None, None));
    assert_eq!(oauth.worth("sso:ann", "admin\nlook"), Some((Role::ReadOnly, Scope::All)));
    oauth.reconfigure(&[]);
    assert_eq!(oauth.bearer(&of_a).await.err(), Some(Refusal::Off));
}

#[tokio::test]
async fn issuers_and_keys_are_not_mixed_up() {
    let (a, b) = (pair("k"), pair("k"));
    let second = OAuthIssuer { name: "two".into(), issuer: "https://two.example".into(), ..settings(set(&[&b])) };
    let oauth = OAuth::new(&[Arc::new(settings(set(&[&a]))), Arc::new(second)], Box::new(Role::predefined));
    let iss = |iss: &'static str| move |c: &mut json::Object| drop(c.insert("iss".into(), json!(iss)));
    assert_eq!(oauth.bearer(&token(&b, "k", iss("https://two.example"))).await.unwrap().0.name.as_ref(), "two:ann");
    assert_eq!(oauth.bearer(&token(&b, "k", |_| {})).await.err(), Some(Refusal::Signature));
    assert!(matches!(oauth.bearer(&token(&a, "k", iss("https://sso.example/"))).await, Err(Refusal::Issuer(_))));
    assert!(matches!(oauth.bearer(&"x".repeat(10_000)).await, Err(Refusal::Malformed(_))));
    let right = token(&a, "k", |_| {});
    let (signed, signature) = right.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let other = base64url::encode(claims().to_string().as_bytes());
    assert_eq!(oauth.bearer(&format!("{header}.{other}.{signature}")).await.err(), Some(Refusal::Signature));
    for refusal in [Refusal::Signature, Refusal::Bound, Refusal::Off] {
        let sound = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
        assert!(refusal.told().chars().all(sound), "RFC 6750, section 3");
    }
}
