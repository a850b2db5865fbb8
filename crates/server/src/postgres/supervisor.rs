//! Runs `postgres` as a child of a thread of its own, which lives until the cluster is to stop.
//!
//! The child is in the foreground and ours: the thread notices its death at once and starts it again, and when the
//! thread dies, by `kill -9` of the process too, Linux tells the child to shut down.

use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::account::Account;
use super::binaries::Binaries;
use super::error::ClusterError;
use super::folder::Folder;
use super::os;

/// How often a server that is starting or stopping is looked at.
const TICK: Duration = Duration::from_millis(5);
/// How often a server that runs is looked at. Its death costs this much before it is started again.
const WATCH_TICK: Duration = Duration::from_millis(100);
/// From spawn until it says that it is starting: memory and locks, no work that grows with the data.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// From then on it replays the log of an unclean end, which is bounded by `max_wal_size` and a slow disk.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(3600);
/// A fast shutdown writes what is in memory to disk.
const FAST_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);
/// An immediate one writes nothing.
const IMMEDIATE_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(15);
/// Sessions of a server that was killed notice it when they next wait for something; until then a new one refuses to
/// start beside them.
const LEFTOVER_SESSIONS_TIMEOUT: Duration = Duration::from_secs(30);
/// Between attempts to start a server that does not stay up: doubled each time, so that it fills no log.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(30);
/// A server that ran for so long has nothing wrong with it at the start.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// The log is two files of about this size.
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;
const LOG_CHECK_EVERY: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) folder: Folder,
    pub(super) binaries: Binaries,
    pub(super) account: Account,
    pub(super) arguments: Vec<String>,
}

/// The thread that runs the server.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// Nothing is ever sent: dropping it asks the thread to stop the server.
    stay: Sender<()>,
    thread: JoinHandle<Result<(), ClusterError>>,
    pid: Arc<AtomicU32>,
}

impl Supervisor {
    /// Starts the server and returns when it takes connections.
    pub(super) fn start(launch: Launch) -> Result<Supervisor, ClusterError> {
        let (stay, leave) = mpsc::channel();
        let (report, reported) = mpsc::channel();
        let pid = Arc::new(AtomicU32::new(0));
        let log = launch.folder.log();
        let mut run = Run {
            launch,
            leave,
            pid: Arc::clone(&pid),
        };
        let body = move || match run.first_start() {
            Ok(child) => {
                // The other end waits for it; if it does not, `leave` says so next.
                let _ = report.send(Ok(()));
                run.keep_running(child)
            }
            Err(error) => {
                let _ = report.send(Err(error));
                Ok(())
            }
        };
        let spawned = std::thread::Builder::new().name("postgres".to_owned()).spawn(body);
        let thread = spawned.map_err(ClusterError::file("start a thread for", &log))?;
        reported.recv().map_err(|_| ClusterError::Supervisor)??;
        Ok(Supervisor { stay, thread, pid })
    }

    /// The server's process; 0 while it is being started again.
    pub(super) fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// Stops the server in order and waits for its end.
    pub(super) fn stop(self) -> Result<(), ClusterError> {
        drop(self.stay);
        self.thread.join().map_err(|_| ClusterError::Supervisor)?
    }
}

/// What the thread knows.
struct Run {
    launch: Launch,
    leave: Receiver<()>,
    pid: Arc<AtomicU32>,
}

/// A server that was spawned, and where its part of the log begins.
struct Server {
    child: Child,
    log_offset: u64,
}

/// How a start ended.
enum Started {
    Ready,
    Died,
    TimedOut(Duration),
    /// We were asked to stop meanwhile.
    Leave,
}

impl Run {
    fn first_start(&mut self) -> Result<Server, ClusterError> {
        // Left by a server that was killed, whose sessions may still be there.
        let was_killed = self.launch.folder.postmaster().is_some();
        let give_up_at = Instant::now() + LEFTOVER_SESSIONS_TIMEOUT;
        let mut delay = RETRY_DELAY_MIN;
        loop {
            let mut server = self.spawn()?;
            match self.wait_until_ready(&mut server) {
                Started::Ready => return Ok(server),
                Started::Died if was_killed && Instant::now() < give_up_at && !self.leaves_within(delay) => {
                    delay = (delay * 2).min(RETRY_DELAY_MAX);
                }
                Started::Died | Started::Leave => return Err(self.start_failed(&server)),
                Started::TimedOut(after) => {
                    shut_down(&mut server.child)?;
                    return Err(ClusterError::Slow {
                        seconds: after.as_secs(),
                        log: self.launch.folder.log(),
                        tail: self.launch.folder.log_tail(server.log_offset),
                    });
                }
            }
        }
    }

    fn keep_running(&mut self, mut server: Server) -> Result<(), ClusterError> {
        let mut delay = RETRY_DELAY_MIN;
        loop {
            let ready_at = Instant::now();
            let Some(status) = self.watch(&mut server.child) else {
                return shut_down(&mut server.child);
            };
            self.pid.store(0, Ordering::Relaxed);
            tracing::error!(%status, log = %self.launch.folder.log().display(), "PostgreSQL ended unasked; starting it again");
            if ready_at.elapsed() > HEALTHY_AFTER {
                delay = RETRY_DELAY_MIN;
            }
            match self.start_again(&mut delay)? {
                Some(again) => server = again,
                None => return Ok(()),
            }
            tracing::info!(pid = self.pid.load(Ordering::Relaxed), "PostgreSQL runs again");
        }
    }

    /// Tries until it runs: whatever is wrong (a full disk) may be mended meanwhile. `None`: we were asked to stop.
    fn start_again(&mut self, delay: &mut Duration) -> Result<Option<Server>, ClusterError> {
        loop {
            if self.leaves_within(*delay) {
                return Ok(None);
            }
            *delay = (*delay * 2).min(RETRY_DELAY_MAX);
            let mut server = match self.spawn() {
                Ok(server) => server,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "PostgreSQL could not be started again"
                    );
                    continue;
                }
            };
            match self.wait_until_ready(&mut server) {
                Started::Ready => return Ok(Some(server)),
                Started::Leave => return shut_down(&mut server.child).map(|()| None),
                Started::TimedOut(_) => shut_down(&mut server.child)?,
                Started::Died => {
                    let error = self.start_failed(&server);
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "PostgreSQL did not start again yet"
                    );
                }
            }
        }
    }

    fn spawn(&self) -> Result<Server, ClusterError> {
        let Launch {
            folder,
            binaries,
            account,
            arguments,
        } = &self.launch;
        self.bound_log();
        let path = folder.log();
        // Opened by us and passed on: the account of PostgreSQL may not write in the folder.
        let log = folder.file(&path, 0o600)?;
        let log_offset = log.metadata().map_err(ClusterError::file("look at", &path))?.len();
        let copy = log.try_clone().map_err(ClusterError::file("open", &path))?;
        let mut command: Command = account.command(binaries.postgres());
        command
            .args(arguments)
            .stdout(Stdio::from(copy))
            .stderr(Stdio::from(log));
        os::stop_with_parent(&mut command);
        let child = command.spawn().map_err(|source| ClusterError::Run {
            program: binaries.postgres(),
            user: account.name().to_owned(),
            source,
        })?;
        Ok(Server { child, log_offset })
    }

    fn wait_until_ready(&self, server: &mut Server) -> Started {
        let pid = server.child.id();
        let begin = Instant::now();
        let mut said_recovering = false;
        loop {
            // An error here means that it is not our child any more, which is as good as dead.
            if !matches!(server.child.try_wait(), Ok(None)) {
                return Started::Died;
            }
            let postmaster = self
                .launch
                .folder
                .postmaster()
                .filter(|postmaster| postmaster.pid == pid);
            if postmaster.as_ref().is_some_and(|postmaster| postmaster.is_ready) {
                self.pid.store(pid, Ordering::Relaxed);
                return Started::Ready;
            }
            let timeout = if postmaster.is_some() {
                RECOVERY_TIMEOUT
            } else {
                START_TIMEOUT
            };
            if begin.elapsed() > timeout {
                return Started::TimedOut(timeout);
            }
            if !said_recovering && begin.elapsed() > Duration::from_secs(5) {
                said_recovering = true;
                tracing::info!(
                    "PostgreSQL is not ready yet; after an unclean end it recovers first, which takes a while"
                );
            }
            if self.leaves_within(TICK) {
                return Started::Leave;
            }
        }
    }

    /// Returns when the server has died, or `None` when we were asked to stop.
    fn watch(&self, child: &mut Child) -> Option<ExitStatus> {
        let mut log_checked_at = Instant::now();
        loop {
            if self.leaves_within(WATCH_TICK) {
                return None;
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            if log_checked_at.elapsed() > LOG_CHECK_EVERY {
                log_checked_at = Instant::now();
                self.bound_log();
            }
        }
    }

    /// Whether we are asked to stop within this time; waits for it.
    fn leaves_within(&self, time: Duration) -> bool {
        !matches!(self.leave.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }

    /// The server holds the file open and appends to it: it is copied and emptied, not renamed.
    fn bound_log(&self) {
        let folder = &self.launch.folder;
        let path = folder.log();
        let bound = || -> Result<(), ClusterError> {
            let mut log = folder.file(&path, 0o600)?;
            let copy_and_empty = |old: &mut File, log: &mut File| {
                old.set_len(0)?;
                std::io::copy(log, old)?;
                log.set_len(0)
            };
            if log.metadata().is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
                let mut old = folder.file(&folder.path("server.log.old"), 0o600)?;
                copy_and_empty(&mut old, &mut log).map_err(ClusterError::file("empty", &path))?;
            }
            Ok(())
        };
        if let Err(error) = bound() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the log of PostgreSQL grows past its bound"
            );
        }
    }

    fn start_failed(&self, server: &Server) -> ClusterError {
        ClusterError::Start {
            log: self.launch.folder.log(),
            tail: self.launch.folder.log_tail(server.log_offset),
        }
    }
}

/// Stops our child: in order, and if that takes too long at once, which loses nothing committed.
fn shut_down(child: &mut Child) -> Result<(), ClusterError> {
    let pid = child.id();
    let mut has_ended = || !matches!(child.try_wait(), Ok(None));
    stop_and_wait(pid, &mut has_ended)
}

/// Stops a server that a process of ours left behind.
pub(super) fn stop_orphan(folder: &Folder) -> Result<(), ClusterError> {
    let Some(orphan) = folder.postmaster().filter(|postmaster| folder.runs_here(postmaster)) else {
        return Ok(());
    };
    tracing::info!(
        pid = orphan.pid,
        "waiting for the PostgreSQL that an earlier nexus-mint left running"
    );
    stop_and_wait(orphan.pid, &mut || !folder.runs_here(&orphan))
}

fn stop_and_wait(pid: u32, has_ended: &mut dyn FnMut() -> bool) -> Result<(), ClusterError> {
    let ways = [
        (os::Signal::FastShutdown, FAST_SHUTDOWN_TIMEOUT),
        (os::Signal::ImmediateShutdown, IMMEDIATE_SHUTDOWN_TIMEOUT),
    ];
    for (signal, timeout) in ways {
        let deadline = Instant::now() + timeout;
        if has_ended() || os::signal(pid, signal).is_err() {
            break;
        }
        while Instant::now() < deadline {
            if has_ended() {
                return Ok(());
            }
            std::thread::sleep(TICK);
        }
        tracing::warn!(pid, ?signal, "PostgreSQL does not stop");
    }
    if has_ended() {
        Ok(())
    } else {
        Err(ClusterError::Stuck { pid })
    }
}
