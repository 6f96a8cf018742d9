//! What an entry says of its user: whether they may log in at all, and the group that has no member entry of them.

use time::OffsetDateTime;

use crate::{config::LdapSchema, wire::ldap::Entry};

/// `userAccountControl`: ACCOUNTDISABLE ([MS-ADTS] 2.2.16).
const DISABLED: i64 = 2;
/// Seconds between 1601, when Active Directory's times begin, and 1970.
const SINCE_1601: i64 = 11_644_473_600;
/// `accountExpires`: never ([MS-ADA1] 2.2).
const NEVER: i64 = i64::MAX;

/// Attributes that a search for a user asks for, beside the one that names them. OpenLDAP's `ppolicy` and others keep
/// operational attributes, which have to be named.
pub(super) const ATTRIBUTES: &[&str] =
    &["userAccountControl", "accountExpires", "pwdAccountLockedTime", "nsAccountLock", "objectSid", "primaryGroupID"];

/// The SID of the user's primary group in Active Directory: it lies in the user's domain and is named by its number there
/// (`Domain Users` is 513), and does not list its members ([MS-ADTS] 3.1.1.4.5.19).
///
/// A SID: revision 1, a count, an authority of six bytes, and that many numbers of four bytes, the last of which is the
/// account's in its domain ([MS-DTYP] 2.4.2.2).
pub(super) fn primary_group(entry: &Entry, schema: LdapSchema) -> Option<Vec<u8>> {
    if schema != LdapSchema::Ad {
        return None;
    }
    let number: u32 = entry.text("primaryGroupID")?.trim().parse().ok()?;
    let mut sid = entry.bytes("objectSid")?.to_vec();
    let numbers = usize::from(*sid.get(1)?);
    if sid.first() != Some(&1) || numbers < 2 || sid.len() != 8 + 4 * numbers {
        return None;
    }
    sid.truncate(4 + 4 * numbers);
    sid.extend_from_slice(&number.to_le_bytes());
    Some(sid)
}

/// Why the user may not log in, if so.
pub(super) fn disabled(entry: &Entry, schema: LdapSchema) -> Option<&'static str> {
    let number = |attribute: &str| entry.text(attribute).and_then(|text| text.trim().parse::<i64>().ok());
    if schema == LdapSchema::Ad {
        if number("userAccountControl").is_some_and(|bits| bits & DISABLED != 0) {
            return Some("the account is disabled (userAccountControl)");
        }
        // In units of 100 ns.
        let expires = number("accountExpires").filter(|at| *at != 0 && *at != NEVER);
        if expires.is_some_and(|at| at / 10_000_000 - SINCE_1601 <= OffsetDateTime::now_utc().unix_timestamp()) {
            return Some("the account has expired (accountExpires)");
        }
    }
    // draft-behera-ldap-password-policy, 5.3.3: this value means locked until an administrator unlocks it. Others end by
    // themselves, and only bar the password.
    if entry.text("pwdAccountLockedTime") == Some("000001010000Z") {
        return Some("the account is locked (pwdAccountLockedTime)");
    }
    // 389 Directory Server and FreeIPA.
    if entry.text("nsAccountLock").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Some("the account is locked (nsAccountLock)");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attribute: &str, value: &str) -> Entry {
        Entry { dn: "cn=a".to_owned(), attributes: vec![(attribute.to_owned(), vec![value.as_bytes().to_vec()])] }
    }

    #[test]
    fn the_primary_group_is_the_domain_s_with_that_number() {
        // S-1-5-21-1-2-3-1103
        let mut sid = vec![1, 5, 0, 0, 0, 0, 0, 5];
        for number in [21_u32, 1, 2, 3, 1103] {
            sid.extend_from_slice(&number.to_le_bytes());
        }
        let of = |sid: &[u8], number: &str| {
            let attributes = vec![
                ("objectSID".to_owned(), vec![sid.to_vec()]),
                ("primaryGroupID".to_owned(), vec![number.as_bytes().to_vec()]),
            ];
            primary_group(&Entry { dn: "cn=a".to_owned(), attributes }, LdapSchema::Ad)
        };
        let found = of(&sid, "513").unwrap_or_default();
        assert_eq!((found.len(), found.get(..24), found.get(24..)), (28, sid.get(..24), Some(&[1, 2, 0, 0][..])));
        for (sid, number) in
            [(&sid[..27], "513"), (&sid[..7], "513"), (&[][..], "513"), (&sid[..], "x"), (&sid[..], "-1")]
        {
            assert_eq!(of(sid, number), None, "{number}");
        }
    }

    #[test]
    fn who_is_disabled() {
        let ad = |attribute: &str, value: &str| disabled(&entry(attribute, value), LdapSchema::Ad).is_some();
        assert!(ad("userAccountControl", "514") && ad("useraccountcontrol", "2"));
        assert!(!ad("userAccountControl", "512") && !ad("userAccountControl", "66048"));
        assert!(ad("accountExpires", "131000000000000000"), "2016");
        assert!(!ad("accountExpires", "0") && !ad("accountExpires", "9223372036854775807"));
        assert!(!ad("accountExpires", "300000000000000000"), "2551");
        let other = |attribute: &str, value: &str| disabled(&entry(attribute, value), LdapSchema::Rfc2307bis).is_some();
        assert!(!other("userAccountControl", "514"));
        assert!(other("pwdAccountLockedTime", "000001010000Z") && !other("pwdAccountLockedTime", "20260101000000Z"));
        assert!(other("nsAccountLock", "TRUE") && !other("nsAccountLock", "false"));
    }
}
