//! A certificate that an administrator has put in the place of the one we make: `tls/replaced.pem` in the state folder,
//! chain and key in one file, so that both change in one step. Taking the file away and reloading is the way back.

use std::path::{Path, PathBuf};

use openssl::pkey::{PKey, Private};
use zeroize::Zeroizing;

use super::{
    TlsError,
    context::{certificates, private_key, trial},
    request,
};

/// Largest PEM text that is taken.
const MAX_PEM: usize = 64 * 1024;
/// How a key begins, whatever its kind: `-----BEGIN EC PRIVATE KEY-----`.
const KEY: &str = "PRIVATE KEY-----";

/// Where it is.
pub(super) fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("tls").join("replaced.pem")
}

/// A chain with its key that can be served.
pub(super) struct Given {
    /// For [`file`].
    pub text: Zeroizing<Vec<u8>>,
    /// The key is that of the last request.
    pub requested: bool,
}

/// Looks whether a chain can be served, and writes nothing. A chain that comes without a key goes with that of the last
/// request (`request`), or with `present`, the one in use.
pub(super) fn check(state_dir: &Path, pem: &str, present: &PKey<Private>) -> Result<Given, TlsError> {
    let wrong = |what: &str| TlsError::Content { path: PathBuf::from("the given certificate"), what: what.to_owned() };
    if pem.len() > MAX_PEM {
        return Err(wrong("is too large"));
    }
    let given = Path::new("the given certificate");
    let chain = certificates(given, pem.as_bytes())?;
    let own = chain.first().ok_or_else(|| wrong("holds no certificate"))?;
    let public = own.public_key()?;
    let fits = |key: &PKey<Private>| public.public_eq(key);
    let mut requested = false;
    let key = if pem.contains(KEY) {
        let key = private_key(given, pem.as_bytes())?;
        if !fits(&key) {
            return Err(wrong("does not go with the key; the chain has to begin with the server's own"));
        }
        key
    } else if let Some(key) = request::pending(state_dir).map_err(|e| TlsError::Elsewhere(Box::new(e)))?.filter(fits) {
        requested = true;
        key
    } else if fits(present) {
        present.clone()
    } else {
        return Err(wrong(
            "goes neither with the key of the last GenerateCSR nor with the one in use; the chain has to begin with the \
             server's own",
        ));
    };
    // OpenSSL has an opinion of its own: short keys and old digests are refused when they are to be served, not before.
    trial(&chain, &key).map_err(|error| wrong(&format!("can't be served: {error}")))?;
    let mut text = Zeroizing::new(Vec::new());
    for certificate in &chain {
        text.extend_from_slice(&certificate.to_pem()?);
    }
    text.extend_from_slice(&Zeroizing::new(key.private_key_to_pem_pkcs8()?));
    Ok(Given { text, requested })
}
