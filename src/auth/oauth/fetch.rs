//! One GET of a key set: no redirect, no proxy, bounded in time and size, and nothing of ours in the request.

use std::time::Duration;

use reqwest::{Certificate, Client, Url, header, redirect::Policy};

use crate::{
    config::OAuthKeys,
    model::{because, causes},
    wire::jose::{Jwks, jwk::MAX_SET},
};

/// Time of a fetch, from the look-up of the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A set is fetched again after that long at the earliest, whatever its `Cache-Control` says.
const LEAST: Duration = Duration::from_secs(10);

/// What was fetched.
pub(super) struct Fetched {
    pub set: Jwks,
    /// How long it may be kept, if its issuer says so.
    pub max_age: Option<Duration>,
}

/// A client for one address.
pub(super) struct Fetcher {
    client: Client,
    url: Url,
}

impl Fetcher {
    pub fn new(keys: &OAuthKeys) -> Result<Self, String> {
        let OAuthKeys::Url { url, ca, .. } = keys else { return Err("they are in a file".to_owned()) };
        let mut builder = Client::builder()
            .user_agent(concat!("rackfish/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            // Keys are trusted because of where they are from: nothing may lead elsewhere.
            .redirect(Policy::none())
            .no_proxy()
            .http1_only()
            .https_only(url.scheme() == "https")
            .pool_max_idle_per_host(0);
        if let Some((_, certificates)) = ca {
            let roots: Result<Vec<_>, _> = certificates.iter().map(|der| Certificate::from_der(der)).collect();
            builder = builder.tls_certs_only(roots.map_err(|error| chain(&error))?);
        }
        Ok(Self { client: builder.build().map_err(|error| chain(&error))?, url: url.clone() })
    }

    pub async fn fetch(&mut self) -> Result<Fetched, String> {
        let request =
            self.client.get(self.url.clone()).header(header::ACCEPT, "application/jwk-set+json, application/json");
        let mut answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(format!("the answer is {}", answer.status()));
        }
        let max_age = answer.headers().get(header::CACHE_CONTROL).and_then(|value| max_age(value.to_str().ok()?));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| chain(&error.without_url()))? {
            if body.len() + chunk.len() > MAX_SET {
                return Err(format!("the answer has more than {MAX_SET} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        let set = Jwks::parse(&body).map_err(|error| format!("the answer is no key set: {error}"))?;
        Ok(Fetched { set, max_age })
    }
}

/// `max-age` of `Cache-Control` (RFC 9111, section 5.2.2); what may not be kept at all is kept for [`LEAST`].
fn max_age(value: &str) -> Option<Duration> {
    let mut age = None;
    for directive in value.split(',').map(str::trim) {
        if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache") {
            return Some(LEAST);
        }
        if let Some((name, seconds)) = directive.split_once('=')
            && name.eq_ignore_ascii_case("max-age")
        {
            age = seconds.trim_matches('"').parse().ok().map(Duration::from_secs);
        }
    }
    age.map(|age| age.max(LEAST))
}

fn chain(error: &reqwest::Error) -> String {
    if error.is_timeout() { because("timed out".to_owned(), error) } else { causes(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_set_may_be_kept() {
        let of = |text| max_age(text).map(|age| age.as_secs());
        assert_eq!(of("public, max-age=600"), Some(600));
        assert_eq!(of("Max-Age=\"3600\""), Some(3600));
        assert_eq!(of("max-age=0"), Some(10));
        assert_eq!(of("max-age=600, no-store"), Some(10));
        assert_eq!(of("no-cache"), Some(10));
        for none in ["public", "max-age=", "max-age=x", "max-age=-1", "s-maxage=60", ""] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
