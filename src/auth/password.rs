//! argon2id on threads of its own, a few at a time.
//!
//! A check costs 22 ms and 19 MiB with the crate's default parameters (19 MiB, 2 passes, 1 lane: the usual minimum), so
//! the number under way at once is bounded by the cores, and sources that guess share one place between them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::{Argon2, Params, PasswordHasher as _, PasswordVerifier as _, password_hash::phc::PasswordHash};
use tokio::sync::{OnceCell, Semaphore, oneshot};

use crate::{model::Secret, store::StoreError};

/// Checks under way at once, at most; there is little to gain from more, and each takes 19 MiB.
const MAX_PLACES: usize = 4;

/// Makes and checks hashes.
#[derive(Debug)]
pub(super) struct Hasher {
    params: Params,
    places: Arc<Semaphore>,
    /// Passed first by those who have guessed wrong too often.
    guessers: Semaphore,
    /// What the password of an unknown user is checked against, so that it takes as long as a wrong one.
    decoy: OnceCell<Arc<str>>,
    /// Runs of argon2 so far: what a login costs is a test.
    runs: AtomicU64,
}

impl Hasher {
    pub fn new() -> Self {
        Self::with(Params::default())
    }

    pub fn with(params: Params) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            params,
            places: Arc::new(Semaphore::new(cores.min(MAX_PLACES))),
            guessers: Semaphore::new(1),
            decoy: OnceCell::new(),
            runs: AtomicU64::new(0),
        }
    }

    /// How often argon2 was run.
    #[cfg(test)]
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// The PHC string of a new password.
    pub async fn hash(&self, password: &Secret) -> Result<Arc<str>, StoreError> {
        let password = password.clone();
        let params = self.params.clone();
        self.run(move || {
            let hash: PasswordHash =
                Argon2::from(params).hash_password(password.expose().as_bytes()).map_err(|e| e.to_string())?;
            Ok::<Arc<str>, String>(Arc::from(hash.to_string()))
        })
        .await
        .and_then(|hash| hash)
        .map_err(|e| StoreError::Io(format!("the password can't be hashed: {e}")))
    }

    /// Whether `password` belongs to `hash`; without a hash it takes as long and is wrong.
    pub async fn verify(&self, hash: Option<Arc<str>>, password: &str, guesser: bool) -> bool {
        let known = hash.is_some();
        let hash = match hash {
            Some(hash) => hash,
            None => match self.decoy().await {
                Ok(decoy) => decoy,
                Err(_) => return false,
            },
        };
        let _queue = if guesser { self.guessers.acquire().await.ok() } else { None };
        let password = Secret::new(password);
        let right = self.run(move || {
            // The parameters are the hash's own; see `PasswordVerifier for Argon2`.
            Argon2::default().verify_password(password.expose().as_bytes(), &*hash).is_ok()
        });
        right.await.unwrap_or(false) && known
    }

    /// Made ahead of the first login, which it would make slower.
    pub async fn decoy(&self) -> Result<Arc<str>, StoreError> {
        let made = self.decoy.get_or_try_init(|| async { self.hash(&Secret::new("nobody's")).await }).await;
        made.cloned()
    }

    /// Runs `work` on a thread that ends with it: its 19 MiB go back with the thread, while one of the blocking pool would
    /// keep them for whatever it does next. A caller that goes away does not free its place early.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|e| e.to_string())?;
        self.runs.fetch_add(1, Ordering::Relaxed);
        let (tell, done) = oneshot::channel();
        let thread = std::thread::Builder::new().name("argon2".to_owned());
        let started = thread.spawn(move || {
            let result = work();
            drop(place);
            // Whoever asked may have left.
            tell.send(result).ok();
        });
        let thread = started.map_err(|e| e.to_string())?;
        // A test's clock that stands still goes on while nothing but a thread of our own is at work.
        #[cfg(test)]
        tokio::task::spawn_blocking(move || thread.join().ok());
        #[cfg(not(test))]
        drop(thread);
        done.await.map_err(|e| e.to_string())
    }
}
