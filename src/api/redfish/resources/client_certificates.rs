//! Whose certificates clients may log in with: `MultiFactorAuth.ClientCertificate` of the AccountService.
//!
//! The common name of a client's certificate is its account. Whoever may add an authority here can become any account:
//! that takes ConfigureUsers, which is the right to do so anyhow. Where the configuration names the authorities
//! (`server.tls.client_ca`), they are shown and stay as they are. A change counts from the next connection on.

use super::{
    super::{
        call::Call,
        descriptor::{LOGIN, Method, Queries, Resource, USERS, Verb},
        doc::Doc,
        error::Error,
        messages as m,
        reply::Reply,
    },
    certificates::{describe, in_use, unexpected, unwritable},
    collection,
};
use crate::api::tls::{ClientCaError, ReloadableAcceptor, TlsError, fingerprint};

/// The collection.
pub const URI: &str = "/redfish/v1/AccountService/MultiFactorAuth/ClientCertificate/Certificates";

/// The collection.
pub static COLLECTION: Resource = Resource {
    schema: "CertificateCollection",
    version: "",
    uris: &[URI],
    verbs: &[Verb::get(LOGIN, list), Verb::of(Method::Post, USERS, |call| Box::pin(create(call)))],
    summary: "Authorities whose certificates clients may log in with. POST adds one.",
    queries: Queries::Collection,
};

/// An authority.
pub static CERTIFICATE: Resource = Resource {
    schema: "Certificate",
    version: "v1_11_0",
    uris: &["/redfish/v1/AccountService/MultiFactorAuth/ClientCertificate/Certificates/{certificate}"],
    verbs: &[Verb::get(LOGIN, get), Verb::of(Method::Delete, USERS, |call| Box::pin(remove(call)))],
    summary: "An authority whose certificates clients may log in with.",
    queries: Queries::Single,
};

/// The URI of an authority.
pub fn uri(id: &str) -> String {
    format!("{URI}/{id}")
}

fn list(call: &Call<'_>) -> Result<Reply, Error> {
    let cas = in_use(call)?.client_cas();
    Ok(collection(call, "Authorities of clients", URI, cas.all.iter().map(|(id, _)| id)))
}

fn get(call: &Call<'_>) -> Result<Reply, Error> {
    show(call, call.param(0)).map(Reply::ok)
}

fn show(call: &Call<'_>, id: &str) -> Result<Doc, Error> {
    let cas = in_use(call)?.client_cas();
    let (id, certificate) = cas.all.into_iter().find(|(known, _)| known == id).ok_or_else(|| call.not_found())?;
    let print = fingerprint(&certificate).unwrap_or_default();
    let mut doc = Doc::resource(&CERTIFICATE, &uri(&id));
    doc.set("Id", &id).set("Name", "Authority of clients");
    describe(&mut doc, &[certificate], &print);
    Ok(doc)
}

/// An error where the configuration names the authorities.
pub fn may_change(call: &Call<'_>) -> Result<(), Error> {
    if in_use(call)?.client_cas().configured { Err(refused(&ClientCaError::Configured, call)) } else { Ok(()) }
}

/// Changes them, aside from the threads that serve.
pub async fn change<T: Send + 'static>(
    call: &Call<'_>,
    work: impl FnOnce(&ReloadableAcceptor) -> Result<T, ClientCaError> + Send + 'static,
) -> Result<T, Error> {
    let tls = in_use(call)?.clone();
    match call.face.runtime.spawn_blocking(move || work(&tls)).await {
        Ok(done) => done.map_err(|error| refused(&error, call)),
        Err(cause) => Err(unexpected(&cause)),
    }
}

fn refused(error: &ClientCaError, call: &Call<'_>) -> Error {
    match error {
        ClientCaError::Configured => {
            let way_out = "Change the file that server.tls.client_ca names: it is read again.";
            Error::new(409, m::MADE_BY_CONFIGURATION.with(["The list of authorities"]).way_out(way_out))
        }
        ClientCaError::Exists(id) => Error::new(409, m::ALREADY_EXISTS.with(["Certificate", "Id", id])),
        ClientCaError::TooMany(_) => Error::new(400, m::CREATE_LIMIT_REACHED.with([]).detail(format!("{error}."))),
        ClientCaError::NotFound => call.not_found(),
        ClientCaError::Tls(error @ (TlsError::File { .. } | TlsError::Elsewhere(_))) => unwritable(error),
        ClientCaError::Unacceptable(_) | ClientCaError::Tls(_) => {
            let message = m::PROPERTY_FORMAT.with(["given", "CertificateString"]).detail(format!("{error}."));
            Error::new(400, message.about("CertificateString"))
        }
    }
}

async fn create(call: &Call<'_>) -> Result<Reply, Error> {
    may_change(call)?;
    let mut fields = call.properties()?;
    for key in ["CertificateString", "CertificateType"] {
        if !fields.has(key) {
            fields.missing(key);
        }
    }
    let pem = fields.string("CertificateString").unwrap_or_default();
    fields.one_of("CertificateType", &["PEM"], |word| word);
    fields.finish(None)?;
    call.note("Accept client certificates of another authority");
    let id = change(call, move |tls| tls.add_client_ca(&pem)).await?;
    let doc = show(call, &id)?;
    Ok(Reply::created(doc, uri(&id)))
}

async fn remove(call: &Call<'_>) -> Result<Reply, Error> {
    may_change(call)?;
    let id = call.param(0).to_owned();
    call.note(format!("Accept client certificates of the authority {id} no more"));
    change(call, move |tls| tls.remove_client_ca(&id)).await?;
    Ok(Reply::done())
}
