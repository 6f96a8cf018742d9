//! One GET of a key set: no redirect, no proxy, bounded in time and size, and nothing of ours in the request. Where the
//! set is may be what the issuer's metadata says: then these are asked first, and again after a failure or an hour.

use std::time::Duration;

use reqwest::{Certificate, Client, StatusCode, Url, header, redirect::Policy};
use tokio::time::Instant;

use crate::{
    config::{OAuthIssuer, OAuthKeys},
    model::{because, causes},
    wire::jose::{
        Jwks,
        jwk::MAX_SET,
        metadata::{self, MAX_METADATA},
    },
};

/// Time of a fetch, from the look-up of the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A set is fetched again after that long at the earliest, whatever its `Cache-Control` says.
const LEAST: Duration = Duration::from_secs(10);

/// What an issuer's metadata said counts for that long.
const FOUND: Duration = Duration::from_hours(1);

/// What was fetched.
pub(super) struct Fetched {
    pub set: Jwks,
    /// How long it may be kept, if its issuer says so.
    pub max_age: Option<Duration>,
}

/// A client for one issuer's keys.
pub(super) struct Fetcher {
    client: Client,
    at: Place,
}

/// Where a set is.
enum Place {
    /// There.
    Known(Url),
    /// Where the metadata of this issuer say; and what they said, when.
    Told { issuer: String, secure: bool, found: Option<(Url, Instant)> },
}

impl Fetcher {
    pub fn new(settings: &OAuthIssuer) -> Result<Self, String> {
        let OAuthKeys::Url { url, discover, ca, .. } = &settings.keys else {
            return Err("they are in a file".to_owned());
        };
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
        let at = if *discover {
            Place::Told { issuer: settings.issuer.clone(), secure: url.scheme() == "https", found: None }
        } else {
            Place::Known(url.clone())
        };
        Ok(Self { client: builder.build().map_err(|error| chain(&error))?, at })
    }

    pub async fn fetch(&mut self) -> Result<Fetched, String> {
        let url = self.place().await?;
        let fetched = self.fetch_set(url).await;
        if let (Err(_), Place::Told { found, .. }) = (&fetched, &mut self.at) {
            // It may have moved.
            *found = None;
        }
        fetched
    }

    /// Where the set is now.
    async fn place(&mut self) -> Result<Url, String> {
        let (issuer, secure) = match &self.at {
            Place::Known(url) => return Ok(url.clone()),
            Place::Told { found: Some((url, at)), .. } if at.elapsed() < FOUND => return Ok(url.clone()),
            Place::Told { issuer, secure, .. } => (issuer.clone(), *secure),
        };
        let url = discover(&self.client, &issuer, secure).await?;
        if let Place::Told { found, .. } = &mut self.at {
            *found = Some((url.clone(), Instant::now()));
        }
        Ok(url)
    }

    async fn fetch_set(&self, url: Url) -> Result<Fetched, String> {
        let request = self.client.get(url).header(header::ACCEPT, "application/jwk-set+json, application/json");
        let answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the answer is {}", answer.status()));
        }
        let max_age = answer.headers().get(header::CACHE_CONTROL).and_then(|value| max_age(value.to_str().ok()?));
        let body = read(answer, MAX_SET).await?;
        let set = Jwks::parse(&body).map_err(|error| format!("the answer is no key set: {error}"))?;
        Ok(Fetched { set, max_age })
    }
}

/// Asks an issuer where its keys are. It may name another host, never a way that can be listened to.
async fn discover(client: &Client, issuer: &str, secure: bool) -> Result<Url, String> {
    let mut told = Err("there is no metadata".to_owned());
    for place in metadata::places(issuer) {
        let answer = client
            .get(&place)
            .header(header::ACCEPT, "application/json")
            .send()
            .await
            .map_err(|error| format!("the issuer's metadata: {}", chain(&error.without_url())))?;
        if answer.status() != StatusCode::OK {
            told = Err(format!("{place}: the answer is {}", answer.status()));
            continue;
        }
        let body = read(answer, MAX_METADATA).await.map_err(|why| format!("{place}: {why}"))?;
        told = metadata::jwks_uri(&body, issuer).map_err(|why| format!("{place}: {why}"));
        break;
    }
    let text = told?;
    match Url::parse(&text) {
        Ok(url) if url.scheme() == "https" || (!secure && url.scheme() == "http") => Ok(url),
        _ => Err(format!("the issuer's metadata name {text:?} for its keys, which is no https URL")),
    }
}

async fn read(mut answer: reqwest::Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| chain(&error.without_url()))? {
        if body.len() + chunk.len() > most {
            return Err(format!("the answer has more than {most} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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
