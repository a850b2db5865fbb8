//! The folder of the cluster: what lies where, who may touch it now, and what `postmaster.pid` says.
//!
//! ```text
//! postgres/             of whoever runs us (root too): the account of PostgreSQL may pass, not write
//!   owner.lock          held by the one process that runs the cluster; names it
//!   clients.lock        held, shared, by every process attached to a cluster that another runs
//!   postgresql.conf     written anew at each start
//!   pg_hba.conf         written anew at each start
//!   server.log          what PostgreSQL says, at most two files of a few megabytes
//!   data/  run/         of the account of PostgreSQL, closed to all others
//!   new-*               an initdb that has not ended yet, or never will
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use super::Mode;
use super::account::Account;
use super::binaries::{Binaries, BinarySource, Version, data_major};
use super::error::ClusterError;
use super::os;

/// The address of a unix socket holds 108 bytes, the last of them zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// The name that PostgreSQL gives its socket, and that every driver expects.
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// Paths of one cluster. All of them absolute.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
}

/// What the lock file says of the process that runs the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) pid: u32,
    pub(super) mode: Mode,
}

/// The right to run the cluster, for as long as it lives.
#[derive(Debug)]
pub(super) struct Ownership {
    file: File,
}

/// The server that `postmaster.pid` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Postmaster {
    pub(super) pid: u32,
    pub(super) socket_dir: PathBuf,
    pub(super) is_ready: bool,
}

impl Folder {
    /// Where the data of a cluster below `data_dir` lies, whether it is there or not.
    pub(super) fn data_below(data_dir: &Path) -> PathBuf {
        data_dir.join("postgres").join("data")
    }

    /// Makes the folder, and checks that PostgreSQL will reach it.
    pub(super) fn open(data_dir: &Path, account: &Account) -> Result<Folder, ClusterError> {
        // Names of files in it are no secret, files that are have their own mode.
        let mode = if account.is_other() { 0o711 } else { 0o700 };
        let root = data_dir.join("postgres");
        for path in [data_dir, &root] {
            if path.is_dir() {
                continue;
            }
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(path)
                .map_err(ClusterError::file("create", path))?;
            // Says what `create` did not, under a strict umask.
            fs::set_permissions(path, Permissions::from_mode(mode)).map_err(ClusterError::file("open up", path))?;
        }
        let root = fs::canonicalize(&root).map_err(ClusterError::file("find", &root))?;
        account.check_traversal(&root)?;
        Ok(Folder { root })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("server.log")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Opens a file of ours, which as root belongs to whoever owns the folder, and never follows a link.
    pub(super) fn file(&self, path: &Path, mode: u32) -> Result<File, ClusterError> {
        let open = || {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .append(true)
                .create(true)
                .mode(mode)
                .custom_flags(libc::O_NOFOLLOW);
            let file = options.open(path)?;
            let folder = fs::metadata(&self.root)?;
            if os::is_root() && file.metadata()?.uid() != folder.uid() {
                fchown(&file, Some(folder.uid()), Some(folder.gid()))?;
            }
            Ok(file)
        };
        open().map_err(ClusterError::file("open", path))
    }

    /// Replaces a file of ours that PostgreSQL reads.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, ClusterError> {
        let path = self.path(name);
        let new = self.path(&format!("{name}.new"));
        let write = || {
            remove_if_there(&new)?;
            let mut file = self.file(&new, 0o644).map_err(io::Error::other)?;
            file.set_permissions(Permissions::from_mode(0o644))?;
            file.write_all(text.as_bytes())?;
            fs::rename(&new, &path)
        };
        write().map_err(ClusterError::file("write", &path))?;
        Ok(path)
    }

    /// Takes the right to run the cluster, unless a process has it.
    pub(super) fn try_own(&self, mode: Mode) -> Result<Option<Ownership>, ClusterError> {
        let path = self.path("owner.lock");
        let mut file = self.file(&path, 0o600)?;
        if !os::try_lock(&file, os::Lock::Exclusive).map_err(ClusterError::file("lock", &path))? {
            return Ok(None);
        }
        let what = match mode {
            Mode::Own => "own",
            Mode::AttachOrStart => "attach-or-start",
        };
        let text = format!("{} {what}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(ClusterError::file("write", &path))?;
        Ok(Some(Ownership { file }))
    }

    /// The process that runs the cluster, if it has said so yet and lives.
    pub(super) fn owner(&self) -> Option<Owner> {
        let text = fs::read_to_string(self.path("owner.lock")).ok()?;
        let (pid, mode) = text.trim_end().split_once(' ')?;
        let mode = match mode {
            "own" => Mode::Own,
            "attach-or-start" => Mode::AttachOrStart,
            _ => return None,
        };
        let pid = pid.parse().ok().filter(|pid| os::is_alive(*pid))?;
        Some(Owner { pid, mode })
    }

    /// Joins the users of a cluster that another process runs, unless that one is about to stop it.
    pub(super) fn try_join(&self) -> Result<Option<File>, ClusterError> {
        self.try_clients(os::Lock::Shared)
    }

    /// Keeps others from joining, unless somebody has.
    pub(super) fn try_close(&self) -> Result<Option<File>, ClusterError> {
        self.try_clients(os::Lock::Exclusive)
    }

    fn try_clients(&self, lock: os::Lock) -> Result<Option<File>, ClusterError> {
        let path = self.path("clients.lock");
        let file = self.file(&path, 0o600)?;
        let locked = os::try_lock(&file, lock).map_err(ClusterError::file("lock", &path))?;
        Ok(locked.then_some(file))
    }

    /// What `postmaster.pid` says: of a server that runs, or of one that ended without cleaning up.
    pub(super) fn postmaster(&self) -> Option<Postmaster> {
        // One a line: process, data folder, start time, port, socket folder, address, shared memory, status.
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let socket_dir = PathBuf::from(lines.nth(3).unwrap_or_default());
        let is_ready = lines.nth(2).is_some_and(|status| status.trim() == "ready");
        Some(Postmaster {
            pid,
            socket_dir,
            is_ready,
        })
    }

    /// What the server runs on, by the command line that it wrote down.
    pub(super) fn running_binaries(&self) -> Option<Binaries> {
        let text = fs::read_to_string(self.data().join("postmaster.opts")).ok()?;
        let (program, _) = text.split_once(" \"-D\"")?;
        let folder = Path::new(program).parent()?.to_path_buf();
        let major = data_major(&self.data())?;
        let version = Version {
            major,
            text: major.to_string(),
        };
        Some(Binaries {
            folder,
            version,
            source: BinarySource::Owner,
        })
    }

    /// Whether that process is a server on this very folder: after a reboot the number may be anybody's.
    pub(super) fn runs_here(&self, postmaster: &Postmaster) -> bool {
        if !os::is_alive(postmaster.pid) {
            return false;
        }
        let data = self.data();
        let data = data.as_os_str().as_encoded_bytes();
        let arguments = if cfg!(target_os = "linux") {
            fs::read(format!("/proc/{}/cmdline", postmaster.pid)).unwrap_or_default()
        } else {
            let mut ps = Command::new("ps");
            ps.args(["-ww", "-o", "args=", "-p", &postmaster.pid.to_string()]);
            ps.output().map(|output| output.stdout).unwrap_or_default()
        };
        arguments.windows(data.len()).any(|part| part == data)
    }

    /// The private folder of the socket: `run` beside the data, or a short one where the address would not fit.
    pub(super) fn socket_dir(&self, account: &Account) -> Result<PathBuf, ClusterError> {
        let near = self.path("run");
        let fits = near.join(SOCKET_NAME).as_os_str().len() <= SOCKET_PATH_BYTES_MAX;
        let path = if fits { near } else { self.short_socket_dir() };
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => account.give(&path)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(ClusterError::file("create", &path)(error)),
        }
        // Anybody may make a folder of that name in the system's temporary folder.
        let found = fs::symlink_metadata(&path).map_err(ClusterError::file("look at", &path))?;
        let data = fs::metadata(self.data()).map_err(ClusterError::file("look at", &self.data()))?;
        if !found.is_dir() || found.uid() != data.uid() || found.mode() & 0o077 != 0 {
            return Err(ClusterError::SocketFolder { path });
        }
        Ok(path)
    }

    fn short_socket_dir(&self) -> PathBuf {
        let digest = Sha256::digest(self.root.as_os_str().as_encoded_bytes());
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        PathBuf::from(format!("/tmp/nexus-mint-{name}"))
    }

    /// Removes what an interrupted `initdb` left.
    pub(super) fn remove_unfinished(&self) -> Result<(), ClusterError> {
        let entries = fs::read_dir(&self.root).map_err(ClusterError::file("read", &self.root))?;
        for entry in entries.flatten() {
            if !entry.file_name().as_encoded_bytes().starts_with(b"new-") {
                continue;
            }
            let path = entry.path();
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            match removed {
                // An initdb that is just dying removes its own.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ClusterError::file("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The end of the log from `offset` on, for messages.
    pub(super) fn log_tail(&self, offset: u64) -> String {
        const TAIL_BYTES: u64 = 2_000;
        let read = || {
            let mut file = File::open(self.log())?;
            let end = file.metadata()?.len();
            file.seek(SeekFrom::Start(offset.min(end).max(end.saturating_sub(TAIL_BYTES))))?;
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok::<_, io::Error>(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        match read() {
            Ok(tail) if tail.is_empty() => "(it said nothing)".to_owned(),
            Ok(tail) => tail,
            Err(error) => format!("(its log could not be read: {error})"),
        }
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        // So that nobody takes the next owner for this one; a failure only makes a message less exact.
        let _ = self.file.set_len(0);
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
