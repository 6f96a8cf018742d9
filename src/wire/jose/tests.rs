//! The examples of RFC 7515 (appendix A), RFC 7517 (appendix A) and RFC 8037 (appendix A), and what must not be taken.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;

use super::{jws::MAX_TOKEN, *};

/// RFC 7515, A.3: ES256.
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.\
    eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
    DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 7517, A.1.
const SET: &str = r#"{"keys":[
    {"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
     "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"},
    {"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
     "e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}"#;

fn header(text: &str) -> Result<Jws<'static>, JwsError> {
    let token = format!("{}.e30.AA", base64url::encode(text.as_bytes()));
    Jws::parse(Box::leak(token.into_boxed_str()))
}

#[test]
fn a_token_is_taken_apart() {
    let jws = Jws::parse(ES256).unwrap();
    assert_eq!((jws.alg, jws.kid, jws.typ), (Alg::Es256, None, None));
    assert_eq!(jws.payload, b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}");
    assert_eq!((jws.signature.len(), jws.signature[0], jws.signature[63]), (64, 14, 213));
    assert_eq!(jws.signed, ES256.rsplit_once('.').unwrap().0);
    let named = header(r#"{"typ":"JWT","alg":"RS256","kid":"a","jku":"https://x","jwk":{},"x5c":[]}"#).unwrap();
    assert_eq!((named.kid.as_deref(), named.typ.as_deref()), (Some("a"), Some("JWT")));
}

#[test]
fn no_algorithm_that_anybody_could_sign_with() {
    // RFC 7515, A.5 (unsecured) and A.1 (a MAC).
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let unsecured = format!("eyJhbGciOiJub25lIn0.{payload}.");
    assert_eq!(Jws::parse(&unsecured), Err(JwsError::Algorithm("none".into())));
    let mac = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_eq!(Jws::parse(&mac), Err(JwsError::Algorithm("HS256".into())));
    for name in ["None", "NONE", "hs512", "rs256", "RS256 ", "", "ES256K", "RSA-OAEP", "eddsa"] {
        let refused = header(&format!(r#"{{"alg":"{name}"}}"#));
        assert!(matches!(refused, Err(JwsError::Algorithm(_))), "{name}");
    }
    for odd in ["{}", r#"{"alg":null}"#, r#"{"alg":1}"#, r#"{"alg":["RS256"]}"#] {
        assert_eq!(header(odd), Err(JwsError::Member("alg")), "{odd}");
    }
}

#[test]
fn headers_that_could_mean_two_things() {
    for odd in [r#"{"alg":"none","alg":"RS256"}"#, r#"{"alg":"RS256","\u0061lg":"RS256"}"#, "[]", "", "{", "{} {}"] {
        assert!(matches!(header(odd), Err(JwsError::Json(_))), "{odd}");
    }
    for crit in [r#"["b64"]"#, "[]", "null", r#"["exp"]"#] {
        assert_eq!(header(&format!(r#"{{"alg":"RS256","crit":{crit}}}"#)), Err(JwsError::Critical), "{crit}");
    }
    assert_eq!(header(&format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "x".repeat(257))), Err(JwsError::Member("kid")));
    assert_eq!(header(r#"{"alg":"RS256","kid":7}"#), Err(JwsError::Member("kid")));
    let deep = format!(r#"{{"alg":"RS256","x":{}1{}}}"#, "[".repeat(100), "]".repeat(100));
    assert!(matches!(header(&deep), Err(JwsError::Json(why)) if why.contains("deep")));
    assert!(matches!(header(&"[".repeat(5_000)), Err(JwsError::Json(_))));
}

#[test]
fn texts_that_are_no_tokens() {
    for (text, parts) in [("", 1), ("a.b", 2), ("a.b.c.d", 4), ("....", 5)] {
        assert_eq!(Jws::parse(text), Err(JwsError::Parts(parts)), "{text}");
    }
    for odd in [format!("{ES256}="), format!("{ES256} "), format!(" {ES256}"), ES256.replace('-', "+")] {
        assert!(matches!(Jws::parse(&odd), Err(JwsError::Base64(_))), "{odd}");
    }
    // The last character of 64 bytes has four bits that mean nothing: only one of sixteen is right.
    assert_eq!(Jws::parse(&format!("{}R", &ES256[..ES256.len() - 1])), Err(JwsError::Base64("signature")));
    let long = format!("{ES256}{}", "A".repeat(MAX_TOKEN));
    assert_eq!(Jws::parse(&long), Err(JwsError::TooLong(long.len())));
}

#[test]
fn base64url_has_one_text_for_each() {
    for (bytes, text) in
        [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")]
    {
        assert_eq!(base64url::encode(bytes.as_bytes()), text);
        assert_eq!(base64url::decode(text).unwrap(), bytes.as_bytes());
    }
    // RFC 7515, appendix C.
    assert_eq!(base64url::decode("A-z_4ME").unwrap(), [3, 236, 255, 224, 193]);
    for odd in ["Z", "Zg=", "Zg==", "Zh", "Zm9", "Zm 9v", "Zm9v\n", "+/8A", "Zm9vY", "é"] {
        assert!(base64url::decode(odd).is_none(), "{odd}");
    }
}

#[test]
fn a_set_has_what_can_check() {
    let set = Jwks::parse(SET.as_bytes()).unwrap();
    assert_eq!(set.keys.len(), 1);
    let key = &set.keys[0];
    assert_eq!((key.kid.as_deref(), key.alg), (Some("2011-04-29"), Some(Alg::Rs256)));
    assert!(matches!(&key.material, Material::Rsa { n, e } if n.len() == 256 && n[0] == 0xd2 && *e == [1, 0, 1]));
    assert!(key.suits(Alg::Rs256) && !key.suits(Alg::Ps256) && !key.suits(Alg::Es256));
    assert_eq!(set.left_out, ["key \"1\" is not for signatures (`use`)"]);
    let again = Jwks::parse(set.to_json().to_string().as_bytes()).unwrap();
    assert_eq!((again.keys, again.left_out.len()), (set.keys, 0));
}

#[test]
fn keys_that_are_left_out() {
    let n = base64url::encode(&[0xff; 256]);
    let weak = base64url::encode(&[0xff; 255]);
    let point = base64url::encode(&[1; 32]);
    for (key, why) in [
        (r#"{"kty":"oct","k":"AA"}"#.to_owned(), "shared secret"),
        (format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB","d":"AA"}}"#), "private part"),
        (format!(r#"{{"kty":"RSA","n":"{weak}","e":"AQAB"}}"#), "fewer than 2048"),
        (format!(r#"{{"kty":"RSA","n":"AAAA{weak}","e":"AQAB"}}"#), "fewer than 2048"),
        (format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, base64url::encode(&[0xff; 1_025])), "more than 8192"),
        (format!(r#"{{"kty":"RSA","n":"{n}","e":"AQ"}}"#), "exponent"),
        (format!(r#"{{"kty":"RSA","n":"{n}","e":"Ag"}}"#), "exponent"),
        (format!(r#"{{"kty":"RSA","n":"{n}","e":"{}"}}"#, base64url::encode(&[0xff; 9])), "exponent"),
        (format!(r#"{{"kty":"RSA","n":"{n}="}}"#), "base64url"),
        (format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB","alg":"ES256"}}"#), "algorithm"),
        (format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB","alg":"RSA-OAEP"}}"#), "algorithm"),
        (format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB","key_ops":["sign"]}}"#), "key_ops"),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{point}","y":"AA"}}"#), "length"),
        (format!(r#"{{"kty":"EC","crv":"secp256k1","x":"{point}","y":"{point}"}}"#), "curve"),
        (format!(r#"{{"kty":"OKP","crv":"X25519","x":"{point}"}}"#), "not known"),
        (r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#.to_owned(), "length"),
        (r#"{"kid":"x"}"#.to_owned(), "`kty`"),
        (r#"{"kty":7}"#.to_owned(), "text"),
        ("7".to_owned(), "no object"),
    ] {
        let set = Jwks::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).unwrap();
        assert!(set.keys.is_empty() && set.left_out[0].contains(why), "{key}: {:?}", set.left_out);
    }
}

#[test]
fn what_is_no_set() {
    assert_eq!(Jwks::parse(b"{}"), Err(JwksError::NoKeys));
    assert_eq!(Jwks::parse(br#"{"keys":{}}"#), Err(JwksError::NoKeys));
    assert!(matches!(Jwks::parse(b"<html>"), Err(JwksError::Json(_))));
    assert!(matches!(Jwks::parse(br#"{"keys":[],"keys":[]}"#), Err(JwksError::Json(_))));
    assert_eq!(Jwks::parse(&vec![b' '; jwk::MAX_SET + 1]), Err(JwksError::TooLong));
    let many = format!(r#"{{"keys":[{}]}}"#, vec!["1"; 101].join(","));
    assert_eq!(Jwks::parse(many.as_bytes()), Err(JwksError::TooMany(101)));
    assert!(Jwks::parse(br#"{"keys":[]}"#).unwrap().keys.is_empty());
}

proptest! {
    #[test]
    fn base64url_comes_back(bytes: Vec<u8>) {
        prop_assert_eq!(base64url::decode(&base64url::encode(&bytes)).unwrap(), bytes);
    }

    #[test]
    fn whatever_is_decoded_had_that_text(text in "[A-Za-z0-9_-]{0,40}") {
        if let Some(bytes) = base64url::decode(&text) {
            prop_assert_eq!(base64url::encode(&bytes), text);
        }
    }

    #[test]
    fn a_changed_token_is_refused_or_another(at in 0..ES256.len(), to in any::<char>()) {
        let mut text: Vec<char> = ES256.chars().collect();
        let same = text[at] == to;
        text[at] = to;
        let text: String = text.into_iter().collect();
        if let Ok(jws) = Jws::parse(&text) {
            prop_assert_eq!(jws == Jws::parse(ES256).unwrap(), same);
        }
    }
}
