//! Makes the data of a new cluster: under another name first, so that a half-made one is never taken for whole.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::account::Account;
use super::binaries::Binaries;
use super::error::ClusterError;
use super::folder::Folder;
use super::os;
use super::{ClusterOptions, Durability, SUPERUSER};

/// Makes the cluster if there is none. The caller owns the folder.
pub(super) fn ensure(
    folder: &Folder,
    binaries: &Binaries,
    account: &Account,
    options: &ClusterOptions,
) -> Result<(), ClusterError> {
    let data = folder.data();
    if data.join("PG_VERSION").is_file() {
        return Ok(());
    }
    // An empty folder may be a volume that was mounted there; a rename would replace it, or fail and say so.
    if fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ClusterError::NotData { path: data });
    }
    tracing::info!(data = %data.display(), postgresql = %binaries.version, user = account.name(), "making a new database");
    // A name of its own: an initdb whose parent was killed may still be writing into the one before.
    let new = folder.path(&format!("new-{}", std::process::id()));
    let password = new.with_extension("password");
    DirBuilder::new()
        .mode(0o700)
        .create(&new)
        .map_err(ClusterError::file("create", &new))?;
    account.give(&new)?;
    write_secret(&password, &options.superuser_password).map_err(ClusterError::file("write", &password))?;
    account.give(&password)?;
    let result = run(&new, &password, binaries, account, options.durability);
    fs::remove_file(&password).map_err(ClusterError::file("remove", &password))?;
    result?;
    let moved = fs::rename(&new, &data).and_then(|()| match options.durability {
        Durability::Durable => fs::File::open(folder.root())?.sync_all(),
        Durability::Throwaway => Ok(()),
    });
    moved.map_err(ClusterError::file("move the new data to", &data))
}

fn run(
    new: &Path,
    password: &Path,
    binaries: &Binaries,
    account: &Account,
    durability: Durability,
) -> Result<(), ClusterError> {
    // Sorted by bytes, which no upgrade of the system changes under an index; letters of all languages where the
    // system knows them, so that a search without regard to case finds what it should.
    let letters = if os::has_locale(c"C.UTF-8") { "C.UTF-8" } else { "C" };
    let mut command = account.command(binaries.initdb());
    command
        .arg("-D")
        .arg(new)
        .arg("--pwfile")
        .arg(password)
        .args(["--username", SUPERUSER]);
    command.args([
        "--auth=scram-sha-256",
        "--data-checksums",
        "--encoding=UTF8",
        "--locale-provider=libc",
    ]);
    command.args(["--locale=C", "--lc-ctype", letters, "--no-instructions"]);
    match durability {
        Durability::Durable => {}
        Durability::Throwaway => {
            command.arg("--no-sync");
        }
    }
    os::stop_with_parent(&mut command);
    let output = account.output(&mut command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(ClusterError::Initdb {
        output: String::from_utf8_lossy(&said).trim().to_owned(),
    })
}

fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")
}
