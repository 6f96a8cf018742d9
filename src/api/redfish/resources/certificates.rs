//! The certificate that HTTPS is served with, and the action that replaces it.
//!
//! Only where the configuration names no certificate: a file that somebody else looks after is not ours to write.
//! Replacing keeps chain and key in the state folder and counts from the next connection on.

use std::time::Duration;

use openssl::{
    nid::Nid,
    x509::{X509, X509NameRef},
};
use zeroize::Zeroizing;

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, MANAGER, Method, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        messages as m,
        reply::Reply,
    },
    client_certificates, collection, csr, managers, network_protocol,
};
use crate::api::tls::{ReloadableAcceptor, TlsError};

/// The service.
pub const URI: &str = "/redfish/v1/CertificateService";
const ACTION: &str = "CertificateService.ReplaceCertificate";
/// Id of the only certificate: the one in use.
const ID: &str = "1";
/// `CertificateType`s that are taken; the second may hold what signed the first.
const TYPES: [&str; 2] = ["PEM", "PEMchain"];

/// The service.
pub static SERVICE: Resource = Resource {
    schema: "CertificateService",
    version: "v1_2_1",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, service)],
    summary: "Where the service's certificate is replaced, if the configuration names none.",
    queries: Queries::Single,
};

/// Where certificates are.
pub static LOCATIONS: Resource = Resource {
    schema: "CertificateLocations",
    version: "v1_0_4",
    uris: &["/redfish/v1/CertificateService/CertificateLocations"],
    verbs: &[Verb::get(LOGIN, locations)],
    summary: "Links to all certificates.",
    queries: Queries::Single,
};

/// The action.
pub static REPLACE: Resource = Resource {
    schema: ACTION,
    version: "",
    uris: &["/redfish/v1/CertificateService/Actions/CertificateService.ReplaceCertificate"],
    verbs: &[Verb::of(Method::Post, MANAGER, |call| Box::pin(replace(call)))],
    summary: "Replaces the certificate that HTTPS is served with: a PEM chain, with its key unless that stays.",
    queries: Queries::None,
};

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "CertificateCollection",
    version: "",
    uris: &["/redfish/v1/Managers/{manager}/NetworkProtocol/HTTPS/Certificates"],
    verbs: &[Verb::get(LOGIN, list)],
    summary: "The certificate that HTTPS is served with.",
    queries: Queries::Collection,
};

/// The certificate.
pub static CERTIFICATE: Resource = Resource {
    schema: "Certificate",
    version: "v1_11_0",
    uris: &["/redfish/v1/Managers/{manager}/NetworkProtocol/HTTPS/Certificates/{certificate}"],
    verbs: &[Verb::get(LOGIN, get)],
    summary: "The certificate in use, with what signed it.",
    queries: Queries::Single,
};

/// The URI of the collection.
pub fn collection_uri() -> String {
    format!("{}/HTTPS/Certificates", network_protocol::uri())
}

/// The URI of the certificate in use.
pub fn certificate_uri() -> String {
    format!("{}/{ID}", collection_uri())
}

/// What the service proves itself with; 404 where it is plain HTTP.
pub fn in_use<'c>(call: &'c Call<'_>) -> Result<&'c ReloadableAcceptor, Error> {
    call.face.certificate.as_ref().ok_or_else(|| call.not_found())
}

fn service(call: &Call<'_>) -> Result<Reply, Error> {
    let replaceable = in_use(call)?.can_replace();
    let mut doc = Doc::resource(&SERVICE, URI);
    doc.set("Id", "CertificateService")
        .set("Name", "Certificate service")
        .link("CertificateLocations", &locations_uri())
        .obj("Actions", |o| {
            if replaceable {
                o.obj(&format!("#{ACTION}"), |o| {
                    o.set("target", format!("{URI}/Actions/{ACTION}"))
                        .list("CertificateType@Redfish.AllowableValues", TYPES);
                });
                csr::offer(o);
            }
        });
    Ok(Reply::ok(doc))
}

fn locations_uri() -> String {
    format!("{URI}/CertificateLocations")
}

fn locations(call: &Call<'_>) -> Result<Reply, Error> {
    in_use(call)?;
    let shown = call.face.fleet.manager(call.actor, managers::OURSELVES).is_some();
    let own = shown.then(certificate_uri);
    let clients = in_use(call)?.client_cas().all;
    let clients = clients.iter().map(|(id, _)| client_certificates::uri(id));
    let mut doc = Doc::resource(&LOCATIONS, &locations_uri());
    doc.set("Id", "CertificateLocations").set("Name", "Where certificates are").obj("Links", |o| {
        o.links("Certificates", own.into_iter().chain(clients));
    });
    Ok(Reply::ok(doc))
}

/// The certificate, for paths below rackfish's own manager.
fn ours<'c>(call: &'c Call<'_>) -> Result<&'c ReloadableAcceptor, Error> {
    let known = call.param(0) == managers::OURSELVES && call.face.fleet.manager(call.actor, call.param(0)).is_some();
    if known { in_use(call) } else { Err(call.not_found()) }
}

fn list(call: &Call<'_>) -> Result<Reply, Error> {
    ours(call)?;
    Ok(collection(call, "Certificates of HTTPS", &collection_uri(), [ID].iter()))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    let tls = ours(call)?;
    if call.param(1) != ID {
        return Err(call.not_found());
    }
    Ok(Reply::ok(render(&tls.chain(), &tls.info().fingerprint)))
}

fn render(chain: &[X509], fingerprint: &str) -> Doc {
    let mut doc = Doc::resource(&CERTIFICATE, &certificate_uri());
    doc.set("Id", ID).set("Name", "Certificate of HTTPS").list("CertificateUsageTypes", ["Web"]);
    describe(&mut doc, chain, fingerprint);
    doc
}

/// What there is to say of any certificate, with what signed it.
pub fn describe(doc: &mut Doc, chain: &[X509], fingerprint: &str) {
    let text: String = chain.iter().filter_map(|c| String::from_utf8(c.to_pem().ok()?).ok()).collect();
    doc.set("CertificateString", &text)
        .set("CertificateType", if chain.len() > 1 { "PEMchain" } else { "PEM" })
        .set("Fingerprint", fingerprint)
        .set("FingerprintHashAlgorithm", "TPM_ALG_SHA256");
    if let Some(own) = chain.first() {
        doc.obj("Issuer", |o| identify(o, own.issuer_name()))
            .obj("Subject", |o| identify(o, own.subject_name()))
            .opt("SerialNumber", own.serial_number().to_bn().ok().map(|number| in_pairs(&number.to_vec())))
            .opt("ValidNotBefore", crate::api::tls::date(own.not_before()).ok())
            .opt("ValidNotAfter", crate::api::tls::date(own.not_after()).ok());
    }
}

/// `0A:1F`, as the schema wants serial numbers.
fn in_pairs(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

fn identify(o: &mut Doc, name: &X509NameRef) {
    for (key, nid) in [
        ("CommonName", Nid::COMMONNAME),
        ("Organization", Nid::ORGANIZATIONNAME),
        ("OrganizationalUnit", Nid::ORGANIZATIONALUNITNAME),
        ("City", Nid::LOCALITYNAME),
        ("State", Nid::STATEORPROVINCENAME),
        ("Country", Nid::COUNTRYNAME),
    ] {
        let text = name.entries_by_nid(nid).next().and_then(|entry| entry.data().to_string().ok());
        o.opt(key, text.filter(|text| !text.is_empty()));
    }
}

/// An error where the configuration names the certificate.
pub fn replaceable(tls: &ReloadableAcceptor, action: &'static str) -> Result<(), Error> {
    if tls.can_replace() {
        return Ok(());
    }
    let message = m::ACTION_NOT_SUPPORTED.with([action]);
    let way_out = "Replace the file that server.tls.certificate names: it is read again.";
    Err(Error::new(400, message.detail("The configuration names the certificate.").way_out(way_out)))
}

async fn replace(call: &Call<'_>) -> Result<Reply, Error> {
    let tls = in_use(call)?.clone();
    replaceable(&tls, ACTION)?;
    let mut fields = call.parameters(ACTION)?;
    for key in ["CertificateString", "CertificateType", "CertificateUri"] {
        if !fields.has(key) {
            fields.missing(key);
        }
    }
    let pem = Zeroizing::new(fields.string("CertificateString").unwrap_or_default());
    fields.one_of("CertificateType", &TYPES, |word| word);
    let uri = fields.object("CertificateUri").map(|mut uri| {
        let text = uri.string("@odata.id");
        fields.absorb(uri, None);
        text.unwrap_or_default()
    });
    fields.finish(None)?;
    if uri.as_deref() != Some(certificate_uri().as_str()) {
        let asked = uri.unwrap_or_default();
        let message = m::NOT_FOUND_BY_NAME.with(["certificate", &asked]);
        return Err(Error::new(400, message.way_out(format!("Name {}.", certificate_uri()))));
    }
    call.note("Replace the certificate of HTTPS");
    let replaced = call.face.runtime.spawn_blocking(move || tls.replace(&pem)).await;
    match replaced {
        Ok(Ok(())) => Ok(Reply::done()),
        Ok(Err(error @ (TlsError::File { .. } | TlsError::Elsewhere(_)))) => Err(unwritable(&error)),
        Ok(Err(cause)) => {
            let message = m::ACTION_PARAMETER_FORMAT.with(["given", "CertificateString", ACTION]);
            Err(Error::new(400, message.detail(format!("{cause}."))))
        }
        Err(cause) => Err(unexpected(&cause)),
    }
}

/// Files can't be read or written, or other files than the given one are not what they should be.
pub fn unwritable(error: &TlsError) -> Error {
    let message = m::TEMPORARILY_UNAVAILABLE.with(["60"]).detail(format!("{error}."));
    Error::new(503, message).retry(Duration::from_mins(1))
}

/// Work aside has come to no end of its own.
pub fn unexpected(cause: &tokio::task::JoinError) -> Error {
    tracing::error!(%cause, "work on certificates ended unexpectedly");
    Error::new(500, m::INTERNAL_ERROR.with([]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_shown_without_its_key() {
        let dir = tempfile::TempDir::new().unwrap();
        let tls = ReloadableAcceptor::new(&crate::config::Tls::default(), dir.path(), &[]).unwrap();
        let body = render(&tls.chain(), &tls.info().fingerprint).finish();
        let value: serde_json::Value = serde_json::from_slice(&body.bytes).unwrap();
        assert_eq!(value["CertificateType"], "PEMchain");
        let text = value["CertificateString"].as_str().unwrap();
        assert_eq!(X509::stack_from_pem(text.as_bytes()).unwrap().len(), 2);
        assert!(!text.contains("PRIVATE"));
        assert!(value["Issuer"]["CommonName"].as_str().is_some_and(|name| !name.is_empty()));
        assert!(value["ValidNotAfter"].as_str() > value["ValidNotBefore"].as_str());
        assert_eq!(in_pairs(&[0x0a, 0xff]), "0A:FF");
    }
}
