//! What may be subscribed to where.
//!
//! A subscription makes rackfish post to an address of somebody else's choosing. Services that trust callers from their
//! own machine or link (metadata services, admin ports) are out of bounds, by name or by address, when the
//! subscription is made and when it is served: a name may resolve to something else later.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};

use super::SubscriptionError;
use crate::model::Secret;

const MAX_DESTINATION: usize = 2_048;
const MAX_CONTEXT: usize = 1_024;
const MAX_HEADERS: usize = 16;
const MAX_HEADER: usize = 4_096;
/// Headers that belong to the connection or to the body (RFC 9110), not to the client.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A destination has to be a plain http or https URL of another machine.
pub(super) fn destination(text: &str, local: bool) -> Result<Url, SubscriptionError> {
    let bad = |reason: &str| unacceptable("Destination", reason);
    if text.len() > MAX_DESTINATION {
        return Err(bad(&format!("may have {MAX_DESTINATION} characters at most")));
    }
    let url = Url::parse(text).map_err(|e| bad(&format!("is not a URL ({e})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("has to begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("may not contain a user name or password, for it is shown; use HttpHeaders"));
    }
    let host = url.host_str().ok_or_else(|| bad("names no host"))?;
    if !local && is_local_host(host) {
        return Err(bad("names this machine or its link; the configuration allows that with \
                        server.insecure_local_event_destinations"));
    }
    Ok(url)
}

/// Whether a URL's host is local without asking anybody.
fn is_local_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return is_local(address);
    }
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether an address is on this machine or its link, or is nobody's.
pub(super) fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        // 0.0.0.0/8 reaches this machine on Linux.
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || v4.octets()[0] == 0
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || within(v6).is_some_and(|v4| is_local(v4.into()))
        }
    }
}

/// The IPv4 address within one that a translator takes apart (RFC 6052, well-known prefix; RFC 4291, 2.5.5.1).
fn within(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            let [.., a, b, c, d] = v6.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

pub(super) fn context(text: Option<&str>) -> Result<(), SubscriptionError> {
    match text {
        Some(text) if text.chars().count() > MAX_CONTEXT => {
            Err(unacceptable("Context", &format!("may have {MAX_CONTEXT} characters at most")))
        }
        _ => Ok(()),
    }
}

pub(super) fn headers(headers: &[(String, Secret)]) -> Result<(), SubscriptionError> {
    let bad = |reason: String| unacceptable("HttpHeaders", &reason);
    if headers.len() > MAX_HEADERS {
        return Err(bad(format!("may have {MAX_HEADERS} entries at most")));
    }
    for (name, value) in headers {
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(format!("{name:?} is not a header name")))?;
        if RESERVED.contains(&parsed.as_str()) {
            return Err(bad(format!("{name} is set by the service itself")));
        }
        // The value may be a password: never part of a message.
        if value.expose().len() > MAX_HEADER || HeaderValue::from_str(value.expose()).is_err() {
            return Err(bad(format!("the value of {name} is too long or no header value")));
        }
    }
    Ok(())
}

fn unacceptable(property: &'static str, reason: &str) -> SubscriptionError {
    SubscriptionError::Unacceptable { property, reason: reason.to_owned() }
}
