//! The first account: somebody has to be able to log in to a new installation.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rand::Rng as _;

use super::{AccountError, AccountPatch, Inner};
use crate::{
    model::{Role, Scope, Secret},
    store::StoreError,
};

/// Its name.
const NAME: &str = "admin";
/// Characters that nobody mistakes for others, when the password has to be typed.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// 24 of 56 characters: 139 bits.
const LENGTH: usize = 24;

/// See [`super::Auth::first_account`].
pub(super) async fn make(inner: &Inner, state_dir: &Path) -> Result<PathBuf, AccountError> {
    if !inner.accounts.is_empty() {
        return Err(AccountError::Exists(NAME.to_owned()));
    }
    let least = inner.config.load().min_password;
    let mut rng = rand::rng();
    let password: String = (0..LENGTH.max(least))
        .filter_map(|_| ALPHABET.get(rng.random_range(0..ALPHABET.len())).copied().map(char::from))
        .collect();
    let password = Secret::new(password);
    let path = path(state_dir);
    // The file first: a password that nobody can read is worth nothing.
    let written = write(&path, &password);
    written.map_err(|e| StoreError::Io(format!("{} can't be written: {e}", path.display())))?;
    let made = inner.create(NAME, &password, Role::Administrator, Scope::All, &AccountPatch::default(), true).await;
    if let Err(e) = made {
        fs::remove_file(&path).ok();
        return Err(e);
    }
    Ok(path)
}

/// See [`super::Auth::tidy_first_password`].
pub(super) fn tidy(inner: &Inner, state_dir: &Path) -> bool {
    inner.accounts.generated().is_none() && fs::remove_file(path(state_dir)).is_ok()
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("first-password")
}

/// Readable for its owner only, whatever was there before.
fn write(path: &Path, password: &Secret) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", password.expose())?;
    file.sync_all()
}
