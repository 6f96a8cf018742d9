//! Certificate signing requests (PKCS #10, RFC 2986) for a certificate of HTTPS, with a key that is made here and stays
//! here: `tls/requested-key.pem` in the state folder, 0600, until [`super::ReloadableAcceptor::replace`] is given the
//! certificate that belongs to it. A newer request takes the place of an older one.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use openssl::{
    ec::{Asn1Flag, EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    stack::Stack,
    x509::{
        X509Name, X509ReqBuilder,
        extension::{ExtendedKeyUsage, KeyUsage, SubjectAlternativeName},
    },
};
use zeroize::Zeroizing;

use super::{
    TlsError,
    context::{private_key, read},
    made::{folder, is_host, write},
};

/// Names and addresses of one request, at most.
pub const MAX_NAMES: usize = 32;

/// The key that is made for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// With that many bits: 2,048 to 4,096.
    Rsa(u32),
    /// ECDSA on NIST's curve P-256.
    P256,
    /// ECDSA on NIST's curve P-384.
    P384,
}

/// A part of the subject, with the longest text that X.520 and PKCS #9 allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Part {
    Country,
    State,
    City,
    Organization,
    OrganizationalUnit,
    CommonName,
    GivenName,
    Initials,
    Surname,
    Email,
    Name,
    UnstructuredName,
}

impl Part {
    fn nid(self) -> Nid {
        match self {
            Self::Country => Nid::COUNTRYNAME,
            Self::State => Nid::STATEORPROVINCENAME,
            Self::City => Nid::LOCALITYNAME,
            Self::Organization => Nid::ORGANIZATIONNAME,
            Self::OrganizationalUnit => Nid::ORGANIZATIONALUNITNAME,
            Self::CommonName => Nid::COMMONNAME,
            Self::GivenName => Nid::GIVENNAME,
            Self::Initials => Nid::INITIALS,
            Self::Surname => Nid::SURNAME,
            Self::Email => Nid::PKCS9_EMAILADDRESS,
            Self::Name => Nid::NAME,
            Self::UnstructuredName => Nid::PKCS9_UNSTRUCTUREDNAME,
        }
    }

    /// What is wrong with a text, if something is.
    pub fn trouble(self, text: &str) -> Option<String> {
        let most = match self {
            Self::Country => {
                let code = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
                return (!code).then(|| "it has to be a code of two capital letters (ISO 3166)".to_owned());
            }
            Self::State | Self::City | Self::Email => 128,
            _ => 64,
        };
        let count = text.chars().count();
        if count == 0 || count > most {
            return Some(format!("it may have 1 to {most} characters"));
        }
        if text.chars().any(char::is_control) || text.trim() != text {
            return Some("it may not hold control characters, nor begin or end with a blank".to_owned());
        }
        let ascii = matches!(self, Self::Email) && !(text.is_ascii() && text.contains('@'));
        ascii.then(|| "it is no mail address".to_owned())
    }
}

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Usage {
    DigitalSignature,
    KeyEncipherment,
    KeyAgreement,
    ServerAuthentication,
    ClientAuthentication,
}

/// What is asked for, checked.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Parts of the subject, in the order in which they are written.
    pub subject: Vec<(Part, String)>,
    /// Names and addresses that clients may use; see [`name_is_sound`].
    pub names: Vec<String>,
    /// The key.
    pub key: KeyKind,
    /// Empty: what a server needs.
    pub usage: Vec<Usage>,
}

/// Whether a certificate can be good for that: a host name, perhaps with `*.`, or an address.
pub fn name_is_sound(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok() || (is_host(name) && name.is_ascii())
}

/// Where the key of the last request is.
fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("tls").join("requested-key.pem")
}

/// Makes a key, keeps it, and returns the request (PEM). Blocks: a large RSA key takes seconds.
pub(super) fn make(state_dir: &Path, wanted: &Wanted) -> Result<String, TlsError> {
    let key = new_key(wanted.key)?;
    let request = request(&key, wanted)?;
    folder(&state_dir.join("tls"))?;
    write(&file(state_dir), &Zeroizing::new(key.private_key_to_pem_pkcs8()?), 0o600)?;
    Ok(request)
}

/// The key of the last request that was not answered yet.
pub(super) fn pending(state_dir: &Path) -> Result<Option<PKey<Private>>, TlsError> {
    let path = file(state_dir);
    if !path.exists() {
        return Ok(None);
    }
    private_key(&path, &Zeroizing::new(read(&path)?)).map(Some)
}

/// The certificate has come: its key lies with it now.
pub(super) fn answered(state_dir: &Path) {
    let path = file(state_dir);
    if let Err(error) = std::fs::remove_file(&path) {
        tracing::warn!(file = %path.display(), %error, "the key of a request that was answered can't be removed");
    }
}

fn new_key(kind: KeyKind) -> Result<PKey<Private>, ErrorStack> {
    let curve = |nid| {
        let mut group = EcGroup::from_curve_name(nid)?;
        group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
        PKey::from_ec_key(EcKey::generate(&group)?)
    };
    match kind {
        KeyKind::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits)?),
        KeyKind::P256 => curve(Nid::X9_62_PRIME256V1),
        KeyKind::P384 => curve(Nid::SECP384R1),
    }
}

fn request(key: &PKey<Private>, wanted: &Wanted) -> Result<String, ErrorStack> {
    let mut builder = X509ReqBuilder::new()?;
    builder.set_version(0)?;
    builder.set_subject_name(&*subject(&wanted.subject)?)?;
    builder.set_pubkey(key)?;
    let mut extensions = Stack::new()?;
    let mut names = SubjectAlternativeName::new();
    for name in &wanted.names {
        match name.parse::<IpAddr>() {
            Ok(address) => names.ip(&address.to_string()),
            Err(_) => names.dns(name),
        };
    }
    let default = [Usage::DigitalSignature, Usage::ServerAuthentication];
    let usage = if wanted.usage.is_empty() { &default[..] } else { &wanted.usage };
    let (mut basic, mut extended) = (KeyUsage::new(), ExtendedKeyUsage::new());
    let (mut has_basic, mut has_extended) = (false, false);
    for usage in usage {
        match usage {
            Usage::DigitalSignature => _ = basic.digital_signature(),
            Usage::KeyEncipherment => _ = basic.key_encipherment(),
            Usage::KeyAgreement => _ = basic.key_agreement(),
            Usage::ServerAuthentication => _ = extended.server_auth(),
            Usage::ClientAuthentication => _ = extended.client_auth(),
        }
        let is_extended = matches!(usage, Usage::ServerAuthentication | Usage::ClientAuthentication);
        has_extended |= is_extended;
        has_basic |= !is_extended;
    }
    if !wanted.names.is_empty() {
        extensions.push(names.build(&builder.x509v3_context(None))?)?;
    }
    if has_basic {
        extensions.push(basic.critical().build()?)?;
    }
    if has_extended {
        extensions.push(extended.build()?)?;
    }
    builder.add_extensions(&extensions)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(String::from_utf8_lossy(&builder.build().to_pem()?).into_owned())
}

fn subject(parts: &[(Part, String)]) -> Result<X509Name, ErrorStack> {
    let mut name = X509Name::builder()?;
    for (part, text) in parts {
        name.append_entry_by_nid(part.nid(), text)?;
    }
    Ok(name.build())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use openssl::x509::X509Req;

    use super::*;

    fn wanted(key: KeyKind) -> Wanted {
        Wanted {
            subject: vec![(Part::Country, "DE".to_owned()), (Part::CommonName, "rack.example".to_owned())],
            names: vec!["rack.example".to_owned(), "10.0.0.1".to_owned(), "fd00::1".to_owned()],
            key,
            usage: Vec::new(),
        }
    }

    #[test]
    fn a_request_is_signed_by_the_key_that_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        for (kind, bits) in [(KeyKind::P256, 256), (KeyKind::P384, 384), (KeyKind::Rsa(2048), 2048)] {
            let pem = make(dir.path(), &wanted(kind)).unwrap();
            assert!(!pem.contains("PRIVATE"));
            let request = X509Req::from_pem(pem.as_bytes()).unwrap();
            let key = pending(dir.path()).unwrap().unwrap();
            assert!(request.verify(&key).unwrap());
            assert_eq!(key.bits(), bits);
            let text = String::from_utf8(request.to_text().unwrap()).unwrap();
            for part in
                ["C=DE", "DNS:rack.example, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1", "TLS Web Server"]
            {
                assert!(text.replace(" = ", "=").contains(part), "{part}: {text}");
            }
        }
        let meta = std::fs::metadata(file(dir.path())).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777, 0o600);
        answered(dir.path());
        assert!(pending(dir.path()).unwrap().is_none());
    }

    #[test]
    fn parts_of_a_subject_are_checked() {
        for (part, bad) in [
            (Part::Country, "Germany"),
            (Part::Country, "de"),
            (Part::CommonName, ""),
            (Part::CommonName, &"x".repeat(65)),
            (Part::Organization, "a\nb"),
            (Part::City, " x"),
            (Part::Email, "nobody"),
        ] {
            assert!(part.trouble(bad).is_some(), "{part:?} {bad:?}");
        }
        assert_eq!(Part::Organization.trouble("Müller & Söhne"), None);
        for (name, sound) in
            [("*.lab.example", true), ("10.0.0.1", true), ("a b", false), ("rötli", false), ("", false)]
        {
            assert_eq!(name_is_sound(name), sound, "{name}");
        }
    }
}
