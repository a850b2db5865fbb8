//! Hashing passwords: argon2id for ours, bcrypt as well where a hash was imported.
//!
//! A hash takes tens of milliseconds of a core and 19 MiB, so a few are computed at once, on threads of their own, and who
//! asks for more waits; what has not even begun to wait is turned away. So a storm of sign-ins does not starve the rest.

use std::sync::OnceLock;

use argon2::{Argon2, PasswordHash, PasswordVerifier as _};
use tokio::sync::Semaphore;

use super::email::Password;
use crate::{config::Secret, problem::Problem};

/// How many sign-ins may wait: more would wait for longer than their clients do.
const WAITING_MAX: usize = 200;

/// The longest password that is looked at (bytes). Nobody has a longer one.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Hashes passwords, a few at a time.
pub struct Hashing {
    running: Semaphore,
    admitted: Semaphore,
}

/// How a password compares with a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It is another one.
    No,
    /// It is the one.
    Yes,
    /// It is the one, and its hash should be made anew.
    YesByOldHash,
}

impl Hashing {
    /// As many at once as half of the machine's cores.
    #[must_use]
    pub fn of_machine() -> Hashing {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let running = (cores / 2).max(1);
        Hashing {
            running: Semaphore::new(running),
            admitted: Semaphore::new(running + WAITING_MAX),
        }
    }

    /// The argon2id hash of a password.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when too many wait.
    pub async fn hash(&self, password: Password) -> Result<String, Problem> {
        self.apart(move || password.hashed())
            .await?
            .map_err(|error| Problem::internal(error.to_string()))
    }

    /// Compares a password with a hash. Without a hash, which is how it is for somebody unknown, takes the same time.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when too many wait.
    pub async fn compare(&self, password: Secret, hash: Option<String>) -> Result<Match, Problem> {
        if password.expose().len() > PASSWORD_BYTES_MAX {
            return Ok(Match::No);
        }
        self.apart(move || compare(password.expose(), hash.as_deref().filter(|hash| !hash.is_empty())))
            .await
    }

    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let _admitted = self
            .admitted
            .try_acquire()
            .map_err(|_| Problem::Unavailable("too many passwords wait to be compared".into()))?;
        let _running = self.running.acquire().await.map_err(Problem::internal)?;
        tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
    }
}

/// Whether a text is a hash that [`Hashing::compare`] understands.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    text.parse::<bcrypt::HashParts>().is_ok() || PasswordHash::new(text).is_ok_and(|hash| is_argon2(&hash))
}

fn is_argon2(hash: &PasswordHash<'_>) -> bool {
    matches!(hash.algorithm.as_str(), "argon2id" | "argon2i")
}

fn compare(password: &str, hash: Option<&str>) -> Match {
    let Some(hash) = hash else {
        compare_argon2(password, nobodys_hash());
        return Match::No;
    };
    if hash.starts_with("$2") {
        return match bcrypt::verify(password, hash) {
            Ok(true) => Match::YesByOldHash,
            Ok(false) | Err(_) => Match::No,
        };
    }
    match compare_argon2(password, hash) {
        Match::Yes if !hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") => Match::YesByOldHash,
        found @ (Match::Yes | Match::No | Match::YesByOldHash) => found,
    }
}

fn compare_argon2(password: &str, hash: &str) -> Match {
    let Ok(hash) = PasswordHash::new(hash) else {
        return Match::No;
    };
    let same = is_argon2(&hash) && Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
    if same { Match::Yes } else { Match::No }
}

/// A hash of no password that anybody knows.
fn nobodys_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let made = Secret::random()
            .ok()
            .and_then(|secret| Password::parse(secret.expose()).ok());
        made.and_then(|password| password.hashed().ok()).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_others_are_understood_and_replaced() {
        // Made by other programs: PHP's password_hash, and argon2-cffi.
        let bcrypt = "$2y$10$.vGA1O9wmRjrwAVXD98HNOgsNpDczlqm3Jq7KnEd1rVAGv3Fykk1a";
        assert_eq!(
            compare(
                "rasmuslerdorf",
                Some("$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq")
            ),
            Match::YesByOldHash
        );
        assert_eq!(compare("rasmuslerdorf", Some(bcrypt)), Match::YesByOldHash);
        assert_eq!(compare("another", Some(bcrypt)), Match::No);
        assert!(is_hash(bcrypt) && !is_hash("correct horse") && !is_hash("$2y$99$short"));
    }

    #[test]
    fn ours_is_compared_with_its_password_alone() {
        let ours = Password::parse("correct horse").unwrap().hashed().unwrap();
        assert_eq!(compare("correct horse", Some(&ours)), Match::Yes);
        assert_eq!(compare("correct horse ", Some(&ours)), Match::No);
        assert!(is_hash(&ours));
        for nothing in [None, Some("garbage"), Some("$argon2id$broken"), Some("$2y$10$broken")] {
            assert_eq!(compare("correct horse", nothing), Match::No, "{nothing:?}");
        }
    }
}
