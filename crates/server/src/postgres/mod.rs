//! The embedded PostgreSQL cluster: found or fetched, made, started, watched, stopped.
//!
//! One process runs the cluster of a data folder, and others attach to it. What always holds: a write that was
//! acknowledged survives `kill -9` of that process and of PostgreSQL; nobody reaches the cluster from the network, nor
//! without a password; PostgreSQL never runs as root. Absent on purpose: `pg_ctl`, a TCP port, and any removal of
//! `postmaster.pid`, which is PostgreSQL's own guard of the data.
//!
//! | file | what |
//! | --- | --- |
//! | `binaries`, `bundle` | where `initdb` and `postgres` come from |
//! | `account` | who runs them |
//! | `folder` | what lies where, and who holds it now |
//! | `initdb`, `settings` | how a cluster is made and set up |
//! | `supervisor` | the thread that runs the server |
//! | `os` | the system calls that the standard library lacks: all our `unsafe` |

mod account;
mod binaries;
mod bundle;
mod error;
mod folder;
mod initdb;
mod os;
mod settings;
mod supervisor;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use account::Account;
pub use binaries::{Binaries, BinarySource, OLDEST_MAJOR, Version, find_binaries};
pub use bundle::fetch as fetch_bundle;
pub use error::ClusterError;
use folder::{Folder, Owner, Ownership};
pub(crate) use os::{is_root, lock_exclusively, read_from_memory};
use supervisor::{Launch, Supervisor};

/// Owns the cluster, and has the name that Supabase gives to its own.
pub const SUPERUSER: &str = "supabase_admin";

/// How long to wait for a process that starts, stops or briefly uses the cluster.
const WAIT_FOR_OWNER: Duration = Duration::from_secs(120);
/// A server that is just stopping is gone before this, so that a restart needs no pause.
const WAIT_FOR_SERVER: Duration = Duration::from_secs(5);
/// How long a short command that started the cluster lets others finish that use it by now.
const WAIT_FOR_CLIENTS_AS_COMMAND: Duration = Duration::from_secs(60);
/// The same for a server, whose user waits for it to end.
const WAIT_FOR_CLIENTS_AS_SERVER: Duration = Duration::from_secs(5);
/// Locks are polled, for they tell nobody when they are free.
const LOCK_TICK: Duration = Duration::from_millis(20);

/// How the cluster is found and started.
#[derive(Clone)]
pub struct ClusterOptions {
    /// The platform's data folder. The cluster lives in `postgres` below it.
    pub data_dir: PathBuf,
    /// `NEXUS_MINT_PG_BIN`: the folder of `initdb` and `postgres`.
    pub pg_bin: Option<PathBuf>,
    /// The password of [`SUPERUSER`]: one line. An existing cluster keeps the one it was made with.
    pub superuser_password: String,
    /// Whether what is committed must survive.
    pub durability: Durability,
    /// Whether another process may run it.
    pub mode: Mode,
    /// Where to look for PostgreSQL when no folder is named.
    pub search: Search,
}

/// Whether what is committed must survive the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As PostgreSQL means it.
    Durable,
    /// For tests: nothing is forced to disk.
    Throwaway,
}

/// Who runs the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// This process, until it ends: `serve`. Waits for a short command that uses it, refuses a second server.
    Own,
    /// Whoever runs it already; else this process, for the time of its command.
    AttachOrStart,
}

/// Where to look for PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// In this system, then among bundles fetched before, then at the package registries.
    Everywhere,
    /// In these folders. For tests.
    Only(Vec<PathBuf>),
}

/// How we came by the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// We started it, and stop it.
    Started,
    /// Another process runs it.
    Attached,
}

/// A cluster that takes connections, for as long as this value lives.
#[derive(Debug)]
pub struct Cluster {
    /// `None` once it was stopped.
    running: Option<Running>,
    folder: Folder,
    binaries: Binaries,
    socket_dir: PathBuf,
    /// Holds the password, and does not print it.
    admin: tokio_postgres::Config,
}

#[derive(Debug)]
enum Running {
    Started {
        supervisor: Supervisor,
        ownership: Ownership,
        mode: Mode,
    },
    Attached {
        _membership: File,
    },
}

/// Whether a private cluster was ever made below this data folder.
#[must_use]
pub fn has_cluster(data_dir: &Path) -> bool {
    Folder::data_below(data_dir).is_dir()
}

impl ClusterOptions {
    /// A durable cluster that any command may use.
    pub fn new(data_dir: impl Into<PathBuf>, superuser_password: impl Into<String>) -> ClusterOptions {
        ClusterOptions {
            data_dir: data_dir.into(),
            pg_bin: None,
            superuser_password: superuser_password.into(),
            durability: Durability::Durable,
            mode: Mode::AttachOrStart,
            search: Search::Everywhere,
        }
    }
}

impl fmt::Debug for ClusterOptions {
    /// All but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClusterOptions {
            data_dir,
            pg_bin,
            superuser_password: _,
            durability,
            mode,
            search,
        } = self;
        let mut shown = f.debug_struct("ClusterOptions");
        shown
            .field("data_dir", data_dir)
            .field("pg_bin", pg_bin)
            .field("durability", durability);
        shown
            .field("mode", mode)
            .field("search", search)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Starts the cluster, or attaches to the one that another process runs. Blocks, for seconds the first time and for
    /// minutes at worst: not for a thread of the async runtime.
    pub fn start(options: &ClusterOptions) -> Result<Cluster, ClusterError> {
        let account = Account::of_data(&Folder::data_below(&options.data_dir))?;
        let folder = Folder::open(&options.data_dir, &account)?;
        let begin = Instant::now();
        let mut told = false;
        loop {
            if let Some(ownership) = folder.try_own(options.mode)? {
                return Cluster::run(options, folder, &account, ownership);
            }
            if options.mode == Mode::AttachOrStart
                && let Some(attached) = Cluster::attach(options, &folder, &account)?
            {
                return Ok(attached);
            }
            let owner = folder.owner();
            check_patience(options, &folder, owner, begin)?;
            if !told && begin.elapsed() > Duration::from_secs(1) {
                told = true;
                let pid = owner.map(|owner| owner.pid);
                tracing::info!(pid, folder = %folder.root().display(), "waiting for the process that uses the database");
            }
            std::thread::sleep(LOCK_TICK);
        }
    }

    fn run(
        options: &ClusterOptions,
        folder: Folder,
        account: &Account,
        ownership: Ownership,
    ) -> Result<Cluster, ClusterError> {
        supervisor::stop_orphan(&folder)?;
        folder.remove_unfinished()?;
        let binaries = binaries::find_or_fetch(options, account)?;
        initdb::ensure(&folder, &binaries, account, options)?;
        let socket_dir = folder.socket_dir(account)?;
        let arguments = settings::write(&folder, &socket_dir, options.durability)?;
        let launch = Launch {
            folder: folder.clone(),
            binaries: binaries.clone(),
            account: account.clone(),
            arguments,
        };
        let supervisor = Supervisor::start(launch)?;
        let admin = admin_config(&socket_dir, options);
        let running = Some(Running::Started {
            supervisor,
            ownership,
            mode: options.mode,
        });
        Ok(Cluster {
            running,
            folder,
            binaries,
            socket_dir,
            admin,
        })
    }

    /// `None`: it is not ready, or about to stop.
    fn attach(options: &ClusterOptions, folder: &Folder, account: &Account) -> Result<Option<Cluster>, ClusterError> {
        let Some(membership) = folder.try_join()? else {
            return Ok(None);
        };
        // Looked at only now: whoever runs it does not stop it while we are a member.
        let ready = folder
            .postmaster()
            .filter(|postmaster| postmaster.is_ready && folder.runs_here(postmaster));
        let Some(postmaster) = ready else {
            return Ok(None);
        };
        // What the owner runs it on, whatever our own settings say.
        let binaries = match folder.running_binaries() {
            Some(binaries) => binaries,
            None => binaries::find(options, account)?,
        };
        Ok(Some(Cluster {
            running: Some(Running::Attached {
                _membership: membership,
            }),
            folder: folder.clone(),
            binaries,
            admin: admin_config(&postmaster.socket_dir, options),
            socket_dir: postmaster.socket_dir,
        }))
    }

    /// Whether we run it.
    pub fn origin(&self) -> Origin {
        match self.running {
            Some(Running::Started { .. }) => Origin::Started,
            Some(Running::Attached { .. }) | None => Origin::Attached,
        }
    }

    /// The folder of the unix socket, which only the account of PostgreSQL (and root) can enter.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// How to log in as the superuser, to the database `postgres`.
    pub fn admin_config(&self) -> tokio_postgres::Config {
        self.admin.clone()
    }

    /// The major version of the server.
    pub fn version(&self) -> u32 {
        self.binaries.version.major
    }

    /// What it runs on.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The server's process. It changes when the server has died and was started again; 0 in between.
    pub fn pid(&self) -> u32 {
        match &self.running {
            Some(Running::Started { supervisor, .. }) => supervisor.pid(),
            Some(Running::Attached { .. }) | None => self.folder.postmaster().map_or(0, |postmaster| postmaster.pid),
        }
    }

    /// Stops the cluster if we started it, after a short wait for others that use it; else only leaves it.
    pub fn stop(mut self) -> Result<(), ClusterError> {
        let patience = match &self.running {
            Some(Running::Started { mode: Mode::Own, .. }) => WAIT_FOR_CLIENTS_AS_SERVER,
            Some(Running::Started {
                mode: Mode::AttachOrStart,
                ..
            }) => WAIT_FOR_CLIENTS_AS_COMMAND,
            Some(Running::Attached { .. }) | None => Duration::ZERO,
        };
        self.end(patience)
    }

    fn end(&mut self, patience: Duration) -> Result<(), ClusterError> {
        let Some(Running::Started {
            supervisor, ownership, ..
        }) = self.running.take()
        else {
            return Ok(());
        };
        let begin = Instant::now();
        // Held until the server has ended: who wants to attach now starts it anew instead.
        let mut closed = self.folder.try_close();
        while matches!(closed, Ok(None)) && begin.elapsed() < patience {
            std::thread::sleep(LOCK_TICK);
            closed = self.folder.try_close();
        }
        let stopped = supervisor.stop();
        drop(ownership);
        stopped
    }
}

impl Drop for Cluster {
    /// Stops it as [`Cluster::stop`] does, at once.
    fn drop(&mut self) {
        if let Err(error) = self.end(Duration::ZERO) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the database was not stopped in order"
            );
        }
    }
}

fn admin_config(socket_dir: &Path, options: &ClusterOptions) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.host_path(socket_dir).port(5432);
    config
        .user(SUPERUSER)
        .password(&options.superuser_password)
        .dbname("postgres");
    config
        .application_name("nexus-mint")
        .connect_timeout(Duration::from_secs(10));
    config
}

/// Ends the wait for another process when it has lasted too long for what that process does.
fn check_patience(
    options: &ClusterOptions,
    folder: &Folder,
    owner: Option<Owner>,
    begin: Instant,
) -> Result<(), ClusterError> {
    let path = folder.root().to_path_buf();
    match (options.mode, owner) {
        (Mode::Own, Some(Owner { pid, mode: Mode::Own })) if begin.elapsed() > WAIT_FOR_SERVER => {
            Err(ClusterError::Served { path, pid })
        }
        _ if begin.elapsed() > WAIT_FOR_OWNER => Err(ClusterError::Busy {
            path,
            pid: owner.map_or(0, |owner| owner.pid),
            seconds: WAIT_FOR_OWNER.as_secs(),
        }),
        _ => Ok(()),
    }
}
