//! The secrets that the program makes for itself: random, made once, kept in `secrets.toml` in the data folder.
//!
//! The file is readable by its owner only and appears complete or not at all: it is written under another name,
//! flushed, and linked into place. When two processes start at once, one link wins and both read the same file. A secret
//! that an older version did not make is added under a lock, and the file replaced as a whole. Where a private cluster
//! lies beside, its passwords were in the file: one that is gone is said to be gone, and no other is made.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::secret::{Secret, random_bytes};
use crate::postgres::{has_cluster, is_root, lock_exclusively};

/// The name of the file inside the data folder.
pub const FILE_NAME: &str = "secrets.toml";

/// What `secrets.toml` holds.
#[derive(Debug, Clone)]
pub struct SecretsFile {
    /// Signs access tokens (HS256).
    pub jwt_secret: Secret,
    /// Encrypts stored files: 32 bytes in base64.
    pub file_key: Secret,
    /// Signs the audit chain's seals: 32 bytes in base64.
    pub seal_key: Secret,
    /// Password of the embedded cluster's superuser.
    pub superuser_password: Secret,
    /// Password of the embedded cluster's role `authenticator`, as which the program serves.
    pub authenticator_password: Secret,
}

/// Why the secrets could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The data folder could not be made.
    #[error("cannot create the data folder {0}; choose another with --data-dir")]
    Folder(PathBuf, #[source] io::Error),
    /// The file could not be written.
    #[error("cannot write {0}")]
    Write(PathBuf, #[source] io::Error),
    /// The file could not be read.
    #[error("cannot read {0}; run as the user who owns it, or choose another data folder with --data-dir")]
    Read(PathBuf, #[source] io::Error),
    /// Others may read the file, and this user may not change that.
    #[error("{0} may be read by others (mode {1:o}) and cannot be changed; run: chmod 600 {0}")]
    Mode(PathBuf, u32, #[source] io::Error),
    /// The file holds something else.
    #[error("{0} is not what was written there; restore it from a backup")]
    Damaged(PathBuf, #[source] Box<toml::de::Error>),
    /// The file is gone, and a cluster is there that only its passwords open.
    #[error(
        "{0} is missing, and the database beside it opens to the passwords in it alone; restore it from a backup, or \
         choose another data folder with --data-dir"
    )]
    Lost(PathBuf),
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes")]
    Random(#[from] getrandom::Error),
}

/// Reads the secrets, making them first where there are none.
///
/// # Errors
/// See [`SecretsError`].
pub fn load_or_make(data_dir: &Path) -> Result<SecretsFile, SecretsError> {
    let path = data_dir.join(FILE_NAME);
    // Asked first: who makes both at this moment makes the file before the cluster.
    let has_cluster = has_cluster(data_dir);
    if !path.exists() {
        if has_cluster {
            return Err(SecretsError::Lost(path));
        }
        make_folder(data_dir).map_err(|error| SecretsError::Folder(data_dir.to_owned(), error))?;
        let text = fresh_text()?;
        write_once(data_dir, &path, &text).map_err(|error| SecretsError::Write(path.clone(), error))?;
    }
    let mut raw = read(&path)?;
    if raw.seal_key.is_none() {
        raw = add_seal_key(data_dir, &path)?;
    }
    Ok(SecretsFile {
        jwt_secret: Secret::new(raw.jwt_secret),
        file_key: Secret::new(raw.file_key),
        // Added just now where it was missing.
        seal_key: Secret::new(raw.seal_key.unwrap_or_default()),
        superuser_password: Secret::new(raw.superuser_password),
        authenticator_password: Secret::new(raw.authenticator_password),
    })
}

/// Reads the secret that signs access tokens, and changes nothing but who may read the file.
///
/// # Errors
/// See [`SecretsError`].
pub fn read_jwt_secret(path: &Path) -> Result<Secret, SecretsError> {
    read(path).map(|raw| Secret::new(raw.jwt_secret))
}

/// Reads an existing file. One that others may read is closed to them first.
fn read(path: &Path) -> Result<Raw, SecretsError> {
    let mode = fs::metadata(path)
        .map_err(|error| SecretsError::Read(path.to_owned(), error))?
        .mode()
        & 0o777;
    if mode & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600))
            .map_err(|error| SecretsError::Mode(path.to_owned(), mode, error))?;
        tracing::warn!(path = %path.display(), was = %format!("{mode:o}"), "the secrets could be read by others; closed");
    }
    let text = fs::read_to_string(path).map_err(|error| SecretsError::Read(path.to_owned(), error))?;
    toml::from_str(&text).map_err(|error| SecretsError::Damaged(path.to_owned(), Box::new(error)))
}

/// Adds the key that older versions did not make. Processes that do so at once go one after the other, and all but the
/// first find it there.
fn add_seal_key(folder: &Path, path: &Path) -> Result<Raw, SecretsError> {
    let failed = |error| SecretsError::Write(path.to_owned(), error);
    let lock = File::open(folder).map_err(failed)?;
    lock_exclusively(&lock).map_err(failed)?;
    if read(path)?.seal_key.is_none() {
        let text = fs::read_to_string(path).map_err(|error| SecretsError::Read(path.to_owned(), error))?;
        let line = format!("seal_key = \"{}\"\n", STANDARD.encode(random_bytes()?));
        let separator = if text.ends_with('\n') { "" } else { "\n" };
        let temporary = write_temporary(folder, &format!("{text}{separator}{line}")).map_err(failed)?;
        fs::rename(&temporary, path).map_err(failed)?;
        lock.sync_all().map_err(failed)?;
    }
    read(path)
}

/// Makes the data folder. Root's cluster runs as another user who must pass through it; everybody else keeps it closed.
fn make_folder(data_dir: &Path) -> io::Result<()> {
    let mode = if is_root() { 0o711 } else { 0o700 };
    DirBuilder::new().recursive(true).mode(mode).create(data_dir)
}

fn fresh_text() -> Result<String, getrandom::Error> {
    let [file_key, seal_key] = [STANDARD.encode(random_bytes()?), STANDARD.encode(random_bytes()?)];
    let [jwt_secret, superuser_password, authenticator_password] =
        [Secret::random()?, Secret::random()?, Secret::random()?];
    Ok(format!(
        "# Made once by nexus-mint. Whoever reads this file can act as anybody; without it, stored files are lost.\n\
         jwt_secret = \"{}\"\nfile_key = \"{file_key}\"\nseal_key = \"{seal_key}\"\nsuperuser_password = \"{}\"\nauthenticator_password = \"{}\"\n",
        jwt_secret.expose(),
        superuser_password.expose(),
        authenticator_password.expose(),
    ))
}

/// Puts `text` at `path` unless somebody else was faster. After it, the file is there and complete.
fn write_once(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let temporary = write_temporary(folder, text)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    File::open(folder)?.sync_all()
}

/// Writes and flushes a file of this thread's own, for its owner only.
fn write_temporary(folder: &Path, text: &str) -> io::Result<PathBuf> {
    let temporary = folder.join(format!(
        ".{FILE_NAME}.{}.{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(temporary)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    jwt_secret: String,
    file_key: String,
    seal_key: Option<String>,
    superuser_password: String,
    authenticator_password: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::scratch_folder;

    #[test]
    fn made_once_and_readable_by_the_owner_only() {
        let folder = scratch_folder("secrets-once");
        let first = load_or_make(&folder).unwrap();
        let second = load_or_make(&folder).unwrap();
        assert_eq!(first.jwt_secret, second.jwt_secret, "a second start keeps the secrets");
        assert_eq!(fs::metadata(folder.join(FILE_NAME)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn processes_that_start_at_once_agree() {
        let folder = scratch_folder("secrets-race");
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| load_or_make(&folder).unwrap())).collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap().superuser_password)
                .collect()
        });
        assert!(secrets.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_file_without_the_seal_key_is_given_one_once() {
        let folder = scratch_folder("secrets-seal-key");
        let before = load_or_make(&folder).unwrap();
        let path = folder.join(FILE_NAME);
        let text = fs::read_to_string(&path).unwrap();
        let old: Vec<&str> = text.lines().filter(|line| !line.starts_with("seal_key")).collect();
        fs::write(&path, old.join("\n")).unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| load_or_make(&folder).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0].seal_key == pair[1].seal_key));
        assert_eq!(keys[0].jwt_secret, before.jwt_secret, "the others stay");
        assert_ne!(keys[0].seal_key, before.seal_key);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_file_that_is_gone_is_not_made_anew_beside_its_database() {
        let folder = scratch_folder("secrets-lost");
        fs::create_dir_all(folder.join("postgres").join("data")).unwrap();
        let refused = load_or_make(&folder).unwrap_err();
        assert!(matches!(refused, SecretsError::Lost(_)), "{refused:?}");
        assert!(!folder.join(FILE_NAME).exists(), "a backup can be put where it was");
    }

    #[test]
    fn a_file_open_to_others_is_closed() {
        let folder = scratch_folder("secrets-mode");
        load_or_make(&folder).unwrap();
        let path = folder.join(FILE_NAME);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        load_or_make(&folder).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }
}
