//! What a directory, or anybody who poses as one, may answer; and filters and names from the configuration.

use super::made;
use crate::wire::ldap::{Dn, Filter, Response, frame};

/// A message as it comes from the network.
pub fn message(data: &[u8]) {
    if let Ok(Some(length)) = frame(data) {
        made(&data.get(..length).map(Response::decode));
    }
    made(&Response::decode(data));
}

/// A filter and a name from text. What is read is written so that it is read again as the same, and whatever a user is
/// called, they are a value.
pub fn text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(filter) = Filter::parse(text)
        && let Ok(again) = Filter::parse(&filter.to_string())
    {
        assert_eq!(again, filter, "a filter changes on its way through");
    }
    let template = Filter::Equal("uid".to_owned(), b"{user}".to_vec());
    assert_eq!(template.fill("{user}", data), Filter::Equal("uid".to_owned(), data.to_vec()));
    if let Some(dn) = Dn::parse(text) {
        assert_eq!(Dn::parse(dn.as_str()), Some(dn.clone()), "a name is not the same as itself");
    }
}
