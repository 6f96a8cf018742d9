//! `CertificateService.GenerateCSR`: a key that is made and stays here, and the request to have its certificate signed.
//! `ReplaceCertificate` takes the certificate that comes back, without a key.

use super::{
    super::{
        call::Call,
        descriptor::{MANAGER, Method, Queries, Resource, Verb},
        doc::Doc,
        error::Error,
        fields::Fields,
        messages as m,
        reply::Reply,
    },
    certificates::{URI, collection_uri, in_use, replaceable, unexpected, unwritable},
};
use crate::api::tls::{
    TlsError,
    request::{KeyKind, MAX_NAMES, Part, Usage, Wanted, name_is_sound},
};

const ACTION: &str = "CertificateService.GenerateCSR";

/// The action.
pub static GENERATE: Resource = Resource {
    schema: ACTION,
    version: "",
    uris: &["/redfish/v1/CertificateService/Actions/CertificateService.GenerateCSR"],
    verbs: &[Verb::of(Method::Post, MANAGER, |call| Box::pin(generate(call)))],
    summary: "Makes a key that stays here, and a request to have a certificate of HTTPS signed for it.",
    queries: Queries::None,
};

/// Names of TCG's registry of algorithms, as the schema wants them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Rsa,
    Ecdsa,
    Ecc,
}

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Ecdsa, Algorithm::Ecc, Algorithm::Rsa];
const CURVES: [KeyKind; 2] = [KeyKind::P256, KeyKind::P384];
const USAGES: [Usage; 5] = [
    Usage::DigitalSignature,
    Usage::KeyEncipherment,
    Usage::KeyAgreement,
    Usage::ServerAuthentication,
    Usage::ClientAuthentication,
];
/// Bits of an RSA key (NIST SP 800-57; more only makes every handshake slow).
const BITS: [u32; 3] = [2_048, 3_072, 4_096];
/// Without being asked.
const BITS_DEFAULT: u32 = 3_072;

fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rsa => "TPM_ALG_RSA",
        Algorithm::Ecdsa => "TPM_ALG_ECDSA",
        Algorithm::Ecc => "TPM_ALG_ECC",
    }
}

fn curve(kind: KeyKind) -> &'static str {
    if kind == KeyKind::P384 { "TPM_ECC_NIST_P384" } else { "TPM_ECC_NIST_P256" }
}

fn usage(usage: Usage) -> &'static str {
    match usage {
        Usage::DigitalSignature => "DigitalSignature",
        Usage::KeyEncipherment => "KeyEncipherment",
        Usage::KeyAgreement => "KeyAgreement",
        Usage::ServerAuthentication => "ServerAuthentication",
        Usage::ClientAuthentication => "ClientAuthentication",
    }
}

/// Shows the action among those of the service.
pub fn offer(actions: &mut Doc) {
    actions.obj(&format!("#{ACTION}"), |o| {
        o.set("target", format!("{URI}/Actions/{ACTION}"))
            .list("KeyPairAlgorithm@Redfish.AllowableValues", ALGORITHMS.map(algorithm))
            .list("KeyCurveId@Redfish.AllowableValues", CURVES.map(curve))
            .list("KeyUsage@Redfish.AllowableValues", USAGES.map(usage));
    });
}

async fn generate(call: &Call<'_>) -> Result<Reply, Error> {
    let tls = in_use(call)?.clone();
    replaceable(&tls, ACTION)?;
    let mut fields = call.parameters(ACTION)?;
    let wanted = read(&mut fields);
    fields.finish(None)?;
    let Some(wanted) = wanted else { return Err(call.not_found()) };
    call.note("Make a key and a request for a certificate of HTTPS");
    match call.face.runtime.spawn_blocking(move || tls.request(&wanted)).await {
        Ok(Ok(pem)) => {
            let mut doc = Doc::plain();
            doc.set("CSRString", &pem).link("CertificateCollection", &collection_uri());
            Ok(Reply::ok(doc))
        }
        Ok(Err(error @ TlsError::File { .. })) => Err(unwritable(&error)),
        Ok(Err(cause)) => {
            let message = m::ACTION_PARAMETER_FORMAT.with(["given", "CommonName", ACTION]);
            Err(Error::new(400, message.detail(format!("{cause}."))))
        }
        Err(cause) => Err(unexpected(&cause)),
    }
}

/// What is wanted, with everything wrong noted. `None`: something was.
fn read(fields: &mut Fields) -> Option<Wanted> {
    for key in ["CommonName", "CertificateCollection"] {
        if !fields.has(key) {
            fields.missing(key);
        }
    }
    let place = fields.object("CertificateCollection").and_then(|mut link| {
        let uri = link.string("@odata.id");
        fields.absorb(link, None);
        uri
    });
    if let Some(place) = place.filter(|place| *place != collection_uri()) {
        fields.not_in_list("CertificateCollection", &place, &[&collection_uri()]);
    }
    let subject = subject(fields);
    let names = names(fields, &subject);
    let key = key(fields);
    let usage = usages(fields);
    fields.is_good().then_some(Wanted { subject, names, key: key?, usage })
}

fn subject(fields: &mut Fields) -> Vec<(Part, String)> {
    let mut subject = Vec::new();
    for (key, part) in [
        ("Country", Part::Country),
        ("State", Part::State),
        ("City", Part::City),
        ("Organization", Part::Organization),
        ("OrganizationalUnit", Part::OrganizationalUnit),
        ("CommonName", Part::CommonName),
        ("GivenName", Part::GivenName),
        ("Initials", Part::Initials),
        ("Surname", Part::Surname),
        ("Email", Part::Email),
        ("ContactPerson", Part::Name),
        ("UnstructuredName", Part::UnstructuredName),
    ] {
        let Some(text) = fields.string(key) else { continue };
        match part.trouble(&text) {
            Some(why) => fields.ill_formed(key, &text, &format!("For {key}: {why}.")),
            None => subject.push((part, text)),
        }
    }
    subject
}

/// `AlternativeNames`. Clients look at nothing else these days: a common name that is one is taken along.
fn names(fields: &mut Fields, subject: &[(Part, String)]) -> Vec<String> {
    let mut names = fields.strings("AlternativeNames").unwrap_or_default();
    if let Some(bad) = names.iter().find(|name| !name_is_sound(name)).cloned() {
        fields.ill_formed("AlternativeNames", &bad, "It has to be a host name (perhaps with *.) or an address.");
    }
    let common = subject.iter().find(|(part, _)| *part == Part::CommonName).map(|(_, text)| text);
    if let Some(common) = common.filter(|common| name_is_sound(common) && !names.contains(common)) {
        names.insert(0, common.clone());
    }
    if names.len() > MAX_NAMES {
        let count = names.len().to_string();
        fields.ill_formed("AlternativeNames", &count, &format!("{MAX_NAMES} names are allowed."));
    }
    names
}

/// P-256 without being asked: small, quick, and known to every client.
fn key(fields: &mut Fields) -> Option<KeyKind> {
    let bits = fields.number("KeyBitLength", 1..=u64::MAX);
    let sound = BITS.into_iter().find(|known| bits == Some(u64::from(*known)));
    if let Some(bits) = bits.filter(|_| sound.is_none()) {
        fields.not_in_list("KeyBitLength", &bits.to_string(), &["2048", "3072", "4096"]);
    }
    let curve = fields.one_of("KeyCurveId", &CURVES, curve);
    let named = fields.has("KeyPairAlgorithm");
    let asked = fields.one_of("KeyPairAlgorithm", &ALGORITHMS, algorithm);
    if named && asked.is_none() {
        return None;
    }
    let rsa = asked.map_or(bits.is_some(), |asked| asked == Algorithm::Rsa);
    if rsa && curve.is_some() {
        fields.incorrect("KeyCurveId", "given", "an RSA key has no curve");
    }
    Some(if rsa { KeyKind::Rsa(sound.unwrap_or(BITS_DEFAULT)) } else { curve.unwrap_or(KeyKind::P256) })
}

fn usages(fields: &mut Fields) -> Vec<Usage> {
    let mut found = Vec::new();
    for name in fields.strings("KeyUsage").unwrap_or_default() {
        match USAGES.into_iter().find(|known| usage(*known) == name) {
            Some(known) if !found.contains(&known) => found.push(known),
            Some(_) => {}
            None => fields.not_in_list("KeyUsage", &name, &USAGES.map(usage)),
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn asked(more: &Value) -> Result<Wanted, usize> {
        let mut body = json!({"CommonName": "rack.example", "CertificateCollection": {"@odata.id": collection_uri()}});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let mut fields = Fields::parameters(body.to_string().as_bytes(), ACTION).unwrap();
        let wanted = read(&mut fields);
        fields.finish(None).map_err(|error| error.messages.len())?;
        Ok(wanted.unwrap())
    }

    #[test]
    fn keys_are_chosen_by_algorithm_bits_or_curve() {
        for (more, key) in [
            (json!({}), KeyKind::P256),
            (json!({"KeyPairAlgorithm": "TPM_ALG_ECDSA", "KeyCurveId": "TPM_ECC_NIST_P384"}), KeyKind::P384),
            (json!({"KeyPairAlgorithm": "TPM_ALG_RSA"}), KeyKind::Rsa(3_072)),
            (json!({"KeyBitLength": 4096}), KeyKind::Rsa(4_096)),
        ] {
            assert_eq!(asked(&more).unwrap().key, key, "{more}");
        }
        for bad in [
            json!({"KeyPairAlgorithm": "TPM_ALG_RSA", "KeyBitLength": 1024}),
            json!({"KeyPairAlgorithm": "TPM_ALG_RSA", "KeyCurveId": "TPM_ECC_NIST_P256"}),
            json!({"KeyPairAlgorithm": "TPM_ALG_SM2"}),
            json!({"KeyCurveId": "TPM_ECC_BN_P256"}),
            json!({"KeyUsage": ["KeyCertSign"]}),
            json!({"Country": "Germany"}),
            json!({"AlternativeNames": ["a b"]}),
            json!({"ChallengePassword": "x"}),
            json!({"CertificateCollection": {"@odata.id": "/redfish/v1/elsewhere"}}),
            json!({"CommonName": ""}),
        ] {
            assert_eq!(asked(&bad).unwrap_err(), 1, "{bad}");
        }
    }

    #[test]
    fn a_common_name_that_is_a_host_is_an_alternative_name_too() {
        assert_eq!(asked(&json!({"AlternativeNames": ["10.0.0.1"]})).unwrap().names, ["rack.example", "10.0.0.1"]);
        assert!(asked(&json!({"CommonName": "The rack"})).unwrap().names.is_empty());
    }
}
