//! What an issuer says of itself (OpenID Connect Discovery 1.0, sections 3 and 4; RFC 8414, sections 2 and 3), of which
//! only the address of its keys is wanted.

use super::json;

/// Bytes of such a document; those of large issuers have some 5 KiB.
pub const MAX_METADATA: usize = 256 << 10;

/// Why a document is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum MetadataError {
    #[error("it is no JSON object: {0}")]
    Json(String),
    #[error("it has no `{0}`")]
    Missing(&'static str),
    /// Section 4.3: it has to be the one that was asked, to the letter, else it may speak for somebody else.
    #[error("it is of the issuer {0:?}")]
    OtherIssuer(String),
}

/// Where the documents of an issuer may be, in the order they are asked for.
///
/// OpenID Connect puts the well-known part behind the issuer's path, RFC 8414 between host and path.
pub fn places(issuer: &str) -> [String; 2] {
    let issuer = issuer.trim_end_matches('/');
    let host = issuer.find("://").map_or(0, |at| at + 3);
    let path = issuer.get(host..).and_then(|rest| rest.find('/')).map_or(issuer.len(), |at| host + at);
    let (host, path) = issuer.split_at_checked(path).unwrap_or((issuer, ""));
    [
        format!("{issuer}/.well-known/openid-configuration"),
        format!("{host}/.well-known/oauth-authorization-server{path}"),
    ]
}

/// `jwks_uri` of a document of `issuer`.
pub fn jwks_uri(document: &[u8], issuer: &str) -> Result<String, MetadataError> {
    let object = json::object(document).map_err(MetadataError::Json)?;
    let text = |key: &'static str| object.get(key).and_then(|v| v.as_str()).ok_or(MetadataError::Missing(key));
    match text("issuer")? {
        same if same == issuer => Ok(text("jwks_uri")?.to_owned()),
        other => Err(MetadataError::OtherIssuer(other.chars().take(200).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_documents_are() {
        assert_eq!(places("https://sso.example")[1], "https://sso.example/.well-known/oauth-authorization-server");
        assert_eq!(
            places("https://sso.example/realms/lab/"),
            [
                "https://sso.example/realms/lab/.well-known/openid-configuration",
                "https://sso.example/.well-known/oauth-authorization-server/realms/lab"
            ]
        );
        assert_eq!(places("nonsense")[0], "nonsense/.well-known/openid-configuration");
    }

    #[test]
    fn a_document_speaks_for_its_own_issuer_alone() {
        let of = |text: &str| jwks_uri(text.as_bytes(), "https://a");
        assert_eq!(of(r#"{"issuer":"https://a","jwks_uri":"https://b/keys"}"#), Ok("https://b/keys".to_owned()));
        assert_eq!(
            of(r#"{"issuer":"https://a/","jwks_uri":"https://b/keys"}"#),
            Err(MetadataError::OtherIssuer("https://a/".to_owned()))
        );
        assert_eq!(of(r#"{"issuer":"https://a"}"#), Err(MetadataError::Missing("jwks_uri")));
        assert_eq!(of(r#"{"jwks_uri":"https://b"}"#), Err(MetadataError::Missing("issuer")));
        assert_eq!(of(r#"{"issuer":["https://a"],"jwks_uri":"x"}"#), Err(MetadataError::Missing("issuer")));
        let twice = of(r#"{"issuer":"https://a","jwks_uri":"https://b","jwks_uri":"https://c"}"#);
        assert!(matches!(twice, Err(MetadataError::Json(_))), "{twice:?}");
        assert!(matches!(of("<html>"), Err(MetadataError::Json(_))));
    }
}
