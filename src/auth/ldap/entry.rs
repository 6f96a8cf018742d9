//! What an entry says of its user: their name, and whether they may log in at all.

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
    &["userAccountControl", "accountExpires", "pwdAccountLockedTime", "nsAccountLock"];

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
