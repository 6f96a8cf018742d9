//! A certificate as BMCs are shipped with: signed by itself, with a name that says nothing. Made anew at every start.

use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    ssl::{SslAcceptor, SslAcceptorBuilder, SslMethod},
    x509::{X509, X509NameBuilder},
};

/// Days that it holds: simulators live shorter.
const DAYS: u32 = 30;

/// A certificate and its key.
pub struct Certificate {
    key: PKey<Private>,
    certificate: X509,
}

impl Certificate {
    /// What a listener needs.
    pub fn acceptor(&self) -> Result<SslAcceptorBuilder, ErrorStack> {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        acceptor.set_private_key(&self.key)?;
        acceptor.set_certificate(&self.certificate)?;
        Ok(acceptor)
    }

    /// Its SHA-256 in hex.
    pub fn fingerprint(&self) -> Result<String, ErrorStack> {
        let digest = self.certificate.digest(MessageDigest::sha256())?;
        Ok(digest.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
    }
}

/// A new one.
pub fn made() -> Result<Certificate, ErrorStack> {
    let key = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "simulated-bmc")?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(DAYS)?)?;
    builder.set_pubkey(&key)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok(Certificate { certificate: builder.build(), key })
}
