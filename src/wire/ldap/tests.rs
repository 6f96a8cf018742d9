//! Bytes as RFC 4511 wants them, filters as RFC 4515 writes them, and names that mean the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn requests_are_the_bytes_that_servers_know() {
    let bind = Request::Bind { name: "cn=a", password: "pw" }.encode(1);
    assert_eq!(bind, hex("30 12 02 01 01 60 0d 02 01 03 04 04 63 6e 3d 61 80 02 70 77"));
    assert_eq!(Request::Bind { name: "", password: "" }.encode(200)[..6], hex("30 0d 02 02 00 c8"));
    let tls = Request::StartTls.encode(1);
    assert_eq!(tls[..9], hex("30 1d 02 01 01 77 18 80 16"));
    let filter = Filter::parse("(uid=*)").unwrap();
    let search = Request::Search {
        base: "dc=x",
        scope: SearchScope::Subtree,
        limit: 2,
        seconds: 5,
        filter: &filter,
        attributes: &["1.1"],
    };
    let wanted = "30 26 02 01 02 63 21 04 04 64 63 3d 78 0a 01 02 0a 01 00 02 01 02 02 01 05 01 01 00 87 03 75 69 64 30 05 04 03 31 2e 31";
    assert_eq!(search.encode(2), hex(wanted));
}

#[test]
fn answers_are_read_and_bounded() {
    let done = Response::decode(&hex("30 0c 02 01 02 61 07 0a 01 31 04 00 04 00")).unwrap();
    assert_eq!((done.id, done.answer), (2, Answer::Bound(Outcome { code: 49, text: String::new() })));
    let entry = hex("30 1c 02 01 02 64 17 04 04 63 6e 3d 61 30 0f 30 0d 04 03 75 69 64 31 06 04 01 61 04 01 62");
    let Answer::Entry(entry) = Response::decode(&entry).unwrap().answer else { unreachable!() };
    assert_eq!((entry.dn.as_str(), entry.text("UID")), ("cn=a", Some("a")));
    assert_eq!(entry.attributes[0].1.len(), 2);
    assert_eq!(frame(&hex("30")), Ok(None));
    assert_eq!(frame(&hex("30 82 01")), Ok(None));
    assert_eq!(frame(&hex("30 82 01 00")), Ok(Some(260)));
    assert_eq!(frame(&hex("30 84 ff ff ff ff")), Err(BerError::Length));
    assert_eq!(frame(&hex("30 80")), Err(BerError::Length));
    assert_eq!(frame(b"HTTP"), Err(BerError::Tag { found: b'H' }));
}

#[test]
fn filters_are_read_filled_and_written() {
    for text in [
        "(&(objectClass=person)(uid={user}))",
        "(|(sAMAccountName={user})(userPrincipalName={user}))",
        "(!(userAccountControl:1.2.840.113556.1.4.803:=2))",
        "(member:1.2.840.113556.1.4.1941:=cn=a,dc=x)",
        "(cn=a*b*c)",
        "(cn=*b*)",
        "(n>=3)",
        "(n<=3)",
        "(n~=3)",
        "(cn:dn:=x)",
        "(:dn:2.4.6:=x)",
        "(cn=\\28\\29\\2a\\5c)",
        "(objectClass=*)",
    ] {
        assert_eq!(Filter::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Filter::parse("uid=a").unwrap().to_string(), "(uid=a)");
    for (bad, at) in [
        ("", 0),
        ("(", 1),
        ("(uid=a", 6),
        ("(uid=a))", 7),
        ("(&)", 2),
        ("(=a)", 1),
        ("(uid)", 4),
        ("(uid=(a))", 5),
        ("(uid=\\zz)", 5),
        ("(:=a)", 3),
        ("(uid>a)", 5),
    ] {
        assert!(
            matches!(Filter::parse(bad), Err(FilterError::At { at: found, .. }) if found == at),
            "{bad}: {:?}",
            Filter::parse(bad)
        );
    }
    assert_eq!(Filter::parse(&"(!".repeat(40)), Err(FilterError::Deep));
    assert_eq!(Filter::parse(&"x".repeat(5_000)), Err(FilterError::Long));
    assert!(Filter::parse("(uid={user})").unwrap().holds("{user}"));
    assert!(!Filter::parse("(uid=user)").unwrap().holds("{user}"));
}

#[test]
fn a_name_is_a_value_whatever_it_is_made_of() {
    let template = Filter::parse("(&(objectClass=person)(uid={user}))").unwrap();
    for name in ["*", ")(uid=*", "a)(|(uid=*", "\\2a", "{user}", "\0", "ü"] {
        let Filter::And(parts) = template.fill("{user}", name.as_bytes()) else { unreachable!() };
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[1], Filter::Equal("uid".to_owned(), name.as_bytes().to_vec()));
    }
    assert_eq!(template.fill("{user}", b")(uid=*").to_string(), "(&(objectClass=person)(uid=\\29\\28uid=\\2a))");
}

#[test]
fn names_that_mean_the_same_are_equal() {
    let dn = |text: &str| Dn::parse(text).unwrap();
    assert_eq!(dn("cn=Ops,ou=Groups,dc=example"), dn("CN=ops, OU=groups , DC=EXAMPLE"));
    assert_eq!(dn("cn=a\\,b,dc=x"), dn("cn=A\\2cB,dc=x"));
    assert_eq!(dn("cn=a+uid=b,dc=x"), dn("uid=b+cn=a,dc=x"));
    assert_eq!(dn("cn=two  words,dc=x"), dn("cn=two words,dc=x"));
    assert_eq!(dn("cn=J\\C3\\BCrgen,dc=x"), dn("cn=jürgen,dc=x"));
    assert_ne!(dn("cn=a,dc=x"), dn("cn=a\\,dc=x"));
    assert_ne!(dn("cn=a,dc=x"), dn("cn=a,dc=y"));
    assert_ne!(dn("cn=a,cn=b"), dn("cn=a+cn=b"));
    for bad in ["", "ops", "cn=a,,dc=x", "=a", "c n=a", "cn=a\\"] {
        assert!(Dn::parse(bad).is_none(), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(Response::decode(&bytes));
        prop_assert!(frame(&bytes).is_ok_and(|length| length.is_none_or(|n| n <= MAX_MESSAGE)) || frame(&bytes).is_err());
    }

    #[test]
    fn mutated_answers_do_not_either(at in 0_usize..31, byte in any::<u8>()) {
        let mut entry = hex("30 1c 02 01 02 64 17 04 04 63 6e 3d 61 30 0f 30 0d 04 03 75 69 64 31 06 04 01 61 04 01 62");
        if let Some(there) = entry.get_mut(at) { *there = byte; }
        drop(Response::decode(&entry));
    }

    #[test]
    fn what_is_written_is_read_again(name in "[^\u{0}]{0,20}") {
        let filter = Filter::parse("(|(uid={user})(mail=*{user}*))").unwrap().fill("{user}", name.as_bytes());
        if !name.is_empty() {
            prop_assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter);
        }
        drop(Dn::parse(&name));
    }
}
