//! Finds `initdb` and `postgres`: the first hit wins, and each candidate is run before it is believed.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::bundle;
use super::error::ClusterError;
use super::folder::Folder;
use super::{ClusterOptions, Search};

/// The oldest major version whose SQL we write.
pub const OLDEST_MAJOR: u32 = 15;

/// A PostgreSQL installation that runs here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder of `initdb` and `postgres`.
    pub folder: PathBuf,
    /// What `postgres --version` says.
    pub version: Version,
    /// Where we looked when we found it.
    pub source: BinarySource,
}

/// A PostgreSQL version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// 15 of 15.14: data of one major version cannot be read by another.
    pub major: u32,
    /// All of it, as printed: `15.14`, `19beta1`.
    pub text: String,
}

/// How an installation was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinarySource {
    /// Named by `NEXUS_MINT_PG_BIN`.
    Setting,
    /// Installed on this system.
    System,
    /// A pinned package that was fetched into the data folder.
    Bundle,
    /// Another process of ours chose it for the cluster that we attached to.
    Owner,
}

impl Binaries {
    /// The program that makes a cluster.
    pub fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    /// The server.
    pub fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Binaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            BinarySource::Setting => "from NEXUS_MINT_PG_BIN",
            BinarySource::System => "installed on this system",
            BinarySource::Bundle => "fetched by nexus-mint",
            BinarySource::Owner => "of the server that runs",
        };
        write!(f, "PostgreSQL {} in {} ({source})", self.version, self.folder.display())
    }
}

/// What a cluster with these options would run on, without fetching anything. `doctor` prints it.
///
/// The folder that `NEXUS_MINT_PG_BIN` names, and no other; else an installation of the major version that made the
/// existing data; else, for a new cluster, any of version 15 or later: of this system first, then a bundle fetched
/// before.
pub fn find_binaries(options: &ClusterOptions) -> Result<Binaries, ClusterError> {
    let account = Account::of_data(&Folder::data_below(&options.data_dir))?;
    find(options, &account)
}

/// As [`find_binaries`], for an account already known.
pub(super) fn find(options: &ClusterOptions, account: &Account) -> Result<Binaries, ClusterError> {
    let data = Folder::data_below(&options.data_dir);
    let needed = data_major(&data);
    let wrong_major = |needed: u32, seen: String| ClusterError::WrongMajor {
        path: data.clone(),
        needed,
        seen,
        install: install_command(Some(needed)),
    };
    if let Some(folder) = &options.pg_bin {
        let binaries = probe(folder, BinarySource::Setting, account).map_err(|reason| ClusterError::BadBinaries {
            path: folder.clone(),
            reason,
        })?;
        return match needed {
            Some(needed) if needed != binaries.version.major => Err(wrong_major(
                needed,
                format!(" (NEXUS_MINT_PG_BIN holds {})", binaries.version),
            )),
            _ => Ok(binaries),
        };
    }
    let mut seen = Vec::new();
    for (folder, source) in candidates(options) {
        match probe(&folder, source, account) {
            Ok(binaries) if needed.is_none_or(|needed| needed == binaries.version.major) => return Ok(binaries),
            Ok(binaries) => seen.push(binaries.to_string()),
            Err(reason) => seen.push(format!("{}: {reason}", folder.display())),
        }
    }
    let seen = if seen.is_empty() {
        String::new()
    } else {
        format!(" (seen: {})", seen.join("; "))
    };
    Err(match needed {
        Some(needed) => wrong_major(needed, seen),
        None => ClusterError::NoBinaries {
            oldest: OLDEST_MAJOR,
            seen,
            install: install_command(None),
        },
    })
}

/// As [`find`], and fetches the bundle where nothing else is found and the bundle would do.
pub(super) fn find_or_fetch(options: &ClusterOptions, account: &Account) -> Result<Binaries, ClusterError> {
    let error = match find(options, account) {
        Ok(binaries) => return Ok(binaries),
        Err(error) => error,
    };
    match (&options.search, &error) {
        (Search::Everywhere, ClusterError::NoBinaries { .. }) => {}
        (Search::Everywhere, ClusterError::WrongMajor { needed, .. })
            if options.pg_bin.is_none() && *needed == bundle::MAJOR => {}
        _ => return Err(error),
    }
    let cache = bundle_cache(&options.data_dir);
    let folder = bundle::fetch(&cache)?;
    account.check_traversal(&folder)?;
    probe(&folder, BinarySource::Bundle, account).map_err(|reason| ClusterError::Fetch {
        reason,
        install: install_command(None),
    })
}

/// Where fetched bundles are kept.
fn bundle_cache(data_dir: &Path) -> PathBuf {
    data_dir.join("pg-bundle")
}

/// The major version that made the data, if there is any.
pub(super) fn data_major(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

fn candidates(options: &ClusterOptions) -> Vec<(PathBuf, BinarySource)> {
    let (system, bundles) = match &options.search {
        Search::Everywhere => (system_folders(), bundle::cached(&bundle_cache(&options.data_dir))),
        Search::Only(folders) => (folders.clone(), Vec::new()),
    };
    let system = system.into_iter().filter(|folder| folder.join("postgres").exists());
    let system = system.map(|folder| (folder, BinarySource::System));
    system
        .chain(bundles.into_iter().map(|folder| (folder, BinarySource::Bundle)))
        .collect()
}

/// `PATH`, then where packages put PostgreSQL without telling `PATH`, newest first.
fn system_folders() -> Vec<PathBuf> {
    #[allow(clippy::disallowed_methods)] // PATH is no setting of ours: it says where this system keeps its programs
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect();
    let versioned = [
        ("/usr/lib/postgresql", "", "bin"), // Debian, Ubuntu, Alpine (as postgresql15)
        ("/usr/libexec", "postgresql", ""), // Alpine
        ("/usr", "pgsql-", "bin"),          // the PostgreSQL project's own RPMs
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
        ("/Library/PostgreSQL", "", "bin"), // the installer of EnterpriseDB
    ];
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, prefix, below) in versioned {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let major = name
                .to_str()
                .and_then(|name| name.strip_prefix(prefix))
                .and_then(|name| name.parse().ok());
            if let Some(major) = major {
                found.push((major, entry.path().join(below)));
            }
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    folders.extend(found.into_iter().map(|(_, folder)| folder));
    folders.extend(["/usr/local/pgsql/bin".into(), "/opt/homebrew/opt/postgresql/bin".into()]);
    folders
}

/// Runs what is in the folder, as the user who will run it for good. An error says why it will not do.
fn probe(folder: &Path, source: BinarySource, account: &Account) -> Result<Binaries, String> {
    let run = |program: &Path, arguments: &[&str]| {
        let output = account.command(program).args(arguments).output();
        let output =
            output.map_err(|error| format!("user {} cannot run {}: {error}", account.name(), program.display()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned());
        }
        Err(format!(
            "{} fails: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    };
    // A folder of `PATH` may hold only links to the programs.
    let postgres =
        fs::canonicalize(folder.join("postgres")).map_err(|error| format!("it has no `postgres`: {error}"))?;
    let folder = postgres
        .parent()
        .filter(|real| real.join("initdb").exists())
        .unwrap_or(folder)
        .to_path_buf();
    let printed = run(&folder.join("postgres"), &["--version"])?;
    let version = parse_version(&printed).ok_or_else(|| format!("prints {printed:?} as its version"))?;
    if version.major < OLDEST_MAJOR {
        return Err(format!("holds PostgreSQL {version}, older than {OLDEST_MAJOR}"));
    }
    // Names the folder of what a new cluster is made from, which some packages ship apart.
    let shown = run(&folder.join("initdb"), &["--show", "-D", "/nonexistent"])?;
    let share = shown
        .split_whitespace()
        .find_map(|word| word.strip_prefix("share_path="));
    if share.is_none_or(|share| !Path::new(share.trim_end_matches(',')).join("postgres.bki").is_file()) {
        return Err("lacks the files that initdb needs".to_owned());
    }
    Ok(Binaries {
        folder,
        version,
        source,
    })
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`
fn parse_version(printed: &str) -> Option<Version> {
    let text = printed.split_whitespace().nth(2)?;
    let major = text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some(Version {
        major,
        text: text.to_owned(),
    })
}

/// The command that installs PostgreSQL here, of this major version if one is named.
pub(super) fn install_command(major: Option<u32>) -> String {
    let has = |program: &str| Path::new("/usr/bin").join(program).exists();
    let version = major.map(|major| major.to_string()).unwrap_or_default();
    if cfg!(target_os = "macos") {
        return format!("brew install postgresql@{}", major.unwrap_or(bundle::MAJOR));
    }
    if has("dnf") {
        return match major {
            Some(major) => format!("sudo dnf install postgresql{major}-server"),
            None => "sudo dnf install postgresql-server".to_owned(),
        };
    }
    if Path::new("/sbin/apk").exists() {
        return format!("apk add postgresql{}", major.unwrap_or(bundle::MAJOR));
    }
    let dash = if major.is_some() { "-" } else { "" };
    format!("sudo apt-get install postgresql{dash}{version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_releases_betas_and_builds_are_read() {
        let check = |printed: &str, expect: Option<u32>| {
            assert_eq!(parse_version(printed).map(|version| version.major), expect, "{printed}");
        };
        check("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", Some(15));
        check("postgres (PostgreSQL) 18.3\n", Some(18));
        check("postgres (PostgreSQL) 19beta1\n", Some(19));
        check("postgres (PostgreSQL)\n", None);
        check("command not found", None);
    }
}
